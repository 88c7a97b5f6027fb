"""Small images of sources, a stamp for each source and layer: the point spread function in pixels, and its slopes.

Everything is a sum of Gaussians, each a product of a function of x and one of y, integrated over the pixels. Pixels
are in single precision: a part in ten million of the light is less than what the profiles are known to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.float32]
Integers = npt.NDArray[np.intp]

_REACH, _PER_UNIT = 7, 1000
_KNOTS = np.arange(-_REACH * _PER_UNIT, _REACH * _PER_UNIT + 1) / _PER_UNIT
_ROOT_2PI = np.sqrt(2 * np.pi)


def _table() -> Floats:
    """Return the normal distribution at the knots, by Simpson's rule from one to the next."""
    density = np.exp(-0.5 * _KNOTS**2) / _ROOT_2PI
    middle = np.exp(-0.5 * (_KNOTS[1:] - 0.5 / _PER_UNIT) ** 2) / _ROOT_2PI
    whole = np.concatenate(([0.0], np.cumsum(density[1:] + 4 * middle + density[:-1])))
    return np.asarray(whole / whole[-1])


_NORMAL = _table()
_RISE = np.append(np.diff(_NORMAL), 0.0)


@dataclass(frozen=True)
class Windows:
    """Where the stamps of sources lie: the first column and row of each, shape (sources,), and pixels a side."""

    column: Integers
    row: Integers
    size: int

    @classmethod
    def around(cls, x: Floats, y: Floats, size: int) -> Windows:
        """Return windows whose middle pixels hold some places.

        Parameters
        ----------
        x
            Columns from 0, shape (sources,).
        y
            Rows from 0, shape (sources,).
        size
            Pixels a side, odd.

        Returns
        -------
        Windows
            One for each place.
        """
        return cls(np.rint(x).astype(np.intp) - size // 2, np.rint(y).astype(np.intp) - size // 2, size)

    def cut(self, images: Pixels | Floats) -> Pixels:
        """Return the stamps of images of shape (layers, rows, columns): (sources, layers, size, size)."""
        if not self.row.size:
            return np.zeros((0, len(images), self.size, self.size), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(images, (self.size, self.size), axis=(1, 2))
        return np.ascontiguousarray(windows.transpose(1, 2, 0, 3, 4)[self.row, self.column], np.float32)

    def add(self, images: Pixels, stamps: Pixels) -> None:
        """Add stamps to images of shape (layers, rows, columns)."""
        for row, column, stamp in zip(self.row.tolist(), self.column.tolist(), stamps, strict=True):
            images[:, row : row + self.size, column : column + self.size] += stamp


@dataclass(frozen=True)
class Stamps:
    """Light of sources of one count in pixels, shape (sources, layers, size, size), and its slopes.

    `by_x` and `by_y` are the derivatives by the place in pixels, `by_extent` that by the square of the extent; it is
    empty where that is not asked for.
    """

    light: Pixels
    by_x: Pixels
    by_y: Pixels
    by_extent: Pixels


def light(x: Floats, y: Floats, extent: Floats, sigma: Floats, weight: Floats, windows: Windows) -> Pixels:
    """Return the light of sources of one count in the pixels of their windows.

    Parameters
    ----------
    x
        Columns of the places from 0, shape (sources,).
    y
        Rows of the places from 0, shape (sources,).
    extent
        Standard deviation of the Gaussian by which the sources are extended, in pixels, shape (sources,).
    sigma
        Of the Gaussians of the point spread function in pixels, shape (sources, layers, components).
    weight
        Of the same Gaussians, in the same shape.
    windows
        The pixels.

    Returns
    -------
    array
        Shape (sources, layers, size, size): rows, then columns.
    """
    width = np.sqrt(sigma**2 + (extent**2)[:, None, None])
    across, up = (np.diff(_normal(_edges(*axis, windows.size, width)), axis=-1)
                  for axis in ((x, windows.column), (y, windows.row)))  # fmt: skip
    return _product(up * weight[..., None], across)


def stamps(x: Floats, y: Floats, extent: Floats, sigma: Floats, weight: Floats, windows: Windows) -> Stamps:
    """Return the light of sources and its slopes; parameters as those of `light`.

    Parameters
    ----------
    x
        Columns of the places from 0, shape (sources,).
    y
        Rows of the places from 0, shape (sources,).
    extent
        Standard deviation of the Gaussian by which the sources are extended, in pixels, shape (sources,).
    sigma
        Of the Gaussians of the point spread function in pixels, shape (sources, layers, components).
    weight
        Of the same Gaussians, in the same shape.
    windows
        The pixels.

    Returns
    -------
    Stamps
        Light and slopes.
    """
    width = np.sqrt(sigma**2 + (extent**2)[:, None, None])
    (across, dx, dx_extent), (up, dy, dy_extent) = (_axis(_edges(*axis, windows.size, width), width)
                                                    for axis in ((x, windows.column), (y, windows.row)))  # fmt: skip
    weighted = up * weight[..., None]
    return Stamps(
        _product(weighted, across), _product(weighted, dx), _product(dy * weight[..., None], across),
        _product(weighted, dx_extent) + _product(dy_extent * weight[..., None], across),
    )  # fmt: skip


def stamps_of_points(x: Floats, y: Floats, extent: Floats, sigma: Floats, weight: Floats, windows: Windows) -> Stamps:
    """Return the light of sources and its slopes by the place, without that by the extent, in half of the time.

    Parameters
    ----------
    x
        Columns of the places from 0, shape (sources,).
    y
        Rows of the places from 0, shape (sources,).
    extent
        Standard deviation of the Gaussian by which the sources are extended, in pixels, shape (sources,).
    sigma
        Of the Gaussians of the point spread function in pixels, shape (sources, layers, components).
    weight
        Of the same Gaussians, in the same shape.
    windows
        The pixels.

    Returns
    -------
    Stamps
        Light and slopes.
    """
    width = np.sqrt(sigma**2 + (extent**2)[:, None, None])
    (across, dx), (up, dy) = (_axis_of_points(_edges(*axis, windows.size, width), width)
                              for axis in ((x, windows.column), (y, windows.row)))  # fmt: skip
    weighted = up * weight[..., None]
    return Stamps(_product(weighted, across), _product(weighted, dx), _product(dy * weight[..., None], across),
                  np.zeros(0, np.float32))  # fmt: skip


def _axis_of_points(z: Floats, width: Floats) -> tuple[Floats, Floats]:
    """Return the part of each pixel along an axis, and its derivative by the place."""
    density = np.exp(-0.5 * z * z) / _ROOT_2PI
    return np.diff(_normal(z), axis=-1), -np.diff(density, axis=-1) / width[..., None]


def _edges(place: Floats, first: Integers, size: int, width: Floats) -> Floats:
    """Return the edges of the pixels in widths from the place, shape (sources, layers, components, size + 1)."""
    edges = first[:, None] - 0.5 + np.arange(size + 1) - place[:, None]
    return np.asarray(edges[:, None, None, :] / width[..., None])


def _normal(z: Floats) -> Floats:
    """Return the normal distribution, linear between the knots: within 1e-7 (`np.interp` takes four times as long)."""
    place = np.clip(z * _PER_UNIT + _REACH * _PER_UNIT, 0.0, 2.0 * _REACH * _PER_UNIT)
    index = place.astype(np.intp)
    return np.asarray(_NORMAL[index] + _RISE[index] * (place - index))


def _axis(z: Floats, width: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the part of each pixel along an axis, and its derivatives by the place and by the squared extent."""
    density = np.exp(-0.5 * z * z) / _ROOT_2PI
    wide = width[..., None]
    return (np.diff(_normal(z), axis=-1), -np.diff(density, axis=-1) / wide,
            -np.diff(z * density, axis=-1) / (2 * wide**2))  # fmt: skip


def _product(up: Floats, across: Floats) -> Pixels:
    """Sum the products of rows and columns over the components."""
    return np.asarray(np.matmul(up.swapaxes(-1, -2).astype(np.float32), across.astype(np.float32)))
