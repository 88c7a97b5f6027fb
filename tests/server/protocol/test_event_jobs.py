"""The jobs events and flare_filter over HTTP: products with their tags, reruns bit for bit, pages, refusals."""

from __future__ import annotations

import gzip
import html
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import requests
from astropy.io import fits

from independent import hdu_bytes, opened, raw_rows
from provenance import votags
from reduction.simulate import simulate, small
from serving import running_server
from uws_server import client
from uws_server.client import ClientError, JobState

SOURCE = small().sources[0]
CIRCLE = f'icrs; circle({SOURCE.ra}, {SOURCE.dec}, 40")'
PN = "P0999990101PNS003PIEVLI0000"


@dataclass(frozen=True)
class Lab:
    """A server whose archive holds a simulated observation."""

    url: str
    archive: Path

    @property
    def pn(self) -> Path:
        return self.archive / "0999990101" / f"{PN}.FITS"

    def run(self, name: str, values: dict[str, str], files: dict[str, Path] | None = None) -> JobState:
        """Run a job to its end."""
        return client.follow(client.create(f"{self.url}/rest/{name}", values, files), lambda state: None)

    def products(self, final: JobState, folder: Path) -> dict[str, Path]:
        """The results of a job, downloaded."""
        assert final.phase == "COMPLETED", final.error
        folder.mkdir(exist_ok=True)
        return {result.name: client.download(result, folder) for result in final.results}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("events")
    simulate(small(), folder / "archive/0999990101")
    with running_server(folder / "data", "--archive", str(folder / "archive")) as served:
        yield Lab(served.url, folder / "archive")


def test_good_time_without_flares_filters_events(lab: Lab, tmp_path: Path) -> None:
    """From a flare filter to events to a spectrum, as a user goes; each product tagged with all steps behind it."""
    flares = lab.run("flare_filter", {"eventlist": PN, "method": "sigma"})
    found = lab.products(flares, tmp_path / "flares")
    assert set(found) == {"gti", "curve", "log"}
    values = {"eventlist": PN, "region": CIRCLE, "energy": "0.5 10", "ccd": "4"}
    events = lab.products(lab.run("events", values, {"gti": found["gti"]}), tmp_path / "events")
    assert set(events) == {"events", "counts", "regions", "log"}
    made = lab.run("spectrum", {"energy": "0.5 10"}, {"eventlist": events["events"]})
    spectrum = lab.products(made, tmp_path / "spectrum")
    with fits.open(spectrum["source_spectrum"]) as hdus:
        assert int(hdus["SPECTRUM"].data["COUNTS"].sum()) == len(raw_rows(events["events"])) > 100
        with fits.open(events["events"]) as filtered:
            assert hdus["SPECTRUM"].header["EXPOSURE"] == pytest.approx(filtered["EVENTS"].header["LIVETI04"], rel=1e-6)
    for path, steps in ((found["gti"], 1), (found["curve"], 1), (events["events"], 2),
                        (spectrum["source_spectrum"], 3)):  # fmt: skip
        assert votags.check(path) == ()
        tags = votags.read(path)
        assert tags is not None
        assert len(tags.steps) == steps
        assert (tags.row["obs_id"], tags.row["facility_name"]) == ("0999990101", "XMM-Newton")
        assert str(lab.archive) not in path.read_bytes().decode("latin-1")
        if shutil.which("fitsverify"):
            subprocess.run(["fitsverify", "-q", str(path)], check=True)
    tags = votags.read(events["events"])
    assert tags is not None
    assert tags.row["em_min"] == pytest.approx(1.2398e-10, rel=1e-3)  # 10 keV
    assert tags.row["dataproduct_type"] == "event"


def test_the_page_shows_the_cut_and_the_good_time_left(lab: Lab) -> None:
    final = lab.run("flare_filter", {"eventlist": PN, "threshold": "0.2"})
    said = re.search(r"Good time left: ([\d.]+) of", requests.get(f"{final.url}/results/log", timeout=300).text)
    assert said is not None
    job = final.url.rstrip("/").rpartition("/")[2]
    page = requests.get(f"{lab.url}/jobs/{job}", timeout=300).text
    shown = re.search(r"Cut at 0.2 counts / s; ([\d,]+) s of good time are left\.", page)
    assert shown is not None and abs(float(shown[1].replace(",", "")) - float(said[1])) < 0.6  # one digit is in the log
    found = re.search(r'<figure class="plot lightcurve"[^>]*>.*?src="([^"]*)"', page, re.DOTALL)
    assert found is not None
    picture = html.unescape(found[1])
    drawn = requests.get(requests.compat.urljoin(f"{lab.url}/", picture), timeout=300).text
    assert 'class="cut"' in drawn
    assert ">cut at 0.2<" in drawn


def test_the_page_of_events_shows_where_they_lie_and_what_each_cut_left(lab: Lab) -> None:
    final = lab.run("events", {"eventlist": PN, "region": CIRCLE})
    page = requests.get(f"{lab.url}/jobs/{final.url.rstrip('/').rpartition('/')[2]}", timeout=300).text
    assert "Where its events lie" in page
    assert re.search(r"all events,\d+\s+box around the region,\d+", page)


