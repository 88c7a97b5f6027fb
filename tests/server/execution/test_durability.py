"""A server that is killed while it makes jobs: what it acknowledged is whole and runs, of the rest nothing is left.

Kills come at random moments while clients create jobs, with files and without. CI does five; UWS_SOAK=1 does 200.
"""

from __future__ import annotations

import os
import random
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from processes import until
from serving import Served, running_server, start_server

SOAK = bool(os.environ.get("UWS_SOAK"))
KILLS = 200 if SOAK else 5
LOOKED_AT = 300 if SOAK else 25
"""Jobs, of all that there are in the end, which are looked at closely and run."""
CLIENTS = 4
ORPHAN_AGE_S = 3600
"""What is younger may be a job that is just being made; what is older and belongs to no job is swept."""

DEFINITION = """{
  "name": "copy", "version": "1", "title": "Copy", "description": "Copies a file and a text.",
  "entry": {"type": "python", "script": "run.py"},
  "control": {"duration": {"default": 60, "max": 60}},
  "parameters": [
    {"name": "text", "type": "string", "default": "", "max_length": 1000, "description": "A text."},
    {"name": "source", "type": "file", "required": false, "description": "A file."}
  ],
  "results": [{"name": "result", "file": "result.txt", "mime": "text/plain", "description": "Both."}]
}"""

SCRIPT = """
import json
from pathlib import Path
given = json.loads(Path("parameters.json").read_text())["parameters"]
file = Path(given["source"]["value"]).read_text() if "source" in given else ""
Path("results/result.txt").write_text(given["text"]["value"] + "|" + file)
"""


class Maker(threading.Thread):
    """A client that makes jobs one after the other until the server is gone; remembers which were acknowledged."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(name=name)
        self.list = f"{url}/rest/copy"
        self.made: dict[str, str] = {}
        """What the result of each acknowledged job is to be, by its id."""
        self.refused: list[str] = []
        self.sent = 0

    def run(self) -> None:
        with requests.Session() as session:
            try:
                while True:
                    self.make(session)
            except requests.RequestException:
                return  # the server was killed

    def make(self, session: requests.Session) -> None:
        self.sent += 1
        text = f"{self.name}-{self.sent}"
        # a form, or a multipart body with a file; some run at once
        files = {"source": ("source.txt", text * 20)} if self.sent % 2 else None
        data = {"text": text, "PHASE": "RUN"} if self.sent % 16 in (1, 2) else {"text": text}
        answer = session.post(self.list, data=data, files=files, allow_redirects=False, timeout=300)
        if answer.status_code != 303:
            self.refused.append(f"{answer.status_code}: {answer.text}")
            return
        job_id = answer.headers["Location"].rpartition("/")[2]
        self.made[job_id] = f"{text}|{text * 20 if files else ''}"


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    definition = tmp_path / "definitions/copy"
    definition.mkdir(parents=True)
    (definition / "job.json").write_text(DEFINITION, encoding="utf-8")
    (definition / "run.py").write_text(SCRIPT, encoding="utf-8")
    yield tmp_path / "data"


def settings(data: Path) -> dict[str, object]:
    # few jobs side by side: the kills are to hit the making of jobs
    return {"definitions": data.parent / "definitions", "max_running": 2}


def test_what_was_acknowledged_survives_kills_and_nothing_else_is_left(data: Path) -> None:
    expected: dict[str, str] = {}
    for number in range(KILLS):
        expected |= killed_while_making(data, number)
        require_sound_database(data)
    assert len(expected) >= KILLS
    make_all_old(data)
    with running_server(data, **settings(data)) as served:
        known = listed(served)
        assert expected.keys() <= known, "an acknowledged job was lost"
        require_whole(served, random.sample(sorted(known), min(LOOKED_AT, len(known))), expected)
        assert folders(data) <= known, "the sweep at the start left what belongs to no job"
        print(f"{KILLS} kills, {len(expected)} jobs acknowledged, {len(known) - len(expected)} more were made")
        until(lambda: not list((data / "incoming").iterdir()), what="nothing is left of interrupted uploads")


def killed_while_making(data: Path, number: int) -> dict[str, str]:
    """One life of a server under load; returns the jobs that it acknowledged."""
    served = start_server(data, **settings(data))
    makers = [Maker(served.url, f"life{number}-client{n}") for n in range(CLIENTS)]
    for maker in makers:
        maker.start()
    try:
        until(lambda: any(maker.made for maker in makers), what="the first job of this life")
        time.sleep(random.uniform(0, 0.3))
    finally:
        served.kill()
        for maker in makers:
            maker.join()
        if served.process.stdout is not None:
            served.process.stdout.close()
    assert [text for maker in makers for text in maker.refused] == []
    return {job: result for maker in makers for job, result in maker.made.items()}


def require_sound_database(data: Path) -> None:
    connection = sqlite3.connect(data / "jobs.sqlite")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    finally:
        connection.close()


def make_all_old(data: Path) -> None:
    """As if hours had passed: the sweep leaves alone what has just been made."""
    long_ago = time.time() - 2 * ORPHAN_AGE_S
    for path in [*folder_paths(data), *(data / "incoming").iterdir()]:
        os.utime(path, (long_ago, long_ago))


def folder_paths(data: Path) -> list[Path]:
    return [path for path in (data / "jobs").glob("*/*") if path.is_dir()]


def folders(data: Path) -> set[str]:
    return {path.name for path in folder_paths(data)}


def listed(served: Served) -> set[str]:
    answer = requests.get(f"{served.url}/rest/copy", timeout=300)
    assert answer.status_code == 200
    return set(re.findall(r'jobref id="([0-9a-f]{32})"', answer.text))


def require_whole(served: Served, jobs: list[str], expected: dict[str, str]) -> None:
    """Each job, acknowledged or not, has its parameters and comes to its end with what it was to make."""
    for job_id in jobs:
        job = f"{served.url}/rest/copy/{job_id}"
        text = requests.get(f"{job}/parameters/text", timeout=300).text
        assert re.fullmatch(r"life\d+-client\d-\d+", text)
        source = requests.get(f"{job}/parameters/source", timeout=300)
        whole = f"{text}|{source.text if source.status_code == 200 else ''}"
        assert whole == expected.get(job_id, whole)
        assert source.status_code == 404 or source.text == text * 20
        if requests.get(f"{job}/phase", timeout=300).text == "PENDING":
            requests.post(f"{job}/phase", data={"PHASE": "RUN"}, allow_redirects=False, timeout=300)
    for job_id in jobs:
        job = f"{served.url}/rest/copy/{job_id}"
        until(lambda job=job: phase(job) == "COMPLETED", 600 if SOAK else 300, f"{job} COMPLETED", 0.05)  # type: ignore[misc]
        result = requests.get(f"{job}/results/result", timeout=300).text
        text = requests.get(f"{job}/parameters/text", timeout=300).text
        assert result == expected.get(job_id, result)
        assert result in (f"{text}|", f"{text}|{text * 20}")


def phase(job: str) -> str:
    found = requests.get(f"{job}/phase", timeout=300).text
    assert found in ("PENDING", "QUEUED", "EXECUTING", "COMPLETED"), found
    return found
