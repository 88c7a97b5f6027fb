"""The folded curve of a model beside spectra before a fit is run: spectra are read once and kept while there is room.

Imports what fits spectra when the first curve is asked for. What is read and how long a request waits is bounded.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reduction.errors import ReductionError
from uws_server.errors import InvalidParameters, NotFound, Problem, Unavailable

if TYPE_CHECKING:
    from reduction.fitting.foldedmodel import FoldedModel
    from reduction.fitting.inputs import GivenFile
    from reduction.fitting.spectrum import FitData, SpectralData
    from uws_server.jobs.job import Job
    from uws_server.services.job_service import JobService
    from uws_server.services.parameters import Upload

MOST_BYTES: Final = 150_000_000
"""Bytes of all files of one preview."""

MOST_FILES: Final = 20
_ROOM: Final = 300_000_000
"""Bytes that all spectra which are kept may take together: one takes some 20 MB for a response of EPIC."""

_AT_ONCE: Final = 2
_WAIT_S: Final = 5.0
_CHOICES: Final = 4
"""Choices of channels that are kept of each set."""

Files = Mapping[str, Sequence["GivenFile"]]
"""The files of a preview by the parameter that they came for."""


NAMES: Final = ("spectrum", "background", "response", "area")
"""The parameters whose files a curve is folded through."""


USE_BACKGROUND: Final = "use_background"
"""The parameter that says whether backgrounds are used."""


class FitFiles:
    """The files of a preview as a caller names them: uploads, those of an earlier job, those of the archive."""

    def __init__(self, job_service: JobService) -> None:
        self._job_service = job_service

    def named(
        self, values: Mapping[str, Sequence[str]], uploads: Mapping[str, Upload], job: Job | None, kept: Collection[str]
    ) -> Files:
        """Return the files by parameter.

        Parameters
        ----------
        values
            Texts by parameter: ids or paths of the archive, or addresses of results, one a line; whether backgrounds
            are used.
        uploads
            Files that came, by parameter; the second of a name is `name[2]`.
        job
            An earlier job, which the caller may see.
        kept
            Parameters whose uploads of that job are taken where nothing else came.

        Returns
        -------
        Mapping
            The files.

        Raises
        ------
        InvalidParameters
            A text names no file.
        NotFound
            A file of the earlier job is gone.
        """
        from reduction.fitting.inputs import NO_BACKGROUND, GivenFile

        found: dict[str, list[GivenFile]] = {}
        for name in NAMES:
            came = [upload for key, upload in uploads.items() if key.partition("[")[0] == name]
            files = [GivenFile(Path(upload.filename).name, upload.path) for upload in came]
            lines = [line.strip() for text in values.get(name, []) for line in text.splitlines() if line.strip()]
            files += [self._archived(name, line) for line in lines]
            found[name] = self._earlier(job, name) if name in kept and job and not files else files
        if values.get(USE_BACKGROUND, ["true"])[-1:] == ["false"]:
            found["background"] = [NO_BACKGROUND]
        return found

    def _archived(self, name: str, line: str) -> GivenFile:
        from reduction.fitting.inputs import GivenFile

        try:
            file = self._job_service.named_file(line)
        except ValueError as error:
            raise InvalidParameters([Problem(name, str(error))]) from error
        return GivenFile(file.path.name, file.path, file.path.parent, file.root)

    def _earlier(self, job: Job, name: str) -> list[GivenFile]:
        from reduction.fitting.inputs import GivenFile

        value = job.parameters.get(name)
        path = self._job_service.input_path
        return [GivenFile(part.text, path(job, name, number))
                for number, part in enumerate(value.each if value else (), start=1)
                if part.kind == "upload"]  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What a curve is asked for with, as texts of a form: those of the parameters of the definition `fit`."""

    model: str
    parameters: str = ""
    energy: str = "0.3 10"
    grouping: str = "file"
    min_counts: str = "1"
    min_snr: str = "5"
    statistic: str = "auto"
    abundance: str = "wilm"

    @property
    def choice(self) -> tuple[str, ...]:
        """What the choice of channels depends on."""
        return (self.energy, self.grouping, self.min_counts, self.min_snr)


