"""Light curves, hardness ratios, profiles and periodograms as FITS files (OGIP/93-003, table RATE)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from provenance.fits import timing
from provenance.fits.atomic import write_bytes
from reduction.events import fitswrite
from reduction.events.dss import DataSubspace
from reduction.events.eventlist import EventList
from reduction.events.fitswrite import LONGSTRN, Cards, TableColumn
from reduction.spectra.ogip import primary_cards
from reduction.timing.exposure import CAUSES, Gap
from reduction.timing.hardness import Hardness
from reduction.timing.lightcurve import LightCurve
from reduction.timing.periods import Periodogram, Profile

_OBSERVATION = ("TELESCOP", "INSTRUME", "FILTER", "OBS_ID", "EXP_ID", "OBJECT", "RA_OBJ", "DEC_OBJ", "RADECSYS",
                "EQUINOX", "DATE-OBS", "DATE-END")  # fmt: skip
_CLOCK = (*timing.KEYWORDS, "TASSIGN", "CLOCKAPP", "PLEPHEM")
_OF_EVENTS = re.compile(r"TIMEDEL[A-Z]?|TIMEPIXR|TIERRELA|TIERABSO")
"""Keywords of the times of single events, which do not hold for bins."""


@dataclass(frozen=True)
class CurveFile:
    """What the file of a light curve says beside its bins.

    `exposure_s` is the live time of the region, `backscal` its good area as in its spectrum, `gaps`
    are the times in which it was not exposed.
    """

    events: EventList
    subspace: DataSubspace
    exposure_s: float
    backscal: float
    gaps: tuple[Gap, ...] = ()


def write_light_curve(path: Path, curve: LightCurve, about: CurveFile) -> None:
    """Write a light curve as table RATE, whole or not at all.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    curve
        The light curve. Bins of one width have it as keyword TIMEDEL, others as a column.
    about
        The observation and the selection.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    lower, upper = curve.errors
    columns = [
        *_time_columns(curve),
        TableColumn("RATE", curve.rate, "count/s", "counts per second of live time"),
        TableColumn("ERROR", (lower + upper) / 2, "count/s", "mean of ERRORLO and ERRORUP"),
        TableColumn("ERRORLO", lower, "count/s", "1 sigma downwards (Gehrels 1986)"),
        TableColumn("ERRORUP", upper, "count/s", "1 sigma upwards (Gehrels 1986)"),
        TableColumn("FRACEXP", curve.exposed, "", "part of the bin exposed; RATE is corrected"),
        TableColumn("COUNTS", curve.counts.astype(np.int32), "count", "counts of the source region"),
    ]
    if curve.background is not None:
        counts = curve.background.counts.astype(np.int32)
        columns += [TableColumn("BCOUNTS", counts, "count", "counts of the background"), *_background_columns(curve)]
    columns.append(_gap_column(curve))
    cards = [*_class_cards(curve, "NET" if curve.background else "TOTAL"), *_exposure_cards(curve, about)]
    _write(path, about, "RATE", columns, cards)


