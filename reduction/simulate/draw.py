"""Random good times and bad pixels of a CCD, its events before they become rows, and streams of random numbers.

Every stream of random numbers has a seed of its own, from the seed of the observation, the camera, a purpose and a
number.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reduction.simulate.cameras import (
    CAMERAS,
    CLOSE_TO_BAD_PIXEL,
    CLOSE_TO_BORDER,
    FIELD_RADIUS,
    OUT_OF_FIELD,
    UNITS_PER_ARCSEC,
    Camera,
)
from reduction.simulate.ccds import Ccd
from reduction.simulate.observation import Observation

PARTICLE, SKY, PROTON, FIRST_SOURCE = 0, 1, 2, 3
"""Origins of events; that of source n is FIRST_SOURCE + n."""
_PURPOSES = ("detector", "background", "source", "rows")


@dataclass(frozen=True)
class Detector:
    """One CCD during one observation: its good frames and its pixels.

    `starts` and `stops` are frame numbers, shape (m,): frames k with starts <= k < stops are good. `bad` has rows of
    (RAWX, RAWY, TYPE, YEXTENT). The maps `good`, `in_field`, `flags`, `off_axis_arcmin` and `in_hole` (whether there
    are no lines of the board) have the shape (columns, rows).
    """

    ccd: Ccd
    starts: np.ndarray
    stops: np.ndarray
    bad: np.ndarray
    good: np.ndarray
    in_field: np.ndarray
    flags: np.ndarray
    off_axis_arcmin: np.ndarray
    in_hole: np.ndarray

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

    def kept(self, chosen: np.ndarray) -> Hits:
        """Return the events of a mask."""
        return Hits(self.pixel[chosen], self.frame[chosen], self.pi[chosen], self.origin[chosen])

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
        One of ``detector``, ``background``, ``source``, ``rows``.
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
    in_hole = np.hypot(detx, dety) <= camera.particles.hole_arcmin * 60 * UNITS_PER_ARCSEC
    return Detector(ccd, starts, stops, bad, good, in_field, flags, camera.off_axis_arcmin(detx, dety), in_hole)
