"""Reads and writes the FITS extension VO-TAGS: an ObsCore row in the header of a 1x1 ASCII table, whose cell is the
step list as JSON.

The data of other HDUs are never read and stay as they are, byte for byte.
"""

from __future__ import annotations

import contextlib
import unicodedata
import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from provenance import obscore
from provenance.fits import cards, changes, hdus
from provenance.fits.cards import BLOCK
from provenance.fits.faults import FaultKind
from provenance.fits.hdus import Hdu, Layout
from provenance.obscore import ALL_COLUMNS, Column, ObsCoreRow
from provenance.steps import Step, dump, parse
from provenance.text.errors import FitsError, ObsCoreError, StepsError, TagsError
from provenance.text.jsontext import MAX_BYTES

EXTNAME: Final = hdus.TAGS_EXTNAME
"""The name of the extension."""

COLUMN: Final = "provenance"
"""The name of its column."""

CFITSIO_WIDTH: Final = 28_799
"""The widest cell that cfitsio 4.2 reads. A longer step list is valid FITS, which astropy and this module read."""

_IDENTIFIER_UCDS: Final = frozenset({"meta.ref.url", "meta.ref.ivoid"})
_URL_SAFE: Final = "%/:=&?~#+!$,;'@()*[]"
_SPELT: Final = {"ß": "ss", "−": "-", "′": "'"}
_OWN_KEYWORDS: Final = frozenset({"XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT", "TFIELDS",
                                  "TTYPE1", "TFORM1", "TBCOL1", "TIYPE1", "EXTNAME", "LONGSTRN", "CHECKSUM", "DATASUM",
                                  "DISC_TYP"})


@dataclass(frozen=True)
class Tags:
    """The content of a VO-TAGS extension: the ObsCore row of the product, and the steps that made it."""

    row: ObsCoreRow
    steps: tuple[Step, ...]


@contextlib.contextmanager
def _tags_errors() -> Iterator[None]:
    """Make an error of the FITS file one of its VO-TAGS."""
    try:
        yield
    except TagsError:
        raise
    except FitsError as error:
        raise TagsError(str(error)) from error


@_tags_errors()
def write(path: str | Path, row: ObsCoreRow, steps: Iterable[Step]) -> None:
    """Write the VO-TAGS of a FITS file, gzipped or not, or replace those that it has.

    Where a plain file has none, the extension is appended after its last HDU and nothing else is touched: this takes as
    long for a large file as for a small one. Where it has some, is gzipped, or something that is no HDU stands at its
    end (it stays there), a new file is written next to it and renamed. A last block that is not filled up is filled.
    Tags that a crash left half-written are replaced. If the disk is full, the file stays as it was.

    Parameters
    ----------
    path
        The file.
    row
        The ObsCore row of the product.
    steps
        The steps that made it, the earliest first.

    Raises
    ------
    ObsCoreError
        For a row that may not be written: a value that its column may not have, or no calib_level.
    StepsError
        For steps that JSON cannot hold, or that are too long.
    TagsError
        For a file that cannot be tagged: no FITS file, cut short, read-only, or on a full disk.
    """
    block = _extension(row, steps)
    path = Path(path)
    with changes.opened_to_change(path) as (stream, place):
        layout = _own_layout(path, stream)
        kept = [hdu for hdu in layout.readable if not _is_tags(hdu)]
        try:
            if len(kept) < len(layout.readable) or _tail(layout) is not None:
                changes.rewrite(stream, place, kept, block, _tail(layout))
            elif layout.unpadded:
                length = stream.seek(0, 2)
                changes.append(stream, place, length, changes.filling(layout.unpadded, length) + block)
            else:
                changes.append(stream, place, layout.end, block)
        except OSError as error:
            reason = error.strerror or error
            raise TagsError(f"{path}: VO-TAGS cannot be written: {reason}; the file is as it was") from error


