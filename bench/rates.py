"""Rates of whole requests by 16 connections, beside another checkout, in turns: list, newest jobs, job, phase, create.

    python bench/rates.py [--rounds 15] [--seconds 1] [--only create ...] [--postgresql] [--against FOLDER]

For each figure, milliseconds a request by the clock (its reverse is the rate) and of the server's CPU. The client is
one thread that sends bytes made before and looks for the end of each answer, so that it takes little of what it
measures. With --postgresql each server has a database of its own in one cluster, which brings each commit to the disk.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import secrets
import selectors
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import psycopg
import requests
from _pairing import ROOT, add_arguments, in_turns, report, trees
from _serving import Served, own_server

sys.path.insert(0, str(ROOT / "tests" / "support"))
from postgres import running_cluster  # the tests know how to start a cluster

CONNECTIONS = 16
LISTED = 1000
RESULTS = 5000
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--only", nargs="+", default=[], metavar="FIGURE", help="beginnings of the figures' names")
    parser.add_argument("--postgresql", action="store_true", help="in PostgreSQL; else in SQLite")
    add_arguments(parser)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.rounds} rounds of {options.seconds} s")
    with contextlib.ExitStack() as stack:
        new_database = stack.enter_context(running_cluster(fsync=True)).database if options.postgresql else str
        asked = {}
        for tree in trees(options):
            os.environ["UWS_SERVER_DATABASE"] = url = new_database()
            served = stack.enter_context(own_server(tree=tree))
            asked[tree.name] = served, requests_of(served, url)
        for figure in next(iter(asked.values()))[1]:
            if not options.only or figure.startswith(tuple(options.only)):
                measures = {
                    name: functools.partial(measure, served, figure, by_figure[figure], options.seconds)
                    for name, (served, by_figure) in asked.items()
                }
                report(in_turns(measures, options.rounds))


def requests_of(served: Served, url: str) -> dict[str, bytes]:
    """Make the jobs that are looked at; return what is sent for each figure, create last: it makes the list longer."""
    job_list = f"{served.url}/rest/dummy"
    made = [created(job_list) for _ in range(LISTED)]
    rich, bare = made[-1], made[-2]
    with database(served, url) as execute:
        end(execute, rich, RESULTS)
        end(execute, bare, 0)
    form = {"text": "hello"}
    looks = {
        f"list of {LISTED:,}": job_list,
        "newest 10": f"{job_list}?LAST=10",
        "newest 10 PENDING": f"{job_list}?LAST=10&PHASE=PENDING",
        "newest 10 of 3 phases": f"{job_list}?LAST=10&PHASE=PENDING&PHASE=COMPLETED&PHASE=ERROR",
        "newest 10 after 2020": f"{job_list}?LAST=10&AFTER=2020-01-01",
        "GET job": made[0],
        "GET phase": f"{made[0]}/phase",
        "phase, no results": f"{bare}/phase",
        f"phase, {RESULTS:,} results": f"{rich}/phase",
    }
    changes = {"create": form, "create and run": form | {"PHASE": "RUN"}}
    return {figure: get(url) for figure, url in looks.items()} | {
        figure: post(job_list, sent) for figure, sent in changes.items()
    }


def created(job_list: str) -> str:
    """Create a job that is not run; return its address."""
    answer = requests.post(job_list, data={"text": "hello"}, headers=FORM, allow_redirects=False, timeout=60)
    if answer.status_code != 303:
        sys.exit(f"{job_list} answered {answer.status_code}: {answer.text[:500]}")
    return answer.headers["Location"]


@contextlib.contextmanager
def database(served: Served, url: str) -> Iterator[Callable[[str, list[tuple[Any, ...]]], object]]:
    """What executes a statement, with ? for values, for some rows in a server's database; url '' is its SQLite."""
    if url:
        with psycopg.connect(url) as connection, connection.cursor() as cursor:
            yield lambda statement, rows: cursor.executemany(statement.replace("?", "%s").encode(), rows)
    else:
        with contextlib.closing(sqlite3.connect(served.data / "jobs.sqlite")) as opened, opened:
            yield opened.executemany


def end(execute: Callable[[str, list[tuple[Any, ...]]], object], job: str, results: int) -> None:
    """Have a job be COMPLETED, with so many results whose files are not there."""
    job_id = job.rpartition("/")[2]
    execute("UPDATE jobs SET phase = 'COMPLETED', ended = created WHERE id = ?", [(job_id,)])
    execute(
        "INSERT INTO results (id, job_id, position, name, file, mime, size, sha256, description) "
        "VALUES (?, ?, ?, ?, ?, 'text/plain', 1, ?, '')",
        [(secrets.token_hex(16), job_id, n, f"r{n}", f"results/r{n}", secrets.token_hex(32)) for n in range(results)],
    )


def get(url: str) -> bytes:
    parts = urlsplit(url)
    return f"GET {parts.path}{parts.query and '?'}{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()


def post(url: str, form: Mapping[str, str]) -> bytes:
    parts, body = urlsplit(url), "&".join(f"{name}={text}" for name, text in form.items())
    headers = f"Content-Type: {FORM['Content-Type']}\r\nContent-Length: {len(body)}"
    return f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{headers}\r\n\r\n{body}".encode()


def measure(served: Served, figure: str, request: bytes, seconds: float) -> dict[str, float]:
    """Ask for so long by all connections; return milliseconds a request."""
    begun, cpu = time.perf_counter(), served.threads_cpu_s()
    count = asked(served, request, seconds)
    wall, cpu = time.perf_counter() - begun, served.threads_cpu_s() - cpu
    return {f"{figure}, ms": 1000 * wall / count, f"{figure}, CPU ms": 1000 * cpu / count}


def asked(served: Served, request: bytes, seconds: float) -> int:
    """Return how many answers came: each connection sends the request again when it has been answered."""
    parts = urlsplit(served.url)
    count, until = 0, time.perf_counter() + seconds
    with contextlib.ExitStack() as stack:
        chooser = stack.enter_context(selectors.EpollSelector())
        for _ in range(CONNECTIONS):
            connection = stack.enter_context(socket.create_connection((str(parts.hostname), parts.port), 60))
            connection.sendall(request)
            chooser.register(connection, selectors.EVENT_READ, (connection, bytearray()))
        waiting = CONNECTIONS
        while waiting:
            for key, _ in chooser.select():
                connection, answer = key.data
                answer += connection.recv(1 << 18)
                if not is_whole(answer):
                    continue
                answer.clear()
                count += 1
                if time.perf_counter() < until:
                    connection.sendall(request)
                else:
                    waiting -= 1
    return count


def is_whole(answer: bytearray) -> bool:
    """Check whether an answer has come to its end. Exit if it is an error."""
    end_of_head = answer.find(b"\r\n\r\n")
    if end_of_head < 0:
        return False
    if bytes(answer[9:12]) not in (b"200", b"303"):
        sys.exit(f"the answer is {bytes(answer[:500])!r}")
    head = bytes(answer[:end_of_head]).lower()
    if b"transfer-encoding: chunked" in head:
        return answer.endswith(b"\r\n0\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return len(answer) >= end_of_head + 4 + length


if __name__ == "__main__":
    main()
