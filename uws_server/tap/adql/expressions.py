"""Values and conditions of a query to SQL: a node of the tree that has no function here is no ADQL and is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from sqlglot import exp

from uws_server.tap.adql import aggregates, operators
from uws_server.tap.adql.context import QueryContext
from uws_server.tap.adql.errors import near
from uws_server.tap.adql.functions import PLAIN, Function, one_of
from uws_server.tap.adql.geometry import GEOMETRY, within
from uws_server.tap.adql.ivo import IVO
from uws_server.tap.adql.patterns import like
from uws_server.tap.adql.scopes import NoSuchName, Scope, find_column
from uws_server.tap.adql.values import Value, number, text
from uws_server.tap.adql.words import RESERVED
from uws_server.tap.tables import ColumnDescription

_OF_CAST: Final = {
    "SMALLINT": "short", "INT": "int", "BIGINT": "long", "FLOAT": "float", "DOUBLE": "double", "CHAR": "char",
    "VARCHAR": "char", "TIMESTAMP": "char",
}  # fmt: skip


def value(context: QueryContext, scope: Scope, node: exp.Expr) -> Value:
    """Return the value of an expression; raise AdqlError if it is not ADQL or its types do not fit."""
    translate = _VALUES.get(type(node))
    if translate is None:
        if type(node) in _CONDITIONS:
            raise context.error("a condition stands where a value is needed; write CASE WHEN ... THEN 1 END", node)
        raise context.error(f"{node.key.upper()} is not ADQL here", node)
    context.only(node, *_ARGUMENTS.get(type(node), ("this", "expression")))
    mark = len(scope.loose)
    found = translate(context, scope, node)
    if len(found.sql) > _MOST_SQL:
        raise context.error(f"the SQL of this expression is longer than {_MOST_SQL} characters; write it simpler", node)
    if found.sql in scope.keys:
        del scope.loose[mark:]
    return found


def condition(context: QueryContext, scope: Scope, node: exp.Expr) -> str:
    """Return the SQL of a condition; raise AdqlError if it is none."""
    translate = _CONDITIONS.get(type(node))
    if translate is not None:
        context.only(node, *_ARGUMENTS.get(type(node), ("this", "expression")))
        return translate(context, scope, node)
    found = value(context, scope, node)
    if found.kind == "boolean":
        return found.sql
    if found.condition is not None:
        return found.condition
    raise context.error("a condition is needed here, such as a = b; this is only a value", node)


def name_of(context: QueryContext, identifier: exp.Identifier) -> str:
    """Return a name; raise AdqlError if it is a reserved word without quotes."""
    name: str = identifier.name
    if not identifier.args.get("quoted") and name.upper() in RESERVED:
        raise context.error(f'{name} is a reserved word of ADQL; write "{name}" if it is a name', identifier)
    return name


def _column(context: QueryContext, scope: Scope, node: exp.Expr) -> Value:
    parts = [part for key in ("db", "table", "this") if isinstance(part := node.args.get(key), exp.Identifier)]
    if not isinstance(node.this, exp.Identifier):
        raise context.error("* stands only in SELECT * and COUNT(*)", node)
    name_of(context, node.this)
    try:
        owner, column = find_column(scope, parts)
    except NoSuchName as error:
        raise context.error(str(error), node) from error
    if not owner.within and column.value.sql not in owner.keys:
        owner.loose.append((node, column.name))
    return replace(column.value, about=replace(column.value.about, name=column.name))


def _literal(context: QueryContext, _scope: Scope, node: exp.Expr) -> Value:
    if node.args.get("is_string"):
        return text(context.bind(node.this), node.this)
    digits = str(node.this)
    return operators.numeral(context, int(digits) if digits.isdigit() else float(digits), node)


def _hexadecimal(context: QueryContext, _scope: Scope, node: exp.Expr) -> Value:
    return operators.numeral(context, int(str(node.this), 16), node)


def _null(_context: QueryContext, _scope: Scope, _node: exp.Expr) -> Value:
    return Value("NULL", "null", ColumnDescription("", "char", "*"))


def _boolean(context: QueryContext, _scope: Scope, node: exp.Expr) -> Value:
    sql = "TRUE" if node.this else "FALSE"
    return Value(sql, "boolean", ColumnDescription("", "boolean"))


def _negative(context: QueryContext, scope: Scope, node: exp.Expr) -> Value:
    found = operators.as_number(context, value(context, scope, node.this), node.this)
    if isinstance(found.literal, int | float):
        return operators.numeral(context, -found.literal, node)
    return number(f"(- {operators.precise(context, found)})", found.about.datatype, found.about.unit)


def _inverted(context: QueryContext, scope: Scope, node: exp.Expr) -> Value:
    found = value(context, scope, node.this)
    if not found.is_integer:
        raise context.error(f"& | ^ ~ need whole numbers; this is {operators.words(found)}", node)
    return number(f"(~ {found.sql})", found.about.datatype)


def _parenthesis(context: QueryContext, scope: Scope, node: exp.Expr) -> Value:
    return value(context, scope, node.this)


def _chain(context: QueryContext, scope: Scope, node: exp.Expr) -> Value:
    """Return the value of a chain a + b + c ..., however long: the tree leans to the left, and is climbed in a loop."""
    spine: list[exp.Expr] = []
    part = node
    while type(part) in _CHAINS:
        context.only(part, "this", "expression", "safe", "typed")
        spine.append(part)
        part = part.this
    if len(spine) > _MOST_TERMS:
        raise context.error(f"more than {_MOST_TERMS} terms are joined here; write fewer", node)
    result, before = value(context, scope, part), ""
    for part in reversed(spine):
        left = result
        if before == _STRENGTH.get(type(part)) and result.literal is None and result.sql[0] == "(":
            left = replace(result, sql=result.sql[1:-1])  # a + b + c, not (a + b) + c: databases bound the depth
        result = _CHAINS[type(part)](context, part, left, value(context, scope, part.expression))
        before = _STRENGTH.get(type(part), "")
    return result


def _cast(context: QueryContext, scope: Scope, node: exp.Expr) -> Value:
    wanted = node.args["to"]
    datatype = _OF_CAST.get(wanted.this.name)
    if datatype is None:
        raise context.error(f"CAST knows INTEGER, SMALLINT, BIGINT, REAL, DOUBLE PRECISION, CHAR, VARCHAR and "
                            f"TIMESTAMP, not {wanted.this.name}", node)  # fmt: skip
    if wanted.expressions and wanted.this.name not in ("CHAR", "VARCHAR"):
        raise context.error(f"{wanted.this.name} takes no length", node)
    found = value(context, scope, node.this)
    if found.kind == "shape":
        raise context.error("a region is no value to CAST", node)
    sql = found.sql
    if found.kind == "boolean" and datatype != "char":
        sql = operators.as_number(context, found, node).sql
    if datatype in ("short", "int", "long") and found.kind == "number" and not found.is_integer:
        sql = f"trunc({sql})"
    sql = context.backend.cast(sql, datatype)
    if datatype != "char":
        return number(sql, datatype, found.about.unit)
    if wanted.this.name == "TIMESTAMP":
        return text(sql, xtype="timestamp")
    length = _length(context, wanted)
    return text(f"substr({sql}, 1, {length})" if length is not None else sql)


def _length(context: QueryContext, wanted: exp.Expr) -> int | None:
    """Return the length of CHAR(n) or VARCHAR(n), or None if it has none."""
    for part in wanted.expressions:
        context.only(part, "this")
        if len(wanted.expressions) == 1 and part.name.isdigit() and len(part.name) < 10:
            return int(part.name)
        raise context.error("the length of CHAR or VARCHAR is one whole number", part)
    return None


def _case(context: QueryContext, scope: Scope, node: exp.Expr) -> Value:
    subject = value(context, scope, node.this) if node.this else None
    words, results = [], []
    if not node.args["ifs"]:
        raise context.error("CASE needs WHEN ... THEN ...", node)
    for branch in node.args["ifs"]:
        context.only(branch, "this", "true")
        if subject is None:
            holds = condition(context, scope, branch.this)
        else:
            first, second = operators.comparable(context, subject, value(context, scope, branch.this), branch)
            holds = f"{first} = {second}"
        results.append(value(context, scope, branch.args["true"]))
        words.append(f"WHEN {holds} THEN {results[-1].sql}")
    if node.args.get("default"):
        results.append(value(context, scope, node.args["default"]))
        words.append(f"ELSE {results[-1].sql}")
    return one_of(context, node, f"(CASE {' '.join(words)} END)", results)


def _scalar(context: QueryContext, scope: Scope, node: exp.Expr) -> Value:
    sql, columns = context.subquery(node.this, scope)
    if len(columns) != 1:
        raise context.error(f"a SELECT that is a value has one column; this one has {len(columns)}", node)
    return replace(columns[0].value, sql=f"({sql})", literal=None, condition=None, apart=None, shape=None, origin=None)


def _call(context: QueryContext, scope: Scope, node: exp.Expr) -> Value:
    """Return the value of a function, which is one of a list: none of the database's own is ever called by its name."""
    name = str(node.this).upper() if isinstance(node.this, str) else node.this.name
    aggregate = aggregates.AGGREGATES.get(name)
    if aggregate is not None:
        return _aggregate(context, scope, node, aggregate)
    function = FUNCTIONS.get(name)
    if function is None or not isinstance(node.this, str):
        known = [*FUNCTIONS, *aggregates.AGGREGATES]
        raise context.error(f"there is no function {name}{near(name, known)}", node)
    arguments = [value(context, scope, part) for part in node.expressions]
    _count(context, node, name, len(arguments), function.fewest, function.most)
    return function.build(context, node, arguments)


