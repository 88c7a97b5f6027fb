"""The use cases without HTTP: the test job on a real scheduler with real processes, uploads, and bad input."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from astropy.io import fits

from growth import bytes_moved, counted_calls
from processes import carrying, until
from uws_server.app import build
from uws_server.config import Config
from uws_server.errors import BadRequest, Conflict, Forbidden, InvalidParameters, NotFound, problems_of
from uws_server.execution.observers import Observer
from uws_server.jobs.job import Filter, Job, JobError, Progress, utcnow
from uws_server.jobs.phases import ENDED, Phase
from uws_server.resources import definitions_folder
from uws_server.services.context import Services
from uws_server.services.job_service import JobService
from uws_server.services.parameters import Request, Upload, discard
from uws_server.services.rights import Caller

BASE = "http://x.org/uws"
ARCHIVED = "P0123456701PNS003PIEVLI0000"
DISC = 'fk5; circle(149.0, 69.7, 40")'


def desk(services: Services) -> JobService:
    """The job service of somebody without an account."""
    return JobService(services, Caller())


def config(tmp_path: Path, **settings: Any) -> Config:
    archive = tmp_path / "archive"
    archive.mkdir(exist_ok=True)
    fits.HDUList([fits.PrimaryHDU()]).writeto(archive / "P0123456701PNS003PIEVLI0000.FIT", overwrite=True)
    return Config.of(data=tmp_path / "data", archive=archive, **settings)


@pytest.fixture
def services(tmp_path: Path, database_url: str) -> Iterator[Services]:
    """Services without a scheduler that runs: jobs are created and wait. Over each kind of database."""
    made = Services(config(tmp_path, database=database_url), BASE, definitions_folder())
    yield made
    made.store.close()


@pytest.fixture
def running(tmp_path: Path, database_url: str) -> Iterator[Services]:
    """Services that run two jobs side by side. Over each kind of database."""
    made = Services(config(tmp_path, database=database_url, max_running=2, short_places=0), BASE, definitions_folder())
    made.start()
    yield made
    for job in desk(made).jobs(Filter()):
        desk(made).delete(made.store.get(job.id))
    made.stop()


def there(services: Services) -> set[str]:
    """Ids of all jobs."""
    return {job.id for job in desk(services).jobs(Filter())}


def dummy(services: Services, **values: object) -> Job:
    return desk(services).create("dummy", Request({name: [str(value)] for name, value in values.items()}))


def ended(services: Services, job: Job, seconds: float = 300) -> Job:
    now = services.scheduler.wait_for_end(job.id, seconds)
    assert now.phase in ENDED, f"{now.phase} after {seconds} s"
    return now


def executing(services: Services, job: Job) -> Job:
    """The job once its script has printed something."""
    until(lambda: desk(services).log(job, "job.log") and services.store.get(job.id).phase is Phase.EXECUTING)
    return services.store.get(job.id)


def tidied(services: Services) -> set[str]:
    """The jobs that are left when those whose time has come were destroyed."""
    services.housekeeping.idle()
    return there(services)


def upload(services: Services, content: bytes, name: str = "events.fits") -> Upload:
    path = services.files.spool()
    path.write_bytes(content)
    return Upload(path, name)


def fits_bytes(tmp_path: Path) -> bytes:
    path = tmp_path / "made.fits"
    fits.HDUList([fits.PrimaryHDU()]).writeto(path, overwrite=True)
    return path.read_bytes()


def problems(
    services: Services, definition: str = "spectrum", uploads: dict[str, Upload] | None = None, **values: str
) -> dict[str, str]:
    """What a request is refused for, by parameter; no job, no folder and no file is left of it."""
    request = Request({name: [text] for name, text in values.items()}, uploads or {})
    with pytest.raises(InvalidParameters) as caught:
        desk(services).create(definition, request)
    discard(request.uploads)
    assert list(desk(services).jobs(Filter())) == []
    assert [path for path in services.files.jobs.rglob("*") if path.is_file()] == []
    assert list(services.files.incoming.iterdir()) == []
    return {problem.parameter: problem.message for problem in problems_of(caught.value)}


# --- a job from its creation to its end --------------------------------------------------------------------


def test_a_job_runs_to_its_result(running: Services) -> None:
    job = dummy(running, TEXT="héllo $(id)", seconds="0 s")
    assert (job.phase, job.parameters["text"].value) == (Phase.PENDING, "héllo $(id)")
    assert desk(running).job(job.id, "dummy") == job
    desk(running).run(job)
    done = ended(running, job)
    assert (done.phase, done.error) == (Phase.COMPLETED, None)
    assert done.started is not None
    assert done.ended is not None
    assert done.created <= done.started <= done.ended <= utcnow()
    result = done.result("result")
    assert result is not None
    assert desk(running).result_path(done, result).read_text(encoding="utf-8") == "héllo $(id)\n"
    stored, path = desk(running).stored(result.id, "result.txt")
    assert (stored, path.name) == (result, "result.txt")
    assert [one.name for one in done.results] == ["result", "log"]
    assert b"[STAGE 5/5] Working" in desk(running).log(done, "stdout.log")


def test_a_job_that_fails_says_why_and_keeps_its_log(running: Services) -> None:
    job = dummy(running, fail="yes")
    desk(running).run(job)
    done = ended(running, job)
    assert (done.phase, done.error) == (Phase.ERROR, JobError("fail: the job was asked to fail"))
    assert [one.name for one in done.results] == ["log"]
    assert b"[ERROR] fail: the job was asked to fail" in desk(running).log(done, "stderr.log")


def test_progress_is_seen_while_a_job_runs_and_not_after(running: Services) -> None:
    job = dummy(running, seconds=600)
    assert desk(running).progress(job) is None
    desk(running).run(job)
    now = executing(running, job)
    progress = desk(running).progress(now)
    assert isinstance(progress, Progress)
    assert (progress.stage, progress.total) == ("Working", 5)
    assert desk(running).progress(desk(running).abort(now)) is None


def test_more_jobs_than_may_run_wait_in_order(running: Services) -> None:
    jobs = [dummy(running, seconds=2) for _ in range(5)]
    for job in jobs:
        desk(running).run(job)
    done = [ended(running, job) for job in jobs]
    assert {job.phase for job in done} == {Phase.COMPLETED}
    started = [job.started for job in done if job.started]
    assert started == sorted(started)
    events = sorted([(job.started, 1) for job in done if job.started] + [(job.ended, -1) for job in done if job.ended])
    side_by_side = [sum(change for _, change in events[: place + 1]) for place in range(len(events))]
    assert max(side_by_side) == 2


def test_a_job_past_its_duration_is_aborted(running: Services) -> None:
    job = desk(running).create("dummy", Request({"seconds": ["60"]}, execution_duration=1))
    desk(running).run(job)
    done = ended(running, job)
    assert done.phase is Phase.ABORTED
    assert done.error is not None
    assert "limit of 1 s" in done.error.message
    assert carrying("UWS_JOB_ID", job.id) == []


def test_a_job_is_run_once(running: Services) -> None:
    job = dummy(running)
    desk(running).run(job)
    with pytest.raises((Forbidden, Conflict)):
        desk(running).run(job)
    with pytest.raises(Forbidden, match="it can be run only while it is PENDING or HELD"):
        desk(running).run(ended(running, job))


FIRST = """
import os, sys, time
from datetime import timedelta
from pathlib import Path
from uws_server.config import Config
from uws_server.jobs.job import utcnow
from uws_server.resources import definitions_folder
from uws_server.services.job_service import JobService
from uws_server.services.parameters import Request
from uws_server.services.rights import Caller
from uws_server.services.context import Services
services = Services(Config.of(data=Path(sys.argv[1])), "http://x.org/uws", definitions_folder())
services.start()
desk = JobService(services, Caller())
waiting = desk.create("dummy", Request())
job = desk.create("dummy", Request({"seconds": [sys.argv[2]]}))
desk.run(job)
while not desk.log(job, "job.log"):
    time.sleep(0.01)
