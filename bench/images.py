"""Makes an image of 20 million pn events and the exposure map of their 12 CCDs, beside cfitsio and numpy.

The image is that of cfitsio's fitscopy (row filter and binning to 648 x 648 pixels): both must have the same counts in
each pixel. The exposure map is held against `numpy.histogram2d` of the X and Y of as many photons as a pn list of the
archive has. Ours and the peers run in turns; the figures are medians of CPU seconds.

    python bench/images.py [--rows 20000000] [--photons 2700000] [--runs 5] [--cache FOLDER]
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import filter_rows
import numpy as np
from astropy.io import fits

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from reduction.events.eventlist import EventList, open_eventlist
from reduction.events.selection import choose
from reduction.images.bands import parse_bands
from reduction.images.counting import Counter, count
from reduction.images.grid import sky_grid
from reduction.images.observed import Watch

SELECTION = "(FLAG & 217710592) == 0 && PATTERN <= 4 && PI >= 200 && PI <= 12000"
BINNING = "bin X=0.5:51840.5:80,Y=0.5:51840.5:80"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=filter_rows.ROWS)
    parser.add_argument("--photons", type=int, default=2_700_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cache", type=Path, help="where the event list is kept for the next time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.cache or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"pn_{options.rows}.fits"
        if not path.exists():
            print(f"making {options.rows:,} rows", flush=True)
            filter_rows.make(path, options.rows)
        filter_rows.warm(path)
        with open_eventlist(path) as events:
            compare_images(path, events, options.runs)
            compare_exposure(path, events, options.photons, options.runs)


def image(events: EventList) -> tuple[Counter, Watch]:
    """Count, and sample the events for the exposure, in one pass."""
    counter, watch = Counter(events, sky_grid(events), parse_bands(["0.2 12"])), Watch.of(events)
    count(events, choose(events, (0.2, 12.0)), [counter], None, [watch.ccds, watch.field])
    return counter, watch


def compare_images(path: Path, events: EventList, runs: int) -> None:
    """Make the image with ours and with cfitsio in turns."""
    peer, mine, theirs = shutil.which("fitscopy"), [], []
    counter, out = image(events)[0], path.with_suffix(".image")
    for _ in range(runs):
        mine.append(cpu(lambda: image(events), resource.RUSAGE_SELF))
        if peer:
            out.unlink(missing_ok=True)
            command = [peer, f"{path}[EVENTS][{SELECTION}][{BINNING}]", str(out)]
            theirs.append(cpu(lambda command=command: subprocess.run(command, check=True), resource.RUSAGE_CHILDREN))
    print(f"image of {events.nrows:,} rows, {counter.counts.sum():,} counts")
    print(f"  ours      CPU {statistics.median(mine):.2f} s")
    if not theirs:
        print("  no fitscopy here: install the Debian package libcfitsio-bin for the comparison")
        return
    print(f"  fitscopy  CPU {statistics.median(theirs):.2f} s")
    print(f"  ratio     {statistics.median(theirs) / statistics.median(mine):.1f}")
    if not np.array_equal(fits.getdata(out), counter.counts[0]):
        sys.exit("ours and fitscopy have other counts in some pixels")
    out.unlink()


def compare_exposure(path: Path, events: EventList, photons: int, runs: int) -> None:
    """Make the exposure map, and count photons of the same field with numpy, in turns."""
    counter, watch = image(events)
    selection = choose(events, (0.2, 12.0))
    (tally,) = [count(events, selection, [counter], None, [])]
    with fits.open(path) as hdus:
        rows = hdus["EVENTS"].data[:: max(1, events.nrows // photons)]
        x, y = (rows[name].astype(float) for name in "XY")
    edges = [0.5 + 80 * np.arange(649)] * 2
    mine, theirs = [], []
    for _ in range(runs):
        mine.append(cpu(lambda: watch.exposure(events, selection, tally, counter.grid), resource.RUSAGE_SELF))
        theirs.append(cpu(lambda: np.histogram2d(y, x, bins=edges), resource.RUSAGE_SELF))
    print(f"exposure map of 12 CCDs, {counter.grid.shape[1]} x {counter.grid.shape[0]} pixels")
    print(f"  ours         CPU {statistics.median(mine):.3f} s")
    print(f"  histogram2d  CPU {statistics.median(theirs):.3f} s for {x.size:,} photons")
    print(f"  ratio        {statistics.median(mine) / statistics.median(theirs):.2f}, at most 5 is the aim")


def cpu(work: Callable[[], object], whose: int) -> float:
    """Run some work; return the CPU seconds that it took."""
    before = resource.getrusage(whose)
    work()
    after = resource.getrusage(whose)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