def write_hardness(
    path: Path, hardness: Hardness, soft_kev: tuple[float, float], hard_kev: tuple[float, float], about: CurveFile
) -> None:
    """Write hardness ratios as table RATE, whole or not at all.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    hardness
        The light curves of both bands.
    soft_kev
        Lowest and highest energy of the soft band.
    hard_kev
        The same of the hard band.
    about
        The observation and the selection.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    columns = [*_time_columns(hardness.soft), TableColumn("HR", hardness.ratio, "", "(H - S) / (H + S)"),
               TableColumn("HR_ERR", hardness.error, "", "error of HR")]  # fmt: skip
    for name, curve in (("S", hardness.soft), ("H", hardness.hard)):
        columns += [TableColumn(f"RATE_{name}", curve.rate, "count/s", ""),
                    TableColumn(f"ERROR_{name}", np.mean(curve.errors, axis=0), "count/s", ""),
                    TableColumn(f"COUNTS_{name}", curve.counts.astype(np.int32), "count", "")]  # fmt: skip
    columns += [
        TableColumn("FRACEXP", hardness.soft.exposed, "", "part of the bin exposed"),
        _gap_column(hardness.soft),
    ]
    cards: Cards = [*_class_cards(hardness.soft, "HARDNESS"), ("S_MIN", soft_kev[0], "[keV] soft band, lower end"),
                    ("S_MAX", soft_kev[1], "[keV] soft band, upper end"),
                    ("H_MIN", hard_kev[0], "[keV] hard band, lower end"),
                    ("H_MAX", hard_kev[1], "[keV] hard band, upper end"),
                    *_exposure_cards(hardness.soft, about)]  # fmt: skip
    _write(path, about, "RATE", columns, cards)


def write_profile(path: Path, profile: Profile, about: CurveFile) -> None:
    """Write a folded profile as table PROFILE, whole or not at all.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    profile
        The profile, from `periods.fold`.
    about
        The observation and the selection.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    curve = profile.curve
    lower, upper = curve.errors
    columns = [
        TableColumn("PHASE", curve.middle_s, "", "middle of the bin"),
        TableColumn("RATE", curve.rate, "count/s", "counts per second of live time"),
        TableColumn("ERROR", (lower + upper) / 2, "count/s", "mean of both sides (Gehrels 1986)"),
        TableColumn("COUNTS", curve.counts.astype(np.int32), "count", "counts of the source region"),
        TableColumn("EXPOSURE", curve.live_s, "s", "live time in the bin"),
    ]
    if curve.background is not None:
        columns += _background_columns(curve)
    cards: Cards = [
        ("HDUCLASS", "OGIP", "format conforms to OGIP standard"), ("HDUCLAS1", "LIGHTCURVE", ""),
        ("HDUCLAS2", "NET" if curve.background else "TOTAL", ""),
        ("HDUCLAS3", "FOLDED", "against the phase of a period"),
        ("PERIOD", profile.period_s, "[s] folded at this period"), ("TPHASE0", profile.epoch_s, "[s] time of phase 0"),
        *_exposure_cards(None, about),
    ]  # fmt: skip
    _write(path, about, "PROFILE", columns, cards)


