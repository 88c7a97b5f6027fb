"""What every test may use: the shared real data, where it is, and databases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from postgres import Cluster, empty, programs, running_cluster
from uws_server.storage import migrate

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")  # how long an example takes by the clock tells what else the machine does

DATABASES = ("sqlite", "postgresql")
"""The kinds of database that the same tests run on."""


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and schemas beside the project; the test is skipped where there is none."""
    folder = Path(os.environ.get("UWS_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip("no real data: set UWS_SHARED to the folder that holds real/ and schemas/")
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL cluster for all tests; they are skipped where there is none."""
    if programs() is None:
        pytest.skip("no PostgreSQL: install the Debian package postgresql")
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres_url(postgres: Cluster) -> str:
    """The URL of a PostgreSQL database with our tables, for one test after another."""
    url = postgres.database()
    migrate.upgrade(url)
    return url


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without rows: once in SQLite, once in PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    url: str = request.getfixturevalue("postgres_url")
    empty(url)
    return url


@pytest.fixture(scope="module", params=DATABASES)
def module_database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Like `database_url`, one for all tests of a module."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('database') / 'jobs.sqlite'}"
        return
    cluster: Cluster = request.getfixturevalue("postgres")
    with cluster.lent_database() as url:
        yield url
