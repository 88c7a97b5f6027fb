"""The interface of a job's script: reads its parameters, announces stages, writes products and how they were made.

A script is ``task.run(main, stages=5)`` with a ``main(job)`` that gets a `Task`. It works in the folder of the job,
which is the current one:

- ``parameters.json`` holds the parameters;
- ``[STAGE 2/5] Filtering events`` goes to the log for each stage, ``[ERROR] gti: ...`` to stderr with exit status 1;
- ``results/`` takes the products, each FITS file with a VO-TAGS extension;
- ``steps.json`` records how they were made: the steps in the inputs' own VO-TAGS, those that the script adds with
  `Task.also`, then this one.

A definition may name a function of its script instead of calling `run`: ``python -m reduction SCRIPT FUNCTION``.

The provenance names an input as the user named it, never by a path of this machine, with its SHA-256, and a product
with the SHA-256 of its science, without its VO-TAGS (`provenance.fits.digests`).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from provenance import steps, tagging, votags
from provenance.fits import settling
from provenance.fits.atomic import write_bytes
from provenance.fits.digests import digests
from provenance.fits.hdus import holds_fits
from provenance.steps import recording
from provenance.text.errors import FitsError, ProvenanceError
from provenance.text.paths import without_folders
from reduction.arguments import Argument, read_parameters
from reduction.errors import ReductionError
from reduction.events.cache import cache_of, inflate_by
from reduction.events.fitsfile import is_gzip
from reduction.hashing import Hashing

STEPS_FILE = "steps.json"
RESULTS_FOLDER = "results"
SCRATCH_FOLDER = "scratch"

# Once for all jobs that are forked from a warm process, which has loaded this module.
tagging.load()
recording.software()

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}")


@dataclass(frozen=True)
class Output:
    """A product: its file name, its description, and the columns of ObsCore that the script knows."""

    name: str
    description: str
    known: Mapping[str, Any]


@dataclass
class Task:
    """A running job, as its script sees it.

    `folder` is the folder of the job, `arguments` are its parameters by name, `about` is what the server says of the
    job, `stages` the number of stages that the script announces.
    """

    folder: Path
    arguments: Mapping[str, Argument]
    about: Mapping[str, Any]
    stages: int
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    _stage: int = 0
    _outputs: list[Output] = field(default_factory=list)
    _inherited: list[tuple[steps.Step, ...]] = field(default_factory=list)
    _hashing: Hashing = field(default_factory=Hashing)
    _has_scratch: bool = False
    _inflated: dict[str, Path] = field(default_factory=dict)
    _added: list[steps.Step] = field(default_factory=list)
    _calibration: list[Mapping[str, str]] = field(default_factory=list)
    _step_began: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def scratch(self) -> Path:
        """A folder for temporary files; it is removed when the job ends."""
        folder = self.folder / SCRATCH_FOLDER
        folder.mkdir(exist_ok=True)
        self._has_scratch = True
        return folder

    def stage(self, text: str) -> None:
        """Announce that the next stage begins."""
        self._stage += 1
        print(f"[STAGE {self._stage}/{max(self.stages, self._stage)}] {text}", flush=True)

    def log(self, text: str) -> None:
        """Write a line to the log."""
        print(text, flush=True)

    def value(self, name: str, default: Any = None) -> Any:
        """Return the value of a parameter; the default if it was not given."""
        argument = self.arguments.get(name)
        return default if argument is None or argument.value is None else argument.value

    def path(self, name: str) -> Path:
        """Return the path of a file parameter as a plain file: a gzipped one is inflated into the scratch folder, once.

        Meanwhile its steps are read from its VO-TAGS, and its SHA-256 is computed. Raises ReductionError if no file or
        more than one is given, or the file does not exist.
        """
        argument = self.arguments.get(name)
        if argument is None or not argument.value:
            raise ReductionError("no file is given", name)
        if len(argument.parts) > 1:
            raise ReductionError(f"{len(argument.parts)} files are given; this script takes one", name)
        return self._opened(argument.parts[0])

    def paths(self, name: str) -> list[Path]:
        """Return the files of a parameter that may have several, as `path` does; an empty list if none was given."""
        argument = self.arguments.get(name)
        return [] if argument is None or not argument.value else [self._opened(part) for part in argument.parts]

    def values(self, name: str) -> list[Any]:
        """Return the values of a parameter that may have several; an empty list if none was given."""
        argument = self.arguments.get(name)
        return [] if argument is None or argument.value is None else [part.value for part in argument.parts]

    def _opened(self, argument: Argument) -> Path:
        """A file of the job as a plain file. Raises ReductionError if it does not exist."""
        path = self.folder / str(argument.value)
        if not path.is_file():
            raise ReductionError(f"there is no file {argument.display_name}", argument.name)
        plain = path
        if is_gzip(path):
            plain = self._inflated_path(str(argument.value), re.sub(r"(?i)\.(gz|ftz)$", "", path.name) or "inflated")
            if not plain.is_file():
                inflate_by(cache_of(self.about.get("cache")), path, plain, argument.name)
        self._hashing.begin(argument, path, plain)
        self._read_steps(plain, argument)
        return plain

    def _inflated_path(self, key: str, name: str) -> Path:
        """The path to which a file is inflated; two files of one name get a path each."""
        if key not in self._inflated:
            taken = name in {path.name for path in self._inflated.values()}
            self._inflated[key] = self.scratch / (f"{len(self._inflated)}-{name}" if taken else name)
        return self._inflated[key]

    def _read_steps(self, path: Path, argument: Argument) -> None:
        """Take over the steps in an input's tags; for tags that cannot be read, write a note to the log."""
        if not holds_fits(path):
            return
        try:
            tags = votags.read(path)
        except ProvenanceError as error:
            trouble = str(error).replace(str(path), argument.display_name)
            self.log(f"Note: the VO-TAGS of {argument.display_name} cannot be read and are ignored: {trouble}")
            return
        if tags is not None:
            self._inherited.append(tags.steps)

    def output(self, name: str, description: str, **known: Any) -> Path:
        """Announce a product, and return the path to write it to.

        Parameters
        ----------
        name
            The name of its file below ``results/``.
        description
            What it is, in a few words.
        **known
            Columns of ObsCore that its headers do not state; None is left out.

        Returns
        -------
        Path
            Its path; the folder exists.

        Raises
        ------
        ValueError
            For a name with other characters than letters, digits and ``_ . + -``.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a result file: letters, digits and _ . + - only")
        folder = self.folder / RESULTS_FOLDER
        folder.mkdir(exist_ok=True)
        self._outputs = [output for output in self._outputs if output.name != name]
        self._outputs.append(Output(name, description, known))
        return folder / name

    def tell(self, name: str, **known: Any) -> None:
        """Add columns of ObsCore to those known of a product that was announced before."""
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
        """Record a step within the job, once it is done; it precedes the step of the whole job.

        Parameters
        ----------
        task
            The program, such as evselect.
        inputs
            Files that it read, relative to the folder of the job. A file of the job keeps its description.
        outputs
            Files that it wrote, relative to the folder of the job.
        parameters
            Its parameters by name. A parameter of the job keeps its description.
        version
            The version of the program.
        started
            When it began, an aware time; None for the end of the step before.

        Returns
        -------
        Step
            The recorded step.

        Raises
        ------
        ReductionError
            For an input that does not exist.
        """
        given = (parameters or {}).items()
        values = [recording.ParameterValue(name, *self._described(name), value) for name, value in given]
        files = [self.folder / path for path in outputs]
        products = [recording.Product(path.name, "", digests(path) if path.is_file() else None) for path in files]
        ended = datetime.now(UTC)
        job, parent = self.about.get("id"), self.about.get("parent")
        run_info = recording.RunInfo(task, version, job, parent, started or self._step_began, ended, 0)
        used = [self._used_by_step(path) for path in inputs]
        step = recording.make_step(used, values, products, self._location, run_info, self._machine_folders())
        self._step_began = ended
        self._added.append(step)
        return step

    def calibrated_by(self, path: Path, use: str) -> None:
        """Record a calibration file that went into the job, by its name and SHA-256; `use` says what for."""
        self._calibration.append(recording.calibration_file(path, use))

    @property
    def recorded_steps(self) -> tuple[steps.Step, ...]:
        """The steps of the files that were opened, then those that `also` recorded."""
        return steps.merge(*self._inherited, self._added)

    @property
    def _location(self) -> str:
        """The URL or folder below which the products are."""
        return str(self.about.get("results_url") or RESULTS_FOLDER)

    def _described(self, name: str) -> tuple[str, bool]:
        """The description of a parameter of the job, and whether a rerun may change it."""
        argument = self.arguments.get(name)
        return (argument.description, argument.editable) if argument else ("", False)

    def _used_by_step(self, file: str | Path) -> recording.UsedFile:
        """A file that went into a step: one of the job's parameters, or made by an earlier step."""
        path = self.folder / file
        if not path.is_file():
            raise ReductionError(f"there is no file {path.name} to be the input of a step")
        for argument in self._files():
            if path in (self.folder / str(argument.value), self._inflated.get(str(argument.value))):
                self._hashing.begin(argument, self.folder / str(argument.value), path)
                self._read_steps(path, argument)
                return self._used(argument)
        found = digests(path)
        return recording.UsedFile(path.name, "", False, path.name, found.whole, found.science)

    def finish(self) -> None:
        """Write ``steps.json`` and tag the FITS products.

        Raises FileNotFoundError if an announced product was not written, ProvenanceError if one cannot be tagged. One
        that is gzipped and cannot be changed is left without tags, which the server notes in the log.
        """
        for output in self._outputs:
            if not (self.folder / RESULTS_FOLDER / output.name).is_file():
                raise FileNotFoundError(f"the script announced {output.name} but did not write it")
        everything = steps.merge(self.recorded_steps, (self._step(),))
        write_bytes(self.folder / STEPS_FILE, steps.dump(everything).encode("ascii") + b"\n")
        for path, known in ((self.folder / RESULTS_FOLDER / each.name, each.known) for each in self._outputs):
            if holds_fits(path):
                with contextlib.suppress(FitsError) if is_gzip(path) else contextlib.nullcontext():
                    tagging.tag(path, self._producing_job(), known, everything)

    def _producing_job(self) -> tagging.ProducingJob:
        """This job as the rows of its products name it."""
        about = {key: str(self.about.get(key) or "") for key in ("id", "definition", "version")}
        base_url = str(self.about.get("store_url") or self.about.get("results_url") or "")
        curation = self.about.get("curation") or {}
        return tagging.ProducingJob(**about, base_url=base_url, ended=datetime.now(UTC), curation=curation)

    def _step(self) -> steps.Step:
        """This run as a step: inputs, then parameters, then products."""
        globs = self.about.get("globs") or {}
        return recording.make_step(
            [self._used(argument) for argument in self._files()],
            [recording.ParameterValue(given.name, given.description, given.editable, given.value, given.unit or "")
             for given in self.arguments.values() if given.value is not None and given.kind != "file"],
            [recording.Product(output.name, output.description, digests(self.folder / RESULTS_FOLDER / output.name),
                               recording.collection_of(output.name, globs)) for output in self._outputs],
            self._location, self._run_info(), self._machine_folders(),
        )  # fmt: skip

    def _files(self) -> list[Argument]:
        """The files that were given, an argument for each."""
        files = (argument for argument in self.arguments.values() if argument.kind == "file")
        return [part for argument in files for part in argument.parts if part.value]

    def _machine_folders(self) -> list[Path]:
        """The folders that no step may name."""
        files = [(str(argument.value), str(argument.source)) for argument in self._files() if argument.source]
        return list(recording.machine_folders(self.folder, files))

    def _used(self, argument: Argument) -> recording.UsedFile:
        """A file of the job as its step records it, with its hashes if it was opened."""
        found = self._hashing.of(argument)
        return recording.UsedFile(argument.name, argument.description, argument.editable, argument.display_name,
                           found.whole if found else "", found.science if found else "")  # fmt: skip

    def _run_info(self) -> recording.RunInfo:
        """How this job ran, with the calibration files that its environment and its FITS files name."""
        files = [self.folder / str(argument.value) for argument in self._files()]
        files += sorted(self.folder.glob(f"{SCRATCH_FOLDER}/*"))
        files += [self.folder / RESULTS_FOLDER / output.name for output in self._outputs]
        job, parent = self.about.get("id"), self.about.get("parent")
        return recording.RunInfo(
            str(self.about.get("definition") or "unnamed"), str(self.about.get("version") or ""), job, parent,
            self.started, datetime.now(UTC), exit_status=0,
            calibration=[*self._calibration, *recording.calibration(files, os.environ)],
            more={"note": notes} if (notes := self.about.get("notes")) else {},
        )  # fmt: skip

    def close(self) -> None:
        """Stop the threads and remove the scratch files."""
        self._hashing.stop()
        if self._has_scratch:
            shutil.rmtree(self.folder / SCRATCH_FOLDER, ignore_errors=True)