def write_periodogram(path: Path, found: Periodogram, about: CurveFile) -> None:
    """Write a periodogram as table PERIODOGRAM, whole or not at all.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    found
        The periodogram.
    about
        The observation and the selection.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    columns = [TableColumn("FREQUENCY", found.frequency_hz, "Hz", ""), TableColumn("POWER", found.power, "", "H")]
    cards: Cards = [
        ("HDUCLASS", "OGIP", "format conforms to OGIP standard"), ("HDUCLAS1", "POWERSPECTRUM", ""),
        ("STATISTI", "H", "H test, 4 harmonics at most (de Jager et al. 1989)"),
        ("PERIOD", found.period_s, "[s] period of the highest power"),
        ("POWERMAX", float(found.power[found.best]), "the highest power"),
        ("CHANCE", found.chance, "at most: probability in a constant source"), *_exposure_cards(None, about),
    ]  # fmt: skip
    _write(path, about, "PERIODOGRAM", columns, cards)


def _time_columns(curve: LightCurve) -> Iterable[TableColumn]:
    yield TableColumn("TIME", curve.middle_s, "s", "middle of the bin")
    if not _same_width(curve):
        yield TableColumn("TIMEDEL", curve.width_s, "s", "width of the bin")


def _background_columns(curve: LightCurve) -> list[TableColumn]:
    """The background that was subtracted, as it falls on the source region."""
    return [
        TableColumn("BACKV", curve.background_rate, "count/s", "background in the source region"),
        TableColumn("BACKE", curve.background_error, "count/s", "error of BACKV"),
    ]


def _gap_column(curve: LightCurve) -> TableColumn:
    return TableColumn("GAP", _texts(curve.causes), "", "what took most of the time not exposed")


def _texts(causes: Iterable[str]) -> npt.NDArray[np.bytes_]:
    return np.array([cause.encode("ascii") for cause in causes], dtype=f"S{max(map(len, CAUSES))}")


def _gap_table(about: CurveFile) -> bytes:
    """Return the gaps as a table, on the clock of the event list."""
    columns = [TableColumn("START", np.array([gap.start_s for gap in about.gaps], dtype=np.float64), "s", ""),
               TableColumn("STOP", np.array([gap.stop_s for gap in about.gaps], dtype=np.float64), "s", ""),
               TableColumn("CAUSE", _texts(gap.cause for gap in about.gaps), "", "what took the exposure")]  # fmt: skip
    cards: Cards = [("HDUCLASS", "OGIP", ""), ("HDUCLAS1", "GAPS", "times in which the region was not exposed"),
                    ("TIMEUNIT", "s", "unit of times")]  # fmt: skip
    return fitswrite.table("GAPS", columns, [*cards, *((key, about.events.keywords.get(key), "") for key in _CLOCK)])


def _same_width(curve: LightCurve) -> bool:
    """Return whether all bins have one width, but for the rounding of their edges."""
    width = curve.width_s
    return bool(np.ptp(width) <= 1e-9 * width[0] + 4 * np.spacing(np.abs(curve.edges_s).max()))


def _class_cards(curve: LightCurve, kind: str) -> Cards:
    cards: Cards = [
        ("HDUCLASS", "OGIP", "format conforms to OGIP standard"),
        ("HDUCLAS1", "LIGHTCURVE", "file contains a light curve"),
        ("HDUCLAS2", kind, "background subtracted" if kind == "NET" else "background not subtracted"),
        ("HDUCLAS3", "RATE", "rates, not counts"),
        ("TIMEPIXR", 0.5, "TIME is the middle of the bin"),
    ]
    if _same_width(curve):
        cards.append(("TIMEDEL", float(np.median(curve.width_s)), "[s] width of a bin"))
    return cards


def _exposure_cards(curve: LightCurve | None, about: CurveFile) -> Cards:
    """Return what was corrected and how long was exposed, and the span of the bins where there is a light curve."""
    events = about.events
    cards: Cards = [
        ("BACKAPP", curve.background is not None if curve else None, "background subtracted"),
        ("DEADAPP", True, "rates are per second of live time"),
        ("VIGNAPP", False, "vignetting is not corrected"),
        ("GAPAPP", True, "gaps of the good times are corrected"),
        ("DEADC", curve.live_fraction if curve else None, "live fraction of good time"),
        ("EXPOSURE", about.exposure_s, "[s] live time of the region"),
        ("BACKSCAL", about.backscal, "area of the source region"),
        ("TIMEUNIT", "s", "unit of times"),
    ]
    if curve is not None:
        cards += [("TSTART", float(curve.edges_s[0]), "[s] start of the first bin"),
                  ("TSTOP", float(curve.edges_s[-1]), "[s] end of the last bin"),
                  *((f"LOST{number}", float(seconds), f"[s] not exposed: {cause}") for number, (cause, seconds)
                    in enumerate(zip(CAUSES, curve.lost_s.sum(axis=1), strict=True), start=1))]  # fmt: skip
    cards += [(key, events.keywords.get(key), "") for key in (*_CLOCK, *_OBSERVATION)]
    return [*cards, ("SLCTEXPR", about.subspace.expression, ""), *about.subspace.cards]


def _write(path: Path, about: CurveFile, name: str, columns: list[TableColumn], cards: Cards) -> None:
    primary = [card for card in primary_cards(about.events) if not _OF_EVENTS.fullmatch(card[0])]
    parts = [fitswrite.header(primary), fitswrite.table(name, columns, [*LONGSTRN, *cards])]
    if name == "RATE":
        parts.append(_gap_table(about))
    parts += about.subspace.tables
    write_bytes(path, b"".join(parts))
