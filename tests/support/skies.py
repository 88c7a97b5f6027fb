"""Skies of points and blobs as counts, photon by photon through King profiles, apart from the code that finds them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.wcs import WCS

from reduction.detection.layers import Field, Layer, field_of
from reduction.detection.pointspread import king_spread
from reduction.instruments import Profiles

BANDS = ((0.5, 1.0), (1.0, 2.0), (2.0, 4.5))
PIXEL_ARCSEC = 4.0
EXPOSURE_S = 2e4

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sky:
    """Sources at pixels (x, y) from 0 with expected counts of shape (sources, bands) at the longest exposure.

    `extent` is the sigma of each in pixels; `background` the counts of a pixel and band; `profiles` are those of the
    camera, None for the published ones.
    """

    x: Floats
    y: Floats
    counts: Floats
    extent: Floats
    background: float = 0.02
    size: int = 160
    camera: str = "EPN"
    profiles: Profiles | None = None

    @property
    def exposure(self) -> Floats:
        """Seconds that fall by half from the middle to the corners, 0 in a gap of three columns."""
        axis = np.arange(self.size) - (self.size - 1) / 2
        away = np.hypot(axis[:, None], axis) / (self.size / np.sqrt(2))
        seconds = EXPOSURE_S * (1 - 0.5 * away**2)
        seconds[:, self.size // 3 : self.size // 3 + 3] = 0.0
        return seconds

    def image(self, rng: np.random.Generator, band: int) -> Floats:
        """Return the counts of a band, shape (size, size)."""
        share = self.exposure / EXPOSURE_S
        image = rng.poisson(self.background * (share > 0), share.shape).astype(np.float64)
        energy, middle = np.array(np.sqrt(np.prod(BANDS[band]))), (self.size - 1) / 2
        profiles = self.profiles or Profiles(self.camera)
        for x, y, counts, extent in zip(self.x, self.y, self.counts[:, band], self.extent, strict=True):
            away = np.array(np.hypot(x - middle, y - middle) * PIXEL_ARCSEC / 60)
            photons = rng.poisson(counts)
            radius = profiles.at(energy, away).radius(rng.random(photons)) / PIXEL_ARCSEC
            angle, spread = rng.random(photons) * 2 * np.pi, rng.normal(0.0, 1.0, (2, photons)) * extent
            across = np.rint(x + radius * np.cos(angle) + spread[0]).astype(int)
            up = np.rint(y + radius * np.sin(angle) + spread[1]).astype(int)
            inside = (across >= 0) & (across < self.size) & (up >= 0) & (up < self.size)
            across, up = across[inside], up[inside]
            kept = rng.random(len(across)) < share[up, across]
            np.add.at(image, (up[kept], across[kept]), 1.0)
        return image

    @property
    def wcs(self) -> WCS:
        """The projection: north up, at 150 +2 degrees."""
        wcs = WCS(naxis=2)
        wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [150.0, 2.0]
        wcs.wcs.crpix = [(self.size + 1) / 2] * 2
        wcs.wcs.cdelt = [-PIXEL_ARCSEC / 3600, PIXEL_ARCSEC / 3600]
        return wcs

    def field(self, rng: np.random.Generator) -> Field:
        """Return the images of all bands as a field."""
        middle = (self.size - 1) / 2
        live = np.where(self.exposure > 0, EXPOSURE_S, 0.0)
        return field_of(
            [Layer(f"{self.camera} {low:g}-{high:g}keV", self.camera, (low, high), self.image(rng, band), self.exposure,
                   live, king_spread(self.camera, float(np.sqrt(low * high))), (middle, middle))
             for band, (low, high) in enumerate(BANDS)], self.wcs)  # fmt: skip

    def write(self, folder: Path, rng: np.random.Generator) -> tuple[list[Path], Path]:
        """Write the images of all bands and their exposure map as FITS files, and return their paths."""
        folder.mkdir(exist_ok=True)
        header = self.wcs.to_header()
        header["TELESCOP"], header["INSTRUME"], header["OBS_ID"] = "XMM", self.camera, "0123456789"
        images = []
        for band, (low, high) in enumerate(BANDS):
            header["E_MIN"], header["E_MAX"] = low, high
            images.append(folder / f"image_{low:g}-{high:g}keV.fits")
            fits.writeto(images[-1], self.image(rng, band).astype(np.int32), header)
        fits.writeto(folder / "exposure.fits", self.exposure.astype(np.float32), header)
        return images, folder / "exposure.fits"


def points(rng: np.random.Generator, number: int, lowest: float, highest: float, **more: float) -> Sky:
    """Return a sky of points apart from the border and the gap, their counts spread evenly in logarithm."""
    sky = Sky(np.zeros(0), np.zeros(0), np.zeros((0, 3)), np.zeros(0), **more)  # type: ignore[arg-type]
    x, y = rng.uniform(10, sky.size - 11, (2, number))
    x = np.where(np.abs(x - sky.size // 3 - 1) < 6, x + 14, x)
    total = np.exp(rng.uniform(np.log(lowest), np.log(highest), number))
    return Sky(x, y, total[:, None] * rng.dirichlet([4.0] * 3, number), np.zeros(number), **more)  # type: ignore[arg-type]


def nearest(x: Floats, y: Floats, to_x: Floats, to_y: Floats) -> tuple[Floats, npt.NDArray[np.intp]]:
    """Return the distance of each of the first places to the nearest of the second ones, and the number of that."""
    if not len(to_x):
        return np.full(len(x), np.inf), np.zeros(len(x), dtype=np.intp)
    apart = np.hypot(x[:, None] - to_x, y[:, None] - to_y)
    return apart.min(axis=1), apart.argmin(axis=1)