desk.set_destruction(job, utcnow() + timedelta(seconds=float(sys.argv[3])))
print(job.id, waiting.id, flush=True)
os.kill(os.getpid(), 9)
"""


@contextmanager
def started_again(tmp_path: Path, seconds: float, destruction: float) -> Iterator[tuple[Services, Job, str]]:
    """Services over the data of a server that was killed; a job that it runs, and the id of one that is PENDING."""
    data = tmp_path / "data"
    command = [sys.executable, "-c", FIRST, str(data), str(seconds), str(destruction)]
    first = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=300, check=False)
    assert first.returncode == -9
    job_id, waiting = first.stdout.split()
    services = Services(config(tmp_path), BASE, definitions_folder())
    job = services.store.get(job_id)
    assert job.phase is Phase.EXECUTING
    services.start()
    yield services, job, waiting
    services.stop()


def test_a_server_that_starts_again_finds_its_jobs(tmp_path: Path) -> None:
    with started_again(tmp_path, 5, 3600) as (services, job, waiting):
        assert ended(services, job).phase is Phase.COMPLETED
        assert services.store.get(waiting).phase is Phase.PENDING


# --- abort and delete --------------------------------------------------------------------------------------


def test_a_job_that_does_not_run_is_aborted_at_once(services: Services) -> None:
    pending, queued = dummy(services), dummy(services)
    desk(services).run(queued)
    for job in (pending, queued):
        gone = desk(services).abort(services.store.get(job.id))
        assert gone.phase is Phase.ABORTED
        assert gone.ended is not None
        with pytest.raises(Forbidden, match="is ABORTED: it can no longer be aborted"):
            desk(services).abort(gone)
        with pytest.raises(Forbidden, match="is ABORTED"):
            desk(services).run(gone)


def test_a_running_job_is_aborted_with_all_it_started_and_keeps_its_log(running: Services) -> None:
    job = dummy(running, seconds=60)
    desk(running).run(job)
    now = executing(running, job)
    assert carrying("UWS_JOB_ID", job.id)
    done = desk(running).abort(now)
    assert (done.phase, done.error) == (Phase.ABORTED, None)
    assert [one.name for one in done.results] == ["log"]
    assert carrying("UWS_JOB_ID", job.id) == []


@pytest.mark.parametrize("wait", [0.0, 0.01, 0.03, 0.06, 0.1])
def test_an_abort_is_never_lost_while_a_job_starts(running: Services, wait: float) -> None:
    job = dummy(running, seconds=60)
    desk(running).run(job)
    time.sleep(wait)
    assert desk(running).abort(job).phase is Phase.ABORTED
    until(lambda: not carrying("UWS_JOB_ID", job.id))


def test_an_abort_that_comes_too_late_changes_nothing(running: Services) -> None:
    job = dummy(running)
    desk(running).run(job)
    ended(running, job)
    assert desk(running).abort(job).phase is Phase.COMPLETED


def test_a_deleted_job_leaves_nothing(running: Services) -> None:
    pending, done, busy = dummy(running), dummy(running), dummy(running, seconds=60)
    desk(running).run(done)
    desk(running).run(busy)
    result = ended(running, done).results[0]
    executing(running, busy)
    for job in (pending, done, busy):
        desk(running).delete(running.store.get(job.id))
        with pytest.raises(NotFound, match=r"^no job '[0-9a-f]{32}': it was deleted, its destruction time came"):
            desk(running).job(job.id, "dummy")
        assert not running.files.folder(job.id).exists()
    with pytest.raises(NotFound, match="no result"):
        desk(running).stored(result.id, "result.txt")
    assert carrying("UWS_JOB_ID", busy.id) == []


@pytest.mark.parametrize("wait", [0.0, 0.02, 0.05])
def test_a_job_that_is_deleted_while_another_client_runs_it_does_not_go_on(running: Services, wait: float) -> None:
    """The one who deletes still sees it PENDING."""
    job = dummy(running, seconds=60)
    desk(running).run(job)
    time.sleep(wait)
    desk(running).delete(job)
    until(lambda: not carrying("UWS_JOB_ID", job.id))
    assert not running.files.folder(job.id).exists()
    assert list(desk(running).jobs(Filter())) == []


# --- control parameters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "granted"), [(None, 60), (0, 3600), (5, 5), (3600, 3600), (3601, 3600), (999_999_999, 3600)]
)
def test_the_duration_is_bounded_by_the_definition(services: Services, asked: int | None, granted: int) -> None:
    assert desk(services).create("dummy", Request(execution_duration=asked)).execution_duration == granted


def test_the_duration_is_bounded_by_the_server(tmp_path: Path) -> None:
    services = Services(config(tmp_path, max_duration=30), BASE, definitions_folder())
    job_service = desk(services)
    assert [
        job_service.create("dummy", Request(execution_duration=asked)).execution_duration for asked in (None, 0, 40, 9)
    ] == [
        30,
        30,
        30,
        9,
    ]
    with pytest.raises(BadRequest, match="EXECUTIONDURATION: -1 came"):
        desk(services).create("dummy", Request(execution_duration=-1))
    services.store.close()


def test_the_duration_of_a_job_that_has_begun_cannot_be_set(services: Services) -> None:
    """The supervisor was told its limit when it started: another value in the document would be untrue."""
    job = dummy(services)
    desk(services).set_duration(job, 7)
    assert services.store.get(job.id).execution_duration == 7
    desk(services).run(job)
    services.store.move(job.id, [Phase.QUEUED], Phase.EXECUTING)
    with pytest.raises(Forbidden, match="is EXECUTING: its executionDuration can be set only while"):
        desk(services).set_duration(services.store.get(job.id), 8)
    assert services.store.get(job.id).execution_duration == 7


def test_destruction_is_not_later_than_the_server_keeps_jobs(services: Services) -> None:
    soon = utcnow() + timedelta(hours=1)
    job = desk(services).create("dummy", Request(destruction=soon))
    assert job.destruction == soon
    desk(services).set_destruction(job, datetime(9999, 1, 1, tzinfo=UTC))
    latest = services.store.get(job.id).destruction
    assert latest is not None
    assert timedelta(days=29, hours=23) < latest - utcnow() <= timedelta(days=30)
    unset = dummy(services).destruction
    assert unset is not None
    assert unset - utcnow() <= timedelta(days=30)


def test_jobs_whose_time_has_come_are_destroyed(running: Services) -> None:
    past = utcnow() - timedelta(seconds=1)
    waiting, busy, kept = dummy(running), dummy(running, seconds=60), dummy(running)
    desk(running).run(busy)
    executing(running, busy)
    for job in (waiting, busy):
        desk(running).set_destruction(job, past)
    running.housekeeping.idle()
    assert there(running) - {busy.id} == {kept.id}
    until(lambda: not carrying("UWS_JOB_ID", busy.id))
    until(lambda: tidied(running) == {kept.id})
    assert not running.files.folder(busy.id).exists()


def test_a_job_whose_time_came_while_the_server_was_down_is_ended(tmp_path: Path) -> None:
    with started_again(tmp_path, 60, -1) as (services, job, waiting):
        until(lambda: not carrying("UWS_JOB_ID", job.id))
        until(lambda: tidied(services) == {waiting})
        assert not services.files.folder(job.id).exists()


def test_what_a_crash_left_is_swept_at_the_start_and_jobs_are_kept(services: Services) -> None:
    kept = dummy(services)
    for job_id in ("f" * 32, kept.id):
        services.files.create(job_id, {})
        os.utime(services.files.folder(job_id), (1, 1))
    services.housekeeping.idle()
    assert not services.files.folder("f" * 32).exists()
    assert services.files.folder(kept.id).exists()


def test_what_is_known_of_files_that_are_gone_is_tidied_away(services: Services, tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("content")
    services.hashes.of(path)
    path.unlink()
    for _ in range(256):  # a part at a time
        services.housekeeping.idle()
    assert [each for each in (tmp_path / "data" / "hashes").rglob("*") if each.is_file()] == []


class Failing(Observer):
    """An observer whose every method raises."""

    def job_changed(self, job_id: str) -> None:
        raise RuntimeError(job_id)

    def changes_missed(self) -> None:
        raise RuntimeError("missed")

    def idle(self) -> None:
        raise RuntimeError("idle")


class Listening(Observer):
    """An observer that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def job_changed(self, job_id: str) -> None:
        self.heard.append(job_id)

    def changes_missed(self) -> None:
        self.heard.append("missed")

    def idle(self) -> None:
        self.heard.append("idle")


