"""The sessions of browsers: who signed in with the form needs the token once. Imports the accounts and storage.

The browser keeps a random secret in a cookie, the database its SHA-256. A session ends when its time is over, when the
browser signs out, with the token or the identity that it was begun with, and with the account.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta

from uws_server.jobs.job import utcnow
from uws_server.services.accounts import SignedIn, caller_of, digest_of
from uws_server.storage.sessions import SessionStore

LIFETIME = timedelta(days=14)
"""The time after which a browser has to sign in again."""


class Sessions:
    """The sessions of a server."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    def begin(self, signed_in: SignedIn) -> str:
        """Begin a session of somebody who was let in, and return its secret, which is kept nowhere."""
        secret = secrets.token_urlsafe(32)
        now = utcnow()
        self._store.add(digest_of(secret), signed_in.token_id, signed_in.identity_id, now, now + LIFETIME)
        return secret

    def find(self, secret: str) -> SignedIn | None:
        """Return who a session is of. Return None if it is none, or over, or its account disabled."""
        found = self._store.find(digest_of(secret), utcnow()) if secret else None
        if found is None or found[0].disabled:
            return None
        return SignedIn(replace(caller_of(found[0]), by_session=True), *found[1:])

    def end(self, secret: str) -> None:
        """End a session, if it exists."""
        self._store.remove(digest_of(secret))
