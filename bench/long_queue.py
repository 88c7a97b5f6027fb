"""What 10,000 jobs in the queue cost everybody else: GET of a job, creating one, taking the next one out of the queue.

    python bench/long_queue.py [--jobs 10000] [--rounds 10] [--requests 200]

Two servers run at once, on SQLite, each with one job that fills its place: one of them with that many more in the
queue, of three owners. A client asks one of them at a time, over one connection. GET is measured for a job that is not
in the queue, and with the queue also for one that is, whose place is told. Taking is measured in the store alone, in
both databases, with ten jobs and with that many in the queue.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.client
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import requests
from _pairing import ROOT, Tree, in_turns
from _serving import Served, own_server

from uws_server.execution.fairness import Limits, choose
from uws_server.jobs.job import Job, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage.jobstore import JobStore
from uws_server.storage.queued_jobs import Candidate, Load
from uws_server.storage.rows import job_row
from uws_server.storage.tables import jobs

sys.path.insert(0, str(ROOT / "tests" / "support"))
from postgres import programs, running_cluster  # the tests know how to start a cluster

OWNERS = ("", "ada", "bob")
FEW = 10
TAKEN = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--requests", type=int, default=200)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.jobs:,} jobs in the queue")
    with tempfile.TemporaryDirectory() as folder:
        taking(f"sqlite:///{folder}", "SQLite", options.jobs)
        serving(Path(folder), options)
    if programs() is None:
        print("PostgreSQL is not measured: install the Debian package postgresql")
        return
    with running_cluster(fsync=True) as cluster:
        taking(cluster.database(), "PostgreSQL", options.jobs, cluster.database())


def fill(store: JobStore, number: int) -> list[str]:
    """Put so many jobs of the definition dummy into the queue, and return their ids."""
    now = utcnow()
    made = [Job(new_id(), "dummy", "1.0", Phase.QUEUED, now, 3600, owner=OWNERS[i % 3]) for i in range(number)]
    rows = [job_row(job) | {"queued": now + timedelta(milliseconds=i)} for i, job in enumerate(made)]
    with store.engine.begin() as connection:
        connection.execute(jobs.insert(), rows)
    return [job.id for job in made]


def taking(url: str, kind: str, number: int, other: str = "") -> None:
    """Print how long it takes to take a job, with few and with many in the queue."""
    limits = Limits(1)

    def choose_one(queues: Sequence[Iterator[Candidate]], _loads: Sequence[Load]) -> list[Candidate]:
        return choose(queues, [], limits)

    for size, place in ((FEW, url), (number, other or url)):
        store = JobStore(f"{place}/{size}.sqlite" if kind == "SQLite" else place)
        fill(store, size)
        spent = []
        for _ in range(TAKEN):
            begun = time.perf_counter()
            (one,) = store.queue.take(choose_one, utcnow())
            spent.append(1000 * (time.perf_counter() - begun))
            store.move(one.id, [Phase.EXECUTING], Phase.QUEUED, started=None, server=None)
        store.close()
        print(
            f"  {kind}: to take one of {size:6,}: median {statistics.median(spent):.3f} ms, least {min(spent):.3f} ms"
        )


def serving(folder: Path, options: argparse.Namespace) -> None:
    """Print what requests cost, with and without jobs in the queue."""
    os.environ |= {"UWS_SERVER_MAX_RUNNING": "1", "UWS_SERVER_SHORT_PLACES": "0"}
    with contextlib.ExitStack() as stack:
        measures = {}
        for name, number in (("without", 0), ("with", options.jobs)):
            data = folder / name
            data.mkdir()
            served = stack.enter_context(own_server(data, Tree("ours", ROOT)))
            create(served, PHASE="RUN", seconds="3600")
            store = JobStore(f"sqlite:///{data}/jobs.sqlite")
            queued = fill(store, number)[-1:] if number else []
            store.close()
            places = {"GET job": urlsplit(create(served)).path}
            if queued:
                places["GET queued job"] = f"/rest/dummy/{queued[0]}"
            measures[name] = functools.partial(ask, served, places, options.requests)
        figures = in_turns(measures, options.rounds)
    for figure, values in figures.items():
        for what, pick in (("least", min), ("median", statistics.median)):
            told = {name: pick(each) for name, each in values.items()}
            less = told.get("without", pick(figures["GET job"]["without"]))
            rate = f"{100 * less / told['with']:.0f} % of the rate without" if "with" in told else ""
            line = "   ".join(f"{name} {value:.3f} ms" for name, value in told.items())
            print(f"  {figure:16} {what:7} {line}   {rate}", flush=True)


def create(served: Served, **form: str) -> str:
    """Create a job and return its address."""
    answer = requests.post(f"{served.url}/rest/dummy", data=form, allow_redirects=False, timeout=60)
    if answer.status_code != 303:
        sys.exit(f"{served.url} answered {answer.status_code}: {answer.text[:500]}")
    return answer.headers["Location"]


def ask(served: Served, places: dict[str, str], count: int) -> dict[str, float]:
    """Get each address so many times, and create half as many jobs; return milliseconds a request."""
    parts = urlsplit(served.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    found = {}
    requests_of = {name: ("GET", path, None, count) for name, path in places.items()}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for name, (method, path, body, times) in (
        *requests_of.items(),
        ("create", ("POST", "/rest/dummy", "text=a", count // 2)),
    ):
        begun = time.perf_counter()
        for _ in range(times):
            connection.request(method, path, body, headers if body else {})
            response = connection.getresponse()
            if response.status not in (200, 303):
                sys.exit(f"{path} answered {response.status}: {response.read()[:300]!r}")
            response.read()
        found[name] = 1000 * (time.perf_counter() - begun) / times
    connection.close()
    return found


if __name__ == "__main__":
    main()
