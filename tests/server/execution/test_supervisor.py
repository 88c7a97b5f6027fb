"""The supervisor of one job, alone and as a process: how scripts end, what is left of them, and what it writes down."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from processes import carrying, descriptors, kill_all, state, until
from uws_server.execution import local, processes, supervisor
from uws_server.storage import plainfiles

MARK = "UWS_TEST_MARK"
STATUS_KEYS = {"reason", "code", "start", "end", "cpu_s", "max_rss_kib", "memory"}

# Processes that do not want to end, each in its way; a line in `ready` when all are there.
STUBBORN = """
import os, signal, sys, time

def spawn(*, session=False, twice=False, deaf=False, stopped=False):
    if os.fork():
        return
    if session:
        os.setsid()
    if twice and os.fork():
        os._exit(0)
    if deaf:
        for sign in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(sign, signal.SIG_IGN)
    with open("ready", "a") as stream:
        stream.write(f"{os.getpid()}\\n")
    if stopped:
        os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(600)
    os._exit(0)

spawn()
spawn(deaf=True)
spawn(session=True)
spawn(session=True, twice=True)
spawn(session=True, twice=True, deaf=True)
spawn(stopped=True)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open("ready", "a") as stream:
    stream.write(f"{os.getpid()}\\n")
time.sleep(600)
"""
STUBBORN_COUNT = 7


class Kept:
    """A job folder and the supervisor that runs it."""

    def __init__(self, folder: Path, mark: str) -> None:
        self.folder, self.mark = folder, mark
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        """Start one more supervisor on the folder."""
        with (self.folder / "shepherd.err").open("ab") as errors:
            started = subprocess.Popen(local.command(self.folder), stderr=errors, start_new_session=True)
        self.processes.append(started)
        return self.processes[-1]

    def run(self, seconds: float = 300) -> dict[str, Any]:
        """Start a process, wait for its end, return what it wrote."""
        self.start().wait(seconds)
        return self.status()

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads((self.folder / "status.json").read_bytes())
        return status

    def text(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def living(self) -> list[int]:
        """Pids of all that the script started, itself included."""
        return carrying(MARK, self.mark)


Prepare = Callable[..., Kept]


@pytest.fixture
def prepare(tmp_path: Path) -> Iterator[Prepare]:
    """Makes job folders for scripts; ends whatever a failed test left."""
    made: list[Kept] = []

    def make(shell: str = "", *, python: str = "", command: list[str] | None = None, **launch: Any) -> Kept:
        kept = Kept(tmp_path / f"job{len(made)}", secrets.token_hex(16))
        made.append(kept)
        kept.folder.mkdir()
        script = ["/bin/bash", "-c", shell] if shell else [sys.executable, "-c", python]
        content = {
            "command": command or script,
            "environment": {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", MARK: kept.mark},
            "duration": 0,
            "max_log": 10**6,
            "max_memory": 0,
        }
        (kept.folder / "launch.json").write_text(json.dumps(content | launch), encoding="utf-8")
        return kept

    yield make
    for kept in made:
        for process in kept.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        kill_all(kept.living())


# --- how a script ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -SEGV $$", -signal.SIGSEGV), ("kill -9 $$", -9)],
)
def test_exit_code_or_signal_is_kept(prepare: Prepare, script: str, code: int) -> None:
    before = time.time()
    status = prepare(script).run()
    assert status.keys() == STATUS_KEYS
    assert (status["reason"], status["code"]) == ("exit", code)
    assert before <= status["start"] <= status["end"] <= time.time()


def test_what_was_used_counts_children_too(prepare: Prepare) -> None:
    busy = "import time\nblock = bytearray(60_000_000)\nwhile time.process_time() < 0.3: pass"
    status = prepare(f"{sys.executable} -c '{busy}' & wait").run()
    assert status["cpu_s"] >= 0.3
    assert 60_000 < status["max_rss_kib"] < 200_000


def test_script_that_cannot_start_is_127_with_the_reason(prepare: Prepare) -> None:
    kept = prepare(command=["/nowhere/at/all"])
    assert kept.run()["code"] == 127
    assert "/nowhere/at/all" in kept.text("stderr.log")
    assert kept.text("job.log") == kept.text("stderr.log")


def test_environment_that_no_process_can_have_is_127_too(prepare: Prepare) -> None:
    kept = prepare("exit 0", environment={"text": "a\0b"})
    assert kept.run()["code"] == 127
    assert "[ERROR] the script cannot be started" in kept.text("stderr.log")


def test_too_large_environment_is_127_too(prepare: Prepare) -> None:
    kept = prepare("exit 0", environment={"text": "x" * 200_000})
    assert kept.run()["code"] == 127
    assert "[ERROR] the script cannot be started" in kept.text("stderr.log")


def test_script_starts_clean(prepare: Prepare) -> None:
    """Its folder, its environment, an empty input, no signal blocked or ignored but those Python always ignores."""
    report = """
