"""The pages of failures, provoked for real: a database that is no longer one, an archive that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests

from accounts import account
from pagereader import visit
from serving import Served, running_server
from uws_server.cli import main


def test_a_failure_is_a_page_that_says_what_to_do_whoever_reads_it(tmp_path: Path) -> None:
    with running_server(tmp_path) as served:
        signed_in = requests.Session()
        signed_in.auth = account(tmp_path, "ann")
        assert "Signed in as ann" in visit(served.url, signed_in).text("//header")
        for path in tmp_path.glob("jobs.sqlite*"):
            with path.open("r+b") as stream:
                stream.write(b"garbage " * 4096)
        for session in (None, signed_in):
            page = visit(served.url, session)
            assert (page.status, page.text("//h1")) == (500, "The server failed")
            assert "tell the number to those who run the server" in page.text()
            assert number_of(page.text()) in log_of(served)
        for missing in ("/nothing", "/definitions/nothing"):
            assert visit(served.url + missing).status == 404


def number_of(text: str) -> str:
    """The number that a page of a failure tells."""
    found = re.search(r"number ([0-9a-f]{8})\b", text)
    assert found, text
    return f"error {found[1]} at GET /"


def log_of(served: Served) -> str:
    return served.log.read_text(errors="replace")


def test_an_archive_that_is_not_there_is_told_at_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "xmm"
    assert main(["serve", "--port", "0", "--data", str(tmp_path / "data"), "--archive", str(missing)]) == 2
    assert capsys.readouterr().err == f"uws-server: archive = {str(missing)!r}: there is no such folder\n"
    assert not (tmp_path / "data").exists()
