"""Rates of the job store alone, without HTTP: one thread, in SQLite and in PostgreSQL (a private cluster).

    python bench/database.py                     with 1,000 and with 100,000 jobs
    python bench/database.py --jobs 1000000      with 1,000 and with a million

For each figure: operations per second with 1,000 jobs, with many, and the ratio; the 99th percentile with many.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from uws_server.jobs.job import Filter, Job, ParameterValue, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage.jobstore import JobStore
from uws_server.storage.rows import job_row
from uws_server.storage.tables import jobs

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))
from postgres import programs, running_cluster  # the tests know how to start a cluster

FEW = 1000
ROUNDS = 9
SHARES = {Phase.COMPLETED: 80, Phase.ERROR: 10, Phase.ABORTED: 5, Phase.PENDING: 4, Phase.ARCHIVED: 1}
"""Per cent of the jobs in each phase."""
PARAMETERS = {"text": ParameterValue("hello", "hello"), "seconds": ParameterValue("0", 0.0)}


def main() -> None:
    options = arguments()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.seconds} s a figure")
    with tempfile.TemporaryDirectory() as folder:
        measure([f"sqlite:///{folder}/{name}.sqlite" for name in ("few", "many")], options)
    if programs() is None:
        print("PostgreSQL is not measured: install the Debian package postgresql")
        return
    with running_cluster(fsync=True) as cluster:
        measure([cluster.database() for _ in range(2)], options)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=1.5)
    return parser.parse_args()


def measure(urls: list[str], options: argparse.Namespace) -> None:
    """Every figure of one kind of database, with few jobs and with many."""
    stores = [opened(url) for url in urls]
    operations = [
        operations_on(store, fill(store, count)) for store, count in zip(stores, (FEW, options.jobs), strict=True)
    ]
    print(f"{'':34} {FEW:>12,} {options.jobs:>12,}   ratio      p99")
    for name in operations[0]:
        few, many = alternately([by_name[name] for by_name in operations], options.seconds)
        rates = [statistics.median(len(times) / sum(times) for times in rounds) for rounds in (few, many)]
        p99 = statistics.quantiles([time for times in many for time in times], n=100)[98] * 1e3
        print(f"{name:34} {rates[0]:>10,.0f}/s {rates[1]:>10,.0f}/s {rates[1] / rates[0]:>7.2f} {p99:>5.2f} ms")
    stream(stores[1])
    for store in stores:
        store.close()


def opened(url: str) -> JobStore:
    """The store of a new database."""
    started = time.perf_counter()
    store = JobStore(url)
    made = time.perf_counter()
    JobStore(url).close()
    again = time.perf_counter()
    print(f"{store.engine.name}: made in {(made - started) * 1e3:.0f} ms, opened in {(again - made) * 1e3:.0f} ms")
    return store


def fill(store: JobStore, count: int) -> list[str]:
    """Add jobs of the recent past, in bulk; returns the ids of some of them."""
    dice = random.Random(count)
    phases = dice.choices(list(SHARES), list(SHARES.values()), k=count)
    now = utcnow()
    ids = []
    for numbers in batches(count):
        made = [
            Job(
                new_id(), "dummy" if number % 10 else "spectrum", "1", phases[number], now - timedelta(seconds=number),
                60, now + timedelta(days=30), owner="ada" if number % 100 == 0 else None, parameters=PARAMETERS,
            )
            for number in numbers
        ]  # fmt: skip
        with store.engine.begin() as connection:
            connection.execute(jobs.insert(), [job_row(job) for job in made])
        ids += [job.id for job in made[::37]]
    if store.engine.name == "postgresql":  # or it does so while something is measured
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE"))
    return ids


def batches(count: int) -> Iterator[range]:
    return (range(first, min(first + 10_000, count)) for first in range(0, count, 10_000))


def operations_on(store: JobStore, ids: list[str]) -> dict[str, Callable[[], object]]:
    """What is measured. `ids` are of jobs that are there."""
    dice = random.Random(1)
    fresh: list[str] = []

    def add() -> None:
        job = Job(new_id(), "dummy", "1", Phase.PENDING, utcnow(), 60, utcnow(), parameters=PARAMETERS)
        store.add(job)
        fresh.append(job.id)

    def newest(**about: object) -> Callable[[], object]:
        wanted = Filter(last=10, **about)  # type: ignore[arg-type]
        return lambda: list(store.summaries(wanted))

    mine = {"definition": "dummy", "owners": (None,)}
    return {
        "add (committed)": add,
        "PENDING to HELD (committed)": lambda: store.move(fresh.pop(), [Phase.PENDING], Phase.HELD),
        "get": lambda: store.get(dice.choice(ids)),
        "newest 10": newest(definition="dummy"),
        "newest 10 of nobody's": newest(**mine),
        "newest 10 of an owner and nobody's": newest(definition="dummy", owners=("ada", None)),
        "newest 10 of all definitions": newest(owners=(None,)),
        "newest 10 COMPLETED": newest(**mine, phases=(Phase.COMPLETED,)),
        "newest 10 in a phase of no job": newest(**mine, phases=(Phase.SUSPENDED,)),
        "newest 10 in three phases": newest(**mine, phases=(Phase.COMPLETED, Phase.ERROR, Phase.ABORTED)),
        "quota: bytes": lambda: store.stored_bytes(None),
        "jobs whose time has come": lambda: store.expired(utcnow() - timedelta(days=1)),
    }


def alternately(operations: list[Callable[[], object]], seconds: float) -> list[list[list[float]]]:
    """The times of some operations, in rounds that take turns: what disturbs one disturbs the others."""
    rounds: list[list[list[float]]] = [[] for _ in operations]
    for _ in range(ROUNDS):
        for times, operation in zip(rounds, operations, strict=True):
            times.append(timed(operation, seconds / ROUNDS))
    return rounds


def timed(operation: Callable[[], object], seconds: float) -> list[float]:
    times = []
    ends = time.perf_counter() + seconds
    while (started := time.perf_counter()) < ends or len(times) < 2:
        try:
            operation()
        except IndexError:  # no fresh job is left
            break
        times.append(time.perf_counter() - started)
    return times


def stream(store: JobStore) -> None:
    """Read the whole list."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    count = sum(1 for _ in store.summaries(Filter("dummy", owners=(None,))))
    seconds = time.perf_counter() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"list of {count:,} jobs: {seconds:.1f} s, {count / seconds:,.0f} jobs/s, {grown:.1f} MiB more")


if __name__ == "__main__":
    main()
