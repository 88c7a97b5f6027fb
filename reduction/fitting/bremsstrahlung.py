"""Bremsstrahlung of a hot gas of hydrogen and helium, with an averaged Gaunt factor."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from reduction.fitting.components import Component, Evaluate, Kind, Tables, norm
from reduction.fitting.parameters import Parameter
from reduction.fitting.spectra import integrated, nodes
from reduction.responses.grid import Floats

RYDBERG_KEV = 13.605693e-3
"""Energy that ionises hydrogen, in keV."""

HELIUM = 0.085
"""Helium atoms for each of hydrogen, as XSPEC has them."""

LOG_U = np.linspace(-5.0, 3.0, 81)
"""Common logarithms of photon energy over temperature at which the Gaunt factor is tabulated."""

LOG_GAMMA2 = np.linspace(-6.0, 2.0, 33)
"""Common logarithms of ``Z^2 Ry / kT`` at which the Gaunt factor is tabulated."""


@lru_cache(maxsize=1)
def gaunt_table() -> Floats:
    """Return the Gaunt factor, shape (gamma2, u): Born's approximation with the factor of Elwert.

    For an electron of the energies E before and F after it is ``sqrt(3)/pi ln((sqrt E + sqrt F) / (sqrt E - sqrt F))``
    times ``sqrt(E/F) (1 - exp(-2 pi n(E))) / (1 - exp(-2 pi n(F)))`` with ``n(E) = sqrt(Z^2 Ry / E)`` (Elwert 1939,
    Ann. Phys. 34, 178), averaged over the Maxwellian energies F.
    """
    places = np.linspace(-16.0, 3.6, 400)
    after = np.exp(places)
    before = after + 10.0 ** LOG_U[:, None]
    ratio = np.sqrt(before / after)
    born = np.sqrt(3) / np.pi * np.log((ratio + 1) ** 2 * after / (before - after))
    weights = np.exp(-after) * after * (places[1] - places[0])
    found = np.empty((LOG_GAMMA2.size, LOG_U.size))
    for row, gamma2 in enumerate(10.0**LOG_GAMMA2):
        turn = 2 * np.pi * np.sqrt(gamma2)
        elwert = ratio * np.expm1(-turn / np.sqrt(before)) / np.expm1(-turn / np.sqrt(after))
        found[row] = (born * elwert) @ weights
    return found


def gaunt(u: Floats, gamma2: float) -> Floats:
    """Return the averaged Gaunt factor.

    Parameters
    ----------
    u
        Photon energy over temperature.
    gamma2
        ``Z^2 Ry / kT``: how much the charge of the ion matters.

    Returns
    -------
    ndarray
        The factor, shape of `u`; linear between the places of the table.
    """
    at = np.clip((np.log10(gamma2) - LOG_GAMMA2[0]) / (LOG_GAMMA2[1] - LOG_GAMMA2[0]), 0, LOG_GAMMA2.size - 1)
    row = min(int(at), LOG_GAMMA2.size - 2)
    table = gaunt_table()
    mixed = table[row] + (at - row) * (table[row + 1] - table[row])
    return np.asarray(np.interp(np.log10(u), LOG_U, mixed), dtype=np.float64)


def _bremss(edges: Floats, tables: Tables) -> Evaluate:
    places = nodes(edges)

    def density(values: Sequence[float]) -> Floats:
        temperature, amount = values
        u = places / temperature
        gamma2 = RYDBERG_KEV / temperature
        factor = gaunt(u, gamma2) + 4 * HELIUM * gaunt(u, 4 * gamma2)
        return np.asarray(amount * factor * np.exp(-u) / (places * temperature**0.5), dtype=np.float64)

    return integrated(edges, density, places)


BREMSSTRAHLUNG = Component(
    "bremss", Kind.ADDITIVE,
    (Parameter("kT", 7.0, 1e-2, 200.0, "keV", description="temperature of the gas times Boltzmann constant"),
     norm("3.02e-15 / (4 pi D^2) Int n_e n_I dV", "emission measure over squared distance (cgs)", 1e-3)), _bremss,
    "Bremsstrahlung of hydrogen and 8.5 % of helium: norm (g1 + 4 * 0.085 g2) exp(-E/kT) / (E sqrt(kT)). The Gaunt "
    "factors are Born's with that of Elwert; XSPEC takes those of Kellogg, Baldwin and Koch (1975, ApJ 199, 299), some "
    "percent apart.", ("brems", "brem"),
)  # fmt: skip
"""Bremsstrahlung with XSPEC's norm."""
