"""Finds the files that a rerun needs: by content, in jobs the caller may see, in the archive, among uploads.

A file of the archive is a candidate by its name; a small archive is read as a whole, a part with each request. What was
read once is known by its SHA-256 from then on. Imports the job service and everything below.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from provenance.fits.digests import Digests, digests
from provenance.steps.recording import HIDDEN
from provenance.steps.rerun import PlannedInput, PlannedStep
from uws_server.errors import NotFound
from uws_server.execution.arrays.plan import folder_of
from uws_server.execution.fetch import Refused
from uws_server.services.context import Services
from uws_server.services.job_service import JobService
from uws_server.services.parameters import Upload

_MOST_CANDIDATES = 8
_MOST_BYTES = 8_000_000_000
"""The files of the archive, and their bytes, that one request reads for their SHA-256."""
_SMALL = 500
"""The size of an archive, in files, in which a file of another name is looked for."""
_MOST_SOUGHT = 1_000_000_000
"""The bytes of a small archive that one request reads to look for a file of another name."""
_RESULTS = re.compile(r".*/rest/[^/]+/([0-9a-f]{32})/(?:parts/([1-9][0-9]{0,5})/)?results/?")

Kind = Literal["archive", "job", "upload", "url"]


@dataclass(frozen=True)
class Found:
    """A file for an input: its path, what the user sees of it, how it was found, and whether it is the same.

    `same` is None where no SHA-256 was recorded; a file whose VO-TAGS alone differ is the same. `sha256` is what it has
    now. One of kind `url` is not here yet: `text` is where the job fetches it, which then holds it to what is recorded.
    """

    path: Path
    text: str
    kind: Kind
    how: str
    sha256: str
    same: bool | None


class Finder:
    """Finds inputs for one request of one caller."""

    def __init__(self, services: Services, job_service: JobService, uploads: Mapping[str, Upload]) -> None:
        self._services, self._job_service = services, job_service
        self._uploads = {name.lower(): upload for name, upload in uploads.items()}
        self._hashes = services.hashes
        self._left: float = _MOST_BYTES
        self._sought: float = _MOST_SOUGHT
        self._found: dict[tuple[int, int], Found | None] = {}
        self._numbers: dict[int, dict[int, int]] = {}
        # not kept with the others: an upload is gone when the request is
        self._of_uploads = {name: digests(upload.path) for name, upload in self._uploads.items()}
        self.used: set[str] = set()

    def upload_for(self, step: PlannedStep, file: PlannedInput) -> str | None:
        """Return the name under which an upload came for an input; None if none came."""
        if not self._uploads:
            return None
        number = self._number(step, file)
        more = f"[{number}]" if number > 1 else ""  # how forms call the second file of a name
        names = (f"{step.number}.{file.name}{more}".lower(), f"{file.name}{more}".lower())
        return next((name for name in names if name in self._uploads), None)

    def _number(self, step: PlannedStep, file: PlannedInput) -> int:
        """Return which of the inputs of its name an input is, from 1 on."""
        if step.number not in self._numbers:
            counts: dict[str, int] = {}
            numbers = self._numbers.setdefault(step.number, {})
            for one in step.inputs:
                counts[one.name] = numbers[one.index] = counts.get(one.name, 0) + 1
        return self._numbers[step.number][file.index]

    def find(self, step: PlannedStep, file: PlannedInput) -> Found | None:
        """Return the file for an input: the same bytes where they can be found, else one of its name; None for none."""
        key = step.number, file.index
        if key not in self._found:
            self._found[key] = self._find(step, file)
        return self._found[key]

    def _find(self, step: PlannedStep, file: PlannedInput) -> Found | None:
        others: list[Found] = []
        for found in self._candidates(step, file):
            if found.same is not False or found.kind == "upload":
                return found
            others.append(found)
        return others[0] if others else None

    def _candidates(self, step: PlannedStep, file: PlannedInput) -> Iterator[Found]:
        """Yield the files that may be the input, the likeliest first."""
        yield from self._uploaded(file)
        name = self.upload_for(step, file)
        if name is not None:
            upload = self._uploads[name]
            self.used.add(name)
            yield self._compared(upload.path, upload.filename, "upload", "uploaded", file, self._of_uploads[name])
            return
        yield from self._of_its_job(step, file)
        yield from self._results(file)
        there = self._at_its_url(step, file)
        if there is None or file.hashes:  # a file of the same name alone is less than the URL
            yield from self._archived(file)
        if there is not None:
            yield there

    def _uploaded(self, file: PlannedInput) -> Iterator[Found]:
        """Return an upload of any name that has the bytes."""
        for name, upload in self._uploads.items():
            known = self._of_uploads[name]
            if known.whole in file.hashes or known.science in file.hashes:
                self.used.add(name)
                yield self._compared(upload.path, upload.filename, "upload", "uploaded", file, known)

    def _of_its_job(self, step: PlannedStep, file: PlannedInput) -> Iterator[Found]:
        """Return the input as the earlier job has it, if that is a job of this server."""
        job = self._job_service.seen(step.job, step.task)
        if job is None:
            return
        value = next((value for name, value in job.parameters.items() if name.lower() == file.name.lower()), None)
        parts = [part for part in value.each if part.is_file] if value else []
        named = [part for part in parts if _last(part.text) == _last(file.path)]
        for part in named if len(parts) > 1 else parts:
            path = self._services.files.folder(job.id) / str(part.value)  # an absolute path stays as it is
            if path.is_file() and not path.is_symlink():
                kind: Kind = "archive" if self._is_archived(path) else "job"
                yield self._checked(path, part.text, kind, f"as job {job.id[:8]} had it", file)

    def _results(self, file: PlannedInput) -> Iterator[Found]:
        """Return results of jobs that the caller may see: with the same bytes, else the one at the recorded address."""
        places = [place for each in file.hashes for place in self._services.uses.results_with(each)]
        address = _RESULTS.fullmatch(file.location)
        if address:
            below = f"{folder_of(int(address[2]))}/" if address[2] else ""
            places.append((address[1], f"{below}results/{file.path}"))
        for job_id, place in places:
            job = self._job_service.seen(job_id)
            result = self._job_service.results.named(job, place) if job else None
            if job is None or result is None or result.file != place:
                continue
            try:
                path = self._job_service.result_path(job, result)
            except NotFound:
                continue
            url = f"{self._services.base_url}/rest/{job.definition}/{job.id}/results/{path.name}"
            yield self._checked(path, url, "job", f"result of job {job.id[:8]}", file)

    def _archived(self, file: PlannedInput) -> Iterator[Found]:
        """Return files of the archive: one known to have the bytes, then those of the name."""
        archive = self._services.archive
        for known in filter(None, map(self._hashes.find, file.hashes)):
            if place := self._archive_path(known):
                yield self._checked(known, place, "archive", "in the archive", file)
        for candidate in archive.named(file.location, file.path)[:_MOST_CANDIDATES]:
            if not self._hashes.known(candidate.path):
                size = _size(candidate.path)
                if size > self._left:
                    continue
                self._left -= size
            yield self._checked(candidate.path, candidate.place, "archive", "in the archive", file)
        if file.hashes:
            yield from self._of_another_name(file)

    def _at_its_url(self, step: PlannedStep, file: PlannedInput) -> Found | None:
        """Return the URL that the input was fetched from, if its parameter takes one that this server may fetch."""
        installed = self._services.library.by_name().get(step.task)
        spec = installed.definition.parameter(file.name) if installed else None
        url = f"{file.location}/{file.path}"
        if spec is None or spec.type != "url" or "://" not in url or HIDDEN in url:
            return None
        try:
            allowed = self._services.outside.rules.require(url)
        except Refused:
            return None
        return Found(Path(), allowed, "url", "fetched again from its URL", "", None)

    def _of_another_name(self, file: PlannedInput) -> Iterator[Found]:
        """Return the file of a small archive that has the bytes, whatever its name is now."""
        archived = self._services.archive.first(_SMALL + 1)
        for candidate in archived if len(archived) <= _SMALL else ():
            size = _size(candidate.path)
            if size > self._sought or self._hashes.known(candidate.path):
                continue
            self._sought -= size
            found = self._checked(candidate.path, candidate.place, "archive", "in the archive", file)
            if found.same:
                yield found

    def _checked(self, path: Path, text: str, kind: Kind, how: str, file: PlannedInput) -> Found:
        try:
            now = self._hashes.of(path)
        except OSError as error:
            raise NotFound(f"the file {path.name} cannot be read: {error.strerror}") from error
        return self._compared(path, text, kind, how, file, now)

    def _compared(self, path: Path, text: str, kind: Kind, how: str, file: PlannedInput, now: Digests) -> Found:
        same = bool({now.whole, now.science} & set(file.hashes)) if file.hashes else None
        return Found(path, text, kind, how, now.whole, same)

    def _is_archived(self, path: Path) -> bool:
        return bool(self._archive_path(path))

    def _archive_path(self, path: Path) -> str:
        """Return the path of a file below the archive's folder; '' for one that is elsewhere."""
        folder = self._services.config.folders.archive
        if folder is None or not path.is_relative_to(folder.resolve()):
            return ""
        return path.relative_to(folder.resolve()).as_posix()


def _size(path: Path) -> float:
    """Return the size of a file in bytes; infinity where it does not exist any more."""
    try:
        return path.stat().st_size
    except OSError:
        return math.inf


def _last(text: str) -> str:
    return text.rpartition("/")[2]
