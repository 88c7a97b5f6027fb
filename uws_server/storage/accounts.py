"""The accounts in the database. Imports the tables and the errors; knows tokens as hashes only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa

from uws_server.errors import Conflict, NotFound
from uws_server.storage.tables import accounts


@dataclass(frozen=True)
class Account:
    """An account of the server. Limits: active jobs, bytes on disk; None for those of the configuration.

    `roles` are words with blanks between them.
    """

    name: str
    token_hash: str
    is_admin: bool
    disabled: bool
    created: datetime
    max_active: int | None = None
    max_bytes: int | None = None
    roles: str = ""


class AccountStore:
    """All accounts of a server."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(self, account: Account) -> None:
        """Store a new account. Raise Conflict if the name is taken."""
        try:
            with self._engine.begin() as connection:
                connection.execute(accounts.insert().values(asdict(account)))
        except sa.exc.IntegrityError as error:
            raise Conflict(f"there is an account {account.name!r} already") from error

    def get(self, name: str) -> Account | None:
        """Return the account of that name. Return None if there is none."""
        with self._engine.connect() as connection:
            row = connection.execute(accounts.select().where(accounts.c.name == name)).one_or_none()
        return None if row is None else Account(*row)

    def list(self) -> Sequence[Account]:
        """Return every account, by name."""
        with self._engine.connect() as connection:
            return [Account(*row) for row in connection.execute(accounts.select().order_by(accounts.c.name))]

    def set_token_hash(self, name: str, token_hash: str) -> None:
        """Replace the token of an account. Raise NotFound if there is no account of that name."""
        self._change(name, accounts.update().values(token_hash=token_hash))

    def set_roles(self, name: str, roles: str) -> None:
        """Replace the roles of an account (words with blanks between them).

        Raise NotFound if there is no such account.
        """
        self._change(name, accounts.update().values(roles=roles))

    def disable(self, name: str) -> None:
        """Let an account in no more. Raise NotFound if there is no account of that name."""
        self._change(name, accounts.update().values(disabled=True))

    def enable(self, name: str) -> None:
        """Let an account in again. Raise NotFound if there is no account of that name."""
        self._change(name, accounts.update().values(disabled=False))

    def remove(self, name: str) -> None:
        """Remove an account; its jobs stay. Raise NotFound if there is no account of that name."""
        self._change(name, accounts.delete())

    def _change(self, name: str, statement: sa.Update | sa.Delete) -> None:
        with self._engine.begin() as connection:
            if connection.execute(statement.where(accounts.c.name == name)).rowcount != 1:
                raise NotFound(f"no account {name[:64]!r}")
