"""Patterns of events: ratios to what is expected over many draws, photons that piled up, the file and its picture."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from reduction import regions
from reduction.events.eventlist import open_eventlist
from reduction.events.fitsfile import scan
from reduction.events.selection import choose
from reduction.simulate import simulate, small
from reduction.spectra import patterns
from reduction.spectra.patterns import EXPECTED, PatternCounts, PileUp, counter, pile_up
from reduction.spectra.spectrum import extract
from scriptjobs import prepare, run
from synthetic import Epic, write
from uws_server.previews import curve
from uws_server.previews.curvechart import chart_of

DRAWS = int(os.environ.get("UWS_OBSERVATIONS", "100"))
RATIOS = ("SNGL_OTM", "ESGL_OTM", "DBLE_OTM", "EDBL_OTM")


@pytest.fixture(scope="module")
def pn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pn") / "pn.fits"
    write(path, Epic(rows=30_000))
    return path


def drawn(random: np.random.Generator, pi: np.ndarray, camera: str = "EPN") -> np.ndarray:
    """PATTERN of events of single photons: single by the camera's curve, else one of the four doubles."""
    single = random.random(pi.size) < EXPECTED[camera].at(pi / 1000)
    return np.where(single, 0, random.integers(1, 5, pi.size))


def counted(path: Path, pi: np.ndarray, pattern: np.ndarray) -> PatternCounts:
    """The counts of events of an energy (eV) and a pattern each, as rows of an event list."""
    with open_eventlist(path) as events:
        found = PatternCounts(events)
        rows = np.zeros(pi.size, dtype=next(iter(events.chunks())).dtype)
        assert events.pattern is not None
        rows[events.energy.field], rows[events.pattern.field] = np.minimum(pi, 30_000), pattern
        found(rows)
    return found


def ratios(path: Path, pi: np.ndarray, pattern: np.ndarray) -> PileUp:
    found = pile_up(counted(path, pi, pattern))
    assert found is not None
    return found


def test_without_pile_up_the_ratios_are_one_within_their_errors(pn: Path) -> None:
    random = np.random.default_rng(4)
    pulls = []
    for _ in range(4 * DRAWS):
        pi = (300 * (1 - random.random(2000)) ** -1.2).astype(int)  # eV, falling as a power of the energy
        found = ratios(pn, pi, drawn(random, pi))
        pulls.append(((found.singles - 1) / found.singles_error, (found.doubles - 1) / found.doubles_error))
    for pull in zip(*pulls, strict=True):
        assert abs(np.mean(pull)) < 4 / np.sqrt(len(pulls))
        assert abs(np.std(pull) - 1) < 4 / np.sqrt(2 * len(pulls))


def test_a_simulated_source_has_the_patterns_that_are_expected(tmp_path: Path) -> None:
    """The simulator makes no pile-up: events of its source, in all three cameras, within 4 errors and the curve's."""
    sky = replace(small(), exposure_s=6000.0, flare=None)
    simulate(sky, tmp_path)
    source = sky.sources[0]
    for path in sorted(tmp_path.glob("*EVLI*")):
        with open_eventlist(path) as events:
            selection = choose(events, "0.2 12.0")
            counts = counter(events, selection)
            assert counts is not None
            circle = regions.parse(f'fk5; circle({source.ra}, {source.dec}, 40")').on(events.wcs)
            extract(events, selection, {"source_region": circle}, {"source_region": counts})
            found = pile_up(counts)
            assert found is not None
            assert abs(found.singles - 1) < 4 * found.singles_error + (0 if "PN" in path.name else found.uncertain)
            assert "sigma" not in found.sentence


def test_photons_of_one_frame_in_neighbouring_pixels_make_singles_few_and_doubles_many(pn: Path) -> None:
    """Single photons are thrown into pixels and frames; two that are neighbours, both single, become a double."""
    random = np.random.default_rng(5)
    number = 60_000
    pi = (400 * (1 - random.random(number)) ** -0.6).astype(int)
    single = drawn(random, pi) == 0
    frame, x, y = random.integers(0, 9_000, number), random.integers(0, 9, number), random.integers(0, 9, number)
    order = np.lexsort((x, y, frame))
    pi, single, frame, x, y = pi[order], single[order], frame[order], x[order], y[order]
    meets = (np.diff(frame) == 0) & (np.diff(y) == 0) & (np.diff(x) == 1) & single[1:] & single[:-1]
    meets[1:] &= ~meets[:-1]
    first = np.flatnonzero(meets)
    pi[first] += pi[first + 1]
    pattern = np.where(single, 0, 1)
    pattern[first] = 3
    kept = np.delete(np.arange(number), first + 1)
    found = ratios(pn, pi[kept], pattern[kept])
    assert len(first) > 1000
    assert found.singles < 1 - 5 * found.singles_error
    assert found.doubles > 1 + 5 * found.doubles_error
    assert found.significance < -3
    assert "sigma too few singles, the mark of pile-up" in found.sentence


