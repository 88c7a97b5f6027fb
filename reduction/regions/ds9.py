"""DS9 region text (and SAS selection expressions) to shapes and back; may import `shapes` and `sas`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import astropy.units as u
import numpy as np
import regions

from reduction.regions import shapes
from reduction.regions.sas import is_expression, read_expression
from reduction.regions.shapes import FRAMES, PHYSICAL, Length, Position, Selection, ShapeError, shortened

_FRAMES = {name: name for name in FRAMES} | {"j2000": "fk5", "b1950": "fk4"}
_REFUSED_FRAMES = ("image", "detector", "amplifier", "linear", "ecliptic")
_ADVICE = (
    "save the regions in fk5 or icrs (DS9: Region, File Format, Coordinate System), "
    "or in physical for X,Y of the event list"
)
_UNITS = {'"': u.arcsec, "'": u.arcmin, "d": u.deg, "r": u.rad}
_SIZES = "write 40\" or 1.5' or 0.01d (degrees without a unit)"
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_SEXAGESIMAL = re.compile(r"([+-]?)(\d+)([:hd])(\d+)[:m](\d+\.?\d*|\.\d+)s?")
_SHAPE = re.compile(r"([+\-!]?)\s*([a-z_]+)\s*(.*)", re.IGNORECASE | re.DOTALL)


def read(text: str) -> Selection:
    """Read the shapes of a DS9 region file, or of a SAS expression on X,Y.

    Parameters
    ----------
    text
        The content of the file, or the expression.

    Returns
    -------
    include, exclude
        The shapes that are included, and those that are excluded.

    Raises
    ------
    ShapeError
        Something is not understood; the message has its line number and text.
    """
    if is_expression(text):
        return read_expression(text)
    include: list[regions.Region] = []
    exclude: list[regions.Region] = []
    background: set[bool] = set()
    frame: str | None = None
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        for words, properties in _statements(line):
            try:
                frame, words = _after_frame(words, frame)
                if not words:
                    continue
                excluded, shapes_of_line = _shapes(words, frame)
            except ShapeError as error:
                raise ShapeError(f"line {number}, '{shortened(words)}': {error}") from error
            (exclude if excluded or "include=0" in properties else include).extend(shapes_of_line)
            background.add(bool(re.search(r"\bbackground\b(?!\s*=\s*0)", properties)))
    if len(background) > 1:
        raise ShapeError(
            "some regions of this file are marked as background and some are not; give them as two separate parameters"
        )
    if not include and not exclude:
        if frame is not None:
            raise ShapeError(
                f"no shape follows '{shortened(text.strip())}'; give for example: fk5; circle(148.97,69.65,40\") "
                "(curl --form cuts a value at its ';', --form-string does not)"
            )
        raise ShapeError(f"no region found in '{shortened(text)}'; give for example: fk5; circle(148.97,69.65,40\")")
    return tuple(include), tuple(exclude)


def write(include: Sequence[regions.Region], exclude: Sequence[regions.Region]) -> str:
    """Return the text of a DS9 region file, with numbers in full precision."""
    lines = ["# Region file format: DS9 version 4.1"]
    frame = None
    for sign, group in (("", include), ("-", exclude)):
        for shape in group:
            if shapes.frame_of(shape) != frame:
                frame = shapes.frame_of(shape)
                lines.append(frame)
            lines.append(sign + statement(shape))
    return "\n".join(lines) + "\n"


def statement(shape: regions.Region) -> str:
    """Return a shape as DS9 writes it, without its frame and sign."""
    if isinstance(shape, (regions.PolygonSkyRegion, regions.PolygonPixelRegion)):
        return f"polygon({','.join(f'{value!r}' for vertex in shapes.vertices_of(shape) for value in vertex)})"
    x, y = shapes.centre_of(shape)
    name, lengths, angle = shapes.sizes_of(shape)
    numbers = [f"{x!r}", f"{y!r}", *(_length_text(length) for length in lengths)]
    if angle is not None:
        numbers.append(f"{float(angle.to_value(u.deg))!r}")
    return f"{name}({','.join(numbers)})"


def _statements(line: str) -> list[tuple[str, str]]:
    """Split a line into statements and their properties; a ';' inside a quoted property does not separate."""
    if line.lstrip().startswith("#"):
        return []
    statements, words, properties, in_properties, position = [], "", "", False, 0
    while position < len(line):
        char = line[position]
        if char == ";":
            statements.append((words.strip(), properties))
            words, properties, in_properties = "", "", False
        elif not in_properties:
            in_properties = char == "#"
            words += "" if in_properties else char
        else:
            end = line.find({"{": "}"}.get(char, char), position + 1) if char in "{\"'" else -1
            position = max(position, end)
            properties += " " if end > 0 else char
        position += 1
    return [entry for entry in [*statements, (words.strip(), properties)] if entry[0]]


def _after_frame(words: str, frame: str | None) -> tuple[str | None, str]:
    """Return the frame that holds from here on, and the rest of the statement. Raise ShapeError for others' frames."""
    if words.lower().startswith("global"):
        return frame, ""
    first, _, rest = words.partition(" ")
    name = first.lower()
    if name in _REFUSED_FRAMES or re.fullmatch(r"wcs[a-z]?", name):
        raise ShapeError(f"{name} coordinates cannot be used here; {_ADVICE}")
    return (_FRAMES[name], rest.strip()) if name in _FRAMES else (frame, words)


