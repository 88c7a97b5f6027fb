"""What is said of a source and a background region on the sky, and their texts in other notations, for the sky page.

What reads regions (astropy) is imported when the first one comes: a server at rest does without.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reduction.errors import ReductionError
from uws_server.errors import BadRequest, NotFound
from uws_server.services.exposures import Exposures

if TYPE_CHECKING:
    from reduction.regions import RegionSet

_HEMISPHERE_DEG: Final = 90.0
_LEAST_SHARED: Final = 1e-4
"""Part of the smaller region below which an overlap is one of rounded numbers, as of a circle in a ring around it."""


@dataclass(frozen=True)
class SkyRegion:
    """A region as it came, what is wrong with it, and the same as shapes and texts in ICRS.

    `shapes` are those of the JSON of `reduction.regions`; there are neither shapes nor texts of a text that is no
    region.
    """

    text: str = ""
    problems: tuple[str, ...] = ()
    shapes: tuple[Mapping[str, Any], ...] = ()
    ds9: str = ""
    stcs: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the region for a page."""
        return {"text": self.text, "problems": self.problems, "shapes": self.shapes, "ds9": self.ds9, "stcs": self.stcs}


@dataclass(frozen=True)
class SkyRegions:
    """A source and a background region, and what is wrong with the two together."""

    source: SkyRegion = SkyRegion()
    background: SkyRegion = SkyRegion()
    together: tuple[str, ...] = ()

    @property
    def problems(self) -> list[str]:
        """Return everything that is wrong, the region named where it is that of one."""
        regions = {"Source": self.source, "Background": self.background}
        named = [f"{name} region: {problem}" for name, region in regions.items() for problem in region.problems]
        return [*named, *self.together]

    def as_json(self) -> dict[str, Any]:
        """Return the regions for a page."""
        regions = {"source": self.source.as_json(), "background": self.background.as_json()}
        return {**regions, "problems": self.problems}


@dataclass(frozen=True)
class _Read:
    """What a text holds: a region, the one that it marks as background, or why it is none."""

    region: RegionSet | None = None
    marked: RegionSet | None = None
    problem: str = ""


def sky_regions(source: str, background: str, exposures: Exposures | None) -> SkyRegions:
    """Return what the texts of two regions hold, and what is wrong with them.

    A DS9 text of the source that marks some of its shapes as background holds both regions, unless there is a text of
    the background, too. Without `exposures` it is not told whether any sees them.
    """
    first, second = _read(source, "source"), _read(background, "background")
    if first.marked is not None and not background.strip():
        second = _Read(first.marked)
    elif second.marked is not None:
        second = _Read(second.marked)
    together = _overlap(first.region, second.region) if first.region and second.region else ""
    told = (together,) if together else ()
    return SkyRegions(_told(source, first, exposures), _told(background, second, exposures), told)


def _read(text: str, name: str) -> _Read:
    if not text.strip():
        return _Read()
    from reduction import regions

    try:
        return _Read(*regions.parse_with_background(text, name))
    except ReductionError as error:
        return _Read(problem=str(error).removeprefix(f"{name}: "))


def _told(text: str, read: _Read, exposures: Exposures | None) -> SkyRegion:
    """Return a region as the page has it. One in pixels has no place on the sky."""
    if read.region is None:
        return SkyRegion(text, (read.problem,) if read.problem else ())
    try:
        sky = read.region.in_icrs()
    except ReductionError:
        problem = "a region in physical X,Y is placed by an event list only: it is taken as it is, but cannot be drawn"
        return SkyRegion(text, (problem,))
    shapes = json.loads(sky.to_json())
    problems = [found for found in (_size(sky), _unseen(sky, exposures)) if found]
    return SkyRegion(
        text, tuple(problems), tuple(shapes if isinstance(shapes, list) else [shapes]), sky.to_ds9(), sky.to_stcs()
    )


def _size(region: RegionSet) -> str:
    """Return what is wrong with the size of a region; '' if nothing is."""
    around = region.centre_and_radius()
    if around is None or around[1].deg <= _HEMISPHERE_DEG:
        return ""
    return f"it reaches {around[1].deg:.0f} deg from its middle, over more than a half of the sky"


def _unseen(region: RegionSet, exposures: Exposures | None) -> str:
    """Return a sentence if no exposure of the archive sees a region; '' if one does, or it cannot be said."""
    if exposures is None:
        return ""
    try:
        seen = exposures.seeing(region.to_ds9())
    except NotFound:  # there is no archive
        return ""
    except BadRequest as error:
        return str(error).removeprefix("REGION: ")
    return "" if seen else "no exposure of the archive sees any part of it"


def _overlap(source: RegionSet, background: RegionSet) -> str:
    """Return a sentence if the background has a part of the source in it; '' if not, or if it cannot be said."""
    from reduction.regions import overlap

    try:
        shared = overlap.shared(source, background)
    except ReductionError:
        return ""
    if shared.of_smaller < _LEAST_SHARED:
        return ""
    part = f"{100 * shared.of_first:.2g}" if shared.of_first < 0.995 else "100"
    return f"the background overlaps the source: {part} % of the source lie in it, and would be taken for background"
