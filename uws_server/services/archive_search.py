"""The search of the archive, for both doors: by a search as people type it, by a region, or both.

A cone or a region finds the exposures that see a part of it; an exposure without footprint is found by a cone in which
its pointing lies. The conditions of a search hold for one exposure: an observation is found by any of its exposures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from reduction.errors import ReductionError
from uws_server.archive.query.conditions import AllOf, Condition, Cone, InRegion, Place, places_of
from uws_server.archive.query.errors import QueryError
from uws_server.archive.query.parts import Counts, Part
from uws_server.archive.query.reading import read
from uws_server.errors import BadRequest, NotFound
from uws_server.jobs import positions
from uws_server.services.exposures import Exposures, ExposureSeen
from uws_server.storage.archive_search import EXPOSURE_ORDERS, OBSERVATION_ORDERS, ArchiveSearchStore, id_of

if TYPE_CHECKING:
    from reduction.regions import RegionSet
    from uws_server.archive.footprints import Cells

__all__ = ["ArchiveSearch", "ExposureFound", "ObservationFound", "Part", "QueryError"]

_EVERYTHING: Final = Part()
_FILE: Final = "\0 the MOC of a file"
"""What stands for a region that came as a file: no text of a search."""

_AT_ONCE: Final = 400
_EXAMPLE: Final = "a position such as 148.97 69.68 or 09:55:53 +69:40:47"


@dataclass(frozen=True)
class ExposureFound:
    """An exposure that a search found: its row, and of the place that is searched for the fraction that it sees.

    `fraction`, `field_fraction` and `off_axis_arcmin` are as in `ExposureSeen`; None where no place, or more than one,
    is searched for, and where the exposure does not see it, or has no footprint.
    """

    row: Mapping[str, Any]
    fraction: float | None = None
    field_fraction: float | None = None
    off_axis_arcmin: float | None = None


@dataclass(frozen=True)
class ObservationFound:
    """An observation, by those of its exposures that a search found. Numbers are None where none of them has one."""

    id: str
    exposures: tuple[Mapping[str, Any], ...]

    @property
    def cameras(self) -> tuple[str, ...]:
        """The instruments, each once."""
        return self.each("instrument")

    def each(self, column: str) -> tuple[str, ...]:
        """Return the texts that a column has, each once."""
        return tuple(dict.fromkeys(str(row[column]) for row in self.exposures if row[column]))

    def least(self, column: str) -> float | None:
        """Return the least number that a column has."""
        return min((row[column] for row in self.exposures if row[column] is not None), default=None)

    def most(self, column: str) -> float | None:
        """Return the largest number that a column has."""
        return max((row[column] for row in self.exposures if row[column] is not None), default=None)


@dataclass(frozen=True)
class Footprints:
    """Rows of exposures with the cells that each sees, of one order, and how many exposures there are in all."""

    found: tuple[tuple[Mapping[str, Any], Cells], ...]
    order: int
    total: int


@dataclass(frozen=True)
class _Search:
    """What a search asks for, and the exposures that see its places."""

    condition: Condition
    keys: Mapping[Place, Sequence[int]]
    seen: Mapping[int, ExposureSeen]

    def within(self, place: Place, found: Sequence[ExposureSeen]) -> _Search:
        """Return the same search in a further place, which some exposures see: the one whose fractions are told."""
        seen = {one.row["key"]: one for one in found}
        return _Search(AllOf((place, self.condition)), {**self.keys, place: list(seen)}, seen)

    def found(self, row: Mapping[str, Any]) -> ExposureFound:
        seen = self.seen.get(row["key"])
        if seen is None:
            return ExposureFound(row)
        return ExposureFound(row, seen.fraction, seen.field_fraction, seen.off_axis_arcmin)


class ArchiveSearch:
    """The search in the archive of one server."""

    def __init__(self, store: ArchiveSearchStore, exposures: Exposures, resolve: positions.Resolve | None) -> None:
        self._store, self._exposures, self._resolve = store, exposures, resolve

    def exposures(self, text: str, region: str = "", part: Part = _EVERYTHING) -> list[ExposureFound]:
        """Return the exposures that a search finds and that see a part of a region; '' for any.

        Raise QueryError if the text is no search, BadRequest if the region is none.
        """
        _require_order(part, EXPOSURE_ORDERS)
        search = self._search(text, region)
        return [search.found(row) for row in self._store.exposures(search.condition, search.keys, part)]

    def exposures_in_moc(self, text: str, moc: Path, part: Part = _EVERYTHING) -> list[ExposureFound]:
        """Return the exposures that a search finds and that see a part of the MOC in a file. Raise as `exposures`."""
        _require_order(part, EXPOSURE_ORDERS)
        search = self._search(text, "").within(InRegion(_FILE), self._exposures.seeing_moc(moc))
        return [search.found(row) for row in self._store.exposures(search.condition, search.keys, part)]

    def observations(self, text: str, region: str = "", part: Part = _EVERYTHING) -> list[ObservationFound]:
        """Return the observations of which an exposure is found. Raise as `exposures` does."""
        return self.observations_and_counts(text, region, part)[0]

    def observations_and_counts(
        self, text: str, region: str = "", part: Part = _EVERYTHING
    ) -> tuple[list[ObservationFound], Counts]:
        """Return some of the observations of which an exposure is found, and how many there are."""
        _require_order(part, OBSERVATION_ORDERS)
        search = self._search(text, region)
        ids = self._store.observations(search.condition, search.keys, part)
        rows: dict[str, list[Mapping[str, Any]]] = {one: [] for one in ids}
        for first in range(0, len(ids), _AT_ONCE):
            for row in self._store.of_observations(ids[first : first + _AT_ONCE], search.condition, search.keys):
                rows[id_of(row)].append(row)
        found = [
            ObservationFound(some[0]["obs_id"] or some[0]["source"], tuple(some)) for some in rows.values() if some
        ]
        return found, self._store.counts(search.condition, search.keys)

    @property
    def looks_names_up(self) -> bool:
        """Check whether this server has somebody to ask for the position of an object."""
        return self._resolve is not None

    def counts(self) -> Counts:
        """Return how many exposures and observations the archive has."""
        return self._store.counts(AllOf(), {})

    def footprints(self, sources: Sequence[str], text: str = "", region: str = "", most: int = 60) -> Footprints:
        """Return the footprints of some exposures; where none are named, of those that a search finds.

        Raise QueryError or BadRequest as `exposures` does.
        """
        from uws_server.archive import footprints
        from uws_server.archive.description import cells_of

        wanted = list(dict.fromkeys(sources))
        if not wanted:
            wanted = [one.row["source"] for one in self.exposures(text, region)]
        found = self._store.footprints(wanted[:most])
        return Footprints(tuple((row, cells_of(cells)) for row, cells in found), footprints.ORDER, len(wanted))

    def regions(self, source: str, background: str = "") -> list[tuple[Literal["source", "background"], RegionSet]]:
        """Return the regions of texts, '' for none. Raise BadRequest if one is no region on the sky."""
        from reduction import regions

        found: list[tuple[Literal["source", "background"], RegionSet]] = []
        try:
            if source:
                region, behind = regions.parse_with_background(source, "REGION")
                found.append(("source", region))
                if behind and not background:
                    found.append(("background", behind))
            if background:
                found.append(("background", regions.parse(background, "background")))
        except ReductionError as error:
            raise BadRequest(str(error)) from error
        return found

    def files_of(self, obs_id: str) -> list[Mapping[str, Any]]:
        """Return the rows of the files of an observation, exposures first. Raise NotFound if there are none."""
        rows = self._store.files_of(obs_id)
        if not rows:
            raise NotFound(f"the archive has no observation {obs_id[:60]!r}")
        return rows

    def _search(self, text: str, region: str) -> _Search:
        condition = read(text)
        keys: dict[Place, Sequence[int]] = {}
        seen: dict[int, ExposureSeen] = {}
        places = list(dict.fromkeys(places_of(condition)))
        for place in places:
            found, others = self._seeing(place, text)
            keys[place] = [*(one.row["key"] for one in found), *others]
            if len(places) == 1 and not region:
                seen = {one.row["key"]: one for one in found}
        search = _Search(condition, keys, seen)
        return search.within(InRegion(region), self._exposures.seeing(region)) if region else search

    def _seeing(self, place: Place, text: str) -> tuple[list[ExposureSeen], list[int]]:
        """Return the exposures that see a place of a search, and the keys of those whose pointing only is in it."""
        if isinstance(place, InRegion):
            return self._seeing_region(place.region, place, text), []
        ra, dec = self._position(place, text)
        circle = f"Circle ICRS {ra:.9f} {dec:.9f} {place.radius_deg:.9f}"
        nearby = self._store.pointings(dec - place.radius_deg, dec + place.radius_deg)
        near = [key for key, *at in nearby if positions.separation_deg((ra, dec), (at[0], at[1])) <= place.radius_deg]
        return self._seeing_region(circle, place, text), near

    def _seeing_region(self, region: str, place: Place, text: str) -> list[ExposureSeen]:
        try:
            return self._exposures.seeing(region)
        except BadRequest as error:
            raise QueryError(str(error).removeprefix("REGION: "), text, *place.at) from error

    def _position(self, cone: Cone, text: str) -> tuple[float, float]:
        """Return the middle of a cone in degrees."""
        try:
            return positions.place(cone.place, self._resolve or _no_names)
        except ValueError as error:
            target = cone.place.replace("'", "''")
            instead = f"{text[: cone.whole[0]]}target LIKE '%{target}%'{text[cone.whole[1] :]}"
            raise QueryError(str(error), text, *cone.at, instead=instead) from error


def _no_names(name: str) -> tuple[float, float]:
    raise ValueError(f"this server looks no names up, such as {name[:60]!r}: type {_EXAMPLE}, or search for what the "
                     "headers call it")  # fmt: skip


def _require_order(part: Part, orders: Sequence[str]) -> None:
    if part.order not in orders:
        raise BadRequest(f"sort: {part.order[:40]!r} came; {', '.join(orders)} are allowed")
