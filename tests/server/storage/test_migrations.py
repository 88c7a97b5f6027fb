"""The history of the tables, on both databases: a new one, one of the first version with rows in it, a newer one."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from postgres import Cluster
from uws_server.errors import ConfigurationError
from uws_server.jobs.job import Filter, JobError, ParameterValue, Result
from uws_server.jobs.phases import Phase
from uws_server.storage import (
    archive_tables,
    migrate,
    obscore_rows,
    people_tables,
    session_tables,
    tap_rows,
    tap_tables,
)
from uws_server.storage.accounts import Account, AccountStore
from uws_server.storage.database import engine_for
from uws_server.storage.definitions import DefinitionStore
from uws_server.storage.indexes import INDEXES
from uws_server.storage.jobstore import JobStore
from uws_server.storage.tables import jobs, metadata

OTHER_TABLES = (archive_tables, people_tables, session_tables, tap_tables)
"""Modules whose tables are in the metadata, too."""

# as the first version made it (it did not use Alembic), taken from a file that it wrote
FIRST = """
CREATE TABLE jobs (id VARCHAR(32) NOT NULL, definition VARCHAR(64) NOT NULL, version VARCHAR(64) NOT NULL,
    phase VARCHAR(16) NOT NULL, owner VARCHAR(128), run_id TEXT, created BIGINT NOT NULL, queued BIGINT, started BIGINT,
    ended BIGINT, execution_duration INTEGER NOT NULL, destruction BIGINT, quote BIGINT, error TEXT,
    error_fatal BOOLEAN, parameters TEXT NOT NULL, PRIMARY KEY (id));
CREATE INDEX jobs_by_time ON jobs (created);
CREATE INDEX jobs_by_phase ON jobs (phase, queued);
CREATE INDEX jobs_by_definition ON jobs (definition, created);
CREATE TABLE results (id VARCHAR(32) NOT NULL, job_id VARCHAR(32) NOT NULL, position INTEGER NOT NULL,
    name VARCHAR(128) NOT NULL, file TEXT NOT NULL, mime VARCHAR(128) NOT NULL, size BIGINT NOT NULL,
    sha256 VARCHAR(64) NOT NULL, description TEXT NOT NULL, PRIMARY KEY (id),
    FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE);
CREATE INDEX ix_results_job_id ON results (job_id);
INSERT INTO jobs VALUES ('11111111111111111111111111111111', 'dummy', '1.0', 'COMPLETED', NULL, 'été', 1700000000123456,
    1700000001000000, 1700000002000000, 1700000003000000, 60, 1800000000000000, NULL, NULL, NULL,
    '{"text": ["a", "a", "value"]}');
INSERT INTO jobs VALUES ('22222222222222222222222222222222', 'dummy', '1.0', 'ERROR', NULL, NULL, 1700000000500000,
    1700000001000000, 1700000002000000, 1700000003000000, 60, NULL, NULL, 'no counts', FALSE, '{}');
INSERT INTO jobs VALUES ('33333333333333333333333333333333', 'dummy', '1.0', 'EXECUTING', NULL, NULL, 1700000000600000,
    1700000001000000, 1700000002000000, NULL, 60, NULL, NULL, NULL, NULL, '{}');
INSERT INTO results VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '11111111111111111111111111111111', 0, 'result',
    'results/result.txt', 'text/plain', 40, 'ff', 'Text.');
INSERT INTO results VALUES ('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', '11111111111111111111111111111111', 1, 'log',
    'job.log', 'text/plain', 2, 'ee', '');
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'jobs 100%.sqlite'}"
        return
    cluster: Cluster = request.getfixturevalue("postgres")
    with cluster.lent_database() as url:
        yield url


@pytest.fixture
def first_url(empty_url: str) -> str:
    """The URL of a database that the first version made and wrote to."""
    execute(empty_url, *filter(str.strip, FIRST.split(";\n")))
    return empty_url


