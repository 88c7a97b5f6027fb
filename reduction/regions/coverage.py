"""The part of the sky that a region covers, as a MOC (IVOA Multi-Order Coverage map 2.0): cells of HEALPix.

A cell is taken when the region overlaps it, so that nothing of the region is left out. `mocpy` is imported here only.
"""

from __future__ import annotations

from typing import Final

import astropy.units as u
import numpy as np
import regions
from astropy.coordinates import Latitude, Longitude, SkyCoord
from mocpy import MOC

from reduction.errors import ReductionError
from reduction.regions import polygons, shapes
from reduction.regions.core import RegionSet
from reduction.regions.shapes import PHYSICAL, frame_of

MAX_ORDER: Final = 29
"""The highest order of a MOC: cells of 0.4 milliarcseconds."""

CELLS: Final = 200
"""Cells wished for along the radius of a region, where the order may be chosen; limits the number of cells, too."""

_CELL_S: Final = 3e-6
_CORNER_S: Final = 7e-8
_LEAST_CELLS: Final = 8
"""Seconds that a cell on a border takes, and further ones for each corner of a polygon; cells of the least shape."""

_LARGEST_DEG: Final = 90.0
"""Largest radius of a cone or ring for which cells are searched for directly; what is larger is cut from the sky."""


def to_moc(region: RegionSet, order: int) -> MOC:
    """Return the cells that a region overlaps.

    Parameters
    ----------
    region
        A region on the sky.
    order
        Order of the smallest cells, 0 to 29; order 12 has cells of 52 arcsec.

    Returns
    -------
    MOC
        What is in any included shape and in no excluded one. Cells at the border of an excluded shape are kept.

    Raises
    ------
    ReductionError
        A shape is in pixels, or the order is outside of its range.
    """
    if not 0 <= order <= MAX_ORDER:
        raise ReductionError(f"the order of a MOC is a whole number from 0 to {MAX_ORDER}, not {order}", "order")
    if any(frame_of(shape) == PHYSICAL for shape in region.include + region.exclude):
        raise ReductionError(
            f"{region.parameter}: a region in physical X,Y has no sky position without an event list", region.parameter
        )
    covered = _union([_of_shape(shape, order) for shape in region.include])
    if not region.exclude:
        return covered
    return covered.difference(_union([_inside(shape, order) for shape in region.exclude]))


def suitable_order(region: RegionSet, lowest: int, cells: int = CELLS) -> int:
    """Return an order at which a region is about as many cells wide along its radius, at most twice too few.

    Parameters
    ----------
    region
        A region.
    lowest
        The least order that is wanted.
    cells
        The most cells along the radius of a circle about the region.

    Returns
    -------
    int
        At least `lowest`, which is also that of a region in pixels; else at most 18 (cells of 0.8 arcsec).
    """
    found = region.centre_and_radius()
    return lowest if found is None else _order_across(float(found[1].deg), lowest, cells)


def circle_to_moc(ra_deg: float, dec_deg: float, radius_deg: float, lowest: int, cells: int = CELLS) -> MOC:
    """Return the cells that a circle overlaps: those of `to_moc` at `suitable_order`, without making a region first.

    Parameters
    ----------
    ra_deg
        Right ascension of the centre, ICRS, in degrees.
    dec_deg
        Declination of the centre in degrees.
    radius_deg
        The radius in degrees.
    lowest
        The least order that is wanted.
    cells
        The most cells along the radius.

    Returns
    -------
    MOC
        The cells.
    """
    order = _order_across(radius_deg, lowest, cells)
    lon, lat, radius = (u.Quantity(value, u.deg) for value in (ra_deg, dec_deg, radius_deg))
    return _cone(lon, lat, radius, order)


def _order_across(radius_deg: float, lowest: int, cells: int) -> int:
    """Return the order of `suitable_order` for a radius."""
    fine = (order for order in range(18, -1, -1) if radius_deg < cells * _cell_deg(order))
    return max(lowest, next(fine, 0))


