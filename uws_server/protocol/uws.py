"""The resources of UWS 1.1 for each job list, /rest/{job}; what is in a job is read by `contents`.

Control parameters (PHASE, RUNID, EXECUTIONDURATION, DESTRUCTION, ACTION) come in a form or a query string, in any case;
everything else is a parameter of the job. Imports the services, the values and the form reader.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from urllib.parse import urlencode

from bottle import HTTPResponse, request

from uws_server.asgi import later
from uws_server.errors import BadRequest, Forbidden, NotFound
from uws_server.incoming import forms
from uws_server.incoming.callers import SHARE
from uws_server.incoming.forms import Form
from uws_server.jobs.job import Job, Progress
from uws_server.jobs.phases import ACTIVE, Phase
from uws_server.protocol import dali, uws_json, uws_xml
from uws_server.protocol.control import job_request, list_filter, phase_command, prefers_page, wait_seconds
from uws_server.protocol.resource import (
    TEXT,
    JobResource,
    Router,
    description,
    json_answer,
    list_path,
    wants_json,
    xml_answer,
)
from uws_server.services.parameters import Request

_COMMANDS = ("RUN", "ABORT", "HOLD", "SUSPEND", "RESUME")
_NOTHING = (
    "nothing came: a POST to a job brings parameters, PHASE, RUNID, EXECUTIONDURATION, DESTRUCTION or ACTION=DELETE; "
    "a job is looked at with GET (curl -X POST -L repeats the POST where it is sent on; leave -X POST out)"
)
SHORT = 100
"""Jobs of a list that is made at once; a longer one is made while it is sent."""
_SYNC_WAIT_S = 300
"""Seconds for which the end of a job is waited for in one request; the answer then leads to the same address again."""


def _time(when: datetime | None) -> str:
    return "" if when is None else uws_xml.timestamp(when)


ATOMS: dict[str, Callable[[Job], str]] = {
    "phase": lambda job: job.phase.value,
    "executionduration": lambda job: str(job.execution_duration),
    "executionDuration": lambda job: str(job.execution_duration),
    "destruction": lambda job: _time(job.destruction),
    "quote": lambda job: _time(job.quote),
    "owner": lambda job: job.owner or "",
}
"""The resources that are one value of a job, as text."""


class UWS(JobResource):
    """The UWS resources, over one set of services."""

    def routes(self, app: Router, jobs: str = "/rest/<name>") -> None:
        """Add every resource to the application; `jobs` is the address of the job lists."""
        address = f"{jobs}/<job_id>"
        for method, path, handler in (
            ("GET", jobs, self.list),
            ("POST", jobs, self.create),
            ("GET", f"{jobs}/sync", self.create_sync),
            ("POST", f"{jobs}/sync", self.create_sync),
            ("HEAD", f"{jobs}/sync", self.refuse_head),
            ("GET", f"{address}/sync", self.sync),
            ("GET", address, self.job),
            ("POST", address, self.change),
            ("DELETE", address, self.delete),
            ("POST", f"{address}/phase", self.set_phase),
            ("POST", f"{address}/executionduration", partial(self.change, needed="EXECUTIONDURATION")),
            ("POST", f"{address}/executionDuration", partial(self.change, needed="EXECUTIONDURATION")),
            ("POST", f"{address}/destruction", partial(self.change, needed="DESTRUCTION")),
            ("GET", f"{address}/error", self.error),
            ("POST", f"{address}/parameters", self.change),
        ):
            app.route(path, method, handler)
        for name in ATOMS:
            app.route(f"{address}/{name}", "GET", partial(self.atom, atom=name))

    # --- the list --------------------------------------------------------------------------------------

    def list(self, name: str) -> HTTPResponse:
        """GET the job list, with the filters PHASE, AFTER and LAST."""
        wanted = list_filter(name, forms.query(request.environ))
        jobs = self.job_service.references(wanted)
        if prefers_page(request.get_header("Accept", "")):
            phase = {"phase": wanted.phases[0]} if len(wanted.phases) == 1 else {}
            return self.page(f"/?{urlencode({'definition': name, **phase})}")
        is_short = wanted.last is not None and wanted.last <= SHORT
        if wants_json():
            document = uws_json.list_document(jobs, self.list_address)
            return json_answer(b"".join(document) if is_short else document)
        document = uws_xml.list_document(jobs, self.list_address, self.style)
        return HTTPResponse(b"".join(document) if is_short else document, 200, description())

    def create(self, name: str) -> HTTPResponse:
        """POST parameters: a new job, run at once if PHASE=RUN came. The answer is sent once the job is committed."""
        later.raise_failure(request.environ)
        with self.form() as form:
            phase = phase_command(form.take("PHASE"), ("RUN",))
            session = self.session_to_join()
            if phase is not None:
                job, adding = self.job_service.create_and_run(name, self.wanted(form)), None
            else:
                job, adding = self.job_service.begin_creating(name, self.wanted(form))
        if adding is not None and (session is not None or not later.send_after(request.environ, adding)):
            adding.wait()
        self.join(session, job)
        return self.see(job)

    # --- the job ---------------------------------------------------------------------------------------

    def job(self, name: str, job_id: str) -> HTTPResponse:
        """GET the job's document; with WAIT, once its phase has changed or the time is over."""
        job = self.job_service.bare(job_id, name)
        if prefers_page(request.get_header("Accept", "")):
            return self.page(f"/jobs/{self.job_service.address(job.id)}{self.share}")
        response = json_answer(self.json_document(job)) if wants_json() else xml_answer(self.document(job))
        seconds = wait_seconds(job, forms.query(request.environ))
        return self.held_back(response, seconds, job.phase) if seconds else response

    def document(self, job: Job) -> bytes:
        """Return the document of a job, which comes without its results."""
        job = self.job_service.results.filled(job)
        return uws_xml.job_document(job, self.url(job), self.progress(job), self.style, self.share)

    def json_document(self, job: Job) -> bytes:
        """Return the document of a job as JSON."""
        job = self.job_service.results.filled(job)
        return uws_json.job_document(job, self.url(job), self.progress(job), self.share)

    def progress(self, job: Job) -> Progress | None:
        """Return how far a running job is, or where one stands that waits. Return None for any other."""
        position = self.job_service.position(job)
        return Progress(position=position) if position else self.job_service.progress(job)

    def change(self, name: str, job_id: str, needed: str = "") -> HTTPResponse:
        """POST to the job (or to /parameters): new values, control parameters, PHASE, or ACTION=DELETE.

        At the address of a control parameter that one is `needed`.
        """
        job = self.job_service.bare(job_id, name)
        with self.form() as form:
            if needed and not any(key.upper() == needed for key in form.values):
                raise BadRequest(f"{needed}: nothing came; it is what a POST to this address sets")
            if not form.values and not form.uploads:
                raise BadRequest(_NOTHING)
            action = form.take("ACTION")
            if action is not None and action.upper() != "DELETE":
                raise BadRequest(f"ACTION: {action[:40]!r} came; DELETE is allowed")
            if action is not None:
                return self.delete(name, job_id)
            phase = phase_command(form.take("PHASE"), _COMMANDS)
            wanted = self.wanted(form)
            self.apply(job, wanted)
        if phase is not None:
            self.command(job, phase)
        return self.see(job)

    def apply(self, job: Job, wanted: Request) -> None:
        """Make the changes that a form asks of a job."""
        if wanted.run_id not in (None, job.run_id):
            self.rename(job, str(wanted.run_id))
        if wanted.values or wanted.uploads:  # first: they can be refused for what they are
            self.job_service.set_parameters(job, wanted.values, wanted.uploads)
        if wanted.execution_duration is not None:
            self.job_service.set_duration(job, wanted.execution_duration)
        if wanted.destruction is not None:
            self.job_service.set_destruction(job, wanted.destruction)

    def rename(self, job: Job, run_id: str) -> None:
        """Refuse another run id than that with which a job was made. Raise Forbidden."""
        del run_id
        made = "without one" if job.run_id is None else f"with {job.run_id!r}"
        raise Forbidden(f"RUNID: job {job.id} was made {made}, and that stays")

    def set_phase(self, name: str, job_id: str) -> HTTPResponse:
        """POST PHASE=RUN or PHASE=ABORT (of the standard), HOLD, SUSPEND or RESUME (ours)."""
        job = self.job_service.bare(job_id, name)
        with self.form() as form:
            phase = phase_command(form.take("PHASE"), _COMMANDS)
        if phase is None:
            raise BadRequest(f"PHASE: nothing came; {' or '.join(_COMMANDS)} is allowed")
        self.command(job, phase)
        return self.see(job)

    def command(self, job: Job, phase: str) -> None:
        """Carry out a command to the phase."""
        job_service = self.job_service
        commands: dict[str, Callable[[Job], object]] = {
            "RUN": job_service.run,
            "ABORT": job_service.abort,
            "HOLD": job_service.hold,
            "SUSPEND": job_service.suspend,
            "RESUME": job_service.resume,
        }
        commands[phase](job)

    def delete(self, name: str, job_id: str) -> HTTPResponse:
        """DELETE the job: 303 to the list."""
        self.job_service.delete(self.job_service.bare(job_id, name))
        return HTTPResponse("", 303, {"Location": f"{self.services.base_url}{list_path(name)}"})

    def atom(self, name: str, job_id: str, atom: str) -> HTTPResponse:
        """GET one value of a job as plain text."""
        return HTTPResponse(ATOMS[atom](self.job_service.bare(job_id, name)), 200, {"Content-Type": TEXT})

    def error(self, name: str, job_id: str) -> HTTPResponse:
        """GET why a job ended in ERROR, with the end of what it printed; as VOTable if that is asked for."""
        job = self.job_service.bare(job_id, name)
        if job.error is None:
            raise NotFound(f"job {job.id} has no error: it is {job.phase}")
        if dali.wants_votable(request.query, request.get_header("Accept", "")):
            return HTTPResponse(dali.error_document(job.error.message), 200, {"Content-Type": dali.VOTABLE})
        printed = self.job_service.log(job, "stderr.log").decode("utf-8", "replace")
        return HTTPResponse(f"{job.error.message}\n\n{printed}", 200, {"Content-Type": TEXT})

    # --- sync ------------------------------------------------------------------------------------------

    def create_sync(self, name: str) -> HTTPResponse:
        """GET or POST parameters: a new job, run at once; 303 to where its end is waited for (UWS 1.1, section 5)."""
        with self.form() as form:
            form.take("PHASE")
            session = self.session_to_join()
            job = self.job_service.create_and_run(name, self.wanted(form))
        self.join(session, job)
        return self.see_end(job)

    def refuse_head(self, name: str) -> HTTPResponse:
        """Refuse HEAD, which would make a job."""
        text = f"HEAD is not possible at /rest/{name[:64]}/sync"
        return HTTPResponse(text, 405, {"Allow": "GET, POST", "Content-Type": TEXT})

    def sync(self, name: str, job_id: str) -> HTTPResponse:
        """GET the end of a job: 303 to its main result; long polling holds the request until it is there."""
        job = self.job_service.bare(job_id, name)
        if job.phase in ACTIVE:
            return self.held_back(self.see_end(job), _SYNC_WAIT_S, "active")
        if job.phase is not Phase.COMPLETED:
            raise BadRequest(job.error.message if job.error else f"job {job.id} is {job.phase}: it has no result")
        main = self.job_service.results.main(job)
        if main is None:
            raise NotFound(f"job {job.id} is {job.phase}, and has no result")
        return HTTPResponse("", 303, {"Location": f"{self.url(job)}/results/{main.name}{self.share}"})

    def wanted(self, form: Form) -> Request:
        """Return what a form asks of a job."""
        return job_request(form)

    # --- helpers ---------------------------------------------------------------------------------------

    def list_address(self, definition: str) -> str:
        """Return the address of the job list of a definition."""
        return f"{self.services.base_url}{list_path(definition)}"

    @property
    def style(self) -> str:
        """The address of the style sheet that shows a document in a browser."""
        return f"{self.services.base_url}/static/uws.xsl"

    def page(self, address: str) -> HTTPResponse:
        """Return status 303 to the page that shows the same to a person."""
        return HTTPResponse("", 303, {"Location": self.services.base_url + address, "Vary": "Accept"})

    def see_end(self, job: Job) -> HTTPResponse:
        """Return status 303 to the address that waits for the end of a job.

        Share link and format of an error are those of this request.
        """
        asked, token = dali.response_format(request.query), self.job_service.caller.share
        query = urlencode({name: text for name, text in ((dali.RESPONSEFORMAT, asked), (SHARE, token)) if text})
        return HTTPResponse("", 303, {"Location": f"{self.url(job)}/sync{query and f'?{query}'}"})
