"""When a product was observed: its time keywords in the columns of ObsCore.

Times are MJD on the scale TT, the one of X-ray missions: TSTART and TSTOP of the science header, else the earliest and
latest of any header (its good time intervals), else DATE-OBS and DATE-END.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from datetime import date
from typing import Final

from provenance.fits.headers import Cards
from provenance.obscore.product import Found, Product, one_bin

_TT_SCALES: Final = frozenset({"TT", "TDT", "ET", "TDB"})  # TDB is never 2 ms away from TT
_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(\.\d*)?)?Z?")
_DAYS: Final = {"": 86400.0, "s": 86400.0, "d": 1.0}
"""How many of a unit make a day."""
_MJD_LIMITS: Final = (0.0, 200_000.0)


def columns(product: Product) -> Found:
    """Derive the columns of the time axis: start, end, exposure, resolution, bins (-1 for events, in none of them)."""
    start, stop = _span(product)
    is_timed = any(_reference(cards) is not None for cards in product.headers) and product.type != "measurements"
    exposures = [product.number(keyword) for keyword in ("EXPOSURE", "LIVETIME", "ONTIME")]
    return {
        "t_min": start,
        "t_max": stop,
        "t_exptime": next((seconds for seconds in exposures if seconds is not None and seconds > 0), None),
        "t_resolution": _resolution(product),
        "t_xel": _bins(product),
        "t_calib_status": "calibrated" if is_timed and start is not None else None,
    }


def _bins(product: Product) -> int | None:
    """Return the number of bins along the time axis; None where it is not known."""
    if product.type == "timeseries":
        return product.science.count("NAXIS2")
    return -1 if product.type == "event" else one_bin(product, "spectrum", "image")


def _span(product: Product) -> tuple[float | None, float | None]:
    """Return start and end of the data, MJD (TT); None for what is not known."""
    spans = [(_mjd(cards, "TSTART", product), _mjd(cards, "TSTOP", product)) for cards in product.headers]
    complete = [(start, stop) for start, stop in spans if start is not None and stop is not None and start <= stop]
    if complete and complete[0] == spans[0]:
        return complete[0]
    if complete:
        return min(start for start, _ in complete), max(stop for _, stop in complete)
    start, stop = _date_mjd(product, "DATE-OBS"), _date_mjd(product, "DATE-END")
    return (None, None) if start is not None and stop is not None and start > stop else (start, stop)


def _mjd(cards: Cards, keyword: str, product: Product) -> float | None:
    """Return a time keyword as MJD (TT); None when it is absent or has no reference."""
    time = cards.number(keyword)
    return None if time is None else mjd(cards, time, product)


def mjd(cards: Cards, time: float, product: Product, unit: str = "") -> float | None:
    """Convert a time counted from a header's reference to MJD (TT).

    Parameters
    ----------
    cards
        The header that the time belongs to: its MJDREF, TIMEZERO, TIMESYS and TIMEUNIT, or those of a main header where
        it has no MJDREF.
    time
        The time in `unit`.
    product
        The product whose main headers are asked.
    unit
        s or d; empty for TIMEUNIT.

    Returns
    -------
    float or None
        MJD (TT) in days; None where there is no reference, or its unit or time system is not known.
    """
    origin = next((one for one in (cards, *product.main) if _reference(one) is not None), None)
    if origin is None:
        return None
    own = _DAYS.get(origin.text("TIMEUNIT"))
    day = _DAYS.get(unit) if unit else own
    reference = _reference(origin)
    if own is None or day is None or reference is None:
        return None
    elapsed = time * (own / day) + (origin.number("TIMEZERO") or 0.0)
    return _terrestrial(reference + elapsed / own, origin.text("TIMESYS") or "TT")


def _reference(cards: Cards) -> float | None:
    """Return MJDREF, whole or in two parts; None when it is absent."""
    whole, part = cards.number("MJDREFI"), cards.number("MJDREFF")
    return cards.number("MJDREF") if whole is None else whole + (part or 0.0)


def _date_mjd(product: Product, keyword: str) -> float | None:
    """Return a calendar date as MJD (TT); None when it is absent or no date.

    Its scale is TIMESYS, UTC where there is none (FITS Standard 4.0, 9.2.1); but XMM's are UTC although TIMESYS is TT:
    in real products the first good time begins within seconds of DATE-OBS read as UTC, a minute off as TT.
    """
    match = _DATE.fullmatch(product.text(keyword))
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        days = _day_number(year, month, day)
    except ValueError:
        return None
    fraction = float(f"0{match[7]}") if match[7] else 0.0
    mjd = days + (hour * 3600 + minute * 60 + second + fraction) / 86400
    return _terrestrial(mjd, "UTC" if product.is_xmm else product.text("TIMESYS") or "UTC")


def _terrestrial(mjd: float, scale: str) -> float | None:
    """Convert an MJD of some time scale to MJD (TT); None for an unknown scale and for dates outside _MJD_LIMITS."""
    if not _MJD_LIMITS[0] < mjd < _MJD_LIMITS[1]:
        return None
    name = scale.upper()
    if name in _TT_SCALES:
        return mjd
    offsets = {"TAI": 32.184, "IAT": 32.184, "GPS": 51.184}
    if name in offsets:
        return mjd + offsets[name] / 86400
    return mjd + (_leap_seconds(mjd) + 32.184) / 86400 if name in ("UTC", "GMT", "UT") else None


def _leap_seconds(mjd: float) -> float:
    """Return TAI - UTC in seconds at an MJD (UTC), by the table of ERFA; its first entry for earlier times."""
    from astropy.utils.iers import LeapSeconds

    table = LeapSeconds.from_erfa()
    days = [_day_number(int(year), int(month), 1) for year, month in zip(table["year"], table["month"], strict=True)]
    return float(table["tai_utc"][max(bisect_right(days, mjd) - 1, 0)])


def _day_number(year: int, month: int, day: int) -> int:
    """Return a calendar day as MJD. Raise ValueError for one that is in no calendar."""
    return date(year, month, day).toordinal() - date(1858, 11, 17).toordinal()


def _resolution(product: Product) -> float | None:
    """Return TIMEDEL, or the frame time (ms in XMM headers), in seconds; None where there is no time axis."""
    if product.type not in ("event", "timeseries"):
        return None
    frame = product.number("FRMTIME") if product.is_xmm else None
    return product.number("TIMEDEL") or (None if frame is None or frame <= 0 else frame / 1000)


def timestamp(text: str) -> str:
    """Write a FITS date as ObsCore has it, YYYY-MM-DDThh:mm:ss; empty when the text is no date."""
    match = _DATE.fullmatch(text)
    if match is None:
        return ""
    year, month, day, *clock = (int(part or 0) for part in match.groups()[:6])
    return f"{year:04d}-{month:02d}-{day:02d}T" + ":".join(f"{part:02d}" for part in clock)
