"""The resources of UWS 1.1 for each job list, /rest/{job}. Imports the services, the values and the form reader.

Control parameters (PHASE, RUNID, EXECUTIONDURATION, DESTRUCTION, ACTION) ride along in a form or a query
string, in any case; everything else is a parameter of the job.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bottle import Bottle, HTTPResponse, request, static_file

from uws_server import forms
from uws_server.errors import BadRequest, Forbidden, NotFound
from uws_server.forms import Form
from uws_server.intake import Request
from uws_server.jobs.job import Filter, Job
from uws_server.jobs.phases import Phase
from uws_server.protocol import parking, uws_xml
from uws_server.services import Services

XML = "text/xml; charset=UTF-8"
TEXT = "text/plain; charset=UTF-8"
_LONGEST_RUN_ID = 255
_LONGEST_WAIT_S = 3600
_WAITING = frozenset({Phase.PENDING, Phase.QUEUED, Phase.EXECUTING})
"""Phases in which a request may wait: UWS 1.1, section 2.2.1.2."""


class UWS:
    """The UWS resources over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def routes(self, app: Bottle) -> None:
        """Add every resource to the application."""
        one = "/rest/<name>/<job_id>"
        for method, path, handler in (
            ("GET", "/rest/<name>", self.list),
            ("POST", "/rest/<name>", self.create),
            ("GET", one, self.job),
            ("POST", one, self.change),
            ("DELETE", one, self.delete),
            ("GET", f"{one}/phase", self.atom(lambda job: job.phase.value)),
            ("POST", f"{one}/phase", self.set_phase),
            ("GET", f"{one}/executionduration", self.atom(lambda job: str(job.execution_duration))),
            ("POST", f"{one}/executionduration", self.change),
            ("GET", f"{one}/destruction", self.atom(lambda job: _time(job.destruction))),
            ("POST", f"{one}/destruction", self.change),
            ("GET", f"{one}/quote", self.atom(lambda job: _time(job.quote))),
            ("GET", f"{one}/owner", self.atom(lambda job: job.owner or "")),
            ("GET", f"{one}/error", self.error),
            ("GET", f"{one}/parameters", self.parameters),
            ("POST", f"{one}/parameters", self.change),
            ("GET", f"{one}/parameters/<parameter>", self.parameter),
            ("GET", f"{one}/results", self.results),
            ("GET", f"{one}/results/<result>", self.result),
            ("GET", f"{one}/<log:re:stdout|stderr>", self.log),
            ("GET", "/store/<result_id>/<file_name>", self.stored),
        ):
            app.route(path, method, handler)

    # --- the list --------------------------------------------------------------------------------------

    def list(self, name: str) -> HTTPResponse:
        """GET the job list, with the filters PHASE, AFTER and LAST."""
        jobs = self.services.jobs(list_filter(name, forms.query(request.environ)))
        document = uws_xml.list_document(jobs, self.services.base_url)
        return HTTPResponse(document, 200, {"Content-Type": XML})

    def create(self, name: str) -> HTTPResponse:
        """POST parameters: a new job, run at once where PHASE=RUN came."""
        with self.form() as form:
            phase = _phase_command(form.take("PHASE"), ("RUN",))
            job = self.services.create(name, job_request(form))
        if phase is not None:
            self.services.run(job)
        return self.see(job)

    # --- the job ---------------------------------------------------------------------------------------

    def job(self, name: str, job_id: str) -> HTTPResponse:
        """GET the job's document; with WAIT, once its phase has changed or the time is over."""
        job = self.services.job(name, job_id)
        response = _xml(uws_xml.job_document(job, self.url(job), self.services.progress(job)))
        seconds = wait_seconds(job, forms.query(request.environ))
        if seconds:
            response.set_header(parking.HEADER, f"{seconds} {job.phase}")
        return response

    def change(self, name: str, job_id: str) -> HTTPResponse:
        """POST to the job (or to /parameters): new values, control parameters, PHASE, or ACTION=DELETE."""
        job = self.services.job(name, job_id)
        with self.form() as form:
            action = form.take("ACTION")
            if action is not None and action.upper() != "DELETE":
                raise BadRequest(f"ACTION: {action[:40]!r} came; DELETE is allowed")
            if action is not None:
                return self.delete(name, job_id)
            phase = _phase_command(form.take("PHASE"), ("RUN", "ABORT"))
            wanted = job_request(form)
            self.apply(job, wanted)
        if phase is not None:
            self.command(job, phase)
        return self.see(job)

    def apply(self, job: Job, wanted: Request) -> None:
        """Make the changes that a form asks of a job."""
        if wanted.execution_duration is not None:
            self.services.set_duration(job, wanted.execution_duration)
        if wanted.destruction is not None:
            self.services.set_destruction(job, wanted.destruction)
        if wanted.values or wanted.uploads:
            self.services.set_parameters(job, wanted.values, wanted.uploads)

    def set_phase(self, name: str, job_id: str) -> HTTPResponse:
        """POST PHASE=RUN or PHASE=ABORT."""
        job = self.services.job(name, job_id)
        with self.form() as form:
            phase = _phase_command(form.take("PHASE"), ("RUN", "ABORT"))
        if phase is None:
            raise BadRequest("PHASE: nothing came; RUN or ABORT is allowed")
        self.command(job, phase)
        return self.see(job)

    def command(self, job: Job, phase: str) -> None:
        """Carry out RUN or ABORT."""
        if phase == "RUN":
            self.services.run(job)
        else:
            self.services.abort(job)

    def delete(self, name: str, job_id: str) -> HTTPResponse:
        """DELETE the job: 303 to the list."""
        self.services.delete(self.services.job(name, job_id))
        return HTTPResponse("", 303, {"Location": f"{self.services.base_url}/rest/{name}"})

    def atom(self, text: Callable[[Job], str]) -> Callable[[str, str], HTTPResponse]:
        """A handler that GETs one value of a job as plain text."""

        def get(name: str, job_id: str) -> HTTPResponse:
            return HTTPResponse(text(self.services.job(name, job_id)), 200, {"Content-Type": TEXT})

        return get

    def error(self, name: str, job_id: str) -> HTTPResponse:
        """GET why a job ended in ERROR, with the end of what it printed."""
        job = self.services.job(name, job_id)
        if job.error is None:
            raise NotFound(f"job {job.id} has no error: it is {job.phase}")
        printed = self.services.log(job, "stderr.log").decode("utf-8", "replace")
        return HTTPResponse(f"{job.error.message}\n\n{printed}", 200, {"Content-Type": TEXT})

    def log(self, name: str, job_id: str, log: str) -> HTTPResponse:
        """GET what the script printed."""
        job = self.services.job(name, job_id)
        return HTTPResponse(self._whole_log(job, f"{log}.log"), 200, {"Content-Type": TEXT})

    def _whole_log(self, job: Job, log: str) -> Iterator[bytes]:
        offset = 0
        while piece := self.services.log(job, log, offset):
            offset += len(piece)
            yield piece

    # --- parameters and results ------------------------------------------------------------------------

    def parameters(self, name: str, job_id: str) -> HTTPResponse:
        """GET the parameters as XML."""
        job = self.services.job(name, job_id)
        return _xml(uws_xml.parameters_document(job, self.url(job)))

    def parameter(self, name: str, job_id: str, parameter: str) -> HTTPResponse:
        """GET one value as text, or the uploaded file itself."""
        job = self.services.job(name, job_id)
        key = next((key for key in job.parameters if key.lower() == parameter.lower()), None)
        if key is None:
            raise NotFound(f"job {job.id} has no parameter {parameter[:64]!r}")
        if job.parameters[key].kind == "upload":
            return _file(self.services.input_path(job, key), "application/octet-stream")
        return HTTPResponse(job.parameters[key].text, 200, {"Content-Type": TEXT})

    def results(self, name: str, job_id: str) -> HTTPResponse:
        """GET the list of results as XML."""
        job = self.services.job(name, job_id)
        return _xml(uws_xml.results_document(job, self.url(job)))

    def result(self, name: str, job_id: str, result: str) -> HTTPResponse:
        """GET the file of a result itself."""
        job = self.services.job(name, job_id)
        found = job.result(result)
        if found is None:
            names = ", ".join(item.name for item in job.results) or "none yet"
            raise NotFound(f"job {job.id} has no result {result[:64]!r}; there are {names}")
        return _file(self.services.result_path(job, found), found.mime)

    def stored(self, result_id: str, file_name: str) -> HTTPResponse:
        """GET the file of a result by its own id; the address ends with the file's name."""
        found, path = self.services.stored(result_id, file_name)
        return _file(path, found.mime)

    # --- helpers ---------------------------------------------------------------------------------------

    def form(self) -> AbstractContextManager[Form]:
        """The form of the current request."""
        return forms.reading(request.environ, self.services.spool, self.services.config.max_upload)

    def url(self, job: Job) -> str:
        """The job's absolute address."""
        return f"{self.services.base_url}/rest/{job.definition}/{job.id}"

    def see(self, job: Job) -> HTTPResponse:
        """303 to the job."""
        return HTTPResponse("", 303, {"Location": self.url(job)})


