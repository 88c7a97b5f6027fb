"""The functions of ADQL that give numbers and text; those of the sky are in `geometry`, of the IVOA in `ivo`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from sqlglot import exp

from uws_server.tap.adql.context import QueryContext
from uws_server.tap.adql.operators import as_number, as_text, precise
from uws_server.tap.adql.values import NUMBERS, Shape, Value, number, text
from uws_server.tap.tables import ColumnDescription

Build = Callable[[QueryContext, exp.Expr, Sequence[Value]], Value]


@dataclass(frozen=True)
class Function:
    """A function of ADQL: how many arguments it takes, and what makes SQL of a call."""

    fewest: int
    most: int
    build: Build


def _of_number(template: str, guard: str = "") -> Build:
    """Return the builder of a function of one number; where the guard does not hold it gives NULL."""

    def build(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
        value = as_number(context, arguments[0], node)
        sql = template.format(precise(context, value))
        return number(f"(CASE WHEN {guard.format(value.sql)} THEN {sql} END)" if guard else sql)

    return build


def _same_type(name: str) -> Build:
    """Return the builder of a function whose result has the type and the unit of its argument."""

    def build(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
        value = as_number(context, arguments[0], node)
        return number(f"{name}({value.sql})", value.about.datatype, value.about.unit)

    return build


def _arctangent2(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    first, second = (precise(context, as_number(context, value, node)) for value in arguments)
    return number(f"atan2({first}, {second})")


def _power(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    base, exponent = (context.backend.cast(as_number(context, value, node).sql, "double") for value in arguments)
    return number(context.backend.call("adql_power", base, exponent))


def _modulo(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    first, second = (as_number(context, value, node) for value in arguments)
    if first.is_integer and second.is_integer:
        sql = f"({first.sql} % NULLIF({second.sql}, 0))" if context.backend.is_sqlite else \
              f"mod({first.sql}, NULLIF({second.sql}, 0))"  # fmt: skip
        return number(sql, "long" if "long" in (first.about.datatype, second.about.datatype) else "int")
    x, y = (context.backend.cast(value.sql, "double") for value in (first, second))
    return number(context.backend.call("adql_modulo", x, y))


def _to_digits(name: str) -> Build:
    """Return the builder of ROUND or TRUNCATE: to whole numbers, or to a number of decimals."""

    def build(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
        value = as_number(context, arguments[0], node)
        digits = as_number(context, arguments[1], node) if len(arguments) > 1 else number("0", "int")
        if not digits.is_integer:
            raise context.error(f"{name.upper()} takes a whole number of decimals", node)
        cast = context.backend.cast(value.sql, "double")
        return number(context.backend.call(f"adql_{name}", cast, digits.sql), unit=value.about.unit)

    return build


def _random(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    for value in arguments:
        as_number(context, value, node)
    return number("((random() / 18446744073709551616.0) + 0.5)" if context.backend.is_sqlite else "random()")


def _whole(name: str) -> Build:
    """Return the builder of CEILING or FLOOR, whose value is whole but of double precision."""

    def build(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
        value = as_number(context, arguments[0], node)
        return number(f"{name}({context.backend.cast(value.sql, 'double')})", unit=value.about.unit)

    return build


def _case(name: str) -> Build:
    def build(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
        return text(f"{name}({as_text(context, arguments[0], node).sql})")

    return build


def _first_known(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    if len(arguments) == 1:
        return arguments[0]
    return one_of(context, node, f"coalesce({', '.join(value.sql for value in arguments)})", arguments)


def one_of(context: QueryContext, node: exp.Expr, sql: str, values: Sequence[Value]) -> Value:
    """Return the value of SQL that gives one of several values; raise AdqlError if they are of several kinds."""
    known = [value for value in values if value.kind != "null"]
    if len({value.kind for value in known}) > 1:
        raise context.error("these values are of several types; all must be numbers, or all text", node)
    if not known:
        return replace(values[0], sql=sql)
    first = known[0]
    if first.kind == "shape":
        return Value(sql, "shape", first.about, shape=Shape("REGION", text=sql))
    if first.kind != "number":
        return Value(
            sql, first.kind, ColumnDescription("", first.about.datatype, "*" if first.kind == "text" else None)
        )
    widest = max((value.about.datatype for value in known), key=NUMBERS.index)
    units = {value.about.unit for value in known}
    return Value(sql, "number", ColumnDescription("", widest, unit=units.pop() if len(units) == 1 else None))


@lru_cache(maxsize=1000)
def _factor(unit: str, wanted: str) -> float:
    """Return by what a number in a unit is multiplied; raise ValueError if the units do not fit together."""
    from astropy import units

    factor = units.Unit(unit, format="vounit").to(units.Unit(wanted, format="vounit"))
    return float(factor)


def _in_unit(context: QueryContext, node: exp.Expr, arguments: Sequence[Value]) -> Value:
    value, wanted = as_number(context, arguments[0], node), arguments[1].literal
    if not isinstance(wanted, str):
        raise context.error("IN_UNIT takes the unit as a string: IN_UNIT(s_fov, 'arcmin')", node)
    if not value.about.unit:
        what = value.about.name or "the first argument"
        raise context.error(f"IN_UNIT: {what} has no unit, so that it cannot be told in {wanted[:40]!r}", node)
    try:
        factor = _factor(value.about.unit, wanted)
    except (ValueError, TypeError) as error:
        raise context.error(f"IN_UNIT: {value.about.unit!r} cannot be told in {wanted[:40]!r}; "
                            "write units as VOUnits has them", node) from error  # fmt: skip
    sql = precise(context, value)
    return number(f"({sql} * {context.backend.real(factor)})", unit=wanted)


_ONE: Final = {
    "ACOS": _of_number("acos({0})", "{0} BETWEEN -1 AND 1"),
    "ASIN": _of_number("asin({0})", "{0} BETWEEN -1 AND 1"),
    "ATAN": _of_number("atan({0})"),
    "COS": _of_number("cos({0})"),
    "COT": _of_number("(1 / NULLIF(tan({0}), 0))"),
    "DEGREES": _of_number("degrees({0})"),
    "EXP": _of_number("exp({0})"),
    "LOG": _of_number("ln({0})", "{0} > 0"),
    "LOG10": _of_number("log10({0})", "{0} > 0"),
    "RADIANS": _of_number("radians({0})"),
    "SIN": _of_number("sin({0})"),
    "SQRT": _of_number("sqrt({0})", "{0} >= 0"),
    "TAN": _of_number("tan({0})"),
    "ABS": _same_type("abs"),
    "CEILING": _whole("ceil"),
    "FLOOR": _whole("floor"),
    "LOWER": _case("lower"),
    "UPPER": _case("upper"),
}
PLAIN: Final[Mapping[str, Function]] = {
    **{name: Function(1, 1, build) for name, build in _ONE.items()},
    "PI": Function(0, 0, lambda context, node, arguments: number("pi()")),
    "ATAN2": Function(2, 2, _arctangent2),
    "POWER": Function(2, 2, _power),
    "MOD": Function(2, 2, _modulo),
    "ROUND": Function(1, 2, _to_digits("round")),
    "TRUNCATE": Function(1, 2, _to_digits("truncate")),
    "RAND": Function(0, 1, _random),
    "COALESCE": Function(1, 100, _first_known),
    "IN_UNIT": Function(2, 2, _in_unit),
}
"""The functions by name."""
