"""The functions of many rows: COUNT, SUM and their like, and the two of the IVOA."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlglot import exp

from uws_server.tap.adql.context import QueryContext
from uws_server.tap.adql.operators import as_number, as_text
from uws_server.tap.adql.values import Value, number, text
from uws_server.tap.tables import ColumnDescription

_MOST_BINS: Final = 10_000


@dataclass(frozen=True)
class Aggregate:
    """A function of many rows; `build` takes DISTINCT as a word, or nothing."""

    fewest: int
    most: int
    build: Callable[[QueryContext, exp.Expr, Sequence[Value], str], Value]


def _count(context: QueryContext, node: exp.Expr, arguments: Sequence[Value], distinct: str) -> Value:
    return number(f"count({distinct}{arguments[0].sql})", "long")


def _sum(context: QueryContext, node: exp.Expr, arguments: Sequence[Value], distinct: str) -> Value:
    value = as_number(context, arguments[0], node)
    whole = "long" if value.is_integer else "double"
    inner = context.backend.cast(value.sql, whole)
    return number(context.backend.cast(f"sum({distinct}{inner})", whole), whole, value.about.unit)


def _mean(context: QueryContext, node: exp.Expr, arguments: Sequence[Value], distinct: str) -> Value:
    value = as_number(context, arguments[0], node)
    return number(f"avg({distinct}{context.backend.cast(value.sql, 'double')})", "double", value.about.unit)


def _extreme(name: str) -> Callable[[QueryContext, exp.Expr, Sequence[Value], str], Value]:
    def build(context: QueryContext, node: exp.Expr, arguments: Sequence[Value], distinct: str) -> Value:
        value = arguments[0]
        if value.kind not in ("number", "text", "null"):
            raise context.error(f"{name.upper()} takes numbers or text", node)
        about = replace(value.about, name="", ucd=None, utype=None, description=None)
        return Value(f"{name}({distinct}{value.sql})", value.kind, about)

    return build


def _string_agg(context: QueryContext, node: exp.Expr, arguments: Sequence[Value], distinct: str) -> Value:
    value, between = (as_text(context, argument, node) for argument in arguments)
    if distinct:
        raise context.error("IVO_STRING_AGG takes no DISTINCT", node)
    name = "group_concat" if context.backend.is_sqlite else "string_agg"
    return text(f"{name}({value.sql}, {between.sql})")


def _histogram(context: QueryContext, node: exp.Expr, arguments: Sequence[Value], distinct: str) -> Value:
    value, low, high, bins = (as_number(context, argument, node) for argument in arguments)
    if distinct:
        raise context.error("IVO_HISTOGRAM takes no DISTINCT", node)
    if not isinstance(bins.literal, int) or not 1 <= bins.literal <= _MOST_BINS:
        raise context.error(f"IVO_HISTOGRAM takes the number of bins as a whole number of 1 to {_MOST_BINS}", node)
    if isinstance(low.literal, int | float) and isinstance(high.literal, int | float) and low.literal >= high.literal:
        raise context.error("IVO_HISTOGRAM: the lower bound must be below the upper one", node)
    doubles = [context.backend.cast(part.sql, "double") for part in (value, low, high)]
    sql = context.backend.call("adql_histogram", *doubles, bins.sql)
    if not context.backend.is_sqlite:
        sql = f"array_to_string({sql}, ' ')"
    return Value(sql, "text", ColumnDescription("", "int", "*"))


AGGREGATES: Final[Mapping[str, Aggregate]] = {
    "COUNT": Aggregate(1, 1, _count),
    "SUM": Aggregate(1, 1, _sum),
    "AVG": Aggregate(1, 1, _mean),
    "MIN": Aggregate(1, 1, _extreme("min")),
    "MAX": Aggregate(1, 1, _extreme("max")),
    "IVO_STRING_AGG": Aggregate(2, 2, _string_agg),
    "IVO_HISTOGRAM": Aggregate(4, 4, _histogram),
}
"""The aggregates by name."""
