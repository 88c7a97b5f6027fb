"""Spectra with their responses, light curves, event lists and images, opened and fitted by sherpa.

Sherpa comes as source: `pip install sherpa` builds it with bison, flex, gfortran and libfftw3-dev.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from reduction.simulate import simulate, small
from reduction.simulate.cameras import CAMERAS
from reduction.simulate.responsefiles import write_responses
from scriptjobs import ROOT, prepare, run

CIRCLE = 'icrs; circle(148.974, 69.6512, 40")'
RING = 'icrs; annulus(148.974, 69.6512, 60", 120")'
VALUES = {"source_region": CIRCLE, "background_region": RING}


@pytest.fixture(scope="module")
def ui() -> Any:
    return pytest.importorskip("sherpa.astro.ui", reason="sherpa is not installed: pip install sherpa")


@pytest.fixture(scope="module")
def simulated(ui: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("simulated")
    made = simulate(small(), folder, cameras=("EPN", "EMOS1"))
    return dict(zip(("EPN", "EMOS1"), made, strict=True))


@pytest.fixture
def session(ui: Any) -> Any:
    ui.clean()
    ui.set_stat("wstat")
    return ui


def make(folder: Path, job: str, **values: object) -> Path:
    done = run(prepare(folder, {"definition": job}, **values), ROOT / "job_definitions" / job / "run.py")
    assert done.returncode == 0, done.stderr
    return folder / "results"


@pytest.mark.parametrize("camera", ["EPN", "EMOS1"])
@pytest.mark.parametrize("matrix", ["that the photons were drawn through", "of the job's own"])
def test_a_fit_of_a_spectrum_with_its_files_gives_the_source_back(
    session: Any, simulated: dict[str, Path], tmp_path: Path, camera: str, matrix: str
) -> None:
    """Background and responses are those that the spectrum names: nothing but the spectrum is loaded.

    The job's own matrix is a Gaussian without shoulder and tail, in which no photon is lost, and says so: fluxes come
    out some 5 % lower by it than by the matrix that the photons were drawn through.
    """
    given = {}
    if matrix.startswith("that"):
        given["rmf"] = write_responses(small(), tmp_path, CAMERAS[camera])[0]
    spectra = make(tmp_path / "spectrum", "spectrum", eventlist=simulated[camera], **VALUES)
    results = make(
        tmp_path / "response", "response", eventlist=simulated[camera], source_region=CIRCLE,
        spectrum=spectra / "source_spectrum.fits", **given,
    )  # fmt: skip
    shutil.copy(spectra / "background_spectrum.fits", results)
    header = fits.getheader(results / "spectrum.fits", "SPECTRUM")
    session.load_pha(str(results / "spectrum.fits"))
    data, behind = session.get_data(), session.get_bkg()
    assert data.counts.sum() == fits.getdata(results / "spectrum.fits", "SPECTRUM")["COUNTS"].sum() > 1000
    assert data.channel.size == header["DETCHANS"] and data.channel[0] == 0
    assert (data.exposure, data.backscal) == (header["EXPOSURE"], header["BACKSCAL"])
    assert behind.counts.sum() == fits.getdata(results / "background_spectrum.fits", "SPECTRUM")["COUNTS"].sum() > 100
    assert np.array_equal(session.get_arf().specresp, fits.getdata(results / "response.arf", "SPECRESP")["SPECRESP"])
    session.group_counts(5)
    session.notice(0.5, 8.0)
    law = session.create_model_component("powlaw1d", "law")
    session.set_source(law)
    session.fit()
    session.covar()
    found, source = session.get_covar_results(), small().sources[0]
    index_error, norm_error = found.parmaxes
    assert session.get_fit_results().rstat < 1.2
    lost = 0.0 if given else 0.05
    assert abs(law.gamma.val - 1.7) < 3 * index_error + lost
    flux = session.calc_energy_flux(0.5, 8.0) / (source.flux * part_of_flux(0.5, 8.0))
    assert abs(flux - 1) < 3 * norm_error / law.ampl.val + lost


def part_of_flux(low: float, high: float) -> float:
    """The part that the power law of index 1.7 has between two energies of its flux from 0.2 to 12 keV."""
    return float((high**0.3 - low**0.3) / (12.0**0.3 - 0.2**0.3))


def test_a_light_curve_is_read_with_its_errors(session: Any, simulated: dict[str, Path], tmp_path: Path) -> None:
    path = make(tmp_path / "job", "lightcurve", eventlist=simulated["EPN"], **VALUES) / "lightcurve.fits"
    session.load_table(1, str(path), 3, ["TIME", "RATE", "ERROR"])
    data, rows = session.get_data(1), fits.getdata(path, "RATE")
    assert len(data.x) == len(rows) > 100
    for found, column in ((data.x, "TIME"), (data.y, "RATE"), (data.staterror, "ERROR")):
        assert np.array_equal(found, rows[column], equal_nan=True)


def test_events_and_images_are_read(session: Any, simulated: dict[str, Path], tmp_path: Path) -> None:
    events = make(tmp_path / "events", "events", eventlist=simulated["EPN"], region=CIRCLE) / "events.fits"
    session.load_table(1, str(events), 2, ["TIME", "PI"])
    rows = fits.getdata(events, "EVENTS")
    assert np.array_equal(session.get_data(1).x, rows["TIME"]) and np.array_equal(session.get_data(1).y, rows["PI"])
    results = make(tmp_path / "image", "image", eventlist=simulated["EPN"], smoothing="none", background="none")
    (path,) = results.glob("image_*.fits")
    session.load_image(2, str(path))
    image = session.get_data(2)
    with fits.open(path) as hdus:
        pixels, header = hdus[0].data, hdus[0].header
    assert np.array_equal(image.y.reshape(image.shape), pixels) and image.shape == pixels.shape
    assert (image.eqpos.crval == [header["CRVAL1"], header["CRVAL2"]]).all()
