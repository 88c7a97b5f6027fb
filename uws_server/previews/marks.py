"""The regions to draw into a picture of the sky, as closed lines in the plane of its pixels. Imports the libraries.

They come from the region files beside the picture's file, else from the region table that the file itself has.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS

from provenance.fits import FitsError, bintable
from provenance.fits.hdus import Hdu
from reduction import regions
from reduction.errors import ReductionError
from reduction.regions import RegionSet, TableRow

Floats = npt.NDArray[np.float64]
Role = Literal["source", "background", "region"]

MOST_MARKS = 400
"""The most lines that are drawn."""

_CORNERS = 96
"""Corners of the line that stands for an ellipse."""


@dataclass(frozen=True)
class Mark:
    """A closed line: its corners, shape (2, n), what is in it, and whether it cuts out."""

    corners: Floats
    role: Role
    cuts_out: bool = False


def read_files(files: Mapping[str, Path]) -> list[tuple[Role, RegionSet]]:
    """Return the regions of the region files (``.reg``) among some files; one that cannot be read is left out."""
    found: list[tuple[Role, RegionSet]] = []
    for name, path in sorted(files.items()):
        if name.lower().endswith(".reg") and path.stat().st_size <= regions.MAX_BYTES:
            for role, text in _texts(path.read_text(encoding="utf-8", errors="replace")):
                with contextlib.suppress(ReductionError):
                    found.append((role, regions.parse(text, parameter=name)))
    return found


def project(found: Sequence[tuple[Role, RegionSet]], wcs: WCS | None) -> tuple[Mark, ...]:
    """Return regions as lines in the plane of a projection; one that it does not reach is left out."""
    drawn: list[Mark] = []
    for role, region in found:
        with contextlib.suppress(ReductionError):
            drawn += _marks(region.on(wcs).table_rows(), role)
    return tuple(drawn[:MOST_MARKS])


def of_tables(path: Path, hdus: Sequence[Hdu]) -> tuple[Mark, ...]:
    """Return the regions of the first region table (SHAPE, X, Y, R, ROTANG) of a file; none if it has no such table."""
    for hdu in hdus:
        if hdu.is_table and str(hdu.cards.get("HDUCLAS1") or "").strip().upper() == "REGION":
            try:
                return tuple(_marks(_table_rows(path, hdu), "region"))[:MOST_MARKS]
            except (FitsError, OSError):
                continue
    return ()


def _texts(text: str) -> Iterator[tuple[Role, str]]:
    """Split a region file of the spectrum job: the lines of the background say so in their comment."""
    lines = text.splitlines()
    behind = [line for line in lines if line.rpartition("#")[2].strip() == "background"]
    rest = "\n".join(line for line in lines if line not in behind)
    shared = [line for line in lines if line not in behind and "(" not in line]
    if behind:
        yield "background", "\n".join([*shared, *behind])
    yield "source" if behind else "region", rest


def _table_rows(path: Path, hdu: Hdu) -> Iterator[TableRow]:
    """Read a region table. Raises FitsError if it cannot be read."""
    table = bintable.table(hdu, path.name)
    with path.open("rb") as stream:
        rows = table.read(stream)
    if "SHAPE" not in table.columns:
        return
    shapes = table.columns["SHAPE"].stored(rows).tolist()
    cells = []
    for name in ("X", "Y", "R", "ROTANG"):
        column = table.columns.get(name)
        known = column is not None and column.letter in "BIJKED" and column.repeat > 0
        cells.append(column.floats(rows).reshape(len(rows), -1) if column and known else np.empty((len(rows), 0)))
    for shape, *vectors in zip(shapes, *cells, strict=True):
        if isinstance(shape, bytes):
            x, y, r, angle = (np.asarray(vector, dtype=float).tolist() for vector in vectors)
            yield TableRow(shape.decode("ascii", "replace").strip().upper(), x, y, r, angle)


def _marks(rows: Iterator[TableRow] | list[TableRow], role: Role) -> Iterator[Mark]:
    """Yield the lines of some shapes, each line once."""
    seen = set()
    for row in rows:
        cuts_out, shape = row.shape.startswith("!"), row.shape.lstrip("!")
        for corners in _lines(shape, row):
            key = (cuts_out, corners.tobytes())
            if corners.shape[1] > 2 and np.isfinite(corners).all() and key not in seen:
                seen.add(key)
                yield Mark(corners, role, cuts_out)


def _lines(shape: str, row: TableRow) -> Iterator[Floats]:
    """Yield the closed lines of a shape: one, or two of a ring; none of a shape that is not known."""
    angle = math.radians(row.rotang[0]) if row.rotang else 0.0
    sizes, x, y = row.r, row.x[:1], row.y[:1]
    if shape == "POLYGON":
        yield np.array([row.x, row.y])
    elif not x or not y or not sizes:
        return
    elif shape == "CIRCLE":
        yield _ellipse(x[0], y[0], sizes[0], sizes[0], 0.0)
    elif shape == "ANNULUS" and len(sizes) > 1:
        yield from (_ellipse(x[0], y[0], radius, radius, 0.0) for radius in sizes[:2])
    elif shape == "ELLIPSE" and len(sizes) > 1:
        yield _ellipse(x[0], y[0], sizes[0], sizes[1], angle)
    elif shape == "ELLIPTANNULUS" and len(sizes) > 3:
        outer = math.radians(row.rotang[1]) if len(row.rotang) > 1 else angle
        yield _ellipse(x[0], y[0], sizes[0], sizes[1], angle)
        yield _ellipse(x[0], y[0], sizes[2], sizes[3], outer)
    elif shape in ("BOX", "ROTBOX", "RECTANGLE") and len(sizes) > 1:
        yield _turned(x[0], y[0], np.array([[-1, 1, 1, -1], [-1, -1, 1, 1]]) * [[sizes[0] / 2], [sizes[1] / 2]], angle)


def _ellipse(x: float, y: float, a: float, b: float, angle: float) -> Floats:
    turn = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    return _turned(x, y, np.array([a * np.cos(turn), b * np.sin(turn)]), angle)


def _turned(x: float, y: float, corners: Floats, angle: float) -> Floats:
    """Turn corners about (0, 0) anticlockwise by an angle (rad), then move them."""
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.asarray(turn @ corners + [[x], [y]], dtype=np.float64)
