"""The command `uws-server rerun`: remakes a product, with changes, from its file alone. Imports the client."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from provenance import steps, votags
from provenance.steps import Step, numbering, rerun
from provenance.text.errors import ProvenanceError, StepsError
from uws_server.client import ENDED, Credentials, RemoteResult, ask, download, refusal
from uws_server.commands.run import add_server, credentials, credentials_for, given, make_folder, server_address
from uws_server.errors import ClientError

_TIMEOUT_S = 600
"""The server may read much of its archive before it answers."""
_EVERY_S = 0.2
_Changes = TypeVar("_Changes")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = "Read how a FITS file was made from its VO-TAGS, and have a server run it again."
    parser.epilog = (
        'Such as: uws-server rerun source_spectrum.fits energy="1 5" --download new. Exit status: 0 all jobs '
        "are COMPLETED, 1 one ended otherwise, 2 the server or the command line is wrong."
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a FITS file with VO-TAGS, or a step list in JSON")
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE",
                        help="a new value; 2.KEY is the parameter of step 2; KEY=@FILE uploads an input")  # fmt: skip
    add_server(parser, "where it is run")
    parser.add_argument("--from", dest="first", type=int, metavar="STEP",
                        help="run this step (counted from 1) and all that depend on it again")  # fmt: skip
    parser.add_argument("--target", help="the step or output that is wanted (default: the last step)")
    parser.add_argument("--download", type=Path, metavar="DIR", help="fetch what was made into this folder")
    parser.add_argument("--accept-changed-input", action="store_true",
                        help="run with inputs that are not those that were used; the products say so")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="show the steps and what may be changed, and run nothing")
    parser.set_defaults(run=run, last_words="changes")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    listed = read(options.file)
    if options.list:
        show(listed)
        return 0
    values, files = given(options.changes)
    sent = _asked(options, len(listed))
    values, files = _for_programs(values, listed), _for_programs(files, listed)
    who = credentials(options.account, options.token_file)
    if options.download is not None:
        make_folder(options.download)
    address = _post(server_address(options.server), listed, {**values, **sent}, files, who)
    print(address, flush=True)
    status = _follow(address, who)
    for job in status["jobs"]:
        print(f"{job['task']} {job['id']} {job['phase']}" + (f": {job['error']}" if job["error"] else ""))
    if options.download is not None:
        for path in _download(address, status["jobs"], options.download, who):
            print(path)
    return 0 if status["phase"] == "COMPLETED" else 1


def read(path: Path) -> tuple[Step, ...]:
    """Return the steps that a file records. Raise ClientError if it records none."""
    try:
        with path.open("rb") as stream:
            if stream.read(1) == b"{":
                return steps.read(path)
        tags = votags.read(path)
    except OSError as error:
        raise ClientError(f"{path} cannot be read: {error.strerror}") from error
    except ProvenanceError as error:
        raise ClientError(str(error)) from error
    if tags is None or not tags.steps:
        what = "no VO-TAGS" if tags is None else "VO-TAGS without steps"
        raise ClientError(f"{path} carries {what}: nothing in it records how it was made")
    return tags.steps


def show(listed: tuple[Step, ...]) -> None:
    """Print the steps: their inputs and parameters, and which of them are editable or locked."""
    for number, step in enumerate(listed, start=1):
        print(f"step {number}: {step.extra.get('task', '?')} {step.extra.get('version', '')}".rstrip())
        for field in rerun.fields(listed, number - 1):
            kind = "input" if field.is_file else "     "
            mark = "may be changed" if field.editable else "locked"
            print(f"  {kind} {field.name} = {field.text!r} ({mark})")


def _asked(options: argparse.Namespace, count: int) -> dict[str, str]:
    """Return what is asked beside changes, as the server counts. Raise ClientError for a step that there is not."""
    target, first = options.target, options.first
    try:
        if first is not None:
            first = numbering.number_for_programs(first, count)
        if target is not None and re.fullmatch(r"\d{1,6}", target.strip()):
            target = numbering.number_for_programs(int(target), count)
    except StepsError as error:
        raise ClientError(str(error)) from error
    asked = {"target": target, "from": first, "accept_changed": "yes" if options.accept_changed_input else None}
    return {name: str(value) for name, value in asked.items() if value is not None}


def _for_programs(changes: Mapping[str, _Changes], listed: tuple[Step, ...]) -> dict[str, _Changes]:
    """Return changes by name, as the server counts the steps. Raise ClientError for a step that there is not."""
    try:
        return {numbering.key_for_programs(name, len(listed)): change for name, change in changes.items()}
    except StepsError as error:
        raise ClientError(str(error)) from error


def _post(
    server: str,
    listed: tuple[Step, ...],
    values: Mapping[str, str | Sequence[str]],
    files: Mapping[str, Sequence[Path]],
    who: Credentials,
) -> str:
    """Request the rerun and return the address of the reprocessing."""
    with contextlib.ExitStack() as stack:
        opened = [(name, stack.enter_context(path.open("rb"))) for name, paths in files.items() for path in paths]
        content = [("provenance", ("provenance.json", steps.dump(listed).encode())), *opened]
        answer = ask("POST", f"{server}/reprocessing", who, _TIMEOUT_S, data=values, files=content)
    if answer.status_code != 303:
        text = numbering.message_for_people(answer.text.strip()[:2000], listed)
        raise ClientError(text or f"{server} answered {answer.status_code}")
    return answer.headers["Location"]


def _follow(address: str, who: Credentials) -> dict[str, Any]:
    """Return the status of a reprocessing once each of its jobs has ended; print the progress meanwhile."""
    printed = ""
    while True:
        status = _json(f"{address}/status", who)
        running = next((job for job in status["jobs"] if job["phase"] not in ENDED), None)
        if running is None:
            return status
        now = f"{running['task']}: {running['stage'] or running['phase'].lower()}"
        if now != printed:
            printed = now
            print(now, file=sys.stderr, flush=True)
        time.sleep(_EVERY_S)


def _download(address: str, jobs: list[dict[str, Any]], folder: Path, who: Credentials) -> list[Path]:
    """Fetch the products: those of the last job into the folder, those of each earlier job into a folder below it."""
    fetched = []
    numbers = {job["id"]: number for number, job in enumerate(jobs, start=1)}
    for output in _json(f"{address}/preview", who)["outputs"]:
        last = output["job"] == jobs[-1]["id"]
        place = folder if last else folder / f"{numbers[output['job']]}-{output['job'][:8]}"
        place.mkdir(parents=True, exist_ok=True)
        result = RemoteResult(output["name"], output["url"], output["size"])
        fetched.append(download(result, place, credentials_for(result.url, address, who)))
    return fetched


def _json(address: str, who: Credentials) -> dict[str, Any]:
    answer = ask("GET", address, who, _TIMEOUT_S)
    if answer.status_code != 200:
        raise refusal(address, answer)
    content: dict[str, Any] = json.loads(answer.text)
    return content
