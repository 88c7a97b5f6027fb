"""Random good times, bad pixels, photons and particles of a CCD, and its rows of the event list.

Every stream of random numbers has a seed of its own, from the seed of the observation, the camera, a purpose and a
number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reduction.simulate import spectra
from reduction.simulate.cameras import (
    CAMERAS,
    CLOSE_TO_BAD_PIXEL,
    CLOSE_TO_BORDER,
    COSMIC_RAY,
    FIELD_RADIUS,
    INVALID_PATTERN,
    OUT_OF_FIELD,
    UNITS_PER_ARCSEC,
    X_MAX,
    Camera,
    Ccd,
)
from reduction.simulate.observation import Observation, Source

KING_CORE_ARCSEC, KING_SLOPE, PSF_LIMIT_ARCSEC = 5.0, 1.5, 300.0
"""Point spread function: core radius and slope of a King profile, and the radius at which it is cut."""

PARTICLE, SKY, FLARE, FIRST_SOURCE = 0, 1, 2, 3
"""Origins of events; that of source n is FIRST_SOURCE + n."""
_PURPOSES = ("detector", "background", "source", "rows", "expectation")

_COLUMNS = [
    ("TIME", ">f8"), ("RAWX", ">i2"), ("RAWY", ">i2"), ("DETX", ">i2"), ("DETY", ">i2"), ("X", ">i4"), ("Y", ">i4"),
    ("PHA", ">i2"), ("PI", ">i2"), ("FLAG", ">i4"), ("PATTERN", "u1"),
]  # fmt: skip
MOS_ROW = np.dtype([*_COLUMNS, ("CCDNR", "u1")])
PN_ROW = np.dtype([*_COLUMNS, ("PAT_ID", ">i2"), ("PAT_SEQ", "u1"), ("CCDNR", "u1"), ("TIME_RAW", ">f8")])


@dataclass(frozen=True)
class Detector:
    """One CCD during one observation: its good frames and its pixels.

    `starts` and `stops` are frame numbers, shape (m,): frames k with starts <= k < stops are good. `bad` has rows of
    (RAWX, RAWY, TYPE, YEXTENT). The maps `good`, `in_field` and `flags` have the shape (columns, rows).
    """

    ccd: Ccd
    starts: np.ndarray
    stops: np.ndarray
    bad: np.ndarray
    good: np.ndarray
    in_field: np.ndarray
    flags: np.ndarray

    @cached_property
    def frames(self) -> int:
        """Number of good frames."""
        return int(np.sum(self.stops - self.starts))

    def is_good_frame(self, frame: np.ndarray) -> np.ndarray:
        """Return whether frames are good, shape (n,) like their numbers."""
        interval = np.searchsorted(self.starts, frame, side="right") - 1
        return np.asarray((interval >= 0) & (frame < self.stops[interval]))

    def draw_frames(self, draw: np.random.Generator, count: int) -> np.ndarray:
        """Draw numbers of good frames, all equally likely, shape (count,)."""
        before = np.concatenate(([0], np.cumsum(self.stops - self.starts)))
        ordinal = draw.integers(0, self.frames, count)
        interval = np.searchsorted(before, ordinal, side="right") - 1
        return np.asarray(self.starts[interval] + ordinal - before[interval])


@dataclass(frozen=True)
class Hits:
    """Events of a CCD before they become rows: flat pixel number, frame, PI in eV and origin, all of shape (n,)."""

    pixel: np.ndarray
    frame: np.ndarray
    pi: np.ndarray
    origin: np.ndarray

    @staticmethod
    def joined(parts: list[Hits]) -> Hits:
        """Return the events of several in one."""
        columns = zip(*((p.pixel, p.frame, p.pi, p.origin) for p in parts), strict=True)
        return Hits(*(np.concatenate(column) for column in columns))


def stream(observation: Observation, camera: Camera, purpose: str, number: int) -> np.random.Generator:
    """Return the random numbers for one purpose.

    Parameters
    ----------
    observation
        Its seed is used.
    camera
        One of `CAMERAS`.
    purpose
        One of ``detector``, ``background``, ``source``, ``rows``, ``expectation``.
    number
        Number of the CCD or of the source.

    Returns
    -------
    Generator
        The same numbers for the same arguments.
    """
    key = (list(CAMERAS).index(camera.key), _PURPOSES.index(purpose), number)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(observation.seed, spawn_key=key)))


def detectors(observation: Observation, camera: Camera) -> tuple[Detector, ...]:
    """Return the CCDs of a camera with their good times and bad pixels."""
    total = int(observation.exposure_s / camera.frame_s)
    common = _gaps(stream(observation, camera, "detector", 0), total, 2)
    chips = []
    for ccd in camera.ccds:
        draw = stream(observation, camera, "detector", ccd.number)
        first, last = (int(draw.integers(0, max(2, total // 500))) for _ in range(2))
        good = np.ones(total, dtype=bool)
        good[:first], good[total - last :] = False, False
        for start, stop in common + _gaps(draw, total, 2):
            good[start:stop] = False
        change = np.diff(np.concatenate(([0], good.astype(np.int8), [0])))
        starts, stops = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
        chips.append(_detector(camera, ccd, starts, stops, _bad_pixels(draw, camera, ccd)))
    return tuple(chips)


def background_hits(observation: Observation, camera: Camera, detector: Detector) -> Hits:
    """Draw the events of particles, of the sky and of the flare on one CCD.

    Parameters
    ----------
    observation
        Its background rates and flare.
    camera
        The camera of the CCD.
    detector
        The CCD.

    Returns
    -------
    Hits
        Events on good pixels in good frames; those of sky and flare are within the field of view.
    """
    draw = stream(observation, camera, "background", detector.ccd.number)
    live_s = detector.frames * camera.frame_s * camera.live_fraction
    pixel_arcmin2 = (detector.ccd.pixel / UNITS_PER_ARCSEC / 60) ** 2 * camera.background_scale
    everywhere, field = np.flatnonzero(detector.good), np.flatnonzero(detector.good & detector.in_field)
    parts = []
    for origin, rate, pixels, energies in (
        (PARTICLE, observation.particle_rate, everywhere, spectra.draw_particles),
        (SKY, observation.sky_rate, field, spectra.draw_sky),
    ):
        count = int(draw.poisson(rate * pixel_arcmin2 * len(pixels) * live_s))
        parts.append(_hits(draw, camera, origin, pixels, detector.draw_frames(draw, count), energies))
    flare = observation.flare
    if flare:
        excess_s = (flare.factor - 1) * flare.duration_s / 2 * camera.live_fraction
        rate = (observation.particle_rate + observation.sky_rate) * pixel_arcmin2 * len(field)
        count = int(draw.poisson(rate * excess_s))
        time = draw.triangular(flare.start_s, flare.peak_s, flare.start_s + flare.duration_s, count)
        frame = (time / camera.frame_s).astype(np.int64)
        frame = frame[detector.is_good_frame(frame)]
        parts.append(_hits(draw, camera, FLARE, field, frame, spectra.draw_protons))
    return Hits.joined(parts)


def source_hits(observation: Observation, camera: Camera, chips: tuple[Detector, ...], number: int) -> dict[int, Hits]:
    """Draw the photons of a source; those in gaps, on bad pixels or in bad time are lost.

    Parameters
    ----------
    observation
        The observation.
    camera
        The camera.
    chips
        Its CCDs, from `detectors`.
    number
        Index of the source in `observation.sources`.

    Returns
    -------
    dict
        CCD number -> events.
    """
    source = observation.sources[number]
    draw = stream(observation, camera, "source", number)
    count = int(draw.poisson(expected_photons(observation, camera, source)))
    return scattered(draw, observation, camera, chips, source, count, FIRST_SOURCE + number)


def expected_photons(observation: Observation, camera: Camera, source: Source) -> float:
    """Return the mean number of photons of a source in the whole exposure, before losses in gaps and bad time.

    Parameters
    ----------
    observation
        Its exposure.
    camera
        Its effective area and live fraction.
    source
        Its flux and spectrum.

    Returns
    -------
    float
        Photons of all patterns.
    """
    rate = float(spectra.detected_per_bin(camera, source.spectrum, source.flux).sum())
    return rate * observation.exposure_s * camera.live_fraction


def scattered(
    draw: np.random.Generator, observation: Observation, camera: Camera, chips: tuple[Detector, ...], source: Source,
    count: int, origin: int,
) -> dict[int, Hits]:  # fmt: skip
    """Scatter photons of a source through the point spread function onto the CCDs.

    Parameters
    ----------
    draw
        Random numbers.
    observation
        Its pointing and exposure.
    camera
        The camera.
    chips
        Its CCDs, from `detectors`.
    source
        Position, flux and spectrum of the photons.
    count
        Number of photons, before losses.
    origin
        Origin noted for the events.

    Returns
    -------
    dict
        CCD number -> events on good pixels in good frames.
    """
    x0, y0 = observation.sky_position(source)
    limit = 1 - (1 + (PSF_LIMIT_ARCSEC / KING_CORE_ARCSEC) ** 2) ** (1 - KING_SLOPE)
    enclosed = draw.random(count) * limit
    radius = KING_CORE_ARCSEC * UNITS_PER_ARCSEC * np.sqrt((1 - enclosed) ** (1 / (1 - KING_SLOPE)) - 1)
    phase = draw.random(count) * (2 * np.pi)
    detx, dety = camera.to_detector(x0 + radius * np.cos(phase), y0 + radius * np.sin(phase), observation.pa)
    frame = (draw.random(count) * (observation.exposure_s / camera.frame_s)).astype(np.int64)
    per_bin = spectra.detected_per_bin(camera, source.spectrum, source.flux)
    pi = spectra.measure(draw, camera, spectra.draw_energies(draw, per_bin, count))
    hits = {}
    for chip in chips:
        column, row = (np.floor(raw - 0.5).astype(np.int64) for raw in chip.ccd.to_raw(detx, dety))
        on = np.flatnonzero((column >= 0) & (column < chip.ccd.columns) & (row >= 0) & (row < chip.ccd.rows))
        pixel = column[on] * chip.ccd.rows + row[on]
        kept = (chip.good & chip.in_field).ravel()[pixel] & chip.is_good_frame(frame[on])
        on, pixel = on[kept], pixel[kept]
        hits[chip.ccd.number] = Hits(pixel, frame[on], pi[on], np.full(len(on), origin, dtype=np.int16))
    return hits


def rows_of(
    draw: np.random.Generator, observation: Observation, camera: Camera, detector: Detector, hits: Hits
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the event list of one CCD, in the order of time.

    Parameters
    ----------
    draw
        Random numbers: positions within pixels, PHA, patterns, cosmic rays.
    observation
        Its start and position angle.
    camera
        The camera of the CCD.
    detector
        The CCD.
    hits
        Its events.

    Returns
    -------
    rows, origin
        Rows of `PN_ROW` or `MOS_ROW` and the origins of the events, shape (n,) both.
    """
    order = np.argsort(hits.frame, kind="stable")
    pixel, ccd, count = hits.pixel[order], detector.ccd, len(order)
    rows = np.zeros(count, dtype=PN_ROW if camera.has_pn_columns else MOS_ROW)
    column, row = np.divmod(pixel, ccd.rows)
    rows["RAWX"], rows["RAWY"], rows["CCDNR"] = column + 1, row + 1, ccd.number
    rows["TIME"] = observation.tstart + (hits.frame[order] + 0.5) * camera.frame_s
    jitter = draw.random((2, count), dtype=np.float32) - np.float32(0.5)
    detx, dety = ccd.to_detector(column + 1 + jitter[0], row + 1 + jitter[1])
    x, y = camera.to_sky(detx, dety, observation.pa)
    rows["DETX"], rows["DETY"] = np.rint(detx), np.rint(dety)
    rows["X"], rows["Y"] = np.clip(np.rint(x), 1, X_MAX), np.clip(np.rint(y), 1, X_MAX)
    rows["PI"] = hits.pi[order]
    rows["PHA"] = np.clip(hits.pi[order] / 5 + 3 * draw.standard_normal(count, dtype=np.float32), 0, 4095)
    shares = np.cumsum(camera.patterns)
    pattern = np.minimum(np.searchsorted(shares, draw.random(count)), len(shares) - 1)
    rows["PATTERN"] = pattern
    origin = hits.origin[order]
    flags = detector.flags.ravel()[pixel] | np.where(pattern > 12, INVALID_PATTERN, 0)
    cosmic = (origin == PARTICLE) & (draw.random(count, dtype=np.float32) < 0.01)
    rows["FLAG"] = flags | np.where(cosmic, COSMIC_RAY, 0)
    if camera.has_pn_columns:
        rows["TIME_RAW"] = rows["TIME"] - observation.tstart
        rows["PAT_ID"], rows["PAT_SEQ"] = np.where(pattern > 0, 1, 0), 0
    return rows, origin


