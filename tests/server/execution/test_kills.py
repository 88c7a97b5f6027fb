"""Whatever is killed at whatever moment under load, every acknowledged job ends once, as it should, and leaves nothing.

Two servers on one database run shell, Python and array jobs while a client makes more; servers, warm processes,
supervisors, drivers, workers, last scripts and what they started are killed with SIGKILL. UWS_SOAK=1 does 200 rounds on
each kind of database.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from lxml import etree

from joblab import ENDED, SOAK, UWS, Lab, Remote, define
from processes import state, until
from serving import Served, start_server
from starts import warm_processes
from uws_server.execution.processes import start_time

ROUNDS = 200 if SOAK else 4
JOBS = 6
"""Jobs that the client makes in a round."""
WORDS = ["a", "b", "c", "d"]

PYTHON = """
import json, sys, time
from pathlib import Path

given = {name: one["value"] for name, one in json.loads(Path("parameters.json").read_text())["parameters"].items()}
label = given["label"] + ("/" + given["word"] if "word" in given else "")
def track(what):
    with open(given["track"], "a") as stream:
        stream.write(f"{what} {label}\\n")
track("begin")
time.sleep(given["seconds"])
Path("results/out.txt").write_text(label)
track("end")
sys.exit(given["code"])
"""
GATHER = """
echo "begin $label/last" >> "$track"
sleep "$seconds"
cat ../parts/*/results/out.txt > all.txt
echo "end $label/last" >> "$track"
"""
PARAMETERS = [
    {"name": "label", "type": "string", "default": "one"},
    {"name": "track", "type": "string"},
    {"name": "seconds", "type": "float", "default": 0},
    {"name": "code", "type": "integer", "default": 0},
]
SPREAD = {"name": "word", "type": "string", "max_values": 9, "required": True, "spread": True}
OUT = {"name": "out", "file": "out.txt", "mime": "text/plain"}
ALL = {"name": "all", "file": "all.txt", "mime": "text/plain", "gathered": True}


@dataclass(frozen=True)
class Made:
    """A job that a server acknowledged."""

    job: Remote
    definition: str
    label: str
    code: int

    @property
    def labels(self) -> list[str]:
        """What its scripts call themselves."""
        is_array = self.definition == "parts"
        return [f"{self.label}/{word}" for word in (*WORDS, "last")] if is_array else [self.label]


@dataclass
class Siege:
    """The servers of a lab, what they acknowledged, and what was killed."""

    lab: Lab
    dice: random.Random
    servers: list[Served] = field(default_factory=list)
    struck: set[str] = field(default_factory=set)
    """The ids of the jobs of which a process was killed."""
    kills: Counter[str] = field(default_factory=Counter)
    warm: set[tuple[int, str]] = field(default_factory=set)
    """Each warm process that was seen: its id, which others have later, and when it started."""
    number: int = 0

    def serve(self) -> None:
        """Have two servers run."""
        while len(self.servers) < 2:
            settings = {"definitions": self.lab.definitions, "database": self.lab.database, "max_running": 2}
            self.servers.append(start_server(self.lab.data, **settings))

    def make(self, made: list[Made]) -> None:
        """Make jobs at whichever server answers."""
        for _ in range(JOBS):
            self.number += 1
            label, definition = f"job{self.number}", ("track", "python", "parts")[self.number % 3]
            code = 7 * (self.number % 4 == 0 and definition != "parts")
            form = {"label": label, "track": str(self.lab.track), "seconds": self.dice.choice([0, 0.2, 0.5])}
            form |= {"PHASE": "RUN", "code": code} | ({"word": WORDS} if definition == "parts" else {})
            with contextlib.suppress(requests.ConnectionError):  # it was killed: nothing was acknowledged
                url = self.dice.choice(self.servers).url
                answer = requests.post(f"{url}/rest/{definition}", data=form, allow_redirects=False, timeout=300)
                assert answer.status_code == 303, answer.text
                made.append(Made(Remote(answer.headers["Location"], self.lab.session), definition, label, code))
            time.sleep(self.dice.uniform(0, 0.1))

    def strike(self) -> None:
        """Kill one process: the kind of process first, so that each has its turn."""
        targets: dict[str, list[int]] = {"server": [served.process.pid for served in self.servers]}
        warm = [pid for served in self.servers for pid in warm_processes(served.process.pid)]
        self.warm |= {(pid, started) for pid in warm if (started := start_of(pid))}
        if warm:
            targets["warm process"] = warm
        for pid, place in self.working():
            targets.setdefault(self.kind(pid, place), []).append(pid)
        kinds = sorted(targets)
        (kind,) = self.dice.choices(kinds, [1 if kind in ("server", "warm process") else 3 for kind in kinds])
        pid = self.dice.choice(targets[kind])
        if kind == "server":
            served = next(each for each in self.servers if each.process.pid == pid)
            self.servers = [each for each in self.servers if each is not served]
            self.end(served)
        elif kind == "warm process":
            os.kill(pid, signal.SIGKILL)
        elif not self.kill_in_job(pid):
            return
        self.kills[kind] += 1

    def kill_in_job(self, pid: int) -> bool:
        """Kill a process, if it still works for a job; by a handle, as its id may be another one's by now."""
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        try:
            place = dict(self.working()).get(pid)
            if place is None:
                return False
            self.struck.add(place.relative_to(self.lab.data / "jobs").parts[1])
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True

    def working(self) -> list[tuple[int, Path]]:
        """The processes that work below the folders of the jobs, zombies not: whoever's children they are."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    place = Path(str((entry / "cwd").readlink()).removesuffix(" (deleted)"))
                    if place.is_relative_to(self.lab.data / "jobs") and state(int(entry.name)) not in ("Z", ""):
                        found.append((int(entry.name), place))
        return found

    def kind(self, pid: int, place: Path) -> str:
        """What a process is to its job."""
        where = "gathering" if place.name == "gathered" else "part" if place.parent.name == "parts" else "job"
        if f'"pid": {pid},' in _text(place / "shepherd.json"):
            return f"{where}: supervisor"
        if where == "job" and (place / "parts.json").exists():
            return "job: driver or waiting worker"
        return f"{where}: script"

    def end(self, served: Served) -> None:
        served.kill()
        assert served.process.stdout is not None
        served.process.stdout.close()

    def close(self) -> None:
        for served in self.servers:
            self.end(served)
        self.lab.close()


def start_of(pid: int) -> str:
    """When a process started; '' where there is none."""
    with contextlib.suppress(OSError, IndexError):
        return start_time(pid)
    return ""


def lives(pid: int, started: str) -> bool:
    return start_of(pid) == started and state(pid) not in ("", "Z")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


@pytest.fixture
def siege(tmp_path: Path, database_url: str) -> Iterator[Siege]:
    lab = Lab(tmp_path, database_url)
    define(lab.definitions, "python", PYTHON, "python", parameters=PARAMETERS, results=[OUT])
    place = define(
        lab.definitions, "parts", PYTHON, "python",
        parameters=[*PARAMETERS, SPREAD], results=[OUT, ALL], gather="last.sh",
    )  # fmt: skip
    (place / "last.sh").write_text(GATHER, encoding="utf-8")
    made = Siege(lab, random.Random(11))
    yield made
    made.close()


def test_every_job_ends_once_whatever_is_killed(siege: Siege) -> None:
    lab = siege.lab
    for number in range(ROUNDS):
        siege.serve()
        lab.served = siege.servers[0]
        made: list[Made] = []
        client = threading.Thread(target=siege.make, args=(made,))
        client.start()
        for _ in range(siege.dice.randint(1, 5)):
            time.sleep(siege.dice.uniform(0, 0.6))
            if len(siege.servers) > 1:
                siege.strike()
        client.join()
        siege.serve()
        lab.served = siege.servers[0]
        require_ended(siege)
        until(lambda: not siege.working(), what=f"round {number}: no process works for a job that has ended")
        tracked = Counter(lab.tracked())
        assert set(tracked.values()) <= {1}, "a script ran twice"
        for one in made:
            require_right(siege, one, tracked)
    kills = ", ".join(f"{kind} {count}" for kind, count in sorted(siege.kills.items()))
    print(f"{ROUNDS} rounds on {lab.database.partition(':')[0]}, {siege.number} jobs, killed: {kills}")
    for served in siege.servers:
        served.stop()
    until(lambda: not any(lives(*each) for each in siege.warm), what="no warm process outlives its server")


def require_ended(siege: Siege) -> None:
    """Wait until every job of the database has ended, also one that was not acknowledged, unless it was never run."""
    assert siege.lab.served is not None
    lists = [f"{siege.lab.served.url}/rest/{name}" for name in ("track", "python", "parts")]

    settled, left = (*ENDED, "PENDING"), list[str]()

    def has_ended() -> bool:
        answers = [siege.lab.session.get(address, timeout=300) for address in lists]
        jobs = [job for answer in answers for job in etree.fromstring(answer.content).iter(f"{UWS}jobref")]
        left[:] = [etree.tostring(job).decode() for job in jobs if job.findtext(f"{UWS}phase") not in settled]
        return not left

    try:
        until(has_ended, 300, "every job has ended", every=0.1)
    except AssertionError as error:
        raise AssertionError(f"{left} in {siege.lab.data}") from error


def require_right(siege: Siege, made: Made, tracked: Counter[str]) -> None:
    """A job ended as its script did, or says what happened to it; one of which nothing was killed is untouched."""
    job = siege.lab.again(made.job)
    phase, message = job.phase(), job.text("message")
    ended = [label for label in made.labels if tracked[f"end {label}"]]
    if job.id not in siege.struck:
        assert phase == ("ERROR" if made.code else "COMPLETED"), (made, phase, message)
        assert ended == made.labels, made
    if phase == "ERROR":
        assert message, made
        assert made.code == 0 or job.id in siege.struck or "status 7" in message, (made, message)
        return
    assert phase == "COMPLETED", made
    if made.definition != "parts":
        assert made.code == 0, made
        assert (
            job.session.get(f"{job.url}/results/out", timeout=300).text.strip() == made.label or job.id in siege.struck
        )
        return
    parts = job.session.get(f"{job.url}/parts", timeout=300).json()["parts"]
    completed = {f"{made.label}/{part['input']}" for part in parts if part["phase"] == "COMPLETED"}
    assert {part["phase"] for part in parts} <= {"COMPLETED", "ERROR"}, (made, parts)
    assert completed <= set(ended), made
    assert job.id in siege.struck or job.session.get(f"{job.url}/results/all", timeout=300).text == "".join(
        f"{made.label}/{word}" for word in WORDS
    )
