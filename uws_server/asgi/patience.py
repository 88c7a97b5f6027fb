"""How long slow clients are waited for, and how many connections there may be. Imports nothing of ours.

A client that is waited for has some seconds of credit. Time spends it, bytes that move earn it back: what comes or is
read at the least rate keeps a connection for ever. Only connections that are waited for are looked at, once a second.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Protocol

_TICK_S = 1.0


class Watched(Protocol):
    """A connection whose client is waited for now and then."""

    def go_on(self, seconds: float) -> bool:
        """Check whether the client still has to be waited for, after so many more seconds."""


class Patience:
    """Watches the connections of a server.

    A client may stand still for `seconds`, and a head has to be there by then; bodies and answers move at `least_rate`
    bytes a second at least. There are at most `most` connections, `most_each` of one peer; `peer_of` tells who is at an
    address, '' for those who are not counted.
    """

    def __init__(
        self,
        seconds: float,
        least_rate: float,
        most: int = 1 << 30,
        most_each: int = 1 << 30,
        peer_of: Callable[[str], str] = lambda _address: "",
    ) -> None:
        self.seconds, self.least_rate, self.peer_of = seconds, least_rate, peer_of
        self._most, self._most_each = most, most_each
        self._count = 0
        self._of_peer: Counter[str] = Counter()
        self._watched: set[Watched] = set()
        self._is_ticking = False

    def admit(self, peer: str) -> bool:
        """Count a new connection. Return False if there are too many."""
        if self._count >= self._most or (peer and self._of_peer[peer] >= self._most_each):
            return False
        self._count += 1
        self._of_peer[peer] += 1
        return True

    def leave(self, peer: str) -> None:
        """Count a connection no more."""
        self._count -= 1
        self._of_peer[peer] -= 1
        if not self._of_peer[peer]:
            del self._of_peer[peer]  # peers come and go

    def watch(self, connection: Watched) -> bool:
        """Begin to ask a connection to go on. Return False if it is asked already."""
        if connection in self._watched:
            return False
        self._watched.add(connection)
        if not self._is_ticking:
            self._is_ticking = True
            asyncio.get_running_loop().call_later(_TICK_S, self._tick)
        return True

    def forget(self, connection: Watched) -> None:
        """Ask a connection no more: it is closed."""
        self._watched.discard(connection)

    def _tick(self) -> None:
        for connection in tuple(self._watched):
            if not connection.go_on(_TICK_S):
                self._watched.discard(connection)
        self._is_ticking = bool(self._watched)
        if self._is_ticking:
            asyncio.get_running_loop().call_later(_TICK_S, self._tick)
