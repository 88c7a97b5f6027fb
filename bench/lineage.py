"""The provenance of a graph of jobs, over HTTP and without: each job used what the one before it made.

    python bench/lineage.py [--jobs 500]

The peer is the library prov: its own serialisation to PROV-JSON of the very same document, already built. Ours is a
whole /provsap?DEPTH=ALL: the database, the rights, the graph, the document, HTTP.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import requests
from prov.model import ProvDocument

from provenance import steps
from provenance.graph import export
from provenance.graph.traversal import Direction
from provenance.steps import recording
from uws_server.config import Config
from uws_server.jobs.job import Job, ParameterValue, Result, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.resources import definitions_folder
from uws_server.services.context import Services
from uws_server.services.provenance import ProvenanceReader
from uws_server.services.rights import Caller
from uws_server.storage.uses import Use

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))
from serving import NEW, running_server  # the tests know how to start a server

ROUNDS = 15
PARAMETERS = {
    "source_region": ParameterValue('fk5; circle(149.0, 69.7, 40")', 'fk5; circle(149.0, 69.7, 40")'),
    "energy": ParameterValue("0.2 12.0", "0.2 12.0"),
    "pattern": ParameterValue("default", "default"),
    "flag": ParameterValue("default", "default"),
    "grouping": ParameterValue("mincounts", "mincounts"),
    "min_counts": ParameterValue("20", 20),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--profile", action="store_true", help="show where our time goes")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, a graph of {options.jobs} jobs, {ROUNDS} rounds")
    with tempfile.TemporaryDirectory() as name:
        with opened(Path(name)) as services:
            last = fill(services, options.jobs)
            without_http(services, last, options.profile)
        over_http(Path(name), last)


@contextmanager
def opened(data: Path) -> Iterator[Services]:
    services = Services(Config.of(data=data), "http://127.0.0.1:8080", definitions_folder())
    try:
        yield services
    finally:
        services.store.close()


def fill(services: Services, count: int) -> str:
    """Make the graph, as the scheduler would; returns the id of the last job."""
    before = Use("eventlist", "P0123456701PNS003PIEVLI0000.FIT", "0" * 64)
    listed: list[steps.Step] = []
    job_id = ""
    for number in range(count):
        job_id = new_id()
        created = utcnow() - timedelta(hours=1) + timedelta(seconds=number)
        values = {"eventlist": ParameterValue(before.text, "inputs/events.fits", "upload"), **PARAMETERS}
        job = Job(
            job_id, "spectrum", "1.0", Phase.PENDING, created, 60, created + timedelta(days=30), parameters=values
        )
        services.store.add(job)
        services.store.move(job_id, [Phase.PENDING], Phase.QUEUED, queued=created)
        services.store.move(job_id, [Phase.QUEUED], Phase.EXECUTING, started=created, server=services.store.server)
        results = [
            Result(
                new_id(), name, f"results/{name}.fits", "application/fits", 100_000, os.urandom(32).hex(), "A product."
            )
            for name in ("source_spectrum", "events")
        ]
        services.store.end(job_id, Phase.COMPLETED, created, None, results, 200_000, [before])
        listed.append(step_of(job, before, results))
        before = Use("eventlist", "events.fits", results[1].sha256)
    folder = services.files.create(job_id, {})
    (folder / "steps.json").write_text(steps.dump(listed), encoding="ascii")
    return job_id


def step_of(job: Job, used: Use, results: list[Result]) -> steps.Step:
    """The step that a job would have written."""
    return recording.make_step(
        [recording.UsedFile(used.name, "Event list.", False, used.text, used.sha256)],
        [
            recording.ParameterValue(name, "", True, value.value)
            for name, value in job.parameters.items()
            if not value.is_file
        ],
        [recording.Product(f"{result.name}.fits", result.description) for result in results],
        f"http://127.0.0.1:8080/rest/spectrum/{job.id}/results",
        recording.RunInfo("spectrum", "1.0", job.id, started=job.created, ended=job.created, exit_status=0),
    )


def without_http(services: Services, last: str, profile: bool) -> None:
    """The parts, and the peer."""
    lineage = ProvenanceReader(services, Caller())
    start = [lineage.find(last)]
    graph = lineage.graph(start, Direction.BACK)
    document = export.document(graph)
    text = export.prov_json(graph)
    same = ProvDocument.deserialize(content=text, format="json") == document
    print(f"{len(graph.activities)} activities, {len(document.get_records())} records, {len(text) / 1e6:.2f} MB; "
          f"prov reads ours as the same document: {same}")  # fmt: skip
    figures = alternately({
        "graph from database and steps": lambda: ProvenanceReader(services, Caller()).graph(start, Direction.BACK),
        "our PROV-JSON": lambda: export.prov_json(graph),
        "prov: build the document": lambda: export.document(graph),
        "prov: serialise it": lambda: document.serialize(format="json"),
    })  # fmt: skip
    for name, seconds in figures.items():
        print(f"  {name:32} {seconds * 1e3:8.1f} ms")
    peer, ours = figures["prov: serialise it"], figures["our PROV-JSON"]
    print(f"peer (prov's serialisation alone) {peer * 1e3:.1f} ms, ours {ours * 1e3:.1f} ms, ratio {peer / ours:.1f}")
    if profile:
        with cProfile.Profile() as profiler:
            export.prov_json(ProvenanceReader(services, Caller()).graph(start, Direction.BACK))
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(25)


def alternately(actions: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The median time of each of some actions, which take turns."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(ROUNDS):
        for name, action in actions.items():
            started = time.perf_counter()
            action()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def over_http(data: Path, last: str) -> None:
    """The whole of it, from a client."""
    with running_server(data, loaded=NEW) as server, requests.Session() as session:
        times = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            response = session.get(f"{server.url}/provsap", params={"ID": last, "DEPTH": "ALL"}, timeout=60)
            times.append(time.perf_counter() - started)
            response.raise_for_status()
        ours, worst = statistics.median(times), max(times)
        print(f"/provsap ALL over HTTP: median {ours * 1e3:.0f} ms, worst {worst * 1e3:.0f} ms; 300 ms are allowed")


if __name__ == "__main__":
    main()
