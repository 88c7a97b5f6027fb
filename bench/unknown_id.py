"""What an event list costs that an archive of 100,000 files does not have: its refusal, and the first job of a server.

    python bench/unknown_id.py [--files 100000] [--asked 50]

The files are empty, a thousand in each folder. The first job and the first refusal are asked for as soon as the server
answers at all, while it still reads the archive.
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

import requests
from _pairing import ROOT, Tree

IN_FOLDER = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--asked", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "archive"
        for number in range(options.files):
            place = archive / f"{number // IN_FOLDER:04d}"
            if number % IN_FOLDER == 0:
                place.mkdir(parents=True)
            (place / f"P{number:010d}PNS003PIEVLI0000.FTZ").touch()
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.files:,} files")
        words = ["serve", "--port", "0", "--archive", str(archive), "--data", f"{folder}/data"]
        with Tree("ours", ROOT).start("-m", "uws_server", *words) as server:
            try:
                measure(address(server), options.asked)
            finally:
                server.terminate()


def address(server: subprocess.Popen[str]) -> str:
    """Return where the server listens."""
    assert server.stdout is not None
    for line in server.stdout:
        if line.startswith("Listening on "):
            return line.split()[2]
    sys.exit("the server did not start")


def measure(url: str, asked: int) -> None:
    """Print the times of the first job, and of refusals of ids that are not there."""
    print(f"  first job, ms                {took(f'{url}/rest/dummy', {'text': 'hello'}, 303):8.1f}")
    names = [f"P{number:010d}PNS003PIEVLI0001" for number in range(asked)]
    spent = [took(f"{url}/rest/spectrum", {"eventlist": name}, 400) for name in names]
    print(f"  unknown id, ms, the first    {spent[0]:8.1f}")
    print(f"  the others          median   {statistics.median(spent[1:]):8.1f}   most {max(spent[1:]):8.1f}")


def took(address: str, form: dict[str, str], expected: int) -> float:
    """Return the milliseconds of a POST. Exit for another answer than the one that is expected."""
    begun = time.perf_counter()
    answer = requests.post(address, data=form, allow_redirects=False, timeout=120)
    if answer.status_code != expected:
        sys.exit(f"{address} answered {answer.status_code}: {answer.text[:300]}")
    return 1000 * (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
