"""Queries are read as another parser of ADQL 2.1 reads them: pyadql, which needs Python 3.12 and is no dependency.

The variable UWS_PYADQL names an interpreter that has it; without one the test is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import pytest
from sqlglot import exp

from plainqueries import CASES
from uws_server.tap.adql.dialect import parse

DUMP = """
import dataclasses, json, sys
from pyadql import parse_adql
def plain(node):
    if dataclasses.is_dataclass(node):
        fields = {field.name: plain(getattr(node, field.name)) for field in dataclasses.fields(node)}
        return {"is": type(node).__name__, **fields}
    return [plain(one) for one in node] if isinstance(node, (list, tuple)) else node
def read(query):
    try:
        return plain(parse_adql(query))
    except Exception:
        return None
print(json.dumps([read(query) for query in json.load(sys.stdin)]))
"""
QUERIES = [
    # pyadql 1.0.1 reads NATURAL, and LEFT before more joins, as the alias of a table that has none
    *(case.query for case in CASES[::2] if "NATURAL" not in case.query),
    "SELECT a.* FROM s.t AS a",
    'SELECT "Delimited ""Name""", b AS "x y" FROM "Schema"."Table" WHERE c = \'it\'\'s\' -- a comment',
    "SELECT ALL a FROM t WHERE a = 1 OR b = 2 AND NOT c = 3 OR d = 4",
    "SELECT a FROM t WHERE (a = 1 OR b = 2) AND (c + 1) * 2 - d / 3 > -e",
    "SELECT a - b - c, a / b * c, a || b || 'x' FROM t",
    "SELECT a FROM t WHERE b NOT IN ('x', 'y') AND c NOT LIKE '%z' AND d IS NOT NULL AND NOT EXISTS (SELECT 1 FROM u)",
    "SELECT a FROM t AS t LEFT JOIN u AS u ON t.a = u.a RIGHT OUTER JOIN v USING (a, b)",
    "SELECT a FROM t UNION ALL SELECT b FROM u EXCEPT SELECT c FROM v",
    "SELECT a FROM t UNION SELECT b FROM u INTERSECT SELECT c FROM v",
    "SELECT COUNT(DISTINCT a), SUM(b) FROM t GROUP BY c HAVING COUNT(*) > 2 ORDER BY c DESC, a ASC OFFSET 10",
    "WITH x AS (SELECT a FROM t), y AS (SELECT a FROM x) SELECT TOP 5 * FROM y",
    "SELECT CAST(a AS VARCHAR(10)), COALESCE(b, c, 0) FROM t",
]
SIGNS = {"EQ": "=", "NEQ": "<>", "LT": "<", "LTE": "<=", "GT": ">", "GTE": ">=", "Add": "+", "Sub": "-", "Mul": "*",
         "Div": "/", "And": "AND", "Or": "OR", "DPipe": "||"}  # fmt: skip
Tree = Any


def ours(node: Any) -> Tree:
    """A tree of sqlglot in nested tuples."""
    name = type(node).__name__
    if name in SIGNS:
        return (SIGNS[name], ours(node.this), ours(node.expression))
    if isinstance(node, exp.Paren):
        return ours(node.this)
    if isinstance(node, exp.Subquery):
        return ours(node.this)
    if isinstance(node, exp.Select | exp.SetOperation):
        return our_query(node)
    if isinstance(node, exp.Column) and not isinstance(node.this, exp.Star):
        return ("column", *(part.name for part in node.parts))
    if isinstance(node, exp.Star | exp.Column):
        return ("*",)
    if isinstance(node, exp.Literal):
        return ("text", node.this) if node.is_string else ("number", float(node.this))
    if isinstance(node, exp.Anonymous):
        distinct = [one.expressions if isinstance(one, exp.Distinct) else [one] for one in node.expressions]
        return (node.this.upper(), *(ours(one) for group in distinct for one in group))
    return our_predicate(node)


