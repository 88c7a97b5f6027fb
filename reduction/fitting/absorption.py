"""Photoelectric absorption: the factor exp(-nH sigma(E)), with cross-sections from tables or a published formula."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from reduction.errors import ReductionError
from reduction.fitting.components import Component, Evaluate, Kind, Tables
from reduction.fitting.parameters import Parameter
from reduction.responses import files
from reduction.responses.grid import Floats

ABUNDANCES = ("wilm", "angr", "aspl")
"""Tables of abundances: Wilms et al. (2000), Anders and Grevesse (1989), Asplund et al. (2009)."""

MORRISON_MCCAMMON = (
    (0.030, 17.3, 608.1, -2150.0),
    (0.100, 34.6, 267.9, -476.1),
    (0.284, 78.1, 18.8, 4.3),
    (0.400, 71.4, 66.8, -51.4),
    (0.532, 95.5, 145.8, -61.1),
    (0.707, 308.9, -380.6, 294.0),
    (0.867, 120.6, 169.3, -47.7),
    (1.303, 141.3, 146.8, -31.5),
    (1.840, 202.7, 104.7, -17.0),
    (2.471, 342.7, 18.7, 0.0),
    (3.210, 352.2, 18.7, 0.0),
    (4.038, 433.9, -2.4, 0.75),
    (7.111, 629.0, 30.9, 0.0),
    (8.331, 701.2, 25.2, 0.0),
)
"""Cross-section of Morrison and McCammon (1983, ApJ 270, 119), table 2: from an energy in keV on it is
``(c0 + c1 E + c2 E^2) / E^3`` in 1e-24 cm2 per hydrogen atom."""


def morrison_mccammon(energies_kev: Floats) -> Floats:
    """Return the cross-section of Morrison and McCammon (1983) in 1e-22 cm2, shape of `energies_kev`.

    Below 0.03 keV and above 10 keV, where nothing is published, the nearest of the fourteen polynomials goes on.
    """
    begins = np.array([row[0] for row in MORRISON_MCCAMMON])
    row = np.clip(np.searchsorted(begins, energies_kev, side="right") - 1, 0, None)
    c0, c1, c2 = np.array(MORRISON_MCCAMMON).T[1:, row]
    return np.asarray((c0 + c1 * energies_kev + c2 * energies_kev**2) / energies_kev**3 / 100, dtype=np.float64)


def table_folder(tables: Tables) -> Path | None:
    """Return the folder of cross-sections: the one configured, else that of an installed astromodels; else None."""
    if tables.absorption is not None:
        return tables.absorption
    found = find_spec("astromodels")
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(next(iter(found.submodule_search_locations))) / "data" / "xsect"
    return folder if folder.is_dir() else None


@lru_cache(maxsize=16)
def read_cross_sections(path: Path) -> tuple[Floats, Floats]:
    """Read a table of cross-sections.

    Parameters
    ----------
    path
        A FITS file whose table has columns ENERGY in keV and SIGMA in 1e-22 cm2, whatever the unit that it writes.

    Returns
    -------
    energies, cross-sections
        In keV and in 1e-22 cm2.

    Raises
    ------
    ReductionError
        It is no such file.
    """
    with files.opened(path, "model") as file:
        hdu = next((each for each in file.hdus if each.is_table), None)
        if hdu is None:
            raise ReductionError(f"{path.name} has no table of cross-sections", "model")
        energies, sigma = files.numbers(file, file.table(hdu), "ENERGY", "SIGMA")
    if energies.size < 2 or not (np.diff(energies) > 0).all() or not np.isfinite(sigma).all():
        raise ReductionError(
            f"the energies of {path.name} do not ascend, or its cross-sections are no numbers", "model"
        )
    return energies, sigma


def cross_sections(name: str, energies_kev: Floats, tables: Tables) -> Floats:
    """Return the cross-sections of an absorption model.

    Parameters
    ----------
    name
        tbabs, phabs or wabs.
    energies_kev
        Energies in keV.
    tables
        Where the tables lie, and the abundances.

    Returns
    -------
    ndarray
        Cross-sections in 1e-22 cm2 per hydrogen atom, shape of `energies_kev`: linear in the logarithms of a table,
        which goes on with its last slope at both ends.

    Raises
    ------
    ReductionError
        There is no such table.
    """
    if name == "wabs":
        return morrison_mccammon(energies_kev)
    path = _table_path(name, tables)
    energies, sigma = read_cross_sections(path)
    return _interpolated(np.log(energies_kev), np.log(energies), np.log(np.maximum(sigma, 1e-30)))


def _table_path(name: str, tables: Tables) -> Path:
    folder = table_folder(tables)
    if folder is None:
        raise ReductionError(f"{name} needs tables of cross-sections, and no folder of them is configured; use wabs, "
                             "whose formula is built in, or ask for the tables (the Python package astromodels has "
                             "them)", "model")  # fmt: skip
    path = folder / f"xsect_{name}_{tables.abundances}.fits"
    if not path.is_file():
        known = [each for each in ABUNDANCES if (folder / f"xsect_{name}_{each}.fits").is_file()]
        raise ReductionError(f"there is no table of {name} with the abundances {tables.abundances[:20]}; "
                             f"{'there are ' + ', '.join(known) if known else 'there are none of it'}",
                             "abundances")  # fmt: skip
    return path


def _interpolated(log_energies: Floats, known: Floats, log_sigma: Floats) -> Floats:
    found = np.interp(log_energies, known, log_sigma)
    below, above = log_energies < known[0], log_energies > known[-1]
    first = (log_sigma[9] - log_sigma[0]) / (known[9] - known[0]) if known.size > 9 else -3.0
    last = (log_sigma[-1] - log_sigma[-10]) / (known[-1] - known[-10]) if known.size > 9 else -3.0
    found[below] = log_sigma[0] + first * (log_energies[below] - known[0])
    found[above] = log_sigma[-1] + last * (log_energies[above] - known[-1])
    return np.exp(found)


def _prepare(name: str, edges: Floats, tables: Tables) -> Evaluate:
    middle = (edges[1:] + edges[:-1]) / 2
    sigma = cross_sections(name, middle, tables)

    def evaluate(values: Sequence[float]) -> Floats:
        return np.exp(-values[0] * sigma)

    return evaluate


def _component(name: str, description: str, *aliases: str) -> Component:
    column = Parameter("nH", 0.1, 0.0, 1e3, "10^22 cm^-2", description="column density of hydrogen")
    return Component(name, Kind.MULTIPLICATIVE, (column,), partial(_prepare, name), description, aliases)


ABSORPTION = (
    _component("tbabs", "Absorption by gas, molecules and grains: Wilms, Allen and McCray (2000, ApJ 542, 914).", "tb"),
    _component("phabs", "Photoelectric absorption with the cross-sections of Balucinska-Church and McCammon or Verner.",
               "ph"),
    _component("wabs", "Absorption by Morrison and McCammon (1983, ApJ 270, 119), abundances of Anders and Ebihara.",
               "wa"),
)  # fmt: skip
"""Absorption at no redshift."""
