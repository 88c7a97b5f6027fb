"""What the operators of a server look at and do: is it well, what does it do, drain it. Imports its neighbours.

Each method checks the caller's right first, unless its docstring says otherwise.
"""

from __future__ import annotations

from typing import Protocol

from uws_server.config import Config
from uws_server.errors import Forbidden, Unauthorized
from uws_server.jobs.job import utcnow
from uws_server.services.health import Health, Readiness
from uws_server.services.metrics import Metrics
from uws_server.services.rights import Caller, Rights, is_loopback
from uws_server.storage.drain import Drain, DrainStore


class OperatingNeeds(Protocol):
    """The parts of a server that operators need."""

    config: Config
    rights: Rights
    health: Health
    metrics: Metrics
    drain: DrainStore


class Operating:
    """What one caller can learn of a server as a whole, and do with it."""

    def __init__(self, needs: OperatingNeeds, caller: Caller) -> None:
        self._needs, self._caller = needs, caller

    def readiness(self) -> Readiness:
        """Return what of the server works. No right is checked: whoever sends requests to it has to know."""
        return self._needs.health.readiness()

    def metrics(self, is_forwarded: bool) -> bytes:
        """Return the figures of the server; `is_forwarded` says that a proxy passed the request on.

        Raise Unauthorized or Forbidden for those whom the setting `metrics` leaves out.
        """
        allowed = self._needs.config.server.metrics
        is_local = is_loopback(self._caller.address) and not is_forwarded
        if not (allowed == "all" or self._caller.is_admin or (allowed == "local" and is_local)):
            whom = "admins, and programs on this machine" if allowed == "local" else "admins"
            self._refuse(f"the figures of the server are for {whom}")
        return self._needs.metrics.text()

    def drained(self) -> Drain | None:
        """Return who drains the queue; None if nobody does. No right is checked: everybody who waits may know."""
        return self._needs.drain.now()

    def begin_drain(self, why: str) -> None:
        """Have no queued job started on any server, until `end_drain`."""
        self.require_operator()
        self._needs.drain.begin(Drain(utcnow(), self._caller.name or "", why[:1000]))

    def end_drain(self) -> bool:
        """Let queued jobs start again. Return False if the queue was not drained."""
        self.require_operator()
        return self._needs.drain.end()

    def require_operator(self) -> None:
        """Raise Unauthorized or Forbidden if the caller is no admin."""
        if not self._caller.is_admin:
            self._refuse("the server is operated by admins")

    def _refuse(self, rule: str) -> None:
        raise Unauthorized(f"{rule}: sign in") if self._caller.name is None else Forbidden(rule)
