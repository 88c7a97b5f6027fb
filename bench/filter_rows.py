"""Filters 20 million pn events (900 MB, page cache warm) to a spectrum, beside cfitsio's fitscopy.

Ours runs in a fresh process each time: opening, one pass, area, exposure, spectrum and filtered event list written. The
peer copies the rows that its row filter selects (region, flag, pattern, energy). Both must select the same rows.

    python bench/filter_rows.py [--rows 20000000] [--runs 5] [--cache FOLDER]
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROWS = 20_000_000
CENTRE, RADIUS, PIXEL = 25921.0, 800.0, 82.0
START, LENGTH = 1.0e8, 60_000.0
REGION = f"physical\ncircle({CENTRE:.0f},{CENTRE:.0f},{RADIUS:.0f})\n"
ROW = np.dtype([("TIME", ">f8"), ("RAWX", ">i2"), ("RAWY", ">i2"), ("DETX", ">i2"), ("DETY", ">i2"), ("X", ">i4"),
                ("Y", ">i4"), ("PHA", ">i2"), ("PI", ">i2"), ("FLAG", ">i4"), ("PATTERN", "u1"), ("PAT_ID", ">i2"),
                ("PAT_SEQ", "u1"), ("CCDNR", "u1"), ("TIME_RAW", ">f8")])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cache", type=Path, help="where the event list is kept for the next time")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(ours(options.child)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.cache or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"pn_{options.rows}.fits"
        if not path.exists():
            print(f"making {options.rows:,} rows", flush=True)
            make(path, options.rows)
        compare(path, options.runs)


def compare(path: Path, runs: int) -> None:
    """Run ours and the peer in turn and print medians."""
    warm(path)
    mine, theirs = [], []
    peer = shutil.which("fitscopy")
    for _ in range(runs):
        mine.append(started([sys.executable, __file__, "--child", str(path)]))
        if peer:
            theirs.append(fitscopy(peer, path))
    report = {key: statistics.median(float(run[key]) for run in mine) for key in mine[0]}
    print(f"{path.stat().st_size / 1e6:.0f} MB, {int(report['selected']):,} rows selected, medians of {runs} runs")
    print(f"ours, in process   wall {report['wall_s']:.3f} s   CPU {report['cpu_s']:.3f} s   "
          f"peak RSS {report['peak_mb']:.0f} MB")  # fmt: skip
    print(f"ours, with start   wall {report['process_wall_s']:.3f} s   CPU {report['process_cpu_s']:.3f} s")
    if not theirs:
        print("no fitscopy here: install the Debian package libcfitsio-bin for the comparison")
        return
    peers = {key: statistics.median(run[key] for run in theirs) for key in theirs[0]}
    print(f"fitscopy           wall {peers['wall_s']:.3f} s   CPU {peers['cpu_s']:.3f} s   "
          f"{int(peers['selected']):,} rows")  # fmt: skip
    print(f"ratio              wall {peers['wall_s'] / report['wall_s']:.1f} in process, "
          f"{peers['wall_s'] / report['process_wall_s']:.1f} with start; "
          f"CPU {peers['cpu_s'] / report['cpu_s']:.1f} and {peers['cpu_s'] / report['process_cpu_s']:.1f}")  # fmt: skip
    if peers["selected"] != report["selected"]:
        sys.exit("ours and fitscopy select different rows")


def warm(path: Path) -> None:
    """Read the file once, so that it lies in the page cache."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 24):
            pass


def started(command: list[str]) -> dict[str, float]:
    """Run a command of ours, add what its whole process took."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**json.loads(done.stdout), "process_wall_s": wall, "process_cpu_s": cpu}


def fitscopy(peer: str, path: Path) -> dict[str, float]:
    """Filter with cfitsio."""
    with tempfile.TemporaryDirectory() as folder:
        region, out = Path(folder) / "r.reg", Path(folder) / "out.fits"
        region.write_text(REGION)
        rows = f'regfilter("{region}",X,Y) && (FLAG & 217710592) == 0 && PATTERN <= 4 && PI >= 200 && PI <= 12000'
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([peer, f"{path}[EVENTS][{rows}]", str(out)], check=True)
        wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
        from astropy.io import fits

        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {"wall_s": wall, "cpu_s": cpu, "selected": float(fits.getval(out, "NAXIS2", "EVENTS"))}


def ours(path: Path) -> dict[str, float]:
    """Filter with the reduction package, timed after the imports."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from reduction import regions
    from reduction.events import dss
    from reduction.events.eventlist import open_eventlist
    from reduction.events.filtered import writing_events
    from reduction.events.selection import choose
    from reduction.spectra.ogip import write_spectrum
    from reduction.spectra.spectrum import extract

    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    with tempfile.TemporaryDirectory() as name, open_eventlist(path) as events:
        folder = Path(name)
        selection = choose(events, "0.2 12.0")
        region = regions.parse(REGION, parameter="source_region").on(events.wcs)
        subspace = dss.describe(events, selection, region)
        with writing_events(folder / "events.fits", events, subspace, selection.gtis) as sink:
            spectrum = extract(events, selection, {"source": region}, {"source": sink})["source"]
        write_spectrum(folder / "spectrum.fits", spectrum.grouped_by_counts(20, selection.energy_kev), events, subspace)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": wall, "cpu_s": cpu, "peak_mb": peak_mb(), "selected": spectrum.selected,
            "counts": spectrum.total, "backscal": spectrum.backscal}  # fmt: skip


