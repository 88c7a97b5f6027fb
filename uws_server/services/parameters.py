"""Reads what a client sent for a job: values and files become the parameters of the job, or every problem is named.

Here are the parameter types that need the archive, an upload or the sky. Imports the archive, the regions and the jobs'
values.
"""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, unquote

from provenance.fits.hdus import OPENING
from uws_server.archive.observations import Archive, ArchiveFile
from uws_server.archive.resolver import Resolver
from uws_server.config import Config
from uws_server.errors import ConfigurationError, InvalidParameters, Problem
from uws_server.execution import fetch
from uws_server.jobs import parameters, positions
from uws_server.jobs.definition import UPLOAD_TYPES, Definition, ParameterSpec
from uws_server.jobs.job import ParameterValue, new_id
from uws_server.jobs.rerun_origin import RerunOrigin
from uws_server.jobs.words import require_printable
from uws_server.services.region_texts import problem_of
from uws_server.services.stored_files import Look, StoredFiles
from uws_server.storage.files import safe_name

_HEAD = 1 << 16
"""Bytes at the beginning of a file by which FITS is recognized: a gzip file may be made to inflate without end."""
_MOST_TEXT = 4_000_000
_LONGEST_PATH = 2000
_MOST_NAMES = 20
_LONGEST_LIST = 100_000
"""Characters of a list of files, one a line: a longer one is refused whole."""
NO_RERUN = RerunOrigin()
"""What a job comes with that runs no other one again."""


@dataclass(frozen=True)
class Upload:
    """A file that came with a request: the path it was spooled to, and the name that the client gave it."""

    path: Path
    filename: str


@dataclass(frozen=True)
class Request:
    """What a client asks of a new job: parameter values and files by name, and the control parameters.

    `origin` is that of a job which runs another one again; no request from outside has one.
    """

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    uploads: Mapping[str, Upload] = field(default_factory=dict)
    run_id: str | None = None
    execution_duration: int | None = None
    destruction: datetime | None = None
    origin: RerunOrigin = field(default_factory=RerunOrigin)


@dataclass(frozen=True)
class Outside:
    """What parameters may reach beyond this server: a resolver of object names (None for none), rules for URLs."""

    resolve: positions.Resolve | None = None
    rules: fetch.Rules = field(default_factory=fetch.Rules)

    @classmethod
    def of(cls, config: Config) -> Outside:
        """Return what the configuration allows. Raise ConfigurationError if it makes no sense."""
        for scheme in fetch.Rules.of(config).schemes:
            if scheme not in ("http", "https"):
                came = ", ".join(config.remote.url_schemes)
                raise ConfigurationError(f"url_schemes = {came!r}: http and https are allowed")
        return cls(Resolver(config.remote.resolver) if config.remote.resolver else None, fetch.Rules.of(config))

    def at_rest(self) -> Outside:
        """Return the same, but asking nobody: where an object may be named, every name is taken for one."""
        return Outside((lambda name: (0.0, 0.0)) if self.resolve else None, self.rules)


@dataclass(frozen=True)
class JobParameters:
    """The parameters of a job as they were accepted, and the files that come with them.

    `placed` maps places below the job's folder to the files that are to be moved there; `size` is that of these files,
    in bytes.
    """

    values: Mapping[str, ParameterValue]
    placed: Mapping[str, Path]
    size: int

    @property
    def input_size(self) -> int:
        """Return the bytes of all input files: those that come along, and those of the archive or of other jobs."""
        parts = (part for value in self.values.values() for part in value.each if part.kind == "archive")
        size = self.size
        for part in parts:
            with contextlib.suppress(OSError, ValueError):
                size += Path(str(part.value)).stat().st_size
        return size


class ParameterReader:
    """Reads the parameters that clients send, by the definition of their job."""

    def __init__(
        self, archive: Archive, outside: Outside = Outside(), stored: StoredFiles | None = None,
        look: Look | None = None,
    ) -> None:  # fmt: skip
        self._archive, self._outside, self._stored, self._look = archive, outside, stored, look

    def seen_by(self, look: Look) -> ParameterReader:
        """Return the same for a caller, who may name the results of the jobs that `look` returns."""
        return ParameterReader(self._archive, self._outside, self._stored, look)

    def read(
        self,
        definition: Definition,
        values: Mapping[str, Sequence[str]],
        uploads: Mapping[str, Upload],
        origin: RerunOrigin = NO_RERUN,
    ) -> JobParameters:
        """Return the parameters of a new job. Raise InvalidParameters with every problem of the request.

        `origin` is what a job that runs another one again comes with: its files stand in `values` as tokens.
        """
        reading = _Reading(self.find, self._archive, self._outside, uploads)
        accepted = reading.accept(definition, values, {}, origin)
        placed = {**reading.placed, **origin.placed}
        return JobParameters(accepted, placed, reading.size() + origin.size())

    def read_changes(
        self,
        definition: Definition,
        values: Mapping[str, Sequence[str]],
        uploads: Mapping[str, Upload],
        earlier: Mapping[str, ParameterValue],
    ) -> JobParameters:
        """Return the parameters of a job that has `earlier` ones, with the changes of a request.

        Raise InvalidParameters with every problem of the request.
        """
        # a changed file gets a place of its own: the job may be starting with the old one
        reading = _Reading(self.find, self._archive, self._outside, uploads, mark=f"{new_id()[:8]}-")
        accepted = reading.accept(definition, values, earlier, NO_RERUN)
        return JobParameters(accepted, reading.placed, reading.size())

    def checks(self) -> Mapping[str, parameters.Check]:
        """Return the check of each parameter type, for values that come without a file."""
        return _Reading(self.find, self._archive, self._outside, {}).checks

    def find(self, text: str) -> ArchiveFile:
        """Return the file that a text names: a result by its address, or one of the archive.

        Raise ValueError, with the reason, if there is none.
        """
        found = self._stored.find(text, self._look) if self._stored is not None else None
        return self._archive.find(text) if found is None else found


