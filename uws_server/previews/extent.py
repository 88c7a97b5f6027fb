"""The part of a plot or of a picture that is shown, and the scales of its axes. Loads none of the modules that draw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

AXIS_SCALES: Final = {"linear": "linear", "log": "logarithm"}
SIZES: Final = ("", "narrow")
NAMES: Final = ("x_low", "x_high", "y_low", "y_high", "x_scale", "y_scale", "size")
"""The parameters of an address that say what is shown."""

LEAST: Final = 1e-30
MOST: Final = 1e30
"""The smallest number above 0 and the largest that an address may have: between them quotients are numbers."""


@dataclass(frozen=True)
class Extent:
    """The ends of the axes that were chosen, None where nothing was, and their scales, '' for the usual one.

    The size of the drawing is the usual one or ``narrow``, whose letters can be read on a telephone.
    """

    x_low: float | None = None
    x_high: float | None = None
    y_low: float | None = None
    y_high: float | None = None
    x_scale: str = ""
    y_scale: str = ""
    size: str = ""

    @classmethod
    def read(cls, asked: Mapping[str, str]) -> Extent:
        """Read the parameters of an address. Raise ValueError with a sentence for what is not allowed."""
        ends: dict[str, Any] = {name: number(name, asked.get(name, "")) for name in NAMES[:4]}
        scales: dict[str, Any] = {name: asked.get(name, "").strip() for name in NAMES[4:6]}
        for name, word in scales.items():
            if word and word not in AXIS_SCALES:
                raise ValueError(f"{name}: {word[:40]!r} came; {', '.join(AXIS_SCALES)} are allowed")
        for axis in "xy":
            low, high = ends[f"{axis}_low"], ends[f"{axis}_high"]
            require_order(f"{axis}_low", low, f"{axis}_high", high)
            if scales[f"{axis}_scale"] == "log" and any(end is not None and end <= 0 for end in (low, high)):
                raise ValueError(f"{axis}_low, {axis}_high: on a logarithmic axis numbers above 0 are allowed")
        size = asked.get("size", "")
        if size not in SIZES:
            raise ValueError(f"size: {size[:40]!r} came; narrow, or nothing, is allowed")
        return cls(**ends, **scales, size=size)

    def query(self) -> dict[str, str]:
        """Return the parameters of an address that say this."""
        found = {name: getattr(self, name) for name in NAMES}
        return {name: f"{value:.12g}" if isinstance(value, float) else value
                for name, value in found.items() if value not in (None, "")}  # fmt: skip

    @property
    def is_narrow(self) -> bool:
        """Return whether the drawing is to be a narrow one."""
        return self.size == "narrow"

    @property
    def is_whole(self) -> bool:
        """Return whether no end of an axis was chosen."""
        return (self.x_low, self.x_high, self.y_low, self.y_high) == (None, None, None, None)

    @property
    def key(self) -> str:
        """What tells it from others in the name of a picture."""
        return "-".join(f"{name}={text}" for name, text in self.query().items())


WHOLE: Final = Extent()
"""All of it, by the usual scales."""


def number(name: str, text: str) -> float | None:
    """Read a number of an address, None for ''. Raise ValueError with a sentence for what is no finite number."""
    if not text.strip():
        return None
    try:
        value = float(text.strip().replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (value and not LEAST <= abs(value) <= MOST):
        raise ValueError(f"{name}: {text[:40]!r} came; a number such as 0.5 or 2e-3 is allowed")
    return value


def require_order(low_name: str, low: float | None, high_name: str, high: float | None) -> None:
    """Raise ValueError with a sentence if a lower end is not below its upper one; None is no end."""
    if low is not None and high is not None and not low < high:
        raise ValueError(f"{low_name}: {low:g} came; a number below {high_name} ({high:g}) is allowed")
