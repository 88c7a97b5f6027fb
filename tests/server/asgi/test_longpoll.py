"""Waiting: long polling over a real WSGI application in an event loop, then over HTTP against the real server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from processes import until
from serving import NEW, WITHOUT_RECHECKS, Served, connected, connections, require_read, running_server
from uws_server.asgi.longpoll import HEADER, LongPolling
from uws_server.asgi.notifier import Notifier
from uws_server.asgi.wsgi import WsgiAdapter

SOAK = bool(os.environ.get("UWS_SOAK"))
JOB = "0123456789abcdef0123456789abcdef"


class Jobs:
    """A WSGI application with nothing but phases: a stand-in for no code of ours, but for any that parks."""

    def __init__(self) -> None:
        self.notifier = Notifier()
        self.phases: dict[str, str] = {}
        self.asked: Counter[str] = Counter()
        self.order: list[str] = []
        """The jobs in the order in which they were asked for."""

    def set(self, job: str, phase: str) -> None:
        self.phases[job] = phase
        self.notifier.notify(job)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        job = environ["PATH_INFO"].rpartition("/")[2]
        phase = self.phases.get(job, "PENDING")
        self.asked[job] += 1
        self.order.append(job)
        query = {name.upper(): values[-1] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
        who = environ.get("HTTP_AUTHORIZATION", "")
        headers = [("Content-Type", "text/plain")]
        if phase == "BROKEN":
            raise RuntimeError("the application is broken")
        if "WAIT" in query and phase not in ("COMPLETED", "ABORTED"):
            headers.append((HEADER, f"{query['WAIT']} {phase} {who}".strip()))
        start_response("200 OK", headers)
        return [f"{phase} {who}".strip().encode()]


class Client:
    """One request put to long polling, as a server would put it."""

    def __init__(self, polling: LongPolling, query: str = "WAIT=3600", method: str = "GET", **options: Any) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.complete = self._gone = False
        self._happened = asyncio.Event()
        self._happened.set()
        self.slow: Awaitable[object] | None = options.get("slow")
        headers = [(b"user-agent", options.get("agent", "test").encode())]
        headers += [(b"authorization", options["who"].encode())] if "who" in options else []
        scope = {
            "type": "http",
            "method": method,
            "path": f"/rest/dummy/{options.get('job', JOB)}",
            "query_string": query.encode(),
            "headers": headers,
            "http_version": "1.1",
            "client": (options.get("address", "192.0.2.1"), 1),
        }
        self.task = asyncio.get_running_loop().create_task(polling(scope, self.receive, self.send))

    async def receive(self) -> dict[str, Any]:
        while not self._happened.is_set():
            await self._happened.wait()
        if self.complete or self._gone:
            return {"type": "http.disconnect"}
        self._happened.clear()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Any) -> None:
        if self.slow is not None:
            await self.slow
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            return
        self.body += message["body"]
        if not message.get("more_body"):
            self.complete = True
            self._happened.set()

    def hang_up(self) -> None:
        self._gone = True
        self._happened.set()

    async def answer(self) -> str:
        await asyncio.wait_for(asyncio.shield(self.task), 300)
        assert self.complete
        return self.body.decode()


def never_rechecking(adapter: WsgiAdapter, notifier: Notifier, **options: int) -> LongPolling:
    """Long polling that answers a waiter because of a notification or because its time is over, or never."""
    return LongPolling(adapter, notifier, recheck_s=1e9, **options)


async def parked(polling: LongPolling, count: int) -> None:
    """Wait until so many clients have a place."""
    async with asyncio.timeout(300):
        while polling.places.taken != count:
            await asyncio.sleep(0.005)


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture
def adapter(jobs: Jobs) -> Iterator[WsgiAdapter]:
    adapter = WsgiAdapter(jobs, threads=4)
    yield adapter
    adapter.close()


# --- long polling --------------------------------------------------------------------------------------------


def apart(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run in a thread of its own: the browser tests may have left an event loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(scenario())).result()


def test_a_wait_ends_when_the_job_changes(jobs: Jobs, adapter: WsgiAdapter) -> None:
    async def scenario() -> None:
        polling = never_rechecking(adapter, jobs.notifier)
        client = Client(polling)
        await parked(polling, 1)
        await asyncio.to_thread(jobs.set, JOB, "EXECUTING")
        assert await client.answer() == "EXECUTING"
        assert HEADER.lower() not in client.headers
        assert polling.places.taken == 0

    apart(scenario)


def test_a_wait_ends_when_its_time_is_over(jobs: Jobs, adapter: WsgiAdapter) -> None:
    async def scenario() -> None:
        started = time.monotonic()
        assert await Client(never_rechecking(adapter, jobs.notifier), "WAIT=1").answer() == "PENDING"
        assert time.monotonic() - started > 0.95

    apart(scenario)


def test_a_ring_without_a_change_ends_no_wait(jobs: Jobs, adapter: WsgiAdapter) -> None:
    async def scenario() -> None:
        polling = never_rechecking(adapter, jobs.notifier)
        client = Client(polling)
        await parked(polling, 1)
        async with asyncio.timeout(300):
            while jobs.asked[JOB] < 5:
                jobs.notifier.notify(JOB)
                await asyncio.sleep(0.02)
        assert not client.task.done()
        jobs.set(JOB, "ABORTED")
        assert await client.answer() == "ABORTED"

    apart(scenario)


def test_a_change_that_nobody_rang_for_is_found(jobs: Jobs, adapter: WsgiAdapter) -> None:
    async def scenario() -> None:
        polling = LongPolling(adapter, jobs.notifier, recheck_s=0.2)
        client = Client(polling)
        await parked(polling, 1)
        jobs.phases[JOB] = "COMPLETED"
        assert await client.answer() == "COMPLETED"

    apart(scenario)


def test_who_may_have_missed_rings_asks_again(jobs: Jobs, adapter: WsgiAdapter) -> None:
    async def scenario() -> None:
        polling = never_rechecking(adapter, jobs.notifier)
        clients = [Client(polling, job=f"{number:032x}") for number in range(5)]
        await parked(polling, 5)
        jobs.phases |= {f"{number:032x}": "COMPLETED" for number in range(5)}
        jobs.notifier.notify_all()
        assert [await client.answer() for client in clients] == ["COMPLETED"] * 5

    apart(scenario)


def test_no_notification_is_lost_in_a_thousand_races(jobs: Jobs, adapter: WsgiAdapter) -> None:
    """A job changes just when somebody begins to wait for it; a notification that is lost would cost 20 s."""

    async def race(polling: LongPolling, number: int) -> str:
        job = f"{number:032x}"
        timer = threading.Timer(random.uniform(0, 0.003), jobs.set, (job, "COMPLETED"))
        timer.start()
        await asyncio.sleep(random.uniform(0, 0.003))
        answer = await Client(polling, job=job).answer()
        timer.join()
        return answer

    async def scenario() -> None:
        polling = never_rechecking(adapter, jobs.notifier)
        for start in range(0, 1000, 20):
            answers = await asyncio.gather(*(race(polling, start + n) for n in range(20)))
            assert answers == ["COMPLETED"] * 20
        assert polling.places.taken == 0

    apart(scenario)


def test_a_storm_of_rings_is_not_lost_either(jobs: Jobs, adapter: WsgiAdapter) -> None:
    async def scenario() -> None:
        polling = never_rechecking(adapter, jobs.notifier)
        clients = [Client(polling) for _ in range(50)]

        def storm() -> None:
            for _ in range(1000):
                jobs.notifier.notify(JOB)
            jobs.set(JOB, "COMPLETED")

        await asyncio.to_thread(storm)
        assert {await client.answer() for client in clients} == {"COMPLETED"}

    apart(scenario)


def test_one_answer_serves_all_who_asked_the_same(jobs: Jobs, adapter: WsgiAdapter) -> None:
    async def scenario() -> None:
        polling = never_rechecking(adapter, jobs.notifier)
        clients = [Client(polling, agent=f"client {n}", address=f"192.0.2.{n}") for n in range(200)]
        await parked(polling, 200)
        before = jobs.asked[JOB]
        jobs.set(JOB, "COMPLETED")
        assert {await client.answer() for client in clients} == {"COMPLETED"}
        assert jobs.asked[JOB] - before <= 2

    apart(scenario)


def test_nobody_gets_the_answer_for_someone_else(jobs: Jobs, adapter: WsgiAdapter) -> None:
    async def scenario() -> None:
        polling = never_rechecking(adapter, jobs.notifier)
        clients = {who: Client(polling, who=who) for who in ("ann", "ben", "cleo")}
        await parked(polling, 3)
        jobs.set(JOB, "COMPLETED")
        for who, client in clients.items():
            assert await client.answer() == f"COMPLETED {who}"

    apart(scenario)


def test_a_newcomer_is_not_answered_with_what_was_asked_before_it_came(jobs: Jobs, adapter: WsgiAdapter) -> None:
    async def scenario() -> None:
        polling = never_rechecking(adapter, jobs.notifier)
        first = Client(polling, "WAIT=3")
        await asyncio.sleep(1.5)
        came = time.monotonic()
        second = Client(polling, "WAIT=3")
        await first.answer()
        if second.task.done():  # a machine that stood still until both had waited long enough
            assert time.monotonic() - came > 2.95
            return
        jobs.set(JOB, "COMPLETED")
        assert await second.answer() in ("COMPLETED", "PENDING")
        assert second.body == b"COMPLETED" or time.monotonic() - came > 2.95

    apart(scenario)


def test_a_client_that_hangs_up_leaves_nothing(jobs: Jobs, adapter: WsgiAdapter) -> None:
    async def scenario() -> None:
        polling = never_rechecking(adapter, jobs.notifier)
        clients = [Client(polling, who=str(number % 7)) for number in range(100)]
        await parked(polling, 100)
        for client in clients:
            client.hang_up()
        await asyncio.wait_for(asyncio.gather(*(client.task for client in clients)), 300)
        assert polling.places.taken == 0
        asked = jobs.asked[JOB]
        jobs.set(JOB, "COMPLETED")
        await asyncio.sleep(0.1)
        assert jobs.asked[JOB] == asked  # nobody listens any more
        assert not any(client.status for client in clients)

    apart(scenario)


def test_no_thread_is_held_while_clients_wait(jobs: Jobs) -> None:
    async def scenario() -> None:
        adapter = WsgiAdapter(jobs, threads=1)
        polling = never_rechecking(adapter, jobs.notifier)
        clients = [Client(polling, job=f"{number:032x}") for number in range(300)]
        await parked(polling, 300)
        assert await Client(polling, "", job="f" * 32).answer() == "PENDING"
        assert not any(client.task.done() for client in clients)
        polling.close()
        assert {await client.answer() for client in clients} == {"PENDING"}
        adapter.close()

    apart(scenario)


def test_beyond_an_owners_places_a_wait_takes_a_second_or_two(jobs: Jobs, adapter: WsgiAdapter) -> None:
    async def scenario() -> None:
        polling = never_rechecking(adapter, jobs.notifier, most_each=2)
        waiting = [Client(polling, who="ann") for _ in range(2)]
        await parked(polling, 2)
        started = time.monotonic()
        third = Client(polling, who="ann")
        other = Client(polling, who="ben")
        await third.answer()
        assert time.monotonic() - started > 0.95
        assert not other.task.done()
        assert not any(client.task.done() for client in waiting)
        waiting[0].hang_up()
        await waiting[0].task
        fourth = Client(polling, who="ann")
        await parked(polling, 3)
        jobs.set(JOB, "ABORTED")
        assert await fourth.answer() == "ABORTED ann"
        assert {await client.answer() for client in (waiting[1], other)} == {"ABORTED ann", "ABORTED ben"}

    apart(scenario)


def test_who_has_no_account_is_counted_by_address(jobs: Jobs, adapter: WsgiAdapter) -> None:
    async def scenario() -> None:
        polling = never_rechecking(adapter, jobs.notifier, most_each=1)
        first = Client(polling, address="192.0.2.1")
        await parked(polling, 1)
        started = time.monotonic()
        await Client(polling, address="192.0.2.1").answer()
        assert time.monotonic() - started > 0.95
        assert not first.task.done()
        elsewhere = Client(polling, address="192.0.2.2")
        await parked(polling, 2)
        jobs.set(JOB, "COMPLETED")
        assert {await client.answer() for client in (first, elsewhere)} == {"COMPLETED"}

    apart(scenario)


def test_when_all_places_are_taken_those_who_are_held_take_none(jobs: Jobs, adapter: WsgiAdapter) -> None:
    async def scenario() -> None:
        polling = never_rechecking(adapter, jobs.notifier, most=3, most_each=2)
        waiting = [Client(polling, who=who) for who in ("ann", "ann", "ben")]
        await parked(polling, 3)
        held = [Client(polling, who=f"guest {number}") for number in range(20)]
        came = time.monotonic()
        assert {(await client.answer()).split()[0] for client in held} == {"PENDING"}
        assert time.monotonic() - came > 0.95
        assert polling.places.taken == 3
        assert not any(client.task.done() for client in waiting)
        polling.close()
        await asyncio.gather(*(client.answer() for client in waiting))

    apart(scenario)


def test_a_client_that_reads_slowly_keeps_nobody_waiting(jobs: Jobs, adapter: WsgiAdapter) -> None:
    async def scenario() -> None:
        polling = never_rechecking(adapter, jobs.notifier)
        reads = asyncio.Event()
        slow = Client(polling, slow=reads.wait())
        others = [Client(polling) for _ in range(20)]
        await parked(polling, 21)
        jobs.set(JOB, "COMPLETED")
        assert {await client.answer() for client in others} == {"COMPLETED"}
        assert not slow.complete
        reads.set()
        slow.slow = None
        await asyncio.sleep(0)

    apart(scenario)


def test_everyone_is_told_when_the_application_fails(
    jobs: Jobs, adapter: WsgiAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        polling = never_rechecking(adapter, jobs.notifier)
        clients = [Client(polling) for _ in range(5)]
        await parked(polling, 5)
        jobs.set(JOB, "BROKEN")
        answers = {await client.answer() for client in clients}
        assert answers == {"the server failed; its log tells more\n"}
        assert {client.status for client in clients} == {500}
        jobs.set(JOB, "PENDING")
        again = Client(polling)  # long polling itself goes on
        await parked(polling, 1)
        jobs.set(JOB, "COMPLETED")
        assert await again.answer() == "COMPLETED"

    apart(scenario)
    assert "the application is broken" in caplog.text


def test_a_newcomer_is_asked_for_before_the_thousands_of_another(jobs: Jobs, adapter: WsgiAdapter) -> None:
    """2,000 requests of which no two are alike, of one address, then one of another."""

    async def scenario() -> None:
        polling = never_rechecking(adapter, jobs.notifier)
        crowd = [Client(polling, f"WAIT=3600&n={number}", job="c" * 32) for number in range(2000)]
        await asyncio.sleep(0)
        before = len(jobs.order)
        newcomer = Client(polling, "WAIT=3600", job="d" * 32, address="192.0.2.9")
        async with asyncio.timeout(300):
            while not jobs.asked["d" * 32]:
                await asyncio.sleep(0)
        assert jobs.order.index("d" * 32) - before < 1000, "it did not stand behind all of them"
        for client in (*crowd, newcomer):
            client.hang_up()
        await asyncio.gather(*(client.task for client in (*crowd, newcomer)))

    apart(scenario)


def test_a_request_with_large_headers_gets_no_place(jobs: Jobs, adapter: WsgiAdapter) -> None:
    """What waits is kept: ten thousand times 64 KiB of headers would be."""

    async def scenario() -> None:
        polling = never_rechecking(adapter, jobs.notifier)
        large = Client(polling, f"WAIT=3600&x={'x' * 50_000}")
        assert await large.answer() == "PENDING"
        assert polling.places.taken == 0

    apart(scenario)


@pytest.mark.parametrize("query", ["wait=60", "%57AIT=60", "Wait=%36%30", "WAIT=1&WAIT=60", "PHASE=PENDING&WAIT=60"])
def test_wait_is_understood_however_it_is_written(jobs: Jobs, adapter: WsgiAdapter, query: str) -> None:
    async def scenario() -> None:
        polling = never_rechecking(adapter, jobs.notifier)
        client = Client(polling, query)
        await parked(polling, 1)
        await asyncio.sleep(0.05)
        assert not client.task.done()
        jobs.set(JOB, "COMPLETED")
        assert await client.answer() == "COMPLETED"

    apart(scenario)


def test_head_does_not_wait(jobs: Jobs, adapter: WsgiAdapter) -> None:
    async def scenario() -> None:
        client = Client(never_rechecking(adapter, jobs.notifier), "WAIT=3600", "HEAD")
        await client.answer()
        assert (client.status, HEADER.lower() in client.headers) == (200, False)

    apart(scenario)


# --- over HTTP --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("parking")
    with running_server(folder, program=WITHOUT_RECHECKS, loaded=NEW, max_running=1) as served:
        yield served


def create(served: Served, **values: str) -> str:
    answer = requests.post(f"{served.url}/rest/dummy", data=values, allow_redirects=False, timeout=300)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def abort(job: str) -> None:
    answer = requests.post(f"{job}/phase", data={"PHASE": "ABORT"}, allow_redirects=False, timeout=300)
    assert answer.status_code == 303, answer.text


def request_for(job: str, query: str = "WAIT=-1", method: str = "GET") -> bytes:
    parts = urlsplit(job)
    return f"{method} {parts.path}?{query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()


def read_answer(stream: Any) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the next answer of a connection."""
    status = int(stream.readline().split()[1])
    headers = {}
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return status, headers, stream.read(int(headers["content-length"]))