def _hits(
    draw: np.random.Generator, camera: Camera, origin: int, pixels: np.ndarray, frame: np.ndarray,
    energies: Callable[[np.random.Generator, Camera, int], np.ndarray],
) -> Hits:  # fmt: skip
    count = len(frame)
    pixel = pixels[draw.integers(0, len(pixels), count)] if count else np.zeros(0, dtype=np.int64)
    return Hits(pixel, frame, energies(draw, camera, count), np.full(count, origin, dtype=np.int16))


def _gaps(draw: np.random.Generator, total: int, count: int) -> list[tuple[int, int]]:
    """Draw intervals of bad frames, at most a third of a per cent of the exposure long."""
    starts = np.sort(draw.integers(total // 20, total - total // 20, count))
    return [(int(start), int(start + 1 + draw.integers(0, max(1, total // 300)))) for start in starts]


def _bad_pixels(draw: np.random.Generator, camera: Camera, ccd: Ccd) -> np.ndarray:
    """Draw hot and dead pixels, the last of them with a part of its column: rows of (RAWX, RAWY, TYPE, YEXTENT)."""
    count = camera.bad_pixels_per_ccd
    bad = np.ones((count, 4), dtype=np.int64)
    bad[:, 0], bad[:, 1] = draw.integers(1, ccd.columns + 1, count), draw.integers(1, ccd.rows + 1, count)
    bad[:, 2] = draw.choice([1, 2, 3], count)
    bad[-1, 3] = ccd.rows - bad[-1, 1] + 1 if bad[-1, 1] > ccd.rows // 2 else ccd.rows // 4
    return np.unique(bad, axis=0)


def _detector(camera: Camera, ccd: Ccd, starts: np.ndarray, stops: np.ndarray, bad: np.ndarray) -> Detector:
    """Return a CCD with its maps of good pixels, of the field of view and of flags."""
    good = np.ones((ccd.columns, ccd.rows), dtype=bool)
    for column, row, _, extent in bad.tolist():
        good[column - 1, row - 1 : row - 1 + extent] = False
    raw = np.meshgrid(np.arange(1, ccd.columns + 1), np.arange(1, ccd.rows + 1), indexing="ij")
    detx, dety = ccd.to_detector(raw[0], raw[1])
    in_field = np.hypot(detx - camera.aim[0], dety - camera.aim[1]) <= FIELD_RADIUS
    flags = np.where(in_field, 0, OUT_OF_FIELD)
    flags[[0, -1], :] |= CLOSE_TO_BORDER
    flags[:, [0, -1]] |= CLOSE_TO_BORDER
    close_to_bad = np.zeros_like(good)
    close_to_bad[1:] |= ~good[:-1]
    close_to_bad[:-1] |= ~good[1:]
    close_to_bad[:, 1:] |= ~good[:, :-1]
    close_to_bad[:, :-1] |= ~good[:, 1:]
    flags = (flags | np.where(close_to_bad, CLOSE_TO_BAD_PIXEL, 0)).astype(np.int32)
    return Detector(ccd, starts, stops, bad, good, in_field, flags)


def within(rows: np.ndarray, centre: tuple[float, float], radius: float) -> np.ndarray:
    """Return whether rows lie in a circle of the X,Y plane, border included.

    Parameters
    ----------
    rows
        Rows with the columns X and Y, shape (n,).
    centre
        X and Y of the centre, pixels.
    radius
        Radius of the circle, pixels.

    Returns
    -------
    array
        Booleans, shape (n,).
    """
    dx, dy = rows["X"] - centre[0], rows["Y"] - centre[1]
    return np.asarray(dx * dx + dy * dy <= radius * radius)
