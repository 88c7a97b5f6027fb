"""A machine that is short of descriptors: jobs wait in the queue, and are started when there are some again."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from joblab import Lab
from processes import until
from serving import HURRIED, PROGRAM
from uws_server.jobs.job import utcnow
from uws_server.jobs.phases import Phase
from uws_server.storage.jobstore import JobStore


@pytest.fixture
def lab(tmp_path: Path, database_url: str) -> Iterator[Lab]:
    made = Lab(tmp_path, database_url)
    yield made
    made.close()


def test_jobs_wait_in_the_queue_while_no_descriptor_is_left(lab: Lab) -> None:
    store = JobStore(lab.database)
    with lab.serving(program=HURRIED + PROGRAM) as server:
        assert lab.run().ended() == "COMPLETED"
        jobs = [lab.create("track", label=str(number)) for number in range(3)]
        before = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (3, before[1]))
        for job in jobs:
            assert store.move(job.id, [Phase.PENDING], Phase.QUEUED, queued=utcnow())
        told = "the queue waits: "
        until(lambda: told in server.log.read_text(encoding="utf-8"), what="a job could not be started")
        time.sleep(2)  # it is tried again
        assert {store.get(job.id).phase for job in jobs} == {Phase.QUEUED}
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, before)
        assert [job.ended() for job in jobs] == ["COMPLETED"] * 3
        log = server.log.read_text(encoding="utf-8")
        assert log.count(told) == 1
        assert "cannot be started" not in log
    store.close()
