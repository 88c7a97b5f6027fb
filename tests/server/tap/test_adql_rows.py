"""The rows of two hundred queries, in SQLite and in PostgreSQL, against brute force with numpy, astropy and mocpy."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from mocpy import MOC

from plainqueries import CASES
from skyqueries import Case, Rows, separation
from starfield import STARS, TABLES, Asked, Field, asked_postgresql, asked_sqlite, starfield
from uws_server.tap.adql import translate
from uws_server.tap.tables import ColumnDescription, TableDescription


@pytest.fixture(scope="module")
def field() -> Field:
    return starfield()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def asked(request: pytest.FixtureRequest, field: Field) -> Iterator[Asked]:
    if request.param == "sqlite":
        with asked_sqlite(field) as found:
            yield found
    else:
        with request.getfixturevalue("postgres").lent_database() as url, asked_postgresql(field, url) as found:
            yield found


def rounded(rows: Rows) -> Rows:
    """Rows that can be compared: numbers to ten digits, whole ones as such."""
    return [tuple(float(f"{one:.10g}") if isinstance(one, float | np.floating) else one for one in row) for row in rows]


def alike(one: Rows, other: Rows) -> bool:
    return len(one) == len(other) and all(
        a == b
        or (
            isinstance(a, float | int) and isinstance(b, float | int) and math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
        )
        for row, other_row in zip(one, other, strict=True)
        for a, b in zip(row, other_row, strict=True)
    )


def key(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        (one is None, str(one) if isinstance(one, str) else 0, 0 if one is None or isinstance(one, str) else one)
        for one in row
    )


def test_there_are_two_hundred_different_queries() -> None:
    assert len({case.query for case in CASES}) >= 200


@pytest.mark.parametrize("case", CASES, ids=[f"{number}" for number in range(len(CASES))])
def test_the_rows_are_those_of_brute_force(case: Case, asked: Asked, field: Field) -> None:
    found = rounded(asked.rows(translate(case.query, TABLES, asked.backend)))
    expected = rounded(case.expected(field))
    if "ORDER BY" not in case.query:
        found, expected = sorted(found, key=key), sorted(expected, key=key)
    assert alike(found, expected), (case.query, Counter(found) - Counter(expected), Counter(expected) - Counter(found))


def test_nearly_all_queries_find_rows(field: Field) -> None:
    """What finds nothing compares nothing."""
    assert sum(bool(case.expected(field)) for case in CASES) > 0.9 * len(CASES)


def test_a_moc_of_each_row_is_looked_into(asked: Asked) -> None:
    """A table of MOCs, such as the coverage of surveys, joined with positions."""
    mocs = ["3/10-400 5/20", "0/0 4/3000", "29/17 2/1", None, "nonsense"]
    kind = asked.backend == "sqlite"
    asked.connection.execute("SET default_transaction_read_only = off" if not kind else "SELECT 1")
    asked.connection.execute("CREATE TEMPORARY TABLE surveys (id INTEGER, coverage TEXT)")
    mark = "?" if kind else "%s"
    asked.connection.cursor().executemany(f"INSERT INTO surveys VALUES ({mark}, {mark})", list(enumerate(mocs)))
    surveys = TableDescription(
        "lab.surveys",
        "surveys",
        (ColumnDescription("id", "int"), ColumnDescription("coverage", "char", "*", xtype="moc")),
    )
    query = (
        "SELECT s.id, COUNT(*) FROM lab.surveys AS s JOIN lab.stars AS t "
        "ON 1 = CONTAINS(POINT(t.ra, t.dec), s.coverage) GROUP BY s.id"
    )
    found = asked.rows(translate(query, {**TABLES, surveys.name: surveys}, asked.backend))
    rows = starfield()
    expected = [(number, int(MOC.from_string(text).contains_lonlat(rows.ra * u.deg, rows.dec * u.deg).sum()))
                for number, text in enumerate(mocs[:2])]  # fmt: skip
    assert sorted(found)[:2] == expected


def test_rows_of_one_caller_are_read_in_place_of_a_table(asked: Asked, field: Field) -> None:
    """Trusted SQL stands for the table, with its own parameter beside those of the query."""
    mark = ":owner" if asked.backend == "sqlite" else "%(owner)s"
    mine = TableDescription(
        "lab.mine",
        "lab_stars",
        STARS.columns,
        STARS.positions,
        f"SELECT * FROM lab_stars WHERE name = {mark}",
        {"owner": "Vega"},
    )
    query = "SELECT id FROM lab.mine WHERE tags LIKE 'x%' AND 1 = CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 50))"
    done = translate(query, {**TABLES, mine.name: mine}, asked.backend)
    mask = (field.name == "Vega") & np.char.startswith(field.tags, "x") & (separation(field, 10, 20) <= 50)
    assert sorted(asked.rows(done)) == field.ids(mask) != []
    other = translate("SELECT id FROM lab.stars", {**TABLES, mine.name: mine}, asked.backend)
    assert other.parameters == {}, "parameters come with the tables that are read"


def test_an_index_answers_the_conditions_of_the_sky(asked: Asked) -> None:
    """What the database plans to do: search, not scan."""
    conditions = {
        "CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 0.1))": "by_place",
        "CONTAINS(POINT(ra, dec), POLYGON(10, 20, 11, 20, 11, 21))": "by_place",
        "CONTAINS(POINT(ra, dec), MOC('8/100-110 9/7'))": "by_cell",
        "INTERSECTS(field, CIRCLE(10, 20, 0.1))": "by_region",
        "INTERSECTS(BOX(10, 20, 0.1, 0.2), field)": "by_region",
        "CONTAINS(POINT(10, 20), field)": "by_region",
        "INTERSECTS(field, MOC('8/100-110 9/7'))": "by_region",
        "CONTAINS(field, MOC('8/100-110 9/7'))": "by_region",
    }
    for condition, index in conditions.items():
        query = translate(f"SELECT id FROM lab.stars WHERE 1 = {condition}", TABLES, asked.backend)
        if asked.backend == "sqlite":
            plan = asked.connection.execute(f"EXPLAIN QUERY PLAN {query.sql}", query.parameters).fetchall()
        else:
            asked.connection.execute("SET enable_seqscan = off")  # a table of 500 rows is read whole otherwise
            plan = asked.connection.execute(f"EXPLAIN {query.sql}", query.parameters).fetchall()
        assert index in str(plan), plan
