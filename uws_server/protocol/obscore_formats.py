"""The formats in which ObsCore rows are sent: media types, the words that ask for them, and writers, which stream."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from bottle import HTTPResponse

from provenance.obscore import plaintable, table
from uws_server.protocol import dali
from uws_server.services import obscore

LOG = logging.getLogger(__name__)

Write = Callable[[Iterator[obscore.Row], int | None, str], Iterator[bytes]]
"""A writer of rows, at most so many; the last argument is the address of DataLink."""


class Format(NamedTuple):
    """A format of the table: its media type, what follows it, the ending of a file's name, its writer."""

    mime: str
    about: str
    suffix: str
    write: Write


_TEXT = "; charset=UTF-8"
_VOTABLE = Format(
    table.VOTABLE_MIME, _TEXT, "vot", lambda rows, most, links: logged(table.votable(rows, most, datalink=links))
)
_ECSV = Format(table.ECSV_MIME, _TEXT, "ecsv", lambda rows, most, links: table.ecsv(rows, most))
_CSV = Format(
    plaintable.CSV_MIME,
    f"{_TEXT}; header=present",
    "csv",
    lambda rows, most, links: plaintable.delimited(rows, most, ","),
)
_TSV = Format(plaintable.TSV_MIME, _TEXT, "tsv", lambda rows, most, links: plaintable.delimited(rows, most, "\t"))
_JSON = Format(plaintable.JSON_MIME, "", "json", lambda rows, most, links: plaintable.json_table(rows, most))
_FITS = Format(plaintable.FITS_MIME, "", "fits", lambda rows, most, links: plaintable.fits_table(rows, most))
FORMATS: Final[Mapping[str, Format]] = {
    **dict.fromkeys(dali.VOTABLE_WORDS, _VOTABLE),
    **{word: each for each in (_ECSV, _CSV, _TSV, _JSON, _FITS) for word in (each.suffix, each.mime)},
    "application/x-ecsv": _ECSV,
}
ALLOWED: Final = f"{', '.join(each.mime for each in (_VOTABLE, _ECSV, _CSV, _TSV, _JSON))} and {_FITS.mime} are allowed"


def format_of(asked: str | None) -> Format:
    """Return the format that RESPONSEFORMAT asks for, usually VOTable. Raise BadRequest for an unknown one."""
    return dali.format_of(asked or table.VOTABLE_MIME, FORMATS, ALLOWED)


def answer(rows: Iterator[obscore.Row], most: int | None, form: Format, base_url: str, name: str) -> HTTPResponse:
    """Return the answer with a table of rows, at most so many, whose VOTable says where the links of a row are."""
    headers = {
        "Content-Type": f"{form.mime}{form.about}",
        "Content-Disposition": f'inline; filename="{name}.{form.suffix}"',
        "Vary": "Authorization",
    }
    return HTTPResponse(form.write(rows, most, f"{base_url}/datalink"), 200, headers)


def logged(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a VOTable; a failure, which the client sees in the table, is logged.

    ECSV has no place for an error: there the answer itself fails.
    """
    try:
        yield from pieces
    except Exception:
        LOG.exception("the table of results could not be finished")
