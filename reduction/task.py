"""What the script of a job calls: parameters in, stages and log lines out, products tagged with how they were made.

May import `provenance`, `atomic`, `inflate` and `errors`. A script is ``task.run(main, stages=5)``
with a ``main(job)`` that gets a `Task`; it works in the folder of the job, the current one:

- ``parameters.json`` comes in;
- ``[STAGE 2/5] Filtering events`` goes to the log for each stage, ``[ERROR] gti: ...`` to stderr with exit status 1;
- ``results/`` takes the products, each FITS file with a VO-TAGS extension;
- ``steps.json`` tells how they were made: the steps found in the inputs' own VO-TAGS, then this one.

An input is told in the provenance by what the user named, never by a path of this machine, and by its SHA-256. Products
have no SHA-256 there: a file cannot hold its own.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

import astropy
import numpy as np

from provenance import hdus, obscore, steps, votags
from provenance.errors import ProvenanceError
from reduction.atomic import write_bytes
from reduction.errors import ReductionError
from reduction.inflate import inflate, is_gzip

PARAMETERS_FILE = "parameters.json"
STEPS_FILE = "steps.json"
RESULTS_FOLDER = "results"
SCRATCH_FOLDER = "scratch"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}")


@dataclass(frozen=True)
class Argument:
    """A parameter of the job as the server wrote it."""

    name: str
    value: Any
    kind: str
    editable: bool
    description: str
    unit: str | None
    source: str | None

    @property
    def said(self) -> str:
        """How the user named a file: never a path of this machine."""
        named = self.source if self.source is not None else str(self.value)
        if "://" in named:
            return named
        return PurePosixPath(named).name if named.startswith(("/", "~", "..")) or self.source is None else named


@dataclass(frozen=True)
class Output:
    """A product: its file name, what it is, and what is known of it in the columns of ObsCore."""

    name: str
    description: str
    known: Mapping[str, Any]


@dataclass
class Task:
    """A running job: what its script asks and tells.

    `stages` is how many stages the script announces; `folder` the folder of the job.
    """

    folder: Path
    arguments: Mapping[str, Argument]
    about: Mapping[str, Any]
    stages: int
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    _stage: int = 0
    _outputs: list[Output] = field(default_factory=list)
    _earlier: list[tuple[steps.Step, ...]] = field(default_factory=list)
    _digests: dict[str, Future[str]] = field(default_factory=dict)
    _workers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=1))

    @property
    def scratch(self) -> Path:
        """A folder for what nobody needs afterwards; it goes when the job ends."""
        folder = self.folder / SCRATCH_FOLDER
        folder.mkdir(exist_ok=True)
        return folder

    def stage(self, text: str) -> None:
        """Say that the next stage begins."""
        self._stage += 1
        print(f"[STAGE {self._stage}/{max(self.stages, self._stage)}] {text}", flush=True)

    def log(self, text: str) -> None:
        """Write a line to the log."""
        print(text, flush=True)

    def value(self, name: str, default: Any = None) -> Any:
        """Value of a parameter; the default where it was not given."""
        argument = self.arguments.get(name)
        return default if argument is None or argument.value is None else argument.value

    def path(self, name: str) -> Path:
        """A file parameter as a readable plain file: a gzipped one is inflated into the scratch folder, once.

        Its steps are read from its VO-TAGS and its SHA-256 is taken meanwhile. Raises ReductionError if it is not
        given or not there.
        """
        argument = self.arguments.get(name)
        if argument is None or not argument.value:
            raise ReductionError("no file is given", name)
        path = self.folder / str(argument.value)
        if not path.is_file():
            raise ReductionError(f"there is no file {argument.said}", name)
        if name not in self._digests:
            self._digests[name] = self._workers.submit(_sha256, path)
        plain = path
        if is_gzip(path):
            plain = self.scratch / (re.sub(r"(?i)\.(gz|ftz)$", "", path.name) or "inflated")
            if not plain.is_file():
                inflate(path, plain, name)
        self._read_steps(plain, argument)
        return plain

    def _read_steps(self, path: Path, argument: Argument) -> None:
        """Keep the steps of an input's own tags; tags that cannot be read are told in the log and ignored."""
        if not _starts_as_fits(path):
            return
        try:
            tags = votags.read(path)
        except ProvenanceError as error:
            trouble = str(error).replace(str(path), argument.said)
            self.log(f"Note: the VO-TAGS of {argument.said} cannot be read and are ignored: {trouble}")
            return
        if tags is not None:
            self._earlier.append(tags.steps)

    def output(self, name: str, description: str, **known: Any) -> Path:
        """Path of a product to be written, below ``results/``.

        `known` are columns of ObsCore that its headers do not tell; None is left out.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a result file: letters, digits and _ . + - only")
        folder = self.folder / RESULTS_FOLDER
        folder.mkdir(exist_ok=True)
        self._outputs = [output for output in self._outputs if output.name != name]
        self._outputs.append(Output(name, description, known))
        return folder / name

    def tell(self, name: str, **known: Any) -> None:
        """Add columns of ObsCore to what is known of a product announced before."""
        self._outputs = [replace(output, known={**output.known, **known}) if output.name == name else output
                         for output in self._outputs]  # fmt: skip

    def finish(self) -> None:
        """Write ``steps.json`` and tag the FITS products."""
        for output in self._outputs:
            if not (self.folder / RESULTS_FOLDER / output.name).is_file():
                raise FileNotFoundError(f"the script announced {output.name} but did not write it")
        everything = steps.merge(*self._earlier, (self._step(),))
        write_bytes(self.folder / STEPS_FILE, steps.dump(everything).encode("ascii") + b"\n")
        for output in self._outputs:
            path = self.folder / RESULTS_FOLDER / output.name
            if _starts_as_fits(path):
                known = {**self._identity(output.name), **output.known}
                votags.write(path, obscore.from_science(hdus.headers(path), **known), everything)

    def _identity(self, name: str) -> dict[str, Any]:
        """Where a product will be had and what makes it unique."""
        base = self.about.get("store_url") or self.about.get("results_url")
        if isinstance(base, str) and "://" in base:
            url = f"{base.rstrip('/')}/{name}"
            return {"access_url": url, "obs_publisher_did": url}
        return {"obs_publisher_did": f"urn:uws-server:{self.about.get('id') or 'no-job'}:{name}"}

    def _step(self) -> steps.Step:
        """This run as a step: inputs, then parameters, then products."""
        given = [argument for argument in self.arguments.values() if argument.value is not None]
        args: list[steps.Arg] = []
        for argument in (each for each in given if each.kind == "file"):
            location, path = _located(argument.said)
            digest = self._digests.get(argument.name)
            extra = {"name": argument.name} | ({"sha256": digest.result()} if digest else {})
            args.append(steps.InputData(len(args), argument.description, argument.editable, location, path, extra))
        for argument in (each for each in given if each.kind != "file"):
            extra = {"name": argument.name} | ({"unit": argument.unit} if argument.unit else {})
            value = argument.value
            args.append(steps.Parameter(len(args), argument.description, argument.editable, value, extra))
        place = self.about.get("results_url") or RESULTS_FOLDER
        for output in self._outputs:
            args.append(steps.OutputData(len(args), output.description, False, str(place), output.name))
        return steps.Step(tuple(args), self._circumstances())

    def _circumstances(self) -> dict[str, Any]:
        """Name and version of the task, job, times and software."""
        return {
            "task": str(self.about.get("definition") or "unnamed"),
            "version": str(self.about.get("version") or ""),
            "job": self.about.get("id"),
            "started": self.started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "ended": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "exit_status": 0,
            "software": {"uws-server": _own_version(), "astropy": astropy.__version__, "numpy": np.__version__,
                         "python": sys.version.split()[0]},
        }  # fmt: skip

    def close(self) -> None:
        """Let go of threads and scratch files."""
        self._workers.shutdown(cancel_futures=True)
        shutil.rmtree(self.folder / SCRATCH_FOLDER, ignore_errors=True)


def run(main: Callable[[Task], None], stages: int) -> None:
    """Run the script of a job in the current folder and end the process with status 1 if it fails.

    Parameters
    ----------
    main
        The work, given the `Task`.
    stages
        How many times it calls `Task.stage`.
    """
    job: Task | None = None
    try:
        job = read_task(Path.cwd(), stages)
        main(job)
        job.finish()
    except ReductionError as error:
        _fail(told(error))
    except Exception as error:  # noqa: BLE001  the last resort: whatever it is, the log must say it and the job must fail
        traceback.print_exc()
        _fail(f"internal error: {type(error).__name__}: {error}")
    finally:
        if job is not None:
            job.close()


def told(error: ReductionError) -> str:
    """An error as the log tells it, the parameter first."""
    text = " ".join(str(error).split())
    if error.parameter is None or text.startswith(f"{error.parameter}:"):
        return text
    return f"{error.parameter}: {text}"


def _fail(text: str) -> None:
    sys.stdout.flush()
    print(f"[ERROR] {text}", file=sys.stderr, flush=True)
    sys.exit(1)


def read_task(folder: Path, stages: int) -> Task:
    """Read ``parameters.json`` of a job's folder; ReductionError if it is not there or odd."""
    path = folder / PARAMETERS_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ReductionError(f"there is no {PARAMETERS_FILE} here; a job's script runs in the job's folder") from error
    except (OSError, ValueError) as error:
        raise ReductionError(f"{PARAMETERS_FILE} cannot be read: {error}") from error
    about, given = (document.get(key) if isinstance(document, dict) else None for key in ("job", "parameters"))
    if not isinstance(about, dict) or not isinstance(given, dict):
        raise ReductionError(f"{PARAMETERS_FILE} must be an object with the objects job and parameters")
    return Task(folder, {name: _argument(name, entry) for name, entry in given.items()}, about, stages)


def _argument(name: str, entry: Any) -> Argument:
    if not isinstance(entry, dict):
        raise ReductionError(f"its entry in {PARAMETERS_FILE} must be an object with a value", name)
    unit, source = entry.get("unit"), entry.get("source")
    return Argument(
        name=name, value=entry.get("value"), kind=str(entry.get("kind") or "value"),
        editable=bool(entry.get("editable", False)), description=str(entry.get("description") or ""),
        unit=str(unit) if unit is not None else None, source=str(source) if source is not None else None,
    )  # fmt: skip


def _located(said: str) -> tuple[str, str]:
    """Location and path of an input: the base of a URL or the folder the user named, and the name below it."""
    location, _, name = said.rpartition("/")
    return (location, name) if name else ("", said)


def _starts_as_fits(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(9) == b"SIMPLE  ="


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _own_version() -> str:
    try:
        return metadata.version("uws-server")
    except metadata.PackageNotFoundError:
        return "not installed"
