"""Transactions beside which no other one of their kind is open, in any server process on the database."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator

import sqlalchemy as sa

QUEUE = "queue"
"""The lock under which jobs are taken from the queue."""
_SPACE = 0x757773
"""What the locks of PostgreSQL that are ours begin with: 'uws'."""

# PostgreSQL takes the query of the heads of the queue for a costly one, and to compile it takes 500 times as long as to
# execute it; where many jobs were queued since it counted its rows, it would sort them all to find the first.
_STEADY = [
    sa.func.set_config(name, "off", sa.true()) for name in ("jit", "enable_sort", "enable_bitmapscan", "enable_seqscan")
]


def of_owner(owner: str | None) -> str:
    """Return the lock under which what an owner has is counted against a limit."""
    return f"owner {owner or ''}"


@contextlib.contextmanager
def alone(engine: sa.Engine, lock: str) -> Iterator[sa.Connection]:
    """Yield a connection in a transaction, once no other one has the lock; what others committed by then is seen.

    SQLite knows one lock for all: nobody else writes meanwhile. The transaction must not wait for another connection.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            number = zlib.crc32(lock.encode()) - (1 << 31)  # an int of 32 bits with sign
            lock_of_transaction = sa.func.pg_advisory_xact_lock(_SPACE, sa.cast(number, sa.Integer))
            connection.execute(sa.select(lock_of_transaction, *_STEADY))
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection
