"""The jobs of a session as its page shows them, and the address at which the work goes on. Imports the services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from uws_server.incoming.callers import SHARE
from uws_server.jobs.job import Job, Progress, Result, utcnow
from uws_server.jobs.phases import ENDED
from uws_server.jobs.work_session import SessionContent
from uws_server.previews.preview import Preview
from uws_server.services.job_service import JobService
from uws_server.services.region_texts import problem_of
from uws_server.services.work_sessions import Seen, SessionJob
from uws_server.web.jobs.pictures import Pictures
from uws_server.web.shared.render import Renderer

MOST_SHOWN: Final = 50
"""Jobs of a session that its page shows at once."""
_MOST_LOOKED_AT = 12
_MOST_PICTURES = 4
_MOST_DRAWN = 60
_LONGEST_DRAWN = 1000
"""Exposures whose footprints are drawn, and characters of a region that is drawn with them."""
_LONGEST_ADDRESS = 6000
"""Characters of a query that every browser and proxy lets through; what is longer is left to the session itself."""


class Picture(NamedTuple):
    """A small picture of a result, the address of a large one, and the file that is in it."""

    small: str
    large: str
    file: str
    kind: str


@dataclass(frozen=True)
class JobRow:
    """A job of a session: None where it is deleted, or not shown to the reader."""

    job_id: str
    seen: Seen
    job: Job | None
    title: str = ""
    link: str = ""
    progress: Progress | None = None
    pictures: Sequence[Picture] = ()

    @property
    def stage(self) -> str:
        """Return what the job is doing."""
        progress = self.progress or Progress()
        return f"{progress.number}/{progress.total} {progress.stage}" if progress.total else progress.stage

    @property
    def elapsed(self) -> float | None:
        """Return the seconds since the job started; None before that."""
        return self.job.elapsed(utcnow()) if self.job else None

    def state(self) -> dict[str, Any]:
        """Return the columns that change while the job runs."""
        phase = self.job.phase.value if self.job else self.seen.value
        return {"id": self.job_id, "phase": phase, "stage": self.stage, "elapsed": self.elapsed}


class JobRows:
    """The jobs of a session, newest first."""

    def __init__(
        self, jobs: Sequence[SessionJob], job_service: JobService, render: Renderer, pictures: Pictures
    ) -> None:
        self._jobs, self._service = list(reversed(jobs)), job_service
        self._render, self._pictures = render, pictures

    @property
    def total(self) -> int:
        """Return how many jobs there are."""
        return len(self._jobs)

    @property
    def has_products(self) -> bool:
        """Check whether a job has ended that may have left files."""
        return any(one.job is not None and one.job.phase in ENDED for one in self._jobs)

    def shown(self, first: int) -> list[JobRow]:
        """Return the rows from a number (from 0) on, as many as a page shows."""
        titles = {name: found.definition.title for name, found in self._service.definitions.by_name().items()}
        return [self._row(one, titles) for one in self._jobs[first : first + MOST_SHOWN]]

    def _row(self, one: SessionJob, titles: dict[str, str]) -> JobRow:
        job = one.job
        if job is None:
            return JobRow(one.job_id, one.seen, None)
        query = {SHARE: one.share} if one.share else {}
        return JobRow(
            job.id,
            one.seen,
            job,
            titles.get(job.definition, job.definition),
            self._render.link("jobs", job.id, **query),
            self._service.progress(job),
            self._shown_pictures(job, query) if job.phase in ENDED else (),
        )

    def _shown_pictures(self, job: Job, query: dict[str, str]) -> list[Picture]:
        found: list[Picture] = []
        for result in self._service.results.page(job, 0, _MOST_LOOKED_AT).results:
            file = self._pictures.file(job, result)
            preview = self._pictures.previews.look(file) if file else Preview("other")
            addresses = self._addresses(job, result, preview, query)
            if addresses is not None:
                found.append(Picture(*addresses, result.place, preview.kind))
            if len(found) == _MOST_PICTURES:
                break
        return found

    def _addresses(self, job: Job, result: Result, preview: Preview, query: dict[str, str]) -> tuple[str, str] | None:
        """Return the addresses of the small and the large picture of a result; None for one without a picture."""
        link, name = self._render.link, result.name
        large = link("jobs", job.id, "preview", f"{name}.svg", **query)
        if preview.kind in ("spectrum", "lightcurve", "response", "fit", "contour"):
            return link("jobs", job.id, "thumbnail", f"{name}.svg", **query), large
        if preview.kind in ("events", "image") and not preview.reason:
            return link("jobs", job.id, "preview", f"{name}.png", **query), large
        if preview.kind == "picture":
            stored = link("store", result.id, result.file_name)
            return stored, stored
        return None


def continue_query(content: SessionContent, address: str) -> dict[str, object]:
    """Return the query of the sky page with what a session holds; the session alone where that is too long.

    So the page has all that it needs without asking for the session; a larger one it loads.
    """
    query: dict[str, object] = {
        "source": content.source,
        "background": content.background,
        "q": content.search,
        "exposure": list(content.exposures),
        "definition": content.definition,
        "session": address,
    }
    return query if len(urlencode(query, doseq=True)) <= _LONGEST_ADDRESS else {"session": address}


def footprints_query(content: SessionContent) -> dict[str, object]:
    """Return the query for the picture of the selected exposures with the regions; an empty one if there is none.

    A region that is wrong, or too long for an address, is left out; so are exposures after the first ones.
    """
    exposures = list(content.exposures[:_MOST_DRAWN])
    if not exposures or len("".join(exposures)) > _LONGEST_ADDRESS:
        return {}
    drawn = {
        name: text
        for name, text in (("source", content.source), ("background", content.background))
        if len(text) <= _LONGEST_DRAWN and not problem_of(f"{name}_region", text)
    }
    return {**drawn, "exposure": exposures}


def short_region(text: str) -> str:
    """Return the text of a region in short, for a list: on one line, without the frame that most of them have."""
    line = " ".join(text.split()).removeprefix("icrs; ")
    return line if len(line) <= 60 else f"{line[:57]}…"
