"""Fluxes and luminosities of a fitted model, with their errors and upper limits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from reduction.errors import ReductionError
from reduction.fitting.expression import Model
from reduction.fitting.result import FitResult
from reduction.responses.grid import Floats

ERG_PER_KEV: Final = 1.602176634e-9
"""CODATA 2018, exact."""

CM_PER_MPC: Final = 3.0856775814913673e24
"""IAU 2015 resolution B2, exact."""

LIGHT_KM_S: Final = 299792.458
UPPER: Final = 0.95
"""Probability below an upper limit."""

_BINS: Final = 1000
_DRAWS: Final = 1000
_SEED: Final = 20261129
_TRIES: Final = 50
_STEPS: Final = 2000


@dataclass(frozen=True)
class Flux:
    """A flux or a luminosity between two energies, in `unit`.

    `kind` is "flux", "unabsorbed flux" or "luminosity"; `error_low` and `error_high` are the lengths of its errors,
    `upper` is the upper limit of 95 %; None where they are not known.
    """

    kind: str
    low_kev: float
    high_kev: float
    value: float
    error_low: float | None
    error_high: float | None
    upper: float | None
    unit: str


@dataclass(frozen=True)
class Cosmology:
    """A flat universe: the Hubble constant in km/s/Mpc, and the part of matter."""

    h0: float = 70.0
    matter: float = 0.3

    def luminosity_distance_mpc(self, redshift: float) -> float:
        """Return the luminosity distance of a redshift in Mpc: (1 + z) c/H0 times the integral of dz / E(z), with
        E(z)^2 = matter (1 + z)^3 + 1 - matter (Hogg 1999, equations 14 and 21)."""
        z = np.linspace(0.0, redshift, _STEPS + 1)
        inverse = 1 / np.sqrt(self.matter * (1 + z) ** 3 + 1 - self.matter)
        weights = np.ones(_STEPS + 1)
        weights[1:-1:2], weights[2:-1:2] = 4, 2  # Simpson's rule
        comoving = float(inverse @ weights) * redshift / _STEPS / 3
        return (1 + redshift) * LIGHT_KM_S / self.h0 * comoving


@dataclass(frozen=True)
class Place:
    """How far away a source is: its luminosity distance in Mpc, and its redshift."""

    distance_mpc: float
    redshift: float = 0.0


def place_of(redshift: float | None, distance_mpc: float | None, cosmology: str) -> Place | None:
    """Return how far away a source is.

    Parameters
    ----------
    redshift
        Its redshift; None where it is not known.
    distance_mpc
        Its luminosity distance in Mpc; None for the one of the redshift.
    cosmology
        H0 in km/s/Mpc and the part of matter, as text.

    Returns
    -------
    Place or None
        None where neither redshift nor distance is given.

    Raises
    ------
    ReductionError
        The cosmology is none.
    """
    if distance_mpc is not None:
        return Place(distance_mpc, redshift or 0.0)
    if not redshift:
        return None
    words = cosmology.replace(",", " ").split()
    try:
        h0, matter = (float(word) for word in words)
    except ValueError:
        raise ReductionError(f"{cosmology[:40]!r} came; H0 and the part of matter, such as 70 0.3, are allowed",
                             "cosmology") from None  # fmt: skip
    if not (1 <= h0 <= 1000 and 0 <= matter <= 1):
        raise ReductionError(f"H0 {h0:g} and matter {matter:g} came; H0 from 1 to 1000 km/s/Mpc and matter from 0 to 1 "
                             "are allowed", "cosmology")  # fmt: skip
    return Place(Cosmology(h0, matter).luminosity_distance_mpc(redshift), redshift)


def energy_flux(model: Model, low_kev: float, high_kev: float, values: Floats | list[float] | None = None) -> float:
    """Return the energy flux of a model between two energies.

    Parameters
    ----------
    model
        The model.
    low_kev
        The lower energy in keV.
    high_kev
        The higher one.
    values
        Values of all parameters of the model; None for those that it has.

    Returns
    -------
    float
        erg/cm2/s, from photons in a thousand bins, equal in the logarithm, times their middle energies.
    """
    edges = np.geomspace(low_kev, high_kev, _BINS + 1)
    photons = model.flux_in_bins(edges, values)
    return float(photons @ ((edges[:-1] + edges[1:]) / 2)) * ERG_PER_KEV


def drawn_values(result: FitResult, number: int = _DRAWS) -> Floats | None:
    """Return values of all parameters of the model as the covariance of a fit scatters them within their limits.

    Parameters
    ----------
    result
        The fit.
    number
        How many are drawn.

    Returns
    -------
    ndarray or None
        Shape (number, parameters); None where the fit has no covariance. The same fit gives the same.
    """
    if result.covariance is None or not result.free_names:
        return None
    draw = np.random.default_rng(_SEED)
    free = [result[name] for name in result.free_names]
    low, high = (np.array([getattr(each.parameter, end) for each in free]) for end in ("min", "max"))
    best = np.array([each.value for each in free])
    with np.errstate(all="ignore"):
        values = draw.multivariate_normal(best, result.covariance, number, method="eigh")
        for _ in range(_TRIES):
            outside = ((values < low) | (values > high)).any(axis=1)
            if not outside.any():
                break
            values[outside] = draw.multivariate_normal(best, result.covariance, int(outside.sum()), method="eigh")
    return all_values(result, np.clip(values, low, high))


def all_values(result: FitResult, free: Floats) -> Floats:
    """Return the values of all parameters of the model, shape (n, parameters), for free ones, shape (n, free)."""
    from reduction.fitting.likelihood import Likelihood

    parameters = tuple(each.parameter for each in result.parameters)
    likelihood = Likelihood.of((), result.model, parameters, result.statistic_name)
    size = len(result.model.parameters)
    return np.array([likelihood.full(row)[:size] for row in free])


def fluxes(
    result: FitResult, low_kev: float, high_kev: float, place: Place | None = None, values: Floats | None = None
) -> tuple[Flux, ...]:
    """Return flux, unabsorbed flux and luminosity of a fitted model.

    Parameters
    ----------
    result
        The fit.
    low_kev
        The lower energy as observed, in keV.
    high_kev
        The higher one.
    place
        How far away the source is, for its luminosity; None for no luminosity. The luminosity is the unabsorbed one
        between the same energies in the frame of the source: 4 pi D^2 times the flux between these over 1 + z.
    values
        Values of all parameters of the model that scatter as the posterior does, shape (n, parameters); None for those
        of the covariance.

    Returns
    -------
    tuple of Flux
        With errors of the confidence of the fit, from the scatter; upper limits are of 95 %.

    Raises
    ------
    ReductionError
        The energies are none.
    """
    if not 0 < low_kev < high_kev:
        raise ReductionError(f"{low_kev:g} to {high_kev:g} keV came; a lower energy above 0 and a higher one are "
                             "allowed", "flux")  # fmt: skip
    scatter = drawn_values(result) if values is None else values
    found = [
        _flux("flux", result, result.model, (low_kev, high_kev), scatter),
        _flux("unabsorbed flux", result, result.model.unabsorbed(), (low_kev, high_kev), scatter),
    ]
    if place is not None:
        area = 4 * math.pi * (place.distance_mpc * CM_PER_MPC) ** 2
        shifted = low_kev / (1 + place.redshift), high_kev / (1 + place.redshift)
        bare = _flux("luminosity", result, result.model.unabsorbed(), shifted, scatter)
        found.append(_times(bare, area, (low_kev, high_kev)))
    return tuple(found)


def _flux(kind: str, result: FitResult, model: Model, band: tuple[float, float], scatter: Floats | None) -> Flux:
    """Return the energy flux of a model with errors from the scatter of its parameters."""
    size = len(result.model.parameters)
    value = energy_flux(model, *band, [each.value for each in result.parameters[:size]])
    if scatter is None:
        return Flux(kind, *band, value, None, None, None, "erg/cm2/s")
    edges = np.geomspace(*band, _BINS // 5 + 1)  # the scatter wants no thousand bins
    middle, evaluate = (edges[:-1] + edges[1:]) / 2, model.on(edges)
    with np.errstate(all="ignore"):
        spread = np.array([float(evaluate(row.tolist()) @ middle) for row in scatter]) * ERG_PER_KEV
    spread = spread[np.isfinite(spread)]
    if not spread.size:
        return Flux(kind, *band, value, None, None, None, "erg/cm2/s")
    tail = (1 - result.confidence) / 2
    low, high, upper = np.quantile(spread, [tail, 1 - tail, UPPER])
    return Flux(kind, *band, value, max(0.0, value - float(low)), max(0.0, float(high) - value), float(upper),
                "erg/cm2/s")  # fmt: skip


def _times(flux: Flux, area_cm2: float, band: tuple[float, float]) -> Flux:
    """Return a flux as a luminosity."""

    def scaled(value: float | None) -> float | None:
        return None if value is None else value * area_cm2

    return Flux(flux.kind, *band, flux.value * area_cm2, scaled(flux.error_low), scaled(flux.error_high),
                scaled(flux.upper), "erg/s")  # fmt: skip
