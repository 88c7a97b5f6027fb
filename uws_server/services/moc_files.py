"""Reads a MOC that somebody sends, FITS, JSON or ASCII, and checks each cell of it: mocpy is given sound ranges only.

IVOA Recommendation MOC 2.0 (2022-07-27), sections 4.2 and 4.3; NUNIQ as in MOC 1.1. Imports astropy, numpy and mocpy.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from mocpy import MOC

from uws_server.errors import BadRequest

MAX_BYTES: Final = 32_000_000
"""Largest MOC that is read."""

_DEEPEST: Final = 29
_WORDS: Final = re.compile(r"(\d{1,2})/|(\d{1,20})(?:-(\d{1,20}))?|[,\s]+|(.)", re.DOTALL | re.ASCII)
_TEXT: Final = re.compile(r"\s*\d{1,2}/[\d/,\-\s]*\Z", re.ASCII)
_JSON: Final = re.compile(r"\s*\{\s*(?:\"\d{1,2}\"\s*:\s*\[|\})", re.ASCII)

Ranges = npt.NDArray[np.uint64]
"""Ranges of cells of order 29: the first, and the one behind the last, shape (n, 2)."""


def is_moc(text: str) -> bool:
    """Check whether text is meant as a MOC, in ASCII or JSON, and not as a region."""
    return bool(_TEXT.match(text) or _JSON.match(text))


def read_moc(content: bytes, name: str = "REGION") -> MOC:
    """Return the MOC that a file holds.

    Parameters
    ----------
    content
        What is in the file; how it begins tells the format.
    name
        The parameter that is named in the error.

    Raises
    ------
    BadRequest
        It is no MOC of the sky in ICRS, a cell of it does not exist, or it has none.
    """
    if len(content) > MAX_BYTES:
        raise BadRequest(f"{name}: a MOC of more than {MAX_BYTES:,} bytes came: degrade it to a lower order")
    try:
        order, ranges = _fits(content) if content.startswith(b"SIMPLE") else _text(content)
    except ValueError as error:
        raise BadRequest(f"{name}: this is no MOC of the sky: {error}") from error
    if not len(ranges):
        raise BadRequest(f"{name}: this MOC has no cells")
    return MOC.from_depth29_ranges(order, _merged(ranges))


def _text(content: bytes) -> tuple[int, Ranges]:
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError as error:
        raise ValueError("it is neither FITS nor text") from error
    if text.lstrip().startswith("{"):
        return _of_cells(_json(text))
    return _of_cells(_ascii(text))


def _json(text: str) -> Iterator[tuple[int, int, int]]:
    """Yield order, first and last cell of each entry of JSON."""
    try:
        orders = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is no JSON") from error
    for order, cells in orders.items():
        if not re.fullmatch(r"\d{1,2}", order, re.ASCII) or not isinstance(cells, list):
            raise ValueError(f"{order[:20]!r} is no order with its list of cells")
        for cell in cells:
            if type(cell) is not int:
                raise ValueError(f"{str(cell)[:20]} is no cell of order {order}")
            yield int(order), cell, cell
        yield int(order), 0, -1


def _ascii(text: str) -> Iterator[tuple[int, int, int]]:
    """Yield order, first and last cell of each entry of text such as 3/5 7-9 4/; an order alone has none."""
    order = None
    for match in _WORDS.finditer(text):
        deeper, first, last, wrong = match.groups()
        if wrong or (first and order is None):
            at = text[match.start() : match.start() + 20].split("\n")[0]
            raise ValueError(f"{at!r} is not as in 3/5 7-9 4/81")
        if deeper:
            order = int(deeper)
            yield order, 0, -1
        elif first and order is not None:
            yield order, int(first), int(last or first)


def _of_cells(cells: Iterable[tuple[int, int, int]]) -> tuple[int, Ranges]:
    """Return the highest order of cells, and their ranges. Raise ValueError for one that does not exist."""
    highest, ranges = 0, []
    for order, first, last in cells:
        if order > _DEEPEST:
            raise ValueError(f"order {order} came; 0 to {_DEEPEST} are allowed")
        highest = max(highest, order)
        if (first, last) == (0, -1):
            continue
        if not 0 <= first <= last < 12 * 4**order:
            raise ValueError(f"order {order} has no cell {max(first, last)}: its cells are 0 to {12 * 4**order - 1}")
        shift = 2 * (_DEEPEST - order)
        ranges.append((first << shift, (last + 1) << shift))
    return highest, np.array(ranges, dtype=np.uint64).reshape(-1, 2)


def _fits(content: bytes) -> tuple[int, Ranges]:
    from astropy.io import fits

    try:
        with fits.open(io.BytesIO(content)) as hdus:
            table = next((hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)), None)
            if table is None:
                raise ValueError("this FITS file has no table")
            header, cells = table.header, np.asarray(table.data.field(0)).astype(np.int64).ravel()
    except ValueError:
        raise
    except Exception as error:
        raise ValueError("this FITS file cannot be read, or is not whole") from error
    if str(header.get("MOCDIM", "SPACE")).strip() != "SPACE":
        raise ValueError(f"its MOCDIM is {header['MOCDIM']}; SPACE is read")
    if str(header.get("COORDSYS", "C")).strip() != "C":
        raise ValueError(f"its COORDSYS is {header['COORDSYS']}; C, equatorial, is read")
    told = header.get("MOCORD_S", header.get("MOCORDER"))
    order = _DEEPEST if told is None else told
    if type(order) is not int or not 0 <= order <= _DEEPEST:
        raise ValueError(f"its order is {str(order)[:20]}; 0 to {_DEEPEST} are allowed")
    ordering = str(header.get("ORDERING", "")).strip()
    if ordering == "RANGE":
        return order, _of_ranges(cells)
    if ordering in ("NUNIQ", "UNIQ"):
        deepest, found = _of_nuniq(cells)
        return deepest if told is None else max(deepest, order), found  # four cells of the order may be one above it
    raise ValueError(f"its ORDERING is {ordering[:20]!r}; RANGE and NUNIQ are read")


def _of_ranges(cells: npt.NDArray[np.int64]) -> Ranges:
    if len(cells) % 2:
        raise ValueError("a range has no end")
    ranges = cells.reshape(-1, 2)
    wrong = (ranges[:, 0] < 0) | (ranges[:, 0] >= ranges[:, 1]) | (ranges[:, 1] > 12 * 4**_DEEPEST)
    if wrong.any():
        first, behind = ranges[np.argmax(wrong)].tolist()
        raise ValueError(f"{first} to {behind} is no range of cells of order {_DEEPEST}")
    return ranges.astype(np.uint64)


def _of_nuniq(cells: npt.NDArray[np.int64]) -> tuple[int, Ranges]:
    """Return the highest order and the ranges of cells that are numbered as 4 * 4**order + cell."""
    found = cells[cells != 0]  # a table may be filled up with zeros
    if (found < 4).any():
        raise ValueError(f"{int(found.min())} is no NUNIQ number of a cell: the least is 4")
    powers = 4 ** np.arange(1, _DEEPEST + 3, dtype=np.uint64)
    orders = np.searchsorted(powers, found.astype(np.uint64), side="right") - 1
    begins = powers[np.minimum(orders, _DEEPEST)].astype(np.int64)
    wrong = (orders > _DEEPEST) | (found - begins >= 3 * begins)
    if wrong.any():
        raise ValueError(f"{int(found[np.argmax(wrong)])} is no NUNIQ number of a cell of order 0 to {_DEEPEST}")
    shift = (2 * (_DEEPEST - orders)).astype(np.uint64)
    first = (found - begins).astype(np.uint64)
    ranges = np.stack((first << shift, (first + np.uint64(1)) << shift), axis=1)
    return int(orders.max()) if len(orders) else 0, ranges


def _merged(ranges: Ranges) -> Ranges:
    """Return ranges in order, those that overlap or touch joined."""
    ranges = ranges[np.argsort(ranges[:, 0], kind="stable")]
    reach = np.maximum.accumulate(ranges[:, 1])
    begins = np.flatnonzero(np.r_[True, ranges[1:, 0] > reach[:-1]])
    ends = np.r_[begins[1:], len(ranges)] - 1
    return np.stack((ranges[begins, 0], reach[ends]), axis=1)
