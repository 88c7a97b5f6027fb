"""Rates of a UWS server: creation, job, phase, list, newest jobs, one job after another.

    python bench/uws_rates.py                                   our own server, started here, SQLite
    python bench/uws_rates.py --url http://127.0.0.1:8082/rest  any UWS server on this machine

Aims `wrk` (16 connections) at the job list `dummy` and prints, for each figure, what OPUS reached on the same kind of
machine (recorded on a quiet one), ours, and the ratio. For our own server the rate of a bare "hello" through the same
front is printed first: it is the limit.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import requests

OPUS = {"create": 26.0, "GET job": 30.0, "GET phase": 38.0, "list of 1,000": 19.0, "submit to COMPLETED": 431.0}
"""Requests per second, and milliseconds for the last: 2 cores, waitress with 5 threads, SQLite, 16 connections."""

HELLO = """
import sys
from a2wsgi import WSGIMiddleware
from bottle import Bottle
import uvicorn
app = Bottle()
app.get("/")(lambda: "hello")
uvicorn.run(WSGIMiddleware(app, workers=16), port=int(sys.argv[1]), log_config=None, access_log=False, lifespan="off")
"""


def main() -> None:
    options = arguments()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.seconds} s a figure, {options.runs} runs")
    if options.url:
        measure(options.url.rstrip("/") + "/dummy", options)
        return
    with hello() as url:
        row("bare hello (the limit)", None, median_rate(url, options))
    with own_server() as url:
        measure(f"{url}/rest/dummy", options)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="base of the job lists of a server on this machine")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args()


def measure(job_list: str, options: argparse.Namespace) -> None:
    """Every figure of one server, from an empty list on."""
    for _ in range(max(0, 1000 - listed(job_list))):
        job = create(job_list)
    row("list of 1,000", OPUS["list of 1,000"], median_rate(job_list, options))
    row("newest 10 of 1,000", None, median_rate(f"{job_list}?LAST=10", options))
    row("GET job", OPUS["GET job"], median_rate(job, options))
    row("GET phase", OPUS["GET phase"], median_rate(f"{job}/phase", options))
    row("create", OPUS["create"], median_rate(job_list, options, post=True))
    millis = statistics.median(submit_to_completed(job_list) for _ in range(20)) * 1e3
    opus = OPUS["submit to COMPLETED"]
    print(f"{'submit to COMPLETED':24} OPUS {opus:8.0f} ms     here {millis:8.0f} ms     ratio {millis / opus:6.2f}")


def row(name: str, peer: float | None, here: float) -> None:
    told = f"OPUS {peer:8.0f} /s" if peer else " " * 16
    ratio = f"ratio {here / peer:6.1f}" if peer else ""
    print(f"{name:24} {told}     here {here:8.0f} /s     {ratio}")


def median_rate(url: str, options: argparse.Namespace, post: bool = False) -> float:
    """Requests per second, median of several runs; only answers below 400 count."""
    return statistics.median(rate(url, options.seconds, post) for _ in range(options.runs))


def rate(url: str, seconds: int, post: bool) -> float:
    command = ["wrk", "-t1", "-c16", f"-d{seconds}", url]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if post:
            script.write('wrk.method = "POST"\nwrk.body = "text=hello"\n')
            script.write('wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"\n')
            script.flush()
            command[1:1] = ["-s", script.name]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    found = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    if refused or found is None:
        sys.exit(f"{url}: not every answer was one: {printed}")
    return float(found[1])


def create(job_list: str, **values: str) -> str:
    answer = requests.post(job_list, data={"text": "hello", **values}, allow_redirects=False, timeout=30)
    if answer.status_code not in (302, 303):
        sys.exit(f"{job_list} answered {answer.status_code}: {answer.text[:500]}")
    return answer.headers["Location"]


def listed(job_list: str) -> int:
    return requests.get(job_list, timeout=60).text.count("jobref ")


def submit_to_completed(job_list: str) -> float:
    """Seconds from the POST to the answer that says COMPLETED, asking again at once."""
    started = time.perf_counter()
    job = create(job_list, PHASE="RUN")
    while (phase := requests.get(f"{job}/phase", timeout=30).text.strip()) != "COMPLETED":
        if phase not in ("PENDING", "QUEUED", "EXECUTING"):
            sys.exit(f"{job} ended in {phase}")
        time.sleep(0.002)
    return time.perf_counter() - started


@contextlib.contextmanager
def own_server() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "uws_server", "serve", "--port", "0", "--data", data]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            yield process.stdout.readline().removeprefix("Listening on ").strip()
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def hello() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", HELLO, str(port)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