@_tags_errors()
def read(path: str | Path) -> Tags | None:
    """Read the VO-TAGS of a FITS file, gzipped or not; None when it has none.

    Tolerates the slips of other writers (see `obscore.from_tags`; also a column without TTYPE1). Raises TagsError for a
    file that is no FITS file, has several VO-TAGS, or a cell that is no step list.
    """
    path = Path(path)
    with hdus.opened(path) as (stream, limit):
        hdu = _only(path, hdus.scan(stream, limit))
        if hdu is None:
            return None
        try:
            return Tags(obscore.from_tags(hdu.cards), _steps(stream, hdu))
        except (StepsError, TagsError) as error:
            raise TagsError(f"{path}: {EXTNAME}: {error}") from error


@_tags_errors()
def read_row(path: str | Path) -> ObsCoreRow | None:
    """Read the ObsCore row only, whatever the cell holds; None when the file has no VO-TAGS.

    Raises TagsError for a file that is no FITS file, or has several VO-TAGS.
    """
    path = Path(path)
    with hdus.opened(path) as (stream, limit):
        hdu = _only(path, hdus.scan(stream, limit))
    return None if hdu is None else obscore.from_tags(hdu.cards)


def check(path: str | Path) -> tuple[str, ...]:
    """Return all that is wrong with the VO-TAGS of a FITS file, in words; empty for a file that is tagged correctly."""
    path = Path(path)
    try:
        with hdus.opened(path) as (stream, limit):
            layout = hdus.scan(stream, limit)
            found = [] if layout.is_sound else [str(layout.fault)]
            tagged = _tagged(layout)
            if not layout.readable:
                return (f"no FITS file: {layout.fault}",)
            if not tagged:
                return (*found, f"there is no extension {EXTNAME}")
            if len(tagged) > 1:
                found.append(f"there are {len(tagged)} extensions {EXTNAME}, HDUs {_numbers(tagged)}; one is expected")
            return (*found, *(trouble for hdu in tagged for trouble in _troubles(stream, hdu)))
    except FitsError as error:
        return (str(error),)


@_tags_errors()
def strip(path: str | Path) -> bool:
    """Remove the VO-TAGS of a FITS file. Return False if it has none.

    The other HDUs stay as they are, byte for byte. Raises TagsError as `write` does.
    """
    path = Path(path)
    with changes.opened_to_change(path) as (stream, place):
        layout = _own_layout(path, stream)
        kept = [hdu for hdu in layout.readable if not _is_tags(hdu)]
        if len(kept) == len(layout.readable) and layout.is_sound:
            return False
        try:
            if kept[-1].end == sum(hdu.end - hdu.start for hdu in kept) and _tail(layout) is None:
                changes.append(stream, place, kept[-1].end, b"")
            else:
                changes.rewrite(stream, place, kept, b"", _tail(layout))
        except OSError as error:
            reason = error.strerror or error
            raise TagsError(f"{path}: VO-TAGS cannot be taken out: {reason}; the file is as it was") from error
    return True


def transliterated(text: str) -> str:
    """Return a text as printable ASCII, the only text of FITS headers: letters lose accents, Greek ones are spelt out.

    >>> transliterated("α Cen – été")
    'alpha Cen - ete'
    """
    return "".join(map(_ascii, unicodedata.normalize("NFKD", text))).strip()


