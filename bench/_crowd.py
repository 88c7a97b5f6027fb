"""Clients that wait, by the thousand, in a process of their own; driven by JSON lines on stdin, with answers on stdout.

["park", [[job, how many, address, cookie], ...]]  open that many connections from the address and WAIT; answers how
                                                   many; the cookie gets a number appended if it is not empty
["answered", job, most seconds]                    when everyone of the job has been answered, and how many
["races", job list, how many]                      a wait and a change at the same moment; answers how many were lost
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import time
from typing import Any
from urllib.parse import urlsplit

_AT_ONCE = 200
_RACERS = 8
_LOST_S = 8.0
"""A wait that is not answered by then is lost: less than the time after which the server looks again by itself."""


class Waiter(asyncio.Protocol):
    """One connection that asked and waits; `when` is the time of the answer."""

    def __init__(self, target: str, host: str, cookie: str = "") -> None:
        more = f"Cookie: {cookie}\r\n" if cookie else ""
        self.request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode()
        self.answer = b""
        self.when = 0.0
        self.transport: asyncio.Transport | None = None
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if b"</uws:job>" in self.answer and not self.done.done():
            self.when = time.monotonic()
            self.done.set_result(None)

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("the server hung up"))
            self.done.exception()  # counted, not raised


class Crowd:
    """Everyone who waits, by job."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[Waiter]] = {}

    async def park(self, groups: list[tuple[str, int, str, str]]) -> int:
        all_of_them = [(job, a, c and f"{c}{number}") for job, count, a, c in groups for number in range(count)]
        for start in range(0, len(all_of_them), _AT_ONCE):
            await asyncio.gather(*(self._open(*client) for client in all_of_them[start : start + _AT_ONCE]))
        return len(all_of_them)

    async def _open(self, job: str, address: str, cookie: str) -> None:
        self.waiting.setdefault(job, []).append(await wait_for(job, "-1", address, cookie))

    async def answered(self, job: str, seconds: float) -> tuple[float, int]:
        waiting = self.waiting.pop(job)
        await asyncio.wait([waiter.done for waiter in waiting], timeout=seconds)
        times = [waiter.when for waiter in waiting if waiter.when]
        for waiter in waiting:
            if waiter.transport is not None:
                waiter.transport.close()
        return max(times, default=0.0), len(times)

    async def races(self, job_list: str, count: int) -> int:
        turns = iter(range(count))
        lost = await asyncio.gather(*(self._racer(job_list, turns) for _ in range(_RACERS)))
        return sum(lost)

    async def _racer(self, job_list: str, turns: Any) -> int:
        lost = 0
        for _ in turns:
            job = (await post(job_list, "text=race"))["location"]
            waiter = await wait_for(job, "60", "127.0.0.1")
            await asyncio.sleep(random.uniform(0, 0.004))
            await post(f"{job}/phase", "PHASE=ABORT")
            await asyncio.wait([waiter.done], timeout=_LOST_S)
            lost += b"<uws:phase>ABORTED" not in waiter.answer
            assert waiter.transport is not None
            waiter.transport.close()
        return lost


async def wait_for(job: str, seconds: str, address: str, cookie: str = "") -> Waiter:
    parts = urlsplit(job)
    target = f"{parts.path}?WAIT={seconds}"
    _, waiter = await asyncio.get_running_loop().create_connection(
        lambda: Waiter(target, parts.netloc, cookie), parts.hostname, parts.port, local_addr=(address, 0)
    )
    return waiter


async def post(url: str, body: str) -> dict[str, str]:
    """The headers of the answer to a form."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}".encode())
    answer = (await reader.read()).decode("latin-1")
    writer.close()
    lines = answer.partition("\r\n\r\n")[0].split("\r\n")
    if " 303 " not in lines[0]:
        sys.exit(f"{url} answered {answer[:300]}")
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}


async def main() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    crowd = Crowd()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command, *arguments = json.loads(line)
        print(json.dumps(await getattr(crowd, command)(*arguments)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
