"""The exposures of the archive that see a region, and the MOCs of regions and of the archive, for both doors.

What reads regions (astropy, mocpy) is imported when the first one comes: a server at rest does without.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reduction.errors import ReductionError
from uws_server.errors import BadRequest, NotFound
from uws_server.jobs.positions import separation_deg
from uws_server.storage.archive_rows import ArchiveRow, ArchiveRows

if TYPE_CHECKING:
    from mocpy import MOC

    from reduction.regions import RegionSet
    from uws_server.services.archive_index import ArchiveIndex, SeenRow
    from uws_server.services.search_region import SearchRegion

MOC_FORMATS: Final = ("fits", "json", "ascii")
"""How a MOC can be had: MOC 2.0, sections 4.2.1, 4.3.2 and 4.3.1."""

_NUMBER: Final = r"([+-]?\d{1,3}(?:\.\d{0,20})?)"
_PLAIN_CIRCLE: Final = re.compile(rf"(?:circle icrs )?{_NUMBER} {_NUMBER} {_NUMBER}", re.IGNORECASE | re.ASCII)
_SMALL_DEG: Final = 1.0
"""Radius up to which a circle is searched for in any case, at whatever order."""

_REMEMBERED: Final = 64
"""Regions whose cells are remembered: a page and its parts ask for the same one several times."""


class ExposureSeen(NamedTuple):
    """An exposure that sees a part of a region.

    `row` is its row in the archive; `fraction` the part of the region that it sees, `field_fraction` the part of its
    field that this is; `off_axis_arcmin` the angle from its pointing to the middle of the region, None if there is no
    pointing.
    """

    row: ArchiveRow
    fraction: float
    field_fraction: float
    off_axis_arcmin: float | None


class Exposures:
    """The search in the index of the archive of one server."""

    def __init__(self, rows: ArchiveRows, folder: Path | None, data: Path) -> None:
        self._rows, self._folder, self._data = rows, folder, data
        self._searched = lru_cache(_REMEMBERED)(_searched)
        self._has_searched = False

    def seeing(self, text: str) -> list[ExposureSeen]:
        """Return the exposures that see a part of a region, ordered by observation, camera and exposure.

        Raise BadRequest if the text is no region on the sky, NotFound if the server has no archive.
        """
        found = self._seeing(self._searched(text))
        self._has_searched = True
        return found

    def seeing_at_hand(self, text: str) -> list[ExposureSeen] | None:
        """Return what `seeing` does for a small circle of ICRS in degrees, without waiting for anything.

        Return None for any other region, as long as none was searched for, and if the rows of some exposures have to
        be read first.
        """
        if not self._has_searched or _circle(text) is None:
            return None
        wanted = self._searched(text)
        found = self._index.seeing_at_hand(wanted.cells)
        return None if found is None else _with_angles(wanted, found)

    def seeing_moc(self, path: Path) -> list[ExposureSeen]:
        """Return the exposures that see a part of the MOC in a file. Raise as `seeing` does."""
        from uws_server.services.moc_files import MAX_BYTES, read_moc
        from uws_server.services.search_region import search_moc

        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        with _refusals():
            return self._seeing(search_moc(read_moc(content)))

    def _seeing(self, wanted: SearchRegion) -> list[ExposureSeen]:
        return _with_angles(wanted, self._index.seeing(wanted.cells))

    def named(self, sources: Sequence[str]) -> list[Mapping[str, Any]]:
        """Return the rows of the exposures that some paths below the archive's folder name, in that order."""
        return self._rows.of_sources(sources)

    def obstacle(self, row: Mapping[str, Any]) -> str:
        """Return why no job can be given the event list of an exposure; '' where one can."""
        from uws_server.archive.description import EVENT_LIST, OBSERVATION

        if row["kind"] == OBSERVATION:
            return "only its entry in a table of observations is here, not its event list"
        if row["kind"] != EVENT_LIST:
            return "it is no event list"
        if self._folder is None or not (self._folder / row["source"]).is_file():
            return "its event list is no longer in the archive"
        return ""

    def region_moc(self, text: str, order: int | None, form: str) -> bytes:
        """Return the MOC of a region: of an order, or of one that suits its size; in one of MOC_FORMATS.

        Raise BadRequest if the text is no region on the sky, or its order is not served: at all, or for a region whose
        border is so long.
        """
        from reduction.regions.coverage import to_moc
        from uws_server.services.search_region import MAX_MOC_ORDER, highest_order_of, order_of

        require_format(form)
        if order is not None and not 0 <= order <= MAX_MOC_ORDER:
            raise BadRequest(f"ORDER: {order} came; a whole number from 0 to {MAX_MOC_ORDER} is allowed")
        region = _region(text)
        if order is not None and order > (highest := highest_order_of(region)):
            raise BadRequest(f"ORDER: {order} came; for a region of such size and so many corners and shapes a whole "
                             f"number from 0 to {highest} is allowed")  # fmt: skip
        with _refusals():
            return written_moc(to_moc(region, order_of(region, 0) if order is None else order), form)

    def coverage(self, form: str) -> bytes:
        """Return the MOC of all exposures. Raise NotFound if the server has no archive."""
        require_format(form)
        return written_moc(self.sky(), form)

    def sky(self) -> MOC:
        """Return the sky that all exposures see. Raise NotFound if the server has no archive."""
        return self._index.coverage()

    @cached_property
    def _index(self) -> ArchiveIndex:
        from uws_server.services.archive_index import ArchiveIndex

        if self._folder is None:
            raise NotFound("this server has no archive")
        return ArchiveIndex(self._rows, self._folder, self._data)


