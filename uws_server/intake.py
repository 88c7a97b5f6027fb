"""Takes in what a client sent for a job: values and files become the parameters of the job, or every problem is told.

Here are the parameter types that need the archive, an upload or the sky. Imports the archive, the regions and the jobs'
values.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from reduction import regions
from reduction.errors import ReductionError
from uws_server.archive.observations import Archive
from uws_server.jobs import parameters
from uws_server.jobs.definition import Definition, ParameterSpec
from uws_server.jobs.job import Job, ParameterValue, new_id
from uws_server.storage.files import safe_name

_HEAD = 1 << 16
"""Bytes at the beginning of a file that tell whether it is FITS: a gzip file may be made to inflate without end."""
_MOST_TEXT = 4_000_000

@dataclass(frozen=True)
class Upload:
    """A file that came with a request: where it was spooled, and the name it was given."""

    path: Path
    filename: str


@dataclass(frozen=True)
class Request:
    """What a client asks of a new job: parameter values and files by name, and the control parameters."""

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    uploads: Mapping[str, Upload] = field(default_factory=dict)
    run_id: str | None = None
    execution_duration: int | None = None
    destruction: datetime | None = None


class Intake:
    """Accepts the parameters of one request: types that need the archive, the uploads or the sky are here."""

    def __init__(self, archive: Archive, uploads: Mapping[str, Upload], before: Job | None = None) -> None:
        self._archive = archive
        self._uploads = {name.lower(): upload for name, upload in uploads.items()}
        self._before = before.parameters if before else {}
        # a changed file gets a place of its own: the job may be starting with the old one
        self._mark = f"{new_id()[:8]}-" if before else ""
        self._places: dict[str, str] = {}
        self.placed: dict[str, Path] = {}
        texts = {**parameters.TYPES, "region": _region}
        self.types: Mapping[str, parameters.Check] = {
            **{name: self._inline(check) for name, check in texts.items()},
            "file": self._file,
            "eventlist": self._event_list,
        }

    def accept(self, definition: Definition, values: Mapping[str, Sequence[str]]) -> dict[str, ParameterValue]:
        """Every value of the request (over those of the job as it was), accepted; or every problem."""
        given = {name: list(texts) for name, texts in values.items()}
        named = {_reference(text) for texts in given.values() for text in texts}
        for name in self._uploads.keys() - named:
            # a page has a text field and a file field of one name: the text is then empty
            key = next((key for key in given if key.lower() == name), name)
            given[key] = [text for text in given.get(key, []) if text.strip()] + [f"param:{name}"]
        return parameters.validate(definition, given, self.types, self._before)

    def size(self) -> int:
        """Bytes of the files that came for the job."""
        return sum(path.stat().st_size for path in set(self.placed.values()))

    def _inline(self, check: parameters.Check) -> parameters.Check:
        """A check of a text, which may also have come as a file (UWS 1.1, section 2.2.3.1.1)."""

        def checked(text: str, spec: ParameterSpec) -> ParameterValue:
            upload = self._uploads.get(_reference(text) or "")
            return check(text if upload is None else _text_of(upload), spec)

        return checked

    def _event_list(self, text: str, spec: ParameterSpec) -> ParameterValue:
        value = self._file(text, spec)
        path = self.placed.get(str(value.value)) or Path(str(value.value))
        _must_be_fits(path, value.text)
        return value

    def _file(self, text: str, spec: ParameterSpec) -> ParameterValue:
        reference = _reference(text)
        if reference is None:
            found = self._archive.find(text)
            return ParameterValue(found.place, str(found.path), "archive")
        upload = self._uploads.get(reference)
        if upload is None:
            raise ValueError(f"{text[:80]!r} refers to a file that did not come with the request")
        if upload.path.stat().st_size == 0:
            raise ValueError(f"the uploaded file {upload.filename[:80]!r} is empty")
        name = safe_name(upload.filename)
        place = self._places.setdefault(reference, f"inputs/{spec.name}-{self._mark}{name}")
        self.placed[place] = upload.path
        return ParameterValue(name, place, "upload")


def _reference(text: str) -> str | None:
    """The name of the part that `param:<name>` refers to, in lower case; None for any other text."""
    return text[6:].strip().lower() if text[:6].lower() == "param:" else None


def _text_of(upload: Upload) -> str:
    """The content of a file that came for a parameter whose value is text."""
    name = upload.filename[:80]
    with upload.path.open("rb") as stream:
        content = stream.read(_MOST_TEXT + 1)
    if len(content) > _MOST_TEXT:
        raise ValueError(f"the file {name!r} came; a text of at most {_MOST_TEXT:,} bytes is expected")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"the file {name!r} came; it is not UTF-8 text, which is expected") from error
    parameters.require_printable(text)
    return text


def _region(text: str, spec: ParameterSpec) -> ParameterValue:
    try:
        regions.parse(text, spec.name)
    except ReductionError as error:
        raise ValueError(str(error).removeprefix(f"{spec.name}: ")) from error
    return ParameterValue(text, text)


def _must_be_fits(path: Path, name: str) -> None:
    """Refuse at once what is certainly no FITS file; the rest of the checks need the job."""
    try:
        with path.open("rb") as stream:
            first = stream.read(_HEAD)
        if first[:2] == b"\x1f\x8b":
            first = zlib.decompressobj(wbits=31).decompress(first, 30)
    except OSError as error:
        raise ValueError(f"{name!r} cannot be read: {error.strerror}") from error
    except zlib.error as error:
        raise ValueError(f"{name!r} is a gzip file that cannot be read: {error}") from error
    if not first.startswith(b"SIMPLE  = "):
        raise ValueError(f"{name!r} is not a FITS file: it begins with {first[:10]!r}; a FITS event list is expected")


def discard(uploads: Mapping[str, Upload]) -> None:
    """Remove uploads that no job took."""
    for upload in uploads.values():
        upload.path.unlink(missing_ok=True)