def peak_mb() -> float:
    """Peak resident memory of this process; ru_maxrss would begin with that of the process it was forked from."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return next(int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def make(path: Path, rows: int) -> None:
    """Write a pn event list: twelve CCDs one after the other, each sorted in time, a source in the middle."""
    from astropy.io import fits

    cards = {
        "TELESCOP": "XMM", "INSTRUME": "EPN", "FILTER": "Medium", "DATAMODE": "IMAGING", "OBS_ID": "0000000000",
        "OBJECT": "BENCH", "TIMESYS": "TT", "MJDREF": 50814.0, "TSTART": START, "TSTOP": START + LENGTH,
        "RADECSYS": "FK5", "EQUINOX": 2000.0, "ONTIME": LENGTH, "LIVETIME": 0.95 * LENGTH,
        "XMMEA_EP": "(FLAG & 0xcfa0000) == 0", "REFXCTYP": "RA---TAN", "REFXCRPX": 25921, "REFXCRVL": 149.0,
        "REFXCDLT": -1.38888888888889e-5, "REFYCTYP": "DEC--TAN", "REFYCRPX": 25921, "REFYCRVL": 69.65,
        "REFYCDLT": 1.38888888888889e-5,
    }  # fmt: skip
    forms = {"f8": "D", "i2": "I", "i4": "J", "u1": "B"}
    columns = [fits.Column(name, forms[ROW[name].str[1:]]) for name in ROW.names or ()]
    header = fits.BinTableHDU.from_columns(columns, nrows=0, header=fits.Header(cards), name="EVENTS").header
    header["NAXIS2"] = rows
    part = path.with_suffix(".part")
    rng = np.random.default_rng(1)
    with part.open("wb") as file:
        file.write(fits.PrimaryHDU().header.tostring().encode())
        file.write(header.tostring().encode())
        for ccd, share in enumerate(np.full(12, rows // 12) + (np.arange(12) < rows % 12), start=1):
            file.write(ccd_rows(rng, ccd, int(share)).tobytes())
        file.write(b"\0" * (-rows * ROW.itemsize % 2880))
    with fits.open(part, mode="append") as hdus:
        for ccd in range(1, 13):
            times = (("START", START), ("STOP", START + LENGTH))
            edges = [fits.Column(name, "D", unit="s", array=[at]) for name, at in times]
            hdus.append(fits.BinTableHDU.from_columns(edges, name=f"STDGTI{ccd:02d}"))
    part.rename(path)


def ccd_rows(rng: np.random.Generator, ccd: int, rows: int) -> np.ndarray:
    """Rows of one CCD: flat, with a tenth of those of CCD 4 in a source at the centre of the sky."""
    events = np.zeros(rows, dtype=ROW)
    column, row = rng.uniform(0.5, 64.5, rows), rng.uniform(0.5, 200.5, rows)
    left, low = ((ccd - 1) % 6 - 3) * 66 - 30, ((ccd - 1) // 6) * 203 - 102
    if ccd == 4:
        source = rng.random(rows) < 0.1
        column[source] = np.clip(rng.normal(-left, 3, source.sum()), 0.5, 64.49)
        row[source] = np.clip(rng.normal(-low, 3, source.sum()), 0.5, 200.49)
    events["RAWX"], events["RAWY"] = np.floor(column + 0.5), np.floor(row + 0.5)
    events["X"], events["Y"] = CENTRE + (column + left) * PIXEL, CENTRE + (row + low) * PIXEL
    events["TIME"] = np.sort(START + LENGTH * rng.random(rows))
    events["PI"] = np.clip(np.exp(rng.normal(6.9, 0.95, rows)), 150, 20000)
    events["FLAG"] = rng.choice(np.array([0, 0x10, 0x10000, 0x800000]), rows, p=[0.86, 0.06, 0.04, 0.04])
    events["PATTERN"] = rng.choice(np.arange(14), rows, p=np.array([64, 8, 8, 8, 8, *[4 / 9] * 9]) / 100)
    events["CCDNR"] = ccd
    return events


if __name__ == "__main__":
    main()
