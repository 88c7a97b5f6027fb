"""Previews and the archive of a job's files over HTTP, with an ETag each. Imports the services and the previews."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest, NotFound
from uws_server.jobs.job import Job, Result
from uws_server.jobs.phases import ENDED
from uws_server.previews.extent import Extent
from uws_server.previews.look import Look
from uws_server.previews.preview import Drawing, ResultFile
from uws_server.services.job_service import JobService
from uws_server.version import VERSION
from uws_server.web.jobs import archives
from uws_server.web.jobs.archives import Member
from uws_server.web.shared.page import Page

if TYPE_CHECKING:
    from uws_server.previews.cache import Previews

_Read = TypeVar("_Read")

DRAWING_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
"""The policy for a drawing opened by itself: its own style sheet, the pixels in it, and nothing else."""
_CURVES = ("spectrum", "lightcurve", "response", "fit", "contour")
_SKY = ("events", "image")
_NOTHING = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 144 84"><text x="72" y="46" text-anchor="middle" '
    'font-family="sans-serif" font-size="12" fill="#84929c">no picture</text></svg>'
)
"""The picture of a part whose products have none."""
_MOST_WORDS = 20_000
"""Bytes of a text that a page shows."""

_ARCHIVES = {
    "tar": ("application/x-tar", archives.tar_size, archives.tar),
    "zip": ("application/zip", archives.zip_size, archives.zipped),
}
"""Media type, length and content of each kind of archive."""


class Pictures(Page):
    """Pictures of the results of jobs."""

    @cached_property
    def previews(self) -> Previews:
        """Return the previews of this server."""
        from uws_server.previews.cache import Previews  # not before a product is looked at: numpy takes 12 MiB

        return Previews()

    def preview(self, job_id: str, name: str, suffix: str) -> HTTPResponse:
        """GET a result as a picture (svg, png), as the data of its plot (json) or as a table of what it shows (csv).

        The query says what is to be shown (Extent), and how a picture of the sky is to look (Look).
        """
        look, extent = asked_look(), asked_extent()
        draw: dict[str, Callable[[ResultFile], Drawing]] = {
            "svg": lambda file: self.previews.plot_picture(file, look, extent),
            "png": lambda file: self.previews.sky_picture(file, look, extent),
            "json": lambda file: self.previews.plot_data(file, look, extent),
            "csv": lambda file: self.previews.plot_table(file, extent),
        }
        return self._send(job_id, name, draw[suffix], f"{suffix}-{look.key}-{extent.key}")

    def thumbnail(self, job_id: str, name: str) -> HTTPResponse:
        """GET a spectrum as a small picture."""
        return self._send(job_id, name, self.previews.thumbnail, "thumbnail")

    def part(self, job_id: str, number: str) -> HTTPResponse:
        """GET the first product of a part that has a picture, as a small one, also while the job runs."""
        job = self.job_service.bare(job_id)
        headers = {"Cache-Control": "private, max-age=3600", "Content-Security-Policy": DRAWING_POLICY}
        for path in self._in_order(job, self.job_service.parts.products(job, int(number))):
            file = ResultFile(f"{job.id}-{number}-{path.name}", path, {})
            kind = self.previews.look(file).kind
            draw = self.previews.thumbnail if kind in _CURVES else self.previews.sky_picture if kind in _SKY else None
            drawing = draw(file) if draw else None
            if drawing is not None and drawing.ok:
                return sent(drawing, headers)
        return HTTPResponse(_NOTHING, 200, {"Content-Type": "image/svg+xml; charset=UTF-8", **headers})

    def _in_order(self, job: Job, paths: Sequence[Path]) -> list[Path]:
        """Return files in the order in which the definition of a job declares them; others come last."""
        try:
            globs = [spec.file for spec in self.job_service.definitions.of(job).definition.results]
        except NotFound:  # its files are gone
            globs = []

        def place(path: Path) -> int:
            return next((place for place, glob in enumerate(globs) if fnmatchcase(path.name, glob)), len(globs))

        return sorted(paths, key=place)

    def file(self, job: Job, result: Result) -> ResultFile | None:
        """Return the file of a result of a job; None if it is gone."""
        try:
            path = self.job_service.result_path(job, result)
        except NotFound:
            return None
        return ResultFile(result.id, path, _Beside(self.job_service, job, result))

    def named(self, job: Job, name: str) -> ResultFile | None:
        """Return the file of the result of that name; None if there is none, or it is gone."""
        result = self.job_service.results.named(job, name)
        return self.file(job, result) if result is not None and result.name == name else None

    def words(self, job: Job, result: Result) -> str:
        """Return the text of a result, of a long one the beginning; '' if it is gone."""
        file = self.file(job, result)
        if file is None:
            return ""
        try:
            with file.path.open("rb") as stream:
                data = stream.read(_MOST_WORDS + 1)
        except OSError:
            return ""
        return data[:_MOST_WORDS].decode("utf-8", "replace") + ("\n…" if len(data) > _MOST_WORDS else "")

    def archive(self, job_id: str, suffix: str) -> HTTPResponse:
        """GET all files of an ended job as one tar or zip file, written while it is sent."""
        job = self.job_service.job(job_id)
        folder = f"{job.definition}-{job.id[:8]}"
        members = self.members(job, folder)
        if job.phase not in ENDED:
            raise NotFound(f"job {job.id} has no files yet; it is {job.phase}")
        if not members:
            raise NotFound(f"job {job.id} {'has lost its files' if job.results else 'left no files'}")
        return self.sent_archive(members, folder, suffix)

    def members(self, job: Job, folder: str) -> list[Member]:
        """Return the files of a job that are there, as they are called in a folder of an archive."""
        members = []
        for result in job.results:
            with contextlib.suppress(NotFound, FileNotFoundError):  # its file is gone
                place = result.place.replace("\\", "_")  # Windows takes it for a folder
                members.append(Member.of(f"{folder}/{place}", self.job_service.result_path(job, result)))
        return members

    def sent_archive(self, members: Sequence[Member], name: str, suffix: str) -> HTTPResponse:
        """Return the answer that is one tar or zip file of that name, written while it is sent."""
        kind, size, pieces = _ARCHIVES[suffix]
        headers = {
            "Content-Type": kind,
            "Content-Length": str(size(members)),
            "Content-Disposition": f'attachment; filename="{name}.{suffix}"',
        }
        return HTTPResponse("" if request.method == "HEAD" else pieces(members), 200, headers)

    def _send(self, job_id: str, name: str, draw: Callable[[ResultFile], Drawing], what: str) -> HTTPResponse:
        job = self.job_service.bare(job_id)
        file = self.named(job, name)
        if file is None:
            raise NotFound(f"job {job.id} has no result {name[:64]!r}")
        tag = f'"{file.key}-{hashlib.sha256(what.encode()).hexdigest()[:16]}-{VERSION}"'
        headers = {"ETag": tag, "Cache-Control": "private, max-age=3600", "Content-Security-Policy": DRAWING_POLICY}
        if tag in request.get_header("If-None-Match", ""):
            return HTTPResponse("", 304, headers)
        drawing = draw(file)
        if not drawing.ok:
            headers = {"Cache-Control": "no-store", "Content-Security-Policy": DRAWING_POLICY}
        return sent(drawing, headers)


def asked_look() -> Look:
    """Return how the query says that a picture of the sky is to look. Raise BadRequest."""
    return _read(Look.read)


def asked_extent() -> Extent:
    """Return what of a plot the query says that is to be shown. Raise BadRequest."""
    return _read(Extent.read)


def sent(drawing: Drawing, headers: Mapping[str, str]) -> HTTPResponse:
    """Return a response with a drawing."""
    kind = f"{drawing.mime}; charset=UTF-8" if drawing.mime in ("image/svg+xml", "text/csv") else drawing.mime
    return HTTPResponse(drawing.data, 200, {"Content-Type": kind, **headers})


def _read(read: Callable[[Mapping[str, str]], _Read]) -> _Read:
    """Read the query. Raise BadRequest where that raises ValueError with a sentence."""
    try:
        return read(request.query)
    except ValueError as error:
        raise BadRequest(str(error)) from error


class _Beside(Mapping[str, Path]):
    """The files of a job by their names, each looked for when it is asked for: a header names one or two of them.

    A header means the file of its own folder, where there is one.
    """

    def __init__(self, job_service: JobService, job: Job, result: Result) -> None:
        self._job_service, self._job = job_service, job
        self._folder = result.file.removesuffix(result.file_name)

    def __getitem__(self, name: str) -> Path:
        find = self._job_service.results.of_file
        result = find(self._job, self._folder + name) or find(self._job, name)
        if result is None:
            raise KeyError(name)
        try:
            return self._job_service.result_path(self._job, result)
        except NotFound:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter([result.file_name for result in self._job_service.results.filled(self._job).results])

    def __len__(self) -> int:
        return self._job_service.results.page(self._job).total
