"""The messages between a server and its warm process: one JSON object each, with at most one descriptor.

They pass over a pair of sockets that nobody else can reach and that keeps messages apart (SOCK_SEQPACKET).
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any

_MOST = 1 << 16
_MOST_DESCRIPTORS = 4


def send(connection: socket.socket, message: dict[str, Any], *descriptors: int) -> None:
    """Send a message. Raise OSError where the other side has ended, or does not take it."""
    socket.send_fds(connection, [json.dumps(message).encode()], list(descriptors))


def receive(connection: socket.socket) -> tuple[dict[str, Any], int]:
    """Return the next message and its descriptor, -1 for none. Raise EOFError where the other side has ended."""
    data, descriptors, _, _ = socket.recv_fds(connection, _MOST, _MOST_DESCRIPTORS)
    if not data:
        raise EOFError("the other side has ended")
    for further in descriptors[1:]:
        os.close(further)
    message: dict[str, Any] = json.loads(data)
    return message, descriptors[0] if descriptors else -1
