"""Conditions on ObsCore rows as a query in ADQL 2.1 over ivoa.obscore, for who wants to ask more than a form does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from uws_server.discovery.conditions import CentredIn, Condition, Covers, HasState, Interval, OneOf, Overlaps, Within
from uws_server.discovery.sphere import Circle, Polygon, Shape


def query(conditions: Sequence[Condition], most: int) -> str:
    """Return the query for at most so many rows that fulfil all conditions.

    Raise ValueError for a condition that ADQL has no words for: a range on the sky.
    """
    parts = [text for condition in conditions for text in _parts(condition)]
    lines = [f"SELECT TOP {most} *", "FROM ivoa.obscore"]
    lines += [f"{'WHERE' if number == 0 else '  AND'} {part}" for number, part in enumerate(parts)]
    return "\n".join(lines)


def _parts(condition: Condition) -> list[str]:
    """Return the texts of a condition, all of which must hold."""
    match condition:
        case Covers(shapes):
            return [_any(f"1 = INTERSECTS(s_region, {_shape(shape)})" for shape in shapes)]
        case CentredIn(ra, dec, radius):
            return [f"DISTANCE(s_ra, s_dec, {ra!r}, {dec!r}) <= {radius!r}"]
        case Overlaps(low, high, intervals):
            return [_any(_overlap(low, high, each) for each in intervals)]
        case Within(column, intervals):
            return [_any(_overlap(column, column, each) for each in intervals)]
        case OneOf(column, texts):
            return [f"LOWER({column}) IN ({', '.join(_quoted(text) for text in sorted(texts))})"]
        case HasState(column, states):
            return [_any(f"{column} LIKE {_quoted(f'%/{state}/%')}" for state in sorted(states))]
    raise ValueError(f"{type(condition).__name__} has no words in ADQL")


def _overlap(low: str, high: str, wanted: Interval) -> str:
    parts = [f"{low} <= {wanted.high!r}"] if math.isfinite(wanted.high) else []
    parts += [f"{high} >= {wanted.low!r}"] if math.isfinite(wanted.low) else []
    return " AND ".join(parts) or f"{low} IS NOT NULL"


def _shape(shape: Shape) -> str:
    if isinstance(shape, Circle):
        return f"CIRCLE({shape.ra!r}, {shape.dec!r}, {shape.radius!r})"
    if isinstance(shape, Polygon):
        return f"POLYGON({', '.join(repr(number) for corner in shape.corners for number in corner)})"
    raise ValueError("a range on the sky has no words in ADQL")


def _any(texts: Iterable[str]) -> str:
    found = list(texts)
    return found[0] if len(found) == 1 else f"({' OR '.join(f'({text})' for text in found)})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
