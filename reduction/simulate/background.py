"""Events that belong to no source: particles, the sky, soft protons of a flare; may import numpy."""

from __future__ import annotations

import numpy as np

from reduction import instruments
from reduction.simulate import spectra
from reduction.simulate.cameras import EPN, UNITS_PER_ARCSEC, Camera
from reduction.simulate.draw import PARTICLE, PROTON, SKY, Detector, Hits, stream
from reduction.simulate.observation import Observation
from reduction.simulate.response import PI_RANGE, Response

SKY_SPECTRUM = spectra.PowerLaw(2.0)
"""Photons of the X-ray background of the sky."""

PROTON_FROM_KEV, PROTON_SCALE_KEV, PROTON_RANGE_KEV = 0.3, 3.0, 19.0
"""Soft protons fall exponentially with energy."""

_ANGLE_STEP_ARCMIN, _ENERGY_STEP_KEV = 0.25, 0.05
_THINNING = instruments.vignetting(
    (np.arange(302.0) + 0.5)[None, :] * _ENERGY_STEP_KEV, (np.arange(80.0) + 0.5)[:, None] * _ANGLE_STEP_ARCMIN
)
"""Vignetting in steps of angle (rows) and energy: the sky has too many photons for more."""


def background_hits(observation: Observation, camera: Camera, detector: Detector, response: Response) -> Hits:
    """Draw the events of particles, of the sky and of the flare on one CCD.

    Parameters
    ----------
    observation
        Its background rates and flare.
    camera
        The camera of the CCD.
    detector
        The CCD.
    response
        What photons of the sky are measured with.

    Returns
    -------
    Hits
        Events on good pixels in good frames; those of sky and flare came in within the field of view.
    """
    draw = stream(observation, camera, "background", detector.ccd.number)
    live_s = detector.frames * camera.frame_s * camera.live_fraction
    arcmin2 = pixel_arcmin2(detector)
    parts = [_particles(draw, camera, detector, particle_rate(observation, camera) * arcmin2 * live_s)]
    parts.append(_sky(draw, camera, detector, response, sky_rate(observation, camera) * arcmin2 * live_s))
    field = np.flatnonzero(detector.good & detector.in_field)
    steady = draw.poisson(proton_rate(observation, camera) * arcmin2 * len(field) * live_s)
    frames = [detector.draw_frames(draw, int(steady))]
    for flare in observation.flares:
        excess_s = (flare.factor - 1) * flare.duration_s / 2 * camera.live_fraction
        count = int(draw.poisson(flare_rate(observation, camera) * arcmin2 * len(field) * excess_s))
        time = draw.triangular(flare.start_s, flare.peak_s, flare.start_s + flare.duration_s, count)
        frame = (time / camera.frame_s).astype(np.int64)
        frames.append(frame[detector.is_good_frame(frame)])
    parts.append(_protons(draw, camera, field, np.concatenate(frames)))
    return Hits.joined(parts)


def pixel_arcmin2(detector: Detector) -> float:
    """Return the area of a pixel of a CCD on the sky in arcmin2."""
    return float((detector.ccd.pixel / UNITS_PER_ARCSEC / 60) ** 2)


def particle_rate(observation: Observation, camera: Camera) -> float:
    """Return the particles in counts / s / arcmin2 outside of the hole of the circuit board."""
    return observation.particle_rate * camera.particles.total / EPN.particles.total


def sky_rate(observation: Observation, camera: Camera) -> float:
    """Return the sky on the optical axis in counts / s / arcmin2, as the area of the camera is to that of pn."""
    photons = spectra.photons_per_bin(SKY_SPECTRUM, 1.0)
    ours, pn = (
        float(np.sum(photons * c.effective_area(spectra.MIDDLES_KEV)) / c.usual_share / (1 - c.out_of_time))
        for c in (camera, EPN)
    )
    return observation.sky_rate * ours / pn


def proton_rate(observation: Observation, camera: Camera) -> float:
    """Return the steady soft protons in counts / s / arcmin2 in the field of view."""
    return observation.proton_rate * camera.particles.total / EPN.particles.total