def _count(context: QueryContext, node: exp.Expr, name: str, came: int, fewest: int, most: int) -> None:
    if not fewest <= came <= most:
        allowed = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        raise context.error(f"{name} takes {allowed} arguments; {came} came", node)


def _aggregate(context: QueryContext, scope: Scope, node: exp.Expr, aggregate: aggregates.Aggregate) -> Value:
    """Return the value of COUNT, SUM and so on; the columns within it need not be grouped by."""
    name = str(node.this).upper()
    if scope.within:
        where = "another aggregate" if scope.within == "aggregate" else scope.within
        raise context.error(f"{name} cannot stand within {where}", node)
    parts, distinct = node.expressions, False
    if len(parts) == 1 and isinstance(parts[0], exp.Distinct):
        context.only(parts[0], "expressions")
        parts, distinct = parts[0].expressions, True
    _count(context, node, name, len(parts), aggregate.fewest, aggregate.most)
    scope.aggregates += 1
    if name == "COUNT" and isinstance(parts[0], exp.Star) and not distinct:
        context.only(parts[0])
        return number("count(*)", "long")
    scope.within = "aggregate"
    arguments = [value(context, scope, part) for part in parts]
    scope.within = ""
    return aggregate.build(context, node, arguments, "DISTINCT " if distinct else "")