def our_predicate(node: Any) -> Tree:
    if isinstance(node, exp.Not | exp.Neg):
        return ("NOT" if isinstance(node, exp.Not) else "-", ours(node.this))
    if isinstance(node, exp.Between):
        return ("BETWEEN", ours(node.this), ours(node.args["low"]), ours(node.args["high"]))
    if isinstance(node, exp.In):
        query = node.args.get("query")
        return ("IN", ours(node.this), *([ours(query)] if query else map(ours, node.expressions)))
    if isinstance(node, exp.Like | exp.ILike):
        found = (type(node).__name__.upper(), ours(node.this), ours(node.expression))
        return ("NOT", found) if node.args.get("negate") else found
    if isinstance(node, exp.Is):
        return ("IS NULL", ours(node.this))
    if isinstance(node, exp.Exists):
        return ("EXISTS", ours(node.this))
    if isinstance(node, exp.Cast):
        return ("CAST", ours(node.this))
    if isinstance(node, exp.Boolean):
        return ("boolean", node.this)
    raise AssertionError(f"{type(node).__name__} is not compared")


def our_query(node: Any) -> Tree:
    order = node.args.get("order")
    keys = tuple((ours(one.this), bool(one.args.get("desc"))) for one in order.expressions) if order else ()
    offset = int(node.args["offset"].expression.name) if node.args.get("offset") else None
    views = (
        tuple((one.alias, our_query(one.this)) for one in node.args["with_"].expressions)
        if node.args.get("with_")
        else ()
    )
    return ("query", our_body(node), keys, offset, views)


def our_body(node: Any) -> Tree:
    if isinstance(node, exp.Subquery):
        return our_body(node.this)
    if isinstance(node, exp.SetOperation):
        all_ = " ALL" if node.args.get("distinct") is False else ""
        return (node.key.upper() + all_, our_body(node.this), our_body(node.expression))
    items = tuple((ours(one.unalias()), one.alias if isinstance(one, exp.Alias) else "") for one in node.expressions)
    tables = our_tables(node.args["from_"].this, node.args.get("joins") or ())
    where, having = (ours(node.args[key].this) if node.args.get(key) else None for key in ("where", "having"))
    group = tuple(ours(one) for one in node.args["group"].expressions) if node.args.get("group") else ()
    top = int(node.args["limit"].expression.name) if node.args.get("limit") else None
    return ("select", bool(node.args.get("distinct")), top, items, tables, where, group, having)


def our_tables(first: Any, joins: Any) -> Tree:
    tables: list[Tree] = [our_table(first)]
    for join in joins:
        if not any(join.args.get(key) for key in ("on", "using", "method")):
            tables.append(our_table(join.this))
            continue
        on = ours(join.args["on"]) if join.args.get("on") else None
        using = tuple(one.name for one in join.args.get("using") or ())
        kind = join.side or "INNER"
        tables.append(("join", kind, bool(join.method), tables.pop(), our_table(join.this), on, using))
    return tuple(tables)


def our_table(node: Any) -> Tree:
    if isinstance(node, exp.Subquery) and not node.alias:
        return our_tables(node.this, node.this.args["joins"])[0]
    if isinstance(node, exp.Subquery):
        return (our_query(node.this), node.alias)
    return (tuple(part.name for part in node.parts), node.alias)


def theirs(node: Any) -> Tree:
    """A tree of pyadql in the same nested tuples."""
    kind = node["is"]
    if kind == "BinaryOp":
        return ("<>" if node["op"] == "!=" else node["op"], theirs(node["left"]), theirs(node["right"]))
    if kind == "UnaryOp":
        return (node["op"], theirs(node["operand"]))
    if kind == "ColumnRef":
        return ("column", *map(name, node["parts"]))
    if kind == "Star":
        return ("*",)
    if kind in ("NumberLiteral", "StringLiteral", "BoolLiteral"):
        word = {"NumberLiteral": "number", "StringLiteral": "text", "BoolLiteral": "boolean"}[kind]
        return (word, node["value"])
    if kind == "SelectExpression":
        return their_query(node)
    if kind == "ScalarSubquery":
        return their_query(node["subquery"])
    return their_predicate(kind, node)