def _extension(row: ObsCoreRow, steps: Iterable[Step]) -> bytes:
    """The bytes of the extension, header and data, each a whole number of blocks."""
    troubles = [*obscore.invalid(row), *(absent for absent in obscore.missing(row) if absent.startswith("calib_level"))]
    if troubles:
        raise ObsCoreError(f"the row may not be written: {'; '.join(troubles)}")
    cell = dump(steps).encode("ascii")
    values = [(column, row[column.name]) for column in ALL_COLUMNS if column.name in row]
    tags = [text for column, value in values if (text := _card(column, value))]
    is_long = any(len(text) > cards.SIZE for text in tags)
    header = "".join((
        cards.card("XTENSION", "TABLE", "ASCII table extension"),
        cards.card("BITPIX", 8, "characters"),
        cards.card("NAXIS", 2, "rows and columns of characters"),
        cards.card("NAXIS1", len(cell), "characters in a row"),
        cards.card("NAXIS2", 1, "rows"),
        cards.card("PCOUNT", 0, "no group parameters"),
        cards.card("GCOUNT", 1, "one group"),
        cards.card("TFIELDS", 1, "columns"),
        cards.card("EXTNAME", EXTNAME, "ObsCore 1.1 keywords and provenance"),
        cards.card("TTYPE1", COLUMN, "the steps that made this file, JSON"),
        cards.card("TBCOL1", 1, "first character of the column"),
        cards.card("TFORM1", f"A{len(cell)}", "characters of the column"),
        *([cards.card("LONGSTRN", "OGIP 1.0", "long strings use CONTINUE")] if is_long else []),
        *tags,
        "END".ljust(cards.SIZE),
    ))
    return _padded(header.encode("ascii")) + _padded(cell)


