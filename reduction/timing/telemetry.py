"""Frames that were lost on the way down: time of which the list itself says that nothing was received."""

from __future__ import annotations

import re

import numpy as np

from provenance.fits import bintable
from reduction.events.eventlist import EventList
from reduction.events.fitsfile import reduction_errors
from reduction.events.goodtime import GTI
from reduction.missions import number


def lost_frames(events: EventList) -> dict[int, GTI]:
    """Return the time, by CCD number, in which FRACEXP of the tables EXPOSUnn is 0.

    Parameters
    ----------
    events
        The open event list; only XMM-Newton has such tables.

    Returns
    -------
    dict
        CCD number -> intervals in seconds of the list's clock; CCDs without such frames are left out.

    Raises
    ------
    ReductionError
        A table contradicts itself.
    """
    found = {}
    for hdu in events.hdus:
        match = re.fullmatch(r"EXPOSU(\d\d)", hdu.name) if hdu.is_table else None
        if not match:
            continue
        with reduction_errors("eventlist"), events.path.open("rb") as stream:
            table = bintable.table(hdu, events.name)
            rows = table.read(stream)
        columns = {name: column.floats(rows) for name, column in table.columns.items() if column.is_number}
        if not {"TIME", "FRACEXP"} <= set(columns) or len(rows) < 2:
            continue
        time = columns["TIME"]
        width = columns.get("TIMEDEL")
        if width is None:
            steps = np.diff(time)
            width = np.append(steps, steps[-1])
        begin = time - (number(hdu.cards, "TIMEPIXR") or 0.0) * width
        lost = (columns["FRACEXP"] == 0) & np.isfinite(begin) & (width > 0)
        if lost.any():
            found[int(match[1])] = GTI.of(begin[lost], begin[lost] + width[lost], "eventlist")
    return found
