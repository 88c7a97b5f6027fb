"""How long the database may work for a query. Imports the errors."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from uws_server.errors import BadRequest


class TimedOut(BadRequest):
    """Raised when the database has worked too long for a query."""


class Cancelled(BadRequest):
    """Raised when a query was cancelled from outside."""


class Budget:
    """The seconds that the database may work for one query; the time in which rows are sent does not count.

    0 seconds are any number.
    """

    def __init__(self, seconds: float, hint: str = "") -> None:
        self.seconds, self._hint = seconds, hint
        self._left = seconds
        self._deadline: float | None = None
        self.is_cancelled = False

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Count the time of the block."""
        began = time.monotonic()
        self._deadline = began + self._left if self.seconds else None
        try:
            yield
        finally:
            self._deadline = None
            self._left -= time.monotonic() - began

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return self._left

    def is_over(self) -> bool:
        """Check whether the database is to stop now."""
        return self.is_cancelled or (self._deadline is not None and time.monotonic() > self._deadline)

    def require_left(self) -> None:
        """Raise TimedOut or Cancelled if the database must not go on."""
        if self.is_cancelled:
            raise Cancelled("the query was cancelled")
        if self.seconds and self._left <= 0:
            raise self.timed_out()

    def cancel(self) -> None:
        """Have the query stopped; called from any thread."""
        self.is_cancelled = True

    def timed_out(self) -> TimedOut:
        """Return the error of a query that takes too long."""
        hint = f"; {self._hint}" if self._hint else ""
        return TimedOut(f"the query was ended after {self.seconds:g} s, its limit of time{hint}")
