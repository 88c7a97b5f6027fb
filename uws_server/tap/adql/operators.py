"""Arithmetic, comparison and text: the SQL of two values joined by a sign, with their types checked."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Final

from sqlglot import exp

from uws_server.tap.adql.context import QueryContext
from uws_server.tap.adql.values import Number, Value, number, text

ARITHMETIC: Final[Mapping[type[exp.Expr], str]] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}
BITS: Final[Mapping[type[exp.Expr], str]] = {exp.BitwiseAnd: "&", exp.BitwiseOr: "|", exp.BitwiseXor: "^"}
COMPARISONS: Final[Mapping[type[exp.Expr], str]] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
}  # fmt: skip
_FOLDED: Final[Mapping[str, Callable[[Number, Number], Number]]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul,
}  # fmt: skip
_WIDER: Final = {"float": "double", "unsignedByte": "long", "short": "long", "int": "long"}
_LONGEST_INTEGER: Final = 2**63 - 1


def numeral(context: QueryContext, value: Number, node: exp.Expr) -> Value:
    """Return the value of a number that the query tells; raise AdqlError past 64 bits or the range of doubles."""
    if isinstance(value, int):
        if abs(value) > _LONGEST_INTEGER:
            raise context.error(f"{value} does not fit into 64 bits; write it with a decimal point", node)
        sql = str(value) if value >= 0 else f"({value})"
        return number(sql, "int" if abs(value) < 2**31 else "long", literal=value)
    if not math.isfinite(value):
        raise context.error("a number is larger than a double can be", node)
    sql = context.backend.real(value)
    return number(sql if value >= 0 else f"({sql})", "double", literal=value)


def as_number(context: QueryContext, value: Value, node: exp.Expr) -> Value:
    """Return a value for arithmetic; raise AdqlError if it is no number."""
    if value.kind == "number" or value.kind == "null":
        return value
    if value.kind == "boolean" and context.backend.is_sqlite:
        return number(value.sql, "int")
    if value.kind == "boolean":
        return number(f"(CASE WHEN {value.sql} THEN 1 WHEN NOT {value.sql} THEN 0 END)", "int")
    what = f"{value.about.name} is" if value.about.name else "this is"
    raise context.error(f"a number is needed here; {what} {words(value)}", node)


def as_text(context: QueryContext, value: Value, node: exp.Expr) -> Value:
    """Return a value that is text; raise AdqlError for any other."""
    if value.kind in ("text", "null"):
        return value
    what = f"{value.about.name} is" if value.about.name else "this is"
    raise context.error(f"text is needed here; {what} {words(value)}", node)


def words(value: Value) -> str:
    """Return the kind of a value in words."""
    return {"number": "a number", "text": "text", "boolean": "a boolean", "shape": "a region", "null": "NULL"}[
        value.kind
    ]


def precise(context: QueryContext, value: Value) -> str:
    """Return the SQL of a number for arithmetic: widened to 64 bits, as SQLite does by itself."""
    wider = _WIDER.get(value.about.datatype)
    if wider is None or value.literal is not None or context.backend.is_sqlite:
        return value.sql
    return context.backend.cast(value.sql, wider)


def arithmetic(context: QueryContext, node: exp.Expr, left: Value, right: Value) -> Value:
    """Return the value of + - * /; whole numbers stay whole, and a division by zero is NULL."""
    sign = ARITHMETIC[type(node)]
    left, right = as_number(context, left, node.this), as_number(context, right, node.expression)
    if sign in _FOLDED and isinstance(left.literal, Number) and isinstance(right.literal, Number):
        return numeral(context, _FOLDED[sign](left.literal, right.literal), node)
    whole = left.is_integer and right.is_integer
    datatype = "double" if not whole else "int" if sign == "/" and left.about.datatype != "long" else "long"
    first, second = precise(context, left), precise(context, right)
    if sign == "/" and not (isinstance(right.literal, Number) and right.literal):
        second = f"NULLIF({second}, 0)"
    unit = left.about.unit if sign in "+-" and left.about.unit == right.about.unit else None
    return number(f"({first} {sign} {second})", datatype, unit)


def bits(context: QueryContext, node: exp.Expr, left: Value, right: Value) -> Value:
    """Return the value of & | ^ of two whole numbers."""
    for value, part in ((left, node.this), (right, node.expression)):
        if not (value.is_integer or value.kind == "null"):
            raise context.error(f"& | ^ ~ need whole numbers; this is {words(value)}", part)
    datatype = "long" if "long" in (left.about.datatype, right.about.datatype) else "int"
    sign = BITS[type(node)]
    if sign == "^":
        if context.backend.is_sqlite:
            return number(context.backend.call("adql_xor", left.sql, right.sql), datatype)
        sign = "#"
    return number(f"({left.sql} {sign} {right.sql})", datatype)


def joined(context: QueryContext, node: exp.Expr, left: Value, right: Value) -> Value:
    """Return the value of || of two texts."""
    first, second = as_text(context, left, node.this), as_text(context, right, node.expression)
    return text(f"({first.sql} || {second.sql})")


def comparable(context: QueryContext, left: Value, right: Value, node: exp.Expr) -> tuple[str, str]:
    """Return the SQL of two values that are compared; raise AdqlError where their types do not go together."""
    kinds = {left.kind, right.kind}
    if "shape" in kinds:
        raise context.error("regions are not compared; use CONTAINS, INTERSECTS or DISTANCE", node)
    if "null" in kinds or len(kinds) == 1:
        return left.sql, right.sql
    if kinds == {"boolean", "number"}:
        return as_number(context, left, node).sql, as_number(context, right, node).sql
    name = left.about.name or right.about.name
    about = f"{name}: " if name else ""
    raise context.error(f"{about}{words(left)} cannot be compared with {words(right)}", node)


def comparison(context: QueryContext, node: exp.Expr, left: Value, right: Value) -> str:
    """Return the condition of = <> < <= > >=; of a predicate and 1 or 0 the condition that it stands for."""
    sign = COMPARISONS[type(node)]
    if left.literal is not None and right.literal is None:
        turned = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}.get(sign, sign)
        left, right, sign = right, left, turned
    if left.condition is not None and sign in ("=", "<>") and right.literal in (0, 1):
        holds = (sign == "=") == (right.literal == 1)
        return left.condition if holds else f"NOT ({left.condition})"
    first, second = comparable(context, left, right, node)
    whole = f"{first} {sign} {second}"
    narrowed = [*narrowing(context, left, second), *narrowing(context, right, first)] if sign == "=" else []
    return f"({' AND '.join([*narrowed, whole])})" if narrowed else whole


def narrowing(context: QueryContext, column: Value, *texts: str) -> list[str]:
    """Return the condition that holds where a composed column is one of some texts: on columns that have an index."""
    composed = column.origin.composed if column.origin is not None else None
    if composed is None or column.origin is None:
        return []
    found = []
    for prefix, name in composed.parts:
        behind = [f"substr({each}, {len(prefix) + 1})" if prefix else each for each in texts]
        part = f"{column.origin.alias}.{context.backend.quoted(name)}"
        found.append(f"{part} = {behind[0]}" if len(behind) == 1 else f"{part} IN ({', '.join(behind)})")
    return [f"({' OR '.join(found)})" if len(found) > 1 else found[0]]
