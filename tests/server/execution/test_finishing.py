"""Finishing jobs: small ones past large ones, and every result read once."""

from __future__ import annotations

import hashlib
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from astropy.io import fits

from growth import bytes_moved
from provenance import votags
from provenance.fits.digests import Growing, digests
from uws_server.execution.finishing import Finishers
from uws_server.execution.products import collect
from uws_server.jobs.definition import Definition, Entry
from uws_server.jobs.job import Job, new_id
from uws_server.jobs.phases import Phase
from uws_server.storage.files import JobFiles

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HELD = 40_000_000


def sparse(path: Path, size: int) -> None:
    with path.open("wb") as stream:
        stream.truncate(size)


def test_small_jobs_are_finished_past_large_ones(tmp_path: Path) -> None:
    files, finished = JobFiles(tmp_path), []
    gate, all_small = threading.Event(), threading.Event()
    large, small = [new_id() for _ in range(5)], [new_id() for _ in range(20)]

    def finish(job_id: str) -> None:
        if job_id in large:
            assert gate.wait(300)
        finished.append(job_id)
        if len(finished) == len(small):
            all_small.set()

    finishers = Finishers(files)
    for job_id in large + small:
        folder = files.create(job_id, {})
        sparse(folder / "results" / "cube.dat", 5 * 10**9 if job_id in large else 1000)
        finishers.submit(finish, job_id)
    assert all_small.wait(300)
    assert set(finished) == set(small)
    gate.set()
    finishers.shutdown()
    assert set(finished) == set(small + large)


@pytest.mark.parametrize("kind", ["dat", "fits"])
def test_a_result_is_read_once(tmp_path: Path, kind: str) -> None:
    for name in ("inputs", "results"):
        (tmp_path / name).mkdir()
    path = tmp_path / "results" / f"cube.{kind}"
    sparse(path, HELD)
    if kind == "fits":
        header = fits.Header([("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 1), ("NAXIS1", HELD)])
        with path.open("r+b") as stream:
            stream.write(header.tostring().encode())
            stream.truncate(2880 + -(-HELD // 2880) * 2880)
    job = Job(new_id(), "d", "1", Phase.EXECUTING, NOW, 60)
    before = bytes_moved()
    made = collect(job, Definition("d", "1", "D", Entry("shell", "run.sh")), tmp_path, "http://x.org", NOW)
    assert bytes_moved() - before < 1.3 * HELD
    (result,) = made.results
    assert not made.notes
    assert result.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (kind == "fits") == (result.mime == "application/fits")
    if kind == "fits":
        assert votags.read(path) is not None


@pytest.mark.parametrize("change", ["nothing", "grown", "replaced", "cut", "overwritten"])
def test_the_hash_is_of_what_the_file_is_now(tmp_path: Path, change: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc" * 1000)
    read = Growing(path)
    if change == "grown":
        with path.open("ab") as stream:
            stream.write(b"more")
    elif change == "replaced":
        (tmp_path / "y").write_bytes(b"another" * 1000)
        (tmp_path / "y").rename(path)
    elif change == "cut":
        path.write_bytes(b"abc")
    elif change == "overwritten":
        path.write_bytes(b"xyz" * 1000)
        os.utime(path, (1, 1))  # the clock of a file system may stand still for some milliseconds
    assert read.whole_with_appended() == hashlib.sha256(path.read_bytes()).hexdigest() == digests(path).whole
