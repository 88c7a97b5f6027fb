"""The shapes of DS9 text, from their name and arguments; may import `shapes` and `components`."""

from __future__ import annotations

import re
from itertools import pairwise

import astropy.units as u
import numpy as np
import regions

from reduction.regions import shapes
from reduction.regions.components import Component
from reduction.regions.ds9_writer import UNITS
from reduction.regions.shapes import PHYSICAL, Length, Position, ShapeError, shortened

_SIZES = "write 40\" or 1.5' or 0.01d (degrees without a unit)"
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_SEXAGESIMAL = re.compile(r"([+-]?)(\d+)([:hd])(\d+)[:m](\d+\.?\d*|\.\d+)s?")
_SHAPE = re.compile(r"([a-z_]+)\s*(.*)", re.IGNORECASE | re.DOTALL)


def read(words: str, frame: str | None, advice: str) -> list[Component]:
    """Read a shape, ``circle(x,y,r)`` or ``circle x y r``.

    Parameters
    ----------
    words
        The shape without its sign and properties.
    frame
        One of `FRAMES`, None where none is stated.
    advice
        What to do, for the error of a frame that is not stated.

    Returns
    -------
    list
        The shape; of rings in each other each.

    Raises
    ------
    ShapeError
        The shape, the frame or a number is not understood.
    """
    if not words.isascii():
        raise ShapeError(
            f"only plain ASCII characters are read; for units write \" ' or d, not {_first_non_ascii(words)!a}"
        )
    match = _SHAPE.fullmatch(words)
    name = match.group(1).lower() if match else ""
    if not match or name not in _BUILDERS:
        raise ShapeError(f"not a shape that selects events; allowed are {', '.join(_BUILDERS)}")
    if frame is None:
        raise ShapeError(f"the coordinate system is not stated (DS9 would take image); {advice}")
    arguments = match.group(2).strip()
    if arguments.startswith("(") != arguments.endswith(")"):
        raise ShapeError("the parentheses do not match")
    return build(name, frame, split_arguments(arguments.removeprefix("(").removesuffix(")")))


def split_arguments(text: str) -> list[str]:
    """Return the arguments of a shape, between which commas or blanks stand."""
    return re.split(r"\s*,\s*|\s+", re.sub(r"\bn\s*=\s*", "n=", text.strip()))


def build(name: str, frame: str, values: list[str]) -> list[Component]:
    """Build a shape.

    Parameters
    ----------
    name
        DS9's name of it, in small letters.
    frame
        One of `FRAMES`.
    values
        Its arguments as text.

    Returns
    -------
    list
        The shape; of rings in each other each.

    Raises
    ------
    ShapeError
        The arguments make no shape.
    """
    return _BUILDERS[name](frame, values)


def whole(components: list[Component]) -> list[regions.Region]:
    """Return the shapes of components out of which nothing is cut. Raise ShapeError for others."""
    if any(component.cut for component in components):
        raise ShapeError("a ring of boxes cannot be cut out; cut out its outer box, and give the inner one by itself")
    return [component.shape for component in components]


def _circle(frame: str, values: list[str]) -> list[Component]:
    _check_count(frame, values, len(values) == 3, "circle(x,y,radius)")
    return [Component(shapes.circle(frame, _centre(frame, values), _length(frame, values[2])))]


def _annulus(frame: str, values: list[str]) -> list[Component]:
    values = _whole_ring(values, 4, (5,))
    _check_count(frame, values, len(values) >= 4, "annulus(x,y,inner,outer)")
    radii = [_length(frame, value) for value in values[2:]]
    return [Component(shapes.annulus(frame, _centre(frame, values), *ring)) for ring in pairwise(radii)]


def _ellipse(frame: str, values: list[str]) -> list[Component]:
    angle, pairs = _angle_and_pairs(frame, values, "ellipse(x,y,semi-axis,semi-axis,angle)")
    centre = _centre(frame, values)
    if len(pairs) == 1:
        return [Component(shapes.ellipse(frame, centre, pairs[0], angle))]
    return [Component(shapes.ellipse_annulus(frame, centre, *ring, angle)) for ring in pairwise(pairs)]


def _box(frame: str, values: list[str]) -> list[Component]:
    angle, pairs = _angle_and_pairs(frame, values, "box(x,y,width,height,angle)")
    boxes = [shapes.box(frame, _centre(frame, values), pair, angle) for pair in pairs]
    for inner, outer in pairwise(pairs):
        for inner_side, outer_side in zip(inner, outer, strict=True):
            shapes.check_smaller(inner_side, outer_side, "side")
    return [Component(boxes[-1], tuple(boxes[:1]) if len(boxes) > 1 else ())]


