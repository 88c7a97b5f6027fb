"""How many event lists a second `uws-server archive add` indexes: simulated ones of the three cameras, copied.

    python bench/archive_add.py [--lists 1000] [--profile]

Each copy is a file of its own name, in a folder for each ten. The command is run as a user does, with as many processes
as there are processors; then once more, when nothing has changed. With --profile it runs in this process, and tells
where the time goes.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from reduction.simulate import simulate, small
from uws_server import cli


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lists", type=int, default=1000)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        archive, data = Path(folder) / "archive", Path(folder) / "data"
        total = make(archive, options.lists)
        words = ["archive", "add", "--archive", str(archive), "--data", str(data)]
        if options.profile:
            profile = cProfile.Profile()
            profile.runcall(cli.main, [*words, "--processes", "1"])
            pstats.Stats(profile).sort_stats("cumulative").print_stats(60)
            return
        for what in ("first", "again"):
            begin, cpu = time.perf_counter(), children_s()
            subprocess.run([sys.executable, "-m", "uws_server", *words], check=True, stdout=subprocess.DEVNULL)
            took, cpu = time.perf_counter() - begin, children_s() - cpu
            print(f"{what}: {took:.1f} s, {options.lists / took:.0f} a second; CPU {cpu:.1f} s, "
                  f"{1e3 * cpu / options.lists:.1f} ms a list; {total / 1e6:.0f} MB; "
                  f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")  # fmt: skip


def make(archive: Path, count: int) -> int:
    """Write the lists; return their size in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        simulate(small(), Path(folder))
        lists = sorted(path for path in Path(folder).rglob("P*") if path.is_file())
        total = 0
        for number in range(count):
            source = lists[number % len(lists)]
            target = archive / f"{number // 10:04}" / f"{number:04}_{source.name}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            total += target.stat().st_size
    return total


def children_s() -> float:
    """CPU time of the processes that were run."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
