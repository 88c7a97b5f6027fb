"""The people of a provider of OpenID Connect and the accounts that they have. Imports the tables and the accounts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa

from uws_server.errors import Conflict, NotFound
from uws_server.storage.accounts import Account, insert
from uws_server.storage.database import reading
from uws_server.storage.people_tables import identities
from uws_server.storage.tables import accounts


@dataclass(frozen=True)
class Identity:
    """A person of a provider, who has an account: `subject` never changes at the provider, `label` may."""

    id: str
    issuer: str
    subject: str
    account: str
    label: str
    created: datetime
    used: datetime


class IdentityStore:
    """All identities of a server."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)

    def find(self, issuer: str, subject: str) -> tuple[Account, Identity] | None:
        """Return the account of a person, and the identity. Return None for somebody who has none."""
        query = sa.select(accounts, identities).join(identities, identities.c.account == accounts.c.name)
        query = query.where(identities.c.issuer == issuer, identities.c.subject == subject)
        with self._reading.connect() as connection:
            row = connection.execute(query).one_or_none()
        width = len(accounts.c)
        return None if row is None else (Account(*row[:width]), Identity(*row[width:]))

    def of(self, name: str) -> Sequence[Identity]:
        """Return the identities of an account, the oldest first."""
        query = identities.select().where(identities.c.account == name).order_by(identities.c.created, identities.c.id)
        with self._reading.connect() as connection:
            return [Identity(*row) for row in connection.execute(query)]

    def is_taken(self, name: str) -> bool:
        """Check whether there is an account of that name, be its letters large or small."""
        query = sa.select(sa.func.count()).select_from(accounts).where(sa.func.lower(accounts.c.name) == name.lower())
        with self._reading.connect() as connection:
            return bool(connection.execute(query).scalar_one())

    def add(self, identity: Identity) -> None:
        """Give an account an identity. Raise Conflict if the person has an account, NotFound if there is no such."""
        try:
            with self._engine.begin() as connection:
                connection.execute(identities.insert().values(asdict(identity)))
        except sa.exc.IntegrityError as error:
            if self.find(identity.issuer, identity.subject) is not None:
                raise Conflict(f"{identity.label} has an account here already") from error
            raise NotFound(f"no account {identity.account[:64]!r}") from error

    def add_with_account(self, account: Account, identity: Identity) -> None:
        """Store a new account with its identity, or nothing: raise Conflict if the name or the person is taken."""
        try:
            with self._engine.begin() as connection:
                insert(connection, account)
                connection.execute(identities.insert().values(asdict(identity)))
        except sa.exc.IntegrityError as error:
            raise Conflict(f"there is an account {account.name!r}, or {identity.label} has one, already") from error

    def note_use(self, identity_id: str, label: str, when: datetime) -> None:
        """Note when somebody signed in, and what the provider called them."""
        with self._engine.begin() as connection:
            connection.execute(identities.update().where(identities.c.id == identity_id).values(label=label, used=when))

    def remove(self, name: str, identity_id: str) -> None:
        """Take an identity of an account away, with its sessions. Raise NotFound if the account has none of that id."""
        statement = identities.delete().where(identities.c.id == identity_id, identities.c.account == name)
        with self._engine.begin() as connection:
            if connection.execute(statement).rowcount != 1:
                raise NotFound(f"account {name[:64]!r} has no identity {identity_id[:16]!r}")
