"""Ports for programs that must be told theirs: none that the system would give to another test meanwhile."""

from __future__ import annotations

import contextlib
import random
import socket

_BELOW_THOSE_OF_SYSTEMS = range(22_000, 32_000)
"""Linux gives ports from 32768 on to who asks for any, and to every connection: one of those is soon taken again."""


def free_port() -> int:
    """A port that nobody listens on now, and that nobody gets by chance."""
    chance = random.SystemRandom()  # hypothesis seeds the other one, alike in each process
    while True:
        port = chance.choice(_BELOW_THOSE_OF_SYSTEMS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def free_ports(number: int) -> list[int]:
    """So many of them."""
    found: set[int] = set()
    while len(found) < number:
        found.add(free_port())
    return sorted(found)
