"""Shapes of the VO's protocols that are not STC-S: SODA's RANGE, the bare numbers of DALI, the functions of ADQL.

May import `shapes` and `stcs`.
"""

from __future__ import annotations

import math
import re

import astropy.units as u
import regions

from reduction.regions import shapes, stcs
from reduction.regions.shapes import Selection, ShapeError, shortened

STEP_DEG = 0.05
"""Longest side of the polygon of a RANGE along a parallel: it stays within 0.01 arcsec of it."""
_MOST_STEPS = 500
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_BARE = re.compile(r"[-+.\deE, \t]+")
_ADQL = re.compile(r"\s*(circle|polygon|box|region|point|contains|intersects)\s*\(\s*('|point\s*\()", re.IGNORECASE)
_FUNCTION = re.compile(r"\s*(\w+)\s*\(\s*'([^']*)'\s*,?([^']*)\)\s*")
_POINT = re.compile(r"point\s*\(\s*('[^']*')\s*,([^(),']*),([^(),']*)\)", re.IGNORECASE)


def looks_like(text: str) -> bool:
    """Return whether the text is a RANGE of SODA, one line of nothing but numbers, or a function of ADQL."""
    stripped = text.strip()
    return _is_range(stripped) or bool(_BARE.fullmatch(stripped)) or bool(_ADQL.match(text))


def read(text: str) -> Selection:
    """Read a RANGE, bare numbers or a function of ADQL.

    Parameters
    ----------
    text
        A text of which `looks_like` holds.

    Returns
    -------
    include, exclude
        The shape, and nothing excluded.

    Raises
    ------
    ShapeError
        The numbers make no shape.
    """
    stripped = text.strip()
    if _ADQL.match(text):
        return _adql(stripped)
    words = stripped.replace(",", " ").split()
    if _is_range(stripped):
        return _range(stripped, words[1:])
    if len(words) == 3:
        return stcs.read(f"Circle {' '.join(words)}")
    if len(words) >= 6 and len(words) % 2 == 0:
        return stcs.read(f"Polygon {' '.join(words)}")
    raise ShapeError(
        f"'{shortened(text)}': {len(words)} numbers alone are no region; of DALI three are read as a circle (ra dec "
        "radius), six or more in pairs as a polygon, all in degrees, ICRS"
    )


def _is_range(text: str) -> bool:
    return bool(re.match(r"range\b", text, re.IGNORECASE))


def _range(text: str, words: list[str]) -> Selection:
    """Return the shape of SODA's RANGE, between two meridians and two parallels: a polygon, or a ring about a pole."""
    try:
        if len(words) != 4 or not all(_NUMBER.fullmatch(word) for word in words):
            raise ShapeError("it takes four finite numbers: the least and the greatest longitude, then the latitudes")
        west, east, south, north = map(float, words)
        if not (west < east and south < north):
            raise ShapeError("the lesser number of each pair must come first, across longitude 0 as RANGE -1 1 2 3")
        if not (west >= -360 and east <= 360 and east - west <= 360 and south >= -90 and north <= 90):
            raise ShapeError("longitudes are degrees from 0 to 360, latitudes from -90 to 90")
        if east - west == 360:
            return (_around_pole(south, north),), ()
        steps = min(_MOST_STEPS, max(1, math.ceil((east - west) / STEP_DEG)))
        longitudes = [west + (east - west) * step / steps for step in range(steps + 1)]
        lower = [(lon, south) for lon in (longitudes if south > -90 else longitudes[:1])]
        upper = [(lon, north) for lon in (reversed(longitudes) if north < 90 else longitudes[:1])]
        return (shapes.polygon("icrs", [*lower, *upper]),), ()
    except ShapeError as error:
        raise ShapeError(f"'{shortened(text)}' is a RANGE of SODA: {error}") from error


def _around_pole(south: float, north: float) -> regions.Region:
    """Return the ring or the circle between two parallels. Raise ShapeError for the whole sky."""
    if south == -90 and north == 90:
        raise ShapeError("it is the whole sky; leave the region empty")
    if south == -90:
        return shapes.circle("icrs", (0, -90), (north + 90) * u.deg)
    return shapes.annulus("icrs", (0, 90), (90 - north) * u.deg, (90 - south) * u.deg)


def _adql(text: str) -> Selection:
    """Return the shape of a function of ADQL, whose first argument is the frame, as STC-S names it."""
    found = _FUNCTION.fullmatch(_without_points(text))
    name = found[1].lower() if found else ""
    if not found or name in ("point", "contains", "intersects"):
        raise ShapeError(
            f"'{shortened(text)}' is of ADQL; of that, one CIRCLE('ICRS', ra, dec, radius), BOX, POLYGON or "
            "REGION('...') alone is a region"
        )
    if name == "region":
        return stcs.read(found[2])
    return stcs.read(f"{name} {found[2]} {found[3].replace(',', ' ')}")


def _without_points(text: str) -> str:
    """Return ``CIRCLE(POINT('ICRS', 1, 2), 3)`` as ``CIRCLE('ICRS', 1, 2, 3)``; the points have one frame."""
    points = list(_POINT.finditer(text))
    if not points or len({point[1] for point in points}) > 1 or not re.match(r"\s*(circle|box|polygon)\b", text, re.I):
        return text
    plain = _POINT.sub(lambda point: f"{point[2]},{point[3]}", text)
    return plain.replace("(", f"({points[0][1]},", 1)