def test_every_observer_hears_of_a_job_also_after_one_that_fails(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    listening = Listening()
    for observer in (Failing(), listening):
        services.scheduler.observers.add(observer)
    held, aborted = dummy(services), dummy(services)
    desk(services).hold(held)
    assert desk(services).abort(aborted).phase is Phase.ABORTED
    services.scheduler.observers.changes_missed()
    services.scheduler.observers.idle()
    assert listening.heard == [held.id, aborted.id, "missed", "idle"]
    assert caplog.text.count("Failing failed") == 4


# --- looking -----------------------------------------------------------------------------------------------


def test_who_waits_for_an_end_by_a_share_link_is_sent_on_by_it(services: Services) -> None:
    job = dummy(services)
    desk(services).run(job)
    told: list[tuple[str, list[tuple[str, str]]]] = []
    environ: dict[str, Any] = {"QUERY_STRING": "share=0a&RESPONSEFORMAT=votable"}
    setup_testing_defaults(environ)
    environ["PATH_INFO"] = f"/rest/dummy/{job.id}/sync"
    for _ in build(services)(environ, lambda status, headers, _error=None: told.append((status, headers))):
        pass
    ((status, headers),) = told
    assert status.startswith("303")
    assert dict(headers)["Location"] == f"{BASE}/rest/dummy/{job.id}/sync?RESPONSEFORMAT=votable&share=0a"


def test_a_job_is_in_its_own_list_only(services: Services) -> None:
    job = dummy(services)
    with pytest.raises(NotFound, match="in the list 'spectrum'"):
        desk(services).job(job.id, "spectrum")
    assert list(desk(services).jobs(Filter("spectrum"))) == []
    assert [found.id for found in desk(services).jobs(Filter("dummy"))] == [job.id]
    with pytest.raises(NotFound, match=r"there are barycentre, .*dummy"):
        desk(services).jobs(Filter("nothing"))
    with pytest.raises(NotFound, match=r"there are barycentre, .*dummy"):
        desk(services).create("nothing", Request())


def test_a_result_that_became_a_link_is_not_served(running: Services, tmp_path: Path) -> None:
    job = dummy(running)
    desk(running).run(job)
    done = ended(running, job)
    result = done.results[0]
    path = desk(running).result_path(done, result)
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    path.unlink()
    for turn in range(3):
        if turn == 0:
            path.symlink_to(tmp_path / "secret")
        elif turn == 1:
            path.unlink()
        else:
            path.mkdir()
        with pytest.raises(NotFound, match=r"result\.txt is no longer there"):
            desk(running).result_path(done, result)
        with pytest.raises(NotFound):
            desk(running).stored(result.id, "result.txt")


@pytest.mark.parametrize("name", ["", "other.txt", "../result.txt", "results/result.txt"])
def test_a_result_has_one_address(running: Services, name: str) -> None:
    job = dummy(running)
    desk(running).run(job)
    result = ended(running, job).results[0]
    with pytest.raises(NotFound):
        desk(running).stored(result.id, name)


# --- uploads -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["by field", "by reference", "by page", "in another case"])
def test_an_uploaded_event_list_is_kept_with_the_job(services: Services, tmp_path: Path, how: str) -> None:
    content = fits_bytes(tmp_path)
    sent = upload(services, content, "../My events.fits")
    values, files = {
        "by field": ({}, {"eventlist": sent}),
        "by reference": ({"eventlist": ["param:Part1"]}, {"part1": sent}),
        "by page": ({"eventlist": [""]}, {"eventlist": sent}),
        "in another case": ({"EVENTLIST": [" "]}, {"EventList": sent}),
    }[how]
    job = desk(services).create("spectrum", Request(values, files))
    value = job.parameters["eventlist"]
    assert (value.text, value.kind) == ("My_events.fits", "upload")
    path = desk(services).input_path(job, "eventlist")
    assert path == services.files.folder(job.id) / "inputs/eventlist-My_events.fits"
    assert path.read_bytes() == content
    assert list(services.files.incoming.iterdir()) == []
    with pytest.raises(NotFound, match="holds no uploaded file"):
        desk(services).input_path(job, "energy")


def test_one_file_may_serve_two_parameters(services: Services, tmp_path: Path) -> None:
    sent = upload(services, fits_bytes(tmp_path))
    job = desk(services).create("spectrum", Request({"eventlist": ["param:f"], "gti": ["param:f"]}, {"f": sent}))
    assert desk(services).input_path(job, "eventlist") == desk(services).input_path(job, "gti")
    assert desk(services).input_path(job, "gti").read_bytes() == fits_bytes(tmp_path)


def test_a_region_may_come_as_a_file(services: Services) -> None:
    sent = upload(services, b"\xef\xbb\xbf" + DISC.encode() + b"\r\n", "src.reg")
    archived = ["P0123456701PNS003PIEVLI0000"]
    job = desk(services).create("spectrum", Request({"eventlist": archived}, {"source_region": sent}))
    assert (job.parameters["source_region"].value, job.parameters["source_region"].kind) == (DISC + "\r\n", "value")
    text = desk(services).create(
        "dummy",
        Request(
            {"text": ["param:t"], "seconds": ["param:s"]},
            {"t": upload(services, b"from a file"), "s": upload(services, b" 2 s\n")},
        ),
    )
    assert (text.parameters["text"].value, text.parameters["seconds"].value) == ("from a file", 2.0)


def test_a_file_of_the_archive_is_named_not_copied(services: Services, tmp_path: Path) -> None:
    path = tmp_path / "archive/P0123456701PNS003PIEVLI0000.FIT"
    for text in ("p0123456701pns003pievli0000", path.name, str(path)):
        job = desk(services).create("spectrum", Request({"eventlist": [text]}))
        (value,) = job.parameters["eventlist"].each
        assert (value.text, value.value, value.kind) == (path.name, str(path), "archive")


def test_the_parameters_of_a_pending_job_change(services: Services, tmp_path: Path) -> None:
    job = desk(services).create(
        "spectrum", Request({"energy": ["1 2"]}, {"eventlist": upload(services, fits_bytes(tmp_path))})
    )
    old = desk(services).input_path(job, "eventlist")
    changed = desk(services).set_parameters(job, {"ENERGY": ["500 eV 2 keV"]}, {})
    assert services.store.get(job.id) == changed
    assert (changed.parameters["energy"].value, changed.parameters["eventlist"]) == (
        "0.5 2",
        job.parameters["eventlist"],
    )
    content = fits_bytes(tmp_path) + b" " * 2880
    again = desk(services).set_parameters(changed, {}, {"eventlist": upload(services, content)})
    assert desk(services).input_path(again, "eventlist").read_bytes() == content
    assert not old.exists()
    assert len(list((services.files.folder(job.id) / "inputs").iterdir())) == 1


def test_the_parameters_of_a_job_that_was_started_do_not_change(services: Services, tmp_path: Path) -> None:
    job = desk(services).create("spectrum", Request({}, {"eventlist": upload(services, fits_bytes(tmp_path))}))
    desk(services).run(job)
    with pytest.raises(Conflict, match="was started or changed meanwhile"):  # by a client that saw it PENDING
        desk(services).set_parameters(job, {}, {"eventlist": upload(services, fits_bytes(tmp_path) + b"other")})
    assert desk(services).input_path(job, "eventlist").read_bytes() == fits_bytes(tmp_path)
    assert len(list((services.files.folder(job.id) / "inputs").iterdir())) == 1
    with pytest.raises(Forbidden, match="is QUEUED: its parameters can be changed only while it is PENDING"):
        desk(services).set_parameters(services.store.get(job.id), {"energy": ["1 2"]}, {})


def test_of_two_clients_that_change_a_job_none_undoes_the_other_unseen(services: Services) -> None:
    job = dummy(services)
    outcomes: list[str] = []
    gate = threading.Barrier(2)

    def change(name: str, value: str) -> None:
        gate.wait()
        try:
            desk(services).set_parameters(job, {name: [value]}, {})
            outcomes.append(name)
        except Conflict:
            outcomes.append("refused")

    threads = [threading.Thread(target=change, args=pair) for pair in (("text", "b"), ("seconds", "9"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) in (["refused", "seconds"], ["refused", "text"])


def test_files_for_pending_jobs_do_not_pass_the_quota_by_coming_at_once(tmp_path: Path) -> None:
    services = Services(config(tmp_path, max_stored=2_000_000), BASE, definitions_folder())
    jobs = [desk(services).create("spectrum", Request({"eventlist": [ARCHIVED]})) for _ in range(8)]
    content = fits_bytes(tmp_path).ljust(700_000)
    gate = threading.Barrier(len(jobs))

    def change(job: Job) -> bool:
        files = {"eventlist": upload(services, content)}
        gate.wait()
        try:
            desk(services).set_parameters(job, {}, files)
        except Forbidden:
            return False
        return True

    with ThreadPoolExecutor(len(jobs)) as pool:
        assert sum(pool.map(change, jobs)) == 2
    assert services.store.stored_bytes(None) == 1_400_000
    services.store.close()


def test_an_upload_that_gave_way_to_a_file_of_the_archive_is_counted_no_longer(
    services: Services, tmp_path: Path
) -> None:
    job = desk(services).create("spectrum", Request({}, {"eventlist": upload(services, fits_bytes(tmp_path))}))
    assert services.store.stored_bytes(None) == len(fits_bytes(tmp_path))
    desk(services).set_parameters(job, {"eventlist": [ARCHIVED]}, {})
    assert services.store.stored_bytes(None) == 0


# --- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"hello", "is not a FITS file: it begins with 'hello'; a FITS event list is expected"),
        (b"%PDF-1.4 " * 9, "is not a FITS file"),
        (b"SIMPLE=", "is not a FITS file"),
        (gzip.compress(b"hello", mtime=0), "is not a FITS file: it begins with 'hello'"),
        (b"\x1f\x8b" + b"\0" * 100, "is a gzip file that cannot be read"),
        (b"\x1f\x8b", "is not a FITS file"),
        (gzip.compress(b"SIMPLE  = " * 9, mtime=0)[:12], "is not a FITS file"),
    ],
)
def test_what_is_no_fits_is_refused_at_creation(services: Services, content: bytes, said: str) -> None:
    found = problems(services, uploads={"eventlist": upload(services, content, "a b.fits")})
    assert list(found) == ["eventlist"]
    assert said in found["eventlist"]
    assert found["eventlist"].startswith(("'a_b.fits' ", "the uploaded file 'a b.fits' "))


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b"", mtime=0) * 300_000,
        gzip.compress(b"", 1, mtime=0) + b"\0" * 20_000_000,
        b"\x1f\x8b\x08\x08\0\0\0\0\0\3" + b"n" * 20_000_000,
        gzip.compress(b"\0" * 50_000_000, 1, mtime=0),
    ],
    ids=["empty members", "padding", "endless name", "bomb"],
)
def test_of_a_gzip_file_made_to_take_long_only_the_beginning_is_read(services: Services, content: bytes) -> None:
    sent = upload(services, content)
    before = bytes_moved()
    tracemalloc.start()
    try:
        with counted_calls() as calls:
            assert "is not a FITS file" in problems(services, uploads={"eventlist": sent})["eventlist"]
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert bytes_moved() - before < 3_000_000
    assert calls.total() < 40_000


