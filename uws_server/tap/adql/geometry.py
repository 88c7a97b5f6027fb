"""The functions of the sky: conditions on distances and regions, written so that an index on declination helps.

A circle, or the circle around a region, becomes a band of declination and ranges of right ascension, which the index
over (dec, ra) answers, and the exact condition. Distances by the haversine formula, which is exact for small ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from sqlglot import exp

from uws_server.tap.adql import bands, healpix, shapes, sphere
from uws_server.tap.adql.context import QueryContext
from uws_server.tap.adql.functions import Function
from uws_server.tap.adql.operators import as_number, numeral
from uws_server.tap.adql.values import Number, Shape, Value, flag, number, text
from uws_server.tap.tables import ColumnDescription

_EDGES_AS_CONDITIONS: Final = 16
"""Up to so many edges of a convex polygon are conditions of their own; of more edges a function asks."""

_RANGES_AS_CONDITIONS: Final = 60
"""Up to so many ranges of cells are conditions that an index answers; of more a function asks behind coarser ones."""


def half_chord(context: QueryContext, one: Shape, other: Shape) -> str:
    """Return the SQL of the square of half the chord between two points: sin^2 of half the distance."""
    ra1, dec1 = shapes.coordinates(context, one)
    ra2, dec2 = shapes.coordinates(context, other)
    across = f"sin(radians(({ra1}) - ({ra2})) / 2)"
    along = f"sin(radians(({dec1}) - ({dec2})) / 2)"
    return f"({along} * {along} + cos(radians({dec1})) * cos(radians({dec2})) * {across} * {across})"


def distance_between(context: QueryContext, one: Shape, other: Shape) -> Value:
    """Return the distance between two points, degrees."""
    backend = context.backend
    root = f"sqrt({half_chord(context, one, other)})"
    sql = f"degrees(2 * asin({backend.smallest(backend.real(1.0), root)}))"
    value = number(sql, unit="deg")
    return Value(value.sql, value.kind, value.about, apart=(one, other))


def within(context: QueryContext, one: Shape, other: Shape, radius: Value, strictly: bool = False) -> str:
    """Return the condition that two points are no further apart than a radius, degrees; or nearer, if strictly."""
    backend, sign = context.backend, "<" if strictly else "<="
    chord = half_chord(context, one, other)
    if isinstance(radius.literal, Number):
        if radius.literal >= 180:
            return f"{chord} {sign} {backend.real(1.0 if radius.literal == 180 else 2.0)}"
        most = math.sin(math.radians(float(radius.literal)) / 2) ** 2
        exact = f"{chord} {sign} {backend.real(most)}" if radius.literal >= 0 else f"{chord} < 0"
        return _and([*bands.within(context, one, other, float(radius.literal)), exact])
    half = f"sin(radians({radius.sql}) / 2)"
    dec1, dec2 = shapes.coordinates(context, one)[1], shapes.coordinates(context, other)[1]
    reach = f"({radius.sql} + {backend.real(bands.MARGIN_DEG)})"
    near = [f"{a} BETWEEN ({b}) - {reach} AND ({b}) + {reach}" for a, b in ((dec1, dec2), (dec2, dec1))]
    return _and([*near, f"{radius.sql} >= 0", f"{chord} {sign} {half} * {half}"])


def contains(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    """Return CONTAINS(inner, outer)."""
    inner, outer = _regions(context, node, arguments)
    if inner.name == "POINT":
        return flag(_holds(context, node, inner, outer))
    kinds = ("moc" if inner.name == "MOC" else "region", "moc" if outer.name == "MOC" else "region")
    if kinds == ("region", "region"):
        function, texts = "adql_contains", (shapes.text_of_shape(context, node, shape) for shape in (outer, inner))
    else:
        function, texts = f"adql_{kinds[0]}_in_{kinds[1]}", (shapes.stored(context, shape) for shape in (inner, outer))
    near = bands.between(context, node, outer, inner)
    return flag(_and([*near, f"{context.backend.call(function, *texts)} = 1"]))


def intersects(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    """Return INTERSECTS(one, other), which of a point and a region is CONTAINS."""
    one, other = _regions(context, node, arguments)
    if one.name == "POINT" or other.name == "POINT":
        return flag(_holds(context, node, *((one, other) if one.name == "POINT" else (other, one))))
    if one.name == "MOC":
        one, other = other, one
    function = "adql_mocs_meet" if one.name == "MOC" else "adql_meets_moc" if other.name == "MOC" else "adql_intersects"
    texts = [shapes.stored(context, shape) for shape in (one, other)]
    near = bands.between(context, node, one, other)
    return flag(_and([*near, f"{context.backend.call(function, *texts)} = 1"]))


def _holds(context: QueryContext, node: exp.Expr, point: Shape, outer: Shape) -> str:
    """Return the condition that a point lies in a region."""
    if outer.name == "CIRCLE":
        return within(context, point, Shape("POINT", outer.numbers[:2]), outer.numbers[2])
    if outer.name == "POINT":
        return within(context, point, outer, numeral(context, 0.0, node))
    if outer.name == "MOC":
        return _in_moc(context, point, outer)
    ra, dec = shapes.coordinates(context, point)
    constants = outer.constants
    if constants is not None and point.constants is None:
        return _and(_in_polygon(context, point, outer, sphere.region("POLYGON", constants)))
    near = bands.between(context, node, outer, point)
    return _and([*near, f"{context.backend.call('adql_in_region', ra, dec, outer.text)} = 1"])


def _in_polygon(context: QueryContext, point: Shape, outer: Shape, polygon: sphere.Region) -> list[str]:
    """Return the conditions that a point lies in a polygon of the query: of a convex one by the side of each edge."""
    assert isinstance(polygon, sphere.Polygon)
    real = context.backend.real
    ra, dec = shapes.coordinates(context, point)
    near = bands.around(context, point, *sphere.bounds(polygon))
    edges = sphere.half_spaces(polygon) if len(polygon.vertices) <= _EDGES_AS_CONDITIONS else None
    if edges is None:
        return [*near, f"{context.backend.call('adql_in_region', ra, dec, outer.text)} = 1"]
    across = f"cos(radians({dec})) * ({{}} * cos(radians({ra})) + {{}} * sin(radians({ra})))"
    sides = [f"{across.format(real(x), real(y))} + {real(z)} * sin(radians({dec})) >= 0" for x, y, z in edges]
    return [*near, *sides]


def _in_moc(context: QueryContext, point: Shape, moc: Shape) -> str:
    """Return the condition that a point lies in a MOC: by ranges of the column of cells, if there is one.

    Where it has many ranges, rows are looked for in coarser ones and then in the MOC itself.
    """
    indexed, most = shapes.position_of(point), _RANGES_AS_CONDITIONS
    coarse: list[str] = []
    if indexed is None or indexed[1].healpix is None:
        cell = context.backend.call("adql_cell", str(healpix.DEEPEST), *shapes.coordinates(context, point))
    else:
        cell = f"{indexed[0]}.{context.backend.quoted(indexed[1].healpix)}"
        coarse = [_within_cells(cell, healpix.coarse(moc.ranges, most))] if moc.ranges else []
        if coarse and len(moc.ranges) <= most:
            return coarse[0]
    if context.backend.is_sqlite or not moc.ranges:
        return _and([*coarse, f"{context.backend.call('adql_in_moc', cell, moc.text)} = 1"])
    return _and([*coarse, f"{context.backend.call('adql_in_ranges', cell, shapes.stored(context, moc))} = 1"])


def _within_cells(cell: str, ranges: Sequence[tuple[int, int]]) -> str:
    return f"({' OR '.join(f'{cell} BETWEEN {first} AND {last}' for first, last in ranges)})"


def _regions(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> tuple[Shape, Shape]:
    """Return the two shapes of a predicate; text of a column is read as a region."""
    found = []
    for value in arguments:
        if value.shape is None:
            raise context.error("CONTAINS and INTERSECTS take regions: POINT, CIRCLE, POLYGON, BOX, REGION, MOC or "
                                "a column of regions", node)  # fmt: skip
        found.append(value.shape)
    return found[0], found[1]


def _distance(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    if len(arguments) not in (2, 4):
        raise context.error("DISTANCE takes two points, or four numbers: ra1, dec1, ra2, dec2", node)
    if len(arguments) == 4:
        one, other = (shapes.point(context, node, pair) for pair in (arguments[:2], arguments[2:]))
    else:
        one, other = arguments
    if one.shape is None or other.shape is None or not {one.shape.name, other.shape.name} <= {"POINT", "REGION"}:
        raise context.error("DISTANCE takes two points, or four numbers: ra1, dec1, ra2, dec2", node)
    return distance_between(context, one.shape, other.shape)


def _area(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    shape = _shape(context, node, arguments[0], "AREA")
    constants = shape.constants
    if constants is not None:
        return numeral(context, sphere.area(sphere.region(shape.name, constants)), node)
    return number(context.backend.call("adql_area", shapes.text_of_shape(context, node, shape)), unit="deg2")


def _centroid(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    shape = _shape(context, node, arguments[0], "CENTROID")
    if shape.name in ("POINT", "CIRCLE"):
        return shapes.shaped(context, node, "POINT", shape.numbers[:2])
    sql = context.backend.call("adql_centroid", shapes.text_of_shape(context, node, shape))
    about = ColumnDescription("", "char", "*", xtype="adql:REGION")
    return Value(sql, "shape", about, shape=Shape("REGION", text=sql))


def _coordinate(which: int) -> Function:
    def build(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
        shape = _shape(context, node, arguments[0], f"COORD{which + 1}")
        if shape.name == "POINT":
            return shape.numbers[which]
        if shape.name != "REGION":
            raise context.error(f"COORD{which + 1} takes a point", node)
        return number(shapes.coordinates(context, shape)[which], unit="deg")

    return Function(1, 1, build)


def _frame(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    _shape(context, node, arguments[0], "COORDSYS")
    return text(context.bind("ICRS"))


def _shape(context: QueryContext, node: exp.Expr, value: Value, name: str) -> Shape:
    if value.shape is None:
        as_number(context, value, node)
        raise context.error(f"{name} takes a region", node)
    return value.shape


def _and(conditions: Sequence[str]) -> str:
    return conditions[0] if len(conditions) == 1 else f"({' AND '.join(conditions)})"


GEOMETRY: Final[Mapping[str, Function]] = {
    "POINT": Function(2, 3, shapes.point),
    "CIRCLE": Function(2, 4, shapes.circle),
    "BOX": Function(3, 5, shapes.box),
    "POLYGON": Function(3, 20_001, shapes.polygon),
    "REGION": Function(1, 1, shapes.region),
    "MOC": Function(1, 1, shapes.moc),
    "CONTAINS": Function(2, 2, contains),
    "INTERSECTS": Function(2, 2, intersects),
    "DISTANCE": Function(2, 4, _distance),
    "AREA": Function(1, 1, _area),
    "CENTROID": Function(1, 1, _centroid),
    "COORD1": _coordinate(0),
    "COORD2": _coordinate(1),
    "COORDSYS": Function(1, 1, _frame),
}
"""The functions of the sky by name."""
