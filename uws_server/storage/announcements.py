"""What admins tell everybody, in the database. Imports the tables and the errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa

from uws_server.errors import NotFound
from uws_server.storage.database import reading
from uws_server.storage.people_tables import announcements

_NOW = sa.bindparam("now", type_=announcements.c.starts.type)
_AT = (
    announcements.select()
    .where(announcements.c.starts <= _NOW, sa.or_(announcements.c.ends.is_(None), announcements.c.ends > _NOW))
    .order_by(announcements.c.starts, announcements.c.id)
)
"""Those that are shown at a moment: made once, since each page asks for them."""


@dataclass(frozen=True)
class Announcement:
    """A text that every page shows from one time to another; None for until it is removed."""

    id: str
    text: str
    starts: datetime
    ends: datetime | None
    author: str

    def holds(self, now: datetime) -> bool:
        """Check whether it is shown at a moment."""
        return self.starts <= now and (self.ends is None or now < self.ends)


class AnnouncementStore:
    """All announcements of a server."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine, self._reading = engine, reading(engine)

    def add(self, announcement: Announcement) -> None:
        """Store a new one."""
        with self._engine.begin() as connection:
            connection.execute(announcements.insert().values(asdict(announcement)))

    def all(self) -> Sequence[Announcement]:
        """Return every one, that which starts last first."""
        query = announcements.select().order_by(announcements.c.starts.desc(), announcements.c.id)
        with self._reading.connect() as connection:
            return [Announcement(*row) for row in connection.execute(query)]

    def at(self, now: datetime) -> Sequence[Announcement]:
        """Return those that are shown at a moment, that which started first first."""
        with self._reading.connect() as connection:
            return [Announcement(*row) for row in connection.execute(_AT, {"now": now})]

    def remove(self, announcement_id: str) -> Announcement:
        """Remove one and return it. Raise NotFound if there is none of that id."""
        chosen = announcements.c.id == announcement_id
        with self._engine.begin() as connection:
            row = connection.execute(announcements.select().where(chosen)).one_or_none()
            if row is None:
                raise NotFound("there is no such announcement any more")
            connection.execute(announcements.delete().where(chosen))
        return Announcement(*row)
