"""Linear axes of a drawing: round numbers along them, and where they lie. Imports nothing of the server."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Linear:
    """A linear axis from `low` to `high`, drawn from pixel `start` to pixel `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the pixel of a value; values outside land on the ends."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, about: int = 6) -> Iterator[tuple[float, str]]:
        """Yield round values on the axis, about so many, each with its text."""
        step = round_step((self.high - self.low) / about)
        for number in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1):
            yield number * step, decimal(number * step, step)


def round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is not below a number above 0."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= least * (1 - 1e-9))


def decimal(value: float, step: float) -> str:
    """Return a multiple of a step with as many decimals as the step has."""
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    if places > 6 or abs(value) >= 1e7:
        return f"{value:.3g}"
    return f"{value + 0.0:.{places}f}".replace("-", "−") if round(value, places) else "0"
