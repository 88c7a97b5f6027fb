"""The sky that a product covers, by its ObsCore row: the shapes of s_region, else a circle of s_ra, s_dec and s_fov.

Of a Difference the first region counts: what is asked for lies in a hole of it is found too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from uws_server.discovery.sphere import Circle, Outline, Polygon

_REMEMBERED: Final = 50_000
_LONGEST: Final = 20_000


def covered(row: Mapping[str, Any]) -> tuple[Outline, ...]:
    """Return the shapes that a row covers; none where its position is not known."""
    text = row.get("s_region")
    if text and (found := shapes_of(str(text))):
        return found
    ra, dec, size = row.get("s_ra"), row.get("s_dec"), row.get("s_fov")
    if ra is None or dec is None:
        return ()
    return (Circle(float(ra), float(dec), float(size or 0) / 2),)


@lru_cache(_REMEMBERED)
def shapes_of(text: str) -> tuple[Outline, ...]:
    """Return the shapes of a region in STC-S or as DALI writes it; none for one that is not understood."""
    if len(text) > _LONGEST:
        return ()
    words = text.replace("(", " ( ").replace(")", " ) ").split()
    try:
        found = _phrase(words)
    except (ValueError, IndexError):
        return ()
    return () if words else tuple(found)


def _phrase(words: list[str]) -> list[Outline]:
    """Take a phrase from the words and return its shapes. Raise ValueError or IndexError for what is none."""
    kind = words.pop(0).lower()
    if kind in ("union", "difference"):
        _frame(words)
        if words.pop(0) != "(":
            raise ValueError(kind)
        parts = []
        while words[0] != ")":
            parts.append(_phrase(words))
        words.pop(0)
        return parts[0] if kind == "difference" else [shape for part in parts for shape in part]
    _frame(words)
    numbers = []
    while words and (words[0][0].isdigit() or words[0][0] in "+-."):
        numbers.append(float(words.pop(0)))
    if not all(map(math.isfinite, numbers)):
        raise ValueError("no number")
    if kind == "circle" and len(numbers) == 3:
        return [Circle(*numbers)]
    if kind == "polygon" and len(numbers) % 2 == 0:
        return [Polygon(tuple(zip(numbers[::2], numbers[1::2], strict=True)))]
    raise ValueError(kind)


def _frame(words: list[str]) -> None:
    """Take the name of the frame from the words, where there is one: ICRS alone is understood."""
    while words and words[0].upper() in (
        "ICRS",
        "BARYCENTER",
        "GEOCENTER",
        "TOPOCENTER",
        "UNKNOWNREFPOS",
        "SPHERICAL2",
    ):
        words.pop(0)
