"""A SAMP hub with the web profile inside a test, which allows what a page asks."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from processes import until

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


@contextmanager
def receiver(
    hub: Any, name: str, *mtypes: str, error: str = "", warning: str = ""
) -> Iterator[queue.Queue[dict[str, Any]]]:
    """A client of the hub that takes some kinds of message; what it was sent. It answers with the error it has."""
    from pyvo.samp import SAMPIntegratedClient

    received: queue.Queue[dict[str, Any]] = queue.Queue()
    client = SAMPIntegratedClient(name=name, addr="127.0.0.1")
    client.connect(hub=hub)
    status = "samp.error" if error else "samp.warning" if warning else "samp.ok"
    told = {"samp.error": {"samp.errortxt": error or warning}} if error or warning else {}

    def take(_key: str, _sender: str, msg_id: str, mtype: str, params: dict[str, Any], _extra: Any) -> None:
        received.put({**params, "mtype": mtype})
        # the hub of pyvo 1.9.1 loses a reply that comes before it has noted that the caller waits for one
        if msg_id.endswith(";;samp::sync::call"):
            until(lambda: msg_id in hub._sync_msg_ids_heap, what="the hub waits for the reply")
        client.reply(msg_id, {"samp.status": status, "samp.result": {}, **told})

    for mtype in mtypes:
        client.bind_receive_call(mtype, take)
    try:
        yield received
    finally:
        client.disconnect()


def taken(page: Any, received: queue.Queue[dict[str, Any]]) -> dict[str, Any]:
    """What a client was sent, when it has come; the requests of the browser go through this thread meanwhile."""
    for _ in range(3000):
        if not received.empty():
            return received.get()
        page.wait_for_timeout(100)
    raise AssertionError("nothing came")
