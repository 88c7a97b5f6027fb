"""The control groups of jobs: none where the server was given none, and with a real kernel and systemd under a flag."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import virtual_machine
from checkout import ROOT
from uws_server.execution.control_group import ControlGroup, own_group

LAUNCH = {"max_together": 200_000_000, "max_processes": 10, "cpus": 2, "environment": {"UWS_JOB_ID": "abc"}}
UNIT = ROOT / "examples/operating/uws-server.service"
BASE = '{"name": "%s", "version": "1.0", "title": "%s", "description": "A test.", "parameters": [], "results": [], '
SLEEPER = BASE % ("sleeper", "sleeper") + (
    '"entry": {"type": "shell", "script": "run.sh"}, "control": {"cpus": 2, "memory": 200000000}}'
)
HOG = BASE % ("hog", "hog") + '"entry": {"type": "shell", "script": "run.sh"}, "control": {"memory": 60000000}}'
HOLDS = "(head -c 30000000 /dev/zero | tail -c 30000000; sleep 9) > /dev/null &\n"
CONFIG = """[server]
port = 8080
[folders]
data = "/var/lib/uws-server/data"
definitions = "/opt/definitions"
[jobs]
memory = "1 GB"
cores = 4
max_running = 4
"""


def test_without_a_group_of_the_server_a_job_has_none(tmp_path: Path) -> None:
    group = ControlGroup(tmp_path / "abc", {**LAUNCH, "groups": ""})
    group.join()
    group.kill()
    group.remove()
    assert group.path is None and not group.ran_out()


def test_a_supervisor_elsewhere_makes_no_group_in_that_of_a_server(tmp_path: Path) -> None:
    """Such as one that a cluster started on this machine, in a group of the cluster's own."""
    assert not f"/sys/fs/cgroup{own_group()}".startswith(str(tmp_path))
    assert ControlGroup(tmp_path / "abc", {**LAUNCH, "groups": str(tmp_path)}).path is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif("UWS_VM" not in os.environ, reason="boots a virtual machine: set UWS_VM=1 (some minutes)")
def test_the_kernel_keeps_jobs_to_their_limits_under_systemd(tmp_path: Path) -> None:
    """The unit of examples/operating in Debian's systemd: limits, a job over its memory, restart, crash, abort."""
    if lacks := virtual_machine.missing():
        pytest.skip(f"install the Debian packages {lacks}")
    seen = seen_in_machine(tmp_path)
    assert seen["ready"] is True and {"cpu", "memory", "pids"} <= set(seen["controllers"])
    assert (seen["running"], seen["processes"]) == ("EXECUTING", 3), "the shell, its child, and the one with a session"
    limits = ["199999488", "200000", "100000", "1"]  # whole pages of memory
    assert seen["limits"] == limits
    assert seen["hog"] == "ERROR" and seen["kernel"] is True and seen["left of hog"] is False
    assert seen["sentence"] == (
        "memory: the processes of the job held more than its 60,000,000 bytes of memory together; it was ended"
    )
    for what in ("restart", "crash"):
        assert seen[f"ready after {what}"] is True
        assert seen[f"phase after {what}"] == "EXECUTING"
        assert seen[f"limits after {what}"] == limits
    assert seen["aborted"] == "ABORTED" and seen["left of aborted"] is False
    assert seen["without supervisor"] == "ERROR" and seen["left without supervisor"] is False


def seen_in_machine(folder: Path) -> dict[str, object]:
    """What the guest tells, by name."""
    passwd, group = (Path("/etc", name).read_text(encoding="utf-8") for name in ("passwd", "group"))
    unit = UNIT.read_text(encoding="utf-8").replace("network-online.target", "").replace("postgresql.service", "")
    bin_folder = Path(sys.executable).parent
    files = {
        "etc/passwd": f"{passwd}uws:x:990:990::/var/lib/uws-server:/bin/sh\n",
        "etc/group": f"{group}uws:x:990:\n",
        "etc/systemd/system/uws-server.service": unit.replace("/opt/uws-server/bin", str(bin_folder)),
        "etc/uws-server/uws-server.toml": CONFIG,
        "opt/definitions/sleeper/job.json": SLEEPER,
        "opt/definitions/sleeper/run.sh": "sleep 5000 &\nsetsid sleep 5001 &\nwait\n",
        "opt/definitions/hog/job.json": HOG,
        "opt/definitions/hog/run.sh": f"{HOLDS * 4}wait\n",
        "opt/guest.py": (ROOT / "tests/support/guest/control_groups.py").read_text(encoding="utf-8"),
    }
    # the user of the server may read Python and the checkout wherever they are
    ways = {str(each) for path in (Path(sys.executable).resolve(), ROOT) for each in path.parents if each != Path("/")}
    prepare = "\n".join([f"$b chmod o+rx /new{way}" for way in sorted(ways)])
    shown = virtual_machine.run(folder, files, prepare, "/usr/bin/python3 -I /opt/guest.py")
    told = [json.loads(line[line.index('{"what"') :]) for line in shown.splitlines() if '{"what"' in line]
    return {each["what"]: each["value"] for each in told}
