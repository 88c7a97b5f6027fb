"""Conditions on declination and right ascension that hold wherever two shapes have a place in common.

They lose no row, and an index answers them; the exact condition stands behind them. Imports the shapes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from uws_server.tap.adql import overlap, shapes, sphere
from uws_server.tap.adql.context import QueryContext
from uws_server.tap.adql.operators import numeral
from uws_server.tap.adql.values import Number, Shape, number

MARGIN_DEG: Final = 1e-9
"""By how much a band is wider than the region, so that no row is lost to rounding."""

_CIRCLES_OF_MOC: Final = 8
"""A MOC is looked for in so many circles around parts of it."""

_MOST_ZONES: Final = 64
"""Zones that are looked into one by one; for more, the index over declination does as well."""


@dataclass(frozen=True)
class _Extent:
    """A circle around a shape: its centre, and its radius, as SQL where it is another one for each row.

    `size` is the SQL of the number of the size that a row's region has, `reaches_deg` how far each reaches; '' for a
    shape that has no index.
    """

    centre: Shape
    reach_deg: float = 0.0
    reach: str = ""
    size: str = ""
    reaches_deg: tuple[float, ...] = ()


def between(context: QueryContext, node: exp.Expr, one: Shape, other: Shape) -> list[str]:
    """Return the bands in which two shapes stand that have a place in common; none if nobody knows their extent."""
    first, second = _extents(context, node, one), _extents(context, node, other)
    found = []
    for left in first:
        for right in second:
            if left.centre.constants and right.centre.constants:
                return []
            found += [_all(each) for each in _pairs(context, left, right)]
    return [_any(found)] if found else []


def _pairs(context: QueryContext, one: _Extent, other: _Extent) -> list[list[str]]:
    """Return the alternatives in one of which two shapes stand: for each size that regions of rows have."""
    if not one.size and not other.size:
        return [within(context, one.centre, other.centre, one.reach_deg + other.reach_deg)]
    sized, plain = (one, other) if one.size else (other, one)
    found = []
    for size, most in enumerate(sized.reaches_deg):
        conditions = [f"{sized.size} = {size}"]
        if most < 180 and plain.reach:
            reach = f"({plain.reach} + {context.backend.real(most + MARGIN_DEG)})"
            conditions += _alike(context, sized.centre, plain.centre, reach)
        elif most < 180:
            conditions += within(context, sized.centre, plain.centre, most + plain.reach_deg)
        found.append(conditions)
    if plain.size:  # the circle of which nobody may know
        found.append([f"{plain.size} = {len(plain.reaches_deg) - 1}"])
    return found


def within(context: QueryContext, one: Shape, other: Shape, radius_deg: float) -> list[str]:
    """Return the conditions on declination, and right ascension, that hold for all points within a radius."""
    for moving, fixed in ((one, other), (other, one)):
        place = fixed.constants
        if place is not None and moving.constants is None and moving.name == "POINT":
            return around(context, moving, place[0], place[1], radius_deg)
    return _alike(context, one, other, context.backend.real(max(0.0, radius_deg) + MARGIN_DEG))


def _alike(context: QueryContext, one: Shape, other: Shape, reach: str) -> list[str]:
    """Return the conditions that two declinations are no further apart than a reach: for an index of either."""
    dec1, dec2 = shapes.coordinates(context, one)[1], shapes.coordinates(context, other)[1]
    return [f"{a} BETWEEN ({b}) - {reach} AND ({b}) + {reach}" for a, b in ((dec1, dec2), (dec2, dec1))]


def around(context: QueryContext, point: Shape, ra_deg: float, dec_deg: float, radius_deg: float) -> list[str]:
    """Return conditions that hold for every point within a radius of a place, degrees.

    Right ascensions of the table may count from 0 to 360 or from -180 to 180.
    """
    real, reach = context.backend.real, max(0.0, radius_deg) + MARGIN_DEG
    ra, dec = shapes.coordinates(context, point)
    conditions = [f"{dec} BETWEEN {real(dec_deg - reach)} AND {real(dec_deg + reach)}"]
    zones = _zones(context, point, dec_deg - reach, dec_deg + reach)
    if abs(dec_deg) + reach < 89.9:
        side = math.degrees(math.asin(math.sin(math.radians(reach)) / math.cos(math.radians(dec_deg)))) + MARGIN_DEG
        if side < 90:
            middle = ra_deg % 360
            turns = [0.0] + [-360.0] * (middle + side >= 180) + [360.0] * (middle - side < 0)
            ranges = [f"{ra} BETWEEN {real(middle - side + turn)} AND {real(middle + side + turn)}" for turn in turns]
            conditions.append(_any([_all([*zones, each]) for each in ranges]))
    return conditions


def _zones(context: QueryContext, point: Shape, low_deg: float, high_deg: float) -> list[str]:
    """Return the condition that a point is in one of the zones of some declinations; none if there is no index."""
    indexed = shapes.position_of(point)
    if indexed is None or indexed[1].zone is None:
        return []
    alias, zone, per_deg = indexed[0], indexed[1].zone, indexed[1].zones_per_deg
    low, high = (math.floor((deg + 90) * per_deg) for deg in (low_deg, high_deg))
    if high - low >= _MOST_ZONES:
        return []
    return [f"{alias}.{context.backend.quoted(zone)} IN ({', '.join(map(str, range(low, high + 1)))})"]


def _extents(context: QueryContext, node: exp.Expr, shape: Shape) -> list[_Extent]:
    """Return circles that hold a shape together; none if nobody knows any."""
    constants, index = shape.constants, shape.origin.region_index if shape.origin is not None else None
    if constants is not None:
        return [_told(context, node, *sphere.bounds(sphere.region(shape.name, constants)))]
    if shape.ranges:
        return [_told(context, node, *circle) for circle in overlap.circles(shape.ranges, _CIRCLES_OF_MOC)]
    if shape.name == "POINT":
        return [_Extent(shape)]
    if shape.name == "CIRCLE" and isinstance(shape.numbers[2].literal, Number):
        return [_Extent(Shape("POINT", shape.numbers[:2]), float(shape.numbers[2].literal))]
    if shape.origin is not None and index is not None:
        names = (index.ra, index.dec, index.radius, index.size)
        ra, dec, radius, size = (f"{shape.origin.alias}.{context.backend.quoted(name)}" for name in names)
        return [_Extent(Shape("POINT", (number(ra), number(dec))), 0.0, radius, size, index.reaches_deg)]
    return []


def _told(context: QueryContext, node: exp.Expr, ra_deg: float, dec_deg: float, radius_deg: float) -> _Extent:
    """Return the extent of a shape that the query tells."""
    return _Extent(Shape("POINT", (numeral(context, ra_deg, node), numeral(context, dec_deg, node))), radius_deg)


def _all(conditions: Sequence[str]) -> str:
    return conditions[0] if len(conditions) == 1 else f"({' AND '.join(conditions)})"


def _any(conditions: Sequence[str]) -> str:
    return conditions[0] if len(conditions) == 1 else f"({' OR '.join(conditions)})"
