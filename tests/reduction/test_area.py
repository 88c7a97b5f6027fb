"""Good area: whole circles against pi r^2 and the SAS, gaps and bad pixels against the true geometry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from reduction import regions
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList, open_eventlist
from reduction.events.selection import choose
from reduction.spectra.area import CcdPlace, GoodArea, Sampler, good_area, place_ccds
from reduction.spectra.spectrum import backscal, extract
from synthetic import PIXEL, Epic, Geometry, write


def placed(events: EventList) -> dict[int, CcdPlace]:
    sampler = Sampler(events)
    for rows in events.chunks(size_bytes=100_000):
        sampler(rows)
    return place_ccds(events, sampler.table)


def circle(events: EventList, x: float, y: float, radius: float) -> regions.PixelRegionSet:
    return regions.parse(f"physical; circle({x},{y},{radius})").on(events.wcs)


def truth(geometry: Geometry, x: float, y: float, radius: float, bad: tuple[tuple[int, ...], ...] = ()) -> float:
    """Good area of a circle, by two million points on the true geometry."""
    rng = np.random.default_rng(3)
    px, py = x + radius * rng.uniform(-1, 1, 2_000_000), y + radius * rng.uniform(-1, 1, 2_000_000)
    inside = np.hypot(px - x, py - y) <= radius
    ccd, rawx, rawy = geometry.pixel(px[inside], py[inside])
    good = ccd > 0
    for number, column, row, kind, extent in bad:
        good &= ~((ccd == number) & (rawx == column) & (rawy >= row) & (rawy < row + extent) & (kind > 0))
    return float(np.pi * radius**2 * good.mean())


@pytest.fixture(scope="module")
def pn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("area") / "pn.fits"
    write(path, Epic(rows=60000))
    return path


def middle_of_ccd(number: int) -> tuple[float, float]:
    x, y = Geometry().sky(np.array([number]), np.array([32.5]), np.array([100.5]))[:, 0]
    return float(x), float(y)


def test_ccds_are_placed_to_a_tenth_of_a_pixel(pn: Path) -> None:
    rng = np.random.default_rng(0)
    with open_eventlist(pn) as events:
        places = placed(events)
    assert set(places) == set(range(1, 13))
    for ccd, place in places.items():
        raw = np.stack((rng.uniform(1, 64, 500), rng.uniform(1, 200, 500)))
        sky = Geometry().sky(np.full(500, ccd), raw[0], raw[1])
        assert np.abs(place.matrix @ sky + place.offset[:, None] - raw).max() < 0.1
        assert place.pixel_area == pytest.approx(PIXEL**2, rel=2e-3)


@pytest.mark.parametrize("radius", [600, 800, 1200])
def test_backscal_of_a_whole_circle_is_pi_r_squared(pn: Path, radius: int) -> None:
    with open_eventlist(pn) as events:
        x, y = middle_of_ccd(4)
        area = good_area(events, circle(events, x, y, radius), placed(events), {4: 10})
        assert backscal(events, area) == pytest.approx(np.pi * radius**2, rel=1e-3)
        assert area.shares == {4: pytest.approx(1.0)}


@pytest.mark.parametrize(
    "name", ["PN_spectrum_grp20", "PNbackground_spectrum", "MOS1_spectrum_grp", "MOS2background_spectrum"]
)
def test_backscal_of_a_whole_circle_is_that_of_the_sas(pn: Path, shared: Path, name: str) -> None:
    """Those of the real spectra whose circle has no gap and no bad column; of the others the lists are not here."""
    with fits.open(shared / f"real/xmm_ngc7793_ulx4/{name}.fits") as hdus:
        wanted = hdus["SPECTRUM"].header["BACKSCAL"]
        (row,) = next(hdu.data for hdu in hdus if hdu.name.startswith("REG"))
        assert row["SHAPE"].strip() == "CIRCLE"
        radius = float(np.ravel(row["R"])[0])
    with open_eventlist(pn) as events:
        area = good_area(events, circle(events, *middle_of_ccd(4), radius), placed(events), {4: 10})
        assert backscal(events, area) == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize(("x", "y", "radius"), [(25921, 25921, 800), (24000, 27000, 2500), (30000, 36000, 4000)])
def test_gaps_and_edges_are_taken_off(pn: Path, x: float, y: float, radius: float) -> None:
    with open_eventlist(pn) as events:
        area = good_area(events, circle(events, x, y, radius), placed(events), {})
    expected = truth(Geometry(), x, y, radius)
    assert expected < 0.98 * np.pi * radius**2
    assert area.pixels == pytest.approx(expected, rel=5e-3)
    assert sum(area.shares.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("angle", [0.0, 0.4, 2.2])
@pytest.mark.parametrize(("rawx", "rawy"), [(0.5, 100.3), (64.5, 100.3), (32.3, 0.5), (32.3, 200.5)])
def test_a_ccd_ends_at_the_outer_side_of_its_last_pixels(
    tmp_path: Path, angle: float, rawx: float, rawy: float
) -> None:
    """A circle on each side of a CCD is half on it: a side that is half a pixel off changes its area by a sixth."""
    geometry = Geometry(angle=angle)
    write(tmp_path / "pn.fits", Epic(rows=60000, geometry=geometry))
    x, y = (float(value) for value in geometry.sky(np.array([4]), np.array([rawx]), np.array([rawy]))[:, 0])
    with open_eventlist(tmp_path / "pn.fits") as events:
        area = good_area(events, circle(events, x, y, 300), placed(events), {4: 1})
    assert area.pixels == pytest.approx(truth(geometry, x, y, 300), rel=2e-2)
    assert area.pixels == pytest.approx(np.pi * 300**2 / 2, rel=2e-2)


def test_where_two_ccds_overlap_the_area_counts_once(tmp_path: Path) -> None:
    geometry = Geometry(gap=-12.0)
    write(tmp_path / "pn.fits", Epic(rows=60000, geometry=geometry))
    with open_eventlist(tmp_path / "pn.fits") as events:
        area = good_area(events, circle(events, 25921, 25921, 2500), placed(events), {})
    assert truth(geometry, 25921, 25921, 2500) == pytest.approx(np.pi * 2500**2)
    assert area.pixels == pytest.approx(np.pi * 2500**2, rel=1e-3)


def test_bad_pixels_are_taken_off(tmp_path: Path) -> None:
    bad = ((4, 30, 90, 1, 20), (4, 33, 100, 3, 1), (4, 35, 1, 2, 200), (4, 31, 95, 0, 9))
    write(tmp_path / "pn.fits", Epic(rows=60000, bad=bad))
    x, y = middle_of_ccd(4)
    with open_eventlist(tmp_path / "pn.fits") as events:
        area = good_area(events, circle(events, x, y, 900), placed(events), {4: 1})
    expected = truth(Geometry(), x, y, 900, bad)
    assert expected < 0.95 * np.pi * 900**2
    assert area.pixels == pytest.approx(expected, rel=5e-3)
    assert area.notes == ()


def test_all_events_have_the_area_of_all_ccds(tmp_path: Path) -> None:
    write(tmp_path / "pn.fits", Epic(rows=60000, bad=((1, 1, 1, 1, 200),)))
    with open_eventlist(tmp_path / "pn.fits") as events:
        area = good_area(events, None, placed(events), {})
    assert area.pixels == pytest.approx((12 * 64 * 200 - 200) * PIXEL**2, rel=2e-3)
    assert area.shares[1] < area.shares[2]


def test_too_few_events_fall_back_on_the_size_of_the_region(tmp_path: Path) -> None:
    write(tmp_path / "pn.fits", Epic(rows=300))
    with open_eventlist(tmp_path / "pn.fits") as events:
        region = circle(events, 25921, 25921, 3000)
        area = good_area(events, region, placed(events), {4: 3, 10: 2})
    assert area.pixels == pytest.approx(region.area())
    assert area.shares == {}
    assert area.notes == ("too few events to place CCD 4, 10: gaps and bad pixels are not taken off the area",)


def test_one_ccd_that_cannot_be_placed_leaves_the_size_of_the_region(tmp_path: Path) -> None:
    """Its part of the region is not known, though those of its three neighbours are."""
    write(tmp_path / "pn.fits", Epic(rows=60000))
    with fits.open(tmp_path / "pn.fits", mode="update") as hdus:
        data = hdus["EVENTS"].data
        kept = data["CCDNR"] != 3
        kept[np.flatnonzero(~kept)[::100]] = True
        hdus["EVENTS"].data = data[kept]
    with open_eventlist(tmp_path / "pn.fits") as events:
        area = good_area(events, circle(events, 25921, 25921, 3000), placed(events), {3: 5, 4: 500, 9: 500, 10: 500})
    assert area.pixels == pytest.approx(np.pi * 3000**2)
    assert area.shares == {}
    assert area.notes == ("too few events to place CCD 3: gaps and bad pixels are not taken off the area",)


def test_few_events_are_not_taken_for_a_window_mode(tmp_path: Path) -> None:
    """With 125 events a CCD, the outermost ones often lie more than three pixels from its edge."""
    write(tmp_path / "pn.fits", Epic(rows=1500))
    with open_eventlist(tmp_path / "pn.fits") as events:
        places = placed(events)
        full = events.mission.detector
    assert len(places) > 8
    assert all(place.window == full for place in places.values())


def test_region_on_no_ccd_is_refused_though_it_lies_in_the_box_around_the_events(pn: Path) -> None:
    x, y = 45_000.0, 45_000.0
    rows = fits.getdata(pn, "EVENTS")
    assert rows["X"].max() > x + 500
    assert rows["Y"].max() > y + 500
    with open_eventlist(pn) as events:
        region = circle(events, x, y, 300)
        with pytest.raises(ReductionError, match="outside the field") as caught:
            extract(events, choose(events, "0.5 8"), {"background_region": region})
    assert caught.value.parameter == "background_region"


def test_positions_that_have_nothing_to_do_with_pixels_place_nothing(tmp_path: Path) -> None:
    write(tmp_path / "pn.fits", Epic(rows=5000))
    with fits.open(tmp_path / "pn.fits", mode="update") as hdus:
        data = hdus["EVENTS"].data
        data["X"] = np.random.default_rng(1).permutation(data["X"])
    with open_eventlist(tmp_path / "pn.fits") as events:
        assert placed(events) == {}


def test_a_few_wild_positions_do_not_move_a_ccd(tmp_path: Path) -> None:
    write(tmp_path / "pn.fits", Epic(rows=30000))
    with fits.open(tmp_path / "pn.fits", mode="update") as hdus:
        data = hdus["EVENTS"].data
        data["X"][::50] = -99999999
    x, y = middle_of_ccd(9)
    with open_eventlist(tmp_path / "pn.fits") as events:
        area = good_area(events, circle(events, x, y, 1000), placed(events), {9: 1})
    assert area.pixels == pytest.approx(np.pi * 1000**2, rel=1e-3)


def test_window_mode_has_the_area_of_the_window(tmp_path: Path) -> None:
    write(tmp_path / "pn.fits", Epic(rows=60000))
    with fits.open(tmp_path / "pn.fits") as hdus:
        data = hdus["EVENTS"].data
        hdus["EVENTS"].data = data[(data["CCDNR"] == 4) & (data["RAWY"] >= 138)]
        hdus.writeto(tmp_path / "window.fits")
    with open_eventlist(tmp_path / "window.fits") as events:
        area = good_area(events, None, placed(events), {})
    assert area.pixels == pytest.approx(64 * 63 * PIXEL**2, rel=2e-2)


def test_backscal_is_in_squares_of_0_05_arcsec_whatever_the_pixels_are(tmp_path: Path) -> None:
    refx = [(f"REF{axis}C{part}", value) for axis, kind, step in (("X", "RA---TAN", -0.1), ("Y", "DEC--TAN", 0.1))
            for part, value in (("TYP", kind), ("RPX", 25921), ("RVL", 10.0), ("DLT", step / 3600))]  # fmt: skip
    write(tmp_path / "pn.fits", Epic(rows=10, cards=tuple(refx), sky=False))
    with open_eventlist(tmp_path / "pn.fits") as events:
        assert backscal(events, GoodArea(100.0, {})) == pytest.approx(400.0)


def test_lists_of_other_missions_have_the_size_of_the_region(shared: Path) -> None:
    with open_eventlist(shared / "real/chandra_m82/acis_10027_events.fits") as events:
        region = circle(events, 4200, 3900, 100)
        area = good_area(events, region, placed(events), {7: 5})
        assert backscal(events, area) == pytest.approx(np.pi * 1e4)
        assert area.notes == ()


@pytest.mark.parametrize(("name", "text", "centre"), [
    ("chandra_m82/acis_10027_events.fits", 'icrs; circle(83.6,22.0,10")', r"centred on 149\.0"),
    ("nustar_b1937/dummy_evt.evt", 'fk5; circle(295.3,21.583,30")', r"centred on 294.9\d* \+21.5"),
])  # fmt: skip
def test_region_outside_the_field_is_refused_with_the_field(shared: Path, name: str, text: str, centre: str) -> None:
    with open_eventlist(shared / "real" / name) as events:
        try:
            region = regions.parse(text, parameter="background_region").on(events.wcs)
        except ReductionError as error:
            assert error.parameter == "background_region"
            return
        with pytest.raises(ReductionError, match=f"outside the field.*{centre}.*radius of .* arcmin") as caught:
            extract(events, choose(events, "0.5 8"), {"background_region": region})
    assert caught.value.parameter == "background_region"


def overlap_of_circles(radius: float, other: float, apart: float) -> float:
    """The area that two circles share, by its textbook formula."""
    first = np.arccos((apart**2 + radius**2 - other**2) / (2 * apart * radius))
    second = np.arccos((apart**2 + other**2 - radius**2) / (2 * apart * other))
    kite = (-apart + radius + other) * (apart + radius - other) * (apart - radius + other) * (apart + radius + other)
    return float(radius**2 * first + other**2 * second - 0.5 * np.sqrt(kite))


FIELD_RADIUS = 15_000.0


@pytest.fixture(scope="module")
def with_field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of wide CCDs without gaps whose events beyond a circle are marked as outside of the field of view."""
    path = tmp_path_factory.mktemp("field") / "pn.fits"
    write(path, Epic(rows=400_000, geometry=Geometry(gap=0.0)))
    with fits.open(path, mode="update") as hdus:
        data = hdus["EVENTS"].data
        outside = np.hypot(data["X"] - 25921.0, data["Y"] - 25921.0) > FIELD_RADIUS
        data["FLAG"] = np.where(outside, 0x10000, 0)
    return path