def _padded(content: bytes) -> bytes:
    """Content padded with blanks to whole blocks."""
    return content.ljust(-(-len(content) // BLOCK) * BLOCK)


def _card(column: Column, value: obscore.Value) -> str:
    """The card of a column; empty for a text of which no printable character is left."""
    comment = f"{column.name} ({column.unit})" if column.unit else column.name
    if not isinstance(value, str):
        return cards.card(column.keyword, value, comment)
    if column.ucd in _IDENTIFIER_UCDS:
        text = urllib.parse.quote(value.strip(), safe=_URL_SAFE, errors="replace")
    else:
        text = transliterated(value)
    return cards.card(column.keyword, text, comment) if text else ""


def _ascii(letter: str) -> str:
    """One character of decomposed text as printable ASCII."""
    if " " <= letter <= "~":
        return letter
    if letter in _SPELT:
        return _SPELT[letter]
    category, name = unicodedata.category(letter), unicodedata.name(letter, "")
    if category == "Mn":
        return ""
    if category in ("Cc", "Zs", "Zl", "Zp"):
        return " "
    if category == "Pd":
        return "-"
    if category in ("Pi", "Pf"):
        return '"' if "DOUBLE" in name else "'"
    script, mark, spelt = name.partition(" LETTER ")
    if not mark:
        return "?"
    words = spelt.removeprefix("FINAL ").split(" ")
    word = next((part for part in words if len(part) <= 2), words[0]) if script.startswith("LATIN") else words[0]
    return word.lower() if " SMALL " in name else word.capitalize()


def _own_layout(path: Path, stream: IO[bytes]) -> Layout:
    """The HDUs of a file that is to be changed. Raises TagsError unless it is sound but for half-written tags."""
    stream.seek(0, 2)
    layout = hdus.scan(stream, stream.tell())
    if not layout.readable:
        raise TagsError(f"{path}: no FITS file: {layout.fault}")
    stream.seek(layout.end)
    if not layout.is_sound and not _is_tags(Hdu(0, 0, 0, 0, stream.read(BLOCK))):
        raise TagsError(f"{path}: {layout.fault}; make the file anew before it is tagged")
    for hdu in _tagged(layout):
        if not _is_tags(hdu):
            raise TagsError(f"{path}: HDU {hdu.index} is named {EXTNAME} but is no ASCII table of one cell "
                            f"({hdu.kind}): take it out or rename it first")
    return layout


def _only(path: Path, layout: Layout) -> Hdu | None:
    """The extension of this name; None where there is none. Raises TagsError for several, or for no FITS file."""
    tagged = _tagged(layout)
    if not layout.readable or not (layout.is_sound or tagged):
        raise TagsError(f"{path}: {'no whole' if layout.readable else 'no'} FITS file: {layout.fault}")
    if len(tagged) > 1:
        raise TagsError(f"{path}: has {len(tagged)} extensions {EXTNAME}, HDUs {_numbers(tagged)}; one is expected")
    return tagged[0] if tagged else None


def _tagged(layout: Layout) -> list[Hdu]:
    """The extensions of this name."""
    return [hdu for hdu in layout.readable if hdu.kind and hdu.name == EXTNAME]


def _tail(layout: Layout) -> int | None:
    """The byte where what is no HDU begins, behind the last one of a sound file; None where nothing stands there."""
    return layout.end if layout.fault and layout.fault.kind is FaultKind.TRAILING else None


def _is_tags(hdu: Hdu) -> bool:
    """Whether an HDU is VO-TAGS: an ASCII table of this name, of one cell at most."""
    rows, fields = cards.find(hdu.header, "NAXIS2"), cards.find(hdu.header, "TFIELDS")
    return hdu.kind == "TABLE" and hdu.name == EXTNAME and rows in (0, 1) and fields in (0, 1, None)


def _steps(stream: IO[bytes], hdu: Hdu) -> tuple[Step, ...]:
    """The step list in the cell; empty for an empty cell."""
    cell = _cell(stream, hdu)
    return parse(cell) if cell else ()


def _cell(stream: IO[bytes], hdu: Hdu) -> bytes:
    """The text of the cell without blanks around it. Raises TagsError for a table that has not one cell."""
    header = hdu.cards
    width, rows, first, form = (header.get(keyword) for keyword in ("NAXIS1", "NAXIS2", "TBCOL1", "TFORM1"))
    if hdu.kind != "TABLE":
        raise TagsError(f"is a {hdu.kind}; an ASCII table (XTENSION='TABLE') of one row and one column is expected")
    if not isinstance(width, int) or rows not in (0, 1) or header.get("TFIELDS") not in (0, 1):
        raise TagsError(f"has {rows} rows and {header.get('TFIELDS')} columns; one of each is expected")
    if width > MAX_BYTES:
        raise TagsError(f"has a row of {width} bytes; at most {MAX_BYTES} are read")
    if not isinstance(form, str) or not (form[:1] in ("A", "a") and form[1:].strip().isdigit()):
        raise TagsError(f"has TFORM1 {form!r}; A<n> is expected")
    start = first - 1 if isinstance(first, int) and first > 0 else 0
    stream.seek(hdu.data)
    return stream.read(width if rows else 0)[start : start + int(form[1:])].strip(b" \0")


def _troubles(stream: IO[bytes], hdu: Hdu) -> list[str]:
    """All that is wrong with one VO-TAGS extension, in words."""
    found = []
    try:
        if not _steps(stream, hdu):
            found.append("the step list is empty")
        if (width := len(_cell(stream, hdu))) > CFITSIO_WIDTH:
            found.append(f"the step list has {width} characters; programs on cfitsio read at most {CFITSIO_WIDTH}")
    except (StepsError, TagsError) as error:
        found.append(str(error))
    header = hdu.cards
    if header.get("TTYPE1") != COLUMN:
        found.append(f"TTYPE1 is {header.get('TTYPE1')!r}; {COLUMN!r} is expected")
    if b"CONTINUE  " in hdu.header and header.get("LONGSTRN") is None:
        found.append("long strings are used without LONGSTRN")
    known = {column.keyword: column for column in ALL_COLUMNS}
    row = obscore.from_tags(header)
    for keyword, value in header.items():
        column = known.get(keyword)
        if column is None and keyword not in _OWN_KEYWORDS:
            found.append(f"{keyword} is no keyword of {EXTNAME}")
        elif column is not None and column.name not in row:
            found.append(f"{keyword} ({column.name}) is {value!r}; a value that is not known is left out")
        elif column is not None and _differs(value, row[column.name]):
            found.append(f"{keyword} ({column.name}) is {value!r}; {row[column.name]!r} is expected")
    return [*found, *obscore.problems(row)]


def _differs(written: cards.Value, understood: obscore.Value) -> bool:
    """Whether a value had to be corrected to be read (a number written as text, a word in another case)."""
    return isinstance(written, str) != isinstance(understood, str) or written != understood


def _numbers(found: Iterable[Hdu]) -> str:
    return " and ".join(str(hdu.index) for hdu in found)
