"""The commands for the shell script of a job: uws-stage, uws-result and uws-step.

    uws-stage "Filtering events"              [STAGE 1/3] Filtering events
    uws-result spectrum.fits --description "spectrum of the source" --column dataproduct_type=spectrum
    uws-step --task evselect --input events.fits --param expression='PI>200' --output spectrum.fits

They must start quickly: this module imports the standard library only, and anything slow on use. The calls of one job
share their notes in `helpers.json` in its folder.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import fnmatch
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER_VARIABLE, SCRIPT_VARIABLE = "UWS_JOB_FOLDER", "UWS_JOB_SCRIPT"
HELPERS_FILE = "helpers.json"
_CALL = re.compile(rb"^[^#\n]*\b(?:uws-stage|uws-sas\s+run)\b", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}")


class Refused(Exception):
    """A call that a command cannot follow; the message is for the log of the job."""


def stage() -> None:
    """Run `uws-stage TEXT`: announce that the next stage begins."""
    parser = _parser("uws-stage", "Say that the next stage of the job begins.")
    parser.add_argument("text", nargs="+", help="what the job does now")
    parser.add_argument("-m", type=int, metavar="N", help="stages there are; without it the script's calls are counted")
    _run(parser, _stage)


def result() -> None:
    """Run `uws-result FILE`: make a file a result of the job."""
    parser = _parser("uws-result", "Make a file a result of the job: it goes into results/.")
    parser.add_argument("file", type=Path, help="a file; one in the folder of the job is moved, any other copied")
    parser.add_argument("--name", default="", help="a result of the definition, or another name for the file")
    parser.add_argument("--description", default="", help="what it is, in a few words")
    parser.add_argument("--column", action="append", default=[], metavar="NAME=VALUE", help="a column of ObsCore")
    _run(parser, _result)


def step() -> None:
    """Run `uws-step --task NAME`: record a step of the provenance."""
    parser = _parser("uws-step", "Tell how files were made: one step of the provenance, once it is done.")
    parser.add_argument("--task", required=True, help="the program that did it, such as evselect")
    parser.add_argument("--task-version", default="", metavar="VERSION", help="version of that program")
    parser.add_argument("--input", action="append", default=[], metavar="FILE", help="a file that it read")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter it was given")
    parser.add_argument("--output", action="append", default=[], metavar="FILE", help="a file that it wrote")
    _run(parser, _step)


def _parser(name: str, text: str) -> argparse.ArgumentParser:
    epilog = "For the shell script of a job. An option that takes FILE or NAME=VALUE may be given several times."
    return argparse.ArgumentParser(prog=name, description=text, epilog=epilog)


def _run(parser: argparse.ArgumentParser, act: Callable[[argparse.Namespace, Path], None]) -> None:
    options = parser.parse_args()
    try:
        act(options, job_folder())
    except (Refused, OSError) as error:
        sys.exit(f"[ERROR] {parser.prog}: {error}")


def job_folder() -> Path:
    """Return the folder of the job whose script this is called by; outside of one the current folder."""
    return Path(os.environ.get(FOLDER_VARIABLE) or Path.cwd())


def _stage(options: argparse.Namespace, folder: Path) -> None:
    announce(" ".join(options.text), folder, options.m)


def announce(text: str, folder: Path, stages: int | None = None) -> None:
    """Print the line that says that the next stage of a job begins.

    Parameters
    ----------
    text
        What the job does now.
    folder
        The folder of the job.
    stages
        How many stages there are; None for as many as the calls in the script, or as told before.
    """
    with _notes(folder) as notes:
        number = notes["stage"] = notes.get("stage", 0) + 1
        if stages is not None:
            notes["stages"] = stages
        notes["since"] = datetime.now(UTC).isoformat()
        total = max(number, notes.get("stages") or _calls_in_script())
    print(f"[STAGE {number}/{total}] {' '.join(text.split())}", flush=True)


def _calls_in_script() -> int:
    """The number of lines of the job's script that begin a stage; 0 where it cannot be read."""
    try:
        return len(_CALL.findall(Path(os.environ.get(SCRIPT_VARIABLE, "")).read_bytes()))
    except OSError:
        return 0


def _result(options: argparse.Namespace, folder: Path) -> None:
    path: Path = options.file.absolute()
    if not path.is_file():
        raise Refused(f"there is no file {options.file}")
    name = _result_name(options.name, path.name, folder)
    columns = _columns(pairs(options.column, "--column"))
    target = folder / "results" / name
    target.parent.mkdir(exist_ok=True)
    inside = path.resolve().is_relative_to(folder.resolve()) and (folder / "inputs").resolve() not in path.parents
    if path.resolve() != target.resolve():
        if inside and not path.is_symlink():
            shutil.move(path, target)
        else:
            part = target.with_name(f".{name}.part")
            shutil.copyfile(path, part)
            part.replace(target)
    with _notes(folder) as notes:
        notes.setdefault("results", {})[name] = {"description": options.description, "columns": columns}