def _shapes(words: str, frame: str | None) -> tuple[bool, list[regions.Region]]:
    """Return whether the statement excludes, and its shapes (several for nested rings)."""
    if not words.isascii():
        raise ShapeError(
            f"only plain ASCII characters are read; for units write \" ' or d, not {_first_non_ascii(words)!a}"
        )
    match = _SHAPE.fullmatch(words)
    name = match.group(2).lower() if match else ""
    if not match or name not in _BUILDERS:
        raise ShapeError(f"not a shape that selects events; allowed are {', '.join(_BUILDERS)}")
    if frame is None:
        raise ShapeError(f"the coordinate system is not stated (DS9 would take image); {_ADVICE}")
    arguments = match.group(3).strip()
    if arguments.startswith("(") != arguments.endswith(")"):
        raise ShapeError("the parentheses do not match")
    values = re.split(r"\s*,\s*|\s+", arguments.removeprefix("(").removesuffix(")").strip())
    return match.group(1) in ("-", "!") and bool(match.group(1)), _BUILDERS[name](frame, values)


def _circle(frame: str, values: list[str]) -> list[regions.Region]:
    _check_count(frame, values, len(values) == 3, "circle(x,y,radius)")
    return [shapes.circle(frame, _centre(frame, values), _length(frame, values[2]))]


def _annulus(frame: str, values: list[str]) -> list[regions.Region]:
    _check_count(frame, values, len(values) >= 4, "annulus(x,y,inner,outer)")
    radii = [_length(frame, value) for value in values[2:]]
    return [shapes.annulus(frame, _centre(frame, values), inner, outer) for inner, outer in pairwise(radii)]


def _ellipse(frame: str, values: list[str]) -> list[regions.Region]:
    _check_count(
        frame,
        values,
        len(values) == 4 or (len(values) >= 5 and len(values) % 2 == 1),
        "ellipse(x,y,semi-axis,semi-axis,angle)",
    )
    angle = _angle(values[-1]) if len(values) > 4 else 0 * u.deg
    axes = [_length(frame, value) for value in (values[2:-1] if len(values) > 4 else values[2:])]
    pairs, centre = list(zip(axes[0::2], axes[1::2], strict=True)), _centre(frame, values)
    if len(pairs) == 1:
        return [shapes.ellipse(frame, centre, pairs[0], angle)]
    return [shapes.ellipse_annulus(frame, centre, inner, outer, angle) for inner, outer in pairwise(pairs)]


def _box(frame: str, values: list[str]) -> list[regions.Region]:
    _check_count(frame, values, len(values) in (4, 5), "box(x,y,width,height,angle)")
    angle = _angle(values[4]) if len(values) == 5 else 0 * u.deg
    return [shapes.box(frame, _centre(frame, values), [_length(frame, value) for value in values[2:4]], angle)]


def _polygon(frame: str, values: list[str]) -> list[regions.Region]:
    _check_count(frame, values, len(values) % 2 == 0, "polygon(x1,y1,x2,y2,x3,y3,...)")
    return [shapes.polygon(frame, [_centre(frame, values[i : i + 2]) for i in range(0, len(values), 2)])]


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
    plain = value[:-1] if value[-1:] in _UNITS else value
    if not _NUMBER.fullmatch(plain):
        raise ShapeError(f"'{shortened(value)}' is not an angular size; {_SIZES}")
    return float(plain) * (_UNITS[value[-1]] if plain != value else u.deg)


def _angle(value: str) -> u.Quantity:
    plain = value[:-1] if value[-1:] in ("d", "r") else value
    if not _NUMBER.fullmatch(plain):
        raise ShapeError(f"'{shortened(value)}' is not an angle in degrees")
    return float(plain) * (u.rad if value[-1] == "r" else u.deg)


def _length_text(length: Length) -> str:
    if not isinstance(length, u.Quantity):
        return f"{float(length)!r}"
    suffix = next((suffix for suffix, unit in _UNITS.items() if unit == length.unit), "d")
    return f"{float(length.to_value(_UNITS[suffix]))!r}{suffix}"


def _first_non_ascii(words: str) -> str:
    return next(char for char in words if not char.isascii())