def their_predicate(kind: str, node: Any) -> Tree:
    if kind == "Between":
        found: Tree = ("BETWEEN", theirs(node["expr"]), theirs(node["low"]), theirs(node["high"]))
    elif kind == "InPredicate":
        values = node["values"]
        found = ("IN", theirs(node["expr"]), *(map(theirs, values) if isinstance(values, list) else [theirs(values)]))
    elif kind == "Like":
        found = ("ILIKE" if node["case_insensitive"] else "LIKE", theirs(node["expr"]), theirs(node["pattern"]))
    elif kind == "IsNull":
        found = ("IS NULL", theirs(node["expr"]))
    elif kind == "Exists":
        found = ("EXISTS", their_query(node["subquery"]))
    elif kind == "Cast":
        found = ("CAST", theirs(node["expr"]))
    else:
        return their_function(kind, node)
    return ("NOT", found) if node.get("negated") else found


def their_function(kind: str, node: Any) -> Tree:
    if kind == "CountStar":
        return ("COUNT", ("*",))
    if kind in ("FunctionCall", "UserFunctionCall"):
        return (node["name"].upper(), *map(theirs, node["args"]))
    arguments: list[Any] = []
    for field, value in node.items():
        if field == "is" or value is None or isinstance(value, bool):
            continue
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str):
                arguments.append(("text", one))
            elif one["is"] == "Coordinates":
                arguments += [theirs(one["ra"]), theirs(one["dec"])]
            else:
                arguments.append(theirs(one))
    return (kind.upper(), *arguments)


def name(part: Any) -> str:
    return str(part["name"] if isinstance(part, dict) else part)


def their_query(node: Any) -> Tree:
    keys = tuple((theirs(one["expr"]), one["direction"] == "DESC") for one in node["order_by"] or ())
    views = tuple((name(one["name"]), their_query(one["query"])) for one in node["with_clause"] or ())
    return ("query", their_body(node["body"]), keys, node["offset"], views)


def their_body(node: Any) -> Tree:
    if node["is"] == "SelectExpression":
        return their_body(node["body"])
    if node["is"] == "SetOperation":
        word = node["op"] + ("" if node["distinct"] else " ALL")
        return (word, their_body(node["left"]), their_body(node["right"]))
    listed = node["select_list"] if isinstance(node["select_list"], list) else [node["select_list"]]
    items = tuple(their_item(one) for one in listed)
    where, having = (theirs(node[key]) if node[key] else None for key in ("where", "having"))
    tables = tuple(their_table(one) for one in node["from_clause"])
    group = tuple(theirs(one) for one in node["group_by"] or ())
    return ("select", node["distinct"], node["top"], items, tables, where, group, having)


def their_item(node: Any) -> Tree:
    if node["is"] != "SelectItem":
        return (theirs(node), "")
    return (theirs(node["expr"]), name(node["alias"]) if node["alias"] else "")


def their_table(node: Any) -> Tree:
    if node["is"] == "Join":
        on = theirs(node["on"]) if node["on"] else None
        using = tuple(map(name, node["using"] or ()))
        kind = node["join_type"].split(" ")[0]
        return ("join", kind, node["natural"], their_table(node["left"]), their_table(node["right"]), on, using)
    alias = name(node["alias"]) if node["alias"] else ""
    return (
        (tuple(map(name, node["name"])), alias) if node["is"] == "TableRef" else (their_query(node["subquery"]), alias)
    )


@pytest.fixture(scope="module")
def second_opinion() -> list[Any]:
    """What pyadql makes of each query; None where it cannot read it."""
    interpreter = os.environ.get("UWS_PYADQL") or shutil.which("python3.12") or ""
    try:
        done = subprocess.run(
            [interpreter, "-c", DUMP], input=json.dumps(QUERIES), capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no second parser: set UWS_PYADQL to a Python 3.12 that has pyadql")
    found: list[Any] = json.loads(done.stdout)
    return found


def test_what_pyadql_reads_is_read_alike(second_opinion: list[Any]) -> None:
    differences = []
    for query, tree in zip(QUERIES, second_opinion, strict=True):
        if tree is not None and (found := ours(parse(query))) != (expected := their_query(tree)):
            differences.append(f"{query}\n  ours   {found}\n  theirs {expected}")
    assert not differences, "\n".join(differences)
    assert sum(tree is not None for tree in second_opinion) > 0.9 * len(QUERIES)
