"""What the page of the job list costs over 1,000 jobs and over 100,000: its first page, its last one, searches.

    python bench/job_list_page.py [--jobs 100000] [--rounds 20]

Two servers run at once on each database, one with 1,000 jobs and one with many, of ten definitions and three owners. An
admin asks them for the same page in turns, over one connection each; the least and the median of the pairs are printed.
A search finds as many jobs in both, but for the last one, which finds all.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import requests
from _pairing import ROOT

from uws_server.jobs.job import Job, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage import migrate
from uws_server.storage.database import engine_for
from uws_server.storage.rows import job_row
from uws_server.storage.tables import jobs

sys.path.insert(0, str(ROOT / "tests" / "support"))
from accounts import account  # the tests know how to make an account, to start a server and a cluster
from postgres import programs, running_cluster
from serving import NEW, running_server

FEW = 1_000
PHASES = (Phase.COMPLETED, Phase.ERROR, Phase.ABORTED, Phase.PENDING)
PAGES = {
    "first page": "/",
    "last page": "/?end=1",
    "oldest first": "/?order=oldest",
    "one definition, two phases": "/?definition=dummy&phase=ERROR&phase=ABORTED",
    "one owner": "/?owner=ada",
    "until a date": "/?until=2999-01-01",
    "run id": "/?runid=rare",
    "target": "/?target=m82",
    "text": "/?q=rare",
    "text that all begin with": "/?q=night",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {options.jobs:,} jobs against {FEW:,}")
    with tempfile.TemporaryDirectory() as folder:
        measure("SQLite", Path(folder), ["", ""], options)
    if programs() is None:
        print("PostgreSQL is not measured: install the Debian package postgresql")
        return
    with running_cluster() as cluster, tempfile.TemporaryDirectory() as folder:
        measure("PostgreSQL", Path(folder), [cluster.database(), cluster.database()], options)


def measure(name: str, folder: Path, urls: Sequence[str], options: argparse.Namespace) -> None:
    """Print what each page takes over few jobs and over many."""
    with contextlib.ExitStack() as stack:
        few, many = (
            stack.enter_context(asking(folder / str(count), url, count))
            for url, count in zip(urls, (FEW, options.jobs), strict=True)
        )
        for what, path in PAGES.items():
            pairs = [(few(path), many(path)) for _ in range(options.rounds + 2)][2:]
            least = [min(one) * 1000 for one in zip(*pairs, strict=True)]
            ratio = statistics.median(after / before for before, after in pairs)
            print(
                f"{name}, {what}: {least[0]:.1f} ms and {least[1]:.1f} ms at the least, "
                f"{least[1] / least[0]:.2f} of it, {ratio:.2f} by pairs"
            )


@contextlib.contextmanager
def asking(data: Path, url: str, count: int) -> Iterator[Asking]:
    """Run a server with so many jobs, and ask it as an admin."""
    url = url or f"sqlite:///{data / 'jobs.sqlite'}"
    data.mkdir(parents=True)
    migrate.upgrade(url)
    config = data / "uws.toml"
    config.write_text(f"[folders]\ndata = {str(data)!r}\ndatabase = {url!r}\n", encoding="utf-8")
    who = account(data, "root", "--admin", "--config", str(config))
    fill(url, count)
    with running_server(data, loaded=NEW, database=url) as served:
        yield Asking(served.url, who)


class Asking:
    """A client over one connection; asked for a page, it returns the seconds that this took."""

    def __init__(self, url: str, who: tuple[str, str]) -> None:
        self._url, self._session = url, requests.Session()
        self._session.auth = who

    def __call__(self, path: str) -> float:
        begun = time.perf_counter()
        answer = self._session.get(self._url + path, timeout=600)
        seconds = time.perf_counter() - begun
        assert answer.status_code == 200 and "<tbody" in answer.text, answer.text[:2000]
        return seconds


def fill(url: str, count: int) -> None:
    """Add jobs; a run id, and a target, of sixty of them are unlike those of the others."""
    engine, now = engine_for(url), utcnow()
    rare = count // 60
    with engine.begin() as connection:
        for first in range(0, count, 1000):
            made = [
                Job(new_id(), "dummy" if number % 10 == 0 else f"task{number % 10}", "1", PHASES[number % 7 % 4],
                    now - timedelta(seconds=number), 60, owner=("ada", "bob", None)[number % 3],
                    run_id=f"{'rare' if number % rare == 0 else 'night'} {number}",
                    target="M 82" if number % rare == 1 else f"NGC {number}")
                for number in range(first, min(first + 1000, count))
            ]  # fmt: skip
            connection.execute(jobs.insert(), [job_row(job) for job in made])
        connection.exec_driver_sql("ANALYZE")
    engine.dispose()


if __name__ == "__main__":
    main()