def _compare(context: QueryContext, scope: Scope, node: exp.Expr) -> str:
    left, right = value(context, scope, node.this), value(context, scope, node.expression)
    for apart, radius, signs in ((left, right, (exp.LT, exp.LTE)), (right, left, (exp.GT, exp.GTE))):
        if apart.apart is not None and isinstance(node, signs) and radius.kind == "number":
            return within(context, *apart.apart, radius, strictly=isinstance(node, exp.LT | exp.GT))
    return operators.comparison(context, node, left, right)


def _connected(context: QueryContext, scope: Scope, node: exp.Expr) -> str:
    """Return a chain of AND or OR as a tree that is as flat as can be: databases bound how deep one may be."""
    parts: list[exp.Expr] = []
    part = node
    while type(part) is type(node):
        parts.append(part.expression)
        part = part.this
    terms = [condition(context, scope, one) for one in (part, *reversed(parts))]
    return _balanced(terms, " AND " if isinstance(node, exp.And) else " OR ")


def _balanced(terms: list[str], sign: str) -> str:
    if len(terms) <= 8:
        return "(" + sign.join(terms) + ")"
    middle = len(terms) // 2
    return f"({_balanced(terms[:middle], sign)}{sign}{_balanced(terms[middle:], sign)})"


def _not(context: QueryContext, scope: Scope, node: exp.Expr) -> str:
    return f"NOT ({condition(context, scope, node.this)})"


def _in_parentheses(context: QueryContext, scope: Scope, node: exp.Expr) -> str:
    return f"({condition(context, scope, node.this)})"


def _between(context: QueryContext, scope: Scope, node: exp.Expr) -> str:
    subject, low, high = (value(context, scope, node.args[key]) for key in ("this", "low", "high"))
    first, second = operators.comparable(context, subject, low, node)
    _, third = operators.comparable(context, subject, high, node)
    return f"({first} BETWEEN {second} AND {third})"


