"""Which job came of which: uses kept with a job, chains in both directions, rights, cycles, records of deleted jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from provenance import graph, steps
from provenance.graph.model import ProvenanceGraph
from provenance.graph.traversal import Direction
from provenance.steps import recording
from uws_server.config import Config
from uws_server.errors import NotFound
from uws_server.jobs.job import Job, ParameterValue, Result, new_id
from uws_server.jobs.phases import Phase
from uws_server.resources import definitions_folder
from uws_server.services.context import Services
from uws_server.services.job_service import JobService
from uws_server.services.provenance import ProvenanceReader
from uws_server.services.rights import Caller
from uws_server.storage.uses import Use

BASE = "http://x.org/uws"
START = datetime(2026, 11, 20, 12, tzinfo=UTC)
LIST = Use("eventlist", "0999990101/PN.FITS", "a" * 64)


@pytest.fixture
def services(tmp_path: Path, database_url: str) -> Iterator[Services]:
    """Services without a scheduler that runs. Over each kind of database."""
    made = Services(Config.of(data=tmp_path / "data", database=database_url), BASE, definitions_folder())
    yield made
    made.store.close()


class Maker:
    """Makes jobs that have ended, one a second."""

    def __init__(self, services: Services) -> None:
        self.services, self.count = services, 0

    def job(
        self, *used: Use, owner: str | None = None, parent: str | None = None, events: str = "", **values: str
    ) -> Job:
        self.count += 1
        created = START + timedelta(seconds=self.count)
        given = {use.name: ParameterValue(use.text, "inputs/x", "upload") for use in used}
        texts = {name: ParameterValue(text, text) for name, text in values.items()}
        made = Job(new_id(), "spectrum", "1.0", Phase.PENDING, created, 60, created + timedelta(days=9), owner=owner,
                   parameters={**given, **texts}, parent=parent)  # fmt: skip
        store = self.services.store
        store.add(made)
        store.move(made.id, [Phase.PENDING], Phase.QUEUED, queued=created)
        store.move(made.id, [Phase.QUEUED], Phase.EXECUTING, started=created, server=store.server)
        results = [
            Result(new_id(), name, file, "application/fits", 9, digest or new_id() * 2)
            for name, file, digest in (("events", "results/events.fits", events), ("log", "job.log", ""))
        ]
        assert store.end(made.id, Phase.COMPLETED, created, None, results, 9, used)
        self.services.files.create(made.id, {})
        return store.get(made.id)

    def row(self, length: int) -> list[Job]:
        """Jobs of which each used the events of the one before."""
        made = [self.job(LIST)]
        for _ in range(length - 1):
            made.append(self.job(events_of(made[-1])))
        return made


@pytest.fixture
def make(services: Services) -> Maker:
    return Maker(services)


def events_of(job: Job) -> Use:
    """The use of a job's events, as if they had been uploaded."""
    return Use("eventlist", "mine.fits", job.results[0].sha256)


def keys(told: ProvenanceGraph) -> set[str]:
    return {each.key for each in told.activities} | told.files.keys()


def walked(
    services: Services, thing: str, direction: Direction, depth: int = 999, caller: Caller | None = None
) -> set[str]:
    reader = ProvenanceReader(services, caller or Caller())
    return keys(reader.graph([reader.find(thing)], direction, depth))


def test_a_use_is_found_by_its_hash_or_by_its_address(services: Services, make: Maker) -> None:
    first = make.job(LIST)
    by_hash, by_url = (
        make.job(events_of(first)),
        make.job(Use("e", f"{BASE}/store/{first.results[0].id}/events.fits", "")),
    )
    kept = {each.job.id: each.used[0].result_id for each in services.uses.kept([first.id, by_hash.id, by_url.id])}
    assert kept == {first.id: None, by_hash.id: first.results[0].id, by_url.id: first.results[0].id}