def flare_rate(observation: Observation, camera: Camera) -> float:
    """Return the rate in counts / s / arcmin2 to which the factor of a flare refers."""
    return particle_rate(observation, camera) + sky_rate(observation, camera) + proton_rate(observation, camera)


def smear(draw: np.random.Generator, camera: Camera, rows: int, pixel: np.ndarray) -> np.ndarray:
    """Move the events of photons that came out of time to a random RAWY.

    Parameters
    ----------
    draw
        Random numbers.
    camera
        Its part of photons that come out of time.
    rows
        Rows of pixels of the CCD.
    pixel
        Flat pixel numbers, shape (n,); changed.

    Returns
    -------
    array
        The same array.
    """
    late = np.flatnonzero(draw.random(len(pixel), dtype=np.float32) < camera.out_of_time)
    pixel[late] = pixel[late] // rows * rows + draw.integers(0, rows, len(late))
    return pixel


def _particles(draw: np.random.Generator, camera: Camera, detector: Detector, per_pixel: float) -> Hits:
    pixels = np.flatnonzero(detector.good)
    count = int(draw.poisson(per_pixel * len(pixels)))
    energy, of_board = camera.particles.draw(draw, count)
    pixel = _some(draw, pixels, count)
    if camera.particles.board_lines:
        kept = ~(of_board & detector.in_hole.ravel()[pixel])
        energy, pixel = energy[kept], pixel[kept]
    return _hits(draw, camera, PARTICLE, pixel, detector.draw_frames(draw, len(pixel)), energy)


def _sky(draw: np.random.Generator, camera: Camera, detector: Detector, response: Response, per_pixel: float) -> Hits:
    pixels = np.flatnonzero(detector.in_field)
    count = int(draw.poisson(per_pixel * len(pixels)))
    photons = spectra.photons_per_bin(SKY_SPECTRUM, 1.0) * camera.effective_area(spectra.MIDDLES_KEV)
    energy, pixel = spectra.draw_energies(draw, photons, count), _some(draw, pixels, count)
    angle = (detector.off_axis_arcmin.ravel() / _ANGLE_STEP_ARCMIN).astype(np.int16)[pixel]
    kept = draw.random(count, dtype=np.float32) < _THINNING[angle, (energy / _ENERGY_STEP_KEV).astype(np.int16)]
    energy, pixel = energy[kept], smear(draw, camera, detector.ccd.rows, pixel[kept])
    pi = response.detection.measure(draw, energy)
    seen = (pi >= 0) & detector.good.ravel()[pixel]
    pi, pixel = pi[seen], pixel[seen]
    return Hits(pixel, detector.draw_frames(draw, len(pixel)), pi, np.full(len(pixel), SKY, dtype=np.int16))


def _protons(draw: np.random.Generator, camera: Camera, pixels: np.ndarray, frame: np.ndarray) -> Hits:
    excess = np.minimum(draw.exponential(PROTON_SCALE_KEV, len(frame)), PROTON_RANGE_KEV)
    return _hits(draw, camera, PROTON, _some(draw, pixels, len(frame)), frame, PROTON_FROM_KEV + excess)


def _some(draw: np.random.Generator, pixels: np.ndarray, count: int) -> np.ndarray:
    """Draw pixels, all equally likely."""
    return pixels[draw.integers(0, len(pixels), count)] if count else np.zeros(0, dtype=np.int64)


def _hits(
    draw: np.random.Generator, camera: Camera, origin: int, pixel: np.ndarray, frame: np.ndarray, energy: np.ndarray
) -> Hits:
    """Return events whose energy the detector measures with its resolution; noise below the threshold is above it."""
    pi = np.rint(1000 * energy + camera.sigma_ev(energy) * draw.standard_normal(len(energy)))
    pi = np.minimum(PI_RANGE[0] + np.abs(pi - PI_RANGE[0]), PI_RANGE[1]).astype(np.int16)
    return Hits(pixel, frame, pi, np.full(len(pixel), origin, dtype=np.int16))