@pytest.mark.parametrize(("apart", "radius"), [(15_000.0, 1000), (14_500.0, 800), (15_600.0, 1200)])
def test_what_lies_outside_of_the_field_of_view_is_not_in_the_area(with_field: Path, apart: float, radius: int) -> None:
    with open_eventlist(with_field) as events:
        x, y = 25921.0 + apart * np.cos(0.4), 25921.0 + apart * np.sin(0.4)
        selection = choose(events, "0.2 12.0", "all", "none")
        found = extract(events, selection, {"source_region": circle(events, x, y, radius)})["source_region"]
        assert found.backscal == pytest.approx(overlap_of_circles(radius, FIELD_RADIUS, apart), rel=0.01)
        assert any("of the region lies outside of the field of view" in note for note in found.notes)
        assert sum(found.shares.values()) == pytest.approx(1)


def test_a_region_much_larger_than_the_field_is_not_said_to_lie_outside_of_it_whole(with_field: Path) -> None:
    with open_eventlist(with_field) as events:
        selection = choose(events, "0.2 12.0", "all", "none")
        wide = circle(events, 25921.0, 25921.0, 20 * FIELD_RADIUS)
        found = extract(events, selection, {"source_region": wide})["source_region"]
        assert any(note.startswith("more than 99 % of the region lies outside") for note in found.notes), found.notes


