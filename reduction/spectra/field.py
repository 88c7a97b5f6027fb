"""The field of view in the plane of X and Y, found from the events themselves.

Events outside of it carry a bit of the flag that says so. Where they begin, direction by direction, is the edge, and a
circle is fitted to it. The field of EPIC is a circle but for small parts of its edge; how many events the circle puts
on the wrong side is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from provenance.fits.columns import Rows
from reduction.events.eventlist import EventList
from reduction.events.selection import Region

Floats = npt.NDArray[np.float64]

SAMPLE_ROWS = 400_000
"""Events, spread over the list, from which the edge is found."""

SECTORS = 72
"""Directions from the centre in which the edge is looked for."""

MIN_SECTORS = 8
"""Fewest directions that make a circle."""

_IN_SECTOR = 4
"""Fewest events on each side of the edge in a direction."""

LOOK_ROWS = 60_000
"""Events, spread over the list, by which it is told whether a region may reach the edge."""

_SURELY_INSIDE = 0.9
"""Part of the way to the nearest event outside up to which a region surely lies in the field."""

_NO_CIRCLE = 0.1
"""Part of the events inside that lie farther out than half of those outside: with more there is no circle."""

_UNKNOWN = "the edge of the field of view is not known: what lies outside of it is not taken off the area"

_WRONG_SHARE = 0.02
"""Part of the events on the wrong side above which the edge is no circle."""


@dataclass(frozen=True)
class Circle:
    """A circle in the plane of X and Y, in values of these columns."""

    x: float
    y: float
    radius: float

    def distance(self, x: Floats, y: Floats) -> Floats:
        """Return how far outside of the circle positions lie; negative inside."""
        return np.asarray(np.hypot(x - self.x, y - self.y) - self.radius)


@dataclass
class FieldSampler:
    """Keep place and flag of a sample of the events, taken from every chunk before selection."""

    events: EventList
    most_rows: int = SAMPLE_ROWS
    _parts: list[Floats] = field(default_factory=list)

    def __call__(self, rows: Rows) -> None:
        """Add a sample of the rows of one chunk."""
        events = self.events
        if events.x is None or events.y is None or events.flag is None or not events.mission.outside_flag:
            return
        sample = rows[:: max(1, events.nrows // self.most_rows)]
        flags, valid = events.flag.whole(sample)
        is_outside = (flags.astype(np.int64) & events.mission.outside_flag) != 0
        part = np.stack([events.x.floats(sample), events.y.floats(sample), is_outside.astype(np.float64)])
        known = np.isfinite(part).all(axis=0)
        self._parts.append(part[:, known if valid is None else known & valid])

    @property
    def table(self) -> Floats:
        """X, Y and whether it is outside (1) of n events: shape (3, n)."""
        return np.concatenate(self._parts, axis=1) if self._parts else np.empty((3, 0))


def find_field(table: Floats) -> tuple[Circle | None, tuple[str, ...]]:
    """Find the circle that is the edge of the field of view.

    Parameters
    ----------
    table
        Sample of the events from `FieldSampler.table`.

    Returns
    -------
    circle, notes
        The circle. Where no event is marked as outside it encloses all events, as of a list from which those outside
        were taken away. None where there are too few events, with sentences for the log.
    """
    x, y, outside = table[0], table[1], table[2] > 0
    if np.count_nonzero(~outside) < MIN_SECTORS * _IN_SECTOR:
        return None, ("too few events to find the edge of the field of view: it is not taken off the exposure",)
    if not outside.any():
        note = "no event is marked as outside of the field of view: its edge is taken to be a circle around all events"
        return _enclosing(x, y), (note,)
    circle = _between(x, y, outside)
    if circle is None:
        return None, ("the edge of the field of view cannot be found: it is not taken off the exposure",)
    wrong = float(np.mean((circle.distance(x, y) > 0) != outside))
    if wrong > _WRONG_SHARE:
        return circle, (f"the edge of the field of view is taken to be a circle; {wrong:.1%} of the events are on the "
                        "wrong side of it",)  # fmt: skip
    return circle, ()


def edge_at(events: EventList, look: Floats, regions: Iterable[Region | None]) -> tuple[Circle | None, str]:
    """Find the edge of the field of view where a region may reach it.

    Parameters
    ----------
    events
        The open event list; it is read again where the edge must be found.
    look
        Sample of its events from `FieldSampler.table`, such as LOOK_ROWS of them.
    regions
        Regions in the plane of the X,Y columns; None, for all events, is not looked at.

    Returns
    -------
    circle, note
        None where all regions surely lie inside, no event of the list is marked as outside, or the edge is not found;
        a sentence for the log about the last.
    """
    x, y, outside = look[0], look[1], look[2] > 0
    boxes = [region.bounds for region in regions if region is not None]
    if not boxes or np.count_nonzero(outside) < MIN_SECTORS * _IN_SECTOR or outside.all():
        return None, ""
    middle = float(np.median(x[~outside])), float(np.median(y[~outside]))
    away = np.hypot(x - middle[0], y - middle[1])
    safe = _SURELY_INSIDE * float(away[outside].min())
    corners = [np.hypot(max(abs(box[0] - middle[0]), abs(box[1] - middle[0])),
                        max(abs(box[2] - middle[1]), abs(box[3] - middle[1]))) for box in boxes]  # fmt: skip
    if max(corners) <= safe:
        return None, ""
    if float(np.mean(away[~outside] > np.median(away[outside]))) > _NO_CIRCLE:
        return None, _UNKNOWN
    sampler = FieldSampler(events)
    for rows in events.chunks():
        sampler(rows)
    circle, notes = find_field(sampler.table)
    if circle is None or notes:
        return None, _UNKNOWN
    return circle, ""


def _between(x: Floats, y: Floats, outside: npt.NDArray[np.bool_]) -> Circle | None:
    """Fit the circle between the events inside and those outside; None if too few directions show an edge."""
    circle = Circle(float(np.median(x[~outside])), float(np.median(y[~outside])), 0.0)
    for _ in range(6):
        edge = _edge(x - circle.x, y - circle.y, outside)
        if edge.shape[1] < MIN_SECTORS:
            return None
        circle = _fitted(edge[0] + circle.x, edge[1] + circle.y)
    return circle


def _edge(dx: Floats, dy: Floats, outside: npt.NDArray[np.bool_]) -> Floats:
    """Return points of the edge as seen from the origin, shape (2, sectors that show it)."""
    away = np.hypot(dx, dy)
    sector = np.floor((np.arctan2(dy, dx) / (2 * np.pi) + 0.5) * SECTORS).astype(int) % SECTORS
    order = np.lexsort((away, sector))
    bounds = np.searchsorted(sector[order], np.arange(SECTORS + 1))
    points = []
    for index in range(SECTORS):
        mine = order[bounds[index] : bounds[index + 1]]
        found = _threshold(away[mine], outside[mine])
        if found is not None:
            angle = ((index + 0.5) / SECTORS - 0.5) * 2 * np.pi
            points.append((found * np.cos(angle), found * np.sin(angle)))
    return np.array(points).reshape(-1, 2).T


def _threshold(away: Floats, outside: npt.NDArray[np.bool_]) -> float | None:
    """Return the distance that parts sorted distances best into inside and outside; None if one side is too empty."""
    if np.count_nonzero(outside) < _IN_SECTOR or np.count_nonzero(~outside) < _IN_SECTOR:
        return None
    outside_below = np.concatenate(([0], np.cumsum(outside)))
    inside_above = np.count_nonzero(~outside) - np.concatenate(([0], np.cumsum(~outside)))
    wrong = outside_below + inside_above
    best = np.flatnonzero(wrong == wrong.min())
    index = int(best[best.size // 2])
    return float((away[index - 1] + away[index]) / 2) if 0 < index < away.size else None


def _fitted(x: Floats, y: Floats) -> Circle:
    """Fit a circle to points by linear least squares, twice: the second time without those that lie far from it."""
    kept = np.ones(x.size, dtype=bool)
    circle = Circle(0.0, 0.0, 1.0)
    middle = float(x.mean()), float(y.mean())
    for _ in range(2):
        dx, dy = x[kept] - middle[0], y[kept] - middle[1]
        design = np.stack((2 * dx, 2 * dy, np.ones(dx.size)), axis=1)
        (a, b, c), *_ = np.linalg.lstsq(design, dx * dx + dy * dy, rcond=None)
        circle = Circle(float(a) + middle[0], float(b) + middle[1], float(np.sqrt(max(c + a * a + b * b, 0.0))))
        away = np.abs(circle.distance(x, y))
        kept = away <= 3 * 1.4826 * float(np.median(away)) + 1e-6
        if np.count_nonzero(kept) < MIN_SECTORS:
            break
    return circle


def _enclosing(x: Floats, y: Floats) -> Circle:
    """Return a circle around all points: its centre moves to the farthest by ever smaller steps (Badoiu & Clarkson)."""
    centre = np.array([(x.min() + x.max()) / 2, (y.min() + y.max()) / 2])
    away = np.hypot(x - centre[0], y - centre[1])
    outer = np.flatnonzero(away >= np.percentile(away, 98)) if x.size > 5000 else np.arange(x.size)
    outer = outer[_corners(x[outer], y[outer])]  # wherever the centre is, the farthest is one of them
    for step in range(1, 3000):
        far = outer[int(np.argmax(np.hypot(x[outer] - centre[0], y[outer] - centre[1])))]
        centre += (np.array([x[far], y[far]]) - centre) / (step + 1)
    return Circle(float(centre[0]), float(centre[1]), float(np.hypot(x - centre[0], y - centre[1]).max()))


def _corners(x: Floats, y: Floats) -> list[int]:
    """Return the numbers of the points at the corners of the convex hull of all (Andrew's monotone chain)."""
    order = np.lexsort((y, x)).tolist()
    places = list(zip(x.tolist(), y.tolist(), strict=True))
    corners: list[int] = []
    for side in (order, order[::-1]):
        chain: list[int] = []
        for point in side:
            while len(chain) > 1 and not _turns_left(places[chain[-2]], places[chain[-1]], places[point]):
                chain.pop()
            chain.append(point)
        corners += chain[:-1]
    return corners or order[:1]


def _turns_left(one: tuple[float, float], two: tuple[float, float], three: tuple[float, float]) -> bool:
    return (two[0] - one[0]) * (three[1] - one[1]) > (two[1] - one[1]) * (three[0] - one[0])
