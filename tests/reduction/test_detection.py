"""Detection on skies whose sources are known: how many are found, where, how bright, and how many that are none."""

from __future__ import annotations

import math
import os
import tracemalloc

import numpy as np
import pytest

from reduction.detection import boxes, chain, splines
from reduction.detection.boxes import Candidates
from reduction.detection.chain import Detected, detect
from reduction.detection.likelihood import detection_likelihood
from reduction.detection.options import Options
from reduction.detection.pointspread import KING_CAMERAS, king_spread
from reduction.detection.sources import FLAGS, iau_names, source_list
from reduction.detection.splines import spline_background
from reduction.detection.stamps import Windows, light, stamps
from reduction.instruments import king
from skies import EXPOSURE_S, Sky, nearest, points

FULL = os.environ.get("UWS_FULL") == "1"
FIELDS = 40 if FULL else 4


def test_likelihood_is_minus_ln_p_of_chi_squared():
    """Against the closed forms of 1, 2, 4 and 5 degrees of freedom, and scipy where it is installed."""
    x = np.array([0.01, 0.5, 3.0, 10.0, 24.9])
    assert detection_likelihood(x, 2) == pytest.approx(x)
    assert detection_likelihood(x, 4) == pytest.approx(x - np.log(1 + x))
    assert detection_likelihood(x, 1) == pytest.approx([-math.log(math.erfc(math.sqrt(each))) for each in x])
    q = [math.erfc(math.sqrt(v)) + math.exp(-v) * (2 * math.sqrt(v / math.pi) + v**1.5 * 4 / 3 / math.sqrt(math.pi))
         for v in x]  # fmt: skip
    assert detection_likelihood(x, 5) == pytest.approx(-np.log(q), rel=1e-9)
    far = 2e4 - 3.5 * math.log(2e4) + math.lgamma(4.5)
    assert detection_likelihood(np.array([2e4, -3.0]), 9) == pytest.approx([far, 0.0], rel=1e-4)
    special = pytest.importorskip("scipy.special")
    for parameters in range(1, 13):
        assert detection_likelihood(x, parameters) == pytest.approx(-np.log(special.gammaincc(parameters / 2, x)))


@pytest.mark.parametrize("camera", KING_CAMERAS)
def test_gaussians_hold_the_light_of_the_king_profile(camera):
    radius = np.array([2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0])
    for energy in (0.5, 1.5, 6.0):
        spread = king_spread(camera, energy)
        for angle in spread.angles_arcmin[::5]:
            wanted = king(camera, np.array(energy), angle).encircled(radius)
            assert spread.encircled(radius, float(angle)) == pytest.approx(wanted, abs=0.01)


def test_stamp_is_the_profile_in_pixels_and_its_slopes_are_differences():
    """The light of each pixel against photons drawn from the King profile; slopes against finite differences."""
    rng = np.random.default_rng(4)
    x, y = np.array([20.3]), np.array([19.8])
    sigma, weight = king_spread("EPN", 1.5).at(np.zeros(1))
    gaussians = (sigma[:, None] / 4, weight[:, None])
    windows = Windows.around(x, y, 25)
    found = light(x, y, np.zeros(1), *gaussians, windows)[0, 0]
    photons = 400_000
    radius, angle = king("EPN", np.array(1.5), 0.0).radius(rng.random(photons)) / 4, rng.random(photons) * 2 * np.pi
    edges = np.arange(26) - 0.5
    drawn, _, _ = np.histogram2d(y + radius * np.sin(angle), x + radius * np.cos(angle),
                                 bins=(edges + windows.row[0], edges + windows.column[0]))  # fmt: skip
    assert found == pytest.approx(drawn / photons, abs=3e-3)
    slopes = stamps(x, y, np.ones(1), *gaussians, windows)
    step = 1e-3
    for slope, moved in ((slopes.by_x, (x + step, y, np.ones(1))), (slopes.by_y, (x, y + step, np.ones(1))),
                         (slopes.by_extent, (x, y, np.sqrt(np.ones(1) + step)))):  # fmt: skip
        difference = (light(*moved, *gaussians, windows) - light(x, y, np.ones(1), *gaussians, windows)) / step
        assert slope == pytest.approx(difference, abs=3e-4)


def test_spline_follows_a_slope_and_ignores_what_is_masked():
    rng = np.random.default_rng(5)
    exposure = np.full((150, 170), 1e3)
    exposure[:, :20] = 0.0
    truth = np.where(exposure > 0, 0.3 + 0.002 * np.arange(170), 0.0)
    counts = rng.poisson(truth).astype(float)
    kept = np.ones(counts.shape, dtype=bool)
    counts[60:90, 60:90] += 50
    kept[60:90, 60:90] = False
    found = spline_background(counts, exposure, kept, 8)
    assert found[exposure > 0] == pytest.approx(truth[exposure > 0], rel=0.45)
    assert found[15:135, 35:155] == pytest.approx(truth[15:135, 35:155], rel=0.3)
    assert found.sum() == pytest.approx(truth.sum(), rel=0.02)
    assert (found[:, :20] == 0).all()


