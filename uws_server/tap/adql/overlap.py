"""Regions and MOCs: whether they have a place in common, and whether one lies within the other.

Cells of HEALPix have curved sides, so that a cell is looked at by the circle around it: what that leaves open is asked
of the four cells within, down to order 29. Imports its neighbours of the sphere alone: the database calls it for rows.
"""

from __future__ import annotations

import math
from typing import Final

from uws_server.tap.adql import healpix, sphere
from uws_server.tap.adql.healpix import DEEPEST, Ranges

_MOST_OPEN: Final = 4000
"""Cells that may be open at a time: where the edges of a region and of a MOC run alike, all along them are."""
_WHOLE_SKY: Final = (0, (12 << (2 * DEEPEST)) - 1)


def meets(region: sphere.Region, moc: Ranges, if_open: bool = True) -> bool:
    """Whether a region and a MOC have a place in common; `if_open` where cells of order 29 do not tell."""
    if any(moc.holds(healpix.cell(*sphere.position(place))) for place in _places(region)):
        return True
    cells = list(range(12))
    for order in range(DEEPEST + 1):
        left = []
        for cell in cells:
            found = _met(region, moc, order, cell)
            if found:
                return True
            if found is None:
                left.append(cell)
        if not left or len(left) > _MOST_OPEN:
            return bool(left) and if_open
        cells = [4 * cell + number for cell in left for number in range(4)]
    return if_open


def _met(region: sphere.Region, moc: Ranges, order: int, cell: int) -> bool | None:
    """Return whether a region meets that part of a MOC which lies in a cell; None if its four cells are to be asked."""
    shift = 2 * (DEEPEST - order)
    share = moc.share(cell << shift, ((cell + 1) << shift) - 1)
    if share == "none":
        return False
    place = healpix.centre(cell, order)
    assert place is not None
    around = sphere.Circle(sphere.vector(*place), healpix.reach(order))
    if not sphere.intersects(region, around):
        return False
    is_sure = (share == "all" and sphere.holds_point(region, around.centre)) or sphere.contains(region, around)
    return True if is_sure else None


def _places(region: sphere.Region) -> tuple[sphere.Vector, ...]:
    """Return places that are of a region for sure."""
    return (region.centre,) if isinstance(region, sphere.Circle) else region.vertices


def within(region: sphere.Region, moc: Ranges) -> bool:
    """Whether a region lies within a MOC."""
    if not all(moc.holds(healpix.cell(*sphere.position(place))) for place in _places(region)):
        return False
    return not meets(region, complement(moc), if_open=False)


def holds(region: sphere.Region, moc: Ranges) -> bool:
    """Whether a MOC that is not empty lies within a region."""
    if not moc.firsts:
        return False
    cells = list(range(12))
    for order in range(DEEPEST + 1):
        reach, shift, left = healpix.reach(order), 2 * (DEEPEST - order), []
        for cell in cells:
            share = moc.share(cell << shift, ((cell + 1) << shift) - 1)
            place = None if share == "none" else healpix.centre(cell, order)
            if place is None:
                continue
            around = sphere.Circle(sphere.vector(*place), reach)
            is_out = share == "all" and not sphere.holds_point(region, around.centre)
            if is_out or not sphere.intersects(region, around):
                return False
            if not sphere.contains(region, around):
                left.append(cell)
        if not left or len(left) > _MOST_OPEN:
            return True
        cells = [4 * cell + number for cell in left for number in range(4)]
    return True


def complement(moc: Ranges) -> Ranges:
    """Return the cells of the sky that a MOC does not have."""
    edges = [_WHOLE_SKY[0], *(edge for first, last in zip(moc.firsts, moc.lasts, strict=True)
                              for edge in (first - 1, last + 1)), _WHOLE_SKY[1]]  # fmt: skip
    return Ranges([(first, last) for first, last in zip(edges[::2], edges[1::2], strict=True) if first <= last])


def share_a_cell(one: Ranges, other: Ranges) -> bool:
    """Whether two MOCs have a cell in common."""
    return any(other.share(first, last) != "none" for first, last in zip(one.firsts, one.lasts, strict=True))


def lies_within(inner: Ranges, outer: Ranges) -> bool:
    """Whether a MOC that is not empty lies within another one."""
    parts = zip(inner.firsts, inner.lasts, strict=True)
    return bool(inner.firsts) and all(outer.share(first, last) == "all" for first, last in parts)


def circles(ranges: tuple[tuple[int, int], ...], most: int) -> list[tuple[float, float, float]]:
    """Return circles (right ascension, declination, radius, degrees), at most so many, that hold all of a MOC."""
    moc = Ranges(ranges)
    order, cells = 0, _parts(moc, 0, range(12))
    while order < DEEPEST:
        finer = _parts(moc, order + 1, [4 * cell + number for cell in cells for number in range(4)])
        if len(finer) > most:
            break
        order, cells = order + 1, finer
    found = []
    for cell in cells:
        place = healpix.centre(cell, order)
        assert place is not None
        found.append((*place, math.degrees(healpix.reach(order))))
    return found


def _parts(moc: Ranges, order: int, cells: range | list[int]) -> list[int]:
    shift = 2 * (DEEPEST - order)
    return [cell for cell in cells if moc.share(cell << shift, ((cell + 1) << shift) - 1) != "none"]
