"""Event lists: opens one of any known mission, says what is in it, and hands out its rows in chunks.

The table is never loaded; nothing assumes that rows are in order of time.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS

from provenance.fits.bintable import Table
from provenance.fits.columns import Column, Rows
from provenance.fits.hdus import Hdu
from provenance.fits.headers import Cards
from provenance.fits.timing import SECONDS, moment, unit_of
from reduction.errors import ReductionError
from reduction.events.clock import Clock
from reduction.events.fitsfile import FitsFile, Header, inflate, is_gzip, reduction_errors, scan
from reduction.events.goodtime import GTI
from reduction.events.gti import read_tables
from reduction.missions import Mission, identify, number

CHUNK_BYTES: Final = 800_000
"""Rows at a time, in bytes: what fits the cache of a processor is faster, and keeps the memory small."""


class NoEventList(ReductionError):
    """Raised for a sound FITS file that has no table of events."""


@dataclass(frozen=True)
class BadPixels:
    """Bad pixels of one CCD: runs of `extent` rows from (rawx, rawy) upwards; integer arrays of shape (n,)."""

    rawx: npt.NDArray[np.int64]
    rawy: npt.NDArray[np.int64]
    extent: npt.NDArray[np.int64]


@dataclass(frozen=True)
class EventList:
    """An open event list.

    `keywords` are those of the event table over those of the primary header; `wcs` maps values of the X,Y columns, as
    pixel coordinates that count from 0, to the sky in the frame of the file; `gtis`, `gti_names` (of their tables) and
    `bad_pixels` go by CCD number (None: all CCDs). `hdus` are all those of the file, `events` is that of the event
    table, which `table` describes. A column that is not there is None.
    """

    name: str
    path: Path
    mission: Mission
    header: Header
    keywords: Header
    hdus: tuple[Hdu, ...]
    events: Hdu
    table: Table
    time: Column
    energy: Column
    channel: Column
    x: Column | None
    y: Column | None
    pattern: Column | None
    flag: Column | None
    ccd: Column | None
    rawx: Column | None
    rawy: Column | None
    wcs: WCS | None
    clock: Clock
    gtis: Mapping[int | None, GTI]
    gti_names: Mapping[int | None, str]
    bad_pixels: Mapping[int, BadPixels]
    notes: tuple[str, ...] = ()

    @property
    def nrows(self) -> int:
        """How many events there are."""
        return self.table.rows

    @property
    def dtype(self) -> np.dtype[np.void]:
        """The type of a row as it lies in the file."""
        return self.table.dtype

    def chunks(self, size_bytes: int = CHUNK_BYTES) -> Iterator[Rows]:
        """Go once through the rows, about `size_bytes` at a time.

        The arrays are views on one buffer: each is valid until the next is asked for. Raises ReductionError if the
        file is shorter than it was when opened.
        """
        with reduction_errors("eventlist"):
            yield from self.table.chunks(self.path, size_bytes)


@contextmanager
def open_eventlist(path: Path, parameter: str = "eventlist", scratch: Path | None = None) -> Iterator[EventList]:
    """Open an event list, plain or gzipped, for the length of a ``with`` block.

    Parameters
    ----------
    path
        FITS file with an EVENTS table.
    parameter
        Job parameter named in errors.
    scratch
        Folder where a gzipped file is inflated, for as long as it is open; None: the system's folder for such.

    Raises
    ------
    ReductionError
        The file is no sound event list of a known mission.
    """
    if not path.is_file():
        raise ReductionError(f"there is no file {path.name}", parameter)
    if not is_gzip(path):
        yield _describe(path, path.name, parameter)
        return
    with tempfile.TemporaryDirectory(prefix="inflated-", dir=scratch) as folder:
        plain = Path(folder) / (re.sub(r"\.(gz|FTZ|ftz)$", "", path.name) or "events")
        inflate(path, plain, parameter)
        yield _describe(plain, path.name, parameter)


def _describe(path: Path, name: str, parameter: str) -> EventList:
    """Read everything but the rows."""
    file = scan(path, parameter, name)
    events = _find_events(file)
    keywords = {**file.hdus[0].cards, **{key: value for key, value in events.cards.items() if value is not None}}
    mission = identify(keywords, parameter)
    table = file.table(events)
    if table.heap:
        raise ReductionError(f"table EVENTS of {name} has columns of variable length, which are not read", parameter)

    def column(wanted: str | None) -> Column | None:
        found = table.columns.get(wanted.upper()) if wanted else None
        return found if found and found.is_number else None

    def needed(wanted: str) -> Column:
        found = column(wanted)
        if found is None:
            raise ReductionError(f"table EVENTS of {name} has no column {wanted} of numbers, which {mission.name} "
                                 f"needs; it has {', '.join(table.columns)[:200]}", parameter)  # fmt: skip
        return found

    x, y = column(mission.x), column(mission.y)
    clock = _clock(file, events, needed(mission.time))
    tabled = read_tables(file, clock, events.cards, file.hdus[0].cards, ccd_of_name=mission.ccd_of_gti)
    notes = tabled.notes
    gtis: dict[int | None, GTI] = tabled
    if not tabled:
        gtis = _whole_exposure(keywords, name, parameter)
        notes.insert(0, "no good time intervals: TSTART to TSTOP is taken as good")
    notes += [note for note in (mission.caveat, mission.filter_note(keywords), mission.pointing_note(keywords)) if note]
    return EventList(
        name=name, path=path, mission=mission, header=events.cards, keywords=keywords,
        hdus=file.hdus, events=events, table=table, time=needed(mission.time), energy=needed(mission.energy),
        channel=needed(mission.channel), x=x, y=y, pattern=column(mission.pattern), flag=column(mission.flag),
        ccd=column(mission.ccd), rawx=column(mission.rawx), rawy=column(mission.rawy),
        wcs=_sky(keywords, x, y), clock=clock, gtis=gtis, gti_names=tabled.names, bad_pixels=_bad_pixels(file, mission),
        notes=tuple(notes),
    )  # fmt: skip


def _find_events(file: FitsFile) -> Hdu:
    """Return the event table. Raise NoEventList if there is none."""
    for hdu in file.hdus:
        if hdu.is_table and hdu.name in ("EVENTS", "STDEVT"):
            return hdu
    raise NoEventList(f"{file.name} has no table EVENTS, so it is no event list; it has {file.names[:200]}",
                      file.parameter)  # fmt: skip


def _clock(file: FitsFile, events: Hdu, time: Column) -> Clock:
    """Return the clock of an event table. Raise ReductionError if it cannot be read or counts no seconds."""
    unit = unit_of(time.unit or Cards(events.cards).text("TIMEUNIT"))
    if SECONDS.get(unit, 1.0) != 1.0:
        raise ReductionError(f"the times of {file.name} are in {unit} (TUNIT of {time.name}, else TIMEUNIT); s is read",
                             file.parameter)  # fmt: skip
    try:
        return Clock.of(events.cards, file.hdus[0].cards)
    except ReductionError as error:
        raise ReductionError(f"table {events.name} of {file.name}: {error}", file.parameter) from error


def _whole_exposure(keywords: Header, name: str, parameter: str) -> dict[int | None, GTI]:
    """Take TSTART to TSTOP as good. Raise ReductionError if there are none."""
    cards = Cards(keywords)
    start, stop = moment(cards, "TSTART"), moment(cards, "TSTOP")
    if start is None or stop is None or stop <= start:
        raise ReductionError(f"{name} has no good time intervals (STDGTInn, GTI) and no TSTART and TSTOP", parameter)
    seconds = SECONDS.get(unit_of(cards.text("TIMEUNIT")), 1.0)
    return {None: GTI.of([start * seconds], [stop * seconds], parameter)}


def _sky(keywords: Header, x: Column | None, y: Column | None) -> WCS | None:
    """Return the projection of the X,Y columns, by their own keywords, else by REFX and REFY; None if there is none."""
    if x is None or y is None:
        return None
    wcs = WCS(naxis=2)
    for axis, (column, letter) in enumerate(((x, "X"), (y, "Y"))):
        found = _axis(keywords, column, letter)
        if found is None:
            return None
        kind, pixel, value, step = found
        # astropy counts pixels from 0, FITS from 1: the reference pixel moves so that column values are pixels.
        wcs.wcs.crpix[axis], wcs.wcs.crval[axis], wcs.wcs.cdelt[axis] = pixel + 1, value, step
        wcs.wcs.ctype[axis] = kind
        wcs.wcs.cunit[axis] = "deg"
    equinox = number(keywords, "EQUINOX")
    frame = _frame(keywords, equinox)
    wcs.wcs.radesys = frame
    if equinox and frame != "ICRS":
        wcs.wcs.equinox = equinox
    try:
        wcs.wcs.set()
    except ValueError:
        return None
    return wcs if wcs.has_celestial else None


def _frame(keywords: Header, equinox: float | None) -> str:
    """Return the frame of the sky; where it is not said, that of the equinox (FITS Standard 4.0, section 8.3)."""
    frame = str(keywords.get("RADECSYS") or keywords.get("RADESYS") or "").strip().upper()
    if frame in ("FK5", "FK4", "ICRS"):
        return frame
    if equinox is None:
        return "ICRS"
    return "FK4" if equinox < 1984 else "FK5"


def _axis(keywords: Header, column: Column, letter: str) -> tuple[str, float, float, float] | None:
    """Return type, reference pixel, its value and the step of an axis of the sky; None where one is missing.

    Each is looked up among the column's own keywords, then among REFX or REFY; but where the column has another type
    than a celestial one, its own are of something else.
    """
    kinds = [str(keywords.get(name) or "").strip() for name in (f"TCTYP{column.index}", f"REF{letter}CTYP")]
    celestial = [kind for kind in kinds if re.match(r"(RA--|DEC-|.LON|.LAT)", kind)]
    if not celestial:
        return None
    forms = [f"REF{letter}C{{}}"] if kinds[0] and kinds[0] not in celestial else [f"TC{{}}{column.index}",
                                                                                  f"REF{letter}C{{}}"]  # fmt: skip
    pixel, value, step = (
        next((found for form in forms if (found := number(keywords, form.format(part))) is not None), None)
        for part in ("RPX", "RVL", "DLT")
    )
    return None if pixel is None or value is None or not step else (celestial[0], pixel, value, step)


def _bad_pixels(file: FitsFile, mission: Mission) -> dict[int, BadPixels]:
    """Read the tables BADPIXnn of missions whose CCDs are known; rows of TYPE 0 (nothing wrong) are left out."""
    found: dict[int, BadPixels] = {}
    if mission.detector is None:
        return found
    for hdu in file.hdus:
        match = re.fullmatch(r"BADPIX(\d\d)", hdu.name)
        if not match or not hdu.is_table:
            continue
        rows, columns = file.read(hdu)
        numbers = {name: column.floats(rows) for name, column in columns.items() if column.is_number}
        if not {"RAWX", "RAWY"} <= set(numbers):
            continue
        extent = numbers.get("YEXTENT", np.ones(len(rows)))
        bad = numbers.get("TYPE", np.ones(len(rows))) != 0
        for values in (numbers["RAWX"], numbers["RAWY"], extent):
            bad &= np.isfinite(values)
        found[int(match[1])] = BadPixels(*(np.asarray(values[bad], dtype=np.int64) for values in (
            numbers["RAWX"], numbers["RAWY"], extent)))  # fmt: skip
    return found
