"""Scripts that spoil the folder of their job: each ends in the phase that it earned, and the job says what happened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from joblab import Lab, define
from processes import until
from uws_server.storage.files import JobFiles
from uws_server.storage.plainfiles import size_of

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
    "nests_lists": "for name in steps notes helpers; do printf '[%.0s' {1..100000} > $name.json; done; "
                   "echo made > results/made.txt",
    "nests_status": "printf '[%.0s' {1..100000} > status.json; kill -9 $PPID",
    "forges": """echo '{"reason": "exit", "code": 0, "start": 0, "end": 1e300, "cpu_s": 0, "max_rss_kib": 0}' """
              "> status.json; kill -9 $PPID",
    "pipes": "rm -f shepherd.json shepherd.err; mkfifo status.json shepherd.json shepherd.err; kill -9 $PPID",
    "log_piped": "echo '[STAGE 1/2] First'; until [ -e go ]; do sleep 0.1; done; rm job.log; "
                 "mkfifo job.log; touch piped; until [ -e end ]; do sleep 0.1; done; echo made > results/made.txt",
}  # fmt: skip


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
        ("nests_lists", "COMPLETED", "", {"made", "log"}),
        ("nests_status", "ERROR", "the supervisor of the job was killed", {"log"}),
        ("forges", "ERROR", "the supervisor of the job was killed", {"log"}),
        ("pipes", "ERROR", "the supervisor of the job was killed", {"log"}),
        ("nests1", "COMPLETED", "", {"shallow", "log"}),
        ("nests50", "COMPLETED", "", {"shallow", "log"}),
    ],
)
def test_a_job_whose_folder_was_spoiled_ends_as_it_did_and_can_be_deleted(
    lab: Lab, name: str, phase: str, message: str, results: set[str]
) -> None:
    job = lab.run(name)
    assert job.ended() == phase, job.text("message")
    assert job.text("message").startswith(message)
    assert job.results().keys() == results
    if name.startswith("moves"):
        assert "was put back" in lab.session.get(f"{job.url}/results/log", timeout=300).text
    if name in ("nests1", "nests50"):
        assert "50 folders deep" in lab.session.get(f"{job.url}/results/log", timeout=300).text
    answer = lab.session.delete(job.url, allow_redirects=False, timeout=300)
    assert answer.status_code == 303, answer.text
    assert list((lab.data / "jobs").glob("*/*")) == list((lab.data / "incoming").iterdir()) == []


def test_nobody_waits_for_a_pipe_in_the_place_of_the_log(lab: Lab) -> None:
    assert lab.served is not None
    job = lab.run("log_piped")
    folder = lab.folder(job)
    until(lambda: "First" in lab.session.get(job.url, timeout=300).text, what="the stage is told")
    (folder / "go").touch()
    until((folder / "piped").exists, what="the log is a pipe")
    places = [job.url, f"{job.url}/stdout", f"{lab.served.url}/jobs/{job.id}", f"{lab.served.url}/jobs/{job.id}/state"]
    assert [lab.session.get(place, timeout=300).status_code for place in places] == [200] * 4
    (folder / "end").touch()
    assert job.ended() == "COMPLETED"


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
