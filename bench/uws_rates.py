"""Rates of a UWS server: creation, job, phase, list, newest jobs, one job after another.

    python bench/uws_rates.py                                   our own server, started here, SQLite
    python bench/uws_rates.py --url http://127.0.0.1:8082/rest  any UWS server; the list is URL/dummy unless --job says
    python bench/uws_rates.py --million                         our own: the newest 10 of 1,000 and of 1,000,000 jobs

Aims `wrk` (16 connections) at a job list whose jobs take no time, and prints, for each figure, what OPUS reached on the
same kind of machine (recorded on a quiet one), what this server reached, the ratio and the target. For our own server
the rate of a bare "hello" through the same front is printed first: it is the limit.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
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
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import requests
from _serving import Served, own_server

OPUS = {"create": 26.0, "GET job": 30.0, "GET phase": 38.0, "list of 1,000": 19.0}
"""Requests per second: 2 cores, waitress with 5 threads, SQLite, 16 connections."""
OPUS_COMPLETED_MS = 431.0
TARGETS = {"create": 30, "GET job": 50, "GET phase": 45, "list of 1,000": 8}
"""How many times OPUS."""
OF_HELLO = 0.4
"""The share of a bare hello that GET job is to reach."""
MILLION = 1_000_000
AT_ONCE = 20_000

HELLO = """
import sys
from bottle import Bottle
import uvicorn
from uws_server.asgi.notifier import Notifier
from uws_server.asgi.wsgi import WsgiAdapter
from uws_server.asgi.longpoll import LongPolling
app = Bottle()
app.get("/")(lambda: "hello")
front = LongPolling(WsgiAdapter(app, 16, lambda scope: True), Notifier())
uvicorn.run(front, port=int(sys.argv[1]), log_config=None, access_log=False, lifespan="off", ws="none",
            proxy_headers=False)
