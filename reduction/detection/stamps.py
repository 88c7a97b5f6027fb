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

_ROOT_2PI = np.sqrt(2 * np.pi)
_TAIL = (1.330274429, -1.821255978, 1.781477937, -0.356563782, 0.319381530)
"""Factors of the powers of the tail of the normal distribution from the fifth down to the first."""


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

    def chosen(self, mask: npt.NDArray[np.bool_]) -> Windows:
        """Return those of the sources where the mask is true."""
        return Windows(self.column[mask], self.row[mask], self.size)

    def differ(self, other: Windows) -> npt.NDArray[np.bool_]:
        """Return which windows lie elsewhere than others, as many, shape (sources,)."""
        return np.asarray((self.column != other.column) | (self.row != other.row))

    def add(self, images: Pixels, stamps: Pixels) -> None:
        """Add stamps to images of shape (layers, rows, columns)."""
        for row, column, stamp in zip(self.row.tolist(), self.column.tolist(), stamps, strict=True):
            images[:, row : row + self.size, column : column + self.size] += stamp


@dataclass(frozen=True)
class Stamps:
    """Light of sources of one count in pixels and its slopes, shape (sources, layers, 3 or 4, size, size).

    They are the light, its derivatives by the place in pixels, x and y, and that by the square of the extent where it
    is asked for.
    """

    stack: Pixels

    @property
    def light(self) -> Pixels:
        """The light, shape (sources, layers, size, size)."""
        return self.stack[:, :, 0]

    @property
    def by_x(self) -> Pixels:
        """The derivative by x."""
        return self.stack[:, :, 1]

    @property
    def by_y(self) -> Pixels:
        """The derivative by y."""
        return self.stack[:, :, 2]

    @property
    def by_extent(self) -> Pixels:
        """The derivative by the square of the extent."""
        return self.stack[:, :, 3]

    def chosen(self, mask: npt.NDArray[np.bool_]) -> Stamps:
        """Return those of the sources where the mask is true."""
        return Stamps(self.stack[mask])


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
    across, up = _axes(x, y, extent, sigma, windows)
    return np.asarray(np.matmul(_upright(up.light() * _by_edge(weight)), across.light()))


def stamps(
    x: Floats, y: Floats, extent: Floats, sigma: Floats, weight: Floats, windows: Windows, is_extended: bool = True
) -> Stamps:
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
    is_extended
        Whether the slope by the extent is needed as well; without it takes half of the time.

    Returns
    -------
    Stamps
        Light and slopes.
    """
    across, up = _axes(x, y, extent, sigma, windows)
    return Stamps(_stacked(across, up, _by_edge(weight), 4 if is_extended else 3))


@dataclass(frozen=True)
class _Axis:
    """The edges of pixels along an axis in widths from the place of each Gaussian, and the normal density there.

    Shape (sources, layers, components, size + 1); `width` in pixels, shape (sources, layers, components, 1).
    """

    edges: Pixels
    density: Pixels
    width: Pixels

    @classmethod
    def of(cls, place: Floats, first: Integers, size: int, width: Pixels) -> _Axis:
        """Return that of pixels from a first one on, shape (sources,)."""
        away = first[:, None] - 0.5 + np.arange(size + 1) - place[:, None]
        edges = away.astype(np.float32)[:, None, None, :] / width
        density = edges * edges
        density *= np.float32(-0.5)
        np.exp(density, out=density)
        density *= np.float32(1 / _ROOT_2PI)
        return cls(edges, density, width)

    def light(self) -> Pixels:
        """Return the part of each pixel."""
        return _steps(_normal(self.edges, self.density))

    def by_place(self) -> Pixels:
        """Return the derivative of the part of each pixel by the place."""
        return _steps(self.density) / -self.width

    def by_extent(self) -> Pixels:
        """Return the derivative of the part of each pixel by the square of the extent."""
        return _steps(self.edges * self.density) / (-2 * self.width**2)


def _axes(x: Floats, y: Floats, extent: Floats, sigma: Floats, windows: Windows) -> tuple[_Axis, _Axis]:
    """Return the columns and the rows of stamps."""
    width = _by_edge(np.sqrt(sigma**2 + (extent**2)[:, None, None]))
    return (_Axis.of(x, windows.column, windows.size, width), _Axis.of(y, windows.row, windows.size, width))


def _by_edge(values: Floats) -> Pixels:
    """Return what each Gaussian has such that arrays of edges or pixels can be multiplied by it."""
    return values.astype(np.float32)[..., None]


def _normal(z: Pixels, density: Pixels) -> Pixels:
    """Return the normal distribution at z, where its density is known, within 1e-7 (Abramowitz & Stegun 26.2.17)."""
    t = np.abs(z)
    t *= np.float32(0.2316419)
    t += np.float32(1)
    np.reciprocal(t, out=t)
    tail = t * np.float32(_TAIL[0])
    for factor in _TAIL[1:]:
        tail += np.float32(factor)
        tail *= t
    tail *= density
    np.subtract(np.float32(0.5), tail, out=tail)
    np.copysign(tail, z, out=tail)
    tail += np.float32(0.5)
    return tail


def _steps(values: Pixels) -> Pixels:
    """Return the differences from each edge to the next."""
    return values[..., 1:] - values[..., :-1]


def _stacked(across: _Axis, up: _Axis, weight: Pixels, number: int) -> Pixels:
    """Return the first of light and slopes: products of rows and columns, summed over the components."""
    (sources, layers), size = up.edges.shape[:2], up.edges.shape[3] - 1
    stack = np.empty((sources, layers, number, size, size), np.float32)
    row, column = _upright(up.light() * weight), across.light()
    np.matmul(row, column, out=stack[:, :, 0])
    np.matmul(row, across.by_place(), out=stack[:, :, 1])
    np.matmul(_upright(up.by_place() * weight), column, out=stack[:, :, 2])
    if number > 3:
        np.matmul(row, across.by_extent(), out=stack[:, :, 3])
        stack[:, :, 3] += np.matmul(_upright(up.by_extent() * weight), column)
    return stack


def _upright(values: Pixels) -> Pixels:
    return values.swapaxes(-1, -2)