def test_jobs_of_a_gzipped_list_of_the_archive_read_one_copy_and_name_the_list(lab: Lab, tmp_path: Path) -> None:
    """It lies in the data folder until the cache needs the room; what was made from it is what the list gives."""
    place = lab.archive / "zipped" / "P0999990199PNS003PIEVLI0000.FTZ"
    place.parent.mkdir()
    place.write_bytes(gzip.compress(lab.pn.read_bytes(), 1))
    values = {"region": CIRCLE, "energy": "0.5 10"}
    plain = lab.products(lab.run("events", {"eventlist": PN, **values}), tmp_path / "plain")["events"]
    made = []
    for turn in ("first", "second"):
        final = lab.run("events", {"eventlist": "zipped/P0999990199PNS003PIEVLI0000.FTZ", **values})
        made.append(lab.products(final, tmp_path / turn)["events"])
    (copy,) = (lab.archive.parent / "data/cache").iterdir()
    assert copy.read_bytes() == lab.pn.read_bytes()
    for path in made:
        assert raw_rows(path).tobytes() == raw_rows(plain).tobytes()
        tags = votags.read(path)
        assert tags is not None
        assert "P0999990199PNS003PIEVLI0000.FTZ" in str(tags.steps)
        assert copy.name not in path.read_bytes().decode("latin-1")


@pytest.mark.parametrize("form", ["FITS", "FTZ"])
def test_an_untouched_rerun_is_the_same_bit_for_bit(lab: Lab, tmp_path: Path, form: str) -> None:
    """From the tags of the product alone, by the command; what differs are the tags themselves."""
    name = {"FITS": "events", "FTZ": "events_ftz"}[form]
    values = {"eventlist": PN, "region": CIRCLE, "period": "50", "phases": "0.1:0.6", "format": form}
    first = lab.products(lab.run("events", values), tmp_path / "first")[name]
    assert first.suffix == {"FITS": ".fits", "FTZ": ".FTZ"}[form]
    command = [sys.executable, "-m", "uws_server", "rerun", str(first), "--server", lab.url, "--download"]
    done = subprocess.run([*command, str(tmp_path / "again")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    again = tmp_path / "again" / first.name
    with opened(first) as hdus:
        science = [index for index, hdu in enumerate(hdus) if hdu.name != "VO-TAGS"]
    assert len(science) > 10
    assert [hdu_bytes(first, index) for index in science] == [hdu_bytes(again, index) for index in science]


def test_a_gzipped_list_gives_the_same_rows(lab: Lab, tmp_path: Path) -> None:
    packed = lab.products(lab.run("events", {"eventlist": PN, "energy": "1 12", "format": "FTZ"}), tmp_path / "1")
    twice = lab.products(lab.run("events", {"energy": "2 10"}, {"eventlist": packed["events_ftz"]}), tmp_path / "2")
    once = lab.products(lab.run("events", {"eventlist": PN, "energy": "2 10"}), tmp_path / "3")
    assert np.array_equal(raw_rows(twice["events"]), raw_rows(once["events"]))


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        ("events", {"ccd": "4;5"}, "ccd: "),
        ("events", {"period": "-3"}, "period: "),
        ("events", {"epoch": "yesterday"}, "epoch: "),
        ("events", {"energy": "5 5"}, "energy: "),
        ("events", {"format": "ZIP"}, "format: 'ZIP' is not one of FITS, FTZ"),
        ("flare_filter", {"method": "eye"}, "method: 'eye' is not one of fixed, sigma, signal"),
        ("flare_filter", {"bin_size": "1e9"}, "bin_size: "),
        ("flare_filter", {"sigma": "0"}, "sigma: "),
    ],
)
def test_what_can_be_known_at_creation_is_refused_there(
    lab: Lab, name: str, values: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ClientError, match=" answered 400: ") as caught:
        client.create(f"{lab.url}/rest/{name}", {"eventlist": PN, **values})
    assert str(caught.value).partition("answered 400: ")[2].startswith(sentence)


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        ("events", {"region": 'icrs; circle(10.0, -30.0, 40")'}, 'region: circle(10.0,-30.0,40.0") reaches 134.1 deg'),
        ("events", {"time": "1:2"}, "time: it leaves no good time"),
        ("events", {"phases": "0.1:0.2"}, "period: phases are asked without a period"),
        ("flare_filter", {"bin_size": "50000"}, "bin_size: bins of 50000 s are longer than the observation"),
        ("flare_filter", {"bin_size": "0.005"}, "bin_size: bins of 0.005 s would be 2,"),
        ("flare_filter", {"method": "signal"}, "source_region: the best signal to noise wants"),
    ],
)
def test_what_the_list_says_ends_in_a_sentence(lab: Lab, name: str, values: dict[str, str], sentence: str) -> None:
    final = lab.run(name, {"eventlist": PN, **values})
    assert final.phase == "ERROR"
    assert final.error is not None
    assert final.error.startswith(sentence), final.error
    assert not [result for result in final.results if result.name not in ("log", "steps")]


def test_a_region_without_events_gives_a_list_without_rows(lab: Lab, tmp_path: Path) -> None:
    final = lab.run("events", {"eventlist": PN, "region": f'icrs; circle({SOURCE.ra}, {SOURCE.dec + 1}, 40")'})
    assert len(raw_rows(lab.products(final, tmp_path)["events"])) == 0
    said = requests.get(f"{final.url}/results/log", timeout=300).text
    assert "Note: no event is left; the product is an event list without rows" in said
