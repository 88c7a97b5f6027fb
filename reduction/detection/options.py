"""How sources are looked for."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Options:
    """How sources are looked for.

    `cut` is the lowest detection likelihood of a source, `box_cut` that of a box whose source is fitted at all,
    `extent_cut` the lowest likelihood of an extent, `largest_extent_arcsec` its upper limit, `nodes` the nodes of the
    background's spline along an axis, `rounds` how often the residuals are searched for further sources. Of two
    sources nearer than `nearest_arcsec` one is dropped, and so is one that is less likely than `side_cut` against the
    brightest side of its surroundings.
    """

    cut: float = 10.0
    box_cut: float = 6.0
    extent_cut: float = 4.0
    largest_extent_arcsec: float = 80.0
    nodes: int = 16
    rounds: int = 1
    nearest_arcsec: float = 8.0
    side_cut: float = 0.0

    def without_exposure(self) -> Options:
        """Return the options for images of which the exposure is not known.

        Gaps and rims look like sources there. So what a box cannot part is not parted, residuals are not searched, and
        every source must stand out against the brightest side of its surroundings.
        """
        return replace(self, rounds=0, nearest_arcsec=18.0, side_cut=min(6.0, self.cut))
