"""Small things that are done often: looking a definition up, starting to fetch, hearing of a change at another server.

The peers: a dict, a bare interpreter with the same HTTP client, and a client of the server that made the change.

    python bench/latencies.py [--runs 15]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from uws_server.config import Config
from uws_server.execution import fetch
from uws_server.resources import definitions_folder
from uws_server.services.context import Services

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))
from serving import NEW, require_read, running_server  # the tests know how to start a server
from uwsjobs import change, create

LOOKUPS = 5000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, medians of {runs}")
    with tempfile.TemporaryDirectory() as folder:
        looking_up(Path(folder), runs)
        starting_to_fetch(Path(folder), runs)
    with tempfile.TemporaryDirectory() as folder:
        hearing(Path(folder), runs)


def looking_up(data: Path, runs: int) -> None:
    services = Services(Config.of(data=data), "http://127.0.0.1:8080", definitions_folder())
    known = dict(services.library.by_name())
    peer = median(runs, lambda: [known["dummy"] for _ in range(LOOKUPS)]) / LOOKUPS
    ours = median(runs, lambda: [services.library.get("dummy") for _ in range(LOOKUPS)]) / LOOKUPS
    services.store.close()
    report("a definition by its name", peer, ours)


def starting_to_fetch(folder: Path, runs: int) -> None:
    (folder / fetch.PLAN_FILE).write_text("[]")
    bare = [sys.executable, "-I", "-S", "-c", "import http.client, subprocess; subprocess.run(['/bin/true'])"]
    peer = median(runs, lambda: subprocess.run(bare, check=True))
    ours = median(runs, lambda: subprocess.run(fetch.command(folder, ["/bin/true"]), check=True))
    report("a start without URLs", peer, ours)


def hearing(data: Path, runs: int) -> None:
    """A client waits for a job that is aborted at one of two servers."""
    with (
        running_server(data, loaded=NEW) as one,
        running_server(data, loaded=NEW) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        times = {url: [heard(pool, create(one.url), url) for _ in range(runs)] for url in (one.url, other.url)}
    report("a change, at another server", *(statistics.median(each) for each in times.values()))


def heard(pool: ThreadPoolExecutor, job: str, url: str) -> float:
    """Seconds from the answer to who aborts a job to that to who waits for it at the server of `url`."""
    waiting = pool.submit(wait, url + job[job.index("/rest/") :])
    time.sleep(0.2)  # the request is sent by now
    require_read(url)
    change(f"{job}/phase", PHASE="ABORT")
    begun = time.perf_counter()
    return max(waiting.result() - begun, 1e-6)


def wait(address: str) -> float:
    answer = requests.get(address, params={"WAIT": "60"}, timeout=300)
    if "ABORTED" not in answer.text:
        sys.exit("the change was not heard")
    return time.perf_counter()


def median(runs: int, use: Callable[[], object]) -> float:
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        use()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def report(name: str, peer: float, ours: float) -> None:
    print(f"{name:28} peer {1e3 * peer:11.5f} ms   ours {1e3 * ours:11.5f} ms   ratio {peer / ours:8.3f}", flush=True)


if __name__ == "__main__":
    main()