def test_back_and_forward_through_a_row_of_jobs(services: Services, make: Maker) -> None:
    one, two, three = make.row(3)
    start = f"file_{'a' * 64}"
    every = {
        start,
        *(f"job_{job.id}" for job in (one, two, three)),
        *(f"result_{job.results[0].id}" for job in (one, two)),
    }
    assert walked(services, three.id, Direction.BACK) == every
    assert walked(services, three.results[0].id, Direction.BACK) == every | {f"result_{three.results[0].id}"}
    behind = every - {start} | {f"result_{three.results[0].id}"}
    assert walked(services, one.id, Direction.FORWARD) == behind
    assert walked(services, "a" * 64, Direction.FORWARD) == behind | {start}
    assert walked(services, two.id, Direction.BACK, 0) == {f"job_{two.id}"}
    assert walked(services, two.id, Direction.BACK, 1) == {f"job_{two.id}", f"result_{one.results[0].id}"}
    assert walked(services, two.id, Direction.FORWARD, 2) == {
        f"job_{two.id}", f"result_{two.results[0].id}", f"job_{three.id}"}  # fmt: skip


@pytest.mark.parametrize("form", ["{job}", "job_{job}", "this:job_{job}", "http://other.org/rest/spectrum/{job}",
                                  "https://x.org/jobs/{job}"])  # fmt: skip
def test_a_job_is_found_by_what_names_it(services: Services, make: Maker, form: str) -> None:
    job = make.job(LIST)
    assert ProvenanceReader(services, Caller()).find(form.format(job=job.id)).key == f"job_{job.id}"


@pytest.mark.parametrize("form", ["{id}", "result_{id}", "http://x.org/uws/store/{id}/events.fits",
                                  "http://x.org/uws/rest/spectrum/{job}/results/events.fits",
                                  "http://x.org/uws/rest/spectrum/{job}/results/events",
                                  "urn:uws-server:{job}:events.fits"])  # fmt: skip
def test_a_result_is_found_by_what_names_it(services: Services, make: Maker, form: str) -> None:
    job = make.job(LIST)
    found = ProvenanceReader(services, Caller()).find(form.format(id=job.results[0].id, job=job.id))
    assert (found.key, found.jobs) == (f"result_{job.results[0].id}", (job.id,))


@pytest.mark.parametrize("text", ["", "x", "0" * 32, "f" * 64, "../../etc/passwd", "urn:uws-server:1:a", "é" * 3000])
def test_what_names_nothing_is_not_found(services: Services, text: str) -> None:
    with pytest.raises(NotFound, match=r"^ID: "):
        ProvenanceReader(services, Caller()).find(text)


def test_a_cycle_ends(services: Services, make: Maker) -> None:
    """By a hash that a job's product shares with its input: no honest run makes it, a restored database may."""
    first = make.job(Use("eventlist", "b", "c" * 64), events="b" * 64)
    second = make.job(events_of(first), events="c" * 64)
    third = make.job(events_of(second), events="b" * 64)
    again = make.job(events_of(third), events="c" * 64)
    with services.store.engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE uses SET result_id = '{again.results[0].id}' WHERE job_id = '{first.id}'")  # fmt: skip
    everyone = {f"job_{job.id}" for job in (first, second, third, again)}
    for direction in Direction:
        found = walked(services, first.id, direction)
        assert {key for key in found if key.startswith("job_")} <= everyone
        assert f"job_{second.id}" in found


def test_of_a_job_that_is_not_shown_there_is_a_file_with_its_hash(services: Services, make: Maker) -> None:
    first = make.job(LIST, owner="ben", energy="0.5 2.0")
    hidden = make.job(events_of(first), owner="ben", energy="2.0 10.0")
    mine = make.job(events_of(hidden), owner="ann")
    theirs = make.job(events_of(mine), owner="ben", energy="3.0 9.0")
    by_address = make.job(Use("e", f"{BASE}/store/{hidden.results[0].id}/events.fits", "b" * 64), owner="ann")
    reader = ProvenanceReader(services, Caller("ann"))
    digest = hidden.results[0].sha256
    back = reader.graph([reader.find(mine.id)], Direction.BACK)
    assert keys(back) == {f"job_{mine.id}", f"file_{digest}"}
    assert back.files[f"file_{digest}"].sha256 == digest
    assert keys(reader.graph([reader.find(by_address.id)], Direction.BACK)) == {
        f"job_{by_address.id}",
        "file_" + "b" * 64,
    }
    forward = reader.graph([reader.find(mine.id)], Direction.FORWARD)
    assert keys(forward) == {f"job_{mine.id}", f"result_{mine.results[0].id}"}
    around = reader.around(mine)
    for told in (back, forward, around):
        assert not [each.id for each in (first, hidden, theirs) if each.id in repr(told)]
    assert [result_id for _, _, result_id in reader.inputs(mine)] == [None]
    by_hash = reader.graph([reader.find(digest)], Direction.FORWARD)
    assert keys(by_hash) == {f"file_{digest}", f"job_{mine.id}", f"result_{mine.results[0].id}"}
    for_ben = ProvenanceReader(services, Caller("ben"))
    assert f"job_{first.id}" in keys(for_ben.graph([for_ben.find(hidden.id)], Direction.BACK))
    assert [result_id for _, _, result_id in for_ben.inputs(hidden)] == [first.results[0].id]


