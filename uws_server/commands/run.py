"""The command `uws-server run`: runs a job on any UWS server, from its parameters to its files. Imports the client."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from uws_server import client
from uws_server.client import Credentials, JobState
from uws_server.commands.progress import ProgressBar
from uws_server.errors import ClientError, counted

DEFAULT_SERVER = "http://127.0.0.1:8080"
TOKEN_VARIABLE = "UWS_TOKEN"
_WAIT_S = 1
"""How long a server may delay an answer: the progress bar moves as often."""
_EVERY_S = 0.3
_PART = re.compile(r"_part([0-9]+)$")
"""How the name of a result ends that is one of a part."""

_EPILOG = """\
examples:
  uws-server run spectrum eventlist=@PN.FTZ 'source_region=icrs; circle(149.0, 69.7, 40")' --download products
  uws-server run https://example.org/uws/rest/spectrum eventlist=P0123456701PNS003PIEVLI0000 --wait

KEY=@FILE uploads a file (KEY=@@text is the text @text); a KEY that comes several times has several values. RUNID,
EXECUTIONDURATION, DESTRUCTION and PHASE are parameters of UWS and may be given as well; without PHASE the job is run.

The address of the job, and what is downloaded, go to standard output; progress goes to standard error. Of a job in
parts the results of each are fetched into a folder of their own, DIR/part1 and so on.
exit status: 0 the job is COMPLETED (without --wait: it was created), 1 it ended otherwise, 2 the server or the command
line is wrong, 130 Ctrl-C: on a terminal you are asked whether to abort the job; else it goes on, and how to abort it
later is printed.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = "Run a job on a UWS server, this one or any other, and fetch its results."
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    parser.add_argument("job", metavar="JOB", help="name of a job, or the address of a job list")
    parser.add_argument("values", metavar="KEY=VALUE", nargs="*", help="parameters; KEY=@FILE uploads a file")
    add_server(parser, "where a named job is")
    parser.add_argument("--wait", action="store_true", help="wait for the end of the job, showing how far it is")
    parser.add_argument("--download", type=Path, metavar="DIR", help="wait, then fetch the results into this folder")
    parser.add_argument("--upload", action="append", default=[], metavar="KEY=FILE", help="the same as KEY=@FILE")
    parser.set_defaults(run=_run, last_words="values")


def add_server(parser: argparse.ArgumentParser, says: str) -> None:
    """Add the options that name a server and an account on it."""
    parser.add_argument("--server", default=DEFAULT_SERVER, metavar="URL", help=f"{says} (default {DEFAULT_SERVER})")
    parser.add_argument("--account", metavar="NAME", help="name of your account on the server")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help=f"holds its token (else {TOKEN_VARIABLE} does)")


def _run(options: argparse.Namespace) -> int:
    values, files = given(options.values, options.upload)
    who = credentials(options.account, options.token_file)
    job_list = _job_list(options.job, options.server)
    if options.download:
        make_folder(options.download)
    try:
        job = client.create(job_list, values, files, who)
    except ClientError as error:
        raise ClientError("\n".join([str(error), *_meant_as_files(values)])) from error
    print(job, flush=True)
    if not (options.wait or options.download):
        return 0
    try:
        with interruptible() as check:
            final = _follow(job, who, check)
        if options.download:
            _download(final, options.download, who)
    except KeyboardInterrupt:
        _leave(job, who)
        return 130
    if final.phase != "COMPLETED":
        print(f"uws-server: the job ended in {final.phase}: {final.error or 'no reason is given'}", file=sys.stderr)
        return 1
    if final.warning:
        print(f"uws-server: warning: {final.warning}", file=sys.stderr)
    return 0


def given(pairs: Sequence[str], uploads: Sequence[str] = ()) -> tuple[dict[str, list[str]], dict[str, list[Path]]]:
    """Return values and files by name, from KEY=VALUE, KEY=@FILE and the option --upload."""
    values: dict[str, list[str]] = {}
    files: dict[str, list[Path]] = {}
    for pair, is_file in [(each, False) for each in pairs] + [(each, True) for each in uploads]:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise ClientError(f"{pair[:80]!r} came; KEY=VALUE is expected, such as energy=0.2:12")
        if is_file or (value.startswith("@") and not value.startswith("@@")):
            path = Path(value if is_file else value[1:]).expanduser()
            if not path.is_file():
                raise ClientError(f"{key}: there is no file {path}")
            files.setdefault(key, []).append(path)
        else:
            values.setdefault(key, []).append(value[1:] if value.startswith("@@") else value)
    return values, files


