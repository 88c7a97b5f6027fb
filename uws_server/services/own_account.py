"""What somebody does with an account of one's own: sign in and out, see what it holds, make and revoke its tokens.

Imports the accounts, the sessions and storage.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from uws_server.config import Config
from uws_server.errors import BadRequest, Unauthorized
from uws_server.execution import job_secrets
from uws_server.execution.job_secrets import JobSecrets
from uws_server.jobs.checks import secret_name_problem
from uws_server.services.accounts import Accounts
from uws_server.services.quotas import Quotas
from uws_server.services.rights import Caller
from uws_server.services.sessions import Sessions
from uws_server.storage.accounts import Token
from uws_server.storage.identities import Identity, IdentityStore
from uws_server.storage.jobstore import JobStore
from uws_server.storage.library import Library
from uws_server.storage.secrets import KeptSecret


class Needs(Protocol):
    """The parts of a server that an account consists of."""

    config: Config
    store: JobStore
    accounts: Accounts
    sessions: Sessions
    identities: IdentityStore
    secrets: JobSecrets
    library: Library


_LONGEST_NAME = 100
_EMAIL = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,180}[A-Za-z0-9])?")
MOST_SECRETS = 50
"""Secrets that one account may keep."""


@dataclass(frozen=True)
class Overview:
    """What an account holds, and what it may hold at most (0 for any number): jobs, active ones, bytes on disk.

    `wanted` are the names of the secrets that live definitions ask for.
    """

    jobs: int
    active: int
    most_active: int
    bytes: int
    most_bytes: int
    tokens: Sequence[Token]
    identities: Sequence[Identity]
    secrets: Sequence[KeptSecret]
    wanted: Sequence[str]

    @property
    def is_full(self) -> bool:
        """Check whether the account holds all that it may, or more."""
        return 0 < self.most_bytes <= self.bytes


class OwnAccount:
    """The account of one caller."""

    def __init__(self, needs: Needs, caller: Caller) -> None:
        self.caller = caller
        self._needs = needs

    def sign_in(self, name: str, token: str) -> str:
        """Begin a session and return its secret. Raise Unauthorized or TooMany for a wrong name or token."""
        signed_in = self._needs.accounts.check(name.strip(), token.strip(), self.caller.address)
        return self._needs.sessions.begin(signed_in)

    def sign_out(self, secret: str) -> bool:
        """End a session; nothing happens if it is none. Return whether it was begun at the provider."""
        found = self._needs.sessions.find(secret)
        self._needs.sessions.end(secret)
        return found is not None and bool(found.identity_id)

    def token_of_session(self, secret: str) -> str:
        """Return the id of the token that a session was begun with; '' if it is none."""
        found = self._needs.sessions.find(secret)
        return found.token_id if found else ""

    def overview(self) -> Overview:
        """Return what the account holds. Raise Unauthorized for a caller without one."""
        name, store = self._name(), self._needs.store
        quotas = Quotas(store, self._needs.config, self.caller)
        return Overview(
            store.job_count(name), store.active_count(name), quotas.most_active, store.stored_bytes(name),
            quotas.most_bytes, self._needs.accounts.tokens(name), self._needs.identities.of(name),
            self._needs.secrets.store.names(name), self._wanted(),
        )  # fmt: skip

    def make_token(self, label: str) -> str:
        """Make a further token with a name for it and return it, which is kept nowhere. Raise BadRequest."""
        return self._needs.accounts.make_token(self._name(), label)

    def revoke(self, token_id: str) -> None:
        """Make a token void. Raise NotFound if the account has none of that id, BadRequest for its last one.

        Who signs in at the provider, too, needs none.
        """
        name = self._name()
        self._needs.accounts.revoke(name, token_id, is_needed=not self._needs.identities.of(name))

    def disconnect(self, identity_id: str) -> None:
        """Let an identity of the provider open the account no more. Raise NotFound if the account has none of that id.

        Raise BadRequest for the last one of an account without a token.
        """
        name = self._name()
        if len(self._needs.identities.of(name)) == 1 and not self._needs.accounts.tokens(name):
            raise BadRequest("you have no token: without this you could not sign in; make a token first")
        self._needs.identities.remove(name, identity_id)

    def person(self) -> tuple[str, str]:
        """Return what the person wants to be called, and the mail address, '' where it is not told."""
        account = self._needs.accounts.get(self._name())
        return account.full_name, account.email

    def set_person(self, full_name: str, email: str) -> None:
        """Keep what the person wants to be called and a mail address, '' for none. Raise BadRequest."""
        name, words = self._name(), " ".join(full_name.split())
        if len(words) > _LONGEST_NAME or not words.isprintable():
            raise BadRequest(
                f"your name: {len(words)} characters came; up to {_LONGEST_NAME} that can be printed are allowed"
            )
        if email and not _EMAIL.fullmatch(email):
            raise BadRequest(f"the mail address: {email[:80]!r} is none; such as ann@x.org, or nothing, is expected")
        self._needs.accounts.change(name, full_name=words, email=email)

    def set_secret(self, name: str, value: str) -> None:
        """Keep a secret for the jobs of the account, in place of one of that name. Raise BadRequest or Conflict."""
        owner = self._name()
        if problem := secret_name_problem(name):
            raise BadRequest(f"name: {problem}")
        if problem := job_secrets.length_problem(value.encode()):
            raise BadRequest(f"value: {problem}")
        self._needs.secrets.store.put(owner, name, value, MOST_SECRETS)

    def delete_secret(self, name: str) -> None:
        """Delete a secret of the account. Raise NotFound if it has none of that name."""
        self._needs.secrets.store.delete(self._name(), name)

    def _wanted(self) -> list[str]:
        live = self._needs.library.by_name().values()
        return sorted({name for installed in live for name in installed.definition.control.secrets})

    def _name(self) -> str:
        if self.caller.name is None:
            raise Unauthorized("this page is for accounts: sign in")
        return self.caller.name