def job_request(form: Form) -> Request:
    """What a form asks for, its control parameters taken out."""
    run_id = form.take("RUNID")
    if run_id is not None and (len(run_id) > _LONGEST_RUN_ID or not run_id.isprintable()):
        raise BadRequest(f"RUNID: printable text of at most {_LONGEST_RUN_ID} characters is allowed")
    duration = form.take("EXECUTIONDURATION")
    destruction = form.take("DESTRUCTION")
    # UPLOAD=name,param:part (DALI) says the same as name=param:part
    for pair in [pair for text in form.values.pop("UPLOAD", []) for pair in text.split(";")]:
        name, comma, reference = pair.partition(",")
        if not comma:
            raise BadRequest(f"UPLOAD: {pair[:80]!r} came; NAME,param:PART is allowed")
        form.add(name.strip(), reference.strip())
    return Request(
        values=form.values,
        uploads=form.uploads,
        run_id=run_id,
        execution_duration=None if duration is None else _seconds(duration),
        destruction=None if destruction is None else parse_time("DESTRUCTION", destruction),
    )


def list_filter(name: str, query: list[tuple[str, str]]) -> Filter:
    """The filter of a list request: UWS 1.1, section 2.2.2.1."""
    phases: list[Phase] = []
    after: datetime | None = None
    last: int | None = None
    for key, value in query:
        match key.upper():
            case "PHASE":
                if value not in Phase.__members__:
                    raise BadRequest(f"PHASE: {value[:40]!r} is not one of {', '.join(Phase)}")
                phases.append(Phase(value))
            case "AFTER":
                after = parse_time("AFTER", value)
            case "LAST":
                if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) == 0:
                    raise BadRequest(f"LAST: {value[:40]!r} came; a whole number from 1 on is allowed")
                last = int(value)
            case _:
                raise BadRequest(f"{key[:40]}: no such filter of a job list; there are PHASE, AFTER and LAST")
    return Filter(name, tuple(phases), after, last)


