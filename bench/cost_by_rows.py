"""Runs the jobs events, spectrum, lightcurve and image on pn lists of 100,000 to 100 million rows (4.5 GB).

Each is the script of the definition in a process of its own with 2 GB of address space, from its start to its end: the
hashes of the list, the products and their provenance are in it. CPU seconds, the slope of their growth, and the largest
resident memory. Lists are made where they are not there yet, and removed again unless a folder for them is given.

    python bench/cost_by_rows.py [--rows 100000 1000000 10000000 100000000] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filter_rows import CENTRE, RADIUS, make, warm

ROOT = Path(__file__).resolve().parent.parent
ADDRESS_SPACE = 2 * 1024**3
CIRCLE = f"physical; circle({CENTRE:.0f},{CENTRE:.0f},{RADIUS:.0f})"
RING = f"physical; annulus({CENTRE:.0f},{CENTRE:.0f},{2 * RADIUS:.0f},{4 * RADIUS:.0f})"
SOURCE = {"source_region": CIRCLE, "background_region": RING}
JOBS: dict[str, dict[str, Any]] = {
    "events": {"region": CIRCLE, "energy": "0.2 12"},
    "spectrum": SOURCE,
    "lightcurve": SOURCE,
    "image": {"bands": ["0.2 12"]},
}


@dataclass(frozen=True)
class Cost:
    """What a run took."""

    cpu_s: float
    peak_mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10**5, 10**6, 10**7, 10**8])
    parser.add_argument("--folder", type=Path, help="where the lists are kept for the next time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, costs = options.folder or Path(temporary), {}
        folder.mkdir(parents=True, exist_ok=True)
        for rows in options.rows:
            path = folder / f"pn_{rows}.fits"
            if not path.exists():
                make(path, rows)
            warm(path)
            costs[rows] = {job: run(Path(temporary) / f"{job}-{rows}", job, path) for job in JOBS}
            print(rows, costs[rows], file=sys.stderr, flush=True)
            if not options.folder:
                path.unlink()
    print(table(costs))


def run(folder: Path, job: str, path: Path) -> Cost:
    """Run the script of a job in a folder as the server does."""
    folder.mkdir()
    values = {"eventlist": str(path), **JOBS[job]}
    parameters: dict[str, dict[str, Any]] = {name: {"value": value, "kind": "value"} for name, value in values.items()}
    parameters["eventlist"] |= {"kind": "file", "source": path.name}
    (folder / "parameters.json").write_text(json.dumps({"job": {"definition": job}, "parameters": parameters}))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "job_definitions" / job / "run.py")], cwd=folder, env=environment,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE)),
    )  # fmt: skip
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{job} of {path.name} failed")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def table(costs: dict[int, dict[str, Cost]]) -> str:
    """Return the costs as Markdown: CPU seconds and peak memory, and what ten times the rows cost at the end."""
    lines = ["| rows | " + " | ".join(JOBS) + " |", "|---|" + "---|" * len(JOBS)]
    for rows, of in costs.items():
        cells = [f"{of[job].cpu_s:.2f} s, {of[job].peak_mb:.0f} MB" for job in JOBS]
        lines.append(f"| {rows:,} | {' | '.join(cells)} |")
    if len(costs) > 1:
        first, last = list(costs)[-2:]
        slopes = [(costs[last][job].cpu_s - costs[first][job].cpu_s) / (last - first) * 1e6 for job in JOBS]
        lines.append("| each further million | " + " | ".join(f"{slope:.3f} s" for slope in slopes) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
