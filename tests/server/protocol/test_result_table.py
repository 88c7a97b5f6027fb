"""The VOTable of results by their ids: for applications without an account, judged by stilts."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from astropy.table import Table

from accounts import account
from serving import running_server


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """A server for accounts only, and the ids of the results of a job of one of them."""
    data = tmp_path_factory.mktemp("data")
    with running_server(data, anonymous="refused") as server:
        who = account(data, "ann")
        sent = {"text": "a table", "PHASE": "RUN"}
        job = requests.post(f"{server.url}/rest/dummy", data=sent, auth=who, timeout=300).url
        while "COMPLETED" not in requests.get(f"{job}/phase", params={"WAIT": "60"}, auth=who, timeout=300).text:
            requests.get(job, params={"WAIT": "60"}, auth=who, timeout=300)
        links = requests.get(f"{server.url}/datalink", params={"ID": job}, auth=who, timeout=300).text
        yield server.url, list(dict.fromkeys(re.findall(r"/store/([0-9a-f]{32})/", links)))


def test_who_knows_the_ids_has_the_table(stored: tuple[str, list[str]], tmp_path: Path) -> None:
    url, ids = stored
    assert len(ids) > 1
    asked = {"ID": [*ids, "0" * 32, ids[0]]}
    answer = requests.get(f"{url}/store/products.vot", params=asked, timeout=300)
    assert answer.headers["Content-Type"].startswith("application/x-votable+xml")
    table = Table.read(io.BytesIO(answer.content), format="votable")
    assert len(table) == len(ids), "an id that there is not has no row, and one that comes twice has one"
    for row in table:
        file = requests.get(str(row["access_url"]), timeout=300)
        assert file.status_code == 200
        assert file.headers["Content-Type"].startswith(str(row["access_format"]))
    if shutil.which("stilts"):
        (tmp_path / "products.vot").write_bytes(answer.content)
        done = subprocess.run(["stilts", "votlint", str(tmp_path / "products.vot")], capture_output=True, text=True)
        assert (done.stdout, done.returncode) == ("", 0), done.stdout


@pytest.mark.parametrize(
    ("ids", "status", "sentence"),
    [
        ([], 400, "ID: 0 came; 1 to 1,000 ids of results are allowed"),
        (["0" * 32] * 1001, 400, "ID: 1001 came; 1 to 1,000 ids of results are allowed"),
        (["a.fits"], 400, "ID: 'a.fits' came; the id of a result, 32 hexadecimal digits, is allowed"),
        (["0" * 32], 404, "ID: none of these results is there"),
    ],
)
def test_other_ids_are_refused(stored: tuple[str, list[str]], ids: list[str], status: int, sentence: str) -> None:
    answer = requests.post(f"{stored[0]}/store/products.vot", data={"ID": ids}, timeout=300)
    assert (answer.status_code, sentence in answer.text) == (status, True), answer.text
