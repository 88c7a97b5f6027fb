"""A real server process for a test: started on a free port, stopped at the end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests

import warmpython
from uws_server.execution import sandbox
from uws_server.execution.warm.imports import Import

PROGRAM = "import sys; from uws_server.cli import main; sys.exit(main())"
COMMAND = [sys.executable, "-c", PROGRAM]
WITHOUT_RECHECKS = f"from uws_server.asgi import longpoll; longpoll._RECHECKS_PER_S = 1e-9; {PROGRAM}"
"""A server in which those who wait are told of a change when it happens, or never: no look at the clock makes good
for a ring that was lost."""
HURRIED = (
    "from uws_server.execution import peers, watchdog; peers.BEAT_S = 1.0; watchdog.STOPPED_S = 2.0; "
    "from uws_server.storage import outages; outages._LONGEST_S = 1.0; "
)
"""Put before a program: the server looks at its supervisors, at other servers and at what it could not do each second,
not each five."""
LOADED: tuple[Import, ...] = (
    ("uws_server.commands.serve", ()),
    ("uws_server.server", ()),
    ("uws_server.web.site.pages", ()),
    ("re2", ()),
    ("uvicorn.lifespan.off", ()),
    ("uvicorn.loops.uvloop", ()),
)
"""What the process has loaded that servers are forked from: the modules of a server that was asked for a page."""
NEW: tuple[Import, ...] = ()
"""Instead of LOADED, for a server whose start, modules or memory are what is tested: in a new interpreter."""
LISTENING = "Listening on "
SANDBOX = "none" if sandbox.obstacle() else "trials"
"""The setting with which trials of drafts run on this machine."""


@dataclass
class Served:
    """A running server: its address, its process, and where its log goes."""

    url: str
    process: warmpython.Forked | subprocess.Popen[str]
    log: Path

    def kill(self) -> None:
        """End the server at once, as a crash would; its jobs go on."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Ask the server to end, as an operator would."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(300)
            except subprocess.TimeoutExpired:
                self.kill()
                raise


def start_server(
    data: Path,
    *options: str,
    program: str = PROGRAM,
    loaded: Sequence[Import] = LOADED,
    **settings: object,
) -> Served:
    """Start a server on a free port, as a fork or, with NEW, in a new interpreter.

    `settings` are keys of the configuration.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UWS_SERVER_")}
    environment |= {f"UWS_SERVER_{key.upper()}": str(value) for key, value in settings.items()}
    environment.setdefault("UWS_SERVER_SANDBOX", SANDBOX)
    # else a short job, as those of dummy are, would have a place of its own where a test has it wait for one
    environment.setdefault("UWS_SERVER_SHORT_PLACES", "0")
    data.mkdir(parents=True, exist_ok=True)
    log = data / "server.log"
    with log.open("ab") as stream:
        process = warmpython.popen(
            [sys.executable, "-c", program, "serve", "--port", "0", "--data", str(data), "--verbose", *options],
            loaded,
            stdout=subprocess.PIPE,
            stderr=stream,
            env=environment,
        )
    watchdog = threading.Timer(300, process.kill)
    watchdog.start()
    assert process.stdout is not None
    line = process.stdout.readline()
    watchdog.cancel()
    if not line.startswith(LISTENING):
        process.kill()
        process.wait()
        raise AssertionError(f"the server did not start: {line!r}\n{log.read_text(errors='replace')}")
    return Served(line.removeprefix(LISTENING).strip(), process, log)


@contextmanager
def running_server(
    data: Path,
    *options: str,
    program: str = PROGRAM,
    loaded: Sequence[Import] = LOADED,
    **settings: object,
) -> Iterator[Served]:
    """A server for as long as the block lasts."""
    served = start_server(data, *options, program=program, loaded=loaded, **settings)
    try:
        yield served
    finally:
        served.stop()
        if served.process.stdout is not None:
            served.process.stdout.close()


def run_command(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command of operators with these words, as a fork of the process that servers are forked from."""
    return warmpython.run([*COMMAND, *words], LOADED, timeout=300)


def require_read(url: str) -> None:
    """Return when the server has read what was sent to it before: it reads in turn, and answers this later."""
    for _ in range(2):
        requests.get(f"{url}/availability", timeout=300)


def connections(url: str) -> int:
    """How many connections the server of an address has, or has not closed though the client did."""
    port = f":{urlsplit(url).port:04X}"
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    listens, waits_out = "0A", "06"
    return sum(line.split()[1].endswith(port) and line.split()[3] not in (listens, waits_out) for line in lines)


def connected(url: str, timeout_s: float = 300) -> socket.socket:
    """A connection to the server of an address, for what no HTTP client would send."""
    address = urlsplit(url)
    return socket.create_connection((str(address.hostname), int(address.port or 80)), timeout_s)
