"""Trials shut in by bubblewrap, seen from inside by real scripts; abort, limits and ends hold there as elsewhere."""

from __future__ import annotations

import http.server
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from joblab import Lab, define
from processes import carrying, kill_all, state, until
from uws_server.config import Config
from uws_server.errors import ConfigurationError, Forbidden
from uws_server.execution import local, products, sandbox, staging
from uws_server.jobs.definition import Definition, Entry, ResultSpec
from uws_server.jobs.job import Job, ParameterValue, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage.files import OURS, PROTECTED
from uws_server.storage.library import Installed

MARK = "UWS_TEST_MARK"
LED_ASTRAY = ("steps.json", "steps.json.new", "helpers.json", "results")
"""Links that stay until the job is over: the server opens these places only then."""
needs_bubblewrap = pytest.mark.skipif(bool(sandbox.obstacle()), reason=f"no sandbox here: {sandbox.obstacle()}")


class Place:
    """A data folder with one job, an archive, and a definition whose script runs in the job's folder."""

    def __init__(self, root: Path) -> None:
        self.mark = secrets.token_hex(16)
        self.data, self.archive = root / "data", root / "archive"
        self.definition = self.data / "definitions" / "0123"
        self.folder = self.data / "jobs" / "ab" / new_id()
        for folder in (self.archive, self.definition, self.folder, self.folder / "results"):
            folder.mkdir(parents=True)
        (self.data / "jobs.sqlite").write_text("the secrets of the database")
        (self.archive / "events.fits").write_text("SIMPLE")
        (self.definition / "table.txt").write_text("beside the script")
        self.handles: list[local.Handle] = []

    def start(
        self, script: str, trial: bool = True, values: dict[str, ParameterValue] | None = None, **settings: Any
    ) -> local.Handle:
        """Start the supervisor of a job with that shell script."""
        (self.definition / "run.sh").write_text(script, encoding="utf-8")
        installed = Installed(Definition("d", "1", "D", Entry("shell", "run.sh")), self.definition, "0123", "editor")
        duration = settings.pop("duration", 60)
        job = Job(self.folder.name, "d", "1", Phase.EXECUTING, utcnow(), duration, trial=trial, parameters=values or {})
        config = Config.of(data=self.data, archive=self.archive, **settings)
        staging.prepare(job, installed, self.folder, config, "http://localhost")
        launch = self.launch()
        launch["environment"][MARK] = self.mark
        (self.folder / "launch.json").write_text(json.dumps(launch), encoding="utf-8")
        self.handles.append(local.start(self.folder))
        return self.handles[-1]

    def launch(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "launch.json").read_bytes())
        return content

    def run(self, script: str, **settings: Any) -> local.Status:
        """Run a script to its end."""
        self.start(script, **settings)
        return self.ended()

    def ended(self, seconds: float = 300) -> local.Status:
        until(lambda: local.status(self.folder), seconds, "the supervisor writes status.json")
        status = local.status(self.folder)
        assert status is not None
        return status

    def text(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def living(self) -> list[int]:
        return carrying(MARK, self.mark)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "key").write_text("a secret")
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def place(tmp_path: Path, home: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    for handle in made.handles:
        handle.abort()
    kill_all(made.living())
    for handle in made.handles:
        handle.close()


@needs_bubblewrap
def test_a_trial_writes_in_its_own_folder_and_nowhere_else(place: Place, home: Path) -> None:
    status = place.run(f"""
        echo made > results/out.txt
        touch /etc/uws-was-here "{place.archive}/uws-was-here" "{place.definition}/uws-was-here"
        touch {Path("/tmp")}/uws-was-here "{place.data}/uws-was-here" "$HOME/uws-was-here" || exit 4
        exit 3
    """)
    assert (status.reason, status.code) == ("exit", 3)
    assert place.text("results/out.txt") == "made\n"
    elsewhere = (Path("/etc"), Path("/tmp"), place.archive, place.definition, place.data, home)
    assert not [folder for folder in elsewhere if (folder / "uws-was-here").exists()]
    assert place.text("stderr.log").count("Read-only file system") >= 3


FILL = """
for place in /dev/shm /tmp /var/tmp /run "$HOME"; do
    head -c 4000000000 /dev/zero > "$place/filled"
    stat -c %s "$place/filled"
done
head -c 1000000 /dev/zero > /dev/filled && exit 5
echo fits > results/out.txt
exit 4
"""


@needs_bubblewrap
def test_memory_that_looks_like_a_disk_is_within_the_limits_of_the_job(place: Place) -> None:
    status = place.run(FILL, max_memory=600_000_000, max_disk=60_000_000)
    assert (status.reason, status.code) == ("exit", 4), place.text("stderr.log")
    held = [int(line) for line in place.text("stdout.log").split()]
    assert len(held) == 5
    assert 50_000_000 - 5 * 4096 <= sum(held) <= 60_000_000
    assert "/dev/filled: Read-only file system" in place.text("stderr.log")
    assert place.text("results/out.txt") == "fits\n"


@needs_bubblewrap
def test_a_script_makes_no_namespace_in_which_it_mounts_memory(place: Place) -> None:
    if not sandbox._unnested():
        pytest.skip("bubblewrap before 0.8.0 cannot keep a script from namespaces")
    status = place.run("unshare --user true && exit 5; exit 4")
    assert (status.reason, status.code) == ("exit", 4)
    assert "unshare failed" in place.text("stderr.log")


@needs_bubblewrap
def test_a_job_says_which_folders_are_small_when_one_of_them_is_full(tmp_path: Path) -> None:
    lab = Lab(tmp_path, "")
    define(lab.definitions, "hog", "head -c 40000000 /dev/zero > /dev/shm/x")
    try:
        with lab.serving(sandbox="all", max_disk=60_000_000):
            job = lab.create("hog", PHASE="RUN")
            assert job.ended() == "ERROR"
            assert job.text("message").endswith(
                "No space left on device; in /dev/shm, /tmp, /var/tmp, /run and the home folder, which are in memory, "
                "there is room for 10,000,000 bytes each: large files belong into the folder of the job"
            )
    finally:
        lab.close()


@needs_bubblewrap
def test_shared_memory_is_there_for_the_processes_of_a_script(place: Place) -> None:
    code = "from multiprocessing import Lock, shared_memory as m; Lock(); m.SharedMemory(None, True, 9).unlink()"
    status = place.run(f'exec "{sys.executable}" -c "{code}"')
    assert (status.reason, status.code) == ("exit", 0), place.text("stderr.log")


@needs_bubblewrap
def test_a_trial_sees_its_inputs_and_nothing_of_the_server(place: Place) -> None:
    other = place.data / "jobs" / "cd" / new_id()
    other.mkdir(parents=True)
    (other / "parameters.json").write_text("somebody else's")
    place.run(f"""
        cat "{place.archive}/events.fits" "{place.definition}/table.txt"; echo
        ls -A "{place.data}" "{place.data}/jobs" "$HOME"
        cat "{place.data}/jobs.sqlite" "{other}/parameters.json" "$HOME/key"
    """)
    printed = place.text("stdout.log")
    assert printed.startswith("SIMPLEbeside the script\n")
    assert "jobs.sqlite" not in printed
    assert "cd" not in printed.split()
    assert "secret" not in printed
    assert place.text("stderr.log").count("No such file or directory") == 3


@needs_bubblewrap
def test_a_trial_cannot_make_the_server_read_or_write_elsewhere_for_it(place: Place) -> None:
    """The server opens files in the job's folder with its own rights: a link there must not lead it astray."""
    secret = place.data / "jobs.sqlite"
    (place.folder / "inputs").mkdir()
    status = place.run(f"""
        for name in job.log stdout.log parameters.json shepherd.json inputs; do
            rm -rf $name && ln -s "{secret}" $name; mv $name away && ln -s "{secret}" $name
        done 2>/dev/null
        ln -s "{secret}" status.json; ln -s "{secret}" status.json.new
        ln -s "{secret}" steps.json; ln -s "{secret}" steps.json.new; ln -s "{secret}" helpers.json
        rm -r results; ln -s "{place.definition}" results; echo evil > run.sh
        true
    """)
    assert status.code == 0
    assert not [path for path in place.folder.iterdir() if path.is_symlink() and path.name not in LED_ASTRAY]
    declared = Definition("d", "1", "D", Entry("shell", "run.sh"), results=(ResultSpec("script", "run.sh"),))
    job = Job(place.folder.name, "d", "1", Phase.EXECUTING, utcnow(), 60, trial=True)
    found = products.collect(job, declared, place.folder, "http://localhost", utcnow())
    assert secret.read_text() == "the secrets of the database"
    assert (place.definition / "run.sh").read_text() != "evil\n"
    assert (place.folder / "results/run.sh").read_text() == "evil\n"
    assert not [path for path in place.folder.iterdir() if path.is_symlink()]
    assert sum("put a link or a pipe in the place of" in note for note in found.notes) == 4


@needs_bubblewrap
def test_a_trial_has_no_network_and_sees_no_process_but_its_own(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        place.run(f"""
            if (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; then echo reached; else echo refused; fi
            kill -0 {os.getpid()} 2>/dev/null && echo seen
            ls -d /proc/[0-9]* | wc -l
        """)
    lines = place.text("stdout.log").split()
    assert lines[0] == "refused"
    assert int(lines[-1]) < 8
    assert "seen" not in lines


class _Giving(http.server.BaseHTTPRequestHandler):
    """Answers everything with one text."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"fetched")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@needs_bubblewrap
def test_urls_are_fetched_outside_for_a_script_that_has_no_network(place: Place) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Giving) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        values = {"table": ParameterValue(f"http://127.0.0.1:{port}/a.txt", "inputs/table-a.txt", "url")}
        script = f"cat $table; (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null || echo ' and no network'"
        allowed = {"url_schemes": "http", "url_hosts": "127.0.0.1:*", "url_private": "127.0.0.1:*"}
        status = place.run(script, values=values, **allowed)
        server.shutdown()
    assert status.code == 0, place.text("stderr.log")
    assert "fetched and no network" in place.text("stdout.log")
    entry = json.loads(place.text("parameters.json"))["parameters"]["table"]
    assert (entry["kind"], entry["value"]) == ("file", "inputs/table-a.txt")


@needs_bubblewrap
def test_python_and_our_packages_work_inside(place: Place) -> None:
    status = place.run(
        f"{sys.executable} -c 'import astropy, reduction.task; print(astropy.__version__)'; uws-stage In"
    )
    assert status.code == 0, place.text("stderr.log")
    assert "[STAGE 1/1] In" in place.text("stdout.log")


@needs_bubblewrap
def test_an_aborted_script_can_tidy_up_first(place: Place) -> None:
    script = "trap 'echo tidied; exit 3' TERM; touch ready; while :; do sleep 0.05; done"
    handle = place.start(script)
    until((place.folder / "ready").exists)
    handle.abort()
    assert place.ended().reason == "abort"
    assert place.text("stdout.log") == "tidied\n"
    assert place.living() == []


@needs_bubblewrap
@pytest.mark.parametrize("how", ["abort", "timeout"])
def test_nothing_is_left_of_a_tree_that_does_not_want_to_end(place: Place, how: str) -> None:
    script = """
        trap '' TERM
        (trap '' TERM; sleep 600) &
        setsid bash -c "trap '' TERM; (sleep 600 &) ; sleep 600" &
        touch ready; sleep 600; sleep 600
    """
    handle = place.start(script, duration=4 if how == "timeout" else 60)
    until(lambda: (place.folder / "ready").exists() and len(place.living()) >= 5)
    if how == "abort":
        handle.abort()
    assert place.ended().reason == how
    assert place.living() == []


@needs_bubblewrap
def test_what_a_script_leaves_running_ends_with_it(place: Place) -> None:
    assert place.run("setsid sleep 600 & sleep 600 & exit 0").code == 0
    assert place.living() == []


@needs_bubblewrap
def test_nothing_outlives_a_killed_supervisor(place: Place) -> None:
    handle = place.start("setsid sleep 600 & touch ready; sleep 600")
    until((place.folder / "ready").exists)
    os.kill(handle.pid, signal.SIGKILL)
    until(lambda: not place.living(), what="the sandbox ends with its supervisor")


@needs_bubblewrap
def test_suspend_stops_what_is_inside(place: Place) -> None:
    handle = place.start("while :; do date +%s%N > clock; sleep 0.02; done")
    until((place.folder / "clock").exists)
    handle.suspend()
    until(lambda: all(state(pid) == "T" for pid in place.living()), what="all is stopped")
    before = place.text("clock")
    time.sleep(0.2)
    assert place.text("clock") == before
    handle.resume()
    until(lambda: place.text("clock") not in ("", before), what="it goes on")
    handle.abort()
    assert place.ended().reason == "abort"


@needs_bubblewrap
def test_only_trials_are_shut_in_unless_the_operator_says_otherwise(place: Place) -> None:
    for mode, trial, expected in (("trials", True, True), ("trials", False, False), ("none", True, False)):
        place.start("true", trial=trial, sandbox=mode)
        assert place.launch()["sandboxed"] is expected
        place.ended()
        for name in ("status.json", "shepherd.json"):
            (place.folder / name).unlink()


@pytest.fixture(params=["is not installed", "is not allowed to do its work here: no user namespaces"])
def without_bubblewrap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[str]:
    """A machine without bubblewrap, and one where it cannot work; gives what is said of it."""
    programs = tmp_path / "programs"
    programs.mkdir()
    if "allowed" in request.param:
        (programs / "bwrap").write_text("#!/bin/sh\necho no user namespaces >&2; exit 1\n")
        (programs / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    sandbox.obstacle.cache_clear()
    yield f"bubblewrap {request.param}"
    sandbox.obstacle.cache_clear()


def test_a_trial_that_cannot_be_shut_in_never_starts(place: Place, without_bubblewrap: str) -> None:
    """Whatever way it came to the queue, such as from a server that had bubblewrap."""
    with pytest.raises(Forbidden, match=re.escape(without_bubblewrap)):
        place.start("true")
    assert not (place.folder / "launch.json").exists()
    assert place.run("/bin/echo hello", trial=False).code == 0, "a job of a live definition runs all the same"


@pytest.mark.usefixtures("without_bubblewrap")
def test_who_wants_trials_without_a_sandbox_says_so(place: Place) -> None:
    assert place.run("/bin/echo hello", sandbox="none").code == 0
    assert place.text("job.log") == "hello\n"


@pytest.mark.parametrize(("mode", "said"), [("trials", True), ("none", False)])
def test_a_server_that_will_refuse_trials_says_so_when_it_starts(
    without_bubblewrap: str, caplog: pytest.LogCaptureFixture, mode: str, said: bool
) -> None:
    sandbox.require(Config.of(sandbox=mode))
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [without_bubblewrap in line and "trials are refused" in line for line in lines] == [True] * said


@pytest.mark.usefixtures("without_bubblewrap")
def test_all_jobs_cannot_be_shut_in_without_bubblewrap() -> None:
    with pytest.raises(ConfigurationError, match="sandbox = 'all': bubblewrap is not"):
        sandbox.require(Config.of(sandbox="all"))
    sandbox.require(Config.of(sandbox="trials"))


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="sandbox = 'some': trials, all or none is allowed"):
        sandbox.require(Config.of(sandbox="some"))


def test_what_the_server_uses_while_a_script_runs_is_mounted_by_itself(tmp_path: Path) -> None:
    command = sandbox.around(["/bin/true"], tmp_path, tmp_path / "data", [], 1 << 20)
    shut = {Path(command[at + 1]).name for at, word in enumerate(command) if word == "--ro-bind-try"}
    assert shut == PROTECTED == OURS - {"steps.json", "helpers.json", "script.sh", "status.json", "usage.json"}


@needs_bubblewrap
def test_a_sandbox_within_hidden_folders_shows_what_is_needed(place: Place) -> None:
    """The archive may hold the data folder, and the other way round: the data stay hidden, the archive stays seen."""
    inner = place.archive / "uws" / "data"
    folder = inner / "jobs" / "x"
    folder.mkdir(parents=True)
    (inner / "jobs.sqlite").write_text("secret")
    look = f"cat {place.archive}/events.fits; cat {inner}/jobs.sqlite"
    command = sandbox.around(["/bin/bash", "-c", look], folder, inner, [place.archive], 1 << 20)
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout == "SIMPLE"
    assert "No such file" in done.stderr


# --- what can be seen ----------------------------------------------------------------------------------


@needs_bubblewrap
def test_a_trial_sees_of_the_disk_what_it_needs_and_nothing_else(place: Place) -> None:
    # beside the data and the archive; /tmp is hidden anyhow, so the place of this file is looked at as well
    beside = place.archive.parent / "beside"
    beside.mkdir()
    (beside / "key").write_text("a secret")
    tests = Path(__file__).resolve().parent
    status = place.run(f"""
        for path in / /etc /var /opt /srv /mnt /media /root /boot /sys; do
            echo "$path:" $(ls -A $path 2>/dev/null)
        done
        cat "{beside}/key" /etc/shadow /etc/hostname /etc/fstab /var/log/dpkg.log
        touch /made /usr/made && exit 4
        exit 0
    """)
    assert status.code == 0
    assert place.text("stdout.log").count("secret") == 0
    assert place.text("stderr.log").count("No such file or directory") == 5, place.text("stderr.log")
    assert place.text("stderr.log").count("Read-only file system") == 2
    lines = [line.partition(":") for line in place.text("stdout.log").splitlines()]
    told = {path: set(names.split()) for path, _, names in lines}
    assert told["/etc"] <= {path.name for pattern in sandbox._OF_ETC for path in Path("/etc").glob(pattern)}
    assert told["/sys"] == told["/boot"] == set()
    needed = {Path(sys.prefix), Path(sys.base_prefix), tests, place.archive, Path("/bin"), Path("/sbin"), Path("/lib")}
    tops = {each.resolve().parts[1] for each in needed} | {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}
    assert told["/"] <= tops | {"tmp", "var", "run", "proc", "dev", "etc", "usr"}, told["/"]
    assert told["/var"] <= {"tmp"}


@needs_bubblewrap
def test_links_on_the_way_to_what_is_shown_are_there_too(tmp_path: Path, home: Path) -> None:
    """A data folder and an archive that are reached through links, and files of the archive that are links."""
    del home
    (tmp_path / "disk").mkdir()
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to("disk/../disk")
    place = Place(tmp_path / "link")
    try:
        (tmp_path / "far" / "event.fits").write_text("FAR")
        (place.archive / "far.fits").symlink_to(tmp_path / "far" / "event.fits")
        listed = ParameterValue("far.fits", str(place.archive / "far.fits"), "archive")
        status = place.run('cat "$eventlist" "$(dirname "$UWS_JOB_SCRIPT")"/table.txt', values={"eventlist": listed})
        assert (status.code, place.text("stdout.log")) == (0, "FARbeside the script"), place.text("stderr.log")
    finally:
        place.handles[-1].close()


@needs_bubblewrap
def test_the_folders_that_variables_name_are_seen(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    software = place.archive.parent / "software"
    for name in ("sas/bin", "odf", "tool/lib", "tool/data", "hidden"):
        (software / name).mkdir(parents=True)
        (software / name / "file").write_text(f"{name}\n")
    (software / "odf" / "0123_SUM.SAS").write_text("")
    monkeypatch.setenv("SAS_DIR", str(software / "sas"))
    monkeypatch.setenv("UWS_CALIBRATION", "https://calibration.example/service")  # no folder to be shown
    monkeypatch.setenv("SAS_ODF", str(software / "odf" / "0123_SUM.SAS"))
    monkeypatch.setenv("TOOL_PATH", f"{software}/tool/lib:{software}/tool/data:/:relative:3.5")
    monkeypatch.setenv("OTHER", str(software / "hidden"))
    status = place.run(
        "cat $SAS_DIR/bin/file $(dirname $SAS_ODF)/file; for at in ${TOOL_PATH//:/ }; do cat $at/file; done;"
        f"ls {software}; ls /etc/shadow 2>/dev/null",
        environment="TOOL_PATH",
    )
    assert status.code == 2
    lines = place.text("stdout.log").split()
    assert lines == ["sas/bin", "odf", "tool/lib", "tool/data", "odf", "sas", "tool"]


@needs_bubblewrap
def test_numpy_and_astropy_do_their_work_inside(place: Place) -> None:
    program = """
import getpass, locale, os, pathlib, subprocess, tempfile, threading, multiprocessing, time
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time
from astropy.wcs import WCS
Table({"TIME": np.arange(10.0)}).write("results/a.fits")
assert fits.getdata("results/a.fits", 1)["TIME"].sum() == 45
assert np.linalg.eigvalsh(np.eye(200)).sum() == 200
assert SkyCoord(10, 20, unit="deg").galactic.l.deg > 0
assert Time("2020-01-01").tt and time.localtime() and getpass.getuser()
with tempfile.NamedTemporaryFile() as place:
    place.write(b"x")
(pathlib.Path.home() / "made").write_text("x")
with multiprocessing.Pool(2) as pool:
    assert pool.map(abs, [-1, -2]) == [1, 2]
print(subprocess.run(["perl", "-e", "print 6*7"], capture_output=True, text=True).stdout)
print(subprocess.run(["sh", "-c", "awk 'BEGIN { print 1 }' | sed s/1/one/"], capture_output=True, text=True).stdout)
"""
    (place.definition / "work.py").write_text(program)
    status = place.run(f'HOME="$HOME" USER=x {sys.executable} "{place.definition}/work.py"')
    assert status.code == 0, place.text("stderr.log")
    assert place.text("stdout.log").split() == ["42", "one"]
