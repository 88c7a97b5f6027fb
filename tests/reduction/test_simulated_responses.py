"""Simulated photons against the responses they were drawn through: a fit gives the truth back, and so does the sky."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from astropy.io import fits

from reduction import instruments, responses
from reduction.errors import ReductionError
from reduction.simulate import Observation, PowerLaw, Source, simulate, small, truth_path, write_responses
from reduction.simulate.cameras import CAMERAS
from reduction.simulate.response import GRID, BuiltIn

Floats = npt.NDArray[np.float64]

OBSERVATIONS = int(os.environ.get("UWS_OBSERVATIONS", "100"))
ON_AXIS = (148.9740, 69.6510)
EMPTY = Observation(
    "0999990301", *ON_AXIS, 292.95, "2026-03-01T10:00:00", 4000.0, particle_rate=0.0, sky_rate=0.0, seed=7
)


def with_source(flux: float, index: float = 1.7, arcmin_north: float = 0.0, **more: Any) -> Observation:
    source = Source("test", ON_AXIS[0], ON_AXIS[1] + arcmin_north / 60, flux, PowerLaw(index))
    return replace(EMPTY, sources=(source,), **more)


def rows_of(path: Path) -> tuple[fits.Header, Any]:
    """Header and rows of an event list."""
    with fits.open(path, memmap=False) as hdus:
        return hdus["EVENTS"].header, np.asarray(hdus["EVENTS"].data)


def usual(camera: str, rows: Any) -> npt.NDArray[np.bool_]:
    """The usual selection, by the masks that real spectra have."""
    mask, highest = {"EPN": (0xCFA0000, 4)}.get(camera, (0x766BA000, 12))
    return (rows["FLAG"].astype(np.int64) & mask == 0) & (rows["PATTERN"] <= highest)


# --- a fit gives the truth back ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Slices:
    """Spectra of equal slices of one long exposure, their live times, and the truth of their source."""

    counts: npt.NDArray[np.int64]
    live_s: Floats
    norm: float


def sliced(path: Path, truth: dict[str, Any], camera: str, channels: int, width_ev: int) -> Slices:
    """The spectra in a circle of 40 arcsec, one for each of the slices."""
    header, rows = rows_of(path)
    place = truth["cameras"][camera]["sources"][0]
    near = (rows["X"] - place["x"]) ** 2 + (rows["Y"] - place["y"]) ** 2 <= 800.0**2
    mine = rows[usual(camera, rows) & near]
    edges = np.linspace(header["TSTART"], header["TSTOP"], OBSERVATIONS + 1)
    number = np.searchsorted(edges, mine["TIME"]) - 1
    counts = np.zeros((OBSERVATIONS, channels), dtype=np.int64)
    np.add.at(counts, (number, np.minimum(mine["PI"] // width_ev, channels - 1)), 1)
    gti = fits.getdata(path, f"STDGTI{CAMERAS[camera].central_ccd:02d}")
    overlap = np.minimum(edges[1:, None], gti["STOP"]) - np.maximum(edges[:-1, None], gti["START"])
    live = np.maximum(overlap, 0).sum(axis=1) * header["LIVETIME"] / header["ONTIME"]
    return Slices(counts, live, truth["observation"]["sources"][0]["photons_cm2_s_keV_at_1_keV"])


def fitted(counts: Floats, model: Callable[[float], Floats], start: tuple[float, float]) -> tuple[Floats, Floats]:
    """Logarithm of the norm and index at the best C statistic, and their errors, by Fisher scoring."""
    point = np.array([np.log(start[0]), start[1]])
    for _ in range(50):
        expected = np.exp(point[0]) * model(point[1])
        slope = np.exp(point[0]) * (model(point[1] + 1e-4) - model(point[1] - 1e-4)) / 2e-4
        jacobian = np.stack((expected, slope))
        information = (jacobian / expected) @ jacobian.T
        step = np.linalg.solve(information, jacobian @ (counts / expected - 1))
        point = point + np.clip(step, -0.5, 0.5)
        if np.abs(step).max() < 1e-8:
            break
    return point, np.sqrt(np.diag(np.linalg.inv(information)))


def pulls(slices: Slices, matrix: responses.Redistribution, area: responses.EffectiveArea, width_ev: int) -> Floats:
    """Distances of norm and index from the truth in errors, shape (slices, 2)."""
    # channels of 60 eV from 0.3 to 9.9 keV, about the resolution
    first, step = 300 // width_ev, 60 // width_ev
    grouped = [np.s_[..., at : at + step] for at in range(first, first + 160 * step, step)]
    matrix_full = matrix.matrix()
    folded = area.on(matrix.energies).area_cm2[:, None] * np.stack(
        [matrix_full[group].sum(axis=-1) for group in grouped], axis=1
    )
    low, high = np.maximum(matrix.energies.low, 1e-3), matrix.energies.high
    found = []
    spectra = np.stack([slices.counts[group].sum(axis=-1) for group in grouped], axis=1)
    exposed = slices.live_s > 0.2 * np.median(slices.live_s)
    assert exposed.mean() > 0.98
    for counts, live in zip(spectra[exposed], slices.live_s[exposed], strict=True):

        def model(index: float, live: float = live) -> Floats:
            return live * ((high ** (1 - index) - low ** (1 - index)) / (1 - index)) @ folded

        point, error = fitted(counts, model, (2 * slices.norm, 2.2))
        found.append((point - (np.log(slices.norm), 1.7)) / error)
    return np.array(found)


CASES = {
    "EPN": ("EPN", 5, None),
    "EMOS2": ("EMOS2", 5, None),
    "real pn": ("EPN", 5, ("xmm_ngc7793_ulx4/PN.rmf", "xmm_ngc7793_ulx4/PN.arf")),
    "real MOS1": ("EMOS1", 15, ("xmm_psrj0855/xmm_mos1_0605960101.rmf", "xmm_psrj0855/xmm_mos1_0605960101.arf")),
}


@pytest.mark.parametrize("case", CASES)
def test_a_fit_gives_index_and_norm_back(case: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    camera, width_ev, names = CASES[case]
    observation = with_source(1e-11 * OBSERVATIONS / 100, exposure_s=200_000.0)
    if names:
        real = request.getfixturevalue("shared") / "real"
        matrix, area = responses.read_redistribution(real / names[0]), responses.read_effective_area(real / names[1])
        (path,) = simulate(observation, tmp_path, cameras=(camera,), through={camera: (matrix, area)})
    else:
        (path,) = simulate(observation, tmp_path, cameras=(camera,))
        rmf, arf = write_responses(observation, tmp_path, CAMERAS[camera])
        matrix, area = responses.read_redistribution(rmf), responses.read_effective_area(arf)
    truth = json.loads(truth_path(tmp_path, observation).read_text())
    slices = sliced(path, truth, camera, matrix.channels.size, width_ev)
    found = pulls(slices, matrix, area, width_ev)
    # 500 spectra: a mean of 0 +- 0.1, a width of 1 +- 0.1, 2.2 and 3.2 errors of a mean and a width of that many
    assert np.abs(found.mean(axis=0)).max() < 0.1 * np.sqrt(500 / OBSERVATIONS), found.mean(axis=0)
    assert np.abs(found.std(axis=0) - 1).max() < 0.1 * np.sqrt(500 / OBSERVATIONS), found.std(axis=0)


# --- the response and its files ------------------------------------------------------------------------------


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("kev", [0.3, 1.0, 1.9, 6.4])
def test_photons_of_one_energy_fill_the_row_of_the_matrix(camera: str, kev: float) -> None:
    response, draw = BuiltIn(CAMERAS[camera], EMPTY.date), np.random.default_rng(5)
    matrix = response.redistribution()
    energy = GRID.middle[GRID.index(np.array([kev]))[0]]
    pi = response.detection.measure(draw, np.full(200_000, energy))
    photons = np.zeros(GRID.size)
    photons[GRID.index(np.array([kev]))] = 200_000
    expected = matrix.fold(photons)
    assert np.count_nonzero(pi >= 0) == pytest.approx(expected.sum(), abs=5 * np.sqrt(200_000 - expected.sum() + 1))
    counts = np.bincount(pi[pi >= 0] // 5, minlength=matrix.channels.size)[: matrix.channels.size]
    many = expected > 25
    assert expected[many].sum() > 0.6 * expected.sum()
    pull = (counts - expected)[many] / np.sqrt(expected[many])
    assert np.mean(pull**2) == pytest.approx(1, abs=5 * np.sqrt(2 / many.sum()))
    assert counts[expected == 0].sum() == 0


def test_the_files_of_a_response_are_sound(tmp_path: Path) -> None:
    paths = write_responses(small(), tmp_path, CAMERAS["EMOS1"])
    assert [path.name for path in paths] == [
        "P0999990101M1S001MIEVLI0000.RMF", "P0999990101M1S001MIEVLI0001.ARF", "P0999990101M1S001MIEVLI0002.ARF"
    ]  # fmt: skip
    if shutil.which("fitsverify"):
        for path in paths:
            done = subprocess.run(["fitsverify", "-q", path], capture_output=True, text=True, check=False)
            assert "verification OK" in done.stdout, done.stdout
    with fits.open(paths[0]) as hdus:
        assert hdus["MATRIX"].header["DETCHANS"] == 2400
        assert [hdus["MATRIX"].header[key] for key in ("TELESCOP", "INSTRUME", "FILTER")] == ["XMM", "EMOS1", "Medium"]
    area = responses.read_effective_area(paths[2])
    energy = np.array([0.7, 1.3, 3.5, 5.0, 7.0])
    place = json_place(small(), "EMOS1", 1, tmp_path)
    light = instruments.king("EMOS1", energy, place).encircled(40.0) * instruments.vignetting(energy, place)
    assert 6 < place < 9
    light *= instruments.carbon_since("EMOS1", energy, small().date)
    np.testing.assert_allclose(area.at(energy), instruments.effective_area("EMOS1", energy) * light, rtol=0.02)


def json_place(observation: Observation, camera: str, number: int, folder: Path) -> float:
    """The angle of a source from the optical axis as the truth tells it."""
    simulate(replace(observation, exposure_s=200.0, flare=None), folder, cameras=(camera,))
    truth = json.loads(truth_path(folder, observation).read_text())
    return float(truth["cameras"][camera]["sources"][number]["off_axis_arcmin"])


def test_a_response_that_is_none_of_epic_is_refused(tmp_path: Path) -> None:
    wide = replace(BuiltIn(CAMERAS["EMOS1"], small().date).redistribution())
    high = wide.channels.high * 100
    wide = replace(wide, channels=replace(wide.channels, low=wide.channels.low * 100, high=high))
    area = responses.EffectiveArea(GRID, np.ones(GRID.size))
    with pytest.raises(ReductionError, match="end at 1200 keV") as caught:
        simulate(small(), tmp_path, cameras=["EMOS1"], through={"EMOS1": (wide, area)})
    assert caught.value.parameter == "rmf"
    with pytest.raises(ReductionError, match="EPN, EMOS1, EMOS2"):
        simulate(small(), tmp_path, through={"MOS1": (wide, area)})


# --- what telescope and detector do --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "part", "frame_ms"), [("PrimeFullWindow", 0.063, 73), ("PrimeFullWindowExtended", 0.023, 199)]
)
def test_events_out_of_time_lie_along_the_columns(mode: str, part: float, frame_ms: int, tmp_path: Path) -> None:
    observation = with_source(3e-10, pn_mode=mode, seed=2)  # a CCD that has no bad pixel in the columns of the source
    (path,) = simulate(observation, tmp_path, cameras=("EPN",))
    header, rows = rows_of(path)
    assert (header["SUBMODE"], header["FRMTIME"]) == (mode, frame_ms)
    assert header["FRMTIME"] == pytest.approx(1000 * np.diff(np.unique(rows["TIME"])).min(), abs=0.5)
    mine = rows[rows["CCDNR"] == 4]
    row = np.median(mine["RAWY"])
    far = np.abs(np.arange(1, 201) - row) > 300 / 4.1 + 1  # beyond the point spread function
    expected = part * len(mine) * far.mean()
    assert expected > 300
    counted = np.count_nonzero(far[mine["RAWY"] - 1])
    assert abs(counted - expected) < 4 * np.sqrt(expected) + 0.02 * expected
    column = np.median(mine["RAWX"])
    streak = mine[far[mine["RAWY"] - 1]]
    assert np.mean(np.abs(streak["RAWX"] - column) <= 40 / 4.1) > 0.8
    others = rows[rows["CCDNR"] != 4]
    assert len(others) < 0.1 * len(mine)


def board_lines(rows: Any, chosen: npt.NDArray[np.bool_]) -> float:
    """Counts of copper above the continuum from 7.8 to 8.3 keV, among chosen events."""
    pi = rows["PI"][chosen]
    continuum = np.count_nonzero((pi >= 6000) & (pi < 7200)) + np.count_nonzero((pi >= 9300) & (pi < 10500))
    return float(np.count_nonzero((pi >= 7800) & (pi < 8300)) - continuum * 500 / 2400)


def test_pn_has_the_copper_line_of_a_real_background_but_for_the_hole(shared: Path, tmp_path: Path) -> None:
    with fits.open(shared / "real/xmm_ngc7793_ulx4/PNbackground_spectrum.fits") as hdus:
        header, table = hdus["SPECTRUM"].header, hdus["SPECTRUM"].data
        real = np.zeros(int(table["COUNTS"].sum()), dtype=[("PI", ">i2")])
        real["PI"] = np.repeat(table["CHANNEL"] * 5, table["COUNTS"])
        exposure = header["EXPOSURE"] * header["BACKSCAL"] / 1200**2
    wanted = board_lines(real, np.ones(len(real), dtype=bool)) / exposure
    (path,) = simulate(replace(small(), exposure_s=30_000.0, flare=None, sources=()), tmp_path, cameras=("EPN",))
    head, rows = rows_of(path)
    middle = np.hypot(rows["DETX"], rows["DETY"]) / 1200
    good = usual("EPN", rows)
    live, pixels = head["LIVETIME"], 12 * 64 * 200 * (4.1 / 60) ** 2
    outside = pixels - np.pi * 5**2
    found = board_lines(rows, good & (middle > 5.05)) / live / outside
    assert 4e-4 < wanted < 8e-4
    assert found == pytest.approx(wanted, rel=0.3)
    inside = board_lines(rows, good & (middle < 4.9)) / live / (np.pi * 4.9**2)
    assert abs(inside) < 0.15 * found


def test_the_hard_background_of_pn_is_that_of_a_real_one(shared: Path, tmp_path: Path) -> None:
    with fits.open(shared / "real/xmm_ngc7793_ulx4/PNbackground_spectrum.fits") as hdus:
        header, table = hdus["SPECTRUM"].header, hdus["SPECTRUM"].data
        hard = (table["CHANNEL"] >= 1860) & (table["CHANNEL"] < 2400)
        counts = int(table["COUNTS"][hard].sum())
        wanted = counts / (header["EXPOSURE"] * header["BACKSCAL"] / 1200**2)
    (path,) = simulate(replace(small(), flare=None, sources=()), tmp_path, cameras=("EPN",))
    head, rows = rows_of(path)
    chosen = usual("EPN", rows) & (rows["PI"] >= 9300) & (rows["PI"] < 12000)
    found = np.count_nonzero(chosen) / head["LIVETIME"] / (12 * 64 * 200 * (4.1 / 60) ** 2)
    assert found == pytest.approx(wanted, rel=0.15 + 2 / np.sqrt(counts))


@pytest.mark.parametrize("camera", ["EPN", "EMOS1"])
def test_the_sky_is_vignetted_by_angle_and_energy(camera: str, tmp_path: Path) -> None:
    (path,) = simulate(replace(EMPTY, sky_rate=1.0), tmp_path, cameras=(camera,))
    _, rows = rows_of(path)
    # events out of time are spread over the columns: those that stayed are seen where there is nothing behind them
    arcmin = np.hypot(rows["X"] - 25921.0, rows["Y"] - 25921.0) / 1200
    late = CAMERAS[camera].out_of_time
    for low, high in ((500, 1500), (2500, 4500), (6500, 9000)):
        band = (rows["PI"] >= low) & (rows["PI"] < high)
        kev = rows["PI"][band] / 1000
        ratio = np.mean(instruments.vignetting(kev, 9.0)) / np.mean(instruments.vignetting(kev, 2.0))
        rings = [np.count_nonzero(band & (np.abs(arcmin - at) < 1.0)) / lit(path, at) for at in (2.0, 9.0)]
        found, error = rings[1] / rings[0], 4 / np.sqrt(np.count_nonzero(band) / 30)
        assert found == pytest.approx(ratio, abs=error + 0.5 * late + 0.02), (low, high)


def lit(path: Path, arcmin: float) -> float:
    """Pixels in a ring of 2 arcmin about the aim point that lie on a good CCD, times their live time, by a grid."""
    header = fits.getheader(path, "EVENTS")
    camera = CAMERAS[header["INSTRUME"]]
    points = np.arange(-12, 12, 0.02) * 1200
    x, y = np.meshgrid(25921 + points, 25921 + points)
    ring = np.abs(np.hypot(x - 25921, y - 25921) / 1200 - arcmin) < 1.0
    detx, dety = camera.to_detector(x[ring], y[ring], header["PA_PNT"])
    total = 0.0
    for ccd in camera.ccds:
        column, row = ccd.to_raw(detx, dety)
        on = (column > 0.5) & (column < ccd.columns + 0.5) & (row > 0.5) & (row < ccd.rows + 0.5)
        total += np.count_nonzero(on) * header[f"LIVETI{ccd.number:02d}"]
    return total


def test_a_source_off_the_axis_is_fainter_and_wider(tmp_path: Path) -> None:
    counts, radii = [], []
    for arcmin in (0.0, 4.0):  # both on the central CCD
        observation = with_source(2e-10, arcmin_north=arcmin, exposure_s=10_000.0)
        (path,) = simulate(observation, tmp_path, cameras=("EMOS2",))
        _, rows = rows_of(path)
        x, y = observation.positions[0]
        away = np.hypot(rows["X"] - x, rows["Y"] - y) / 20
        soft = (rows["PI"] > 1000) & (rows["PI"] < 2000)
        counts.append(np.count_nonzero(soft & (away < 60)))
        radii.append(np.quantile(away[soft & (away < 120)], 0.5))
    ratio = float(instruments.vignetting(np.array(1.4), 4.0))
    assert counts[1] / counts[0] == pytest.approx(ratio, abs=4 / np.sqrt(counts[1]) + 0.01)
    profile = [instruments.king("EMOS2", np.array(1.4), at) for at in (0.0, 4.0)]
    wanted = [float(p.radius(0.5 * p.encircled(120.0))) for p in profile]
    np.testing.assert_allclose(radii, wanted, rtol=0.02)
