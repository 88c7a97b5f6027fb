"""The job `fit`: what it writes and records, several models and spectra, and bad input, each told by its parameter."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

import fitfiles
from checkout import ROOT
from provenance import votags
from reduction import task
from reduction.errors import ReductionError
from scriptjobs import prepare, run

SCRIPT = ROOT / "job_definitions/fit/run.py"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> fitfiles.FitFiles:
    return fitfiles.write(tmp_path_factory.mktemp("files"), norm=3e-4)


def values_of(files: fitfiles.FitFiles, **changed: object) -> dict[str, object]:
    return {**files.given, "model": ["powerlaw"], "energy": "0.3 10", **changed}


def fitted(folder: Path, **values: object) -> Path:
    """Run the job; its results."""
    done = run(prepare(folder, {"definition": "fit", "version": "1.0"}, **values), SCRIPT)
    assert done.returncode == 0, done.stderr
    return folder / "results"


def refused(folder: Path, **values: object) -> str:
    """Run the script in this process, which fails; what it says."""
    job = task.read_task(prepare(folder, {"definition": "fit"}, **values), 5)
    try:
        with pytest.raises(ReductionError) as error:
            runpy.run_path(str(SCRIPT))["main"](job)
    finally:
        job.close()
    assert not list(folder.glob("results/*")), "nothing is half written"
    return task.message_of(error.value)


def test_results_say_what_was_found_and_how(files: fitfiles.FitFiles, tmp_path: Path) -> None:
    results = fitted(tmp_path, **values_of(
        files, model=["powerlaw", "powerlaw + gaussian"], contours=["powerlaw.PhoIndex powerlaw.norm"], goodness=10,
        posterior=200, parameters=["gaussian.LineE = 6.4 frozen", "gaussian.Sigma = 0.05 frozen"], redshift=0.1,
        errors="90",
    ))  # fmt: skip
    assert {path.name for path in results.iterdir()} == {"fit.fits", "report.txt", "contours.fits", "posterior.fits"}
    with fits.open(results / "fit.fits") as hdus:
        rows, header = hdus["PARAMETERS"].data, hdus["PARAMETERS"].header
        index = rows[(rows["MODEL"] == 1) & (np.char.strip(rows["NAME"]) == "powerlaw.PhoIndex")][0]
        assert index["VALUE"] == pytest.approx(fitfiles.INDEX, abs=3 * (index["ERR_LO"] + index["ERR_UP"]) / 2 / 1.645)
        assert header["CLEVEL"] == pytest.approx(0.9) and header["GOODSIMS"] == 10
        states = np.char.strip(rows["STATE"][rows["MODEL"] == 2]).tolist()
        assert states.count("frozen") == 2
        assert "luminosity" in np.char.strip(hdus["FLUXES"].data["KIND"])
        assert hdus["COMPARED"].data["WEIGHT"].sum() == pytest.approx(1)
    tags = votags.read(results / "fit.fits")
    assert tags is not None
    assert tags.row["dataproduct_type"] == "measurements" and tags.row["obs_id"] == "0999990101"
    assert tags.row["t_exptime"] == pytest.approx(fitfiles.EXPOSURE_S)
    assert tags.row["em_min"] == pytest.approx(1.23984e-9 / 10, rel=0.02)
    names = [arg.extra.get("name") for arg in tags.steps[-1].args]
    assert {"spectrum", "background", "response", "area", "model"} <= set(names)
    text = (results / "report.txt").read_text()
    assert "Errors (90 %)" in text and "Comparison" in text and "Posterior: 200 draws" in text


def test_spectra_are_fitted_together_with_a_factor_or_with_one_norm(tmp_path: Path) -> None:
    one = fitfiles.write(tmp_path, 1, norm=3e-4, name="one")
    two = fitfiles.write(tmp_path, 2, norm=6e-4, name="two")
    both = {name: [one.given[name], two.given[name]] for name in one.given}
    with fits.open(fitted(tmp_path / "free", **both, model=["powerlaw"]) / "fit.fits") as hdus:
        rows = hdus["PARAMETERS"].data
        factor = rows[np.char.strip(rows["NAME"]) == "crossnorm2"][0]
        assert factor["VALUE"] == pytest.approx(2, abs=4 * factor["ERR_UP"])
        assert np.char.strip(hdus["DATASETS"].data["NAME"]).tolist() == ["EPN 0999990101 (1)", "EPN 0999990101 (2)"]
        assert set(hdus["RESIDUALS"].data["DATASET"]) == {1, 2}
    held = fitted(tmp_path / "one", **both, model=["powerlaw"], cross_normalisation="one")
    assert "Poor fit" in (held / "report.txt").read_text(), "one norm cannot be that of both"


def test_each_of_many_spectra_is_fitted_for_itself(files: fitfiles.FitFiles, tmp_path: Path) -> None:
    """A row for each, in their order, with the truth within the errors; one that cannot be fitted has a note."""
    norms = [1e-4, 3e-4, 6e-4]
    written = [fitfiles.write(tmp_path, i, norm=norm, name=f"s{i}") for i, norm in enumerate(norms)]
    given = {name: [each.given[name] for each in written] for name in files.given}
    (lonely,) = [Path(shutil.copy(written[0].spectrum, tmp_path / "lonely.pha"))]
    with fits.open(lonely, mode="update") as hdus:
        hdus["SPECTRUM"].header["BACKFILE"] = "nowhere.pha"
    given["spectrum"] = [*given["spectrum"], lonely]
    results = fitted(tmp_path / "job", **given, model=["powerlaw"], several="each", energy="0.3 10")
    with fits.open(results / "fits.fits") as hdus:
        rows = hdus["FITS"].data
        assert np.char.strip(rows["NAME"]).tolist() == ["s0.pha", "s1.pha", "s2.pha", "lonely.pha"]
        assert rows["CONVERGED"].tolist() == [1, 1, 1, 0]
        pulls = (rows["POWERLAW_NORM"][:3] - norms) / rows["POWERLAW_NORM_UP"][:3]
        assert np.abs(pulls).max() < 4
        assert rows["FLUX"][2] > 4 * rows["FLUX"][0] > 0
        assert "nowhere.pha" in rows["NOTE"][3]
    text = (results / "report.txt").read_text()
    assert "4 spectra, each fitted for itself" in text and "not fitted" in text
    assert "one is allowed" in refused(tmp_path / "two", **given, model=["powerlaw", "bbody"], several="each")


def test_a_spectrum_is_fitted_without_its_background(files: fitfiles.FitFiles, tmp_path: Path) -> None:
    text = (fitted(tmp_path, **values_of(files, use_background=False)) / "report.txt").read_text()
    assert "C statistic" in text and "0.0 are expected of the background" in text


def test_parameters_that_the_data_do_not_determine_are_told(files: fitfiles.FitFiles, tmp_path: Path) -> None:
    results = fitted(tmp_path, **values_of(files, model=["constant*powerlaw"]))
    text = (results / "report.txt").read_text()
    assert "do not determine" in text and "constant.factor" in text


@pytest.mark.parametrize(
    ("changed", "parameter", "words"),
    [
        ({"model": ["powrlaw"]}, "model", "did you mean powerlaw"),
        ({"model": ["powerlaw*(bbody"]}, "model", "column"),
        ({"model": []}, "model", "no model is given"),
        ({"model": ["tbabs*powerlaw"], "abundance": "solar"}, "abundance", "wilm"),
        ({"parameters": ["powerlaw.PhoIndex = 12"]}, "parameters", "outside of its limits"),
        ({"parameters": ["powerlaw.Index = 2"]}, "parameters", "did you mean"),
        ({"parameters": ["powerlaw.PhoIndex is 2"]}, "parameters", "line 1"),
        ({"parameters": ["powerlaw.PhoIndex = 2 frozen", "powerlaw.norm = 1 frozen"]}, "parameters", "all parameters"),
        ({"energy": "8 2"}, "energy", "the lower end comes first"),
        ({"energy": "50 60"}, "energy", "no channel"),
        ({"energy": "1.0 1.15"}, "spectrum", "degrees of freedom"),
        ({"statistic": "leastsq"}, "statistic", "cstat"),
        ({"optimiser": "luck"}, "optimiser", "migrad"),
        ({"contours": ["powerlaw.norm bbody.kT"]}, "contours", "bbody.kT"),
        ({"cosmology": "70"}, "cosmology", "H0"),
        ({"flux": "10 2"}, "flux", "lower energy"),
    ],
)
def test_bad_input_is_told_by_its_parameter(
    files: fitfiles.FitFiles, tmp_path: Path, changed: dict[str, object], parameter: str, words: str
) -> None:
    more = {"redshift": 0.1} if "cosmology" in changed else {}
    said = refused(tmp_path, **values_of(files, **changed, **more))
    assert said.startswith(f"{parameter}: "), said
    assert words in said


def test_files_that_do_not_belong_together_are_told(files: fitfiles.FitFiles, tmp_path: Path) -> None:
    """A spectrum without response, its background as spectrum and the other way round, an area on another grid."""
    away = Path(shutil.copy(files.spectrum, tmp_path / "away.pha"))
    alone = {"spectrum": away, "background": files.background, "model": ["powerlaw"]}
    assert refused(tmp_path / "a", **alone).startswith("response: ")
    swapped = {**files.given, "spectrum": files.background, "background": files.spectrum, "model": ["powerlaw"]}
    done = run(prepare(tmp_path / "b", {"definition": "fit"}, **swapped), SCRIPT)
    assert "swapped" in done.stdout + done.stderr, "net counts below 0"
    with fits.open(files.area) as hdus:
        short = fits.BinTableHDU(hdus["SPECRESP"].data[:100], hdus["SPECRESP"].header)
        fits.HDUList([fits.PrimaryHDU(), short]).writeto(tmp_path / "short.arf")
    said = refused(tmp_path / "c", **values_of(files, area=tmp_path / "short.arf"))
    assert said.startswith("area: short.arf") and "100" in said
