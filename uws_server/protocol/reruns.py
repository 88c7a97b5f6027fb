"""Reruns over HTTP: POST to a job's /rerun, and /reprocessing for a step list from anywhere. Imports the reruns.

POST /rest/{job}/{id}/rerun          changes as key=value, `from`, `target`, `accept_changed`, PHASE=RUN
POST /reprocessing                   a step list (JSON, or a FITS file with VO-TAGS), a target, changes
GET  /reprocessing/{id}/status       the phases of the job sequence
GET  /reprocessing/{id}/preview      the files it made
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bottle import Bottle, HTTPResponse, request

from provenance.text import jsontext
from uws_server.errors import BadRequest
from uws_server.incoming import forms
from uws_server.incoming.rerun_forms import (
    read_document,
    read_history,
    read_json_rerun_request,
    read_json_text,
    read_rerun_request,
)
from uws_server.jobs.job import Job, Result
from uws_server.jobs.phases import Phase
from uws_server.protocol.control import phase_command, prefers_page
from uws_server.protocol.resource import JobResource
from uws_server.reruns.service import Reruns, translate_errors
from uws_server.services import job_keys
from uws_server.services.job_results import store_address

JSON = "application/json"
_ID = f"<job_id:re:{job_keys.ADDRESS}>"


class Reprocessing(JobResource):
    """Reruns, over one set of services."""

    @property
    def reruns(self) -> Reruns:
        """What the caller of the current request can run again."""
        return Reruns(self.services, self.job_service)

    def routes(self, app: Bottle) -> None:
        """Add every resource to the application."""
        for method, path, handler in (
            ("POST", f"/rest/<name>/{_ID}/rerun", self.rerun),
            ("POST", "/reprocessing", self.reprocess),
            ("GET", f"/reprocessing/{_ID}", self.look),
            ("GET", f"/reprocessing/{_ID}/status", self.status),
            ("GET", f"/reprocessing/{_ID}/preview", self.preview),
        ):
            app.route(path, method, handler)

    def rerun(self, name: str, job_id: str) -> HTTPResponse:
        """POST changes to a job: 303 to the last of the new jobs."""
        reruns = self.reruns
        job = reruns.job_service.job(job_id, name)
        with self.form() as form:
            run = phase_command(form.take("PHASE"), ("RUN",))
            made = reruns.make(reruns.of_job(job), read_rerun_request(form))
        if run:
            reruns.run(made)
        return self.see(made[-1])

    def reprocess(self) -> HTTPResponse:
        """POST a step list and a target: 303 to the reprocessing, which runs at once."""
        reruns = self.reruns
        reruns.require_entry()
        if request.environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() == JSON:
            made, run = self._from_json(reruns)
        else:
            made, run = self._from_form(reruns)
        if run:
            reruns.run(made)
        return see(f"{self.services.base_url}/reprocessing/{self.job_service.address(made[-1].id)}")

    def _from_json(self, reruns: Reruns) -> tuple[tuple[Job, ...], bool]:
        config = self.services.config
        with forms.receiving(request.environ, self.services.spool, config.server.max_upload, "provenance.json") as body:
            text = read_document(body)
        document = translate_errors(lambda: jsontext.read(text))
        source = reruns.of_text(text)
        assert isinstance(document, dict)  # else there was no list in it
        run = phase_command(read_json_text(document, "PHASE") or "RUN", ("RUN", "PENDING"))
        return reruns.make(source, read_json_rerun_request(document)), run == "RUN"

    def _from_form(self, reruns: Reruns) -> tuple[tuple[Job, ...], bool]:
        with self.form() as form:
            run = phase_command(form.take("PHASE") or "RUN", ("RUN", "PENDING"))
            source = read_history(reruns, form)
            if source is None:
                raise BadRequest("nothing came to run again: send `file` (FITS with VO-TAGS) or `provenance` (JSON)")
            return reruns.make(source, read_rerun_request(form)), run == "RUN"

    def look(self, job_id: str) -> HTTPResponse:
        """GET the reprocessing: for a person the page of its last job, for a program its status and files."""
        job = self.reruns.job_service.bare(job_id)
        if prefers_page(request.get_header("Accept", "")):
            return see(f"{self.services.base_url}/jobs/{self.job_service.address(job.id)}")
        return _json({**self._status(job), **self._preview(job)})

    def status(self, job_id: str) -> HTTPResponse:
        """GET the phases of the job sequence."""
        return _json(self._status(self.reruns.job_service.bare(job_id)))

    def preview(self, job_id: str) -> HTTPResponse:
        """GET what the job sequence made so far: each file with its address, and that of its picture where there is
        one.
        """
        return _json(self._preview(self.reruns.job_service.bare(job_id)))

    def _status(self, job: Job) -> dict[str, Any]:
        sequence = self.reruns.sequence_of(job)
        unfinished = [step.phase for step in sequence if step.phase is not Phase.COMPLETED]
        failed = [phase for phase in unfinished if phase in (Phase.ERROR, Phase.ABORTED)]
        running = [phase for phase in unfinished if phase is not Phase.PENDING]
        phase = (failed or running or unfinished or [Phase.COMPLETED])[0]
        return {
            "id": self.job_service.address(job.id),
            "phase": phase.value,
            "jobs": [self._job(step) for step in sequence],
        }

    def _job(self, job: Job) -> dict[str, Any]:
        progress = self.reruns.job_service.progress(job)
        return {
            "id": self.job_service.address(job.id),
            "task": job.definition,
            "version": job.version,
            "phase": job.phase.value,
            "url": self.url(job),
            "parent": job.parent,
            "after": self.job_service.address(job.after) if job.after else None,
            "stage": progress.stage if progress else "",
            "error": job.error.message if job.error else None,
        }

    def _preview(self, job: Job) -> dict[str, Any]:
        sequence = map(self.reruns.job_service.results.filled, self.reruns.sequence_of(job))
        return {"outputs": [self._output(step, result) for step in sequence for result in step.results]}

    def _output(self, job: Job, result: Result) -> dict[str, Any]:
        base = self.services.base_url
        name = result.file_name
        address = self.job_service.address(job.id)
        picture = f"{base}/jobs/{address}/preview/{result.name}.svg" if result.mime == "application/fits" else None
        return {
            "job": address,
            "name": result.name,
            "file": name,
            "url": store_address(base, result.id, name),
            "mime": result.mime,
            "size": result.size,
            "sha256": result.sha256,
            "description": result.description,
            "preview": picture,
        }


def see(address: str) -> HTTPResponse:
    """Return status 303 to another address."""
    return HTTPResponse("", 303, {"Location": address})


def _json(content: Mapping[str, Any]) -> HTTPResponse:
    return HTTPResponse(json.dumps(content), 200, {"Content-Type": JSON, "Cache-Control": "no-store"})
