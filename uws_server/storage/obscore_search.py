"""The products that may fulfil conditions on their ObsCore rows, by the table of these rows: few to look at one by one.

What is told here is a first choice: a place is a box of right ascension and declination, wider than any field of view
asks for. Imports the conditions and the tables.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from uws_server.discovery.conditions import CentredIn, Condition, Covers, HasState, Interval, OneOf, Overlaps, Within
from uws_server.discovery.sphere import Circle, Polygon, Shape
from uws_server.storage.database import reading
from uws_server.storage.tables import jobs, results
from uws_server.storage.tap_rows import PUBLIC
from uws_server.storage.tap_tables import TEXTS, tap_obscore

MOST: Final = 20_000
"""The most products that are told: of more, all rows are looked at."""
_ROWS: Final = tap_obscore.c
_MARGIN_DEG: Final = 3.0
"""How far a product may reach from its position whose field of view is smaller than that, degrees."""


@dataclass(frozen=True)
class Chosen:
    """Products by where they are: ids of results by their jobs, newest job first, and keys of files of the archive."""

    results: dict[str, set[str]]
    archive: list[int]


def chosen(engine: sa.Engine, conditions: Sequence[Condition], owners: Collection[str | None] | None) -> Chosen | None:
    """Return the products of some owners (None: of all) and of the archive that may fulfil all conditions.

    Return None if they are more than are told.
    """
    wanted = sa.and_(sa.true(), *(_sql(condition) for condition in conditions))
    mine = sa.true() if owners is None else _ROWS.uws_owner.in_({owner or "" for owner in owners})
    of_jobs = sa.select(results.c.job_id, _ROWS.uws_result).where(wanted, mine, _ROWS.uws_result.is_not(None))
    of_jobs = of_jobs.join(results, results.c.id == _ROWS.uws_result).join(jobs, jobs.c.id == results.c.job_id)
    of_jobs = of_jobs.order_by(jobs.c.created.desc(), jobs.c.id.desc()).limit(MOST + 1)
    archived = sa.select(_ROWS.uws_archive).where(wanted, _ROWS.uws_owner == PUBLIC, _ROWS.uws_archive.is_not(None))
    with reading(engine).connect() as connection:
        found = connection.execute(of_jobs).all()
        keys = list(connection.execute(archived.order_by(_ROWS.uws_archive).limit(MOST + 1)).scalars())
    if len(found) > MOST or len(keys) > MOST:
        return None
    by_job: dict[str, set[str]] = {}
    for job_id, result_id in found:
        by_job.setdefault(job_id, set()).add(result_id)
    return Chosen(by_job, keys)


def _sql(condition: Condition) -> sa.ColumnElement[bool]:
    """Return what holds at least of the rows that fulfil a condition."""
    match condition:
        case Covers(shapes):
            return sa.or_(sa.false(), *(_box(shape) for shape in shapes))
        case CentredIn(ra, dec, radius):
            return _box(Circle(ra, dec, radius))
        case Overlaps(low, high, intervals):
            return _any(low, high, intervals)
        case Within(column, intervals):
            return _any(column, column, intervals)
        case OneOf(column, texts) if column in TEXTS and column != "obs_publisher_did" and all(map(str.isascii, texts)):
            return sa.func.lower(sa.func.trim(_ROWS[column])).in_(sorted(texts))
        case HasState(column, _):
            return _ROWS[column].is_not(None)
    return sa.true()


def _any(low: str, high: str, intervals: Sequence[Interval]) -> sa.ColumnElement[bool]:
    parts = []
    for each in intervals:
        bounds: list[Any] = [_ROWS[low].is_not(None), _ROWS[high].is_not(None)]
        bounds += [_ROWS[low] <= each.high] if math.isfinite(each.high) else []
        bounds += [_ROWS[high] >= each.low] if math.isfinite(each.low) else []
        parts.append(sa.and_(*bounds))
    return sa.or_(sa.false(), *parts)


def _box(shape: Shape) -> sa.ColumnElement[bool]:
    """Return that a row may cover a part of a shape: its position is near it, or it is large, or has no position."""
    no_size = sa.and_(_ROWS.s_fov.is_(None), _ROWS.s_region.is_not(None))
    unknown = sa.or_(_ROWS.s_dec.is_(None), _ROWS.s_ra.is_(None), _ROWS.s_fov > _MARGIN_DEG, no_size)
    if not isinstance(shape, Circle | Polygon):
        return sa.or_(unknown, _ROWS.s_dec.between(shape.south - _MARGIN_DEG, shape.north + _MARGIN_DEG))
    x, y, z = shape.centre if isinstance(shape, Circle) else shape.middle
    ra, dec = math.degrees(math.atan2(y, x)) % 360, math.degrees(math.asin(max(-1.0, min(1.0, z))))
    reach = (shape.radius if isinstance(shape, Circle) else shape.reach) + _MARGIN_DEG
    near: list[sa.ColumnElement[bool]] = [_ROWS.s_dec.between(dec - reach, dec + reach)]
    if abs(dec) + reach < 89 and (width := _width(dec, reach)) < 180:
        low, high = (ra - width) % 360, (ra + width) % 360
        inside = _ROWS.s_ra.between(low, high)
        near.append(inside if low <= high else sa.or_(_ROWS.s_ra >= low, _ROWS.s_ra <= high))
    return sa.or_(unknown, sa.and_(*near))


def _width(dec: float, reach: float) -> float:
    """Return how far in right ascension the points within some degrees of a declination are at most, degrees."""
    ratio = math.sin(math.radians(reach)) / math.cos(math.radians(dec))
    return 180.0 if ratio >= 1 else math.degrees(math.asin(ratio)) + 1e-6
