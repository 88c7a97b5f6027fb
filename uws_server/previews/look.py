"""How a picture of the sky is to look: the scale of its values and its colours. Loads none of the modules that draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SCALES: Final = {"log": "logarithm", "sqrt": "square root", "linear": "linear"}
COLOURS: Final = {"heat": "night to yellow", "grey": "black to white", "paper": "white to black"}


@dataclass(frozen=True)
class Look:
    """The scale of the values, one of SCALES, and the map of colours, one of COLOURS."""

    scale: str = "log"
    colours: str = "heat"

    @classmethod
    def read(cls, scale: str, colours: str) -> Look:
        """Read both; an empty word is the first of them. Raise ValueError with a sentence for another word."""
        for name, word, allowed in (("scale", scale, SCALES), ("colours", colours, COLOURS)):
            if word and word not in allowed:
                raise ValueError(f"{name}: {word[:40]!r} came; {', '.join(allowed)} are allowed")
        return cls(scale or "log", colours or "heat")

    @property
    def key(self) -> str:
        """What tells it from others in the name of a picture."""
        return f"{self.scale}-{self.colours}"


AS_USUAL: Final = Look()
"""How a picture looks that nobody asked to look otherwise."""
