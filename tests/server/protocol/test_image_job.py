"""The image job over HTTP: its results by name, their rows in ObsCore, their pictures, what is refused before a job."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import requests
from astropy.io import fits
from astropy.io.votable import parse_single_table

from provenance import obscore, votags
from provenance.obscore import wavelength_m
from reduction.simulate import simulate, small
from serving import running_server
from uws_server import client
from uws_server.client import ClientError, JobState

BANDS = ((0.3, 1.0), (1.0, 2.0), (2.0, 10.0))


@dataclass(frozen=True)
class Lab:
    """A server whose archive holds a simulated pn list."""

    url: str
    eventlist: str


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("image")
    (path,) = simulate(small(), folder / "archive", cameras=["EPN"])
    with running_server(folder / "data", "--archive", str(folder / "archive")) as served:
        yield Lab(served.url, path.name)


@pytest.fixture(scope="module")
def final(lab: Lab) -> JobState:
    """A job of three bands that has ended."""
    asked = [("eventlist", lab.eventlist), ("size", "12"), ("PHASE", "RUN"),
             *(("bands", f"{low} - {high} keV") for low, high in BANDS)]  # fmt: skip
    job = requests.post(f"{lab.url}/rest/image", data=asked, timeout=300).url
    return client.follow(job, lambda state: None)


def test_each_band_has_a_file_of_each_kind(final: JobState, tmp_path: Path) -> None:
    assert final.phase == "COMPLETED", final.error
    files = {path.name: path for path in (client.download(result, tmp_path) for result in final.results)}
    names = [f"{low:g}-{high:g}keV" for low, high in BANDS]
    kinds = ("image", "rate", "smoothed", "background")
    expected = {f"{kind}_{name}.fits" for kind in kinds for name in names}
    assert files.keys() == {*expected, "exposure.fits", "rgb.png", *(n for n in files if n.startswith("job"))}
    exposure = fits.getdata(files["exposure.fits"])
    for (low, high), name in zip(BANDS, names, strict=True):
        counts = fits.getdata(files[f"image_{name}.fits"])
        rates = fits.getdata(files[f"rate_{name}.fits"])
        lit = exposure > 0
        np.testing.assert_allclose(rates[lit] * exposure[lit], counts[lit], rtol=1e-5)
        assert np.isnan(rates[~lit]).all()
        with fits.open(files[f"smoothed_{name}.fits"]) as hdus:
            assert hdus["COUNTS"].data.sum(dtype=float) == pytest.approx(counts.sum(), rel=1e-5)
        row = votags.read(files[f"image_{name}.fits"]).row  # type: ignore[union-attr]
        assert obscore.problems(row) == ()
        assert row["dataproduct_type"] == "image"
        assert (row["em_min"], row["em_max"]) == pytest.approx((wavelength_m(high), wavelength_m(low)))
        assert str(row["s_region"]).startswith("Polygon ICRS ")
        assert (row["s_xel1"], row["s_xel2"]) == (180, 180)


def test_every_image_stands_in_obscore_with_its_band(final: JobState, lab: Lab) -> None:
    query = {"RESPONSEFORMAT": "votable", "MAXREC": "1000"}
    answer = requests.get(f"{lab.url}/obscore", params=query, timeout=300)
    table = parse_single_table(io.BytesIO(answer.content)).to_table()
    images = [row for row in table if str(row["dataproduct_type"]) == "image"]
    assert len(images) == 13
    shortest = {round(float(row["em_min"]) / wavelength_m(high), 6) for row in images for _, high in BANDS}
    assert 1.0 in shortest
    assert {str(row["o_unit"]) for row in images} == {"count", "count/s", "s"}


def test_the_page_draws_them(final: JobState, lab: Lab) -> None:
    page = requests.get(f"{lab.url}/jobs/{final.url.rsplit('/', 1)[1]}", timeout=300)
    assert page.status_code == 200
    assert "rgb.png" in page.text
    assert page.text.count('data-shown="sky"') == 5, "six figures, one of which is the picture in three colours"


def test_stilts_reads_the_good_times_of_an_image(final: JobState, tmp_path: Path) -> None:
    if shutil.which("stilts") is None:
        pytest.skip("no stilts: install the Debian package stilts")
    image = next(path for result in final.results if (path := client.download(result, tmp_path)).name.startswith("ima"))
    command = ["stilts", "tpipe", f"in={image}#GTI00001", "omode=count"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["columns:", "2", "rows:", str(len(fits.getdata(image, "GTI00001")))]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"bin_size": "0"}, "bin_size: "),
        ({"bands": "2 1"}, "bands: "),
        ({"bands": ""}, ""),
        ({"size": "-1"}, "size: "),
        ({"centre": "somewhere"}, "centre: "),
        ({"coordinates": "moon"}, "coordinates: "),
    ],
)
def test_what_cannot_be_an_image_is_no_job(lab: Lab, values: dict[str, str], sentence: str) -> None:
    if not sentence:
        job = client.create(f"{lab.url}/rest/image", {"eventlist": lab.eventlist, "size": "2", **values}, None)
        assert client.follow(job, lambda state: None).phase == "COMPLETED", "an empty field is the default"
        return
    with pytest.raises(ClientError, match=" answered 400: ") as caught:
        client.create(f"{lab.url}/rest/image", {"eventlist": lab.eventlist, **values}, None)
    assert sentence in str(caught.value)
