"""`uws-server check --files`: a byte that was changed and a file that is gone or too many are told, each a line."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from uws_server import cli
from uws_server.jobs.job import Job, Result, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.services.integrity import Finding, Tally, examine
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of a server with three jobs that ended, one that waits, and one that was destroyed."""
    data = tmp_path / "data"
    files, store = JobFiles(data), JobStore(f"sqlite:///{data / 'jobs.sqlite'}")
    for number in range(5):
        now = utcnow() - timedelta(seconds=number)
        job = Job(f"{number}" * 32, "dummy", "1", Phase.PENDING, now, 60)
        store.add(job)
        folder = files.create(job.id, {})
        if number == 3:
            continue
        found = []
        for place in ("results/a.fits", "results/deep/b.fits", "job.log"):
            path = folder / place
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(CONTENT + place.encode())
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found.append(Result(new_id(), place[-6:-5], place, "application/fits", path.stat().st_size, digest))
        for phase in (Phase.QUEUED, Phase.EXECUTING):
            assert store.move(job.id, list(Phase), phase)
        assert store.end(job.id, Phase.COMPLETED, now, None, found)
        if number == 4:
            store.archive(job.id)
            shutil.rmtree(folder)
    store.close()
    return data


def check(data: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str], str]:
    capsys.readouterr()
    status = cli.main(["check", "--files", "--data", str(data)])
    *lines, last = capsys.readouterr().out.splitlines()
    return status, [re.sub(" +", " ", line) for line in lines], last


def test_all_is_well(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = 3 * (3 * len(CONTENT) + len("results/a.fits" + "results/deep/b.fits" + "job.log"))
    status, lines, last = check(data, capsys)
    assert (status, lines) == (0, [])
    assert last == f"9 files of 3 jobs, {size / 1e6:,.1f} MB: all as they were"


def test_one_byte_one_file_one_more(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = data / "jobs/00" / ("0" * 32), data / "jobs/11" / ("1" * 32)
    path = first / "results/a.fits"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    spoiled = bytearray(path.read_bytes())
    spoiled[5000] ^= 1
    path.write_bytes(spoiled)
    os.utime(path, ns=times)  # a disk that rots does not tell
    (first / "results/extra file.txt").write_text("x")
    (second / "results/deep/b.fits").unlink()
    (second / "job.log").write_bytes(b"short")
    digest = hashlib.sha256(CONTENT + b"results/a.fits").hexdigest()
    gone = hashlib.sha256(CONTENT + b"results/deep/b.fits").hexdigest()
    status, lines, last = check(data, capsys)
    assert status == 1
    assert lines == [
        f"changed {'0' * 32} results/a.fits sha256 {hashlib.sha256(spoiled).hexdigest()} instead of {digest}",
        f"extra {'0' * 32} results/extra file.txt no result of the job",
        f"missing {'1' * 32} results/deep/b.fits {len(CONTENT) + 19} bytes, sha256 {gone}",
        f"changed {'1' * 32} job.log 5 bytes instead of {len(CONTENT) + 7}",
    ]
    assert last.endswith(": 4 are not as they were")


def test_a_link_is_no_file(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = data / "jobs/00" / ("0" * 32) / "results/a.fits"
    path.rename(tmp_path / "elsewhere.fits")
    path.symlink_to(tmp_path / "elsewhere.fits")
    status, lines, _ = check(data, capsys)
    assert (status, lines) == (1, [f"changed {'0' * 32} results/a.fits no plain file any more"])


def test_a_job_that_goes_meanwhile_is_no_finding(data: Path) -> None:
    """The files of a job that is deleted while it is looked at are not missing."""
    store, files, tally = JobStore(f"sqlite:///{data / 'jobs.sqlite'}"), JobFiles(data), Tally()
    looked = 0

    def delete_it() -> None:
        nonlocal looked
        looked += 1
        if looked == 1:
            store.delete("0" * 32)
            files.delete("0" * 32)

    assert list(examine(store, files, tally, delete_it)) == []
    assert tally.jobs == 3
    store.close()


def test_folders_that_lie_deep_in_each_other_are_looked_through(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deep = data / "jobs/00" / ("0" * 32) / "results"
    for _ in range(1200):
        deep /= "d"
        deep.mkdir()
    (deep / "file").write_text("x")
    status, lines, _ = check(data, capsys)
    assert status == 1
    assert lines == [f"extra {'0' * 32} results/{'d/' * 1200}file no result of the job"]
    JobFiles(data).delete("0" * 32)  # what cleans up after the tests recurses


def test_no_data_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--files", "--data", str(tmp_path)]) == 2
    assert "is no data folder of a server: give --data DIR" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_finding_is_one_line() -> None:
    assert str(Finding("extra", "ab", "results/x", "why")) == "extra    ab  results/x  why"


def test_a_file_too_many_among_the_results_of_a_part_is_told(data: Path) -> None:
    files, store = JobFiles(data), JobStore(f"sqlite:///{data / 'jobs.sqlite'}")
    for below in ("parts/0002/results", "gathered/results"):
        (files.folder("0" * 32) / below).mkdir(parents=True)
        (files.folder("0" * 32) / below / "extra.txt").write_text("x")
    found = [finding.name for finding in examine(store, files, Tally())]
    store.close()
    assert found == ["parts/0002/results/extra.txt", "gathered/results/extra.txt"]
