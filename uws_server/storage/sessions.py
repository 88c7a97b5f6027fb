"""The sessions of browsers in the database, by the hash of their secret. Imports the tables and the accounts."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from uws_server.storage.accounts import Account
from uws_server.storage.database import reading
from uws_server.storage.people_tables import identities
from uws_server.storage.tables import accounts, sessions, tokens

_FOUND = (
    sa.select(accounts, sessions.c.token_id, sessions.c.identity_id)
    .select_from(
        sessions.outerjoin(tokens)
        .outerjoin(identities)
        .join(accounts, accounts.c.name == sa.func.coalesce(tokens.c.account, identities.c.account))
    )
    .where(sessions.c.digest == sa.bindparam("digest"), sessions.c.expires > sa.bindparam("now"))
)
"""The account of a session: made once, since each request of a browser that is signed in asks for it."""


class SessionStore:
    """All sessions of a server."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    def add(self, digest: str, token_id: str, identity_id: str, created: datetime, expires: datetime) -> None:
        """Store a new session that was begun with a token or an identity ('' for the other), and delete those over."""
        begun = {"token_id": token_id or None, "identity_id": identity_id or None}
        with self._engine.begin() as connection:
            connection.execute(sessions.delete().where(sessions.c.expires <= created))
            connection.execute(sessions.insert().values(digest=digest, created=created, expires=expires, **begun))

    def find(self, digest: str, now: datetime) -> tuple[Account, str, str] | None:
        """Return the account that a session is of, and the ids of its token and its identity, '' for none.

        Return None if it is none, or over.
        """
        with self._reading.connect() as connection:
            row = connection.execute(_FOUND, {"digest": digest, "now": now}).one_or_none()
        return None if row is None else (Account(*row[:-2]), row[-2] or "", row[-1] or "")

    def remove(self, digest: str) -> None:
        """Delete a session, if it exists."""
        with self._engine.begin() as connection:
            connection.execute(sessions.delete().where(sessions.c.digest == digest))
