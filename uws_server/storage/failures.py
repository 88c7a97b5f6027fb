"""Which failures of database, disk and machine pass by themselves, and what to tell a client. Imports the errors."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator

import sqlalchemy as sa

from uws_server.errors import DiskFull, ServerError, Unavailable

_FULL = (errno.ENOSPC, errno.EDQUOT)
_SHORT = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
"""No descriptor, no process and no memory is left."""
_FULL_IN_POSTGRESQL = "53100"
_BEYOND_DRIVERS = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError)
_AWAY_IN_SQLITE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_LOCKED)
_OF_PSYCOPG = frozenset({"OperationalError", "InterfaceError", "AdminShutdown", "ConnectionTimeout"})


def meaning_of(error: BaseException | None) -> ServerError | None:
    """Return the error to tell a client if the disk is full, the database does not answer or the machine is short.

    Return None for any other failure, which is a fault of the server. What an exception was raised from counts too.
    """
    found = list(_chain(error))
    if any(map(_is_full, found)):
        return DiskFull("the disk of the server is full: nothing new is stored until something is deleted")
    if any(map(_is_away, found)):
        return Unavailable("the database of the server does not answer now: try again in a moment")
    if any(map(_is_short, found)):
        return Unavailable("the server is short of files, processes or memory now: try again in a moment")
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        original = getattr(each, "orig", None)
        waiting += [each.__cause__, each.__context__, original if isinstance(original, BaseException) else None]


def _is_full(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    if isinstance(error, OSError):
        return error.errno in _FULL
    return getattr(error, "sqlstate", None) == _FULL_IN_POSTGRESQL


def _is_short(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _SHORT)


def _is_away(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        # the low byte is the kind; a table that is missing is an OperationalError, too, and a fault
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _AWAY_IN_SQLITE
    if isinstance(error, _BEYOND_DRIVERS):
        return not isinstance(getattr(error, "orig", None), sqlite3.Error)  # that one says more
    kind = type(error)
    return kind.__module__.partition(".")[0] == "psycopg" and not _OF_PSYCOPG.isdisjoint(
        base.__name__ for base in kind.__mro__
    )
