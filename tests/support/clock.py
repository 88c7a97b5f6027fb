"""How long something takes the processor: not what others on this machine, or the collector of garbage, take of it."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable


def cpu_s(work: Callable[[], object], repeat: int = 3) -> float:
    """Seconds of the processor that it takes, the least of some times: what was only held up, was not so each time."""
    return min(timeit.repeat(work, number=1, repeat=repeat, timer=time.process_time))
