"""The functions that the IVOA gives to all services, of one row; those of many rows are in `aggregates`.

Source: the catalogue of user-defined functions of ADQL (IVOA Endorsed Note, 2021), with the words it has for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlglot import exp

from uws_server.tap.adql import healpix, shapes
from uws_server.tap.adql.context import QueryContext
from uws_server.tap.adql.functions import Function
from uws_server.tap.adql.operators import as_number, as_text, comparable
from uws_server.tap.adql.patterns import like
from uws_server.tap.adql.values import Shape, Value, flag, number
from uws_server.tap.tables import ColumnDescription


def _hashlist_has(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    """Return whether a list with # between has an item, whatever the case."""
    items, item = (f"'#' || lower({as_text(context, value, node).sql}) || '#'" for value in arguments)
    place = f"instr({items}, {item})" if context.backend.is_sqlite else f"strpos({items}, {item})"
    return flag(f"{place} > 0")


def _has_word(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    haystack, needle = (as_text(context, value, node).sql for value in arguments)
    return flag(f"{context.backend.call('adql_has_word', haystack, needle)} = 1")


def _looks_like(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    subject, pattern = (as_text(context, value, node) for value in arguments)
    return flag(like(context, subject, pattern, ilike=True))


def _cell(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    """Return the cell of a position: shifted from the column of cells, if there is one."""
    order = as_number(context, arguments[0], node)
    place = arguments[1].shape if len(arguments) == 2 else shapes.point(context, node, arguments[1:]).shape
    if not order.is_integer or place is None or place.name not in ("POINT", "REGION"):
        raise context.error("IVO_HEALPIX_INDEX takes an order and a point, or an order, ra and dec", node)
    if isinstance(order.literal, int) and not 0 <= order.literal <= healpix.DEEPEST:
        raise context.error(f"the order of a cell lies between 0 and {healpix.DEEPEST}", node)
    indexed = shapes.position_of(place)
    if indexed is not None and indexed[1].healpix is not None and isinstance(order.literal, int):
        column = f"{indexed[0]}.{context.backend.quoted(indexed[1].healpix)}"
        return number(f"({column} >> {2 * (healpix.DEEPEST - order.literal)})", "long")
    ra, dec = shapes.coordinates(context, place)
    return number(context.backend.call("adql_cell", order.sql, ra, dec), "long")


def _cell_centre(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    order, index = (as_number(context, value, node) for value in arguments)
    return _point(context.backend.call("adql_cell_centre", order.sql, context.backend.cast(index.sql, "long")))


def _overlaps(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    low1, high1, low2, high2 = arguments
    first, second = comparable(context, low1, high2, node), comparable(context, low2, high1, node)
    return flag(f"({first[0]} <= {first[1]} AND {second[0]} <= {second[1]})")


def _moved(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    terms = [context.backend.cast(as_number(context, value, node).sql, "double") for value in arguments]
    return _point(context.backend.call("adql_moved", *terms))


def _point(sql: str) -> Value:
    about = ColumnDescription("", "char", "*", xtype="adql:REGION")
    return Value(sql, "shape", about, shape=Shape("REGION", text=sql))


IVO: Final[Mapping[str, Function]] = {
    "IVO_HASHLIST_HAS": Function(2, 2, _hashlist_has),
    "IVO_HASWORD": Function(2, 2, _has_word),
    "IVO_NOCASEMATCH": Function(2, 2, _looks_like),
    "IVO_HEALPIX_INDEX": Function(2, 3, _cell),
    "IVO_HEALPIX_CENTER": Function(2, 2, _cell_centre),
    "IVO_INTERVAL_OVERLAPS": Function(4, 4, _overlaps),
    "IVO_APPLY_PM": Function(5, 5, _moved),
}
"""The functions of the IVOA by name."""
