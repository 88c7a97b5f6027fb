"""The help: every phase is explained, the links of the page lead somewhere, and its examples run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from accounts import account
from checkout import ROOT
from pagereader import Page, visit
from serving import running_server
from uws_server.jobs.phases import Phase
from uwsjobs import define


def example(page: Page, kind: str) -> str:
    """The text of an example as somebody copies it."""
    return str(page.all(f"//pre[@id='{kind}-example']")[0].text_content())


def run(kind: str, code: str, folder: Path) -> str:
    command = ["bash", "-eu", "-c", code] if kind == "curl" else [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
                          text=True, timeout=300)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("anonymous", ["listed", "unlisted", "refused"])
def test_the_examples_run_on_the_server_that_shows_them(anonymous: str, tmp_path: Path) -> None:
    with running_server(tmp_path / "data", anonymous=anonymous) as served:
        session, name, token = requests.Session(), "", ""
        if anonymous == "refused":
            name, token = session.auth = account(tmp_path / "data", "ann")
        page = visit(f"{served.url}/help", session)
        codes = {kind: example(page, kind).replace("NAME", name).replace("TOKEN", token) for kind in ("curl", "pyvo")}
        assert f"{served.url}/rest/dummy" in codes["curl"]
        out = run("curl", codes["curl"], tmp_path).splitlines()
        assert (out[0].startswith(f"{served.url}/rest/dummy/"), out[1]) == (True, "COMPLETED")
        assert any("/results/result" in line for line in out)
        assert requests.get(out[0], auth=session.auth, timeout=300).status_code == 404  # the last line deleted it
        out = run("pyvo", codes["pyvo"], tmp_path).splitlines()
        assert out[0] == "COMPLETED"
        assert requests.get(out[1], auth=session.auth, timeout=300).text == "hello\n"


def test_an_example_that_needs_values_says_so(tmp_path: Path) -> None:
    define(tmp_path / "definitions", "task", "true\n",
           parameters=[{"name": "eventlist", "type": "eventlist", "required": True}])  # fmt: skip
    with running_server(tmp_path / "data", definitions=tmp_path / "definitions") as served:
        page = visit(f"{served.url}/help")
        assert "--form-string eventlist=VALUE" in example(page, "curl")
        assert "a file comes as --form eventlist=@FILE" in page.text()


def test_every_word_has_its_place_and_every_link_of_the_page_leads_to_one(tmp_path: Path) -> None:
    with running_server(tmp_path, keep_days=7, max_duration=5400) as served:
        page = visit(f"{served.url}/help")
        assert {f"phase-{phase.lower()}" for phase in Phase} <= {one.get("id") for one in page.all("//dt")}
        assert all(len(one.text_content()) > 20 for one in page.all("//dd"))
        inside = [link.get("href")[1:] for link in page.all("//main//a[starts-with(@href, '#')]")]
        assert len(inside) == 8
        assert all(len(page.all(f"//*[@id='{place}']")) == 1 for place in inside)
        for link in page.all("//main//a[starts-with(@href, '/')]"):
            assert visit(served.url + link.get("href")).status == 200
        words = page.text()
        assert "at most 5,400 s (01:30:00)" in words and "at the latest 7 days from now" in words
        assert page.text("//nav[@aria-label='Main']/a[@aria-current='page']") == "Help"


def test_the_help_is_for_everybody_and_names_no_definition_to_who_may_run_none(tmp_path: Path) -> None:
    with running_server(tmp_path, anonymous="refused") as served:
        page = visit(f"{served.url}/help")
        assert page.status == 200
        assert "dummy" not in page.response.text
        assert not page.all("//pre")
