"""What is in a job, below /rest/{job}/{id}: its parameters, results and logs. Imports the services and forms."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bottle import HTTPResponse, request

from uws_server.asgi import longpoll
from uws_server.errors import NotFound, counted
from uws_server.incoming import forms
from uws_server.jobs.job import MAIN, Job, ParameterValue
from uws_server.jobs.parameters import texts_of
from uws_server.jobs.phases import ENDED
from uws_server.protocol import uws_json, uws_xml
from uws_server.protocol.control import asked_offset, asked_wait
from uws_server.protocol.resource import TEXT, JobResource, Router, json_answer, wants_json, xml_answer
from uws_server.protocol.sending import send
from uws_server.services.job_service import JobService


class Contents(JobResource):
    """The parameters, results and logs of jobs, over one set of services."""

    def routes(self, app: Router, jobs: str = "/rest/<name>") -> None:
        """Add every resource to the application; `jobs` is the address of the job lists."""
        address = f"{jobs}/<job_id>"
        for method, path, handler in (
            ("GET", f"{address}/parameters", self.parameters),
            ("GET", f"{address}/parameters/<parameter>", self.parameter),
            ("PUT", f"{address}/parameters/<parameter>", self.put_parameter),
            ("GET", f"{address}/parameters/<parameter>/<number>", self.one_value),
            ("GET", f"{address}/results", self.results),
            ("GET", f"{address}/results/<result>", self.result),
            ("GET", f"{address}/<log:re:stdout|stderr|log>", self.log),
            ("GET", "/store/<result_id>/<file_name>", self.stored),
        ):
            app.route(path, method, handler)

    def parameters(self, name: str, job_id: str) -> HTTPResponse:
        """GET the parameters as XML, or as JSON if that is asked for."""
        job = self.job_service.bare(job_id, name)
        if wants_json():
            return json_answer(uws_json.parameters_document(job, self.url(job), self.share))
        return xml_answer(uws_xml.parameters_document(job, self.url(job), self.share))

    def parameter(self, name: str, job_id: str, parameter: str) -> HTTPResponse:
        """GET a value as text, or the uploaded file itself; several values one on each line (a file's address)."""
        job, key, value = self.value(name, job_id, parameter)
        if len(value.parts) == 1 and value.parts[0].kind == "upload":
            return send(self.job_service.input_path(job, key, 1), "application/octet-stream")
        if value.parts:
            files = [part.kind == "upload" for part in value.parts]
            lines = [
                f"{self.url(job)}/parameters/{key}/{number}{self.share}" if files[number - 1] else text
                for number, text in enumerate(texts_of(value), start=1)
            ]
            return HTTPResponse("\n".join(lines), 200, {"Content-Type": TEXT})
        if value.kind == "upload":
            return send(self.job_service.input_path(job, key), "application/octet-stream")
        return HTTPResponse(value.text, 200, {"Content-Type": TEXT})

    def one_value(self, name: str, job_id: str, parameter: str, number: str) -> HTTPResponse:
        """GET one of several values, counted from 1: its text, or the uploaded file itself."""
        job, key, value = self.value(name, job_id, parameter)
        texts = texts_of(value)
        if not re.fullmatch(r"[1-9][0-9]{0,4}", number) or int(number) > len(texts):
            values = counted(len(texts), "value")
            raise NotFound(f"parameter {key} of job {job.id} has {values}, none of number {number[:20]!r}")
        if value.each[int(number) - 1].kind == "upload":
            return send(self.job_service.input_path(job, key, int(number)), "application/octet-stream")
        return HTTPResponse(texts[int(number) - 1], 200, {"Content-Type": TEXT})

    def value(self, name: str, job_id: str, parameter: str) -> tuple[Job, str, ParameterValue]:
        """Return the job, and name and value of one of its parameters, named in any case. Raise NotFound."""
        job = self.job_service.bare(job_id, name)
        key = next((key for key in job.parameters if key.lower() == parameter.lower()), None)
        if key is None:
            raise NotFound(f"job {job.id} has no parameter {parameter[:64]!r}")
        return job, key, job.parameters[key]

    def put_parameter(self, name: str, job_id: str, parameter: str) -> HTTPResponse:
        """PUT a value in place of all earlier ones: the body itself, as text or as a file, whichever the type takes."""
        job = self.job_service.bare(job_id, name)
        spec = self.job_service.definitions.of(job).definition.parameter(parameter)
        if spec is None:
            raise NotFound(f"{name} has no parameter {parameter[:64]!r}")
        config = self.services.config
        with forms.receiving(request.environ, self.services.spool, config.server.max_upload, spec.name) as body:
            if body.path.stat().st_size:
                self.job_service.set_parameters(job, {}, {spec.name: body})
            else:
                self.job_service.set_parameters(job, {spec.name: [""]}, {})
        return self.see(job)

    def results(self, name: str, job_id: str) -> HTTPResponse:
        """GET the list of results as XML, or as JSON if that is asked for."""
        job = self.job_service.job(job_id, name)
        if wants_json():
            return json_answer(uws_json.results_document(job, self.url(job), self.share))
        return xml_answer(uws_xml.results_document(job, self.url(job), self.share))

    def result(self, name: str, job_id: str, result: str) -> HTTPResponse:
        """GET the file of a result itself."""
        job = self.job_service.bare(job_id, name)
        found = self.job_service.results.named(job, result)
        if found is None and result == MAIN and (main := self.job_service.results.main(job)) is not None:
            # DALI 1.1, section 2.1.1: clients look for the one result of a job at results/result
            return HTTPResponse("", 303, {"Location": f"{self.url(job)}/results/{main.name}{self.share}"})
        if found is None:
            page = self.job_service.results.page(job)
            more = f" and {page.total - len(page.results)} more" if page.following else ""
            names = (", ".join(item.name for item in page.results) or "none yet") + more
            raise NotFound(f"job {job.id} has no result {result[:64]!r}; there are {names}")
        return send(self.job_service.result_path(job, found), found.mime, found.sha256)

    def stored(self, result_id: str, file_name: str) -> HTTPResponse:
        """GET the file of a result by its own id; the address ends with the file's name."""
        found, path = self.job_service.stored(result_id, file_name)
        return send(path, found.mime, found.sha256)

    def log(self, name: str, job_id: str, log: str) -> HTTPResponse:
        """GET what the script printed: on one of its outputs, or (`log`) on both.

        With OFFSET what follows so many bytes, a megabyte at most; with WAIT as soon as there is something, at the
        latest when the job ends or the time is over. `X-Log-Offset` is where to go on, `X-Phase` the phase of the job.
        """
        asked = {key.upper(): value for key, value in forms.query(request.environ)}
        seconds, offset = asked_wait(asked), asked_offset(asked)
        may_wait = longpoll.asks_to_wait(request.query_string.encode())
        job = self.job_service.bare(job_id, name)  # before the log: that of an ended job is whole
        file = f"{'job' if log == 'log' else log}.log"
        if seconds is None and offset is None:
            return HTTPResponse(_whole_log(self.job_service, job, file), 200, {"Content-Type": TEXT})
        offset = offset or 0
        piece = self.job_service.log(job, file, offset)
        told = {"X-Log-Offset": str(offset + len(piece)), "X-Phase": job.phase.value, "Cache-Control": "no-store"}
        response = HTTPResponse(piece, 200, {"Content-Type": TEXT, **told})
        if piece or not seconds or not may_wait or job.phase in ENDED:
            return response
        size, path = self.job_service.log_place(job, file)
        # of a log that has grown since it was read it is the offset that tells so
        response.set_header(longpoll.FILE_HEADER, f"{min(size, offset)} {path}")
        return self.held_back(response, seconds, "quiet")


def _whole_log(job_service: JobService, job: Job, log: str) -> Iterator[bytes]:
    offset = 0
    while piece := job_service.log(job, log, offset):
        offset += len(piece)
        yield piece
