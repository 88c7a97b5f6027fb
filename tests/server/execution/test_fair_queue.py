"""The queue on real servers, in both databases: shares, short places, suspended jobs, limits, two servers that race."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest
import requests

from joblab import PARAMETERS, UWS, Lab, Remote, define, signed_in
from processes import state, until
from serving import running_server
from uws_server.jobs.job import utcnow
from uws_server.storage.drain import Drain, DrainStore
from uws_server.storage.jobstore import JobStore

SPACE = "{urn:uws-server:progress}"


@pytest.fixture
def lab(tmp_path: Path, database_url: str) -> Iterator[Lab]:
    made = Lab(tmp_path, database_url)
    yield made
    made.close()


def queue_of(job: Remote) -> dict[str, str]:
    """What jobInfo says of the queue."""
    found = job.document().find(f".//{UWS}jobInfo/{SPACE}queue")
    return {} if found is None else {str(key): str(value) for key, value in found.attrib.items()}


def gate(lab: Lab, name: str) -> str:
    return str(lab.root / name)


def test_one_who_queued_five_hundred_does_not_make_another_wait_for_them(lab: Lab) -> None:
    with lab.serving(max_running=1, short_places=0):
        ada, bob = signed_in(lab, "ada"), signed_in(lab, "bob")
        first = ada.run(label="first", gate=gate(lab, "open"))
        until(lambda: first.phase() == "EXECUTING")
        with ThreadPoolExecutor(4) as pool:
            flood = list(pool.map(lambda _: ada.run(label="ada"), range(500)))
        late = bob.run(label="bob")
        until(lambda: queue_of(late) != {}, what="the queue is looked at")
        assert queue_of(late)["place"] == "1"
        assert queue_of(late)["of"] == str(len(flood) + 1)
        (lab.root / "open").touch()
        assert late.ended() == "COMPLETED"
        begun = [line for line in lab.tracked() if line.startswith("begin")]
        assert begun.index("begin bob") == 1, "after the one that ran"
        for job in flood[-3:]:
            assert job.post(PHASE="ABORT").ok
            assert job.phase() == "ABORTED"


def test_a_short_job_runs_beside_long_ones_that_fill_the_server(lab: Lab) -> None:
    with lab.serving(max_running=1, short_places=1, short=30):
        long = [lab.run(label=f"long{i}", gate=gate(lab, "open")) for i in range(3)]
        until(lambda: long[0].phase() == "EXECUTING")
        quick = lab.run(label="quick", EXECUTIONDURATION="30")
        assert quick.ended() == "COMPLETED"
        assert [job.phase() for job in long] == ["EXECUTING", "QUEUED", "QUEUED"]
        queued = lab.run(label="made short", gate=gate(lab, "open"))
        assert queued.phase() == "QUEUED"
        queued.session.post(f"{queued.url}/executionduration", data={"EXECUTIONDURATION": "20"}, timeout=300)
        until(lambda: queued.phase() == "EXECUTING", what="it is short now")
        (lab.root / "open").touch()
        assert [job.ended() for job in (*long, queued)] == ["COMPLETED"] * 4


def test_suspended_jobs_give_their_places_and_wait_for_one_to_go_on(lab: Lab) -> None:
    with lab.serving(max_running=2, max_suspended=2):
        still = [lab.run(label=f"still{i}", gate=gate(lab, "end")) for i in range(2)]
        for job in still:
            until(lambda job=job: bool(job.processes()))  # type: ignore[misc]
            assert job.post(PHASE="SUSPEND").ok
        others = [lab.run(label=f"other{i}", gate=gate(lab, "others")) for i in range(3)]
        until(lambda: [job.phase() for job in others] == ["EXECUTING", "EXECUTING", "QUEUED"])
        refused = others[0].post(PHASE="SUSPEND")
        assert refused.status_code == 403
        assert "2 suspended jobs, 2 are allowed" in refused.text
        assert still[0].post(PHASE="RESUME").ok
        assert still[0].phase() == "SUSPENDED"
        until(lambda: "place" in queue_of(still[0]))
        until(lambda: {state(pid) for pid in still[0].processes()} == {"T"}, what="it stands still")
        assert still[0].post(PHASE="SUSPEND").ok, "it may stay where it is"
        assert queue_of(still[0]) == {}
        assert still[0].post(PHASE="RESUME").ok
        assert others[0].post(PHASE="ABORT").ok
        until(lambda: still[0].phase() == "EXECUTING", what="before what was queued later")
        assert others[2].phase() == "QUEUED"
        until(lambda: "T" not in {state(pid) for pid in still[0].processes()})
        (lab.root / "end").touch()
        assert still[0].ended() == "COMPLETED"
        assert still[1].post(PHASE="ABORT").ok
        assert still[1].ended() == "ABORTED"
        (lab.root / "others").touch()
        assert [job.ended() for job in others[1:]] == ["COMPLETED"] * 2


def test_a_job_that_stands_still_for_too_long_is_ended_with_a_sentence(lab: Lab) -> None:
    with lab.serving(max_running=1, max_suspension=3):
        job = lab.run(label="still", gate=gate(lab, "never"))
        until(lambda: bool(job.processes()))
        assert job.post(PHASE="SUSPEND").ok
        assert job.ended() == "ABORTED"
        assert "stood still for 3 s, as long as one may" in job.text("message")
        assert job.processes() == []
        assert job.results()["out"], "what it made is kept"


def test_limits_of_a_definition_and_of_an_owner_hold_on_two_servers(lab: Lab) -> None:
    script = 'echo "begin $label" >> "$track"\nwhile [ ! -e "$gate" ]; do sleep 0.05; done\n'
    define(lab.definitions, "single", script, parameters=PARAMETERS, control={"max_running": 2})
    settings = {"definitions": lab.definitions, "database": lab.database, "max_running": 3, "max_running_owner": 4}
    with ExitStack() as stack:
        one, other = (stack.enter_context(running_server(lab.data, **settings)) for _ in range(2))
        lab.served = one
        there = Lab(lab.root, lab.database)
        there.served = other
        labs = [lab, there]

        def begin(number: int) -> Remote:
            return labs[number % 2].run("single" if number < 6 else "track", label=str(number), gate=gate(lab, "open"))

        with ThreadPoolExecutor(6) as pool:
            jobs = list(pool.map(begin, range(12)))
        until(lambda: len(lab.tracked()) == 4, what="four of the one owner run")
        time.sleep(1)
        running = [job for job in jobs if job.phase() == "EXECUTING"]
        assert len(running) == 4
        assert sum("/single/" in job.url for job in running) == 2
        (lab.root / "open").touch()
        assert {job.ended() for job in jobs} == {"COMPLETED"}
        begun = [line for line in lab.tracked() if line.startswith("begin")]
        assert sorted(begun) == sorted(f"begin {number}" for number in range(12)), "each once"


def test_an_account_has_a_limit_of_its_own(lab: Lab) -> None:
    with lab.serving(max_running=3, max_running_owner=2):
        ann = signed_in(lab, "ann", "--max-running", "1")
        mine = [ann.run(label=f"ann{i}", gate=gate(lab, "open")) for i in range(2)]
        others = [lab.run(label=f"other{i}", gate=gate(lab, "open")) for i in range(3)]
        until(lambda: len(lab.tracked()) == 3)
        time.sleep(0.5)
        assert sorted(job.phase() for job in mine) == ["EXECUTING", "QUEUED"]
        assert sorted(job.phase() for job in others) == ["EXECUTING", "EXECUTING", "QUEUED"]
        (lab.root / "open").touch()
        assert {job.ended() for job in (*mine, *others)} == {"COMPLETED"}


def test_a_job_that_can_never_run_is_refused_and_a_large_one_waits_for_all(lab: Lab) -> None:
    wait = 'while [ ! -e "$gate" ]; do sleep 0.05; done\n'
    define(lab.definitions, "huge", wait, parameters=PARAMETERS, control={"cpus": 5})
    define(lab.definitions, "fat", wait, parameters=PARAMETERS, control={"memory": 6 * 10**9})
    define(lab.definitions, "wide", wait, parameters=PARAMETERS, control={"cpus": 3})
    with lab.serving(max_running=3, cores=4, memory="5 GB") as served:
        for name, sentence in (
            ("huge", "a job of huge takes 5 cores, all jobs here have 4 together"),
            ("fat", "a job of fat takes 6,000,000,000 bytes of memory, all jobs here have 5,000,000,000 together"),
        ):
            answer = requests.post(f"{served.url}/rest/{name}", allow_redirects=False, timeout=300)
            assert (answer.status_code, sentence in answer.text) == (403, True), answer.text
        small = [lab.run(label=f"small{i}", gate=gate(lab, "small")) for i in range(2)]
        until(lambda: [job.phase() for job in small] == ["EXECUTING"] * 2)
        wide = lab.run("wide", gate=gate(lab, "wide"))
        later = lab.run(label="later", gate=gate(lab, "small"))
        time.sleep(0.5)
        assert (wide.phase(), later.phase()) == ("QUEUED", "QUEUED"), "there would be a core for the later one"
        assert small[0].post(PHASE="ABORT").ok
        until(lambda: wide.phase() == "EXECUTING")
        (lab.root / "wide").touch()
        (lab.root / "small").touch()
        assert {wide.ended(), later.ended(), small[1].ended()} == {"COMPLETED"}


HOARD = """
import os, time
for _ in range(3):
    if os.fork() == 0:
        kept = os.urandom(1 << 20) * 150
        time.sleep(float(os.environ["seconds"]))
        os._exit(0)
