"""Selections written for others to repeat: SLCTEXPR and region tables; oracles: the formulas of selectlib, cfitsio."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from reduction.errors import ReductionError
from reduction.events import dss
from reduction.events.eventlist import EventList, open_eventlist
from reduction.events.selection import choose
from reduction.regions import PixelRegionSet, parse
from regiontexts import cfitsio_selects, events_file, with_projection
from synthetic import Epic, write

Express = Callable[[PixelRegionSet], str]


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventList]:
    path = tmp_path_factory.mktemp("pn") / "pn.fits"
    write(path, Epic(rows=2000))
    with open_eventlist(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def expression(events: EventList) -> Express:
    return lambda region: dss.expression(events, choose(events, "0.2 12.0"), region)


def shapes_of(selection: str) -> str:
    """The part of an expression that is on X,Y."""
    return selection.partition("(PI in [200:12000]) && ")[2]


# What the functions of selectlib select, from its documentation: half-widths, rotations anticlockwise from the X axis.


def circle(dx: np.ndarray, dy: np.ndarray, r: float) -> np.ndarray:
    return dx**2 + dy**2 <= r**2


def turned(dx: np.ndarray, dy: np.ndarray, rotation: float) -> tuple[np.ndarray, np.ndarray]:
    place = (dx + 1j * dy) * np.exp(-1j * np.radians(rotation))
    return place.real, place.imag


def ellipse(dx: np.ndarray, dy: np.ndarray, a: float, b: float, rotation: float) -> np.ndarray:
    along, across = turned(dx, dy, rotation)
    return (along / a) ** 2 + (across / b) ** 2 <= 1


def selectlib(name: str, values: list[float], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if name == "polygon":
        inside = np.zeros(x.shape, dtype=bool)
        xs, ys = np.array(values[0::2]), np.array(values[1::2])
        for x0, y0, x1, y1 in zip(xs, ys, np.roll(xs, -1), np.roll(ys, -1), strict=True):
            if y0 != y1:
                inside ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
        return inside
    dx, dy, rest = x - values[0], y - values[1], values[2:]
    match name:
        case "circle":
            return circle(dx, dy, *rest)
        case "annulus":
            return circle(dx, dy, rest[1]) & (dx**2 + dy**2 >= rest[0] ** 2)
        case "ellipse":
            return ellipse(dx, dy, *rest)
        case "box":
            along, across = turned(dx, dy, rest[2])
            return (abs(along) <= rest[0]) & (abs(across) <= rest[1])
        case "elliptannulus":
            a, b, c, d, inner, outer = rest
            return ellipse(dx, dy, c, d, outer) & ~ellipse(dx, dy, a, b, inner)
    raise AssertionError(f"selectlib has no {name}")


def evaluated(text: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points an expression selects; the operators of the SAS bind like those of Python on arrays."""
    found: list[np.ndarray] = []

    def numbered(match: re.Match[str]) -> str:
        found.append(selectlib(match[1], [float(word) for word in match[2].split(",")], x, y))
        return f"shape[{len(found) - 1}]"

    python = re.sub(r"\(X,Y\) IN (\w+)\(([^()]*)\)", numbered, text)
    python = python.replace("!", "~").replace("&&", "&").replace("||", "|")
    assert re.fullmatch(r"[()~&| ]*(shape\[\d+\][()~&| ]*)+", python), python
    return np.asarray(eval(python, {"shape": found}))


offsets = st.floats(-900, 900, allow_subnormal=False)
sizes = st.floats(50, 600)
turns = st.floats(-400, 400)


@st.composite
def pixel_shapes(draw: st.DrawFn) -> str:
    x, y = 25921 + draw(offsets), 25921 + draw(offsets)
    kind = draw(st.sampled_from(["circle", "ellipse", "annulus", "ring", "box", "polygon"]))
    small, large = draw(sizes), draw(sizes)
    if kind == "polygon":
        steps = sorted(draw(st.lists(st.integers(0, 71), min_size=3, max_size=8, unique=True)))
        corners = [(x + large * np.cos(step * np.pi / 36), y + large * np.sin(step * np.pi / 36)) for step in steps]
        return f"polygon({','.join(f'{value!r}' for corner in corners for value in map(float, corner))})"
    numbers = {
        "circle": [large],
        "annulus": [small, small + large],
        "ellipse": [small, large, draw(turns)],
        "ring": [small, large, small + 50, large + draw(sizes), draw(turns)],
        "box": [small, large, draw(turns)],
    }[kind]
    return f"{kind.replace('ring', 'ellipse')}({','.join(repr(float(number)) for number in [x, y, *numbers])})"


def points() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(5)
    return draw.uniform(25921 - 1600, 25921 + 1600, (2, 6000))