import json, os, signal, sys
lines = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
said = {
    "cwd": os.getcwd(),
    "environment": sorted(os.environ.keys() - {"LC_CTYPE"}),  # Python itself sets this one
    "stdin": sys.stdin.read(),
    "blocked": int(lines["SigBlk"], 16),
    "default": [signal.getsignal(sign) is signal.SIG_DFL for sign in (signal.SIGTERM, signal.SIGCHLD)],
    "descriptors": [fd for fd in range(100) if os.path.exists(f"/proc/self/fd/{fd}")],
    "leads": os.getsid(0) == os.getpid(),
}
with open("report", "w") as stream:
    json.dump(said, stream)
"""
    kept = prepare(python=report)
    assert kept.run()["code"] == 0
    assert json.loads(kept.text("report")) == {
        "cwd": str(kept.folder),
        "environment": ["PATH", "PYTHONUNBUFFERED", MARK],
        "stdin": "",
        "blocked": 0,
        "default": [True, True],
        "descriptors": [0, 1, 2],
        "leads": True,
    }


def test_memory_is_limited(prepare: Prepare) -> None:
    kept = prepare(python="block = bytearray(400_000_000)", max_memory=200_000_000)
    assert kept.run()["code"] == 1
    assert "MemoryError" in kept.text("stderr.log")


# --- abort and time limit ------------------------------------------------------------------------------


def start_stubborn(prepare: Prepare, **launch: Any) -> tuple[Kept, subprocess.Popen[bytes]]:
    kept = prepare(python=STUBBORN, **launch)
    process = kept.start()
    until(lambda: len(kept.lines("ready")) == STUBBORN_COUNT, what="the processes are there")
    until(lambda: any(state(pid) == "T" for pid in kept.living()), what="one of them is stopped")
    assert len(kept.living()) == STUBBORN_COUNT
    return kept, process


def test_abort_ends_the_whole_tree(prepare: Prepare) -> None:
    kept, process = start_stubborn(prepare)
    begun = time.monotonic()
    for _ in range(20):  # the first one counts
        process.terminate()
        time.sleep(0.002)
    process.wait(300)
    assert time.monotonic() - begun >= supervisor.GRACE_S
    assert kept.living() == []
    assert (kept.status()["reason"], kept.status()["code"]) == ("abort", -signal.SIGKILL)


def test_time_limit_ends_the_whole_tree(prepare: Prepare) -> None:
    kept, process = start_stubborn(prepare, duration=4)
    process.wait(300)
    assert kept.living() == []
    status = kept.status()
    assert (status["reason"], status["code"]) == ("timeout", -signal.SIGKILL)
    assert status["end"] - status["start"] >= 4


def test_aborted_script_may_tidy_up(prepare: Prepare) -> None:
    kept = prepare("trap 'echo tidied; exit 3' TERM; touch ready; while :; do sleep 0.05; done")
    process = kept.start()
    until((kept.folder / "ready").exists)
    process.terminate()
    process.wait(300)
    assert (kept.status()["reason"], kept.status()["code"]) == ("abort", 3)
    assert kept.text("stdout.log") == "tidied\n"


def test_abort_right_after_the_start_is_an_abort(prepare: Prepare) -> None:
    """Whatever the supervisor is doing when it comes: loading, claiming, starting the script."""
    for delay in (0, 0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05):
        kept = prepare("sleep 600")
        handle = local.start(kept.folder)
        time.sleep(delay)
        handle.abort()
        until(lambda folder=kept.folder: local.status(folder), what=f"status.json (abort after {delay} s)")
        handle.close()
        assert kept.status()["reason"] == "abort"
        assert kept.living() == []


# --- what a script leaves running ----------------------------------------------------------------------


def test_background_child_that_keeps_the_pipes_does_not_hang_the_job(prepare: Prepare) -> None:
    kept = prepare("setsid sleep 600 & yes & echo done; exit 4")
    assert kept.run()["code"] == 4
    assert "done" in kept.text("stdout.log").splitlines()
    assert kept.living() == []


@pytest.mark.parametrize("session", ["", "os.setsid()"])
def test_processes_that_fork_faster_than_one_can_look_end_too(prepare: Prepare, session: str) -> None:
    """A chain in which each process starts the next and ends: a look at /proc finds only the dead."""
    kept = prepare(
        python=f"""
