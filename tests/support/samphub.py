"""A SAMP hub with the web profile inside a test, which allows what a page asks."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

WEB_PORT = 21012


class Consent:
    """Answers, in place of the person at the screen, whether a page may register; remembers who asked."""

    queue_request: queue.Queue[Any]
    queue_result: queue.Queue[bool]

    def __init__(self, allow: bool) -> None:
        self.allow = allow
        self.asked: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._answer, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _answer(self) -> None:
        while not self._stop.is_set():
            try:
                request = self.queue_request.get(timeout=0.05)
            except queue.Empty:
                continue
            self.asked.append(str(request[0]["samp.name"]))
            self.queue_result.put(self.allow)


def port_is_taken() -> bool:
    """Whether another hub of this machine has the port that the standard fixes."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", WEB_PORT)) == 0


@contextmanager
def running_hub(allow: bool = True) -> Iterator[tuple[Any, Consent]]:
    """A hub of its own (other programs of this machine do not see it) and its consent."""
    from pyvo.samp import SAMPHubServer

    consent = Consent(allow)
    hub = SAMPHubServer(
        mode="multiple", addr="127.0.0.1", web_profile=True, web_profile_dialog=consent, web_port=WEB_PORT
    )
    hub.start()
    consent.start()
    try:
        yield hub, consent
    finally:
        consent.stop()
        hub.stop()
