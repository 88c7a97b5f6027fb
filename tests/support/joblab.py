"""A data folder with definitions of shell and Python jobs of every temper, and jobs on whatever server runs on it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import requests
from lxml import etree

import uwsjobs
from accounts import account
from processes import carrying, kill_all, until
from serving import Served, running_server
from uws_server.execution import local
from uws_server.storage.files import JobFiles

SOAK = os.environ.get("UWS_SOAK") == "1"
UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
ENDED = ("COMPLETED", "ERROR", "ABORTED")

# `track` notes in a file that all jobs share when it began and ended; it waits for the file `gate` if one is named
TRACK = """
echo "begin $label" >> "$track"
echo "$label" > results/out.txt
sleep "$seconds"
while [ "$gate" ] && [ ! -e "$gate" ]; do sleep 0.05; done
echo "end $label" >> "$track"
exit "$code"
"""
# a tree that does not want to end, one part of it in another session
STUBBORN = """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    os.fork()
pathlib.Path("results", f"part{os.getpid()}.txt").touch()
time.sleep(600)
"""
ODD = """
mkdir results/below
echo plain > results/below/plain.txt
echo named > "results/ä b&<c>.txt"
echo bytes > results/$'\\xff\\xfe.txt'
mkfifo results/pipe
ln -s /etc/passwd results/link.txt
printf '\\033[31mred\\033[0m\\001 \\n[STAGE 1/2] \\033[1mbold\\033[0m\\001\\n'
"""
GREEDY = """
import os
try:
    bytearray(900_000_000)
except MemoryError:
    raise SystemExit(f"[ERROR] no memory on {os.environ['OMP_NUM_THREADS']} cores")
"""
FAILS = r"printf '\033[31m[ERROR] first\033[0m\n[ERROR] radius: \001\377 came\n' >&2; exit 3"
PARAMETERS = [
    {"name": "label", "type": "string", "default": "one"},
    {"name": "track", "type": "string", "default": "/dev/null"},
    {"name": "gate", "type": "string"},
    {"name": "seconds", "type": "float", "default": 0},
    {"name": "code", "type": "integer", "default": 0},
]
OUT = {"name": "out", "file": "out.txt", "mime": "text/plain"}


define = partial(uwsjobs.define, parameters=PARAMETERS)


@dataclass(frozen=True)
class Remote:
    """A job on a server."""

    url: str
    session: requests.Session

    @property
    def id(self) -> str:
        return self.url.rpartition("/")[2]

    def post(self, **form: Any) -> requests.Response:
        return self.session.post(self.url, data=form, timeout=300)

    def document(self) -> etree._Element:
        answer = self.session.get(self.url, timeout=300)
        assert answer.status_code == 200, answer.text
        return etree.fromstring(answer.content)

    def text(self, name: str) -> str:
        return self.document().findtext(f".//{UWS}{name}") or ""

    def phase(self) -> str:
        answer = self.session.get(f"{self.url}/phase", timeout=300)
        assert answer.status_code == 200, answer.text
        return answer.text

    def ended(self, seconds: float = 300) -> str:
        """The last phase of the job, once it has ended."""
        until(lambda: self.phase() in ENDED, seconds, f"{self.url} has ended", every=0.05)
        return self.phase()

    def results(self) -> dict[str, str]:
        """Names of the results and their types."""
        found = self.document().iterfind(f".//{UWS}result")
        return {str(item.get("id")): str(item.get("mime-type")) for item in found}

    def processes(self) -> list[int]:
        return carrying("UWS_JOB_ID", self.id)


class Lab:
    """A data folder, job definitions, a database, and whatever server runs on them at the moment."""

    def __init__(self, root: Path, database: str) -> None:
        self.database = database
        self.root, self.data, self.track = root, root / "data", root / "track"
        self.definitions = root / "definitions"
        define(self.definitions, "track", TRACK, results=[OUT])
        define(self.definitions, "stubborn", STUBBORN, "python")
        define(self.definitions, "odd", ODD)
        define(self.definitions, "fails", FAILS)
        define(self.definitions, "forgetful", "exit 0", results=[OUT])
        define(self.definitions, "beside", "echo made > out.txt; echo not declared > other.txt", results=[OUT])
        define(self.definitions, "greedy", GREEDY, "python", control={"memory": 600_000_000, "cpus": 2})
        define(self.definitions, "bulky", "head -c 2000000 /dev/zero > results/x; exit 0", control={"disk": 1_000_000})
        self.session = requests.Session()
        self.served: Served | None = None

    @contextmanager
    def serving(self, data: Path | None = None, **settings: Any) -> Iterator[Served]:
        """A server on the folders of the lab for the time of a block."""
        settings = {"definitions": self.definitions, "database": self.database, "max_running": 3} | settings
        with running_server(data or self.data, **settings) as self.served:
            yield self.served
        self.served = None

    def create(self, name: str, **form: Any) -> Remote:
        assert self.served is not None
        answer = self.session.post(f"{self.served.url}/rest/{name}", data=form, allow_redirects=False, timeout=300)
        assert answer.status_code == 303, answer.text
        return Remote(answer.headers["Location"], self.session)

    def run(self, name: str = "track", **form: Any) -> Remote:
        return self.create(name, PHASE="RUN", track=str(self.track), **form)

    def again(self, job: Remote) -> Remote:
        """The same job on the server that runs now."""
        assert self.served is not None
        return Remote(self.served.url + job.url[job.url.index("/rest/") :], self.session)

    def tracked(self) -> list[str]:
        return self.track.read_text(encoding="utf-8").splitlines() if self.track.exists() else []

    def folder(self, job: Remote) -> Path:
        return JobFiles(self.data).folder(job.id)

    def close(self) -> None:
        """End every supervisor, and what a failed test left."""
        self.session.close()
        for folder in self.data.glob("jobs/*/*"):
            handle = local.find(folder)
            if handle is not None:
                os.kill(handle.pid, signal.SIGKILL)
                handle.close()
            kill_all(carrying("UWS_JOB_ID", folder.name))


def signed_in(lab: Lab, name: str, *options: str) -> Lab:
    """The lab as somebody with an account finds it."""
    config = lab.root / f"{name}.toml"
    config.write_text(f"[folders]\ndata = {str(lab.data)!r}\ndatabase = {lab.database!r}\n", encoding="utf-8")
    theirs = Lab(lab.root, lab.database)
    theirs.served = lab.served
    theirs.session.auth = account(lab.data, name, "--config", str(config), *options)
    return theirs
