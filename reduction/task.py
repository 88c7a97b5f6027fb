"""What the script of a job calls: parameters in, stages and log lines out, products tagged with how they were made.

A script is ``task.run(main, stages=5)`` with a ``main(job)`` that gets a `Task`; it works in the folder of the job, the
current one:

- ``parameters.json`` comes in;
- ``[STAGE 2/5] Filtering events`` goes to the log for each stage, ``[ERROR] gti: ...`` to stderr with exit status 1;
- ``results/`` takes the products, each FITS file with a VO-TAGS extension;
- ``steps.json`` tells how they were made: the steps found in the inputs' own VO-TAGS, those that the script tells with
  `Task.also`, then this one.

A definition may name a function of its script instead of calling `run`: ``python -m reduction SCRIPT FUNCTION``.

An input is told in the provenance by what the user named, never by a path of this machine, and by its SHA-256; a
product by the SHA-256 of its science, without its VO-TAGS (`provenance.fits.digests`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from provenance import steps, tagging, votags
from provenance.fits.atomic import write_bytes
from provenance.fits.digests import Digests, digests
from provenance.fits.hdus import holds_fits
from provenance.steps import recording
from provenance.text.errors import ProvenanceError
from reduction.arguments import PARAMETERS_FILE, Argument, read_argument
from reduction.errors import ReductionError
from reduction.events.fitsfile import inflate, is_gzip

STEPS_FILE = "steps.json"
RESULTS_FOLDER = "results"
SCRATCH_FOLDER = "scratch"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}")


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
    _digests: dict[str, Future[Digests]] = field(default_factory=dict)
    _has_scratch: bool = False
    _inflated: dict[str, Path] = field(default_factory=dict)
    _between: list[steps.Step] = field(default_factory=list)
    _since: datetime = field(default_factory=lambda: datetime.now(UTC))
    _workers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=1))

    @property
    def scratch(self) -> Path:
        """A folder for what nobody needs afterwards; it goes when the job ends."""
        folder = self.folder / SCRATCH_FOLDER
        folder.mkdir(exist_ok=True)
        self._has_scratch = True
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
        if len(argument.each) > 1:
            raise ReductionError(f"{len(argument.each)} files are given; this script takes one", name)
        return self._opened(argument.each[0])

    def paths(self, name: str) -> list[Path]:
        """The files of a parameter that may have several, each as `path` gives it; none where it was not given."""
        argument = self.arguments.get(name)
        return [] if argument is None or not argument.value else [self._opened(each) for each in argument.each]

    def values(self, name: str) -> list[Any]:
        """The values of a parameter that may have several; none where it was not given."""
        argument = self.arguments.get(name)
        return [] if argument is None or argument.value is None else [each.value for each in argument.each]

    def _opened(self, argument: Argument) -> Path:
        """One file, readable and plain."""
        path = self.folder / str(argument.value)
        if not path.is_file():
            raise ReductionError(f"there is no file {argument.said}", argument.name)
        key = str(argument.value)
        self._hash(key, path)
        plain = path
        if is_gzip(path):
            plain = self._room_for(key, re.sub(r"(?i)\.(gz|ftz)$", "", path.name) or "inflated")
            if not plain.is_file():
                inflate(path, plain, argument.name)
        self._read_steps(plain, argument)
        return plain

    def _hash(self, key: str, path: Path) -> None:
        if key not in self._digests:
            self._digests[key] = self._workers.submit(digests, path)

    def _room_for(self, key: str, name: str) -> Path:
        """Where a file is inflated to; two files of one name get a place each."""
        if key not in self._inflated:
            taken = name in {path.name for path in self._inflated.values()}
            self._inflated[key] = self.scratch / (f"{len(self._inflated)}-{name}" if taken else name)
        return self._inflated[key]

    def _read_steps(self, path: Path, argument: Argument) -> None:
        """Keep the steps of an input's own tags; tags that cannot be read are told in the log and ignored."""
        if not holds_fits(path):
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

    def also(
        self,
        task: str,
        inputs: Sequence[str | Path] = (),
        outputs: Sequence[str | Path] = (),
        parameters: Mapping[str, Any] | None = None,
        version: str = "",
        started: datetime | None = None,
    ) -> steps.Step:
        """Tell a step of several, once it is done: it comes before the one of the whole job.

        `inputs` and `outputs` are files, named from the folder of the job. What is known of them, and of `parameters`,
        from the job's own parameters is told with them. It began when the one before ended, unless `started` says more.
        Raises ReductionError for an input that is not there.
        """
        given = [
            recording.ParameterValue(name, *self._known_of(name), value) for name, value in (parameters or {}).items()
        ]
        files = [self.folder / path for path in outputs]
        made = [recording.Product(path.name, "", digests(path) if path.is_file() else None) for path in files]
        ended = datetime.now(UTC)
        run_info = recording.RunInfo(task, version, self.about.get("id"), self.about.get("parent"),
                                             started or self._since, ended, 0)  # fmt: skip
        place = str(self.about.get("results_url") or RESULTS_FOLDER)
        step = recording.make_step([self._used_by_step(path) for path in inputs], given, made, place, run_info,
                                self._machine_folders())  # fmt: skip
        self._since = ended
        self._between.append(step)
        return step

    @property
    def told_steps(self) -> tuple[steps.Step, ...]:
        """The steps of the files that were opened, and those that `also` told."""
        return steps.merge(*self._earlier, self._between)

    def _known_of(self, name: str) -> tuple[str, bool]:
        argument = self.arguments.get(name)
        return (argument.description, argument.editable) if argument else ("", False)

    def _used_by_step(self, named: str | Path) -> recording.UsedFile:
        """A file that went into a step: of the job's parameters, or made by a step before."""
        path = self.folder / named
        if not path.is_file():
            raise ReductionError(f"there is no file {path.name} to be the input of a step")
        for argument in self._files():
            if path in (self.folder / str(argument.value), self._inflated.get(str(argument.value))):
                self._hash(str(argument.value), self.folder / str(argument.value))
                self._read_steps(path, argument)
                return self._used(argument)
        found = digests(path)
        return recording.UsedFile(path.name, "", False, path.name, found.whole, found.science)

    def finish(self) -> None:
        """Write ``steps.json`` and tag the FITS products."""
        for output in self._outputs:
            if not (self.folder / RESULTS_FOLDER / output.name).is_file():
                raise FileNotFoundError(f"the script announced {output.name} but did not write it")
        everything = steps.merge(self.told_steps, (self._step(),))
        write_bytes(self.folder / STEPS_FILE, steps.dump(everything).encode("ascii") + b"\n")
        job = self._producing_job()
        for output in self._outputs:
            path = self.folder / RESULTS_FOLDER / output.name
            if holds_fits(path):
                tagging.tag(path, job, output.known, everything)

    def _producing_job(self) -> tagging.ProducingJob:
        """This job as the rows of its products name it."""
        about = {key: str(self.about.get(key) or "") for key in ("id", "definition", "version")}
        base_url = str(self.about.get("store_url") or self.about.get("results_url") or "")
        curation = self.about.get("curation") or {}
        return tagging.ProducingJob(**about, base_url=base_url, ended=datetime.now(UTC), curation=curation)

    def _step(self) -> steps.Step:
        """This run as a step: inputs, then parameters, then products."""
        given = [argument for argument in self.arguments.values() if argument.value is not None]
        globs = self.about.get("globs") or {}
        place = str(self.about.get("results_url") or RESULTS_FOLDER)
        return recording.make_step(
            [self._used(each) for each in self._files()],
            [recording.ParameterValue(each.name, each.description, each.editable, each.value, each.unit or "")
             for each in given if each.kind != "file"],
            [recording.Product(each.name, each.description, digests(self.folder / RESULTS_FOLDER / each.name),
                         recording.collection_of(each.name, globs)) for each in self._outputs],
            place, self._circumstances(), self._machine_folders(),
        )  # fmt: skip

    def _files(self) -> list[Argument]:
        """The files that were given, one by one."""
        files = (argument for argument in self.arguments.values() if argument.kind == "file")
        return [each for argument in files for each in argument.each if each.value]

    def _machine_folders(self) -> list[Path]:
        files = [(str(each.value), str(each.source)) for each in self._files() if each.source]
        return list(recording.machine_folders(self.folder, files))

    def _used(self, argument: Argument) -> recording.UsedFile:
        hashed = self._digests.get(str(argument.value))
        found = hashed.result() if hashed else None
        return recording.UsedFile(argument.name, argument.description, argument.editable, argument.said,
                           found.whole if found else "", found.science if found else "")  # fmt: skip

    def _circumstances(self) -> recording.RunInfo:
        """Name and version of the task, job, times, and the calibration files that are named."""
        scratch = sorted(self.folder.glob(f"{SCRATCH_FOLDER}/*"))
        inputs = [self.folder / str(each.value) for each in self._files()]
        products = [self.folder / RESULTS_FOLDER / output.name for output in self._outputs]
        return recording.RunInfo(
            task=str(self.about.get("definition") or "unnamed"),
            version=str(self.about.get("version") or ""),
            job=self.about.get("id"),
            parent=self.about.get("parent"),
            started=self.started,
            ended=datetime.now(UTC),
            exit_status=0,
            calibration=recording.calibration([*inputs, *scratch, *products], os.environ),
            more={"note": notes} if (notes := self.about.get("notes")) else {},
        )

    def close(self) -> None:
        """Let go of threads and scratch files."""
        self._workers.shutdown(cancel_futures=True)
        if self._has_scratch:
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
    return Task(folder, {name: read_argument(name, entry) for name, entry in given.items()}, about, stages)
