"""Rows of the event list of one CCD, made of the events that were drawn; may import numpy."""

from __future__ import annotations

import numpy as np

from reduction import instruments
from reduction.simulate.cameras import COSMIC_RAY, INVALID_PATTERN, X_MAX, Camera
from reduction.simulate.draw import PARTICLE, Detector, Hits
from reduction.simulate.observation import Observation

_COLUMNS = [
    ("TIME", ">f8"), ("RAWX", ">i2"), ("RAWY", ">i2"), ("DETX", ">i2"), ("DETY", ">i2"), ("X", ">i4"), ("Y", ">i4"),
    ("PHA", ">i2"), ("PI", ">i2"), ("FLAG", ">i4"), ("PATTERN", "u1"),
]  # fmt: skip
MOS_ROW = np.dtype([*_COLUMNS, ("CCDNR", "u1")])
PN_ROW = np.dtype([*_COLUMNS, ("PAT_ID", ">i2"), ("PAT_SEQ", "u1"), ("CCDNR", "u1"), ("TIME_RAW", ">f8")])


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
    x, y = observation.to_sky(camera, detx, dety, (hits.frame[order] + 0.5) * camera.frame_s)
    rows["DETX"], rows["DETY"] = np.rint(detx), np.rint(dety)
    rows["X"], rows["Y"] = np.clip(np.rint(x), 1, X_MAX), np.clip(np.rint(y), 1, X_MAX)
    rows["PI"] = hits.pi[order]
    rows["PHA"] = np.clip(hits.pi[order] / 5 + 3 * draw.standard_normal(count, dtype=np.float32), 0, 4095)
    rows["PATTERN"] = pattern = _patterns(draw, camera, rows["PI"])
    origin = hits.origin[order]
    flags = detector.flags.ravel()[pixel] | np.where(pattern > 12, INVALID_PATTERN, 0)
    cosmic = (origin == PARTICLE) & (draw.random(count, dtype=np.float32) < 0.01)
    rows["FLAG"] = flags | np.where(cosmic, COSMIC_RAY, 0)
    if camera.has_pn_columns:
        rows["TIME_RAW"] = rows["TIME"] - observation.tstart
        rows["PAT_ID"], rows["PAT_SEQ"] = np.where(pattern > 0, 1, 0), 0
    return rows, origin


def _patterns(draw: np.random.Generator, camera: Camera, pi: np.ndarray) -> np.ndarray:
    """Draw a PATTERN for each event; of the usual ones of pn the share of PATTERN 0 falls with energy."""
    shares, chance = np.cumsum(camera.patterns), draw.random(len(pi))
    if camera.has_pn_columns:
        # the chance is stretched so that what is below `single` falls below the first of the shares
        single, first, usual = (camera.usual_share * _SINGLE)[pi], shares[0], camera.usual_share
        doubles = first + (chance - single) * ((usual - first) / (usual - single))
        chance = np.where(chance < single, chance * (first / single), np.where(chance < usual, doubles, chance))
    return np.minimum(np.searchsorted(shares, chance), len(shares) - 1)


_SINGLE = instruments.single_share(np.arange(20_480) / 1000)
"""Share of single events among the usual patterns of pn by PI in eV."""


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
