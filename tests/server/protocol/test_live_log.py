"""A log followed by WAIT and OFFSET: each byte once, as soon as it is there, and nobody parked in a thread."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from joblab import Lab, Remote, define
from processes import until

STEPS = """
step=0
while [ ! -e "$gate.end" ]; do
    if [ -e "$gate.$step" ]; then echo "line $step"; echo "error $step" >&2; step=$((step + 1)); fi
    sleep 0.02
done
echo last
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("donn\u00e9es"), module_database_url)
    define(made.definitions, "steps", STEPS)
    define(made.definitions, "much", "head -c 3000000 /dev/zero | tr '\\0' x; sleep 600")
    with made.serving():
        yield made
    made.close()


def log(job: Remote, offset: int, wait: int | None = None, which: str = "stdout", **query: str) -> requests.Response:
    asked = {"offset": str(offset)} | ({} if wait is None else {"WAIT": str(wait)}) | query
    answer = requests.get(f"{job.url}/{which}", params=asked, timeout=300)
    assert answer.status_code == 200, answer.text
    assert not [name for name in answer.headers if name.lower().startswith("x-park")]
    return answer


def test_each_line_comes_once_and_the_end_is_told(lab: Lab) -> None:
    gate = lab.root / "lines"
    job = lab.run("steps", gate=str(gate))
    until(lambda: job.phase() == "EXECUTING")
    assert log(job, 0).content == b""  # without WAIT at once
    offset, got = 0, []
    with ThreadPoolExecutor(1) as pool:
        for step in range(3):
            waiting = pool.submit(log, job, offset, 60)
            time.sleep(0.3)
            assert not waiting.done(), "nothing new: it waits"
            Path(f"{gate}.{step}").touch()
            answer = waiting.result(300)
            got.append(answer.text)
            assert (int(answer.headers["X-Log-Offset"]), answer.headers["X-Phase"]) == (offset + 7, "EXECUTING")
            offset += 7
        assert got == ["line 0\n", "line 1\n", "line 2\n"]
        assert log(job, 7, 60).text == "line 1\nline 2\n", "what is there comes at once"
        assert log(job, 0, 60, "stderr").text == "error 0\nerror 1\nerror 2\n"
        assert sorted(log(job, 0, 60, "log").text.splitlines())[:2] == ["error 0", "error 1"]
        waiting = pool.submit(log, job, offset, 60)
        Path(f"{gate}.end").touch()
        assert waiting.result(300).text == "last\n"
        offset += 5
    answer = log(job, offset, 60)
    assert (answer.text, answer.headers["X-Phase"]) == ("", "COMPLETED"), "after the end nobody waits"
    assert requests.get(f"{job.url}/stdout", timeout=300).text == "line 0\nline 1\nline 2\nlast\n"


def test_a_wait_ends_with_its_time_and_with_the_job(lab: Lab) -> None:
    job = lab.run("steps", gate=str(lab.root / "never"))
    until(lambda: job.phase() == "EXECUTING")
    before = time.monotonic()
    answer = log(job, 1000, 1)
    assert (answer.text, answer.headers["X-Log-Offset"]) == ("", "1000")
    assert time.monotonic() - before > 0.9
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(log, job, 0, 200)
        time.sleep(0.3)
        job.post(PHASE="ABORT")
        assert (waiting.result(300).text, waiting.result().headers["X-Phase"]) == ("", "ABORTED")


def test_a_job_that_has_not_begun_is_waited_for(lab: Lab) -> None:
    gate = lab.root / "later"
    Path(f"{gate}.0").touch()
    job = lab.create("steps", gate=str(gate))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(log, job, 0, 60)
        time.sleep(0.3)
        assert not waiting.done()
        job.post(PHASE="RUN")
        assert waiting.result(300).text == "line 0\n"
    job.post(PHASE="ABORT")


def test_a_long_log_comes_in_pieces(lab: Lab) -> None:
    job = lab.run("much")
    written = lab.folder(job) / "stdout.log"
    until(lambda: written.exists() and written.stat().st_size == 3_000_000)
    offset = 0
    sizes = []
    while offset < 3_000_000:
        answer = log(job, offset, 60)
        sizes.append(len(answer.content))
        offset = int(answer.headers["X-Log-Offset"])
    assert (sum(sizes), max(sizes)) == (3_000_000, 1 << 20)
    job.post(PHASE="ABORT")


def test_many_who_wait_for_logs_take_no_threads(lab: Lab) -> None:
    assert lab.served is not None
    gate = lab.root / "many"
    job = lab.run("steps", gate=str(gate))
    until(lambda: job.phase() == "EXECUTING")
    tasks = Path(f"/proc/{lab.served.process.pid}/task")
    with ThreadPoolExecutor(60) as pool:
        waiting = [pool.submit(log, job, 0, 120, nothing=str(i)) for i in range(60)]
        time.sleep(1)
        assert not any(each.done() for each in waiting)
        assert len(list(tasks.iterdir())) < 45
        assert requests.get(f"{lab.served.url}/health/live", timeout=300).status_code == 200
        assert not any(each.done() for each in waiting), "others are answered while they wait"
        Path(f"{gate}.0").touch()
        assert {each.result(300).text for each in waiting} == {"line 0\n"}
    job.post(PHASE="ABORT")


@pytest.mark.parametrize(("query", "name"), [("offset=-1", "OFFSET"), ("offset=x", "OFFSET"), ("WAIT=soon", "WAIT"),
                                             ("offset=9999999999999999", "OFFSET")])  # fmt: skip
def test_what_is_no_number_is_refused(lab: Lab, query: str, name: str) -> None:
    job = lab.create("track")
    answer = requests.get(f"{job.url}/stdout?{query}", timeout=300)
    assert (answer.status_code, answer.text.startswith(f"{name}: ")) == (400, True)


def test_no_spelling_of_the_query_tells_where_the_log_is(lab: Lab) -> None:
    job = lab.run("steps", gate=str(lab.root / "hidden"))
    for query in ("W%41IT=1&offset=0", "wait=1&offset=0", "%77ait=1", "wait=1", "WAIT=1&wait=1"):
        for method in ("GET", "HEAD"):
            answer = requests.request(method, f"{job.url}/stdout?{query}", timeout=300)
            assert answer.status_code == 200
            assert str(lab.data.name) not in str(answer.headers)
            assert not [name for name in answer.headers if name.lower().startswith("x-park")]
    job.post(PHASE="ABORT")
