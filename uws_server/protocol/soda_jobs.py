"""SODA 1.0 at /soda/async: cutouts as a job list of UWS, over the jobs of the definitions that make them.

POST brings ID and the words of `/soda/sync`, and makes a job of `events` or `cutout`, whichever the product takes. It
is the same job as at `/rest/{definition}/{id}`, and has the definition's own parameters. Imports the UWS resources.

Source: IVOA Recommendation Server-side Operations for Data Access 1.0 (2017-05-17), section 2.2.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest
from uws_server.incoming import forms
from uws_server.jobs.job import Job
from uws_server.protocol import dali, uws_json, uws_xml
from uws_server.protocol.contents import Contents
from uws_server.protocol.control import job_request, list_filter, phase_command, prefers_page
from uws_server.protocol.resource import JobResource, Router, description, json_answer, wants_json
from uws_server.protocol.soda import KNOWN, read_cut, require_id
from uws_server.protocol.uws import UWS
from uws_server.services.cutouts import DEFINITIONS, Cutouts, NothingThere
from uws_server.services.parameters import Request

ADDRESS: Final = "/soda/async"


class _Named:
    """Hands handlers on to an application, with the name of the definition whose job an address of it names."""

    def __init__(self, app: Router, resource: JobResource) -> None:
        self._app, self._resource = app, resource

    def route(self, path: str, method: str, callback: Callable[..., Any]) -> Any:
        """Add the handler of a path and a method."""
        if "/store/" in path or path == f"{ADDRESS}/sync":
            return None

        @wraps(callback)
        def named(**parts: str) -> HTTPResponse:
            job_service = self._resource.job_service
            name = job_service.bare(parts["job_id"]).definition if "job_id" in parts else ""
            # a job that makes no cutout is none of this list
            return callback(name=name if not name or name in DEFINITIONS else ADDRESS, **parts)

        return self._app.route(path, method, named)


class _SodaResource(JobResource):
    """What the addresses of cutouts are."""

    def url(self, job: Job) -> str:
        """Return the job's absolute address."""
        return f"{self.services.base_url}{ADDRESS}/{self.job_service.address(job.id)}"


class SodaJobs(_SodaResource, UWS):
    """The job list of cutouts."""

    def routes(self, app: Router, jobs: str = ADDRESS) -> None:
        """Add every resource to the application."""
        super().routes(_Named(app, self), jobs)

    def list(self, name: str) -> HTTPResponse:
        """GET the jobs of all definitions that make cutouts, oldest first, with the filters PHASE, AFTER and LAST."""
        del name
        query = forms.query(request.environ)
        wanted = [list_filter(definition, query) for definition in DEFINITIONS]
        if prefers_page(request.get_header("Accept", "")):
            return self.page("/?definition=cutout")
        listed = [list(self.job_service.references(each)) for each in wanted]
        newest_first = wanted[0].last is not None
        jobs = heapq.merge(*listed, key=lambda job: (job[3], job[0]), reverse=newest_first)
        found = itertools.islice(jobs, wanted[0].last)
        if wants_json():
            return json_answer(b"".join(uws_json.list_document(found, self.list_address)))
        return HTTPResponse(b"".join(uws_xml.list_document(found, self.list_address, self.style)), 200, description())

    def create(self, name: str) -> HTTPResponse:
        """POST ID and what is to be kept: a new job, run at once if PHASE=RUN came; 204 where nothing would be left."""
        del name
        with self.form() as form:
            phase = phase_command(form.take("PHASE"), ("RUN",))
            wanted, session = job_request(form), self.session_to_join()
            if wanted.uploads:
                raise BadRequest(f"{min(wanted.uploads)}: a file came; ID names the product that is cut")
            asked = dali.by_name([(key, text) for key, texts in wanted.values.items() for text in texts])
            dali.require_known([(key, text) for key, texts in asked.items() for text in texts], KNOWN)
            cuts = Cutouts(self.services, self.job_service)
            try:
                job = cuts.make(cuts.named(require_id(asked)), read_cut(asked), wanted, is_run=phase is not None)
            except NothingThere:
                return HTTPResponse("", 204)
        self.join(session, job)
        return self.see(job)

    def wanted(self, form: forms.Form) -> Request:
        """Return what a form asks of a job that there is. Raise BadRequest for what only its creation takes."""
        wanted = job_request(form)
        late = next((key for key in wanted.values if key.upper() in KNOWN and key.upper() != "TIME"), None)
        if late is not None:
            raise BadRequest(f"{late}: it comes with the POST to {ADDRESS} that makes a job; make another one")
        return wanted

    def delete(self, name: str, job_id: str) -> HTTPResponse:
        """DELETE the job: 303 to the list."""
        super().delete(name, job_id)
        return HTTPResponse("", 303, {"Location": f"{self.services.base_url}{ADDRESS}"})

    def list_address(self, definition: str) -> str:
        """Return the address of the job list."""
        del definition
        return f"{self.services.base_url}{ADDRESS}"


class SodaContents(_SodaResource, Contents):
    """The parameters and results of cutouts."""

    def routes(self, app: Router, jobs: str = ADDRESS) -> None:
        """Add every resource to the application."""
        super().routes(_Named(app, self), jobs)