def test_background_stays_above_zero_where_sources_are_taken_off_too_much():
    """In a crowded field the first rough models hold more counts than there are."""
    exposure = np.full((40, 50), 1e3)
    found = spline_background(np.full(exposure.shape, -0.3), exposure, exposure > 0, 16)
    assert (found > 0).all()
    assert np.isfinite(found).all()


@pytest.mark.parametrize("size", [4, 10, 21])
def test_blocks_solve_what_the_whole_matrix_does(size: int):
    """The matrix of a spline, solved block by block, against numpy's solution of the whole."""
    rng = np.random.default_rng(size)
    near = np.abs(np.subtract.outer(np.arange(size), np.arange(size))) <= 3
    factor = rng.normal(size=(size**2, size**2)) * np.kron(near, near) * np.tri(size**2)
    matrix = factor @ factor.T * np.kron(near, np.ones((size, size))) + np.eye(size**2) * 1e3
    right = rng.normal(size=size**2)
    assert splines._banded(matrix, right, 3 * size) == pytest.approx(np.linalg.solve(matrix, right), rel=1e-8)


@pytest.mark.parametrize("length", [5, 37, 150, 648])
@pytest.mark.parametrize("nodes", [2, 16, 60])
def test_cells_of_a_spline_hold_every_pixel_once(length: int, nodes: int):
    image = np.random.default_rng(1).poisson(3.0, (length, length)).astype(float)
    first, middles = splines._cells(length, nodes)
    cells = splines._summed(image, first, first)
    assert cells.sum() == image.sum()
    assert cells.shape == (len(middles), len(middles))
    assert cells[0, -1] == image[: first[1] if len(first) > 1 else length, first[-1] :].sum()
    sizes = np.diff(np.append(first, length))
    assert (sizes * (nodes - 1) * 8 <= max(length, (nodes - 1) * 8)).all()
    assert middles == pytest.approx((first + sizes / 2) / length)