def wait_seconds(job: Job, query: list[tuple[str, str]]) -> int:
    """For how long the request for a job shall wait: UWS 1.1, section 2.2.1.2; 0 for not at all.

    WAIT=-1 asks for as long as possible; with PHASE the wait is only for a job that is still in that phase.
    """
    asked = {key.upper(): value for key, value in query}
    text = asked.get("WAIT")
    if text is None:
        return 0
    if not re.fullmatch(r"-1|[0-9]{1,9}", text):
        raise BadRequest(f"WAIT: {text[:40]!r} came; seconds from 0 on, or -1 for as long as possible, are allowed")
    phase = asked.get("PHASE")
    if phase is not None and phase not in Phase.__members__:
        raise BadRequest(f"PHASE: {phase[:40]!r} is not one of {', '.join(Phase)}")
    if job.phase not in _WAITING or (phase is not None and phase != job.phase):
        return 0
    return _LONGEST_WAIT_S if text == "-1" else min(int(text), _LONGEST_WAIT_S)


def parse_time(name: str, text: str) -> datetime:
    """A time in UTC: ISO 8601 (also only a year, or a date), with or without Z; other offsets are refused."""
    plain = text.strip().removesuffix("Z")
    try:
        if re.fullmatch(r"[0-9]{4}", plain):
            return datetime(int(plain), 1, 1, tzinfo=UTC)
        when = datetime.fromisoformat(plain)
        if when.tzinfo is not None:
            raise ValueError("an offset")
        return when.replace(tzinfo=UTC)
    except ValueError as error:
        raise BadRequest(
            f"{name}: {text[:40]!r} is not a time; ISO 8601 in UTC is allowed, such as 2026-11-20T12:00:00Z"
        ) from error


def _seconds(text: str) -> int:
    if not re.fullmatch(r"\s*[0-9]{1,9}(\.0*)?\s*", text):
        raise BadRequest(f"EXECUTIONDURATION: {text[:40]!r} came; whole seconds from 0 on are allowed")
    return int(float(text))


def _phase_command(text: str | None, allowed: tuple[str, ...]) -> str | None:
    if text is None:
        return None
    if text not in allowed:
        raise BadRequest(f"PHASE: {text[:40]!r} came; {' or '.join(allowed)} is allowed")
    return text


def _time(when: datetime | None) -> str:
    return "" if when is None else uws_xml.timestamp(when)


def _xml(document: bytes) -> HTTPResponse:
    return HTTPResponse(document, 200, {"Content-Type": XML})


def _file(path: Path, mime: str) -> Any:
    """The file with Range and Last-Modified; never run by a browser in our name."""
    response = static_file(path.name, root=path.parent, mimetype=mime, download=False)
    if response.status_code == 403:  # bottle's word for a file it cannot read
        raise Forbidden(f"the file {path.name} cannot be read")
    response.set_header("Content-Security-Policy", "sandbox")
    plain = path.name.encode("ascii", "replace").decode().replace('"', "_").replace("\\", "_")
    response.set_header("Content-Disposition", f'inline; filename="{plain}"')
    response.headers.pop("Date", None)  # uvicorn writes it
    return response
