"""The sessions of browsers in the database, by the hash of their secret. Imports the tables and the accounts."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from uws_server.storage.accounts import Account
from uws_server.storage.database import reading
from uws_server.storage.tables import accounts, sessions, tokens


class SessionStore:
    """All sessions of a server."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    def add(self, digest: str, token_id: str, created: datetime, expires: datetime) -> None:
        """Store a new session that was begun with a token, and delete those that are over."""
        with self._engine.begin() as connection:
            connection.execute(sessions.delete().where(sessions.c.expires <= created))
            connection.execute(
                sessions.insert().values(digest=digest, token_id=token_id, created=created, expires=expires)
            )

    def find(self, digest: str, now: datetime) -> tuple[Account, str] | None:
        """Return the account that a session is of, and the id of its token. Return None if it is none, or over."""
        query = sa.select(accounts, tokens.c.id).join(tokens, tokens.c.account == accounts.c.name).join(sessions)
        query = query.where(sessions.c.digest == digest, sessions.c.expires > now)
        with self._reading.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else (Account(*row[:-1]), row[-1])

    def remove(self, digest: str) -> None:
        """Delete a session, if it exists."""
        with self._engine.begin() as connection:
            connection.execute(sessions.delete().where(sessions.c.digest == digest))
