"""The set of shapes that a user gave, and its projection onto the pixels of an event list."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import astropy.units as u
import numpy as np
import regions
from astropy.coordinates import Angle, SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame

from reduction.errors import ReductionError
from reduction.regions import ds9_writer, json_text, stcs
from reduction.regions.pixel import PixelRegionSet
from reduction.regions.shapes import PHYSICAL, frame_of, shortened

PROJECTION_LIMIT_DEG = 80.0
"""No part of a region may lie farther than this from the tangent point of the event list's sky projection."""


@dataclass(frozen=True)
class RegionSet:
    """Shapes on the sky, or in the X,Y plane of an event list; points in any `include` and no `exclude` are selected.

    Parameters
    ----------
    include, exclude
        Objects of the ``regions`` package; sky shapes keep the frame they were given in, pixel shapes hold values of
        the event list's X and Y columns.
    parameter
        Job parameter that held the text, named in errors.
    """

    include: tuple[regions.Region, ...]
    exclude: tuple[regions.Region, ...] = ()
    parameter: str = field(default="region", compare=False)

    def __post_init__(self) -> None:
        if not self.include:
            raise ReductionError(
                f"{self.parameter}: the region only excludes; give at least one shape without '-', '!' or include=0",
                self.parameter,
            )

    def on(self, wcs: WCS | None) -> PixelRegionSet:
        """Return the shapes in the X,Y plane of an event list.

        Positions and polygon vertices are projected exactly; circles, ellipses and boxes keep their kind, with the
        scale and the north (of their own frame) at their centre. In a tangent projection the relative error of their
        size is at most (r / 1 rad)^2 where the whole shape lies within r of the tangent point: 2e-5 at 15 arcmin, 3e-4
        at 1 deg.

        Parameters
        ----------
        wcs
            Celestial projection whose 0-based pixel coordinates equal the values of the X and Y columns; None when the
            event list has no sky coordinates, which is allowed for shapes in ``physical`` only.

        Returns
        -------
        PixelRegionSet
            The shapes in pixels: values of the X and Y columns.

        Raises
        ------
        ReductionError
            A shape cannot be projected: there is no celestial projection, or a part of the shape is more than 80 deg
            from the tangent point.
        """
        include, exclude = (
            tuple(self._placed(shape, wcs) for shape in shapes) for shapes in (self.include, self.exclude)
        )
        return PixelRegionSet(include, exclude)

    def to_ds9(self) -> str:
        """Return the text of a DS9 region file; `parse` reads the same numbers from it."""
        return ds9_writer.write(self.include, self.exclude)

    def to_json(self) -> str:
        """Return JSON in the grammar of this package; `parse` reads the same numbers and units from it."""
        return json_text.write(self.include, self.exclude)

    def to_stcs(self) -> str:
        """Return STC-S in ICRS degrees, as for ObsCore's ``s_region``.

        Ellipses and boxes become polygons, which every client can draw.

        Returns
        -------
        str
            The phrase; `parse` reads it.

        Raises
        ------
        ReductionError
            A shape is in ``physical`` pixels, which have no position on the sky without an event list.
        """
        self._require_sky()
        return stcs.write(self.include, self.exclude)

    def in_icrs(self) -> RegionSet:
        """Return the same shapes on the sky, with positions and angles in ICRS.

        Returns
        -------
        RegionSet
            The shapes in their order; those that are in ICRS already are kept as they are.

        Raises
        ------
        ReductionError
            A shape is in ``physical`` pixels, which have no position on the sky without an event list.
        """
        self._require_sky()
        include, exclude = (tuple(_in_icrs(shape) for shape in shapes) for shapes in (self.include, self.exclude))
        return RegionSet(include, exclude, self.parameter)

    def _require_sky(self) -> None:
        if not self.is_on_sky:
            raise ReductionError(
                f"{self.parameter}: a region in physical X,Y has no sky position without an event list", self.parameter
            )

    @property
    def is_on_sky(self) -> bool:
        """Whether no shape is in ``physical`` pixels."""
        return all(frame_of(shape) != PHYSICAL for shape in self.include + self.exclude)

    def centre_and_radius(self) -> tuple[SkyCoord, Angle] | None:
        """Return the centre (ICRS) and the radius of a circle on the sky that encloses the included shapes.

        It is exact for a single shape with a centre; for several shapes it is at most a few per cent larger than the
        smallest circle. None if a shape is in ``physical`` pixels.
        """
        return self._enclosing

    @cached_property
    def _enclosing(self) -> tuple[SkyCoord, Angle] | None:
        if any(frame_of(shape) == PHYSICAL for shape in self.include):
            return None
        if len(self.include) == 1 and not isinstance(self.include[0], regions.PolygonSkyRegion):
            centre, radius = _reach(self.include[0])
            at = centre if centre.frame.name == "icrs" else centre.icrs
            return at, Angle(math.degrees(radius), u.deg)
        centres, reaches = zip(*(_reach(shape) for shape in self.include), strict=True)
        lon = np.concatenate([np.atleast_1d(c.icrs.ra.rad) for c in centres])
        lat = np.concatenate([np.atleast_1d(c.icrs.dec.rad) for c in centres])
        reach = np.concatenate([np.full(np.size(c.icrs.ra.rad), r) for c, r in zip(centres, reaches, strict=True)])
        points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
        return _bounding_circle(points, reach)

    def _placed(self, shape: regions.Region, wcs: WCS | None) -> regions.PixelRegion:
        if isinstance(shape, regions.PixelRegion):
            return shape
        name = shortened(ds9_writer.statement(shape))
        if wcs is None or not wcs.has_celestial:
            raise ReductionError(
                f"{self.parameter}: {name} is on the sky, but the event list has no sky coordinates; leave the region "
                "empty if its instrument makes no images (NICER), else give it in physical X,Y",
                self.parameter,
            )
        tangent = SkyCoord(*wcs.celestial.wcs.crval * u.deg, frame=wcs_to_celestial_frame(wcs))
        centre, reach = _reach(shape)
        farthest = float(
            np.max(centre.transform_to(tangent, merge_attributes=False).separation(tangent).deg)
        ) + np.degrees(reach)
        if not farthest <= PROJECTION_LIMIT_DEG:
            raise ReductionError(
                f"{self.parameter}: {name} reaches {farthest:.1f} deg from the centre of the event list's sky "
                f"projection; at most {PROJECTION_LIMIT_DEG:g} deg can be projected. Is it a region of this field?",
                self.parameter,
            )
        return _in_frame(shape, tangent).to_pixel(wcs)


