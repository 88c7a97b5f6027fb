"""Shapes of extended sources: a Gaussian, a beta model, an image of the sky; may import numpy.

Offsets are in arcsec on the tangent plane of the observation, x to the west and y to the north as X and Y grow.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError

Floats = npt.NDArray[np.float64]


class SkyShape(Protocol):
    """The brightness of a source on the sky."""

    @property
    def is_blurred(self) -> bool:
        """Whether the point spread function is in it already, as it is in an image that was observed."""

    def offsets(self, part: Floats, turn: Floats) -> tuple[Floats, Floats]:
        """Return x and y in arcsec of photons by two numbers from 0 to 1 that are evenly distributed, shape (n,)."""

    def describe(self) -> dict[str, Any]:
        """Return kind and parameters, for the truth file."""


@dataclass(frozen=True)
class Gaussian:
    """A round Gaussian with a standard deviation of `sigma_arcsec` in each direction."""

    sigma_arcsec: float

    def __post_init__(self) -> None:
        if not 0 < self.sigma_arcsec <= 1800:
            raise ReductionError(f"a Gaussian needs a sigma_arcsec above 0 and up to 1800, not {self.sigma_arcsec:g}",
                                 "extent")  # fmt: skip

    is_blurred = False

    def offsets(self, part: Floats, turn: Floats) -> tuple[Floats, Floats]:
        """Return x and y in arcsec of photons by two numbers from 0 to 1 that are evenly distributed, shape (n,)."""
        return _around(self.sigma_arcsec * np.sqrt(-2 * np.log1p(-part)), turn)

    def describe(self) -> dict[str, Any]:
        """Return kind and parameters, for the truth file."""
        return {"kind": "gaussian", **asdict(self)}


@dataclass(frozen=True)
class BetaModel:
    """Surface brightness ``(1 + (r / core)^2)^(1/2 - 3 beta)`` of a cluster of galaxies, which ends at `limit_arcsec`.

    The flux of the source is all within the limit (Cavaliere & Fusco-Femiano 1976, A&A 49, 137).
    """

    core_arcsec: float
    beta: float
    limit_arcsec: float = 600.0

    def __post_init__(self) -> None:
        if not (0 < self.core_arcsec < self.limit_arcsec <= 1800 and 0.2 <= self.beta <= 3):
            raise ReductionError("a beta model needs a core_arcsec below limit_arcsec, which is at most 1800, and a "
                                 "beta from 0.2 to 3", "extent")  # fmt: skip

    is_blurred = False

    def offsets(self, part: Floats, turn: Floats) -> tuple[Floats, Floats]:
        """Return x and y in arcsec of photons by two numbers from 0 to 1 that are evenly distributed, shape (n,)."""
        power, edge = 1.5 - 3 * self.beta, 1 + (self.limit_arcsec / self.core_arcsec) ** 2
        inner = edge**part if abs(power) < 1e-9 else (1 + part * (edge**power - 1)) ** (1 / power)
        return _around(self.core_arcsec * np.sqrt(np.maximum(inner - 1, 0.0)), turn)

    def describe(self) -> dict[str, Any]:
        """Return kind and parameters, for the truth file."""
        return {"kind": "beta", **asdict(self)}


@dataclass(frozen=True, eq=False)
class SkyImage:
    """Photons that come from the pixels of an image of the sky in proportion to their values.

    `x` and `y` are the offsets in arcsec of the pixels that emit, `steps` the offsets from the middle of a pixel to
    the next in a row and in a column ((dx, dy) each), `cumulative` the sum of the values up to each pixel, which ends
    at 1; `name` is the file's.
    """

    name: str
    x: Floats
    y: Floats
    steps: tuple[tuple[float, float], tuple[float, float]]
    cumulative: Floats

    is_blurred = True

    def offsets(self, part: Floats, turn: Floats) -> tuple[Floats, Floats]:
        """Return x and y in arcsec of photons by two numbers from 0 to 1 that are evenly distributed, shape (n,)."""
        pixel = np.minimum(np.searchsorted(self.cumulative, part, side="right"), len(self.x) - 1)
        before = np.where(pixel > 0, self.cumulative[pixel - 1], 0.0)
        across = np.clip((part - before) / np.maximum(self.cumulative[pixel] - before, 1e-300), 0.0, 1.0) - 0.5
        up, ((ax, ay), (bx, by)) = turn - 0.5, self.steps
        return self.x[pixel] + across * ax + up * bx, self.y[pixel] + across * ay + up * by

    def describe(self) -> dict[str, Any]:
        """Return kind and file, for the truth file."""
        return {"kind": "image", "file": self.name, "pixels": len(self.x)}


def _around(radius: Floats, turn: Floats) -> tuple[Floats, Floats]:
    return np.asarray(radius * np.cos(2 * np.pi * turn)), np.asarray(radius * np.sin(2 * np.pi * turn))
