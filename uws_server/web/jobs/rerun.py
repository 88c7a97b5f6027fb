"""The pages of a rerun: the steps of a product with their editable fields, and two jobs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bottle import HTTPResponse, request

from provenance import steps
from provenance.steps import numbering, rerun
from provenance.steps.rerun import Field
from uws_server.errors import BadRequest, Forbidden, NotFound
from uws_server.incoming import forms
from uws_server.incoming.forms import Form
from uws_server.incoming.rerun_forms import read_history, read_rerun_request
from uws_server.jobs.definition import Definition
from uws_server.jobs.job import Job
from uws_server.reruns import comparison
from uws_server.reruns.inputs import Found
from uws_server.reruns.preview import RerunRequest, View
from uws_server.reruns.service import Reruns, translate_errors
from uws_server.reruns.sources import RerunSource
from uws_server.services.context import Services
from uws_server.web.jobs.pictures import DRAWING_POLICY, Pictures, asked_extent, sent
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer

if TYPE_CHECKING:
    from uws_server.previews.plot import Plot

_LONGEST_LIST = 3_500_000
"""Characters of a step list that a form carries along."""


@dataclass(frozen=True)
class Row:
    """A field on the page: its text, its control, and the file found for an input."""

    field: Field
    text: str
    options: tuple[str, ...]
    unit: str
    found: Found | None
    maker: int | None
    problem: str

    @property
    def key(self) -> str:
        """Return the name of its control."""
        return self.field.key

    @property
    def long(self) -> bool:
        """Return whether its text needs several lines."""
        return "\n" in self.text or len(self.text) > 60


class RerunPage(Page):
    """Reruns for people, over one set of services."""

    def __init__(self, services: Services, render: Renderer, pictures: Pictures) -> None:
        super().__init__(services)
        self.render, self.pictures = render, pictures

    @property
    def reruns(self) -> Reruns:
        """Return the reruns for the reader."""
        return Reruns(self.services, self.job_service)

    def page(self) -> HTTPResponse:
        """GET the form for a file, or with `job` the steps of a job."""
        job_id = request.query.get("job", "")
        if not job_id:
            return self._ask()
        job = self.job_service.job(job_id)
        return self.show(self.reruns.of_job(job), job, Form())

    def send(self) -> HTTPResponse:
        """POST a file: its steps. POST the steps with changes: 303 to the last of the new jobs, or the problems."""
        reruns = self.reruns
        reruns.require_entry()
        job: Job | None = None
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
            action = form.take("_do") or ""
            earlier = form.take("_job") or ""
            try:
                if earlier:
                    job = self.job_service.job(earlier)
                    source: RerunSource | None = reruns.of_job(job)
                else:
                    source = read_history(reruns, form)
                if source is None:
                    raise BadRequest("choose a FITS file that this server, or another one, has made")
            except BadRequest as error:
                return self._ask(400, str(error).splitlines())
            if not action:
                return self.show(source, job, form)
            given = Form(dict(form.values), form.uploads)
            try:
                made = reruns.make(source, self._rerun_request(source, form))
                if action == "run":
                    reruns.run(made)
            except (BadRequest, Forbidden, NotFound) as error:
                return self.show(source, job, given, str(error).splitlines(), error.status)
        return self.render.go(self.render.link("jobs", made[-1].id))

    def _ask(self, status: int = 200, problems: Sequence[str] = ()) -> HTTPResponse:
        """Return the form that asks for a file."""
        most = self.services.config.server.max_upload
        return self.render.page("rerun.html", status, source=None, problems=problems, for_people=str, max_upload=most)

    def _rerun_request(self, source: RerunSource, form: Form) -> RerunRequest:
        """Return the rerun request of the page's form: the values that differ from those recorded."""
        recorded = {field.key: field.text for field in _fields(source.steps)}
        for key in [key for key in form.values if key in recorded]:
            text = _plain(form.values[key][-1])
            if text.strip() == recorded[key].strip():
                del form.values[key]
            else:
                form.values[key] = [text]
        return replace(read_rerun_request(form), target=None)

    def show(
        self, source: RerunSource, job: Job | None, form: Form, problems: Sequence[str] = (), status: int = 200
    ) -> HTTPResponse:
        """Return the page of the steps with their fields."""
        text = "" if job else translate_errors(lambda: steps.dump(source.steps))
        if len(text) > _LONGEST_LIST:
            raise BadRequest(
                f"the step list has {len(text):,} characters; a page carries {_LONGEST_LIST:,}: use POST /reprocessing"
            )
        views = self.reruns.survey(source, {})
        return self.render.page(
            "rerun.html",
            status,
            source=source,
            job=job or source.job,
            listed=text,
            of_job=job,
            may_run_again=job is not None and self._has_form(job),
            views=[(view, list(self._rows(view, form, problems))) for view in views],
            problems=problems,
            for_people=lambda text: numbering.message_for_people(text, source.steps),
            changed=[found for view in views for found in view.found.values() if found and _may_differ(found)],
            first=(form.values.get("from") or [""])[-1],
            run_id=(form.values.get("RUNID") or [""])[-1],
            accept=bool(form.values.get("accept_changed")),
            lost=bool(form.uploads),
            max_upload=self.services.config.server.max_upload,
        )

    def _has_form(self, job: Job) -> bool:
        """Return whether the reader can create a new job of the same definition."""
        definitions = self.job_service.definitions
        live = definitions.by_name().get(job.definition)
        return live is not None and definitions.may_run(live.definition)

    def _rows(self, view: View, form: Form, problems: Sequence[str]) -> Iterator[Row]:
        try:
            definition = self.job_service.definitions.get(view.task).definition
        except NotFound:
            definition = None
        for field in _ordered(view.fields, definition):
            spec = definition.parameter(field.name) if definition else None
            options: tuple[str, ...] = ()
            if spec is not None and spec.max_values == 1:
                options = ("true", "false") if spec.type == "boolean" else spec.options
            text = _plain((form.values.get(field.key) or [field.text])[-1])
            own = [problem for problem in problems if problem.startswith((f"{field.key}: ", f"{field.name}: "))]
            problem = own[0].partition(": ")[2] if own and (field.editable or field.is_file) else ""
            yield Row(field, text, options, spec.unit if spec else "", view.found.get(field.index),
                      view.makers.get(field.index), problem)  # fmt: skip

    # --- two jobs side by side ---------------------------------------------------------------------------

    def compare(self, job_id: str, old_id: str) -> HTTPResponse:
        """GET two jobs side by side."""
        later, earlier = self.job_service.job(job_id), self.job_service.job(old_id)
        compared = comparison.compare(self.services, self.job_service, later, earlier)
        drawn = [(result, self._plot(later, earlier, result.name)) for result in compared.results]
        plots = [(result, plot) for result, plot in drawn if plot is not None]
        return self.render.page("compare.html", compared=compared, plots=plots, names=_names(compared))

    def picture(self, job_id: str, old_id: str, name: str, suffix: str) -> HTTPResponse:
        """GET two spectra overlaid, as a picture (svg) or as the data of a plot (json)."""
        later, earlier = self.job_service.bare(job_id), self.job_service.bare(old_id)
        plot = self._plot(later, earlier, name)
        if plot is None:
            raise NotFound(f"the jobs have no two spectra {name[:64]!r} that can be overlaid")
        headers = {"Cache-Control": "private, no-cache", "Content-Security-Policy": DRAWING_POLICY}
        # not before there is a plot: they need numpy, which takes 12 MiB
        from uws_server.previews.charting import drawing
        from uws_server.previews.plot import chart_of

        return sent(drawing(lambda: chart_of(plot), suffix, asked_extent()), headers)

    def _plot(self, later: Job, earlier: Job, name: str) -> Plot | None:
        plots = []
        for job in (later, earlier):
            file = self.pictures.named(job, name)
            plot = self.pictures.previews.look(file).plot if file else None
            if plot is None:
                return None
            plots.append(plot)
        # not before there are plots: they need numpy, which takes 12 MiB
        from uws_server.previews.overlay import overlay
        from uws_server.previews.spectra import NoPreview

        try:
            return overlay(plots, ("This job", "Earlier job"))
        except NoPreview:
            return None


def _fields(listed: Sequence[steps.Step]) -> Iterator[Field]:
    for number in range(len(listed)):
        yield from rerun.fields(listed, number)


def _ordered(fields: Sequence[Field], definition: Definition | None) -> list[Field]:
    """Return files first, then the parameters in the order of the definition."""
    places = {spec.name: number for number, spec in enumerate(definition.parameters)} if definition else {}
    return sorted(fields, key=lambda field: (not field.is_file, places.get(field.name, len(places)), field.index))


def _may_differ(found: Found) -> bool:
    """Return whether a file is not the one that was used, or may turn out not to be when it is fetched."""
    return found.same is False or found.kind == "url"


def _plain(text: str) -> str:
    """Return a text with Unix line ends, as it was before a browser sent it."""
    return text.replace("\r\n", "\n")


def _names(compared: comparison.Comparison) -> Mapping[str, str]:
    """Return the headings of the two jobs in a table."""
    return {"earlier": compared.earlier.id[:8], "later": compared.later.id[:8]}
