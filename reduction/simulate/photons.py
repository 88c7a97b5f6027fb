"""Photons of sources on the CCDs: drawn one by one, and the parts of them that are expected; may import numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reduction import instruments
from reduction.simulate import spectra
from reduction.simulate.background import smear
from reduction.simulate.cameras import UNITS_PER_ARCSEC, Camera
from reduction.simulate.ccds import Ccd
from reduction.simulate.draw import FIRST_SOURCE, Detector, Hits, stream
from reduction.simulate.extent import SkyShape
from reduction.simulate.observation import Observation, Source
from reduction.simulate.response import CIRCLE_ARCSEC, Response

SHARE_ENERGIES_KEV = np.array([0.15, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0])
"""Energies at which shares of the light are computed; they change slowly."""

_RADII, _PHASES = 200, 60
_SUBPIXELS = 8


@dataclass(frozen=True)
class Light:
    """Where the light of a source lands on the CCDs of a camera.

    `off_axis_arcmin` is its angle from the optical axis, and `in_circle` the chance of each pixel to be counted in the
    circle of `CIRCLE_ARCSEC` about it, a map for each CCD. `pixels` has, for each energy of `SHARE_ENERGIES_KEV` and
    each point of equal light, the flat pixel number on the CCD that `on` indexes, which is -1 for a point beside all
    CCDs or outside of the field of view; shape (energies, points). `weights` is the vignetting at each point relative
    to that at `off_axis_arcmin`, of the same shape; None for a source that is a point.
    """

    camera: Camera
    off_axis_arcmin: float
    in_circle: list[np.ndarray]
    pixels: np.ndarray
    on: np.ndarray
    weights: np.ndarray | None = None

    def share(
        self, maps: Sequence[np.ndarray], energy_kev: np.ndarray, parts: Sequence[float] | None = None
    ) -> np.ndarray:
        """Return the part of the light that is counted.

        Parameters
        ----------
        maps
            Of each CCD the chance that an event on a pixel is counted, shape (columns, rows).
        energy_kev
            Energies in keV, shape (n,).
        parts
            Of each CCD a factor on its chances; None for 1.

        Returns
        -------
        array
            Shape (n,), from 0 to 1 (of an extended source above 1 where much of it is nearer to the axis than its
            middle); photons out of time are counted where they were taken for.
        """
        late, sums = self.camera.out_of_time, np.zeros(self.pixels.shape[0])
        for number, energy, point, pixel in self._points:
            chances, part = maps[number], 1.0 if parts is None else parts[number]
            if not chances.any():
                continue
            smeared = chances.mean(axis=1)[pixel // chances.shape[1]]
            counted = part * ((1 - late) * chances.ravel()[pixel] + late * smeared)
            if self.weights is not None:
                counted = counted * self.weights[energy, point]
            sums += np.bincount(energy, counted, minlength=len(sums))
        return np.asarray(np.interp(energy_kev, SHARE_ENERGIES_KEV, sums / self.pixels.shape[1]))

    @cached_property
    def _points(self) -> list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        """Of each CCD that has points: its index, and of each point its energy, its number and its pixel."""
        found = []
        for number in np.flatnonzero(np.bincount(self.on[self.on >= 0])).tolist():
            energy, point = np.nonzero(self.on == number)
            found.append((number, energy, point, self.pixels[energy, point]))
        return found


def light_of(observation: Observation, camera: Camera, chips: tuple[Detector, ...], number: int) -> Light:
    """Return where the light of a source lands, on points of equal light that fill the point spread function.

    Parameters
    ----------
    observation
        Its pointing.
    camera
        The camera.
    chips
        Its CCDs, from `detectors`.
    number
        Index of the source in `observation.sources`.

    Returns
    -------
    Light
        The points.
    """
    x, y = centre = observation.positions[number]
    away = float(camera.off_axis_arcmin(*observation.to_detector(camera, np.array([x]), np.array([y])))[0])
    extent, weights = observation.sources[number].extent, None
    profile = instruments.king(camera.key, SHARE_ENERGIES_KEV[:, None], away)
    radius = UNITS_PER_ARCSEC * profile.radius((np.arange(_RADII) + 0.5)[None, :] / _RADII)
    # golden angles: no two radii have points in the same directions
    turns = np.arange(_RADII)[:, None] * 0.6180339887 + np.arange(_PHASES)[None, :] / _PHASES
    dx, dy = (radius[:, :, None] * wave(2 * np.pi * turns)[None] for wave in (np.cos, np.sin))
    if extent is not None:
        across, up = _spread(extent)
        at = observation.to_detector(camera, x + across, y + up)
        angles = camera.off_axis_arcmin(*at)
        weights = _relative_vignetting(SHARE_ENERGIES_KEV[:, None], angles.reshape(1, -1), away)
        blur = 0.0 if extent.is_blurred else 1.0
        dx, dy = across + blur * dx, up + blur * dy
    detx, dety = observation.to_detector(camera, (x + dx).reshape(len(radius), -1), (y + dy).reshape(len(radius), -1))
    pixels, on = np.zeros(detx.shape, dtype=np.int64), np.full(detx.shape, -1)
    box = np.array([[edge(axis) for edge in (np.min, np.max)] for axis in (detx, dety)])
    for number, chip in enumerate(chips):
        if not _overlaps(chip.ccd, box):
            continue
        column, row = (np.floor(raw - 0.5).astype(np.int64) for raw in chip.ccd.to_raw(detx, dety))
        inside = (column >= 0) & (column < chip.ccd.columns) & (row >= 0) & (row < chip.ccd.rows)
        pixel = np.where(inside, column * chip.ccd.rows + row, 0)
        seen = inside & chip.in_field.ravel()[pixel]
        pixels[seen], on[seen] = pixel[seen], number
    reach = CIRCLE_ARCSEC * UNITS_PER_ARCSEC
    circle = [circle_map(observation, camera, chip, centre, reach) for chip in chips]
    return Light(camera, away, circle, pixels, on, weights)


def _overlaps(ccd: Ccd, box: np.ndarray) -> bool:
    """Return whether a box of detector positions, rows of (lowest, highest) of DETX and DETY, may lie on a CCD."""
    raw = ccd.to_raw(*np.meshgrid(*box))
    return all(
        each.min() < size + 1 and each.max() > 0 for each, size in zip(raw, (ccd.columns, ccd.rows), strict=True)
    )


def _spread(extent: SkyShape) -> tuple[np.ndarray, np.ndarray]:
    """Return offsets of points of equal light of an extended source in units of 0.05 arcsec, (energies, radii, phases).

    They are in an order of their own, so that each comes with another place in the point spread function.
    """
    count, energies = _RADII * _PHASES, len(SHARE_ENERGIES_KEV)
    part = (np.random.default_rng(1).permutation(count) + 0.5) / count
    x, y = extent.offsets(part, np.mod(np.arange(count) * 0.7548776662, 1.0))
    shape = (energies, _RADII, _PHASES)
    across, up = (np.broadcast_to(UNITS_PER_ARCSEC * way.reshape(1, _RADII, _PHASES), shape) for way in (x, y))
    return across, up


def _relative_vignetting(energy_kev: np.ndarray, angle_arcmin: np.ndarray, away_arcmin: float) -> np.ndarray:
    """Return the vignetting at angles from the optical axis in arcmin, relative to that at another angle."""
    return np.asarray(
        instruments.vignetting(energy_kev, angle_arcmin) / instruments.vignetting(energy_kev, away_arcmin)
    )


def circle_map(
    observation: Observation, camera: Camera, detector: Detector, centre: tuple[float, float], radius: float
) -> np.ndarray:
    """Return the part of each good pixel of a CCD that lies in a circle of the X,Y plane.

    Parameters
    ----------
    observation
        Its position angle.
    camera
        The camera of the CCD.
    detector
        The CCD.
    centre
        X and Y of the centre.
    radius
        Radius of the circle in units of X and Y.

    Returns
    -------
    array
        Shape (columns, rows); 0 on bad pixels.
    """
    ccd = detector.ccd
    detx, dety = observation.to_detector(camera, np.array([centre[0]]), np.array([centre[1]]))
    middle, reach = [float(raw[0]) for raw in ccd.to_raw(detx, dety)], radius / ccd.pixel + 1.5
    low = [max(int(at - reach), 1) for at in middle]
    high = [min(int(at + reach) + 1, size) for at, size in zip(middle, (ccd.columns, ccd.rows), strict=True)]
    if low[0] > high[0] or low[1] > high[1]:
        return np.broadcast_to(0.0, detector.good.shape)
    part = np.zeros(detector.good.shape)
    inner = (np.arange(_SUBPIXELS) + 0.5) / _SUBPIXELS - 0.5
    columns, rows = (np.add.outer(np.arange(a, b + 1), inner).ravel() for a, b in zip(low, high, strict=True))
    x, y = observation.to_sky(camera, *ccd.to_detector(columns[:, None], rows[None, :]))
    inside = np.hypot(x - centre[0], y - centre[1]) <= radius
    shape = (high[0] - low[0] + 1, _SUBPIXELS, high[1] - low[1] + 1, _SUBPIXELS)
    window = slice(low[0] - 1, high[0]), slice(low[1] - 1, high[1])
    part[window] = inside.reshape(shape).mean(axis=(1, 3)) * detector.good[window]
    return part


def photons_per_bin(observation: Observation, source: Source, light: Light, response: Response) -> np.ndarray:
    """Return the photons of a source that reach the CCDs.

    Parameters
    ----------
    observation
        Its exposure.
    source
        Flux and spectrum.
    light
        Where it lands, and on which camera.
    response
        The area of the camera.

    Returns
    -------
    array
        Photons of all patterns, out of time or not, in the bins of `spectra.EDGES_KEV`, before losses in gaps, in bad
        time and below the threshold, shape (n,).
    """
    energy, camera = spectra.MIDDLES_KEV, light.camera
    area = response.area(energy, light.off_axis_arcmin, light.share(light.in_circle, energy)) / camera.usual_share
    photons = spectra.photons_per_bin(source.spectrum, source.mean_flux(observation.exposure_s)) * area
    return np.asarray(photons * observation.exposure_s * camera.live_fraction)


def source_hits(
    observation: Observation, light: Light, chips: tuple[Detector, ...], number: int, response: Response
) -> dict[int, Hits]:
    """Draw the photons of a source; those in gaps, on bad pixels or in bad time are lost.

    Parameters
    ----------
    observation
        The observation.
    light
        Where the light of the source lands, from `light_of`.
    chips
        The CCDs of the camera, from `detectors`.
    number
        Index of the source in `observation.sources`.
    response
        What its photons are drawn through.

    Returns
    -------
    dict
        CCD number -> events on good pixels in good frames.
    """
    camera, source = light.camera, observation.sources[number]
    draw = stream(observation, camera, "source", number)
    per_bin = photons_per_bin(observation, source, light, response)
    if source.extent is None:
        energy, dx, dy = _point(draw, light, per_bin)
    else:
        energy, dx, dy = _extended(draw, observation, light, number, per_bin)
    count = len(energy)
    x, y = observation.positions[number]
    if source.variability is None:
        frame = (draw.random(count) * (observation.exposure_s / camera.frame_s)).astype(np.int64)
    else:
        frame = (source.variability.draw(draw, count, observation.exposure_s) / camera.frame_s).astype(np.int64)
    detx, dety = observation.to_detector(camera, x + dx, y + dy, (frame + 0.5) * camera.frame_s)
    pi = response.detection.measure(draw, energy)
    hits = {}
    for chip in chips:
        column, row = (np.floor(raw - 0.5).astype(np.int64) for raw in chip.ccd.to_raw(detx, dety))
        on = np.flatnonzero(
            (column >= 0) & (column < chip.ccd.columns) & (row >= 0) & (row < chip.ccd.rows) & (pi >= 0)
        )
        on = on[chip.in_field.ravel()[column[on] * chip.ccd.rows + row[on]] & chip.is_good_frame(frame[on])]
        pixel = smear(draw, camera, chip.ccd.rows, column[on] * chip.ccd.rows + row[on])
        found = Hits(pixel, frame[on], pi[on], np.full(len(on), FIRST_SOURCE + number, dtype=np.int16))
        hits[chip.ccd.number] = found.kept(chip.good.ravel()[pixel])
    return hits


def _point(draw: np.random.Generator, light: Light, per_bin: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw energies in keV of the photons of a point, and their offsets on the sky in units of 0.05 arcsec."""
    count = int(draw.poisson(per_bin.sum()))
    energy = spectra.draw_energies(draw, per_bin, count)
    profile = instruments.king(light.camera.key, energy, light.off_axis_arcmin)
    radius, phase = UNITS_PER_ARCSEC * profile.radius(draw.random(count)), draw.random(count) * (2 * np.pi)
    return energy, radius * np.cos(phase), radius * np.sin(phase)


def _extended(
    draw: np.random.Generator, observation: Observation, light: Light, number: int, per_bin: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw energies and offsets of the photons of an extended source, each with the vignetting where it comes from.

    As many are drawn as there were without vignetting, and thinned.
    """
    source, (x, y), away = observation.sources[number], observation.positions[number], light.off_axis_arcmin
    assert source.extent is not None
    most = 1 / instruments.vignetting(spectra.MIDDLES_KEV, away)
    energy, dx, dy = _point(draw, light, per_bin * most)
    across, up = (UNITS_PER_ARCSEC * way for way in source.extent.offsets(*draw.random((2, len(energy)))))
    angle = light.camera.off_axis_arcmin(*observation.to_detector(light.camera, x + across, y + up))
    seen = draw.random(len(energy)) < instruments.vignetting(energy, angle)
    blur = 0.0 if source.extent.is_blurred else 1.0
    return energy[seen], (across + blur * dx)[seen], (up + blur * dy)[seen]
