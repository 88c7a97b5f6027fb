"""How a loop of the server lives through an outage of the database or the disk. Imports its neighbours.

An outage is one line of the log when it begins and one when it is over, however often something is tried meanwhile.
"""

from __future__ import annotations

import logging
import time

from uws_server.storage.failures import meaning_of

_FIRST_S, _LONGEST_S = 0.5, 5.0
"""Seconds until the second try, and the most between two: each pause is twice as long as the one before."""


class Outage:
    """The failures of one loop in a row; `what` says in the log what does not go on, such as 'the queue'."""

    def __init__(self, logger: logging.Logger, what: str) -> None:
        self._logger, self._what = logger, what
        self._since: float | None = None
        self._last = ""
        self._pause_s = _FIRST_S

    def failed(self, error: Exception) -> float:
        """Note a failure, and return for how many seconds to wait.

        The log tells what is new, an outage in one line and a fault of the server with its traceback.
        """
        known = meaning_of(error)
        line = str(known or repr(error))
        if self._since is None:
            self._since, self._pause_s = time.monotonic(), _FIRST_S
        if line != self._last:
            self._last = line
            reason = f"{known} ({first_line(error)})" if known else line
            self._logger.error("%s waits: %s", self._what, reason, exc_info=None if known else error)
        self._pause_s = min(2 * self._pause_s, _LONGEST_S)
        return self._pause_s

    def over(self) -> None:
        """Note a success; if something failed before, the log tells that it goes on."""
        if self._since is not None:
            self._logger.info("%s goes on after %.0f seconds", self._what, time.monotonic() - self._since)
            self._since, self._last = None, ""


def first_line(error: Exception) -> str:
    """Return what an error says, in one line: those of drivers end with the statement and its values."""
    return str(error).partition("\n")[0][:300]
