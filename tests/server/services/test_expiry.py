"""Jobs whose destruction time has come, under clocks that jump: what is destroyed is gone for good."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from uws_server.config import Config
from uws_server.jobs.job import Filter, Job, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.resources import definitions_folder
from uws_server.services import expiry
from uws_server.services.context import Services
from uws_server.services.expiry import Expiry
from uws_server.services.housekeeping import Housekeeping
from uws_server.services.server_clock import ServerClock
from uws_server.storage.clock import ClockStore

START = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
DAY_S = 86400.0
MINUTES = range(60)


@dataclass
class Machine:
    """The clocks of a machine: what its clock says, and how long it has been running."""

    now: datetime = START
    elapsed_s: float = 100.0

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
        self.elapsed_s += seconds

    def set_clock(self, days: float) -> None:
        """Set the clock ahead, or behind."""
        self.now += timedelta(days=days)


@dataclass
class Site:
    """The jobs of a server, and the clocks of its machine."""

    services: Services
    machine: Machine = field(default_factory=Machine)

    def start(self) -> Housekeeping:
        """What a server that starts now has for its housekeeping."""
        clock = ServerClock(
            ClockStore(self.services.store.engine), lambda: self.machine.now, lambda: self.machine.elapsed_s
        )
        one = self.services
        may_destroy = Expiry(one.life, one.store, clock)
        kept = one.revisions, one.definitions, one.work_sessions, one.config.jobs.keep_days
        return Housekeeping(may_destroy, one.store, one.files, one.hashes, *kept)

    def job(self, days: float = 30) -> str:
        """A new job that is to be destroyed after some days."""
        made = Job(new_id(), "dummy", "1.0", Phase.PENDING, START, 60, destruction=START + timedelta(days=days))
        self.services.store.add(made)
        return made.id

    def there(self) -> set[str]:
        return {job.id for job in self.services.store.summaries(Filter())}


@pytest.fixture
def site(tmp_path: Path, database_url: str, caplog: pytest.LogCaptureFixture) -> Iterator[Site]:
    caplog.set_level(logging.INFO)
    services = Services(Config.of(data=tmp_path / "data", database=database_url), "http://x.org", definitions_folder())
    yield Site(services)
    services.store.close()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says of jobs that are kept or destroyed, but not of each."""
    return [record.getMessage() for record in caplog.records if record.name == expiry.__name__]


def test_jobs_outlive_a_server_that_starts_with_a_clock_far_ahead(site: Site) -> None:
    """As the server itself is put together: what the database saw last is 40 days before the time of this machine."""
    ClockStore(site.services.store.engine).note(utcnow() - timedelta(days=40))
    job = site.job(days=(utcnow() - START).days - 10)
    site.services.housekeeping.idle()
    assert site.there() == {job}


def test_a_clock_ahead_for_some_seconds_destroys_nothing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    job = site.job()
    site.start().idle()
    site.machine.set_clock(40)
    housekeeping = site.start()
    for _ in range(3):
        housekeeping.idle()
        site.machine.wait(60)
    assert site.there() == {job}
    (line,) = told(caplog)
    assert "2027-01-06T18:00:00Z, 40 days, 0:00:00 ahead of what the database saw last" in line
    site.machine.set_clock(-40)
    housekeeping.idle()
    assert len(told(caplog)) == 2
    assert "destroyed again" in told(caplog)[-1]
    site.machine.wait(30 * DAY_S)
    housekeeping.idle()
    assert site.there() == set()


def test_what_came_due_while_no_server_ran_is_destroyed_after_an_hour(site: Site) -> None:
    site.start().idle()
    due, kept = site.job(days=1), site.job()
    site.machine.wait(3 * DAY_S)
    site.machine.elapsed_s = 20.0  # the machine was off, too
    housekeeping = site.start()
    for _ in MINUTES:
        housekeeping.idle()
        assert site.there() == {due, kept}
        site.machine.wait(60)
    housekeeping.idle()
    assert site.there() == {kept}


def test_a_short_restart_delays_nothing(site: Site) -> None:
    site.start().idle()
    site.job(days=0)
    site.machine.wait(120)
    site.start().idle()
    assert site.there() == set()


@pytest.mark.parametrize("days", [40, -40])
def test_a_jump_under_a_running_server_must_last_for_an_hour(site: Site, days: float) -> None:
    housekeeping = site.start()
    housekeeping.idle()
    job = site.job(days=days - 1)
    site.machine.set_clock(days)
    for _ in MINUTES:
        housekeeping.idle()
        assert site.there() == {job}
        site.machine.wait(60)
    housekeeping.idle()
    assert site.there() == set()
    assert ClockStore(site.services.store.engine).seen() == site.machine.now


def test_a_clock_that_jumps_again_begins_its_hour_anew(site: Site) -> None:
    housekeeping = site.start()
    housekeeping.idle()
    job = site.job()
    site.machine.set_clock(40)
    for _ in range(5):
        housekeeping.idle()
        site.machine.wait(50 * 60)
        site.machine.set_clock(1)
    housekeeping.idle()
    assert site.there() == {job}


def test_a_server_that_was_asleep_takes_the_time_as_it_is(site: Site) -> None:
    """The seconds that a machine sleeps are elapsed seconds, too."""
    housekeeping = site.start()
    housekeeping.idle()
    site.job()
    site.machine.wait(31 * DAY_S)
    housekeeping.idle()
    assert site.there() == set()


def test_uploads_on_their_way_are_not_old_by_a_clock_in_doubt(site: Site) -> None:
    site.start().idle()
    upload = site.services.files.spool()
    os.utime(upload, (1, 1))
    site.machine.set_clock(40)
    site.start().idle()
    assert upload.exists()
    site.machine.set_clock(-40)
    site.start().idle()
    assert not upload.exists()


def test_unusually_many_jobs_are_destroyed_an_hour_after_the_log_said_so(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    housekeeping = site.start()
    housekeeping.idle()
    kept = {site.job() for _ in range(30)}
    due = {site.job(days=1) for _ in range(50)}
    site.machine.wait(DAY_S)
    for _ in MINUTES:
        housekeeping.idle()
        assert site.there() == kept | due
        site.machine.wait(60)
    (line,) = told(caplog)
    assert line.startswith("50 jobs are to be destroyed at once, more than half of all")
    housekeeping.idle()
    assert site.there() == kept


@pytest.mark.parametrize(("due", "others"), [(49, 0), (50, 50)])
def test_usual_numbers_go_at_once(site: Site, due: int, others: int) -> None:
    kept = {site.job() for _ in range(others)}
    for _ in range(due):
        site.job(days=-1)
    site.start().idle()
    assert site.there() == kept
