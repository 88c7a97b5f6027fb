"""The language of the search bar: what texts mean, what is said of those that mean nothing, and where."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout import ROOT
from uws_server.archive.query.columns import BY_NAME, COLUMNS
from uws_server.archive.query.conditions import (
    AllOf,
    AnyOf,
    Compared,
    Condition,
    Cone,
    InRegion,
    Like,
    Not,
    OneOf,
)
from uws_server.archive.query.errors import QueryError
from uws_server.archive.query.reading import DEEPEST, MOST_CHARS, MOST_CONDITIONS, MOST_VALUES, read

EXPOSURE, DATE, TARGET, INSTRUMENT = (BY_NAME[name] for name in ("exposure", "date", "target", "instrument"))
LONG = Compared(EXPOSURE, ">", 20000.0)
PN = Compared(INSTRUMENT, "=", "epn")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", AllOf()),
        ("  \n ", AllOf()),
        ("M82", Cone("M82", 10 / 60)),
        ("NGC  4151", Cone("NGC 4151", 10 / 60)),
        ('"NGC 4151 (the Eye)"', Cone("NGC 4151 (the Eye)", 10 / 60)),
        ("'Barnard''s star'", Cone("Barnard's star", 10 / 60)),
        ("83.63 22.01", Cone("83.63 22.01", 10 / 60)),
        ("83.63, 22.01", Cone("83.63, 22.01", 10 / 60)),
        ("05:34:31.9 +22:00:52", Cone("05:34:31.9 +22:00:52", 10 / 60)),
        ("PKS 2155-304", Cone("PKS 2155-304", 10 / 60)),
        ("Andromeda", Cone("Andromeda", 10 / 60)),
        ("cone('M31','1deg') AND exposure > 20000", AllOf((Cone("M31", 1.0), LONG))),
        ("cone(M31)", Cone("M31", 10 / 60)),
        ("CONE(10.68, +41.27, 30 arcmin)", Cone("10.68, +41.27", 0.5)),
        ("cone('M31', \"6'\")", Cone("M31", 0.1)),
        ("exposure>20ks", LONG),
        ("Exposure > 20 KS", LONG),
        ("t_exptime > 2e4 s", LONG),
        ("NOT exposure > 20000", Not(LONG)),
        ("NOT NOT exposure > 20000", LONG),
        ("((exposure > 20000))", LONG),
        ("exposure = 1 h", Compared(EXPOSURE, "=", 3600.0)),
        ("exposure BETWEEN 1ks AND 20ks", AllOf((Compared(EXPOSURE, ">=", 1000.0), Compared(EXPOSURE, "<=", 20000.0)))),
        ("pn", PN),
        ("EPIC-pn", PN),
        ("camera = PN", PN),
        ("EMOS-1", Compared(INSTRUMENT, "=", "emos1")),
        ("MOS", OneOf(INSTRUMENT, ("emos1", "emos2"))),
        ("pn OR MOS1", AnyOf((PN, Compared(INSTRUMENT, "=", "emos1")))),
        ("pn AND exposure > 20000 OR M82", AnyOf((AllOf((PN, LONG)), Cone("M82", 10 / 60)))),
        ("pn AND (exposure > 20000 OR M82)", AllOf((PN, AnyOf((LONG, Cone("M82", 10 / 60)))))),
        ("0112290201", Compared(BY_NAME["obsid"], "=", "0112290201")),
        ("obsid IN {0112290201, '0112290301'}", OneOf(BY_NAME["obsid"], ("0112290201", "0112290301"))),
        ("obsid NOT IN (1, 2)", Not(OneOf(BY_NAME["obsid"], ("1", "2")))),
        ("target LIKE 'M 8%'", Like(TARGET, "m 8%")),
        ("object not like NGC*", Not(Like(TARGET, "ngc%"))),
        ("target != Crab Nebula", Not(Compared(TARGET, "=", "crab nebula"))),
        ("date > 2005-01-01", Compared(DATE, ">=", 53372.0)),
        ("date < 2005-01-01", Compared(DATE, "<", 53371.0)),
        ("date = 2005", AllOf((Compared(DATE, ">=", 53371.0), Compared(DATE, "<", 53736.0)))),
        ("date >= 2005-12", Compared(DATE, ">=", 53705.0)),
        ("date <= 2005-12", Compared(DATE, "<", 53736.0)),
        ("date > 2005-01-01T12:00:00", Compared(DATE, ">", 53371.5)),
        ("date >= 53371.25", Compared(DATE, ">=", 53371.25)),
        ("region('icrs; circle(83.63, 22.01, 40\")')", InRegion('icrs; circle(83.63, 22.01, 40")')),
        ('region("Circle ICRS 83.63 22.01 0.1")', InRegion("Circle ICRS 83.63 22.01 0.1")),
    ],
)
def test_a_text_means_what_an_astronomer_means(text: str, meaning: Condition) -> None:
    assert read(text) == meaning


@pytest.mark.parametrize(
    ("text", "begin", "marked", "said"),
    [
        ("expsure > 3", 0, "expsure", "did you mean exposure?"),
        ("pn AND objct = M82", 7, "objct", "did you mean object?"),
        ("weather = fine", 0, "weather", "there are obsid, target,"),
        ("exposure > a", 11, "a", "exposure is a number in s"),
        ("exposure > 3 parsec", 11, "3 parsec", "'parsec' is no unit of exposure"),
        ("exposure > 20 ms", 11, "20 ms", "'ms' is no unit"),
        ("ra = 1e999", 5, "1e999", "too large"),
        ("exposure LIKE 3", 9, "LIKE", "LIKE compares texts"),
        ("target > M82", 7, ">", "=, !=, LIKE and IN are allowed"),
        ("date > yesterday", 7, "yesterday", "2005-01-31T12:30:00"),
        ("date = 2005-02-30", 7, "2005-02-30", "came"),
        ("date = 9999", 7, "9999", "came"),
        ("'M82", 0, "'", "the quote ' that is opened here is not closed"),
        ('target = "M82', 9, '"', "is not closed"),
        ("exposure", 0, "exposure", "a comparison is missing, such as exposure > 20"),
        ("exposure >", 10, "", "the search ends where a value is expected"),
        ("M82 AND", 7, "", "the search ends where a condition"),
        ("AND M82", 0, "AND", "a condition, a name or a position is expected"),
        ("(M82", 4, "", "ends where ) is expected"),
        ("M82)", 3, ")", "AND, OR or the end"),
        ("exposure > 3 date = 2005", 18, "=", "AND, OR"),
        ("exposure ! 3", 9, "!", "'!' is not understood"),
        ("obsid IN 3", 9, "3", "a list such as {'a', 'b'}"),
        ("obsid IN {}", 10, "}", "a value is expected"),
        ("con('M31')", 0, "con", "did you mean cone?"),
        ("cone()", 0, "cone", "cone('M31', '1deg')"),
        ("cone(1, 2, 3, 4)", 0, "cone", "cone('M31', '1deg')"),
        ("cone(M31, 1 parsec)", 10, "1 parsec", "10arcmin"),
        ("cone(M31, 0)", 10, "0", "more than 0"),
        ("cone(M31, 91)", 10, "91", "at most 90"),
        ("cone(M31, -1deg)", 10, "-1deg", "more than 0"),
        ("region(circle)", 0, "region", "one text in quotes"),
        ("M82 pn", 4, "pn", "did you mean M82 AND pn?"),
        ("''", 0, "''", "a name or a position"),
        (" OR ".join(["M82"] * 21), 140, "M82", "more than 20 cones"),
        (f"target = '{'x' * 1001}'", 9, f"'{'x' * 1001}'", "1,000 characters"),
    ],
)
def test_what_means_nothing_is_told_with_its_place(text: str, begin: int, marked: str, said: str) -> None:
    with pytest.raises(QueryError) as refused:
        read(text)
    error = refused.value
    assert said in error.sentence
    assert str(error).startswith(f"column {begin + 1}: ")
    assert text[error.begin : error.end] == marked
    line, marks = error.caret().split("\n")
    at = len(marks) - len(marks.lstrip())
    assert line[at : at + len(marked.strip())].startswith(marked[:40])
    assert "^" in marks and len(line) < 130


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x" * 1_000_000, f"1,000,000 characters; {MOST_CHARS:,} are allowed"),
        ("(" * 10_000 + "M82" + ")" * 10_000, f"more than {DEEPEST} parentheses"),
        ("NOT (" * 8_000, f"more than {DEEPEST} parentheses"),
        (f"ra IN {{{', '.join(map(str, range(3000)))}}}", f"{MOST_VALUES:,} are allowed"),
        (" OR ".join(["ra > 3"] * 301), f"301 comparisons; {MOST_CONDITIONS} are allowed"),
        ("'" * 9_999, "not closed"),
    ],
)
def test_what_is_too_much_is_refused_with_a_sentence(text: str, said: str) -> None:
    with pytest.raises(QueryError, match=said):
        read(text)


def test_a_row_of_negations_is_one_or_none() -> None:
    assert read("NOT " * 8_000 + "pn") == PN


PIECES = [*"M82 ().,<>='\"{}%*-:\\\n\0é", " AND ", " OR ", "NOT ", " IN ", " LIKE ", " BETWEEN ", "exposure", "target",
          "date", "2005", "cone(", "region("]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_text_is_read_or_refused_with_its_place(text: str) -> None:
    try:
        read(text)
    except QueryError as error:
        assert 0 <= error.begin <= len(text) and error.sentence
        assert len(error.caret().split("\n")) == 2


def test_every_column_is_known_by_one_meaning() -> None:
    names = [name for column in COLUMNS for name in (column.name, *column.others)]
    assert len(names) == len(set(names)), "a name means one column"


def test_the_parser_is_loaded_when_the_first_search_comes() -> None:
    program = "import sys, uws_server.services.context; print('lark' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_documentation_has_every_column_and_its_searches_are_read() -> None:
    lines = (ROOT / "docs" / "archive.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| `")]
    columns = [(column.name, column.unit or column.kind, column.meaning, column.others) for column in COLUMNS]
    assert [(cells[0].strip("`"), cells[1], cells[2], tuple(re.findall(r"`([^`]*)`", " ".join(cells[3:]))))
            for cells in rows if len(cells) > 2] == columns  # fmt: skip
    searches = [cells[0].strip("`") for cells in rows if len(cells) == 2]
    assert len(searches) > 12
    for text in searches:
        assert read(text) != AllOf(), text
