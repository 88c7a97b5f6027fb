"""The region of the sky from which a product was taken, read from the region table that its data subspace names.

DSTYPn = 'POS(X,Y)' with DSREFn = ':REGnnnnn' is the convention of the SAS and of CIAO: the table holds shapes in the
plane of the columns X and Y, whose projection the event table (TCTYPn ...) or its products (REFXCTYP ...) give. Rows of
one COMPONENT hold together, '!' in front excludes.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Final

import numpy as np

from provenance.fits import bintable
from provenance.fits.columns import Column, Rows
from provenance.fits.hdus import Hdu
from provenance.fits.headers import Cards
from provenance.obscore.product import Found, Product
from provenance.obscore.sky import Array, to_icrs
from provenance.text.errors import FitsError

MAX_SHAPES: Final = 200
"""The most shapes of a region that are written."""

_POSITION: Final = re.compile(r"POS\((\w+),(\w+)\)", re.IGNORECASE)
_VECTORS: Final = ("X", "Y", "R", "ROTANG", "COMPONENT")
_NONE: Final = np.zeros(0)
_VERTICES: Final = 36
_FARTHEST_DEG: Final = 80.0


@dataclass(frozen=True)
class _Plane:
    """The tangent projection of X and Y: reference pixel, the sky there and the size of a pixel, degrees."""

    pixel: tuple[float, float]
    sky: tuple[float, float]
    step: tuple[float, float]

    @property
    def scale(self) -> float:
        """Degrees per pixel."""
        return math.sqrt(abs(self.step[0] * self.step[1]))

    def to_sky(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Project X and Y to the sky, degrees in the frame of the header, shape (n,) each.

        Source: Calabretta & Greisen 2002, A&A 395, 1077, sections 2.4 and 5.1.3.
        """
        along = np.radians((x - self.pixel[0]) * self.step[0])
        up = np.radians((y - self.pixel[1]) * self.step[1])
        ra0, dec0 = map(math.radians, self.sky)
        down = math.cos(dec0) - up * math.sin(dec0)
        ra = ra0 + np.arctan2(along, down)
        dec = np.arctan2(math.sin(dec0) + up * math.cos(dec0), np.hypot(along, down))
        return np.degrees(ra) % 360, np.degrees(dec)


@dataclass(frozen=True)
class _Shape:
    """A row of a region table, in pixels: the vertices of its outlines, shape (n, 2), or circles by their radii."""

    excludes: bool
    component: int
    centre: tuple[float, float]
    radii: tuple[float, ...]
    outlines: tuple[Array, ...]


def columns(stream: IO[bytes], hdus: Sequence[Hdu], product: Product) -> Found:
    """Derive position, extent and region, and that they are calibrated.

    Parameters
    ----------
    stream
        The open file, inflated.
    hdus
        Its HDUs.
    product
        Its headers.

    Returns
    -------
    Found
        Columns of ObsCore, degrees (ICRS); empty where the product names no region on the sky that can be read.
    """
    found = _region_table(hdus, product)
    if found is None:
        return {}
    hdu, plane, cards = found
    shapes = list(_shapes(stream, hdu))
    included = [shape for shape in shapes if not shape.excludes]
    if not included or len(shapes) > MAX_SHAPES:
        return {}
    middle, radius = _circle(included)
    reach = (radius + math.dist(middle, plane.pixel)) * plane.scale
    where = to_icrs(product, cards, *plane.to_sky(np.array([middle[0]]), np.array([middle[1]])))
    if where is None or not reach < _FARTHEST_DEG or not np.isfinite(where).all():
        return {}
    region = _region([(shape, _phrase(shape, plane, product, cards)) for shape in shapes])
    return {"s_ra": float(where[0][0]), "s_dec": float(where[1][0]), "s_fov": 2 * radius * plane.scale,
            "s_region": region, "s_calib_status": "calibrated", "s_ucd": "pos.eq", "s_unit": "deg"}  # fmt: skip


def _region_table(hdus: Sequence[Hdu], product: Product) -> tuple[Hdu, _Plane, Cards] | None:
    """Return the region table, the projection of its plane, and the header that gives it; None if one is missing."""
    for number in range(1, 100):
        match = _POSITION.fullmatch(product.science.text(f"DSTYP{number}"))
        if match is None:
            continue
        keyword = re.compile(rf"\d*DSREF{number}")
        names = {text.removeprefix(":").upper() for _, text in product.science.texts(keyword)}
        found = [hdu for hdu in hdus if hdu.name in names and hdu.is_table]
        plane = _plane(product, match[1].upper(), match[2].upper())
        return (found[0], *plane) if len(found) == 1 and plane else None
    return None


