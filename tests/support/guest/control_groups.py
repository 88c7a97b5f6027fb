"""Runs in a virtual machine, as root under systemd: what the kernel and systemd do with the control groups of jobs.

Prints one line of JSON for each thing that was seen. Uses the standard library only.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

URL = "http://127.0.0.1:8080"
GROUP = Path("/sys/fs/cgroup/system.slice/uws-server.service")
LONGEST_S = 600.0


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def main() -> None:
    shell("systemctl start uws-server")
    tell("ready", is_ready())
    tell("controllers", words(GROUP / "cgroup.subtree_control"))
    job = create("sleeper")
    tell("running", ends_in("sleeper", job, "EXECUTING"))
    wait_for(lambda: len(words(group(job) / "cgroup.procs")) == 3)
    tell("processes", len(words(group(job) / "cgroup.procs")))
    tell("limits", limits(job))
    hog = create("hog")
    tell("hog", ends_in("hog", hog, "ERROR", "COMPLETED"))
    tell("sentence", ask(f"/rest/hog/{hog}/error").split("\n")[0])
    tell("kernel", "Memory cgroup out of memory" in shell("dmesg"))
    tell("left of hog", group(hog).exists())
    for name, command in (("restart", "systemctl restart uws-server"),
                          ("crash", "kill -9 $(systemctl show -p MainPID --value uws-server)")):  # fmt: skip
        shell(command)
        wait_for(lambda: not answers(), 10.0)
        tell(f"ready after {name}", is_ready())
        tell(f"phase after {name}", ask(f"/rest/sleeper/{job}/phase"))
        wait_for(lambda: "max" not in limits(job))
        tell(f"limits after {name}", limits(job))
    ask(f"/rest/sleeper/{job}/phase", {"PHASE": "ABORT"})
    tell("aborted", ends_in("sleeper", job, "ABORTED"))
    tell("left of aborted", group(job).exists() or "sleep 500" in shell("pgrep -a sleep"))
    job = create("sleeper")
    ends_in("sleeper", job, "EXECUTING")
    wait_for(lambda: len(words(group(job) / "cgroup.procs")) == 3)
    kill_supervisor(job)
    tell("without supervisor", ends_in("sleeper", job, "ERROR"))
    wait_for(lambda: not group(job).exists())
    tell("left without supervisor", group(job).exists() or "sleep 500" in shell("pgrep -a sleep"))


def tell(what: str, value: object) -> None:
    print(json.dumps({"what": what, "value": value}), flush=True)


def shell(command: str) -> str:
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=False).stdout


def words(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def group(job: str) -> Path:
    return GROUP / f"job-{job}"


def kill_supervisor(job: str) -> None:
    """Kill the process that started the script of a job, and is in no group of it."""
    mine = words(group(job) / "cgroup.procs")
    parents = {Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1] for pid in mine}
    for parent in parents - {*mine}:
        shell(f"kill -9 {parent}")


def limits(job: str) -> list[str]:
    return [word for name in ("memory.max", "cpu.max", "memory.oom.group") for word in words(group(job) / name)]


def ask(path: str, form: dict[str, str] | None = None) -> str:
    """Return the answer of the server, or where it leads to."""
    data = urllib.parse.urlencode(form).encode() if form else None
    try:
        with urllib.request.build_opener(_Stay).open(URL + path, data, timeout=120) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.headers.get("Location") or error.read().decode()


def answers() -> bool:
    try:
        return '"ready": true' in ask("/health/ready")
    except OSError:
        return False


def is_ready() -> bool:
    wait_for(answers)
    return answers()


def wait_for(done: Any, longest_s: float = LONGEST_S) -> None:
    until = time.monotonic() + longest_s
    while not done() and time.monotonic() < until:
        time.sleep(0.5)


def create(definition: str) -> str:
    return ask(f"/rest/{definition}", {"PHASE": "RUN"}).rpartition("/")[2]


def ends_in(definition: str, job: str, *phases: str) -> str:
    wait_for(lambda: ask(f"/rest/{definition}/{job}/phase") in phases)
    return ask(f"/rest/{definition}/{job}/phase")


main()