def run(main: Callable[[Task], None], stages: int) -> None:
    """Run `main`, the work of a job's script, in the current folder; if it fails, end the process with status 1.

    `stages` is the number of its calls of `Task.stage`.
    """
    job: Task | None = None
    try:
        job = read_task(Path.cwd(), stages)
        with settling.together():
            main(job)
            job.finish()
    except ReductionError as error:
        _fail(message_of(error))
    except Exception as error:  # noqa: BLE001  the last resort: whatever it is, the log must have it and the job must fail
        print(without_folders(traceback.format_exc()), file=sys.stderr, flush=True)
        _fail(f"internal error: {type(error).__name__}: {without_folders(str(error))}")
    finally:
        if job is not None:
            job.close()


def message_of(error: ReductionError) -> str:
    """Return the message of an error for the log, the parameter first."""
    text = " ".join(str(error).split())
    if error.parameter is None or text.startswith(f"{error.parameter}:"):
        return text
    return f"{error.parameter}: {text}"


def _fail(text: str) -> None:
    sys.stdout.flush()
    print(f"[ERROR] {text}", file=sys.stderr, flush=True)
    sys.exit(1)


def read_task(folder: Path, stages: int) -> Task:
    """Read ``parameters.json`` of a job's folder. Raises ReductionError if it is absent or cannot be understood."""
    about, arguments = read_parameters(folder)
    return Task(folder, arguments, about, stages)
