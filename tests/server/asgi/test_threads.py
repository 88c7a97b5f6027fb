"""Threads that work for an event loop: every call comes back, to the loop that asked, in its own future."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from uws_server.asgi.threads import Threads

Value = TypeVar("Value")


def run(call: Coroutine[None, None, Value]) -> Value:
    """What a coroutine returns, in an event loop of a thread of its own: that of the tests may run a browser's."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, call).result()


@pytest.fixture
def threads() -> Iterator[Threads]:
    made = Threads(3, "test")
    yield made
    made.close()


def test_every_call_comes_back_with_its_own_value_or_error(threads: Threads) -> None:
    def half(number: int) -> int:
        if number % 2:
            raise ValueError(f"{number} is odd")
        return number // 2

    async def all_of_them() -> list[int | BaseException]:
        asked = [threads.run(lambda number=number: half(number)) for number in range(2000)]  # type: ignore[misc]
        return await asyncio.gather(*asked, return_exceptions=True)

    for _ in range(3):  # an event loop after the other
        for number, value in enumerate(run(all_of_them())):
            assert str(value) == (f"{number} is odd" if number % 2 else str(number // 2))


def test_no_more_threads_than_allowed_and_none_before_there_is_work(threads: Threads) -> None:
    meeting = threading.Barrier(3)

    async def three() -> tuple[set[int], int]:
        before = threading.active_count()
        met = {await threads.run(threading.get_ident)}
        await asyncio.gather(*(threads.run(meeting.wait) for _ in range(3)))  # ends only if three work at a time
        for _ in range(50):
            met |= set(await asyncio.gather(*(threads.run(threading.get_ident) for _ in range(20))))
        return met, threading.active_count() - before

    met, more = run(three())
    assert len(met) <= 3 and more == 3


def test_a_call_that_is_given_up_before_a_thread_takes_it_is_not_made(threads: Threads) -> None:
    go_on, made = threading.Event(), []

    async def give_up() -> None:
        blocked = [threads.run(lambda: go_on.wait(300)) for _ in range(3)]
        waiting = threads.run(lambda: made.append("given up"))
        waiting.cancel()
        go_on.set()
        await asyncio.gather(*blocked)
        await threads.run(lambda: made.append("asked for"))

    run(give_up())
    assert made == ["asked for"]


def test_close_waits_for_the_calls_that_were_begun_and_takes_no_more() -> None:
    threads = Threads(1, "test")
    begun, go_on, made = threading.Event(), threading.Event(), []

    def slow() -> None:
        begun.set()
        assert go_on.wait(300)
        made.append("slow")

    async def ask() -> None:
        threads.run(slow)
        threads.run(lambda: made.append("never begun"))
        while not begun.is_set():
            await asyncio.sleep(0.001)

    run(ask())
    closing = threading.Thread(target=threads.close)
    closing.start()
    go_on.set()
    closing.join()
    assert made == ["slow"]

    async def ask_again() -> None:
        with pytest.raises(RuntimeError, match="closed"):
            threads.run(lambda: None)

    run(ask_again())
