"""The cells of a region: those that the archive is searched with, and those of the MOC that is served.

Both are found at the order that `order_of` decides. Imports what reads regions: astropy and mocpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mocpy import MOC

from reduction.errors import ReductionError
from reduction.regions import RegionSet
from reduction.regions.coverage import CELLS, circle_to_moc, highest_order, suitable_order, to_moc
from uws_server.archive import footprints

MAX_MOC_ORDER: Final = 18
"""Highest order of a MOC that is served: cells of 0.8 arcsec."""

_MOST_S: Final = 1.0
"""What the cells of a region may take: no other request is answered meanwhile, since mocpy holds the interpreter."""

_SEARCH_CELLS: Final = 30
"""Cells along the radius of a region that is searched for: a fraction is right to some hundredths then, as the cells of
the footprints let it be, and takes a fraction of the time."""

_MOST_RANGES: Final = 1_000_000


@dataclass(frozen=True)
class SearchRegion:
    """A region to search the archive with: its cells, and its middle (RA and Dec in degrees; None without one)."""

    cells: MOC
    middle: tuple[float, float] | None


def highest_order_of(region: RegionSet) -> int:
    """Return the highest order at which the cells of a region may be asked for."""
    return min(highest_order(region, _MOST_S), MAX_MOC_ORDER)


def order_of(region: RegionSet, lowest: int, cells: int = CELLS) -> int:
    """Return the order of the cells of a region, where none is asked for.

    It is the one at which the region is so many cells wide, at least `lowest`, unless they would take too long. Raise
    ReductionError if those of `lowest` do so.
    """
    highest = highest_order_of(region)
    if highest < lowest:
        raise ReductionError(
            f"{region.parameter}: its border is too long, or has too many corners, for a search with cells of order "
            f"{lowest} (at most order {highest}): ask for a smaller region, or one of fewer corners", region.parameter
        )  # fmt: skip
    return min(suitable_order(region, lowest, cells), highest)


def search_region(region: RegionSet) -> SearchRegion:
    """Return what the archive is searched with. Raise ReductionError for a region in pixels, or too long a border."""
    cells = to_moc(region, order_of(region, footprints.ORDER, _SEARCH_CELLS))
    enclosing = region.centre_and_radius()
    if enclosing is None:
        return SearchRegion(cells, None)
    return SearchRegion(cells, (float(enclosing[0].ra.deg), float(enclosing[0].dec.deg)))


def search_circle(ra_deg: float, dec_deg: float, radius_deg: float) -> SearchRegion:
    """Return what the archive is searched with for a circle of ICRS that is small enough for any order: the same."""
    cells = circle_to_moc(ra_deg, dec_deg, radius_deg, footprints.ORDER, _SEARCH_CELLS)
    return SearchRegion(cells, (ra_deg, dec_deg))


def search_moc(cells: MOC) -> SearchRegion:
    """Return what the archive is searched with for a MOC that is no region; its middle is that of its cells."""
    ranges = len(cells.to_depth29_ranges)
    if ranges > _MOST_RANGES:
        raise ReductionError(f"REGION: this MOC has {ranges:,} ranges of cells; at most {_MOST_RANGES:,} are searched "
                             "for: degrade it to a lower order", "REGION")  # fmt: skip
    middle = cells.barycenter()
    return SearchRegion(cells, (float(middle.ra.deg), float(middle.dec.deg)))
