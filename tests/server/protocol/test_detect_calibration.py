"""The job detect on a server with point spread functions of XMM-Newton: the jobs see the folder, and name the file."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from astropy.io import fits

from ccffiles import king_rows, write_ccf
from provenance import votags
from reduction.simulate import simulate, small
from serving import running_server
from uws_server import client
from uws_server.client import JobState
from uws_server.execution import sandbox

PN = "P0999990101PNS003PIEVLI0000"
VALUES = {"eventlist": PN, "bands": "0.5 2", "size": "10"}


@dataclass
class Lab:
    """A running server, and the folder of its calibration files."""

    url: str
    calibration: Path

    def run(self, **values: str) -> JobState:
        """Run a detection to its end."""
        return client.follow(client.create(f"{self.url}/rest/detect", VALUES | values, {}), lambda state: None)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server whose jobs are all shut in, where this machine can; the files lie in a folder that only they show."""
    folder = tmp_path_factory.mktemp("psf")
    simulate(small(), folder / "archive/0999990101", cameras=("EPN",))
    write_ccf(folder / "calibration", "EPN", issue=17)
    write_ccf(folder / "calibration", "EPN", issue=18, rows=king_rows("EPN", wider=1.1))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CALDB", "SAS_DIR", "SAS_CCFPATH", "SAS_CCF"):
            patch.delenv(name, raising=False)
        patch.setenv("UWS_CALIBRATION", str(folder / "calibration"))
        shut_in = "none" if sandbox.obstacle() else "all"
        with running_server(folder / "data", "--archive", str(folder / "archive"), sandbox=shut_in) as served:
            yield Lab(served.url, folder / "calibration")


@pytest.fixture(scope="module")
def done(lab: Lab) -> JobState:
    final = lab.run()
    assert final.phase == "COMPLETED", final.error
    return final


def test_the_list_and_its_provenance_name_the_file(lab: Lab, done: JobState, tmp_path: Path) -> None:
    sources = client.download({each.name: each for each in done.results}["sources"], tmp_path)
    assert fits.getheader(sources, "SOURCES")["PSF1"] == "King profile of EPN at 1 keV from XRT3_XPSF_0018.CCF"
    tags = votags.read(sources)
    assert tags is not None
    content = (lab.calibration / "XRT3_XPSF_0018.CCF").read_bytes()
    assert tags.steps[-1].extra["calibration"] == [
        {"name": "XRT3_XPSF_0018.CCF", "from": "point spread function", "sha256": hashlib.sha256(content).hexdigest()}
    ]
    job = done.url.rstrip("/").rpartition("/")[2]
    page = html.unescape(requests.get(f"{lab.url}/jobs/{job}/provenance", timeout=300).text)
    assert "XRT3_XPSF_0018.CCF (point spread function)" in page
    assert str(lab.calibration) not in page


def test_it_is_made_again_with_the_published_profile(lab: Lab, done: JobState, tmp_path: Path) -> None:
    answer = requests.post(
        f"{done.url}/rerun", data={"PHASE": "RUN", "psf": "built-in"}, allow_redirects=False, timeout=300
    )
    assert answer.status_code == 303, answer.text
    final = client.follow(answer.headers["Location"], lambda state: None)
    assert final.phase == "COMPLETED", final.error
    sources = client.download({each.name: each for each in final.results}["sources"], tmp_path)
    assert fits.getheader(sources, "SOURCES")["PSF1"] == "King profile of EPN at 1 keV"
    tags = votags.read(sources)
    assert tags is not None and "calibration" not in tags.steps[-1].extra


def test_a_file_that_is_asked_for_and_cannot_be_used_ends_the_job_with_a_sentence(lab: Lab) -> None:
    write_ccf(lab.calibration, "EPN", issue=19, extname="KING")
    try:
        final = lab.run(psf="calibration")
    finally:
        (lab.calibration / "XRT3_XPSF_0019.CCF").unlink()
    assert final.phase == "ERROR"
    assert "psf: XRT3_XPSF_0019.CCF has no table KING_PARAMS with the King profiles of a telescope" in str(final.error)
    assert str(lab.calibration) not in str(final.error)
