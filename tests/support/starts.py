"""Starts scripts cold and from a warm process, as a server would, without a server."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processes import carrying, kill_all, until
from uws_server.config import Config
from uws_server.execution import local, staging
from uws_server.execution.starter import ColdStarter, Starter
from uws_server.execution.warm.starter import WarmStarter
from uws_server.jobs.definition import Control, Definition, Entry
from uws_server.jobs.job import Job
from uws_server.jobs.phases import Phase
from uws_server.storage.library import Installed

FORKED = "warm import process"
"""What the command line of a warm process holds."""


@dataclass(frozen=True)
class Ended:
    """How a job ended, its logs, and its folder."""

    folder: Path
    code: int
    reason: str
    out: str
    err: str

    @property
    def log(self) -> str:
        return (self.folder / "job.log").read_text(encoding="utf-8")


@dataclass
class Starts:
    """Starts scripts in folders below one, by one starter."""

    root: Path
    starter: Starter
    environment: dict[str, str] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    handles: list[local.Handle] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    def define(self, text: str, name: str = "defined", function: str = "", **control: Any) -> Installed:
        """A Python definition, in a folder of its own."""
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        (folder / "run.py").write_text(text, encoding="utf-8")
        entry = Entry("python", "run.py", function)
        return Installed(Definition(name, "1", name, entry, control=Control(**control)), folder)

    def start(self, installed: Installed, **launch: Any) -> tuple[local.Handle, Path]:
        """Start a job; its supervisor and its folder."""
        number = next(self.numbers)
        job = a_job(f"{os.getpid():016x}{id(self) & 0xFFFFFF:08x}{number:08x}")
        self.ids.append(job.id)
        folder = self.root / f"job{number}"
        (folder / "results").mkdir(parents=True)
        control = installed.definition.control
        environment = staging.common_environment(os.environ, cpus=control.cpus)
        content = {
            "command": staging.command(installed, folder),
            "environment": environment | {"UWS_JOB_ID": job.id} | self.environment,
            "duration": 0,
            "max_log": 10**6,
            "max_memory": 16 * 10**9,
            "max_disk": 10**10,
        } | launch
        (folder / "launch.json").write_text(json.dumps(content), encoding="utf-8")
        (folder / "parameters.json").write_text('{"job": {}, "parameters": {}}', encoding="utf-8")
        handle = self.starter.start(job, installed, folder, content)
        self.handles.append(handle)
        return handle, folder

    def run(self, installed: Installed, **launch: Any) -> Ended:
        """Start a job and wait for its end."""
        handle, folder = self.start(installed, **launch)
        return self.ended(handle, folder)

    def ended(self, handle: local.Handle, folder: Path) -> Ended:
        """The end of a job."""
        assert select.select([handle.fd], [], [], 120)[0], "the supervisor has not ended"
        status = local.status(folder)
        assert status is not None, local.error_output(folder)
        assert local.error_output(folder) == ""
        out, err = ((folder / f"{name}.log").read_text(encoding="utf-8") for name in ("stdout", "stderr"))
        return Ended(folder, status.code, status.reason, out, err)

    def close(self) -> None:
        """End everything that was started."""
        self.starter.stop()
        for handle in self.handles:
            handle.kill()
            with contextlib.suppress(OSError):
                handle.close()
        for job_id in self.ids:
            kill_all(carrying("UWS_JOB_ID", job_id))


def a_job(job_id: str) -> Job:
    now = staging_time()
    return Job(job_id, "defined", "1", Phase.EXECUTING, now, now)


def cold(root: Path) -> Starts:
    """Starts in new interpreters."""
    root.mkdir(exist_ok=True)
    return Starts(root, ColdStarter())


def warm(root: Path, **more: Any) -> Starts:
    """Starts from a warm process, once that is ready."""
    root.mkdir(exist_ok=True)
    starts = Starts(root, WarmStarter(Config.of(data=root / "data"), **more))
    until_forked(starts, starts.define("import os; print(os.getpid())", "ready"))
    return starts


def until_forked(starts: Starts, installed: Installed, seconds: float = 120) -> Ended:
    """Run a job again and again until its script is a fork; the end of that one."""
    deadline = time.monotonic() + seconds
    while True:
        handle, folder = starts.start(installed)
        ended = starts.ended(handle, folder)
        if "forked" in ended.out.split() or (folder / "forked").exists():
            return ended
        assert time.monotonic() < deadline, f"never forked: {ended}"
        time.sleep(0.1)


def children(pid: int) -> list[int]:
    """The living children of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(word) for word in (task / "children").read_text(encoding="ascii").split()]
    return found
