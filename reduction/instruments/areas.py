"""On-axis effective area of the EPIC cameras, medium filter and usual patterns (pn 0-4, MOS 0-12); may import numpy.

The figures are rounded and were measured from ancillary responses of the SAS: those of 0693760101 (2012, all cameras,
circles of 40 arcsec), of 0605960101 (2010, MOS, extended) and one of pn for a circle of 15 arcsec, each divided by the
encircled energy of `psf` and the factor of `vignetting`, and averaged. Linear interpolation in the logarithms of energy
and area gives each of them back within a tenth from 0.3 to 10 keV.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CARBON_DEPTH = {"EPN": 0.0, "EMOS1": 0.16, "EMOS2": 0.38}
"""Optical depth at 0.3 keV of the carbon that had settled on the CCDs by 2012.

It is the ratio of areas with and without it: the SAS models the layer from version 13 on, and 0605960101 was reduced
with version 10.
"""

_LAUNCH = datetime(1999, 12, 10, tzinfo=UTC)
_OF_AREAS = datetime(2012, 5, 14, tzinfo=UTC)
"""When the carbon was as deep as the built-in areas have it."""

SINGLE_SHARE_EPN = (
    (0.15, 0.99), (0.2825, 0.963), (0.4, 0.897), (0.525, 0.842), (0.65, 0.798), (0.825, 0.757), (1.0, 0.732),
    (1.25, 0.708), (1.5, 0.691), (1.83, 0.678), (2.0, 0.677), (3.0, 0.64), (4.0, 0.624), (5.44, 0.609), (11.6, 0.599),
)  # fmt: skip
"""Energy in keV and the share of single events among the usual patterns of pn.

