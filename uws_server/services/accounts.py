"""Accounts and their tokens, each of which is shown once and kept as a hash only. Imports storage and the errors.

A token is 192 random bits, so that a plain SHA-256 keeps it and finds it: checking a wrong one costs next to nothing,
and a right one is let in however many wrong ones come from the same address. Earlier versions kept the argon2 hash of
the one token of an account; it becomes a row like the others when that token is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Unpack

from uws_server.errors import BadRequest, NotFound, TooMany, Unauthorized
from uws_server.jobs.job import utcnow
from uws_server.services.rights import Caller
from uws_server.storage.accounts import Account, AccountColumns, AccountStore, Token

if TYPE_CHECKING:
    from uws_server.services.earlier_tokens import EarlierTokens

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,63}(?<!\.)")
NAMES = "1 to 64 letters, digits, '_', '-', '+', '@' and '.', such as a mail address"
"""What the name of an account may be, in words."""
_TOKEN_NAME = re.compile(r"[^\W_](?:[\w .,@()/+-]{0,62}[\w.)])?")
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_MOST_ROLES = 100
_MOST_TOKENS = 50
_MOST_REMEMBERED = 10_000
_MINUTE_S = 60.0
_MOST_WRONG = 20
"""Wrong tokens from one address in a minute; further wrong ones are answered with 429."""
_USE_NOTED = timedelta(hours=1)
"""How exactly it is noted when a token was used last: a write for each request would cost more than the request."""


@dataclass(frozen=True)
class SignedIn:
    """Somebody who is let in, and the id of the token, or of the identity of a provider, that was shown for it."""

    caller: Caller
    token_id: str = ""
    identity_id: str = ""


class Accounts:
    """The accounts of a server."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store
        self._wrong: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def create(
        self,
        name: str,
        is_admin: bool = False,
        max_active: int | None = None,
        max_bytes: int | None = None,
        roles: Iterable[str] = (),
        max_running: int | None = None,
    ) -> str:
        """Create an account and return its token, which is kept nowhere. Raise BadRequest or Conflict for its name."""
        if not _NAME.fullmatch(name):
            raise BadRequest(f"name: {name[:80]!r} is not {NAMES}")
        words = _roles(roles)
        self._store.add(Account(name, "", is_admin, False, utcnow(), max_active, max_bytes, words, max_running))
        return self._new_token(name, "first token")

    def change(self, name: str, **columns: Unpack[AccountColumns]) -> None:
        """Change limits and rights of an account. Raise NotFound if there is none of that name."""
        self._store.change(name, **columns)

    def change_rights(self, name: str, **columns: Unpack[AccountColumns]) -> None:
        """Change who is let in and who is an admin. Raise Conflict if that was the last admin, NotFound for nobody."""
        self._store.change_keeping_admin(name, **columns)

    def set_roles(self, name: str, roles: Iterable[str]) -> None:
        """Give an account these roles and no others."""
        self._store.change(name, roles=_roles(roles))

    def renew(self, name: str) -> str:
        """Give an account a new token and return it; all others are void, and browsers signed out."""
        self._store.revoke_all(name)
        return self._new_token(name, "first token")

    def all(self) -> Sequence[Account]:
        """Return every account, by name."""
        return self._store.list()

    def get(self, name: str) -> Account:
        """Return an account. Raise NotFound if there is none of that name."""
        account = self._store.get(name)
        if account is None:
            raise NotFound(f"no account {name[:64]!r}")
        return account

    def caller(self, name: str | None) -> Caller:
        """Return an account as a caller, for what is done for it later; nobody for None, and for one that is gone."""
        account = None if name is None else self._store.get(name)
        return Caller(name) if account is None else caller_of(account)

    def remove(self, name: str) -> None:
        """Remove an account; its jobs stay, for admins to see, and its name is not given again while there are any."""
        self._store.remove(name)

    # --- tokens ----------------------------------------------------------------------------------------

    def tokens(self, name: str) -> Sequence[Token]:
        """Return the tokens of an account, the oldest first."""
        return self._store.tokens_of(name)

    def make_token(self, name: str, label: str) -> str:
        """Make a further token of an account, with a name for it, and return it. Raise BadRequest for that name."""
        if not _TOKEN_NAME.fullmatch(label):
            raise BadRequest(
                f"name: {label[:80]!r} is no name for a token: 1 to 64 letters, digits, blanks and .,@()/+-"
            )
        taken = [token.name for token in self._store.tokens_of(name)]
        if label in taken:
            raise BadRequest(f"name: there is a token {label!r} already; give it another name, or revoke that one")
        if len(taken) >= _MOST_TOKENS:
            raise BadRequest(
                f"you have {len(taken)} tokens, {_MOST_TOKENS} are allowed: revoke those you no longer use"
            )
        return self._new_token(name, label)

    def revoke(self, name: str, token_id: str, is_needed: bool = True) -> None:
        """Make a token of an account void, and sign out the browsers that signed in with it.

        Raise NotFound if the account has none of that id, BadRequest for the last one if one is needed to sign in.
        """
        if is_needed and [token.id for token in self._store.tokens_of(name)] == [token_id]:
            raise BadRequest("this is your only token: without it you could not sign in; make another one first")
        self._store.revoke(name, token_id)

    def _new_token(self, name: str, label: str) -> str:
        token = secrets.token_urlsafe(24)
        self._store.add_token(Token(secrets.token_hex(8), name, label, digest_of(token), utcnow()))
        return token

    # --- signing in ------------------------------------------------------------------------------------

    def check(self, name: str, token: str, address: str) -> SignedIn:
        """Return the caller that a name and a token stand for. Raise Unauthorized if they do not go together.

        Raise TooMany for a wrong token from an address from which too many came in the last minute.
        """
        found = self._store.by_token(digest_of(token))
        if found is None or found[0].name != name:
            found = self._of_earlier_version(name, token, address)
        if found is None or found[0].disabled:
            with self._lock:
                self._wrong.setdefault(address, []).append(time.monotonic())
            raise Unauthorized("the name and the token do not go together")
        account, used = found
        now = utcnow()
        if used.used is None or now - used.used > _USE_NOTED:
            self._store.note_use(used.id, now)
        return SignedIn(caller_of(account), used.id)

    def _of_earlier_version(self, name: str, token: str, address: str) -> tuple[Account, Token] | None:
        """Return the account whose one token an earlier version issued, and that token. Return None if it is wrong.

        While any account has such a token an argon2 hash is checked for every wrong one, because how long it takes must
        not tell which names there are, until so many came from an address that only those accounts are worth it.
        """
        account = self._store.get(name) if _NAME.fullmatch(name) else None
        kept = account.token_hash if account else ""
        impatient = self._has_guessed(address)
        is_checked = bool(kept) or (not impatient and self._store.keeps_earlier_tokens())
        is_right = is_checked and self._earlier.fits(kept, token)
        if account is None or not kept or not is_right:
            if impatient:
                raise TooMany("too many wrong tokens came from your address: try again in a minute")
            return None
        label = "token of an earlier version"
        with contextlib.suppress(NotFound):  # another request was faster
            self._store.add_token(Token(secrets.token_hex(8), name, label, digest_of(token), utcnow()))
        self._store.change(name, token_hash="")
        return self._store.by_token(digest_of(token))

    @cached_property
    def _earlier(self) -> EarlierTokens:
        from uws_server.services.earlier_tokens import EarlierTokens  # not before a token is wrong, or an old one comes

        return EarlierTokens()

    def _has_guessed(self, address: str) -> bool:
        """Check whether so many wrong tokens came from an address in the last minute that it has to wait."""
        now = time.monotonic()
        with self._lock:
            if len(self._wrong) >= _MOST_REMEMBERED:
                self._wrong.clear()
            recent = [then for then in self._wrong.pop(address, []) if now - then < _MINUTE_S]
            if recent:
                self._wrong[address] = recent
        return len(recent) >= _MOST_WRONG


def caller_of(account: Account) -> Caller:
    """Return the caller that an account stands for."""
    roles = frozenset(account.roles.split())
    return Caller(
        account.name, account.is_admin, max_active=account.max_active, max_bytes=account.max_bytes, roles=roles
    )


def digest_of(token: str) -> str:
    """Return what is kept of a token or of a session's secret."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


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
