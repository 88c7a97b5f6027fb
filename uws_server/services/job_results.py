"""The results of jobs: all of a job, the first hundred and a way to the rest, the one of a name. No right is checked.

A job may have thousands of results: who needs none of them, or one, does not read them all. Imports storage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from uws_server.jobs.job import LOG, MAIN, Job, Result
from uws_server.services.product_facts import Facts, facts_of
from uws_server.storage.jobstore import JobStore

MOST_SHOWN = 100
"""Results that a page or a table of links shows at once."""


def store_address(base_url: str, result_id: str, file_name: str) -> str:
    """Return the address of the file of a result by its own id, which whoever knows it may open."""
    return f"{base_url}/store/{result_id}/{quote(file_name)}"


@dataclass(frozen=True)
class ResultPage:
    """Some results of a job in their order: `first` is the number of the first one, from 0, `total` counts them all."""

    results: tuple[Result, ...]
    first: int
    total: int

    @property
    def previous(self) -> int | None:
        """The number at which the page before this one begins; None for the first page."""
        return max(0, self.first - MOST_SHOWN) if self.first else None

    @property
    def following(self) -> int | None:
        """The number at which the next page begins; None for the last page."""
        after = self.first + len(self.results)
        return after if self.results and after < self.total else None


class JobResults:
    """Results of jobs, which whoever asks may see."""

    def __init__(self, store: JobStore) -> None:
        self._store = store

    def filled(self, job: Job) -> Job:
        """Return a job with all its results."""
        found = self._store.results.all(job)
        return replace(job, results=found) if found else job

    def page(self, job: Job, first: int = 0, most: int = MOST_SHOWN) -> ResultPage:
        """Return at most so many results of a job, from the one of number `first` (from 0) on."""
        found = self._store.results.page(job, first, most)
        is_whole = not first and len(found) < most
        return ResultPage(found, first, len(found) if is_whole else self._store.results.count(job))

    def facts(self, shown: Sequence[Result]) -> dict[str, Facts]:
        """Return what the rows of some results (a few hundred) say to people, by their ids; nothing of the others."""
        return facts_of(self._store, shown)

    def named(self, job: Job, name: str) -> Result | None:
        """Return the result of that name, or whose file has that name; None if there is none."""
        return self._store.results.named(job, name)

    def main(self, job: Job) -> Result | None:
        """Return the result called `result`, else the first that the script made, else the log; None for none."""
        first = self._store.results.page(job, 0, 2)  # the log is one of them
        return self.named(job, MAIN) or next(iter(sorted(first, key=lambda result: result.name == LOG)), None)

    def of_file(self, job: Job, name: str) -> Result | None:
        """Return the first result whose file has that name; None if there is none."""
        return self._store.results.of_file(job, name)
