"""A server of a command's own, on a free port for as long as the command needs it. Imports the errors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from uws_server.errors import ServerError

LISTENING = "Listening on "
"""What the server prints, before its address, once it accepts connections."""

_START_S = 60.0


def clean_environment() -> dict[str, str]:
    """Return the environment without settings of another server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("UWS_SERVER_")}


@contextmanager
def own_server(data: Path, options: Sequence[str] = (), settings: dict[str, str] | None = None) -> Iterator[str]:
    """Run a server process for the length of the block, and give its address.

    Parameters
    ----------
    data
        Its folder.
    options
        Further options of `uws-server serve`.
    settings
        Further settings, by the names of their variables.

    Yields
    ------
    str
        Its address.

    Raises
    ------
    ServerError
        It does not start.
    """
    command = [sys.executable, "-m", "uws_server", "serve", "--port", "0", "--data", str(data), *options]
    environment = clean_environment() | (settings or {})
    before = signal.signal(signal.SIGTERM, _interrupt)
    # in a session of its own: a Ctrl-C is for the command, which may have to end a job first
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    try:
        yield _address(process)
    finally:
        signal.signal(signal.SIGTERM, before)
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _interrupt(*_: object) -> None:
    """Have a command that is told to end do so as by Ctrl-C, so that its server ends with it."""
    raise KeyboardInterrupt


def _address(process: subprocess.Popen[str]) -> str:
    watchdog = threading.Timer(_START_S, process.kill)
    watchdog.start()
    line = process.stdout.readline() if process.stdout is not None else ""
    watchdog.cancel()
    if not line.startswith(LISTENING):
        raise ServerError("the server did not start; what it printed is above")
    return line.removeprefix(LISTENING).strip()
