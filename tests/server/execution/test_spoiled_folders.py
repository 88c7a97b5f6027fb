"""Scripts that spoil the folder of their job: each ends in the phase that it earned, and the job says what happened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from joblab import Lab, define
from uws_server.storage.files import JobFiles, size_of

NESTS = """
import os
os.chdir("results")
open("shallow.txt", "w").write("x")
for _ in range(2000):
    os.mkdir("d" * {length})
    os.chdir("d" * {length})
open("deep.txt", "w").write("x")
"""
SCRIPTS = {
    "status": "mkdir -p status.json/x status.json.new/x; echo made > results/made.txt",
    "status_fails": "mkdir -p status.json/x; echo '[ERROR] no counts' >&2; exit 7",
    "logs": "rm job.log stderr.log; mkdir job.log stderr.log; ln -s x results/link; echo made > results/made.txt",
    "moves": 'echo made > results/made.txt; mv "$PWD" "$PWD.moved"',
    "moves_up": 'echo made > results/made.txt; mv "$PWD" ../../moved',
    "removes": 'rm -rf "$PWD"',
    "replaces": 'mv "$PWD" ../gone && mkdir -p "$OLD/results" && rm -rf ../gone',
    "removes_and_kills": 'rm -rf "$PWD"; kill -9 $PPID',
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("lab"), module_database_url)
    for name, script in SCRIPTS.items():
        define(made.definitions, name, f'OLD="$PWD"\n{script}')
    for length in (1, 50):
        define(made.definitions, f"nests{length}", NESTS.format(length=length), "python")
    with made.serving():
        yield made
    made.close()


@pytest.mark.parametrize(
    ("name", "phase", "message", "results"),
    [
        ("status", "COMPLETED", "", {"made", "log"}),
        ("status_fails", "ERROR", "no counts", {"log"}),
        ("logs", "COMPLETED", "", {"made"}),
        ("moves", "COMPLETED", "", {"made", "log"}),
        ("moves_up", "COMPLETED", "", {"made", "log"}),
        ("removes", "ERROR", "the script removed the folder of its job", set()),
        ("replaces", "ERROR", "the script removed the folder of its job", set()),
        ("removes_and_kills", "ERROR", "the supervisor of the job was killed", set()),
        ("nests1", "COMPLETED", "", {"shallow", "log"}),
        ("nests50", "COMPLETED", "", {"shallow", "log"}),
    ],
)
def test_a_job_whose_folder_was_spoiled_ends_as_it_did_and_can_be_deleted(
    lab: Lab, name: str, phase: str, message: str, results: set[str]
) -> None:
    job = lab.run(name)
    assert job.ended(60) == phase, job.text("message")
    assert job.text("message").startswith(message)
    assert job.results().keys() == results
    if name.startswith("moves"):
        assert "was put back" in lab.session.get(f"{job.url}/results/log", timeout=300).text
    if name.startswith("nests"):
        assert "50 folders deep" in lab.session.get(f"{job.url}/results/log", timeout=300).text
    answer = lab.session.delete(job.url, allow_redirects=False, timeout=300)
    assert answer.status_code == 303, answer.text
    assert list((lab.data / "jobs").glob("*/*")) == list((lab.data / "incoming").iterdir()) == []


def test_what_lies_deep_is_counted_and_removed(tmp_path: Path) -> None:
    files = JobFiles(tmp_path)
    deep = files.create("0" * 32, {}) / "results"
    for _ in range(1500):
        deep /= "d"
        deep.mkdir()
    (deep / "file").write_bytes(b"x" * 1000)
    deep.chmod(0o500)
    assert size_of(files.folder("0" * 32)) == 1000
    files.delete("0" * 32)
    assert list(files.incoming.iterdir()) == list(files.jobs.glob("*/*")) == []
