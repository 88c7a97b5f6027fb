"""Region text of CIAO to shapes; may import the shapes of DS9 text, `shapes` and `components`.

Numbers without a unit are physical, values of X and Y; a position that is sexagesimal or in degrees with a ``d`` is on
the sky, FK5, and its sizes have units. Shapes are joined; ``-``, ``!`` or ``*!`` cuts a shape out of the one before.
"""

from __future__ import annotations

import re

from reduction.regions import ds9_shapes
from reduction.regions.components import Component, united
from reduction.regions.shapes import PHYSICAL, Selection, ShapeError, shortened

_HEADER = re.compile(r"\s*#\s*Region file format:\s*CIAO\b", re.IGNORECASE)
_SHAPE = re.compile(r"\s*([-+*&|!]*)\s*([a-z]\w*)\s*\(([^()]*)\)\s*", re.IGNORECASE)
_ON_SKY = re.compile(r"[:hms]|\dd$", re.IGNORECASE)
_CUTS, _JOINS = ("-", "!", "*!", "&!", "!*"), ("", "+", "|", "||")
_ALLOWED = ("circle", "ellipse", "annulus", "box", "rotbox", "polygon", "rectangle")


def looks_like(text: str) -> bool:
    """Return whether the first line says that the text is CIAO's."""
    return bool(_HEADER.match(text))


def read(text: str) -> Selection:
    """Read the shapes of a region file of CIAO.

    Parameters
    ----------
    text
        The content of the file.

    Returns
    -------
    include, exclude
        The shapes that are included, and those that are excluded.

    Raises
    ------
    ShapeError
        Something is not understood; the message has its line number and text.
    """
    components: list[Component] = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        try:
            _take_line(line.partition("#")[0].strip(), components)
        except ShapeError as error:
            raise ShapeError(f"line {number}, '{shortened(line)}', of a CIAO file: {error}") from error
    if not components:
        raise ShapeError("the CIAO file holds no region; give for example: circle(4096.5,4096.5,20)")
    return united(components)


def _take_line(line: str, components: list[Component]) -> None:
    """Append the shapes of a line; what it cuts out goes to the last one. Raise ShapeError if it is not understood."""
    position = 0
    while position < len(line):
        found = _SHAPE.match(line, position)
        if not found:
            raise ShapeError(f"'{shortened(line[position:])}' is no shape; allowed are {', '.join(_ALLOWED)}")
        position = found.end()
        operator, (component,) = found[1], _shape(found[2].lower(), ds9_shapes.split_arguments(found[3]))
        if operator in _JOINS:
            components.append(component)
        elif operator not in _CUTS:
            raise ShapeError(f"'{operator}' is not read; shapes are joined by '+' and cut out by '-'")
        elif not components:
            raise ShapeError("the first shape is cut out; put in front of it the shape out of which it is cut")
        else:
            last = components.pop()
            components.append(Component(last.shape, (*last.cut, *ds9_shapes.whole([component]))))


def _shape(name: str, values: list[str]) -> list[Component]:
    if name not in _ALLOWED or len(values) < 3:
        raise ShapeError(f"{name} with {len(values)} numbers is not read; allowed are {', '.join(_ALLOWED)}")
    frame = "fk5" if any(_ON_SKY.search(value) for value in values[:2]) else PHYSICAL
    if name == "rectangle":
        return ds9_shapes.build("polygon", frame, _corners(frame, values))
    if name != "polygon" and frame != PHYSICAL:
        sizes = values[2:4] if name in ("ellipse", "box", "rotbox", "annulus") else values[2:3]
        if any(not re.search(r"[\"'d]$", size) for size in sizes):
            raise ShapeError("a size without a unit is in pixels, which the sky does not have; write 40\" or 1.5'")
    return ds9_shapes.build(name, frame, values)


def _corners(frame: str, values: list[str]) -> list[str]:
    """Return the arguments of the polygon that a rectangle is, given by two opposite corners."""
    if frame != PHYSICAL or len(values) != 4:
        raise ShapeError("rectangle(x1,y1,x2,y2) is read in physical X,Y; on the sky, give a box")
    x0, y0, x1, y1 = values
    return [x0, y0, x1, y0, x1, y1, x0, y1]
