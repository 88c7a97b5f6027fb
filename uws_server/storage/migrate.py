"""Makes the tables of a new database and brings those of an old one up to date. Imports the engine and the errors.

SQLite upgrades itself when a server opens it, after a copy of the file was put beside it. Any other database is
upgraded by hand, `uws-server db upgrade`, because other servers and other people may use it at the moment. A new
database of either kind is made on the spot.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from uws_server.errors import ConfigurationError
from uws_server.storage.database import engine_for

LOG = logging.getLogger(__name__)

REVISIONS = (
    "0001", "0002", "0003", "0004", "0006", "0007", "0008", "0009", "0010", "0011", "0013", "0014", "0015", "0017",
    "0019", "0020", "0021", "0022", "0023", "0024", "0025",
)  # fmt: skip
"""Every revision, in order: what stands in `migrations/versions`. Known here so that a start need not load Alembic."""

HEAD = REVISIONS[-1]
NEW_DATABASE = Path(__file__).with_name("new_database.sql")
"""What every revision together makes of a new database in SQLite, written by `scripts/new-database`: to go through all
of them, and to load Alembic for it, takes a server longer than the rest of its start."""
_BLANKS = re.compile(r"[ \t]+$", re.MULTILINE)
_ADVISORY_LOCK = 0x7577735F6462
"""The lock that servers share which come to migrate the same PostgreSQL database at once: 'uws_db'."""


def current(url: str) -> str | None:
    """Return the revision of a database. Return None if it has no tables yet."""
    engine = engine_for(url)
    try:
        with _connected(engine) as connection:
            return _revision(connection)
    finally:
        engine.dispose()


def upgrade(url: str) -> None:
    """Bring a database up to date. Raise ConfigurationError if a newer server made it."""
    with _alone(url) as connection:
        if connection.dialect.name == "sqlite" and _revision(connection) is None:
            _make(connection)
            return
    upgrade_by_steps(url)


def upgrade_by_steps(url: str, revision: str = HEAD) -> None:
    """Bring a database up to date, or to a revision, by every revision that it lacks.

    Raise ConfigurationError if a newer server made it.
    """
    with _alone(url) as connection:
        before = _revision(connection)
        if before == revision:
            return
        _refuse_newer(before)
        if before is not None and connection.dialect.name == "sqlite":
            LOG.warning("the database is upgraded; as it was it is kept in %s", _back_up(connection, before))
        _run(connection, before, revision)
        if before is not None:
            LOG.warning("the database was upgraded from revision %s to %s", before, revision)


def require_current(engine: sa.Engine) -> None:
    """Make a new database, and upgrade an old one in SQLite.

    Raise ConfigurationError for a newer one, and for an old one in PostgreSQL, which its operator upgrades.
    """
    with _connected(engine) as connection:
        revision = _revision(connection)
    if revision == HEAD:
        return
    _refuse_newer(revision)
    if revision is not None and engine.dialect.name != "sqlite":
        raise ConfigurationError(
            f"the database is of an older version (revision {revision}, {HEAD} is needed): stop every server that uses "
            "it, make a copy, then run `uws-server db upgrade` with the same configuration"
        )
    upgrade(engine.url.render_as_string(hide_password=False))


def _connected(engine: sa.Engine) -> sa.Connection:
    """Return a connection to the database. Raise ConfigurationError, which says why it cannot be opened."""
    try:
        return engine.connect()
    except sa.exc.DatabaseError as error:
        reason = str(error.orig).strip().partition("\n")[0]
        raise ConfigurationError(f"database: {engine.url.render_as_string()} cannot be opened: {reason}") from error


def _refuse_newer(revision: str | None) -> None:
    if revision is not None and revision not in REVISIONS:
        raise ConfigurationError(
            f"the database is of a newer version (revision {revision}, this server knows {HEAD}): "
            "install that version of uws-server, or set `database` to another one"
        )


def _revision(connection: sa.Connection) -> str | None:
    tables = sa.inspect(connection)
    if tables.has_table("alembic_version"):
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        if found is not None:
            return str(found)
    return REVISIONS[0] if tables.has_table("jobs") else None  # the first version kept no account of itself


@contextlib.contextmanager
def _alone(url: str) -> Iterator[sa.Connection]:
    """Hold a connection in a transaction that no other migration runs beside: all of it happens, or nothing."""
    engine = engine_for(url)
    if engine.dialect.name == "sqlite":
        _take_the_lock_first(engine)
    try:
        with _connected(engine) as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
            yield connection
    finally:
        engine.dispose()


def _take_the_lock_first(engine: sa.Engine) -> None:
    """Make SQLite put DDL into the transaction too, which Python's driver does not do by itself."""

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        # making a table anew drops the old one: that must not take the rows of other tables with it
        connection.execute("PRAGMA foreign_keys=OFF")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _back_up(connection: sa.Connection, revision: str) -> Path:
    """Copy the file of a SQLite database, to which nobody can write meanwhile, and return the copy."""
    path = Path(connection.engine.url.database or "").absolute()
    copy = path.with_name(f"{path.name}.{revision}")
    beside = copy.with_name(f"{copy.name}.new")
    beside.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(beside)) as target:
        source.backup(target)
    with beside.open("rb") as stream:
        os.fsync(stream.fileno())
    return beside.replace(copy)


def script_of(database: Path) -> str:
    """Return the statements that make a database like one in SQLite, without its rows."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        own = "sql IS NOT NULL AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
        made = connection.execute(f"SELECT sql FROM sqlite_master WHERE {own} ORDER BY rowid")
        return "".join(f"{re.sub(_BLANKS, '', statement)};\n" for (statement,) in made)


def _make(connection: sa.Connection) -> None:
    """Make a new database in SQLite."""
    statement = ""
    for line in NEW_DATABASE.read_text("utf-8").splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.exec_driver_sql(statement)
            statement = ""
    connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (HEAD,))


def _run(connection: sa.Connection, before: str | None, after: str) -> None:
    from alembic import command  # here: a server whose database is up to date need not load it
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    if before is not None and not sa.inspect(connection).has_table("alembic_version"):
        command.stamp(config, before)
    command.upgrade(config, after)
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:
            raise ConfigurationError(f"the database holds results of jobs that are not there: {broken[:3]}")
