"""Region texts of other programs: read as their authors meant, or refused by the name of what they are.

What is expected of DS9 text is what DS9 8.4.1 lists when it has loaded the text, where it loads it.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
import regions
from astropy.coordinates import SkyCoord
from astropy.io import fits

from reduction.errors import ReductionError
from reduction.regions import parse, parse_with_background
from regiontexts import cfitsio_selects, events_file, points_around, refusal, sky_plane

ONE = 'fk5\ncircle(150.0,2.0,10.0")\n'
TWO = 'fk5\ncircle(150.0,2.0,10.0")\ncircle(150.01,2.0,10.0")\n'
CUT = 'fk5\ncircle(150.0,2.0,10.0")\n-circle(150.01,2.0,10.0")\n'
SECOND = 'circle(150.01,2,10")'


def read(text: str) -> str:
    """The text of the region file that means the same, without its header."""
    return parse(text).to_ds9().partition("\n")[2]


DS9 = {
    # composite regions: their parts
    'fk5\n# composite(150,2,0) || composite=1\ncircle(150,2,10") ||\ncircle(150.01,2,10")\n': TWO,
    'fk5\n# composite(150,2,0) || composite=1\ncircle(150,2,10") || # color=red\n-circle(150.01,2,10")\n': CUT,
    'fk5\ncircle(150,2,10") || circle(150.01,2,10")\n': TWO,
    # rings cut in n
    'fk5\nannulus(150,2,10",30",n=2)\n': 'fk5\nannulus(150.0,2.0,10.0",30.0")\n',
    "fk5;annulus 150 2 10\" 30\" n = 7\n": 'fk5\nannulus(150.0,2.0,10.0",30.0")\n',
    "physical;ellipse(1,2,10,20,30,60,n=3,20)": "physical\nellipse(1.0,2.0,10.0,20.0,30.0,60.0,20.0)\n",
    "physical;ellipse(1,2,10,20,30,60,n=3)": "physical\nellipse(1.0,2.0,10.0,20.0,30.0,60.0,0.0)\n",
    "physical;box(1,2,10,20,30,60,n=3,20)": "physical\nbox(1.0,2.0,30.0,60.0,20.0)\n-box(1.0,2.0,10.0,20.0,20.0)\n",
    "physical;box(1,2,10,20,20,40,30,60,5)": "physical\nbox(1.0,2.0,30.0,60.0,5.0)\n-box(1.0,2.0,10.0,20.0,5.0)\n",
    "physical;ellipse(1,2,30,60,9) & !ellipse(1,2,10,20,9)": (
        "physical\nellipse(1.0,2.0,30.0,60.0,9.0)\n-ellipse(1.0,2.0,10.0,20.0,9.0)\n"
    ),
    # labels and comments
    'fk5\ncircle(150,2,10") # text={counts (net) in core}\n': ONE,
    'fk5\ncircle(150,2,10") # text={f(a,x,y)} color=red\n': ONE,
    '# drawn by hand (twice) in July\nfk5\ncircle(150,2,10")\n': ONE,
    'fk5\ncircle(150,2,10") # text={a {b; circle(1,2,3)} c}\n' + SECOND: TWO,
    f'fk5\ncircle(150,2,10") # text={{a {{b}}}} tag={{background}}; {SECOND}': TWO,
    f"fk5\ncircle(150,2,10\") # text=\"it's\" ; {SECOND}": TWO,
    f'fk5\ncircle(150,2,10") # color=#ff0 dashlist=8 3 line=0 1 point=circle 11; {SECOND}': TWO,
    f'fk5\ncircle(150,2,10") # font="helvetica 10 normal", width=2, dash; {SECOND}': TWO,
    f'fk5 # see; the paper\ncircle(150,2,10") # it is; the source\n{SECOND} #': TWO,
    # blanks, line ends, byte order mark
    'fk5\tcircle(150,2,10")\n': ONE,
    '\ufefffk5\ncircle(150,2,10")\n': ONE,
    '\ufeff# Region file format: DS9 version 4.1\r\nfk5\r\ncircle(150,2,10")\r\n': ONE,
    f'fk5\\ncircle(150,2,10")\\n{SECOND}': TWO,
    'wcs;fk5;circle(\t150\t, 2 , 10" )': ONE,
    # signs
    f'fk5\ncircle(150,2,10")\n- {SECOND}\n': CUT,
    f'fk5\ncircle(150,2,10")\n!{SECOND}\n': CUT,
    f'fk5\ncircle(150,2,10")\n{SECOND} # text={{a {{b}} c}} include=0\n': CUT,
    f'fk5\ncircle(150,2,10")\n+{SECOND} # color=red, include = off\n': CUT,
    f'fk5\ncircle(150,2,10")\n-{SECOND} # include=0\n': CUT,
    f'global include=0\nfk5\n{SECOND}\n+circle(150,2,10")\n': CUT,
    f'global color=#0f0 dashlist=8 3 include = no source=1\nfk5\n{SECOND}\ncircle(150,2,10") # include=1\n': CUT,
    f'fk5\ncircle(150,2,10")\nglobal include=0\n{SECOND}\n': CUT,
    f'global include=0; global include=1; fk5\ncircle(150,2,10")\n{SECOND}\n': TWO,
    f'# global include=0\nfk5\ncircle(150,2,10")\n{SECOND}\n': TWO,
    # all of them marked as background: it is one region
    f'global source=0\nfk5\ncircle(150,2,10")\n{SECOND}\n': TWO,
    f'fk5\ncircle(150,2,10") # background\n{SECOND} # source = 0\n': TWO,
}  # fmt: skip


@pytest.mark.parametrize("text", list(DS9), ids=range(len(DS9)))
def test_ds9_text_is_read_as_ds9_reads_it(text: str) -> None:
    assert read(text) == DS9[text]


BOTH = [
    f'fk5\ncircle(150,2,10")\n{SECOND} # background\n',
    f'fk5\n{SECOND} # color=white source=0 dash=1\ncircle(150,2,10") # font="helvetica"\n',
    f'global background\nfk5\n{SECOND}\ncircle(150,2,10") # source\n',
    f'fk5;circle(150,2,10");{SECOND} # tag={{Background}} color=red',
    f'fk5\n{SECOND} # tag={{north}} tag={{bkg}}\ncircle(150,2,10") # tag={{north}}\n',
]


@pytest.mark.parametrize("text", BOTH)
def test_source_and_background_of_one_ds9_file_are_two_regions(text: str) -> None:
    source, background = parse_with_background(text)
    assert source.to_ds9().partition("\n")[2] == ONE
    assert background is not None
    assert background.to_ds9().partition("\n")[2] == parse(f"fk5\n{SECOND}").to_ds9().partition("\n")[2]


def test_what_is_cut_out_belongs_to_the_region_it_is_marked_as() -> None:
    text = f'fk5\ncircle(150,2,10")\n-{SECOND}\nannulus(150,2,20",90") # background\n-circle(150,2.01,5") # background'
    source, background = parse_with_background(text)
    assert source.to_ds9().partition("\n")[2] == CUT
    assert background is not None
    assert [len(background.include), len(background.exclude)] == [1, 1]


@pytest.mark.parametrize("text", [*DS9, "Circle ICRS 150 2 0.01"])
def test_a_text_of_one_region_has_no_background(text: str) -> None:
    found = parse_with_background(text)
    if "tag={background}" in text:
        assert found[1] is not None  # to DS9 a tag is a name; to people it says what the shape is
    else:
        assert (found[0].to_ds9(), found[1]) == (parse(text).to_ds9(), None)


OTHERS = {
    "# Region file format: CIAO version 1.0\ncircle(4096.5,4096.5,20)\n": "physical\ncircle(4096.5,4096.5,20.0)\n",
    "# Region file format: CIAO\ncircle(10:00:00,+2:00:00,10\")\n": ONE,
    "# Region file format: CIAO\ncircle(150.0d,2d,10\")+circle(150.01d,2d,10\")\n": TWO,
    "# Region file format: CIAO\ncircle(10:00:00,+2:00:00,10\")\n-circle(150.01d,2d,10\") # note\n": CUT,
    "# Region file format: CIAO\nrotbox(1,2,30,20,15)*!rectangle(0,0,4,5)\n": (
        "physical\nbox(1.0,2.0,30.0,20.0,15.0)\n-polygon(0.0,0.0,4.0,0.0,4.0,5.0,0.0,5.0)\n"
    ),
    "CIRCLE('ICRS', 150, 2, 0.01)": "icrs\ncircle(150.0,2.0,0.01d)\n",
    "circle('FK5 GEOCENTER',150,2,0.01)": "fk5\ncircle(150.0,2.0,0.01d)\n",
    "CIRCLE('', 150, 2, 0.01)": "icrs\ncircle(150.0,2.0,0.01d)\n",
    "CIRCLE(POINT('GALACTIC', 150, 2), 0.01)": "galactic\ncircle(150.0,2.0,0.01d)\n",
    "BOX('ICRS', 150, 2, 0.2, 0.1)": "icrs\nbox(150.0,2.0,0.2d,0.1d,0.0)\n",
    "POLYGON('ICRS', 150, 2, 151, 2, 151, 3)": "icrs\npolygon(150.0,2.0,151.0,2.0,151.0,3.0)\n",
    "POLYGON(POINT('ICRS',150,2),POINT('ICRS',151,2),POINT('ICRS',151,3))": (
        "icrs\npolygon(150.0,2.0,151.0,2.0,151.0,3.0)\n"
    ),
    "REGION('Circle ICRS 150 2 0.01')": "icrs\ncircle(150.0,2.0,0.01d)\n",
    "150 2 0.01": "icrs\ncircle(150.0,2.0,0.01d)\n",
    " 150 -2 1e-2\n": "icrs\ncircle(150.0,-2.0,0.01d)\n",
    "150 2 151 2 151 3": "icrs\npolygon(150.0,2.0,151.0,2.0,151.0,3.0)\n",
    "CIRCLE 150 2 0.01": "icrs\ncircle(150.0,2.0,0.01d)\n",
    "POLYGON 150 2 151 2 151 3": "icrs\npolygon(150.0,2.0,151.0,2.0,151.0,3.0)\n",
    "((X,Y) IN elliptannulus(9,8,2,1,8,4,30,30))": "physical\nellipse(9.0,8.0,2.0,1.0,8.0,4.0,30.0)\n",
    "elliptring(9,8,2,1,8,4,30,60,X,Y)": (
        "physical\nellipse(9.0,8.0,8.0,4.0,60.0)\n-ellipse(9.0,8.0,2.0,1.0,30.0)\n"
    ),
    "((X,Y) IN box(9,8,2,1,30))": "physical\nbox(9.0,8.0,4.0,2.0,30.0)\n",
    "((X,Y) IN circle(0,0,9)) && !((X,Y) IN circle(1,1,1)) || ((X,Y) in ring(99,0,1,2))": (
        "physical\ncircle(0.0,0.0,9.0)\nannulus(99.0,0.0,1.0,2.0)\n-circle(1.0,1.0,1.0)\n"
    ),
    "(X,Y) IN circle(0,0,9) and not ((X,Y) IN circle(1,1,1) or circle(2,2,1,X,Y))": (
        "physical\ncircle(0.0,0.0,9.0)\n-circle(1.0,1.0,1.0)\n-circle(2.0,2.0,1.0)\n"
    ),
    "!(!((X,Y) IN circle( 0 , 0 ,9)))": "physical\ncircle(0.0,0.0,9.0)\n",
}  # fmt: skip


@pytest.mark.parametrize("text", list(OTHERS), ids=range(len(OTHERS)))
def test_notations_of_others(text: str) -> None:
    assert read(text) == OTHERS[text]


REFUSED = {
    # all that is cut out, in any way that DS9 has
    "# Region file format: DS9 astropy/regions\nglobal include=0\nj2000\ncircle(148.98,69.6511,0.0111)\n": "excludes",
    "global include = 0\nfk5\ncircle(150,2,9\")\n": "only excludes; .* '!' or include=0",
    "fk5\ncircle(150,2,9\") # include=no": "only excludes",
    "!((X,Y) IN circle(1,2,3))": "only excludes",
    # what other programs would read otherwise
    f"fk5\n-{SECOND} # include=1": "'-' cuts the shape out, and include=1 does not",
    f"fk5\n{SECOND} # not this one include=0": "line 2, .* is a comment up to the end of the line",
    f"fk5\n{SECOND} # hello; {SECOND}": "put a shape in it on a line of its own",
    f"fk5\n{SECOND} # include=maybe": "include=maybe is neither 0 nor 1",
    f"fk5\n{SECOND} # text={{no end include=0": "the value of text begins with { and is not closed",
    f"fk5\n# -composite(150,2,0) || composite=1\n{SECOND} ||\n{SECOND}": "composite region is cut out",
    f"fk5\n# composite(150,2,0) || composite=1 include=0\n{SECOND} ||\n{SECOND}": "composite region is cut out",
    # source and background in one file
    f"fk5\n{SECOND}\n{SECOND} # source=0": "marked as background",
    f"global background\nfk5\n{SECOND}\n{SECOND} # source": "marked as background",
    f"global source = 0\nfk5\n{SECOND} # source=1\n{SECOND}": "marked as background",
    f"fk5\n{SECOND}\n{SECOND} # color=red background text={{x}}": "marked as background",
    # not simple unions
    "physical;circle(1,2,9) & circle(2,2,9)": "'&' is read only",
    "physical;circle(1,2,9) || -circle(2,2,9)": "on a line of its own",
    "physical;circle(1,2,9) & !circle(2,2,9) # include=0": "'&' is read only",
    "physical;circle(0,0,9) & !circle(8,0,3); circle(16,0,9)": "is cut out of one shape and reaches into",
    "physical;-box(1,2,10,20,30,60,5)": "a ring of boxes cannot be cut out",
    "physical;box(1,2,10,20,9,60,5)": "inner side .* smaller than the outer",
    "physical;annulus(1,2,3,4,n=0)": "'n=0' is not a size",
    "physical;circle(1,2,9) ||| circle(3,3,9)": "not a shape",
    "((X,Y) IN circle(0,0,9)) && !((X,Y) IN circle(8,0,3)) || (X,Y) IN circle(16,0,9)": "is cut out of one shape",
    "(X,Y) IN circle(1,2,3) || !((X,Y) IN circle(1,2,3))": "'||' joins shapes, and no cut-outs",
    "!((X,Y) IN circle(0,0,9) && !((X,Y) IN circle(8,0,3)))": "cannot be taken off itself",
    "((X,Y) IN annulus(0,0,1,9)) && (X,Y) IN pie(0,0,310,420)": "pie with 4 numbers is not read",
    "(((X,Y) IN circle(1,2,3))": "the parentheses do not match",
    "((X,Y) IN circle(1,2,3)))": "the parentheses do not match",
    "((X,Y) IN elliptannulus(9,8,2,1,8,4,30))": "elliptannulus with 7 numbers is not read; .*angle1,angle2",
    "((X,Y) IN circle(1,2,nan))": "not numbers",
    "(" * 60 + "(X,Y) IN circle(1,2,3)" + ")" * 60: "nested deeper than 50",
    # whole expressions of evselect
    "(PATTERN<=4)&&(PI in [200:12000])&&((X,Y) IN circle(25921,25921,800))&&(FLAG==0)": (
        r"selects also on PATTERN, PI, FLAG; .* here \(X,Y\) IN circle\(25921,25921,800\); energies, patterns, flags"
    ),
    "#XMMEA_EP&&(PI>150)&&circle(25921,25921,800,X,Y)": "selects also on #XMMEA_EP, PI; .* circle",
    "(FLAG & 0xfb0000) == 0 && gti(gti.fits,TIME)": "a SAS expression on FLAG, .*without a shape on the columns X,Y",
    "((DETX,DETY) IN circle(1,2,3))": "on DETX, DETY without a shape on the columns X,Y",
    "( annulus(531.0,1675.0,300,3000,DETX,DETY))": "on DETX, DETY without a shape on the columns X,Y",
    "region(REG00101)": "SAS expression without a shape|SAS expression on REG00101 without a shape",
    # by the name of what it is
    "#CRTFv0\ncircle[[150deg, 2deg], 10arcsec]": "region file of CASA",
    "<?xml version='1.0'?><VOTABLE/>": "is XML",
    "SIMPLE  =                    T": "is a FITS file",
    "{\\rtf1 fk5}": "JSON|RTF",
    "3/10 4/5-8": "is a MOC in ASCII",
    "# SAOtng\ncircle(1,2,3)": "region file of SAOtng",
    "150 2\n151 3\n152 4\n": "is a list of numbers",
    "150 2": "2 numbers alone are no region",
    "1 2 3 4": "4 numbers alone are no region",
    "RANGE 149 151 1": "is a RANGE of SODA: it takes four finite numbers",
    "RANGE 149 151 -Inf Inf": "it takes four finite numbers",
    "RANGE 359 1 1 2": "across longitude 0 as RANGE -1 1 2 3",
    "RANGE 0 360 -90 90": "it is the whole sky",
    "RANGE 0 1 2 91": "latitudes from -90 to 90",
    "CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 150, 2, 0.01)) = 1": "is of ADQL",
    "POINT('ICRS', 150, 2)": "is of ADQL",
    "CIRCLE('ICRS', 150, 2)": "Circle needs 3 numbers",
    "CIRCLE('ICRS', ra, dec, 0.01)": "'ra' is not understood",
    "POLYGON(POINT('ICRS',150,2),POINT('FK5',151,2),POINT('ICRS',151,3))": "is of ADQL",
    "# Region file format: CIAO\n-circle(1,2,3)": "the first shape is cut out",
    "# Region file format: CIAO\ncircle(1,2,3)*circle(2,2,3)": r"'\*' is not read; shapes are joined by '\+'",
    "# Region file format: CIAO\ncircle(0,0,9)\ncircle(16,0,9)\n-circle(8,0,3)": "is cut out of one shape",
    "# Region file format: CIAO\npie(1,2,3,4,5,6)": "line 2, .* pie with 6 numbers is not read",
    "# Region file format: CIAO\ncircle(10:00:00,2:00:00,20)": "a size without a unit is in pixels",
    "# Region file format: CIAO\nfield() x": "line 2",
    "# Region file format: CIAO\n": "holds no region",
}  # fmt: skip


@pytest.mark.parametrize("text", list(REFUSED), ids=range(len(REFUSED)))
def test_refused_by_what_it_is(text: str) -> None:
    message = refusal(text)
    assert re.search(REFUSED[text], message), message
    assert len(message) < 450
    assert message.isascii()


def test_a_range_is_bounded_by_meridians_and_parallels() -> None:
    wcs = sky_plane(150.0, 40.0)
    placed = parse("RANGE 149.2 150.8 39.6 40.4").on(wcs)
    x, y = points_around(placed, 50_000)
    sky = wcs.pixel_to_world(x, y).icrs
    edges = np.minimum.reduce([
        np.abs(sky.ra.deg - 149.2), np.abs(sky.ra.deg - 150.8), np.abs(sky.dec.deg - 39.6), np.abs(sky.dec.deg - 40.4),
    ])  # fmt: skip
    inside = (sky.ra.deg > 149.2) & (sky.ra.deg < 150.8) & (sky.dec.deg > 39.6) & (sky.dec.deg < 40.4)
    sure = edges > 0.02 / 3600
    assert 0.2 < inside.mean() < 0.9
    np.testing.assert_array_equal(placed.contains(x, y)[sure], inside[sure])


def test_a_range_reaches_over_the_pole_and_longitude_0() -> None:
    assert read("RANGE 0 360 88 90") == "icrs\ncircle(0.0,90.0,2.0d)\n"
    assert read("RANGE 0 360 80 88") == "icrs\nannulus(0.0,90.0,2.0d,10.0d)\n"
    assert read("RANGE -180 180 -90 -88") == "icrs\ncircle(0.0,-90.0,2.0d)\n"
    across = parse("RANGE -1 1 2 3").centre_and_radius()
    assert across is not None
    assert across[0].separation(SkyCoord(0, 2.5, unit="deg")).deg < 0.1


BOTH = [
    'fk5\ncircle(150,2,90") # color=red text={a}\n-circle(150.01,2,60")\n',
    'icrs;ellipse(150,2,100",50",30) # text={b;c}\nellipse(150.02,2.02,20",10",60",30",-40)\n',
    'fk5\nannulus(150,2,30",60",90")\nbox(150.02,2.02,80",30",33)\n-polygon(150,2,150.02,2,150.01,2.02)\n',
    'fk5;circle(150,2,90") # include=1\nfk5;+box(150,2,30",90",20) # include=0 color=red\n',
]


@pytest.mark.parametrize("text", BOTH)
def test_the_regions_package_reads_the_same(text: str) -> None:
    wcs = sky_plane(150.0, 2.0)
    placed = parse(text).on(wcs)
    x, y = points_around(placed)
    inside, cut = np.zeros(len(x), dtype=bool), np.zeros(len(x), dtype=bool)
    for shape in regions.Regions.parse(text, format="ds9"):
        there = shape.to_pixel(wcs).contains(regions.PixCoord(x, y))
        (inside if int(shape.meta.get("include", 1)) else cut)[there] = True
    assert 100 < (inside & ~cut).sum() < len(x) - 100
    np.testing.assert_array_equal(placed.contains(x, y), inside & ~cut)


CFITSIO = [
    "physical\ncircle(25921,25921,800)\n-box(25800,26000,600,300,20)\n",
    "physical;ellipse(25921,25921,200,100,900,500,30)\n",
    "physical;box(25921,25921,900,400,-50)\n-circle(25921,25921,150) # text={counts (net) in core}\n",
    "fk5\ncircle(150.005,2.003,30\") # text={f(a,x,y)}\n",
    "fk5;box(9:59:59,+2:00:05,60\",20\",33)\n-ellipse(150,2.002,9\",5\",10)\n",
]  # fmt: skip


@pytest.mark.skipif(
    shutil.which("fitscopy") is None, reason="fitscopy is not installed: apt-get install libcfitsio-bin"
)
@pytest.mark.parametrize("text", CFITSIO)
def test_cfitsio_reads_the_same(tmp_path: Path, text: str) -> None:
    draw = np.random.default_rng(5)
    x, y = draw.uniform(25921 - 1200, 25921 + 1200, (2, 8000))
    events_file(tmp_path / "events.fits", x, y)
    (tmp_path / "some.reg").write_text(text, encoding="ascii")
    taken = cfitsio_selects(tmp_path / "events.fits", f"{tmp_path}/some.reg")
    placed = parse(text).on(sky_plane(150.0, 2.0))
    expected = placed.contains(x, y)
    assert 100 < expected.sum() < len(x) - 100
    # cfitsio takes the scale at the centre of the field
    assert np.sum(np.isin(x, taken) != expected) <= 2


def test_a_label_does_not_make_an_expression_of_a_ds9_file() -> None:
    for label in ("counts (net) in core", "f(a,x,y)", "PI == 3 && (b) in c", "<x> (y) in z"):
        assert read(f'fk5\ncircle(150,2,10") # text={{{label}}}\n') == ONE


def test_a_region_of_the_sky_needs_an_instrument_with_images() -> None:
    with pytest.raises(ReductionError, match=r"leave the region empty .*\(NICER\), else give it in physical X,Y"):
        parse(ONE).on(None)


SAS_MADE = ["MOS1_spectrum_grp", "MOS1background_spectrum", "MOS2_spectrum_grp", "PN_spectrum_grp20",
            "PNbackground_spectrum"]  # fmt: skip


@pytest.mark.parametrize("name", SAS_MADE)
def test_the_selection_of_a_spectrum_of_the_sas_is_its_region_table(shared: Path, name: str) -> None:
    with fits.open(shared / "real" / "xmm_ngc7793_ulx4" / f"{name}.fits") as hdus:
        text = str(hdus["SPECTRUM"].header["SLCTEXPR"])
        (tabled,) = next(hdu.data for hdu in hdus if hdu.name.startswith("REG"))
    assert "selects also on FLAG;" in refusal(text)
    (row,) = parse(text.partition(" && ")[2]).on(None).table_rows()
    assert row.shape == tabled["SHAPE"].strip()
    assert (row.x[0], row.y[0], row.r[0]) == pytest.approx((tabled["X"], tabled["Y"], tabled["R"]), rel=1e-7)


def test_an_ellipse_of_stcs_turns_from_east_to_north() -> None:
    wcs = sky_plane(150.0, 2.0)
    placed = parse("Ellipse ICRS 150 2 0.2 0.02 30").on(wcs)
    centre = SkyCoord(150, 2, unit="deg")
    for north_of_east, inside in ((30, True), (-30, False), (210, True), (150, False)):
        there = centre.directional_offset_by((90 - north_of_east) * u.deg, 0.15 * u.deg)
        assert placed.contains(*np.atleast_1d(*wcs.world_to_pixel(there))).tolist() == [inside], north_of_east


@pytest.mark.parametrize(
    "other", ["polygon(150.2,2,150.3,2,150.3,2.1)", 'box(150.2,2,60",90",20)', 'annulus(150.2,2,60",90")']
)
def test_a_cut_out_of_one_shape_may_stand_beside_another_one(other: str) -> None:
    far = parse(f'fk5;circle(150,2,90") & !circle(150.01,2,30"); {other}')
    assert (len(far.include), len(far.exclude)) == (2, 1)
    near = other.replace("150.2", "150.015").replace("150.3", "150.1")
    assert "reaches into" in refusal(f'fk5;circle(150,2,90") & !circle(150.01,2,30"); {near}')
