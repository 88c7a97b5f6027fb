"""Good time intervals of event lists and of GTI files: their tables read onto one clock, by CCD.

The value itself, which this module hands on, is that of `goodtime`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from provenance.fits import gtitables
from provenance.fits.cards import Value
from provenance.fits.hdus import Hdu
from provenance.fits.headers import numeral
from provenance.fits.timing import SECONDS
from reduction.errors import ReductionError
from reduction.events.clock import Clock
from reduction.events.fitsfile import FitsFile, reduction_errors, scan
from reduction.events.goodtime import GTI, GTITables, combine, of_ccd, span, union

__all__ = ["GTI", "Clock", "GTITables", "TabledGTI", "combine", "of_ccd", "read_file", "read_tables", "span", "union"]

CCD_OF_NAME = r"STDGTI(\d\d)"
"""Pattern of the names of tables that are of one CCD by convention, its number as a group."""


class TabledGTI(dict[int | None, GTI]):
    """Good time by CCD number (None: every CCD) as tables have it.

    `names` are those of the tables, by CCD, where one alone says it; `notes` are sentences for the log.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[int | None, str] = {}
        self.notes: list[str] = []

    def add(self, name: str, ccd: int | None, good: GTI) -> None:
        """Take in a table: several of one CCD are intersected.

        Parameters
        ----------
        name
            The name of the table.
        ccd
            The CCD that it is of; None for all.
        good
            Its intervals.
        """
        self.names[ccd] = "" if ccd in self else name
        self[ccd] = self[ccd] & good if ccd in self else good


def read_tables(
    file: FitsFile, clock: Clock, *inherited: Mapping[str, Value], ccd_of_name: str = CCD_OF_NAME
) -> TabledGTI:
    """Read the good time intervals of a file, on the given clock, by CCD (None: all).

    The tables are those that `gtitables.gti_tables` finds. The CCD comes from the name (as STDGTInn is CCD nn), else
    from CCDID or CCD_ID or from the data subspace keywords that refer to the table. Several tables of one CCD are
    intersected: each came from a selection on top of the others.

    Parameters
    ----------
    file
        The file.
    clock
        The clock of the event list.
    *inherited
        Headers that say what times count from where a table does not; the primary one if none is given.
    ccd_of_name
        Pattern of the names of tables that are of one CCD, its number as a group.

    Returns
    -------
    TabledGTI
        Good time by CCD number.

    Raises
    ------
    ReductionError
        A table makes no sense, or its clock is not that of the event list; the error names the parameter of the file.
    """
    return _read(file, gtitables.gti_tables(file.hdus), clock, inherited or (file.hdus[0].cards,), ccd_of_name)


def read_file(path: Path, clock: Clock, parameter: str = "gti") -> TabledGTI:
    """Read the good time intervals of a user's FITS file.

    Any table with columns START and STOP will do where none is one of good times by its name.

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
    TabledGTI
        Good time by CCD number; under None what holds for every CCD.

    Raises
    ------
    ReductionError
        The file is no FITS file, has no good time intervals, or counts times in another time system or place.
    """
    file = scan(path, parameter)
    tables = gtitables.gti_tables(file.hdus) or gtitables.interval_tables(file.hdus)
    if not tables:
        raise ReductionError(f"{path.name} has no table of good time intervals: one with columns START and STOP is "
                             "looked for, by convention named STDGTI or GTI or with HDUCLAS1 = GTI; it has "
                             f"{_contents(file)[:300]}", parameter)  # fmt: skip
    primary = file.hdus[0].cards
    found = _read(file, tables, clock, (primary,))
    unsaid = {hdu.name: words for hdu in tables if (words := Clock.of(hdu.cards, primary).unsaid(clock))}
    found.notes += [f"table {name} of {path.name} has no {words}: taken to be as in the event list"
                    for name, words in unsaid.items()]  # fmt: skip
    return found


def _read(
    file: FitsFile, tables: Iterable[Hdu], clock: Clock, inherited: Iterable[Mapping[str, Value]],
    ccd_of_name: str = CCD_OF_NAME,
) -> TabledGTI:  # fmt: skip
    """Read some tables of a file, and note which of its tables are passed over or taken against convention."""
    found, referred = TabledGTI(), _referred_ccds(file.hdus)
    taken = list(tables)
    for hdu in taken:
        found.add(hdu.name, _ccd_of(hdu, referred, ccd_of_name), _read_table(file, hdu, clock, inherited))
    odd = [hdu.name for hdu in taken if not gtitables.is_gti(hdu)]
    if odd:
        found.notes.append(f"the good times of {file.name} are those of {', '.join(odd)[:200]}")
    over = [hdu.name for hdu in gtitables.interval_tables(file.hdus) if hdu not in taken]
    if over:
        found.notes.append(f"{', '.join(over)[:200]} of {file.name} with START and STOP: not taken for good times")
    return found


def _contents(file: FitsFile) -> str:
    """Return the names of the HDUs, those of tables with their columns, for an error."""
    texts = []
    for hdu in file.hdus:
        columns = [str(hdu.cards[key]).strip() for key in hdu.cards if re.fullmatch(r"TTYPE\d{1,3}", key)]
        texts.append(f"{hdu.name or '(no name)'}{f' ({names})' if (names := ', '.join(columns)) else ''}")
    return ", ".join(texts)


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


def _ccd_of(hdu: Hdu, referred: Mapping[str, int], ccd_of_name: str) -> int | None:
    """Return the CCD of a table; None for all.

    The name comes first: in STDGTInn of pn, as the SAS writes event lists, CCDID is the number within QUADRANT, 0 to 2.
    """
    if found := re.fullmatch(ccd_of_name, hdu.name):
        return int(found[1])
    for key in ("CCDID", "CCD_ID", "CCDNR"):
        value = numeral(hdu.cards.get(key))
        if value is not None and value.is_integer():
            quadrant = numeral(hdu.cards.get("QUADRANT"))
            return int(value) if quadrant is None or key == "CCDNR" else int(3 * quadrant + value + 1)
    return referred.get(hdu.name)


def _read_table(file: FitsFile, hdu: Hdu, clock: Clock, inherited: Iterable[Mapping[str, Value]]) -> GTI:
    """Return the intervals of one table, on the given clock. Raise ReductionError."""
    where, parameter = f"table {hdu.name or hdu.index} of {file.name}", file.parameter
    with reduction_errors(parameter), file.path.open("rb") as stream:
        table = gtitables.read(stream, hdu, file.name)
    if table.unit not in SECONDS:
        raise ReductionError(f"{where} is in {table.unit[:40]}; good times are read in {', '.join(SECONDS)}", parameter)
    seconds = SECONDS[table.unit]
    try:
        good = GTI.of(table.start * seconds, table.stop * seconds, parameter)
        return good.shifted(Clock.of(hdu.cards, *inherited).seconds_to(clock, parameter))
    except ReductionError as error:
        raise ReductionError(f"{where}: {error}", parameter) from error
