"""The thermal spectrum of an optically thin gas in collisional equilibrium, from the tables of APEC (AtomDB)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from provenance.fits.bintable import Table
from provenance.fits.pha import KEV_ANGSTROM
from reduction.errors import ReductionError
from reduction.events import fitsfile
from reduction.events.fitsfile import FitsFile
from reduction.fitting.components import Component, Evaluate, Kind, Tables, norm
from reduction.fitting.parameters import Parameter
from reduction.responses import files
from reduction.responses.grid import Floats

METALS = (6, 7, 8, 10, 12, 13, 14, 16, 18, 20, 26, 28)
"""Atomic numbers of the elements that the abundance scales, as in XSPEC; the others are solar."""

NORM = 1e14
"""Emissivity in cm3/s to photons/cm2/s for a norm of 1."""


@dataclass(frozen=True)
class ApecFiles:
    """The two files of a version of APEC: lines and continuum, with a table for each temperature in keV."""

    lines: FitsFile
    continuum: FitsFile
    temperatures_kev: Floats


def open_tables(folder: Path | None) -> ApecFiles:
    """Find the tables of APEC.

    Parameters
    ----------
    folder
        The folder with ``apec_v..._line.fits`` and ``apec_v..._coco.fits``; the last version by name is taken.

    Returns
    -------
    ApecFiles
        The files, of which only headers have been read.

    Raises
    ------
    ReductionError
        No folder is configured, or it does not hold both files of a version.
    """
    if folder is None:
        raise ReductionError("apec needs the tables of AtomDB (apec_v..._line.fits and apec_v..._coco.fits), and no "
                             "folder of them is configured; ask for them, or take bremss and lines",
                             "model")  # fmt: skip
    lines = sorted(path for path in folder.glob("apec_v*_line.fits") if _continuum_of(path).is_file())
    if not lines:
        raise ReductionError("the folder of APEC's tables holds no pair apec_v..._line.fits and apec_v..._coco.fits",
                             "model")  # fmt: skip
    line, continuum = (fitsfile.scan(path, "model") for path in (lines[-1], _continuum_of(lines[-1])))
    (temperatures,) = files.numbers(line, line.table(line.hdus[1]), "KT")
    count = temperatures.size
    if count < 2 or min(len(line.hdus), len(continuum.hdus)) < count + 2 or not (np.diff(temperatures) > 0).all():
        raise ReductionError(f"{line.name} has {count} temperatures and {len(line.hdus) - 2} tables of lines; it is no "
                             "whole file of APEC", "model")  # fmt: skip
    return ApecFiles(line, continuum, temperatures)


def _continuum_of(lines: Path) -> Path:
    return lines.with_name(lines.name.replace("_line.", "_coco."))


@dataclass(frozen=True)
class _Grid:
    """Emissivities on one grid of energies, by temperature as they are needed: metals, and all else; cm3/s in bins."""

    tables: ApecFiles
    edges: Floats
    known: dict[int, tuple[Floats, Floats]] = field(default_factory=dict)

    def at(self, temperature: float, abundance: float) -> Floats:
        """Return the emissivity at a temperature in keV, linear between those of the tables."""
        grid = self.tables.temperatures_kev
        row = int(np.clip(np.searchsorted(grid, temperature) - 1, 0, grid.size - 2))
        part = min(max((temperature - grid[row]) / (grid[row + 1] - grid[row]), 0.0), 1.0)
        below, above = self._row(row, abundance), self._row(row + 1, abundance)
        return np.asarray((1 - part) * below + part * above, dtype=np.float64)

    def _row(self, row: int, abundance: float) -> Floats:
        if row not in self.known:
            others, metals = np.zeros(self.edges.size - 1), np.zeros(self.edges.size - 1)
            _add_lines(self.tables.lines, row, self.edges, others, metals)
            _add_continuum(self.tables.continuum, row, self.edges, others, metals)
            self.known[row] = (others, metals)
        others, metals = self.known[row]
        return np.asarray(others + abundance * metals, dtype=np.float64)


def _add_lines(file: FitsFile, row: int, edges: Floats, others: Floats, metals: Floats) -> None:
    table = file.table(file.hdus[row + 2])
    wavelength, emissivity, element = files.numbers(file, table, "LAMBDA", "EPSILON", "ELEMENT")
    with np.errstate(divide="ignore"):
        energies = KEV_ANGSTROM / wavelength
    is_metal = np.isin(element, METALS)
    metals += np.histogram(energies[is_metal], edges, weights=emissivity[is_metal])[0]
    others += np.histogram(energies[~is_metal], edges, weights=emissivity[~is_metal])[0]


def _add_continuum(file: FitsFile, row: int, edges: Floats, others: Floats, metals: Floats) -> None:
    table = file.table(file.hdus[row + 2])
    elements, ions = files.numbers(file, table, "Z", "RMJ")
    middle, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    for energies_name, values_name, count_name in (
        ("E_CONT", "CONTINUUM", "N_CONT"),
        ("E_PSEUDO", "PSEUDO", "N_PSEUDO"),
    ):
        energies, values = (_lists(file, table, name) for name in (energies_name, values_name))
        (counts,) = files.numbers(file, table, count_name)
        for at, (element, ion, count) in enumerate(zip(elements, ions, counts.astype(int), strict=True)):
            if count < 2 or ion != 0:
                continue
            sums = metals if element in METALS else others
            sums += width * np.interp(middle, energies[at][:count], values[at][:count], left=0.0, right=0.0)


def _lists(file: FitsFile, table: Table, name: str) -> list[Floats]:
    with fitsfile.reduction_errors("model"), file.path.open("rb") as stream:
        lengths, items = table.lists(stream, name)
    return np.split(items, np.cumsum(lengths)[:-1])


def _apec(edges: Floats, tables: Tables) -> Evaluate:
    opened = open_tables(tables.apec)
    grids: dict[float, _Grid] = {}

    def evaluate(values: Sequence[float]) -> Floats:
        temperature, abundance, redshift, amount = values
        if redshift not in grids:
            grids.clear()
            grids[redshift] = _Grid(opened, edges * (1 + redshift))
        return amount * NORM / (1 + redshift) * grids[redshift].at(temperature, abundance)

    return evaluate


APEC = Component(
    "apec", Kind.ADDITIVE,
    (Parameter("kT", 1.0, 0.008, 64.0, "keV", description="temperature of the gas times Boltzmann constant"),
     Parameter("Abundanc", 1.0, 0.0, 5.0, frozen=True, description="metals, in units of the Sun (Anders and Grevesse)"),
     Parameter("Redshift", 0.0, -0.999, 10.0, frozen=True, description="redshift"),
     norm("1e-14 / (4 pi (D_A (1+z))^2) Int n_e n_H dV", "emission measure over squared distance (cgs)", 1e-3)), _apec,
    "Optically thin gas in collisional equilibrium: Smith et al. (2001, ApJ 556, L91), from AtomDB's tables; lines "
    "are not broadened by heat.",
)  # fmt: skip
"""Thermal plasma with XSPEC's parameters and norm."""
