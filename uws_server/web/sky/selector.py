"""The table of the exposures that see a region, from which the reader of the sky page chooses. Imports the services."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from uws_server.errors import BadRequest, NotFound
from uws_server.services.archive_search import ExposureFound, Part, QueryError
from uws_server.services.exposures import ExposureSeen
from uws_server.services.job_reader import JobReader
from uws_server.web.sky.state import SkyState

Found = ExposureSeen | ExposureFound

MOST_ROWS: Final = 1000
"""Exposures that the table lists: of more, those that see most of the region."""

_MJD_0: Final = datetime(1858, 11, 17, tzinfo=UTC)
_LAST_DAY: Final = 2_900_000.0
_SHORT: Final = {"EPN": "pn", "EMOS1": "MOS1", "EMOS2": "MOS2"}
"""The cameras of XMM-Newton as people call them."""


@dataclass(frozen=True)
class ExposureRow:
    """An exposure in the table: its row in the archive, and what of the region it sees.

    `fraction` and `off_axis_arcmin` are None where nothing is known of it; `obstacle` says why it cannot be chosen, ''
    where it can.
    """

    row: Mapping[str, Any]
    fraction: float | None
    off_axis_arcmin: float | None
    obstacle: str
    chosen: bool

    @property
    def source(self) -> str:
        """Return what names the exposure."""
        return str(self.row["source"])

    @property
    def begin(self) -> str:
        """Return when it began, such as 2026-11-20T02:13:41; '' where that is not known."""
        day = self.row["t_min"]
        if day is None or not 0 <= day < _LAST_DAY:
            return ""
        return (_MJD_0 + timedelta(days=day)).strftime("%Y-%m-%dT%H:%M:%S")


@dataclass(frozen=True)
class Camera:
    """The exposures of one camera; `seeing` is whether they were found, not only chosen before."""

    name: str
    rows: tuple[ExposureRow, ...]
    seeing: bool = True

    @property
    def label(self) -> str:
        """Return the name as observers write it, such as EMOS-1."""
        return re.sub(r"^(EMOS)(?=[12]$)", r"\1-", self.name) or "Other"

    @property
    def short(self) -> str:
        """Return the name as people call it, such as MOS1."""
        return _SHORT.get(self.name, self.name or "other")

    @property
    def choosable(self) -> int:
        """Return how many of its exposures can be chosen."""
        return sum(not row.obstacle for row in self.rows)


@dataclass(frozen=True)
class Selection:
    """The exposures by camera, how many there are (`total`, also those that are not listed), and what is wrong.

    `place` shows where in the text of the search that is, '' for no place.
    """

    cameras: tuple[Camera, ...] = ()
    total: int = 0
    problem: str = ""
    place: str = ""

    @property
    def rows(self) -> list[ExposureRow]:
        """Return every listed exposure."""
        return [row for camera in self.cameras for row in camera.rows]

    @property
    def chosen(self) -> tuple[str, ...]:
        """Return the exposures that are chosen."""
        return tuple(row.source for row in self.rows if row.chosen)

    @property
    def counted(self) -> str:
        """Return how many are chosen, in words: 3 of 40 selected: 2 pn, 1 MOS1; 31.0 ks."""
        rows = [row for row in self.rows if row.chosen]
        if not rows:
            return f"None of {len(self.rows):,} selected" if self.rows else ""
        by_camera: dict[str, int] = {}
        for camera in self.cameras:
            number = sum(row.chosen for row in camera.rows)
            by_camera[camera.short] = by_camera.get(camera.short, 0) + number
        parts = ", ".join(f"{number:,} {name}" for name, number in by_camera.items() if number)
        seconds = sum(row.row["exposure_s"] or 0.0 for row in rows)
        return f"{len(rows):,} of {len(self.rows):,} selected: {parts}; {seconds / 1000:,.1f} ks"


def selection_of(jobs: JobReader, state: SkyState) -> Selection:
    """Return the exposures that see the source region of a page, and those that were chosen before."""
    try:
        found, total = _found(jobs, state)
        problem = place = ""
    except QueryError as error:
        found, total, problem, place = [], 0, str(error), error.caret()
    except (BadRequest, NotFound) as error:
        found, total, problem, place = [], 0, str(error), ""
    listed = found
    if len(found) > MOST_ROWS:
        listed = heapq.nlargest(
            MOST_ROWS, found, key=lambda one: (one.row["source"] in state.exposures, one.fraction or 0)
        )
    rows = [_row(jobs, one.row, state, one) for one in listed]
    known = {row.source for row in rows}
    others = jobs.exposures.named([source for source in state.exposures if source not in known])
    cameras = [*_by_camera(rows), *_by_camera([_row(jobs, row, state) for row in others], seeing=False)]
    return Selection(tuple(cameras), total, problem, place)


def _found(jobs: JobReader, state: SkyState) -> tuple[Sequence[Found], int]:
    """Return the exposures that see the source region and fulfil the search of a page, and how many there are.

    Without a region more than MOST_ROWS are not read.
    """
    if not state.q:
        seen = jobs.exposures.seeing(state.source) if state.source else []
        return seen, len(seen)
    if state.source:
        found = jobs.archive_search.exposures(state.q, state.source)
        return found, len(found)
    found = jobs.archive_search.exposures(state.q, part=Part(most=MOST_ROWS))
    if len(found) < MOST_ROWS:
        return found, len(found)
    return found, jobs.archive_search.observations_and_counts(state.q, part=Part(most=0))[1].exposures


def without(selection: Selection, state: SkyState, camera: str) -> SkyState:
    """Return a page on which no exposure of a camera is chosen."""
    gone = {row.source for row in selection.rows if row.row["instrument"] == camera}
    return replace(state, exposures=tuple(source for source in state.exposures if source not in gone))


def with_all(selection: Selection, state: SkyState, camera: str) -> SkyState:
    """Return a page on which all exposures of a camera are chosen that can be."""
    more = [row.source for row in selection.rows if row.row["instrument"] == camera and not row.obstacle]
    return replace(state, exposures=tuple(dict.fromkeys([*state.exposures, *more])))


def _row(jobs: JobReader, row: Mapping[str, Any], state: SkyState, seen: Found | None = None) -> ExposureRow:
    obstacle = jobs.exposures.obstacle(row)
    fraction, angle = (seen.fraction, seen.off_axis_arcmin) if seen is not None else (None, None)
    return ExposureRow(row, fraction, angle, obstacle, row["source"] in state.exposures and not obstacle)


def _by_camera(rows: Iterable[ExposureRow], seeing: bool = True) -> Sequence[Camera]:
    """Return exposures by their camera, each ordered by observation and exposure."""
    found: dict[str, list[ExposureRow]] = {}
    for row in sorted(rows, key=lambda row: (row.row["instrument"], row.row["obs_id"], row.row["exposure"])):
        found.setdefault(row.row["instrument"], []).append(row)
    names = sorted(found, key=lambda name: (list(_SHORT).index(name) if name in _SHORT else len(_SHORT), name))
    return [Camera(name, tuple(found[name]), seeing) for name in names]
