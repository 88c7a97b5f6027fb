"""POINT, CIRCLE, BOX, POLYGON, REGION and MOC of a query as shapes, checked as far as the query tells their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

from sqlglot import exp

from uws_server.tap.adql import healpix, sphere
from uws_server.tap.adql.context import QueryContext
from uws_server.tap.adql.operators import as_number, numeral, precise, words
from uws_server.tap.adql.values import Kind, Shape, Value
from uws_server.tap.tables import ColumnDescription, Position

_FRAMES: Final = ("", "ICRS", "FK5", "J2000", "UNKNOWNFRAME", "UNKNOWN")
_REGION: Final = ColumnDescription("", "char", "*", xtype="adql:REGION")
_WRITTEN: Final = {"POINT": "Position", "CIRCLE": "Circle", "POLYGON": "Polygon"}
_KIND: Final[Kind] = "shape"


def point(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    """Return POINT(ra, dec), with a frame before it or without."""
    numbers = _numbers(context, node, _without_frame(context, node, arguments), "POINT", 2)
    return shaped(context, node, "POINT", numbers)


def circle(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    """Return CIRCLE(ra, dec, radius) or CIRCLE(point, radius)."""
    numbers = _numbers(context, node, _flat(context, _without_frame(context, node, arguments)), "CIRCLE", 3)
    return shaped(context, node, "CIRCLE", numbers)


def box(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    """Return BOX(ra, dec, width, height), which is a polygon; its numbers must be told by the query."""
    numbers = _numbers(context, node, _flat(context, _without_frame(context, node, arguments)), "BOX", 4)
    constants = Shape("POLYGON", numbers).constants
    if constants is None:
        sql = text_of(context, "Box", numbers)
        return Value(sql, _KIND, _REGION, shape=Shape("REGION", text=sql))
    corners = _checked(context, node, "BOX", constants)
    return shaped(context, node, "POLYGON", tuple(numeral(context, corner, node) for corner in corners))


def polygon(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    """Return POLYGON of three vertices or more, as numbers or as points."""
    numbers = _flat(context, _without_frame(context, node, arguments))
    if len(numbers) % 2 or len(numbers) < 6:
        raise context.error(f"POLYGON takes three vertices or more, two numbers each; {len(numbers)} came", node)
    return shaped(context, node, "POLYGON", _numbers(context, node, numbers, "POLYGON", len(numbers)))


def region(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    """Return REGION('...') of STC-S, or of a text in the database."""
    source = arguments[0]
    if source.kind != "text":
        raise context.error(f"REGION takes text, such as 'CIRCLE ICRS 10 20 0.5'; this is {words(source)}", node)
    if not isinstance(source.literal, str):
        return Value(source.sql, _KIND, _REGION, shape=Shape("REGION", text=source.sql))
    try:
        name, numbers = sphere.parse(source.literal)
        sphere.region(name, numbers)
    except ValueError as error:
        raise context.error(f"REGION: {error}; write such as 'CIRCLE ICRS 10 20 0.5'", node) from error
    values = tuple(numeral(context, number, node) for number in numbers)
    if name == "BOX":
        return box(context, node, values)
    return shaped(context, node, "POINT" if name == "POINT" else "CIRCLE" if name == "CIRCLE" else "POLYGON", values)


def moc(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    """Return MOC('3/1-4 5/20'), the cells of a MOC in ASCII."""
    source = arguments[0].literal
    if not isinstance(source, str):
        raise context.error("MOC takes a MOC in ASCII as a string, such as MOC('3/1-4 5/20')", node)
    try:
        ranges = healpix.moc_ranges(source)
    except ValueError as error:
        raise context.error(f"MOC: {error}", node) from error
    shape = Shape("MOC", text=context.bind(source), ranges=ranges)
    return Value(shape.text, _KIND, ColumnDescription("", "char", "*", xtype="moc"), shape=shape)


def shaped(
    context: QueryContext, node: exp.Expr, name: Literal["POINT", "CIRCLE", "POLYGON"], numbers: tuple[Value, ...]
) -> Value:
    """Return a shape of numbers; raise AdqlError if the query tells them and they are no such shape."""
    shape = Shape(name, numbers)
    constants = shape.constants
    if constants is not None:
        _checked(context, node, name, constants)
        written = " ".join(repr(number) for number in constants)
        sql = context.bind(f"{_WRITTEN[name]} ICRS {written}")
    else:
        sql = text_of(context, _WRITTEN[name], numbers)
    return Value(sql, _KIND, _REGION, shape=replace(shape, text=sql))


def text_of(context: QueryContext, name: str, numbers: Sequence[Value]) -> str:
    """Return the SQL of a region as text, which is NULL where its numbers are none of a region."""
    terms = [context.backend.cast(number.sql, "double") for number in numbers]
    if context.backend.is_sqlite:
        return context.backend.call("adql_text", f"'{name}'", *terms)
    return context.backend.call("adql_text", f"'{name}'", f"ARRAY[{', '.join(terms)}]")


def text_of_shape(context: QueryContext, node: exp.Expr, shape: Shape) -> str:
    """Return the SQL of a shape as text; raise AdqlError for a MOC."""
    if shape.name == "MOC":
        raise context.error("a MOC goes with CONTAINS and INTERSECTS only", node)
    return shape.text


def stored(context: QueryContext, shape: Shape) -> str:
    """Return the SQL of a shape as the functions of the database take it: a MOC for PostgreSQL as its ranges."""
    if shape.name != "MOC" or context.backend.is_sqlite:
        return shape.text
    if not shape.ranges:
        return context.backend.call("adql_ranges", shape.text)
    # read once, not for each row
    return f"(SELECT CAST({context.bind(healpix.written(shape.ranges))} AS bigint[]))"


def coordinates(context: QueryContext, shape: Shape) -> tuple[str, str]:
    """Return the SQL of right ascension and declination of a point."""
    if shape.name == "POINT":
        return precise(context, shape.numbers[0]), precise(context, shape.numbers[1])
    first, second = (context.backend.call("adql_coordinate", shape.text, number) for number in ("1", "2"))
    return first, second


def position_of(shape: Shape) -> tuple[str, Position] | None:
    """Return the alias of the table and the indexed position that a point is, or None."""
    origins = [number.origin for number in shape.numbers[:2]]
    if shape.name not in ("POINT", "CIRCLE") or origins[0] is None or origins[1] is None:
        return None
    ra, dec = origins[0], origins[1]
    found = [position for position in ra.positions if (position.ra, position.dec) == (ra.column, dec.column)]
    return (ra.alias, found[0]) if found and ra.alias == dec.alias else None


def _checked(context: QueryContext, node: exp.Expr, name: str, numbers: Sequence[float]) -> tuple[float, ...]:
    """Return the corners of a BOX, or the numbers themselves; raise AdqlError if they are no region."""
    try:
        sphere.region(name, numbers)
        return sphere.box_corners(*numbers) if name == "BOX" else tuple(numbers)
    except ValueError as error:
        raise context.error(str(error), node) from error


def _without_frame(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Sequence[Value]:
    """Return the arguments without the frame before them, which ADQL 2.0 wanted; raise AdqlError if it is not ICRS."""
    if not arguments or arguments[0].kind != "text":
        return arguments
    frame = arguments[0].literal
    if not isinstance(frame, str) or frame.split(" ")[0].upper() not in _FRAMES:
        raise context.error(f"positions are in ICRS; the frame {str(frame)[:40]!r} is not read", node)
    return arguments[1:]


def _flat(context: QueryContext, arguments: Sequence[Value]) -> tuple[Value, ...]:
    """Return the arguments with the numbers of each point in its place."""
    numbers: list[Value] = []
    for argument in arguments:
        shape = argument.shape
        if shape is not None and shape.name == "POINT":
            numbers += shape.numbers
        elif shape is not None and shape.name == "REGION":
            double = ColumnDescription("", "double")
            numbers += (Value(sql, "number", double) for sql in coordinates(context, shape))
        else:
            numbers.append(argument)
    return tuple(numbers)


def _numbers(
    context: QueryContext, node: exp.Expr, values: Sequence[Value], name: str, wanted: int
) -> tuple[Value, ...]:
    if len(values) != wanted:
        raise context.error(f"{name} takes {wanted} numbers, in degrees; {len(values)} came", node)
    return tuple(as_number(context, value, node) for value in values)
