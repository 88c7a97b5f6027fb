"""Signing in at the configured provider: which account somebody has there. Imports the provider and storage.

An account belongs to what never changes of a person there, issuer and subject. Name, mail address and groups may change
and be given to others: an account is named after them, none is ever found by them.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from uws_server.config import Config
from uws_server.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthorized
from uws_server.jobs.job import utcnow
from uws_server.oidc.attempt import Attempt, Sealing
from uws_server.oidc.person import Person
from uws_server.oidc.settings import roles_of_groups
from uws_server.services.accounts import Accounts, SignedIn, caller_of
from uws_server.services.rights import Caller
from uws_server.services.sessions import Sessions
from uws_server.storage.accounts import Account
from uws_server.storage.audit import AuditStore
from uws_server.storage.identities import Identity, IdentityStore

if TYPE_CHECKING:
    from uws_server.oidc.provider import Provider

LOG = logging.getLogger(__name__)
_MOST_NAMES = 99
_LONGEST_PLACE = 2400
"""Characters of an address to go on to: a browser keeps no cookie of more than 4096 bytes."""
CALLBACK = "/login/oidc/callback"
"""Where the provider sends people back to, below the base URL."""


class Needs(Protocol):
    """The parts of a server that sign people in."""

    config: Config
    accounts: Accounts
    sessions: Sessions
    identities: IdentityStore
    audit: AuditStore
    provider: Provider | None
    sealing: Sealing


@dataclass(frozen=True)
class Begun:
    """The way to the provider: its address, and what the browser has to keep until it is back."""

    address: str
    cookie: str


@dataclass(frozen=True)
class Entered:
    """Somebody who came back: the secret of the new session, and where to go on to."""

    secret: str
    place: str


class ProviderSignIn:
    """What one caller does at the provider."""

    def __init__(self, needs: Needs, caller: Caller) -> None:
        self._needs, self._caller = needs, caller

    @property
    def name(self) -> str:
        """Return what people call the provider; '' if the server has none."""
        return self._needs.provider.name if self._needs.provider else ""

    def begin(self, place: str, connects: str = "") -> Begun:
        """Return the way to the provider, for whoever it is, or to connect the account of that name.

        Raise NotFound if the server has no provider, Unavailable if that does not answer.
        """
        attempt = Attempt.begun(place if len(place) <= _LONGEST_PLACE else "", connects)
        return Begun(self._provider().address(attempt), self._needs.sealing.seal(attempt))

    def begin_to_connect(self, place: str) -> Begun:
        """Return the way on which the caller's own account is connected. Raise Unauthorized for nobody's."""
        if self._caller.name is None:
            raise Unauthorized("an account is connected by whoever is signed in with it: sign in")
        return self.begin(place, self._caller.name)

    def finish(self, cookie: str, answer: Mapping[str, str]) -> Entered:
        """Sign somebody in who came back from the provider with its answer.

        Raise Unauthorized or Forbidden if that is nobody who may enter, Conflict if the person has another account,
        Unavailable if the provider does not answer.
        """
        provider = self._provider()
        attempt = self._needs.sealing.open(cookie)
        person = provider.person(attempt, answer)
        self._require_entry(person)
        account, identity = self._connected(person, attempt) if attempt.account else self._known(person)
        if account.disabled:
            raise Forbidden(f"the account {account.name} is disabled: ask an admin of this server")
        self._needs.identities.note_use(identity.id, person.label, utcnow())
        self._give_roles(account, person)
        secret = self._needs.sessions.begin(SignedIn(caller_of(account), identity_id=identity.id))
        return Entered(secret, attempt.place)

    def place(self, cookie: str) -> str:
        """Return where a try would have gone on to; '' if it cannot be told any more."""
        try:
            return self._needs.sealing.open(cookie).place
        except Unauthorized:
            return ""

    def logout_address(self) -> str:
        """Return where one signs out of the provider, too; '' if it has no such page."""
        return self._needs.provider.logout_address() if self._needs.provider else ""

    # --- parts -----------------------------------------------------------------------------------------

    def _provider(self) -> Provider:
        if self._needs.provider is None:
            raise NotFound("this server has no provider: people sign in with tokens: no provider is configured")
        return self._needs.provider

    def _require_entry(self, person: Person) -> None:
        groups = self._needs.config.oidc.entry_groups
        if groups and person.groups.isdisjoint(groups):
            raise Forbidden(
                f"{self.name} knows you as {person.label}, who is in no group that may use this server: ask one of its "
                "admins"
            )

    def _connected(self, person: Person, attempt: Attempt) -> tuple[Account, Identity]:
        """Return the account that the caller connects, with the new identity."""
        if self._caller.name != attempt.account:
            raise Unauthorized(f"the account {attempt.account} was signed out meanwhile: sign in, and connect it again")
        found = self._needs.identities.find(person.issuer, person.subject)
        if found is not None and found[0].name != attempt.account:
            raise Conflict(
                f"{person.label} has another account here, {found[0].name}: sign out, and in with {self.name}"
            )
        if found is None:
            self._needs.identities.add(_identity(person, attempt.account))
        return self._known(person)

    def _known(self, person: Person) -> tuple[Account, Identity]:
        """Return the account of a person, which is made now if it is to be."""
        found = self._needs.identities.find(person.issuer, person.subject)
        if found is not None:
            return found
        if not self._needs.config.oidc.new_accounts:
            raise Forbidden(
                f"{self.name} knows you as {person.label}, who has no account here: ask an admin for one, sign in with "
                f"its token, and connect it with {self.name} on the page of the account"
            )
        self._make(person)
        return self._known(person)

    def _make(self, person: Person) -> None:
        """Make an account for a person, unless another request was faster; its name is nobody else's."""
        for name in _names(person.wish):
            if self._needs.identities.is_taken(name):
                continue
            account = Account(name, "", False, False, utcnow(), full_name=person.full_name, email=person.email)
            try:
                self._needs.identities.add_with_account(account, _identity(person, name))
            except Conflict:
                if self._needs.identities.find(person.issuer, person.subject) is not None:
                    return
            else:
                LOG.info("account %s was made for %s of %s", name, person.subject, person.issuer)
                self._needs.audit.add("", name, f"made for {person.label}, who signed in with {self.name}")
                return

    def _give_roles(self, account: Account, person: Person) -> None:
        """Give an account the roles of its groups, and take away those of groups that the person is not in any more."""
        by_group = roles_of_groups(self._needs.config.oidc)
        roles = set(account.roles.split())
        given = {role for group, role in by_group.items() if group in person.groups}
        wanted = (roles - set(by_group.values())) | given
        if wanted == roles:
            return
        try:
            self._needs.accounts.set_roles(account.name, wanted)
            self._needs.audit.add("", account.name, f"roles by groups: {', '.join(sorted(wanted)) or 'none'}")
        except BadRequest as error:
            LOG.error("the groups of %s give it no roles: %s", account.name, error)


def _identity(person: Person, account: str) -> Identity:
    now = utcnow()
    return Identity(secrets.token_hex(8), person.issuer, person.subject, account, person.label, now, now)


def _names(wish: str) -> Iterator[str]:
    """Return names for an account, the nicest first; the last of them is certainly nobody's."""
    yield wish
    yield from (f"{wish}-{number}" for number in range(2, _MOST_NAMES))
    yield f"{wish}-{secrets.token_hex(6)}"