def descriptors(served: Served) -> int:
    return len(list(Path(f"/proc/{served.process.pid}/fd").iterdir()))


def test_a_connection_is_used_again_after_a_wait(served: Served) -> None:
    job = create(served)
    with connected(served.url) as connection, connection.makefile("rb") as stream:
        connection.sendall(request_for(job))
        require_read(served.url)
        abort(job)
        status, headers, body = read_answer(stream)
        assert (status, HEADER.lower() in headers) == (200, False)
        assert b"<uws:phase>ABORTED" in body
        connection.sendall(request_for(f"{job}/phase", ""))
        assert read_answer(stream)[2] == b"ABORTED"


def test_requests_sent_at_once_are_answered_in_their_order(served: Served) -> None:
    job, other = create(served), create(served)
    with connected(served.url) as connection, connection.makefile("rb") as stream:
        connection.sendall(request_for(job) + request_for(f"{job}/phase", "") + request_for(other, "WAIT=1"))
        require_read(served.url)
        abort(job)
        assert b"<uws:phase>ABORTED" in read_answer(stream)[2]
        assert read_answer(stream)[2] == b"ABORTED"
        assert b"<uws:phase>PENDING" in read_answer(stream)[2]


def test_head_over_http_answers_at_once_and_has_no_body(served: Served) -> None:
    job = create(served)
    with connected(served.url) as connection, connection.makefile("rb") as stream:
        connection.sendall(request_for(job, "WAIT=3600", "HEAD") + request_for(f"{job}/phase", ""))
        assert stream.readline().split()[1] == b"200"
        while stream.readline().strip():
            pass
        assert read_answer(stream)[2] == b"PENDING"


