"""The form of a new job: displayed, filled from an address or an earlier job, read and checked. Imports the
services.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest, InvalidParameters, NotFound, Problem, problems_of
from uws_server.incoming import forms
from uws_server.incoming.forms import Form
from uws_server.jobs.definition import UPLOAD_TYPES, Definition
from uws_server.jobs.job import Job
from uws_server.jobs.words import run_id_problem, seconds_problem
from uws_server.services.context import Services
from uws_server.services.parameters import Request, Upload
from uws_server.web.shared import documentation, listing
from uws_server.web.shared.fields import Filled, from_job, groups, sent
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer

MOST_LISTED = 1000
"""Files of the archive that the form proposes; others are typed."""


class NewJob(Page):
    """The form of a new job over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render

    def choose(self) -> HTTPResponse:
        """GET the list of what the reader may run, with a sentence on each."""
        self.job_service.require_entry()
        return self.render.page("choose.html", first_sentence=listing.first_sentence)

    def page(self, name: str) -> HTTPResponse:
        """GET the form: with the defaults, over them the earlier job `_from`, over that the values of the query."""
        definition = self.job_service.definitions.get(name).definition
        self.job_service.definitions.require_run(definition)
        query: dict[str, list[str]] = {}
        for key, text in forms.query(request.environ):
            query.setdefault(key, []).append(text)
        earlier = query.get("_from", [""])[-1]
        job = self.job_service.job(earlier, name) if earlier else None
        filled = from_job(definition, job) if job else Filled()
        values = dict(filled.values)
        for key, texts in query.items():
            spec = definition.parameter(key)
            if spec is not None:
                values[spec.name] = texts if spec.max_values > 1 else texts[-1:]
        run_id = query.get("RUNID", [filled.run_id])[-1]
        return self.show(
            definition,
            Filled(values, kept=filled.kept, earlier=job.id if job else "", run_id=run_id, duration=filled.duration),
        )

    def create(self, name: str) -> HTTPResponse:
        """POST the form: 303 to the new job; with status 400 the form again, with its values and its problems."""
        definition = self.job_service.definitions.get(name).definition
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
            run = form.take("PHASE") == "RUN"
            run_id = (form.take("RUNID") or "").strip()
            duration = (form.take("EXECUTIONDURATION") or "").strip()
            earlier = self.job_service.open(form.take("_earlier") or "")
            kept, gone = self._keep(definition, form, earlier)
            problems = [*_control_problems(run_id, duration), *gone]
            for spec in definition.parameters:
                if spec.type == "boolean":
                    form.values.setdefault(spec.name, ["false"])  # what a browser sends of an empty box
                if spec.name in form.values:
                    form.values[spec.name] = sent(spec, form.values[spec.name])
            given = {spec.name: form.values.get(spec.name, []) for spec in definition.parameters}
            try:
                if problems:
                    raise InvalidParameters(problems)
                seconds = int(duration) if duration else None
                job = self.job_service.create(name, Request(form.values, form.uploads, run_id or None, seconds))
            except BadRequest as error:
                filled = Filled(given, problems_of(error), kept, earlier, run_id, duration)
                there = {field.lower() for field in kept}
                came = [(key.partition("[")[0], upload.filename) for key, upload in form.uploads.items()]
                lost = [filename for field, filename in came if field not in there]
                return self.show(definition, filled, status=400, lost=lost)
        if run:
            self.job_service.run(job)
        return self.render.go(self.render.link("jobs", job.id))

    def show(self, definition: Definition, filled: Filled, status: int = 200, lost: Sequence[str] = ()) -> HTTPResponse:
        """Return the page with the form; `lost` are uploaded files that must be chosen again."""
        archive = self.job_service.archive
        config = self.services.config
        return self.render.page(
            "new.html",
            status,
            definition=definition,
            filled=filled,
            groups=groups(definition, filled),
            files=[
                (file.id if archive.is_unique(file) else file.place, file.place) for file in archive.first(MOST_LISTED)
            ],
            unlisted=max(0, archive.count() - MOST_LISTED),
            has_archive=config.folders.archive is not None,
            max_upload=config.server.max_upload,
            longest=min(definition.control.duration.max, config.jobs.max_duration),
            about=documentation.as_html(definition.description),
            documentation=documentation.as_html(self.job_service.definitions.get(definition.name).readme()),
            lost=lost,
        )

    def _keep(self, definition: Definition, form: Form, earlier: str) -> tuple[Mapping[str, str], Sequence[Problem]]:
        """Take over uploads of an earlier job, where its box is ticked and no other file came.

        Return the names of the files by parameter, and a problem for each file that is gone.
        """
        kept: dict[str, str] = {}
        gone: list[Problem] = []
        for spec in definition.parameters:
            ticked = form.take(f"_keep.{spec.name}") is not None
            other = spec.name.lower() in form.uploads or any(text.strip() for text in form.values.get(spec.name, []))
            if not ticked or other or spec.type not in UPLOAD_TYPES:
                continue
            try:
                job = self.job_service.job(earlier, definition.name)
                names = [self._take_over(job, spec.name, number, form) for number in _uploads(job, spec.name)]
            except NotFound:
                gone.append(Problem(spec.name, "the file of the earlier job is gone; choose it again"))
                continue
            kept[spec.name] = ", ".join(names)
        return kept, gone

    def _take_over(self, job: Job, name: str, number: int, form: Form) -> str:
        """Copy an uploaded file of an earlier job as if it had come with the form, and return its name."""
        spool = self.job_service.copied_input(job, name, number)
        given = job.parameters[name].each[number - 1].text
        form.attach(name.lower(), Upload(spool, given))
        return given


def _uploads(job: Job, name: str) -> list[int]:
    """Return the numbers, from 1 on, of the values that were uploaded. Raise NotFound if none was."""
    value = job.parameters.get(name)
    numbers = [i for i, part in enumerate(value.each, start=1) if part.kind == "upload"] if value else []
    if not numbers:
        raise NotFound(f"parameter {name[:64]!r} holds no uploaded file")
    return numbers


def _control_problems(run_id: str, duration: str) -> list[Problem]:
    problems = []
    if problem := run_id_problem(run_id):
        problems.append(Problem("RUNID", problem))
    if duration and (problem := seconds_problem(duration)):
        problems.append(Problem("EXECUTIONDURATION", problem))
    return problems
