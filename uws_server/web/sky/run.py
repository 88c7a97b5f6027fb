"""Process control: the form of a job over the chosen exposures and regions, and the jobs that were made of it.

Imports the services and the fields of forms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bottle import request

from uws_server.errors import (
    BadRequest,
    Forbidden,
    InvalidParameters,
    NotFound,
    Problem,
    ServerError,
    Unauthorized,
    problems_of,
)
from uws_server.incoming.callers import work_sessions_of
from uws_server.incoming.forms import Form
from uws_server.jobs.definition import Definition, ParameterSpec
from uws_server.jobs.job import Job
from uws_server.jobs.words import run_id_problem
from uws_server.jobs.work_session import SessionContent
from uws_server.services.context import Services
from uws_server.services.parameters import Request
from uws_server.services.work_sessions import OpenSession, WorkSessions
from uws_server.web.shared import documentation, jobprogress, listing
from uws_server.web.shared.fields import Filled, Group, complete, groups
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer
from uws_server.web.sky.state import SkyState

_EXPOSURES = ("eventlist", "observation")
"""Types of parameters that are given the chosen exposures, the likeliest first."""
_REGIONS = {"source_region": "source", "background_region": "background"}
"""Parameters that are given the regions of the editor, and what of the state of the page they are."""


@dataclass(frozen=True)
class RunForm:
    """The form of a job of a definition over the chosen exposures.

    `target` is the parameter that gets them, None if none does; `regions` are those that get the regions of the editor;
    `groups` the fields of all others.
    """

    definition: Definition
    target: ParameterSpec | None
    regions: tuple[ParameterSpec, ...]
    groups: tuple[Group, ...]
    filled: Filled
    about: str
    documentation: str
    lacking: tuple[str, ...]

    @property
    def takes_several(self) -> bool:
        """Return whether one job takes several exposures."""
        return self.target is not None and self.target.max_values > 1


@dataclass(frozen=True)
class ShownJob:
    """A job that the page shows: itself, its title, and its definition as it was, None if that is gone."""

    job: Job
    title: str
    definition: Definition | None


class ProcessControl(Page):
    """The jobs of the sky page, over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render

    @property
    def sessions(self) -> WorkSessions:
        """Return the sessions in which work is kept, for the reader."""
        return work_sessions_of(self.services, request.environ)

    def values(self, state: SkyState, filled: Filled | None = None) -> dict[str, Any]:
        """Return what the template of the panel needs: the definitions to choose from, the form, the jobs."""
        offered = [one.definition for one in self.job_service.definitions if self._is_offered(one.definition)]
        jobs, gone = self.jobs(state)
        work = self.session(state)
        if filled is None:
            content = work.session.content if work else SessionContent()
            filled = Filled(content.parameters if content.definition == state.definition else {})
        config = self.services.config
        return {
            "work": work,
            "choices": listing.sections(offered),
            "run_form": self._form(state, filled) if state.definition else None,
            "shown_jobs": jobs,
            "gone_jobs": gone,
            "live": jobprogress.values(self.services, self.job_service, jobs[-1].job) if jobs else {},
            "files": [],
            "unlisted": 0,
            "max_upload": config.server.max_upload,
        }

    def jobs(self, state: SkyState) -> tuple[list[ShownJob], int]:
        """Return the jobs of a page that the reader may see, and how many there were that cannot be shown."""
        found, gone = [], 0
        for name in state.jobs:
            try:
                job = self.job_service.bare(name)
            except ServerError:
                gone += 1
                continue
            definition = self._definition_of(job)
            found.append(ShownJob(job, definition.title if definition else job.definition, definition))
        return found, gone

    def session(self, state: SkyState) -> OpenSession | None:
        """Return the session of a page; None if none is named, or none that the reader may see."""
        try:
            return self.sessions.find(state.session) if state.session else None
        except (NotFound, Forbidden, Unauthorized):
            return None

    def restored(self, state: SkyState) -> SkyState:
        """Return the state of a page; what its address leaves out is that of its session, else of its last job."""
        work = self.session(state)
        if work is not None and not (state.source or state.background or state.q or state.exposures):
            kept = work.session.content
            state = replace(
                state, source=kept.source, background=kept.background, q=kept.search, exposures=kept.exposures,
                definition=state.definition or kept.definition,
            )  # fmt: skip
        return self._of_last_job(state)

    def with_exposures_of_session(self, state: SkyState) -> SkyState:
        """Return the state of a page; exposures that its address lacks are those of its session, if it has one."""
        work = self.session(state)
        return state if work is None or state.exposures else replace(state, exposures=work.session.content.exposures)

    def _of_last_job(self, state: SkyState) -> SkyState:
        jobs, _ = self.jobs(state)
        if not jobs or (state.exposures and state.source):
            return state
        job, definition = jobs[-1].job, jobs[-1].definition
        target = target_of(definition) if definition else None
        given = job.parameters.get(target.name) if target else None
        exposures = tuple(part.text for part in given.each if part.kind == "archive") if given else ()
        texts = {key: value.text for name, key in _REGIONS.items() if (value := job.parameters.get(name))}
        return replace(
            state,
            exposures=state.exposures or exposures,
            source=state.source or texts.get("source", ""),
            background=state.background or texts.get("background", ""),
            definition=state.definition or job.definition,
        )

    def create(self, form: Form) -> tuple[SkyState, Filled | None]:
        """Make the job of a form that was sent, run it, and add it to the session of the page.

        Return the state of the page, with the new job; or that of the form and what was filled in, with what is wrong.
        """
        state = _sent_state(form)
        definition = self.job_service.definitions.get(state.definition).definition
        run_id = (form.take("RUNID") or "").strip()
        complete(definition, form.values)
        form.values |= _values_of(definition, state)
        given = {spec.name: form.values.get(spec.name, []) for spec in definition.parameters}
        try:
            self._require(definition, state, run_id, form)
            work = self.session(state)
            joined = self.sessions.joining(state.session) if work is not None and work.may_change else None
            job = self.job_service.create_and_run(definition.name, Request(form.values, form.uploads, run_id or None))
        except BadRequest as error:
            return state, Filled(given, problems_of(error), run_id=run_id)
        except Forbidden as error:
            return state, Filled(given, [Problem("", str(error))], run_id=run_id)
        if joined is not None:
            self.sessions.link_new(joined, job)
        return replace(state, jobs=(*state.jobs, job.id)), None

    def _require(self, definition: Definition, state: SkyState, run_id: str, form: Form) -> None:
        """Raise InvalidParameters for what this page alone knows, together with what the parameters are refused for."""
        problems = _problems(definition, state)
        if wrong := run_id_problem(run_id):
            problems.append(Problem("RUNID", wrong))
        if not problems:
            return
        known = {problem.parameter for problem in problems}
        others = self.job_service.problems(definition, Request(form.values, form.uploads))
        problems += [one for one in others if one.parameter not in known]
        raise InvalidParameters(problems)

    def _is_offered(self, definition: Definition) -> bool:
        takes = target_of(definition) is not None or any(definition.parameter(name) for name in _REGIONS)
        return takes and self.job_service.definitions.may_run(definition)

    def _form(self, state: SkyState, filled: Filled) -> RunForm | None:
        """Return the form of the chosen definition. Return None for one that there is not, or that is not offered."""
        try:
            definition = self.job_service.definitions.get(state.definition).definition
        except NotFound:
            return None
        if not self._is_offered(definition):
            return None
        target = target_of(definition)
        regions = tuple(spec for name in _REGIONS if (spec := definition.parameter(name)))
        taken = {spec.name for spec in regions} | ({target.name} if target else set())
        others = [
            Group(group.title, tuple(field for field in group.fields if field.spec.name not in taken))
            for group in groups(definition, filled)
        ]
        readme = self.job_service.definitions.get(definition.name).readme()
        return RunForm(
            definition, target, regions, tuple(group for group in others if group.fields), filled,
            documentation.as_html(definition.description), documentation.as_html(readme), listing.lacking(definition),
        )  # fmt: skip

    def _definition_of(self, job: Job) -> Definition | None:
        try:
            return self.job_service.definitions.of(job).definition
        except NotFound:
            return None