def _plane(product: Product, x: str, y: str) -> tuple[_Plane, Cards] | None:
    """Return the projection of two columns and the header that gives it; None if there is none."""
    for cards in product.main:
        keys = [_of_column(cards, name) or (f"REF{name}CTYP", f"REF{name}CRPX", f"REF{name}CRVL", f"REF{name}CDLT")
                for name in (x, y)]  # fmt: skip
        if [cards.text(key[0]) for key in keys] != ["RA---TAN", "DEC--TAN"]:
            continue
        numbers = [[cards.number(keyword) for keyword in key[1:]] for key in keys]
        pixel, sky, step = ((first, second) for first, second in zip(*numbers, strict=True))
        known = [pair for pair in (pixel, sky, step) if pair[0] is not None and pair[1] is not None]
        if len(known) == 3 and all(step):
            return _Plane(*known), cards
    return None


def _of_column(cards: Cards, name: str) -> tuple[str, str, str, str] | None:
    """Return the keywords of the projection of a table's column: type, pixel, value, step; None if it has none."""
    fields = range(1, min(cards.count("TFIELDS") or 0, 999) + 1)
    number = next((n for n in fields if cards.text(f"TTYPE{n}").upper() == name), None)
    if number is None or not cards.text(f"TCTYP{number}"):
        return None
    return f"TCTYP{number}", f"TCRPX{number}", f"TCRVL{number}", f"TCDLT{number}"


def _shapes(stream: IO[bytes], hdu: Hdu) -> Iterator[_Shape]:
    """Yield the shapes of a region table; none at all where one of them is not understood."""
    try:
        table = bintable.table(hdu)
        rows = table.read(stream)[: MAX_SHAPES + 1]
    except FitsError:
        return
    names = table.columns.get("SHAPE")
    vectors = {name: _vectors(column, rows) for name, column in table.columns.items() if name in _VECTORS}
    if names is None or names.letter != "A" or not {"X", "Y"} <= vectors.keys():
        return
    shapes: list[_Shape] = []
    component = -1
    for row, name in enumerate(names.values(rows).tolist()):
        text = name.decode("latin-1").strip().upper()
        excludes = text.startswith("!")
        numbers = {key: vector[row] for key, vector in vectors.items()}
        given = numbers.pop("COMPONENT", _NONE)
        component = int(given[0]) if len(given) and math.isfinite(given[0]) else component + (not excludes)
        x, y, r, angle = (numbers.get(key, _NONE) for key in ("X", "Y", "R", "ROTANG"))
        shape = _shape(text.lstrip("!"), excludes, component, x, y, r, angle)
        if shape is None:
            return
        shapes.append(shape)
    yield from shapes


def _vectors(column: Column, rows: Rows) -> Array:
    """Return the numbers of a column, shape (rows, items); no items where it holds none."""
    if column.letter not in "BIJKED":
        return np.zeros((len(rows), 0))
    values = column.floats(rows)
    return values if values.ndim > 1 else values[:, np.newaxis]


def _shape(name: str, excludes: bool, component: int, x: Array, y: Array, r: Array, angle: Array) -> _Shape | None:
    """Return the shape in a row; None for one that is not understood or has impossible numbers."""
    if not (len(x) and len(y)) or not all(np.isfinite(part).all() for part in (x, y, r, angle)):
        return None
    centre = float(x[0]), float(y[0])
    turn = math.radians(float(angle[0])) if len(angle) else 0.0
    if name == "CIRCLE" and len(r) >= 1 and r[0] > 0:
        return _Shape(excludes, component, centre, (float(r[0]),), ())
    if name == "ANNULUS" and len(r) >= 2 and 0 <= r[0] < r[1]:
        return _Shape(excludes, component, centre, (float(r[1]), *([float(r[0])] if r[0] else [])), ())
    if name in ("POLYGON", "POLYGON2"):
        vertices = np.stack([x, y], axis=1)
        while len(vertices) > 3 and (not vertices[-1].any() or (vertices[-1] == vertices[0]).all()):
            vertices = vertices[:-1]  # vectors are filled up with zeros or by closing the polygon
        return _Shape(excludes, component, centre, (), (vertices,)) if len(vertices) >= 3 else None
    if name in ("BOX", "ROTBOX", "RECTANGLE", "ELLIPSE") and len(r) >= 2 and (r[:2] > 0).all():
        pairs = [(r[i], r[i + 1]) for i in range(0, 4 if len(r) >= 4 and (r[2:4] > 0).all() else 2, 2)]
        outlines = [_outline(name == "ELLIPSE", centre, pair, turn) for pair in pairs]
        return _Shape(excludes, component, centre, (), tuple(outlines[::-1]))
    return None


