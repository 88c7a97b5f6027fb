"""Connections of clients that send too much, too slowly or not at all, behind real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
import requests
import uvicorn

from processes import until
from serving import connected
from uws_server.asgi.bodies import BodiesFirst
from uws_server.asgi.connection import MOST_HEAD, Connection
from uws_server.asgi.patience import Patience
from uws_server.asgi.throttle import Throttle
from uws_server.asgi.types import PARKED
from uws_server.asgi.wsgi import WsgiAdapter

HEAD = "Host: x"


def lines(*all_of_them: str) -> bytes:
    return "\r\n".join([*all_of_them, "", ""]).encode("latin-1")


class Application:
    """A WSGI application that says what it was asked, and takes its time with some of it."""

    def __init__(self) -> None:
        self.environ: dict[str, Any] = {}
        self.asked: list[str] = []
        self.closed = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.environ = environ
        path = environ["PATH_INFO"]
        self.asked.append(path)
        start("200 OK", [("Content-Type", "text/plain")])
        if path == "/long":
            return self.long()
        if path == "/blocked":
            self.go_on.wait(300)
        return [environ["wsgi.input"].read() or b"nothing"]

    def long(self) -> Iterator[bytes]:
        try:
            for _ in range(2000):
                yield bytes(100_000)
        finally:
            self.closed.set()


class Place:
    """A server for one application, whose clients are told apart by the header X-Who."""

    def __init__(self, **limits: Any) -> None:
        self.application = Application()
        self.adapter = WsgiAdapter(self.application, 4)
        self.patience = Patience(**{"seconds": 1000.0, "least_rate": 500.0, **limits})
        app = BodiesFirst(Throttle(self.adapter, lambda scope: str(dict(scope["headers"]).get(b"x-who")), 2))
        settings = uvicorn.Config(
            cast(Any, app),
            http=cast(Any, functools.partial(Connection, patience=self.patience)),
            log_config=None,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self.server = uvicorn.Server(settings)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.serve, args=(settings,))

    def serve(self, settings: uvicorn.Config) -> None:
        with asyncio.Runner(loop_factory=settings.get_loop_factory()) as runner:
            runner.run(self.server.serve(sockets=[self.listener]))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def answer(self, content: bytes) -> bytes:
        """What comes until the server ends the connection, or answers a request that asked it to."""
        with connected(self.url) as connection:
            connection.sendall(content)
            return everything(connection)


@contextlib.contextmanager
def serving(**limits: Any) -> Iterator[Place]:
    place = Place(**limits)
    place.thread.start()
    until(lambda: place.server.started, what="the server")
    try:
        yield place
    finally:
        place.application.go_on.set()
        place.server.should_exit = True
        place.thread.join()
        place.adapter.close()
        place.listener.close()


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with serving() as place:
        yield place


@pytest.fixture(scope="module")
def hasty() -> Iterator[Place]:
    """A server that waits for a second."""
    with serving(seconds=1.0) as place:
        yield place


def everything(connection: socket.socket) -> bytes:
    """All that comes until the connection is ended."""
    whole = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 16):
            whole += piece
    return whole


def require_read(place: Place) -> None:
    """Return when the server has read what was sent to it before: it reads in turn, and answers this later."""
    for _ in range(2):
        assert requests.get(place.url, timeout=300).status_code == 200


def status(answer: bytes) -> int:
    return int(answer.split(None, 2)[1])


# --- heads ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_line", "headers", "expected"),
    [
        (f"GET /{'x' * MOST_HEAD} HTTP/1.1", [HEAD], 414),
        (f"GET /?{'x' * 200_000} HTTP/1.1", [HEAD], 414),
        ("GET / HTTP/1.1", [HEAD, f"X-Long: {'x' * MOST_HEAD}"], 431),
        ("GET / HTTP/1.1", [HEAD, *(f"X-{number}: {'x' * 1000}" for number in range(90))], 431),
        ("GET / HTTP/1.1", [HEAD, *("A: b" for _ in range(300))], 431),
        ("GET / HTTP/1.1", [HEAD, f"X-Long: {'x' * 60_000}", "Connection: close"], 200),
        (f"GET /?{'x' * 60_000} HTTP/1.1", [HEAD, "Connection: close"], 200),
    ],
)
def test_a_head_has_64_kib_at_most(place: Place, request_line: str, headers: list[str], expected: int) -> None:
    place.application.asked.clear()
    assert status(place.answer(lines(request_line, *headers))) == expected
    assert len(place.application.asked) == (expected == 200)


@pytest.mark.parametrize("begun", [b"GET /", b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: "])
def test_a_head_that_never_ends_is_not_kept(place: Place, begun: bytes) -> None:
    """The server ends the connection after a few times the limit, whatever is sent: it cannot have kept it."""
    with connected(place.url) as connection:
        connection.sendall(begun)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 100 * MOST_HEAD:
                sent += connection.send(b"x" * 10_000)
                time.sleep(0)
                connection.settimeout(0)
                with contextlib.suppress(BlockingIOError):
                    assert status(connection.recv(1000)) == (414 if begun == b"GET /" else 431)
                    break
                connection.settimeout(300)
    # what one side sends and the other has not read yet lies in the system
    assert sent < 100 * MOST_HEAD


def test_the_second_head_of_a_connection_has_the_same_limit(place: Place) -> None:
    with connected(place.url) as connection:
        for _ in range(3):  # what came before does not count
            connection.sendall(lines("GET / HTTP/1.1", HEAD, f"X: {'x' * 40_000}"))
            assert status(connection.recv(1000)) == 200
        connection.sendall(lines("GET / HTTP/1.1", HEAD, f"X: {'x' * MOST_HEAD}"))
        assert status(everything(connection)) == 431


@pytest.mark.parametrize(
    ("version", "hosts", "expected"),
    [("1.1", [], 400), ("1.1", ["x", "y"], 400), ("1.1", ["x", "x"], 400), ("1.0", ["x", "y"], 400),
     ("1.0", [], 200), ("1.1", ["x"], 200)],
)  # fmt: skip
def test_there_is_one_host(place: Place, version: str, hosts: list[str], expected: int) -> None:
    """RFC 9112, section 3.2."""
    headers = [f"Host: {host}" for host in hosts]
    answer = place.answer(lines(f"GET / HTTP/{version}", *headers, "Connection: close"))
    assert status(answer) == expected
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize(
    "wrong",
    [
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\nNONSENSE\r\n\r\n",
        b"\0" * 1000,
        lines("GET / HTTP/1.1", HEAD, "Upgrade: x", "Connection: upgrade, close"),
        lines("POST / HTTP/1.1", HEAD, "Expect: 100-continue", "Transfer-Encoding: chunked") + b"no size\r\n",
    ],
)
def test_wrong_requests_are_refused_and_fill_no_log(
    place: Place, wrong: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """One after another, in one piece: the first is answered, and the log, which anybody could fill, says nothing."""
    for _ in range(5):
        assert place.answer(wrong).count(b"\r\n\r\n") == 1
    assert caplog.text == ""


@pytest.mark.parametrize("codings", [["gzip, chunked"], ["gzip", "chunked"], ["x,chunked"], ["identity, chunked"]])
def test_a_transfer_coding_that_is_not_understood_is_told(place: Place, codings: list[str]) -> None:
    """RFC 9112, section 6.1: else the application would take what is compressed for the body."""
    headers = [f"Transfer-Encoding: {coding}" for coding in codings]
    answer = place.answer(lines("POST / HTTP/1.1", HEAD, *headers) + b"5\r\nhello\r\n0\r\n\r\n")
    assert status(answer) == 501
    assert b"chunked is understood" in answer
    assert b"connection: close" in answer


@pytest.mark.parametrize("name", ["Transfer-Encoding: Chunked", "transfer-encoding:  chunked "])
def test_chunks_are_understood_however_they_are_announced(place: Place, name: str) -> None:
    answer = place.answer(lines("POST / HTTP/1.1", HEAD, "Connection: close", name) + b"5\r\nhello\r\n0\r\n\r\n")
    assert (status(answer), answer[-5:]) == (200, b"hello")


def test_an_old_request_has_no_transfer_coding(place: Place) -> None:
    answer = place.answer(lines("POST / HTTP/1.0", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n")
    assert status(answer) == 400
    assert b"Content-Length" in answer


def test_what_stands_behind_a_body_is_no_header(place: Place) -> None:
    """A proxy that sets X-Forwarded-For does not look behind the body."""
    begun = lines("POST / HTTP/1.1", HEAD, "Transfer-Encoding: chunked", "Connection: close")
    answer = place.answer(begun + b"5\r\nhello\r\n0\r\nX-Forwarded-For: 192.0.2.1\r\nX-Who: me\r\n\r\n")
    assert answer.endswith(b"hello")
    assert {"HTTP_X_FORWARDED_FOR", "HTTP_X_WHO"}.isdisjoint(place.application.environ)


@pytest.mark.parametrize("around", [b"0\r\nX-Long: " + b"x" * 500_000, b"5;" + b"x" * 500_000])
def test_what_stands_around_a_body_is_bounded(place: Place, around: bytes) -> None:
    answer = place.answer(lines("POST / HTTP/1.1", HEAD, "Transfer-Encoding: chunked") + around)
    assert status(answer) == 400


def test_requests_of_a_connection_that_wait_are_few(place: Place) -> None:
    place.application.asked.clear()
    with connected(place.url) as connection:
        connection.sendall(lines("GET /blocked HTTP/1.1", HEAD, "X-Who: many"))
        until(lambda: place.application.asked == ["/blocked"])
        connection.sendall(lines("GET / HTTP/1.1", HEAD) * 1000)
        assert everything(connection) == b"", "it is ended"
    place.application.go_on.set()
    with connected(place.url) as connection:
        connection.sendall(lines("GET / HTTP/1.1", HEAD) * 20 + lines("GET / HTTP/1.1", HEAD, "Connection: close"))
        assert everything(connection).count(b"200 OK") == 21


# --- bodies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "announced", ["Content-Length: 1000", "Content-Length: 999999999", "Transfer-Encoding: chunked"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_no_body_is_waited_for_where_it_means_nothing(place: Place, method: str, announced: str) -> None:
    answer = place.answer(lines(f"{method} / HTTP/1.1", HEAD, announced))
    assert status(answer) == 200
    assert "CONTENT_LENGTH" not in place.application.environ
    assert "HTTP_TRANSFER_ENCODING" not in place.application.environ


def test_unfinished_small_bodies_take_no_turn(place: Place) -> None:
    """Eight unfinished ones of a client that has two turns: its next request is answered."""
    for announced in ("Content-Length: 1000", "Transfer-Encoding: chunked"):
        with contextlib.ExitStack() as opened:
            for _ in range(8):
                connection = opened.enter_context(connected(place.url))
                connection.sendall(lines("POST / HTTP/1.1", HEAD, "X-Who: slow", announced) + b"1\r\n")
            assert requests.post(place.url, b"mine", headers={"X-Who": "slow"}, timeout=300).content == b"mine"


def test_unfinished_uploads_of_some_keep_nobody_else_from_uploading(place: Place) -> None:
    with contextlib.ExitStack() as opened:
        for number in range(16):
            connection = opened.enter_context(connected(place.url))
            who = f"X-Who: {number % 8}"
            connection.sendall(lines("POST / HTTP/1.1", HEAD, who, "Content-Length: 1000000") + b"begun")
        until(lambda: len(place.patience._watched) >= 16)
        large = bytes(1 << 20)
        assert requests.post(place.url, large, headers={"X-Who": "other"}, timeout=300).content == large


@pytest.mark.parametrize("chunked", [False, True])
def test_a_small_body_reaches_the_application_with_its_length(place: Place, chunked: bool) -> None:
    body = b"a=1&b=2"
    assert requests.post(place.url, iter([body]) if chunked else body, timeout=300).content == body
    assert place.application.environ["CONTENT_LENGTH"] == str(len(body))


# --- clients that send no more ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "answers"),
    [
        (lines("GET /blocked HTTP/1.1", HEAD), [b"nothing"]),
        (lines("POST /blocked HTTP/1.1", HEAD, "Content-Length: 5") + b"hello", [b"hello"]),
        (lines("POST /blocked HTTP/1.1", HEAD, "Transfer-Encoding: chunked") + b"2\r\nhi\r\n0\r\n\r\n", [b"hi"]),
        (lines("POST /blocked HTTP/1.1", HEAD, "Content-Length: 100000") + b"x" * 100_000, [b"x" * 100_000]),
        (lines("GET /blocked HTTP/1.1", HEAD) + lines("POST / HTTP/1.1", HEAD, "Content-Length: 3") + b"two"
         + lines("POST / HTTP/1.1", HEAD, "Content-Length: 5") + b"three", [b"nothing", b"two", b"three"]),
    ],
)  # fmt: skip
def test_a_client_that_sends_no_more_gets_its_answers(place: Place, asked: bytes, answers: list[bytes]) -> None:
    """RFC 9112, section 9.6 has the server half-close; a client may, too (RFC 9293, section 3.6), as nc -N does."""
    place.application.asked.clear()
    place.application.go_on.clear()
    with connected(place.url) as connection:
        connection.sendall(asked)
        connection.shutdown(socket.SHUT_WR)
        until(lambda: place.application.asked == ["/blocked"])
        require_read(place)
        place.application.go_on.set()
        whole = everything(connection)
    assert [part.partition(b"\r\n\r\n")[2] for part in whole.split(b"HTTP/1.1 200 OK\r\n")[1:]] == answers
    assert whole.count(b"connection: close") == 1, "the last says that no more comes"


def test_a_long_answer_goes_on_to_a_client_that_sends_no_more(place: Place) -> None:
    with connected(place.url) as connection:
        connection.sendall(lines("GET /long HTTP/1.1", HEAD))
        connection.shutdown(socket.SHUT_WR)
        assert sum(len(piece) for piece in iter(lambda: connection.recv(1 << 20), b"")) > 2000 * 100_000


def test_a_request_that_ends_too_early_is_not_waited_for(place: Place) -> None:
    for begun in (b"", b"GET / HT", lines("POST / HTTP/1.1", HEAD, "Content-Length: 1000") + b"x"):
        with connected(place.url) as connection:
            connection.sendall(begun)
            connection.shutdown(socket.SHUT_WR)
            assert everything(connection) == b""


# --- patience -------------------------------------------------------------------------------------------------


def trickle(connection: socket.socket, begun: bytes, piece: bytes) -> bytes:
    """What the server answers to who sends a byte now and then."""
    connection.sendall(begun)
    connection.settimeout(0.1)
    for _ in range(3000):
        with contextlib.suppress(TimeoutError):
            return connection.recv(1000)
        with contextlib.suppress(ConnectionError):
            connection.sendall(piece)
    raise AssertionError("the server waits for ever")


@pytest.mark.parametrize(
    ("begun", "piece"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"x"),
        (b"GE", b""),
        (lines("POST / HTTP/1.1", HEAD, "Content-Length: 1000"), b"x"),
        (lines("POST / HTTP/1.1", HEAD, "Content-Length: 1000"), b""),
        (lines("POST / HTTP/1.1", HEAD, "Content-Length: 1000000"), b"x"),
        (lines("POST / HTTP/1.1", HEAD, "Transfer-Encoding: chunked"), b"1\r\nx\r\n"),
    ],
)
def test_who_sends_too_slowly_is_told_so(hasty: Place, begun: bytes, piece: bytes) -> None:
    with connected(hasty.url) as connection:
        assert status(trickle(connection, begun, piece)) == 408


@pytest.mark.parametrize(("begun", "piece"), [(b"", b""), (b"\r\n", b"\r\n"), (lines("GET / HTTP/1.1", HEAD), b"\r\n")])
def test_a_connection_without_a_request_is_closed(hasty: Place, begun: bytes, piece: bytes) -> None:
    with connected(hasty.url) as connection:
        answer = trickle(connection, begun, piece)
        assert answer == b"" or (status(answer), trickle(connection, b"", piece)) == (200, b"")


def test_the_rest_of_a_body_that_nobody_reads_is_not_waited_for_either(hasty: Place) -> None:
    with connected(hasty.url) as connection:
        begun = lines("GET / HTTP/1.1", HEAD, "Content-Length: 1000")
        assert status(trickle(connection, begun, b"x")) == 200
        assert trickle(connection, b"", b"") == b""


def test_who_sends_at_the_least_rate_may_take_long() -> None:
    with serving(seconds=2.0, least_rate=1.0) as place, connected(place.url) as connection:
        connection.sendall(lines("POST / HTTP/1.1", HEAD, "Content-Length: 4000", "Connection: close"))
        for _ in range(40):
            connection.sendall(bytes(100))
            time.sleep(0.1)
        assert status(everything(connection)) == 200


def test_who_does_not_read_the_answer_is_ended(hasty: Place) -> None:
    hasty.application.closed.clear()
    with connected(hasty.url) as connection:
        connection.sendall(lines("GET /long HTTP/1.1", HEAD))
        assert hasty.application.closed.wait(300)
    whole = requests.get(f"{hasty.url}/long", timeout=300)  # who reads gets it all
    assert len(whole.content) == 200_000_000


def test_who_asks_for_much_and_reads_nothing_is_ended(hasty: Place) -> None:
    """No answer is large, and all of them lie in the system before one is held back."""
    with connected(hasty.url) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        body = bytes(60_000)
        request = lines("POST / HTTP/1.1", HEAD, f"Content-Length: {len(body)}") + body
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                connection.sendall(request)
            raise AssertionError("the server took 60 MB and keeps what it has to say of it")
    until(lambda: not hasty.patience._watched)


def test_who_hangs_up_with_requests_behind_a_waiting_one_is_forgotten() -> None:
    """uvicorn tells only the last request of a connection that its client has gone."""
    gone = threading.Event()

    async def waiting(scope: Any, receive: Any, send: Any) -> None:
        scope[PARKED] = True
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    async def scenario() -> None:
        settings = uvicorn.Config(
            waiting,
            http=cast(Any, functools.partial(Connection, patience=Patience(1000, 500))),
            log_config=None,
            lifespan="off",
        )
        server = uvicorn.Server(settings)
        listener = socket.create_server(("127.0.0.1", 0))
        serving = asyncio.create_task(server._serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        _, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
        writer.write(lines("GET /a HTTP/1.1", HEAD) * 2)
        await asyncio.sleep(0.2)
        writer.transport.abort()
        try:
            assert await asyncio.to_thread(gone.wait, 300)
        finally:
            server.should_exit = server.force_exit = True
            await serving

    thread = threading.Thread(target=lambda: asyncio.run(scenario()))
    thread.start()
    thread.join()
    assert gone.is_set()


# --- how many -------------------------------------------------------------------------------------------------


def test_there_are_so_many_connections_and_then_a_sentence() -> None:
    with serving(most=10, most_each=6, peer_of=lambda address: address) as place:
        port = urlsplit(place.url).port
        with contextlib.ExitStack() as opened:
            for number in range(12):
                source = (f"127.0.3.{number % 2 + 1}", 0)
                opened.enter_context(socket.create_connection(("127.0.0.1", port), 300, source))
            for source in (("127.0.3.1", 0), ("127.0.3.3", 0)):  # who has its share, and anybody once all are taken
                more = opened.enter_context(socket.create_connection(("127.0.0.1", port), 300, source))
                assert status(everything(more)) == 503
        until(lambda: place.patience._count == 0)
        assert requests.get(place.url, timeout=300).status_code == 200
