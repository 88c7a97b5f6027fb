"""Files that are found by their content: what a script or a file states is no content, and nobody's job comes by it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from accounts import account
from serving import Served, running_server
from uws_server import client
from uws_server.client import JobState
from uwsjobs import define

STATES = """
import os
from pathlib import Path
from provenance import steps
from provenance.steps import recording
Path("results/out.txt").write_text("out")
used = [recording.UsedFile("table", "", False, "table.txt", os.environ["UWS_PARAM_word"].replace("NUL", "\\0"))]
about = recording.RunInfo(os.environ["UWS_PARAM_task"], "1", os.environ["UWS_JOB_ID"])
step = recording.make_step(used, [], [recording.Product("out.txt", "")], "", about)
Path("steps.json").write_text(steps.dump([step]))
"""
SCRIPTS = {
    "makes": ('printf "%s" "$word" > results/made.txt', "shell"),
    "uses": ('wc -c < "$table" > results/out.txt', "shell"),
    "states": (STATES, "python"),
}
PARAMETERS = [
    {"name": "word", "type": "string", "default": ""},
    {"name": "task", "type": "string", "default": "states"},
    {"name": "table", "type": "file"},
]
STORED = re.compile(r"/store/([0-9a-f]{32})/[^\s\"<&]*")


@dataclass(frozen=True)
class House:
    """A server with two accounts and an admin, and what one of them made."""

    served: Served
    data: Path
    ann: tuple[str, str]
    bob: tuple[str, str]
    admin: tuple[str, str]

    def run(self, who: tuple[str, str], name: str, file: Path | None = None, **values: str) -> JobState:
        files = {"table": file} if file else None
        job = client.create(f"{self.served.url}/rest/{name}", values, files, who)
        return client.follow(job, lambda state: None, who=who)

    def text(self, who: tuple[str, str], place: str, **query: str) -> str:
        answer = requests.get(f"{self.served.url}/{place}", params=query, auth=who, timeout=300)
        assert answer.status_code == 200, answer.text
        return answer.text

    def told(self, who: tuple[str, str], job: JobState) -> str:
        """All that leads from a job to others."""
        page, named = f"jobs/{id_of(job)}", job.url.removeprefix(f"{self.served.url}/")
        asked = [self.text(who, place, ID=id_of(job)) for place in ("provsap", "datalink")]
        asked += [self.text(who, "provsap", ID=id_of(job), RESPONSEFORMAT=kind) for kind in ("PROV-XML", "PROV-N")]
        asked += [self.text(who, "provsap", ID=id_of(job), DIRECTION="FORWARD")]
        return "\n".join([*asked, *(self.text(who, place) for place in (page, f"{page}/provenance", named))])

    def opened(self, told: str) -> set[bytes]:
        """What the addresses of results in a text hold, for whoever knows them."""
        places = {match[0] for match in STORED.finditer(told)}
        return {requests.get(f"{self.served.url}{place}", timeout=300).content for place in places}

    def made(self, word: str) -> tuple[JobState, str]:
        """A job of Ann, and the hash of what it made."""
        return self.run(self.ann, "makes", word=word), hashlib.sha256(word.encode()).hexdigest()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("stated")
    for name, (script, kind) in SCRIPTS.items():
        define(folder / "definitions", name, script, kind, parameters=PARAMETERS)
    config = folder / "server.toml"
    config.write_text(f'database = "{module_database_url}"\n', encoding="utf-8")
    with running_server(folder / "data", definitions=folder / "definitions", database=module_database_url) as served:
        data, more = folder / "data", ("--config", str(config))
        people = [account(data, name, *options, *more) for name, *options in (["ann"], ["bob"], ["root", "--admin"])]
        yield House(served, data, *people)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.txt"
    path.write_text("of Bob", encoding="utf-8")
    return path


def id_of(job: JobState) -> str:
    return job.url.rpartition("/")[2]


def test_a_hash_that_a_script_states_leads_to_nobody_s_product(house: House, table: Path) -> None:
    theirs, stated = house.made("only Ann has this")
    mine = house.run(house.bob, "states", table, word=stated)
    assert mine.phase == "COMPLETED", mine.error
    told = house.told(house.bob, mine)
    assert id_of(theirs) not in told
    assert house.opened(told), "the job's own results open"
    assert b"only Ann has this" not in house.opened(told)
    assert id_of(theirs) not in house.told(house.admin, mine), "nor is it believed where all may be seen"
    assert id_of(mine) not in house.told(house.admin, theirs)


def test_a_true_hash_that_a_script_states_leads_to_what_was_used(house: House, tmp_path: Path) -> None:
    theirs, stated = house.made("given to Bob")
    given = tmp_path / "given.txt"
    given.write_text("given to Bob", encoding="utf-8")
    for name in ("states", "uses"):
        mine = house.run(house.bob, name, given, word=stated)
        assert id_of(theirs) in house.told(house.admin, mine)
        assert id_of(mine) in house.told(house.admin, theirs)


@pytest.mark.parametrize("name", ["uses", "states"])
def test_what_somebody_else_s_job_made_is_a_file_with_its_hash(house: House, tmp_path: Path, name: str) -> None:
    theirs, digest = house.made(f"handed on to {name}")
    given = tmp_path / "given.txt"
    given.write_text(f"handed on to {name}", encoding="utf-8")
    mine = house.run(house.bob, name, given, word=digest)
    told = house.told(house.bob, mine)
    assert digest in told
    assert id_of(theirs) not in told
    assert not set(STORED.findall(house.text(house.ann, "datalink", ID=id_of(theirs)))) & set(STORED.findall(told))
    assert id_of(mine) not in house.told(house.ann, theirs), "nor is Ann told of what Bob made of it"
    mine_by_hash = house.text(house.bob, "provsap", ID=digest, DIRECTION="FORWARD")
    assert id_of(mine) in mine_by_hash


@pytest.mark.parametrize("stated", ["x" * 1000, "NUL", "F" * 64])
def test_a_hash_that_is_none_does_not_lose_the_job(house: House, table: Path, stated: str) -> None:
    mine = house.run(house.bob, "states", table, word=stated)
    assert mine.phase == "COMPLETED", mine.error
    assert {result.name for result in mine.results} == {"out", "log"}
