"""Light curves for flares: counted from an event list, or read from a file (OGIP/93-003)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from provenance.fits import headers
from provenance.fits.columns import Rows
from provenance.fits.hdus import Hdu
from provenance.fits.timing import SECONDS, unit_of
from reduction.errors import ReductionError
from reduction.events import dss, gti
from reduction.events.clock import Clock
from reduction.events.cuts import filter_events, require_in_time
from reduction.events.eventlist import EventList
from reduction.events.fitsfile import FitsFile, reduction_errors, scan
from reduction.events.fitswrite import Cards
from reduction.events.goodtime import GTI, of_ccd, span, union
from reduction.events.selection import Region, Selection
from reduction.missions import number
from reduction.timing.binning import Floats, constant_edges, counts_in, exposed_s, good_time_before
from reduction.timing.flares import FlareCurve

PARAMETER = "lightcurve"

_SAID = ("BACKAPP", "DEADAPP", "VIGNAPP", "GAPAPP", "SLCTEXPR")
"""Keywords of a light curve that hold for the one written of it."""


@dataclass(frozen=True)
class FlareData:
    """A light curve, the good time in which it was taken, and the keywords of its observation.

    `cards` say what was selected and what was corrected.
    """

    curve: FlareCurve
    listed: GTI
    keywords: Mapping[str, Any]
    cards: Cards
    notes: tuple[str, ...] = ()


def edges_of(selection: Selection, bin_s: float) -> Floats:
    """Return the edges of bins over the good time of a selection. Raise ReductionError if they make no sense."""
    whole = span(selection.gtis)
    if whole is None:
        raise ReductionError("the event list has no good time", "eventlist")
    return constant_edges(*whole, bin_s)


def counted(events: EventList, selection: Selection, region: Region | None, edges_s: Floats) -> Floats:
    """Count the events of a selection in bins.

    Parameters
    ----------
    events
        The open event list.
    selection
        What an event must be.
    region
        Where it must be; None for everywhere.
    edges_s
        Edges of the bins in seconds, shape (bins + 1,).

    Returns
    -------
    Floats
        Counts, shape (bins,).

    Raises
    ------
    ReductionError
        The list has no sky columns for a region, or its good times leave none of its events.
    """
    counts = np.zeros(len(edges_s) - 1)

    def count(rows: Rows) -> None:
        nonlocal counts
        counts = counts + counts_in(events.time.floats(rows), edges_s)

    require_in_time(events, selection, filter_events(events, selection, region, count))
    return counts


def from_events(events: EventList, selection: Selection, edges_s: Floats) -> FlareData:
    """Make the light curve of a selection of all CCDs.

    Parameters
    ----------
    events
        The open event list.
    selection
        What an event must be.
    edges_s
        Edges of the bins in seconds, shape (bins + 1,).

    Returns
    -------
    FlareData
        The exposure of a bin is the mean of those of the CCDs that have good time, each with its own.
    """
    ccds: list[int | None] = [ccd for ccd, good in selection.gtis.items() if ccd is not None and good.total > 0]
    ccds = ccds or [None]
    exposed, live = np.zeros(len(edges_s) - 1), 0.0
    for ccd in ccds:
        good = of_ccd(selection.gtis, ccd)
        exposed += exposed_s(edges_s, good) / len(ccds) if good else 0.0
        live += events.mission.live_fraction(events.keywords, ccd)[0] / len(ccds)
    curve = FlareCurve.of_counts(edges_s, counted(events, selection, None, edges_s), exposed, live)
    subspace = dss.describe(events, selection, None)
    cards: Cards = [("BACKAPP", False, "background subtracted"), ("DEADAPP", True, "dead time corrected"),
                    ("VIGNAPP", False, "vignetting corrected"), ("GAPAPP", True, "gaps of the good times corrected"),
                    ("DEADC", live, "live part of the good time"), *subspace.cards,
                    ("SLCTEXPR", subspace.expression, "")]  # fmt: skip
    return FlareData(curve, union(selection.gtis.values()), events.keywords, cards)


def read(path: Path) -> FlareData:
    """Read a light curve from a file, with the good times beside it.

    Parameters
    ----------
    path
        FITS file with a table of columns TIME and RATE, inflated.

    Returns
    -------
    FlareData
        With the rates of the file, so that a threshold means what it means in a plot of it: those of a table with
        FRACEXP are per second of exposed time, others per second of the bin.

    Raises
    ------
    ReductionError
        The file has no such table, or the width of its bins is not known.
    """
    file = scan(path, PARAMETER)
    hdu = _table(file)
    rows, columns = file.read(hdu)
    with reduction_errors(PARAMETER):
        clock = Clock.of(hdu.cards, file.hdus[0].cards)
    header = headers.Cards(hdu.cards)
    second = SECONDS.get(unit_of(columns["TIME"].unit or header.text("TIMEUNIT")), 0.0)
    widths = columns["TIMEDEL"].floats(rows) if "TIMEDEL" in columns else number(hdu.cards, "TIMEDEL")
    if widths is None or not second or not np.all(np.asarray(widths) > 0):
        raise ReductionError(f"table {hdu.name} of {file.name} has no TIMEDEL above 0, or times in another unit than "
                             "s, min, h, d: the width of its bins is not known", PARAMETER)  # fmt: skip
    width = np.broadcast_to(np.asarray(widths) * second, len(rows)).astype(np.float64)
    pixel = number(hdu.cards, "TIMEPIXR")
    start = columns["TIME"].floats(rows) * second - width * (0.5 if pixel is None else pixel)
    order = np.argsort(start, kind="stable")
    order = order[np.isfinite(start[order])]
    values = {name: columns[name].floats(rows)[order] for name in ("RATE", "ERROR", "FRACEXP") if name in columns}
    tables = gti.read_tables(file, clock, hdu.cards, file.hdus[0].cards)
    curve = _curve(start[order], _stops(start[order], width[order]), values, tables)
    listed = union(tables.values()) if tables else GTI.of(curve.start_s, curve.stop_s, PARAMETER)
    notes = [] if tables else [f"{file.name} has no good time intervals: its bins are taken as good"]
    cards: Cards = [(key, hdu.cards.get(key), "") for key in _SAID]
    return FlareData(curve, listed, {**file.hdus[0].cards, **hdu.cards}, cards, (*tables.notes, *notes))


def _stops(start: Floats, width: Floats) -> Floats:
    """Return where bins end: where the next one starts, but for the rounding of the times, if they adjoin."""
    stop = start + width
    adjoin = np.abs(start[1:] - stop[:-1]) < 1e-4 * width[:-1]
    stop[:-1][adjoin] = start[1:][adjoin]
    return np.asarray(stop, dtype=np.float64)


def _curve(start: Floats, stop: Floats, values: Mapping[str, Floats], tables: gti.GTITables) -> FlareCurve:
    """Return the curve of the rates of a table, with the exposed time that it says, or that good times say."""
    width, rate = stop - start, values["RATE"]
    error = values.get("ERROR", np.full(rate.shape, np.nan))
    if "FRACEXP" in values:
        exposed = np.clip(np.nan_to_num(values["FRACEXP"]), 0.0, 1.0) * width
        return FlareCurve(start, stop, np.nan_to_num(rate) * exposed, exposed, rate, error)
    ccds = [of_ccd(tables, ccd) for ccd in tables if ccd is not None] or [tables.get(None)]
    # from start to stop of each bin: those of a file need not adjoin
    parts = [good_time_before(stop, good) - good_time_before(start, good) for good in ccds if good]
    exposed = np.clip(np.mean(parts, axis=0), 0.0, width) if parts else width
    return FlareCurve(start, stop, np.nan_to_num(rate) * width, exposed, rate, error, corrected=False)


def _table(file: FitsFile) -> Hdu:
    """Return the table of a light curve. Raise ReductionError if there is none."""
    for hdu in file.hdus:
        names = {str(value).strip().upper() for key, value in hdu.cards.items() if key.startswith("TTYPE")}
        if hdu.is_table and {"TIME", "RATE"} <= names:
            return hdu
    raise ReductionError(f"{file.name} has no table with columns TIME and RATE, so it is no light curve; it has "
                         f"{file.names[:200]}", PARAMETER)  # fmt: skip