"""


def main() -> None:
    options = arguments()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.seconds} s a figure, {options.runs} runs")
    if options.million:
        with own_server() as served:
            newest(served)
        return
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    if options.url:
        measure(f"{options.url.rstrip('/')}/{options.job}", options, None)
        return
    with hello() as url:
        bare = median_rate(url, options)
    row("bare hello (the limit)", None, bare)
    with own_server() as served:
        measure(f"{served.url}/rest/{options.job}", options, bare)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="base of the job lists of a server")
    parser.add_argument("--job", default="dummy", help="job list below it, whose jobs take no time (default dummy)")
    parser.add_argument("--form", default="text=hello", help="form that makes a job (default text=hello)")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--million", action="store_true", help="only the newest 10 of a thousand and of a million jobs")
    return parser.parse_args()


def measure(job_list: str, options: argparse.Namespace, bare: float | None) -> None:
    """Every figure of one server, from an empty list on."""
    job = create(job_list, options.form)
    for _ in range(max(0, 1000 - listed(job_list))):
        job = create(job_list, options.form)
    row("list of 1,000", OPUS["list of 1,000"], median_rate(job_list, options))
    row("newest 10 of 1,000", None, median_rate(f"{job_list}?LAST=10", options))
    rate_of_job = median_rate(job, options)
    row("GET job", OPUS["GET job"], rate_of_job)
    if bare is not None:
        print(f"{'  of a bare hello':24} {'':16}     here {rate_of_job / bare:8.0%}        target {OF_HELLO:.0%}")
    row("GET phase", OPUS["GET phase"], median_rate(f"{job}/phase", options))
    row("create", OPUS["create"], median_rate(job_list, options, options.form))
    millis = statistics.median(submit_to_completed(job_list, options.form) for _ in range(30)) * 1e3
    print(
        f"{'submit to COMPLETED':24} OPUS {OPUS_COMPLETED_MS:8.0f} ms     here {millis:8.0f} ms     "
        f"ratio {millis / OPUS_COMPLETED_MS:6.2f}     target 0.25"
    )


def row(name: str, peer: float | None, here: float) -> None:
    opus = f"OPUS {peer:8.0f} /s" if peer else " " * 16
    ratio = f"ratio {here / peer:6.1f}     target {TARGETS[name]}" if peer else ""
    print(f"{name:24} {opus}     here {here:8.0f} /s     {ratio}", flush=True)


def median_rate(url: str, options: argparse.Namespace, form: str | None = None) -> float:
    """Requests per second, median of several runs; only answers below 400 count."""
    return statistics.median(rate(url, options.seconds, form) for _ in range(options.runs))


def rate(url: str, seconds: int, form: str | None) -> float:
    command = ["wrk", "-t1", "-c16", f"-d{seconds}", "--timeout", "20", url]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if form is not None:
            script.write(f'wrk.method = "POST"\nwrk.body = [[{form}]]\n')
            script.write('wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"\n')
            script.flush()
            command[1:1] = ["-s", script.name]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    found = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    if refused or found is None:
        sys.exit(f"{url}: not every answer was one: {printed}")
    return float(found[1])


def create(job_list: str, form: str) -> str:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = requests.post(job_list, data=form, headers=kind, allow_redirects=False, timeout=30)
    if answer.status_code not in (302, 303):
        sys.exit(f"{job_list} answered {answer.status_code}: {answer.text[:500]}")
    return answer.headers["Location"]


def listed(job_list: str) -> int:
    return requests.get(job_list, timeout=60).text.count("jobref ")


def submit_to_completed(job_list: str, form: str) -> float:
    """Seconds from the POST to the answer that says COMPLETED, asking again at once."""
    with requests.Session() as session:
        started = time.perf_counter()
        job = create(job_list, f"{form}&PHASE=RUN")
        while (phase := session.get(f"{job}/phase", timeout=30).text.strip()) != "COMPLETED":
            if phase not in ("PENDING", "QUEUED", "EXECUTING"):
                sys.exit(f"{job} ended in {phase}")
            time.sleep(0.002)
        return time.perf_counter() - started


# --- the newest of many -------------------------------------------------------------------------------------


def newest(served: Served) -> None:
    """How long the newest 10 take, of a thousand jobs and of a million."""
    medians = []
    for count in (1000, MILLION):
        fill(served, count - (1000 if medians else 0))
        times = sorted(latencies(f"{served.url}/rest/dummy?LAST=10", 2000))
        median, p99 = statistics.median(times), times[int(0.99 * len(times))]
        medians.append(median)
        print(f"newest 10 of {count:9,}   median {median:6.2f} ms   p99 {p99:6.2f} ms   target p99 20 ms", flush=True)
    print(f"a million takes {medians[1] / medians[0]:.2f} times a thousand   target 1.20")


def fill(served: Served, count: int) -> None:
    """Put jobs into the database, as many at once as it takes; over HTTP a million would take half an hour."""
    from uws_server.config import Config
    from uws_server.jobs.job import Job, ParameterValue, new_id
    from uws_server.jobs.phases import Phase
    from uws_server.storage.jobstore import JobStore
    from uws_server.storage.rows import job_row
    from uws_server.storage.tables import jobs

    store = JobStore(Config.of(data=served.data).database_url())
    phases = (Phase.PENDING, Phase.COMPLETED, Phase.ERROR, Phase.ABORTED)
    first = datetime.now(UTC) - timedelta(days=20)
    values = {"text": ParameterValue("hello", "hello"), "seconds": ParameterValue("0", 0.0)}
    for start in range(0, count, AT_ONCE):
        rows = [
            job_row(
                Job(
                    id=new_id(),
                    definition="dummy",
                    version="1",
                    phase=phases[number % len(phases)],
                    created=first + timedelta(seconds=number),
                    execution_duration=60,
                    destruction=first + timedelta(days=60),
                    parameters=values,
                )
            )
            for number in range(start, min(start + AT_ONCE, count))
        ]
        with store.engine.begin() as connection:
            connection.execute(jobs.insert(), rows)
    store.close()


def latencies(url: str, count: int) -> list[float]:
    """Milliseconds of so many requests, one after the other."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    times = []
    for _ in range(count):
        started = time.perf_counter()
        connection.request("GET", f"{parts.path}?{parts.query}")
        body = connection.getresponse().read()
        times.append((time.perf_counter() - started) * 1e3)
        if body.count(b"jobref ") != 10:
            sys.exit(f"{url}: not ten jobs: {body[:500]!r}")
    connection.close()
    return times


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
