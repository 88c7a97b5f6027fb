"""Accounts: each has a token that is shown once and kept as an argon2 hash only. Imports storage and the errors.

Checking a hash takes tens of milliseconds on purpose. A token that was found right is therefore remembered, by its
digest, together with the hash it fits: as long as the account has that hash, a client pays once, not at every request.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
from collections.abc import Iterable, Sequence

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from uws_server.errors import BadRequest, TooMany, Unauthorized
from uws_server.jobs.job import utcnow
from uws_server.services.rights import Caller
from uws_server.storage.accounts import Account, AccountStore

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_@-]{0,63}")
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_MOST_ROLES = 100
_MOST_REMEMBERED = 10_000
_MINUTE_S = 60.0
_MOST_WRONG = 20
"""Wrong tokens from one address in a minute; after so many, only tokens that were found right before are accepted."""
_MOST_AT_ONCE = 2
"""Hashes that are checked at the same time: each takes 64 MiB and all the cores there are."""


class Accounts:
    """The accounts of a server."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store
        self._hasher = PasswordHasher()
        self._found: dict[bytes, str] = {}
        self._wrong: dict[str, list[float]] = {}
        self._lock = threading.Lock()
        self._checking = threading.BoundedSemaphore(_MOST_AT_ONCE)
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    def create(
        self,
        name: str,
        is_admin: bool = False,
        max_active: int | None = None,
        max_bytes: int | None = None,
        roles: Iterable[str] = (),
    ) -> str:
        """Create an account and return its token, which is kept nowhere. Raise BadRequest or Conflict for its name."""
        if not _NAME.fullmatch(name):
            raise BadRequest(f"name: {name[:80]!r} is not 1 to 64 letters, digits, '_', '-' and '@'")
        words = _roles(roles)
        token = secrets.token_urlsafe(24)
        self._store.add(
            Account(
                name=name,
                token_hash=self._hasher.hash(token),
                is_admin=is_admin,
                disabled=False,
                created=utcnow(),
                max_active=max_active,
                max_bytes=max_bytes,
                roles=words,
            )
        )
        return token

    def set_roles(self, name: str, roles: Iterable[str]) -> None:
        """Give an account these roles and no others."""
        self._store.set_roles(name, _roles(roles))

    def renew(self, name: str) -> str:
        """Give an account a new token and return it; the old one is void."""
        token = secrets.token_urlsafe(24)
        self._store.set_token_hash(name, self._hasher.hash(token))
        return token

    def all(self) -> Sequence[Account]:
        """Return every account, by name."""
        return self._store.list()

    def remove(self, name: str) -> None:
        """Remove an account; its jobs stay, for admins to see."""
        self._store.remove(name)

    def check(self, name: str, token: str, address: str) -> Caller:
        """Return the caller that a name and a token stand for. Raise Unauthorized if they do not go together.

        Raise TooMany for an address from which too many wrong tokens came in the last minute.
        """
        account = self._store.get(name) if _NAME.fullmatch(name) else None
        if account is None or not self._is_remembered(account.token_hash, name, token):
            self._require_patience(address)  # only of those who guess: behind one address there may be others
        # a hash is checked for an unknown name too: how long it takes must not tell which names there are
        right = self._fits(account.token_hash if account else self._nobody, name, token)
        if not right or account is None or account.disabled:
            with self._lock:
                self._wrong.setdefault(address, []).append(time.monotonic())
            raise Unauthorized("the name and the token do not go together")
        roles = frozenset(account.roles.split())
        return Caller(account.name, account.is_admin, None, "", account.max_active, account.max_bytes, roles)

    def _require_patience(self, address: str) -> None:
        now = time.monotonic()
        with self._lock:
            if len(self._wrong) >= _MOST_REMEMBERED:
                self._wrong.clear()
            recent = [then for then in self._wrong.pop(address, []) if now - then < _MINUTE_S]
            if recent:
                self._wrong[address] = recent
        if len(recent) >= _MOST_WRONG:
            raise TooMany("too many wrong tokens came from your address: try again in a minute")

    def _fits(self, token_hash: str, name: str, token: str) -> bool:
        if self._is_remembered(token_hash, name, token):
            return True
        try:
            with self._checking:
                self._hasher.verify(token_hash, token)
        except VerifyMismatchError:
            return False
        with self._lock:
            if len(self._found) >= _MOST_REMEMBERED:
                self._found.clear()
            self._found[_digest(name, token)] = token_hash
        return True

    def _is_remembered(self, token_hash: str, name: str, token: str) -> bool:
        """Check whether a token was found right before, and the account has had no other since."""
        with self._lock:
            return self._found.get(_digest(name, token)) == token_hash


def _digest(name: str, token: str) -> bytes:
    return hashlib.sha256(f"{name}\0{token}".encode("utf-8", "surrogatepass")).digest()


def _roles(words: Iterable[str]) -> str:
    """Return roles as an account keeps them: each once, in order, with blanks between them. Raise BadRequest."""
    roles = sorted(set(words))
    for role in roles:
        if role == "admin":
            raise BadRequest("roles: 'admin' is no role: make the account with --admin")
        if not _ROLE.fullmatch(role):
            raise BadRequest(f"roles: {role[:80]!r} is not a small letter, then small letters, digits, '_' and '-'")
    if len(roles) > _MOST_ROLES:
        raise BadRequest(f"roles: {len(roles)} came, at most {_MOST_ROLES} are allowed")
    return " ".join(roles)
