"""Axes of a drawing, linear or logarithmic: round numbers along them, and where they lie. Imports nothing of ours."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_SHORT: Final = 4.0
"""Ratio of the ends of a logarithmic axis below which its own ticks leave much of it empty."""

_SUPERSCRIPT: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Tick:
    """A place on an axis: its number as text ('' for none), and whether a line of the grid goes through it."""

    value: float
    text: str
    grid: bool


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

    def marks(self, about: int = 6) -> Iterator[Tick]:
        """Yield the ticks to draw, each with a number and a line of the grid."""
        return (Tick(value, text, True) for value, text in self.ticks(about))


@dataclass(frozen=True)
class Log:
    """A logarithmic axis from `low` to `high`, both above 0, drawn from pixel `start` to pixel `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the pixel of a value; values outside land on the ends."""
        value = min(max(value, self.low), self.high)
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def marks(self, about: int = 6) -> Iterator[Tick]:
        """Yield the 1, 2, ... 9 of every decade: decades have a line of the grid and a number.

        Where there are few decades other ticks have numbers too; a short axis has the ticks of a linear one.
        """
        ticks = list(self._ticks())
        if len(ticks) < 3 or self.high / self.low < _SHORT:
            yield from Linear(self.low, self.high, self.start, self.end).marks(about)
            return
        named = self._named(ticks)
        apart = math.ceil(math.log10(self.high / self.low) / (2 * about))
        for value, decade in ticks:
            told = value in named and (not decade or round(math.log10(value)) % apart == 0)
            yield Tick(value, power_text(value) if told else "", decade)

    def _ticks(self) -> Iterator[tuple[float, bool]]:
        """Yield the ticks of every decade and whether each begins it; decades alone where they are many."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for decade in range(first, last + 1):
            for digit in range(1, 10 if last - first < 12 else 2):
                value = digit * 10.0**decade
                if self.low * (1 - 1e-12) <= value <= self.high * (1 + 1e-12):
                    yield value, digit == 1

    def _named(self, ticks: list[tuple[float, bool]]) -> set[float]:
        """Return the ticks that carry a number: decades, and where there are few also 2 and 5, else all."""
        decades = {value for value, begins in ticks if begins}
        if len(decades) > 3:
            return decades
        chosen = {value for value, _ in ticks if _digit(value) in (1, 2, 5)}
        return chosen if len(chosen) > 1 else {value for value, _ in ticks}


Axis = Linear | Log


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


def power_text(value: float) -> str:
    """Return a number of a logarithmic axis: 0.001 to 1000 as they are, others as powers of ten."""
    if 0.00099 < value < 1001:
        return f"{value:g}"
    exponent = math.floor(math.log10(value) + 1e-9)
    power = f"10{str(exponent).translate(_SUPERSCRIPT)}"
    return power if _digit(value) == 1 else f"{_digit(value)}·{power}"


def _digit(value: float) -> int:
    return round(value / 10.0 ** math.floor(math.log10(value) + 1e-9))
