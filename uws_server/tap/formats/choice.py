"""The format that RESPONSEFORMAT asks for. What writes one is imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from uws_server.errors import BadRequest
from uws_server.tap.formats.answer import Answer
from uws_server.tap.formats.votable import MIME


@dataclass(frozen=True)
class Format:
    """A format: its media type, the ending of a file's name, where its writer stands, the words that ask for it.

    `name` is what its capability calls it, an IVOA identifier where there is one.
    """

    mime: str
    suffix: str
    writer: str
    words: tuple[str, ...]
    ivo_id: str = ""
    needs_arrow: bool = False

    def write(self) -> Callable[[Answer], Iterator[bytes]]:
        """Return the writer. Raise BadRequest if what it needs is not installed."""
        module, _, name = self.writer.partition(".")
        loaded = importlib.import_module(f"uws_server.tap.formats.{module}")
        if self.needs_arrow:
            loaded.require()
        found: Callable[[Answer], Iterator[bytes]] = getattr(loaded, name)
        return found


_TAPREGEXT: Final = "ivo://ivoa.net/std/TAPRegExt"
FORMATS: Final = (
    Format(f"{MIME};serialization=BINARY2", "vot", "binary2.binary2", ("votable/b2", "binary2"),
           f"{_TAPREGEXT}#output-votable-binary2"),
    Format(MIME, "vot", "votable.tabledata",
           ("votable", "votable/td", "text/xml", "application/xml", f"{MIME};serialization=tabledata"),
           f"{_TAPREGEXT}#output-votable-td"),
    Format("text/csv;header=present", "csv", "text.delimited_csv", ("csv", "text/csv")),
    Format("text/tab-separated-values", "tsv", "text.delimited_tsv", ("tsv",)),
    Format("application/fits", "fits", "fitstable.fits_table", ("fits",)),
    Format("text/ecsv", "ecsv", "text.ecsv", ("ecsv", "application/x-ecsv")),
    Format("application/json", "json", "text.json_table", ("json",)),
    Format("application/vnd.apache.parquet", "parquet", "arrow.parquet", ("parquet",), needs_arrow=True),
    Format("application/vnd.apache.arrow.stream", "arrow", "arrow.arrow", ("arrow",), needs_arrow=True),
)  # fmt: skip
"""Every format, the first of TAP's own alike; that of an answer for which none is asked is `DEFAULT`."""
DEFAULT: Final = FORMATS[1]
_BY_WORD: Final[Mapping[str, Format]] = {
    word.lower().replace(" ", ""): each for each in FORMATS for word in (each.mime, each.ivo_id, *each.words) if word
}


def format_of(asked: str) -> Format:
    """Return the format that a value of RESPONSEFORMAT asks for. Raise BadRequest for an unknown one."""
    plain = "".join(asked.lower().split())
    if not plain:
        return DEFAULT
    found = _BY_WORD.get(plain) or _BY_WORD.get(plain.partition(";")[0])
    if found is None:
        allowed = ", ".join(each.words[0] for each in FORMATS)
        raise BadRequest(f"RESPONSEFORMAT: {asked[:80]!r} came; {allowed} and their media types are allowed")
    return found
