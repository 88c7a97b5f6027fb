"""What was done with accounts and announcements, and by whom. Imports the tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from uws_server.jobs.job import utcnow
from uws_server.storage.database import reading
from uws_server.storage.people_tables import audit


class AuditEntry(NamedTuple):
    """Something that was done: when, by whom ('' for the command and the server itself), to which account, what."""

    number: int
    moment: datetime
    who: str
    subject: str
    what: str


class AuditStore:
    """The log of a server's accounts; nothing is ever taken out of it."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine, self._reading = engine, reading(engine)

    def add(self, who: str, subject: str, what: str) -> None:
        """Note something that was done now."""
        with self._engine.begin() as connection:
            connection.execute(audit.insert().values(moment=utcnow(), who=who, subject=subject, what=what))

    def page(self, subject: str, first: int, most: int) -> Sequence[AuditEntry]:
        """Return the entries from one on, the newest first; with a subject, those about it only."""
        query = sa.select(audit).order_by(audit.c.number.desc()).offset(first).limit(most)
        if subject:
            query = query.where(audit.c.subject == subject)
        with self._reading.connect() as connection:
            return [AuditEntry(*row) for row in connection.execute(query)]
