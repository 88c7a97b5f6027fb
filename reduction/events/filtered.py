"""Writes the selected rows of an event list as an event list: raw bytes as they come, then good times and region."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from provenance.fits.atomic import replacing
from provenance.fits.cards import BLOCK, card, offset
from provenance.fits.columns import Rows
from reduction.events import selected_headers
from reduction.events.dss import DataSubspace
from reduction.events.eventlist import EventList
from reduction.events.goodtime import GTI


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
        file.write(selected_headers.primary(events))
        header = selected_headers.event_table(events, subspace, gtis)
        place = file.tell() + (offset(header, "NAXIS2") or 0)  # the reader has found it
        file.write(header)
        rows_written = 0

        def write(rows: Rows) -> None:
            nonlocal rows_written
            rows_written += rows.size
            file.write(rows.tobytes())

        yield write
        file.write(b"\0" * (-rows_written * events.dtype.itemsize % BLOCK))
        for table in subspace.tables:
            file.write(table)
        file.seek(place)
        file.write(card("NAXIS2", rows_written, "number of rows in table").encode("ascii"))
