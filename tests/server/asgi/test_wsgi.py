"""The WSGI adapter from the event loop to WSGI, behind a real uvicorn and real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
import uvicorn

from processes import until
from serving import connected
from uws_server.asgi import later
from uws_server.asgi.wsgi import WsgiAdapter

Start = Callable[..., Any]


class Event:
    """What an answer waits for, ended by hand."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.calls: list[Callable[[], object]] = []

    def then(self, call: Callable[[], object]) -> None:
        self.calls.append(call)

    def end(self, error: Exception | None = None) -> None:
        self.error = error
        for call in self.calls:
            call()


class Application:
    """A WSGI application with a handful of paths, and what it saw."""

    def __init__(self) -> None:
        self.environ: dict[str, Any] = {}
        self.read: list[bytes] = []
        self.begun: Counter[str] = Counter()
        self.closed = threading.Event()
        self.go_on = threading.Event()
        self.event = Event()

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        self.environ = environ
        name = environ["PATH_INFO"].strip("/") or "hello"
        self.begun[name] += 1
        handler = getattr(self, name)
        answer: Iterable[bytes] = handler(environ, start)
        return answer

    def hello(self, _environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "text/plain"), ("X-Two", "a"), ("X-Two", "b")])
        return [b"hel", b"lo"]

    def nothing(self, _environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("204 No Content", [])
        return []

    def echo(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        while chunk := environ["wsgi.input"].read(100_000):
            self.read.append(chunk)
        self.read.append(b"<end>")
        start("200 OK", [])
        return [b"".join(self.read[:-1])]

    def unread(self, _environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("413 Content Too Large", [])
        return [b"too large"]

    def long(self, _environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("200 OK", [])
        try:
            for number in range(2000):
                yield b"%09d\n" % number * 10_000  # 200 MB in all
        finally:
            self.closed.set()

    def blocked(self, _environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        assert self.go_on.wait(300)
        start("200 OK", [])
        return [b"at last"]

    def after(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        try:
            later.raise_failure(environ)
        except ValueError as error:
            start("503 Service Unavailable", [])
            return [str(error).encode()]
        offered = later.send_after(environ, self.event)
        start("303 See Other", [("Location", "/made")])
        return [b"" if offered else b"at once"]

    def broken(self, _environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        raise RuntimeError("broken")

    def torn(self, _environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("200 OK", [])
        yield b"x" * 400_000
        raise RuntimeError("torn")


@pytest.fixture
def application() -> Application:
    return Application()


@contextlib.contextmanager
def running(application: Application, threads: int = 2) -> Iterator[str]:
    """The application behind uvicorn, on a free port."""
    adapter = WsgiAdapter(application, threads, lambda scope: scope["path"] == "/hello")
    listener = socket.create_server(("127.0.0.1", 0))
    settings = uvicorn.Config(
        adapter,  # type: ignore[arg-type]
        log_config=None,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(settings)

    def serve() -> None:
        with asyncio.Runner(loop_factory=settings.get_loop_factory()) as runner:
            runner.run(server.serve(sockets=[listener]))

    thread = threading.Thread(target=serve)
    thread.start()
    until(lambda: server.started, what="the server")
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        adapter.close()
        listener.close()


@pytest.fixture
def url(application: Application) -> Iterator[str]:
    with running(application) as url:
        yield url


@pytest.mark.parametrize(("error", "status", "text"), [(None, 303, ""), (ValueError("no room"), 503, "no room")])
def test_an_answer_waits_for_its_event_in_no_thread(
    application: Application, url: str, error: Exception | None, status: int, text: str
) -> None:
    post = functools.partial(requests.post, timeout=300, allow_redirects=False)
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(post, f"{url}/blocked")
        until(lambda: application.begun["blocked"], what="another request is being answered")
        answer = pool.submit(post, f"{url}/after")
        until(lambda: application.event.calls, what="the application waits")
        assert post(f"{url}/echo", data=b"meanwhile").content == b"meanwhile"  # by the second of two threads
        assert not answer.done()
        application.event.end(error)
        came = answer.result()
        application.go_on.set()
        assert other.result().text == "at last"
    assert (came.status_code, came.text, came.headers.get("Location")) == (
        status,
        text,
        "/made" if status == 303 else None,
    )


def test_an_answer_to_one_that_comes_alone_is_not_put_off(application: Application, url: str) -> None:
    came = requests.post(f"{url}/after", timeout=300, allow_redirects=False)
    assert (came.status_code, came.text) == (303, "at once")
    assert not application.event.calls


def test_a_request_and_its_answer_keep_their_headers(application: Application, url: str) -> None:
    headers = {"X-Own": "grüße".encode().decode("latin-1"), "Cookie": "a=1; b=2"}
    answer = requests.get(f"{url}/hello?a=%20b&c", headers=headers, timeout=300)
    assert (answer.status_code, answer.text) == (200, "hello")
    assert answer.headers["Content-Length"] == "5"
    assert answer.headers["X-Two"] == "a, b"
    seen = application.environ
    assert (seen["REQUEST_METHOD"], seen["PATH_INFO"], seen["QUERY_STRING"]) == ("GET", "/hello", "a=%20b&c")
    assert (seen["HTTP_X_OWN"].encode("latin-1").decode(), seen["HTTP_COOKIE"]) == ("grüße", "a=1; b=2")
    assert seen["REMOTE_ADDR"] == "127.0.0.1"


def test_headers_that_come_twice_or_with_an_underscore(application: Application, url: str) -> None:
    lines = ["GET /hello HTTP/1.1", "Host: x", "Cookie: a=1", "Cookie: b=2", "X-Way: one", "X-Way: two"]
    lines += ["X-Forwarded-For: 192.0.2.1", "X_Forwarded_For: 198.51.100.1", "Connection: close"]
    with connected(url) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    seen = application.environ
    assert (seen["HTTP_COOKIE"], seen["HTTP_X_WAY"]) == ("a=1; b=2", "one,two")
    assert seen["HTTP_X_FORWARDED_FOR"] == "192.0.2.1"


def test_bytes_that_are_no_ascii_in_a_query_reach_the_application(application: Application, url: str) -> None:
    with connected(url) as connection:
        connection.sendall(b"GET /hello?text=gr\xfc\xc3\xbc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert connection.recv(1000).split()[1] in (b"200", b"400")


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3_000_000])
def test_a_body_of_any_size_arrives(application: Application, url: str, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    assert requests.post(f"{url}/echo", data=body[:size], timeout=300).content == body[:size]


@pytest.mark.parametrize("size", [10, 300_000])
def test_a_body_in_chunks_arrives(application: Application, url: str, size: int) -> None:
    answer = requests.post(f"{url}/echo", data=iter([b"a" * size, b"b" * size]), timeout=300)
    assert answer.content == b"a" * size + b"b" * size


def test_a_large_body_may_be_refused_unread(url: str) -> None:
    with connected(url) as connection:
        connection.sendall(b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("begun", [b"3e8\r\n" + b"x" * 500, b"186a0\r\n" + b"x" * 100_000 + b"\r\n"])
def test_a_body_that_breaks_off_never_seems_to_end(application: Application, url: str, begun: bytes) -> None:
    with connected(url) as connection:
        connection.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + begun)
        time.sleep(0.3)
    time.sleep(0.3)
    assert b"<end>" not in application.read
    for _ in range(4):  # and no thread is lost
        application.read.clear()
        assert requests.post(f"{url}/echo", data=b"y" * 100_000, timeout=300).status_code == 200


def test_a_long_answer_is_whole(url: str) -> None:
    answer = requests.get(f"{url}/long", timeout=300)
    assert answer.content == b"".join(b"%09d\n" % number * 10_000 for number in range(2000))


def test_clients_that_read_slowly_hold_no_thread(application: Application) -> None:
    with running(application, threads=1) as url, contextlib.ExitStack() as stack:
        for _ in range(5):
            connection = stack.enter_context(connected(url))
            connection.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: application.begun["long"] == 5, what="all five get an answer that they do not read")
        assert requests.get(f"{url}/", timeout=300).text == "hello"


def test_a_client_that_goes_ends_its_answer(application: Application, url: str) -> None:
    with connected(url) as connection:
        connection.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(100_000)
        assert not application.closed.is_set()
    assert application.closed.wait(300)


def test_quick_requests_do_not_queue_behind_slow_ones(application: Application, url: str) -> None:
    waiting = [threading.Thread(target=requests.get, args=(f"{url}/blocked",)) for _ in range(4)]
    for thread in waiting:
        thread.start()
    until(lambda: application.begun["blocked"] == 2, what="both threads are taken")
    assert requests.get(f"{url}/hello", timeout=300).text == "hello"
    application.go_on.set()
    for thread in waiting:
        thread.join()


def test_slow_uploads_hold_only_each_other(application: Application, url: str) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(6):
            connection = stack.enter_context(connected(url))
            connection.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nbegun")
            small = stack.enter_context(connected(url))
            small.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nbegun")
        time.sleep(0.3)
        assert requests.get(f"{url}/", timeout=300).text == "hello"
        assert requests.post(f"{url}/unread", data=b"form", timeout=300).status_code == 413


def test_answers_without_a_body(url: str) -> None:
    head = requests.head(f"{url}/hello", timeout=300)
    assert (head.status_code, head.content) == (200, b"")
    nothing = requests.get(f"{url}/nothing", timeout=300)
    assert (nothing.status_code, "Content-Length" in nothing.headers) == (204, False)


def test_a_failing_application_is_a_500_and_a_torn_answer_is_seen_to_be_torn(url: str) -> None:
    assert requests.get(f"{url}/broken", timeout=300).status_code == 500
    with pytest.raises(requests.RequestException):
        requests.get(f"{url}/torn", timeout=300)
    assert requests.get(f"{url}/hello", timeout=300).text == "hello"
