"""Makes image, spectrum and light curve of 20 million pn events in one pass, beside three passes of cfitsio's fitscopy.

The image is of the whole field, 648 x 648 pixels; spectrum (5 eV) and light curve (100 s) are of a circle. fitscopy
makes each by its row filter and binning. Both must have the same counts in every pixel, channel and bin. Ours and the
peer run in turns; the figures are medians of CPU seconds, ours measured within its process.

    python bench/one_pass.py [--rows 20000000] [--runs 5] [--cache FOLDER]
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import filter_rows
import numpy as np
import numpy.typing as npt
from astropy.io import fits
from images import BINNING, SELECTION, cpu

from provenance.fits.columns import Rows
from reduction import regions
from reduction.events.eventlist import EventList, open_eventlist
from reduction.events.gathering import Target, gather
from reduction.events.selection import choose
from reduction.images.bands import parse_bands
from reduction.images.counting import Counter
from reduction.images.grid import sky_grid
from reduction.timing.binning import counts_in

BIN_S = 100.0
Counts = npt.NDArray[Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=filter_rows.ROWS)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cache", type=Path, help="where the event list is kept for the next time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.cache or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"pn_{options.rows}.fits"
        if not path.exists():
            filter_rows.make(path, options.rows)
        filter_rows.warm(path)
        compare(path, Path(temporary), options.runs)


def compare(path: Path, folder: Path, runs: int) -> None:
    """Run both in turns, print medians, and hold the counts against each other."""
    peer, mine, theirs = shutil.which("fitscopy"), [], []
    region = folder / "source.reg"
    region.write_text(filter_rows.REGION)
    with open_eventlist(path) as events:
        for _ in range(runs):
            mine.append(cpu(lambda: one_pass(events), resource.RUSAGE_SELF))
            if peer:
                theirs.append(cpu(lambda: three_passes(str(peer), path, region, folder), resource.RUSAGE_CHILDREN))
        print(f"image, spectrum and light curve of {events.nrows:,} rows; medians of {runs} runs, "
              f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")  # fmt: skip
        print(f"  ours, one pass          CPU {statistics.median(mine):.2f} s")
        if not peer:
            print("  no fitscopy here: install the Debian package libcfitsio-bin for the comparison")
            return
        print(f"  fitscopy, three passes  CPU {statistics.median(theirs):.2f} s")
        print(f"  ratio                   {statistics.median(theirs) / statistics.median(mine):.1f}")
        for name, counts in one_pass(events).items():
            if not np.array_equal(fits.getdata(folder / f"{name}.fits"), counts):
                sys.exit(f"ours and fitscopy have other counts in the {name}")


def one_pass(events: EventList) -> dict[str, Counts]:
    """Count all three in one pass."""
    image = Counter(events, sky_grid(events), parse_bands(["0.2 12"]))
    edges = filter_rows.START + BIN_S * np.arange(int(filter_rows.LENGTH / BIN_S) + 1)
    curve = np.zeros(edges.size - 1, dtype=np.int64)

    def count_times(rows: Rows) -> None:
        curve[:] += counts_in(np.array(events.time.floats(rows)), edges)

    circle = regions.parse(filter_rows.REGION).on(events.wcs)
    selection = choose(events, (0.2, 12.0))
    targets = [Target(None, observer=image.among(selection), channels=False), Target(circle, count_times)]
    _, source = gather(events, selection, targets)
    return {"image": image.counts[0], "spectrum": source.counts, "curve": curve}


def three_passes(peer: str, path: Path, region: Path, folder: Path) -> None:
    """Have cfitsio make each by a pass of its own."""
    inside = f'{SELECTION} && regfilter("{region}")'
    start, stop = filter_rows.START, filter_rows.START + filter_rows.LENGTH
    for name, rows, binning in (("image", SELECTION, BINNING), ("spectrum", inside, "bin PI=-0.5:20479.5:5"),
                                ("curve", inside, f"bin TIME={start}:{stop}:{BIN_S}")):  # fmt: skip
        out = folder / f"{name}.fits"
        out.unlink(missing_ok=True)
        subprocess.run([peer, f"{path}[EVENTS][{rows}][{binning}]", str(out)], check=True)


if __name__ == "__main__":
    main()
