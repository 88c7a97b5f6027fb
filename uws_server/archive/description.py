"""What a file of the archive is: an event list or a product, of which observation, and the sky that it sees."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from provenance import obscore
from provenance.fits.headers import Cards
from provenance.text.errors import ProvenanceError
from reduction.errors import ReductionError
from reduction.events.eventlist import EventList, NoEventList, open_eventlist
from reduction.events.footprint import footprint
from uws_server.archive import footprints, pps_names
from uws_server.archive.pps_names import PpsName

EVENT_LIST: Final = "events"
PRODUCT: Final = "product"
OBSERVATION: Final = "observation"
SUPERSEDED: Final = "superseded"
"""Kinds of rows: a file of events, another file, an exposure of an imported table (no file here), and one of these in
whose place a file has come."""

_NOTES: Final = {
    "": "no pointing and no positions: no region finds it",
    "pointing": "no positions: the field about its pointing is taken",
    "hull": "few events: the field is their convex hull",
    "events": "",
}
"""What to know of the footprint of an event list, by how it was found."""

_NOT_SHOWN: Final = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True)
class Description:
    """A row of the archive. Texts are empty and numbers None where they are not known.

    `ra` and `dec` are the pointing, else the middle of the field, in degrees; `t_min` and `t_max` are MJD;
    `exposure_s` is the live time, at most of all CCDs; `footprint` are the cells as bytes (`footprints.cells`); `row`
    is the ObsCore row as JSON.
    """

    kind: str
    collection: str = ""
    obs_id: str = ""
    instrument: str = ""
    exposure: str = ""
    filter: str = ""
    mode: str = ""
    target: str = ""
    observer: str = ""
    ra: float | None = None
    dec: float | None = None
    t_min: float | None = None
    t_max: float | None = None
    exposure_s: float | None = None
    footprint: bytes = b""
    row: str = ""
    note: str = ""


def describe(path: Path, scratch: Path | None = None) -> Description:
    """Describe a FITS file of the archive; one that cannot be read has a note that says why.

    Parameters
    ----------
    path
        The file, plain or gzipped.
    scratch
        Folder where a gzipped event list is inflated.

    Raises
    ------
    OSError
        The file is not there any more, or may not be read.
    """
    try:
        row: Mapping[str, obscore.Value] = obscore.from_file(path)
    except ProvenanceError as error:
        return _of_row({}, pps_names.parse(path.name), shown(str(error).replace(str(path), path.name)))
    known = _of_row(row, pps_names.parse(path.name))
    try:
        with open_eventlist(path, "file", scratch) as events:
            return _event_list(events, known)
    except NoEventList:
        return known
    except ReductionError as error:
        return replace(known, note=shown(error))


def _event_list(events: EventList, known: Description) -> Description:
    """Add to what the ObsCore row tells of an event list what its header and its events tell."""
    cards = Cards(events.keywords)
    seen = footprint(events, footprints.ORDER)
    ra, dec = cards.number("RA_PNT"), cards.number("DEC_PNT")
    if ra is None or dec is None:
        ra, dec = known.ra, known.dec
    if (ra is None or dec is None) and seen.cells is not None:
        middle = seen.cells.barycenter()
        ra, dec = float(middle.ra.deg), float(middle.dec.deg)
    return replace(
        known,
        kind=EVENT_LIST,
        instrument=_text(cards, "INSTRUME") or known.instrument,
        exposure=_text(cards, "EXPIDSTR", "EXP_ID") or known.exposure,
        filter=_text(cards, "FILTER"),
        mode=_text(cards, "SUBMODE", "DATAMODE"),
        observer=_text(cards, "OBSERVER"),
        ra=ra,
        dec=dec,
        footprint=b"" if seen.cells is None else footprints.cells(seen.cells).astype("<u4").tobytes(),
        row=_with_outline(known.row, seen.outline),
        note=_NOTES[seen.way],
    )


def _with_outline(row: str, outline: npt.NDArray[np.float64]) -> str:
    """Return an ObsCore row with the outline of the footprint as its region, which any client of ObsCore can draw.

    The cells themselves, exact where CCDs were off, are served as a MOC.
    """
    if not row or not len(outline):
        return row
    corners = " ".join(f"{ra:.6f} {dec:.6f}" for ra, dec in outline.tolist())
    return json.dumps({**json.loads(row), "s_region": f"Polygon ICRS {corners}"}, separators=(",", ":"))


def _of_row(header: Mapping[str, obscore.Value], name: PpsName | None, note: str = "") -> Description:
    """Return what the ObsCore row of a file tells of it, and for what it does not the name of the file."""
    row = {**_of_name(name), **header} if name is not None else header

    def text(column: str, most: int = 60) -> str:
        return shown(row.get(column, ""))[:most]

    def number(column: str) -> float | None:
        value = row.get(column)
        return float(value) if isinstance(value, (int, float)) else None

    return Description(
        PRODUCT,
        collection=text("obs_collection"),
        obs_id=text("obs_id"),
        instrument=text("instrument_name", 32),
        exposure="" if name is None else name.exposure,
        target=text("target_name"),
        ra=number("s_ra"),
        dec=number("s_dec"),
        t_min=number("t_min"),
        t_max=number("t_max"),
        exposure_s=number("t_exptime"),
        row=json.dumps(dict(row), separators=(",", ":")) if header else "",
        note=note,
    )


def _of_name(name: PpsName) -> dict[str, obscore.Value]:
    """Return the ObsCore columns that the name of a file of XMM-Newton tells."""
    told = {"obs_id": name.obs_id, "instrument_name": name.instrument, "dataproduct_type": name.dataproduct_type,
            "obs_collection": "XMM-Newton", "facility_name": "XMM-Newton"}  # fmt: skip
    return {column: text for column, text in told.items() if text}


def _text(cards: Cards, *names: str) -> str:
    """Return the first of some keywords that has text, printable and at most 32 characters long."""
    return next(filter(None, (shown(cards.value(name) or "")[:32] for name in names)), "")


def shown(text: object) -> str:
    """Return text of a file as one line of printable ASCII."""
    return _NOT_SHOWN.sub(" ", str(text)).strip()


def cells_of(footprint_bytes: bytes) -> footprints.Cells:
    """Return the cells of a footprint that is kept as bytes."""
    return np.frombuffer(footprint_bytes, dtype="<u4").reshape(-1, 2)