def _result_name(asked: str, own: str, folder: Path) -> str:
    """The file name of a result: that of the declared result `asked`, else `asked`, else the file's own."""
    declared = _document(folder).get("globs") or {}
    glob = declared.get(asked, "")
    name = own if "*" in glob or not asked else glob or asked
    if "*" in glob and not fnmatch.fnmatchcase(name, glob):
        raise Refused(f"{name} does not match {glob}, the files of the result {asked}")
    if not _NAME.fullmatch(name):
        raise Refused(f"{name!r} is no name of a result file: letters, digits and _ . + - only; give one by --name")
    return name


def _columns(texts: dict[str, str]) -> dict[str, str | int | float]:
    """Columns of ObsCore as values of their types. Raises Refused for an unknown column or a wrong value."""
    if not texts:
        return {}
    from provenance import obscore  # it imports numpy, which is slow

    types = {column.name: column.type for column in obscore.COLUMNS}
    found: dict[str, str | int | float] = {}
    for name, text in texts.items():
        if name not in types:
            raise Refused(f"--column: ObsCore has no column {name}")
        try:
            found[name] = {"int": int, "float": float}.get(types[name], str)(text)
        except ValueError as error:
            raise Refused(f"--column {name}={text}: a number is expected") from error
    if wrong := obscore.invalid(found):
        raise Refused(f"--column: {wrong[0]}")
    return found


def _step(options: argparse.Namespace, folder: Path) -> None:
    # relative to the current folder of the script, which need not be that of the job
    inputs, outputs = ([Path(os.path.abspath(name)) for name in names] for names in (options.input, options.output))  # noqa: PTH100
    record(options.task, options.task_version, inputs, outputs, pairs(options.param, "--param"), folder)


def record(
    name: str, version: str, inputs: Sequence[Path], outputs: Sequence[Path], values: Mapping[str, str], folder: Path
) -> None:
    """Record a step of the provenance of a job, which is done.

    Parameters
    ----------
    name
        The program that did it.
    version
        The version of that program; empty where nobody knows.
    inputs
        The files that it read, as absolute paths.
    outputs
        The files that it wrote, likewise.
    values
        The parameters that it was given.
    folder
        The folder of the job.
    """
    from provenance import steps
    from provenance.fits.atomic import write_bytes
    from provenance.text.errors import ProvenanceError
    from reduction import task
    from reduction.arguments import PARAMETERS_FILE
    from reduction.errors import ReductionError

    try:
        job = task.read_task(folder.absolute(), 0)
        with _notes(folder) as notes:
            begun = (folder / PARAMETERS_FILE).stat().st_mtime
            since = datetime.fromisoformat(notes["since"]) if "since" in notes else datetime.fromtimestamp(begun, UTC)
            found = [_present(path, folder) for path in outputs]
            job.also(name, list(inputs), found, dict(values), version, since)
            notes["since"] = datetime.now(UTC).isoformat()
            path = folder / task.STEPS_FILE
            earlier = steps.read(path) if path.is_file() else ()
            write_bytes(path, steps.dump(steps.merge(earlier, job.recorded_steps)).encode("ascii") + b"\n")
        job.close()
    except (ReductionError, ProvenanceError) as error:
        raise Refused(str(error)) from error


def _present(output: Path, folder: Path) -> Path:
    """The path of a file that a step made: uws-result may have moved it to the results."""
    moved = folder / "results" / output.name
    return output if output.is_file() or not moved.is_file() else moved


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """Return the values of an option NAME=VALUE by name. Raise Refused for any other text."""
    for text in texts:
        if not re.match(r"[A-Za-z_][\w.:-]*=", text):
            raise Refused(f"{option} {text[:80]!r}: NAME=VALUE is expected")
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


def _document(folder: Path) -> dict[str, Any]:
    """The object `job` of parameters.json. Raises Refused where there is none."""
    try:
        found = json.loads((folder / "parameters.json").read_bytes())["job"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused("there is no parameters.json: a script of a job calls this, in the job's folder") from error
    return found if isinstance(found, dict) else {}


@contextlib.contextmanager
def _notes(folder: Path) -> Iterator[dict[str, Any]]:
    """Lock and yield the notes that the calls of one job share; write them at the end."""
    with (folder / HELPERS_FILE).open("a+", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        try:
            notes = json.loads(stream.read() or "{}")
        except ValueError:
            notes = {}
        yield notes
        stream.seek(0)
        stream.truncate()
        json.dump(notes, stream)
