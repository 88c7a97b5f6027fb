"""Spectra as OGIP PHA files (OGIP/92-007, 92-007a) with the keywords of the XMM-Newton SAS."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from provenance.fits.atomic import write_bytes
from reduction.events import fitswrite
from reduction.events.dss import DataSubspace
from reduction.events.eventlist import EventList
from reduction.events.fitswrite import LONGSTRN, PRIMARY, Card, Cards, TableColumn
from reduction.missions import CREATOR
from reduction.spectra.spectrum import Spectrum

SHARED_AREA = "BKGSHARE"
"""Keyword of a spectrum whose region overlaps that of its background: the part of its own area; ours, not OGIP's."""

_CARRIED_NAME = re.compile(r"[A-Z0-9_-]{1,8}")

_NOT_CARRIED = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|TFIELDS|THEAP|EXTNAME|EXTVER|EXTLEVEL|HDUNAME|HDUSPEC|HDUDOC"
    r"|CHECKSUM|DATASUM|CREATOR|ORIGIN|DATE|LONGSTRN|HISTORY|COMMENT|CONTINUE|END|HDUCLA(SS|S\d)|HDUVERS\d?|CONTENT"
    r"|\d*DS(TYP|VAL|FORM|UNIT?|REF)\d+|M(TYPE|FORM)\d+|XPROC\d*|XDAL\d*|SLCTEXPR|NEVENTS|NPIXSOU|TSORTKEY|FILIN\d+"
    r"|T(TYPE|FORM|UNIT|NULL|SCAL|ZERO|DISP|DIM|LMIN|LMAX|DMIN|DMAX|CTYP|CRPX|CRVL|CDLT|CUNI|CROT|CNA|CTY)\d+"
    r"|(LONP|LATP)\d+|EXPOSUR\w*|ONTIME\w*|LIVETI\w*|LIVTI\w*|XMMEA_\w+|"
)
"""Keywords of the event list that do not hold for a product made from it, or that its writer sets."""


_OF_ONE_SPECTRUM = re.compile(
    r"AREASCAL|BACKSCAL|CORRSCAL|CORRFILE|BACKFILE|RESPFILE|ANCRFILE|POISSERR|SYS_ERR|CHANTYPE|DETCHANS|QUALITY|GROUPING"
    r"|SPECDELT|SPECPIX|SPECVAL|BKGSHARE|(SNGL|DBLE|ESGL|EDBL)_OTM|NUMSPEC"
)
"""Keywords of a spectrum that do not hold for a sum, or that its writer sets."""


def observation_cards(events: EventList) -> Cards:
    """Return the keywords of the event list that hold for its products too, without repetitions."""
    comments: dict[str, str] = {}
    for hdu in (events.events, events.hdus[0]):
        for key, text in fitswrite.raw_cards(hdu.header):
            comments.setdefault(key, fitswrite.comment(text))
    return [
        (key, value, comments.get(key, ""))
        for key, value in events.keywords.items()
        if value is not None and _CARRIED_NAME.fullmatch(key) and not _NOT_CARRIED.fullmatch(key)
        and (isinstance(value, str) or math.isfinite(value))
    ]  # fmt: skip


def primary_cards(events: EventList) -> Cards:
    """Return the primary header of a product: the software that made it, and the observation.

    There is no DATE, so that the same run gives the same bytes; the VO-TAGS have the date of the product (CREA_DAT).
    """
    creator: Cards = [("CREATOR", CREATOR, "name of code which created this file")]
    return [*PRIMARY, *creator, *LONGSTRN, *observation_cards(events)]


def write_spectrum(
    path: Path,
    spectrum: Spectrum,
    events: EventList,
    subspace: DataSubspace,
    kind: str = "TOTAL",
    background_file: str = "NONE",
    shared_area: float = 0.0,
    more: Sequence[Card] = (),
) -> None:
    """Write a spectrum as an OGIP PHA file, whole or not at all.

    Parameters
    ----------
    path
        The file; an existing file is replaced.
    spectrum
        The spectrum; without grouping the columns GROUPING and QUALITY are left out.
    events
        The open event list from which it was extracted; the keywords of the observation are taken from it.
    subspace
        Description of the selection, from `dss.describe`.
    kind
        HDUCLAS2: TOTAL (source and background) or BKG.
    background_file
        Name of the background spectrum in the same folder (BACKFILE), or NONE.
    shared_area
        Part of the region's area that lies in the region of the background, 0 to 1; 0 is not written.
    more
        Further keywords, such as those of pile-up.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    files = Files(background=background_file)
    cards = _spectrum_cards(spectrum, events.keywords, kind, files, subspace)
    if shared_area > 0:
        cards.append((SHARED_AREA, round(shared_area, 4), "Part of this region in that of BACKFILE"))
    _write(path, primary_cards(events), spectrum, [*cards, *more], subspace.tables)


@dataclass(frozen=True)
class Files:
    """The files that a spectrum names: its background, its redistribution and its effective area; NONE for none."""

    background: str = "NONE"
    response: str = "NONE"
    area: str = "NONE"


def write_combined(
    path: Path, spectrum: Spectrum, headers: Sequence[Mapping[str, Any]], kind: str, files: Files, more: Sequence[Card]
) -> None:
    """Write the sum of spectra as an OGIP PHA file, whole or not at all.

    Parameters
    ----------
    path
        The file; an existing file is replaced.
    spectrum
        The sum; without grouping the columns GROUPING and QUALITY are left out.
    headers
        Keywords of the spectra that were summed; those of the observation that all of them share are taken.
    kind
        HDUCLAS2: TOTAL (source and background) or BKG.
    files
        The files in the same folder that it names.
    more
        Further keywords, such as those that tell what was summed.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    shared = _shared_keywords(headers)
    creator: Cards = [*PRIMARY, ("CREATOR", CREATOR, "name of code which created this file"), *LONGSTRN]
    primary = [*creator, *((key, value, "") for key, value in shared.items())]
    _write(path, primary, spectrum, [*_spectrum_cards(spectrum, shared, kind, files), *more], ())