def _outline(is_ellipse: bool, centre: tuple[float, float], size: tuple[float, float], turn: float) -> Array:
    """Return the vertices of a box of these sides, or of an ellipse of these semi-axes as a polygon of equal area."""
    if is_ellipse:
        step = 2 * math.pi / _VERTICES
        angle = np.arange(_VERTICES) * step
        larger = math.sqrt(step / math.sin(step))
        along, across = larger * size[0] * np.cos(angle), larger * size[1] * np.sin(angle)
    else:
        along, across = np.array([1, -1, -1, 1]) * size[0] / 2, np.array([1, 1, -1, -1]) * size[1] / 2
    x = centre[0] + along * math.cos(turn) - across * math.sin(turn)
    return np.stack([x, centre[1] + along * math.sin(turn) + across * math.cos(turn)], axis=1)


def _circle(shapes: Sequence[_Shape]) -> tuple[tuple[float, float], float]:
    """Return centre and radius, in pixels, of a circle that contains the shapes; exact for one circle."""
    if len(shapes) == 1 and shapes[0].radii:
        return shapes[0].centre, shapes[0].radii[0]
    boxes = []
    for shape in shapes:
        if shape.radii:
            x, y = shape.centre
            boxes.append((np.array([[x, y]]) - shape.radii[0], np.array([[x, y]]) + shape.radii[0]))
        boxes += [(outline, outline) for outline in shape.outlines[:1]]
    low = np.min([part[0].min(axis=0) for part in boxes], axis=0)
    high = np.max([part[1].max(axis=0) for part in boxes], axis=0)
    middle = float(low[0] + high[0]) / 2, float(low[1] + high[1]) / 2
    reaches = [math.dist(shape.centre, middle) + shape.radii[0] for shape in shapes if shape.radii]
    reaches += [float(np.hypot(*(outline - middle).T).max()) for shape in shapes for outline in shape.outlines[:1]]
    return middle, max(reaches)


def _phrase(shape: _Shape, plane: _Plane, product: Product, cards: Cards) -> str:
    """Write a shape as STC-S without its frame."""
    phrases = []
    for points in shape.outlines or (np.array([shape.centre]),):
        turned = to_icrs(product, cards, *plane.to_sky(points[:, 0], points[:, 1]))
        pairs = " ".join(f"{ra:.10g} {dec:.10g}" for ra, dec in zip(*(turned or ((), ())), strict=True))
        radii = [radius * plane.scale for radius in shape.radii]
        phrases += [f"Circle {pairs} {radius:.10g}" for radius in radii] or [f"Polygon {pairs}"]
    return phrases[0] if len(phrases) == 1 else f"Difference ( {' '.join(phrases[:2])} )"


def _region(phrases: Sequence[tuple[_Shape, str]]) -> str:
    """Write the shapes together as STC-S in ICRS."""
    whole = []
    for _, rows in itertools.groupby(sorted(phrases, key=_component), key=_component):
        part = list(rows)
        included = [phrase for shape, phrase in part if not shape.excludes]
        excluded = [phrase for shape, phrase in part if shape.excludes]
        if included:
            inner = _joined("Intersection", included)
            whole.append(f"Difference ( {inner} {_joined('Union', excluded)} )" if excluded else inner)
    operator, rest = _joined("Union", whole).split(" ", 1)
    return f"{operator} ICRS {rest}"


def _component(entry: tuple[_Shape, str]) -> int:
    return entry[0].component


def _joined(operator: str, phrases: Sequence[str]) -> str:
    return phrases[0] if len(phrases) == 1 else f"{operator} ( {' '.join(phrases)} )"
