"""The server processes that use the database, each with the time at which it was last heard of. Imports the tables."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from uws_server.jobs.job import utcnow
from uws_server.storage.changes import SERVERS, announce, prune
from uws_server.storage.tables import UTCTime, servers


@dataclass(frozen=True)
class Server:
    """One process.

    `place` names the space in which `pid` counts, `start` tells it apart from others that had the pid; it runs as many
    jobs at a time as it has `places`.
    """

    id: str
    host: str
    place: str
    pid: int
    start: str
    places: int = 1


class ServerStore:
    """All server processes that use a database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(self, server: Server) -> None:
        """Make a process known to the others."""
        with self._engine.begin() as connection:
            values = {name: getattr(server, name) for name in Server.__dataclass_fields__}
            connection.execute(servers.insert().values(values | {"seen": self._now()}))
            announce(connection, server.id, "", SERVERS)

    def beat(self, server: Server) -> None:
        """Note that a process lives, and delete changes that all have heard of."""
        with self._engine.begin() as connection:
            statement = servers.update().where(servers.c.id == server.id).values(seen=self._now())
            known = connection.execute(statement).rowcount
        if not known:  # it was silent for so long that others took it for dead
            self.add(server)
        prune(self._engine)

    def all(self) -> list[tuple[Server, float]]:
        """Return every process, with the seconds for which it has been silent by the clock of the database."""
        query = sa.select(*(servers.c[name] for name in Server.__dataclass_fields__), servers.c.seen, self._now())
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [(Server(*about), (now - seen).total_seconds()) for *about, seen, now in rows]

    def remove(self, server_id: str, origin: str) -> None:
        """Delete the row of a process that has ended; `origin` is the process that announces it."""
        with self._engine.begin() as connection:
            connection.execute(servers.delete().where(servers.c.id == server_id))
            announce(connection, origin, "", SERVERS)

    def _now(self) -> sa.ColumnElement[object]:
        """Return the time now by one clock: that of the database, or of the machine that a SQLite file is on."""
        if self._engine.dialect.name == "postgresql":
            seconds = sa.extract("epoch", sa.func.clock_timestamp())
            return sa.type_coerce(sa.cast(seconds * 1_000_000, sa.BigInteger), UTCTime)
        return sa.literal(utcnow(), UTCTime)
