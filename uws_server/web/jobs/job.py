"""The page of one job, its state as JSON for the live part, and its buttons. Imports the services and the previews."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest, NotFound
from uws_server.incoming import forms
from uws_server.incoming.callers import SHARE
from uws_server.jobs.definition import Definition
from uws_server.jobs.formats.draft import Draft
from uws_server.jobs.job import LOG, Job, Progress, Result, utcnow
from uws_server.jobs.parameters import texts_of
from uws_server.jobs.phases import ENDED, Phase
from uws_server.previews.preview import Preview
from uws_server.reruns.failed_parts import FailedParts
from uws_server.reruns.service import Reruns
from uws_server.services.context import Services
from uws_server.services.drafts import Drafts
from uws_server.services.job_parts import GATHERED
from uws_server.services.product_facts import NO_FACTS, Facts
from uws_server.web.jobs.fitpanel import has_panel
from uws_server.web.jobs.limits import Limit, LimitForms, Limits
from uws_server.web.jobs.listview import decoded
from uws_server.web.jobs.pictures import Pictures
from uws_server.web.shared import jobprogress, logtext, texts
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer

_JOB_ID = re.compile(r"(?<=/)[0-9a-f]{32}(?=/results/)")
"""The id of the job before in the address of a file that it is to leave."""
_OF_PART = re.compile(r"parts/[0-9]+/results/")
_MOST_FIGURES = 6
_FIGURES = frozenset({"lightcurve", "response", "fit", "contour", "events", "image", "picture"})
_RUNNABLE = frozenset({Phase.PENDING, Phase.HELD})
_MTYPES = {
    "spectrum": "table.load.fits spectrum.load.ssa-generic",
    "lightcurve": "table.load.fits",
    "response": "table.load.fits",
    "fit": "table.load.fits",
    "contour": "table.load.fits",
    "events": "table.load.fits",
    "table": "table.load.fits",
    "image": "image.load.fits",
    "votable": "table.load.votable",
}
"""SAMP messages that send a product of each kind to another application, which gets the first that it takes."""


@dataclass(frozen=True)
class ResultRow:
    """A result in the table: its path among the results, its preview and addresses, and the SAMP messages that send it
    ('' for none).
    """

    result: Result
    file: str
    preview: Preview
    picture: str
    large: str
    url: str
    mtypes: str
    facts: Facts = NO_FACTS

    @property
    def forms(self) -> tuple[str, ...]:
        """Return in which forms the picture of it can be had, by the ends of their addresses."""
        if not self.large or self.preview.kind == "picture":
            return ()
        return ("png", "svg", "csv") if self.preview.kind in ("events", "image") else ("svg", "csv")

    @property
    def can_overlay(self) -> bool:
        """Return whether it can be drawn in one plot with others."""
        return self.preview.plot is not None or self.preview.curve is not None

    @property
    def is_of_part(self) -> bool:
        """Return whether it is of a part of the job: its file lies in the folder of the part."""
        return _OF_PART.match(self.result.file) is not None

    @property
    def is_report(self) -> bool:
        """Return whether it is a page that tells of the whole job."""
        return self.result.mime.partition(";")[0] == "text/html" and not self.is_of_part

    @property
    def stem(self) -> str:
        """Return the name of the file without folder and suffix: that of what is downloaded of its picture."""
        return self.result.file_name.partition(".fits")[0]


@dataclass(frozen=True)
class Given:
    """A value of a parameter: its text, the address of its file, and its kind."""

    text: str
    url: str
    kind: str


@dataclass(frozen=True)
class ParameterRow:
    """A parameter in the table."""

    name: str
    values: tuple[Given, ...]
    unit: str
    about: str


class JobPage(Page):
    """The page of a job over one set of services."""

    def __init__(self, services: Services, render: Renderer, pictures: Pictures) -> None:
        super().__init__(services)
        self.render = render
        self.pictures = pictures
        self.limits = LimitForms(services)

    def limit(self, job_id: str, which: Limit) -> HTTPResponse:
        """POST a new time limit or time of destruction: back to the job, or its page with what is wrong with it."""
        job, wrong, status = self.limits.change(self.render, job_id, which)
        if wrong is None:
            return self.render.go(self.render.link("jobs", job_id))
        return self._page(job, 0, wrong, status)

    def page(self, job_id: str) -> HTTPResponse:
        """GET the page, with a hundred results; `results` in the query is the number of the first, from 0.

        303 to the address with the key, if this browser remembers that of the job.
        """
        first = _number("results")
        job = self.job_service.bare(job_id)
        if self.job_service.address(job.id) != job_id and not self.job_service.caller.share:
            return self.render.go(self.render.link("jobs", job.id))
        page = self._page(job, first)
        self.render.remember(page, job.id)
        return page

    def _page(self, job: Job, first: int, wrong: Limits | None = None, status: int = 200) -> HTTPResponse:
        definition = self.definition(job)
        live = jobprogress.values(self.services, self.job_service, job, first_part=_number("parts"))
        shown = self.job_service.results.page(job, first)
        results = self.results(job, shown.results)
        of_all = results if not first else self.results(job, self.job_service.results.page(job).results)
        backgrounds = _backgrounds(results)
        parts = live["parts"]
        return self.render.page(
            "job.html",
            status,
            limits=wrong or (self.limits.shown(job) if definition and self.job_service.may_change(job) else None),
            definition=definition,
            title=definition.title if definition else job.definition,
            can_run=job.phase in _RUNNABLE and not live["waits_for"],
            draft=self.draft(job),
            share=self.share_link(job),
            related=Reruns(self.services, self.job_service).related(job),
            results=results,
            samp_table=self.table_of(shown.results),
            shown=shown,
            gathered_log=self.gathered_log(job, definition) if parts and parts.ended == parts.total else "",
            shared=self.shared,
            fitting=self._fitting(),
            plots=[row for row in results if row.preview.kind == "spectrum" and row.file not in backgrounds][
                : _MOST_FIGURES if parts else None
            ],
            figures=_figures(results),
            reports=[row for row in of_all if row.is_report],
            tables=[row for row in of_all if row.preview.rows and not row.is_of_part][:1],
            texts=[(row, self.pictures.words(job, row.result) or row.preview.text) for row in _texts(results)],
            parameters=self.parameters(job, definition),
            whole_log=self.whole_log(job),
            uws=f"{self.services.base_url}/rest/{job.definition}/{self.job_service.address(job.id)}",
            has_key=self.job_service.address(job.id) != job.id,
            can_share=self.job_service.can_share(job),
            **live,
        )

    def state(self, job_id: str) -> HTTPResponse:
        """GET what changes while a job runs; `log` in the query is how many bytes of the log are known."""
        offset = _number("log")
        job = self.job_service.bare(job_id)  # before the log: the log of an ended job is whole
        ended = job.phase in ENDED
        progress = self.job_service.progress(job) or Progress()
        usage = job.usage or progress.usage
        piece, after = logtext.piece(self.job_service, job, offset, whole=ended)
        shown = self.job_service.results.page(job)
        state: dict[str, Any] = {
            "phase": job.phase.value,
            "ended": ended,
            "stage": progress.stage,
            "number": progress.number,
            "total": progress.total,
            "array": not ended and self.job_service.parts.is_array(job),
            "started": texts.iso(job.started) if job.started else None,
            "elapsed": job.elapsed(utcnow()),
            "cpu": texts.cpu(usage.cpu_s) if usage else None,
            "memory": texts.size(usage.memory) if usage else None,
            "expected": texts.when(progress.end) if progress.end else None,
            "error": job.error.message if job.error else None,
            "warning": job.warning or None,
            "queue": texts.position(self.job_service.position(job), utcnow()) or None,
            "log": {"offset": after, "lines": [[line.kind, line.text] for line in piece]},
            "results": [
                {"name": result.name, "size": result.size, "url": self.stored(result)} for result in shown.results
            ],
            "results_total": shown.total,
        }
        return HTTPResponse(json.dumps(state), 200, {"Content-Type": "application/json", "Cache-Control": "no-store"})

    def act(self, job_id: str, action: Literal["run", "abort", "delete", "share", "unshare"]) -> HTTPResponse:
        """POST one of the buttons: back to the job, or to the list it was deleted from."""
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
            back = form.take("_back")
            view = decoded(form.take("_list") or "")
        job = self.job_service.bare(job_id)
        if action == "run":
            self.job_service.run(job)
        elif action == "abort":
            self.job_service.abort(job)
        elif action == "share":
            self.job_service.share(job)
        elif action == "unshare":
            self.job_service.unshare(job)
        else:
            self.job_service.delete(job)
        if back == "list" or action == "delete":
            return self.render.go(self.render.link(**view.query()))
        return self.render.go(self.render.link("jobs", job_id))

    def share_link(self, job: Job) -> str:
        """Return the link that opens a shared job; '' for a job that is not shared."""
        if not job.share:
            return ""
        return f"{self.services.base_url}/jobs/{job.id}?{SHARE}={job.share}"

    def draft(self, job: Job) -> Draft | None:
        """Return the draft that a trial tried, if it exists and the reader may see it."""
        drafts = Drafts(self.services, self.job_service.caller)
        if not job.trial or not drafts.may_draft:
            return None
        return next((one for one in drafts.all() if one.name == job.definition), None)

    def _fitting(self) -> str:
        """Return the name of a definition that fits spectra and that the reader may run; '' for none."""
        known = self.job_service.definitions
        fitting = (each.definition for each in known if has_panel(each.definition))
        return next((definition.name for definition in fitting if known.may_run(definition)), "")

    def definition(self, job: Job) -> Definition | None:
        """Return the definition of a job, as it was when the job was created; None if it is gone."""
        try:
            return self.job_service.definitions.of(job).definition
        except NotFound:
            return None

    def results(self, job: Job, shown: Sequence[Result]) -> list[ResultRow]:
        """Return some results of a job with their previews."""
        rows = []
        facts = self.job_service.results.facts(shown)
        for result in shown:
            file = self.pictures.file(job, result)
            preview = self.pictures.previews.look(file) if file else Preview("other", reason="the file is gone")
            picture = large = ""
            if preview.kind in ("spectrum", "lightcurve", "response", "fit", "contour"):
                picture = self.render.link("jobs", job.id, "thumbnail", f"{result.name}.svg")
                large = self.render.link("jobs", job.id, "preview", f"{result.name}.svg")
            elif preview.kind in ("events", "image") and not preview.reason:
                picture = self.render.link("jobs", job.id, "preview", f"{result.name}.png")
                large = self.render.link("jobs", job.id, "preview", f"{result.name}.svg")
            elif preview.kind == "picture":
                picture = large = self.stored(result)
            rows.append(
                ResultRow(
                    result,
                    result.place,
                    preview,
                    picture,
                    large,
                    self.stored(result),
                    _MTYPES.get(preview.kind, ""),
                    facts.get(result.id, NO_FACTS),
                )
            )
        return rows

    def table_of(self, results: Sequence[Result]) -> str:
        """Return the address of a table of some results, which applications without an account can read; '' of none."""
        ids = [result.id for result in results if result.name != LOG]
        return self.render.link("store", "products.vot", ID=ids) if ids else ""

    def parameters(self, job: Job, definition: Definition | None) -> list[ParameterRow]:
        """Return the parameters with their units and descriptions; an uploaded file with its address."""
        rows = []
        for name, value in job.parameters.items():
            spec = definition.parameter(name) if definition else None
            place = self.render.link("rest", job.definition, job.id, "parameters", name)
            values = []
            for number, text in enumerate(texts_of(value), start=1):
                kind = value.each[number - 1].kind
                url = f"{place}/{number}" if value.parts else place
                if kind == "archive":
                    text = _JOB_ID.sub(lambda match: self.job_service.address(match[0]), text)
                values.append(Given(text, url if kind == "upload" else "", kind))
            unit, about = (spec.unit, spec.description) if spec else ("", "")
            rows.append(ParameterRow(name, tuple(values), unit, about))
        return rows

    def whole_log(self, job: Job) -> str:
        """Return the address of the whole output of the script: the result `log`, before it exists the standard
        output.
        """
        result = self.job_service.results.named(job, LOG)
        return self.stored(result) if result else self.render.link("rest", job.definition, job.id, "stdout")

    def gathered_log(self, job: Job, definition: Definition | None) -> str:
        """Return the address of what the script printed that gathers the parts of a job; '' if it printed nothing."""
        if definition is None or not definition.gather or not self.job_service.parts.log(job, GATHERED, most=1):
            return ""
        return self.render.link("rest", job.definition, job.id, "parts", GATHERED, "log") + self.shared

    @property
    def shared(self) -> str:
        """What is appended to addresses of what is in a job: the token of the share link that the reader came by."""
        token = self.job_service.caller.share
        return f"?{urlencode({SHARE: token})}" if token else ""

    def rerun_failed(self, job_id: str) -> HTTPResponse:
        """POST the button below the parts: the page of a new job of those that failed, which runs."""
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
        made = FailedParts(self.services, self.job_service).make(self.job_service.bare(job_id))
        self.job_service.run_new(made)
        return self.render.go(self.render.link("jobs", made.id))

    def stored(self, result: Result) -> str:
        """Return the address of a result that needs no cookie and ends with the name of its file."""
        return self.render.link("store", result.id, result.file_name)


def _number(name: str) -> int:
    """Return a number of the query, 0 if it does not stand there. Raise BadRequest for anything else."""
    text = request.query.get(name, "0")
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise BadRequest(f"{name}: {text[:40]!r} came; a whole number from 0 on is allowed")
    return int(text)


def _figures(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Return the first light curves and pictures of the sky, which the page shows large."""
    return [row for row in rows if row.large and row.preview.kind in _FIGURES][:_MOST_FIGURES]


def _texts(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Return the results in words (.txt) that the page shows: of a job without pictures, and of a fit."""
    if any(row.large and row.preview.kind not in ("fit", "contour") for row in rows):
        return []
    return [row for row in rows if row.preview.kind == "text" and row.file.endswith(".txt")][:_MOST_FIGURES]


def _backgrounds(rows: Sequence[ResultRow]) -> set[str]:
    """Return the files that are drawn with another spectrum as its background: in its folder, else anywhere."""
    by_name: dict[str, list[str]] = {}
    for row in rows:
        by_name.setdefault(row.result.file_name, []).append(row.file)
    found = set()
    for row in rows:
        folder = row.file.removesuffix(row.result.file_name)
        for facts in row.preview.plot.facts[1:] if row.preview.plot else ():
            places = by_name.get(facts.file, [])
            found.update([folder + facts.file] if folder + facts.file in places else places)
    return found