def test_clients_that_hang_up_leave_no_descriptor(served: Served) -> None:
    job = create(served)
    until(lambda: connections(served.url) == 0, what="those of what was asked before are closed")
    before = descriptors(served)
    with contextlib.ExitStack() as opened:
        for _ in range(50):
            opened.enter_context(connected(served.url)).sendall(request_for(job))
        until(lambda: descriptors(served) >= before + 50, what="fifty connections", every=0.05)
    until(lambda: connections(served.url) == 0, what="none of them is left")
    until(lambda: descriptors(served) <= before + 2, what="no descriptor is left", every=0.05)


def test_a_server_that_stops_answers_those_who_wait(tmp_path: Path) -> None:
    with running_server(tmp_path) as served:
        job = create(served)
        with connected(served.url) as connection, connection.makefile("rb") as stream:
            connection.sendall(request_for(job))
            require_read(served.url)
            served.stop()
            status, headers, body = read_answer(stream)
            assert (status, headers["connection"]) == (200, "close")
            assert b"<uws:phase>PENDING" in body


def test_who_stands_in_his_own_line_holds_nobody_else_up(served: Served) -> None:
    """Eight requests of one client whose body never comes, and four that wait for the end of a job.

    While they last, another client looks at a job with a query, waits, and is told of the change.
    """
    ends, job = f"{create(served, seconds='600', PHASE='RUN')}/sync", create(served)
    with contextlib.ExitStack() as opened:
        for number in range(12):
            connection = opened.enter_context(connected(served.url))
            parts = urlsplit(ends)
            target = parts.path if number >= 8 else "/rest/dummy"
            more = "" if number >= 8 else "Content-Length: 1000\r\n"
            connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n{more}\r\n".encode())
        require_read(served.url)
        assert requests.get(f"{job}?PHASE=PENDING", timeout=300).status_code == 200
        assert requests.get(f"{job}?WAIT=1", auth=("", ""), timeout=300).status_code == 200  # by a thread
        connection = opened.enter_context(connected(served.url))
        connection.sendall(request_for(job))
        require_read(served.url)
        abort(job)
        with connection.makefile("rb") as stream:
            assert b"<uws:phase>ABORTED" in read_answer(stream)[2]
    abort(ends.removesuffix("/sync"))


