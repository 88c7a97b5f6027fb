"""Regions without events: in the field they are empty, outside of it they are a mistake that is told."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from astropy.io import fits

from reduction import regions
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList, open_eventlist
from reduction.events.selection import choose
from reduction.spectra.field import find_field
from reduction.spectra.spectrum import extract
from synthetic import gti_table

LEFT, RIGHT, BOTTOM, TOP = 3000, 3400, 5000, 5200
"""A field that is wider than high, away from the diagonal: four crowds of events in its corners, none between."""


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventList]:
    x, y = np.repeat([LEFT, LEFT, RIGHT, RIGHT], 100), np.repeat([BOTTOM, TOP, BOTTOM, TOP], 100)
    header = fits.Header({"TELESCOP": "CHANDRA", "INSTRUME": "ACIS", "TIMESYS": "TT", "MJDREF": 50814.0,
                          "RADESYS": "ICRS"})  # fmt: skip
    columns = [fits.Column("time", "D", array=np.linspace(1, 9, x.size)),
               fits.Column("energy", "E", array=np.full(x.size, 2000.0)),
               fits.Column("pi", "J", array=np.full(x.size, 137)),
               fits.Column("x", "E", array=x, coord_type="RA---TAN", coord_unit="deg", coord_ref_point=4096.5,
                           coord_ref_value=150.0, coord_inc=-1.0 / 3600),
               fits.Column("y", "E", array=y, coord_type="DEC--TAN", coord_unit="deg", coord_ref_point=4096.5,
                           coord_ref_value=2.0, coord_inc=1.0 / 3600)]  # fmt: skip
    path = tmp_path_factory.mktemp("field") / "acis.fits"
    table = fits.BinTableHDU.from_columns(columns, header=header, name="EVENTS")
    fits.HDUList([fits.PrimaryHDU(), table, gti_table("GTI", [0.0], [10.0])]).writeto(path)
    with open_eventlist(path) as opened:
        yield opened


def counts_in(events: EventList, text: str) -> int:
    region = regions.parse(f"physical; {text}").on(events.wcs)
    return extract(events, choose(events, "0.5 7"), {"source_region": region})["source_region"].selected


@pytest.mark.parametrize("text", [
    "box(3200,5100,20,20,0)", "box(3000,5100,40,40,0)", "box(3400,5100,40,40,0)", "box(3200,5000,40,40,0)",
    "box(3200,5200,40,40,0)",
])  # fmt: skip
def test_a_region_that_is_partly_in_the_field_may_be_empty(events: EventList, text: str) -> None:
    assert counts_in(events, text) == 0


@pytest.mark.parametrize("text", [
    "box(2980,5100,20,20,0)", "box(3420,5100,20,20,0)", "box(3200,4980,20,20,0)", "box(3200,5220,20,20,0)",
])  # fmt: skip
def test_a_region_beyond_a_side_of_the_field_is_refused(events: EventList, text: str) -> None:
    """The centre of the field is 896.5 pixels of an arcsec west of the reference and 1003.5 north, its radius 224."""
    dec = 2 + 1003.5 / 3600
    right_ascension = 150.0 + 896.5 / 3600 / np.cos(np.radians(dec))
    with pytest.raises(ReductionError, match="outside the field") as caught:
        counts_in(events, text)
    assert caught.value.parameter == "source_region"
    words = str(caught.value).split()
    assert float(words[words.index("on") + 1]) == pytest.approx(right_ascension, abs=2e-4)
    assert float(words[words.index("on") + 2]) == pytest.approx(dec, abs=2e-4)
    assert "radius of 3.7 arcmin" in str(caught.value)


def test_a_region_with_events_is_never_refused(events: EventList) -> None:
    assert counts_in(events, "box(2990,5000,30,30,0)") == 100


@pytest.mark.parametrize("kind", ["a disc", "places on a grid", "one line"])
@pytest.mark.parametrize("count", [3_000, 60_000])
def test_the_circle_around_all_events_is_the_smallest(count: int, kind: str) -> None:
    draw = np.random.default_rng(3)
    away, angle = 18_000 * np.sqrt(draw.random(count)), 2 * np.pi * draw.random(count)
    angle[:3], away[:3] = (0.3, 2.5, 4.6), 18_000  # the edge
    x, y = 25_921 + away * np.cos(angle), 25_921 + away * np.sin(angle)
    radius = 18_000.0
    if kind == "places on a grid":
        x, y = np.round(x / 80) * 80, np.round(y / 80) * 80
    if kind == "one line":
        y[:] = 25_921.0
        radius = float(np.ptp(x)) / 2
    circle, notes = find_field(np.stack((x, y, np.zeros(count))))
    assert circle is not None
    assert [note[:34] for note in notes] == ["no event is marked as outside of t"]
    assert circle.distance(x, y).max() <= 1e-6 * radius
    assert circle.radius == pytest.approx(radius, rel=3e-3)
