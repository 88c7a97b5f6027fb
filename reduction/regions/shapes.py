"""The six shapes as ``regions`` objects: built from checked numbers, and turned into numbers again.

In a sky frame positions are degrees and lengths are angle quantities; in the frame ``physical`` both are plain numbers
of X,Y pixels. Numbers that make no shape raise `ShapeError` with a sentence, to which the readers add the position in
the text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import astropy.units as u
import numpy as np
import regions
from astropy.coordinates import SkyCoord

Length: TypeAlias = "u.Quantity | float"
Position: TypeAlias = tuple[float, float]
Selection: TypeAlias = tuple[tuple[regions.Region, ...], tuple[regions.Region, ...]]
"""The shapes that are included, and those that are excluded."""

PHYSICAL = "physical"
SKY_FRAMES = ("icrs", "fk5", "fk4", "galactic")
FRAMES = (*SKY_FRAMES, PHYSICAL)
MAX_PIXEL = 1e9
"""Largest X, Y or length in pixels; the columns of event lists stay far below it."""

MAX_VERTICES = 5_000
"""Most vertices of a polygon. Where each side comes close to each other one, the check takes their square in time."""


class ShapeError(ValueError):
    """Error for text or numbers that make no shape; the message says what came and what is allowed."""


def shortened(text: str) -> str:
    """Return text of a user for a message: one line of printable ASCII, at most 60 characters."""
    line = " ".join(text.split()).encode("ascii", "backslashreplace").decode()
    return line if len(line) <= 60 else f"{line[:57]}..."


def circle(frame: str, centre: Position, radius: Length) -> regions.Region:
    """Return a circle.

    Parameters
    ----------
    frame
        One of `FRAMES`.
    centre
        Degrees, or X,Y pixels in ``physical``.
    radius
        Angle, or X,Y pixels in ``physical``.

    Returns
    -------
    Region
        `CircleSkyRegion`, or `CirclePixelRegion` in ``physical``.

    Raises
    ------
    ShapeError
        A number is not finite or out of range.
    """
    build = regions.CirclePixelRegion if frame == PHYSICAL else regions.CircleSkyRegion
    return build(_position(frame, centre), _length(frame, radius, "radius"))


def ellipse(frame: str, centre: Position, semi_axes: Sequence[Length], angle: u.Quantity) -> regions.Region:
    """Return an ellipse.

    Parameters
    ----------
    frame
        One of `FRAMES`.
    centre
        Degrees, or X,Y pixels in ``physical``.
    semi_axes
        Two angles, or numbers of X,Y pixels in ``physical``.
    angle
        Angle of the first semi-axis, anticlockwise from the X axis of an image with north up.

    Returns
    -------
    Region
        `EllipseSkyRegion`, or `EllipsePixelRegion` in ``physical``.

    Raises
    ------
    ShapeError
        A number is not finite or out of range.
    """
    build = regions.EllipsePixelRegion if frame == PHYSICAL else regions.EllipseSkyRegion
    a, b = (_length(frame, axis, "semi-axis") for axis in semi_axes)
    return build(_position(frame, centre), 2 * a, 2 * b, _angle(angle))


def annulus(frame: str, centre: Position, inner: Length, outer: Length) -> regions.Region:
    """Return the ring between two radii; with an inner radius of 0, a circle.

    Parameters
    ----------
    frame
        One of `FRAMES`.
    centre
        Degrees, or X,Y pixels in ``physical``.
    inner
        Radius of the inner circle: an angle, or X,Y pixels in ``physical``.
    outer
        Radius of the outer circle: an angle, or X,Y pixels in ``physical``.

    Returns
    -------
    Region
        `CircleAnnulusSkyRegion`, or `CircleAnnulusPixelRegion` in ``physical``; a circle if the inner size is 0.

    Raises
    ------
    ShapeError
        A number is not finite or out of range, or the inner radius is not smaller than the outer one.
    """
    if inner == 0:
        return circle(frame, centre, outer)
    build = regions.CircleAnnulusPixelRegion if frame == PHYSICAL else regions.CircleAnnulusSkyRegion
    small, large = _length(frame, inner, "inner radius"), _length(frame, outer, "outer radius")
    check_smaller(small, large)
    return build(_position(frame, centre), small, large)


def ellipse_annulus(
    frame: str, centre: Position, inner: Sequence[Length], outer: Sequence[Length], angle: u.Quantity
) -> regions.Region:
    """Return the ring between two ellipses of the same centre and angle; with inner semi-axes of 0, an ellipse.

    Parameters
    ----------
    frame
        One of `FRAMES`.
    centre
        Degrees, or X,Y pixels in ``physical``.
    inner
        Two semi-axes of the inner ellipse: angles, or X,Y pixels in ``physical``.
    outer
        Two semi-axes of the outer ellipse: angles, or X,Y pixels in ``physical``.
    angle
        Angle of the first semi-axes, anticlockwise from the X axis of an image with north up.

    Returns
    -------
    Region
        `EllipseAnnulusSkyRegion`, or `EllipseAnnulusPixelRegion` in ``physical``; an ellipse if the inner size is 0.

    Raises
    ------
    ShapeError
        A number is not finite or out of range, or an inner semi-axis is not smaller than the outer one.
    """
    if all(axis == 0 for axis in inner):
        return ellipse(frame, centre, outer, angle)
    build = regions.EllipseAnnulusPixelRegion if frame == PHYSICAL else regions.EllipseAnnulusSkyRegion
    small = [_length(frame, axis, "inner semi-axis") for axis in inner]
    large = [_length(frame, axis, "outer semi-axis") for axis in outer]
    for inner_axis, outer_axis in zip(small, large, strict=True):
        check_smaller(inner_axis, outer_axis)
    return build(_position(frame, centre), 2 * small[0], 2 * large[0], 2 * small[1], 2 * large[1], _angle(angle))


def box(frame: str, centre: Position, size: Sequence[Length], angle: u.Quantity) -> regions.Region:
    """Return a rectangle.

    Parameters
    ----------
    frame
        One of `FRAMES`.
    centre
        Degrees, or X,Y pixels in ``physical``.
    size
        Full width and height: angles, or X,Y pixels in ``physical``.
    angle
        Angle of the width, anticlockwise from the X axis of an image with north up.

    Returns
    -------
    Region
        `RectangleSkyRegion`, or `RectanglePixelRegion` in ``physical``.

    Raises
    ------
    ShapeError
        A number is not finite or out of range.
    """
    build = regions.RectanglePixelRegion if frame == PHYSICAL else regions.RectangleSkyRegion
    width, height = (_length(frame, side, name) for side, name in zip(size, ("width", "height"), strict=True))
    return build(_position(frame, centre), width, height, _angle(angle))


def polygon(frame: str, vertices: Sequence[Position]) -> regions.Region:
    """Return a polygon of three or more vertices in either sense of rotation; sides on the sky are great circles.

    It is closed whether or not the last vertex repeats the first. Raise ShapeError if a position is out of range, or
    the sides cross or touch.
    """
    corners = [vertex for i, vertex in enumerate(vertices) if i == 0 or vertex != vertices[i - 1]]
    if len(corners) > 1 and corners[0] == corners[-1]:
        corners.pop()
    if len(corners) > MAX_VERTICES:
        raise ShapeError(f"a polygon of {len(corners):,} vertices came, at most {MAX_VERTICES:,} are read")
    if len(corners) < 3:
        raise ShapeError(f"a polygon needs at least 3 different vertices, this has {len(corners)}")
    checked = np.array([_checked_position(frame, corner) for corner in corners])
    if frame == PHYSICAL:
        _check_simple(checked)
        return regions.PolygonPixelRegion(regions.PixCoord(checked[:, 0].copy(), checked[:, 1].copy()))
    _check_simple(_flattened(checked))
    return regions.PolygonSkyRegion(SkyCoord(checked[:, 0] * u.deg, checked[:, 1] * u.deg, frame=frame))


def frame_of(shape: regions.Region) -> str:
    """Return the name of the frame of a shape, one of `FRAMES`."""
    if isinstance(shape, regions.PixelRegion):
        return PHYSICAL
    position = shape.vertices if isinstance(shape, regions.PolygonSkyRegion) else shape.center
    return str(position.frame.name)


def centre_of(shape: regions.Region) -> Position:
    """Return the centre of a shape in degrees, or in pixels."""
    if isinstance(shape, regions.PixelRegion):
        return float(shape.center.x), float(shape.center.y)
    return float(shape.center.spherical.lon.deg), float(shape.center.spherical.lat.deg)


def vertices_of(shape: regions.Region) -> list[Position]:
    """Return the vertices of a polygon in degrees, or in pixels."""
    vertices = shape.vertices
    if isinstance(shape, regions.PixelRegion):
        return list(zip(np.asarray(vertices.x, float).tolist(), np.asarray(vertices.y, float).tolist(), strict=True))
    return list(zip(vertices.spherical.lon.deg.tolist(), vertices.spherical.lat.deg.tolist(), strict=True))


def sizes_of(shape: regions.Region) -> tuple[str, list[Length], u.Quantity | None]:
    """Return DS9's name, the lengths (radii, semi-axes or full sides) and the angle of a shape with a centre.

    The angle is None for circles and rings of circles.
    """
    if isinstance(shape, (regions.CircleSkyRegion, regions.CirclePixelRegion)):
        return "circle", [shape.radius], None
    if isinstance(shape, (regions.CircleAnnulusSkyRegion, regions.CircleAnnulusPixelRegion)):
        return "annulus", [shape.inner_radius, shape.outer_radius], None
    if isinstance(shape, (regions.RectangleSkyRegion, regions.RectanglePixelRegion)):
        return "box", [shape.width, shape.height], shape.angle
    if isinstance(shape, (regions.EllipseSkyRegion, regions.EllipsePixelRegion)):
        return "ellipse", [shape.width / 2, shape.height / 2], shape.angle
    full = shape.inner_width, shape.inner_height, shape.outer_width, shape.outer_height
    return "ellipse", [length / 2 for length in full], shape.angle


def _position(frame: str, centre: Position) -> SkyCoord | regions.PixCoord:
    lon, lat = _checked_position(frame, centre)
    if frame == PHYSICAL:
        return regions.PixCoord(lon, lat)
    return SkyCoord(lon * u.deg, lat * u.deg, frame=frame)


def _checked_position(frame: str, position: Position) -> Position:
    """Return a position with its longitude in 0 to 360 degrees. Raise ShapeError if it is out of range."""
    lon, lat = position
    if not (math.isfinite(lon) and math.isfinite(lat)):
        raise ShapeError(f"a position must be two finite numbers, not {lon:g}, {lat:g}")
    if frame == PHYSICAL:
        if max(abs(lon), abs(lat)) > MAX_PIXEL:
            raise ShapeError(f"X and Y must lie within ±{MAX_PIXEL:g}, not {lon:g}, {lat:g}")
        return lon, lat
    names = ("galactic longitude", "galactic latitude") if frame == "galactic" else ("right ascension", "declination")
    if not -360 <= lon <= 360:
        raise ShapeError(f"{names[0]} must lie between 0 and 360 degrees, not {lon:g}")
    if not -90 <= lat <= 90:
        raise ShapeError(f"{names[1]} must lie between -90 and 90 degrees, not {lat:g}")
    wrapped = lon % 360.0
    return (0.0 if wrapped == 360.0 else wrapped), lat


def _length(frame: str, value: Length, name: str) -> Length:
    """Return a length. Raise ShapeError unless it is positive and at most 180 degrees, or `MAX_PIXEL` pixels."""
    number = float(value if frame == PHYSICAL else value.to_value(u.deg))  # type: ignore[union-attr]
    limit, unit = (MAX_PIXEL, "pixels") if frame == PHYSICAL else (180.0, "degrees")
    if not 0 < number <= limit:
        raise ShapeError(f"the {name} must be greater than 0 and at most {limit:g} {unit}, not {number:g}")
    return value


def _angle(angle: u.Quantity) -> u.Quantity:
    if not abs(angle.to_value(u.deg)) <= 1e6:
        raise ShapeError(f"the angle must be a finite number of degrees, not {angle.to_value(u.deg):g}")
    return angle


def check_smaller(inner: Length, outer: Length, name: str = "radius") -> None:
    """Check the sizes of a ring.

    Parameters
    ----------
    inner
        Size of what is cut out of the middle.
    outer
        Size of the whole.
    name
        What the size is, for the error.

    Raises
    ------
    ShapeError
        The inner size is not smaller than the outer one.
    """
    if not inner < outer:
        raise ShapeError(f"the inner {name} ({inner:g}) must be smaller than the outer one ({outer:g})")


def _flattened(vertices: np.ndarray) -> np.ndarray:
    """Project vertices in degrees about their mean direction (gnomonic: great circles become straight lines).

    Returns an array of shape (n, 2). Raises ShapeError if a vertex is more than 80 degrees from the mean direction.
    """
    lon, lat = np.radians(vertices).T
    xyz = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    mean = xyz.mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length < 1e-6 or (xyz @ (mean / length)).min() < math.cos(math.radians(80)):
        raise ShapeError("a polygon on the sky must fit within 80 degrees of its middle")
    mean /= length
    east = np.cross([0.0, 0.0, 1.0], mean)
    if np.linalg.norm(east) < 1e-9:
        east = np.array([1.0, 0.0, 0.0])
    east /= np.linalg.norm(east)
    flat = xyz / (xyz @ mean)[:, None]
    return np.asarray(np.stack([flat @ east, flat @ np.cross(mean, east)], axis=1))


def _check_simple(points: np.ndarray) -> None:
    """Raise ShapeError for a polygon without area, or whose sides cross or touch. `points` has the shape (n, 2)."""
    start = points - points.mean(axis=0)
    side = np.roll(start, -1, axis=0) - start
    farthest = start[np.argmax(np.abs(start).max(axis=1))]
    if np.abs(_cross(start, farthest)).max() <= 1e-12 * np.abs(farthest).max() ** 2:
        raise ShapeError("the vertices of a polygon must not lie on one line")
    following = np.roll(side, -1, axis=0)
    back = (_cross(side, following) == 0) & (np.sum(side * following, axis=1) < 0)
    if back.any():
        vertex = (int(np.argmax(back)) + 1) % len(start) + 1
        raise ShapeError(f"the sides of a polygon must not cross or touch: it turns back on itself at vertex {vertex}")
    for number, others in _near_sides(start, side):
        if _meets(start[number], side[number], start[others], side[others]).any():
            raise ShapeError(
                f"the sides of a polygon must not cross or touch: the side after vertex {number + 1} meets another"
            )


def _near_sides(start: np.ndarray, side: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each side, and those that it may meet, but its neighbours: every pair once.

    Along one direction their extents overlap. Of four directions it is the one along which the fewest do.
    """
    count = len(start)
    fewest = None
    for direction in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, -1.0)):
        begin = start @ direction
        end = begin + side @ direction
        low, high = np.minimum(begin, end), np.maximum(begin, end)
        order = np.argsort(low, kind="stable")
        # what rounding moves apart still counts as touching
        until = np.searchsorted(low[order], high[order] + 1e-9 * np.ptp(begin), side="right")
        if fewest is None or until.sum() < fewest[1].sum():
            fewest = order, until
    order, until = fewest if fewest else (np.arange(0), np.arange(0))
    for place, number in enumerate(order.tolist()):
        others = order[place + 1 : until[place]]
        apart = np.abs(others - number)
        others = others[(apart != 1) & (apart != count - 1)]
        if len(others):
            yield number, others


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def _meets(start: np.ndarray, side: np.ndarray, starts: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Return whether a segment meets others, ends included, shape (n,)."""
    ends = starts + sides
    here = np.sign(_cross(side, starts - start)), np.sign(_cross(side, ends - start))
    there = np.sign(_cross(sides, start - starts)), np.sign(_cross(sides, start + side - starts))
    low, high = np.minimum(start, start + side), np.maximum(start, start + side)
    overlap = ((np.minimum(starts, ends) <= high) & (np.maximum(starts, ends) >= low)).all(axis=1)
    return np.asarray((here[0] * here[1] <= 0) & (there[0] * there[1] <= 0) & overlap)
