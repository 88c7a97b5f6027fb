"""Event lists: opens one from any known mission, says what is in it, and hands out its rows in chunks.

The table is never loaded; nothing assumes that rows are in order of time.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS

from reduction.errors import ReductionError
from reduction.events.fitsfile import Column, Hdu, Header, describe_table, integer, scan
from reduction.events.gti import GTI, Clock, read_tables
from reduction.events.inflate import inflate, is_gzip
from reduction.missions import Mission, identify, number

CHUNK_BYTES = 12_000_000
"""Bytes of rows handed out at a time."""


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
    pixel coordinates that count from 0, to the sky in the frame of the file; `gtis` and `bad_pixels` go by CCD number
    (None: all CCDs). `dtype` is a row as it lies in the file. A column that is not there is None.
    """

    name: str
    path: Path
    mission: Mission
    header: Header
    keywords: Header
    hdus: tuple[Hdu, ...]
    events: Hdu
    nrows: int
    dtype: np.dtype[np.void]
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
    bad_pixels: Mapping[int, BadPixels]
    notes: tuple[str, ...] = ()

    def chunks(self, size_bytes: int = CHUNK_BYTES) -> Iterator[npt.NDArray[np.void]]:
        """Go once through the rows, about `size_bytes` at a time.

        The arrays are views on one buffer: each is valid until the next is asked for. Raises ReductionError if the
        file is shorter than it was when opened.
        """
        at_once = max(1, min(size_bytes // self.dtype.itemsize, self.nrows))
        buffer = bytearray(at_once * self.dtype.itemsize)
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.events.data_start)
            for first in range(0, self.nrows, at_once):
                wanted = min(at_once, self.nrows - first) * self.dtype.itemsize
                view = memoryview(buffer)[:wanted]
                done = 0
                while done < wanted:
                    count = file.readinto(view[done:])
                    if not count:
                        raise ReductionError(f"{self.name} became shorter while it was read", "eventlist")
                    done += count
                yield np.frombuffer(view, dtype=self.dtype)


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
    hdus = scan(path, parameter)
    events = _find_events(hdus, name, parameter)
    keywords = {**hdus[0].header, **{key: value for key, value in events.header.items() if value is not None}}
    mission = identify(keywords, parameter)
    nrows = integer(events.header, "NAXIS2", 0, 2**40, f"table EVENTS of {name}", parameter)
    dtype, columns = describe_table(events, parameter)
    if integer(events.header, "PCOUNT", 0, 2**62, f"table EVENTS of {name}", parameter):
        raise ReductionError(f"table EVENTS of {name} has columns of variable length, which are not read", parameter)

    def column(wanted: str | None) -> Column | None:
        found = columns.get(wanted.upper()) if wanted else None
        return found if found and found.dtype.kind in "iuf" and dtype[found.field].shape == () else None

    def needed(wanted: str) -> Column:
        found = column(wanted)
        if found is None:
            raise ReductionError(f"table EVENTS of {name} has no column {wanted} of numbers, which {mission.name} "
                                 f"needs; it has {', '.join(columns)[:200]}", parameter)  # fmt: skip
        return found

    x, y = column(mission.x), column(mission.y)
    clock = Clock.of(keywords)
    gtis: dict[int | None, GTI] = read_tables(hdus, clock, parameter)
    notes = []
    if not gtis:
        gtis, note = _whole_exposure(keywords, name, parameter)
        notes.append(note)
    return EventList(
        name=name, path=path, mission=mission, header=events.header, keywords=keywords,
        hdus=hdus, events=events, nrows=nrows, dtype=dtype, time=needed(mission.time), energy=needed(mission.energy),
        channel=needed(mission.channel), x=x, y=y, pattern=column(mission.pattern), flag=column(mission.flag),
        ccd=column(mission.ccd), rawx=column(mission.rawx), rawy=column(mission.rawy),
        wcs=_sky(keywords, x, y), clock=clock, gtis=gtis, bad_pixels=_bad_pixels(hdus, mission, parameter),
        notes=tuple(notes),
    )  # fmt: skip


def _find_events(hdus: tuple[Hdu, ...], name: str, parameter: str) -> Hdu:
    for hdu in hdus:
        if hdu.is_table and hdu.name in ("EVENTS", "STDEVT"):
            return hdu
    names = ", ".join(hdu.name or "(no name)" for hdu in hdus)
    raise ReductionError(f"{name} has no table EVENTS, so it is no event list; it has {names[:200]}", parameter)


def _whole_exposure(keywords: Header, name: str, parameter: str) -> tuple[dict[int | None, GTI], str]:
    """Take TSTART to TSTOP where an event list has no good time intervals."""
    start, stop = number(keywords, "TSTART"), number(keywords, "TSTOP")
    if start is None or stop is None or stop <= start:
        raise ReductionError(f"{name} has no good time intervals (STDGTInn, GTI) and no TSTART and TSTOP", parameter)
    return {None: GTI.of([start], [stop], parameter)}, "no good time intervals: TSTART to TSTOP is taken as good"


def _sky(keywords: Header, x: Column | None, y: Column | None) -> WCS | None:
    """Projection of the X,Y columns: from their own keywords, else from REFX and REFY; None if there is none."""
    if x is None or y is None:
        return None
    wcs = WCS(naxis=2)
    for axis, (column, letter) in enumerate(((x, "X"), (y, "Y"))):
        kind = keywords.get(f"TCTYP{column.index}")
        own = isinstance(kind, str) and re.match(r"(RA--|DEC-|.LON|.LAT)", kind) is not None
        names = [f"TC{part}{column.index}" if own else f"REF{letter}C{part}" for part in ("RPX", "RVL", "DLT")]
        pixel, value, step = (number(keywords, name) for name in names)
        kind = kind if own else keywords.get(f"REF{letter}CTYP")
        if pixel is None or value is None or not step or not isinstance(kind, str):
            return None
        # astropy counts pixels from 0, FITS from 1: the reference pixel moves so that column values are pixels.
        wcs.wcs.crpix[axis], wcs.wcs.crval[axis], wcs.wcs.cdelt[axis] = pixel + 1, value, step
        wcs.wcs.ctype[axis] = kind.strip()
        wcs.wcs.cunit[axis] = "deg"
    frame = str(keywords.get("RADECSYS") or keywords.get("RADESYS") or "").strip().upper()
    equinox = number(keywords, "EQUINOX")
    wcs.wcs.radesys = frame if frame in ("FK5", "FK4", "ICRS") else "FK5" if equinox == 2000 else "ICRS"
    if equinox and frame != "ICRS":
        wcs.wcs.equinox = equinox
    try:
        wcs.wcs.set()
    except ValueError:
        return None
    return wcs if wcs.has_celestial else None


def _bad_pixels(hdus: tuple[Hdu, ...], mission: Mission, parameter: str) -> dict[int, BadPixels]:
    """Bad pixel tables BADPIXnn of missions whose CCDs are known; rows of TYPE 0 (nothing wrong) are left out."""
    found: dict[int, BadPixels] = {}
    if mission.detector is None:
        return found
    for hdu in hdus:
        match = re.fullmatch(r"BADPIX(\d\d)", hdu.name)
        if not match or not hdu.is_table:
            continue
        rows, columns = hdu.table(parameter)
        if not {"RAWX", "RAWY"} <= set(columns):
            continue
        extent = columns["YEXTENT"].values(rows) if "YEXTENT" in columns else np.ones(len(rows))
        bad = columns["TYPE"].values(rows) != 0 if "TYPE" in columns else np.ones(len(rows), dtype=bool)
        found[int(match[1])] = BadPixels(*(np.asarray(values[bad], dtype=np.int64) for values in (
            columns["RAWX"].values(rows), columns["RAWY"].values(rows), extent)))  # fmt: skip
    return found