def target_of(definition: Definition) -> ParameterSpec | None:
    """Return the parameter that gets the chosen exposures: the one a job is spread over, else the first that fits."""
    if definition.spread is not None and definition.spread.type in _EXPOSURES:
        return definition.spread
    return next((spec for kind in _EXPOSURES for spec in definition.parameters if spec.type == kind), None)


def _sent_state(form: Form) -> SkyState:
    """Return the state of the page that a form came from, taken out of the form: each name begins with '_'."""
    sent = {name: form.take_all(f"_{name}") for name in SkyState().query()}
    return SkyState.of((name, text) for name, texts in sent.items() for text in texts)


def _values_of(definition: Definition, state: SkyState) -> Mapping[str, list[str]]:
    """Return the values of the parameters that get the exposures and the regions."""
    values: dict[str, list[str]] = {}
    target = target_of(definition)
    if target is not None and state.exposures:
        values[target.name] = list(state.exposures)
    for name, key in _REGIONS.items():
        spec, text = definition.parameter(name), getattr(state, key)
        if spec is not None and text:
            values[spec.name] = [text]
    return values


def _problems(definition: Definition, state: SkyState) -> list[Problem]:
    """Return what is wrong with the selection and the regions for a definition, in the words of the page."""
    problems = []
    target, chosen = target_of(definition), len(state.exposures)
    if target is not None and target.required and not chosen:
        problems.append(Problem(target.name, "no exposure is selected: tick some in the observation selector"))
    if target is not None and chosen > target.max_values:
        most = "one exposure" if target.max_values == 1 else f"at most {target.max_values:,} exposures"
        problems.append(Problem(target.name, f"{chosen:,} exposures are selected; a job of this kind takes {most}"))
    for name, key in _REGIONS.items():
        spec = definition.parameter(name)
        if spec is not None and spec.required and not getattr(state, key):
            problems.append(Problem(spec.name, f"there is no {key} region: draw one, or write it into its field"))
    return problems
