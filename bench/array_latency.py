"""A job of a hundred parts that take no time, from POST to COMPLETED, beside a hundred jobs of another checkout.

    python bench/array_latency.py [--rounds 7] [--parts 100] [--against FOLDER [--python PATH]]

Ours is one array; theirs, which may know no arrays, is as many jobs of the same script, made and awaited by eight
clients at a time. Seconds of each, and their ratio.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from _pairing import ROOT, add_arguments, in_turns, report, trees
from _serving import Served, own_server

CLIENTS = 8
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--parts", type=int, default=100)
    add_arguments(parser)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.rounds} rounds of {options.parts} parts")
    os.environ["UWS_SERVER_MAX_RUNNING"] = str(CLIENTS)
    with contextlib.ExitStack() as stack:
        measures = {}
        for tree in trees(options):
            is_ours = tree.name == "ours"
            os.environ["UWS_SERVER_DEFINITIONS"] = str(stack.enter_context(definitions_folder(is_ours)))
            served = stack.enter_context(own_server(tree=tree))
            measure = array if is_ours else jobs
            measures[tree.name] = lambda served=served, measure=measure: {"s": measure(served, options.parts)}
        report(in_turns(measures, options.rounds))


@contextlib.contextmanager
def definitions_folder(spread: bool) -> Iterator[Path]:
    """A folder with the test job, spread over its text or not."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "dummy")
        shutil.copytree(ROOT / "job_definitions" / "dummy", place)
        if spread:
            definition = json.loads((place / "job.json").read_text(encoding="utf-8"))
            definition["parameters"][0] |= {"max_values": 1000, "required": True, "spread": True}
            (place / "job.json").write_text(json.dumps(definition), encoding="utf-8")
        yield Path(folder)


def array(served: Served, parts: int) -> float:
    """Seconds that one job of so many parts takes."""
    started = time.perf_counter()
    finished(served.url, [("text", f"hello {number}") for number in range(parts)])
    return time.perf_counter() - started


def jobs(served: Served, count: int) -> float:
    """Seconds that so many jobs take."""
    started = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda number: finished(served.url, [("text", f"hello {number}")]), range(count)))
    return time.perf_counter() - started


def finished(url: str, values: list[tuple[str, str]]) -> None:
    """Run a job, and return when it is COMPLETED as a client sees it that waits."""
    with contextlib.closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=600)) as connection:
        connection.request("POST", "/rest/dummy", urlencode([("PHASE", "RUN"), *values]), FORM)
        answer = connection.getresponse()
        answer.read()
        job = urlsplit(answer.headers["Location"]).path
        content = b""
        for phase in ("QUEUED", "EXECUTING"):
            connection.request("GET", f"{job}?WAIT=300&PHASE={phase}")
            content = connection.getresponse().read()
        if b"COMPLETED" not in content or (b"failed=" in content and b'failed="0"' not in content):
            sys.exit(f"{job} has not completed:\n{content.decode()}")


if __name__ == "__main__":
    main()
