"""The types of ASGI 3: what a server and an application hand each other. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

HALF_CLOSED: Final = "uws_server.half_closed"
"""The key of a scope whose client has sent all it will, as far as the connection knows: True where it is so."""
PARKED: Final = "uws_server.parked"
"""The key of a scope whose client waits for a change, of a job that may take hours: True where it does."""
