"""A small EPIC event list written with astropy, whose geometry, good times and selection are known exactly."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

PIXEL = 82.0
"""Side of a pn pixel in units of 0.05 arcsec."""

START, LENGTH = 1.0e8, 10000.0
FRAME = 0.0734
PN = (("TIME", "D"), ("RAWX", "I"), ("RAWY", "I"), ("DETX", "I"), ("DETY", "I"), ("X", "J"), ("Y", "J"), ("PHA", "I"),
      ("PI", "I"), ("FLAG", "J"), ("PATTERN", "B"), ("PAT_ID", "I"), ("PAT_SEQ", "B"), ("CCDNR", "B"),
      ("TIME_RAW", "D"))  # fmt: skip


@dataclass(frozen=True)
class Geometry:
    """Twelve CCDs of 64 x 200 pixels in two rows of six, apart by `gap` pixels, turned by `angle` on the sky."""

    gap: float = 6.0
    angle: float = 0.4

    @property
    def rotation(self) -> np.ndarray:
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.array([[c, -s], [s, c]])

    def corner(self, ccd: np.ndarray) -> np.ndarray:
        """Place of pixel (0, 0) of CCDs 1..12 before turning, in sky units about the centre."""
        column, row = (ccd - 1) % 6, (ccd - 1) // 6
        return np.stack(((column - 3) * (64 + self.gap) + self.gap / 2 - 0.5,
                         row * (200 + self.gap) - 200 - self.gap / 2 - 0.5)) * PIXEL  # fmt: skip

    def sky(self, ccd: np.ndarray, rawx: np.ndarray, rawy: np.ndarray) -> np.ndarray:
        return 25921.0 + self.rotation @ (self.corner(ccd) + np.stack((rawx, rawy)) * PIXEL)

    def pixel(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """CCD (0: none), RAWX, RAWY of places on the sky."""
        turned = self.rotation.T @ (np.stack((x, y)) - 25921.0)
        found = np.zeros((3, np.size(x)), dtype=int)
        for ccd in range(1, 13):
            raw = np.floor((turned - self.corner(np.array([ccd]))) / PIXEL + 0.5)
            on = (raw[0] >= 1) & (raw[0] <= 64) & (raw[1] >= 1) & (raw[1] <= 200)
            found[:, on] = np.array([np.full(on.sum(), ccd), raw[0, on], raw[1, on]])
        return found[0], found[1], found[2]


@dataclass(frozen=True)
class Epic:
    """How the list is made; `cards` go into the header of EVENTS; without `sky` X and Y have no projection."""

    rows: int = 30000
    seed: int = 1
    geometry: Geometry = field(default_factory=Geometry)
    bad: tuple[tuple[int, int, int, int, int], ...] = ()
    """CCD, RAWX, RAWY, TYPE, YEXTENT"""
    cards: tuple[tuple[str, Any], ...] = ()
    nan_times: int = 0
    stdgti: bool = True
    ccds: int = 12
    sky: bool = True


def gtis(ccd: int) -> list[tuple[float, float]]:
    """Good times of a CCD: two intervals, a little different for each."""
    return [(START, START + 4000.0 + ccd), (START + 5000.0, START + LENGTH - 10 * ccd)]


def make(epic: Epic) -> np.ndarray:
    """The rows: by CCD, sorted in time inside each."""
    rng = np.random.default_rng(epic.seed)
    n = epic.rows
    ccd = np.sort(rng.integers(1, epic.ccds + 1, n))
    rawx, rawy = rng.integers(1, 65, n), rng.integers(1, 201, n)
    sky = epic.geometry.sky(ccd, rawx + rng.uniform(-0.5, 0.5, n), rawy + rng.uniform(-0.5, 0.5, n))
    rows = np.zeros(n, dtype=[(name, {"D": ">f8", "I": ">i2", "J": ">i4", "B": "u1"}[form]) for name, form in PN])
    time = START + FRAME * rng.integers(0, int(LENGTH / FRAME), n)
    for number in range(1, 13):
        mine = ccd == number
        time[mine] = np.sort(time[mine])
    time[rng.choice(n, epic.nan_times, replace=False)] = np.nan
    rows["TIME"], rows["CCDNR"], rows["RAWX"], rows["RAWY"] = time, ccd, rawx, rawy
    rows["X"], rows["Y"] = np.floor(sky + rng.uniform(0, 1, sky.shape))
    rows["PI"] = np.clip(np.exp(rng.normal(6.9, 0.95, n)), 100, 20000)
    rows["FLAG"] = rng.choice([0, 0x10, 0x10000, 0x200000, 0x800000], n, p=[0.8, 0.05, 0.05, 0.05, 0.05])
    rows["PATTERN"] = rng.integers(0, 14, n)
    return rows


def write(path: Path, epic: Epic) -> np.ndarray:
    """Write the event list; returns its rows."""
    rows = make(epic)
    header = fits.Header()
    header.update({
        "TELESCOP": "XMM", "INSTRUME": "EPN", "FILTER": "Medium", "DATAMODE": "IMAGING", "SUBMODE": "PrimeFullWindow",
        "OBS_ID": "0123456789", "EXP_ID": "0123456789003", "EXPIDSTR": "S003", "OBJECT": "SYNTHETIC", "TIMESYS": "TT",
        "MJDREF": 50814.0, "TIMEZERO": 0, "TIMEREF": "LOCAL", "TIMEUNIT": "s", "TASSIGN": "SATELLITE", "CLOCKAPP": True,
        "TSTART": START, "TSTOP": START + LENGTH, "RADECSYS": "FK5", "EQUINOX": 2000.0,
        "DATE-OBS": "2001-03-03T09:46:40", "DATE-END": "2001-03-03T12:33:20", "XMMEA_EP": "(FLAG & 0xcfa0000) == 0",
    })  # fmt: skip
    for ccd in range(1, 13):
        on = sum(stop - start for start, stop in gtis(ccd))
        header[f"ONTIME{ccd:02d}"], header[f"LIVETI{ccd:02d}"] = on, on * (0.90 + ccd / 1000)
    header.update(dict(epic.cards))
    sky = {"X": ("RA---TAN", 150.0, -1.38888888888889e-5), "Y": ("DEC--TAN", 2.0, 1.38888888888889e-5)}
    columns = []
    for name, form in PN:
        kind, value, step = sky.get(name, (None, None, None)) if epic.sky else (None, None, None)
        projected = {"coord_type": kind, "coord_unit": "deg", "coord_ref_point": 25921.0, "coord_ref_value": value,
                     "coord_inc": step} if kind else {}  # fmt: skip
        columns.append(fits.Column(name, form, array=rows[name], **projected))
    hdus = [fits.PrimaryHDU(header=fits.Header([("TELESCOP", "XMM"), ("INSTRUME", "EPN"), ("OBS_ID", "0123456789")])),
            fits.BinTableHDU.from_columns(columns, header=header, name="EVENTS")]  # fmt: skip
    for ccd in range(1, 13) if epic.stdgti else ():
        start, stop = zip(*gtis(ccd), strict=True)
        hdus.append(gti_table(f"STDGTI{ccd:02d}", start, stop))
    for ccd in sorted({each[0] for each in epic.bad}):
        mine = np.array([each[1:] for each in epic.bad if each[0] == ccd])
        hdus.append(fits.BinTableHDU.from_columns(
            [fits.Column(name, "I", array=mine[:, i]) for i, name in enumerate(("RAWX", "RAWY", "TYPE", "YEXTENT"))],
            name=f"BADPIX{ccd:02d}"))  # fmt: skip
    fits.HDUList(hdus).writeto(path)
    return rows


def gti_table(name: str, start: Any, stop: Any, **cards: Any) -> fits.BinTableHDU:
    """A GTI table on the clock of XMM-Newton, unless the cards say else."""
    header = fits.Header({"TIMESYS": "TT", "MJDREF": 50814.0, **cards})
    columns = [fits.Column(edge, "D", unit="s", array=np.asarray(values, dtype=float))
               for edge, values in (("START", start), ("STOP", stop))]  # fmt: skip
    return fits.BinTableHDU.from_columns(columns, header=header, name=name)


def write_gti(path: Path, start: Any, stop: Any, name: str = "STDGTI", **cards: Any) -> Path:
    """A GTI file."""
    fits.HDUList([fits.PrimaryHDU(), gti_table(name, start, stop, **cards)]).writeto(path, overwrite=True)
    return path
