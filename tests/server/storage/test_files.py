"""The job folders on a real disk: made, removed, swept after a crash; names from elsewhere lead nowhere."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uws_server.errors import NotFound
from uws_server.jobs.job import new_id
from uws_server.storage.files import JobFiles, copy, safe_name, write_json
from uws_server.storage.jobstore import JobStore
from uws_server.storage.plainfiles import claim_beside


@pytest.fixture
def files(tmp_path: Path) -> JobFiles:
    return JobFiles(tmp_path / "data")


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then), follow_symlinks=False)


def test_a_folder_takes_the_uploads(files: JobFiles) -> None:
    upload = files.spool()
    upload.write_bytes(b"events")
    job_id = new_id()
    folder = files.create(job_id, {"inputs/eventlist-a.fits": upload})
    assert (folder / "inputs/eventlist-a.fits").read_bytes() == b"events"
    assert (folder / "results").is_dir()
    assert folder == files.folder(job_id)
    assert list(files.incoming.iterdir()) == []


def test_two_uploads_never_meet(files: JobFiles) -> None:
    spooled = {files.spool() for _ in range(50)}
    assert len(spooled) == 50
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in spooled)


@pytest.mark.parametrize(
    "job_id",
    ["", "..", "../../etc", "A" * 32, "a" * 31, "a" * 33, "a" * 32 + "\n", "/" * 32, "a" * 30 + "/a", "٣" * 32],
)
def test_an_id_that_is_none_leads_nowhere(files: JobFiles, job_id: str) -> None:
    for use in (files.folder, files.delete, lambda wanted: files.log(wanted, "job.log", 0, 1)):
        with pytest.raises(NotFound):
            use(job_id)


def test_a_deleted_folder_is_gone_and_may_be_deleted_again(files: JobFiles) -> None:
    job_id = new_id()
    folder = files.create(job_id, {})
    (folder / "results/a.fits").write_bytes(b"1")
    files.delete(job_id)
    files.delete(job_id)
    assert not folder.exists()
    assert list(files.incoming.iterdir()) == []


def test_many_may_delete_the_same_folder(files: JobFiles) -> None:
    for _ in range(10):
        job_id = new_id()
        files.create(job_id, {})
        failures: list[BaseException] = []
        gate = threading.Barrier(6)

        def delete(
            job_id: str = job_id, gate: threading.Barrier = gate, failures: list[BaseException] = failures
        ) -> None:
            gate.wait()
            try:
                files.delete(job_id)
            except BaseException as error:  # noqa: BLE001 - the test tells it
                failures.append(error)

        threads = [threading.Thread(target=delete) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert not files.folder(job_id).exists()


def test_links_in_a_folder_are_removed_and_what_they_point_to_stays(files: JobFiles, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("kept", encoding="utf-8")
    before = stat.S_IMODE(outside.stat().st_mode)
    job_id = new_id()
    folder = files.create(job_id, {})
    (folder / "results/folder").symlink_to(outside)
    (folder / "results/file").symlink_to(outside / "precious")
    files.delete(job_id)
    assert (outside / "precious").read_text(encoding="utf-8") == "kept"
    assert stat.S_IMODE(outside.stat().st_mode) == before


READ_ONLY = """
import os, sys
from pathlib import Path
from uws_server.storage.files import JobFiles
if os.geteuid() == 0:
    os.setegid(65534); os.seteuid(65534)  # root may remove anything
files = JobFiles(Path(sys.argv[1]) / "data")
folder = files.create("a" * 32, {})
(folder / "results/deep/deeper").mkdir(parents=True)
(folder / "results/deep/deeper/file").write_text("x")
for path in ("results/deep/deeper", "results/deep", "results"):
    (folder / path).chmod(0o500)
for path in (folder / "inputs", folder):
    path.chmod(0)
