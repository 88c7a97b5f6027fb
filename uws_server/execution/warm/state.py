"""What an import may not change in a process that is forked afterwards, and whether its code is still that on disk.

Imports nothing of ours.
"""

from __future__ import annotations

import contextlib
import gc
import locale
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_UNFIT = (
    *("cupy", "jax", "numba.cuda", "pycuda", "pyopencl", "tensorflow", "torch"),  # they own a device, or threads
    *("gi", "PyQt5", "PyQt6", "PySide2", "PySide6", "grpc", "mpi4py", "ray", "zmq"),
    "heasoftpy",  # reads the environment of the job when it is imported
)
"""Modules whose libraries do not work in a fork, or see the environment of one job only."""

Signature = tuple[int, int, int]


@dataclass(frozen=True)
class State:
    """What a process has besides its modules."""

    threads: frozenset[str]
    descriptors: frozenset[str]
    environment: dict[str, str]
    folder: str
    path: list[str]
    signals: list[Any]
    hook: Any
    locale: str

    @classmethod
    def now(cls) -> State:
        """Return the state of this process."""
        gc.collect()  # what an import left open, and nobody holds
        return cls(
            frozenset(thread.name for thread in Path("/proc/self/task").iterdir()),
            frozenset(_descriptors()),
            dict(os.environ),
            str(Path.cwd()),
            list(sys.path),
            [signal.getsignal(sign) for sign in signal.valid_signals()],
            sys.excepthook,
            locale.setlocale(locale.LC_ALL),
        )

    def change(self, later: State) -> str:
        """Return what an import changed, in words that follow 'it'; empty for nothing."""
        if later.threads != self.threads:
            return "started threads"
        if later.descriptors != self.descriptors:
            return "opened files or sockets that stay open"
        for what in ("environment", "folder", "path", "signals", "hook", "locale"):
            if getattr(self, what) != getattr(later, what):
                return _CHANGED[what]
        return ""


_CHANGED = {
    "environment": "changed the environment",
    "folder": "changed the current folder",
    "path": "changed sys.path",
    "signals": "changed what signals do",
    "hook": "changed sys.excepthook",
    "locale": "changed the locale",
}


def _descriptors() -> list[str]:
    """The open descriptors, but for that of the folder that lists them."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(f"{entry.name} {entry.readlink()}")
    return found


def unfit() -> str:
    """Return the name of a loaded module that is not for forks; empty for none."""
    return next((name for name in _UNFIT if name in sys.modules), "")


def signatures() -> dict[str, Signature | None]:
    """Return the time of change, the size and the inode of every file that a module outside Python's own came from."""
    found: dict[str, Signature | None] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and name.partition(".")[0] not in sys.stdlib_module_names:
            found[file] = signature(file)
    return found


def signature(file: str) -> Signature | None:
    """Return by what a change of a file is seen; None if it is gone."""
    try:
        status = os.stat(file)  # noqa: PTH116 - hundreds at each start
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def memory(pid: int | str = "self") -> int:
    """Return the bytes of a process that are in no file. Raise OSError where there is none."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:")), 0)
