"""The King profiles in a file XRTn_XPSF_nnnn.CCF of XMM-Newton's current calibration files: its table KING_PARAMS.

A row holds ENERGY in eV, THETA (the angle from the axis) in radians, and PARAMS: the core radius in arcsec and the
slope of ``(1 + (r / core)^2)^-slope``, as the Calibration Access and Data Handbook (XMM-PS-GM-20, in its section on
CAL_getEncircledEnergy) and the release notes of the files (XMM-CCF-REL-116) describe them. A unit that the file states
is believed, if it is one of energy or angle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import astropy.units as u
import numpy as np
import numpy.typing as npt

from provenance.fits.bintable import Table
from provenance.fits.columns import Column, Rows
from reduction.errors import ReductionError
from reduction.events import fitsfile
from reduction.events.fitsfile import FitsFile
from reduction.instruments import KingTable
from reduction.instruments.psf import MAX_ANGLE_ARCMIN, MAX_ENERGY_KEV

Floats = npt.NDArray[np.float64]

TABLE: Final = "KING_PARAMS"

MOST_CORE_ARCSEC, MOST_SLOPE = 60.0, 10.0
"""Largest core radius and steepest slope that are believed; those of XMM-Newton are 7 arcsec and 1.6 at most."""

MOST_KEV, MOST_ARCMIN = 100.0, 60.0
"""Largest energy and angle that are believed: with other units than are meant there is always one beyond."""

_LEAST_HIGHEST_KEV = 1.0
_UNITS = {"ev": "eV", "kev": "keV", "radian": "rad", "radians": "rad", "degree": "deg", "degrees": "deg"}
_MOST_NAMES = 8


@dataclass(frozen=True)
class _Rows:
    """What the rows of the table hold, shape (n,) each, and the words that errors begin with."""

    energy_kev: Floats
    angle_arcmin: Floats
    core_arcsec: Floats
    slope: Floats
    title: str
    parameter: str

    def refused(self, text: str) -> ReductionError:
        """Return an error that names the table."""
        return ReductionError(f"{self.title} {text}", self.parameter)


def read_king_table(file: FitsFile) -> tuple[KingTable, tuple[str, ...]]:
    """Read the King profiles of a file, and sentences about what of them is left out.

    Parameters
    ----------
    file
        The file, plain.

    Returns
    -------
    tuple
        Profiles at two or more energies in keV and angles in arcmin. The formulae that such tables are made by run out
        of sense at high energies far off the axis: energies and angles beyond those that were measured are left out
        where a core radius is not above 0 or a slope not above 1, and a sentence says so.

    Raises
    ------
    ReductionError
        There is no such table, a column is not what it should be, a value is none or cannot be one, or the profiles are
        not at each energy for each angle.
    """
    rows = _read(file)
    _require_ranges(rows)
    energies, row = np.unique(np.round(rows.energy_kev, 6), return_inverse=True)
    angles, column = np.unique(np.round(rows.angle_arcmin, 4), return_inverse=True)
    if len(energies) < 2 or len(angles) < 2:
        raise rows.refused(f"has profiles at {_number(len(energies), 'energy', 'energies')} and "
                           f"{_number(len(angles), 'angle', 'angles')}; two of each are needed at least")  # fmt: skip
    core, slope = (
        _on_grid(rows, values, (energies, row), (angles, column)) for values in (rows.core_arcsec, rows.slope)
    )
    return _sensible(rows, KingTable(energies, angles, core, slope))


def _read(file: FitsFile) -> _Rows:
    """Read the columns of the table."""
    hdu = next((hdu for hdu in file.hdus if hdu.is_table and hdu.name.upper() == TABLE), None)
    if hdu is None:
        names = [hdu.name or "(no name)" for hdu in file.hdus]
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        raise ReductionError(f"{file.name} has no table {TABLE} with the King profiles of a telescope; it has "
                             f"{', '.join(names[:_MOST_NAMES])}{more}", file.parameter)  # fmt: skip
    table = file.table(hdu)
    title = f"{TABLE} of {file.name}"
    if lost := [name for name in ("ENERGY", "THETA", "PARAMS") if name not in table.columns]:
        raise ReductionError(f"{title} has no column {', '.join(lost)}; it has {', '.join(table.columns)}",
                             file.parameter)  # fmt: skip
    energy_factor = _factor(table.columns["ENERGY"], u.eV, u.keV, title, file.parameter)
    angle_factor = _factor(table.columns["THETA"], u.rad, u.arcmin, title, file.parameter)
    _require_numbers(table, title, file.parameter)
    rows, columns = file.read(hdu)
    if not len(rows):
        raise ReductionError(f"{title} has no rows", file.parameter)
    params = _params(file, table, rows)
    found = _Rows(columns["ENERGY"].floats(rows) * energy_factor, columns["THETA"].floats(rows) * angle_factor,
                  params[:, 0], params[:, 1], title, file.parameter)  # fmt: skip
    for name in ("energy_kev", "angle_arcmin", "core_arcsec", "slope"):
        lost_rows = np.flatnonzero(~np.isfinite(getattr(found, name)))
        if len(lost_rows):
            words = {"energy_kev": "ENERGY", "angle_arcmin": "THETA"}.get(name, "PARAMS")
            raise found.refused(f"has no number as {words} in row {lost_rows[0] + 1}")
    return found


def _factor(column: Column, usual: u.UnitBase, wanted: u.UnitBase, title: str, parameter: str) -> float:
    """Return what makes values of a column those of the wanted unit. Raise ReductionError for another kind of unit."""
    text = column.unit.strip()
    unit = u.Unit(_UNITS.get(text.lower(), text), parse_strict="silent") if text else usual
    if not unit.is_equivalent(wanted):
        raise ReductionError(f"{column.name} of {title} is in {text[:20]!r}; {usual} is read, or another unit of that "
                             "kind", parameter)  # fmt: skip
    return float(unit.to(wanted))


def _require_numbers(table: Table, title: str, parameter: str) -> None:
    """Raise ReductionError unless energies and angles are numbers, and PARAMS two of them or more."""
    for name in ("ENERGY", "THETA", "PARAMS"):
        column = table.columns[name]
        is_right = column.is_number
        if name == "PARAMS":
            is_right = (column.items or column.letter) in "BIJKED" and (bool(column.items) or column.repeat >= 2)
        if not is_right:
            wanted = "one number" if name != "PARAMS" else "two numbers or more (core radius in arcsec, slope)"
            form = column.form + column.items
            raise ReductionError(f"{name} of {title} has TFORM {form!r}; {wanted} in each row are read",
                                 parameter)  # fmt: skip
    unit = table.columns["PARAMS"].unit.strip().lower()
    if unit not in ("", "arcsec", '"') and u.Unit(_UNITS.get(unit, unit), parse_strict="silent").is_equivalent(u.rad):
        raise ReductionError(f"PARAMS of {title} is in {unit[:20]!r}; the core radius is read in arcsec", parameter)


def _params(file: FitsFile, table: Table, rows: Rows) -> Floats:
    """Return core radii and slopes, shape (rows, 2), of cells that hold two numbers or more, or lists of them."""
    column = table.columns["PARAMS"]
    if not column.items:
        return np.asarray(column.floats(rows), dtype=np.float64).reshape(len(rows), -1)[:, :2]
    with fitsfile.reduction_errors(file.parameter), file.path.open("rb") as stream:
        lengths, values = table.lists(stream, "PARAMS")
    for row in np.flatnonzero(lengths < 2)[:1]:
        raise ReductionError(f"PARAMS of {TABLE} of {file.name} has {lengths[row]} numbers in row {row + 1}; two or "
                             "more (core radius in arcsec, slope) are read", file.parameter)  # fmt: skip
    first = np.cumsum(lengths) - lengths
    return np.stack((values[first], values[first + 1]), axis=1)


def _require_ranges(rows: _Rows) -> None:
    """Raise ReductionError for energies and angles that no telescope of XMM-Newton has."""
    low, high = float(rows.energy_kev.min()), float(rows.energy_kev.max())
    if low < 0 or not _LEAST_HIGHEST_KEV <= high <= MOST_KEV:
        raise rows.refused(f"has energies from {low:.4g} to {high:.4g} keV; from 0 to some {_LEAST_HIGHEST_KEV:g} to "
                           f"{MOST_KEV:g} keV are allowed (ENERGY is in eV)")  # fmt: skip
    low, high = float(rows.angle_arcmin.min()), float(rows.angle_arcmin.max())
    if low < 0 or high > MOST_ARCMIN:
        raise rows.refused(f"has angles from {low:.4g} to {high:.4g} arcmin; from 0 to {MOST_ARCMIN:g} arcmin are "
                           "allowed (THETA is in radians)")  # fmt: skip


def _on_grid(
    rows: _Rows, values: Floats, energies: tuple[Floats, npt.NDArray[np.intp]],
    angles: tuple[Floats, npt.NDArray[np.intp]],
) -> Floats:  # fmt: skip
    """Return values at each energy and angle. Raise ReductionError where one is missing, or there are two."""
    grid = np.full((len(energies[0]), len(angles[0])), np.nan)
    grid[energies[1], angles[1]] = values
    for row, column in np.argwhere(np.isnan(grid))[:1]:
        raise rows.refused(f"has profiles at {len(energies[0])} energies and {len(angles[0])} angles, but none at "
                           f"{energies[0][row]:g} keV and {angles[0][column]:.3g} arcmin")  # fmt: skip
    for index in np.flatnonzero(grid[energies[1], angles[1]] != values)[:1]:
        raise rows.refused(f"has two profiles at {rows.energy_kev[index]:g} keV and {rows.angle_arcmin[index]:.3g} "
                           "arcmin, which differ")  # fmt: skip
    return grid


def _sensible(rows: _Rows, table: KingTable) -> tuple[KingTable, tuple[str, ...]]:
    """Return the profiles without those beyond the measured ones that make no sense, and sentences that say so."""
    good = (table.core_arcsec > 0) & (table.core_arcsec <= MOST_CORE_ARCSEC) & (table.slope > 1)
    good &= table.slope <= MOST_SLOPE
    measured = np.ix_(table.energies_kev <= MAX_ENERGY_KEV, table.angles_arcmin <= MAX_ANGLE_ARCMIN)
    for row, column in np.argwhere(~good[measured])[:1]:
        core, slope = (float(values[measured][row, column]) for values in (table.core_arcsec, table.slope))
        raise rows.refused(f"has a core radius of {core:.4g} arcsec and a slope of {slope:.4g} at "
                           f"{table.energies_kev[row]:g} keV and {table.angles_arcmin[column]:.3g} arcmin; core radii "
                           f"above 0 and to {MOST_CORE_ARCSEC:g} arcsec and slopes above 1 and to {MOST_SLOPE:g} are "
                           "allowed")  # fmt: skip
    low = table.energies_kev <= MAX_ENERGY_KEV
    near = (table.angles_arcmin <= MAX_ANGLE_ARCMIN) | good[low].all(axis=0)
    near = np.logical_and.accumulate(near)
    kept = np.logical_and.accumulate(low | good[:, near].all(axis=1))
    if kept.all() and near.all():
        return table, ()
    inside = np.ix_(kept, near)
    left = KingTable(
        table.energies_kev[kept], table.angles_arcmin[near], table.core_arcsec[inside], table.slope[inside]
    )
    if min(left.core_arcsec.shape) < 2:
        raise rows.refused(f"has sensible profiles at {len(left.energies_kev)} energies and {len(left.angles_arcmin)} "
                           "angles; two of each are needed at least")  # fmt: skip
    return left, (f"{rows.title}: profiles above {left.energies_kev[-1]:g} keV or {left.angles_arcmin[-1]:.3g} arcmin "
                  "have no sense (core radius not above 0, or slope not above 1) and are left out; those at the edge "
                  "hold beyond",)  # fmt: skip


def _number(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"
