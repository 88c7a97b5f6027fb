"""Values of DALI, SIA and SSA as they come in a request: intervals, places, times. Raises ValueError with a sentence.

Sources: IVOA Recommendations DALI 1.1 (2017-05-17), section 3.3, SIA 2.0 (2015-12-23), section 2.1, and SSA 1.1
(2012-02-10), section 4.1; the wavebands are those of VODataService 1.2, section 3.1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

from uws_server.archive.query import words
from uws_server.archive.query.columns import BY_NAME
from uws_server.discovery.conditions import Interval
from uws_server.discovery.sphere import Circle, Polygon, Range, Shape

_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?|[-+]?inf", re.ASCII | re.IGNORECASE)
_MOST_NUMBERS: Final = 2000
_SHAPES: Final = "CIRCLE ra dec radius, RANGE ra1 ra2 dec1 dec2 or POLYGON ra1 dec1 ra2 dec2 ra3 dec3 ..., in degrees"
_WAVEBANDS: Final[Mapping[str, Interval]] = {
    "radio": Interval(1e-2, math.inf), "millimeter": Interval(1e-4, 1e-2), "infrared": Interval(1e-6, 1e-4),
    "optical": Interval(3e-7, 1e-6), "uv": Interval(1e-8, 3e-7), "euv": Interval(1e-8, 1e-7),
    "x-ray": Interval(1e-10, 1e-8), "gamma-ray": Interval(0.0, 1e-10),
}  # fmt: skip
"""Names of bands, m."""


def interval(text: str, allowed: str) -> Interval:
    """Read an interval of DALI, two numbers with a blank between, or one number for itself; -Inf and +Inf are open."""
    numbers = _numbers(text, f"{allowed} is allowed")
    if len(numbers) not in (1, 2):
        raise ValueError(f"{_shown(text)} came; {allowed} is allowed")
    return _ordered(numbers[0], numbers[-1], text)


def whole(text: str, low: int, high: int) -> Interval:
    """Read a whole number as the interval of itself."""
    if not re.fullmatch(r"[0-9]{1,9}", text.strip(), re.ASCII) or not low <= int(text) <= high:
        raise ValueError(f"{_shown(text)} came; a whole number from {low} to {high} is allowed")
    return Interval(int(text), int(text))


def number(text: str, low: float, high: float, unit: str) -> float:
    """Read one number between two."""
    found = _numbers(text, f"a number from {low:g} to {high:g} {unit} is allowed")
    if len(found) != 1 or not low <= found[0] <= high:
        raise ValueError(f"{_shown(text)} came; a number from {low:g} to {high:g} {unit} is allowed")
    return found[0]


def place(text: str) -> Shape:
    """Read a shape on the sky, ICRS: CIRCLE, RANGE or POLYGON, in any case."""
    kind, _, rest = text.strip().partition(" ")
    numbers = _numbers(rest, f"{_SHAPES} is allowed") if rest.strip() else []
    match kind.upper(), len(numbers):
        case "CIRCLE", 3:
            return circle(*numbers)
        case "RANGE", 4:
            return _range(*numbers)
        case "POLYGON", count if count >= 6 and count % 2 == 0:
            return polygon(numbers)
    raise ValueError(f"{_shown(text)} came; {_SHAPES} is allowed")


def circle(ra: float, dec: float, radius: float) -> Circle:
    """Return a circle. Raise ValueError for one that is not on the sphere."""
    _require_place(ra, dec)
    if not 0 <= radius <= 180:
        raise ValueError(f"a radius of {radius:g} came; 0 to 180 degrees are allowed")
    return Circle(ra % 360, dec, radius)


def polygon(numbers: list[float]) -> Polygon:
    """Return a polygon of right ascensions and declinations. Raise ValueError for one that is none."""
    corners = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    for ra, dec in corners:
        _require_place(ra, dec)
    return Polygon(tuple((ra % 360, dec) for ra, dec in corners))


def position(text: str) -> tuple[float, float]:
    """Read a position of SSA, right ascension and declination with a comma between, in ICRS."""
    pair, _, frame = text.partition(";")
    if frame.strip().upper() not in ("", "ICRS", "FK5"):
        raise ValueError(f"the frame {_shown(frame)} came; ICRS is allowed")
    allowed = "right ascension and declination in degrees with a comma between, such as 148.97,69.68, are allowed"
    numbers = [each for part in pair.split(",") for each in _numbers(part, allowed)]
    if len(numbers) != 2 or pair.count(",") != 1:
        raise ValueError(f"{_shown(text)} came; {allowed}")
    _require_place(*numbers)
    return numbers[0] % 360, numbers[1]


def band(text: str) -> Interval:
    """Read a range of SSA in metres, low/high with either one left out, one wavelength, or the name of a waveband."""
    plain = text.partition(";")[0].strip()
    if known := _WAVEBANDS.get(plain.lower()):
        return known
    allowed = f"wavelengths in m, such as 1e-10/6e-9, or one of {', '.join(_WAVEBANDS)} is allowed"
    ends = [_end(part, bound, allowed) for part, bound in _ends(plain, text, allowed)]
    return _ordered(ends[0], ends[-1], text)


def dates(text: str) -> Interval:
    """Read a range of dates of SSA, ISO 8601, from/to with either one left out, or one for all of it, as MJD."""
    allowed = "dates such as 2001-05-01/2002 are allowed"
    column = BY_NAME["date"]
    parts = _ends(text.partition(";")[0].strip(), text, allowed)
    low = words.span(parts[0][0], column)[0] if parts[0][0] else -math.inf
    high = words.span(parts[-1][0], column)[1] if parts[-1][0] else math.inf
    return _ordered(low, high, text)


def _ends(plain: str, text: str, allowed: str) -> list[tuple[str, float]]:
    """Return the texts of one value or of both ends of a range, each with what it is where nothing stands."""
    parts = [part.strip() for part in plain.split("/")]
    if len(parts) > 2 or not any(parts):
        raise ValueError(f"{_shown(text)} came; {allowed}")
    return list(zip(parts, (-math.inf, math.inf), strict=False))


def _end(text: str, bound: float, allowed: str) -> float:
    numbers = _numbers(text, allowed) if text else [bound]
    if len(numbers) != 1:
        raise ValueError(f"{_shown(text)} came; {allowed}")
    return numbers[0]


def _range(west: float, east: float, south: float, north: float) -> Range:
    """Return a range of DALI, whose bounds may be infinite. Raise ValueError for one that is none."""
    whole_sky = math.isinf(west) or math.isinf(east)
    if not whole_sky and not (0 <= west <= 360 and 0 <= east <= 360):
        raise ValueError(f"right ascensions {west:g} and {east:g} came; 0 to 360 degrees are allowed")
    low, high = max(south, -90.0), min(north, 90.0)
    if not low <= high or (math.isfinite(south) and south < -90) or (math.isfinite(north) and north > 90):
        raise ValueError(
            f"declinations {south:g} and {north:g} came; -90 to 90 degrees, the smaller first, are allowed"
        )
    return Range(0.0, 360.0, low, high) if whole_sky else Range(west, east, low, high)


def _require_place(ra: float, dec: float) -> None:
    if not (0 <= ra <= 360 and -90 <= dec <= 90):
        allowed = "a right ascension of 0 to 360 and a declination of -90 to 90 degrees are allowed"
        raise ValueError(f"{ra:g} {dec:g} came; {allowed}")


def _ordered(low: float, high: float, text: str) -> Interval:
    if low > high:
        raise ValueError(f"{_shown(text)} came; the smaller value comes first")
    return Interval(low, high)


def _numbers(text: str, allowed: str) -> list[float]:
    """Return the numbers of a text, with blanks between. Raise ValueError if one is none."""
    parts = text.split()
    if not parts or len(parts) > _MOST_NUMBERS or not all(_NUMBER.fullmatch(part) for part in parts):
        raise ValueError(f"{_shown(text)} came; {allowed}")
    return [float(part) for part in parts]


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:80] + "…")
