"""STC-S (sky part of IVOA Note 1.33; DALI's forms without a frame) to shapes and back; may import `shapes`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import astropy.units as u
import numpy as np
import regions

from reduction.regions import polygons, shapes
from reduction.regions.shapes import Selection, ShapeError, shortened

_FRAMES = {"ICRS": "icrs", "FK5": "fk5", "J2000": "fk5", "FK4": "fk4", "B1950": "fk4", "GALACTIC": "galactic"}
_SHAPES = ("CIRCLE", "ELLIPSE", "BOX", "POLYGON")
_OPERATORS = ("UNION", "INTERSECTION", "DIFFERENCE", "NOT")
_SILENT = ("GEOCENTER", "BARYCENTER", "HELIOCENTER", "TOPOCENTER", "UNKNOWNREFPOS", "SPHERICAL2")
"""Reference positions and flavours that do not change the direction of a source at infinite distance."""
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_MAX_DEPTH = 20
_ALLOWED = f"allowed are {', '.join((*_SHAPES, *_OPERATORS)).title()} in ICRS, FK5, FK4 or GALACTIC degrees"


def looks_like(text: str) -> bool:
    """Return whether the text is STC-S rather than DS9.

    STC-S begins with an operator, with a shape and a frame, or is a shape with nothing but numbers.
    """
    if re.match(rf"\s*({'|'.join(_OPERATORS)})\b", text, re.IGNORECASE):
        return True
    words = text.upper().split()
    if words[0] not in _SHAPES or len(words) < 2:
        return False
    bare = all(_NUMBER.fullmatch(word) for word in words[1:]) and len(text.strip().splitlines()) == 1
    return bare or words[1] in _FRAMES or words[1] in _SILENT or words[1].isalpha()


def read(text: str) -> Selection:
    """Read the shapes of an STC-S phrase that selects points in any of some shapes and in none of others.

    Parameters
    ----------
    text
        The phrase, in ASCII.

    Returns
    -------
    include, exclude
        The shapes that are included, and those that are excluded.

    Raises
    ------
    ShapeError
        A word, a frame or the nesting of operators is not understood.
    """
    if not text.isascii():
        raise ShapeError(f"STC-S is plain ASCII, not '{shortened(text)}'")
    reader = _Reader(re.findall(r"[()]|[^\s()]+", text))
    try:
        selected = reader.expression("icrs", 0)
        reader.finish()
        if selected.negative:
            raise ShapeError("the region only excludes; put Not inside an Intersection, or use Difference")
    except ShapeError as error:
        raise ShapeError(f"STC-S '{shortened(text)}': {error}") from error
    return tuple(selected.include), tuple(selected.exclude)


def write(include: Sequence[regions.Region], exclude: Sequence[regions.Region]) -> str:
    """Return STC-S in ICRS; boxes and ellipses (72 vertices) become polygons, rings the difference of two shapes."""
    inner = _union([_phrase(shape) for shape in include])
    if exclude:
        inner = f"Difference ( {inner} {_union([_phrase(shape) for shape in exclude])} )"
    operator, rest = inner.split(" ", 1)
    return f"{operator} ICRS {rest}"


def _union(phrases: list[str]) -> str:
    return phrases[0] if len(phrases) == 1 else f"Union ( {' '.join(phrases)} )"


@dataclass
class _Selected:
    include: list[regions.Region]
    exclude: list[regions.Region]
    negative: bool = False


class _Reader:
    """Parser of the words of a phrase, which it reads once from left to right."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.at = 0

    def expression(self, frame: str, depth: int) -> _Selected:
        """Read a shape, or an operator with its operands."""
        if depth > _MAX_DEPTH:
            raise ShapeError(f"parentheses are nested deeper than {_MAX_DEPTH}")
        word = self._next().upper()
        if word not in _SHAPES and word not in _OPERATORS:
            raise ShapeError(f"'{shortened(word)}' is not understood; {_ALLOWED}")
        frame = self._frame(frame)
        if word in _SHAPES:
            return _Selected([_shape(word, frame, self._numbers())], [])
        operands = self._operands(frame, depth)
        return _combined(word, operands)

    def finish(self) -> None:
        """Raise ShapeError if anything but the unit of the positions follows."""
        rest = " ".join(self.words[self.at :])
        if rest.lower() not in ("", "unit deg", "unit deg deg"):
            raise ShapeError(f"'{shortened(rest)}' is not understood; {_ALLOWED}")

    def _operands(self, frame: str, depth: int) -> list[_Selected]:
        if self._next() != "(":
            raise ShapeError("after an operator its regions follow in parentheses")
        operands = []
        while self._peek() not in (")", ""):
            operands.append(self.expression(frame, depth + 1))
        if self._next() != ")":
            raise ShapeError("the parentheses do not match")
        if not operands:
            raise ShapeError("the parentheses hold no region")
        return operands

    def _frame(self, frame: str) -> str:
        word = self._peek().upper()
        if word in _FRAMES:
            frame = _FRAMES[word]
            self.at += 1
            if frame in ("fk4", "fk5") and self._peek().upper() == {"fk4": "B1950", "fk5": "J2000"}[frame]:
                self.at += 1
        while self._peek().upper() in _SILENT:
            self.at += 1
        rest = self._peek()
        if rest and rest != "(" and not _NUMBER.fullmatch(rest):
            raise ShapeError(f"'{shortened(rest)}' is not understood; {_ALLOWED}")
        return frame

    def _numbers(self) -> list[float]:
        first = self.at
        while _NUMBER.fullmatch(self._peek()):
            self.at += 1
        return [float(word) for word in self.words[first : self.at]]

    def _peek(self) -> str:
        return self.words[self.at] if self.at < len(self.words) else ""

    def _next(self) -> str:
        word = self._peek()
        self.at += 1
        return word


