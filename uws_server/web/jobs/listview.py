"""Which part of the job list an address asks for: what is looked for, the order, and the place. Imports the values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode

from uws_server.errors import BadRequest
from uws_server.jobs.job import Filter, JobSummary, Place
from uws_server.jobs.phases import Phase

NOBODY = "nobody"
"""What stands for the owner of the jobs that nobody owns."""

_PLACE = re.compile(r"([0-9]{1,17})-([0-9a-f]{32})")
_MOST_TEXT = 200


@dataclass(frozen=True)
class View:
    """A part of the list; every field is '' or empty where nothing is asked for.

    The page follows the place `after`, or ends before the place `before`; `end` is the last one.
    """

    definition: str = ""
    phases: tuple[str, ...] = ()
    text: str = ""
    run_id: str = ""
    target: str = ""
    owner: str = ""
    since: str = ""
    until: str = ""
    order: str = ""
    after: str = ""
    before: str = ""
    end: str = ""

    def query(self, **changes: object) -> dict[str, object]:
        """Return the query for this view, with some changes, and without its defaults."""
        query: dict[str, object] = {_NAMES.get(name, name): value for name, value in vars(self).items()}
        query["phase"] = list(self.phases)
        return {name: value for name, value in {**query, **changes}.items() if value}

    def of_page(self, **place: object) -> dict[str, object]:
        """Return the query for another page of the same list; without a place for the first."""
        return self.query(**{"after": "", "before": "", "end": "", **place})

    @property
    def encoded(self) -> str:
        """Return the query as text, for a form that leads back here."""
        return urlencode(list(self.query().items()), doseq=True)

    @property
    def is_narrowed(self) -> bool:
        """Return whether not every job is asked for."""
        return bool(replace(self, order="", after="", before="", end="") != View())

    @property
    def has_more(self) -> bool:
        """Return whether something is asked for that stands among the further fields."""
        return bool(self.run_id or self.target or self.owner or self.since or self.until)

    @property
    def is_first(self) -> bool:
        """Return whether the page begins with the first job."""
        return not (self.after or self.before or self.end)

    def filter(self, most: int) -> Filter:
        """Return the filter for so many jobs from the beginning of the list."""
        owner = None if self.owner == NOBODY else self.owner
        return Filter(
            definition=self.definition or None,
            phases=tuple(map(Phase, self.phases)),
            after=_moment("from", self.since) - timedelta(microseconds=1) if self.since else None,
            until=_until(self.until) if self.until else None,
            last=most,
            owners=(owner,) if self.owner else None,
            text=self.text,
            run_id=self.run_id,
            target=self.target,
            oldest_first=self.order == "oldest",
        )


_NAMES = {"phases": "phase", "text": "q", "run_id": "runid", "since": "from"}
"""What fields are called in the address where they are called otherwise."""


def read_view(query: Sequence[tuple[str, str]]) -> View:
    """Return the view that a query asks for. Raise BadRequest for one that there cannot be."""
    values = {name: value.strip()[:_MOST_TEXT] for name, value in query}
    phases = tuple(dict.fromkeys(value for name, value in query if name == "phase" and value))
    for phase in phases:
        if phase not in Phase.__members__:
            raise BadRequest(f"phase: {phase[:40]!r} is not one of {', '.join(Phase)}")
    given = {name: values.get(_NAMES.get(name, name), "") for name in View.__dataclass_fields__}
    view = View(**{**given, "phases": phases})  # type: ignore[arg-type]
    if view.order not in ("", "newest", "oldest"):
        raise BadRequest(f"order: {view.order[:40]!r} came; newest or oldest is allowed")
    for name, value in (("after", view.after), ("before", view.before)):
        if value and not _PLACE.fullmatch(value):
            raise BadRequest(f"{name}: {value[:60]!r} is no place in the list: take the links below it")
    view.filter(1)  # raises what is wrong with its dates
    return replace(view, order="" if view.order == "newest" else view.order)


def decoded(text: str) -> View:
    """Return the view whose query is a text; all jobs for a text that asks for none."""
    try:
        return read_view(parse_qsl(text, max_num_fields=100))
    except (BadRequest, ValueError):
        return View()


def place_of(text: str) -> Place:
    """Return the place that an address names."""
    created, _, job_id = text.partition("-")
    return Place(int(created), job_id)


def named_place(job: JobSummary) -> str:
    """Return what the place of a job in the list is called in an address."""
    return f"{job.created_us}-{job.id}"


def _until(text: str) -> datetime:
    """Return the first time that is not asked for: a day is asked for as a whole."""
    moment = _moment("until", text)
    return moment + (timedelta(days=1) if len(text) == len("2026-11-29") else timedelta(microseconds=1))


def _moment(name: str, text: str) -> datetime:
    """Return the time, in UTC, that a date or a date with a time means."""
    try:
        moment = datetime.fromisoformat(text)
        if not 1971 <= moment.year <= 9998:
            raise ValueError(text)
    except ValueError:
        raise BadRequest(f"{name}: {text[:40]!r} came; a date (UTC) such as 2026-11-29 is allowed, or one with a time "
                         "such as 2026-11-29T14:30") from None  # fmt: skip
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
