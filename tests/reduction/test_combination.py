"""Combined spectra and responses: against sums by hand, by sherpa where it is there, and over many drawn exposures."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from phafiles import write_pha
from reduction import responses
from reduction.errors import ReductionError
from reduction.responses.grid import Camera, EnergyGrid
from reduction.responses.redistribution import Channels, Redistribution
from reduction.spectra import combination
from reduction.spectra.combination import Pair

DRAWS = int(os.environ.get("UWS_OBSERVATIONS", "100")) * 10
GRID = EnergyGrid.of_edges(np.linspace(0.2, 10.2, 51))
OTHER = EnergyGrid.of_edges(np.linspace(1, 2, 51))
CHANNELS = Channels(0, np.arange(40) * 0.25, np.arange(1, 41) * 0.25)


def matrix(width_kev: float, camera: Camera = Camera("XMM", "EPN", "Thin1")) -> Redistribution:  # noqa: B008
    middle = 0.5 * (CHANNELS.low + CHANNELS.high)
    full = np.exp(-0.5 * ((middle[None, :] - GRID.middle[:, None]) / width_kev) ** 2)
    return Redistribution.of_matrix(GRID, CHANNELS, np.where(full > 1e-4, full, 0.0) / 8, camera)


def area(factor: float, grid: EnergyGrid = GRID) -> responses.EffectiveArea:
    return responses.EffectiveArea(grid, factor * np.exp(-grid.middle / 5), Camera("XMM", "EPN", "Thin1"))


def test_the_response_of_a_sum_gives_the_sum_of_what_each_response_gives() -> None:
    """Any spectrum: the counts that the mean response expects in the whole time are those of the single ones."""
    parts = [(matrix(0.3), area(900.0), 3000.0), (matrix(0.5), area(500.0), 10_000.0), (matrix(0.4), area(0.0), 50.0)]
    mean, mean_area = responses.combine([responses.Exposed(*each) for each in parts])
    total = sum(each[2] for each in parts)
    for photons in (GRID.middle**-1.7, np.eye(GRID.size)[7], np.eye(GRID.size)[44]):
        expected = sum(rmf.fold(arf.area_cm2 * photons) * time for rmf, arf, time in parts)
        np.testing.assert_allclose(mean.fold(mean_area.area_cm2 * photons) * total, expected, rtol=1e-9, atol=1e-9)
    assert mean.camera == mean_area.camera == Camera("XMM", "EPN", "Thin1")


def test_one_redistribution_for_all_stays_as_it_is() -> None:
    first = matrix(0.3)
    mean, mean_area = responses.combine([responses.Exposed(first, area(100.0), 1000.0),
                                         responses.Exposed(matrix(0.3), area(400.0), 3000.0)])  # fmt: skip
    assert np.array_equal(mean.values, first.values)
    np.testing.assert_allclose(mean_area.area_cm2, area(325.0).area_cm2)


def test_real_responses_of_one_camera_survive_being_combined_and_written(shared: Path, tmp_path: Path) -> None:
    folder = shared / "real/xmm_psrj0855"
    rmf, arf = next(folder.glob("*mos1*.rmf")), next(folder.glob("*mos1*.arf"))
    one = responses.Exposed.of_files(rmf, arf, 5000.0, "parts")
    other = responses.Exposed(one.redistribution, responses.EffectiveArea(one.area.energies, one.area.area_cm2 * 0.5),
                              15_000.0)  # fmt: skip
    mean, mean_area = responses.combine([one, other])
    responses.write_redistribution(tmp_path / "m.rmf", mean)
    responses.write_effective_area(tmp_path / "m.arf", mean_area)
    again = responses.read_effective_area(tmp_path / "m.arf")
    np.testing.assert_allclose(again.area_cm2, one.area.area_cm2 * (0.25 + 0.75 * 0.5), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(responses.read_redistribution(tmp_path / "m.rmf").efficiency,
                               one.redistribution.efficiency, rtol=1e-5, atol=1e-7)  # fmt: skip


@pytest.mark.parametrize(("others", "words"), [
    ([], "of one spectrum or more"),
    ([(matrix(0.3), area(1.0), 0.0)], "no exposure"),
    ([(matrix(0.3), area(1.0), 1.0), (matrix(0.3), area(1.0), -1.0)], "each 0 s or more"),
    ([(matrix(0.3), area(1.0), 1.0),
      (Redistribution.of_matrix(OTHER, CHANNELS, np.ones((50, 40))), area(1.0), 1.0)],
     "edges of photon energy up to 8.2 keV apart"),
    ([(matrix(0.3), area(1.0), 1.0),
      (Redistribution.of_matrix(GRID, Channels(1, CHANNELS.low, CHANNELS.high), np.ones((50, 40))), area(1.0), 1.0)],
     "channels 1 to 40, not 0 to 39"),
])  # fmt: skip
def test_responses_that_do_not_go_together_are_refused(others: list[Any], words: str) -> None:
    with pytest.raises(ReductionError, match=words):
        responses.combine([responses.Exposed(*each) for each in others])


def pair(folder: Path, name: str, counts: Any, behind: Any, **more: Any) -> Pair:
    """A spectrum of NICER (200 channels of 1501 are not its own: only sums are looked at here) and its background."""
    words = {"TELESCOP": "NICER", "INSTRUME": "XTI", "DETCHANS": 200, "EXPOSURE": more.get("exposure", 1000.0)}
    source = write_pha(folder / f"{name}.pha", counts, BACKSCAL=more.get("source_area", 10.0),
                       BACKFILE=f"{name}_bkg.pha", **words)  # fmt: skip
    other = write_pha(folder / f"{name}_bkg.pha", behind, BACKSCAL=more.get("area", 80.0), HDUCLAS2="BKG", **words)
    return Pair(combination.read(source), combination.read(other))


def test_net_counts_of_a_sum_are_right_where_background_and_area_change(tmp_path: Path) -> None:
    """Exposures with different background rates and areas, drawn many times: no bias beyond its own error."""
    random = np.random.default_rng(20)
    exposures, areas, rates = (1000.0, 4000.0), ((10.0, 80.0), (14.0, 40.0)), (2e-4, 9e-4)
    signal = 0.05  # counts/s in 20 channels
    first = pair(tmp_path, "a", 1, 1)
    second = pair(tmp_path, "b", 1, 1)
    pulls = []
    for _ in range(DRAWS):
        drawn = []
        for one, time, (small, large), rate in zip((first, second), exposures, areas, rates, strict=True):
            counts = random.poisson(np.where(np.arange(200) < 20, signal * time / 20, 0) + rate * small * time / 200)
            behind = random.poisson(np.full(200, rate * large * time / 200))
            drawn.append(Pair(replaced(one.source, counts, time, small), replaced(one.background, behind, time, large)))
        found = combination.combine(drawn)
        assert found.background is not None
        ratio = found.source.scale_of(found.background)
        net = found.source.total - ratio * found.background.total
        variance = found.source.total + sum(each.scale**2 * each.background.counts.sum()  # type: ignore[union-attr]
                                            for each in drawn)  # fmt: skip
        pulls.append((net - signal * sum(exposures)) / np.sqrt(variance))
    assert abs(np.mean(pulls)) < 3.5 / np.sqrt(DRAWS)
    assert abs(np.std(pulls) - 1) < 3.5 / np.sqrt(2 * DRAWS)


def replaced(side: Any, counts: np.ndarray, exposure_s: float, backscal: float) -> Any:
    return replace(side, counts=counts, exposure_s=exposure_s, backscal=backscal)


def test_equal_backgrounds_are_scaled_as_areas_weighted_by_exposure(tmp_path: Path) -> None:
    pairs = [pair(tmp_path, "a", 5, 8, exposure=1000.0), pair(tmp_path, "b", 15, 24, exposure=3000.0)]
    found = combination.combine(pairs)
    assert found.background is not None
    assert (found.source.backscal, found.background.backscal) == (pytest.approx(10.0), pytest.approx(80.0))
    assert (found.source.exposure_s, found.source.total, found.background.total) == (4000.0, 4000, 6400)
    assert found.notes == ()


def test_very_different_scales_are_told_with_what_they_do_to_the_errors(tmp_path: Path) -> None:
    pairs = [pair(tmp_path, "a", 5, 10, area=20.0), pair(tmp_path, "b", 5, 10, area=200.0)]
    (note,) = combination.combine(pairs).notes
    short = np.sqrt((0.5**2 + 0.05**2) / 2) / ((0.5 + 0.05) / 2) - 1
    assert f"are scaled by 0.05 to 0.5: the errors of the combined background are {100 * short:.0f} % too small" in note


def test_a_background_without_counts_is_scaled_by_area_and_exposure(tmp_path: Path) -> None:
    found = combination.combine([pair(tmp_path, "a", 5, 0), pair(tmp_path, "b", 5, 0)])
    assert found.background is not None
    assert found.source.scale_of(found.background) == pytest.approx(10.0 / 80.0)


def test_a_background_that_is_not_there_for_all_is_left_out_and_told(tmp_path: Path) -> None:
    first, second = pair(tmp_path, "a", 5, 2), pair(tmp_path, "b", 5, 2)
    found = combination.combine([first, Pair(second.source)])
    assert found.background is None
    assert found.notes == ("1 of 2 spectra have no background: the sum has none",)


def test_spectra_are_summed_by_camera_and_channels(shared: Path) -> None:
    real = [shared / "real" / name for name in ("xmm_psrj0855", "xmm_ngc7793_ulx4")]
    paths = [path for folder in real for path in sorted(folder.iterdir()) if is_source(path)]
    groups = combination.by_camera(Pair(combination.read(path)) for path in paths)
    keys = sorted((key[1], key[3]) for key in groups)
    assert keys == [("EMOS1", 800), ("EMOS1", 2400), ("EMOS2", 800), ("EMOS2", 2400), ("EPN", 4096)]
    (pn,) = (pairs for key, pairs in groups.items() if key[1] == "EPN")
    found = combination.combine(pn)
    tables = [fits.getdata(each.source.path, "SPECTRUM")["COUNTS"] for each in pn]
    assert len(tables) == 2
    assert np.array_equal(found.source.counts, tables[0].astype(int) + tables[1])
    with pytest.raises(ReductionError, match="both MOS, with the same channels can be summed"):
        combination.combine([pairs[0] for pairs in groups.values()])


def of_camera(folder: Path, camera: str, channels: int, exposure: float, area: float) -> Pair:
    """A spectrum of EPIC, drawn, and its background, three times as large."""
    random = np.random.default_rng(len(list(folder.iterdir())))
    made = []
    for name, backscal, rate in ((camera, area, 3.0), (f"{camera}_bkg", 3 * area, 1.0)):
        columns = [fits.Column("CHANNEL", "J", array=np.arange(channels)),
                   fits.Column("COUNTS", "J", array=random.poisson(rate, channels))]  # fmt: skip
        table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
        table.header.update({"TELESCOP": "XMM", "INSTRUME": camera, "HDUCLASS": "OGIP", "HDUCLAS1": "SPECTRUM",
                             "EXPOSURE": exposure, "BACKSCAL": backscal, "AREASCAL": 1.0, "POISSERR": True,
                             "DETCHANS": channels, "SPECDELT": 5 if camera == "EPN" else 12000 // channels,
                             "BACKFILE": f"{camera}_bkg.pha"})  # fmt: skip
        table.writeto(folder / f"{name}.pha")
        made.append(combination.read(folder / f"{name}.pha"))
    return Pair(*made)


def test_the_two_mos_are_summed_with_the_response_of_both(tmp_path: Path) -> None:
    """Counts, net counts and expected counts are those of the two, by sums of the columns of the files."""
    times, areas = (20_000.0, 5_000.0), (9e5, 6e5)
    pairs = [of_camera(tmp_path, f"EMOS{number}", 800, time, area)
             for number, time, area in zip((1, 2), times, areas, strict=True)]  # fmt: skip
    assert list(combination.of_twins(pairs)) == [("XMM", "EMOS", 0, 800)]
    found = combination.combine(pairs)
    source, behind = ([fits.getdata(tmp_path / f"EMOS{n}{end}.pha", 1)["COUNTS"].astype(int) for n in (1, 2)]
                      for end in ("", "_bkg"))  # fmt: skip
    assert np.array_equal(found.source.counts, source[0] + source[1])
    assert found.background is not None and np.array_equal(found.background.counts, behind[0] + behind[1])
    assert found.source.exposure_s == found.background.exposure_s == 25_000.0
    assert found.source.backscal == pytest.approx((20_000 * 9e5 + 5_000 * 6e5) / 25_000)
    net = source[0].sum() + source[1].sum() - (behind[0].sum() + behind[1].sum()) / 3
    scale = found.source.scale_of(found.background)
    assert found.source.total - scale * found.background.total == pytest.approx(net)
    parts = [(matrix(0.3, Camera("XMM", "EMOS1", "Thin1")), area(400.0), times[0]),
             (matrix(0.35, Camera("XMM", "EMOS2", "Thin1")), area(450.0), times[1])]  # fmt: skip
    rmf, arf = responses.combine([responses.Exposed(*each) for each in parts])
    photons = GRID.middle**-1.7
    expected = sum(one.fold(other.area_cm2 * photons) * time for one, other, time in parts)
    np.testing.assert_allclose(rmf.fold(arf.area_cm2 * photons) * found.source.exposure_s, expected, rtol=1e-9)


def test_mos_and_pn_are_refused_in_a_sentence(tmp_path: Path) -> None:
    pairs = [of_camera(tmp_path, "EMOS1", 800, 1e4, 9e5), of_camera(tmp_path, "EPN", 4096, 1e4, 9e5)]
    assert combination.of_twins(pairs) == {}
    with pytest.raises(ReductionError) as refused:
        combination.combine(pairs)
    assert str(refused.value).startswith(
        "spectra of EMOS1 (800 channels from 0), EPN (4,096 channels from 0) came; those of one camera, or of both MOS"
    )
    other = of_camera(tmp_path, "EMOS2", 2400, 1e4, 9e5)
    assert combination.of_twins([pairs[0], other]) == {}, "channels of another width"


def is_source(path: Path) -> bool:
    try:
        with fits.open(path) as hdus:
            return "SPECTRUM" in hdus and hdus["SPECTRUM"].header.get("HDUCLAS2", "TOTAL") == "TOTAL" and (
                "bkg" not in path.name.lower() and "back" not in path.name.lower())  # fmt: skip
    except OSError:
        return False


@pytest.mark.parametrize(("words", "sentence"), [
    ({"AREASCAL": 0.9}, "has rates, or an AREASCAL"), ({"drop": ["EXPOSURE"]}, "has no EXPOSURE"),
])  # fmt: skip
def test_a_spectrum_that_cannot_be_summed_is_named(tmp_path: Path, words: Any, sentence: str) -> None:
    path = write_pha(tmp_path / "odd.pha", 10, drop=words.get("drop", ()),
                     **{key: value for key, value in words.items() if key != "drop"})  # fmt: skip
    with pytest.raises(ReductionError, match=f"odd.pha {sentence}"):
        combination.read(path)
