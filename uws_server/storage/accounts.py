"""The accounts and their tokens in the database. Imports the tables and the errors; knows tokens as hashes only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TypedDict, Unpack

import sqlalchemy as sa

from uws_server.errors import Conflict, NotFound
from uws_server.storage.database import reading
from uws_server.storage.tables import accounts, drafts, jobs, tokens


@dataclass(frozen=True)
class Account:
    """An account of the server. Limits: active jobs, bytes on disk, jobs that run; None for those of the configuration.

    `roles` are words with blanks between them. `full_name` and `email` are what the person wants to be known by, '' for
    nothing. `token_hash` is the argon2 hash of a token that an earlier version of
    the server issued, '' where there is none: other tokens have a row of their own.
    """

    name: str
    token_hash: str
    is_admin: bool
    disabled: bool
    created: datetime
    max_active: int | None = None
    max_bytes: int | None = None
    roles: str = ""
    max_running: int | None = None
    full_name: str = ""
    email: str = ""


@dataclass(frozen=True)
class Token:
    """A token of an account: the name that its owner gave it, the SHA-256 of the token itself, when it was used last.

    `used` is None for one that was never used.
    """

    id: str
    account: str
    name: str
    digest: str
    created: datetime
    used: datetime | None = None


class AccountColumns(TypedDict, total=False):
    """What can be changed of an account; the type checker finds a misspelt column."""

    token_hash: str
    is_admin: bool
    disabled: bool
    max_active: int | None
    max_bytes: int | None
    roles: str
    max_running: int | None
    full_name: str
    email: str


class AccountStore:
    """All accounts of a server."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    def add(self, account: Account) -> None:
        """Store a new account.

        Raise Conflict if the name is taken, or if jobs or drafts of an earlier account of that name are left.
        """
        try:
            with self._engine.begin() as connection:
                insert(connection, account)
        except sa.exc.IntegrityError as error:
            raise Conflict(f"there is an account {account.name!r} already") from error

    def get(self, name: str) -> Account | None:
        """Return the account of that name. Return None if there is none."""
        with self._reading.connect() as connection:
            row = connection.execute(accounts.select().where(accounts.c.name == name)).one_or_none()
        return None if row is None else Account(*row)

    def keeps_earlier_tokens(self) -> bool:
        """Check whether any account has a token that an earlier version issued."""
        query = sa.select(accounts.c.name).where(accounts.c.token_hash != "").limit(1)
        with self._reading.connect() as connection:
            return connection.execute(query).first() is not None

    def list(self) -> Sequence[Account]:
        """Return every account, by name."""
        with self._reading.connect() as connection:
            return [Account(*row) for row in connection.execute(accounts.select().order_by(accounts.c.name))]

    def change(self, name: str, **columns: Unpack[AccountColumns]) -> None:
        """Change columns of an account. Raise NotFound if there is no account of that name."""
        self._change(name, accounts.update().values(**columns))

    def change_keeping_admin(self, name: str, **columns: Unpack[AccountColumns]) -> None:
        """Change columns of an account, unless nobody who is let in would be an admin then: raise Conflict.

        Raise NotFound if there is no account of that name.
        """
        admins = sa.select(accounts.c.name).where(
            accounts.c.is_admin.is_(sa.true()), accounts.c.disabled.is_(sa.false())
        )
        with self._engine.begin() as connection:
            connection.execute(admins.with_for_update()).all()  # two admins cannot take the right of each other at once
            statement = accounts.update().values(**columns).where(accounts.c.name == name)
            if connection.execute(statement).rowcount != 1:
                raise NotFound(f"no account {name[:64]!r}")
            if connection.execute(admins.limit(1)).first() is None:
                raise Conflict(f"{name} is the last admin who is let in: make another account an admin first")

    def remove(self, name: str) -> None:
        """Remove an account with its tokens; its jobs stay. Raise NotFound if there is no account of that name."""
        self._change(name, accounts.delete())

    # --- tokens ----------------------------------------------------------------------------------------

    def add_token(self, token: Token) -> None:
        """Store a new token. Raise NotFound if there is no account of its name."""
        try:
            with self._engine.begin() as connection:
                connection.execute(tokens.insert().values(asdict(token)))
        except sa.exc.IntegrityError as error:
            raise NotFound(f"no account {token.account[:64]!r}") from error

    def by_token(self, digest: str) -> tuple[Account, Token] | None:
        """Return the account and the token of a digest. Return None if there is none."""
        query = sa.select(accounts, tokens).join(tokens, tokens.c.account == accounts.c.name)
        with self._reading.connect() as connection:
            row = connection.execute(query.where(tokens.c.digest == digest)).one_or_none()
        if row is None:
            return None
        width = len(accounts.c)
        return Account(*row[:width]), Token(*row[width:])

    def tokens_of(self, name: str) -> Sequence[Token]:
        """Return the tokens of an account, the oldest first."""
        query = tokens.select().where(tokens.c.account == name).order_by(tokens.c.created, tokens.c.id)
        with self._reading.connect() as connection:
            return [Token(*row) for row in connection.execute(query)]

    def note_use(self, token_id: str, when: datetime) -> None:
        """Note when a token was used."""
        with self._engine.begin() as connection:
            connection.execute(tokens.update().where(tokens.c.id == token_id).values(used=when))

    def revoke(self, name: str, token_id: str) -> None:
        """Delete a token of an account, and its sessions. Raise NotFound if the account has none of that id."""
        statement = tokens.delete().where(tokens.c.id == token_id, tokens.c.account == name)
        with self._engine.begin() as connection:
            if connection.execute(statement).rowcount != 1:
                raise NotFound(f"account {name[:64]!r} has no token {token_id[:16]!r}")

    def revoke_all(self, name: str) -> None:
        """Delete all tokens of an account, and its sessions. Raise NotFound if there is no account of that name."""
        others = tokens.delete().where(tokens.c.account == name)
        self._change(name, accounts.update().values(token_hash=""), others)

    def _change(self, name: str, statement: sa.Update | sa.Delete, *more: sa.Delete) -> None:
        """Change one account, and what hangs on it, together. Raise NotFound if there is no account of that name."""
        with self._engine.begin() as connection:
            for each in more:
                connection.execute(each)
            if connection.execute(statement.where(accounts.c.name == name)).rowcount != 1:
                raise NotFound(f"no account {name[:64]!r}")


def insert(connection: sa.Connection, account: Account) -> None:
    """Store a new account within a transaction. Raise Conflict if an earlier one of its name left jobs or drafts.

    The database raises IntegrityError if there is one of that name.
    """
    connection.execute(accounts.insert().values(asdict(account)))
    if left := _left(connection, account.name):
        raise Conflict(
            f"an earlier account {account.name!r} left {left}, which a new one of that name would own: "
            "choose another name, or have an admin delete them first"
        )


def _left(connection: sa.Connection, name: str) -> str:
    """Return what there is of somebody of that name, in words; '' for nothing."""
    owned = (("jobs", jobs.c.owner), ("drafts of definitions", drafts.c.author))
    counts = [(what, sa.select(sa.func.count()).where(owner == name)) for what, owner in owned]
    return " and ".join(
        f"{found} {what}" for what, query in counts if (found := connection.execute(query).scalar_one())
    )
