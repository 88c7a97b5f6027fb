"""The server whose data folder is kept for the tests of later builds: started, killed and driven over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from olddata import Seen, Who
from pagereader import Page, visit
from processes import until

KEEP_DAYS = 36500
"""As long as a server may keep jobs: those of the folder are to be there for the tests of every later build."""


class Old:
    """The old server: its folder, how it is started, who has accounts, and the jobs by the names of the test."""

    def __init__(self, place: Path) -> None:
        self.place, self.data, self.archive = place, place / "data", place / "archive"
        self.software = place / "software"  # a path that is nobody's
        self.software.symlink_to(sys.prefix)
        self.tokens: dict[str, str] = {}
        self.jobs: dict[str, tuple[str, str | None]] = {}
        self.url = ""

    def command(self, *words: str) -> list[str]:
        return [str(self.software / "bin" / "python"), "-m", "uws_server", *words]

    @property
    def environment(self) -> dict[str, str]:
        kept = {"PATH": "/usr/bin:/bin", "HOME": str(self.place), "LANG": "C.UTF-8"}
        settings = {"archive": self.archive, "max_running": 2, "keep_days": KEEP_DAYS, "destroyed": "record"}
        settings |= {"publisher": "ivo://old.example.org/uws", "data_rights": "public", "sandbox": "none"}
        settings |= {"url_hosts": "data.example.org"}
        return kept | {f"UWS_SERVER_{key.upper()}": str(value) for key, value in settings.items()}

    @contextmanager
    def served(self, port: str) -> Iterator[subprocess.Popen[str]]:
        """The server, killed at the end."""
        command = self.command("serve", "--port", port, "--data", str(self.data))
        with (self.place / "server.log").open("a") as log:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=self.environment, cwd=self.place
            )
        try:
            assert process.stdout is not None
            self.url = process.stdout.readline().removeprefix("Listening on ").strip()
            assert self.url, (self.place / "server.log").read_text()
            yield process
        finally:
            process.kill()
            process.wait()

    def account(self, name: str, *options: str) -> None:
        command = self.command("accounts", "add", name, "--data", str(self.data), *options)
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=self.environment)
        self.tokens[name] = done.stdout.split()[1]

    def who(self, name: str | None) -> Who:
        return None if name is None else (name, self.tokens[name])

    def seen(self, name: str | None) -> Seen:
        return Seen(self.url, self.who(name))

    def address(self, label: str) -> str:
        return self.url + self.jobs[label][0]

    def path_of(self, label: str) -> str:
        return f"/jobs/{self.jobs[label][0].rpartition('/')[2]}"

    def post(self, path: str, who: str | None, values: Any, files: Any = None) -> str:
        """POST a form; returns where it leads."""
        answer = requests.post(
            self.url + path, data=values, files=files, auth=self.who(who), allow_redirects=False, timeout=300
        )
        assert answer.status_code == 303, (path, answer.status_code, answer.text)
        return answer.headers["Location"].removeprefix(self.url)

    def create(
        self, label: str, definition: str, values: Any, who: str | None = None, files: Any = None, run: bool = True
    ) -> str:
        """Make a job, and run it; its path."""
        values = [*(values.items() if isinstance(values, dict) else values), *([("PHASE", "RUN")] if run else [])]
        path = self.post(f"/rest/{definition}", who, values, files)
        self.jobs[label] = (path, who)
        return path

    def ended(self, label: str, phase: str = "COMPLETED") -> None:
        path, who = self.jobs[label]
        deadline = time.monotonic() + 120
        while (now := self.seen(who).get(f"{path}/phase").text) != phase:
            assert time.monotonic() < deadline and now in ("PENDING", "QUEUED", "EXECUTING", "COMPLETED"), (label, now)
            time.sleep(0.1)

    def folder(self, label: str) -> Path:
        job_id = self.jobs[label][0].rpartition("/")[2]
        return self.data / "jobs" / job_id[:2] / job_id

    def supervisor(self, label: str) -> int:
        """The pid of the process that keeps a job, once there is one."""
        claim = self.folder(label) / "shepherd.json"
        until(claim.exists)
        return int(json.loads(claim.read_text())["pid"])

    def page(self, who: str | None, path: str) -> Page:
        session = requests.Session()
        session.auth = self.who(who)
        return visit(self.url + path, session)

    def result(self, label: str, name: str) -> bytes:
        path, who = self.jobs[label]
        return self.seen(who).content(f"{path}/results/{name}")