class Waiting(asyncio.Protocol):
    """A connection that waits for a job; `answer` is what came."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.answer = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if b"</uws:job>" in self.answer and not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.cancel()


def test_many_wait_while_others_go_on(served: Served) -> None:
    """1,100 clients on 10 jobs, more than select() takes descriptors; with UWS_SOAK=1, 10,000 on 50, and their cost."""
    jobs = [create(served) for _ in range(50 if SOAK else 10)]
    each = 200 if SOAK else 110
    target = urlsplit(served.url)

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        waiting: dict[str, list[Waiting]] = {}
        for number, job in enumerate(jobs):
            # an address for each job: the server bounds how many of one address may wait
            made = [
                loop.create_connection(
                    lambda job=job: Waiting(request_for(job)),  # type: ignore[misc]
                    target.hostname,
                    target.port,
                    local_addr=(f"127.0.2.{number + 1}", 0),
                )
                for _ in range(each)
            ]
            waiting[job] = [protocol for _, protocol in await asyncio.gather(*made)]
        await asyncio.sleep(5 if SOAK else 1)
        everyone = [client for clients in waiting.values() for client in clients]
        assert not any(client.done.done() for client in everyone)
        await asyncio.to_thread(plain_requests, served, 300)
        assert not any(client.done.done() for client in everyone)
        if SOAK:
            assert memory_mib(served) < 250
        for job, clients in waiting.items():
            await asyncio.to_thread(abort, job)
            await asyncio.wait_for(asyncio.gather(*(client.done for client in clients)), 300)
            assert all(b"<uws:phase>ABORTED" in client.answer for client in clients)
        for client in everyone:
            client.transport.close()

    apart(scenario)
    assert " ERROR " not in served.log.read_text(encoding="utf-8")


def plain_requests(served: Served, count: int) -> None:
    """So many GETs of a job, one after the other."""
    job = create(served)
    with requests.Session() as session:
        for _ in range(count):
            assert session.get(job, timeout=300).status_code == 200


def memory_mib(served: Served) -> float:
    lines = Path(f"/proc/{served.process.pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024
