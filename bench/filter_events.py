"""Filters 20 million pn events (900 MB, page cache warm) to an event list, beside cfitsio's fitscopy, in turns.

Ours runs in a fresh process each time and is measured after its imports: opening, one pass, and the filtered event list
written with its good times and its region. The peer copies the rows that its row filter selects. Both must select the
same rows. Beside a region there is the case without one, where most rows are written.

    python bench/filter_events.py [--rows 20000000] [--runs 5] [--cache FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from filter_rows import REGION, ROWS, fitscopy, make, peak_mb, started, warm

CASES = {"region": REGION, "everywhere": ""}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cache", type=Path, help="where the event list is kept for the next time")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(ours(Path(options.child[0]), CASES[options.child[1]])))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.cache or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"pn_{options.rows}.fits"
        if not path.exists():
            print(f"making {options.rows:,} rows", flush=True)
            make(path, options.rows)
        for case in CASES:
            compare(path, case, options.runs)


def compare(path: Path, case: str, runs: int) -> None:
    """Run ours and the peer in turn and print medians."""
    warm(path)
    mine, theirs = [], []
    peer = shutil.which("fitscopy")
    for _ in range(runs):
        mine.append(started([sys.executable, __file__, "--child", str(path), case]))
        if peer:
            theirs.append(fitscopy(peer, path) if CASES[case] else fitscopy_everywhere(peer, path))
    report = {key: statistics.median(float(run[key]) for run in mine) for key in mine[0]}
    print(f"{case}: {path.stat().st_size / 1e6:.0f} MB, {int(report['selected']):,} rows selected, medians of {runs} "
          f"runs, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")  # fmt: skip
    print(f"  ours, in process   wall {report['wall_s']:.3f} s   CPU {report['cpu_s']:.3f} s   "
          f"peak RSS {report['peak_mb']:.0f} MB")  # fmt: skip
    if not theirs:
        print("  no fitscopy here: install the Debian package libcfitsio-bin for the comparison")
        return
    peers = {key: statistics.median(run[key] for run in theirs) for key in theirs[0]}
    print(f"  fitscopy           wall {peers['wall_s']:.3f} s   CPU {peers['cpu_s']:.3f} s")
    ratios = {key: peers[key] / report[key] for key in ("wall_s", "cpu_s")}
    print(f"  ratio              wall {ratios['wall_s']:.1f}   CPU {ratios['cpu_s']:.1f}")
    if peers["selected"] != report["selected"]:
        sys.exit("ours and fitscopy select different rows")


def fitscopy_everywhere(peer: str, path: Path) -> dict[str, float]:
    """Filter with cfitsio without a region."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.fits"
        rows = "(FLAG & 217710592) == 0 && PATTERN <= 4 && PI >= 200 && PI <= 12000"
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([peer, f"{path}[EVENTS][{rows}]", str(out)], check=True)
        wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
        from astropy.io import fits

        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {"wall_s": wall, "cpu_s": cpu, "selected": float(fits.getval(out, "NAXIS2", "EVENTS"))}


def ours(path: Path, text: str) -> dict[str, float]:
    """Filter with the reduction package, timed after the imports."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from reduction import regions
    from reduction.events import cuts, dss
    from reduction.events.eventlist import open_eventlist
    from reduction.events.filtered import other_hdus, writing_events
    from reduction.events.selection import choose

    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    with tempfile.TemporaryDirectory() as name, open_eventlist(path) as events:
        selection = choose(events, "0.2 12.0")
        region = regions.parse(text, parameter="region").on(events.wcs) if text else None
        subspace = dss.describe(events, selection, region)
        others = other_hdus(events, subspace)
        with writing_events(Path(name) / "events.fits", events, subspace, subspace.gtis, others) as sink:
            passage = cuts.filter_events(events, selection, region, sink)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": wall, "cpu_s": cpu, "peak_mb": peak_mb(), "selected": passage.kept}


if __name__ == "__main__":
    main()
