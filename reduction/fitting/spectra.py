"""Spectra that models are sums of: power laws, black bodies, lines. All give photons/cm2/s in bins of energy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from reduction.fitting.components import Component, Evaluate, Kind, Tables, norm
from reduction.fitting.parameters import Parameter
from reduction.responses.grid import Floats

AT_1_KEV = "photons/keV/cm2/s at 1 keV"

LEAST_KEV = 1e-6
"""The energy that stands for 0 keV, where power laws have no value."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(3)
_HALF_WIDTHS = 8.0
_SQRT_HALF = math.sqrt(0.5)


def integrated(edges: Floats, density: Evaluate, places: Floats) -> Evaluate:
    """Return the integral over bins of a density that is known at three places of each (Gauss and Legendre).

    Parameters
    ----------
    edges
        Edges of bins in keV, shape (bins + 1,).
    density
        Gives the density in photons/cm2/s/keV at the places, shape (3, bins).
    places
        The places, from `nodes`, for the type only.

    Returns
    -------
    Evaluate
        Photons/cm2/s in each bin: exact for polynomials of degree 5 within a bin.
    """
    half = np.diff(edges) / 2
    weights = _WEIGHTS[:, None] * half
    if places.shape != weights.shape:
        raise ValueError(f"{places.shape} places for weights of shape {weights.shape}")
    return lambda values: np.asarray(np.einsum("ij,ij->j", weights, density(values)), dtype=np.float64)


def nodes(edges: Floats) -> Floats:
    """Return the three places of each bin at which a density is evaluated, in keV, shape (3, bins)."""
    middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    return np.asarray(np.maximum(middle + _NODES[:, None] * half, LEAST_KEV), dtype=np.float64)


def power_integral(log_edges: Floats, index: float) -> Floats:
    """Return the integral of ``E**-index`` between edges, shape (bins,), from the logarithms of the edges in keV."""
    slope = 1.0 - index
    if abs(slope) < 1e-6:
        return np.diff(log_edges)
    return np.asarray(np.diff(np.exp(slope * log_edges)) / slope, dtype=np.float64)


def _log(edges: Floats) -> Floats:
    return np.log(np.maximum(edges, LEAST_KEV))


def _powerlaw(edges: Floats, tables: Tables) -> Evaluate:
    log_edges = _log(edges)

    def evaluate(values: Sequence[float]) -> Floats:
        index, amount = values
        return amount * power_integral(log_edges, index)

    return evaluate


def _cutoff(edges: Floats, tables: Tables) -> Evaluate:
    places = nodes(edges)
    logs = np.log(places)

    def density(values: Sequence[float]) -> Floats:
        index, cutoff, amount = values
        return np.asarray(amount * np.exp(-index * logs - places / cutoff), dtype=np.float64)

    return integrated(edges, density, places)


def _broken(edges: Floats, tables: Tables) -> Evaluate:
    log_edges = _log(edges)

    def evaluate(values: Sequence[float]) -> Floats:
        index1, at, index2, amount = values
        log_at = math.log(at)
        below = power_integral(np.minimum(log_edges, log_at), index1)
        above = power_integral(np.maximum(log_edges, log_at), index2)
        return amount * (below + math.exp((index2 - index1) * log_at) * above)

    return evaluate


def _planck(edges: Floats, scale: float, power: int) -> Evaluate:
    """Return ``scale E^2 / (kT^power (exp(E/kT) - 1))`` integrated over bins."""
    places = nodes(edges)
    squares = places * places

    def density(values: Sequence[float]) -> Floats:
        temperature, amount = values
        occupation = np.expm1(np.minimum(places / temperature, 700.0))
        return np.asarray(amount * scale / temperature**power * squares / occupation, dtype=np.float64)

    return integrated(edges, density, places)


def _bbody(edges: Floats, tables: Tables) -> Evaluate:
    return _planck(edges, 8.0525, 4)


def _bbodyrad(edges: Floats, tables: Tables) -> Evaluate:
    return _planck(edges, 1.0344e-3, 0)


def _gaussian(edges: Floats, tables: Tables) -> Evaluate:
    def evaluate(values: Sequence[float]) -> Floats:
        line, width, amount = values
        return amount * line_in_bins(edges, line, width)

    return evaluate