def _searched(text: str) -> SearchRegion:
    """Return what the archive is searched with for the text of a region or of a MOC. Raise BadRequest if it is none."""
    from uws_server.services.moc_files import is_moc, read_moc
    from uws_server.services.search_region import search_circle, search_moc, search_region

    if (circle := _circle(text)) is not None:
        return search_circle(*circle)
    with _refusals():
        return search_moc(read_moc(text.encode())) if is_moc(text) else search_region(_region(text))


def _circle(text: str) -> tuple[float, float, float] | None:
    """Return centre and radius of a small circle that is written in the plain way, in degrees.

    Return None for whatever else is a region, or none: what reads all of them takes half as long as the whole search.
    """
    found = _PLAIN_CIRCLE.fullmatch(text)
    if found is None:
        return None
    ra, dec, radius = map(float, found.groups())
    return (ra, dec, radius) if 0 <= ra < 360 and -90 <= dec <= 90 and 0 < radius <= _SMALL_DEG else None


def _with_angles(wanted: SearchRegion, found: Sequence[SeenRow]) -> list[ExposureSeen]:
    """Return exposures with their angles to the middle of a region, ordered by observation, camera and exposure."""
    angles = _off_axis(wanted.middle, [row for _, row in found])
    seen = [
        ExposureSeen(row, one.of_region, one.of_footprint, angle)
        for (one, row), angle in zip(found, angles, strict=True)
    ]
    return sorted(seen, key=_order)


def _order(one: ExposureSeen) -> tuple[str, str, str, int]:
    return one.row["obs_id"], one.row["instrument"], one.row["exposure"], one.row["key"]


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Raise what a region is refused for as BadRequest."""
    try:
        yield
    except ReductionError as error:
        raise BadRequest(str(error)) from error


def _region(text: str) -> RegionSet:
    from reduction import regions

    with _refusals():
        return regions.parse(text, "REGION")


def require_format(form: str) -> None:
    """Raise BadRequest for a word that is none of MOC_FORMATS."""
    if form not in MOC_FORMATS:
        raise BadRequest(f"FORMAT: {form[:40]!r} came; {', '.join(MOC_FORMATS)} are allowed")


def _off_axis(middle: tuple[float, float] | None, rows: Sequence[Mapping[str, Any]]) -> list[float | None]:
    """Return the angles in arcmin from the pointings of exposures to the middle of a region; None without pointing."""
    if middle is None:
        return [None] * len(rows)
    return [
        None if row["ra"] is None or row["dec"] is None else 60 * separation_deg(middle, (row["ra"], row["dec"]))
        for row in rows
    ]


def written_moc(moc: MOC, form: str) -> bytes:
    """Return a MOC in one of MOC_FORMATS."""
    if form == "json":
        return json.dumps(moc.serialize("json"), separators=(",", ":")).encode()
    if form == "ascii":
        return f"{moc.serialize('str')}\n".encode()
    return _fits_bytes(moc)


def _fits_bytes(moc: MOC) -> bytes:
    from astropy.io import fits

    hdus: fits.HDUList = moc.serialize("fits")
    file = io.BytesIO()
    hdus.writeto(file)
    return file.getvalue()