@settings(max_examples=150, deadline=None)
@given(st.lists(pixel_shapes(), min_size=1, max_size=3), st.lists(pixel_shapes(), max_size=2))
def test_an_expression_selects_the_same_events(expression: Express, include: list[str], exclude: list[str]) -> None:
    region = parse("\n".join(["physical", *include, *(f"-{shape}" for shape in exclude)])).on(None)
    text = shapes_of(expression(region))
    x, y = points()
    inside = region.contains(x, y)
    np.testing.assert_array_equal(evaluated(text, x, y), inside)
    again = parse(text).on(None)
    np.testing.assert_array_equal(again.contains(x, y), inside)
    # a cut-out that reaches into no shape is not written: the same area is added up along other lines
    assert again.area() == pytest.approx(region.area(), rel=1e-3, abs=1.0)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("box(25921,25921,800,400,20)", "((X,Y) IN box(25921,25921,400,200,20))"),
        ("ellipse(1,2,20,10,80,40,30)", "((X,Y) IN elliptannulus(1,2,20,10,80,40,30,30))"),
        ("ellipse(1,2,0.5,10,-30)", "((X,Y) IN ellipse(1,2,0.5,10,-30))"),
        ("annulus(1,2,3,4)", "((X,Y) IN annulus(1,2,3,4))"),
        ("polygon(0,0,9,0,9,9.25)", "((X,Y) IN polygon(0,0,9,0,9,9.25))"),
        ("circle(0,0,9)\n-box(1,2,3,4,5)", "((X,Y) IN circle(0,0,9)) && !((X,Y) IN box(1,2,1.5,2,5))"),
        ("circle(123.456789012345,0,9)", "((X,Y) IN circle(123.456789012345,0,9))"),
    ],
)
def test_functions_of_selectlib(expression: Express, text: str, written: str) -> None:
    assert shapes_of(expression(parse(f"physical\n{text}").on(None))) == f"({written})"


def test_a_whole_expression_is_refused_with_the_part_that_is_a_region(expression: Express) -> None:
    text = expression(parse("physical; circle(25921,25921,800)").on(None))
    with pytest.raises(ReductionError, match=r"also on FLAG, PATTERN, PI; .* \(X,Y\) IN circle\(25921,25921,800\);"):
        parse(text)


def test_a_region_of_the_sky_is_repeated_too(events: EventList, expression: Express) -> None:
    text = 'fk5; box(150.01,2.01,80",40",33); -circle(150.012,2.012,9"); ellipse(149.97,1.98,10",20",30",60",70)'
    region = parse(text).on(events.wcs)
    x, y = points()
    np.testing.assert_array_equal(evaluated(shapes_of(expression(region)), x, y), region.contains(x, y))


def region_file(path: Path, events: EventList, region: PixelRegionSet) -> None:
    """The region table of a product as cfitsio takes it: named REGION, with rotations and a projection."""
    subspace = dss.describe(events, choose(events, "0.2 12.0"), region)
    content = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU()]).writeto(content)
    content.write(next(table for table in subspace.tables if b"REG00101" in table))
    content.seek(0)
    with fits.open(content) as hdus:
        columns = hdus["REG00101"].columns
        for name in {"R", "ROTANG"} - set(columns.names):
            columns += fits.ColDefs([fits.Column(name, "E", array=np.zeros(len(hdus["REG00101"].data)))])
        with_projection(fits.BinTableHDU.from_columns(columns, name="REGION")).writeto(path)


def test_what_was_selected_before_is_still_described(tmp_path: Path) -> None:
    """The first descriptor too, but none of a table, of a CCD, of a time or of a place, which are described anew."""
    before = [("RAWX", "10:20"), ("TIME", "1:2"), ("CCDNR", "4"), ("POS(X,Y)", "9"), ("RAWY", "TABLE"), ("PAT_ID", "1")]
    cards = [(f"DS{part}{n}", pair[i]) for n, pair in enumerate(before, 1) for i, part in enumerate(("TYP", "VAL"))]
    write(tmp_path / "cut.fits", Epic(rows=2000, cards=tuple(cards)))
    with open_eventlist(tmp_path / "cut.fits") as events:
        written = {name: value for name, value, _ in dss.describe(events, choose(events, "0.2 12.0"), None).cards}
    described = [(written[f"DSTYP{n}"], written.get(f"DSVAL{n}")) for n in range(1, 10) if f"DSTYP{n}" in written]
    assert described[:2] == [("RAWX", "10:20"), ("PAT_ID", "1")]
    assert [name for name, _ in described[2:]] == ["CCDNR", "FLAG", "PATTERN", "PI", "TIME"]


TABLED = [
    "circle(25921,25921,800)",
    "ellipse(25921,25921,800,300,30)",
    "annulus(25921,25921,300,700)",
    "box(25921,25921,1200,400,35)",
    "ellipse(25921,25921,300,100,900,400,-50)",
    "polygon(25200,25300,26900,25500,26000,26800)",
    "circle(25700,25921,500)\ncircle(26300,25921,400)\n-circle(26000,25921,200)\n-circle(25500,25800,100)",
]


@pytest.mark.skipif(
    shutil.which("fitscopy") is None, reason="fitscopy is not installed: apt-get install libcfitsio-bin"
)
@pytest.mark.parametrize("text", TABLED)
def test_cfitsio_selects_the_same_by_the_region_table(events: EventList, tmp_path: Path, text: str) -> None:
    region: Any = parse(f"physical\n{text}").on(None)
    region_file(tmp_path / "region.fits", events, region)
    x, y = points()
    events_file(tmp_path / "events.fits", x, y)
    taken = cfitsio_selects(tmp_path / "events.fits", f"{tmp_path}/region.fits")
    expected = region.contains(x, y)
    assert 50 < expected.sum() < len(x) - 50
    np.testing.assert_array_equal(np.isin(x, taken), expected)
