"""A server with a chain of jobs for tests: a spectrum of an archive's event list, then one of the events it left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reduction.simulate import simulate, small, truth_path
from serving import running_server
from uws_server import client
from uws_server.client import JobState

SOURCE = small().sources[0]
CIRCLE = f'icrs; circle({SOURCE.ra}, {SOURCE.dec}, 40")'
SMALLER = f'icrs; circle({SOURCE.ra}, {SOURCE.dec}, 20")'


@dataclass(frozen=True)
class Chained:
    """The address of the server, its two jobs, the archive, and the events that the first made."""

    url: str
    first: JobState
    second: JobState
    archive: Path
    events: Path


@contextmanager
def chained_server(folder: Path) -> Iterator[Chained]:
    """The server, for as long as the block lasts."""
    archive = folder / "archive"
    simulate(small(), archive / "0999990101")
    truth = json.loads(truth_path(archive / "0999990101", small()).read_text())
    with running_server(folder / "data", "--archive", str(archive)) as server:
        name = f"0999990101/{truth['cameras']['EPN']['file']}"
        first = run(server.url, {"eventlist": name, "source_region": CIRCLE})
        events = client.download(next(one for one in first.results if one.name == "events"), folder)
        second = run(server.url, {"source_region": SMALLER, "grouping": "none"}, {"eventlist": events})
        yield Chained(server.url, first, second, archive, events)


def run(url: str, values: dict[str, str], files: dict[str, Path] | None = None) -> JobState:
    """A spectrum job, once it is completed."""
    final = client.follow(client.create(f"{url}/rest/spectrum", values, files), lambda state: None)
    assert final.phase == "COMPLETED", final.error
    return final


def id_of(job: JobState) -> str:
    """The id of a job."""
    return job.url.rpartition("/")[2]
