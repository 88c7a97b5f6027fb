"""What admins do with accounts: look at them, make them, give roles and limits, keep them out. Imports the accounts.

Each method checks the caller's right first, and what was done is noted with who did it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from uws_server import config
from uws_server.config import Config
from uws_server.errors import BadRequest, ConfigurationError, NotFound
from uws_server.services.accounts import Accounts
from uws_server.services.rights import AUTHOR, Caller, refuse
from uws_server.storage.account_lists import AccountLists, AccountRow
from uws_server.storage.accounts import Account, AccountColumns
from uws_server.storage.audit import AuditEntry, AuditStore
from uws_server.storage.identities import Identity, IdentityStore
from uws_server.storage.library import Library

__all__ = ["Account", "AccountAdmin", "AccountDetails", "Limits", "Role"]

PER_PAGE = 50
_LONGEST_SEARCH = 100


class Needs(Protocol):
    """The parts of a server that its accounts consist of."""

    config: Config
    accounts: Accounts
    account_lists: AccountLists
    identities: IdentityStore
    audit: AuditStore
    library: Library


@dataclass(frozen=True)
class Limits:
    """The limits of an account as they are typed: '' for those of the configuration, 0 for none."""

    max_active: str = ""
    max_running: str = ""
    max_stored: str = ""

    def columns(self) -> AccountColumns:
        """Return them as they are kept. Raise BadRequest, which names the one that is no limit."""
        return {
            "max_active": _limit("max_active", self.max_active),
            "max_running": _limit("max_running_owner", self.max_running),
            "max_bytes": _limit("max_stored", self.max_stored),
        }


@dataclass(frozen=True)
class AccountDetails:
    """An account with how many tokens it has, its identities, and what was done with it last."""

    row: AccountRow
    tokens: int
    identities: Sequence[Identity]
    changes: Sequence[AuditEntry]


@dataclass(frozen=True)
class Role:
    """A role: the definitions that ask for it, and the accounts that have it."""

    name: str
    definitions: Sequence[str]
    accounts: Sequence[str]


class AccountAdmin:
    """The accounts of a server, for one caller."""

    def __init__(self, needs: Needs, caller: Caller) -> None:
        self._needs, self._caller = needs, caller

    # --- looking ---------------------------------------------------------------------------------------

    def page(self, text: str, number: int) -> tuple[Sequence[AccountRow], bool]:
        """Return the accounts of a page (from 1 on) in which a text occurs, and whether there are more."""
        self.require_admin()
        found = self._needs.account_lists.page(text.strip()[:_LONGEST_SEARCH], (number - 1) * PER_PAGE, PER_PAGE + 1)
        return found[:PER_PAGE], len(found) > PER_PAGE

    def get(self, name: str) -> AccountDetails:
        """Return an account. Raise NotFound if there is none of that name."""
        self.require_admin()
        row = self._needs.account_lists.row(name)
        if row is None:
            raise NotFound(f"there is no account {name[:64]!r}")
        return AccountDetails(
            row,
            len(self._needs.accounts.tokens(name)),
            self._needs.identities.of(name),
            self._needs.audit.page(name, 0, 20),
        )

    def roles(self) -> Sequence[Role]:
        """Return every role that a definition asks for or an account has, by name."""
        self.require_admin()
        live = self._needs.library.by_name().values()
        asked = {(role, installed.definition.name) for installed in live for role in installed.definition.roles}
        had = {(role, one.name) for one in self._needs.account_lists.with_roles() for role in one.roles.split()}
        names = {AUTHOR, *(role for role, _ in asked), *(role for role, _ in had)}
        return [
            Role(
                name,
                sorted(definition for role, definition in asked if role == name),
                sorted(account for role, account in had if role == name),
            )
            for name in sorted(names)
        ]

    def changes(self, number: int) -> tuple[Sequence[AuditEntry], bool]:
        """Return what was done, the newest first, of a page (from 1 on), and whether there is more."""
        self.require_admin()
        found = self._needs.audit.page("", (number - 1) * PER_PAGE, PER_PAGE + 1)
        return found[:PER_PAGE], len(found) > PER_PAGE

    # --- changing --------------------------------------------------------------------------------------

    def create(self, name: str, roles: str, limits: Limits, is_admin: bool) -> str:
        """Make an account and return its first token, which is kept nowhere. Raise BadRequest or Conflict."""
        self.require_admin()
        columns = limits.columns()
        token = self._needs.accounts.create(
            name,
            is_admin,
            columns["max_active"],
            columns["max_bytes"],
            _words(roles),
            columns["max_running"],
        )
        self._note(name, "made an admin" if is_admin else "made")
        return token

    def change(self, name: str, roles: str, limits: Limits) -> None:
        """Give an account these roles and limits. Raise BadRequest for what is none, NotFound if it is not there."""
        before = self.get(name).row.account
        columns = limits.columns()
        self._needs.accounts.set_roles(name, _words(roles))
        self._needs.accounts.change(name, **columns)
        after = self.get(name).row.account
        said = [f"roles: {after.roles.replace(' ', ', ') or 'none'}"] if after.roles != before.roles else []
        for key, label in (("max_active", "active jobs"), ("max_running", "running jobs"), ("max_bytes", "bytes")):
            if (new := getattr(after, key)) != getattr(before, key):
                said.append(
                    f"{label}: {'as the server has it' if new is None else f'{new:,}' if new else 'any number'}"
                )
        if said:
            self._note(name, "; ".join(said))

    def set_admin(self, name: str, is_admin: bool) -> None:
        """Give an account the rights of an admin, or take them away. Raise Conflict for the last admin."""
        self.require_admin()
        self._needs.accounts.change_rights(name, is_admin=is_admin)
        self._note(name, "made an admin" if is_admin else "no admin any more")

    def set_disabled(self, name: str, disabled: bool) -> None:
        """Keep an account out at once, or let it in again. Raise Conflict for the last admin."""
        self.require_admin()
        self._needs.accounts.change_rights(name, disabled=disabled)
        self._note(name, "disabled" if disabled else "let in again")

    def renew(self, name: str) -> str:
        """Make every token of an account void, sign its browsers out, and return a new token."""
        self.require_admin()
        token = self._needs.accounts.renew(name)
        self._note(name, "given a new token, all others void")
        return token

    def require_admin(self) -> None:
        """Raise Unauthorized or Forbidden if the caller is no admin."""
        if not self._caller.is_admin:
            refuse(self._caller, "accounts are looked after by admins")

    # --- parts -----------------------------------------------------------------------------------------

    def _note(self, name: str, what: str) -> None:
        self._needs.audit.add(self._caller.name or "", name, what)


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _limit(key: str, text: str) -> int | None:
    """Return a limit as it is kept: None for that of the configuration. Raise BadRequest for what is none."""
    if not text.strip():
        return None
    try:
        return config.number(key, text.strip())
    except ConfigurationError as error:
        raise BadRequest(str(error).replace(f"{key} = ", f"{_LABELS[key]}: ", 1)) from error


_LABELS = {"max_active": "active jobs", "max_running_owner": "running jobs", "max_stored": "space on disk"}
"""What the limits are called on the page, by their key."""
