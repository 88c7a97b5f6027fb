"""Jobs that take no time, from POST to the COMPLETED that a waiting client sees, beside another checkout, in turns.

    python bench/job_latency.py [--rounds 15] [--jobs 10] [--against FOLDER [--python PATH]]

For Python and shell: milliseconds a job, one after another, and of eight clients at a time (its reverse is the rate),
for these also the CPU of the server and of all its processes, which is what to compare on a busy machine.
The last line is the memory of each server's further processes (the warm ones), which no other process shares.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.client
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from _pairing import ROOT, add_arguments, in_turns, report, trees
from _serving import Served, own_server

CLIENTS = 8
_ENDS_S = 0.3
"""Until the processes of the last jobs have ended."""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SHELL = 'echo "[STAGE 1/1] Working"; mkdir -p results; echo "$text" > results/result.txt\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--jobs", type=int, default=10, help="jobs a round and client")
    add_arguments(parser)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.rounds} rounds of {options.jobs} jobs")
    with contextlib.ExitStack() as stack:
        definitions = stack.enter_context(definitions_folder())
        os.environ |= {"UWS_SERVER_DEFINITIONS": str(definitions), "UWS_SERVER_MAX_RUNNING": str(CLIENTS)}
        served = {tree.name: stack.enter_context(own_server(tree=tree)) for tree in trees(options)}
        measures = {name: functools.partial(measure, each, options.jobs) for name, each in served.items()}
        report(in_turns(measures, options.rounds))
        for name, each in served.items():
            print(f"  {name}: the server's further processes hold {private_mib(each.pid):.0f} MiB of their own")


@contextlib.contextmanager
def definitions_folder() -> Iterator[Path]:
    """A folder with the test job and one that does the same in a shell."""
    with tempfile.TemporaryDirectory() as folder:
        python, shell = Path(folder, "dummy"), Path(folder, "shelldummy")
        shutil.copytree(ROOT / "job_definitions" / "dummy", python)
        shell.mkdir()
        definition = json.loads((python / "job.json").read_text(encoding="utf-8"))
        definition |= {"name": "shelldummy", "entry": {"type": "shell", "script": "run.sh"}}
        (shell / "job.json").write_text(json.dumps(definition), encoding="utf-8")
        (shell / "run.sh").write_text(SHELL, encoding="utf-8")
        yield Path(folder)


def measure(served: Served, jobs: int) -> dict[str, float]:
    """Return the milliseconds of each kind of job."""
    figures = {}
    for what, name in (("Python", "dummy"), ("shell", "shelldummy")):
        figures[f"{what}, one at a time: ms"] = statistics.median(1e3 * once(served.url, name) for _ in range(jobs))
        with ThreadPoolExecutor(CLIENTS) as pool:
            started, cpu = time.perf_counter(), cpu_s(served)
            list(pool.map(lambda _, name=name: once(served.url, name), range(CLIENTS * jobs)))
            figures[f"{what}, eight: ms a job"] = 1e3 * (time.perf_counter() - started) / (CLIENTS * jobs)
            time.sleep(_ENDS_S)
            figures[f"{what}, eight: CPU ms a job"] = 1e3 * (cpu_s(served) - cpu) / (CLIENTS * jobs)
    return figures


def once(url: str, name: str) -> float:
    """Seconds from POST to COMPLETED, as a client sees it that waits; one that takes little of what it measures."""
    with contextlib.closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=300)) as connection:
        started = time.perf_counter()
        connection.request("POST", f"/rest/{name}", "PHASE=RUN&text=hello", FORM)
        answer = connection.getresponse()
        answer.read()
        job = urlsplit(answer.headers["Location"]).path
        for phase in ("QUEUED", "EXECUTING"):
            connection.request("GET", f"{job}?WAIT=60&PHASE={phase}")
            content = connection.getresponse().read()
            if b"COMPLETED" in content:
                return time.perf_counter() - started
        sys.exit(f"{job} has not completed:\n{content.decode()}")


def cpu_s(served: Served) -> float:
    """CPU time of a server, of its processes that live and of all that have ended under them."""
    total = served.cpu_with_children_s()
    for thread in Path(f"/proc/{served.pid}/task").iterdir():
        for pid in (thread / "children").read_text(encoding="ascii").split():
            with contextlib.suppress(OSError):
                total += Served("", int(pid), served.data).cpu_with_children_s()
    return total


def private_mib(server: int) -> float:
    """The memory that only one of the processes below a server holds, together."""
    total, todo = 0, [server]
    while todo:
        pid = todo.pop()
        for thread in Path(f"/proc/{pid}/task").iterdir():
            todo += map(int, (thread / "children").read_text(encoding="ascii").split())
        if pid != server:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    return total / 1024


if __name__ == "__main__":
    main()