def test_a_gzipped_event_list_is_taken(services: Services, tmp_path: Path) -> None:
    for content in (gzip.compress(fits_bytes(tmp_path)), fits_bytes(tmp_path)):
        job = desk(services).create("spectrum", Request({}, {"eventlist": upload(services, content, "a.FTZ")}))
        assert desk(services).input_path(job, "eventlist").read_bytes() == content


@pytest.mark.parametrize(
    ("values", "parameter", "said"),
    [
        ({}, "eventlist", "a value is needed: Event list in FITS"),
        ({"eventlist": "../../etc/passwd"}, "eventlist", "neither a file to upload, nor an id or a path"),
        ({"eventlist": "param:none"}, "eventlist", "'param:none' refers to a file that did not come with the request"),
        ({"eventlist": "P0123456701PNX003PIEVLI0000"}, "eventlist", "did you mean P0123456701PNS003PIEVLI0000?"),
        ({"eventlst": "x"}, "eventlst", "no such parameter; did you mean eventlist?"),
        ({"energy": "0.2 300"}, "energy", "'0.2 300' is out of range; allowed is 0.01 to 200 keV"),
        ({"energy": "2 0.5"}, "energy", "the lower energy must come first"),
        ({"energy": "1 2 kg"}, "energy", "unit 'kg' is not one that converts to keV"),
        ({"energy": "everything"}, "energy", "is not an energy range; expected are two numbers such as '0.2 12.0'"),
        ({"pattern": "0-4"}, "pattern", "'0-4' is not allowed; expected is default, all, or a list such as 0:4"),
        ({"flag": "best"}, "flag", "'best' is not one of default, strict, none"),
        ({"min_counts": "0"}, "min_counts", "'0' is out of range; allowed is 1 to 1,000,000"),
        ({"min_counts": "2.5"}, "min_counts", "'2.5' is not a whole number"),
        ({"source_region": "the bright one"}, "source_region", "the bright one"),
        ({"source_region": "fk5; circle(149, 69.7)"}, "source_region", "circle"),
        ({"source_region": 'fk5; circle(149, 95, 4")'}, "source_region", "95"),
        ({"source_region": DISC + " # \uffff"}, "source_region", "the control character"),
        ({"background_region": "[" * 5000}, "background_region", "region"),
    ],
)
def test_bad_values_are_refused_with_the_parameter_and_what_is_allowed(
    services: Services, values: dict[str, str], parameter: str, said: str
) -> None:
    given = {"eventlist": "P0123456701PNS003PIEVLI0000", **values} if values else {}
    found = problems(services, "spectrum", None, **given)
    assert list(found) == [parameter]
    assert said in found[parameter]
    assert not found[parameter].startswith(parameter)


