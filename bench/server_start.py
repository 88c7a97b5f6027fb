"""Start of the server and of the command: CPU until the first answer, memory at rest, `uws-server --help`.

    python bench/server_start.py [--rounds 7] [--against FOLDER [--python PATH]]

A server is started twice in each round: with a new data folder, and with the one that it has left behind. CPU time is
that of the process and of all that it has started and seen the end of. At rest is two seconds after the first answer.
"""

from __future__ import annotations

import argparse
import functools
import os
import resource
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from _pairing import Tree, add_arguments, in_turns, report, trees
from _serving import Served, own_server

_REST_S = 2.0
_MEMORY = {"Rss": "memory at rest, RSS MiB", "Pss_Anon": "memory at rest, own MiB"}
"""What the kernel tells of the memory of a process: all that is mapped and present, and what is no file's."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    add_arguments(parser)
    options = parser.parse_args()
    both = trees(options)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.rounds} rounds")
    report(in_turns({tree.name: functools.partial(of_help, tree) for tree in both}, 3 * options.rounds))
    report(in_turns({tree.name: functools.partial(of_server, tree) for tree in both}, options.rounds))


def of_help(tree: Tree) -> dict[str, float]:
    """Run `uws-server --help` and return what it took."""
    before, begun = _cpu_of_children_s(), time.perf_counter()
    subprocess.run(
        [str(tree.python), "-m", "uws_server", "--help"],
        cwd=tree.root,
        env=tree.environment(),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return {
        "--help, wall ms": 1000 * (time.perf_counter() - begun),
        "--help, CPU ms": 1000 * (_cpu_of_children_s() - before),
    }


def of_server(tree: Tree) -> dict[str, float]:
    """Start a server on a new data folder, and again on what it left there, and return what that took."""
    data = Path(tempfile.mkdtemp(prefix="uws-bench-start-"))
    try:
        return {
            f"{name} start, {figure}": value
            for name in ("first", "later")
            for figure, value in _of_start(tree, data).items()
        }
    finally:
        shutil.rmtree(data)


def _of_start(tree: Tree, data: Path) -> dict[str, float]:
    begun = time.perf_counter()
    with own_server(data, tree) as server:
        urllib.request.urlopen(f"{server.url}/availability").read()
        wall_s, cpu_s = time.perf_counter() - begun, server.cpu_with_children_s()
        time.sleep(_REST_S)
        return {"wall ms": 1000 * wall_s, "CPU ms": 1000 * cpu_s, **_memory_mib(server)}


def _memory_mib(server: Served) -> dict[str, float]:
    lines = Path(f"/proc/{server.pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    kib = {line.partition(":")[0]: int(line.split()[1]) for line in lines[1:]}
    return {name: kib[key] / 1024 for key, name in _MEMORY.items()}


def _cpu_of_children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
