"""Which exposures see a region, over 42,000 footprints (14,000 pointings, three cameras), beside `mocset` (moc-set).

    python bench/footprints.py [--pointings FILE] [--exposures 42000] [--rounds 40] [--mocset PATH]

FILE is a table of text with right ascension and declination in degrees in its first two columns; without it positions
are drawn. Both sides are given a position and a radius and tell which footprints they found, a new process each time
for `mocset`, as it is used; the time of ours holds the region's own MOC too. Needs `pip install moc-set`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import Latitude, Longitude
from mocpy import MOC

from uws_server.archive import footprints
from uws_server.archive.footprints import ORDER, FootprintIndex, Seen

FIELD = 27.2 / 2
"""Half the side of EPIC's field in arcmin."""

RADII = {"1 arcmin": 1 / 60, "10 arcmin": 1 / 6, "1 deg": 1.0, "10 deg": 10.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pointings", type=Path)
    parser.add_argument("--exposures", type=int, default=42000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--mocset", default=shutil.which("mocset"))
    options = parser.parse_args()
    positions = places(options.pointings, options.exposures // 3)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {3 * len(positions)} exposures")
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "footprints", Path(folder) / "theirs.mocset"
        mocs, making = timed(fields, positions)
        _, writing = timed(footprints.write, ours, enumerate(map(footprints.cells, mocs), start=1))
        if options.mocset:
            _, built = timed(make, options.mocset, theirs, mocs)
            size = theirs.stat().st_size
            told("index with its MOCs, s", making + built, making + writing)
            told("index, MB", size / 1e6, ours.stat().st_size / 1e6)
        index = FootprintIndex(ours)
        random = np.random.default_rng(5)
        for name, radius in RADII.items():
            asked = positions[random.integers(0, len(positions), options.rounds)]
            mine, peer = [], []
            for lon, lat in asked:
                found, took = timed(seeing, index, lon, lat, radius)
                mine.append(1e3 * took)
                if options.mocset:
                    command = [options.mocset, "query", theirs, "cone", str(lon), str(lat), str(3600 * radius)]
                    listed, took = timed(subprocess.check_output, command)
                    peer.append(1e3 * took)
                    assert len(listed.splitlines()) >= len(found) > 0
            told(f"cone of {name}, ms", statistics.median(peer) if peer else float("nan"), statistics.median(mine))


def places(path: Path | None, count: int) -> np.ndarray:
    """Right ascension and declination of pointings in degrees, shape (count, 2)."""
    if path is None:
        random = np.random.default_rng(1)
        return np.stack((360 * random.random(count), np.degrees(np.arcsin(2 * random.random(count) - 1))), axis=1)
    known = np.loadtxt(path, delimiter=",", usecols=(0, 1))
    return np.resize(known, (count, 2)) + 1e-3 * (np.arange(count) // len(known))[:, None]


def fields(positions: np.ndarray) -> list[MOC]:
    """The fields of three cameras a pointing, turned at random."""
    random = np.random.default_rng(2)
    lon, lat = np.repeat(positions, 3, axis=0).T
    count = len(lon)
    found: list[MOC] = MOC.from_boxes(
        Longitude(lon % 360, u.deg), Latitude(np.clip(lat, -90, 90), u.deg),
        a=np.full(count, FIELD) * u.arcmin, b=np.full(count, 0.98 * FIELD) * u.arcmin,
        angle=np.repeat(180 * random.random(count // 3), 3) * u.deg, max_depth=ORDER, n_threads=os.cpu_count(),
    )  # fmt: skip
    return found


def cone(lon: float, lat: float, radius: float) -> MOC:
    return MOC.from_cone(lon=Longitude(lon, u.deg), lat=Latitude(lat, u.deg), radius=radius * u.deg, max_depth=ORDER)


def make(mocset: str, path: Path, mocs: list[MOC]) -> None:
    """Write the MOCs as files, as `mocset` takes them, and make its file of them."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        lines = []
        for number, moc in enumerate(mocs, start=1):
            file = Path(folder) / f"{number}.fits"
            moc.save(file, format="fits")
            lines.append(f"{number} {file}\n")
        listed = Path(folder) / "list"
        listed.write_text("".join(lines))
        subprocess.run([mocset, "make", "-l", listed, "-n", str(len(mocs) // 128 + 1), path], check=True)


def seeing(index: FootprintIndex, lon: float, lat: float, radius: float) -> list[Seen]:
    return index.seeing(cone(lon, lat, radius))


def timed(call: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """What a call returns, and the seconds it took."""
    begin = time.perf_counter()
    value = call(*arguments)
    return value, time.perf_counter() - begin


def told(what: str, theirs: float, ours: float) -> None:
    print(f"  {what:<28} mocset {theirs:>9.3f}   ours {ours:>9.3f}   ours / mocset {ours / theirs:.3f}")


if __name__ == "__main__":
    main()
