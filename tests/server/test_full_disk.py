"""A server whose disk is full: a data folder of its own small file system, filled up while jobs run."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from joblab import Lab, Remote, define
from processes import until
from serving import PROGRAM, running_server

PRIVATE = """
import ctypes, os, sys
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
uid, gid = os.getuid(), os.getgid()
assert libc.unshare(0x10000000 | 0x20000) == 0, os.strerror(ctypes.get_errno())
for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
    Path("/proc/self", name).write_text(text)
"""
MOUNT = """
data = sys.argv[sys.argv.index("--data") + 1].encode()
assert libc.mount(b"none", b"/", None, 0x4000 | 0x40000, None) == 0, os.strerror(ctypes.get_errno())
assert libc.mount(b"tmpfs", data, b"tmpfs", 0, b"size=64m") == 0, os.strerror(ctypes.get_errno())
"""
can = subprocess.run([sys.executable, "-c", PRIVATE], capture_output=True, check=False).returncode == 0
pytestmark = pytest.mark.skipif(not can, reason="this machine allows no private mounts")


FILLS = """
import sys
print("forked" if "uws_server.execution.supervisor" in sys.modules else "new", flush=True)
with open("results/filler", "wb", buffering=0) as stream:
    for _ in range(10_000):
        if stream.write(bytes(1 << 16)) < 1 << 16:
            stream.write(b"x")
"""


class SmallDisk(Lab):
    """A lab whose server keeps its data on a disk of 64 MB, of which 16 MB are the reserve."""

    @property
    def seen(self) -> Path:
        """The data folder as the server sees it."""
        assert self.served is not None
        return Path(f"/proc/{self.served.process.pid}/root{self.data}")

    def fill(self) -> None:
        """Leave no byte free."""
        with (self.seen / "filler").open("ab", buffering=0) as stream:
            for size in (1 << 16, 1):
                try:
                    while stream.write(bytes(size)):
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        (self.seen / "filler").unlink()

    def log(self) -> str:
        return (self.data / "server.log").read_text()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[SmallDisk]:
    made = SmallDisk(tmp_path, "")
    settings = {"definitions": made.definitions, "reserve": "16 MB", "max_running": 3}
    with running_server(made.data, program=PRIVATE + MOUNT + PROGRAM, **settings) as made.served:
        yield made
    made.close()


def refused(lab: Lab, **files: bytes) -> requests.Response:
    assert lab.served is not None
    return lab.session.post(f"{lab.served.url}/rest/track", files=files or None, allow_redirects=False, timeout=300)


def deleted(job: Remote) -> int:
    return job.session.delete(job.url, allow_redirects=False, timeout=300).status_code


def availability(lab: Lab) -> str:
    assert lab.served is not None
    return lab.session.get(f"{lab.served.url}/availability", timeout=300).text


def test_a_full_disk_refuses_what_is_new_deletes_and_goes_on(lab: SmallDisk, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    ended, running = [lab.run() for _ in range(5)], lab.run(gate=str(gate))
    waiting = lab.create("track")
    assert {job.ended() for job in ended} == {"COMPLETED"}
    until(lambda: running.phase() == "EXECUTING")
    until((lab.seen / "reserve").exists, 300, "the bytes for deletions are held")
    lab.fill()

    answer = refused(lab)
    assert answer.status_code == 507
    assert re.search(r"has 0\.0 MB free, and 16\.0 MB are kept: nothing new is taken; delete jobs", answer.text)
    assert refused(lab, label=b"x" * 1000).status_code == 507
    assert "available>false<" in availability(lab)
    assert "note>the disk of the server has 0.0 MB free" in availability(lab)

    gate.touch()
    until(lambda: "end one" in lab.tracked()[-1] and len(lab.tracked()) == 12, 300, "the last script has ended")
    assert running.phase() == "EXECUTING"
    assert [deleted(job) for job in (*ended, waiting)] == [303] * 6
    assert [job.session.get(job.url, timeout=300).status_code for job in (*ended, waiting)] == [404] * 6
    lab.fill()
    for _ in range(60):  # twice the time between two heartbeats, and more
        assert refused(lab).status_code == 507
        time.sleep(0.2)

    lab.free()
    assert running.ended() == "COMPLETED"
    assert "out" in running.results()
    assert "available>true<" in availability(lab)
    assert lab.run().ended() == "COMPLETED"
    assert "Traceback" not in lab.log()
    assert lab.log().count("the queue waits: ") <= 2, lab.log()


def test_below_the_reserve_queued_jobs_wait(lab: SmallDisk) -> None:
    waiting = lab.create("track", track=str(lab.track))
    filler = lab.seen / "filler"
    filler.write_bytes(bytes(50 * 10**6))
    assert waiting.session.post(f"{waiting.url}/phase", data={"PHASE": "RUN"}, timeout=300).status_code == 200
    assert refused(lab).status_code == 507
    assert waiting.phase() == "QUEUED"
    lab.free()
    assert waiting.ended() == "COMPLETED"


def test_a_script_that_fills_the_disk_is_told_so_and_the_next_one_is_forked_as_before(lab: SmallDisk) -> None:
    """The script is a fork of the warm process, which has no file of its own; it ends once there is room to say how."""
    assert lab.served is not None
    define(lab.definitions, "fills", FILLS, "python")
    define(lab.definitions, "forks", FILLS.partition("with")[0], "python")
    until(lambda: lab.session.get(f"{lab.served.url}/jdl/forks", timeout=300).ok, what="it is live")  # type: ignore[union-attr]

    def how(job: Remote) -> str:
        assert job.ended() == "COMPLETED"
        return job.session.get(f"{job.url}/stdout", timeout=300).text

    until(lambda: how(lab.run("forks")) == "forked\n", what="a script is forked")
    (lab.seen / "filler").write_bytes(bytes(4_000_000))
    job = lab.run("fills")
    until(lambda: refused(lab).status_code == 507, what="the disk is nearly full")
    until(lambda: not job.processes(), what="the script found no room and ended")
    assert job.phase() == "EXECUTING"
    lab.free()
    assert job.ended() == "ERROR"
    assert "No space left on device; the disk of the server is full: delete jobs" in job.text("message")
    assert refused(lab).status_code == 507
    assert deleted(job) == 303
    assert how(lab.run("forks")) == "forked\n"
    assert "Traceback" not in lab.log()


def test_a_script_that_ended_well_on_a_full_disk_is_not_lost_past_its_limit(tmp_path: Path) -> None:
    """The supervisor waits for room to say how the script ended: the last resort for supervisors is not for it."""
    made = SmallDisk(tmp_path, "")
    soon = "from uws_server.execution import watchdog; watchdog.OVERDUE_S = 3.0; "
    settings = {"definitions": made.definitions, "database": f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"}
    gate = tmp_path / "gate"
    with running_server(made.data, program=PRIVATE + MOUNT + soon + PROGRAM, reserve="0", **settings) as made.served:
        job = made.run(gate=str(gate), EXECUTIONDURATION="5")
        until(lambda: len(made.tracked()) == 1, 300, "the script has begun")
        made.fill()
        gate.touch()
        until(lambda: "end one" in made.tracked()[-1], 300, "the script has ended")
        time.sleep(13)  # past the limit, what is granted after it, and two looks at the supervisors
        assert job.phase() == "EXECUTING"
        made.free()
        assert job.ended() == "COMPLETED", job.text("message")
    made.close()