def highest_order(region: RegionSet, seconds: float) -> int:
    """Estimate the highest order at which `to_moc` takes at most some seconds.

    What it takes, and the number of cells, grows with those on the borders of the shapes, for a polygon also with its
    corners, against each of which cells are tested. All is done without leaving the interpreter to other threads.

    Parameters
    ----------
    region
        A region on the sky.
    seconds
        Time on one processor of 2020.

    Returns
    -------
    int
        The order; 0 if none takes so little.
    """
    borders = [_border(shape) for shape in region.include + region.exclude if frame_of(shape) != PHYSICAL]
    lengths_deg, corners = np.array(borders, dtype=np.float64).reshape(-1, 2).T
    orders = np.arange(1, MAX_ORDER + 1)[:, None]
    cells = np.minimum(lengths_deg * 2.0**orders / _cell_deg(0) + _LEAST_CELLS, 12.0 * 4.0**orders)
    return int(np.count_nonzero(cells @ (_CELL_S + _CORNER_S * corners) <= seconds))  # the time grows with the order


def _border(shape: regions.SkyRegion) -> tuple[float, int]:
    """Return the length of the border of a shape in degrees, and the number of its corners (none of a circle)."""
    if isinstance(shape, regions.PolygonSkyRegion):
        return _around(shape.vertices), len(shape.vertices)
    name, lengths, _ = shapes.sizes_of(shape)
    degrees = [float(length.to_value(u.deg)) for length in lengths]  # type: ignore[union-attr]
    if name in ("circle", "annulus"):
        return sum(360.0 * np.sin(np.radians(radius)) for radius in degrees), 0
    pairs = list(zip(degrees[::2], degrees[1::2], strict=True))
    if name == "box":
        return sum(2 * (width + height) for width, height in pairs), 4
    around = sum(2 * np.pi * np.sqrt((first**2 + second**2) / 2) for first, second in pairs)  # at most so long
    return float(around), polygons.ELLIPSE_VERTICES


def _around(vertices: SkyCoord) -> float:
    """Return the length of the sides of a polygon in degrees."""
    return float(vertices.separation(vertices[np.r_[1 : len(vertices), 0]]).deg.sum())


def _cell_deg(order: int) -> float:
    """Return the side of a cell of a mean shape, in degrees."""
    return float(np.degrees(np.sqrt(np.pi / 3))) / 2.0**order


def _union(mocs: list[MOC]) -> MOC:
    """Return the union of MOCs, made at once: one by one, all that was covered would be copied for each."""
    return mocs[0].union(*mocs[1:]) if len(mocs) > 1 else mocs[0]


def _of_shape(shape: regions.SkyRegion, order: int) -> MOC:
    """Return the cells that a shape overlaps."""
    if isinstance(shape, regions.PolygonSkyRegion):
        return MOC.from_polygon_skycoord(shape.vertices.icrs, max_depth=order)
    lon, lat = _at(shape.center)
    if isinstance(shape, regions.CircleSkyRegion):
        return _cone(lon, lat, shape.radius, order)
    if isinstance(shape, regions.CircleAnnulusSkyRegion):
        if shape.outer_radius > _LARGEST_DEG * u.deg:
            inner = _shrunk(_cone(lon, lat, shape.inner_radius, order))
            return _cone(lon, lat, shape.outer_radius, order).difference(inner)
        return MOC.from_ring(lon=lon, lat=lat, internal_radius=shape.inner_radius, external_radius=shape.outer_radius,
                             max_depth=order)  # fmt: skip
    name, lengths, angle = shapes.sizes_of(shape)
    degrees = [float(length.to_value(u.deg)) for length in lengths]  # type: ignore[union-attr]
    angle_rad = 0.0 if angle is None else float(angle.to_value(u.rad))
    *inner, outer = (
        MOC.from_polygon_skycoord(polygons.corners(shape.center, name, sizes, angle_rad).icrs, max_depth=order)
        for sizes in zip(degrees[::2], degrees[1::2], strict=True)
    )
    return outer.difference(_shrunk(inner[0])) if inner else outer


def _inside(shape: regions.SkyRegion, order: int) -> MOC:
    """Return the cells that lie in a shape as a whole, to the size of a cell: what an excluded shape takes away."""
    return _shrunk(_of_shape(shape, order))


def _shrunk(moc: MOC) -> MOC:
    """Return a MOC without its border of one cell; empty where it is border only."""
    return moc if moc.empty() else moc.remove_neighbours()


def _cone(lon: u.Quantity, lat: u.Quantity, radius: u.Quantity, order: int) -> MOC:
    return MOC.from_cone(lon=lon, lat=lat, radius=radius, max_depth=order, delta_depth=2)


def _at(position: SkyCoord) -> tuple[Longitude, Latitude]:
    sky = position if position.frame.name == "icrs" else position.icrs
    return sky.ra, sky.dec
