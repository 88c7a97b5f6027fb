"""Changes that must be made, however long the database or the disk does not answer. Imports storage."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from uws_server.storage.outages import Outage

LOG = logging.getLogger(__name__)


def persist(change: Callable[[], object], stopping: threading.Event) -> None:
    """Make a change in the database, however long that does not answer.

    A change that is not made when the server stops is made by the next one: the job still counts as this server's.
    """
    outage = Outage(LOG, "a change of a job")
    while True:
        try:
            change()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told and tried again
            if stopping.wait(outage.failed(error)):
                return
        else:
            outage.over()
            return