def _in(context: QueryContext, scope: Scope, node: exp.Expr) -> str:
    subject = value(context, scope, node.this)
    query = node.args.get("query")
    if query is None:
        items = [value(context, scope, part) for part in node.expressions]
        if not items:
            raise context.error("IN takes values in parentheses, or a SELECT", node)
        pairs = [operators.comparable(context, subject, item, node) for item in items]
        listed = [second for _, second in pairs]
        conditions = [*operators.narrowing(context, subject, *listed), f"{pairs[0][0]} IN ({', '.join(listed)})"]
        return f"({' AND '.join(conditions)})"
    sql, columns = context.subquery(query.this if isinstance(query, exp.Subquery) else query, scope)
    if len(columns) != 1:
        raise context.error(f"IN (SELECT ...) has one column; this one has {len(columns)}", node)
    operators.comparable(context, subject, columns[0].value, node)
    return f"{subject.sql} IN ({sql})"


def _is(context: QueryContext, scope: Scope, node: exp.Expr) -> str:
    if not isinstance(node.expression, exp.Null):
        raise context.error("behind IS stands NULL or NOT NULL", node)
    return f"{value(context, scope, node.this).sql} IS NULL"


def _exists(context: QueryContext, scope: Scope, node: exp.Expr) -> str:
    if not isinstance(node.this, exp.Query):
        raise context.error("behind EXISTS stands a SELECT in parentheses", node)
    return f"EXISTS ({context.subquery(node.this, scope)[0]})"


def _like(context: QueryContext, scope: Scope, node: exp.Expr) -> str:
    subject, pattern = value(context, scope, node.this), value(context, scope, node.expression)
    operators.as_text(context, subject, node.this), operators.as_text(context, pattern, node.expression)
    holds = like(context, subject, pattern, isinstance(node, exp.ILike))
    return f"NOT ({holds})" if node.args.get("negate") else holds


_ARGUMENTS: Final[Mapping[type[exp.Expr], tuple[str, ...]]] = {
    exp.Anonymous: ("this", "expressions"), exp.Between: ("this", "low", "high"), exp.Case: ("this", "ifs", "default"),
    exp.Cast: ("this", "to"), exp.Column: ("this", "table", "db"), exp.DPipe: ("this", "expression", "safe"),
    exp.Div: ("this", "expression", "safe", "typed"), exp.ILike: ("this", "expression", "negate"),
    exp.In: ("this", "expressions", "query"), exp.Like: ("this", "expression", "negate"),
    exp.Literal: ("this", "is_string"),
}  # fmt: skip
"""The arguments that a node of the tree may have: the parser keeps in others what only other dialects know."""

_MOST_TERMS: Final = 300
_MOST_SQL: Final = 200_000
_STRENGTH: Final[Mapping[type[exp.Expr], str]] = {
    exp.Add: "sum", exp.Sub: "sum", exp.Mul: "product", exp.Div: "product", exp.DPipe: "text", exp.BitwiseAnd: "bits",
    exp.BitwiseOr: "bits",
}  # fmt: skip
_CHAINS: Final = {
    **dict.fromkeys(operators.ARITHMETIC, operators.arithmetic),
    **dict.fromkeys(operators.BITS, operators.bits),
    exp.DPipe: operators.joined,
}
FUNCTIONS: Final[Mapping[str, Function]] = {**PLAIN, **GEOMETRY, **IVO}
"""The functions of one row by name: none else is ever called."""

_VALUES: Final[Mapping[type[exp.Expr], Callable[[QueryContext, Scope, exp.Expr], Value]]] = {
    **dict.fromkeys(_CHAINS, _chain),
    exp.Column: _column,
    exp.Literal: _literal,
    exp.HexString: _hexadecimal,
    exp.Null: _null,
    exp.Boolean: _boolean,
    exp.Neg: _negative,
    exp.BitwiseNot: _inverted,
    exp.Paren: _parenthesis,
    exp.Cast: _cast,
    exp.Case: _case,
    exp.Subquery: _scalar,
    exp.Anonymous: _call,
}
_CONDITIONS: Final[Mapping[type[exp.Expr], Callable[[QueryContext, Scope, exp.Expr], str]]] = {
    **dict.fromkeys(operators.COMPARISONS, _compare),
    exp.And: _connected,
    exp.Or: _connected,
    exp.Not: _not,
    exp.Paren: _in_parentheses,
    exp.Between: _between,
    exp.In: _in,
    exp.Is: _is,
    exp.Exists: _exists,
    exp.Like: _like,
    exp.ILike: _like,
}
