"""Opens a gzipped pn event list (.FTZ) by way of the cache of inflated copies, beside zlib and the plain list.

The list has 4 million rows, so that it is 109 MB long when it is gzipped, as the real list of 2.7 million rows and 61
further HDUs is. All run in turns, each in a fresh process that is measured after its imports: inflating (ours: into the
cache, linked for the job; zlib: `gzip` of Python, into a file, which is synced as ours is), opening, and one pass over
all rows.

    python bench/inflating.py [--rows 4000000] [--runs 5] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from filter_rows import make

from reduction.events.cache import Cache, inflate_by
from reduction.events.eventlist import open_eventlist

KINDS = ("first touch", "zlib", "second touch", "plain")
_LEVEL = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the lists are kept for the next time")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(read(Path(options.child[0]), options.child[1])))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        lists_in(folder, options.rows)
        report(folder, options.runs)


def lists_in(folder: Path, rows: int) -> None:
    """Make the plain list and the gzipped one."""
    plain, packed = folder / "events.fits", folder / "archive" / "events.FTZ"
    packed.parent.mkdir(parents=True, exist_ok=True)
    if not packed.exists():
        make(plain, rows)
        add_noise(plain)
        with plain.open("rb") as source, gzip.open(packed, "wb", _LEVEL) as sink:
            shutil.copyfileobj(source, sink, 1 << 20)


def add_noise(path: Path) -> None:
    """Fill the raw times with noise: real ones hardly shrink."""
    with open_eventlist(path) as events:
        start, kind, count = events.events.data, events.dtype, events.nrows
        table = np.memmap(path, dtype=kind, mode="r+", offset=start, shape=(count,))
        name = events.table.columns["TIME_RAW"].field
        table[name] = np.random.default_rng(3).uniform(0, 1e8, count)
        table.flush()


def report(folder: Path, runs: int) -> None:
    """Run all in turn, and print the medians and their ratios."""
    packed, plain = folder / "archive" / "events.FTZ", folder / "events.fits"
    figures: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for _ in range(runs):
        for path in (packed, plain):
            path.read_bytes()  # into the page cache
        for kind in KINDS:
            if kind == "first touch":
                shutil.rmtree(folder / "cache", ignore_errors=True)
            command = [sys.executable, __file__, "--child", str(folder), kind]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            figures[kind].append(json.loads(done.stdout))
    print(f"{packed.stat().st_size / 1e6:.0f} MB gzipped, {plain.stat().st_size / 1e6:.0f} MB inflated; medians of "
          f"{runs} runs, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")  # fmt: skip
    wall, cpu = ({kind: statistics.median(run[key] for run in each) for kind, each in figures.items()}
                 for key in ("wall_s", "cpu_s"))  # fmt: skip
    for kind in KINDS:
        print(f"  {kind:12}  wall {wall[kind]:.3f} s   CPU {cpu[kind]:.3f} s")
    for ours, peer in (("first touch", "zlib"), ("second touch", "plain")):
        print(f"  {ours} / {peer}: wall {wall[ours] / wall[peer]:.2f}   CPU {cpu[ours] / cpu[peer]:.2f}")


def read(folder: Path, kind: str) -> dict[str, float]:
    """Open the list in one of the ways, and go once over its rows."""
    packed, target = folder / "archive" / "events.FTZ", folder / "job.fits"
    target.unlink(missing_ok=True)
    wall, cpu = time.perf_counter(), time.process_time()
    if kind == "plain":
        target = folder / "events.fits"
    elif kind == "zlib":
        with gzip.open(packed) as source, target.open("xb") as sink:
            shutil.copyfileobj(source, sink, 4 << 20)
            os.fsync(sink.fileno())
    else:
        inflate_by(Cache(folder / "cache", packed.parent.resolve(), 10**10), packed, target, "eventlist")
    with open_eventlist(target) as events:
        rows = sum(int(np.count_nonzero(events.time.floats(chunk) > 0)) for chunk in events.chunks())
    figures = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "rows": rows}
    if target.name == "job.fits":
        target.unlink()
    return figures


if __name__ == "__main__":
    main()