def test_the_ratios_are_those_of_a_count_by_hand(pn: Path, tmp_path: Path) -> None:
    data = np.asarray(fits.getdata(pn, "EVENTS"))
    folder = prepare(tmp_path / "job", eventlist=pn, flag="none", pattern="all")
    done = run(folder)
    assert done.returncode == 0, done.stderr
    chosen = fits.getdata(folder / "results/events.fits", "EVENTS")
    inside = (chosen["PI"] >= 500) & (chosen["PI"] < 2000)
    pi, pattern = chosen["PI"][inside], chosen["PATTERN"][inside]
    usual = pattern <= 4
    share = EXPECTED["EPN"].at((np.floor(pi[usual] / 5) + 0.5) * 0.005)
    expected = np.sum(pattern == 0) / share.sum(), np.sum(usual & (pattern > 0)) / (1 - share).sum()
    header = fits.getheader(folder / "results/source_spectrum.fits", "SPECTRUM")
    assert len(data) > len(chosen) > 10_000
    assert (header["SNGL_OTM"], header["DBLE_OTM"]) == pytest.approx(expected, abs=1e-4)
    assert "Note: source region: from 0.5 to 2 keV" in done.stdout, "patterns drawn at random are far off"
    with fits.open(folder / "results/patterns.fits") as hdus:
        table = hdus["PATTERNS"].data
        assert [hdus["PATTERNS"].header[key] for key in RATIOS] == [header[key] for key in RATIOS]
        for name, low, high in (("SINGLES", 0, 0), ("DOUBLES", 1, 4), ("TRIPLES", 5, 8), ("QUADRUPLES", 9, 12)):
            mine = chosen["PI"][(chosen["PATTERN"] >= low) & (chosen["PATTERN"] <= high)]
            edges = np.append(table["ENERG_LO"], table["ENERG_HI"][-1]).astype(float).round(3) * 1000
            expected_counts = [np.sum((mine >= a) & (mine < b)) for a, b in itertools.pairwise(edges)]
            assert table[name].tolist() == expected_counts, name
        np.testing.assert_allclose(table["FRAC_S"] + table["FRAC_D"], 1.0, rtol=1e-6)
    if shutil.which("fitsverify"):
        subprocess.run(["fitsverify", "-q", str(folder / "results/patterns.fits")], check=True)


def test_the_picture_has_what_is_counted_and_what_is_expected(pn: Path, tmp_path: Path) -> None:
    folder = prepare(tmp_path / "job", eventlist=pn)
    assert run(folder).returncode == 0
    path = folder / "results/patterns.fits"
    hdus = scan(path, "").hdus
    (hdu,) = (each for each in hdus if curve.is_curve(each))
    chart = chart_of(curve.read(path, hdu, hdus))
    assert [series.label for series in chart.series] == ["singles", "doubles", "singles expected", "doubles expected"]
    assert np.nanmax(chart.series[0].y) <= 1
    assert "0.5-2 keV observed to expected: singles" in chart.x_label


@pytest.mark.parametrize(("pattern", "is_counted"), [("default", True), ("all", True), ("0:12", True), ("0", False),
                                                     ("1:4", False)])  # fmt: skip
def test_patterns_that_are_not_selected_cannot_be_compared(pn: Path, pattern: str, is_counted: bool) -> None:
    with open_eventlist(pn) as events:
        assert (counter(events, choose(events, "0.2 12.0", pattern)) is not None) is is_counted


def test_other_missions_have_no_patterns_of_epic(shared: Path, tmp_path: Path) -> None:
    with open_eventlist(shared / "real/chandra_m82/acis_10027_events.fits") as events:
        assert counter(events, choose(events, "0.5 8")) is None


def test_few_events_tell_nothing(pn: Path) -> None:
    pi = np.full(patterns.FEWEST - 1, 1000)
    assert pile_up(counted(pn, pi, np.zeros_like(pi))) is None
