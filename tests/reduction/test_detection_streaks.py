"""Read-out streaks of bright sources: none of them is left in a source list as a source without a flag."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from reduction.detection.chain import detect
from reduction.detection.eventlayers import Wanted, layers_of
from reduction.detection.imagelayers import layers_of_images
from reduction.detection.layers import Field
from reduction.detection.options import Options
from reduction.detection.sources import SourceList, source_list
from reduction.images.bands import parse_bands
from reduction.missions.xmm import EMOS1, EPN
from reduction.simulate import simulate, small
from skies import Sky, nearest, points

STREAK = 64


def found_in(field: Field) -> SourceList:
    return source_list(detect(field, Options()), 80.0)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Field:
    """The pn images of the demo: two sources of 13,000 and 5,500 counts, whose streaks hold some 1,200."""
    paths = simulate(small(), tmp_path_factory.mktemp("demo"), cameras=["EPN"])
    field, _ = layers_of(paths, Wanted(parse_bands(["0.5 1.0", "1.0 2.0", "2.0 4.5"]), size_arcmin=(17.0,)))
    return field


def test_demo_has_its_two_sources_and_no_other(demo: Field) -> None:
    listed = found_in(demo)
    truth = [(source.ra, source.dec) for source in small().sources]
    for ra, dec in truth:
        away = np.hypot((listed["RA"] - ra) * np.cos(np.radians(dec)), listed["DEC"] - dec) * 3600
        assert away.min() < 2
        assert listed["FLAG"][np.argmin(away)] == 0
    assert np.sum(listed["FLAG"] == 0) == 2
    assert len(listed) == 2
    # it is the model of the streaks that does it: without it they are found as sources
    blind = replace(demo, layers=tuple(replace(layer, streaks=None) for layer in demo.layers))
    assert len(found_in(blind)) > 6


def test_streaks_hold_what_the_simulator_put_there(demo: Field) -> None:
    """Far from the source on its column there are as many counts more than beside it as the streak is said to hold."""
    streaks = np.sum([layer.streaks for layer in demo.layers], axis=0)
    counts = np.sum([layer.counts for layer in demo.layers], axis=0)
    x, y = demo.wcs.wcs_world2pix([[small().sources[0].ra, small().sources[0].dec]], 0)[0]
    rows, columns = np.indices(counts.shape)
    far = (np.hypot(columns - x, rows - y) > 50) & (demo.layers[0].live > 0.9 * demo.layers[0].live.max())
    line = far & (streaks > 0.5 * streaks[far].max())
    beside = far & (streaks < 2 * np.median(streaks[far]))
    assert line.sum() > 50
    background = counts[beside].mean() - streaks[beside].mean()
    expected = streaks[line].sum() + background * line.sum()
    assert counts[line].sum() == pytest.approx(expected, abs=4 * np.sqrt(expected))
    assert counts[line].sum() - background * line.sum() > 0.8 * streaks[line].sum()


def test_part_out_of_time_is_that_of_the_mode() -> None:
    assert EPN.late_share({"SUBMODE": "PrimeFullWindow"}) == 0.063
    assert EPN.late_share({"SUBMODE": "PrimeFullWindowExtended"}) == 0.023
    assert EPN.late_share({}) == 0.063
    assert EMOS1.late_share({"SUBMODE": "PrimeFullWindow"}) == 0.0035
    assert replace(EPN, out_of_time=()).late_share({}) == 0.0


@pytest.mark.parametrize("angle", [None, 37.0, 127.0])
def test_streak_in_an_image_is_flagged(angle: float | None, tmp_path: Path) -> None:
    """A line of counts at position angle 37 through a bright source: along or across PA_PNT, or where none is known."""
    rng = np.random.default_rng(3)
    others = points(rng, 10, 90, 300)
    sky = Sky(np.append(others.x, 80.0), np.append(others.y, 80.0), np.vstack((others.counts, [[4000.0] * 3])),
              np.zeros(11), background=0.02)  # fmt: skip
    images, exposure = sky.write(tmp_path / "sky", rng)
    along = (-np.sin(np.radians(37.0)), np.cos(np.radians(37.0)))  # east is to the left
    lit = fits.getdata(exposure) > 0
    for path in images:
        with fits.open(path, mode="update") as hdus:
            place = rng.uniform(-75, 75, 230)
            column, row = (np.rint(80 + place * way).astype(int) for way in along)
            inside = (column >= 0) & (column < 160) & (row >= 0) & (row < 160)
            np.add.at(hdus[0].data, (row[inside], column[inside]), 1)
            hdus[0].data *= lit
            if angle is not None:
                hdus[0].header["PA_PNT"] = angle
    field, _, _ = layers_of_images(images, [exposure], [], None)
    listed = found_in(field)
    x, y = listed["X_IMA"] - 1, listed["Y_IMA"] - 1
    aside = np.abs((x - 80) * along[1] - (y - 80) * along[0])
    away, _ = nearest(x, y, sky.x, sky.y)
    false = away > 3
    assert np.sum(false) >= 4
    assert (listed["FLAG"][false] & STREAK).astype(bool).sum() >= np.sum(false) - 1
    assert not (listed["FLAG"][~false & (aside > 5)] & STREAK).any()
    bright = int(np.argmin(np.hypot(x - 80, y - 80)))
    assert not listed["FLAG"][bright] & STREAK
