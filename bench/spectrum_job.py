"""POST to COMPLETED: the spectrum job on a real-size pn list (2.7 million rows), from the archive and as an upload.

python bench/spectrum_job.py [--runs 7] [--rows 2700000] [--cache FOLDER]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from astropy.io import fits

from reduction.simulate import simulate, small, with_pn_rows
from uws_server import client

TARGET_S = 1.5


def main() -> None:
    options = arguments()
    cache = options.cache or Path(tempfile.gettempdir()) / "uws-server-bench"
    path = event_list(cache, options.rows)
    rows = fits.getval(path, "NAXIS2", "EVENTS")
    print(f"{path.name}: {rows:,} rows, {path.stat().st_size / 1e6:.0f} MB, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as data:
        process = subprocess.Popen(
            [sys.executable, "-m", "uws_server", "serve", "--port", "0", "--data", data, "--archive", str(cache)],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("Listening on ").strip()
            report("id of the archive", [once(url, path, upload=False) for _ in range(options.runs + 1)][1:])
            report("uploaded", [once(url, path, upload=True) for _ in range(options.runs + 1)][1:])
        finally:
            process.terminate()
            process.wait()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--rows", type=int, default=2_700_000)
    parser.add_argument("--cache", type=Path, help="where the event list is kept from one call to the next")
    return parser.parse_args()


def event_list(cache: Path, rows: int) -> Path:
    """The pn list of that many rows, simulated once."""
    folder = cache / f"pn-{rows}"
    found = sorted(folder.glob("*PIEVLI*.FITS"))
    return found[0] if found else simulate(with_pn_rows(small(), rows), folder, cameras=("EPN",))[0]


def once(url: str, path: Path, upload: bool) -> float:
    """Seconds from POST to COMPLETED, as a client sees it."""
    source = small().sources[0]
    values = {
        "source_region": f'fk5; circle({source.ra}, {source.dec}, 40")',
        "background_region": f'fk5; annulus({source.ra}, {source.dec}, 60", 120")',
    }
    files = {"eventlist": path} if upload else None
    if not upload:
        values["eventlist"] = f"{path.parent.name}/{path.name}"
    started = time.perf_counter()
    job = client.create(f"{url}/rest/spectrum", values, files)
    final = client.follow(job, lambda state: None, every_s=0.01)
    seconds = time.perf_counter() - started
    assert final.phase == "COMPLETED", final
    return seconds


def report(what: str, seconds: list[float]) -> None:
    median = statistics.median(seconds)
    print(
        f"POST -> COMPLETED, {what:18} median {median:.2f} s (fastest {min(seconds):.2f}, slowest {max(seconds):.2f}); "
        f"target {TARGET_S} s, ratio {median / TARGET_S:.2f}"
    )


if __name__ == "__main__":
    main()
