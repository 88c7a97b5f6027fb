"""The parts of a job that is spread over a parameter, below /rest/{job}/{id}/parts. Imports the services and reruns.

GET  /rest/{job}/{id}/parts?FIRST=100             a hundred parts as JSON, those that failed first
GET  /rest/{job}/{id}/parts/{number}/log          what a part printed; `gathered` instead of a number: the last script
GET  /rest/{job}/{id}/parts/{number}/results/{file}
POST /rest/{job}/{id}/parts/rerun                 303 to a new job of the parts that failed, run at once if PHASE=RUN
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from bottle import Bottle, HTTPResponse, request

from uws_server.errors import BadRequest, NotFound
from uws_server.incoming import forms
from uws_server.jobs.job import Job
from uws_server.jobs.part import Part
from uws_server.protocol.control import asked_offset, phase_command
from uws_server.protocol.resource import TEXT, JobResource
from uws_server.protocol.sending import send
from uws_server.protocol.uws_xml import timestamp_or_none
from uws_server.reruns.failed_parts import FailedParts

_NUMBER = "<number:re:[1-9][0-9]{0,5}>"


class Parts(JobResource):
    """The parts of jobs, over one set of services."""

    def routes(self, app: Bottle) -> None:
        """Add every resource to the application."""
        address = "/rest/<name>/<job_id>/parts"
        for method, path, handler in (
            ("GET", address, self.list),
            ("GET", f"{address}/<part:re:[1-9][0-9]{{0,5}}|gathered>/log", self.log),
            ("GET", f"{address}/{_NUMBER}/results/<file:path>", self.result),
            ("POST", f"{address}/rerun", self.rerun),
        ):
            app.route(path, method, handler)

    def list(self, name: str, job_id: str) -> HTTPResponse:
        """GET a hundred parts as JSON, from the position FIRST on (from 0), those that failed first."""
        job = self.job_service.bare(job_id, name)
        page = self.job_service.parts.page(job, _first())
        if page is None:
            raise NotFound(f"job {job.id} has no parts: it is spread over no parameter, or has not begun")
        told = {
            "total": page.total, "ended": page.ended, "failed": page.failed, "first": page.first,
            "parts": [self.told(job, part) for part in page.parts],
        }  # fmt: skip
        return HTTPResponse(json.dumps(told), 200, {"Content-Type": "application/json", "Cache-Control": "no-store"})

    def told(self, job: Job, part: Part) -> dict[str, Any]:
        """Return what the document says of a part."""
        return {
            "part": part.number,
            "input": part.text,
            "phase": part.phase.value,
            "started": timestamp_or_none(part.started),
            "ended": timestamp_or_none(part.ended),
            "seconds": part.seconds,
            "stage": part.stage,
            "sentence": part.sentence,
            "log": f"{self.url(job)}/parts/{part.number}/log{self.share}",
        }

    def log(self, name: str, job_id: str, part: str) -> HTTPResponse:
        """GET what a part, or the last script, printed; with OFFSET what follows so many bytes, a megabyte at most."""
        offset = asked_offset({key.upper(): value for key, value in forms.query(request.environ)})
        job = self.job_service.bare(job_id, name)
        if offset is None:
            begin = self.job_service.parts.log(job, part)  # before the answer begins: there may be no such part
            return HTTPResponse(self._whole(job, part, begin), 200, {"Content-Type": TEXT})
        piece = self.job_service.parts.log(job, part, offset)
        told = {"X-Log-Offset": str(offset + len(piece)), "Cache-Control": "no-store"}
        return HTTPResponse(piece, 200, {"Content-Type": TEXT, **told})

    def _whole(self, job: Job, part: str, begin: bytes) -> Iterator[bytes]:
        parts, offset, piece = self.job_service.parts, 0, begin
        while piece:
            yield piece
            offset += len(piece)
            piece = parts.log(job, part, offset)

    def result(self, name: str, job_id: str, number: str, file: str) -> HTTPResponse:
        """GET a file that a part made."""
        job = self.job_service.bare(job_id, name)
        place = self.job_service.parts.file(int(number), file)
        found = self.job_service.results.of_file(job, place)
        if found is None or found.file != place:
            raise NotFound(f"part {number} of job {job.id} has no result {file[:80]!r}")
        return send(self.job_service.result_path(job, found), found.mime, found.sha256)

    def rerun(self, name: str, job_id: str) -> HTTPResponse:
        """POST to run the parts that failed again: 303 to the new job."""
        with self.form() as form:
            run = phase_command(form.take("PHASE"), ("RUN",))
        made = FailedParts(self.services, self.job_service).make(self.job_service.bare(job_id, name))
        if run:
            self.job_service.run_new(made)
        return self.see(made)


def _first() -> int:
    asked = {key.upper(): value for key, value in forms.query(request.environ)}
    text = asked.get("FIRST", "0")
    if not re.fullmatch(r"[0-9]{1,6}", text, re.ASCII):
        raise BadRequest(f"FIRST: {text[:40]!r} came; a number of parts from 0 on is allowed")
    return int(text)