class _Reading:
    """Reads the parameters of one request; collects the places of its files as it goes."""

    def __init__(
        self, find: Callable[[str], ArchiveFile], archive: Archive, outside: Outside, uploads: Mapping[str, Upload],
        mark: str = "",
    ) -> None:  # fmt: skip
        self._find, self._archive, self._outside, self._mark = find, archive, outside, mark
        self._uploads = {name.lower(): upload for name, upload in uploads.items()}
        self._parts = _grouped(self._uploads)
        self._places: dict[str, str] = {}
        self._names = 0
        self.placed: dict[str, Path] = {}
        texts = {
            **parameters.TYPES,
            "region": _region,
            "url": self._url,
            "observation": self._observation,
        }
        if outside.resolve is not None:
            texts["position"] = positions.position_or_name(self._resolve)
        self.checks: Mapping[str, parameters.Check] = {**texts, "file": self._file, "eventlist": self._event_list}

    def accept(
        self,
        definition: Definition,
        values: Mapping[str, Sequence[str]],
        earlier: Mapping[str, ParameterValue],
        origin: RerunOrigin,
    ) -> dict[str, ParameterValue]:
        """Return every value of the request, over the earlier ones; raise InvalidParameters with every problem."""
        given = {name: _lines(texts, definition.parameter(name)) for name, texts in values.items()}
        named = {_reference(text) for texts in given.values() for text in texts}
        for name, parts in self._parts.items():
            if named.isdisjoint({name, *parts}):
                # a page has a text field and a file field of one name: the text is then empty
                key = next((key for key in given if key.lower() == name), name)
                given[key] = [text for text in given.get(key, []) if text.strip()] + [f"param:{name}"]
        problems: list[Problem] = []
        for name, texts in given.items():
            spec = definition.parameter(name)
            try:
                given[name] = [value for text in texts for value in self._dereferenced(text, spec)]
            except ValueError as error:
                problems.append(Problem(spec.name if spec else name[:80], str(error)))
                given[name] = []
        checks = origin.types(self.checks)
        return _together(problems, lambda: parameters.validate(definition, given, checks, earlier))

    def size(self) -> int:
        """Return the bytes of the files that came for the job."""
        return sum(path.stat().st_size for path in set(self.placed.values()))

    def _dereferenced(self, text: str, spec: ParameterSpec | None) -> list[str]:
        """Return what a value stands for: itself, or the files it refers to.

        For a parameter whose value is text, that is the text in the files (UWS 1.1, section 2.2.3.1.1).
        """
        parts = self._parts.get(_reference(text) or "")
        if parts is None:
            return [text]
        if spec is None or spec.type in UPLOAD_TYPES:
            return [f"param:{part}" for part in parts]
        return [_text_of(self._uploads[part]) for part in parts]

    def _resolve(self, name: str) -> tuple[float, float]:
        """Return the position of an object. Raise ValueError after too many names: each takes a while."""
        assert self._outside.resolve is not None
        self._names += 1
        if self._names > _MOST_NAMES:
            raise ValueError(
                f"{name!r} is one name too many: {_MOST_NAMES} are looked up for a request; give positions"
            )
        return self._outside.resolve(name)

    def _event_list(self, text: str, spec: ParameterSpec) -> ParameterValue:
        value = self._file(text, spec)
        path = self.placed.get(str(value.value)) or Path(str(value.value))
        _must_be_fits(path, value.text)
        return value

    def _file(self, text: str, spec: ParameterSpec) -> ParameterValue:
        reference = _reference(text)
        if reference is None:
            return _archived(self._find(text))
        upload = self._uploads.get(reference)
        if upload is None:
            raise ValueError(f"{text[:80]!r} refers to a file that did not come with the request")
        if upload.path.stat().st_size == 0:
            raise ValueError(f"the uploaded file {upload.filename[:80]!r} is empty")
        name = safe_name(upload.filename)
        place = self._free_place(reference, f"inputs/{spec.name}-{self._mark}", name)
        self.placed[place] = upload.path
        return ParameterValue(name, place, "upload")

    def _observation(self, text: str, spec: ParameterSpec) -> ParameterValue:
        """Return the event lists of an observation, or one event list."""
        del spec
        word = _short_path(text)
        files = self._archive.observation(word) if word.isdecimal() else (self._archive.find(word),)
        for file in files:
            _must_be_fits(file.path, file.place)
        name = word if word.isdecimal() else files[0].place
        return ParameterValue(name, None, "archive", tuple(_archived(file) for file in files))

    def _url(self, text: str, spec: ParameterSpec) -> ParameterValue:
        """Return a URL, or what stands for $ID in that of the parameter, and where the file will be."""
        word = _short_path(text)
        if "$ID" in spec.url and "://" not in word:
            word = spec.url.replace("$ID", quote(word, safe=""))
        url = self._outside.rules.require(word)
        name = safe_name(unquote(fetch.file_name(url)))
        return ParameterValue(url, self._free_place(f"{spec.name} {url}", f"inputs/{spec.name}-", name), "url")

    def _free_place(self, key: str, begin: str, name: str) -> str:
        """Return a place below the job's folder for the file with that key, which no other file of the request has."""
        if key not in self._places:
            taken = set(self._places.values())
            places = (f"{begin}{number}{name}" for number in ("", *(f"{n}-" for n in range(2, len(taken) + 3))))
            self._places[key] = next(place for place in places if place not in taken)
        return self._places[key]


