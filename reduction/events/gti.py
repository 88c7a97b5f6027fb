"""Good time intervals of event lists and of GTI files: their tables read onto one clock, by CCD.

The value itself, which this module hands on, is that of `goodtime`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from provenance.fits import gtitables
from provenance.fits.hdus import Hdu
from reduction.errors import ReductionError
from reduction.events.clock import Clock
from reduction.events.fitsfile import FitsFile, reduction_errors, scan
from reduction.events.goodtime import GTI, GTITables, combine, of_ccd, span, union

__all__ = ["GTI", "Clock", "GTITables", "combine", "of_ccd", "read_file", "read_tables", "span", "union"]


def read_tables(file: FitsFile, clock: Clock) -> dict[int | None, GTI]:
    """Read the good time intervals of a file, on the given clock, by CCD (None: all).

    The tables are those that `gtitables.is_gti` finds. The CCD comes from CCDID or CCD_ID, else from the name (STDGTInn
    is CCD nn) or from the data subspace keywords that refer to the table. Several tables of one CCD are intersected:
    each came from a selection on top of the others.

    Raises ReductionError (naming the parameter of the file) for a table that makes no sense.
    """
    found: dict[int | None, GTI] = {}
    referred = _referred_ccds(file.hdus)
    for hdu in gtitables.gti_tables(file.hdus):
        ccd = _ccd_of(hdu, referred)
        good = _read_table(file, hdu, clock)
        found[ccd] = found[ccd] & good if ccd in found else good
    return found


def read_file(path: Path, clock: Clock, parameter: str = "gti") -> dict[int | None, GTI]:
    """Read the good time intervals of a user's FITS file.

    Parameters
    ----------
    path
        FITS file, inflated.
    clock
        The clock of the event list, whose seconds the intervals are given in.
    parameter
        Job parameter named in errors.

    Returns
    -------
    dict
        Good time by CCD number; under None what holds for every CCD.

    Raises
    ------
    ReductionError
        The file is no FITS file, has no good time intervals, or counts times in another time system.
    """
    file = scan(path, parameter)
    found = read_tables(file, clock)
    if not found:
        raise ReductionError(f"{path.name} has no table of good time intervals (STDGTI, GTI, or HDUCLAS1 = GTI, with "
                             f"columns START and STOP); it has {file.names[:200]}", parameter)  # fmt: skip
    return found


def _referred_ccds(hdus: Sequence[Hdu]) -> dict[str, int]:
    """Return the CCD by name of GTI table.

    The data subspace says it, with keywords such as 2DSVAL1 = '2' beside 2DSREF6 = ':GTI00103'.
    """
    found: dict[str, int] = {}
    for hdu in (each for each in hdus if "DSTYP1" in each.cards):
        ccd_keys = {key[5:] for key, value in hdu.cards.items() if re.fullmatch(r"DSTYP\d", key) and value == "CCDNR"}
        for key, value in hdu.cards.items() if ccd_keys else ():
            match = re.fullmatch(r"(\d*)DSREF\d", key)
            if match and str(value).startswith(":GTI"):
                ccds = [str(hdu.cards.get(f"{match[1]}DSVAL{number}")).strip() for number in ccd_keys]
                found |= {str(value)[1:].strip(): int(ccd) for ccd in ccds if re.fullmatch(r"\d{1,3}", ccd)}
    return found


def _ccd_of(hdu: Hdu, referred: Mapping[str, int]) -> int | None:
    for key in ("CCDID", "CCD_ID", "CCDNR"):
        value = hdu.cards.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    if found := re.fullmatch(r"STDGTI(\d\d)", hdu.name):
        return int(found[1])
    return referred.get(hdu.name)


def _read_table(file: FitsFile, hdu: Hdu, clock: Clock) -> GTI:
    """Return the intervals of one table, on the given clock. Raise ReductionError."""
    where, parameter = f"table {hdu.name or hdu.index} of {file.name}", file.parameter
    with reduction_errors(parameter), file.path.open("rb") as stream:
        table = gtitables.read(stream, hdu, file.name)
    if table.unit != "s":
        raise ReductionError(f"{where} is in {table.unit[:40]}; good times are read in s", parameter)
    try:
        good = GTI.of(table.start, table.stop, parameter)
        return good.shifted(Clock.of(hdu.cards).seconds_to(clock, parameter))
    except ReductionError as error:
        raise ReductionError(f"{where}: {error}", parameter) from error
