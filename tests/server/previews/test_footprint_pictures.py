"""Pictures of footprints: borders hold what mocpy holds, everything is where its coordinates are, bounds are told."""

from __future__ import annotations

import re

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import Latitude, Longitude, SkyCoord
from lxml import etree
from mocpy import MOC

from reduction import regions
from uws_server.archive.footprints import ORDER, cells
from uws_server.previews import footprints
from uws_server.previews.cellborders import borders, coarser
from uws_server.previews.footprints import MOST_DRAWN, Footprint
from uws_server.previews.skyframe import SkyFrame, unit_vectors

SVG = "{http://www.w3.org/2000/svg}"
PLACES = [(83.6, 22.0, 0.25), (0.0, 0.0, 1.0), (45.0, 0.1, 0.5), (10.0, 90.0, 0.4), (10.0, -89.9, 0.3),
          (0.0, 41.8, 0.5), (45.0, 41.81, 0.3), (359.9, -41.8, 0.4), (180.0, 0.0, 8.0)]  # fmt: skip


def cone(ra: float, dec: float, radius: float = 0.24) -> MOC:
    return MOC.from_cone(lon=Longitude((ra % 360) * u.deg), lat=Latitude(dec * u.deg), radius=radius * u.deg,
                         max_depth=ORDER)  # fmt: skip


def footprint(camera: str, ra: float, dec: float, radius: float = 0.24) -> Footprint:
    return Footprint(camera, f"{camera} {ra:.2f} {dec:.2f}", f"{ra:.2f}", cells(cone(ra, dec, radius)))


def texts(drawing: str) -> list[str]:
    return ["".join(node.itertext()) for node in etree.fromstring(drawing.encode()).iter(f"{SVG}text")]


def inside(lines: list[np.ndarray], places: np.ndarray, frame: SkyFrame) -> np.ndarray:
    """Whether places are in closed lines, by how often a ray to the right crosses them in the plane."""
    at, odd = frame.places(places), np.zeros(len(places), dtype=bool)
    for line in lines:
        corners = frame.places(line)
        for (x, y), (next_x, next_y) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            crosses = (next_y > at[:, 1]) != (y > at[:, 1])
            with np.errstate(all="ignore"):
                odd ^= crosses & (at[:, 0] < x + (at[:, 1] - y) * (next_x - x) / (next_y - y))
    return odd


@pytest.mark.parametrize(("ra", "dec", "radius"), PLACES)
def test_a_border_holds_the_cells_and_nothing_else(ra: float, dec: float, radius: float) -> None:
    """Against mocpy: places of which some are in the cells, across faces of HEALPix and at the poles."""
    moc = cone(ra, dec, radius)
    found, order = coarser(cells(moc), ORDER, 4000)
    middle = SkyCoord(ra * u.deg, dec * u.deg)
    rng = np.random.default_rng(5)
    around = middle.directional_offset_by(rng.uniform(0, 360, 2000) * u.deg, rng.uniform(0, 1.4 * radius, 2000) * u.deg)
    expected = (moc if order == ORDER else moc.degrade_to_order(order)).contains_lonlat(around.ra, around.dec)
    places = unit_vectors(around.ra.deg, around.dec.deg)
    got = inside(borders(found, order), places, SkyFrame(ra, dec, 1.0, 2.0))
    # a side is straight here, the arc of a cell is not
    assert 0.3 < expected.mean() < 0.9 and (got != expected).mean() < 0.003


def test_a_hole_is_a_line_of_its_own() -> None:
    ring = cone(40, 10, 0.4).difference(cone(40, 10, 0.2))
    lines = borders(*coarser(cells(ring), ORDER, 9000))
    assert len(lines) == 2
    assert not inside(lines, unit_vectors(np.array([40.0]), np.array([10.0])), SkyFrame(40, 10, 1, 2)).any()


def test_cells_become_larger_where_there_are_many() -> None:
    found, order = coarser(np.array([[0, 12 << 24]]), ORDER, 4000)
    assert order == 4 and len(found) == 12 << 8
    with_gap, order = coarser(np.array([[0, 5], [6, 4096], [8192, 8193]]), ORDER, 200)
    assert len(set(with_gap.tolist())) == len(with_gap), "each cell once"


