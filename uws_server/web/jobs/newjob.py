"""The form of a new job: displayed, filled from an address or an earlier job, read and checked. Imports the
services.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest, InvalidParameters, NotFound, Problem, ServerError, problems_of
from uws_server.incoming import forms
from uws_server.incoming.callers import work_sessions_of
from uws_server.incoming.forms import Form
from uws_server.jobs.definition import UPLOAD_TYPES, Definition
from uws_server.jobs.job import Job
from uws_server.jobs.words import run_id_problem, seconds_problem
from uws_server.services.context import Services
from uws_server.services.parameters import Request, Upload
from uws_server.services.work_sessions import OpenSession, WorkSessions
from uws_server.web.jobs.fitpanel import KEY, Curve, FitPanel, has_panel
from uws_server.web.shared import documentation, listing
from uws_server.web.shared.fields import Filled, complete, from_job, groups
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer

MOST_LISTED = 1000
"""Files of the archive that the form proposes; others are typed."""


class NewJob(Page):
    """The form of a new job over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render
        self.panel = FitPanel(services)

    @property
    def sessions(self) -> WorkSessions:
        """Return the sessions in which work is kept, for the reader."""
        return work_sessions_of(self.services, request.environ)

    def choose(self) -> HTTPResponse:
        """GET the list of what the reader may run, with a sentence on each."""
        self.job_service.require_entry()
        return self.render.page("choose.html", first_sentence=listing.first_sentence, lacking=listing.lacking)

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
        session = "" if definition.parameter("session") else query.get("session", [""])[-1]
        filled = replace(filled, values=values, earlier=job.id if job else "", run_id=run_id, session=session)
        return self.show(definition, filled)

    def create(self, name: str) -> HTTPResponse:
        """POST the form: 303 to the new job; with status 400 the form again, with its values and its problems."""
        definition = self.job_service.definitions.get(name).definition
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
            run = form.take("PHASE") == "RUN"
            run_id = (form.take("RUNID") or "").strip()
            duration = (form.take("EXECUTIONDURATION") or "").strip()
            earlier = self.job_service.open(form.take("_earlier") or "")
            address = form.take("_session") or ""
            form.take(KEY)
            session = self.sessions.joining(address) if address else None
            kept, gone = self._keep(definition, form, earlier)
            problems = [*_control_problems(run_id, duration), *gone]
            complete(definition, form.values)
            given = {spec.name: form.values.get(spec.name, []) for spec in definition.parameters}
            try:
                if problems:
                    raise InvalidParameters(problems)
                seconds = int(duration) if duration else None
                job = self.job_service.create(name, Request(form.values, form.uploads, run_id or None, seconds))
            except BadRequest as error:
                filled = Filled(given, problems_of(error), kept, earlier, run_id, duration, address)
                there = {field.lower() for field in kept}
                came = [(key.partition("[")[0], upload.filename) for key, upload in form.uploads.items()]
                lost = [filename for field, filename in came if field not in there]
                return self.show(definition, filled, status=400, lost=lost)
        if session is not None:
            self.sessions.link_new(session, job)
        if run:
            self.job_service.run(job)
        response = self.render.go(self.render.link("jobs", job.id))
        self.render.remember_made(response, job.id)
        return response

    def preview(self, name: str) -> HTTPResponse:
        """POST the form of a fit: it comes again with the folded curve, or with what is wrong; nothing is created.

        Where the request accepts JSON, that is what comes.
        """
        definition = self.job_service.definitions.get(name).definition
        self.job_service.definitions.require_run(definition)
        if not has_panel(definition):
            raise NotFound(f"{name[:64]!r} fits no spectra: it has no folded curve")
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
            earlier = self.job_service.open(form.take("_earlier") or "")
            if "application/json" in request.get_header("Accept", ""):
                return self.panel.answer(definition, form, earlier)
            return self._previewed(definition, form, earlier)

    def _previewed(self, definition: Definition, form: Form, earlier: str) -> HTTPResponse:
        """Return the form with the folded curve that it asks for, or with what is wrong with it."""
        complete(definition, form.values)
        values = {spec.name: form.values.get(spec.name, []) for spec in definition.parameters}
        filled = Filled(values, (), {}, earlier, (form.take("RUNID") or "").strip(),
                        (form.take("EXECUTIONDURATION") or "").strip(), form.take("_session") or "")  # fmt: skip
        lost = [upload.filename for upload in form.uploads.values()]
        if earlier:
            kept = from_job(definition, self.job_service.job(earlier, definition.name)).kept
            filled = replace(filled, kept=kept)
        try:
            return self.show(definition, filled, lost=lost, curve=self.panel.curve(definition, form, earlier))
        except (BadRequest, NotFound) as error:
            problems = problems_of(error) if isinstance(error, BadRequest) else (Problem("spectrum", str(error)),)
            return self.show(definition, replace(filled, problems=problems), error.status, lost)

    def show(
        self, definition: Definition, filled: Filled, status: int = 200, lost: Sequence[str] = (),
        curve: Curve | None = None,
    ) -> HTTPResponse:  # fmt: skip
        """Return the page with the form; `lost` are uploads that must be chosen again, `curve` is a folded one."""
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
            joined=self._joined(filled.session),
            longest=min(definition.control.duration.max, config.jobs.max_duration),
            about=documentation.as_html(definition.description),
            documentation=documentation.as_html(self.job_service.definitions.get(definition.name).readme()),
            lost=lost,
            curve=curve,
            permalink=self.render.link("new", definition.name, **_told(definition, filled)),
            has_panel=has_panel(definition),
            lacking=listing.lacking(definition),
        )

    def _joined(self, address: str) -> OpenSession | None:
        """Return the session that the new job is to be added to; None if none is named, or it is not the reader's."""
        if not address:
            return None
        try:
            found = self.sessions.find(address)
        except ServerError:
            return None
        return found if found.may_change else None

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


def _told(definition: Definition, filled: Filled) -> dict[str, list[str]]:
    """Return the values of a form that its address can hold: those that are no defaults, and no uploads."""
    texts = {spec.name: [line for text in filled.values.get(spec.name, ()) for line in text.splitlines()
                         if line.strip()] for spec in definition.parameters}  # fmt: skip
    return {spec.name: texts[spec.name] for spec in definition.parameters
            if texts[spec.name] and tuple(texts[spec.name]) != spec.default_texts}  # fmt: skip


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