It is the ratio of two responses of the SAS, of single events (0605960101) and of patterns up to 4 (0693760101).
"""

AREAS: dict[str, tuple[tuple[float, float], ...]] = {
    "EPN": (
        (0.1503, 97.7), (0.1606, 102), (0.1788, 183), (0.2805, 572), (0.2834, 578), (0.2852, 328), (0.2862, 416),
        (0.2872, 411), (0.2881, 343), (0.29, 308), (0.292, 220), (0.2959, 160), (0.2989, 198), (0.3019, 195),
        (0.3049, 208), (0.3101, 313), (0.3132, 350), (0.3405, 472), (0.3956, 642), (0.401, 651), (0.4091, 601),
        (0.433, 735), (0.522, 946), (0.529, 951), (0.5307, 844), (0.5325, 915), (0.5397, 744), (0.5415, 744),
        (0.5469, 810), (0.5543, 836), (0.6127, 953), (0.7239, 1100), (0.8845, 1230), (1.539, 1420), (1.555, 1420),
        (1.571, 1270), (1.592, 1320), (2.093, 1360), (2.23, 1270), (2.26, 908), (2.313, 884), (2.344, 792),
        (2.44, 873), (2.635, 930), (2.724, 925), (2.77, 868), (3.052, 939), (4.968, 962), (6.511, 863),
        (7.269, 724), (8.419, 512), (9.337, 380), (10.32, 247), (11.6, 124), (14.9, 12),
    ),
    "EMOS1": (
        (0.1503, 4.6), (0.1628, 5.61), (0.1854, 14), (0.2805, 60.8), (0.2824, 62.3), (0.2843, 54.3),
        (0.2891, 34.2), (0.293, 21.7), (0.2979, 20.3), (0.3029, 22.1), (0.3132, 40.9), (0.3174, 45.2),
        (0.3427, 63.4), (0.397, 100), (0.4023, 98.5), (0.4077, 86.8), (0.4173, 101), (0.4417, 124), (0.5237, 191),
        (0.5325, 189), (0.5343, 152), (0.5379, 83.2), (0.5415, 84.1), (0.5469, 95.7), (0.5524, 103), (0.5617, 104),
        (0.5769, 123), (0.5866, 130), (0.6909, 195), (0.9487, 342), (1.114, 422), (1.43, 529), (1.55, 549),
        (1.571, 495), (1.586, 513), (1.825, 497), (1.831, 498), (1.837, 541), (1.843, 370), (1.85, 335),
        (1.856, 366), (1.887, 407), (2.222, 448), (2.23, 439), (2.252, 332), (2.267, 301), (2.313, 304),
        (2.344, 270), (2.424, 306), (2.609, 347), (2.724, 351), (2.77, 331), (3.011, 374), (3.779, 384),
        (4.48, 367), (4.952, 336), (5.566, 282), (6.489, 198), (7.269, 130), (8.116, 80), (8.971, 48),
        (10.32, 20.6), (11.22, 11.4), (11.8, 6.25), (14.9, 0.798),
    ),
    "EMOS2": (
        (0.1503, 4.62), (0.1628, 5.68), (0.1776, 11.7), (0.2228, 30.6), (0.2796, 67.1), (0.2805, 54.2),
        (0.2824, 55.8), (0.2834, 51.8), (0.293, 17.3), (0.2979, 16.4), (0.3029, 18), (0.3132, 33.9),
        (0.3174, 37.8), (0.3427, 54.7), (0.397, 91.3), (0.4023, 90.1), (0.4077, 79.7), (0.4173, 93),
        (0.4417, 116), (0.5237, 185), (0.5325, 183), (0.5343, 146), (0.5379, 80.7), (0.5415, 81.6), (0.5469, 93.1),
        (0.5524, 99.9), (0.5617, 102), (0.5847, 127), (0.6909, 193), (0.8994, 316), (1.11, 422), (1.43, 530),
        (1.55, 551), (1.571, 496), (1.586, 514), (1.825, 499), (1.831, 501), (1.837, 544), (1.843, 374),
        (1.85, 339), (1.856, 370), (1.887, 411), (2.222, 451), (2.23, 442), (2.252, 334), (2.267, 303),
        (2.313, 306), (2.344, 272), (2.424, 308), (2.609, 350), (2.724, 354), (2.77, 333), (3.011, 376),
        (3.779, 386), (4.632, 364), (5.566, 290), (6.511, 204), (7.269, 136), (8.116, 84), (8.971, 50.6),
        (10.32, 21.8), (11.22, 12.1), (11.8, 6.64), (14.9, 0.847),
    ),
}  # fmt: skip
"""Of each camera pairs of energy in keV and area in cm2, the carbon of 2012 included; zero outside of them."""


def effective_area(camera: str, energy_kev: Floats) -> Floats:
    """Return the effective area of a camera for a point source on the optical axis, all its light included.

    Parameters
    ----------
    camera
        ``EPN``, ``EMOS1`` or ``EMOS2``.
    energy_kev
        Energies in keV, any shape.

    Returns
    -------
    array
        cm2, shape like the energies; zero below 0.15 and above 14.9 keV.
    """
    energy, area = np.array(AREAS[camera]).T
    inside = (energy_kev >= energy[0]) & (energy_kev <= energy[-1])
    logarithm = np.interp(np.log(np.clip(energy_kev, energy[0], energy[-1])), np.log(energy), np.log(area))
    return np.where(inside, np.exp(logarithm), 0.0)


def carbon(camera: str, energy_kev: Floats) -> Floats:
    """Return the part of the light that the carbon on the CCDs of a camera lets through, as it was in 2012.

    Parameters
    ----------
    camera
        ``EPN``, ``EMOS1`` or ``EMOS2``.
    energy_kev
        Energies in keV, any shape.

    Returns
    -------
    array
        Between 0 and 1, shape like the energies; the optical depth falls as the power -2.8 of the energy, and is a
        twentieth of that below the edge of carbon at 0.284 keV.
    """
    depth = CARBON_DEPTH[camera] * (energy_kev / 0.3) ** -2.8
    return np.asarray(np.exp(-np.where(energy_kev < 0.284, depth / 20, depth)))


def single_share(energy_kev: Floats) -> Floats:
    """Return the share of single events (PATTERN 0) among the usual patterns of pn, shape like the energies in keV."""
    energy, share = np.array(SINGLE_SHARE_EPN).T
    return np.asarray(np.interp(energy_kev, energy, share))


def carbon_since(camera: str, energy_kev: Floats, date: datetime | None) -> Floats:
    """Return the transmission of a camera's carbon on a date relative to that of the built-in areas (2012).

    The depth is taken to have grown evenly since the launch; the SAS models it from version 13 on, with a curve of its
    own.

    Parameters
    ----------
    camera
        EPN, EMOS1 or EMOS2.
    energy_kev
        Photon energies in keV, shape (n,).
    date
        When the observation began; None for no carbon at all, as SAS 12 and earlier have it.

    Returns
    -------
    array
        Shape (n,).
    """
    grown = 0.0 if date is None else max((date - _LAUNCH) / (_OF_AREAS - _LAUNCH), 0.0)
    return np.asarray(carbon(camera, energy_kev) ** (grown - 1.0))
