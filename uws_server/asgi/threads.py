"""Threads that do the work of requests behind an event loop, and hand what came of it back. Imports later answers.

An executor of the standard library makes two futures with locks for each call, and wakes the event loop for each by a
byte through a socket. Here one wake-up brings back all calls that have ended until it is noticed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from uws_server.asgi.later import After

Value = TypeVar("Value")


class Threads:
    """At most so many threads, each begun when none of those there are is free."""

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._free = 0
        """The threads that have nothing to do, less the calls that none has taken yet."""
        self._lock = threading.Lock()
        self._closed = False
        self._returns: _Returns | None = None

    def run(self, function: Callable[[], Value]) -> asyncio.Future[Value]:
        """Have a thread call a function; return the future of its value, in the running event loop.

        A value that is an `After` is handed back after its event, for which no thread waits.
        A function whose future is cancelled before a thread has taken it is not called. Raise RuntimeError if the
        threads were closed.
        """
        loop = asyncio.get_running_loop()
        if self._returns is None or self._returns.loop is not loop:
            self._returns = _Returns(loop)
        future: asyncio.Future[Value] = loop.create_future()
        with self._lock:
            if self._closed:
                raise RuntimeError("no call is taken any more: the threads are closed")
            self._free -= 1
            if self._free < 0 and len(self._threads) < self._most:
                self._begin_one()
            self._calls.put(_Call(function, future, self._returns))
        return future

    def close(self) -> None:
        """Return when the calls have ended that threads have taken; none of the others is made."""
        with self._lock:
            self._closed = True
            while not self._calls.empty():
                self._calls.get_nowait()
            for _ in self._threads:
                self._calls.put(None)
        for thread in self._threads:
            thread.join()

    def _begin_one(self) -> None:
        thread = threading.Thread(target=self._work, name=f"{self._name}_{len(self._threads)}", daemon=True)
        thread.start()
        self._threads.append(thread)
        self._free += 1

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call.make()
            del call  # what it holds must not live until the next one comes
            with self._lock:
                self._free += 1


class _Call:
    """A call that a thread is to make, and the future that waits for its value."""

    def __init__(self, function: Callable[[], Any], future: asyncio.Future[Any], returns: _Returns) -> None:
        self._function, self.future, self._returns = function, future, returns
        self._value: Any = None
        self._error: BaseException | None = None

    def make(self) -> None:
        """Make the call, in a thread."""
        if self.future.cancelled():
            return
        try:
            self._value = self._function()
        except BaseException as error:  # noqa: BLE001 - raised where the value is waited for
            self._error = error
        if isinstance(self._value, After):
            self._value.event.then(functools.partial(self._returns.add, self))
        else:
            self._returns.add(self)

    def settle(self) -> None:
        """Give the future what came, in the thread of its event loop."""
        if self.future.done():  # cancelled: nobody waits any more
            return
        if self._error is None:
            self.future.set_result(self._value)
        else:
            self.future.set_exception(self._error)


class _Returns:
    """The calls that have ended, on their way back to an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._ended: deque[_Call] = deque()
        self._is_told = False
        """Whether the loop will look: set once a call was added, taken back before the loop looks: none is missed."""

    def add(self, call: _Call) -> None:
        """Add a call that has ended, from any thread."""
        self._ended.append(call)
        if not self._is_told:
            self._is_told = True
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
                self.loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._is_told = False
        while self._ended:
            self._ended.popleft().settle()
