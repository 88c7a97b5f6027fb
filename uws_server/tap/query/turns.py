"""Whose turn it is: few queries at a time while each is quick, more where some take long. Imports the errors.

Python runs one thread at a time: many quick queries side by side all end late, few of them end one after the other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from uws_server.errors import Unavailable

_QUICK: Final = 2
_QUICK_S: Final = 0.25
"""Seconds after which a query is a long one, beside which others may begin."""
_MOST: Final = 8
"""Queries at which the database works at a time."""
_PATIENCE_S: Final = 20.0


class Turns:
    """The turns of the queries that a server answers at once, whether /tap/sync or a page asked for them."""

    def __init__(self) -> None:
        self._began: list[float] = []
        self._changed = threading.Condition()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and have it for the block. Raise Unavailable if that takes too long."""
        mine = self._waited_for()
        try:
            yield
        finally:
            with self._changed:
                self._began.remove(mine)
                self._changed.notify()

    def _waited_for(self) -> float:
        """Return when the turn began."""
        until = time.monotonic() + _PATIENCE_S
        with self._changed:
            while (pause := self._pause()) > 0:
                left = until - time.monotonic()
                if left <= 0:
                    raise Unavailable("too many queries are being answered; try again, or send the query to /tap/async")
                self._changed.wait(min(pause, left))
            now = time.monotonic()
            self._began.append(now)
            return now

    def _pause(self) -> float:
        """Return the seconds after which there may be room for one more, unless one ends before; 0 if there is."""
        if len(self._began) >= _MOST:
            return _PATIENCE_S
        now = time.monotonic()
        quick = [began for began in self._began if now - began < _QUICK_S]
        return 0.0 if len(quick) < _QUICK else min(quick) + _QUICK_S - now
