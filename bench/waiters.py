"""Clients that WAIT: how many can, what they cost, and whether others notice.

    python bench/waiters.py            10,000 clients on 50 jobs
    python bench/waiters.py 2000
    python bench/waiters.py --cookies  10,000 of whom no two are alike

Starts our own server and, in a process of its own, a crowd of clients on the loopback interface. Prints, for each
figure, what OPUS reached (its recommended server stalls with the fifth client that waits), ours and the target.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from _serving import Served, own_server

OPUS_WAITERS = 4
JOBS = 50
CHANGES = 5
"""Jobs whose waiters are timed."""

Ask = Any
"""Tells the crowd something and returns its answer."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clients", type=int, nargs="?", default=10_000)
    parser.add_argument("--gets", type=int, default=3000, help="plain requests that are timed")
    parser.add_argument("--cookies", action="store_true", help="each client sends a cookie: no two requests are alike")
    parser.add_argument("--races", type=int, default=1000)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with own_server() as served, crowd() as ask:
        measure(served, ask, options)


def measure(served: Served, ask: Ask, options: argparse.Namespace) -> None:
    """Park everyone, look at the cost, change some jobs, race."""
    job_list = f"{served.url}/rest/dummy"
    jobs = [create(job_list) for _ in range(JOBS)]
    plain = create(job_list)
    alone = gets(plain, options.gets)
    served.until_idle()
    before = served.rss_kib()
    per_job = options.clients // JOBS
    started = time.monotonic()
    # each job's clients have an address of their own: the server bounds how many of one address may wait
    cookie = "client=" if options.cookies else ""
    sent = ask("park", [[job, per_job, f"127.0.1.{number + 1}", cookie] for number, job in enumerate(jobs)])
    served.until_idle()
    print(f"{sent:,} clients parked on {JOBS} jobs in {time.monotonic() - started:.0f} s")
    after = served.rss_kib()
    row("clients that wait", f"{OPUS_WAITERS}", f"{sent:,}", f"ratio {sent / OPUS_WAITERS:,.0f}", "10,000")
    row("memory of one", "", f"{(after - before) / sent:.1f} KiB", "", "")
    row("memory of the server", "", f"{after / 1024:.0f} MiB", f"alone {before / 1024:.0f}", "250 MiB")
    meanwhile = gets(plain, options.gets)
    for name, share in (("median", 0.5), ("p99", 0.99)):
        here, lone = quantile(meanwhile, share), quantile(alone, share)
        row(f"GET job meanwhile, {name}", "stalls", f"{here:.1f} ms", f"alone {lone:.1f}", "50 ms")
    times = [change(ask, job, per_job) for job in jobs[:CHANGES]]
    row(f"all {per_job} of a job answered", "", f"{statistics.median(times):.2f} s", f"worst {max(times):.2f}", "0.2 s")
    lost = ask("races", job_list, options.races)
    row(f"lost in {options.races:,} races", "", str(lost), "", "0")


def row(name: str, peer: str, here: str, note: str, target: str) -> None:
    print(f"{name:28} OPUS {peer:>8}   here {here:>10}   {note:16} {'target ' + target if target else ''}")


def gets(job: str, count: int) -> list[float]:
    """Milliseconds of so many requests, one after the other."""
    parts = urlsplit(job)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    times = []
    for _ in range(count):
        started = time.perf_counter()
        connection.request("GET", parts.path)
        connection.getresponse().read()
        times.append((time.perf_counter() - started) * 1e3)
    connection.close()
    return times


def quantile(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


def change(ask: Ask, job: str, waiting: int) -> float:
    """Seconds from the request that changes a job to the last answer for those who wait for it."""
    started = time.monotonic()
    requests.post(f"{job}/phase", data={"PHASE": "ABORT"}, allow_redirects=False, timeout=30).raise_for_status()
    last, count = ask("answered", job, 10)
    if count != waiting:
        sys.exit(f"{waiting - count} of {waiting} clients were not answered within 10 s")
    return float(last) - started


def create(job_list: str) -> str:
    answer = requests.post(job_list, data={"text": "hello"}, allow_redirects=False, timeout=30)
    answer.raise_for_status()
    return answer.headers["Location"]


@contextlib.contextmanager
def crowd() -> Iterator[Ask]:
    """The process of the clients."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("_crowd.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask(*command: object) -> Any:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(command) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    try:
        yield ask
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
