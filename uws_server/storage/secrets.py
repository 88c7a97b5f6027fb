"""The secrets of accounts in the database, encrypted (Fernet of `cryptography`). Imports the tables and the errors.

The key is in a file outside the database, which no backup has: who gets hold of one of the two has nothing. What is
encrypted names its owner and itself, so that a row that was moved to another account is none of that account's.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from uws_server.errors import Conflict, NotFound
from uws_server.jobs.job import utcnow
from uws_server.storage.database import reading
from uws_server.storage.keyfile import read_secret
from uws_server.storage.tables import owner_secrets


class KeptSecret(NamedTuple):
    """A secret of an account: its name, and when it was set. Its value is for jobs only."""

    name: str
    changed: datetime


class SecretStore:
    """The secrets of accounts; `key_file` is made when the first secret is kept."""

    def __init__(self, engine: sa.Engine, key_file: Path) -> None:
        self._engine, self._reading, self._key_file = engine, reading(engine), key_file

    def names(self, owner: str) -> list[KeptSecret]:
        """Return the secrets of an account, by name."""
        query = sa.select(owner_secrets.c.name, owner_secrets.c.changed).where(owner_secrets.c.owner == owner)
        with self._reading.connect() as connection:
            return [KeptSecret(*row) for row in connection.execute(query.order_by(owner_secrets.c.name))]

    def value(self, owner: str, name: str) -> bytes | None:
        """Return a secret of an account. Return None if it has none of that name, or its key is no longer there."""
        query = sa.select(owner_secrets.c.value).where(owner_secrets.c.owner == owner, owner_secrets.c.name == name)
        with self._reading.connect() as connection:
            kept = connection.execute(query).scalar()
        return None if kept is None else self._decrypted(owner, name, kept)

    def put(self, owner: str, name: str, value: str, most: int) -> None:
        """Set or replace a secret of an account. Raise Conflict for more than so many."""
        kept = {"value": self._encrypted(owner, name, value), "changed": utcnow()}
        own = owner_secrets.c.owner == owner
        with self._engine.begin() as connection:
            if connection.execute(
                owner_secrets.update().where(own, owner_secrets.c.name == name).values(kept)
            ).rowcount:
                return
            if connection.execute(sa.select(sa.func.count()).where(own)).scalar_one() >= most:
                raise Conflict(f"secrets: the account has {most} already, and may have no more; delete one")
            connection.execute(owner_secrets.insert().values(owner=owner, name=name, **kept))

    def delete(self, owner: str, name: str) -> None:
        """Delete a secret of an account. Raise NotFound if it has none of that name."""
        gone = owner_secrets.delete().where(owner_secrets.c.owner == owner, owner_secrets.c.name == name)
        with self._engine.begin() as connection:
            if connection.execute(gone).rowcount != 1:
                raise NotFound(f"the account has no secret {name[:64]!r}")

    def _encrypted(self, owner: str, name: str, value: str) -> str:
        from cryptography.fernet import Fernet  # not before there is a secret: it takes memory from a server without

        content = json.dumps([owner, name, value]).encode()
        return Fernet(self._key()).encrypt(content).decode("ascii")

    def _decrypted(self, owner: str, name: str, kept: str) -> bytes | None:
        from cryptography.fernet import Fernet, InvalidToken

        try:
            of_owner, of_name, value = json.loads(Fernet(self._key()).decrypt(kept))
        except InvalidToken:  # encrypted with another key
            return None
        return str(value).encode() if (of_owner, of_name) == (owner, name) else None

    def _key(self) -> bytes:
        return base64.urlsafe_b64encode(read_secret(self._key_file))
