"""Spectra of sources that are models of a fit, written as expressions, so that the fit's parameters are the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reduction.errors import ReductionError
from reduction.fitting.expression import Model, parse_model
from reduction.fitting.parameters import Setting
from reduction.simulate import spectra

_HALF = 1e-5
"""Half of the width of the bin, relative to the energy, in which the model is taken at single energies."""


@dataclass(frozen=True, eq=False)
class Modelled:
    """The spectrum of a model, absorption included, with the values of its parameters."""

    model: Model

    @classmethod
    def of(cls, expression: str, values: Mapping[str, float]) -> Modelled:
        """Return the spectrum of an expression.

        Parameters
        ----------
        expression
            Such as ``wabs*powerlaw``.
        values
            Values of parameters by name; the others have those that a fit begins with.

        Returns
        -------
        Modelled
            The spectrum.

        Raises
        ------
        ReductionError
            The expression is no model, or a parameter is not one of it, or out of its limits.
        """
        settings = {name: Setting(value=value) for name, value in values.items()}
        made = cls(parse_model(expression).with_settings(settings, "parameters"))
        if not made.flux > 0:
            raise ReductionError(f"{expression[:60]!r} gives no photons with these values", "parameters")
        return made

    @property
    def flux(self) -> float:
        """The flux in erg / cm2 / s in 0.2-12 keV, as it arrives."""
        middle, (low, high) = spectra.MIDDLES_KEV, spectra.FLUX_BAND_KEV
        in_band = (middle > low) & (middle < high)
        photons = self.model.flux_in_bins(spectra.EDGES_KEV)
        return float(np.sum(photons[in_band] * middle[in_band]) * spectra.ERG_PER_KEV)

    def shape(self, energy_kev: np.ndarray) -> np.ndarray:
        """Photons / cm2 / s / keV at energies in keV; in the bins of `spectra.EDGES_KEV` their mean."""
        if energy_kev.shape == spectra.MIDDLES_KEV.shape and np.array_equal(energy_kev, spectra.MIDDLES_KEV):
            return np.asarray(self.model.flux_in_bins(spectra.EDGES_KEV) / np.diff(spectra.EDGES_KEV))
        narrow = (np.array([1 - _HALF, 1 + _HALF]) * energy for energy in np.asarray(energy_kev, dtype=np.float64))
        return np.array([float(self.model.flux_in_bins(edges)[0] / np.diff(edges)[0]) for edges in narrow])

    def describe(self) -> dict[str, Any]:
        """Model and parameters, those of each component together, for the truth file."""
        described: dict[str, Any] = {"model": self.model.expression}
        for parameter in self.model.parameters:
            component, _, name = parameter.name.partition(".")
            described.setdefault(component, {})[name] = parameter.value
        return described
