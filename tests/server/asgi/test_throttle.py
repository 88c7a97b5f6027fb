"""One client that asks for much at once, behind a real uvicorn and threads: others are answered meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import requests
import uvicorn

from processes import until
from uws_server.asgi.throttle import FairTurns, Throttle
from uws_server.asgi.types import Scope
from uws_server.asgi.wsgi import WsgiAdapter

THREADS, EACH = 6, 3


class Slow:
    """A WSGI application that works until it is let go."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.working = 0
        self.most = 0
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/slow":
            with self._lock:
                self.working += 1
                self.most = max(self.most, self.working)
            self.go_on.wait(300)
            with self._lock:
                self.working -= 1
        if environ["PATH_INFO"] == "/broken":
            raise ValueError("broken")
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]


class Place:
    """A server, its application and its lines."""

    def __init__(self) -> None:
        self.slow = Slow()
        self.adapter = WsgiAdapter(self.slow, THREADS)
        self.fair = Throttle(self.adapter, client, EACH)
        settings = uvicorn.Config(self.fair, port=0, log_level="critical", lifespan="off")  # type: ignore[arg-type]
        self.server = uvicorn.Server(settings)
        self.thread = threading.Thread(target=lambda: asyncio.run(self.server.serve()))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    def get(self, path: str, who: str) -> int:
        return requests.get(self.url + path, headers={"X-Who": who}, timeout=300).status_code

    @contextmanager
    def flood(self, method: str, count: int, content: bytes = b"") -> Iterator[None]:
        """So many requests of one client that take as long as the block lasts."""

        def ask() -> None:
            requests.request(method, f"{self.url}/slow", headers={"X-Who": "flood"}, data=content, timeout=300)

        threads = [threading.Thread(target=ask) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.slow.go_on.set()
            for thread in threads:
                thread.join()


def client(scope: Scope) -> str:
    return next((value.decode() for name, value in scope["headers"] if name == b"x-who"), "")


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    made.thread.start()
    until(lambda: made.server.started)
    yield made
    made.slow.go_on.set()
    made.server.should_exit = True
    made.thread.join()
    made.adapter.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_who_asks_for_much_at_once_takes_no_more_than_its_share(place: Place, method: str) -> None:
    with place.flood(method, 4 * THREADS):
        until(lambda: place.slow.working == EACH)
        assert [place.get("/quick", "other") for _ in range(5)] == [200] * 5
        assert place.slow.most == EACH
    assert place.slow.working == 0
    assert place.slow.most == EACH, "those that waited had their turn later, and no more of them at a time"


def test_uploads_that_take_long_keep_nobody_from_looking_or_making_a_job(place: Place) -> None:
    with place.flood("POST", EACH + 1, bytes(1 << 17)):
        until(lambda: place.slow.working == EACH)
        assert place.get("/quick", "flood") == 200
        form = {"PHASE": "RUN"}
        assert requests.post(f"{place.url}/quick", form, headers={"X-Who": "flood"}, timeout=300).status_code == 200


def test_turns_go_round_all_who_wait_whoever_asks_for_many() -> None:
    """A thousand asked for by one: the first of another comes after the next of that one, not after all of them."""
    had: list[str] = []

    async def one(turns: FairTurns, who: str) -> None:
        async with turns.of(who):
            had.append(who)
            await asyncio.sleep(0)

    async def scenario() -> None:
        turns = FairTurns(1)
        tasks = [asyncio.create_task(one(turns, "many")) for _ in range(1000)]
        await asyncio.sleep(0)
        tasks += [asyncio.create_task(one(turns, who)) for who in ("ann", "ben", "ann")]
        for task in tasks[500:600]:
            task.cancel()  # a client that hangs up keeps nobody waiting
        await asyncio.gather(*tasks, return_exceptions=True)
        assert max(had.index("ann"), had.index("ben")) <= 4
        assert (len(had), had.count("ann")) == (903, 2)
        async with asyncio.timeout(300), turns.of("late"):
            assert not turns._lines

    with ThreadPoolExecutor(1) as pool:  # the browser tests may have left an event loop running in this thread
        pool.submit(lambda: asyncio.run(scenario())).result()


def test_nothing_is_left_of_those_who_have_gone(place: Place) -> None:
    place.slow.go_on.set()
    for path, status in (("/slow", 200), ("/broken", 500), ("/quick", 200)):
        assert [place.get(path, who) for who in "ab"] == [status] * 2
    assert [place.get("/broken", "a") for _ in range(2 * EACH)] == [500] * 2 * EACH
    assert place.get("/quick", "a") == 200
    until(lambda: not place.fair._queues)