def test_what_the_caller_named_of_a_job_that_is_not_shown_is_told_by_that_name(services: Services, make: Maker) -> None:
    hidden = make.job(LIST, owner="ben", energy="2.0 10.0")
    mine = make.job(events_of(hidden), owner="ann")
    events, _ = hidden.results
    for direction in Direction:
        reader = ProvenanceReader(services, Caller("ann"))
        alone = reader.graph([reader.find(hidden.id)], direction)
        (told,) = alone.activities
        assert told.hidden
        assert (told.parameters, told.agent, told.name, told.started) == ((), "", "", None)
        assert keys(alone) == {f"job_{hidden.id}"}
    by_result = reader.graph([reader.find(events.id)], Direction.BACK)
    assert keys(by_result) == {f"result_{events.id}"}
    assert hidden.id not in repr(by_result)
    used = reader.graph([reader.find(events.id)], Direction.FORWARD)
    assert keys(used) == {f"result_{events.id}", f"job_{mine.id}", f"result_{mine.results[0].id}"}


def test_a_rerun_is_joined_to_what_it_runs_again(services: Services, make: Maker) -> None:
    first = make.job(LIST, energy="0.5 2.0")
    second = make.job(LIST, parent=first.id, energy="0.5 8.0")
    reader = ProvenanceReader(services, Caller())
    told = reader.around(second)
    (later,) = (each for each in told.activities if each.key == f"job_{second.id}")
    assert later.informed_by == (f"job_{first.id}",)
    assert f"job_{second.id}" in walked(services, first.id, Direction.FORWARD)
    whole = reader.graph([reader.find(second.results[0].id), reader.find(first.results[0].id)], Direction.BACK)
    assert whole.derived == ((f"result_{second.results[0].id}", f"result_{first.results[0].id}"),)


def test_values_are_told_without_secrets(services: Services, make: Maker) -> None:
    job = make.job(
        Use("eventlist", "https://ann:hunter2@x.org/a.fits", "d" * 64),
        api_token="s3cret", note=f"in {services.config.folders.data.absolute()}/jobs", link="https://x.org/a?token=t0ken",
    )  # fmt: skip
    reader = ProvenanceReader(services, Caller())
    told = repr(reader.around(job))
    for secret in ("hunter2", "s3cret", "t0ken", str(services.config.folders.data.absolute())):
        assert secret not in told


# --- step lists --------------------------------------------------------------------------------------------


def step_of(job_id: str | None, task: str, path: str, product: str, digest: str = "", **used: str) -> steps.Step:
    made = [recording.Product(product, "")]
    about = recording.RunInfo(task, "1", job_id)
    step = recording.make_step([recording.UsedFile("eventlist", "", False, path, **used)], [], made, "", about)
    output = steps.OutputData(1, "", False, "", product, {"sha256": digest} if digest else {})
    return steps.Step((step.args[0], output), step.extra)


def test_steps_of_another_server_stand_before_our_job(services: Services, make: Maker) -> None:
    job = make.job(Use("eventlist", "filtered.fits", "e" * 64))
    listed = [
        step_of("9" * 32, "epproc", "raw.fits", "list.fits", "1" * 64),
        step_of(None, "evselect", "list.fits", "filtered.fits", "2" * 64, science="1" * 64),
        step_of(job.id, "spectrum", "filtered.fits", "events.fits", sha256="e" * 64, science="2" * 64),
    ]
    (services.files.folder(job.id) / "steps.json").write_text(steps.dump(listed), encoding="ascii")
    told = ProvenanceReader(services, Caller()).graph(
        [ProvenanceReader(services, Caller()).find(job.id)], Direction.BACK
    )
    assert [each.name for each in told.activities] == ["epproc", "evselect", "spectrum"]
    used = [each.used[0].key for each in told.activities]
    assert used[1] == told.activities[0].made[0].key
    assert used[2] == told.activities[1].made[0].key
    assert told.activities[2].facts["host"] == recording.host_kind()
    assert told.activities[2].key == f"job_{job.id}"


