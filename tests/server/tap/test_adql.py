"""ADQL becomes SQL that sqlite3 runs, over the tables given, and says where a query is wrong."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator

import pytest

from checkout import ROOT
from uws_server.tap.adql import AdqlError, translate
from uws_server.tap.adql.aggregates import AGGREGATES
from uws_server.tap.adql.expressions import FUNCTIONS
from uws_server.tap.tables import ColumnDescription, TableDescription

STARS = TableDescription(
    "lab.stars",
    "stars",
    (
        ColumnDescription("id", "long", ucd="meta.id;meta.main"),
        ColumnDescription("name", "char", "*"),
        ColumnDescription("mag", "double", unit="mag", ucd="phot.mag", description="how bright"),
    ),
)
TABLES = {STARS.name: STARS}
ROWS = [(1, "Vega", 0.03), (2, "Deneb", 1.25), (3, "vesta", 5.1)]


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE stars (id INTEGER, name TEXT, mag REAL)")
    connection.executemany("INSERT INTO stars VALUES (?, ?, ?)", ROWS)
    yield connection
    connection.close()


def test_top_gives_the_first_rows_and_describes_the_columns(database: sqlite3.Connection) -> None:
    done = translate("SELECT TOP 2 name, mag AS brightness FROM lab.stars ORDER BY mag DESC", TABLES, "sqlite")
    assert database.execute(done.sql, done.parameters).fetchall() == [("vesta", 5.1), ("Deneb", 1.25)]
    assert [column.name for column in done.columns] == ["name", "brightness"]
    assert done.columns[1] == ColumnDescription(
        "brightness", "double", unit="mag", ucd="phot.mag", description="how bright"
    )


def test_one_row_more_than_maxrec_comes(database: sqlite3.Connection) -> None:
    done = translate("SELECT * FROM lab.stars", TABLES, "sqlite", maxrec=2)
    assert len(database.execute(done.sql, done.parameters).fetchall()) == 3
    done = translate("SELECT * FROM lab.stars", TABLES, "sqlite", maxrec=1)
    assert len(database.execute(done.sql, done.parameters).fetchall()) == 2


def test_a_misspelt_column_is_told_with_its_place() -> None:
    with pytest.raises(AdqlError, match="line 2, column 3: there is no column nmae; did you mean name"):
        translate("SELECT\n  nmae FROM lab.stars", TABLES, "sqlite")


def test_the_parser_is_not_imported_before_the_first_query() -> None:
    code = (
        "import sys, uws_server.tap.adql, uws_server.tap.adql.sqlite, uws_server.tap.adql.postgresql\n"
        "print(sorted(name for name in ('sqlglot', 'numpy', 'astropy', 'psycopg') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_lists_the_functions_that_there_are() -> None:
    page = (ROOT / "docs" / "adql.md").read_text(encoding="utf-8")
    table = page[page.index("## Functions") :].split("\n\n")[1]
    assert sorted(re.findall(r"\b[A-Z][A-Z0-9_]+\b", table.replace("IVOA's", ""))) == sorted({*FUNCTIONS, *AGGREGATES})


def test_names_of_the_database_may_be_those_that_translations_give(database: sqlite3.Connection) -> None:
    """Uploaded tables may be called t2 and their columns c1 and c2, as tables and columns are in the SQL of a query."""
    database.execute("CREATE TABLE t2 (c1 INTEGER, c2 INTEGER)")
    database.executemany("INSERT INTO t2 VALUES (?, ?)", [(1, 30), (2, 20), (3, 10)])
    columns = (ColumnDescription("a", "int", sql_name="c1"), ColumnDescription("b", "int", sql_name="c2"))
    table = TableDescription("TAP_UPLOAD.mine", "t2", columns)
    query = (
        "WITH w AS (SELECT a FROM TAP_UPLOAD.mine WHERE a < 3) "
        "SELECT mine.b, mine.a FROM TAP_UPLOAD.mine JOIN w ON w.a = mine.a ORDER BY b"
    )
    done = translate(query, {table.name: table}, "sqlite")
    assert database.execute(done.sql, done.parameters).fetchall() == [(20, 2), (30, 1)]
