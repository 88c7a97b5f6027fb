"""Region JSON (the grammar in the package's description) to shapes and back; may import `shapes`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import astropy.units as u
import regions

from provenance.text import jsonplaces, jsontext
from provenance.text.errors import JsonError, JsonFault
from reduction.regions import shapes
from reduction.regions.shapes import FRAMES, PHYSICAL, Length, Position, Selection, ShapeError, shortened

_UNITS = {"deg": u.deg, "arcmin": u.arcmin, "arcsec": u.arcsec, "rad": u.rad}
_KEYS = {
    "circle": ("centre", "radius"),
    "ellipse": ("centre", "semi_axes", "angle"),
    "annulus": ("centre", "inner", "outer"),
    "ellipse_annulus": ("centre", "inner", "outer", "angle"),
    "box": ("centre", "size", "angle"),
    "polygon": ("vertices",),
}


def read(text: str) -> Selection:
    """Read the shapes of a JSON object, or of a list of objects.

    Parameters
    ----------
    text
        The JSON text, in the grammar of this package.

    Returns
    -------
    include, exclude
        The shapes that are included, and those that are excluded.

    Raises
    ------
    ShapeError
        The text is not JSON, or not in the grammar; nothing is skipped.
    """
    try:
        document = jsontext.read(text)
    except JsonError as error:
        raise ShapeError(f"the region text begins like JSON but {shortened(_trouble(text, error))}") from error
    entries = document if isinstance(document, list) else [document]
    if not entries:
        raise ShapeError("the list of regions is empty; give at least one shape")
    include: list[regions.Region] = []
    exclude: list[regions.Region] = []
    for number, entry in enumerate(entries, start=1):
        try:
            excluded, shape = _shape(entry)
        except ShapeError as error:
            raise ShapeError(f"region {number} of {len(entries)}: {error}") from error
        (exclude if excluded else include).append(shape)
    return tuple(include), tuple(exclude)


def write(include: Sequence[regions.Region], exclude: Sequence[regions.Region]) -> str:
    """Return one line of JSON: an object for a single shape, a list for several."""
    entries = [_entry(shape) for shape in include] + [{**_entry(shape), "exclude": True} for shape in exclude]
    return json.dumps(entries[0] if len(entries) == 1 else entries)


def _trouble(text: str, error: JsonError) -> str:
    """Return what is wrong with a text, with the line and column of a mistake of grammar: it may have many lines."""
    if error.fault is not JsonFault.SYNTAX or error.offset is None:
        return error.trouble
    line, column = jsonplaces.line_at(text, error.offset), jsonplaces.column_at(text, error.offset)
    return f"is not: {error.subject}: line {line} column {column} (char {error.offset})"


def _shape(entry: Any) -> tuple[bool, regions.Region]:
    """Return whether an entry excludes, and its shape. Raise ShapeError if it is not in the grammar."""
    if not isinstance(entry, dict):
        raise ShapeError(f'a shape is an object like {{"shape": "circle", ...}}, not {shortened(json.dumps(entry))}')
    kind, frame, excluded = entry.get("shape"), entry.get("frame", "icrs"), entry.get("exclude", False)
    if not isinstance(kind, str) or kind not in _KEYS:
        raise ShapeError(f"shape must be one of {', '.join(_KEYS)}, not {shortened(json.dumps(kind))}")
    if not isinstance(frame, str) or frame not in FRAMES:
        raise ShapeError(f"frame must be one of {', '.join(FRAMES)}, not {shortened(json.dumps(frame))}")
    if not isinstance(excluded, bool):
        raise ShapeError(f"exclude must be true or false, not {shortened(json.dumps(excluded))}")
    allowed = ("shape", "frame", "exclude", *_KEYS[kind])
    unknown = [key for key in entry if key not in allowed]
    if unknown:
        raise ShapeError(f"a {kind} has no {shortened(json.dumps(unknown[0]))}; allowed are {', '.join(allowed)}")
    missing = [key for key in _KEYS[kind] if key not in entry and key != "angle"]
    if missing:
        raise ShapeError(f"a {kind} needs {missing[0]}")
    return excluded, _build(kind, frame, entry)


def _build(kind: str, frame: str, entry: dict[str, Any]) -> regions.Region:
    if kind == "polygon":
        return shapes.polygon(frame, _list(entry["vertices"], "vertices", lambda v: _position(v, "each vertex")))
    centre = _position(entry["centre"], "centre")
    angle = _quantity(entry.get("angle", 0.0), "angle")
    match kind:
        case "circle":
            return shapes.circle(frame, centre, _length(frame, entry["radius"], "radius"))
        case "annulus":
            return shapes.annulus(frame, centre, *(_length(frame, entry[key], key) for key in ("inner", "outer")))
        case "ellipse":
            return shapes.ellipse(frame, centre, _two_lengths(frame, entry, "semi_axes"), angle)
        case "box":
            return shapes.box(frame, centre, _two_lengths(frame, entry, "size"), angle)
        case _:
            inner, outer = (_two_lengths(frame, entry, key) for key in ("inner", "outer"))
            return shapes.ellipse_annulus(frame, centre, inner, outer, angle)


def _two_lengths(frame: str, entry: dict[str, Any], key: str) -> list[Length]:
    lengths = _list(entry[key], key, lambda value: _length(frame, value, key))
    if len(lengths) != 2:
        raise ShapeError(f"{key} must be a list of two lengths, not of {len(lengths)}")
    return lengths


def _list(value: Any, name: str, read_item: Callable[[Any], Any]) -> list[Any]:
    if not isinstance(value, list):
        raise ShapeError(f"{name} must be a list, not {shortened(json.dumps(value))}")
    return [read_item(item) for item in value]


def _position(value: Any, name: str) -> Position:
    if not isinstance(value, list) or len(value) != 2:
        raise ShapeError(f"{name} must be a list of two numbers, not {shortened(json.dumps(value))}")
    return _number(value[0], name), _number(value[1], name)


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ShapeError(f"{name} must hold numbers, not {shortened(json.dumps(value))}")
    try:
        return float(value)
    except OverflowError as error:
        raise ShapeError(f"{name} is too large a number") from error


def _length(frame: str, value: Any, name: str) -> Length:
    if frame != PHYSICAL:
        return _quantity(value, name)
    if isinstance(value, dict):
        raise ShapeError(
            f"{name} must be a number of X,Y pixels in a physical region, not {shortened(json.dumps(value))}"
        )
    return _number(value, name)


def _quantity(value: Any, name: str) -> u.Quantity:
    if not isinstance(value, dict):
        return _number(value, name) * u.deg
    unit = value.get("unit")
    if set(value) != {"value", "unit"} or not isinstance(unit, str) or unit not in _UNITS:
        raise ShapeError(
            f'{name} must be a number of degrees or {{"value": number, "unit": one of {", ".join(_UNITS)}}}, '
            f"not {shortened(json.dumps(value))}"
        )
    return _number(value["value"], name) * _UNITS[unit]


def _entry(shape: regions.Region) -> dict[str, Any]:
    """Return the JSON object of a shape, without ``exclude``."""
    frame = shapes.frame_of(shape)
    if isinstance(shape, (regions.PolygonSkyRegion, regions.PolygonPixelRegion)):
        return {"shape": "polygon", "frame": frame, "vertices": [list(vertex) for vertex in shapes.vertices_of(shape)]}
    name, lengths, angle = shapes.sizes_of(shape)
    sizes = [_json_value(length) for length in lengths]
    entry: dict[str, Any] = {"shape": name, "frame": frame, "centre": list(shapes.centre_of(shape))}
    if name == "circle":
        entry["radius"] = sizes[0]
    elif name == "annulus":
        entry |= {"inner": sizes[0], "outer": sizes[1]}
    elif name == "box":
        entry["size"] = sizes
    elif len(sizes) == 2:
        entry["semi_axes"] = sizes
    else:
        entry |= {"shape": "ellipse_annulus", "inner": sizes[:2], "outer": sizes[2:]}
    return entry if angle is None else entry | {"angle": _json_value(angle)}


def _json_value(value: Length) -> float | dict[str, Any]:
    """Return a length or an angle as the grammar has it: a number of degrees or pixels, or an object with a unit."""
    if not isinstance(value, u.Quantity):
        return float(value)
    name = next((name for name, unit in _UNITS.items() if unit == value.unit), "deg")
    number = float(value.to_value(_UNITS[name]))
    return number if name == "deg" else {"value": number, "unit": name}
