"""SODA: cutouts of event lists and images, asked by pyvo through DataLink, compared with the events and pixels."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
import requests
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS
from lxml import etree
from pyvo.dal import AsyncTAPJob
from pyvo.dal.adhoc import DatalinkResults, SodaQuery

from labs import Lab
from provenance import votags
from reduction.simulate import simulate, small
from serving import running_server
from uws_server import cli

SOURCE = small().sources[0]
PN = "P0999990101PNS003PIEVLI0000.FITS"
CIRCLE = (SOURCE.ra, SOURCE.dec, 0.01)
SODA = "ivo://ivoa.net/std/SODA#sync-1.0"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("soda")
    simulate(small(), folder / "archive")
    where = ["--archive", str(folder / "archive"), "--data", str(folder / "data")]
    with running_server(folder / "data", "--archive", str(folder / "archive"), publisher="ivo://x.org/uws") as served:
        assert cli.main(["archive", "add", *where]) == 0
        yield Lab(served, folder)


@pytest.fixture(scope="module")
def image(lab: Lab) -> tuple[str, Path]:
    """The address of an image of a job, and the file."""
    made = lab.run("image", {"eventlist": PN, "bands": "0.5 2", "size": "6", "centre": f"{SOURCE.ra} {SOURCE.dec}",
                             "background": "none", "smoothing": "none"})  # fmt: skip
    assert made.phase == "COMPLETED", made.error
    return f"{made.url}/results/images", lab.products(made, lab.folder / "image")["images"]


def of_archive(name: str = PN) -> str:
    return f"ivo://x.org/uws?archive/{name}"


def soda(lab: Lab, **asked: Any) -> requests.Response:
    return requests.get(f"{lab.url}/soda/sync", asked, timeout=300)


def events_of(content: bytes | Path) -> fits.FITS_rec:
    with fits.open(io.BytesIO(content) if isinstance(content, bytes) else content) as hdus:
        return hdus["EVENTS"].data.copy()


def times(events: fits.FITS_rec, header: fits.Header) -> Time:
    return Time(header["MJDREF"], events["TIME"] / 86400, format="mjd", scale="tt")


def test_pyvo_cuts_an_event_list_as_its_links_say(lab: Lab) -> None:
    links = DatalinkResults.from_result_url(f"{lab.url}/datalink?ID={of_archive()}")
    (cutout,) = links.bysemantics("#cutout", include_narrower=False)
    (service,) = [one for one in links.votable.resources if cutout["service_def"] == one.ID]
    query = SodaQuery.from_resource(links, service)
    query.circle = tuple(part * u.deg for part in CIRCLE)
    found = events_of(query.execute_stream().read())
    whole = events_of(lab.archive / PN)
    with fits.open(lab.archive / PN) as hdus:
        header = hdus["EVENTS"].header
    places = sky_of(whole, header)
    near = places.separation(SkyCoord(*CIRCLE[:2], unit="deg")).deg <= CIRCLE[2]
    assert np.array_equal(np.sort(found["TIME"]), np.sort(whole["TIME"][near])) and 100 < near.sum() < len(whole)


def sky_of(events: fits.FITS_rec, header: fits.Header) -> SkyCoord:
    """The positions of events by the projection of X and Y, read by astropy."""
    names = [header[f"TTYPE{n}"] for n in range(1, header["TFIELDS"] + 1)]
    x, y = names.index("X") + 1, names.index("Y") + 1
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [header[f"TCTYP{n}"] for n in (x, y)]
    wcs.wcs.crpix = [header[f"TCRPX{n}"] for n in (x, y)]
    wcs.wcs.crval = [header[f"TCRVL{n}"] for n in (x, y)]
    wcs.wcs.cdelt = [header[f"TCDLT{n}"] for n in (x, y)]
    return SkyCoord(*wcs.all_pix2world(events["X"], events["Y"], 1), unit="deg", frame=header["RADECSYS"].lower())


def test_band_and_time_cut_events_and_nothing_else_does(lab: Lab) -> None:
    whole = events_of(lab.archive / PN)
    with fits.open(lab.archive / PN) as hdus:
        when = times(whole, hdus["EVENTS"].header)
    begin, end = Time([when.min().mjd + 0.02, when.min().mjd + 0.05], format="mjd", scale="tt").mjd
    kept = (when.mjd >= begin) & (when.mjd <= end) & (whole["PI"] >= 1000) & (whole["PI"] <= 2000)
    band = f"{1.2398419843320026e-9 / 2.0!r} {1.2398419843320026e-9 / 1.0!r}"
    answer = soda(lab, ID=of_archive(), BAND=band, TIME=f"{begin} {end}")
    assert answer.status_code == 200, answer.text
    found = events_of(answer.content)
    assert abs(len(found) - kept.sum()) <= 2 and kept.sum() > 50  # at the ends, TT and UTC are texts of a millisecond
    tags = votags.read(_saved(lab, answer.content))
    assert tags is not None
    assert tags.steps[-1].extra["task"] == "events" and tags.row["dataproduct_type"] == "event"
    assert (tags.row["em_min"], tags.row["em_max"]) == pytest.approx(tuple(map(float, band.split())), rel=1e-3)


def _saved(lab: Lab, content: bytes) -> Path:
    path = lab.folder / "cut.fits"
    path.write_bytes(content)
    return path


@pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")  # RADECSYS, as X-ray software writes it
def test_an_image_is_cut_with_its_coordinates_and_where_it_came_from(lab: Lab, image: tuple[str, Path]) -> None:
    address, path = image
    for place in ({"CIRCLE": " ".join(map(str, CIRCLE))}, {"POS": f"CIRCLE {CIRCLE[0]} {CIRCLE[1]} {CIRCLE[2]}"}):
        answer = soda(lab, ID=address, **place)
        assert answer.status_code == 200, answer.text
        with fits.open(io.BytesIO(answer.content)) as part, fits.open(path) as whole:
            height, width = part[0].data.shape
            assert abs(width * 4 - 72) <= 8 and abs(height * 4 - 72) <= 8
            there = WCS(part[0].header).pixel_to_world(*np.meshgrid(range(width), range(height)))
            x, y = WCS(whole[0].header).world_to_pixel(there)
            assert np.abs(x - x.round()).max() < 1e-6
            assert np.array_equal(part[0].data, whole[0].data[y.round().astype(int), x.round().astype(int)])
            names = [hdu.name for hdu in whole if hdu.name != "VO-TAGS"]
            assert [hdu.name for hdu in part if hdu.name != "VO-TAGS"] == names
    tags, before = votags.read(_saved(lab, answer.content)), votags.read(path)
    assert tags is not None and before is not None
    assert [step.extra["task"] for step in tags.steps[-2:]] == ["image", "cutout"]
    assert tags.row["em_min"] == before.row["em_min"] and tags.row["s_fov"] < before.row["s_fov"]
    assert tags.row["obs_publisher_did"] != before.row["obs_publisher_did"]


def test_a_range_and_a_polygon_are_places_too(lab: Lab, image: tuple[str, Path]) -> None:
    ra, dec, size = CIRCLE
    east, west = ra - size / np.cos(np.radians(dec)), ra + size / np.cos(np.radians(dec))
    corners = f"{east} {dec - size} {west} {dec - size} {west} {dec + size} {east} {dec + size}"
    shapes = []
    for place in ({"POS": f"RANGE {east} {west} {dec - size} {dec + size}"}, {"POLYGON": corners}):
        with fits.open(io.BytesIO(soda(lab, ID=image[0], **place).content)) as part:
            shapes.append(part[0].data.shape)
    assert np.abs(np.array(shapes) * 4 - 72).max() <= 12


def test_a_cutout_is_a_job_like_any_other(lab: Lab, image: tuple[str, Path]) -> None:
    answer = requests.get(f"{lab.url}/soda/sync", {"ID": image[0], "CIRCLE": "148.974 69.6512 0.01"}, timeout=300,
                          allow_redirects=False)  # fmt: skip
    assert answer.status_code == 303
    job = answer.headers["Location"].removesuffix("/sync")
    assert job.startswith(f"{lab.url}/rest/cutout/")
    while requests.get(f"{job}/phase", timeout=300).text in ("QUEUED", "EXECUTING"):
        requests.get(job, {"WAIT": 60}, timeout=300)
    assert requests.get(f"{job}/parameters/region", timeout=300).text == "Circle ICRS 148.974 69.6512 0.01"
    graph = requests.get(f"{job}/provjson", timeout=300).text
    assert image[0].split("/")[-3] in graph  # the job that made the image


@pytest.mark.parametrize(
    "asked",
    [{"CIRCLE": "10 20 0.1"}, {"BAND": "1e-7 2e-7"}, {"TIME": "51000 51001"},
     {"POS": "RANGE 10 11 10 11", "BAND": "1e-10 2e-10"}],
)  # fmt: skip
def test_of_nothing_there_is_no_content(lab: Lab, asked: dict[str, str]) -> None:
    before = requests.get(f"{lab.url}/rest/events", headers={"Accept": "application/json"}, timeout=300).json()["jobs"]
    answer = soda(lab, ID=of_archive(), **asked)
    assert (answer.status_code, answer.content) == (204, b"")
    after = requests.get(f"{lab.url}/rest/events", headers={"Accept": "application/json"}, timeout=300).json()["jobs"]
    assert len(before) == len(after)


@pytest.mark.parametrize(
    ("asked", "status", "sentence"),
    [
        ({}, 400, "ID is needed"),
        ({"ID": ["a", "b"]}, 400, "ID: several values came"),
        ({"ID": "nothing"}, 404, "'nothing' is no job, result or file"),
        ({"ID": of_archive("x.fits")}, 404, "the archive has no file 'x.fits'"),
        ({"ID": of_archive(), "CIRCLE": "1 2"}, 400, "CIRCLE: 'CIRCLE 1 2' came"),
        ({"ID": of_archive(), "CIRCLE": "1 2 3", "POS": "CIRCLE 1 2 3"}, 400, "POS: CIRCLE and POS came; one place"),
        ({"ID": of_archive(), "BAND": "1e-9"}, 400, "BAND: '1e-9' came"),
        ({"ID": of_archive(), "TIME": "x"}, 400, "TIME: 'x' came"),
        ({"ID": of_archive(), "WHAT": "x"}, 400, "WHAT: no such parameter"),
        ({"ID": of_archive(), "POS": "RANGE 0 360 -90 90"}, 400, "a RANGE of more than 90 degrees"),
    ],
)  # fmt: skip
def test_what_cannot_be_cut_is_told(lab: Lab, asked: dict[str, Any], status: int, sentence: str) -> None:
    answer = soda(lab, **asked)
    assert (answer.status_code, sentence in etree.fromstring(answer.content).xpath("string()")) == (status, True)


def test_other_products_have_no_cutout(lab: Lab, image: tuple[str, Path]) -> None:
    job = image[0].rpartition("/results")[0]
    assert b"is no single product" in soda(lab, ID=job, CIRCLE="148.974 69.6512 0.01").content
    assert b"neither an event list nor an image" in soda(lab, ID=f"{job}/results/log", CIRCLE="1 2 3").content
    assert b"CIRCLE, POLYGON or POS is needed" in soda(lab, ID=image[0]).content
    links = DatalinkResults.from_result_url(f"{lab.url}/datalink?ID={job}/results/log")
    assert "#cutout" not in links["semantics"]
    assert requests.head(f"{lab.url}/soda/sync", timeout=300).status_code == 405
    foreign = requests.get(
        f"{lab.url}/soda/sync?ID={of_archive()}", headers={"Sec-Fetch-Site": "cross-site"}, timeout=300
    )
    assert foreign.status_code == 403  # a page of another site makes no job


def test_datalinklint_finds_no_error(lab: Lab, image: tuple[str, Path], tmp_path: Path) -> None:
    if shutil.which("stilts") is None:
        pytest.skip("install the Debian package stilts")
    for number, identifier in enumerate((of_archive(), image[0])):
        document = tmp_path / f"{number}.vot"
        document.write_bytes(requests.get(f"{lab.url}/datalink", {"ID": identifier}, timeout=300).content)
        done = subprocess.run(["stilts", "datalinklint", f"votable={document}"], capture_output=True, text=True,
                              check=False, timeout=300)  # fmt: skip
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("E-", "W-"))]
        assert [line for line in lines if "documentation" not in line and "package" not in line] == []


# --- as a job list -------------------------------------------------------------------------------------


def test_a_cutout_is_a_job_as_uws_has_it(lab: Lab, image: tuple[str, Path]) -> None:
    """A client of UWS makes the job, waits, and takes its result: pyvo's, which knows nothing of SODA's own words."""
    asked = {"ID": image[0], "circle": " ".join(map(str, CIRCLE)), "RUNID": "mine"}
    made = requests.post(f"{lab.url}/soda/async", asked, timeout=60)
    assert made.url.startswith(f"{lab.url}/soda/async/") and "PENDING" in made.text and "mine" in made.text
    job = AsyncTAPJob(made.url)
    assert job.phase == "PENDING"
    job.run().wait(timeout=300)
    assert job.phase == "COMPLETED"
    assert all(uri.startswith(f"{made.url}/results/") for uri in job.result_uris)
    content = requests.get(f"{job.url}/results/result", timeout=60).content
    assert np.array_equal(pixels(content), pixels(soda(lab, ID=image[0], CIRCLE=asked["circle"]).content))
    number = made.url.rpartition("/")[2]
    assert f"{lab.url}/soda/async/{number}" in requests.get(f"{lab.url}/soda/async", timeout=60).text
    assert requests.get(f"{lab.url}/rest/cutout/{number}/phase", timeout=60).text == "COMPLETED"
    newest = requests.get(f"{lab.url}/soda/async?LAST=1", headers={"Accept": "application/json"}, timeout=60).json()
    assert len(newest["jobs"]) == 1
    job.delete()
    assert requests.get(made.url, timeout=60).status_code == 404


def pixels(content: bytes) -> np.ndarray:
    with fits.open(io.BytesIO(content)) as hdus:
        return hdus[0].data.copy()


def test_the_end_of_a_cutout_is_waited_for(lab: Lab) -> None:
    asked = {"ID": of_archive(), "CIRCLE": " ".join(map(str, CIRCLE)), "PHASE": "RUN"}
    url = requests.post(f"{lab.url}/soda/async", asked, timeout=60).url
    document = requests.get(url, {"WAIT": 300, "PHASE": "QUEUED"}, timeout=310).text
    while "COMPLETED" not in document:
        assert "ERROR" not in document
        document = requests.get(url, {"WAIT": 300, "PHASE": "EXECUTING"}, timeout=310).text
    for path in ("/results/result", "/parameters", "/phase", "/owner", "/executionduration", "/stdout"):
        assert requests.get(f"{url}{path}", timeout=60).status_code == 200, path


@pytest.mark.parametrize(
    ("asked", "status", "message"),
    [({}, 400, "ID is needed"), ({"ID": "nothing"}, 404, "nothing"),
     ({"ID": of_archive(), "WIDTH": "3"}, 400, "WIDTH: no such parameter"),
     ({"ID": of_archive(), "CIRCLE": "1 2"}, 400, "CIRCLE"), ({"ID": of_archive(), "PHASE": "GO"}, 400, "PHASE"),
     ({"ID": of_archive(), "CIRCLE": "10 -20 0.1"}, 204, "")],
)  # fmt: skip
def test_what_is_no_cutout_makes_no_job(lab: Lab, asked: dict[str, str], status: int, message: str) -> None:
    before = requests.get(f"{lab.url}/soda/async", timeout=60).text.count("jobref id")
    answer = requests.post(f"{lab.url}/soda/async", asked, timeout=60)
    assert answer.status_code == status and message in answer.text, answer.text
    assert requests.get(f"{lab.url}/soda/async", timeout=60).text.count("jobref id") == before


def test_other_jobs_are_none_of_the_list_and_words_of_soda_come_first(lab: Lab, image: tuple[str, Path]) -> None:
    other = image[0].split("/results/")[0].rpartition("/")[2]
    assert requests.get(f"{lab.url}/soda/async/{other}", timeout=60).status_code == 404
    assert requests.delete(f"{lab.url}/soda/async/{other}", timeout=60).status_code == 404
    url = requests.post(f"{lab.url}/soda/async", {"ID": of_archive(), "BAND": "1e-10 2e-9"}, timeout=60).url
    late = requests.post(f"{url}/parameters", {"CIRCLE": "1 2 3"}, timeout=60)
    assert late.status_code == 400 and "CIRCLE: it comes with the POST" in late.text
    document = requests.get(f"{lab.url}/openapi.json", timeout=60).json()
    assert document["paths"]["/soda/async"]["post"]["requestBody"]
    assert "SODA#async-1.0" in requests.get(f"{lab.url}/capabilities", timeout=60).text
