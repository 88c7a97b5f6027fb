"""Files of a flare filter: the light curve with its cut (OGIP/93-003), and the good time as a GTI file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from provenance.fits import timing
from provenance.fits.atomic import write_bytes
from reduction.events import fitswrite
from reduction.events.dss import NamedGTI, gti_table
from reduction.events.fitswrite import LONGSTRN, PRIMARY, Cards, TableColumn
from reduction.events.goodtime import GTI
from reduction.missions import CREATOR
from reduction.timing.flarecurve import FlareData
from reduction.timing.flares import FlareCut

THRESHOLD = "FLCUTTHR"
"""Keyword of the threshold of a light curve, as the SAS has it."""

GOOD_TIME = "FLGOODT"
"""Keyword of the good time that the threshold leaves; ours, not the SAS's."""

_OBSERVATION = ("TELESCOP", "INSTRUME", "FILTER", "OBS_ID", "EXP_ID", "EXPIDSTR", "DATAMODE", "SUBMODE", "OBJECT",
                "RA_OBJ", "DEC_OBJ", "RA_PNT", "DEC_PNT", "RADECSYS", "RADESYS", "EQUINOX", "DATE-OBS",
                "DATE-END")  # fmt: skip
_CLOCK = (*timing.KEYWORDS, "TASSIGN", "CLOCKAPP")


def write_curve(path: Path, data: FlareData, cut: FlareCut, good: GTI) -> None:
    """Write the light curve of a flare filter, whole or not at all.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    data
        The light curve.
    cut
        Its cut.
    good
        The good time that is left.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    curve = data.curve
    width = curve.stop_s - curve.start_s
    mean_width = float(f"{(curve.stop_s[-1] - curve.start_s[0]) / len(width):.10g}")  # without the rounding of times
    columns = [
        TableColumn("TIME", (curve.start_s + curve.stop_s) / 2, "s", "middle of the bin"),
        TableColumn("RATE", curve.rate, "count/s", "" if curve.corrected else "per second of the bin"),
        TableColumn("ERROR", curve.error, "count/s", "1 sigma"),
        TableColumn("COUNTS", curve.counts, "count", "counts of the bin"),
        TableColumn("GOOD", cut.kept.astype(np.int16), "", f"1: RATE is up to {THRESHOLD}"),
    ]
    if curve.corrected:
        columns.insert(3, TableColumn("FRACEXP", curve.fraction, "", "part of the bin that is exposed"))
    has_widths = bool(np.ptp(width) > 1e-6)
    if has_widths:
        columns.insert(1, TableColumn("TIMEDEL", width, "s", "width of the bin"))
    cards: Cards = [
        ("HDUCLASS", "OGIP", "format conforms to OGIP standard"), ("HDUCLAS1", "LIGHTCURVE", "file has a light curve"),
        ("HDUCLAS2", "TOTAL", "background is not subtracted"), ("HDUCLAS3", "RATE", "rates, not counts"),
        ("TIMEDEL", None if has_widths else mean_width, "[s] width of a bin"),
        ("TIMEPIXR", 0.5, "TIME is the middle of the bin"), ("TIMEUNIT", "s", "unit of times"),
        ("TSTART", float(curve.start_s[0]), "[s] start of the first bin"),
        ("TSTOP", float(curve.stop_s[-1]), "[s] end of the last bin"),
        ("EXPOSURE", float(curve.exposed_s.sum()) * curve.live_fraction, "[s] live time"),
        (THRESHOLD, cut.threshold, "[count/s] highest rate of good time"),
        (GOOD_TIME, good.total, "[s] good time that is left"),
        ("FLORIGIN", cut.origin, "where the threshold is from"),
    ]  # fmt: skip
    tables = [fitswrite.table("RATE", columns, [*LONGSTRN, *cards, *_carried(data.keywords), *data.cards]),
              gti_table(NamedGTI("GTI", None, good), data.keywords)]  # fmt: skip
    write_bytes(path, b"".join([_primary(data.keywords), *tables]))


def write_gti(path: Path, data: FlareData, good: GTI) -> None:
    """Write the good time as a GTI file, whole or not at all.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    data
        The light curve that it is from.
    good
        The good time.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    write_bytes(path, _primary(data.keywords) + gti_table(NamedGTI("STDGTI", None, good), data.keywords))


def _primary(keywords: Mapping[str, Any]) -> bytes:
    creator: Cards = [("CREATOR", CREATOR, "name of code which created this file")]
    return fitswrite.header([*PRIMARY, *creator, *LONGSTRN, *_carried(keywords)])


def _carried(keywords: Mapping[str, Any]) -> Cards:
    """Return the keywords of the observation and of its clock."""
    return [(key, keywords.get(key), "") for key in (*_OBSERVATION, *_CLOCK)]
