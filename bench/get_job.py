"""What a GET of a job, and of its phase, costs: the server's CPU time and the time of the answer, beside a checkout.

    python bench/get_job.py [--rounds 40] [--requests 300] [--against FOLDER [--python PATH]]

Both servers run at once on their own data folders; one client asks one of them at a time, over one connection that
stays open. Turns are short, so that other work of the machine hits both alike. Rates under load, beside OPUS, are those
of `uws_rates.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.client
import os
import sys
import time
from urllib.parse import urlsplit

import requests
from _pairing import add_arguments, in_turns, report, trees
from _serving import Served, own_server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--requests", type=int, default=300)
    add_arguments(parser)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.rounds} rounds of {options.requests} GETs")
    with contextlib.ExitStack() as stack:
        measures = {}
        for tree in trees(options):
            served = stack.enter_context(own_server(tree=tree))
            measures[tree.name] = functools.partial(ask_both, served, new_job(served), options.requests)
        report(in_turns(measures, options.rounds))


def new_job(served: Served) -> str:
    """Create a job that is not run; return its address."""
    answer = requests.post(f"{served.url}/rest/dummy", data={"text": "hello"}, allow_redirects=False, timeout=60)
    if answer.status_code != 303:
        sys.exit(f"{served.url} answered {answer.status_code}: {answer.text[:500]}")
    return answer.headers["Location"]


def ask_both(served: Served, job: str, count: int) -> dict[str, float]:
    """Get a job, then its phase, so many times; return milliseconds a GET."""
    return ask(served, "GET job", job, b"</uws:job>", count) | ask(
        served, "GET phase", f"{job}/phase", b"PENDING", count
    )


def ask(served: Served, name: str, address: str, expected: bytes, count: int) -> dict[str, float]:
    """Get an address so many times; return milliseconds a GET."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    begun, cpu = time.perf_counter(), served.threads_cpu_s()
    for _ in range(count):
        connection.request("GET", parts.path)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200 or expected not in body:
            sys.exit(f"{address} answered {response.status}: {body[:300]!r}")
    wall, cpu = time.perf_counter() - begun, served.threads_cpu_s() - cpu
    connection.close()
    return {f"{name}, wall ms": 1000 * wall / count, f"{name}, server's CPU ms": 1000 * cpu / count}


if __name__ == "__main__":
    main()