"""


@pytest.mark.parametrize("use", ["files.delete('a' * 32)", "assert files.sweep(set().intersection, -10) == 1"])
def test_what_a_script_made_read_only_is_removed_all_the_same(use: str) -> None:
    with tempfile.TemporaryDirectory() as name:  # not tmp_path, which only its owner may enter
        Path(name).chmod(0o777)
        subprocess.run([sys.executable, "-c", READ_ONLY + use, name], check=True)
        assert sorted(path.name for path in Path(name, "data").rglob("*")) == ["aa", "incoming", "jobs"]


# --- what a crash leaves -----------------------------------------------------------------------------------


def test_only_old_folders_without_a_job_are_swept(files: JobFiles) -> None:
    known, old, young = new_id(), new_id(), new_id()
    for job_id in (known, old, young):
        files.create(job_id, {})
    (files.folder(old) / "results/a.fits").write_bytes(b"1")
    stale, fresh = files.spool(), files.spool()
    claims = [claim_beside(files.folder(job_id)) for job_id in (known, old, young)]
    for claim in claims:
        claim.write_text("{}", encoding="utf-8")
    for path in (files.folder(known), files.folder(old), stale, *claims[:2]):
        age(path, 7200)
    assert files.sweep({known}.intersection, 3600) == 3
    assert [claim.exists() for claim in claims] == [True, False, True]
    assert [files.folder(job_id).exists() for job_id in (known, old, young)] == [True, False, True]
    assert [path.exists() for path in (stale, fresh)] == [False, True]
    assert files.sweep({known}.intersection, 3600) == 0


def test_what_somebody_else_put_there_is_left_alone(files: JobFiles) -> None:
    (files.jobs / "lost+found").mkdir()
    (files.jobs / "backup").mkdir()
    (files.jobs / "backup" / new_id()).mkdir()
    (files.jobs / "ab").mkdir()
    (files.jobs / "ab" / "notes").write_text("mine", encoding="utf-8")
    (files.jobs / "cd").write_text("a file where a folder is expected", encoding="utf-8")
    before = sorted(files.jobs.rglob("*"))
    for path in before:
        age(path, 7200)
    assert files.sweep(set().intersection, 3600) == 0
    assert sorted(files.jobs.rglob("*")) == before


def test_a_dead_link_among_the_uploads_is_swept(files: JobFiles) -> None:
    (files.incoming / "upload-x").symlink_to("gone")
    age(files.incoming / "upload-x", 7200)
    assert files.sweep(set().intersection, 3600) == 1
    assert list(files.incoming.iterdir()) == []


CRASH = """
import os, sys
from pathlib import Path
from uws_server.jobs.job import Job, Phase, utcnow
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore
data, finished, crashed = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
files, store = JobFiles(data), JobStore(f"sqlite:///{data / 'jobs.sqlite'}")
files.create(finished, {})
store.add(Job(finished, "dummy", "1", Phase.PENDING, utcnow(), 60))
files.create(crashed, {"inputs/a": files.spool()})
files.spool().write_bytes(b"half an upload")
os.kill(os.getpid(), 9)
"""


def test_a_kill_between_folder_and_database_leaves_what_the_sweep_finds(tmp_path: Path) -> None:
    finished, crashed = new_id(), new_id()
    done = subprocess.run([sys.executable, "-c", CRASH, str(tmp_path), finished, crashed], check=False)
    assert done.returncode == -9
    files, store = JobFiles(tmp_path), JobStore(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    assert files.folder(crashed).exists()
    assert store.known([finished, crashed]) == {finished}
    assert files.sweep(store.known, -10) == 2
    assert files.folder(finished).exists()
    assert not files.folder(crashed).exists()
    assert list(files.incoming.iterdir()) == []
    store.close()


# --- logs and documents ------------------------------------------------------------------------------------


def test_a_log_is_read_from_where_one_stopped(files: JobFiles) -> None:
    job_id = new_id()
    assert files.log(job_id, "job.log", 0, 10) == b""
    (files.create(job_id, {}) / "job.log").write_bytes(b"0123456789")
    assert files.log(job_id, "job.log", 0, 4) == b"0123"
    assert files.log(job_id, "job.log", 4, 100) == b"456789"
    assert files.log(job_id, "job.log", 99, 100) == b""


def test_a_reader_never_finds_half_a_document(tmp_path: Path) -> None:
    path = tmp_path / "launch.json"
    write_json(path, {"n": 0})
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            write_json(path, {"n": number, "ballast": "x" * 100_000})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(300):
            assert json.loads(path.read_text(encoding="utf-8"))["n"] >= 0
    finally:
        stop.set()
        writer.join()
    assert [entry.name for entry in tmp_path.iterdir()] == ["launch.json"]


# --- names -------------------------------------------------------------------------------------------------


@given(st.text())
def test_a_safe_name_is_a_plain_file_name(name: str) -> None:
    safe = safe_name(name)
    assert 0 < len(safe) <= 120
    assert set(safe) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-")
    assert safe[0] not in ".-"
    assert safe_name(safe) == safe


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("P0123456701PNS003PIEVLI0000.FTZ", "P0123456701PNS003PIEVLI0000.FTZ"),
        ("../../etc/passwd", "passwd"),
        (r"C:\data\events.fits", "events.fits"),
        ("été 1.fits", "_t__1.fits"),
        (".bashrc", "bashrc"),
        ("-rf", "rf"),
        ("a\r\nX: y", "a__X__y"),
        ("..", "upload"),
        ("", "upload"),
        ("a/", "upload"),
    ],
)
def test_safe_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_a_long_name_keeps_its_suffix() -> None:
    assert safe_name("x" * 300 + ".FTZ").endswith("xx.FTZ")


def test_a_copy_is_of_plain_files_only(tmp_path: Path) -> None:
    """A script that runs may put a link to what the server can read in the place of its input, or a pipe."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x" * 3_000_000)
    copy(source, target)
    assert target.read_bytes() == source.read_bytes()
    (tmp_path / "link").symlink_to(source)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", ".", "nothing"):
        with pytest.raises(OSError, match=r"plain|symbolic|No such|directory"):
            copy(tmp_path / name, target)


def test_what_is_written_beside_a_file_goes_through_no_link(tmp_path: Path) -> None:
    """A script may have put a link there a moment ago: what it leads to stays as it is."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("of somebody else", encoding="utf-8")
    (tmp_path / "steps.json.new").symlink_to(elsewhere)
    write_json(tmp_path / "steps.json", {"ours": 1})
    assert elsewhere.read_text(encoding="utf-8") == "of somebody else"
    assert json.loads((tmp_path / "steps.json").read_text(encoding="utf-8")) == {"ours": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "steps.json"]
