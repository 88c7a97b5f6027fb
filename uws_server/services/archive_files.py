"""The files of the archive: its products, the sky that an exposure sees, and the file itself, for both doors.

What makes MOCs (mocpy) is imported when the first one is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from provenance.obscore import Value
from uws_server.archive import pps_names
from uws_server.archive.observations import Archive
from uws_server.errors import BadRequest, NotFound
from uws_server.services.archive_search import ArchiveSearch
from uws_server.services.exposures import require_format, written_moc
from uws_server.storage.archive_rows import ArchiveRows

MAX_FOOTPRINTS: Final = 1000
"""The most exposures whose footprints are joined at once."""

_KIND: Final = "product"

_WORDS: Final[Mapping[str, str]] = {
    "response.specresp": "ancillary response", "response.": "response matrix",
    "spectrum.bkg": "background spectrum", "spectrum.": "spectrum",
}  # fmt: skip
"""What a file is, by the beginning of the subtype that its header tells, where its name tells nothing."""


@dataclass(frozen=True)
class ArchiveProduct:
    """A product of the archive: its row, and what row and name tell of it; texts are empty where they do not.

    `subset` is the energy band, order or filter, `words` what the product is; a header tells that of OGIP files only.
    """

    row: Mapping[str, Any]
    dataproduct_type: str
    words: str
    subset: str


def archive_address(base_url: str, source: str) -> str:
    """Return the address of a file of the archive."""
    return f"{base_url}/archive/file/{quote(source)}"


@dataclass(frozen=True)
class IndexedFile:
    """A file of the archive: its name in it, its path, and whether it is an event list whose footprint is known."""

    source: str
    path: Path
    has_footprint: bool

    @property
    def mime(self) -> str:
        """The media type: that of FITS, or of what a FITS file is packed in."""
        return "application/gzip" if self.source.lower().endswith((".gz", ".ftz")) else "application/fits"


class ArchiveFiles:
    """The files of the archive of one server; none where it has no archive."""

    def __init__(self, rows: ArchiveRows, archive: Archive, search: ArchiveSearch, folder: Path | None) -> None:
        self._rows, self._archive, self._search, self._folder = rows, archive, search, folder

    def products(self, text: str, region: str, most: int) -> list[ArchiveProduct]:
        """Return the first products, ordered by observation, of observations that a search finds ('' for any).

        Raise QueryError if the text is no search, BadRequest if the region is none.
        """
        ids = None
        if text.strip() or region.strip():
            ids = [one.id for one in self._search.observations(text, region)]
        return [product_of(row) for row in self._rows.of_kind(_KIND, ids, most)]

    def footprint(self, sources: Sequence[str], form: str) -> bytes:
        """Return the MOC of what some exposures see together. Raise NotFound for one that is none, or has none."""
        from functools import reduce

        from mocpy import MOC

        from uws_server.archive.description import cells_of
        from uws_server.archive.footprints import coverage

        require_format(form)
        if len(sources) > MAX_FOOTPRINTS:
            raise BadRequest(f"ID: {len(sources)} exposures came; at most {MAX_FOOTPRINTS} are joined")
        found = self._rows.cells(sources)
        absent = next((source for source in sources if source not in found), None)
        if absent is not None:
            raise NotFound(f"ID: the archive has no exposure {absent[:200]!r}")
        blind = next((source for source in sources if not found[source]), None)
        if blind is not None:
            raise NotFound(f"ID: of {blind[:200]!r} no footprint is known: it has neither positions nor a pointing")
        return written_moc(reduce(MOC.union, (coverage(cells_of(found[source])) for source in sources)), form)

    def file(self, source: str) -> IndexedFile:
        """Return a file of the archive that is indexed. Raise NotFound if there is none of that name."""
        found = self._rows.cells([source])
        if source in found:
            try:
                file = self._archive.find(source)
            except ValueError as error:
                raise NotFound(str(error)) from error
            if file.place == source:
                return IndexedFile(source, file.path, bool(found[source]))
        raise NotFound(f"the archive has no file {source[:200]!r}")

    def source_of(self, identifier: str, base_url: str, publisher: str) -> str | None:
        """Return the file that an identifier of `obscore` means. Return None for one of something else."""
        for beginning in filter(None, (archive_address(base_url, ""), publisher and _did(publisher, ""))):
            if identifier.startswith(beginning):
                return unquote(identifier.removeprefix(beginning))
        return None

    def known_of(self, source: str) -> Mapping[str, Value]:
        """Return the ObsCore columns that are known of a file, without its addresses; empty where none are."""
        rows = self._rows.of_sources([source])
        found = _obscore(self._folder / source, rows[0]) if rows and self._folder is not None else None
        return found or {}

    def obscore(
        self, base_url: str, publisher: str, keys: Sequence[int] | None = None
    ) -> Iterator[Mapping[str, Value]]:
        """Yield the ObsCore rows of the files of the archive, of some keys or of all, in the order of the index.

        Their identifiers stay: with a publisher whatever the address of the server, else with the address.
        """
        if self._folder is None:
            return
        for row in self._indexed() if keys is None else self._rows.whole(keys):
            url = archive_address(base_url, row["source"])
            did = _did(publisher, row["source"]) if publisher else url
            found = _obscore(self._folder / row["source"], row)
            if found is not None:
                yield {**found, "obs_publisher_did": did, "access_url": url}

    def _indexed(self) -> Iterator[Mapping[str, Any]]:
        after, kinds = 0, ("events", _KIND)
        while page := self._rows.page_of(kinds, after):
            yield from page
            after = page[-1]["key"]


def _did(publisher: str, source: str) -> str:
    """Return the identifier that a publisher (its own IVOA identifier) gives to a file of the archive."""
    return f"{publisher}?archive/{quote(source)}"


def _obscore(path: Path, row: Mapping[str, Any]) -> dict[str, Value] | None:
    """Return the ObsCore row of a file, with the columns that must not be absent; None if it is gone or unreadable."""
    if not row["row"] or not path.is_file():
        return None
    is_pipeline = pps_names.parse(path.name) is not None
    needed: dict[str, Value] = {
        "obs_id": row["obs_id"] or row["source"],
        "obs_collection": row["collection"] or "archive",
        "calib_level": 2 if is_pipeline else 1,
    }
    return {**needed, **json.loads(row["row"]), "access_estsize": max(1, round(row["size"] / 1000))}


def product_of(row: Mapping[str, Any]) -> ArchiveProduct:
    """Return the product of a row."""
    name = pps_names.parse(row["source"].rpartition("/")[2])
    header = json.loads(row["row"]) if row["row"] else {}
    told = header.get("dataproduct_type", "")
    if name is None:
        subtype = str(header.get("dataproduct_subtype", ""))
        words = next((words for beginning, words in _WORDS.items() if subtype.startswith(beginning)), "")
        return ArchiveProduct(row, told, words, "")
    return ArchiveProduct(row, told or name.dataproduct_type, name.words, name.subset)