def test_a_list_that_claims_the_job_of_somebody_else_tells_nothing_of_it(services: Services, make: Maker) -> None:
    theirs = make.job(LIST, owner="ben")
    mine = make.job(Use("eventlist", "forged.fits", "e" * 64), owner="ann")
    listed = [
        step_of(theirs.id, "stolen", "secret-input.fits", "forged.fits", "2" * 64),
        step_of(mine.id, "spectrum", "forged.fits", "events.fits", sha256="e" * 64, science="2" * 64),
    ]
    (services.files.folder(mine.id) / "steps.json").write_text(steps.dump(listed), encoding="ascii")
    told = ProvenanceReader(services, Caller("ann")).around(mine)
    assert keys(told) == {f"job_{mine.id}", f"result_{mine.results[0].id}", "file_" + "e" * 64}
    assert theirs.id not in repr(told)
    assert "stolen" not in repr(told)
    assert "secret-input" not in repr(told)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"provenance": 3}', '{"provenance": [3]}', '{"provenance": [{"job": {}}]}']
)
def test_a_list_that_is_none_is_passed_over(services: Services, make: Maker, text: str) -> None:
    job = make.job(LIST)
    (services.files.folder(job.id) / "steps.json").write_text(text, encoding="ascii")
    assert walked(services, job.id, Direction.BACK) == {f"job_{job.id}", f"file_{'a' * 64}"}


# --- deleted jobs ------------------------------------------------------------------------------------------


def phases(services: Services, jobs: list[Job]) -> list[str]:
    found = []
    for job in jobs:
        try:
            found.append(services.store.get(job.id).phase.value)
        except NotFound:
            found.append("gone")
    return found


def test_a_deleted_job_is_a_record_as_long_as_something_came_of_it(services: Services, make: Maker) -> None:
    row = make.row(3)
    job_service = JobService(services, Caller())
    job_service.delete(row[0])
    assert phases(services, row) == ["ARCHIVED", "COMPLETED", "COMPLETED"]
    assert not services.files.folder(row[0].id).exists()
    assert services.store.get(row[0].id).results == ()
    with pytest.raises(NotFound):
        services.store.result(row[0].results[0].id)
    told = ProvenanceReader(services, Caller()).around(row[2])
    assert f"job_{row[0].id}" in keys(told)
    record = told.files[f"result_{row[0].results[0].id}"]
    assert (record.name, record.sha256, record.location) == ("events.fits", row[0].results[0].sha256, "")
    job_service.delete(row[1])
    assert phases(services, row) == ["ARCHIVED", "ARCHIVED", "COMPLETED"]
    job_service.delete(row[2])
    assert phases(services, row) == ["gone", "gone", "gone"]


def test_a_deleted_job_that_was_run_again_is_a_record(services: Services, make: Maker) -> None:
    first = make.job(LIST)
    second = make.job(LIST, parent=first.id)
    job_service = JobService(services, Caller())
    job_service.delete(first)
    assert phases(services, [first, second]) == ["ARCHIVED", "COMPLETED"]
    job_service.delete(services.store.get(first.id))  # asked twice: the record stays
    assert phases(services, [first]) == ["ARCHIVED"]
    job_service.delete(second)
    assert phases(services, [first, second]) == ["gone", "gone"]


def test_a_job_that_nothing_came_of_is_gone(services: Services, make: Maker) -> None:
    first, second = make.row(2)
    JobService(services, Caller()).delete(second)
    assert phases(services, [first, second]) == ["COMPLETED", "gone"]


def test_a_record_kept_by_the_configuration_stays(services: Services, make: Maker) -> None:
    first, second = make.row(2)
    services.store.archive(first.id)
    JobService(services, Caller()).delete(second)
    assert phases(services, [first, second]) == ["ARCHIVED", "gone"]


def test_a_long_row_is_followed_to_its_beginning(services: Services, make: Maker) -> None:
    row = make.row(60)
    found = walked(services, row[-1].id, Direction.BACK)
    assert len([key for key in found if key.startswith("job_")]) == 60
    assert graph.key_of_file("a" * 64, "") in found
    assert json.dumps(sorted(found)).isascii()
