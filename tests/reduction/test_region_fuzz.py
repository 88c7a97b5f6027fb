"""Any text as a region: read or refused with a sentence, in linear time, and never with another sign than it has."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from growth import Work, require_linear
from reduction.errors import ReductionError
from reduction.regions import RegionSet, parse
from reduction.regions.shapes import MAX_VERTICES

PIECES = {
    "STC-S": ["Circle", "Box", "Polygon", "Ellipse", "Union", "Difference", "Intersection", "Not", "(", ")", "ICRS",
              "FK5", "J2000", "GALACTIC", "TOPOCENTER", "unit", "deg", "1", "2.5", "-3", "1e400", "RANGE"],
    "JSON": ['{"shape":', '"circle"', '"polygon"', '"box"', ",", '"centre":', "[", "]", "[1, 2]", '"radius":', "}",
             '"frame":', '"physical"', '"exclude":', "true", "null", "1e999", '{"value": 1, "unit": "deg"}', '"size":'],
    "SAS": ["(X,Y) IN ", "circle(1,2,3)", "box(1,2,3,4,5)", "circle(1,2,3,X,Y)", "elliptannulus(1,2,3,4,5,6,7,8)",
            "(", ")", "!", "&&", "||", "and", "not", "PI in [1:2]", "#XMMEA_EP", "==", "(X,Y)"],
    "DS9": ["fk5", ";", "\n", "circle(1,2,3)", "-", "!", "+", "&", "|", "#", "include=0", "text={", "}", "{", '"',
            "n=2", "annulus(1,2,3,4,", ")", "global ", "source=0", "background", "composite", "physical", "\\n",
            "box(1,2,3,4,", "5,6,7)", "# Region file format: CIAO\n"],
    "ADQL": ["CIRCLE(", "POINT(", "POLYGON(", "REGION(", "'ICRS'", "''", ",", "1", "-2.5", ")", "'", "Circle 1 2 3"],
}  # fmt: skip


@pytest.mark.parametrize("notation", list(PIECES))
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_pieces_of_a_notation_are_read_or_refused(notation: str, data: st.DataObject) -> None:
    pieces = data.draw(st.lists(st.sampled_from(PIECES[notation]), max_size=14))
    text = data.draw(st.sampled_from(["", " "])).join(pieces)
    try:
        assert isinstance(parse(text), RegionSet)
    except ReductionError as error:
        assert error.parameter == "region"
        assert str(error).isascii()
        assert len(str(error)) < 500


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
@example("\ufeff")
@example("fk5;circle(1,2,3)#include=" + "9" * 5000)
@example("RANGE 1 2 3 1e999")
def test_any_characters_are_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except ReductionError as error:
        assert error.parameter == "region"


GROWING: dict[str, Callable[[int], str]] = {
    "open": lambda n: "(" * n,
    "statements": lambda n: "fk5;" * (n // 4),
    "braces": lambda n: "fk5;circle(1,2,3)#" + "{{} " * (n // 4),
    "open braces": lambda n: "fk5;a#{;" * (n // 8),
    "quotes": lambda n: "fk5;circle(1,2,3)#" + "\"a'" * (n // 3),
    "properties": lambda n: "fk5;circle(1,2,3)#" + "a=1 " * (n // 4),
    "blanks before a composite": lambda n: "# " + " " * n + "x\nfk5;circle(1,2,3)",
    "blanks in a comment": lambda n: "fk5;circle(1,2,3)#x ;" + " " * n + "y",
    "arguments": lambda n: "fk5;circle(" + "1," * (n // 2) + ")",
    "blanks in arguments": lambda n: "fk5;circle(1" + " " * n + ",2,3)",
    "digits": lambda n: "fk5;circle(" + "1" * n + "x,2,3)",
    "sexagesimal digits": lambda n: "fk5;circle(1:" + "1" * n + "x,2,3)",
    "names of n": lambda n: "fk5;annulus(1,2,3,4," + "n " * (n // 2) + ")",
    "ands": lambda n: "fk5;circle(1,2,3)" + "&" * n,
    "line ends": lambda n: "\r" * n + "x",
    "numbers": lambda n: "1 " * (n // 2),
    "lines of numbers": lambda n: "1\n" * (n // 2) + "x",
    "negations": lambda n: "!" * (n // 2 * 2) + "((X,Y) IN circle(1,2,3))",
    "alternatives": lambda n: "(X,Y) IN circle(1,2,3)||" * (n // 24) + "x",
    "columns": lambda n: ",a" * (n // 2),
    "commas": lambda n: "(X,Y) IN c(" + "," * n,
    "points": lambda n: "POLYGON(" + "POINT('ICRS',1,2)," * (n // 18) + ")",
    "open points": lambda n: "CIRCLE(" + "POINT('a',1," * (n // 12),
    "signs of CIAO": lambda n: "# Region file format: CIAO\n" + "-" * n,
    "STC-S": lambda n: "Circle ICRS " + "1 " * (n // 2),
    "a MOC": lambda n: "1/" + "1-" * (n // 2) + "x",
    "JSON": lambda n: "[" + "1," * (n // 2) + "1]",
}  # fmt: skip


@pytest.mark.parametrize("name", list(GROWING))
def test_the_time_grows_with_the_text(name: str) -> None:
    def prepare(size: int) -> Work:
        text = GROWING[name](size)

        def read() -> None:
            try:
                parse(text)
            except ReductionError:
                return

        return read

    require_linear(prepare, 12_000, runs=3)


def test_the_time_for_an_outline_grows_with_its_vertices() -> None:
    def prepare(vertices: int) -> Work:
        turns = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
        reach = 500 + 100 * np.sin(9 * turns)
        corners = np.stack([reach * np.cos(turns), reach * np.sin(turns)], axis=1).round(2)
        text = f"physical;polygon({','.join(map(str, corners.ravel().tolist()))})"
        return lambda: parse(text)

    require_linear(prepare, MAX_VERTICES // 8, runs=3)
    with pytest.raises(ReductionError, match="at most 5,000 are read"):
        parse(f"physical;polygon({','.join(f'{i},{i * i % 97}' for i in range(MAX_VERTICES + 1))})")


SIGNS = [("", True), ("+", True), ("-", False), ("!", False), ("- ", False)]
PROPERTIES = [("", None), ("# include=0", False), ("# text={a {b} c} include = 0", False),
              ("#color=red,include=no", False), ("# include=1 width=2", True),
              ("# include={0}", False), ("# text={include=0}", None), ('# tag="include=0"', None)]  # fmt: skip
GLOBALS = [("", None), ("global include=0", False), ("global color=#0f0 include = off select=1", False),
           ("global include=1", True), ("# global include=0", None)]  # fmt: skip


@pytest.mark.parametrize(
    ("sign", "said", "before"), list(itertools.product(SIGNS, PROPERTIES, GLOBALS)), ids=lambda value: repr(value[0])
)
def test_a_shape_has_the_sign_of_its_text(
    sign: tuple[str, bool], said: tuple[str, bool | None], before: tuple[str, bool | None]
) -> None:
    """What is nearest to the shape holds: its property, then its sign, then what is global."""
    text = f"fk5\ncircle(1,2,3)\n{before[0]}\n{sign[0]}circle(10,2,3) {said[0]}\n"
    if not sign[1] and said[1]:
        with pytest.raises(ReductionError, match="write one of the two"):
            parse(text)
        return
    usual = sign[1] if sign[0] else before[1] is not False
    included = usual if said[1] is None else said[1]
    read = parse(text)
    assert (len(read.include), len(read.exclude)) == ((2, 0) if included else (1, 1))
