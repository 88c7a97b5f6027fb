"""What the processes of a job use, while they run and at the end: held against what the script knows of itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from joblab import Lab, Remote, define
from processes import until
from uws_server.execution import usage
from uws_server.execution.processes import children
from uws_server.execution.progress import ProgressReader
from uws_server.jobs.job import new_id
from uws_server.storage.files import JobFiles

MEGABYTES = 300
BUSY = f"""
import os, pathlib, subprocess, sys, time
held = b"x" * {MEGABYTES * 10**6}
if os.fork() == 0:
    while time.process_time() < 1.5:
        pass
    os._exit(0)
gate = os.environ["UWS_PARAM_gate"]
while not pathlib.Path(gate).exists():
    time.sleep(0.05)
os.wait()
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("usage"), module_database_url)
    define(made.definitions, "busy", BUSY, "python")
    with made.serving():
        yield made
    made.close()


def told(job: Remote) -> dict[str, float]:
    element: etree._Element | None = job.document().find(".//{urn:uws-server:progress}usage")
    return {} if element is None else {name: float(text) for name, text in element.attrib.items()}


def test_it_is_told_while_the_job_runs_and_at_the_end(lab: Lab) -> None:
    gate = lab.root / "usage-gate"
    job = lab.run("busy", gate=str(gate))
    until(lambda: told(job).get("cpuSeconds", 0) > 1, what="the CPU of a child is told while it runs")
    running = told(job)
    assert running["maxMemory"] >= running["memory"] > MEGABYTES * 10**6
    if os.access("/proc/self/smaps_rollup", os.R_OK):
        assert running["maxMemory"] < 1.5 * MEGABYTES * 10**6, "what parent and child share counts once"
    page = lab.session.get(job.url.replace("/rest/busy/", "/jobs/"), timeout=300).text
    assert "Memory, at most" in page
    state = lab.session.get(job.url.replace("/rest/busy/", "/jobs/") + "/state", timeout=300).json()
    assert state["cpu"].endswith(" s")
    assert state["memory"].endswith("MiB")
    gate.touch()
    assert job.ended() == "COMPLETED"
    ended = told(job)
    assert ended["cpuSeconds"] == pytest.approx(1.6, abs=1.0)
    assert 2000 * 10**6 > ended["maxMemory"] > MEGABYTES * 10**6
    assert "memory" not in ended


def test_a_short_job_has_its_figures_too(lab: Lab) -> None:
    job = lab.run("track")
    assert job.ended() == "COMPLETED"
    assert 0 < told(job)["cpuSeconds"] < 5
    assert 10**5 < told(job)["maxMemory"] < 10**9


def test_a_tree_is_counted_to_its_leaves() -> None:
    program = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', sys.argv[1]]); time.sleep(60)"
    child = "import time\nheld = b'x' * 200_000_000\nwhile True: time.sleep(1)"
    with subprocess.Popen([sys.executable, "-c", program, child]) as process:
        try:
            until(lambda: usage.of_tree(process.pid).memory > 200_000_000, what="the child is counted")
            assert usage.of_tree(os.getpid()).memory > usage.of_tree(process.pid).memory
        finally:
            for pid in [*children(process.pid), process.pid]:
                os.kill(pid, 9)
    assert usage.of_tree(process.pid) == (0, 0, 0)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"cpu_s": 1}', '{"cpu_s": Infinity, "memory": 1, "peak": 1}',
                                     '{"cpu_s": NaN, "memory": 1, "peak": 1}', '{"cpu_s": 1, "memory": -1, "peak": 1}',
                                     '{"cpu_s": "x", "memory": 1, "peak": 1}', "x" * 100_000])  # fmt: skip
def test_what_a_script_puts_in_its_place_is_passed_over(content: str, tmp_path: Path) -> None:
    files, job_id = JobFiles(tmp_path), new_id()
    folder = files.create(job_id, {})
    (folder / "usage.json").write_text(content, encoding="utf-8")
    assert ProgressReader(files).read(job_id).usage is None


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_no_file_of_a_script_holds_the_server_up(kind: str, tmp_path: Path) -> None:
    files, job_id = JobFiles(tmp_path), new_id()
    place = files.create(job_id, {}) / "usage.json"
    if kind == "folder":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to("/dev/zero")
    assert ProgressReader(files).read(job_id).usage is None
    sampler = usage.Sampler(place.parent)
    sampler.look(time.monotonic() + 10)
    if kind == "folder":
        assert place.is_dir()
    else:
        assert json.loads(place.read_text()).keys() == {"cpu_s", "memory", "peak", "still"}