def test_a_region_well_inside_is_not_touched_by_the_edge(with_field: Path) -> None:
    with open_eventlist(with_field) as events:
        selection = choose(events, "0.2 12.0")
        found = extract(events, selection, {"source_region": circle(events, 27000, 23000, 800)})["source_region"]
        assert found.backscal == pytest.approx(np.pi * 800**2, rel=1e-3)
        assert not [note for note in found.notes if "field of view" in note]


def test_a_background_around_the_whole_field_has_the_area_of_the_field(with_field: Path) -> None:
    with open_eventlist(with_field) as events:
        selection = choose(events, "0.2 12.0", "all", "none")
        ring = regions.parse("physical; annulus(25921, 25921, 10000, 15700)").on(events.wcs)
        found = extract(events, selection, {"background_region": ring})["background_region"]
        assert found.backscal == pytest.approx(np.pi * (FIELD_RADIUS**2 - 10_000**2), rel=2e-3)


def test_where_no_circle_parts_inside_from_outside_the_area_is_left_and_that_told(pn: Path) -> None:
    with open_eventlist(pn) as events:
        selection = choose(events, "0.2 12.0")
        found = extract(events, selection, {"source_region": circle(events, 24000, 27000, 800)})["source_region"]
        assert "the edge of the field of view is not known" in " ".join(found.notes)
