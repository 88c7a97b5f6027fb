"""Limits of a source: against sums over a fine grid of its posterior, and how often they hold the truth."""

from __future__ import annotations

import math
import shutil
import subprocess
import warnings
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from provenance import votags
from reduction.errors import ReductionError
from reduction.simulate import simulate, small
from reduction.timing.limits import chance, limits
from scriptjobs import ROOT, prepare, run
from synthetic import Epic, write

SCRIPT = ROOT / "job_definitions/upper_limit/run.py"
EMPTY = 'icrs; circle(149.05, 69.705, 20")'
RING = 'icrs; annulus(149.05, 69.70, 40", 90")'


def summed(counts: int, background: float, confidence: float) -> tuple[float, float]:
    """The most probable counts of a source that hold the confidence together, on a grid."""
    source = np.linspace(0, counts + 12 * math.sqrt(counts + 1) + 20, 200_001)
    mean = source + background
    density = np.exp(counts * np.log(np.maximum(mean, 1e-300)) - mean - counts * math.log(max(counts, 1)) + counts)
    order = np.argsort(-density, kind="stable")
    summed_up = np.cumsum(density[order])
    held = source[order[: int(np.searchsorted(summed_up, confidence * summed_up[-1])) + 1]]
    return float(held.min()), float(held.max())


@pytest.mark.parametrize("counts", [1, 2, 3, 5, 10, 30, 120])
@pytest.mark.parametrize("background", [0.0, 0.1, 1.0, 3.0, 7.5, 40.0, 150.0])
def test_the_limits_are_the_narrowest_interval(counts: int, background: float) -> None:
    for confidence in (0.6827, 0.9, 0.99):
        found = limits(counts, background, confidence)
        assert (found.lower, found.upper) == pytest.approx(summed(counts, background, confidence), abs=3e-3)


@pytest.mark.parametrize(("confidence", "expected"), [(0.9, 2.3026), (0.95, 2.9957), (0.99, 4.6052), (0.9973, 5.9145)])
def test_without_counts_the_limit_is_the_same_for_any_background(confidence: float, expected: float) -> None:
    for background in (0.0, 0.3, 25.0):
        found = limits(0, background, confidence)
        assert found.lower == 0
        assert found.upper == pytest.approx(expected, abs=1e-4)


