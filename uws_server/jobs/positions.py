"""Positions on the sky, ICRS: decimal degrees, sexagesimal, or the name of an object. Imports words only.

A name is looked up by what the services hand in; here is how its answer and coordinates are read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction

from uws_server.jobs.definition import ParameterSpec
from uws_server.jobs.job import ParameterValue
from uws_server.jobs.words import short_word, shorten

Resolve = Callable[[str], tuple[float, float]]
"""Name of an object -> right ascension and declination in degrees, ICRS; raises ValueError with a sentence."""

_EXAMPLES = "148.97 69.65 (degrees), 09:55:53.3 +69:39:04 or 9h55m53.3s +69d39m04s"
_NUM = r"\d{1,3}(?:\.\d{0,15})?"
_DECIMAL = re.compile(rf"([-+]?)({_NUM})\s*(?:d|deg|°)?", re.ASCII)
_COLONS = re.compile(r"([-+]?)(\d{1,3})(?::|\s+)(\d{1,2})(?:(?::|\s+)(\d{1,2}(?:\.\d{0,15})?))?", re.ASCII)
_LETTERS = re.compile(
    rf"([-+]?)(\d{{1,3}})\s*(h|d|deg|°)\s*(?:({_NUM})\s*(?:m|min|'|′)\s*(?:({_NUM})\s*(?:s|sec|\"|″|'')?)?)?", re.ASCII
)
_NAME = re.compile(r"[A-Za-z0-9\[][\w .,:+*'()\[\]/-]{1,79}")
_DIGITS = 10
"""Decimals of a degree: 0.36 micro-arcseconds."""


def position(text: str, spec: ParameterSpec) -> ParameterValue:
    """Read a position given by coordinates; a name is refused."""
    return _position(text, _refuse_name)


def position_or_name(resolve: Resolve) -> Callable[[str, ParameterSpec], ParameterValue]:
    """Return the reader of positions that also takes names, which `resolve` looks up."""

    def check(text: str, spec: ParameterSpec) -> ParameterValue:
        return _position(text, resolve)

    return check


def place(text: str, resolve: Resolve) -> tuple[float, float]:
    """Return right ascension and declination in degrees of a position, or of a name, which `resolve` looks up.

    Raise ValueError with a sentence if it is neither.
    """
    word = short_word(text)
    found = _coordinates(word)
    if found is None:
        if not re.search(r"[A-Za-z]", word) or not _NAME.fullmatch(word):
            raise ValueError(f"{shorten(text)} is not a position; expected is {_EXAMPLES}")
        ra, dec = resolve(word)
    else:
        ra, dec = found
    if not 0 <= ra <= 360 or not -90 <= dec <= 90:
        raise ValueError(
            f"{shorten(text)} is not on the sky; right ascension is 0 to 360 degrees, declination -90 to 90"
        )
    return ra % 360, dec


def _position(text: str, resolve: Resolve) -> ParameterValue:
    ra, dec = place(text, resolve)
    canonical = f"{_plain(ra)} {_plain(dec)}"
    return ParameterValue(canonical, canonical)


def _refuse_name(name: str) -> tuple[float, float]:
    raise ValueError(
        f"{shorten(name)} is not a position; expected is {_EXAMPLES}; this server looks no names up "
        "(its key `resolver` is empty)"
    )


def _plain(degrees: float) -> str:
    plain = f"{degrees:.{_DIGITS}f}".rstrip("0").rstrip(".")
    return {"-0": "0", "360": "0"}.get(plain, plain)


def _coordinates(word: str) -> tuple[float, float] | None:
    """Return right ascension and declination in degrees, or None for a notation that is not known."""
    for first, second in _halves(word):
        ra, dec = _angle(first), _angle(second)
        if ra is None or dec is None:
            continue
        (first_value, is_colons, hours), (second_value, dec_colons, dec_hours) = ra, dec
        if dec_hours or is_colons != dec_colons:
            continue
        return first_value * 15 if hours or is_colons else first_value, second_value
    return None


def _halves(word: str) -> list[tuple[str, str]]:
    """Return the ways to cut a text into its two coordinates."""
    if "," in word:
        first, _, second = word.partition(",")
        return [(first.strip(), second.strip())]
    signed = re.fullmatch(r"([^-+]?[^-+]*[^-+\s])\s*([-+][^-+]*)", word)
    if signed:
        return [(signed[1].strip(), signed[2].strip())]
    words = word.split()
    middle = len(words) // 2
    if len(words) % 2 == 0 and words:
        return [(" ".join(words[:middle]), " ".join(words[middle:]))]
    return []


def _angle(text: str) -> tuple[float, bool, bool] | None:
    """Return an angle, whether it is written with colons, and whether it is given in hours; None for no angle."""
    if match := _DECIMAL.fullmatch(text):
        return float(match[1] + match[2]), False, False
    if match := _COLONS.fullmatch(text):
        parts, colons, hours = (match[2], match[3], match[4] or "0"), True, False
    elif match := _LETTERS.fullmatch(text):
        parts, colons, hours = (match[2], match[4] or "0", match[5] or "0"), False, match[3] == "h"
    else:
        return None
    whole, minutes, seconds = (Fraction(part.rstrip(".")) for part in parts)
    if minutes >= 60 or seconds >= 60:
        raise ValueError(f"{shorten(text)}: minutes and seconds are below 60")
    value = float(whole + minutes / 60 + seconds / 3600)
    return (-value if match[1] == "-" else value), colons, hours


def separation_deg(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the angle between two positions, all in degrees, by the formula of haversines: exact for small ones."""
    (lon, lat), (other_lon, other_lat) = map(math.radians, one), map(math.radians, other)
    half = math.sin((other_lat - lat) / 2) ** 2
    half += math.cos(lat) * math.cos(other_lat) * math.sin((other_lon - lon) / 2) ** 2
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(half))))
