"""Decides who may do what, for the whole server. Imports the jobs' values, the configuration and the errors.

Roles are words that an admin gives to accounts. A definition names the roles that may run it; if it names none,
everybody may who may make jobs. Definitions are written by accounts with the role `author` and made live by admins, who
may do anything.

A job belongs to the account that made it, or to nobody. What nobody owns follows the policy for anonymous callers:

listed    they see each other's jobs (the default on a loopback address)
unlisted  a job is for whoever has its key, which stands in the address that its maker was given (the default on any
          other address); its id alone opens nothing, since a graph, a step list or a product tells it
refused   they may do nothing
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

from uws_server.config import Config
from uws_server.errors import ConfigurationError, Forbidden, Unauthorized
from uws_server.jobs.definition import Definition
from uws_server.jobs.job import Job
from uws_server.jobs.work_session import WorkSession

AUTHOR = "author"
"""The role of those who may write job definitions."""
_ASK = "ask an admin of this server for it"


class Anonymous(StrEnum):
    """What callers without an account may do."""

    LISTED = "listed"
    UNLISTED = "unlisted"
    REFUSED = "refused"


@dataclass(frozen=True)
class Caller:
    """Who asks: the account's name (None without one) and roles, the share token that came, the address asked from.

    `opened` are the ids of jobs, and of sessions in which work is kept, whose keys came: see `job_keys`. `shown` are
    the ids of jobs that the share link of such a session shows. `by_session` says that a browser is signed in by a
    cookie, and can sign out.
    """

    name: str | None = None
    is_admin: bool = False
    share: str | None = None
    address: str = ""
    max_active: int | None = None
    max_bytes: int | None = None
    roles: frozenset[str] = frozenset()
    opened: frozenset[str] = frozenset()
    shown: frozenset[str] = frozenset()
    by_session: bool = False


@dataclass(frozen=True)
class Rights:
    """The rules of one server."""

    anonymous: Anonymous

    def may_enter(self, caller: Caller) -> bool:
        """Check whether the caller may use the server at all."""
        return caller.name is not None or self.anonymous is not Anonymous.REFUSED

    def require_entry(self, caller: Caller) -> None:
        """Raise Unauthorized if this server is for accounts and the caller has none."""
        if not self.may_enter(caller):
            raise Unauthorized(
                "this server is for accounts: sign in (programs: HTTP Basic with name and token, or Bearer name.token)"
            )

    def may_look(self, caller: Caller, job: Job) -> bool:
        """Check whether the caller may see a job, its parameters, logs and results."""
        return self._owns(caller, job) or _shows_token(caller, job) or job.id in caller.shown

    def require_look(self, caller: Caller, job: Job) -> None:
        """Raise Unauthorized or Forbidden if the caller may not see a job, its parameters, logs and results."""
        if self.may_look(caller, job):
            return
        self.require_entry(caller)
        raise _not_yours(caller, f"job {job.id}", job.owner)

    def may_change(self, caller: Caller, job: Job) -> bool:
        """Check whether the caller may change a job, not only look at it."""
        return self._owns(caller, job)

    def require_change(self, caller: Caller, job: Job) -> None:
        """Raise Forbidden unless the caller owns the job or is an admin; a share link only shows it."""
        if self.may_change(caller, job):
            return
        self.require_look(caller, job)
        raise Forbidden(f"job {job.id} is only shared with you: its owner can change it")

    def may_change_session(self, caller: Caller, session: WorkSession) -> bool:
        """Check whether the caller may change a session in which work is kept: by the rules for jobs."""
        return self._owns(caller, session)

    def require_change_session(self, caller: Caller, session: WorkSession) -> None:
        """Raise Unauthorized or Forbidden unless the caller owns the session or is an admin."""
        if self.may_change_session(caller, session):
            return
        self.require_entry(caller)
        raise _not_yours(caller, f"session {session.id}", session.owner)

    def uses_keys(self) -> bool:
        """Check whether a job that nobody owns is for whoever has its key."""
        return self.anonymous is Anonymous.UNLISTED

    def is_public(self, one: Job | WorkSession) -> bool:
        """Check whether everybody who may use the server sees a job, or a session."""
        return one.owner is None and self.anonymous is Anonymous.LISTED

    def listed_owners(self, caller: Caller) -> tuple[str | None, ...] | None:
        """Return the owners whose jobs a list shows to a caller; None for all of them."""
        self.require_entry(caller)
        if caller.is_admin:
            return None
        public: tuple[str | None, ...] = (None,) if self.anonymous is Anonymous.LISTED else ()
        return public if caller.name is None else (caller.name, *public)

    def may_run(self, caller: Caller, definition: Definition) -> bool:
        """Check whether the caller may make and run jobs of a definition."""
        if not self.may_enter(caller):
            return False
        return caller.is_admin or not definition.roles or not caller.roles.isdisjoint(definition.roles)

    def require_run(self, caller: Caller, definition: Definition) -> None:
        """Raise Forbidden or Unauthorized if the caller has none of the roles that a definition asks for."""
        self.require_entry(caller)
        if self.may_run(caller, definition):
            return
        roles = " or ".join(definition.roles)
        refuse(caller, f"jobs of {definition.name!r} are for accounts with the role {roles}", _ASK)

    def may_draft(self, caller: Caller) -> bool:
        """Check whether the caller may write job definitions, look at drafts and try them."""
        return caller.name is not None and (caller.is_admin or AUTHOR in caller.roles)

    def require_draft(self, caller: Caller) -> None:
        """Raise Forbidden or Unauthorized if the caller is no author."""
        if self.may_draft(caller):
            return
        refuse(caller, f"job definitions are written by accounts with the role {AUTHOR}", _ASK)

    def may_validate(self, caller: Caller) -> bool:
        """Check whether the caller may make definitions live and take them out of use."""
        return caller.name is not None and caller.is_admin

    def require_validate(self, caller: Caller) -> None:
        """Raise Forbidden or Unauthorized if the caller is no admin, who alone makes definitions live."""
        if self.may_validate(caller):
            return
        hint = "request validation, and one of them decides"
        refuse(caller, "job definitions are made live by admins", hint)

    def _owns(self, caller: Caller, one: Job | WorkSession) -> bool:
        if caller.is_admin:
            return True
        if one.owner is None:
            return self.is_public(one) or (self.uses_keys() and one.id in caller.opened)
        return caller.name == one.owner


def rights_of(config: Config) -> Rights:
    """Return the rules that a configuration asks for. Raise ConfigurationError for a policy that does not exist."""
    if not config.accounts.anonymous:
        return Rights(Anonymous.LISTED if is_loopback(config.server.host) else Anonymous.UNLISTED)
    if config.accounts.anonymous not in list(Anonymous):
        raise ConfigurationError(
            f"anonymous = {config.accounts.anonymous!r}: one of {', '.join(Anonymous)} is expected"
        )
    return Rights(Anonymous(config.accounts.anonymous))


def is_loopback(host: str) -> bool:
    """Check whether an address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def refuse(caller: Caller, rule: str, hint: str = "") -> NoReturn:
    """Raise Unauthorized for a caller without an account (sign in), Forbidden with a hint, if any, for an account."""
    raise Unauthorized(f"{rule}: sign in") if caller.name is None else Forbidden(f"{rule}: {hint}" if hint else rule)


def _shows_token(caller: Caller, job: Job) -> bool:
    return bool(caller.share and job.share) and hmac.compare_digest(str(caller.share).encode(), str(job.share).encode())


def _not_yours(caller: Caller, what: str, owner: str | None) -> Forbidden | Unauthorized:
    """Return why a caller may not see a job or a session of somebody else."""
    if owner is None:
        return Forbidden(
            f"{what} was made without an account: it opens at the whole address that its maker was given, which ends "
            "with a key, or by its share link"
        )
    if caller.name is None:
        return Unauthorized(f"{what} belongs to an account: sign in, or use its share link")
    return Forbidden(f"{what} belongs to another account; ask its owner for the share link")
