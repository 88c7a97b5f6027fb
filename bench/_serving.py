"""Our own server as a process of its own, for the benchmarks that measure it."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from _pairing import ROOT, Tree


@dataclass(frozen=True)
class Served:
    """A running server: its address, its process id, its data folder."""

    url: str
    pid: int
    data: Path

    def rss_kib(self) -> int:
        """Memory that the process holds."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

    def cpu_s(self) -> float:
        """CPU time that the process has used."""
        words = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def cpu_with_children_s(self) -> float:
        """CPU time that the process has used, and that of its children which have ended."""
        words = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return sum(int(word) for word in words[11:15]) / os.sysconf("SC_CLK_TCK")

    def threads_cpu_s(self) -> float:
        """CPU time of the threads that live, to the nanosecond."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text(encoding="utf-8").split()[0]) for task in tasks) / 1e9

    def until_idle(self, seconds: float = 120) -> None:
        """Wait until the process has nothing to do."""
        deadline = time.monotonic() + seconds
        before = -1.0
        while self.cpu_s() - before > 0.02 and time.monotonic() < deadline:
            before = self.cpu_s()
            time.sleep(0.5)


@contextlib.contextmanager
def own_server(data: Path | None = None, tree: Tree | None = None) -> Iterator[Served]:
    """Run a server of a tree (None: this one) on a free port, with a new data folder unless one is given."""
    with contextlib.ExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        command = ["-m", "uws_server", "serve", "--port", "0", "--data", str(folder)]
        process = (tree or Tree("ours", ROOT)).start(*command)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("Listening on "):
                sys.exit("the server did not start")
            yield Served(line.removeprefix("Listening on ").strip(), process.pid, folder)
        finally:
            process.terminate()
            process.wait()
