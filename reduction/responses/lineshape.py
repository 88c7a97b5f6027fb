"""How an EPIC camera measures one energy: a Gaussian peak, a tail and a shelf below it, the escape peak of silicon.

The form is that of germanium and silicon detectors ("hypermet": G. W. Phillips and K. W. Marlow 1976, Nuclear
Instruments and Methods 137, 525): a Gaussian, an exponential tail towards low energies that is smeared by the same
Gaussian (charge lost near the surface), a flat shelf down to 0 (partial charge), and above the K edge of silicon a
second peak, lower by the energy of its K alpha line, which escaped. Energies that are measured are those of PI, not the
nominal ones of EBOUNDS, which for pn lie up to 27 eV above. The figures were measured by `bench/redistribution.py` in
RMFs that the SAS made for public observations: two of pn, of 2010 and 2013, and those of MOS1 and MOS2 of 2010; each
is the mean of two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ESCAPE_KEV = 1.74
"""Energy of the K alpha line of silicon."""

SILICON_KEV = 1.84
"""Energy above which a photon can take an electron from the K shell of silicon."""

ENERGIES_KEV = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.53, 0.55, 0.6, 0.7, 0.8, 1.0, 1.25, 1.5, 1.8, 1.86, 2.0, 2.5,
                3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0)  # fmt: skip
"""Energies of the rows of `SHAPES`: two on either side of the edges of oxygen (0.54 keV) and silicon (1.84 keV)."""

SHAPES: dict[str, tuple[tuple[float, ...], ...]] = {
    "EPN": (
        (-0.1015, 0.0885, 0.6434, 0.0100, 0.2598, 0.0000),  # 0.2 keV
        (-0.1041, 0.1441, 0.9800, 0.0150, 0.0076, 0.0000),  # 0.25 keV
        (-0.0820, 0.1639, 0.9017, 0.0317, 0.0983, 0.0000),  # 0.3 keV
        (-0.0234, 0.1116, 0.9800, 0.1219, 0.0000, 0.0000),  # 0.35 keV
        (-0.0143, 0.0683, 0.8717, 0.1438, 0.0000, 0.0000),  # 0.4 keV
        (-0.0216, 0.0714, 0.7196, 0.1489, 0.0000, 0.0000),  # 0.45 keV
        (-0.0256, 0.0759, 0.5820, 0.1609, 0.0000, 0.0000),  # 0.5 keV
        (-0.0281, 0.0789, 0.5054, 0.1790, 0.0000, 0.0000),  # 0.53 keV
        (-0.0300, 0.0826, 0.4198, 0.2532, 0.0345, 0.0000),  # 0.55 keV
        (-0.0303, 0.0849, 0.3238, 0.2792, 0.0333, 0.0000),  # 0.6 keV
        (-0.0301, 0.0885, 0.2153, 0.3243, 0.0247, 0.0000),  # 0.7 keV
        (-0.0286, 0.0916, 0.1534, 0.3289, 0.0217, 0.0000),  # 0.8 keV
        (-0.0229, 0.0965, 0.0740, 0.2682, 0.0270, 0.0000),  # 1 keV
        (-0.0149, 0.1011, 0.0390, 0.2546, 0.0181, 0.0000),  # 1.25 keV
        (-0.0078, 0.1048, 0.0244, 0.2557, 0.0115, 0.0000),  # 1.5 keV
        (-0.0025, 0.1090, 0.0141, 0.2394, 0.0085, 0.0000),  # 1.8 keV
        (-0.0043, 0.1111, 0.2004, 0.4373, 0.0000, 0.0289),  # 1.86 keV
        (-0.0027, 0.1136, 0.1429, 0.4516, 0.0000, 0.0273),  # 2 keV
        (-0.0009, 0.1211, 0.0778, 0.4601, 0.0159, 0.0138),  # 2.5 keV
        (-0.0007, 0.1288, 0.0512, 0.6000, 0.0034, 0.0128),  # 3 keV
        (-0.0000, 0.1429, 0.0239, 0.6000, 0.0022, 0.0103),  # 4 keV
        (0.0001, 0.1564, 0.0116, 0.5746, 0.0012, 0.0081),  # 5 keV
        (0.0003, 0.1690, 0.0069, 0.6000, 0.0001, 0.0057),  # 6 keV
        (0.0005, 0.1806, 0.0047, 0.6000, 0.0003, 0.0041),  # 7 keV
        (0.0004, 0.1916, 0.0027, 0.6000, 0.0003, 0.0027),  # 8 keV
        (0.0004, 0.2115, 0.0015, 0.6000, 0.0002, 0.0013),  # 10 keV
    ),
    "EMOS": (
        (-0.1278, 0.1449, 0.8000, 0.0100, 0.2000, 0.0000),  # 0.2 keV
        (-0.0959, 0.0873, 0.8910, 0.0100, 0.0000, 0.0000),  # 0.25 keV
        (-0.0998, 0.1763, 0.4544, 0.0100, 0.0000, 0.0000),  # 0.3 keV
        (-0.0785, 0.1668, 0.9771, 0.0174, 0.0000, 0.0000),  # 0.35 keV
        (-0.0324, 0.1485, 0.9034, 0.0584, 0.0000, 0.0000),  # 0.4 keV
        (0.0084, 0.0612, 0.8392, 0.0880, 0.0000, 0.0000),  # 0.45 keV
        (0.0114, 0.0494, 0.7959, 0.0863, 0.0000, 0.0000),  # 0.5 keV
        (0.0118, 0.0482, 0.7799, 0.0840, 0.0000, 0.0000),  # 0.53 keV
        (0.0100, 0.0505, 0.7419, 0.0837, 0.0000, 0.0000),  # 0.55 keV
        (0.0090, 0.0513, 0.6876, 0.0804, 0.0000, 0.0000),  # 0.6 keV
        (0.0012, 0.0600, 0.3217, 0.0816, 0.0000, 0.0000),  # 0.7 keV
        (0.0006, 0.0679, 0.2308, 0.0893, 0.0000, 0.0000),  # 0.8 keV
        (-0.0008, 0.0738, 0.1370, 0.0870, 0.0062, 0.0000),  # 1 keV
        (-0.0012, 0.0796, 0.1108, 0.0692, 0.0099, 0.0000),  # 1.25 keV
        (-0.0008, 0.0846, 0.1377, 0.0630, 0.0122, 0.0000),  # 1.5 keV
        (-0.0010, 0.0880, 0.1405, 0.0739, 0.0135, 0.0000),  # 1.8 keV
        (-0.0008, 0.0870, 0.2046, 0.1295, 0.0046, 0.0168),  # 1.86 keV
        (-0.0015, 0.0901, 0.1546, 0.1389, 0.0048, 0.0194),  # 2 keV
        (-0.0025, 0.0996, 0.0955, 0.1490, 0.0191, 0.0123),  # 2.5 keV
        (-0.0028, 0.1078, 0.0717, 0.1297, 0.0222, 0.0108),  # 3 keV
        (-0.0015, 0.1213, 0.1010, 0.0742, 0.0261, 0.0073),  # 4 keV
        (0.0013, 0.1322, 0.1813, 0.0533, 0.0329, 0.0054),  # 5 keV
        (0.0027, 0.1435, 0.2216, 0.0537, 0.0437, 0.0030),  # 6 keV
        (0.0045, 0.1532, 0.2709, 0.0497, 0.0610, 0.0000),  # 7 keV
        (0.0061, 0.1619, 0.3094, 0.0471, 0.0841, 0.0000),  # 8 keV
        (0.0061, 0.1817, 0.3333, 0.0332, 0.1452, 0.0000),  # 10 keV
    ),
}
"""A row an energy: shift of the peak, FWHM, part in the tail, its length, parts in the shelf and in the escape peak."""

_FWHM = 2 * math.sqrt(2 * math.log(2))
_STEPS = np.linspace(-8.0, 8.0, 16_001)
_NORMAL = np.array([(1 + math.erf(step / math.sqrt(2))) / 2 for step in _STEPS])


@dataclass(frozen=True)
class Shape:
    """The shape of one energy: shift of the peak, FWHM and length of the tail in keV, and the parts of the photons.

    What is not in `tail`, `shelf` and `escape` is in the Gaussian.
    """

    shift_kev: float
    fwhm_kev: float
    tail: float
    length_kev: float
    shelf: float
    escape: float

    def below(self, bounds_kev: Floats, energy_kev: float) -> Floats:
        """Return the part that is measured below some energies, shape (n,), of photons of an energy in keV."""
        sigma, place = self.fwhm_kev / _FWHM, bounds_kev - energy_kev - self.shift_kev
        peak = _normal(place / sigma)
        # The distribution of a Gaussian number from which an exponential one is taken away.
        exponent = place / self.length_kev + (sigma / self.length_kev) ** 2 / 2
        tail = peak + np.exp(np.minimum(exponent, 50.0)) * (1 - _normal(place / sigma + sigma / self.length_kev))
        shelf = np.clip(bounds_kev / energy_kev, 0.0, 1.0)
        escaped = _normal((place + ESCAPE_KEV) / sigma)
        rest = 1 - self.tail - self.shelf - self.escape
        return np.asarray(rest * peak + self.tail * np.clip(tail, 0, 1) + self.shelf * shelf + self.escape * escaped)


def _normal(x: Floats) -> Floats:
    """Return the part of a normal distribution below x."""
    return np.asarray(np.interp(x, _STEPS, _NORMAL), dtype=np.float64)


def shape_of(camera: str, energy_kev: float) -> Shape:
    """Return the shape of an energy.

    `camera` is ``EPN``, ``EMOS1`` or ``EMOS2``; between the energies that were measured its figures are linear in the
    energy, beyond them constant.
    """
    table = np.array(SHAPES[camera[:4] if camera.startswith("EMOS") else camera])
    return Shape(*(float(np.interp(energy_kev, ENERGIES_KEV, column)) for column in table.T))


def line_matrix(instrument: str, energies_kev: Floats, bounds_kev: Floats) -> Floats:
    """Return in which channels photons are measured.

    Parameters
    ----------
    instrument
        ``EPN``, ``EMOS1`` or ``EMOS2``.
    energies_kev
        Energies of the photons, shape (n,).
    bounds_kev
        Edges of the channels as measured energies, ascending, shape (channels + 1,).

    Returns
    -------
    array
        The part of the photons of each energy in each channel, shape (n, channels). Nothing is measured below 0 keV,
        so that the parts above it are brought to 1; what is measured outside of the channels is in none of them.
    """
    matrix = np.zeros((energies_kev.size, bounds_kev.size - 1))
    edges = np.maximum(bounds_kev, 0.0)
    for row, energy in enumerate(energies_kev.tolist()):
        shape = shape_of(instrument, energy)
        # No part of the shape reaches further up than its peak.
        last = int(np.searchsorted(edges, energy + shape.shift_kev + 3 * shape.fwhm_kev)) + 1
        below = shape.below(np.append(0.0, edges[:last]), energy)
        parts = np.maximum(np.diff(below[1:]), 0.0)
        matrix[row, : parts.size] = parts / (1 - below[0])
    return matrix