def _shared_keywords(headers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the keywords of the observation that are the same in all headers, and when they began and ended."""
    first = headers[0]
    shared = {key: value for key, value in first.items()
              if value is not None and _CARRIED_NAME.fullmatch(key) and not _NOT_CARRIED.fullmatch(key)
              and not _OF_ONE_SPECTRUM.fullmatch(key) and all(each.get(key) == value for each in headers)
              and (isinstance(value, str) or math.isfinite(value))}  # fmt: skip
    for key, choose in (("DATE-OBS", min), ("DATE-END", max)):
        if all(isinstance(each.get(key), str) for each in headers):
            shared[key] = choose(each[key] for each in headers)
    return shared


def _write(path: Path, primary: Cards, spectrum: Spectrum, cards: Cards, tables: Sequence[bytes]) -> None:
    columns = [
        TableColumn("CHANNEL", spectrum.channel.astype(np.int16), "", "pulse invariant channel"),
        TableColumn("COUNTS", spectrum.counts.astype(np.int32), "count", "counts per channel"),
    ]
    if spectrum.grouping is not None and spectrum.quality is not None:
        columns.append(TableColumn("GROUPING", spectrum.grouping, "", "1 starts a group, -1 continues it"))
        columns.append(TableColumn("QUALITY", spectrum.quality, "", "Quality flag of this channel (0=good)"))
    parts = [fitswrite.header(primary), fitswrite.table("SPECTRUM", columns, cards), *tables]
    write_bytes(path, b"".join(parts))


def _spectrum_cards(
    spectrum: Spectrum, keywords: Mapping[str, Any], kind: str, files: Files, subspace: DataSubspace | None = None
) -> Cards:
    """Return the keywords of the SPECTRUM table."""
    mission = spectrum.mission
    cards: Cards = [
        *LONGSTRN,
        ("TELESCOP", keywords.get("TELESCOP", mission.telescope), "Telescope (mission) name"),
        ("INSTRUME", keywords.get("INSTRUME", mission.instruments[0]), "Instrument name"),
        ("FILTER", keywords.get("FILTER", "NONE"), "Filter ID"),
        ("SLCTEXPR", subspace.expression if subspace else None, ""),
        ("HDUCLASS", "OGIP", "Format conforms to OGIP/GSFC conventions"),
        ("HDUCLAS1", "SPECTRUM", "File contains a spectrum"),
        ("HDUCLAS2", kind, "gross counts" if kind == "TOTAL" else "background counts"),
        ("HDUCLAS3", "COUNT", "Spectrum is stored as counts"),
        ("HDUVERS", "1.2.1", "Version of format (OGIP/92-007a)"),
        ("HDUVERS1", "1.1.0", "Version of format, for older readers"),
        ("AREASCAL", 1.0, "Nominal scaling factor for data"),
        ("CORRSCAL", 1.0, "Nominal scaling factor for correction file"),
        ("POISSERR", True, "Poisson errors appropriate"),
        ("SYS_ERR", 0, "Global systematic error"),
        ("CHANTYPE", "PI", "Type of channel data"),
        ("DETCHANS", len(spectrum.channel), "Total number of detector channels available"),
    ]
    if spectrum.grouping is None:
        cards += [("QUALITY", 0, "All channels have good quality"), ("GROUPING", 0, "No data grouping done")]
    if mission.channel_divisor > 1:
        cards += [
            ("SPECDELT", mission.channel_divisor, "Spectral channel size, ie the binning factor"),
            ("SPECPIX", mission.first_channel, "Channel corresponding to SPECVAL"),
            ("SPECVAL", (mission.channel_divisor - 1) / 2, "Original chan value at center of channel SPECPIX"),
        ]
    cards += [
        *(subspace.cards if subspace else []),
        ("EXPOSURE", spectrum.exposure_s, "[s] Weighted live time of CCDs in the region"),
        ("BACKSCAL", spectrum.backscal, "Scaling factor for background"),
        ("BACKFILE", files.background, "Background FITS file"),
        ("CORRFILE", "NONE", "Correction FITS file"),
        ("RESPFILE", files.response, "redistribution matrix"),
        ("ANCRFILE", files.area, "ancillary response"),
        ("TLMIN1", mission.first_channel, "Lowest channel"),
        ("TLMAX1", mission.last_channel, "Highest channel"),
    ]
    return cards