def _reach(shape: regions.SkyRegion) -> tuple[SkyCoord, float]:
    """Return the centre of a shape and the radius in rad that encloses it; for a polygon its vertices and 0."""
    if isinstance(shape, regions.PolygonSkyRegion):
        return shape.vertices, 0.0
    if isinstance(shape, regions.CircleSkyRegion):
        return shape.center, float(shape.radius.to_value(u.rad))
    if isinstance(shape, regions.CircleAnnulusSkyRegion):
        return shape.center, float(shape.outer_radius.to_value(u.rad))
    if isinstance(shape, regions.EllipseAnnulusSkyRegion):
        sides = shape.outer_width, shape.outer_height
    else:
        sides = shape.width, shape.height
    half = [float(side.to_value(u.rad)) / 2 for side in sides]
    return shape.center, math.hypot(*half) if isinstance(shape, regions.RectangleSkyRegion) else max(half)


def _in_frame(shape: regions.SkyRegion, tangent: SkyCoord) -> regions.SkyRegion:
    """Return the shape with its angle counted from the north of the projection's frame, as ``regions`` reads it."""
    if not hasattr(shape, "angle"):
        return shape
    centre = shape.center.transform_to(tangent, merge_attributes=False)
    northwards = shape.center.directional_offset_by(0 * u.deg, 1 * u.arcmin).transform_to(
        tangent, merge_attributes=False
    )
    return shape.copy(center=centre, angle=shape.angle + centre.position_angle(northwards))


def _in_icrs(shape: regions.SkyRegion) -> regions.SkyRegion:
    if frame_of(shape) == "icrs":
        return shape
    if isinstance(shape, regions.PolygonSkyRegion):
        return shape.copy(vertices=shape.vertices.icrs)
    turned = _in_frame(shape, SkyCoord(0 * u.deg, 0 * u.deg)).copy(center=shape.center.icrs)
    return turned.copy(angle=turned.angle % (360 * u.deg)) if hasattr(turned, "angle") else turned


def _bounding_circle(points: np.ndarray, reach: np.ndarray) -> tuple[SkyCoord, Angle]:
    """Return centre and radius of a circle that encloses discs on the sphere.

    The centre moves towards the farthest disc by ever smaller steps (Badoiu & Clarkson 2003).

    Parameters
    ----------
    points
        Centres of the discs as unit vectors, shape (n, 3).
    reach
        Radii of the discs in rad, shape (n,).

    Returns
    -------
    centre, radius
        The centre in ICRS and the radius in degrees, at most 180.
    """
    centre = points.mean(axis=0)
    centre /= np.linalg.norm(centre) or 1.0
    for step in range(1, 200):
        farthest = int(np.argmax(_separation(points, centre) + reach))
        away = _separation(points[farthest], centre)
        if away == 0:
            break
        # 1/(step+1) of the way to the far edge of the disc, which lies beyond its centre
        centre = centre + (points[farthest] - centre) * (away + reach[farthest]) / (away * (step + 1))
        centre /= np.linalg.norm(centre)
    radius = float((_separation(points, centre) + reach).max())
    position = SkyCoord(*centre, representation_type="cartesian", frame="icrs")
    position.representation_type = "unitspherical"
    return position, Angle(min(radius, np.pi) * u.rad).to(u.deg)


def _separation(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return the angles in rad between unit vectors, shape (n, 3), and another one."""
    return np.asarray(2 * np.arcsin(np.minimum(1.0, np.linalg.norm(points - centre, axis=-1) / 2)))