for _ in range(3):
    os.wait()
"""


def test_a_job_that_holds_more_memory_than_it_takes_is_ended_where_memory_is_counted(lab: Lab) -> None:
    """Each of its processes may hold as much as the job; together they hold more."""
    define(lab.definitions, "hoard", HOARD, "python", parameters=PARAMETERS, control={"memory": 300_000_000})
    with lab.serving(memory="2 GB"):
        job = lab.run("hoard", seconds=600)
        assert job.ended() == "ERROR"
        sentence = "memory: the processes of the job held more than its 300,000,000 bytes of memory together"
        assert sentence in job.text("message")
        assert job.processes() == []
    with lab.serving():
        assert lab.run("hoard", seconds=3).ended() == "COMPLETED"


def test_place_start_and_quote_are_told_from_past_jobs(lab: Lab) -> None:
    with lab.serving(max_running=1, short_places=0) as served:
        assert lab.run(seconds=1).ended() == "COMPLETED"
        time.sleep(0.1)
        running = lab.run(gate=gate(lab, "open"))
        until(lambda: running.phase() == "EXECUTING")
        waiting = [lab.run(gate=gate(lab, "open")) for _ in range(2)]
        until(lambda: "place" in queue_of(waiting[1]), what="the queue is looked at")
        places = [queue_of(job) for job in waiting]
        assert [(each["place"], each["of"]) for each in places] == [("1", "2"), ("2", "2")]
        page = requests.get(f"{served.url}/jobs/{waiting[1].id}", timeout=300).text
        assert "place 2 of 2" in page
        (lab.root / "open").touch()
        assert [job.ended() for job in waiting] == ["COMPLETED"] * 2
        assert queue_of(waiting[1]) == {}


def test_a_new_job_is_quoted_what_those_before_it_took(lab: Lab) -> None:
    with lab.serving(max_running=1):
        assert lab.create("track").text("quote") == "", "nobody knows yet"
        assert lab.run(seconds=2).ended() == "COMPLETED"
    with lab.serving(max_running=1):
        job = lab.create("track")
        quoted, created = (datetime.fromisoformat(job.text(name)) for name in ("quote", "creationTime"))
        assert 2 <= (quoted - created).total_seconds() <= 10


@pytest.mark.parametrize(
    ("lowered", "why"),
    [
        ({"cores": 1}, "the job takes 2 cores, all jobs here have 1 together"),
        ({"memory": "10 MB"}, "the job takes 600,000,000 bytes of memory, all jobs here have 10,000,000 together"),
    ],
)
def test_a_job_for_which_the_machine_became_too_small_says_so(lab: Lab, lowered: dict[str, object], why: str) -> None:
    """It was accepted before the operator lowered a limit: it holds nobody up, and goes on when that is undone."""
    roomy = {"cores": 4, "memory": "2 GB"}
    with lab.serving(**roomy) as served:
        store = JobStore(lab.database)
        drain = DrainStore(store.engine, store.server)
        drain.begin(Drain(utcnow(), "test", ""))
        job = lab.run("greedy")
        served.kill()
    assert drain.end()
    store.close()
    with lab.serving(**(roomy | lowered)) as served:
        job = lab.again(job)
        assert lab.run().ended() == "COMPLETED", "others pass it"
        until(lambda: job.document().findtext(f".//{UWS}jobInfo/{SPACE}queue") == why, what="jobInfo says why it waits")
        page = lab.session.get(f"{served.url}/jobs/{job.id}", timeout=300).text
        assert f"cannot start on this server: {why}; it waits for a larger one" in page
        assert job.phase() == "QUEUED"
        refused = lab.session.post(f"{served.url}/rest/greedy", data={"PHASE": "RUN"}, timeout=300)
        assert (refused.status_code, f"a job of greedy {why.removeprefix('the job ')}" in refused.text) == (403, True)
    with lab.serving(**roomy):
        assert lab.again(job).ended() in ("COMPLETED", "ERROR")
