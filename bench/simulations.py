"""The bench of simulations: seconds a run of a recipe through a server of its own, by the clock and of a core.

python bench/simulations.py [--runs 100] [--recipe example]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.table import Table

TARGET_S = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--recipe", default="example", help="one that comes with the software")
    options = parser.parse_args()
    command = [sys.executable, "-m", "uws_server", "bench"]
    with tempfile.TemporaryDirectory() as folder:
        recipe, made = Path(folder) / "recipe.json", Path(folder) / "out"
        printed = subprocess.run([*command, "--example", options.recipe], check=True, capture_output=True, text=True)
        recipe.write_text(printed.stdout, encoding="utf-8")
        began, load = time.perf_counter(), os.getloadavg()[0]
        done = subprocess.run([*command, str(recipe), "--runs", str(options.runs), "--out", str(made)],
                              capture_output=True, text=True)  # fmt: skip
        took = time.perf_counter() - began
        if done.returncode == 2:
            sys.exit(done.stderr)
        runs = Table.read(made / "runs.ecsv", format="ascii.ecsv")
    failed = sum(str(step) not in ("", "--") for step in runs["failed_step"])
    print(f"{options.recipe}: {len(runs)} runs, {failed} failed, {os.cpu_count()} cores, load {load:.1f} before")
    print(f"{took:.1f} s from the command to the report: {took / len(runs):.2f} s a run (asked: {TARGET_S:g})")
    print(
        f"a run: {np.median(runs['seconds']):.2f} s by the clock, {np.median(runs['cpu_s']):.2f} s of a core (medians)"
    )


if __name__ == "__main__":
    main()
