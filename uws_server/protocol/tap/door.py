"""The addresses below /tap. What answers there is loaded when the first request comes: a server may never be asked.

Imports the services.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from uws_server.protocol.door import Door, Part

if TYPE_CHECKING:
    from uws_server.services.context import Services


class TapDoor(Door):
    """TAP over one set of services."""

    address = "/tap<rest:re:(?:/.*)?>"
    methods = ("GET", "POST", "PUT", "DELETE")

    def __init__(self, services: Services) -> None:
        self._services = services

    def parts(self) -> Iterable[Part]:
        """Return the resources of TAP."""
        from uws_server.protocol.tap.examples import Examples
        from uws_server.protocol.tap.jobs import QueryContents, QueryJobs
        from uws_server.protocol.tap.sync import Sync
        from uws_server.protocol.tap.vosi import TapVOSI

        return [part(self._services) for part in (Sync, QueryJobs, QueryContents, TapVOSI, Examples)]
