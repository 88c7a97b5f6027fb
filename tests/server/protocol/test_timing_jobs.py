"""The jobs lightcurve, barycentre and upper_limit over HTTP: a chain of them, their pages, what is refused at once."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from astropy.io import fits

from checkout import ROOT
from provenance import votags
from reduction.simulate import simulate, small
from serving import running_server
from synthetic import write_gti
from uws_server import client
from uws_server.client import ClientError, JobState

SOURCE = small().sources[0]
CIRCLE = f'icrs; circle({SOURCE.ra}, {SOURCE.dec}, 40")'
RING = f'icrs; annulus({SOURCE.ra}, {SOURCE.dec}, 60", 120")'
PN = "P0999990101PNS003PIEVLI0000"


@dataclass(frozen=True)
class Lab:
    """A server whose archive holds a simulated observation."""

    url: str
    pn: Path

    def run(self, name: str, values: dict[str, str], files: dict[str, Path] | None = None) -> JobState:
        """Run a job to its end."""
        return client.follow(client.create(f"{self.url}/rest/{name}", values, files), lambda state: None)

    def products(self, final: JobState, folder: Path) -> dict[str, Path]:
        """The results of a job, downloaded."""
        assert final.phase == "COMPLETED", final.error
        folder.mkdir(exist_ok=True)
        return {result.name: client.download(result, folder) for result in final.results}

    def page(self, final: JobState) -> str:
        """The page of a job."""
        return requests.get(f"{self.url}/jobs/{final.url.rstrip('/').rpartition('/')[2]}", timeout=300).text

    def drawings(self, page: str) -> list[str]:
        """The large light curves of a page, as SVG."""
        places = re.findall(r'<figure class="plot lightcurve"[^>]*>.*?src="([^"]*)"', page, re.DOTALL)
        return [requests.get(requests.compat.urljoin(f"{self.url}/", html.unescape(place)), timeout=300).text
                for place in places]  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("timing")
    pn = simulate(small(), folder / "archive/0999990101", cameras=("EPN",))[0]
    with running_server(folder / "data", "--archive", str(folder / "archive")) as served:
        yield Lab(served.url, pn)


def test_events_go_to_the_barycentre_and_become_a_light_curve_and_a_limit(lab: Lab, tmp_path: Path) -> None:
    """Each product is sound and has all steps behind it; the counts stay what they were at the telescope."""
    values = {"eventlist": PN, "position": f"{SOURCE.ra} {SOURCE.dec}"}
    orbit = ROOT / "job_definitions/barycentre/orbit.fits"
    moved = lab.products(lab.run("barycentre", values, {"orbit": orbit}), tmp_path / "moved")
    regions = {"source_region": CIRCLE, "background_region": RING}
    made = lab.run("lightcurve", {**regions, "period": "700"}, {"eventlist": moved["barycentred"]})
    curve = lab.products(made, tmp_path / "curve")
    limit = lab.products(lab.run("upper_limit", regions, {"eventlist": moved["barycentred"]}), tmp_path / "limit")
    here = lab.products(lab.run("lightcurve", {"eventlist": PN, **regions}), tmp_path / "here")
    with fits.open(curve["lightcurve"]) as there, fits.open(here["lightcurve"]) as before:
        header = there["RATE"].header
        assert (header["TIMESYS"], header["TIMEREF"]) == ("TDB", "SOLARSYSTEM")
        assert there["RATE"].data["COUNTS"].sum() == before["RATE"].data["COUNTS"].sum() == 16391
        delay = header["TSTART"] - before["RATE"].header["TSTART"]
        assert 1 < abs(delay) < 500
    for path, steps, kind in ((moved["barycentred"], 1, "event"), (curve["lightcurve"], 2, "timeseries"),
                              (curve["profile"], 2, "timeseries"), (limit["limits"], 2, "measurements")):  # fmt: skip
        assert votags.check(path) == ()
        tags = votags.read(path)
        assert tags is not None
        assert (len(tags.steps), tags.row["dataproduct_type"]) == (steps, kind)
        assert (tags.row["obs_id"], tags.row["facility_name"]) == ("0999990101", "XMM-Newton")
        if shutil.which("fitsverify"):
            subprocess.run(["fitsverify", "-q", str(path)], check=True)
    tags = votags.read(curve["lightcurve"])
    assert tags is not None and tags.row["t_xel"] == fits.getval(curve["lightcurve"], "NAXIS2", "RATE")


def test_the_page_shows_the_curve_its_gaps_the_hardness_and_the_profile(lab: Lab, tmp_path: Path) -> None:
    start = fits.getval(lab.pn, "TSTART", "EVENTS")
    gti = write_gti(tmp_path / "flares.fits", [start, start + 5000], [start + 3000, start + 12_000])
    values = {"eventlist": PN, "source_region": CIRCLE, "soft_band": "0.5 2", "hard_band": "2 10", "periods": "50 1000"}
    final = lab.run("lightcurve", values, {"gti": gti})
    assert final.phase == "COMPLETED", final.error
    page = lab.page(final)
    for words in ("Light curve", "Hardness ratio", "Periodogram", "Folded profile"):
        assert f'<span class="muted">{words}</span>' in page
    curve, hardness, periodogram, profile = lab.drawings(page)
    assert ">Frequency (Hz), highest at a period of " in periodogram
    assert ">cut by your GTI<" in curve and ">cut by your GTI<" in hardness
    assert ">Phase, period " in profile and "cut by" not in profile
    assert "USER GTI" in requests.get(f"{final.url}/results/log", timeout=300).text


def test_the_page_of_a_limit_shows_it_in_words(lab: Lab) -> None:
    values = {"eventlist": PN, "source_region": 'icrs; circle(149.05, 69.70, 20")',
              "background_region": 'icrs; annulus(149.05, 69.70, 40", 90")'}  # fmt: skip
    page = lab.page(lab.run("upper_limit", values))
    assert re.search(r"95 %: below [\d.]+ counts, below [\d.]+(?:e-\d\d)? counts/s", html.unescape(page))


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("lightcurve", {"binning": "wavelets"}, "binning: 'wavelets' is not one of constant, counts, snr, blocks"),
        ("lightcurve", {"bin_size": "-1"}, "bin_size"),
        ("lightcurve", {"periods": "long"}, "periods"),
        ("barycentre", {}, "orbit: a value is needed"),
        ("upper_limit", {"source_region": CIRCLE}, "background_region: a value is needed"),
    ],
)
def test_what_is_none_is_refused_at_once(lab: Lab, name: str, values: dict[str, str], said: str) -> None:
    with pytest.raises(ClientError) as caught:
        client.create(f"{lab.url}/rest/{name}", {"eventlist": PN, **values}, None)
    assert " answered 400: " in str(caught.value) and said in str(caught.value)


def test_bins_longer_than_the_observation_end_the_job_with_the_sentence(lab: Lab) -> None:
    final = lab.run("lightcurve", {"eventlist": PN, "bin_size": "100000"})
    assert final.phase == "ERROR"
    assert "bins of 100000 s are longer than the observation" in (final.error or "")
    assert [result.name for result in final.results] == ["log"]