def credentials(account: str | None, token_file: Path | None) -> Credentials:
    """Return name and token; the token comes from a file or the environment, since everybody sees a command line."""
    if account is None:
        if token_file is not None:
            raise ClientError("--token-file came without --account")
        return None
    try:
        token = token_file.read_text(encoding="utf-8") if token_file else os.environ.get(TOKEN_VARIABLE, "")
    except (OSError, UnicodeDecodeError) as error:
        raise ClientError(f"--token-file {token_file} cannot be read: {error}") from error
    if not token.strip():
        raise ClientError(f"--account came without a token: give it in {TOKEN_VARIABLE} or by --token-file")
    return account, token.strip()


def _job_list(job: str, server: str) -> str:
    """Return the address of the job list: as given, or that of a job name on the server."""
    return _checked(job).rstrip("/") if "://" in job else f"{server_address(server)}/rest/{job}"


def server_address(server: str) -> str:
    """Return the address of a server, also from that of one of its job lists."""
    return _checked(server).rstrip("/").removesuffix("/rest")


def _checked(address: str) -> str:
    """Return an address that a person typed, unchanged. Raise ClientError if it is neither http nor https."""
    if urlsplit(address).scheme not in ("http", "https"):
        hint = "" if "://" in address else f"; did you mean http://{address[:80]}?"
        raise ClientError(f"{address[:80]!r} is no http or https address{hint}")
    return address


def _meant_as_files(values: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a hint for each refused value that may have been meant as a file to upload."""
    return [
        f"{key}={value} names a file that is here: {key}=@{value} uploads it"
        for key, texts in values.items()
        for value in texts
        if _is_file(value)
    ]


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, a NUL character
        return False


def make_folder(folder: Path, option: str = "--download") -> None:
    """Create the folder for the files before anything runs. Raise ClientError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ClientError(f"{option} {folder}: this is a file; a folder is expected") from error
    except OSError as error:
        raise ClientError(f"{option} {folder}: {error.strerror}") from error


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Yield a function that raises KeyboardInterrupt if Ctrl-C was pressed.

    Python raises it at once, too, but drops it where it happens to run a finalizer: a wait would go on for ever.
    """
    pressed = threading.Event()

    def press(*_: object) -> None:
        pressed.set()
        raise KeyboardInterrupt

    def check() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, press)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)


def _follow(job: str, who: Credentials, check: Callable[[], None]) -> JobState:
    """Wait for the end of a job, calling `check` on the way; show a progress bar on a terminal and lines elsewhere."""
    progress_bar = ProgressBar(sys.stderr, indent=0)
    begun = time.monotonic()

    def show(state: JobState) -> None:
        check()
        if not state.ended:
            progress_bar.show(state.number, state.total, state.stage or state.phase, time.monotonic() - begun)

    try:
        final = client.follow(job, show, _EVERY_S, who, _WAIT_S)
    finally:
        progress_bar.done()
    print(f"{final.phase} after {time.monotonic() - begun:.1f} s", file=sys.stderr)
    return final


def _download(final: JobState, folder: Path, who: Credentials) -> None:
    """Fetch every result; send the account to the server of the job only, not to other hosts of results.

    The results of each part get a folder of their own: files that name each other, such as a spectrum its background,
    have the same names in every part.
    """
    taken: defaultdict[Path, set[str]] = defaultdict(set)
    for result in final.results:
        part = _PART.search(result.name)
        place = folder / f"part{part[1]}" if part else folder
        place.mkdir(exist_ok=True)
        path = client.download(result, place, credentials_for(result.url, final.url, who), taken[place])
        taken[place].add(path.name)
        print(f"{path}  {counted(path.stat().st_size, 'byte')}", flush=True)


def credentials_for(url: str, server: str, who: Credentials) -> Credentials:
    """Return the account for an address that a server gave: none for an address of another server."""
    return who if _origin(url) == _origin(server) else None


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _leave(job: str, who: Credentials) -> None:
    """After Ctrl-C, abort the job if the user says so, else print how to do it later."""
    how = f"The job goes on. To end it: curl -d PHASE=ABORT {job}/phase"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        print(how, file=sys.stderr)
        return
    print("End the job on the server as well? [y/N] ", end="", file=sys.stderr, flush=True)
    try:
        answer = sys.stdin.readline().strip().lower()
    except KeyboardInterrupt:
        answer = ""
    if answer in ("y", "yes"):
        client.set_phase(job, "ABORT", who)
        print("The job was aborted.", file=sys.stderr)
    else:
        print(how, file=sys.stderr)
