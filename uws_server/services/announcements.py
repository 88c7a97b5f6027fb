"""What admins tell everybody on top of each page, such as the next downtime. Imports storage and the rights."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from uws_server.errors import BadRequest, Forbidden, Unauthorized
from uws_server.jobs.job import utcnow
from uws_server.jobs.times import read_time
from uws_server.services.rights import Caller
from uws_server.storage.announcements import Announcement, AnnouncementStore
from uws_server.storage.audit import AuditStore

__all__ = ["LONGEST", "Announcement", "Announcements"]

LONGEST = 500
MOST = 50


class Needs(Protocol):
    """The parts of a server that announcements need."""

    announcements: AnnouncementStore
    audit: AuditStore


class Announcements:
    """The announcements of a server, for one caller."""

    def __init__(self, needs: Needs, caller: Caller) -> None:
        self._needs, self._caller = needs, caller

    def now(self) -> Sequence[Announcement]:
        """Return those that are shown now; none while the database does not answer, which others tell.

        No right is checked: they are for everybody.
        """
        try:
            return self._needs.announcements.at(utcnow())
        except Exception:  # noqa: BLE001 - a page or document that says what failed must not fail for this
            return ()

    def all(self) -> Sequence[Announcement]:
        """Return every one, the one that starts last first."""
        self.require_admin()
        return self._needs.announcements.all()

    def create(self, text: str, starts: str, ends: str) -> Announcement:
        """Announce a text between two times, '' for now and for until it is removed. Raise BadRequest."""
        self.require_admin()
        words = " ".join(text.split())
        if not words or len(words) > LONGEST:
            raise BadRequest(f"text: {len(words):,} characters came; 1 to {LONGEST} are allowed")
        now = utcnow()
        begin, end = _time("from", starts) or now, _time("until", ends)
        if end is not None and end <= max(begin, now):
            raise BadRequest("until: a time after the beginning, and not over yet, is expected")
        if len(self._needs.announcements.all()) >= MOST:
            raise BadRequest(f"there are {MOST} announcements, as many as are allowed: remove some first")
        made = Announcement(secrets.token_hex(8), words, begin, end, self._caller.name or "")
        self._needs.announcements.add(made)
        self._needs.audit.add(made.author, "", f"announced: {words}")
        return made

    def remove(self, announcement_id: str) -> None:
        """Remove one. Raise NotFound if there is none of that id."""
        self.require_admin()
        removed = self._needs.announcements.remove(announcement_id)
        self._needs.audit.add(self._caller.name or "", "", f"announced no longer: {removed.text}")

    def require_admin(self) -> None:
        """Raise Unauthorized or Forbidden if the caller is no admin."""
        rule = "announcements are made by admins"
        if not self._caller.is_admin:
            raise Unauthorized(f"{rule}: sign in") if self._caller.name is None else Forbidden(rule)


def _time(field: str, text: str) -> datetime | None:
    if not text.strip():
        return None
    try:
        return read_time(text)
    except ValueError as error:
        raise BadRequest(f"{field}: {error}") from error
