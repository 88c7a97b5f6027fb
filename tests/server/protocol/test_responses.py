"""The job response over HTTP: its page, its links, its responses as the spectrum's calibration, what is refused."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path

import pytest
import pyvo.dal.adhoc as adhoc
import requests
from astropy.io import fits

from reduction.simulate import simulate, small
from serving import running_server
from uws_server import client
from uws_server.client import ClientError, JobState

PN = "P0999990101PNS003PIEVLI0000"
CIRCLE = 'icrs; circle(148.974, 69.6512, 40")'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("responses")
    simulate(small(), folder / "archive/0999990101", cameras=("EPN",))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("UWS_CALIBRATION", "CALDB", "SAS_DIR"):
            patch.delenv(name, raising=False)
        with running_server(folder / "data", "--archive", str(folder / "archive")) as served:
            yield served.url


@pytest.fixture(scope="module")
def done(server: str) -> JobState:
    made = client.create(f"{server}/rest/response", {"eventlist": PN, "source_region": CIRCLE}, {})
    final = client.follow(made, lambda state: None)
    assert final.phase == "COMPLETED", final.error
    return final


def test_the_page_shows_both_and_says_that_they_are_approximate(server: str, done: JobState) -> None:
    page = html.unescape(requests.get(f"{server}/jobs/{done.url.rstrip('/').rpartition('/')[2]}", timeout=300).text)
    for words in ("Effective area", "Redistribution"):
        assert f'<span class="muted">{words}</span>' in page
    assert page.count("Approximate: redistribution: peak, tail, shelf and escape peak as measured") == 2
    assert "vignetting and encircled energy: published curves" in page


def test_the_spectrum_links_its_responses_as_calibration(server: str, done: JobState, tmp_path: Path) -> None:
    places = {result.name: result for result in done.results}
    path = client.download(places["named_spectrum"], tmp_path)
    with fits.open(path) as file:
        names = [file["SPECTRUM"].header[keyword] for keyword in ("RESPFILE", "ANCRFILE")]
    job = done.url.rstrip("/").rpartition("/")[2]
    links = adhoc.DatalinkResults.from_result_url(f"{server}/datalink?ID={job}")
    store = next(link.access_url for link in links if str(link.access_url).endswith("/spectrum.fits"))
    of_spectrum = adhoc.DatalinkResults.from_result_url(f"{server}/datalink?ID={store.split('/')[-2]}")
    calibration = [link.access_url for link in of_spectrum if link.semantics == "#calibration"]
    assert sorted(url.rpartition("/")[2] for url in calibration) == sorted(names)
    for url in calibration:
        assert requests.get(url, timeout=300).content.startswith(b"SIMPLE")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "source_region: a value is needed"),
        ({"source_region": CIRCLE, "source_extent": "round"}, "source_extent"),
        ({"source_region": CIRCLE, "channel_width": "7"}, "channel_width"),
    ],
)
def test_wrong_values_are_refused_before_there_is_a_job(server: str, values: dict[str, str], said: str) -> None:
    with pytest.raises(ClientError, match=said):
        client.create(f"{server}/rest/response", {"eventlist": PN, **values}, {})


def test_a_job_that_finds_no_calibration_says_so(server: str) -> None:
    values = {"eventlist": PN, "source_region": CIRCLE, "method": "calibration"}
    final = client.follow(client.create(f"{server}/rest/response", values, {}), lambda state: None)
    assert final.phase == "ERROR"
    assert "no calibration files are set up on this server; take auto or built-in" in str(final.error)
