"""What the cameras of XMM-Newton do to light: effective area, vignetting and point spread function, in round numbers.

It stands in where there are no calibration files, and is what the simulator draws through.

>>> import numpy as np
>>> from reduction.instruments import vignetting
>>> vignetting(np.array([1.5, 8.0]), 10.0).round(2).tolist()
[0.64, 0.43]
"""

from __future__ import annotations

from reduction.instruments.areas import carbon, carbon_since, effective_area, single_share
from reduction.instruments.psf import King, KingTable, Profiles, king
from reduction.instruments.vignetting import vignetting

__all__ = [
    "King",
    "KingTable",
    "Profiles",
    "carbon",
    "carbon_since",
    "effective_area",
    "king",
    "single_share",
    "vignetting",
]
