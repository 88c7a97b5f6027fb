"""How the flux of a source changes with time: a burst, eclipses, a period; may import numpy.

Each kind is relative to the flux of the source, with times in seconds from the start of the observation. Photons are
drawn exactly, without bins of time: two instances with the same numbers draw the same times.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError

Floats = npt.NDArray[np.float64]


class Variability(Protocol):
    """A change of flux with time."""

    def relative(self, time_s: Floats) -> Floats:
        """Return the flux at times, relative to that of the source, shape (n,) like the times in s."""

    def mean(self, exposure_s: float) -> float:
        """Return the mean of `relative` from 0 to the end of the exposure in s."""

    def draw(self, draw: np.random.Generator, count: int, exposure_s: float) -> Floats:
        """Draw the times of photons.

        Parameters
        ----------
        draw
            Random numbers.
        count
            Number of photons.
        exposure_s
            End of the exposure.

        Returns
        -------
        array
            Seconds from the start of the observation, shape (count,).
        """

    def describe(self) -> dict[str, Any]:
        """Return kind and parameters, for the truth file."""


@dataclass(frozen=True)
class Burst:
    """A burst: at `start_s` the flux jumps to ``1 + factor`` times itself and falls back exponentially over `decay_s`.

    With `rise_s` above 0 it rises linearly for so long first.
    """

    start_s: float
    factor: float
    decay_s: float
    rise_s: float = 0.0

    def __post_init__(self) -> None:
        if not (self.start_s >= 0 and self.factor >= 0 and self.decay_s > 0 and self.rise_s >= 0):
            raise ReductionError("a burst needs start_s, factor and rise_s of 0 or more, and decay_s above 0",
                                 "variability")  # fmt: skip

    def relative(self, time_s: Floats) -> Floats:
        """Return the flux at times, relative to that of the source, shape (n,) like the times in s."""
        since = np.asarray(time_s, float) - self.start_s
        falling = np.exp(-np.maximum(since - self.rise_s, 0.0) / self.decay_s)
        rising = np.clip(since / self.rise_s, 0.0, 1.0) if self.rise_s else (since >= 0).astype(float)
        return np.asarray(1 + self.factor * np.where(since < self.rise_s, rising, falling) * (since >= 0))

    def mean(self, exposure_s: float) -> float:
        """Return the mean of `relative` from 0 to the end of the exposure in s."""
        return 1 + sum(self._excess(exposure_s)) / exposure_s

    def draw(self, draw: np.random.Generator, count: int, exposure_s: float) -> Floats:
        """Draw the times of photons: those of the steady flux, of the rise, of the decay.

        Parameters
        ----------
        draw
            Random numbers.
        count
            Number of photons.
        exposure_s
            End of the exposure.

        Returns
        -------
        array
            Seconds from the start of the observation, shape (count,).
        """
        weights = np.array([exposure_s, *self._excess(exposure_s)])
        steady, rising, falling = draw.multinomial(count, weights / weights.sum()).tolist()
        up_s = min(self.rise_s, max(exposure_s - self.start_s, 0.0))
        left = 1 - np.exp(-max(exposure_s - self.start_s - self.rise_s, 0.0) / self.decay_s)
        times = np.concatenate((
            draw.random(steady) * exposure_s,
            self.start_s + up_s * np.sqrt(draw.random(rising)),
            self.start_s + self.rise_s - self.decay_s * np.log1p(-left * draw.random(falling)),
        ))  # fmt: skip
        return np.asarray(draw.permutation(times))

    def describe(self) -> dict[str, Any]:
        """Return kind and parameters, for the truth file."""
        return {"kind": "burst", **asdict(self)}

    def _excess(self, exposure_s: float) -> tuple[float, float]:
        """Return the integrals in s of what rise and decay add within the exposure."""
        up_s = min(self.rise_s, max(exposure_s - self.start_s, 0.0))
        rising = self.factor * up_s**2 / (2 * self.rise_s) if self.rise_s else 0.0
        left_s = max(exposure_s - self.start_s - self.rise_s, 0.0)
        return rising, float(self.factor * self.decay_s * -np.expm1(-left_s / self.decay_s))


@dataclass(frozen=True)
class Eclipse:
    """Eclipses of `duration_s` every `period_s`, one of them about `middle_s`: the flux falls by the share `depth`."""

    period_s: float
    duration_s: float
    middle_s: float = 0.0
    depth: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.duration_s < self.period_s and 0 <= self.depth <= 1 and np.isfinite(self.middle_s)):
            raise ReductionError("eclipses need a duration_s between 0 and period_s, and a depth from 0 to 1",
                                 "variability")  # fmt: skip

    def relative(self, time_s: Floats) -> Floats:
        """Return the flux at times, relative to that of the source, shape (n,) like the times in s."""
        away = np.mod(np.asarray(time_s, float) - self.middle_s + self.period_s / 2, self.period_s) - self.period_s / 2
        return np.where(np.abs(away) < self.duration_s / 2, 1 - self.depth, 1.0)

    def mean(self, exposure_s: float) -> float:
        """Return the mean of `relative` from 0 to the end of the exposure in s."""
        first = np.floor(-self.middle_s / self.period_s) - 1
        middles = self.middle_s + self.period_s * (first + np.arange(exposure_s / self.period_s + 4))
        begin, end = (np.clip(middles + half, 0.0, exposure_s) for half in (-self.duration_s / 2, self.duration_s / 2))
        return float(1 - self.depth * np.sum(end - begin) / exposure_s)

    def draw(self, draw: np.random.Generator, count: int, exposure_s: float) -> Floats:
        """Draw the times of photons.

        Parameters
        ----------
        draw
            Random numbers.
        count
            Number of photons.
        exposure_s
            End of the exposure.

        Returns
        -------
        array
            Seconds from the start of the observation, shape (count,).
        """
        return _thinned(self, draw, count, exposure_s, 1.0)

    def describe(self) -> dict[str, Any]:
        """Return kind and parameters, for the truth file."""
        return {"kind": "eclipse", **asdict(self)}


@dataclass(frozen=True)
class Periodic:
    """A sine: ``1 + fraction sin(2 pi (t - epoch_s) / period_s)``, so that `fraction` is the pulsed fraction."""

    period_s: float
    fraction: float
    epoch_s: float = 0.0

    def __post_init__(self) -> None:
        if not (self.period_s > 0 and 0 <= self.fraction <= 1 and np.isfinite(self.epoch_s)):
            raise ReductionError("a period needs a period_s above 0 and a fraction from 0 to 1", "variability")

    def relative(self, time_s: Floats) -> Floats:
        """Return the flux at times, relative to that of the source, shape (n,) like the times in s."""
        return np.asarray(1 + self.fraction * np.sin(2 * np.pi * (np.asarray(time_s) - self.epoch_s) / self.period_s))

    def mean(self, exposure_s: float) -> float:
        """Return the mean of `relative` from 0 to the end of the exposure in s."""
        turn = 2 * np.pi / self.period_s
        sines = np.cos(-turn * self.epoch_s) - np.cos(turn * (exposure_s - self.epoch_s))
        return float(1 + self.fraction * sines / (turn * exposure_s))

    def draw(self, draw: np.random.Generator, count: int, exposure_s: float) -> Floats:
        """Draw the times of photons.

        Parameters
        ----------
        draw
            Random numbers.
        count
            Number of photons.
        exposure_s
            End of the exposure.

        Returns
        -------
        array
            Seconds from the start of the observation, shape (count,).
        """
        return _thinned(self, draw, count, exposure_s, 1 + self.fraction)

    def describe(self) -> dict[str, Any]:
        """Return kind and parameters, for the truth file."""
        return {"kind": "periodic", **asdict(self)}


def _thinned(kind: Variability, draw: np.random.Generator, count: int, exposure_s: float, highest: float) -> Floats:
    """Draw times by rejection, `highest` being the most that `relative` can be."""
    found: list[Floats] = []
    missing = count
    while missing > 0:
        times = draw.random(int(missing * highest / max(kind.mean(exposure_s), 0.05)) + 16) * exposure_s
        kept = times[draw.random(len(times)) * highest < kind.relative(times)][:missing]
        missing -= len(kept)
        found.append(kept)
        if not len(kept) and kind.mean(exposure_s) <= 0:
            raise ReductionError("the source is eclipsed during the whole observation", "variability")
    return np.concatenate([*found, np.zeros(0)])