def test_all_problems_come_at_once(services: Services) -> None:
    found = problems(services, energy="x", min_counts="y", sauce="z", uploads={"gravy": upload(services, b"1")})
    assert set(found) == {"energy", "min_counts", "sauce", "gravy", "eventlist"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "it is not UTF-8 text"),
        (b"a\0b", "the control character"),
        (b"x" * 4_000_001, "at most 4,000,000 bytes"),
    ],
)
def test_a_file_that_is_no_text_is_refused_where_text_is_expected(
    services: Services, content: bytes, said: str
) -> None:
    found = problems(services, "dummy", {"text": upload(services, content)})
    assert said in found["text"]


def test_a_text_and_a_file_for_one_parameter_are_two_values(services: Services) -> None:
    found = problems(services, "dummy", {"text": upload(services, b"a")}, text="b")
    assert found == {"text": "several values came, one is allowed"}


def test_a_file_of_the_archive_that_is_no_fits_or_has_gone_is_refused(services: Services, tmp_path: Path) -> None:
    path = tmp_path / "archive/P0123456701PNS003PIEVLI0000.FIT"
    path.write_bytes(b"hello")
    assert "is not a FITS file" in problems(services, eventlist=path.name)["eventlist"]
    assert "is not a FITS file" in problems(services, eventlist=path.stem)["eventlist"]
    path.unlink()
    assert "neither" in problems(services, eventlist=path.stem)["eventlist"]
