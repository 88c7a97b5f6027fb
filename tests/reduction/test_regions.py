"""Regions: what the notations mean, which events are inside, how large the area is; oracles: `regions` and astropy."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
import regions
from astropy.coordinates import SkyCoord
from astropy.io import fits
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reduction.errors import ReductionError
from reduction.regions import MAX_BYTES, MAX_SHAPES, PixelRegionSet, RegionSet, parse
from regiontexts import points_around, refusal, sky_plane

DISC = 'fk5; circle(148.974458333333,69.6509722222222,40")'


SKY_SHAPES = [
    'fk5; circle(148.99,69.66,40")',
    'icrs; ellipse(148.99,69.66,60",20",33)',
    'fk5; annulus(9:55:53,+69:39:03,20",40")',
    'fk5; ellipse(148.99,69.66,20",10",60",30",70)',
    "fk5; box(148.99,69.66,2',1',20)",
    "fk4; circle(148.0,69.9,1')",
    "fk5; polygon(148.9,69.6,149.1,69.61,149.05,69.7,148.95,69.64)",
]


@pytest.mark.parametrize("text", SKY_SHAPES)
def test_same_events_as_the_regions_package(text: str) -> None:
    wcs = sky_plane()
    placed = parse(text).on(wcs)
    x, y = points_around(placed)
    frame, statement = text.split("; ")
    (theirs,) = regions.Regions.parse(f"{frame}\n{statement}\n", format="ds9")
    expected = theirs.to_pixel(wcs).contains(regions.PixCoord(x, y))
    assert 100 < expected.sum() < len(x) - 100
    np.testing.assert_array_equal(placed.contains(x, y), expected)


def test_circle_holds_what_is_near_on_the_sky() -> None:
    wcs = sky_plane()
    placed = parse('icrs; circle(149.2,69.7,90")').on(wcs)
    x, y = points_around(placed)
    apart = wcs.pixel_to_world(x, y).separation(SkyCoord(149.2, 69.7, unit="deg")).arcsec
    sure = np.abs(apart - 90) > 90 * 2e-5
    np.testing.assert_array_equal(placed.contains(x, y)[sure], (apart < 90)[sure])


@pytest.mark.parametrize(
    ("frame", "lon", "lat"), [("galactic", 141.9, 40.9), ("fk4", 148.0, 69.9), ("fk5", 149.0, 69.6)]
)
def test_angle_counts_from_the_north_of_its_own_frame(frame: str, lon: float, lat: float) -> None:
    wcs, turn = sky_plane(), math.radians(20)
    placed = parse(f"{frame}; box({lon},{lat},2',1',20)").on(wcs)
    x, y = points_around(placed)
    centre = SkyCoord(lon, lat, unit="deg", frame=frame)
    offset = (
        wcs.pixel_to_world(x, y).transform_to(centre, merge_attributes=False).transform_to(centre.skyoffset_frame())
    )
    west, north = -offset.lon.arcmin, offset.lat.arcmin
    along = np.abs(west * math.cos(turn) + north * math.sin(turn))
    across = np.abs(north * math.cos(turn) - west * math.sin(turn))
    expected = (along <= 1) & (across <= 0.5)
    sure = np.minimum(np.abs(along - 1), np.abs(across - 0.5)) > 2e-3
    np.testing.assert_array_equal(placed.contains(x, y)[sure], expected[sure])


def test_frame_is_kept_and_j2000_is_fk5() -> None:
    (shape,) = parse('j2000\n\ncircle 195.5004, 27.7824, 9.408" # text="1"').include
    assert shape.center.frame.name == "fk5"
    assert shape.center.ra.deg == 195.5004
    assert shape.radius == 9.408 * u.arcsec


def test_pixels_are_column_values() -> None:
    placed = parse(DISC).on(sky_plane())
    (row,) = placed.table_rows()
    assert (row.shape, row.rotang) == ("CIRCLE", [])
    np.testing.assert_allclose([row.x[0], row.y[0], row.r[0]], [25921, 25921, 800], atol=2e-6)
    (physical,) = parse("physical; circle(25921,25921,800)").on(None).table_rows()
    assert physical == ("CIRCLE", [25921.0], [25921.0], [800.0], [])


def test_border_belongs_to_the_shape() -> None:
    x, y = np.array([3, 5, 4, 0, 0], dtype=">i4"), np.array([4, 0, 4, -5, 6], dtype=">i4")
    np.testing.assert_array_equal(parse("physical; circle(0,0,5)").on(None).contains(x, y), [1, 1, 0, 1, 0])
    np.testing.assert_array_equal(parse("physical; box(0,0,10,10)").on(None).contains(x, y), [1, 1, 1, 1, 0])
    np.testing.assert_array_equal(parse("physical; annulus(0,0,5,6)").on(None).contains(x, y), [1, 1, 1, 1, 1])


def test_nan_is_never_inside() -> None:
    placed = parse("physical; circle(0,0,5); polygon(0,0,9,0,9,9); box(0,0,3,3)").on(None)
    assert not placed.contains(np.array([np.nan, 0.0]), np.array([0.0, np.nan])).any()


def test_exclusions_count_whatever_their_order() -> None:
    text = "physical\n-circle(100,100,10)\ncircle(100,100,50)\n!box(100,140,20,30)\n+circle(300,100,5) # include=0\n"
    selected = parse(text)
    assert (len(selected.include), len(selected.exclude)) == (1, 3)
    placed = selected.on(None)
    x, y = points_around(placed)
    shapes = [s.contains(regions.PixCoord(x, y)) for s in (*placed.include, *placed.exclude)]
    np.testing.assert_array_equal(placed.contains(x, y), shapes[0] & ~shapes[1] & ~shapes[2] & ~shapes[3])
    assert [row.shape for row in placed.table_rows()] == ["CIRCLE", "!CIRCLE", "!BOX"]


def test_region_table_repeats_exclusions_per_component() -> None:
    placed = parse("physical; circle(0,0,50); circle(60,0,50); -circle(30,0,10); -circle(-40,0,3)").on(None)
    assert [row.shape for row in placed.table_rows()] == ["CIRCLE", "!CIRCLE", "!CIRCLE", "CIRCLE", "!CIRCLE"]
    assert placed.components() == [0, 0, 0, 1, 1]


def test_region_table_of_every_shape() -> None:
    text = (
        "physical; ellipse(1,2,30,20,15); annulus(1,2,3,4); box(1,2,30,20,15); polygon(0,0,9,0,9,9);"
        "ellipse(1,2,3,4,5,6,7)"
    )
    assert parse(text).on(None).table_rows() == [
        ("ELLIPSE", [1], [2], [30, 20], [15]),
        ("ANNULUS", [1], [2], [3, 4], []),
        ("BOX", [1], [2], [30, 20], [15]),
        ("POLYGON", [0, 9, 9], [0, 0, 9], [], []),
        ("ELLIPTANNULUS", [1], [2], [3, 4, 5, 6], [7, 7]),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("circle(25921,25921,800)", math.pi * 800**2),
        ("ellipse(0,0,30,20,77)", math.pi * 600),
        ("annulus(0,0,10,20)", math.pi * 300),
        ("ellipse(0,0,10,20,20,40,10)", math.pi * 600),
        ("box(5,5,30,20,15)", 600.0),
        ("polygon(0,0,10,0,10,10,0,10)", 100.0),
    ],
)
def test_area_of_one_shape_is_its_formula(text: str, expected: float) -> None:
    assert parse(f"physical; {text}").on(None).area() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("circle(0,0,100); -circle(20,0,30)", math.pi * (100**2 - 30**2)),
        ("box(0,0,100,100); box(50,0,100,100)", 15000.0),
        ("box(0,0,100,100,45); -box(0,0,20,20,45)", 9600.0),
        ("circle(0,0,100); circle(500,0,10)", math.pi * 10100),
        ("circle(0,0,100); -circle(0,0,200)", 0.0),
        ("annulus(0,0,10,20); annulus(0,0,20,30); circle(0,0,10)", math.pi * 900),
        ("ellipse(0,0,40,10,30); -ellipse(0,0,20,5,30)", math.pi * 300),
        ("circle(0,0,100); -polygon(0,0,30,0,30,30,0,30)", math.pi * 1e4 - 900),
        ("annulus(0,0,50,100); -circle(0,0,60)", math.pi * 6400),
        # two unit circles one radius apart: 2 pi - lens, lens = 2 pi / 3 - sqrt(3) / 2
        ("circle(0,0,100); circle(100,0,100)", 1e4 * (2 * math.pi - (2 * math.pi / 3 - math.sqrt(3) / 2))),
    ],
)
def test_area_of_several_shapes(text: str, expected: float) -> None:
    assert parse(f"physical; {text}").on(None).area() == pytest.approx(expected, rel=5e-6, abs=1e-6)


def test_area_agrees_with_counted_points() -> None:
    placed = parse("physical; polygon(0,0,90,10,40,40,80,90,5,70); circle(60,60,30); -ellipse(40,40,30,9,20)").on(None)
    x0, x1, y0, y1 = placed.bounds
    draw = np.random.default_rng(3)
    x, y = draw.uniform(x0, x1, 400_000), draw.uniform(y0, y1, 400_000)
    share = placed.contains(x, y).mean()
    box = (x1 - x0) * (y1 - y0)
    assert placed.area() == pytest.approx(share * box, abs=5 * box * math.sqrt(share * (1 - share) / len(x)))


def test_sas_expressions() -> None:
    one = parse("((X,Y) IN circle(24783.467,28244.9,800))")
    assert one.on(None).table_rows() == [("CIRCLE", [24783.467], [28244.9], [800.0], [])]
    assert parse("circle(27671.939,24896.105,1011.96,X,Y)").on(None).table_rows()[0].r == [1011.96]
    holed = parse("((X,Y) in CIRCLE(1,2,30)) && !((X,Y) IN box(1,2,3,4,5)) && !((X,Y) IN circle(9,9,1))")
    assert [row.shape for row in holed.on(None).table_rows()] == ["CIRCLE", "!BOX", "!CIRCLE"]
    assert holed.on(None).table_rows()[1].r == [6.0, 8.0]  # half-widths in SAS
    assert len(parse("(X,Y) IN circle(1,2,3) || (X,Y) IN annulus(9,9,1,2)").include) == 2
    for wrong in (
        "((DETX,DETY) IN circle(1,2,3))",
        "((X,Y) IN circle(1,2,3)) && ((X,Y) IN circle(1,2,4))",
        "((X,Y) IN circle(1,2))",
        "((X,Y) IN circle(1,,2))",
        "((X,Y) IN pie(1,2,3,4))",
        "((X,Y) IN circle(1,2,-3))",
        "circle(1,2,3,X,Y) && (PI > 300)",
    ):
        refusal(wrong)


@pytest.mark.parametrize(
    ("text", "ds9"),
    [
        ("Circle ICRS 148.9 69.6 0.01", "icrs; circle(148.9,69.6,0.01d)"),
        ("CIRCLE 148.9 69.6 0.01", "icrs; circle(148.9,69.6,0.01d)"),
        ("circle fk5 topocenter 148.9 69.6 0.01 unit deg", "fk5; circle(148.9,69.6,0.01d)"),
        ("POLYGON 148.9 69.6 149 69.6 149 69.7", "icrs; polygon(148.9,69.6,149,69.6,149,69.7)"),
        ("Box GALACTIC 148.9 69.6 0.1 0.2", "galactic; box(148.9,69.6,0.1,0.2)"),
        ("Ellipse J2000 148.9 69.6 0.2 0.1 0", "fk5; ellipse(148.9,69.6,0.2,0.1,180)"),
        ("Union ICRS (Circle 1 2 0.1 Circle 3 4 0.2)", "icrs; circle(1,2,0.1); circle(3,4,0.2)"),
        ("Difference ICRS (Circle 1 2 0.2 Circle 1 2 0.1)", "icrs; annulus(1,2,0.1,0.2)"),
        ("Difference FK5 (Circle 1 2 0.2 Circle 1.1 2 0.1)", "fk5; circle(1,2,0.2); -circle(1.1,2,0.1)"),
        ("Intersection ICRS (Circle 1 2 0.2 Not (Circle 1.1 2 0.1))", "icrs; circle(1,2,0.2); -circle(1.1,2,0.1)"),
        ("Intersection(Not(Circle 1.1 2 0.1) Circle 1 2 0.2)", "icrs; circle(1,2,0.2); -circle(1.1,2,0.1)"),
    ],
)
def test_stcs_means_the_same_as_ds9(text: str, ds9: str) -> None:
    assert parse(text).to_json() == parse(ds9).to_json()


@pytest.mark.parametrize(
    "text",
    [
        *SKY_SHAPES,
        "galactic; box(141.9,40.9,2',1',20)",
        f'{SKY_SHAPES[0]}; -circle(148.99,69.66,10"); circle(149,69.65,9")',
    ],
)
def test_stcs_written_covers_the_same_sky(text: str) -> None:
    wcs = sky_plane()
    original, again = parse(text).on(wcs), parse(parse(text).to_stcs()).on(wcs)
    x, y = points_around(original)
    assert np.mean(original.contains(x, y) != again.contains(x, y)) < 1e-3
    assert again.area() == pytest.approx(original.area(), rel=2e-4)


def test_stcs_is_icrs_and_needs_the_sky() -> None:
    words = parse('fk5; circle(148.9,69.6,36")').to_stcs().split()
    icrs = SkyCoord(148.9, 69.6, unit="deg", frame="fk5").icrs
    assert words[:2] == ["Circle", "ICRS"]
    assert float(words[2]) == pytest.approx(icrs.ra.deg, abs=1e-9)
    assert float(words[3]) == pytest.approx(icrs.dec.deg, abs=1e-9)
    assert float(words[4]) == pytest.approx(0.01)
    with pytest.raises(ReductionError, match="no sky position"):
        parse("physical; circle(1,2,3)").to_stcs()


def test_centre_and_radius() -> None:
    found = parse('fk5; circle(148.9,69.6,36")').centre_and_radius()
    assert found is not None
    assert found[0].separation(SkyCoord(148.9, 69.6, unit="deg", frame="fk5")).arcsec < 1e-6
    assert found[1].deg == pytest.approx(0.01)
    two = parse("icrs; circle(0,0,1); circle(4,0,1)").centre_and_radius()
    assert two is not None
    assert two[1].deg == pytest.approx(3, rel=0.02)
    assert two[0].separation(SkyCoord(2, 0, unit="deg")).deg < 0.1
    square = parse("icrs; box(0,0,6d,8d,30)").centre_and_radius()
    assert square is not None
    assert square[1].deg == pytest.approx(5)
    assert parse("physical; circle(1,2,3)").centre_and_radius() is None


def test_cannot_be_projected() -> None:
    for text in (
        "icrs; circle(10,-69,0.1)",
        "icrs; circle(148.97,69.65,79.9d); circle(0,-89,1)",
        "icrs; circle(149,69,85d)",
    ):
        with pytest.raises(ReductionError, match="at most 80 deg") as caught:
            parse(text, "src").on(sky_plane())
        assert caught.value.parameter == "src"
    with pytest.raises(ReductionError, match="no sky coordinates"):
        parse(DISC).on(None)


BAD = {
    "": "empty",
    " \n ": "empty",
    "circle(1,2,3)": "coordinate system is not stated",
    "image; circle(1,2,3)": "image coordinates",
    "physical\ncircle(1,2,3)\ndetector\ncircle(1,2,3)": "line 3, 'detector'",
    "linear;circle(1,2,3)": "linear coordinates",
    "wcsa; circle(1,2,3)": "wcsa coordinates",
    "fk5\ncircle(1,2,3)\npoint(1,2) # x": "line 3, 'point",
    "fk5; line(1,2,3,4)": "allowed are circle",
    "fk5; circle(1,2)": "2 numbers do not make circle",
    "fk5; circle()": "0 numbers do not make circle",
    "fk5; circle(1,2,40 arcsec)": "'arcsec' is not understood; write 40\" or 1.5' or 0.01d",
    "physical; circle(1,2,40 pixel)": "'pixel' is not understood; a size is a number of X,Y pixels",
    "fk5; circle(1,2,3": "parentheses",
    "fk5; circle(1,2,three)": "'three' is not an angular size",
    "fk5; circle(1,2,3p)": "'3p' is not an angular size",
    'physical; circle(1,2,3")': "X,Y pixels",
    "fk5; circle(1,2,0)": "greater than 0",
    "fk5; circle(1,2,-1)": "greater than 0",
    "fk5; circle(1,2,nan)": "not an angular size",
    "fk5; circle(1,2,1e999)": "at most 180",
    "fk5; circle(1,91,1)": "between -90 and 90",
    "fk5; circle(1000,1,1)": "right ascension must lie",
    "galactic; circle(1,-91,1)": "galactic latitude",
    "fk5; circle(10:61:00,1,1)": "not a position",
    "fk5; annulus(1,2,3,3)": "smaller than the outer",
    "fk5; annulus(1,2,4,3)": "smaller than the outer",
    "fk5; ellipse(1,2,3,4,3,5,0)": "smaller than the outer",
    "fk5; ellipse(1,2,3,4,5,6)": "do not make ellipse",
    "fk5; box(1,2,3,4,5,6,7,8)": "do not make box",
    "fk5; polygon(1,2,3,4)": "at least 3",
    "fk5; polygon(1,2,3,4,1,2,3,4)": "one line",
    "physical; polygon(0,0,4,0,4,4,0,0,4,0,4,4)": "cross or touch",
    "fk5; polygon(1,2,3,4,5)": "do not make polygon",
    "fk5; polygon(0,0,1,1,1,0,0,1)": "cross",
    "physical; polygon(0,0,10,10,10,0,0,8)": "cross",
    "physical; polygon(0,0,10,0,10,10,5,0,0,10)": "cross or touch",
    "physical; polygon(0,0,10,0,5,0,5,10)": "cross or touch",
    "physical; polygon(0,0,5,5,10,10)": "one line",
    "fk5; polygon(0,0,120,0,240,0)": "80 degrees",
    "fk5; -circle(1,2,3)": "only excludes",
    "fk5": "no shape follows 'fk5'; .*--form-string",
    " ICRS ;": "no shape follows 'ICRS ;'",
    "global color=green": "no region found",
    "fk5; circle(1,2,3″)": "plain ASCII",
    "fk5; circle(1,2,3)\x00": "control character",
    "fk5; circle(1,2,3) # background\ncircle(2,2,3)": "marked as background",
    "[]": "list of regions is empty",
    "{": "is not",
    '[{"shape": "circle",\n  "centre" [1, 2]}]': r"is not: Expecting ':' delimiter: line 2 column 12 \(char 32\)",
    "[" * 5000: "JSON",
    '{"shape": "star"}': "shape must be one of",
    '{"shape": "circle", "centre": [1, 2]}': "needs radius",
    '{"shape": "circle", "centre": [1, 2], "radius": true}': "must hold numbers",
    '{"shape": "circle", "centre": [1, 2], "radius": NaN}': "not a number",
    '{"shape": "circle", "centre": [1, 2], "radius": 1, "unit": "deg"}': "has no",
    '{"shape": "circle", "centre": [1, 2], "radius": 1, "radius": 9}': "the key 'radius' twice",
    '{"shape": "circle", "centre": [1, 2], "radius": {"value": 1, "unit": "pc"}}': "one of deg",
    '{"shape": "circle", "frame": "image", "centre": [1, 2], "radius": 1}': "frame must be",
    '{"shape": "circle", "centre": [1], "radius": 1}': "two numbers",
    '{"shape": "box", "centre": [1, 2], "size": [1]}': "two lengths",
    '{"shape": "circle", "frame": "physical", "centre": [1, 2], "radius": {"value": 1, "unit": "deg"}}': "X,Y pixels",
    '{"shape": "circle", "exclude": 1, "centre": [1, 2], "radius": 1}': "true or false",
    "Circle ICRS 1 2": "needs 3 numbers",
    "Circle ECLIPTIC 1 2 3": "not understood",
    "Circle ICRS 1 2 3 Circle ICRS 1 2 3": "not understood",
    "Polygon ICRS 1 2 3 4 5": "pairs",
    "Union ICRS (Circle 1 2 3": "parentheses",
    "Union ICRS ()": "no region",
    "Not ICRS (Circle 1 2 3)": "only excludes",
    "Union ICRS (Circle 1 2 3 Not (Circle 1 2 1))": "put the Union inside",
    "Intersection ICRS (Circle 1 2 3 Circle 1 2 1)": "only as one region",
    "NOT (" * 50: "nested",
}


@pytest.mark.parametrize("text", list(BAD), ids=range(len(BAD)))
def test_refused_with_a_sentence(text: str) -> None:
    message = refusal(text)
    assert re.search(BAD[text], message), message
    assert len(message) < 400
    assert message.isascii()


def test_limits() -> None:
    circle = "circle(1,2,3)\n"
    assert len(parse("fk5\n" + circle * MAX_SHAPES).include) == MAX_SHAPES
    assert "1,001 shapes" in refusal("fk5\n" + circle * (MAX_SHAPES + 1))
    assert "100,0" in refusal("fk5\n" + "#" * MAX_BYTES)


def test_comments_and_properties_are_left_alone() -> None:
    text = (
        "# Region file format: DS9 version 4.1; circle(1,2,3)\nglobal color=green; fk5;"
        'circle(1,2,3") # text={a;b} font="x;y" color=red ; circle(4,5,6\') # α Cen\r\n# text(1,2) text={label}\n'
    )
    assert [float(s.center.ra.deg) for s in parse(text).include] == [1.0, 4.0]


@pytest.mark.parametrize("name", ["0401040101", "0840580101", "0840580201"])
def test_real_image_regions_are_refused(shared: Path, name: str) -> None:
    message = refusal((shared / "real" / "regions" / f"{name}.reg").read_text())
    assert "line 2, 'image'" in message
    assert "fk5 or icrs" in message


def test_real_mosaic_regions_are_refused(shared: Path) -> None:
    message = refusal((shared / "real" / "xmm_mosaics" / "P0004210201_poly.reg").read_text())
    assert "line 3, 'image'" in message


def test_real_sky_regions(shared: Path) -> None:
    text = (shared / "real" / "xmm_coma8" / "ds9_variable_sources.reg").read_text()
    ours = parse(text)
    theirs = regions.Regions.parse(text, format="ds9")
    assert len(ours.include) == len(theirs) > 0
    for mine, other in zip(ours.include, theirs, strict=True):
        assert mine.center.separation(other.center).arcsec < 1e-9
        assert mine.radius == other.radius
    with fits.open(shared / "real" / "xmm_coma8" / "PN_image.fits") as hdus:
        pointing = hdus[0].header["REFXCRVL"], hdus[0].header["REFYCRVL"]
    x0, x1, y0, y1 = ours.on(sky_plane(*pointing)).bounds
    assert 1 < x0 < x1 < 51840
    assert 1 < y0 < y1 < 51840


degrees = st.floats(0, 359.99, allow_subnormal=False)
latitudes = st.floats(-90, 90, allow_subnormal=False)
angles = st.floats(-720, 720, allow_subnormal=False)
units = st.sampled_from(["deg", "arcmin", "arcsec", "rad"])


@st.composite
def lengths(draw: st.DrawFn, frame: str, low: float = 1e-9, high: float = 1.0) -> float | dict[str, object]:
    value = draw(st.floats(low, high, allow_subnormal=False))
    return value if frame == "physical" or draw(st.booleans()) else {"value": value, "unit": draw(units)}


@st.composite
def json_shapes(draw: st.DrawFn) -> dict[str, object]:
    frame = draw(st.sampled_from(["icrs", "fk5", "fk4", "galactic", "physical"]))
    kind = draw(st.sampled_from(["circle", "ellipse", "annulus", "ellipse_annulus", "box", "polygon"]))
    shape: dict[str, object] = {"shape": kind, "frame": frame}
    if kind == "polygon":
        lon, lat = draw(st.floats(1, 300)), draw(st.floats(-60, 60))
        steps = sorted(draw(st.lists(st.integers(0, 359), min_size=3, max_size=12, unique=True)))
        return shape | {"vertices": [[lon + math.cos(math.radians(t)), lat + math.sin(math.radians(t))] for t in steps]}
    shape["centre"] = [draw(degrees), draw(latitudes)]
    small, large = (lambda: draw(lengths(frame, 1e-9, 1e-4))), (lambda: draw(lengths(frame, 0.5, 1.0)))
    if kind == "circle":
        return shape | {"radius": large()}
    if kind == "annulus":
        unit = draw(units)
        made = (lambda v: v) if frame == "physical" else (lambda v: {"value": v, "unit": unit})
        return shape | {"inner": made(draw(st.floats(0.01, 0.5))), "outer": made(draw(st.floats(0.51, 1)))}
    shape["angle"] = draw(angles)
    if kind == "ellipse_annulus":
        return shape | {"inner": [0.1, 0.2], "outer": [draw(st.floats(0.3, 1)), draw(st.floats(0.3, 1))]}
    return shape | {"semi_axes" if kind == "ellipse" else "size": [small(), large()]}


@settings(max_examples=60, deadline=None)
@given(st.lists(json_shapes(), min_size=1, max_size=4), st.lists(json_shapes(), max_size=2))
def test_round_trips_are_exact(include: list[dict[str, object]], exclude: list[dict[str, object]]) -> None:
    original = parse(json.dumps([*include, *({**shape, "exclude": True} for shape in exclude)]))
    text = original.to_json()
    again = parse(text)
    assert again.to_json() == text
    assert again == original
    written = json.loads(text)
    for before, after in zip([*include, *exclude], written if isinstance(written, list) else [written], strict=True):
        assert after.get("centre", after.get("vertices")) == before.get("centre", before.get("vertices"))
        for key in ("radius", "inner", "outer"):
            if isinstance(before.get(key), dict) and before[key]["unit"] != "deg":
                assert after[key] == before[key]
    assert parse(original.to_ds9()).to_json() == text or "rad" in text


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 359), min_size=3, max_size=15, unique=True), st.integers(0, 2**31))
def test_polygon_holds_the_same_in_either_sense(steps: list[int], seed: int) -> None:
    draw = np.random.default_rng(seed)
    radii = draw.uniform(50, 100, len(steps))
    turns = np.radians(sorted(steps))
    corners = np.stack([radii * np.cos(turns), radii * np.sin(turns)], axis=1)
    one, other = (
        PixelRegionSet((regions.PolygonPixelRegion(regions.PixCoord(way[:, 0].copy(), way[:, 1].copy())),))
        for way in (corners, corners[::-1])
    )
    x, y = draw.uniform(-110, 110, (2, 2000))
    inside = one.contains(x, y)
    np.testing.assert_array_equal(inside, other.contains(x, y))
    np.testing.assert_array_equal(inside, one.include[0].contains(regions.PixCoord(x, y)))
    assert one.area() == pytest.approx(other.area())


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("fk5;circleboxpolygn(){}[]\"'#-+!,.0123456789 \nICRSUnionXY&|\x00é:dhm"), max_size=80))
@example("Union(")
@example('{"shape": "polygon", "vertices": [[1e400, 0], [1, 1], [2, 0]]}')
@example('{"shape": "circle", "centre": [' + "9" * 400 + ', 0], "radius": 1}')
@example('{"shape": "circle", "centre": [' + "9" * 5000 + ', 0], "radius": 1}')
@example("fk5; circle(-,-,-)")
@example("#")
@example("\ud800")
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert isinstance(parse(text), RegionSet)
    except ReductionError as error:
        assert error.parameter == "region"