def test_they_are_astropys_where_that_gives_some() -> None:
    pytest.importorskip("scipy")
    from astropy.stats import poisson_conf_interval

    for counts, background in ((2, 3.5), (7, 2.0), (20, 31.0)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = poisson_conf_interval(
                counts, "kraft-burrows-nousek", background=background, confidence_level=0.95
            )
        found = limits(counts, background, 0.95)
        assert (found.lower, found.upper) == pytest.approx(np.ravel(expected).tolist(), abs=2e-3)


def test_upper_limits_hold_a_faint_source_as_often_as_they_say() -> None:
    """Of sources drawn evenly from 0 on, those that gave few counts are within the interval in 90 of 100 cases."""
    generator = np.random.default_rng(5)
    background = 4.0
    truths = generator.uniform(0, 60, 30_000)
    counts = generator.poisson(truths + background)
    few = counts <= 15
    found = {number: limits(number, background, 0.9) for number in range(16)}
    held = [found[number].lower <= truth <= found[number].upper
            for truth, number in zip(truths[few], counts[few].tolist(), strict=True)]  # fmt: skip
    assert len(held) > 4000
    assert np.mean(held) == pytest.approx(0.9, abs=0.015)


@pytest.mark.parametrize(("counts", "background"), [(30, 2.5), (400, 100.0), (19642, 18000.0), (101, 100.0)])
def test_a_small_chance_is_no_rounding_error(counts: int, background: float) -> None:
    """A chance far below the precision of 1 - p has its digits: the sum of its terms in decimal numbers."""
    with localcontext() as digits:
        digits.prec = 200
        mean = Decimal(background)
        below = term = (-mean).exp()
        for number in range(1, counts):
            term *= mean / number
            below += term
        assert chance(counts, background) == pytest.approx(float(1 - below), rel=1e-9, abs=0)


def test_the_chance_of_a_bright_source_is_no_more_than_of_a_fainter() -> None:
    assert chance(19642, 315.37) == 0
    assert chance(5, 0.0) == 0
    assert 0 < chance(600, 315.37) < chance(500, 315.37) < chance(316, 315.37) < chance(315, 315.37) < 1


def test_the_chance_of_a_background_is_that_of_its_terms() -> None:
    for counts, background in ((0, 3.0), (1, 0.01), (4, 3.2), (12, 3.2), (300, 250.0)):
        below = sum(math.exp(n * math.log(background) - background - math.lgamma(n + 1)) for n in range(counts))
        assert chance(counts, background) == pytest.approx(1 - below, abs=1e-12)


@pytest.mark.parametrize(
    ("counts", "background", "confidence", "words"),
    [(3, 1.0, 0.0, "no confidence"), (3, 1.0, 1.0, "no confidence"), (3, 1.0, float("nan"), "no confidence"),
     (3, -1.0, 0.9, "no mean"), (3, float("nan"), 0.9, "no mean"), (200_000, 5.0, 0.9, "up to 100,000")],
)  # fmt: skip
def test_what_has_no_limits_is_refused(counts: int, background: float, confidence: float, words: str) -> None:
    with pytest.raises(ReductionError, match=words):
        limits(counts, background, confidence)


# --- the job -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(small(), tmp_path_factory.mktemp("simulated"), cameras=("EPN",))[0]


def make(folder: Path, **values: object) -> Path:
    done = run(prepare(folder, {"definition": "upper_limit"}, **values), SCRIPT)
    assert done.returncode == 0, done.stderr
    (folder / "log.txt").write_text(done.stdout)
    return folder / "results"


def spectra_of(folder: Path, **values: object) -> list[tuple[int, float, float]]:
    """Counts, exposure and area of source and background as the spectrum job has them."""
    done = run(prepare(folder, {"definition": "spectrum"}, **values))
    assert done.returncode == 0, done.stderr
    found = []
    for name in ("source_spectrum.fits", "background_spectrum.fits"):
        with fits.open(folder / "results" / name) as hdus:
            header = hdus["SPECTRUM"].header
            found.append((int(hdus["SPECTRUM"].data["COUNTS"].sum()), header["EXPOSURE"], header["BACKSCAL"]))
    return found


def test_the_counts_are_those_of_the_spectrum_job_and_the_limits_follow(pn: Path, tmp_path: Path) -> None:
    values = {"eventlist": pn, "source_region": EMPTY, "background_region": RING, "energy": "0.5 10"}
    results = make(tmp_path / "limit", encircled_energy=0.75, confidence="0.9 0.9973", **values)
    (counts, exposure, area), (behind, other_exposure, other_area) = spectra_of(tmp_path / "spectrum", **values)
    with fits.open(results / "limits.fits") as hdus:
        header, rows = hdus["LIMITS"].header, hdus["LIMITS"].data
    expected = behind * area * exposure / (other_area * other_exposure)
    assert (header["COUNTS"], header["BACKCTS"]) == (counts, behind)
    assert header["BACKEXP"] == pytest.approx(expected)
    assert header["EXPOSURE"] == pytest.approx(exposure)
    for row, confidence in zip(rows, (0.9, 0.9973), strict=True):
        low, high = summed(counts, expected, confidence)
        assert (row["COUNTS_LO"], row["COUNTS_UP"]) == pytest.approx((low, high), abs=5e-3)
        assert row["RATE_UP"] == pytest.approx(row["COUNTS_UP"] / exposure / 0.75)
    text = (results / "limits.txt").read_text()
    assert "75 % of its light lies in the region" in text and "90 %: below" in text
    tags = votags.read(results / "limits.fits")
    assert tags is not None and tags.row["dataproduct_type"] == "measurements"
    if shutil.which("fitsverify"):
        subprocess.run(["fitsverify", "-q", str(results / "limits.fits")], check=True)


def test_a_source_is_more_than_the_background(pn: Path, tmp_path: Path) -> None:
    bright = small().sources[0]
    region = f'icrs; circle({bright.ra}, {bright.dec}, 10")'
    ring = f'icrs; annulus({bright.ra}, {bright.dec}, 60", 120")'
    text = (
        make(tmp_path / "job", eventlist=pn, source_region=region, background_region=ring) / "limits.txt"
    ).read_text()
    assert "more than the background" in text and "below" not in text
    assert "the light outside of it is not corrected" in text


def test_a_background_of_few_counts_is_told(pn: Path, tmp_path: Path) -> None:
    ring = 'icrs; annulus(149.05, 69.70, 25", 30")'
    make(tmp_path / "job", eventlist=pn, source_region=EMPTY, background_region=ring, energy="8 12")
    assert "which it is from some 25 counts on" in (tmp_path / "job/log.txt").read_text()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"background_region": ""}, "background_region: it is empty; a limit needs a region"),
        ({"source_region": ""}, "source_region: it is empty; a limit needs a region"),
        ({"background_region": EMPTY}, "background_region: it is the same area"),
        ({"confidence": "95"}, "confidence: '95' are no confidences; give probabilities above 0 and below 1"),
        ({"confidence": "high"}, "confidence: 'high' are no confidences"),
        ({"source_region": 'icrs; circle(150.5, 69.7, 20")'}, "source_region: the region lies outside the field"),
    ],
)
def test_what_gives_no_limit_is_refused(pn: Path, tmp_path: Path, values: dict[str, object], said: str) -> None:
    given = {"eventlist": pn, "source_region": EMPTY, "background_region": RING, **values}
    done = run(prepare(tmp_path / "job", {"definition": "upper_limit"}, **given), SCRIPT)
    assert done.returncode == 1
    assert said in done.stderr
    assert not list((tmp_path / "job").glob("results/*"))


def test_timing_mode_is_refused_with_its_sentence(tmp_path: Path) -> None:
    write(tmp_path / "list.fits", Epic(rows=1000, cards=(("DATAMODE", "BURST"),)))
    given = {"eventlist": tmp_path / "list.fits", "source_region": EMPTY, "background_region": RING}
    done = run(prepare(tmp_path / "job", {"definition": "upper_limit"}, **given), SCRIPT)
    assert "RAWY is time, not a place on the sky" in done.stderr
