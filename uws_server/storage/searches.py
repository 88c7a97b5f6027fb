"""Finds the jobs of a filter that looks for something: by what begins so, or along a list where that is sooner.

Imports its neighbours.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from uws_server.jobs.job import Filter, JobSummary
from uws_server.storage import sought
from uws_server.storage.lists import ListReader
from uws_server.storage.rows import read_summary

_WALKED = 128
"""Jobs of each definition that are read at once along a list."""


class Searches:
    """Searches in the jobs of a database; `lists` reads the lists of all."""

    def __init__(self, reading: sa.Engine, lists: ListReader) -> None:
        self._reading, self._lists = reading, lists

    def jobs(self, wanted: Filter) -> Iterator[JobSummary]:
        """Return the jobs that a filter lets through, in its order."""
        if self._number(sought.is_many(wanted)) < sought.MANY:
            return iter(self._found(sought.query(wanted, wanted.last)))
        listed = self._lists.rows(replace(wanted, text="", run_id="", target="", last=None), _WALKED)
        found = (job for job in map(read_summary, listed) if sought.is_found(wanted, job))
        return itertools.islice(found, wanted.last)

    def count_to(self, wanted: Filter, most: int) -> int:
        """Return how many jobs a filter lets through; `most` if there are more."""
        return self._number(sought.count(wanted, most))

    def among(self, ids: Collection[str], wanted: Filter) -> list[JobSummary]:
        """Return those jobs of some ids (a few hundred), owned by nobody, that a filter lets through, in its order."""
        return self._found(sought.query(replace(wanted, owners=None), len(ids), ids))

    def _number(self, query: sa.Select[Any]) -> int:
        with self._reading.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def _found(self, query: sa.Select[Any]) -> list[JobSummary]:
        with self._reading.connect() as connection:
            return [read_summary(row) for row in connection.execute(query).cursor.fetchall()]
