"""The resources of UWS 1.1 for each job list, /rest/{job}. Imports the services, the values and the form reader.

Control parameters (PHASE, RUNID, EXECUTIONDURATION, DESTRUCTION, ACTION) ride along in a form or a query
string, in any case; everything else is a parameter of the job.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from urllib.parse import urlencode

from bottle import Bottle, HTTPResponse, request

from uws_server import forms
from uws_server.callers import counter_of
from uws_server.counter import Counter
from uws_server.errors import BadRequest, Forbidden, NotFound
from uws_server.forms import Form
from uws_server.intake import Request
from uws_server.jobs.job import Job, ParameterValue
from uws_server.jobs.parameters import texts_of
from uws_server.jobs.phases import ACTIVE, Phase
from uws_server.protocol import dali, parking, uws_xml
from uws_server.protocol.control import job_request, list_filter, phase_command, prefers_page, wait_seconds
from uws_server.protocol.sending import send
from uws_server.services import Services

XML = "text/xml; charset=UTF-8"
TEXT = "text/plain; charset=UTF-8"
_COMMANDS = ("RUN", "ABORT", "HOLD", "SUSPEND", "RESUME")
_SYNC_WAIT_S = 600


class UWS:
    """The UWS resources over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @property
    def counter(self) -> Counter:
        """The counter for the caller of the current request."""
        return counter_of(self.services, request.environ)

    def routes(self, app: Bottle) -> None:
        """Add every resource to the application."""
        one = "/rest/<name>/<job_id>"
        for method, path, handler in (
            ("GET", "/rest/<name>", self.list),
            ("POST", "/rest/<name>", self.create),
            ("GET", "/rest/<name>/sync", self.create_sync),
            ("POST", "/rest/<name>/sync", self.create_sync),
            ("HEAD", "/rest/<name>/sync", self.refuse_head),
            ("GET", f"{one}/sync", self.sync),
            ("GET", one, self.job),
            ("POST", one, self.change),
            ("DELETE", one, self.delete),
            ("GET", f"{one}/phase", self.atom(lambda job: job.phase.value)),
            ("POST", f"{one}/phase", self.set_phase),
            ("GET", f"{one}/executionduration", self.atom(lambda job: str(job.execution_duration))),
            ("POST", f"{one}/executionduration", self.change),
            ("GET", f"{one}/executionDuration", self.atom(lambda job: str(job.execution_duration))),
            ("POST", f"{one}/executionDuration", self.change),
            ("GET", f"{one}/destruction", self.atom(lambda job: _time(job.destruction))),
            ("POST", f"{one}/destruction", self.change),
            ("GET", f"{one}/quote", self.atom(lambda job: _time(job.quote))),
            ("GET", f"{one}/owner", self.atom(lambda job: job.owner or "")),
            ("GET", f"{one}/error", self.error),
            ("GET", f"{one}/parameters", self.parameters),
            ("POST", f"{one}/parameters", self.change),
            ("GET", f"{one}/parameters/<parameter>", self.parameter),
            ("PUT", f"{one}/parameters/<parameter>", self.put_parameter),
            ("GET", f"{one}/parameters/<parameter>/<number>", self.one_value),
            ("GET", f"{one}/results", self.results),
            ("GET", f"{one}/results/<result>", self.result),
            ("GET", f"{one}/<log:re:stdout|stderr>", self.log),
            ("GET", "/store/<result_id>/<file_name>", self.stored),
        ):
            app.route(path, method, handler)

    # --- the list --------------------------------------------------------------------------------------

    def list(self, name: str) -> HTTPResponse:
        """GET the job list, with the filters PHASE, AFTER and LAST."""
        wanted = list_filter(name, forms.query(request.environ))
        jobs = self.counter.jobs(wanted)
        if prefers_page(request.get_header("Accept", "")):
            return self.page(f"/?{urlencode({'definition': name})}")
        document = uws_xml.list_document(jobs, self.services.base_url, self.style)
        return HTTPResponse(document, 200, {"Content-Type": XML, "Vary": "Accept"})

    def create(self, name: str) -> HTTPResponse:
        """POST parameters: a new job, run at once where PHASE=RUN came."""
        with self.form() as form:
            phase = phase_command(form.take("PHASE"), ("RUN",))
            job = self.counter.create(name, job_request(form))
        if phase is not None:
            self.run_new(job)
        return self.see(job)

    def run_new(self, job: Job) -> None:
        """Run a job that was just created; where that is refused, nothing of it is left."""
        try:
            self.counter.run(job)
        except Forbidden:
            self.counter.delete(job)
            raise

    # --- the job ---------------------------------------------------------------------------------------

    def job(self, name: str, job_id: str) -> HTTPResponse:
        """GET the job's document; with WAIT, once its phase has changed or the time is over."""
        job = self.counter.job(job_id, name)
        if prefers_page(request.get_header("Accept", "")):
            return self.page(f"/jobs/{job.id}")
        response = _xml(uws_xml.job_document(job, self.url(job), self.counter.progress(job), self.style))
        response.set_header("Vary", "Accept")
        seconds = wait_seconds(job, forms.query(request.environ))
        return self.parked(response, seconds, job.phase) if seconds else response

    def change(self, name: str, job_id: str) -> HTTPResponse:
        """POST to the job (or to /parameters): new values, control parameters, PHASE, or ACTION=DELETE."""
        job = self.counter.job(job_id, name)
        with self.form() as form:
            action = form.take("ACTION")
            if action is not None and action.upper() != "DELETE":
                raise BadRequest(f"ACTION: {action[:40]!r} came; DELETE is allowed")
            if action is not None:
                return self.delete(name, job_id)
            phase = phase_command(form.take("PHASE"), _COMMANDS)
            wanted = job_request(form)
            self.apply(job, wanted)
        if phase is not None:
            self.command(job, phase)
        return self.see(job)

    def apply(self, job: Job, wanted: Request) -> None:
        """Make the changes that a form asks of a job."""
        if wanted.run_id not in (None, job.run_id):
            raise Forbidden(f"RUNID: job {job.id} was made with {job.run_id!r}, which stays")
        if wanted.values or wanted.uploads:  # first: they can be refused for what they are
            self.counter.set_parameters(job, wanted.values, wanted.uploads)
        if wanted.execution_duration is not None:
            self.counter.set_duration(job, wanted.execution_duration)
        if wanted.destruction is not None:
            self.counter.set_destruction(job, wanted.destruction)

    def set_phase(self, name: str, job_id: str) -> HTTPResponse:
        """POST PHASE=RUN or PHASE=ABORT (of the standard), HOLD, SUSPEND or RESUME (ours)."""
        job = self.counter.job(job_id, name)
        with self.form() as form:
            phase = phase_command(form.take("PHASE"), _COMMANDS)
        if phase is None:
            raise BadRequest(f"PHASE: nothing came; {' or '.join(_COMMANDS)} is allowed")
        self.command(job, phase)
        return self.see(job)

    def command(self, job: Job, phase: str) -> None:
        """Carry out what was asked of the phase."""
        counter = self.counter
        commands: dict[str, Callable[[Job], object]] = {
            "RUN": counter.run,
            "ABORT": counter.abort,
            "HOLD": counter.hold,
            "SUSPEND": counter.suspend,
            "RESUME": counter.resume,
        }
        commands[phase](job)

    def delete(self, name: str, job_id: str) -> HTTPResponse:
        """DELETE the job: 303 to the list."""
        self.counter.delete(self.counter.job(job_id, name))
        return HTTPResponse("", 303, {"Location": f"{self.services.base_url}/rest/{name}"})

    def atom(self, text: Callable[[Job], str]) -> Callable[[str, str], HTTPResponse]:
        """A handler that GETs one value of a job as plain text."""

        def get(name: str, job_id: str) -> HTTPResponse:
            return HTTPResponse(text(self.counter.job(job_id, name)), 200, {"Content-Type": TEXT})

        return get

    def error(self, name: str, job_id: str) -> HTTPResponse:
        """GET why a job ended in ERROR, with the end of what it printed."""
        job = self.counter.job(job_id, name)
        if job.error is None:
            raise NotFound(f"job {job.id} has no error: it is {job.phase}")
        printed = self.counter.log(job, "stderr.log").decode("utf-8", "replace")
        return HTTPResponse(f"{job.error.message}\n\n{printed}", 200, {"Content-Type": TEXT})

    def log(self, name: str, job_id: str, log: str) -> HTTPResponse:
        """GET what the script printed."""
        job = self.counter.job(job_id, name)
        return HTTPResponse(_whole_log(self.counter, job, f"{log}.log"), 200, {"Content-Type": TEXT})

    # --- parameters and results ------------------------------------------------------------------------

    def parameters(self, name: str, job_id: str) -> HTTPResponse:
        """GET the parameters as XML."""
        job = self.counter.job(job_id, name)
        return _xml(uws_xml.parameters_document(job, self.url(job)))

    def parameter(self, name: str, job_id: str, parameter: str) -> HTTPResponse:
        """GET a value as text, or the uploaded file itself; of several values, one a line (a file's address)."""
        job, key, value = self.value(name, job_id, parameter)
        if value.parts:
            files = [part.kind == "upload" for part in value.parts]
            lines = [
                f"{self.url(job)}/parameters/{key}/{number}" if files[number - 1] else text
                for number, text in enumerate(texts_of(value), start=1)
            ]
            return HTTPResponse("\n".join(lines), 200, {"Content-Type": TEXT})
        if value.kind == "upload":
            return send(self.counter.input_path(job, key), "application/octet-stream")
        return HTTPResponse(value.text, 200, {"Content-Type": TEXT})

    def one_value(self, name: str, job_id: str, parameter: str, number: str) -> HTTPResponse:
        """GET one of several values, counted from 1: its text, or the uploaded file itself."""
        job, key, value = self.value(name, job_id, parameter)
        texts = texts_of(value)
        if not re.fullmatch(r"[1-9][0-9]{0,4}", number) or int(number) > len(texts):
            raise NotFound(f"parameter {key} of job {job.id} has {len(texts)} values, none of number {number[:20]!r}")
        if value.each[int(number) - 1].kind == "upload":
            return send(self.counter.input_path(job, key, int(number)), "application/octet-stream")
        return HTTPResponse(texts[int(number) - 1], 200, {"Content-Type": TEXT})

    def value(self, name: str, job_id: str, parameter: str) -> tuple[Job, str, ParameterValue]:
        """The job, and the name and the value of one of its parameters, named in any case."""
        job = self.counter.job(job_id, name)
        key = next((key for key in job.parameters if key.lower() == parameter.lower()), None)
        if key is None:
            raise NotFound(f"job {job.id} has no parameter {parameter[:64]!r}")
        return job, key, job.parameters[key]

    def put_parameter(self, name: str, job_id: str, parameter: str) -> HTTPResponse:
        """PUT a value, in place of all there are: the body itself, as text or as a file, whichever is taken."""
        job = self.counter.job(job_id, name)
        spec = self.services.library.of(job).definition.parameter(parameter)
        if spec is None:
            raise NotFound(f"{name} has no parameter {parameter[:64]!r}")
        config = self.services.config
        with forms.receiving(request.environ, self.services.spool, config.max_upload, spec.name) as body:
            if body.path.stat().st_size:
                self.counter.set_parameters(job, {}, {spec.name: body})
            else:
                self.counter.set_parameters(job, {spec.name: [""]}, {})
        return self.see(job)

    def results(self, name: str, job_id: str) -> HTTPResponse:
        """GET the list of results as XML."""
        job = self.counter.job(job_id, name)
        return _xml(uws_xml.results_document(job, self.url(job)))

    def result(self, name: str, job_id: str, result: str) -> HTTPResponse:
        """GET the file of a result itself."""
        job = self.counter.job(job_id, name)
        found = job.result(result)
        if found is None:
            names = ", ".join(item.name for item in job.results) or "none yet"
            raise NotFound(f"job {job.id} has no result {result[:64]!r}; there are {names}")
        return send(self.counter.result_path(job, found), found.mime, found.sha256)

    def stored(self, result_id: str, file_name: str) -> HTTPResponse:
        """GET the file of a result by its own id; the address ends with the file's name."""
        found, path = self.counter.stored(result_id, file_name)
        return send(path, found.mime, found.sha256)

    # --- sync ------------------------------------------------------------------------------------------

    def create_sync(self, name: str) -> HTTPResponse:
        """GET or POST parameters: a new job, run at once; 303 to where its end is waited for (UWS 1.1, section 5)."""
        with self.form() as form:
            form.take("PHASE")
            job = self.counter.create(name, job_request(form))
        self.run_new(job)
        return self.see_end(job)

    def refuse_head(self, name: str) -> HTTPResponse:
        """HEAD would make a job, which it must not."""
        text = f"HEAD is not possible at /rest/{name[:64]}/sync"
        return HTTPResponse(text, 405, {"Allow": "GET, POST", "Content-Type": TEXT})

    def sync(self, name: str, job_id: str) -> HTTPResponse:
        """GET the end of a job: 303 to its main result, once it is there; the front parks the request until then."""
        job = self.counter.job(job_id, name)
        if job.phase in ACTIVE:
            return self.parked(self.see_end(job), _SYNC_WAIT_S, "active")
        if job.phase is not Phase.COMPLETED:
            raise BadRequest(job.error.message if job.error else f"job {job.id} is {job.phase}: it has no result")
        main = job.result("result") or job.results[0]
        return HTTPResponse("", 303, {"Location": f"{self.url(job)}/results/{main.name}"})

    # --- helpers ---------------------------------------------------------------------------------------

    @contextmanager
    def form(self) -> Iterator[Form]:
        """The form of the current request; RESPONSEFORMAT, which is for errors too, goes to its query."""
        with forms.reading(request.environ, self.services.spool, self.services.config.max_upload) as form:
            asked = form.take(dali.RESPONSEFORMAT)
            if asked is not None:
                request.query.replace(dali.RESPONSEFORMAT, asked)
            yield form

    def url(self, job: Job) -> str:
        """The job's absolute address."""
        return f"{self.services.base_url}/rest/{job.definition}/{job.id}"

    def parked(self, response: HTTPResponse, seconds: int, state: str) -> HTTPResponse:
        """The response, to be held back by the front until the job's state is another one or the time is over."""
        owner = self.counter.caller.name
        response.set_header(parking.HEADER, f"{seconds} {state}" + (f" {owner}" if owner else ""))
        return response

    @property
    def style(self) -> str:
        """The address of the style sheet that shows a document in a browser."""
        return f"{self.services.base_url}/static/uws.xsl"

    def page(self, address: str) -> HTTPResponse:
        """303 to the page that shows a person the same."""
        return HTTPResponse("", 303, {"Location": self.services.base_url + address, "Vary": "Accept"})

    def see_end(self, job: Job) -> HTTPResponse:
        """303 to where the end of a job is waited for; the format asked for is still that of an error there."""
        asked = dali.response_format(request.query)
        query = "" if asked is None else "?" + urlencode({dali.RESPONSEFORMAT: asked})
        return HTTPResponse("", 303, {"Location": f"{self.url(job)}/sync{query}"})

    def see(self, job: Job) -> HTTPResponse:
        """303 to the job."""
        return HTTPResponse("", 303, {"Location": self.url(job)})


def _whole_log(counter: Counter, job: Job, log: str) -> Iterator[bytes]:
    offset = 0
    while piece := counter.log(job, log, offset):
        offset += len(piece)
        yield piece


def _time(when: datetime | None) -> str:
    return "" if when is None else uws_xml.timestamp(when)


def _xml(document: bytes) -> HTTPResponse:
    return HTTPResponse(document, 200, {"Content-Type": XML})
