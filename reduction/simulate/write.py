"""Writing of an EPIC-like event list: headers, rows CCD by CCD, good times, exposure and bad pixels of every CCD.

Keywords and column limits are those of real event lists; there is no DATE, so that the same observation gives the same
bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import astropy.units as u
import numpy as np

from provenance.fits.atomic import replacing
from provenance.fits.cards import Value
from reduction.events import fitswrite
from reduction.simulate.cameras import CENTRE, UNITS_PER_ARCSEC, X_MAX, Camera
from reduction.simulate.draw import Detector
from reduction.simulate.observation import MISSION_EPOCH, Observation
from reduction.simulate.response import FILTER
from reduction.simulate.rows import MOS_ROW, PN_ROW

CREATOR = "reduction.simulate"
EXPOSURE_STEP_S = 10.0
_DETECTOR_LIMIT = 21000
_LIMITS: dict[str, tuple[int, int]] = {
    "DETX": (-_DETECTOR_LIMIT, _DETECTOR_LIMIT), "DETY": (-_DETECTOR_LIMIT, _DETECTOR_LIMIT),
    "X": (1, X_MAX), "Y": (1, X_MAX), "PHA": (0, 4095), "PI": (0, 20479),
}  # fmt: skip
_UNITS = {
    "TIME": "s", "RAWX": "pixel", "RAWY": "pixel", "DETX": "0.05arcsec", "DETY": "0.05arcsec", "X": "0.05arcsec",
    "Y": "0.05arcsec", "PHA": "CHAN", "PI": "CHAN", "TIME_RAW": "s",
}  # fmt: skip
_PRIMARY: fitswrite.Cards = [
    ("SIMPLE", True, "conforms to FITS standard"), ("BITPIX", 8, "array data type"),
    ("NAXIS", 0, "number of array dimensions"), ("EXTEND", True, ""),
]  # fmt: skip
_Cards = fitswrite.Cards
_Header = dict[str, tuple[Value, str]]
"""Value and comment of each keyword: a card that comes again takes the place of the first."""


def write_event_list(
    path: Path, observation: Observation, camera: Camera, chips: tuple[Detector, ...], batches: Iterable[np.ndarray]
) -> int:
    """Write an event list, whole or not at all.

    Parameters
    ----------
    path
        The file; an existing file is replaced.
    observation
        Its pointing and times.
    camera
        The camera.
    chips
        Its CCDs, with good times and bad pixels.
    batches
        Rows of the CCDs, one after another, in the layout of `rows.PN_ROW` or `rows.MOS_ROW`.

    Returns
    -------
    int
        Number of rows.
    """
    with replacing(path) as file:
        return _write(file, observation, camera, chips, batches)


def _write(
    file: BinaryIO, observation: Observation, camera: Camera, chips: tuple[Detector, ...], batches: Iterable[np.ndarray]
) -> int:
    primary: _Header = {}
    _add(primary, _PRIMARY + _identity(observation, camera) + _time_cards(observation) + _pointing(observation))
    file.write(_text(primary))
    start = file.tell()
    file.write(_text(_events_header(observation, camera, chips, 0)))
    rows = 0
    for batch in batches:
        file.write(batch.tobytes())
        rows += len(batch)
    _pad(file)
    end = file.tell()
    file.seek(start)
    file.write(_text(_events_header(observation, camera, chips, rows)))
    file.seek(end)
    for make_table in (_good_times, _exposure, _bad_pixels):
        for chip in chips:
            header, table = make_table(observation, camera, chip)
            file.write(_text(header))
            file.write(table.tobytes())
            _pad(file)
    return rows


def ontime_s(camera: Camera, chip: Detector) -> float:
    """Return the sum of the good times of a CCD in seconds."""
    return chip.frames * camera.frame_s


def _events_header(observation: Observation, camera: Camera, chips: tuple[Detector, ...], rows: int) -> _Header:
    dtype = PN_ROW if camera.has_pn_columns else MOS_ROW
    first, last = chips[0].ccd.columns, chips[0].ccd.rows
    header = _table_header("EVENTS", np.zeros(0, dtype), _UNITS, _LIMITS | {"RAWX": (1, first), "RAWY": (1, last)})
    header["NAXIS2"] = rows, header["NAXIS2"][1]
    names = list(dtype.names or ())
    for axis, name, world, step in (
        ("X", "RA---TAN", observation.ra, -1), ("Y", "DEC--TAN", observation.dec, 1)
    ):  # fmt: skip
        number, step_deg = names.index(axis) + 1, step / (3600 * UNITS_PER_ARCSEC)
        _add(header, [
            (f"TCTYP{number}", name, "WCS Coord. type"), (f"TCRPX{number}", CENTRE, "WCS axis reference pixel"),
            (f"TCRVL{number}", world, "[deg] WCS coord. at reference pixel"),
            (f"TCDLT{number}", step_deg, "[deg/pix] WCS increment"), (f"TCUNI{number}", "deg", "WCS physical units"),
            (f"REF{axis}CTYP", name, "WCS Coord. type"), (f"REF{axis}CRPX", CENTRE, "WCS axis reference pixel"),
            (f"REF{axis}CRVL", world, "[deg] WCS coord. at reference pixel"),
            (f"REF{axis}CDLT", step_deg, "[deg/pix] WCS increment"),
            (f"REF{axis}LMIN", 1, "WCS minimum legal axis value"),
            (f"REF{axis}LMAX", X_MAX, "WCS maximum legal axis value"),
            (f"REF{axis}CUNI", "deg", "WCS physical units"),
        ])  # fmt: skip
    cards = _identity(observation, camera) + _time_cards(observation) + _pointing(observation)
    cards += [
        ("HDUCLASS", "OGIP", "Format conforms to OGIP/GSFC conventions"), ("HDUCLAS1", "EVENTS", "List of events"),
        (camera.flag_card, f"(FLAG & 0x{camera.flag_mask:x}) == 0", "Usual selection of good events"),
    ]  # fmt: skip
    _add(header, cards + _live_cards(camera, chips))
    return header


def _identity(observation: Observation, camera: Camera) -> _Cards:
    content = f"EPIC {'PN' if camera.has_pn_columns else 'MOS'} IMAGING MODE EVENT LIST"
    revolution = int((observation.start_time.mjd - 51522.0) / 1.9944)
    return [
        ("CREATOR", CREATOR, "simulated: not an observation"), ("ORIGIN", "SIMULATION", "origin of FITS file"),
        ("CONTENT", content, "Contents of file"),
        ("TELESCOP", "XMM", "Telescope (mission) name"), ("INSTRUME", camera.key, "Instrument name"),
        ("OBS_MODE", "POINTING", "Observation mode"), ("DATAMODE", "IMAGING", "Instrument mode"),
        ("SUBMODE", camera.submode, "Guest Observer mode"), ("FILTER", FILTER, "Filter ID"),
        ("OBS_ID", observation.obs_id, "Observation identifier"),
        ("EXP_ID", observation.obs_id + camera.exposure_id[1:], "Exposure identifier"),
        ("EXPIDSTR", camera.exposure_id, "Exposure identifier (Xnnn)"),
        ("REVOLUT", revolution, "XMM revolution number (computed)"),
        ("OBJECT", observation.target, "Name of observed object"), ("OBSERVER", "SIMULATED", "Name of PI"),
        ("FRMTIME", round(camera.frame_s * 1000), "[ms] Frame Time, nearest integer"),
    ]  # fmt: skip


def _time_cards(observation: Observation) -> _Cards:
    end = observation.start_time + observation.exposure_s * u.s
    stop = float((end - MISSION_EPOCH).to_value("s"))
    return [
        ("DATE-OBS", observation.start_time.isot[:19], "Start Time (UTC) of exposure"),
        ("DATE-END", end.isot[:19], "End Time (UTC) of exposure"),
        *_clock(),
        ("TSTART", observation.tstart, "[s] start of the exposure"), ("TSTOP", stop, "[s] end of the exposure"),
        ("TELAPSE", stop - observation.tstart, "[s] elapsed time"),
    ]  # fmt: skip


def _clock() -> _Cards:
    return [
        ("TIMESYS", "TT", "XMM time will be TT (Terrestrial Time)"),
        ("MJDREF", 50814.0, "[d] 1998-01-01T00:00:00 (TT) expressed in MJD"),
        ("TIMEZERO", 0, "Clock correction (if not zero)"), ("TIMEUNIT", "s", "All times in s"),
        ("CLOCKAPP", True, "Clock correction applied"), ("TIMEREF", "LOCAL", "Reference location of arrival times"),
        ("TASSIGN", "SATELLITE", "Location of time assignment"),
    ]  # fmt: skip


def _pointing(observation: Observation) -> _Cards:
    cards: _Cards = [
        ("EQUINOX", 2000.0, "Equinox for sky coordinate x/y axes"),
        ("RADECSYS", "FK5", "World coord. system"),
    ]
    for suffix, words in (("OBJ", "the observed object"), ("NOM", "boresight"), ("PNT", "the optical axis")):
        cards.append((f"RA_{suffix}", observation.ra, f"[deg] Ra of {words}"))
        cards.append((f"DEC_{suffix}", observation.dec, f"[deg] Dec of {words}"))
    return [*cards, ("PA_PNT", observation.pa, "[deg] position angle of the optical axis")]


def _live_cards(camera: Camera, chips: tuple[Detector, ...]) -> _Cards:
    cards: _Cards = []
    for chip in chips:
        good = ontime_s(camera, chip)
        cards.append((f"ONTIME{chip.ccd.number:02d}", good, "[s] Sum of GTIs for a particular CCD"))
        cards.append(
            (f"LIVETI{chip.ccd.number:02d}", good * camera.live_fraction, "[s] Live time for a particular CCD")
        )
    central = next(ontime_s(camera, chip) for chip in chips if chip.ccd.number == camera.central_ccd)
    cards.append(("ONTIME", central, "[s] Sum of GTIs for the central CCD"))
    cards.append(("LIVETIME", central * camera.live_fraction, "[s] Live time for the central CCD"))
    return cards


def _good_times(observation: Observation, camera: Camera, chip: Detector) -> tuple[_Header, np.ndarray]:
    table = np.zeros(len(chip.starts), dtype=[("START", ">f8"), ("STOP", ">f8")])
    table["START"] = observation.tstart + chip.starts * camera.frame_s
    table["STOP"] = observation.tstart + chip.stops * camera.frame_s
    header = _table_header(f"STDGTI{chip.ccd.number:02d}", table, {"START": "s", "STOP": "s"})
    _add(header, [
        ("CCDID", chip.ccd.number, "CCD ID"), ("HDUCLASS", "OGIP", "format conforms to OGIP standard"),
        ("HDUCLAS1", "GTI", "table contains Good Time Intervals"), ("HDUCLAS2", "STANDARD", "standard GTI table"),
        ("ONTIME", ontime_s(camera, chip), "[s] sum of all Good Time Intervals"),
        ("TSTART", float(table["START"][0]), "[s] Lower bound of first GTI"),
        ("TSTOP", float(table["STOP"][-1]), "[s] Upper bound of last GTI"), *_clock(),
    ])  # fmt: skip
    return header, table


def _exposure(observation: Observation, camera: Camera, chip: Detector) -> tuple[_Header, np.ndarray]:
    """Return the live share of steps of 10 s (real tables have a row per frame)."""
    edges = np.arange(0.0, observation.exposure_s, EXPOSURE_STEP_S)
    table = np.zeros(len(edges), dtype=[("TIME", ">f8"), ("TIMEDEL", ">f4"), ("FRACEXP", ">f4")])
    table["TIME"] = observation.tstart + edges
    table["TIMEDEL"] = EXPOSURE_STEP_S
    start_s, stop_s = chip.starts * camera.frame_s, chip.stops * camera.frame_s
    for start, stop in zip(start_s, stop_s, strict=True):
        overlap = np.minimum(edges + EXPOSURE_STEP_S, stop) - np.maximum(edges, start)
        table["FRACEXP"] += np.maximum(overlap, 0) / EXPOSURE_STEP_S * camera.live_fraction
    header = _table_header(f"EXPOSU{chip.ccd.number:02d}", table, {"TIME": "s", "TIMEDEL": "s"})
    _add(header, [("CCDID", chip.ccd.number, "CCD ID"), *_clock()])
    return header, table


def _bad_pixels(observation: Observation, camera: Camera, chip: Detector) -> tuple[_Header, np.ndarray]:
    names = ("RAWX", "RAWY", "TYPE", "YEXTENT", "BADFLAG")
    table = np.zeros(len(chip.bad), dtype=[(name, ">i2") for name in names])
    for index, name in enumerate(names[:4]):
        table[name] = chip.bad[:, index]
    table["BADFLAG"] = 2
    header = _table_header(
        f"BADPIX{chip.ccd.number:02d}", table, {"RAWX": "pixel", "RAWY": "pixel", "YEXTENT": "pixel"}
    )
    _add(header, [
        ("CCDID", chip.ccd.number, "CCD ID"), ("TELESCOP", "XMM", "Telescope (mission) name"),
        ("INSTRUME", camera.key, "Instrument name"), ("OBS_ID", observation.obs_id, "Observation identifier"),
    ])  # fmt: skip
    return header, table


def _table_header(
    name: str, table: np.ndarray, units: dict[str, str], limits: dict[str, tuple[int, int]] | None = None
) -> _Header:
    """Return the header of a binary table with the dtype and length of `table`."""
    forms = {"f8": "D", "f4": "E", "i4": "J", "i2": "I", "u1": "B"}
    cards: _Cards = [
        ("XTENSION", "BINTABLE", "binary table extension"), ("BITPIX", 8, "8-bit bytes"),
        ("NAXIS", 2, "2-dimensional table"),
        ("NAXIS1", table.dtype.itemsize, "width of table in bytes"), ("NAXIS2", len(table), "number of rows in table"),
        ("PCOUNT", 0, "size of special data area"), ("GCOUNT", 1, "one data group"),
        ("TFIELDS", len(table.dtype.names or ()), "number of fields in each row"),
    ]  # fmt: skip
    for number, column in enumerate(table.dtype.names or (), start=1):
        cards.append((f"TTYPE{number}", column, "name of the column"))
        cards.append((f"TFORM{number}", forms[table.dtype[column].str[1:]], "format of the column"))
        if column in units:
            cards.append((f"TUNIT{number}", units[column], "unit of the column"))
        if limits and column in limits:
            cards.append((f"TLMIN{number}", limits[column][0], "minimum legal value"))
            cards.append((f"TLMAX{number}", limits[column][1], "maximum legal value"))
    header: _Header = {}
    _add(header, [*cards, ("EXTNAME", name, "name of this table")])
    return header


def _add(header: _Header, cards: _Cards) -> None:
    header.update((key, (value, comment)) for key, value, comment in cards)


def _text(header: _Header) -> bytes:
    return fitswrite.header((key, value, comment) for key, (value, comment) in header.items())


def _pad(file: BinaryIO) -> None:
    file.write(b"\0" * (-file.tell() % 2880))
