"""Unions of shapes from each of which others are cut out, as one selection; may import `shapes`,
`pixel` and the writer of DS9 text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import astropy.units as u
import numpy as np
import regions

from reduction.regions import pixel, shapes
from reduction.regions.ds9_writer import statement
from reduction.regions.outlines import Extent
from reduction.regions.shapes import PHYSICAL, Selection, ShapeError, shortened

MAX_SHAPES = 1_000
"""Most shapes, included and excluded together."""


@dataclass(frozen=True)
class Component:
    """A shape, and what is cut out of this one shape."""

    shape: regions.Region
    cut: tuple[regions.Region, ...] = ()


def united(components: Sequence[Component]) -> Selection:
    """Return the selection of points that lie in any component.

    A selection cuts every excluded shape out of all the others. The two mean the same as long as no shape that is cut
    out of one component reaches into another one, out of which it is not cut.

    Parameters
    ----------
    components
        The components, in the order in which they are given.

    Returns
    -------
    include, exclude
        The shapes that are included, and those that are excluded, each of these once.

    Raises
    ------
    ShapeError
        A cut-out reaches into a component that is to keep it, or there are more than `MAX_SHAPES` shapes.
    """
    check_count(sum(1 + len(component.cut) for component in components))
    names = [{_name(shape): shape for shape in component.cut} for component in components]
    cut_out = {name: shape for of_one in names for name, shape in of_one.items()}
    if any(len(of_one) < len(cut_out) for of_one in names):
        covers = {name: _cover(shape) for name, shape in cut_out.items()}
        for component, of_one in zip(components, names, strict=True):
            cover = _cover(component.shape)
            for name in cut_out.keys() - of_one.keys():
                if cover.may_overlap(covers[name]):
                    raise ShapeError(_reaches_into(component.shape, cut_out[name]))
    return tuple(component.shape for component in components), tuple(cut_out.values())


def check_count(count: int) -> None:
    """Raise ShapeError if there are more than `MAX_SHAPES` shapes."""
    if count > MAX_SHAPES:
        raise ShapeError(f"the region text holds {count:,} shapes, at most {MAX_SHAPES:,} are read")


def _reaches_into(shape: regions.Region, cut: regions.Region) -> str:
    return (
        f"{shortened(statement(cut))} is cut out of one shape and reaches into {shortened(statement(shape))}, out of "
        "which it is not cut; what is cut out here is cut out of all shapes, so give such shapes one by one"
    )


def _name(shape: regions.Region) -> str:
    return f"{shapes.frame_of(shape)} {statement(shape)}"


@dataclass(frozen=True)
class _Cover:
    """Figure that encloses a shape: a box in X,Y; on the sky a circle, as a point of the unit sphere and a radius."""

    frame: str
    box: Extent | None = None
    middle: tuple[float, ...] = ()
    radius_rad: float = 0.0

    def may_overlap(self, other: _Cover) -> bool:
        """Return whether the shapes may have points in common; shapes of different frames may."""
        if self.frame != other.frame:
            return True
        if self.box and other.box:
            (x0, x1, y0, y1), (left, right, low, high) = self.box, other.box
            return x0 <= right and left <= x1 and y0 <= high and low <= y1
        apart_rad = 2 * math.asin(min(1.0, math.dist(self.middle, other.middle) / 2))
        return apart_rad <= self.radius_rad + other.radius_rad


def _cover(shape: regions.Region) -> _Cover:
    frame = shapes.frame_of(shape)
    if frame == PHYSICAL:
        return _Cover(frame, pixel.box_around(shape))
    if isinstance(shape, regions.PolygonSkyRegion):
        points = _vectors(shapes.vertices_of(shape))
        middle = points.mean(axis=0)
        middle /= np.linalg.norm(middle)
        return _Cover(frame, None, tuple(middle.tolist()), float(np.arccos(np.clip(points @ middle, -1, 1)).max()))
    _, lengths, _ = shapes.sizes_of(shape)
    radii = [float(u.Quantity(length).to_value(u.rad)) for length in lengths]
    reach = math.hypot(*radii) / 2 if isinstance(shape, regions.RectangleSkyRegion) else max(radii)
    return _Cover(frame, None, tuple(_vectors([shapes.centre_of(shape)])[0].tolist()), reach)


def _vectors(positions: Sequence[shapes.Position]) -> np.ndarray:
    """Return positions in degrees as unit vectors, shape (n, 3)."""
    lon, lat = np.radians(np.array(positions)).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
