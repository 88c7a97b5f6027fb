"""The file of footprints: which exposures see a region, as mocpy's own intersections tell."""

from __future__ import annotations

import functools
import tracemalloc
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import Latitude, Longitude
from mocpy import MOC

from uws_server.archive import footprints
from uws_server.archive.footprints import FootprintIndex, OutdatedIndex


def fields(count: int, seed: int = 1) -> list[MOC]:
    """Square fields of half a degree: at both poles, on RA 0, in a crowd, and all over the sky."""
    random = np.random.default_rng(seed)
    lon = np.concatenate(([0.0, 0.0, 0.0, 359.95], 80 + 2 * random.random(20), 360 * random.random(count - 24)))
    dec = np.degrees(np.arcsin(2 * random.random(count - 24) - 1))
    lat = np.concatenate(([90.0, -89.9, 0.0, 0.1], -69 + random.random(20), dec))
    return [
        MOC.from_box(lon=Longitude(x * u.deg), lat=Latitude(y * u.deg), a=0.23 * u.deg, b=0.22 * u.deg,
                     angle=angle * u.deg, max_depth=footprints.ORDER)
        for x, y, angle in zip(lon, lat, 180 * random.random(count), strict=True)
    ]  # fmt: skip


def regions(count: int, order: int) -> list[MOC]:
    """Cones of 1 arcsec to 20 deg, each fourth at a pole, on RA 0 or in the crowd."""
    random = np.random.default_rng(order)
    near = [(0.0, 90.0), (10.0, -90.0), (0.0, 0.0), (360.0, 0.1), (80.9, -68.6)]
    found = []
    for number in range(count):
        sine = 2 * random.random() - 1
        x, y = (360 * random.random(), np.degrees(np.arcsin(sine))) if number % 4 else near[number // 4 % len(near)]
        radius = 10 ** random.uniform(-3.5, 1.3)
        depth = order if radius < 2 else footprints.ORDER - 2
        found.append(MOC.from_cone(lon=Longitude(x * u.deg), lat=Latitude(y * u.deg), radius=radius * u.deg,
                                   max_depth=depth))  # fmt: skip
    return found


@pytest.fixture(scope="module")
def crowd() -> list[MOC]:
    return fields(150)


@pytest.fixture(scope="module")
def index(crowd: list[MOC], tmp_path_factory: pytest.TempPathFactory) -> FootprintIndex:
    path = tmp_path_factory.mktemp("sky") / "footprints"
    footprints.write(path, ((1000 - key, footprints.cells(field)) for key, field in enumerate(crowd)))
    return FootprintIndex(path)


@pytest.mark.parametrize("order", [12, 15])
def test_exposures_and_fractions_are_those_of_every_intersection(
    index: FootprintIndex, crowd: list[MOC], order: int
) -> None:
    compared = 0
    for region in regions(1000, order):
        shared = {1000 - key: field.intersection(region).sky_fraction for key, field in enumerate(crowd)}
        expected = {key: area for key, area in shared.items() if area > 0}
        found = index.seeing(region)
        assert [seen.exposure for seen in found] == sorted(expected)
        for seen in found:
            assert seen.of_region == pytest.approx(expected[seen.exposure] / region.sky_fraction, rel=1e-9)
            field = crowd[1000 - seen.exposure].sky_fraction
            assert seen.of_footprint == pytest.approx(expected[seen.exposure] / field, rel=1e-9)
        compared += len(found)
    assert compared > 1000


def test_a_survey_of_half_the_sky_costs_others_nothing(crowd: list[MOC], tmp_path: Path) -> None:
    survey, path = MOC.from_string("0/0-2 5 8-9 12/170000000-170020000"), tmp_path / "footprints"
    fields_and_survey = dict(enumerate([*crowd, survey]))
    footprints.write(path, ((key, footprints.cells(field)) for key, field in fields_and_survey.items()))
    index = FootprintIndex(path)
    wide = MOC.from_cone(lon=Longitude(80 * u.deg), lat=Latitude(-60 * u.deg), radius=10 * u.deg, max_depth=12)
    tracemalloc.start()
    for region in [*regions(20, 12), wide, survey]:
        shared = {key: field.intersection(region).sky_fraction for key, field in fields_and_survey.items()}
        found = index.seeing(region)
        assert [seen.exposure for seen in found] == [key for key, area in shared.items() if area > 0]
        for seen in found:
            share = shared[seen.exposure] / fields_and_survey[seen.exposure].sky_fraction
            assert seen.of_footprint == pytest.approx(share, rel=1e-9)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6  # a run that reaches over the sky was compared with each cell of the region, and all between
    assert index.coverage == functools.reduce(MOC.union, fields_and_survey.values())


def test_a_region_of_nothing_is_seen_by_none(index: FootprintIndex) -> None:
    assert index.seeing(MOC.new_empty(10)) == []


def test_an_archive_without_exposures_has_a_file_too(tmp_path: Path) -> None:
    footprints.write(tmp_path / "none", [])
    index = FootprintIndex(tmp_path / "none")
    assert index.exposures == 0 and index.seeing(MOC.from_string("3/5")) == []
    footprints.write(tmp_path / "blind", [(7, footprints.cells(MOC.new_empty(12)))])
    assert FootprintIndex(tmp_path / "blind").seeing(MOC.from_string("0/0-11")) == []


@pytest.mark.parametrize("text", ["12/5 7", "3/1 12/1000", "14/0-3 5", "29/0 999999999", "0/0-11"])
def test_cells_are_those_of_the_moc_at_the_order_of_the_index(text: str) -> None:
    moc = MOC.from_string(text)
    kept = footprints.coverage(footprints.cells(moc))
    expected = moc.degrade_to_order(footprints.ORDER) if moc.max_order > footprints.ORDER else moc
    assert kept.to_depth29_ranges.tolist() == expected.to_depth29_ranges.tolist()


def test_a_file_replaced_meanwhile_stays_readable(tmp_path: Path) -> None:
    path, everything = tmp_path / "footprints", MOC.from_string("0/0-11")
    footprints.write(path, [(1, footprints.cells(MOC.from_string("4/7")))])
    former = FootprintIndex(path)
    footprints.write(path, [(2, footprints.cells(MOC.from_string("4/8")))])
    assert [seen.exposure for seen in former.seeing(everything)] == [1]
    assert [seen.exposure for seen in FootprintIndex(path).seeing(everything)] == [2]


@pytest.mark.parametrize("cut", [4, 20, -1, -16])
def test_a_file_of_another_kind_or_version_is_to_be_made_again(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "footprints"
    footprints.write(path, [(1, footprints.cells(MOC.from_string("4/7")))])
    content = path.read_bytes()
    path.write_bytes(content[:cut])
    with pytest.raises(OutdatedIndex):
        FootprintIndex(path)
    path.write_bytes(content[:8] + b"\x63" + content[9:])
    with pytest.raises(OutdatedIndex, match="version 99"):
        FootprintIndex(path)
