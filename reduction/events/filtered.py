"""Writes the selected rows of an event list as an event list: raw bytes as they come, then good times and region."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from provenance.fits.atomic import replacing
from provenance.fits.cards import BLOCK, SIZE, card
from provenance.fits.columns import Rows
from reduction.events import fitswrite
from reduction.events.dss import DataSubspace
from reduction.events.eventlist import EventList
from reduction.events.fitswrite import LONGSTRN, PRIMARY, Cards
from reduction.events.goodtime import GTI, of_ccd
from reduction.missions import CREATOR, number

_RENEWED = re.compile(r"CHECKSUM|DATASUM|\d*DS(TYP|VAL|FORM|UNIT?|REF)\d+|NEVENTS|SLCTEXPR|LONGSTRN")
"""Keywords of the event table that its selection makes wrong, or that are written anew."""

_PRIMARY_RENEWED = re.compile(r"SIMPLE|BITPIX|NAXIS\d*|EXTEND|CHECKSUM|DATASUM|GROUPS|PCOUNT|GCOUNT|LONGSTRN")


@contextmanager
def writing_events(
    path: Path, events: EventList, subspace: DataSubspace, gtis: Mapping[int | None, GTI]
) -> Iterator[Callable[[Rows], None]]:
    """Write a filtered event list, whole or not at all, for the length of a ``with`` block.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    events
        The event list that the rows come from: its headers are carried over.
    subspace
        Which events are selected, from `dss.describe`.
    gtis
        Good times of the selection by CCD: on times and live times in the header follow them.

    Yields
    ------
    callable
        Takes selected rows, in the type of the event list, to write.
    """
    with replacing(path) as file:
        file.write(_primary(events))
        start = file.tell()
        file.write(_events_header(events, subspace, gtis))
        rows_written = 0

        def write(rows: Rows) -> None:
            nonlocal rows_written
            rows_written += rows.size
            file.write(rows.tobytes())

        yield write
        file.write(b"\0" * (-rows_written * events.dtype.itemsize % BLOCK))
        for table in subspace.tables:
            file.write(table)
        _patch_rows(file, start, rows_written)


def _primary(events: EventList) -> bytes:
    """Primary header of the event list, without sums of bytes that change, without the data of an image."""
    carried = fitswrite.without(fitswrite.raw_cards(events.hdus[0].header), _PRIMARY_RENEWED)
    first = fitswrite.texts([*PRIMARY, *LONGSTRN])
    history = f"HISTORY Events selected by {CREATOR}".ljust(SIZE)
    return fitswrite.from_texts([*first, *(text for _, text in carried), history])


def _events_header(events: EventList, subspace: DataSubspace, gtis: Mapping[int | None, GTI]) -> bytes:
    """Header of the event table with the new data subspace; the rows in NAXIS2 are put in when they are known."""
    times = _new_times(events, gtis)
    carried = fitswrite.without(fitswrite.raw_cards(events.events.header), _RENEWED)
    texts = [text for _, text in fitswrite.replaced(carried, times.get)]
    skip = {"MTYPE1", "MFORM1"} if "MTYPE1" in events.header else set()
    added: Cards = [*LONGSTRN, *(each for each in subspace.cards if each[0] not in skip),
                    ("SLCTEXPR", subspace.expression, "")]  # fmt: skip
    return fitswrite.from_texts([*texts, *fitswrite.texts(added)])


def _new_times(events: EventList, gtis: Mapping[int | None, GTI]) -> dict[str, float]:
    """On times and live times in the header, scaled by the part of the good time that is left."""
    before = sum(good.total for good in events.gtis.values())
    after = sum(good.total for good in gtis.values())
    if before <= 0 or after >= before:
        return {}
    found = {}
    for key in events.header:
        match = re.fullmatch(r"(ONTIME|LIVETI|LIVTIME|EXPOSUR|LIVETIME|EXPOSURE)(\d*)", key)
        seconds = number(events.header, key)
        if not match or seconds is None:
            continue
        part = after / before
        if match[2]:
            old, new = of_ccd(events.gtis, int(match[2])), of_ccd(gtis, int(match[2]))
            part = new.total / old.total if old and new and old.total > 0 else 0.0
        found[key] = seconds * part
    return found


def _patch_rows(file: BinaryIO, start: int, rows: int) -> None:
    """Put the number of rows into the NAXIS2 card of the header that begins at a byte of the file."""
    file.seek(start)
    head = file.read(BLOCK)
    at = next(at for at in range(0, BLOCK, SIZE) if head[at : at + 9] == b"NAXIS2  =")
    file.seek(start + at)
    file.write(card("NAXIS2", rows, "number of rows in table").encode("ascii"))
