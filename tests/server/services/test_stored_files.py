"""Results of jobs as files of other jobs: by the address of the file, or by that in the list of results of its job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
import requests

from accounts import account
from serving import running_server
from uwsjobs import define

TAKE = """\
import json
from pathlib import Path
given = json.loads(Path("parameters.json").read_text())["parameters"]
Path("results").mkdir(exist_ok=True)
Path("results/copy.txt").write_bytes(b"".join(Path(one).read_bytes() for one in [given["table"]["value"]]) + b"!")
"""
Account = tuple[str, str]


@dataclass(frozen=True)
class Lab:
    """A server whose jobs copy a file, with two accounts."""

    url: str
    ann: Account
    bob: Account

    def ask(self, table: str, auth: Account | None = None) -> requests.Response:
        return requests.post(f"{self.url}/rest/take", {"table": table, "PHASE": "RUN"}, auth=auth,
                             allow_redirects=False, timeout=300)  # fmt: skip

    def copied(self, table: str, auth: Account | None = None) -> tuple[str, str]:
        """The address of a job that took a file, and what it made of it."""
        answer = self.ask(table, auth)
        assert answer.status_code == 303, answer.text
        address = answer.headers["Location"]
        for _ in range(100_000):
            phase = requests.get(f"{address}/phase", {"WAIT": "5"}, auth=auth, timeout=300).text
            if phase in ("COMPLETED", "ERROR"):
                break
        assert phase == "COMPLETED"
        return address, requests.get(f"{address}/results/copy", auth=auth, timeout=300).text


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("stored")
    define(folder / "definitions", "take", TAKE, "python",
           parameters=[{"name": "table", "type": "file", "description": "a file"}],
           results=[{"name": "copy", "file": "copy.txt", "mime": "text/plain"}])  # fmt: skip
    (folder / "archive").mkdir()
    (folder / "archive" / "list.fits").write_bytes(b"first")
    ann, bob = account(folder / "data", "ann"), account(folder / "data", "bob")
    with running_server(folder / "data", "--definitions", str(folder / "definitions"), "--archive",
                        str(folder / "archive")) as served:  # fmt: skip
        yield Lab(served.url, ann, bob)


def test_a_result_is_taken_by_either_address_whole_or_from_the_root(lab: Lab) -> None:
    job, content = lab.copied("list.fits")
    assert content == "first!"
    listed = f"{job}/results/copy"
    stored = requests.get(listed, timeout=300, allow_redirects=False).headers.get("Location") or listed
    for address in dict.fromkeys((listed, urlsplit(listed).path, stored)):
        second, again = lab.copied(address)
        assert again == "first!!", address
        kept = requests.get(f"{second}/parameters/table", timeout=300).text
        assert "/store/" in kept and kept.endswith("/copy.txt")


def test_the_results_of_a_job_are_for_whom_the_job_is_for(lab: Lab) -> None:
    job, _ = lab.copied("list.fits", lab.ann)
    listed = f"{job}/results/copy"
    assert lab.copied(listed, lab.ann)[1] == "first!!"
    for auth in (None, lab.bob):
        refused = lab.ask(listed, auth)
        assert refused.status_code == 400
        assert "table: " in refused.text and "cannot be taken" in refused.text and "belongs to" in refused.text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda url: url.replace("/results/copy", "/results/cpoy"), "'cpoy' is no result of job"),
        (lambda url: url.replace("/rest/take", "/rest/other"), "cannot be taken"),
        (lambda url: f"/rest/take/{'0' * 32}/results/copy", "cannot be taken"),
    ],
)
def test_an_address_that_leads_to_no_result_is_told(lab: Lab, change: object, words: str) -> None:
    job, _ = lab.copied("list.fits")
    assert callable(change)
    refused = lab.ask(change(f"{job}/results/copy"))
    assert refused.status_code == 400 and words in refused.text
    if "cpoy" in words:
        assert "whose results are: copy" in refused.text