@dataclass
class _Kept:
    """Spectra that were read, and the choices of their channels that were asked for last."""

    spectra: tuple[SpectralData, ...]
    chosen: OrderedDict[tuple[str, ...], tuple[FitData, ...]] = field(default_factory=OrderedDict)

    @property
    def weight(self) -> int:
        """About how many bytes it takes."""
        found = 0
        for spectrum in self.spectra:
            matrix = spectrum.redistribution
            found += 2 * matrix.values.nbytes + matrix.starts.nbytes + 10 * spectrum.counts.nbytes
        return found + sum(block.elements.nbytes for chosen in self.chosen.values() for one in chosen
                           for block in one.fold.blocks)  # fmt: skip


class FitPreviews:
    """The previews of one server: no right is checked, whoever asks has shown which files are the caller's."""

    def __init__(self, room_bytes: int = _ROOM) -> None:
        self._room = room_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(_AT_ONCE)

    def open(self, files: Files) -> str:
        """Read spectra with the files that belong to them, and return the key by which they are found again.

        Raise InvalidParameters for files that are too large, too many, or cannot be fitted; Unavailable if others are
        read already.
        """
        key = self._key(files)
        with self._lock:
            if key in self._kept:
                return key
        _require_small(files)
        with self._turn(), _told(), tempfile.TemporaryDirectory(prefix="uws-fit-") as folder:
            from reduction.fitting.inputs import Inflated, read_spectra

            kept = _Kept(read_spectra(files, Inflated(Path(folder), MOST_BYTES)))
        with self._lock:
            self._kept[key] = kept
            self._make_room()
        return key

    def fold(self, key: str, asked: Asked) -> FoldedModel:
        """Return the folded curve of a model beside the spectra of a key.

        Raise NotFound if they are not kept any more, InvalidParameters for what is wrong with the model, its parameters
        or the choice of channels, Unavailable if others are at work.
        """
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
        if kept is None:
            raise NotFound("the spectra of this preview are not at hand any more; choose them again")
        with self._turn(), _told():
            from reduction.fitting.foldedmodel import folded_model

            return folded_model(self._chosen(kept, asked), asked.model, asked.parameters, asked.statistic,
                                asked.abundance)  # fmt: skip

    def _chosen(self, kept: _Kept, asked: Asked) -> tuple[FitData, ...]:
        """Return the channels that are asked for; those of the last few choices are kept."""
        from reduction.fitting.foldedmodel import choose

        with self._lock:
            found = kept.chosen.get(asked.choice)
        if found is None:
            found = choose(kept.spectra, *asked.choice)
            with self._lock:
                kept.chosen[asked.choice] = found
                while len(kept.chosen) > _CHOICES:
                    kept.chosen.popitem(last=False)
                self._make_room()
        return found

    def _make_room(self) -> None:
        """Forget what was asked for longest ago, until all that is kept has room; the newest always stays."""
        while len(self._kept) > 1 and sum(kept.weight for kept in self._kept.values()) > self._room:
            self._kept.popitem(last=False)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Let few work at once. Raise Unavailable if none of them ends in time."""
        if not self._slots.acquire(timeout=_WAIT_S):
            raise Unavailable("other curves are being folded; try again in a moment")
        try:
            yield
        finally:
            self._slots.release()

    def _key(self, files: Files) -> str:
        """Return the key of files, which nobody can guess: of the same files the same."""
        digest = hashlib.sha256(self._secret)
        for parameter in sorted(files):
            for file in files[parameter]:
                digest.update(f"{parameter}\0{file.name}\0{_state(file.path)}\0".encode())
        return digest.hexdigest()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Raise InvalidParameters for what a fit cannot be made of."""
    try:
        yield
    except ReductionError as error:
        raise InvalidParameters([Problem(error.parameter or "", str(error))]) from error


def _state(path: Path) -> str:
    """Return what tells one content of a file from another one."""
    try:
        found = path.stat()
    except OSError:
        return f"{path} none"
    return f"{path} {found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns}"


def _require_small(files: Files) -> None:
    """Raise InvalidParameters for more than a preview reads."""
    paths = [file.path for of_one in files.values() for file in of_one]
    if len(paths) > 4 * MOST_FILES:
        raise InvalidParameters([Problem("spectrum", f"{len(paths)} files came; a preview takes {4 * MOST_FILES}")])
    size = sum(path.stat().st_size for path in paths if path.is_file())
    if size > MOST_BYTES:
        raise InvalidParameters([Problem("spectrum", f"the files have {size / 1e6:,.0f} MB; a preview takes "
                                                     f"{MOST_BYTES / 1e6:,.0f} MB, a job takes more")])  # fmt: skip
