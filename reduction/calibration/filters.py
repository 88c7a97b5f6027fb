"""What the filters of EPIC let through; approximate."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError

Floats = npt.NDArray[np.float64]

_FILTERS: Final = (
    # energy in keV, thin, thick and open relative to medium
    (0.15, 2.61, 0.43, 9.4), (0.2, 1.77, 0.56, 3.7), (0.25, 1.43, 0.66, 2.25), (0.28, 1.32, 0.70, 1.89),
    (0.29, 1.30, 0.47, 3.6), (0.35, 1.185, 0.59, 2.32), (0.4, 1.133, 0.66, 1.88), (0.53, 1.070, 0.74, 1.45),
    (0.54, 1.067, 0.60, 1.50), (0.6, 1.048, 0.634, 1.38), (0.7, 1.032, 0.717, 1.245), (0.8, 1.023, 0.732, 1.168),
    (1.0, 1.013, 0.762, 1.092), (1.25, 1.007, 0.848, 1.049), (1.55, 1.004, 0.904, 1.027), (1.57, 1.043, 0.881, 1.107),
    (1.7, 1.036, 0.900, 1.089), (2.0, 1.025, 0.931, 1.059), (2.5, 1.014, 0.959, 1.033), (3.0, 1.009, 0.974, 1.020),
    (3.9, 1.004, 0.987, 1.010), (3.95, 1.004, 0.967, 1.009), (5.0, 1.002, 0.971, 1.005), (7.0, 1.001, 0.988, 1.002),
    (10.0, 1.0, 0.995, 1.001),
)  # fmt: skip
"""Computed from the thicknesses of the filters in the Users' Handbook (thin: 160 nm polyimide and 40 nm aluminium;
medium: 80 nm aluminium instead; thick: 330 nm polypropylene, 110 nm aluminium and 45 nm tin) and the cross-sections of
the elements (Elam, Ravel and Sieber 2002)."""

_FILTER_COLUMNS: Final = {"THIN": 1, "THIN1": 1, "THIN2": 1, "THICK": 2, "OPEN": 3}


def filter_transmission(name: str, energy_kev: Floats) -> Floats:
    """Return the transmission of a filter relative to that of the medium one.

    Parameters
    ----------
    name
        FILTER of the event list: Thin1, Thin2, Medium, Thick or Open.
    energy_kev
        Photon energies in keV, shape (n,).

    Returns
    -------
    array
        Shape (n,).

    Raises
    ------
    ReductionError
        Nothing of the sky comes through a filter of that name, or it is none of the telescope.
    """
    word = name.strip().upper()
    if word == "MEDIUM":
        return np.ones(energy_kev.shape)
    if word not in _FILTER_COLUMNS:
        raise ReductionError(f"FILTER is {name.strip()[:20] or 'empty'}; there is an effective area for Thin1, Thin2, "
                             "Medium, Thick and Open", "eventlist")  # fmt: skip
    table = np.array(_FILTERS).T
    return np.asarray(np.interp(energy_kev, table[0], table[_FILTER_COLUMNS[word]]))
