"""Starts scripts cold and from a warm process, as a server would, without a server."""

from __future__ import annotations

import contextlib
import json
import os
import select
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processes import carrying, kill_all, state, until
from uws_server.config import Config
from uws_server.execution import local, staging
from uws_server.execution.starter import ColdStarter, Starter
from uws_server.execution.warm.starter import WarmStarter
from uws_server.jobs.definition import Control, Definition, Entry
from uws_server.jobs.job import Job, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage.library import Installed

MARK = b"warm import process"
"""What the command line of a warm process holds."""
FORKED = "import sys; print('forked' if 'uws_server.execution.supervisor' in sys.modules else 'new')\n"
"""The beginning of a script that prints how it was started."""


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
    """Starts the scripts of definitions in folders below one, by one starter."""

    root: Path
    definitions: Path
    starter: Starter
    more: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    count: int = 0
    handles: list[local.Handle] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    def define(self, text: str, name: str = "defined", function: str = "", **control: Any) -> Installed:
        """A Python definition, in a folder of its own."""
        folder = self.definitions / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.py").write_text(text, encoding="utf-8")
        entry = Entry("python", "run.py", function)
        return Installed(Definition(name, "1", name, entry, control=Control(**control)), folder)

    def start(self, installed: Installed, **launch: Any) -> tuple[local.Handle, Path]:
        """Start a job; its supervisor and its folder."""
        number, self.count = self.count, self.count + 1
        job = Job(new_id(), "d", "1", Phase.EXECUTING, utcnow(), 0)
        self.ids.append(job.id)
        folder = self.root / f"job{number}"
        (folder / "results").mkdir(parents=True)
        control = installed.definition.control
        environment = staging.common_environment(os.environ, self.more, control.cpus)
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
        poll = select.poll()
        poll.register(handle.fd, select.POLLIN)
        assert poll.poll(300_000), "the supervisor has not ended"
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

    def until_forked(self, installed: Installed) -> Ended:
        """Run a job whose script begins with FORKED again and again until it is a fork; the end of that one."""
        ends: list[Ended] = []

        def forked() -> bool:
            ends[:] = [self.run(installed)]
            return ends[0].out.partition("\n")[0] == "forked"

        until(forked, what="a script is forked", every=0.05)
        return ends[0]


def cold(root: Path, definitions: Path) -> Starts:
    """Starts in new interpreters."""
    return Starts(root / "cold", definitions, ColdStarter())


def warm(root: Path, definitions: Path, *variables: str, **more: Any) -> Starts:
    """Starts from a warm process, once that is ready; scripts have these variables of this process, too."""
    config = Config.of(data=root / "data", environment=variables)
    starts = Starts(root / "warm", definitions, WarmStarter(config, **more), variables)
    starts.until_forked(starts.define(FORKED, "ready"))
    return starts


def warm_processes(parent: int) -> list[int]:
    """The warm processes below a process, the one without modules first."""
    found, todo = [], [parent]
    while todo:
        pid = todo.pop(0)
        todo += children(pid)
        found += [pid] if pid != parent and is_warm(pid) else []
    return found


def is_warm(pid: int) -> bool:
    """Whether a process is a warm one."""
    with contextlib.suppress(OSError):
        return any(MARK in word for word in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:4])
    return False


def parent_of(pid: int) -> int:
    """The parent of a process."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("PPid:"))


def children(pid: int) -> list[int]:
    """The living children of a process."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text(encoding="ascii").split()]
    return [child for child in found if state(child) != "Z"]
