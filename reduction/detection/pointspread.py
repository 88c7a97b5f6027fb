"""Point spread functions as sums of Gaussians, which a pixel, a shift and an extent leave sums of Gaussians.

A King profile is an integral over Gaussians: ``(1 + u)^-a = 1 / Gamma(a) int t^(a-1) exp(-t (1 + u)) dt`` with
u = (r / core)^2, so that a sum over a few steps of ln t stands for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from reduction.instruments import King, Profiles

Floats = npt.NDArray[np.float64]

KING_CAMERAS = ("EPN", "EMOS1", "EMOS2")
"""Cameras whose King profiles are published."""

COMPONENTS = 7
"""Gaussians that stand for a King profile: its encircled energy comes out within 0.01 from 2 to 300 arcsec."""

STEP_ARCMIN = 1.0
"""Step of the off-axis angles for which profiles are made; the nearest is taken."""

ProfileSource = Callable[[str, Mapping[str, Any]], Profiles]
"""One of `KING_CAMERAS` and the keywords of an observation -> the King profiles of the camera."""

_FIRST_T, _LAST_SIGMA_ARCSEC = 4.0, 160.0
_FWHM = 2.3548200450309493


@dataclass(frozen=True)
class PointSpread:
    """A point spread function: at each angle of `angles_arcmin` a sum of round Gaussians.

    `sigma_arcsec` and `weight` have the shape (angles, components); the weights of an angle sum up to 1. `origin` says
    in words where it comes from.
    """

    angles_arcmin: Floats
    sigma_arcsec: Floats
    weight: Floats
    origin: str

    def at(self, off_axis_arcmin: Floats) -> tuple[Floats, Floats]:
        """Return sigmas in arcsec and weights of the nearest angles, shape (n, components) both."""
        middle = (self.angles_arcmin[1:] + self.angles_arcmin[:-1]) / 2
        index = np.searchsorted(middle, off_axis_arcmin)
        return self.sigma_arcsec[index], self.weight[index]

    def encircled(self, radius_arcsec: Floats | float, off_axis_arcmin: float = 0.0) -> Floats:
        """Return the part of the light within radii in arcsec, in their shape."""
        sigma, weight = self.at(np.array([off_axis_arcmin]))
        radius = np.asarray(radius_arcsec, dtype=np.float64)[..., None]
        return np.asarray(np.sum(weight[0] * -np.expm1(-0.5 * (radius / sigma[0]) ** 2), axis=-1))


def gaussians_of(profile: King) -> tuple[Floats, Floats]:
    """Return the Gaussians that stand for King profiles.

    Parameters
    ----------
    profile
        Profiles, shape (n,).

    Returns
    -------
    tuple of array
        Sigmas in arcsec and weights, shape (n, `COMPONENTS`) both, the widest first.
    """
    core, slope = (np.atleast_1d(values)[:, None] for values in (profile.core_arcsec, profile.slope))
    lowest = np.log(core**2 / (2 * _LAST_SIGMA_ARCSEC**2))
    parts = np.linspace(0.0, 1.0, COMPONENTS)[None, :]
    t = np.exp(lowest + parts * (np.log(_FIRST_T) - lowest))
    weight = t ** (slope - 1) * np.exp(-t)
    return core / np.sqrt(2 * t), weight / weight.sum(axis=1, keepdims=True)


def published(camera: str, header: Mapping[str, Any]) -> Profiles:
    """Return the published King profiles of a camera, whatever the observation."""
    return Profiles(camera)


def king_spread(
    camera: str, energy_kev: float, header: Mapping[str, Any] | None = None, source: ProfileSource = published
) -> PointSpread:
    """Return the King profile of an EPIC camera as Gaussians.

    Parameters
    ----------
    camera
        One of `KING_CAMERAS`, or ``EPIC`` for the mean of the three, as in a mosaic.
    energy_kev
        Energy in keV.
    header
        Keywords of the observation, by whose date `source` may choose; None for none.
    source
        Where the profiles come from.

    Returns
    -------
    PointSpread
        The Gaussians at angles in steps of `STEP_ARCMIN`; its `origin` names the files that the profiles are from.
    """
    cameras = KING_CAMERAS if camera == "EPIC" else (camera,)
    found = [source(each, header or {}) for each in cameras]
    last = max(each.last_angle_arcmin for each in found)
    angles = np.minimum(np.arange(0.0, last + STEP_ARCMIN - 1e-6, STEP_ARCMIN), last)
    profiles = [each.at(np.full(angles.shape, energy_kev), angles) for each in found]
    mean = King(np.mean([each.core_arcsec for each in profiles], axis=0),
                np.mean([each.slope for each in profiles], axis=0))  # fmt: skip
    sigma, weight = gaussians_of(mean)
    words = "the mean EPIC camera" if camera == "EPIC" else camera
    return PointSpread(angles, sigma, weight, f"King profile of {words} at {energy_kev:.3g} keV{_from_files(found)}")


def _from_files(found: Sequence[Profiles]) -> str:
    """Return the words that name the files of profiles, and whose are published ones beside them."""
    files = [each.file for each in found if each.file]
    if not files:
        return ""
    others = [each.camera for each in found if not each.file]
    return " from " + ", ".join(files) + (f" (of {', '.join(others)} as published)" if others else "")


def gaussian_spread(fwhm_arcsec: float) -> PointSpread:
    """Return a Gaussian of a full width at half maximum in arcsec, the same at every angle."""
    sigma = np.array([[fwhm_arcsec / _FWHM]])
    return PointSpread(np.zeros(1), sigma, np.ones((1, 1)), f"Gaussian with an FWHM of {fwhm_arcsec:g} arcsec")
