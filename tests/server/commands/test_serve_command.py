"""The command `uws-server serve`: the folders that it is given."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from serving import running_server
from uws_server.cli import main
from uwsjobs import define


def test_serve_takes_a_folder_of_definitions(tmp_path: Path) -> None:
    define(tmp_path / "mine", "echo", "true\n")
    with running_server(tmp_path / "data", "--definitions", str(tmp_path / "mine")) as served:
        described = requests.get(f"{served.url}/jdl?RESPONSEFORMAT=json", timeout=300)
        assert described.status_code == 200
        assert "/echo" in described.text and "/spectrum" not in described.text
        assert requests.get(f"{served.url}/rest/echo", timeout=300).status_code == 200


@pytest.mark.parametrize("option", ["--archive", "--definitions"])
def test_a_folder_that_is_not_there_is_told_in_a_sentence(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "nowhere"
    assert main(["serve", "--data", str(tmp_path / "data"), option, str(missing)]) == 2
    assert capsys.readouterr().err == f"uws-server: {option[2:]} = {str(missing)!r}: there is no such folder\n"
    assert not (tmp_path / "data").exists()