def line_in_bins(edges: Floats, energy: float, width: float) -> Floats:
    """Return the part of a Gaussian line that lies in each bin.

    Parameters
    ----------
    edges
        Edges of bins in keV, shape (bins + 1,).
    energy
        Its middle in keV.
    width
        Its standard deviation in keV; a line without width lies in one bin.

    Returns
    -------
    ndarray
        Parts, shape (bins,); their sum is 1 where the bins hold all of the line.
    """
    found = np.zeros(edges.size - 1)
    reach = _HALF_WIDTHS * max(width, 0.0)
    first, last = np.searchsorted(edges, (energy - reach, energy + reach), side="right")
    first, last = max(int(first) - 1, 0), min(int(last), edges.size - 1)
    if last <= first or energy + reach < edges[0]:
        return found
    if width <= 0 or last - first == 1:
        inside = edges[first] <= energy - reach or width <= 0
        if inside and edges[first] <= energy < edges[-1]:
            found[first] = 1.0
            return found
    scaled = (edges[first : last + 1] - energy) * (_SQRT_HALF / width)
    found[first:last] = np.diff([math.erf(each) for each in scaled.tolist()]) / 2
    return found


def _constant(edges: Floats, tables: Tables) -> Evaluate:
    ones = np.ones(edges.size - 1)
    return lambda values: values[0] * ones


def _index(name: str, value: float) -> Parameter:
    return Parameter(name, value, -3.0, 10.0, description="photon index: photons/keV go as energy to minus this")


_KT = "temperature times Boltzmann constant"

SPECTRA = (
    Component(
        "powerlaw", Kind.ADDITIVE, (_index("PhoIndex", 1.7), norm(AT_1_KEV, "photons at 1 keV", 1e-3)), _powerlaw,
        "Power law: norm * E^-PhoIndex, integrated exactly over each bin.", ("po", "pow"),
    ),
    Component(
        "cutoffpl", Kind.ADDITIVE,
        (_index("PhoIndex", 1.0), Parameter("HighECut", 15.0, 0.01, 500.0, "keV", description="e-folding energy"),
         norm(AT_1_KEV, "photons at 1 keV, but for the exponential", 1e-3)), _cutoff,
        "Power law with an exponential cut-off: norm * E^-PhoIndex exp(-E / HighECut).", ("cut",),
    ),
    Component(
        "bknpower", Kind.ADDITIVE,
        (_index("PhoIndx1", 1.0), Parameter("BreakE", 5.0, 0.1, 1000.0, "keV", description="energy of the break"),
         _index("PhoIndx2", 2.0), norm(AT_1_KEV, "photons at 1 keV", 1e-3)), _broken,
        "Broken power law: norm * E^-PhoIndx1 up to BreakE, norm * BreakE^(PhoIndx2 - PhoIndx1) E^-PhoIndx2 above.",
        ("bkn",),
    ),
    Component(
        "bbody", Kind.ADDITIVE,
        (Parameter("kT", 1.0, 1e-3, 100.0, "keV", description=_KT),
         norm("10^39 erg/s / (10 kpc)^2", "luminosity over squared distance", 1e-4)), _bbody,
        "Black body by luminosity: norm * 8.0525 E^2 / (kT^4 (exp(E/kT) - 1)).", ("bb",),
    ),
    Component(
        "bbodyrad", Kind.ADDITIVE,
        (Parameter("kT", 1.0, 1e-3, 100.0, "keV", description=_KT),
         norm("km^2 / (10 kpc)^2", "squared radius over squared distance", 1.0)), _bbodyrad,
        "Black body by radius: norm * 1.0344e-3 E^2 / (exp(E/kT) - 1).",
    ),
    Component(
        "gaussian", Kind.ADDITIVE,
        (Parameter("LineE", 6.5, 0.0, 1e6, "keV", description="energy of the line"),
         Parameter("Sigma", 0.1, 0.0, 20.0, "keV", description="standard deviation of the line"),
         norm("photons/cm2/s", "photons in the line", 1e-5)), _gaussian,
        "Gaussian line of norm photons/cm2/s; one without Sigma lies in one bin.", ("ga", "gauss", "gaus"),
    ),
    Component(
        "constant", Kind.MULTIPLICATIVE, (Parameter("factor", 1.0, 0.0, 1e10, description="factor"),), _constant,
        "A factor that is the same at all energies.", ("const",),
    ),
)  # fmt: skip
"""Spectra with formulas, and the factor without."""
