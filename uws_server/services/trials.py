"""Trials: whether they are possible, and the request of one: the test values of a definition, and the files they name.

Imports the sandbox, parameters and simulator.

A value of a file parameter is the name of a file beside job.json, or `simulated:pn` (`simulated:mos1`,
`simulated:mos2`): an event list that the simulator writes; anything else is looked for in the archive.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from uws_server.config import Config
from uws_server.errors import BadRequest, Forbidden, InvalidParameters, Problem
from uws_server.execution import sandbox
from uws_server.jobs.definition import UPLOAD_TYPES, Definition, ParameterSpec
from uws_server.services.parameters import Request, Upload, discard

SIMULATED = "simulated:"
CAMERAS = {"pn": "EPN", "mos1": "EMOS1", "mos2": "EMOS2"}
"""What may stand behind `simulated:`, and the camera of the simulator."""

Spool = Callable[[], Path]
"""Gives a new empty file on the disk of the jobs."""


def obstacle(config: Config) -> str:
    """Return the reason why no script can be shut in here where trials are to be; empty if there is none."""
    return sandbox.obstacle() if sandbox.refusal(config) else ""


def require_possible(config: Config) -> None:
    """Raise Forbidden where no trial may run: its script would reach whatever the server can."""
    if why := sandbox.refusal(config):
        raise Forbidden(why)


def request_of(definition: Definition, folder: Path, spool: Spool) -> Request:
    """Return what a client would send to try the definition whose files are in `folder`.

    Parameters without a test value are left to their defaults. Raise InvalidParameters for a file that cannot be had.
    """
    values: dict[str, list[str]] = {}
    uploads: dict[str, Upload] = {}
    problems: list[Problem] = []
    for name, texts in definition.test.items():
        spec = definition.parameter(name)
        if spec is None:
            problems.append(Problem(f"test.{name}", "there is no parameter of that name"))
            continue
        values[spec.name] = []
        for number, text in enumerate(texts):
            try:
                upload = _file(text, folder, spool) if spec.type in UPLOAD_TYPES else None
            except BadRequest as error:
                problems.append(Problem(f"test.{name}", str(error)))
                continue
            if upload is not None:
                part = _part(definition, spec, number)
                uploads[part] = upload
                text = f"param:{part}"
            values[spec.name].append(text)
    if problems:
        discard(uploads)
        raise InvalidParameters(problems)
    return Request(values=values, uploads=uploads)


def _part(definition: Definition, spec: ParameterSpec, number: int) -> str:
    """Return a name for an upload that no parameter has: an upload with a parameter's name would add a value."""
    name = f"{spec.name}-{number + 1}"  # no name of a parameter has a hyphen
    assert definition.parameter(name) is None
    return name


def _file(text: str, folder: Path, spool: Spool) -> Upload | None:
    """Return the file that a test value names; None for a value that the archive may have."""
    if text.lower().startswith(SIMULATED):
        return _simulated(text[len(SIMULATED) :].strip().lower(), spool)
    path = folder / text
    try:
        if not text.strip() or "/" in text or path.is_symlink() or not path.is_file():
            return None
    except OSError:  # longer than any name of a file
        return None
    copy = spool()
    shutil.copyfile(path, copy)
    return Upload(copy, path.name)


def _simulated(camera: str, spool: Spool) -> Upload:
    """Return a simulated event list of the demonstration's observation. Raise BadRequest for an unknown camera."""
    if camera not in CAMERAS:
        known = ", ".join(f"{SIMULATED}{name}" for name in CAMERAS)
        raise BadRequest(f"{SIMULATED}{camera[:40]} came; {known} are known")
    from reduction.simulate import simulate, small  # not before a trial asks for it: coordinates take 18 MiB

    copy = spool()
    try:
        with tempfile.TemporaryDirectory(dir=copy.parent, prefix="simulated-") as folder:
            (event_list,) = simulate(small(), Path(folder), cameras=(CAMERAS[camera],))
            event_list.replace(copy)
            return Upload(copy, event_list.name)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
