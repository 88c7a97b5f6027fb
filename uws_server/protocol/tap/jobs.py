"""Queries as jobs, /tap/async: a job list of our own core, with what TAP says of UPLOAD. Imports the UWS resources."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from bottle import Bottle, HTTPResponse, request

from uws_server.errors import BadRequest, NotFound
from uws_server.incoming import forms
from uws_server.incoming.forms import Form
from uws_server.jobs.job import Job
from uws_server.protocol import dali, uws_xml
from uws_server.protocol.contents import Contents
from uws_server.protocol.control import job_request
from uws_server.protocol.resource import QUERIES, TEXT, Router
from uws_server.protocol.uws import UWS
from uws_server.services.parameters import Request
from uws_server.tap.jobs.definition import DEFINITION, FILES
from uws_server.tap.upload.request import pairs

_ADDRESS = "/tap/async"


class _Named:
    """Hands handlers on to an application, with the name of the job list that their addresses do not hold."""

    def __init__(self, app: Bottle) -> None:
        self._app = app

    def route(self, path: str, method: str, callback: Callable[..., Any]) -> Any:
        """Add the handler of a path and a method."""
        if "/store/" in path or path == f"{_ADDRESS}/sync":
            return None
        return self._app.route(path, method, partial(callback, name=QUERIES))


class QueryJobs(UWS):
    """The job list of queries."""

    def routes(self, app: Router, jobs: str = _ADDRESS) -> None:
        """Add every resource to the application."""
        assert isinstance(app, Bottle)
        super().routes(_Named(app), jobs)

    @contextmanager
    def form(self) -> Iterator[Form]:
        """Give the form of the current request, in which RESPONSEFORMAT is a parameter of the job."""
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            yield form

    def wanted(self, form: Form) -> Request:
        """Return what a form asks of a job: of uploaded tables the names stand in UPLOAD, and their files beside it.

        What TAP does not know is passed over, as DALI has it.
        """
        asked = form.take_all("UPLOAD")
        wanted = job_request(form)
        values = _known(wanted.values)
        if FILES in values:
            raise BadRequest(f"{FILES}: no such parameter; tables are uploaded with UPLOAD=NAME,param:PART")
        found = pairs(asked)
        uploads = {}
        for pair in found:
            if pair.param:
                name = pair.param.lower()
                if name not in wanted.uploads:
                    raise BadRequest(f"UPLOAD: {pair.param[:80]!r} did not come with the request")
                uploads[name] = wanted.uploads[name]
        if asked:
            values["UPLOAD"] = [";".join(f"{pair.name},{pair.url or f'param:{pair.param}'}" for pair in found)]
            values[FILES] = [f"param:{pair.param}" for pair in found if pair.param]
        return replace(wanted, values=values, uploads=uploads)

    def rename(self, job: Job, run_id: str) -> None:
        """Give a job that is still PENDING another run id: it is a parameter of TAP."""
        self.job_service.set_run_id(job, run_id)

    def document(self, job: Job) -> bytes:
        """Return the document of a job, with nothing beside what UWS has words for: clients validate it."""
        job = replace(self.job_service.results.filled(job), usage=None, warning="")
        return uws_xml.job_document(job, self.url(job), None, self.style, self.share)

    def error(self, name: str, job_id: str) -> HTTPResponse:
        """GET why a query failed, as the VOTable that TAP asks for, or as text if that is asked for."""
        job = self.job_service.bare(job_id, name)
        if job.error is None:
            raise NotFound(f"job {job.id} has no error: it is {job.phase}")
        asked = (dali.response_format(request.query) or "").lower()
        if asked.startswith("text/plain"):
            return HTTPResponse(f"{job.error.message}\n", 200, {"Content-Type": TEXT})
        return HTTPResponse(dali.error_document(job.error.message), 200, {"Content-Type": dali.VOTABLE})


def _known(given: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Return the values of parameters of TAP; what is said twice alike, in whichever case of its name, is said once."""
    found: dict[str, dict[str, None]] = {}
    for name, texts in given.items():
        spec = DEFINITION.parameter(name)
        if spec is not None:
            found.setdefault(spec.name, {}).update(dict.fromkeys(texts))
    return {name: list(texts) for name, texts in found.items()}


class QueryContents(Contents):
    """The parameters and results of queries."""

    def routes(self, app: Router, jobs: str = _ADDRESS) -> None:
        """Add every resource to the application."""
        assert isinstance(app, Bottle)
        super().routes(_Named(app), jobs)
