"""Shapes to the text of a DS9 region file; may import `shapes`."""

from __future__ import annotations

from collections.abc import Sequence

import astropy.units as u
import regions

from reduction.regions import shapes
from reduction.regions.shapes import Length

UNITS = {'"': u.arcsec, "'": u.arcmin, "d": u.deg, "r": u.rad}
"""The units of sizes, by the letter or sign behind the number."""


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


def _length_text(length: Length) -> str:
    if not isinstance(length, u.Quantity):
        return f"{float(length)!r}"
    suffix = next((suffix for suffix, unit in UNITS.items() if unit == length.unit), "d")
    return f"{float(length.to_value(UNITS[suffix]))!r}{suffix}"