def _polygon(frame: str, values: list[str]) -> list[Component]:
    _check_count(frame, values, len(values) % 2 == 0, "polygon(x1,y1,x2,y2,x3,y3,...)")
    return [Component(shapes.polygon(frame, [_centre(frame, values[i : i + 2]) for i in range(0, len(values), 2)]))]


def _angle_and_pairs(frame: str, values: list[str], form: str) -> tuple[u.Quantity, list[list[Length]]]:
    """Return the angle and the pairs of sizes of an ellipse or a box, of one or of several in each other."""
    ring = _whole_ring(values, 6, (7, 8))
    if ring is not values and len(ring) == 6:
        ring = [*ring, "0"]
    _check_count(frame, ring, len(ring) == 4 or (len(ring) >= 5 and len(ring) % 2 == 1), form)
    angle = _angle(ring[-1]) if len(ring) > 4 else 0 * u.deg
    sizes = [_length(frame, value) for value in ring[2 : 4 if len(ring) == 4 else -1]]
    return angle, [sizes[i : i + 2] for i in range(0, len(sizes), 2)]


def _whole_ring(values: list[str], place: int, counts: tuple[int, ...]) -> list[str]:
    """Return the values without ``n=...``, which cuts a ring into rings that are selected together."""
    if len(values) in counts and re.fullmatch(r"n=0*[1-9]\d*", values[place], re.IGNORECASE):
        return [*values[:place], *values[place + 1 :]]
    return values


_BUILDERS = {
    "circle": _circle, "ellipse": _ellipse, "annulus": _annulus, "box": _box, "rotbox": _box, "polygon": _polygon,
}  # fmt: skip


def _check_count(frame: str, values: list[str], count_fits: bool, form: str) -> None:
    """Raise ShapeError unless the number of values fits the form of the shape."""
    if not count_fits or values == [""]:
        if word := next((value for value in values if value.isalpha()), ""):
            size = "a size is a number of X,Y pixels" if frame == PHYSICAL else _SIZES
            raise ShapeError(f"'{shortened(word)}' is not understood; {size}")
        raise ShapeError(f"{0 if values == [''] else len(values)} numbers do not make {form}")


def _centre(frame: str, values: list[str]) -> Position:
    """Return the first two values as a position in degrees, or in X,Y pixels."""
    return _coordinate(frame, values[0], frame not in ("galactic", PHYSICAL)), _coordinate(frame, values[1], False)


def _coordinate(frame: str, value: str, in_hours: bool) -> float:
    """Return a coordinate in degrees, or in X,Y pixels; `in_hours` holds for sexagesimal ones with colons."""
    suffixes = {"p": 1.0} if frame == PHYSICAL else {"d": 1.0, "r": float(np.degrees(1.0))}
    plain = value[:-1] if value[-1:] in suffixes else value
    if _NUMBER.fullmatch(plain):
        return float(plain) * (suffixes[value[-1]] if plain != value else 1.0)
    parts = _SEXAGESIMAL.fullmatch(value)
    if not parts or frame == PHYSICAL or float(parts[4]) >= 60 or float(parts[5]) >= 60:
        kind = "an X or Y value" if frame == PHYSICAL else "a position in degrees or as hh:mm:ss, dd:mm:ss"
        raise ShapeError(f"'{shortened(value)}' is not {kind}")
    hours = parts[3] == "h" or (parts[3] == ":" and in_hours)
    magnitude = float(parts[2]) + float(parts[4]) / 60 + float(parts[5]) / 3600
    return (-magnitude if parts[1] == "-" else magnitude) * (15.0 if hours else 1.0)


def _length(frame: str, value: str) -> Length:
    """Return a size as an angle in its own unit, or in X,Y pixels."""
    if frame == PHYSICAL:
        plain = value.removesuffix("p")
        if not _NUMBER.fullmatch(plain):
            raise ShapeError(f"'{shortened(value)}' is not a size in X,Y pixels, which physical regions need")
        return float(plain)
    plain = value[:-1] if value[-1:] in UNITS else value
    if not _NUMBER.fullmatch(plain):
        raise ShapeError(f"'{shortened(value)}' is not an angular size; {_SIZES}")
    return float(plain) * (UNITS[value[-1]] if plain != value else u.deg)


def _angle(value: str) -> u.Quantity:
    plain = value[:-1] if value[-1:] in ("d", "r") else value
    if not _NUMBER.fullmatch(plain):
        raise ShapeError(f"'{shortened(value)}' is not an angle in degrees")
    return float(plain) * (u.rad if value[-1] == "r" else u.deg)


def _first_non_ascii(words: str) -> str:
    return next(char for char in words if not char.isascii())