def _lines(texts: Sequence[str], spec: ParameterSpec | None) -> list[str]:
    """Return the texts of a parameter; if it takes several files, line by line, since each line may refer to one."""
    if spec is None or spec.type not in UPLOAD_TYPES or spec.max_values == 1:
        return list(texts)
    return [line for text in texts for line in (text.splitlines() if len(text) <= _LONGEST_LIST else [text])]


def _grouped(uploads: Mapping[str, Upload]) -> dict[str, list[str]]:
    """Return the names of the files that came under each name: `f`, and `f[2]` for the second of several (forms)."""
    parts: dict[str, list[str]] = {}
    for name in uploads:
        first = re.sub(r"\[\d+\]$", "", name)
        parts.setdefault(first if first in uploads else name, []).append(name)
    return parts


def _together(
    problems: Sequence[Problem], validated: Callable[[], dict[str, ParameterValue]]
) -> dict[str, ParameterValue]:
    """Return what was validated.

    Raise InvalidParameters with the problems found before and those of validation, the first one of each parameter.
    """
    try:
        accepted = validated()
    except InvalidParameters as error:
        known = {problem.parameter for problem in problems}
        raise InvalidParameters(
            [*problems, *(problem for problem in error.problems if problem.parameter not in known)]
        ) from error
    if problems:
        raise InvalidParameters(problems)
    return accepted


def _archived(file: ArchiveFile) -> ParameterValue:
    return ParameterValue(file.place, str(file.path), "archive")


def _short_path(text: str) -> str:
    """Return the text without blanks around it. Raise ValueError if it is longer than any path or URL may be."""
    if len(text) > _LONGEST_PATH:
        raise ValueError(f"{len(text):,} characters came, at most {_LONGEST_PATH:,} are allowed")
    return text.strip()


def _reference(text: str) -> str | None:
    """Return the name of the part that `param:<name>` refers to, in lower case. Return None for any other text."""
    return text[6:].strip().lower() if text[:6].lower() == "param:" else None


def _text_of(upload: Upload) -> str:
    """Return the content of a file that came for a parameter whose value is text. Raise ValueError if it is no text."""
    name = upload.filename[:80]
    with upload.path.open("rb") as stream:
        content = stream.read(_MOST_TEXT + 1)
    if len(content) > _MOST_TEXT:
        raise ValueError(f"the file {name!r} came; a text of at most {_MOST_TEXT:,} bytes is expected")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"the file {name!r} came; it is not UTF-8 text, which is expected") from error
    require_printable(text)
    return text


def _region(text: str, spec: ParameterSpec) -> ParameterValue:
    if problem := problem_of(spec.name, text):
        raise ValueError(problem)
    return ParameterValue(text, text)


def _must_be_fits(path: Path, name: str) -> None:
    """Raise ValueError for what is certainly no FITS file; the rest of the checks need the job."""
    try:
        with path.open("rb") as stream:
            first = stream.read(_HEAD)
        if first[:2] == b"\x1f\x8b":
            first = zlib.decompressobj(wbits=31).decompress(first, 30)
    except OSError as error:
        raise ValueError(f"{name!r} cannot be read: {error.strerror}") from error
    except zlib.error as error:
        raise ValueError(f"{name!r} is a gzip file that cannot be read: {error}") from error
    if not first.startswith(OPENING):
        begin = first[:10].decode("latin-1")
        raise ValueError(f"{name!r} is not a FITS file: it begins with {begin!r}; a FITS event list is expected")


def discard(uploads: Mapping[str, Upload]) -> None:
    """Remove the uploads that no job took."""
    for upload in uploads.values():
        upload.path.unlink(missing_ok=True)
