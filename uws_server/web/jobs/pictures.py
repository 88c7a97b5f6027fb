"""Previews and the archive of a job's files over HTTP, with an ETag each. Imports the services and the previews."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest, NotFound
from uws_server.jobs.job import Job, Result
from uws_server.jobs.phases import ENDED
from uws_server.previews.look import Look
from uws_server.previews.preview import Drawing, ResultFile
from uws_server.services.job_service import JobService
from uws_server.version import VERSION
from uws_server.web.jobs import archives
from uws_server.web.jobs.archives import Member
from uws_server.web.shared.page import Page

if TYPE_CHECKING:
    from uws_server.previews.cache import Previews

DRAWING_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
"""The policy for a drawing opened by itself: its own style sheet, the pixels in it, and nothing else."""
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
        """GET a result as a picture (svg, png) or as the data of its plot (json); `scale` and `colours` of a picture of
        the sky are in the query.
        """
        try:
            look = Look.read(request.query.get("scale", ""), request.query.get("colours", ""))
        except ValueError as error:
            raise BadRequest(str(error)) from error
        draw: dict[str, Callable[[ResultFile], Drawing]] = {
            "svg": lambda file: self.previews.plot_picture(file, look),
            "png": self.previews.sky_picture,
            "json": self.previews.plot_data,
        }
        return self._send(job_id, name, draw[suffix], f"{suffix}-{look.key}")

    def thumbnail(self, job_id: str, name: str) -> HTTPResponse:
        """GET a spectrum as a small picture."""
        return self._send(job_id, name, self.previews.thumbnail, "thumbnail")

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

    def archive(self, job_id: str, suffix: str) -> HTTPResponse:
        """GET all files of an ended job as one tar or zip file, written while it is sent."""
        job = self.job_service.job(job_id)
        folder = f"{job.definition}-{job.id[:8]}"
        members = []
        for result in job.results:
            with contextlib.suppress(NotFound, FileNotFoundError):  # its file is gone
                place = result.place.replace("\\", "_")  # Windows takes it for a folder
                members.append(Member.of(f"{folder}/{place}", self.job_service.result_path(job, result)))
        if job.phase not in ENDED:
            raise NotFound(f"job {job.id} has no files yet; it is {job.phase}")
        if not members:
            raise NotFound(f"job {job.id} {'has lost its files' if job.results else 'left no files'}")
        kind, size, pieces = _ARCHIVES[suffix]
        headers = {
            "Content-Type": kind,
            "Content-Length": str(size(members)),
            "Content-Disposition": f'attachment; filename="{folder}.{suffix}"',
        }
        return HTTPResponse("" if request.method == "HEAD" else pieces(members), 200, headers)

    def _send(self, job_id: str, name: str, draw: Callable[[ResultFile], Drawing], what: str) -> HTTPResponse:
        job = self.job_service.bare(job_id)
        file = self.named(job, name)
        if file is None:
            raise NotFound(f"job {job.id} has no result {name[:64]!r}")
        tag = f'"{file.key}-{what}-{VERSION}"'
        headers = {"ETag": tag, "Cache-Control": "private, max-age=3600", "Content-Security-Policy": DRAWING_POLICY}
        if tag in request.get_header("If-None-Match", ""):
            return HTTPResponse("", 304, headers)
        drawing = draw(file)
        if not drawing.ok:
            headers = {"Cache-Control": "no-store", "Content-Security-Policy": DRAWING_POLICY}
        kind = drawing.mime if drawing.mime != "image/svg+xml" else "image/svg+xml; charset=UTF-8"
        return HTTPResponse(drawing.data, 200, {"Content-Type": kind, **headers})


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
