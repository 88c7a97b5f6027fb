"""Spectra of several event lists in one job: the parts, their sums against astropy, reruns of a sum from its tags."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import requests
from astropy.io import fits

from labs import Lab
from provenance import votags
from provenance.steps import InputData
from reduction.simulate import simulate, small
from serving import running_server
from uws_server import cli
from uws_server.client import JobState, follow

SOURCE = small().sources[0]
REGIONS = {
    "source_region": f'icrs; circle({SOURCE.ra}, {SOURCE.dec}, 40")',
    "background_region": f'icrs; annulus({SOURCE.ra}, {SOURCE.dec}, 60", 120")',
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("array")
    for number, exposure_s in ((1, 3000.0), (2, 5000.0)):
        sky = replace(small(), obs_id=f"099999010{number}", exposure_s=exposure_s, seed=number, flare=None)
        simulate(sky, folder / "archive" / sky.obs_id)
    with running_server(folder / "data", "--archive", str(folder / "archive")) as served:
        yield Lab(served, folder)


def lists(lab: Lab, *cameras: str) -> list[str]:
    """Event lists of cameras (PN, M1, M2) of both observations, as the archive calls them."""
    found = [path for path in sorted(lab.archive.glob("*/*EVLI*")) if any(camera in path.name for camera in cameras)]
    return [str(path.relative_to(lab.archive)) for path in found]


@pytest.fixture(scope="module")
def job(lab: Lab) -> JobState:
    return lab.run("spectrum", {"eventlist": lists(lab, "PN", "M1"), **REGIONS})


@pytest.fixture(scope="module")
def products(lab: Lab, job: JobState) -> dict[str, Path]:
    return downloaded(job, lab.folder / "products")


def downloaded(job: JobState, folder: Path) -> dict[str, Path]:
    """The results under their names: files of several parts are called alike."""
    found = {}
    for result in job.results:
        found[result.name] = folder / result.name
        folder.mkdir(exist_ok=True, parents=True)
        found[result.name].write_bytes(requests.get(result.url, timeout=300).content)
    return found


def spectrum(path: Path) -> tuple[np.ndarray, fits.Header]:
    with fits.open(path) as hdus:
        return hdus["SPECTRUM"].data["COUNTS"].copy(), hdus["SPECTRUM"].header.copy()


def combined_of(products: dict[str, Path], camera: str, kind: str) -> Path:
    """The combined file of a camera, found by its INSTRUME and HDUCLAS2."""
    (path,) = [path for name, path in products.items() if name.startswith("combined_")
               and fits.getval(path, "INSTRUME", 1) == camera and fits.getval(path, "HDUCLAS2", 1) == kind]  # fmt: skip
    return path


def test_each_list_has_its_spectrum_and_each_camera_their_sum(job: JobState, products: dict[str, Path]) -> None:
    assert job.phase == "COMPLETED", job.error
    parts = [name for name in products if name.startswith("source_spectrum")]
    assert parts == [f"source_spectrum_part{number}" for number in (1, 2, 3, 4)]
    for camera in ("EPN", "EMOS1"):
        for kind, label in (("TOTAL", "source"), ("BKG", "background")):
            single = [spectrum(products[f"{label}_spectrum_part{number}"]) for number in (1, 2, 3, 4)]
            single = [each for each in single if each[1]["INSTRUME"] == camera]
            assert len(single) == 2
            counts, header = spectrum(combined_of(products, camera, kind))
            assert np.array_equal(counts, sum(each[0] for each in single))
            assert counts.sum() > 100
            assert header["EXPOSURE"] == pytest.approx(sum(each[1]["EXPOSURE"] for each in single))
            assert header["NUMSPEC"] == 2


def test_what_is_subtracted_from_a_sum_is_what_is_subtracted_from_its_parts(products: dict[str, Path]) -> None:
    for camera in ("EPN", "EMOS1"):
        expected = 0.0
        for number in (1, 2, 3, 4):
            pair = [spectrum(products[f"{label}_spectrum_part{number}"]) for label in ("source", "background")]
            if pair[0][1]["INSTRUME"] == camera:
                (_, source), (behind, header) = pair
                ratio = source["EXPOSURE"] * source["BACKSCAL"] / (header["EXPOSURE"] * header["BACKSCAL"])
                expected += ratio * behind.sum()
        (_, source), (behind, header) = (spectrum(combined_of(products, camera, kind)) for kind in ("TOTAL", "BKG"))
        ratio = source["EXPOSURE"] * source["BACKSCAL"] / (header["EXPOSURE"] * header["BACKSCAL"])
        assert ratio * behind.sum() == pytest.approx(expected, rel=1e-9)
        assert source["BACKFILE"] == f"combined_{camera.lower()}_background.fits"


def test_a_sum_says_what_it_is_and_how_it_was_made(job: JobState, products: dict[str, Path]) -> None:
    for camera in ("EPN", "EMOS1"):
        path = combined_of(products, camera, "TOTAL")
        assert votags.check(path) == ()
        tags = votags.read(path)
        assert tags is not None
        assert [step.extra["task"] for step in tags.steps] == ["spectrum"] * 5
        assert tags.row["t_exptime"] == pytest.approx(fits.getval(path, "EXPOSURE", 1))
        assert tags.row["s_ra"] == pytest.approx(SOURCE.ra, abs=0.02)
        assert (tags.row["instrument_name"], tags.row["dataproduct_type"]) == (camera, "spectrum")
        if shutil.which("fitsverify"):
            subprocess.run(["fitsverify", "-q", str(path)], check=True)


def used(tags: votags.Tags) -> list[str]:
    """The event lists that the steps in some tags name."""
    args = [arg for step in tags.steps for arg in step.args if isinstance(arg, InputData)]
    return [f"{arg.location}/{arg.path}" for arg in args if arg.extra.get("name") == "eventlist"]


def test_a_sum_is_made_again_from_its_own_tags(lab: Lab, products: dict[str, Path]) -> None:
    path = combined_of(products, "EPN", "TOTAL")
    with path.open("rb") as stream:
        answer = requests.post(f"{lab.url}/reprocessing", files={"file": stream}, data={"PHASE": "RUN"},
                               allow_redirects=False, timeout=300)  # fmt: skip
    assert answer.status_code == 303, answer.text
    again = f"{lab.url}/rest/spectrum/{answer.headers['Location'].rpartition('/')[2]}"
    state = follow(again, lambda _: None)
    assert state.phase == "COMPLETED", state.error
    made = lab.products(state, lab.folder / "again")
    same = combined_of({name: made[name] for name in made if name.startswith("combined")}, "EPN", "TOTAL")
    assert np.array_equal(spectrum(same)[0], spectrum(path)[0])
    before, after = (votags.read(each) for each in (path, same))
    assert before is not None
    assert after is not None
    assert used(before) == used(after) == lists(lab, "PN", "M1")


def test_a_sum_is_made_again_with_a_change(lab: Lab, job: JobState) -> None:
    state = lab.again(job.url, energy="1 4")
    made = lab.products(state, lab.folder / "changed")
    sums = {name: path for name, path in made.items() if name.startswith("combined")}
    counts, _ = spectrum(combined_of(sums, "EPN", "TOTAL"))
    assert counts[:200].sum() == 0 < counts[200:801].sum()


def test_each_spectrum_that_the_command_fetches_has_the_background_of_its_own_camera_beside_it(
    lab: Lab, tmp_path: Path
) -> None:
    values = [f"eventlist={name}" for camera in ("PN", "M1") for name in lists(lab, camera)[:1]]
    values += [f"{name}={value}" for name, value in REGIONS.items()]
    assert cli.main(["run", "spectrum", *values, "--server", lab.url, "--download", str(tmp_path / "products")]) == 0
    cameras = []
    for path in sorted((tmp_path / "products").glob("*/source_spectrum.fits")):
        _, source = spectrum(path)
        _, background = spectrum(path.with_name(source["BACKFILE"]))
        assert background["INSTRUME"] == source["INSTRUME"]
        cameras.append((path.parent.name, source["INSTRUME"]))
    assert cameras == [("part1", "EPN"), ("part2", "EMOS1")]


def test_one_list_is_a_job_without_parts(lab: Lab, tmp_path: Path) -> None:
    (name, _) = lists(lab, "PN")
    state = lab.run("spectrum", {"eventlist": name, **REGIONS})
    assert state.phase == "COMPLETED", state.error
    assert [result.name for result in state.results] == [
        "source_spectrum", "background_spectrum", "events", "patterns", "regions", "log",
    ]  # fmt: skip
    assert requests.get(f"{state.url}/parts", timeout=300).status_code == 404
    product = lab.products(state, tmp_path)["source_spectrum"]
    tags = votags.read(product)
    assert tags is not None
    assert len(tags.steps) == 1
    again = lab.again(state.url)
    assert lab.products(again, tmp_path / "again")["source_spectrum"].stat().st_size == product.stat().st_size


def test_both_mos_are_summed_and_pn_is_not(lab: Lab, tmp_path: Path) -> None:
    given = [lists(lab, "PN")[0], lists(lab, "M1")[0], lists(lab, "M2")[0]]
    state = lab.run("spectrum", {"eventlist": given, **REGIONS})
    assert state.phase == "COMPLETED", state.error
    made = downloaded(state, tmp_path / "mos")
    assert sorted(name for name in made if name.startswith("combined")) == ["combined_background", "combined_spectrum"]
    for name in ("spectrum", "background"):
        label = "source" if name == "spectrum" else "background"
        parts = [spectrum(made[f"{label}_spectrum_part{number}"]) for number in (1, 2, 3)]
        single = [each for each in parts if each[1]["INSTRUME"] != "EPN"]
        counts, header = spectrum(made[f"combined_{name}"])
        assert np.array_equal(counts, single[0][0] + single[1][0]) and counts.sum() > 100
        assert header["EXPOSURE"] == pytest.approx(single[0][1]["EXPOSURE"] + single[1][1]["EXPOSURE"])
        assert (header["INSTRUME"], header["TELESCOP"], header["NUMSPEC"]) == ("EMOS", "XMM", 2)
        assert votags.check(made[f"combined_{name}"]) == ()
    log = requests.get(f"{state.url}/parts/gathered/log", timeout=300).text
    assert "Note: epn: one spectrum, nothing to combine" in log
    assert "spectra of different cameras (but the two MOS), or with different channels, are not summed: fit them" in log


def test_a_list_that_fails_is_left_out_of_the_sum(lab: Lab, tmp_path: Path) -> None:
    broken = tmp_path / "broken.fits"
    broken.write_bytes((lab.archive / lists(lab, "PN")[0]).read_bytes()[:-400_000])
    state = lab.run("spectrum", {"eventlist": [*lists(lab, "PN"), "param:up"], **REGIONS}, {"up": broken})
    assert state.phase == "COMPLETED", state.error
    made = lab.products(state, tmp_path / "made")
    counts, header = spectrum(made["combined_spectrum"])
    assert header["NUMSPEC"] == 2
    assert counts.sum() > 100