def execute(url: str, *statements: str) -> list[Any]:
    """Execute statements without any code of ours; returns the rows of the last."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        for statement in statements:
            answer = connection.exec_driver_sql(statement)
        rows = list(answer.all()) if answer.returns_rows else []
    engine.dispose()
    return rows


def inventory(connection: sa.Connection) -> dict[str, Any]:
    """Everything about the tables that the database itself can tell, in an order that does not matter."""
    inspector = sa.inspect(connection)
    return {
        name: {
            "columns": sorted(
                (column["name"], repr(column["type"]), column["nullable"], str(column["default"]))
                for column in inspector.get_columns(name)
            ),
            "key": inspector.get_pk_constraint(name)["constrained_columns"],
            "indexes": sorted(
                (index["name"], index["column_names"], {str(part) for part in index["dialect_options"].values()})
                for index in inspector.get_indexes(name)
            ),
            "foreign": [(key["referred_table"], key["options"]) for key in inspector.get_foreign_keys(name)],
        }
        for name in sorted(inspector.get_table_names())
        if name != "alembic_version"
    }


# --- models and migrations -----------------------------------------------------------------------------


def test_the_tables_of_the_code_are_those_of_the_migrations(empty_url: str) -> None:
    assert jobs.indexes == set(INDEXES)
    migrate.upgrade_by_steps(empty_url)
    engine = engine_for(empty_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        migrated = inventory(connection)
    with engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):  # SQLite follows foreign keys as it drops a table
            connection.exec_driver_sql(f"DROP TABLE {table} {'CASCADE' if engine.name == 'postgresql' else ''}")
        metadata.create_all(connection)
        assert inventory(connection) == migrated
    engine.dispose()


def test_every_step_is_known_without_alembic() -> None:
    scripts = ScriptDirectory(str(Path(migrate.__file__).with_name("migrations")))
    assert tuple(step.revision for step in scripts.walk_revisions())[::-1] == migrate.REVISIONS


def test_a_new_database_in_sqlite_is_what_the_steps_make_of_it(tmp_path: Path) -> None:
    made, stepped = tmp_path / "made.sqlite", tmp_path / "stepped.sqlite"
    migrate.upgrade(f"sqlite:///{made}")
    migrate.upgrade_by_steps(f"sqlite:///{stepped}")
    assert migrate.script_of(made) == migrate.script_of(stepped), "after a new step, run scripts/new-database"
    with contextlib.closing(sqlite3.connect(made)) as ours, contextlib.closing(sqlite3.connect(stepped)) as theirs:
        rows = [[line for line in one.iterdump() if line.startswith("INSERT")] for one in (ours, theirs)]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("steps", [(), ("0009",)])
def test_only_an_old_database_has_a_start_load_alembic(tmp_path: Path, steps: tuple[str, ...]) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    for step in steps:
        migrate.upgrade_by_steps(url, step)
    code = "import sys; from uws_server.storage.jobstore import JobStore as S; S(sys.argv[1]); print(*sys.modules)"
    command = [sys.executable, "-c", code, url]
    first, second = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert (" alembic " in first) == bool(steps)
    assert " alembic" not in second


# --- a new database ------------------------------------------------------------------------------------


def test_a_server_makes_the_tables_of_a_new_database(empty_url: str) -> None:
    assert migrate.current(empty_url) is None
    JobStore(empty_url).close()
    assert migrate.current(empty_url) == migrate.HEAD


def test_servers_that_start_at_once_make_the_tables_once(empty_url: str) -> None:
    failures: list[BaseException] = []
    gate = threading.Barrier(4)

    def start() -> None:
        gate.wait()
        try:
            JobStore(empty_url).close()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test must see it
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert migrate.current(empty_url) == migrate.HEAD


# --- a database of the first version -------------------------------------------------------------------


def test_rows_of_the_first_version_are_there_after_the_upgrade(first_url: str) -> None:
    assert migrate.current(first_url) == "0001"
    migrate.upgrade(first_url)
    assert migrate.current(first_url) == migrate.HEAD
    store = JobStore(first_url)
    done = store.get("1" * 32)
    assert (done.phase, done.owner, done.run_id, done.size, done.share) == (Phase.COMPLETED, None, "été", 42, None)
    assert done.created == datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)
    assert done.parameters == {"text": ParameterValue("a", "a")}
    assert (done.revision, done.trial, done.parent, done.after) == ("", False, None, None)
    assert done.results == (
        Result("a" * 32, "result", "results/result.txt", "text/plain", 40, "ff", "Text."),
        Result("b" * 32, "log", "job.log", "text/plain", 2, "ee", ""),
    )
    assert store.get("2" * 32).error == JobError("no counts", fatal=False)
    assert [job.id[0] for job in store.summaries(Filter("dummy", owners=(None,)))] == ["3", "2", "1"]
    assert store.taken() == [("3" * 32, Phase.EXECUTING, None)]
    assert store.stored_bytes(None) == 42
    store.delete("1" * 32)
    assert store.stored_bytes(None) == 0
    store.close()
    assert execute(first_url, "SELECT count(*) FROM results") == [(0,)]
    migrate.upgrade(first_url)  # nothing to do


def test_rows_of_the_second_version_are_there_after_the_upgrade(first_url: str) -> None:
    upgrade_to(first_url, "0002")
    job = f"('{'4' * 32}', 'dummy', '1.0', 'PENDING', 'ada', 1700000000123456, 60, '{{}}', 7)"
    execute(
        first_url,
        "INSERT INTO accounts VALUES ('ada', 'hash', TRUE, FALSE, 1700000000123456, 3, NULL)",
        "INSERT INTO jobs (id, definition, version, phase, owner, created, execution_duration, parameters, size) "
        f"VALUES {job}",
    )
    assert migrate.current(first_url) == "0002"
    migrate.upgrade(first_url)
    store = JobStore(first_url)
    made = datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)
    assert AccountStore(store.engine).get("ada") == Account("ada", "hash", True, False, made, 3, None, "")
    kept = store.get("4" * 32)
    assert (kept.owner, kept.created, kept.size, kept.revision, kept.trial) == ("ada", made, 7, "", False)
    assert len(store.get("1" * 32).results) == 2
    assert store.stored_bytes("ada") == 7
    store.delete(kept.id)
    assert store.stored_bytes("ada") == 0, "the triggers are there still"
    assert list(obscore_rows.jobs_with_products(store.engine, None)) == []
    drafts = DefinitionStore(store.engine)
    assert (drafts.all(), drafts.drafts(), drafts.history("dummy")) == ({}, [], [])
    drafts.install("dummy", "0" * 64)
    assert [change.action for change in drafts.history("dummy")] == ["install"]
    store.close()


def test_jobs_of_the_third_version_have_their_products_after_the_upgrade(first_url: str) -> None:
    upgrade_to(first_url, "0003")
    fits = "'n', 'results/n', '{mime}', 1, 'ff', ''"
    execute(
        first_url,
        f"INSERT INTO results VALUES ('{'c' * 32}', '{'1' * 32}', 2, {fits.format(mime='application/fits')})",
        f"INSERT INTO results VALUES ('{'d' * 32}', '{'2' * 32}', 0, {fits.format(mime='x/y')})",
        f"INSERT INTO obscore_rows VALUES ('{'d' * 32}', 1, 1, '')",
    )
    migrate.upgrade(first_url)
    store = JobStore(first_url)
    assert list(obscore_rows.jobs_with_products(store.engine, None)) == ["2" * 32, "1" * 32]
    assert store.end("3" * 32, Phase.ABORTED, datetime.now(UTC), None, [Result("e" * 32, "n", "n", "x/y", 1, "ff", "")])
    assert list(obscore_rows.jobs_with_products(store.engine, None)) == ["2" * 32, "1" * 32]
    obscore_rows.keep(store.engine, [obscore_rows.KeptRow("e" * 32, 1, 1, "{}")])
    assert list(obscore_rows.jobs_with_products(store.engine, None)) == ["3" * 32, "2" * 32, "1" * 32]
    store.close()


def test_products_of_revision_0022_are_rows_of_obscore_after_the_upgrade(first_url: str) -> None:
    upgrade_to(first_url, "0022")
    row = '{"s_ra": 10.5, "obs_id": "x", "calib_level": 2, "t_min": "soon", "access_estsize": 1}'
    file = "'a b/{name}', 7000, 1, '{kind}', 'XMM', '', 'EPN', '', '', '', '', '', NULL, NULL, NULL, NULL, NULL"
    names = (
        "source, size, changed, kind, collection, obs_id, instrument, exposure, filter, mode, target, observer, ra, "
        "dec, t_min, t_max, exposure_s, footprint, row, note"
    )
    execute(
        first_url,
        f"INSERT INTO obscore_rows VALUES ('{'a' * 32}', 5000, 1, '{row}'), ('{'b' * 32}', 5, 1, '')",
        *(
            f"INSERT INTO archive_files ({names}) VALUES ({file.format(name=name, kind=kind)}, '', '{text}', '')"
            for name, kind, text in (("P0123456789PNS003PIEVLI0000.FTZ", "events", '{"s_dec": -3.25}'),
                                     ("x.fits", "product", ""), ("y", "observation", "{}"))
        ),
    )  # fmt: skip
    migrate.upgrade(first_url)
    columns = "uws_owner, uws_place, uws_did, obs_id, obs_collection, calib_level, s_ra, s_dec, t_min, access_estsize"
    place = "P0123456789PNS003PIEVLI0000.FTZ"
    found = execute(first_url, f"SELECT {columns} FROM tap_obscore ORDER BY uws_key")
    assert [tuple(row) for row in found] == [
        ("", f"store/{'a' * 32}/result.txt", "a" * 32, "x", None, 2, 10.5, None, None, 5),
        ("*", f"archive/file/a%20b/{place}", f"archive/a%20b/{place}", f"a b/{place}", "XMM", 2, None, -3.25, None, 7),
    ]
    engine = engine_for(first_url)
    with engine.connect() as connection:
        kept = [dict(row) for row in connection.execute(sa.select(tap_tables.tap_obscore)).mappings()]
    with engine.begin() as connection:
        tap_rows.keep_of_results(connection, {"a" * 32: (row, 5000)})
    with engine.connect() as connection:
        again = [dict(row) for row in connection.execute(sa.select(tap_tables.tap_obscore)).mappings()]
    engine.dispose()
    without = [{name: value for name, value in each.items() if name != "uws_key"} for each in (*kept, *again)]
    assert without[0] == without[3], "the server makes the row that the migration made"
    assert [each["uws_zone"] for each in kept] == [None, tap_rows.values_of({"s_dec": -3.25}, 1)["uws_zone"]]


def upgrade_to(url: str, revision: str) -> None:
    """Bring a database of the first version to a later one that is not the newest."""
    steps = Config()
    steps.set_main_option("script_location", str(Path(migrate.__file__).with_name("migrations")).replace("%", "%%"))
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        steps.attributes["connection"] = connection
        command.stamp(steps, "0001")
        command.upgrade(steps, revision)
    engine.dispose()


def test_an_upgrade_that_fails_changes_nothing(first_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    execute(first_url, "CREATE TABLE accounts (name TEXT)")  # in the way of the second step
    with pytest.raises(sa.exc.DBAPIError, match="accounts"):
        migrate.upgrade(first_url)
    assert migrate.current(first_url) == "0001"
    assert execute(first_url, "SELECT count(*) FROM jobs WHERE owner IS NULL") == [(3,)]
    execute(first_url, "DROP TABLE accounts")
    migrate.upgrade(first_url)
    assert migrate.current(first_url) == migrate.HEAD


def test_sqlite_upgrades_itself_and_keeps_a_copy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "jobs.sqlite"
    url = f"sqlite:///{path}"
    with sqlite3.connect(path) as connection:
        connection.executescript(FIRST)
    connection.close()
    JobStore(url).close()
    assert migrate.current(url) == migrate.HEAD
    copy = tmp_path / "jobs.sqlite.0001"
    assert str(copy) in caplog.text
    assert migrate.current(f"sqlite:///{copy}") == "0001"
    assert execute(f"sqlite:///{copy}", "SELECT count(*) FROM jobs") == [(3,)]
    JobStore(url).close()
    assert not [name for name in tmp_path.iterdir() if name.suffix == ".new"]


def test_a_server_leaves_an_old_postgresql_to_the_operator(postgres: Cluster) -> None:
    with postgres.lent_database() as url:
        execute(url, *filter(str.strip, FIRST.split(";\n")))
        with pytest.raises(ConfigurationError, match="run `uws-server db upgrade`"):
            JobStore(url)
        assert migrate.current(url) == "0001"
        migrate.upgrade(url)
        JobStore(url).close()


# --- what cannot be used -------------------------------------------------------------------------------


def test_a_newer_database_is_refused(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    execute(empty_url, "UPDATE alembic_version SET version_num = '9999'")
    for use in (JobStore, migrate.upgrade):
        with pytest.raises(ConfigurationError, match=r"newer version \(revision 9999"):
            use(empty_url)
    assert migrate.current(empty_url) == "9999"


@pytest.mark.parametrize("url", ["jobs.sqlite", "mysql://localhost/x", "sqlite://", "postgres://localhost/x", ""])
def test_what_is_no_database_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape("postgresql://USER:PASSWORD@HOST/NAME is expected")):
        JobStore(url)


@pytest.mark.parametrize("url", ["postgresql://uws:secret@127.0.0.1:1/jobs", "sqlite:////nowhere/at/all/jobs.sqlite"])
def test_a_database_that_cannot_be_opened_is_told_in_a_sentence(url: str) -> None:
    for use in (migrate.upgrade, migrate.current, JobStore):
        with pytest.raises(ConfigurationError, match=r"^database: .* cannot be opened: .+$") as told:
            use(url)
        assert "secret" not in str(told.value)


def test_a_file_that_is_no_database_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    path.write_text("no database, but longer than the header of one: " + "x" * 100)
    for use in (migrate.upgrade, migrate.current, JobStore):
        with pytest.raises(ConfigurationError, match=r"cannot be opened: file is not a database$"):
            use(f"sqlite:///{path}")
    assert path.read_text().startswith("no database")