import os, time
links = os.open("links", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
if os.fork():
    while os.fstat(links).st_size < 20:
        time.sleep(0.01)
    os._exit(0)
{session}
end = time.monotonic() + 60  # should the supervisor fail, the chain ends by itself
while time.monotonic() < end:
    if os.fork():
        os._exit(0)
    os.write(links, b".")
"""
    )
    assert kept.run()["code"] == 0
    length = (kept.folder / "links").stat().st_size
    assert length >= 20
    time.sleep(0.1)
    assert (kept.folder / "links").stat().st_size == length
    assert kept.living() == []


def test_orphans_that_ended_are_not_left_as_zombies(prepare: Prepare) -> None:
    kept = prepare("for i in $(seq 30); do (true & ) ; done; touch ready; sleep 600")
    process = kept.start()
    until((kept.folder / "ready").exists)

    def zombies() -> list[int]:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return [int(pid) for pid in children if state(int(pid)) == "Z"]

    until(lambda: not zombies(), what="the supervisor has no dead children")
    process.terminate()
    process.wait(300)


# --- logs ----------------------------------------------------------------------------------------------


def test_logs_apart_and_together(prepare: Prepare) -> None:
    kept = prepare("echo one; sleep 0.1; echo two >&2; sleep 0.1; printf three")
    kept.run()
    assert kept.text("stdout.log") == "one\nthree"
    assert kept.text("stderr.log") == "two\n"
    assert kept.text("job.log") == "one\ntwo\nthree"


def test_lines_stay_whole_in_the_log_of_both(prepare: Prepare) -> None:
    """Python writes the text and the end of the line apart, so one stream may come in the middle of the other."""
    kept = prepare(
        python="""
import sys, threading
def talk(stream, word):
    for i in range(3000):
        print(f"[STAGE] {word} {i}", file=stream)
threads = [threading.Thread(target=talk, args=pair) for pair in ((sys.stdout, "out"), (sys.stderr, "err"))]
[t.start() for t in threads]
[t.join() for t in threads]
"""
    )
    assert kept.run()["code"] == 0
    expected = [f"[STAGE] {word} {i}" for word in ("out", "err") for i in range(3000)]
    assert sorted(kept.text("job.log").splitlines()) == sorted(expected)
    assert kept.text("stdout.log").splitlines() == expected[:3000]


def test_line_without_an_end_is_seen_while_the_script_runs(prepare: Prepare) -> None:
    kept = prepare("printf 'no end yet'; sleep 600")
    process = kept.start()
    until(lambda: kept.lines("stdout.log") == ["no end yet"])
    process.terminate()
    process.wait(300)
    assert kept.text("job.log") == "no end yet"


def test_log_is_limited_and_the_job_goes_on(prepare: Prepare) -> None:
    kept = prepare("yes abcdefghi | head -c 3000000; echo x >&2; touch ended; exit 6", max_log=100_000)
    assert kept.run()["code"] == 6
    assert (kept.folder / "ended").exists()
    assert kept.text("stdout.log") == "abcdefghi\n" * 10_000
    log = kept.text("job.log")
    assert log.startswith("abcdefghi\n" * 10_000)
    assert log.count("[WARNING] the log is full") == 1
    assert len(log) < 100_200


def test_log_that_just_fits_is_not_called_full(prepare: Prepare) -> None:
    kept = prepare("printf 1234567890", max_log=10)
    kept.run()
    assert kept.text("job.log") == "1234567890"


def test_full_disk_costs_the_log_not_the_job(prepare: Prepare) -> None:
    kept = prepare("echo hello; echo there >&2; sleep 0.1; echo more; touch ended; exit 2")
    (kept.folder / "stdout.log").symlink_to("/dev/full")
    (kept.folder / "job.log").symlink_to("/dev/full")
    assert kept.run()["code"] == 2
    assert (kept.folder / "ended").exists()
    assert kept.text("stderr.log") == "there\n"


def test_script_that_closes_its_outputs_goes_on_and_its_supervisor_sleeps(prepare: Prepare) -> None:
    kept = prepare("echo before; exec >&- 2>&-; touch ready; until [ -e go ]; do sleep 0.05; done; exit 5")
    process = kept.start()
    until((kept.folder / "ready").exists)
    until(lambda: state(process.pid) == "S", what="the supervisor sleeps")
    asked = system_calls(process.pid)
    looks = []
    for _ in range(50):
        looks.append(state(process.pid))
        time.sleep(0.01)
    assert looks.count("R") <= 5
    assert system_calls(process.pid) - asked <= 10
    (kept.folder / "go").touch()
    process.wait(300)
    assert kept.status()["code"] == 5
    assert kept.text("job.log") == "before\n"


def system_calls(pid: int) -> int:
    """How often a process has read and written so far."""
    lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("syscr:", "syscw:")))


# --- the claim and the status --------------------------------------------------------------------------


def test_one_run_whatever_the_number_of_supervisors(prepare: Prepare) -> None:
    kept = prepare("echo run >> runs; sleep 0.2")
    processes = [kept.start() for _ in range(6)]
    for process in processes:
        assert process.wait(300) == 0
    assert kept.lines("runs") == ["run"]
    winner = json.loads(kept.text("shepherd.json"))["pid"]
    assert winner in [process.pid for process in processes]
    kept.run()
    assert kept.lines("runs") == ["run"], "a folder whose job has ended is not run again"


def test_nothing_half_written_is_left(prepare: Prepare) -> None:
    kept = prepare("echo hello")
    kept.run()
    names = {path.name for path in kept.folder.iterdir()}
    assert names == {
        "launch.json", "shepherd.json", "shepherd.err", "status.json", "job.log", "stdout.log", "stderr.log",
    }  # fmt: skip
    assert kept.text("shepherd.err") == ""


def test_killed_supervisor_takes_the_script_along_and_is_known_as_gone(prepare: Prepare) -> None:
    kept = prepare(python="import pathlib, time; pathlib.Path('ready').touch(); time.sleep(600)")
    process = kept.start()
    until((kept.folder / "ready").exists)
    handle = local.find(kept.folder)
    assert handle is not None and handle.pid == process.pid
    handle.close()
    process.kill()
    process.wait(300)
    until(lambda: not kept.living(), what="the script is gone")
    assert local.claimed(kept.folder)
    assert local.find(kept.folder) is None
    assert local.status(kept.folder) is None


@pytest.mark.parametrize("soak", [os.environ.get("UWS_SOAK") == "1"])
def test_status_is_whole_or_not_there(prepare: Prepare, soak: bool) -> None:
    """The supervisor is killed around the moment at which it writes; a reader looks all the time."""
    whole = 0
    for attempt in range(60 if soak else 6):
        kept = prepare("read -r line < go; exit 7")
        os.mkfifo(kept.folder / "go")
        process = kept.start()
        with (kept.folder / "go").open("w") as stream:
            stream.write("now\n")
        moment = time.monotonic() + attempt % 6 * 0.004
        while time.monotonic() < moment:
            seen = local.status(kept.folder)
            assert seen is None or seen.code == 7
        process.kill()
        process.wait(300)
        if (kept.folder / "status.json").exists():
            whole += 1
            assert kept.status().keys() == STATUS_KEYS
            assert kept.status()["code"] == 7
        assert local.find(kept.folder) is None
    assert whole > 0 or not soak


@pytest.mark.parametrize(
    "change",
    [
        {"start": "1"},
        {"boot": "another boot"},
        {"pid": 2**22 + 1},
        {"pid": "x"},
        {"pid": None},
        {"pid": -1},
        {"pid": 2**70},
    ],
)
def test_claim_that_names_no_living_supervisor(prepare: Prepare, change: dict[str, Any]) -> None:
    kept = prepare("exit 0")
    me = {"pid": os.getpid(), "start": processes.start_time(os.getpid()), "boot": processes.boot_id()}
    (kept.folder / "shepherd.json").write_text(json.dumps(me | change), encoding="utf-8")
    assert local.find(kept.folder) is None


def test_a_claim_whose_number_a_thread_has_now_names_no_supervisor(prepare: Prepare) -> None:
    """The numbers of processes that ended are given to threads, too."""
    kept = prepare("exit 0")
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    claim = {"pid": thread.native_id, "start": "1", "boot": processes.boot_id()}
    (kept.folder / "shepherd.json").write_text(json.dumps(claim), encoding="utf-8")
    try:
        assert local.find(kept.folder) is None
    finally:
        done.set()
        thread.join()


def test_a_forged_claim_makes_no_supervisor_of_another_process(prepare: Prepare) -> None:
    """The server itself, the first of all processes, any other, the supervisor of another job."""
    other = prepare("sleep 600")
    handle = local.start(other.folder)
    until(lambda: local.claimed(other.folder) and other.living())
    kept = prepare("exit 0")
    sleeps = subprocess.Popen(["sleep", "600"])
    for pid in (os.getpid(), os.getppid(), 1, sleeps.pid, handle.pid):
        claim = {"pid": pid, "start": processes.start_time(pid), "boot": processes.boot_id()}
        (kept.folder / "shepherd.json").write_text(json.dumps(claim), encoding="utf-8")
        assert local.find(kept.folder) is None, pid
    sleeps.kill()
    sleeps.wait()
    handle.abort()
    handle.close()


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"pid": 1}', '"text"', "\udcff"])
def test_spoiled_claim_and_status_are_no_supervisor_and_no_status(prepare: Prepare, content: str) -> None:
    kept = prepare("exit 0")
    for name in ("shepherd.json", "status.json"):
        (kept.folder / name).write_text(content, encoding="utf-8", errors="surrogateescape")
    assert local.find(kept.folder) is None
    assert local.status(kept.folder) is None


@pytest.mark.parametrize("name", ["code", "start", "end", "cpu_s", "max_rss_kib", "memory"])
@pytest.mark.parametrize("value", [10**30, -(10**30), float("nan"), float("inf"), "1", None])
def test_a_status_with_a_number_that_no_database_holds_is_none(prepare: Prepare, name: str, value: object) -> None:
    """A script can write that file, and kill its supervisor."""
    kept = prepare("exit 0")
    sound = {"reason": "exit", "code": 0, "start": 1.0, "end": 2.0, "cpu_s": 0.5, "max_rss_kib": 9, "memory": 9}
    (kept.folder / "status.json").write_text(json.dumps(sound), encoding="utf-8")
    assert local.status(kept.folder) is not None
    (kept.folder / "status.json").write_text(json.dumps(sound | {name: value}), encoding="utf-8")
    assert local.status(kept.folder) is None


def test_handles_leave_no_descriptor_and_no_zombie(prepare: Prepare) -> None:
    before = descriptors()
    for _ in range(5):
        kept = prepare("exit 0")
        handle = local.start(kept.folder)
        until(lambda folder=kept.folder: local.status(folder), what="the job ended")
        handle.close()
        assert state(handle.pid) == ""
        assert local.find(kept.folder) is None
    assert not descriptors() - before


# --- what it may write ---------------------------------------------------------------------------------

TOLD = "[ERROR] disk: the job wrote more than its limit of 1,000,000 bytes and was ended"


@pytest.mark.parametrize(
    "script",
    [
        # one file, which the system stops at the limit; the script takes no notice
        "head -c 3000000 /dev/zero > large; exit 0",
        # many small ones
        "mkdir below; for i in $(seq 30); do head -c 50000 /dev/zero > below/$i; done; exit 0",
    ],
)
def test_a_job_that_wrote_too_much_fails_and_is_told_the_limit(prepare: Prepare, script: str) -> None:
    kept = prepare(script, max_disk=10**6)
    status = kept.run()
    assert (status["reason"], status["code"]) == ("disk", 1)
    assert kept.lines("stderr.log")[-1] == TOLD
    assert kept.lines("job.log")[-1] == TOLD
    assert plainfiles.size_of(kept.folder) < 2 * 10**6


def test_a_job_is_ended_while_it_fills_the_disk(prepare: Prepare) -> None:
    fill = "i=0; while :; do i=$((i+1)); head -c 9999 /dev/zero > $i; done"
    script = f"trap 'echo [ERROR] asked to end >&2; exit 0' TERM; {fill}"
    kept = prepare(script, max_disk=10**6, duration=60)
    status = kept.run()
    assert (status["reason"], status["code"]) == ("disk", 1)
    assert kept.lines("stderr.log")[-1] == TOLD
    assert kept.living() == []


def test_what_was_there_before_does_not_count(prepare: Prepare) -> None:
    kept = prepare("head -c 900000 /dev/zero > out; cat in | wc -c", max_disk=10**6)
    (kept.folder / "in").write_bytes(bytes(5_000_000))
    assert kept.run()["reason"] == "exit"
    assert kept.text("stdout.log").strip() == "5000000"


def test_the_limit_is_told_even_where_the_log_is_full(prepare: Prepare) -> None:
    kept = prepare("echo 0123456789; head -c 3000000 /dev/zero > large", max_disk=10**6, max_log=5)
    assert kept.run()["reason"] == "disk"
    assert kept.lines("stderr.log")[-1] == TOLD


def test_a_supervisor_starts_without_what_only_the_server_needs() -> None:
    """Every job waits for its start."""
    code = "import sys, uws_server.execution.supervisor; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"uws_server.execution.processes", "json"} <= set(loaded)
    assert {"hashlib", "ssl", "numpy", "sqlalchemy", "bottle", "lxml"}.isdisjoint(loaded)
