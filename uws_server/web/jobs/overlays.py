"""Products of one kind, of one job or of several, in one plot: the page, and the plot in each form.

The choice stands in the address: `of` names a product as job/result, once for each of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest, Forbidden, NotFound
from uws_server.jobs.job import Filter, Job, JobSummary, Result
from uws_server.jobs.phases import Phase
from uws_server.previews.extent import AXIS_SCALES, Extent
from uws_server.previews.preview import Preview
from uws_server.services import job_keys
from uws_server.services.context import Services
from uws_server.web.jobs.pictures import DRAWING_POLICY, Pictures, asked_extent, sent
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer

if TYPE_CHECKING:
    from uws_server.previews.chart import Chart

MOST_PRODUCTS: Final = 8
MOST_JOBS: Final = 8
_RECENT: Final = 40
_ADDRESS = re.compile(rf"(?:.*/)?({job_keys.ADDRESS})(?:[/?#].*)?")
"""A job as it is named: its id, with its key where it has one, or the address of its page."""

ZEROS: Final = {"date": "one clock for all", "start": "the start of each"}
_KINDS: Final = {"spectrum": "spectra", "lightcurve": "light curves"}


@dataclass(frozen=True)
class Choice:
    """A product that may be chosen: what the address calls it, its file, what it is; whether it is chosen."""

    name: str
    file: str
    kind: str
    chosen: bool


@dataclass(frozen=True)
class Offer:
    """A job with the products of it that may be chosen."""

    job: Job
    title: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class _Chosen:
    """A product that was chosen, with its preview."""

    job: Job
    result: Result
    preview: Preview


class Overlays(Page):
    """Several products in one plot, over one set of services."""

    def __init__(self, services: Services, render: Renderer, pictures: Pictures) -> None:
        super().__init__(services)
        self.render = render
        self.pictures = pictures

    def page(self) -> HTTPResponse:
        """GET the page: the plot, and what can be chosen of the jobs named and of those of the chosen products."""
        extent, zero = asked_extent(), _zero()
        chosen, problem = self._chosen(), ""
        jobs = {product.job.id: product.job for product in chosen}
        for name in request.query.getall("job"):
            try:
                job = self._job(name)
                jobs[job.id] = job
            except (BadRequest, Forbidden, NotFound) as error:
                problem = str(error)
        names = [f"{product.job.id}/{product.result.name}" for product in chosen]
        reason, chart = self._tried(chosen, extent, zero)
        return self.render.page(
            "overlay.html",
            offers=[self._offer(job, names) for job in list(jobs.values())[:MOST_JOBS]],
            recent=[job for job in self._recent() if job.id not in jobs],
            of=[self._name(product) for product in chosen],
            chart=chart,
            reason=reason,
            problem=problem,
            query=extent.query(),
            extent=extent,
            zero=zero,
            zeros=ZEROS if any(product.preview.curve for product in chosen) else {},
            scales=AXIS_SCALES,
            most=MOST_PRODUCTS,
            asked={"of": [self._name(product) for product in chosen], "zero": zero, **extent.query()},
        )

    def picture(self, suffix: str) -> HTTPResponse:
        """GET the plot as a picture (svg), as its data (json) or as a table of what it shows (csv)."""
        from uws_server.previews.charting import drawing  # not before there is a plot: numpy takes 12 MiB

        extent, zero, chosen = asked_extent(), _zero(), self._chosen()
        if not chosen:
            raise BadRequest("of: nothing came; name products as job/result")
        headers = {"Cache-Control": "private, no-cache", "Content-Security-Policy": DRAWING_POLICY}
        return sent(drawing(lambda: _chart(chosen, _labels(chosen), extent, zero), suffix, extent), headers)

    def _tried(self, chosen: Sequence[_Chosen], extent: Extent, zero: str) -> tuple[str, Chart | None]:
        """Return why there is no plot, or '' and the plot."""
        if not chosen:
            return "", None
        from uws_server.previews.spectra import NoPreview

        try:
            return "", _chart(chosen, _labels(chosen), extent, zero)
        except NoPreview as error:
            return str(error), None

    def _chosen(self) -> list[_Chosen]:
        """Return the products that the address names. Raise BadRequest or NotFound for one that there is not."""
        names = list(dict.fromkeys(request.query.getall("of")))
        if len(names) > MOST_PRODUCTS:
            raise BadRequest(f"of: {len(names)} products came; at most {MOST_PRODUCTS} go into one plot")
        return [self._product(name) for name in names]

    def _product(self, text: str) -> _Chosen:
        address, _, name = text.partition("/")
        job = self._job(address)
        result = self.job_service.results.named(job, name)
        file = self.pictures.named(job, name)
        if result is None or file is None:
            raise NotFound(f"of: job {job.id} has no result {name[:64]!r}")
        preview = self.pictures.previews.look(file)
        if preview.plot is None and preview.curve is None:
            raise BadRequest(f"of: {name[:64]!r} of job {job.id} is no spectrum and no light curve that can be drawn")
        return _Chosen(job, result, preview)

    def _job(self, text: str) -> Job:
        found = _ADDRESS.fullmatch(text.strip())
        if found is None:
            raise BadRequest(f"job: {text[:80]!r} came; the id of a job, or the address of its page, is allowed")
        return self.job_service.bare(found[1])

    def _name(self, product: _Chosen) -> str:
        return f"{self.job_service.address(product.job.id)}/{product.result.name}"

    def _offer(self, job: Job, chosen: Sequence[str]) -> Offer:
        return Offer(job, self._title(job), tuple(self._choices(job, chosen)))

    def _choices(self, job: Job, chosen: Sequence[str]) -> Iterator[Choice]:
        """Yield the spectra and the light curves among the first results of a job."""
        for result in self.job_service.results.page(job).results:
            file = self.pictures.file(job, result)
            preview = self.pictures.previews.look(file) if file else Preview("other")
            if preview.plot is not None or preview.curve is not None:
                kind = preview.curve.kind if preview.curve else "Spectrum"
                words = ", ".join(filter(None, (kind, _instrument(preview))))
                yield Choice(f"{self.job_service.address(job.id)}/{result.name}", result.place, words,
                             f"{job.id}/{result.name}" in chosen)  # fmt: skip

    def _recent(self) -> list[JobSummary]:
        """Return the last jobs of the reader that are completed; none for one who came by a share link alone."""
        if not self.job_service.may_enter():
            return []
        return list(self.job_service.own_jobs(Filter(phases=(Phase.COMPLETED,), last=_RECENT)))

    def _title(self, job: Job) -> str:
        live = self.job_service.definitions.by_name().get(job.definition)
        return live.definition.title if live else job.definition


def _zero() -> str:
    """Return where the time of light curves begins. Raise BadRequest for what is not allowed."""
    zero = request.query.get("zero", "") or "date"
    if zero not in ZEROS:
        raise BadRequest(f"zero: {zero[:40]!r} came; {', '.join(ZEROS)} are allowed")
    return str(zero)


def _instrument(preview: Preview) -> str:
    """Return what a product was observed with; empty where its file does not tell."""
    if preview.plot is not None:
        return preview.plot.facts[0].instrument
    return preview.curve.instrument if preview.curve is not None else ""


def _labels(chosen: Sequence[_Chosen]) -> list[str]:
    """Return what tells products apart: of one job their files, or their cameras, or both; else their jobs, or both."""
    jobs = [product.job.run_id or product.job.id[:8] for product in chosen]
    if len({product.job.id for product in chosen}) > len(set(jobs)):
        jobs = [f"{label} {product.job.id[:8]}" for label, product in zip(jobs, chosen, strict=True)]
    files = [product.result.file_name.partition(".fits")[0] for product in chosen]
    if len({product.job.id for product in chosen}) == 1:
        return _labels_in_job(chosen, files)
    if len(set(files)) == 1:
        return [label[:60] for label in jobs]
    return [f"{job[:40]}: {file}" for job, file in zip(jobs, files, strict=True)]


def _labels_in_job(chosen: Sequence[_Chosen], files: Sequence[str]) -> list[str]:
    """Return what tells the products of one job apart; of parts with the same files it is the camera, else the part."""
    if len(set(files)) == len(files):
        return list(files)
    cameras = [_instrument(product.preview) for product in chosen]
    if len(set(files)) == 1 and len(set(cameras)) == len(cameras) and all(cameras):
        return cameras
    both = [f"{camera} {file}" for camera, file in zip(cameras, files, strict=True)]
    places = [product.result.place.partition(".fits")[0] for product in chosen]
    return both if all(cameras) and len(set(both)) == len(both) else places


def _chart(chosen: Sequence[_Chosen], labels: Sequence[str], extent: Extent, zero: str) -> Chart:
    """Return the chart of the chosen products. Raise NoPreview where they have no axes in common."""
    from uws_server.previews import overlay  # not before there is a plot: numpy takes 12 MiB
    from uws_server.previews.plot import chart_of
    from uws_server.previews.spectra import NoPreview

    curves = [product.preview.curve for product in chosen if product.preview.curve]
    plots = [product.preview.plot for product in chosen if product.preview.plot]
    if curves and plots:
        raise NoPreview(f"{' and '.join(_KINDS.values())} have no axis in common: choose products of one kind")
    if plots:
        return chart_of(overlay.overlay(plots, labels))
    return overlay.curves(curves, labels, "start" if zero == "start" else "date", extent)
