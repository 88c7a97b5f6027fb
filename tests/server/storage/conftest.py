"""The stores that the tests of the storage work on, over each kind of database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from uws_server.storage.jobstore import JobStore


@pytest.fixture
def store(database_url: str) -> Iterator[JobStore]:
    opened = JobStore(database_url)
    yield opened
    opened.close()


@pytest.fixture
def other(store: JobStore, database_url: str) -> Iterator[JobStore]:
    """Another server on the same database."""
    opened = JobStore(database_url)
    yield opened
    opened.close()
