"""How the cost of a piece of work grows with its input: a figure that neither a slow nor a busy machine changes."""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Work = Callable[[], object]


def growth(
    prepare: Callable[[int], Work],
    size: int,
    times: int = 8,
    runs: int = 5,
    clock: Callable[[], float] = time.thread_time,
) -> float:
    """Return how many times as long input that is `times` as large takes: `prepare(times * size)` to `prepare(size)`.

    Both take turns, and of each the shortest of `runs` counts, in seconds of this thread on the processor (or whatever
    `clock` tells): what others on the machine have of it is not counted, and what holds one run up does not hold up
    all. The input is made by `prepare`, outside of what is measured. Choose a size at which what grows outweighs what
    is the same for every input.
    """
    small, large = prepare(size), prepare(times * size)
    turns = [(_spent(small, clock), _spent(large, clock)) for _ in range(runs)]
    return min(seconds for _, seconds in turns) / min(seconds for seconds, _ in turns)


def require_linear(
    prepare: Callable[[int], Work],
    size: int,
    times: int = 8,
    runs: int = 5,
    clock: Callable[[], float] = time.thread_time,
) -> None:
    """Raise AssertionError if the work grows faster than its input.

    Three times what the input grows by is allowed: eight times the input may take 24 times as long, where quadratic
    work takes 64 times as long, and linear work 8 times.
    """
    grown = growth(prepare, size, times, runs, clock)
    assert grown < 3 * times, f"{times} times the input, of {size}, takes {grown:.0f} times as long"


def processor_s(pid: int) -> float:
    """Return the seconds that the threads of a process, those that live, have had of the processor."""
    nanoseconds = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # it has ended meanwhile
            nanoseconds += int((task / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


def bytes_moved(pid: int | str = "self") -> int:
    """Return how many bytes a process has read and written so far, from the disk or from what is kept of it."""
    lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("rchar:", "wchar:")))


def _spent(work: Work, clock: Callable[[], float]) -> float:
    collects = gc.isenabled()
    gc.disable()
    try:
        begun = clock()
        work()
        return clock() - begun
    finally:
        if collects:
            gc.enable()


@contextmanager
def counted_calls() -> Iterator[Counter[str]]:
    """Count the calls of functions, by name, that this thread makes in the block: of Python's and of built-in ones."""
    calls: Counter[str] = Counter()

    def note(frame: object, event: str, argument: object) -> None:
        if event == "call":
            calls[frame.f_code.co_name] += 1  # type: ignore[attr-defined]
        elif event == "c_call":
            calls[argument.__name__] += 1  # type: ignore[attr-defined]

    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(None)