def test_a_drawing_has_title_legend_and_lines_that_are_told_apart_without_colour() -> None:
    region = regions.parse('icrs; circle(83.63, 22.01, 60")', "REGION")
    drawing = footprints.draw(
        [footprint("EMOS1", 83.7, 22.0), footprint("EMOS2", 83.6, 22.05), footprint("EPN", 83.63, 22.01)],
        ORDER, [("source", region)],
    )  # fmt: skip
    root = etree.fromstring(drawing.encode())
    assert root.findtext(f"{SVG}title") == "Footprints of exposures"
    assert "3 footprints (EPN, EMOS1, EMOS2) about 83.6" in (root.findtext(f"{SVG}desc") or "")
    said = texts(drawing)
    assert [text for text in said if text.startswith("E")] == [
        "EPN 83.63", "EMOS1 83.70", "EMOS2 83.60"]  # fmt: skip
    assert "source region" in said and "Right ascension (ICRS)" in said
    style = drawing[drawing.index("<style>") : drawing.index("</style>")]
    dashes = [re.search(rf"\.k{kind}{{[^}}]*?(?:stroke-dasharray:([^}}]*))?}}", style) for kind in range(4)]
    assert len({found and found[1] for found in dashes}) == 4
    assert "prefers-color-scheme:dark" in style and "<script" not in drawing and ' style="' not in drawing


def test_a_region_lies_where_its_coordinates_are() -> None:
    region = regions.parse("icrs; circle(83.7, 22.1, 0.05)", "REGION")
    drawing = footprints.draw([footprint("EPN", 83.63, 22.01)], ORDER, [("source", region)])
    root = etree.fromstring(drawing.encode())
    line = next(node for node in root.iter(f"{SVG}path") if node.get("class") == "source")
    corners = np.array([[float(x) for x in pair.split()] for pair in (line.get("d") or "")[1:-1].split("L")])
    middle = corners.mean(axis=0)
    assert middle == pytest.approx([220, 220], abs=0.5), "without an exposure between, the region is the middle"
    lines = [node for node in root.iter(f"{SVG}text") if (node.text or "").endswith("°")]
    dec = {float((node.text or "")[:-1].replace("−", "-")): float(node.get("y") or 0) - 4 for node in lines
           if node.get("x") == "-7"}  # fmt: skip
    low, high = min(dec), max(dec)
    degree = (dec[low] - dec[high]) / (high - low)
    assert low + (dec[low] - middle[1]) / degree == pytest.approx(22.1, abs=0.005)
    assert np.ptp(corners[:, 1]) / 2 == pytest.approx(0.05 * degree, rel=0.02)


def test_no_more_than_sixty_are_drawn_and_the_drawing_says_so() -> None:
    many = [footprint("EPN", 83 + number / 100, 22) for number in range(70)]
    drawing = footprints.draw(many, ORDER, total=700)
    assert drawing.count('class="f k0"') == MOST_DRAWN + 1
    assert "60 of 700 exposures are drawn." in " ".join(texts(drawing))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ([("EPN", 40, 89.9), ("EMOS1", 200, 89.8)], "EMOS1"),
        ([("EPN", 359.9, -3), ("EPN", 0.1, -3)], "EPN: 2 exposures"),
        ([("EPN", 10, 0), ("EPN", 190, 0)], "elsewhere on the sky"),
        ([("", 10, 0)], "other"),
    ],
)
def test_every_place_on_the_sky_is_drawn(fields: list[tuple[str, float, float]], said: str) -> None:
    drawing = footprints.draw([footprint(*field) for field in fields], ORDER)
    etree.fromstring(drawing.encode())
    assert said in " ".join(texts(drawing)) and "nan" not in drawing and "inf" not in drawing


def test_without_footprints_there_is_a_sentence() -> None:
    none = Footprint("EPN", "0123456789 EPN S003", "S003", np.empty((0, 2), dtype=np.uint32))
    assert "None of these exposures has a footprint." in footprints.draw([none], ORDER)
    region = regions.parse("icrs; circle(83.7, 22.1, 0.05)", "REGION")
    drawing = footprints.draw([none], ORDER, [("source", region)])
    assert "source region" in texts(drawing) and "1 of the exposures has no footprint." in " ".join(texts(drawing))
