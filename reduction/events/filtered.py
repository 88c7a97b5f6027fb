"""Writes the selected rows of an event list as an event list: raw bytes as they come, then good times and region."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from provenance.fits import gtitables
from provenance.fits.atomic import replacing
from provenance.fits.cards import BLOCK, card, offset
from provenance.fits.columns import Rows
from provenance.fits.hdus import TAGS_EXTNAME, Hdu
from reduction.events import selected_headers
from reduction.events.dss import DataSubspace
from reduction.events.eventlist import EventList
from reduction.events.goodtime import GTI

_PIECE: Final = 1024**2


@contextmanager
def writing_events(
    path: Path, events: EventList, subspace: DataSubspace, gtis: Mapping[int | None, GTI], others: Iterable[Hdu] = ()
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
    others
        HDUs of the event list that are carried over as they are, such as those of `other_hdus`.

    Yields
    ------
    callable
        Takes selected rows, in the type of the event list, to write.
    """
    with replacing(path) as file:
        file.write(selected_headers.primary(events))
        header = selected_headers.event_table(events, subspace, gtis)
        place = file.tell() + (offset(header, "NAXIS2") or 0)  # the reader has found it
        file.write(header)
        rows_written = 0

        def write(rows: Rows) -> None:
            nonlocal rows_written
            rows_written += rows.size
            file.write(rows.view(np.uint8).data)

        yield write
        file.write(b"\0" * (-rows_written * events.dtype.itemsize % BLOCK))
        for table in subspace.tables:
            file.write(table)
        _copy(events.path, others, file)
        file.seek(place)
        file.write(card("NAXIS2", rows_written, "number of rows in table").encode("ascii"))


def other_hdus(events: EventList, subspace: DataSubspace) -> list[Hdu]:
    """Return what of an event list a selection leaves as it is: bad pixels, exposures, offsets and the like.

    Parameters
    ----------
    events
        The event list.
    subspace
        What the selection writes anew; good times are always, and tags belong to the file that they are in.

    Returns
    -------
    list
        The HDUs, in the order of the file.
    """
    anew = {hdu.index for hdu in (*gtitables.gti_tables(events.hdus), *subspace.earlier, events.hdus[0], events.events)}
    return [hdu for hdu in events.hdus if hdu.index not in anew and hdu.name != TAGS_EXTNAME]


def _copy(path: Path, hdus: Iterable[Hdu], file: BinaryIO) -> None:
    """Write HDUs as they lie in a file, a piece at a time; the last block is filled up where the file ends early."""
    with path.open("rb") as source:
        for hdu in hdus:
            source.seek(hdu.start)
            left = hdu.end - hdu.start
            while left > 0 and (data := source.read(min(left, _PIECE))):
                file.write(data)
                left -= len(data)
            file.write(hdu.filling * left)