def pulls_of(sky: Sky, found: Detected) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Differences to the truth in units of the errors: places, and amplitudes, of sources that are alone."""
    model, fitted = found.fitted.model, found.fitted
    away, number = nearest(model.x, model.y, sky.x, sky.y)
    alone = np.array([np.sort(np.hypot(sky.x - x, sky.y - y))[1] > 12 for x, y in zip(sky.x, sky.y, strict=True)])
    chosen = np.flatnonzero((away < 3) & alone[number] & (sky.counts[number].sum(axis=1) > 60))
    mine = number[chosen]
    places = (
        np.stack((model.x[chosen] - sky.x[mine], model.y[chosen] - sky.y[mine]), axis=1) / fitted.errors[chosen, :2]
    )
    strengths = (model.amplitude[chosen] - sky.counts[mine]) / fitted.amplitude_error[chosen]
    return list(places), list(strengths)


def test_sources_are_where_and_as_bright_as_they_were_put():
    """Pulls of places and amplitudes are 0 +- 1, and nearly all sources of 40 counts are found."""
    places, strengths, found_of = [], [], []
    for seed in range(FIELDS):
        rng = np.random.default_rng(seed)
        sky = points(rng, 20, 20, 600)
        found = detect(sky.field(rng), Options())
        more = pulls_of(sky, found)
        places += more[0]
        strengths += more[1]
        away, _ = nearest(sky.x, sky.y, found.fitted.model.x, found.fitted.model.y)
        found_of += (away[sky.counts.sum(axis=1) > 50] < 3).tolist()
    share = 3 / np.sqrt(len(places))
    assert np.mean(places, axis=0) == pytest.approx([0, 0], abs=share)
    assert np.std(places, axis=0) == pytest.approx([1, 1], abs=0.08 if FULL else 0.25)
    assert np.mean(strengths) == pytest.approx(0, abs=share)
    assert np.std(strengths) == pytest.approx(1, abs=0.08 if FULL else 0.2)
    assert np.mean(found_of) > 0.95


def test_false_sources_are_as_rare_as_the_likelihood_says():
    """In empty fields of 10 x 10 arcmin there are hardly any sources of 10, and a few of 5."""
    rng = np.random.default_rng(11)
    likelihoods = [detect(points(rng, 0, 1, 2, background=background).field(rng), Options(cut=5, box_cut=4)).likelihood
                   for background in (0.01, 0.05, 0.3) for _ in range(max(2, FIELDS // 2))]  # fmt: skip
    per_field = [np.sum(np.concatenate(likelihoods) >= cut) / len(likelihoods) for cut in (5, 10)]
    assert per_field[0] < 5
    assert per_field[1] < (0.2 if FULL else 0.5)


def test_extent_and_counts_of_an_extended_source():
    rng = np.random.default_rng(6)
    sky = Sky(
        np.array([100.0, 40.0]), np.array([90.0, 40.0]), np.array([[400.0] * 3, [200.0] * 3]), np.array([4.0, 0.0])
    )
    listed = source_list(detect(sky.field(rng), Options()), 80.0)
    assert len(listed) == 2
    wide = int(np.argmin(np.hypot(listed["X_IMA"] - 101, listed["Y_IMA"] - 91)))
    point = 1 - wide
    assert listed["EXT"][wide] == pytest.approx(16.0, abs=3 * listed["EXT_ERR"][wide])
    assert 0 < listed["EXT_ERR"][wide] < 2
    assert listed["EXT_ML"][wide] > 50
    assert listed["EXT"][point] == 0
    assert np.isnan(listed["EXT_ERR"][point])
    assert listed["RATE"][wide] * EXPOSURE_S == pytest.approx(1200, rel=0.12)
    assert listed["RATE"][point] * EXPOSURE_S == pytest.approx(600, rel=0.12)


def test_two_sources_that_touch_are_fitted_together():
    """Two sources 14 arcsec apart come out as two, each with its own counts and colour."""
    rng = np.random.default_rng(7)
    counts = np.array([[600.0, 300.0, 50.0], [50.0, 300.0, 600.0]])
    sky = Sky(np.array([100.0, 103.5]), np.array([80.0, 80.0]), counts, np.zeros(2))
    listed = source_list(detect(sky.field(rng), Options()), 80.0)
    assert len(listed) == 2
    order = np.argsort(listed["X_IMA"])
    assert listed["X_IMA"][order] == pytest.approx(sky.x + 1, abs=0.3)
    for band in range(3):
        rate, error = (listed[f"PN_{band + 1}_RATE{end}"][order] * EXPOSURE_S for end in ("", "_ERR"))
        assert np.abs(rate - counts[:, band]) == pytest.approx(np.zeros(2), abs=4 * error.max())
    assert listed["HR2"][order[0]] < -0.5 < 0.2 < listed["HR2"][order[1]]
    assert listed["DIST_NN"] == pytest.approx([14, 14], abs=1)


def test_flags_tell_of_the_rim_and_of_a_brighter_neighbour():
    rng = np.random.default_rng(8)
    sky = Sky(np.array([54.0, 120.0, 123.0]), np.array([60.0, 100.0, 100.0]),
              np.array([[300.0] * 3, [2000.0] * 3, [150.0] * 3]), np.zeros(3))  # fmt: skip
    listed = source_list(detect(sky.field(rng), Options()), 80.0)
    _, number = nearest(sky.x + 1, sky.y + 1, listed["X_IMA"], listed["Y_IMA"])
    gap, bright, faint = listed["FLAG"][number]
    assert gap & 1, FLAGS[1]
    assert not bright & 3
    assert faint & 2, FLAGS[2]


def test_many_candidates_are_bounded_and_told(monkeypatch):
    """A field full of single bright pixels: no more than `MOST_SOURCES` are fitted, and a note says so."""
    most, size = (chain.MOST_SOURCES, 520) if FULL else (200, 160)
    monkeypatch.setattr(chain, "MOST_SOURCES", most)
    rng = np.random.default_rng(9)
    field = points(rng, 0, 1, 2, size=size).field(rng)
    field.layers[0].counts[3::6, 3::6] += 30
    found = detect(field, Options())
    assert len(found.fitted.model) <= most
    assert f"the {most:,} most likely" in " ".join(found.notes)


def test_candidates_of_wider_boxes_count_where_no_narrower_one_is_near():
    """The map of taken pixels tells the same as all distances do, also at the border."""
    rng = np.random.default_rng(4)
    narrow, wide = (Candidates(*rng.integers(0, 40, (2, 60)).astype(float), np.full(60, half), rng.uniform(5, 50, 60))
                    for half in (2.0, 4.0))  # fmt: skip
    apart = np.hypot(wide.x[:, None] - narrow.x, wide.y[:, None] - narrow.y).min(axis=1)
    found = boxes.merged([narrow, wide])
    assert 0 < (apart > 5).sum() < 60
    assert sorted(found.likelihood) == sorted([*narrow.likelihood, *wide.likelihood[apart > 5]])
    assert np.all(np.diff(found.likelihood) <= 0)


def test_merging_many_candidates_takes_no_room_for_their_pairs():
    """All distances of 20,000 to 20,000 candidates would be 3.2 GB."""
    rng = np.random.default_rng(5)
    many = [Candidates(*rng.integers(0, 900, (2, 20_000)).astype(float), np.full(20_000, half), np.ones(20_000))
            for half in (2.0, 4.0)]  # fmt: skip
    tracemalloc.start()
    boxes.merged(many)
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert highest < 20e6


def test_names_are_truncated_never_rounded():
    assert iau_names(np.array([148.9749, 0.0, 359.99999]), np.array([69.65, -0.00001, -89.99999])) == [
        "J095553.9+693900", "J000000.0-000000", "J235959.9-895959",
    ]  # fmt: skip
