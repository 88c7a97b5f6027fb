"""How a picture of the sky is to look: scale, limits and colours of its values. Loads none of the modules that draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from uws_server.previews.extent import number, require_order

SCALES: Final = {"log": "logarithm", "asinh": "asinh", "sqrt": "square root", "linear": "linear"}
COLOURS: Final = {
    "heat": "night to yellow", "cool": "night to ice", "green": "night through green to yellow",
    "grey": "black to white", "paper": "white to black",
}  # fmt: skip
PERCENTS: Final = ("100", "99.9", "99.5", "99", "98", "95", "90")
"""Parts of the values, in percent, that a page offers to lie between the ends of the colours."""
_LEAST_PERCENT: Final = 10.0


@dataclass(frozen=True)
class Look:
    """The scale of the values, one of SCALES, the map of colours, one of COLOURS, and the values of its two ends.

    An end that is None is the usual one: 0, and the highest value of the picture; with `percent`, those between which
    so many of the values lie, as many being left out below as above. `inverted` is the map from its last colour to the
    first.
    """

    scale: str = "log"
    colours: str = "heat"
    low: float | None = None
    high: float | None = None
    percent: float | None = None
    inverted: bool = False

    @classmethod
    def read(cls, asked: Mapping[str, str]) -> Look:
        """Read the parameters of an address; '' is the first of the words. Raise ValueError with a sentence."""
        scale, colours = asked.get("scale", ""), asked.get("colours", "")
        for name, word, allowed in (("scale", scale, SCALES), ("colours", colours, COLOURS)):
            if word and word not in allowed:
                raise ValueError(f"{name}: {word[:40]!r} came; {', '.join(allowed)} are allowed")
        low, high = number("low", asked.get("low", "")), number("high", asked.get("high", ""))
        require_order("low", low, "high", high)
        percent, inverted = number("percent", asked.get("percent", "")), asked.get("inverted", "")
        if percent is not None and not _LEAST_PERCENT <= percent <= 100:
            raise ValueError(f"percent: {percent:g} came; {_LEAST_PERCENT:g} to 100 are allowed")
        if inverted not in ("", "1"):
            raise ValueError(f"inverted: {inverted[:40]!r} came; 1, or nothing, is allowed")
        return cls(scale or "log", colours or "heat", low, high, percent, bool(inverted))

    @property
    def is_light(self) -> bool:
        """Return whether the lowest values are light."""
        return (self.colours == "paper") != self.inverted

    @property
    def key(self) -> str:
        """What tells it from others in the name of a picture."""
        return f"{self.scale}-{self.colours}-{self.low}-{self.high}-{self.percent}-{self.inverted}"


AS_USUAL: Final = Look()
"""How a picture looks that nobody asked to look otherwise."""
