"""Exit statuses that a definition names as no failure: in the document of a job, its page, its step, at the command."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from joblab import OUT, Lab, define
from provenance import steps
from serving import COMMAND

NONE_THERE = "no counts in the region"
EMPTY_FITS = """
import sys
from astropy.io import fits
fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([fits.Column("PI", "J", array=[])])]).writeto(
    "results/empty.fits")
sys.exit(3)
"""
BY_TASK = """
from reduction import task


def main(job):
    job.stage("Looking")
    raise SystemExit(3)


task.run(main, stages=1)
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("statuses"), module_database_url)
    control = {"statuses": {"3": NONE_THERE}}
    define(made.definitions, "named", 'exit "$code"', results=[OUT], control=control)
    product = {"name": "empty", "file": "empty.fits", "mime": "application/fits"}
    define(made.definitions, "tagged", EMPTY_FITS, "python", results=[product], control=control)
    define(made.definitions, "bytask", BY_TASK, "python", control=control)
    define(made.definitions, "slow", "sleep 600; exit 3", control=control)
    define(made.definitions, "trapped", "trap 'exit 3' TERM; echo ready > out.txt; sleep 600 & wait", control=control)
    with made.serving():
        yield made
    made.close()


def warning(document: object) -> str | None:
    return document.findtext(".//{urn:uws-server:progress}warning")  # type: ignore[attr-defined,no-any-return]


def test_a_named_status_completes_the_job_with_a_warning(lab: Lab) -> None:
    job = lab.run("named", code=3)
    assert job.ended() == "COMPLETED"
    document = job.document()
    assert warning(document) == NONE_THERE
    assert document.find(".//{*}errorSummary") is None
    (step,) = steps.parse((lab.folder(job) / "steps.json").read_bytes())
    assert (step.extra["exit_status"], step.extra["warning"]) == (3, NONE_THERE)
    page = lab.session.get(job.url.replace("/rest/named/", "/jobs/"), timeout=300).text
    assert "with a warning" in page
    assert "No counts in the region" in page
    page = lab.session.get(job.url.replace("/rest/named/", "/jobs/") + "/provenance", timeout=300).text
    assert NONE_THERE in page


@pytest.mark.parametrize("code", [1, 2, 4, 125])
def test_any_other_status_is_an_error(lab: Lab, code: int) -> None:
    job = lab.run("named", code=code)
    assert job.ended() == "ERROR"
    assert f"status {code}" in job.text("message")
    assert warning(job.document()) is None


def test_a_status_of_0_still_misses_the_results(lab: Lab) -> None:
    job = lab.run("named", code=0)
    assert job.ended() == "ERROR"
    assert job.text("message") == "the script ended well but left no out.txt"


def test_the_products_of_such_a_job_say_it_in_their_tags(lab: Lab) -> None:
    job = lab.run("tagged")
    assert job.ended() == "COMPLETED"
    assert b"no counts in the region" in (lab.folder(job) / "results/empty.fits").read_bytes()


def test_a_python_script_ends_so_by_system_exit(lab: Lab) -> None:
    job = lab.run("bytask")
    assert (job.ended(), warning(job.document())) == ("COMPLETED", NONE_THERE)


def test_the_script_of_an_aborted_job_cannot_complete_it(lab: Lab) -> None:
    job = lab.run("trapped")
    job.post(PHASE="ABORT")
    assert (job.ended(), warning(job.document())) == ("ABORTED", None)


def test_the_time_limit_is_no_named_status(lab: Lab) -> None:
    job = lab.run("slow", EXECUTIONDURATION=1)
    assert (job.ended(), warning(job.document())) == ("ABORTED", None)


def test_a_browser_and_a_program_see_the_warning(lab: Lab) -> None:
    job = lab.run("named", code=3)
    assert job.ended() == "COMPLETED"
    assert lab.served is not None
    sheet = lab.session.get(f"{lab.served.url}/static/uws.xsl", timeout=300).content
    shown = etree.XSLT(etree.fromstring(sheet))(job.document())
    assert NONE_THERE in str(shown)
    assert "s of CPU" in str(shown)
    state = lab.session.get(job.url.replace("/rest/named/", "/jobs/") + "/state", timeout=300).json()
    assert (state["warning"], state["error"]) == (NONE_THERE, None)


def test_the_check_of_a_definition_tells_the_warning(lab: Lab) -> None:
    define(lab.root / "checked", "none", "exit 3", control={"statuses": {"3": NONE_THERE}})
    checked = subprocess.run(
        [*COMMAND, "check", "none", "--definitions", str(lab.root / "checked")],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (checked.returncode, f"COMPLETED, with a warning: {NONE_THERE}" in checked.stdout) == (0, True)


def test_the_command_tells_the_warning(lab: Lab, tmp_path: Path) -> None:
    assert lab.served is not None
    ran = subprocess.run(
        [*COMMAND, "run", "named", "code=3", "--server", lab.served.url, "--wait"],
        capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert f"uws-server: warning: {NONE_THERE}" in ran.stderr
