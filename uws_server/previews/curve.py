"""Reads light curves for a plot: rates or counts against time or phase. Imports the libraries only.

A light curve is a table that says so (HDUCLAS1), or one with a column of times beside one of rates or counts; names of
columns are those of OGIP/93-003 and of what Chandra, eROSITA, Kepler and others write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from provenance.fits.columns import Column, Rows
from provenance.fits.hdus import Hdu
from reduction.events.clock import Clock
from reduction.missions import number
from uws_server.previews.spectra import NoPreview, instrument_of
from uws_server.previews.tablerows import read_table

Floats = npt.NDArray[np.float64]

MOST_SERIES = 4
LEAST_EXPOSED = 0.1
"""Bins whose FRACEXP is lower are left out: their rates are a few counts divided by next to nothing."""

_TIMES = ("TIME", "TIME_BIN", "BARYTIME", "MJD")
_PHASE, _FREQUENCY = "PHASE", "FREQUENCY"
"""The columns that profiles, folded at a period, and periodograms have in place of times."""

_HARDNESS = "Hardness ratio"
_PATTERNS = "PATTERNS"
_KINDS = {"phase": "Folded profile", "frequency": "Periodogram", "energy": "Patterns of events"}
_GAPS = "GAPS"
"""The table of our light curves that says when the region was not exposed, and why."""

_RATES = (("RATE", ("ERROR", "RATE_ERR", "ERR_RATE", "STAT_ERR")), ("NET_RATE", ("ERR_RATE", "NET_RATE_ERR")),
          ("COUNT_RATE", ("COUNT_RATE_ERR", "ERROR")), ("RATE1", ("ERROR1",)), ("HR", ("HR_ERR",)),
          ("FLUX", ("FLUX_ERR", "ERROR")),
          ("PDCSAP_FLUX", ("PDCSAP_FLUX_ERR",)), ("SAP_FLUX", ("SAP_FLUX_ERR",)))  # fmt: skip
_BOTH_SIDES = ("ERRORLO", "ERRORUP")
_COUNTS = (("COUNTS", ("ERROR", "STAT_ERR", "COUNTS_ERR")), ("NET_COUNTS", ("NET_ERR",)))
_SECONDS = {"": 1.0, "S": 1.0, "SEC": 1.0, "SECOND": 1.0, "SECONDS": 1.0, "D": 86400.0, "DAY": 86400.0, "DAYS": 86400.0}
Along = Literal["time", "phase", "frequency", "energy"]
GAP = 1.6
"""Bins farther apart than so many of the usual distance have a gap between them."""


@dataclass(frozen=True)
class CurveSeries:
    """Rates of one band, shape (n,), NaN where there is none; `error` and `error_up` are None where the file has none.

    They are the errors downwards and upwards, which most files have as one.
    """

    label: str
    rate: Floats
    error: Floats | None
    error_up: Floats | None


@dataclass(frozen=True)
class CurveCut:
    """The rate above which time is no good (FLCUTTHR, as the SAS has it), and the good time left in s if it is told."""

    rate: float
    good_s: float | None

    def words(self) -> str:
        """Return the cut in words."""
        left = "" if self.good_s is None else f"; {self.good_s:,.0f} s of good time are left"
        return f"Cut at {self.rate:.4g} counts / s{left}."


@dataclass(frozen=True)
class Gap:
    """A time without a bin to draw: from the end of one to the start of the next; `cause` where the file says it."""

    start_s: float
    stop_s: float
    cause: str = ""


@dataclass(frozen=True)
class Curve:
    """A light curve: the middles of its bins in seconds, and their widths, shape (n,) both.

    Time 0 is the middle of the first bin, or its start where bins are not all as wide.
    `bins` is how many the file has. `time_s` and `widths_s` are phases of a profile (twice from 0 to 1) or frequencies
    of a periodogram (Hz) where `along` says so; `start` has their period in words. `mjd` is the MJD of time 0.
    """

    title: str
    time_s: Floats
    widths_s: Floats
    series: tuple[CurveSeries, ...]
    gaps: tuple[Gap, ...]
    y_label: str
    start: str
    bins: int
    notes: tuple[str, ...] = ()
    cut: CurveCut | None = None
    along: Along = "time"
    mjd: float | None = None
    instrument: str = ""

    @property
    def kind(self) -> str:
        """Return what it is, in words."""
        if self.along != "time":
            return _KINDS[self.along]
        return _HARDNESS if self.y_label == _HARDNESS else "Light curve"

    @property
    def length_s(self) -> float:
        """Return the time from the start of the first bin to the end of the last."""
        return float(self.time_s[-1] - self.time_s[0]) + float(self.widths_s[0] + self.widths_s[-1]) / 2

    def summary(self) -> str:
        """Return what the plot shows, in words."""
        parts = []
        for series in self.series:
            known = series.rate[np.isfinite(series.rate)]
            named = f"{series.label}: " if series.label else ""
            parts.append(f"{named}{known.min():.3g} to {known.max():.3g}, mean {known.mean():.3g}")
        if self.along != "time":
            kept = {"phase": "bins of phase", "frequency": "frequencies"}.get(self.along, "bins of energy")
            return f"{self.y_label} in {self.bins:,} {kept}, {self.start}. {'; '.join(parts)}."
        gaps = f"{len(self.gaps)} gap{'s' if len(self.gaps) != 1 else ''}" if self.gaps else "no gaps"
        causes = sorted({gap.cause for gap in self.gaps if gap.cause})
        gaps += f" ({', '.join(causes)})" if causes else ""
        return (f"{self.y_label} in {self.bins:,} bins over {self.length_s:,.0f} s from {self.start}, {gaps}. "
                f"{'; '.join(parts)}.{f' {self.cut.words()}' if self.cut else ''}")  # fmt: skip


def is_curve(hdu: Hdu) -> bool:
    """Tell whether a table is a light curve."""
    if not hdu.is_table:
        return False
    names = {str(value).strip().upper() for key, value in hdu.cards.items() if key.startswith("TTYPE")}
    has_times = bool(names & {*_TIMES, _PHASE})
    kind = str(hdu.cards.get("HDUCLAS1") or "").strip().upper()
    if kind:
        is_periodogram = kind == "POWERSPECTRUM" and {_FREQUENCY, "POWER"} <= names
        return (kind == "LIGHTCURVE" and has_times) or is_periodogram or kind == _PATTERNS
    is_named = hdu.name.startswith(("RATE", "LIGHTCURVE", "LC")) or hdu.name == "LIGHT CURVE"
    return bool(names & set(_TIMES)) and (any(name in names for name, _ in _RATES) or (is_named and "COUNTS" in names))


def read(path: Path, hdu: Hdu, hdus: Sequence[Hdu]) -> Curve:
    """Read a light curve, one of the HDUs of a file: the keywords of the first hold where it has none.

    Raise NoPreview.
    """
    columns, rows = read_table(path, hdu)
    header = {**hdus[0].cards, **{key: value for key, value in hdu.cards.items() if value is not None}}
    gaps = next((each for each in hdus if each.name == _GAPS and each.is_table), None)
    curve = _curve(path.name, header, columns, rows, None if gaps is None else read_table(path, gaps))
    return replace(curve, instrument=instrument_of(header))


def _curve(
    title: str, header: Mapping[str, Any], columns: Mapping[str, Column], rows: Rows,
    gap_table: tuple[Mapping[str, Column], Rows] | None,
) -> Curve:  # fmt: skip
    time = next((columns[name] for name in _TIMES if name in columns and columns[name].is_number), None)
    if time is None and _PHASE in columns and columns[_PHASE].is_number:
        return _profile(title, header, columns, rows)
    if time is None and {_FREQUENCY, "POWER"} <= set(columns):
        return _periodogram(title, header, columns, rows)
    if time is None and "FRAC_S" in columns:
        return _patterns(title, header, columns, rows)
    if time is None:
        raise NoPreview("the light curve has no column TIME of numbers")
    second = _second(header, time)
    times = time.floats(rows) * second
    values, errors, is_rate = _values(columns, rows)
    width = _widths(header, columns, rows, second)
    notes = []
    if not is_rate and width is not None:
        values, errors, is_rate = values / width[:, None], None if errors is None else errors / width[:, None], True
        notes.append("counts divided by the width of each bin")
    usable, more = _usable(columns, rows)
    known = np.isfinite(times) & usable & np.isfinite(values).any(axis=1)
    if not known.any():
        raise NoPreview("no bin of the light curve has a time and a rate")
    order = np.flatnonzero(known)[np.argsort(times[known], kind="stable")]
    first, usual = float(times[order[0]]), _usual(times[order], width)
    widths = np.full(len(order), usual) if width is None else width[order]
    if not _is_even(widths):
        first -= float(widths[0]) / 2
    ordered, kept = times[order] - first, values[order]
    kept_errors = None if errors is None else errors[:, order]
    gaps = _gaps(ordered, widths) if gap_table is None else _told_gaps(*gap_table, first)
    return Curve(title, ordered, widths, tuple(_series(kept, kept_errors)), gaps,
                 _label(columns, is_rate), _start(header, first, second), len(rows), (*notes, *more),
                 _cut(header) if is_rate else None, mjd=_mjd(Clock.of(header), first))  # fmt: skip


def _cut(header: Mapping[str, Any]) -> CurveCut | None:
    rate = number(header, "FLCUTTHR")
    return None if rate is None else CurveCut(rate, number(header, "FLGOODT"))


def _profile(title: str, header: Mapping[str, Any], columns: Mapping[str, Column], rows: Rows) -> Curve:
    """Return the plot of a folded profile: two cycles of it. Raise NoPreview if no bin has a rate."""
    phase = columns[_PHASE].floats(rows)
    values, errors, is_rate = _values(columns, rows)
    known = np.flatnonzero(np.isfinite(phase) & np.isfinite(values).any(axis=1))
    if not known.size:
        raise NoPreview("no bin of the profile has a phase and a rate")
    order = known[np.argsort(phase[known], kind="stable")]
    cycles = np.concatenate((phase[order], phase[order] + 1))
    widths = np.full(cycles.size, 1 / len(rows))
    twice = None if errors is None else np.tile(errors[:, order], (1, 2, 1))
    period = number(header, "PERIOD")
    start = f"period {period:.8g} s" if period else "period not known"
    return Curve(title, cycles, widths, tuple(_series(np.tile(values[order], (2, 1)), twice)), (),
                 _label(columns, is_rate), start, len(rows), (), along="phase")  # fmt: skip


def _periodogram(title: str, header: Mapping[str, Any], columns: Mapping[str, Column], rows: Rows) -> Curve:
    """Return the plot of a periodogram. Raise NoPreview."""
    frequency, power = (_bands(columns[name], rows) for name in (_FREQUENCY, "POWER"))
    if frequency is None or power is None:
        raise NoPreview("the periodogram has no columns FREQUENCY and POWER of numbers")
    known = np.flatnonzero(np.isfinite(frequency[:, 0] + power[:, 0]))
    if len(known) < 2:
        raise NoPreview("the periodogram has no two frequencies with a power")
    frequencies, powers = frequency[known, 0], power[known, 0]
    period, chance = number(header, "PERIOD"), number(header, "CHANCE")
    start = f"highest at a period of {period:.6g} s" if period else "period not known"
    start += f", by chance with a probability of at most {chance:.2g}" if chance is not None else ""
    series = CurveSeries("", powers, None, None)
    return Curve(
        title, frequencies, np.gradient(frequencies), (series,), (), "Power", start, len(rows), (), along="frequency"
    )


def _patterns(title: str, header: Mapping[str, Any], columns: Mapping[str, Column], rows: Rows) -> Curve:
    """Return the plot of single and double events by energy, and of what is expected of them. Raise NoPreview."""
    names = ("ENERG_LO", "ENERG_HI", "FRAC_S", "ERR_S", "FRAC_D", "MODEL_S", "MODEL_D")
    if not all(name in columns and columns[name].is_number for name in names):
        raise NoPreview("the table of patterns lacks a column of numbers")
    low, high, single, error, double, *models = (columns[name].floats(rows) for name in names)
    known = np.isfinite(single) & np.isfinite(error)
    if not known.any():
        raise NoPreview("no bin of energy has a single or double event")
    ratios = [f"{number(header, key) or 0:.3f}" for key in ("SNGL_OTM", "ESGL_OTM", "DBLE_OTM", "EDBL_OTM")]
    told = (
        "too few events to tell pile-up"
        if number(header, "SNGL_OTM") is None
        else ("0.5-2 keV observed to expected: singles {} +- {}, doubles {} +- {}".format(*ratios))
    )
    labels = ("singles", "doubles", "singles expected", "doubles expected")
    nothing = np.zeros_like(error)
    series = tuple(CurveSeries(label, values[known], each[known], each[known])
                   for label, values, each in zip(labels, (single, double, *models), (error, error, nothing, nothing),
                                                  strict=True))  # fmt: skip
    return Curve(title, ((low + high) / 2)[known], (high - low)[known], series, (), "Fraction of events", told,
                 len(rows), (), along="energy")  # fmt: skip


def _told_gaps(columns: Mapping[str, Column], rows: Rows, first: float) -> tuple[Gap, ...]:
    """Return the gaps that a file tells, with their causes; `first` is the time of the first bin."""
    if not all(name in columns and columns[name].is_number for name in ("START", "STOP")):
        return ()
    start, stop = (columns[name].floats(rows) - first for name in ("START", "STOP"))
    texts = columns["CAUSE"].stored(rows).tolist() if "CAUSE" in columns else [b""] * len(rows)
    causes = [text.decode("ascii", "replace").strip()[:20] if isinstance(text, bytes) else "" for text in texts]
    told = zip(start.tolist(), stop.tolist(), causes, strict=True)
    return tuple(Gap(begin, end, cause) for begin, end, cause in told if end > begin)


def _second(header: Mapping[str, Any], time: Column) -> float:
    """Return how many seconds a unit of time is. Raise NoPreview for a unit that is not known."""
    unit = (time.unit or str(header.get("TIMEUNIT") or "")).strip()
    if time.name.upper() == "MJD" or unit.upper().startswith(("BJD", "JD", "MJD")):
        return 86400.0
    if unit.upper() not in _SECONDS:
        raise NoPreview(f"the light curve has times in {unit[:20]!r}; s and d are drawn")
    return _SECONDS[unit.upper()]


def _values(columns: Mapping[str, Column], rows: Rows) -> tuple[Floats, Floats | None, bool]:
    """Return rates or counts, shape (n, bands), and whether they are rates.

    Between them are their errors downwards and upwards, shape (2, n, bands), if there are any.
    """
    for choices, is_rate in ((_RATES, True), (_COUNTS, False)):
        for name, error_names in choices:
            values = _bands(columns.get(name), rows)
            if values is not None:
                errors = [_bands(columns.get(error), rows) for error in (*_BOTH_SIDES, *error_names)]
                known = [error for error in errors if error is not None and error.shape == values.shape]
                both = all(side in columns for side in _BOTH_SIDES) and len(known) > 1
                found = np.array(known[:2] if both else [known[0], known[0]]) if known else None
                return values, found, is_rate
    raise NoPreview("the light curve has no column RATE or COUNTS of numbers")


def _bands(column: Column | None, rows: Rows) -> Floats | None:
    """Return the numbers of a column, shape (n, bands), the first few bands; None without numbers."""
    if column is None or column.letter not in "BIJKED" or column.repeat < 1:
        return None
    return column.floats(rows).reshape(len(rows), -1)[:, :MOST_SERIES]


def _widths(header: Mapping[str, Any], columns: Mapping[str, Column], rows: Rows, second: float) -> Floats | None:
    """Return the width of each bin in seconds, shape (n,); None where it is not given."""
    column = columns.get("TIMEDEL")
    if column is not None and column.is_number:
        widths = column.floats(rows) * second
    elif (width := number(header, "TIMEDEL")) is not None:
        widths = np.full(len(rows), width * second)
    else:
        return None
    return widths if len(rows) and np.all(widths > 0) else None


def _usable(columns: Mapping[str, Column], rows: Rows) -> tuple[npt.NDArray[np.bool_], list[str]]:
    """Return which bins were exposed for long enough, shape (n,), and a note about the others."""
    exposed = _bands(columns.get("FRACEXP"), rows)
    if exposed is None:
        return np.ones(len(rows), dtype=np.bool_), []
    usable = np.nan_to_num(exposed).max(axis=1) >= LEAST_EXPOSED
    left_out = int(np.count_nonzero(~usable & (np.nan_to_num(exposed).max(axis=1) > 0)))
    return usable, [f"{left_out:,} bins with FRACEXP below {LEAST_EXPOSED:g} are left out"] if left_out else []


def _usual(times: Floats, width: Floats | None) -> float:
    """Return the usual width of a bin: that of the file, else the usual distance of two."""
    if width is not None:
        return float(np.median(width))
    apart = np.diff(times)
    apart = apart[apart > 0]
    return float(np.median(apart)) if apart.size else 1.0


def _gaps(times: Floats, widths: Floats) -> tuple[Gap, ...]:
    """Return where bins are missing: the end of a bin and the start of the next one, seconds."""
    apart = np.diff(times)
    usual = np.maximum(np.minimum(widths[:-1], widths[1:]), np.median(apart) if _is_even(widths) else 0.0)
    reach = (widths[:-1] + widths[1:]) / 2
    return tuple(Gap(float(times[row] + widths[row] / 2), float(times[row + 1] - widths[row + 1] / 2))
                 for row in np.flatnonzero(apart > reach + (GAP - 1) * usual))  # fmt: skip


def _is_even(widths: Floats) -> bool:
    return len(widths) > 1 and bool(np.ptp(widths) <= 1e-6 * widths[0])


def _series(values: Floats, errors: Floats | None) -> Iterable[CurveSeries]:
    """Yield a series for each band that has rates."""
    bands = values.shape[1]
    for band in range(bands):
        if np.isfinite(values[:, band]).any():
            label = f"band {band + 1}" if bands > 1 else ""
            lower, upper = (None, None) if errors is None else np.abs(errors[:, :, band])
            yield CurveSeries(label, values[:, band], lower, upper)


def _label(columns: Mapping[str, Column], is_rate: bool) -> str:
    names = [name for choices in (_RATES, _COUNTS) for name, _ in choices if name in columns]
    unit = columns[names[0]].unit.strip()[:20]
    if names[0] == "HR":
        return _HARDNESS
    if names[0].endswith("FLUX"):
        return f"Flux ({unit})" if unit else "Flux"
    return "Counts / s" if is_rate else "Counts per bin"


def _start(header: Mapping[str, Any], first: float, second: float) -> str:
    """Return when the first bin is: MJD, else the time in the file."""
    clock = Clock.of(header)
    day = _mjd(clock, first)
    if day is None:
        return f"time {first / second:,.1f} {'s' if second == 1 else 'd'}"
    return f"MJD {day:.5f}{f' ({clock.system})' if clock.system else ''}"


def _mjd(clock: Clock, first: float) -> float | None:
    """Return the MJD of a time in seconds; None where the header does not tell it."""
    return None if clock.day is None else clock.day + (clock.fraction + (first + clock.zero_s) / 86400.0)
