"""Smoothing of counts and exposure by the same kernels.

Every kernel is a Gaussian that is normalized and reflected at the border of the image, so that the sum of all pixels
stays what it is to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError

Floats = npt.NDArray[np.float64]

_REACH = 5.0
"""Where a Gaussian ends, in sigmas: beyond lie 6e-7 of it along an axis."""

_LINES = 64
"""Lines of an image that are smoothed together."""

_RATIO = np.sqrt(2.0)
"""Each scale of the adaptive smoothing to the one before."""


@dataclass(frozen=True)
class Smoothed:
    """Counts and exposure after the same smoothing, and the sigma of the kernel of each pixel's own counts in pixels.

    Shape (rows, columns) all; `counts` has the sum of the counts that went in.
    """

    counts: Floats
    exposure: Floats
    sigma: Floats


def gaussian(image: npt.ArrayLike, sigma: float) -> Floats:
    """Return an image smoothed by a Gaussian, its sum kept.

    Parameters
    ----------
    image
        Shape (rows, columns), finite.
    sigma
        Standard deviation in pixels; 0 leaves the image as it is.

    Returns
    -------
    array
        Shape (rows, columns).
    """
    values = np.asarray(image, dtype=np.float64)
    if sigma <= 0:
        return values.copy()
    for axis in (0, 1):
        values = _along(values, sigma, axis)
    return values


def _along(values: Floats, sigma: float, axis: int) -> Floats:
    """Smooth along one axis: the image and its mirror image make one period, which keeps what would leave."""
    length = values.shape[axis]
    reach = int(np.ceil(_REACH * sigma))
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = np.zeros(2 * length)
    np.add.at(kernel, offsets % (2 * length), weights / weights.sum())
    weight, lines, smooth = np.fft.rfft(kernel), np.moveaxis(values, axis, 1), np.empty(values.shape)
    target = np.moveaxis(smooth, axis, 1)
    for first in range(0, lines.shape[0], _LINES):
        some = lines[first : first + _LINES]
        if some.any():
            spectrum = np.fft.rfft(np.concatenate((some, some[:, ::-1]), axis=1), axis=1) * weight
            target[first : first + _LINES] = np.fft.irfft(spectrum, n=2 * length, axis=1)[:, :length]
        else:
            target[first : first + _LINES] = 0.0
    return smooth


def smooth_gaussian(counts: npt.ArrayLike, exposure: Floats, sigma: float) -> Smoothed:
    """Smooth counts and exposure by one Gaussian.

    Parameters
    ----------
    counts
        Shape (rows, columns).
    exposure
        Seconds, shape (rows, columns).
    sigma
        Standard deviation in pixels, above 0.

    Returns
    -------
    Smoothed
        Both, smoothed.
    """
    smooth, seconds = (np.maximum(gaussian(image, sigma), 0) for image in (counts, exposure))  # rounding gives -1e-17
    return Smoothed(smooth, seconds, np.full(exposure.shape, float(sigma)))


def smooth_adaptive(counts: npt.ArrayLike, exposure: Floats, least: float, largest: float) -> Smoothed:
    """Smooth counts and exposure by Gaussians that are as wide at each pixel as its surroundings ask.

    The kernel of a pixel is the narrowest of a row of scales, each 1.41 times the one before, that holds `least`
    counts: 4 pi sigma^2 times the smoothed counts, which is what a Gaussian weighs (the squared sum of its weights over
    the sum of their squares). A signal to noise of S is that of S^2 counts. Each pixel's counts are spread by its own
    kernel, and its exposure by the same, so that the counts are kept and a uniform field stays uniform.

    Parameters
    ----------
    counts
        Shape (rows, columns).
    exposure
        Seconds, shape (rows, columns).
    least
        Counts within a kernel.
    largest
        Standard deviation of the widest kernel in pixels, used where there are too few counts for any.

    Returns
    -------
    Smoothed
        Both, smoothed.

    Raises
    ------
    ReductionError
        `least` is not above 0.
    """
    if not least > 0:
        raise ReductionError(f"{least:g} is no number of counts in a kernel; give one above 0", "smoothing_counts")
    original = np.asarray(counts, dtype=np.float64)
    sigma, open_pixels = np.zeros(original.shape), original < least
    scale = 0.5
    while open_pixels.any():
        scale = min(scale, largest)
        inside = 4 * np.pi * scale**2 * gaussian(original, scale)
        enough = open_pixels & ((inside >= least) | (scale >= largest))
        sigma[enough] = scale
        open_pixels &= ~enough
        scale *= _RATIO
    return _spread(original, exposure, sigma)


def _spread(counts: Floats, exposure: Floats, sigma: Floats) -> Smoothed:
    """Spread counts and exposure of each pixel by a Gaussian of its own sigma."""
    smooth_counts, smooth_exposure = np.zeros(counts.shape), np.zeros(counts.shape)
    for scale in np.unique(sigma):
        mine = sigma == scale
        smooth_counts += gaussian(np.where(mine, counts, 0.0), float(scale))
        smooth_exposure += gaussian(np.where(mine, exposure, 0.0), float(scale))
    return Smoothed(np.maximum(smooth_counts, 0), np.maximum(smooth_exposure, 0), sigma)