def _combined(operator: str, operands: list[_Selected]) -> _Selected:
    if operator == "NOT":
        if len(operands) != 1 or operands[0].negative or operands[0].exclude:
            raise ShapeError("Not takes one region without exclusions")
        return _Selected([], operands[0].include, negative=True)
    positive = [operand for operand in operands if not operand.negative]
    if operator == "UNION":
        if len(positive) < len(operands) or (len(operands) > 1 and any(operand.exclude for operand in operands)):
            raise ShapeError("a Union of regions with exclusions is not read; put the Union inside a Difference")
        return _Selected(
            [s for operand in operands for s in operand.include], [s for operand in operands for s in operand.exclude]
        )
    if operator == "DIFFERENCE":
        if len(operands) != 2 or len(positive) != 2 or operands[1].exclude:
            raise ShapeError("Difference takes two regions, the second without exclusions")
        ring = _ring(operands[0], operands[1])
        return ring or _Selected(operands[0].include, operands[0].exclude + operands[1].include)
    if len(positive) != 1:
        raise ShapeError("an Intersection is read only as one region and Not (...) of others")
    return _Selected(positive[0].include, [s for operand in operands for s in operand.exclude])


def _ring(outer: _Selected, inner: _Selected) -> _Selected | None:
    """Return a ring if the two operands of a Difference are concentric circles, None otherwise."""
    if [len(outer.include), len(outer.exclude), len(inner.include)] != [1, 0, 1]:
        return None
    large, small = outer.include[0], inner.include[0]
    if not all(isinstance(shape, regions.CircleSkyRegion) for shape in (large, small)):
        return None
    same = shapes.frame_of(large) == shapes.frame_of(small) and shapes.centre_of(large) == shapes.centre_of(small)
    if not same or not small.radius < large.radius:
        return None
    return _Selected([shapes.annulus(shapes.frame_of(large), shapes.centre_of(large), small.radius, large.radius)], [])


def _shape(kind: str, frame: str, numbers: list[float]) -> regions.Region:
    if kind == "POLYGON":
        if len(numbers) % 2:
            raise ShapeError(f"Polygon needs pairs of numbers, not {len(numbers)} numbers")
        return shapes.polygon(frame, list(zip(numbers[0::2], numbers[1::2], strict=True)))
    wanted = {"CIRCLE": 3, "ELLIPSE": 5, "BOX": 4}[kind]
    if len(numbers) != wanted:
        raise ShapeError(f"{kind.title()} needs {wanted} numbers, not {len(numbers)}")
    centre, sizes = (numbers[0], numbers[1]), [number * u.deg for number in numbers[2:4]]
    if kind == "CIRCLE":
        return shapes.circle(frame, centre, sizes[0])
    if kind == "BOX":
        return shapes.box(frame, centre, sizes, 0 * u.deg)
    # STC counts from the first axis (east) to the second (north), DS9 from west to north
    return shapes.ellipse(frame, centre, sizes, (180 - numbers[4]) * u.deg)


def _phrase(shape: regions.Region) -> str:
    """Return the STC-S of a shape in ICRS, without the frame."""
    if isinstance(shape, regions.PolygonSkyRegion):
        vertices = shape.vertices.icrs
        return f"Polygon {_pairs(vertices.ra.deg, vertices.dec.deg)}"
    centre = shape.center.icrs
    name, lengths, angle = shapes.sizes_of(shape)
    degrees = [float(length.to_value(u.deg)) for length in lengths]  # type: ignore[union-attr]
    position = f"{centre.ra.deg:.12g} {centre.dec.deg:.12g}"
    if name == "circle":
        return f"Circle {position} {degrees[0]:.12g}"
    if name == "annulus":
        return f"Difference ( Circle {position} {degrees[1]:.12g} Circle {position} {degrees[0]:.12g} )"
    angle_rad = 0.0 if angle is None else float(angle.to_value(u.rad))
    sizes = zip(degrees[::2], degrees[1::2], strict=True)
    corners = [polygons.corners(shape.center, name, each, angle_rad).icrs for each in sizes]
    outlines = [f"Polygon {_pairs(each.ra.deg, each.dec.deg)}" for each in corners]
    return outlines[0] if len(outlines) == 1 else f"Difference ( {outlines[1]} {outlines[0]} )"


def _pairs(lon: np.ndarray, lat: np.ndarray) -> str:
    return " ".join(f"{x:.12g} {y:.12g}" for x, y in zip(lon, lat, strict=True))
