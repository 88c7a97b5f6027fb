"""Pages of the list of accounts, with what each holds and when it was seen last. Imports the tables, the accounts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from uws_server.jobs.job import moment_of
from uws_server.storage.accounts import Account
from uws_server.storage.database import reading
from uws_server.storage.people_tables import identities
from uws_server.storage.tables import LISTED, accounts, jobs, sessions, stored, tokens


@dataclass(frozen=True)
class AccountRow:
    """An account in a list: its jobs, the bytes that they hold, and when it signed in or used a token last."""

    account: Account
    jobs: int
    bytes: int
    seen: datetime | None


class AccountLists:
    """The list of all accounts of a server."""

    def __init__(self, engine: sa.Engine) -> None:
        self._reading = reading(engine)

    def page(self, text: str, first: int, most: int) -> Sequence[AccountRow]:
        """Return the accounts from one on, by name, in whose name, person or mail address a text occurs."""
        query = accounts.select().order_by(accounts.c.name).offset(first).limit(most)
        if text:
            columns = (accounts.c.name, accounts.c.full_name, accounts.c.email)
            query = query.where(sa.or_(*(column.icontains(text, autoescape=True) for column in columns)))
        with self._reading.connect() as connection:
            found = [Account(*row) for row in connection.execute(query)]
            return self._rows(connection, found)

    def row(self, name: str) -> AccountRow | None:
        """Return one account. Return None if there is none of that name."""
        with self._reading.connect() as connection:
            rows = connection.execute(accounts.select().where(accounts.c.name == name))
            return next(iter(self._rows(connection, [Account(*row) for row in rows])), None)

    def with_roles(self) -> Sequence[Account]:
        """Return the accounts that have a role, by name."""
        query = accounts.select().where(accounts.c.roles != "").order_by(accounts.c.name)
        with self._reading.connect() as connection:
            return [Account(*row) for row in connection.execute(query)]

    def _rows(self, connection: sa.Connection, found: Sequence[Account]) -> list[AccountRow]:
        names = [account.name for account in found]
        counted = sa.select(jobs.c.owner, sa.func.count()).where(jobs.c.owner.in_(names), LISTED)
        counts = {str(owner): int(count) for owner, count in connection.execute(counted.group_by(jobs.c.owner))}
        held = sa.select(stored.c.owner, stored.c.bytes).where(stored.c.owner.in_(names))
        holds = {str(owner): int(size) for owner, size in connection.execute(held)}
        seen = _seen(connection, names)
        return [
            AccountRow(account, counts.get(account.name, 0), holds.get(account.name, 0), seen.get(account.name))
            for account in found
        ]


def _seen(connection: sa.Connection, names: Sequence[str]) -> dict[str, datetime]:
    """Return when each of some accounts used a token or signed in last."""
    of_tokens = sa.select(tokens.c.account, tokens.c.used).where(
        tokens.c.account.in_(names), tokens.c.used.is_not(None)
    )
    of_people = sa.select(identities.c.account, identities.c.used).where(identities.c.account.in_(names))
    begun = sa.select(tokens.c.account, sessions.c.created).join(tokens).where(tokens.c.account.in_(names))
    times = sa.union_all(of_tokens, of_people, begun).subquery()
    name, moment = times.c
    latest = sa.select(name, sa.func.max(sa.type_coerce(moment, sa.BigInteger))).group_by(name)
    return {account: moment_of(int(last)) for account, last in connection.execute(latest)}
