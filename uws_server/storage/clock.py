"""The time that servers on one database saw last, by a clock that they could trust. Imports the tables."""

from __future__ import annotations

import contextlib
from datetime import datetime

import sqlalchemy as sa

from uws_server.storage.tables import clock

_ROW = 1


class ClockStore:
    """Reads and writes the one row of the table `clock`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def seen(self) -> datetime | None:
        """Return the time seen last. Return None if no server has ever noted one, and none made a job."""
        with self._engine.connect() as connection:
            found: datetime | None = connection.execute(sa.select(clock.c.seen)).scalar()
        return found

    def note(self, now: datetime) -> None:
        """Note the time that it is now."""
        with self._engine.begin() as connection:
            if connection.execute(clock.update().values(seen=now)).rowcount:
                return
        with contextlib.suppress(sa.exc.IntegrityError), self._engine.begin() as connection:
            # another server may have made the row meanwhile
            connection.execute(clock.insert().values(id=_ROW, seen=now))
