"""When a product was observed: its time keywords in the columns of ObsCore.

Times are MJD on the scale TT, the one of X-ray missions: TSTART and TSTOP of the science header, else the earliest and
latest of any header (its good time intervals), else DATE-OBS and DATE-END, with TIME-OBS and TIME-END where these are
days only. What times count from is read by `fits.timing`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final

from provenance.fits import timing
from provenance.fits.headers import Cards
from provenance.fits.timing import TimeOrigin
from provenance.obscore.product import Found, Product, one_bin
from provenance.text.errors import FitsError

_TT_SCALES: Final = frozenset({"TT", "TDB"})  # TDB is never 2 ms away from TT
_OLD_DATE: Final = re.compile(r"(\d\d)/(\d\d)/(\d\d)")
"""A day of the 20th century as FITS wrote it until 1999: DD/MM/YY."""
_MJD_LIMITS: Final = (0.0, 200_000.0)


def columns(product: Product) -> Found:
    """Derive the columns of the time axis: start, end, exposure, resolution, bins (-1 for events, in none of them)."""
    start, stop = _span(product)
    origins = [_origin(cards, product) for cards in product.headers if product.type != "measurements"]
    is_timed = any(origin is not None and origin.day is not None for origin in origins)
    from provenance.fits import scales  # here: the columns of a table need numpy, a date needs none

    exposures = (scales.keyword_number(product.main, keyword)[0] for keyword in ("EXPOSURE", "LIVETIME", "ONTIME"))
    return {
        "t_min": start,
        "t_max": stop,
        "t_exptime": next((seconds for seconds in exposures if seconds is not None), None),
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
    time = timing.moment(cards, keyword)
    return None if time is None else mjd(cards, time, product)


def mjd(cards: Cards, time: float, product: Product, unit: str = "") -> float | None:
    """Convert a time counted from a header's reference to MJD (TT).

    Parameters
    ----------
    cards
        The header that the time belongs to; what it does not say of its times, the main headers say.
    time
        The time in `unit`.
    product
        The product whose main headers are asked.
    unit
        s, min, h or d; empty for TIMEUNIT.

    Returns
    -------
    float or None
        MJD (TT) in days; None where there is no reference, or its unit or time system is not known.
    """
    origin = _origin(cards, product)
    day = None if origin is None else origin.mjd(time, unit)
    return None if origin is None or day is None else _terrestrial(day, origin.system or "TT")


def _origin(cards: Cards, product: Product) -> TimeOrigin | None:
    """Return what the times of a header count from; None where a keyword of it cannot be read."""
    try:
        return timing.read(cards, *(each for each in product.main if each is not cards))
    except FitsError:
        return None


def _date_mjd(product: Product, keyword: str) -> float | None:
    """Return a calendar date as MJD (TT); None when it is absent or no date.

    Its scale is TIMESYS, UTC where there is none (FITS Standard 4.0, 9.2.1); but XMM's are UTC although TIMESYS is TT:
    in real products the first good time begins within seconds of DATE-OBS read as UTC, a minute off as TT.
    """
    text = product.text(keyword)
    if old := _OLD_DATE.fullmatch(text):
        text = f"19{old[3]}-{old[2]}-{old[1]}"
    if "T" not in text and (time := product.text(keyword.replace("DATE", "TIME"))):
        text = f"{text}T{time}"
    day = timing.calendar_mjd(text)
    scale = "UTC" if product.is_xmm else timing.system_of(product.text("TIMESYS")) or "UTC"
    return None if day is None else _terrestrial(day, scale)


def _terrestrial(mjd: float, scale: str) -> float | None:
    """Convert an MJD of some time scale to MJD (TT); None for an unknown scale and for dates outside _MJD_LIMITS."""
    if not _MJD_LIMITS[0] < mjd < _MJD_LIMITS[1]:
        return None
    if scale in _TT_SCALES:
        return mjd
    offsets = {"TAI": 32.184, "GPS": 51.184}
    if scale in offsets:
        return mjd + offsets[scale] / 86400
    return mjd + (_leap_seconds(mjd) + 32.184) / 86400 if scale == "UTC" else None


def _leap_seconds(mjd: float) -> float:
    """Return TAI - UTC in seconds at an MJD (UTC), by the table of ERFA; its first entry for earlier times."""
    from astropy.utils.iers import LeapSeconds

    table = LeapSeconds.from_erfa()
    months = zip(table["year"], table["month"], strict=True)
    days = [timing.day_number(int(year), int(month), 1) for year, month in months]
    return float(table["tai_utc"][max(bisect_right(days, mjd) - 1, 0)])


def _resolution(product: Product) -> float | None:
    """Return TIMEDEL, or the frame time (ms in XMM headers), in seconds; None where there is no time axis."""
    if product.type not in ("event", "timeseries"):
        return None
    frame = product.number("FRMTIME") if product.is_xmm else None
    return product.number("TIMEDEL") or (None if frame is None or frame <= 0 else frame / 1000)


def timestamp(text: str) -> str:
    """Write a FITS date as ObsCore has it, YYYY-MM-DDThh:mm:ss; empty when the text is no date."""
    match = timing.DATE.fullmatch(text)
    if match is None:
        return ""
    year, month, day, *clock = (int(part or 0) for part in match.groups()[:6])
    return f"{year:04d}-{month:02d}-{day:02d}T" + ":".join(f"{part:02d}" for part in clock)
