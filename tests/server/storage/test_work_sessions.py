"""The sessions in which work is kept, in both databases: saved, shared, copied, their jobs, and how they end."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from uws_server.errors import NotFound
from uws_server.jobs.job import Job, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.jobs.work_session import SessionContent, WorkSession
from uws_server.storage import dump, migrate
from uws_server.storage.jobstore import JobStore
from uws_server.storage.work_sessions import WorkSessionStore

CONTENT = SessionContent(
    name="Crab été",
    source='icrs; circle(83.63, 22.01, 40")',
    background='icrs; annulus(83.63, 22.01, 60", 90")',
    search="cone('M1', '5arcmin')",
    exposures=tuple(f"0411081601/pn_{number}.fits" for number in range(10_000)),
    definition="spectrum",
    parameters={"energy_min": ("0.5",), "eventlist": ("a", "b")},
    note="first look\nat it",
)


@pytest.fixture
def sessions(store: JobStore) -> WorkSessionStore:
    return WorkSessionStore(store.engine)


def made(sessions: WorkSessionStore, owner: str | None = None, content: SessionContent = CONTENT) -> WorkSession:
    now = utcnow()
    session = WorkSession(new_id(), owner, now, now, now, content)
    assert sessions.add(session, (), most=50)
    return session


def job_of(store: JobStore, owner: str | None) -> str:
    job = Job(new_id(), "dummy", "1", Phase.PENDING, utcnow(), 60, owner=owner)
    store.add(job)
    return job.id


def test_what_is_saved_is_read_again(sessions: WorkSessionStore) -> None:
    session = made(sessions, "ann")
    assert sessions.get(session.id) == session
    (listed,) = sessions.of_owners(("ann",), 0, 10)
    assert (listed.id, listed.name, listed.selected, listed.owner) == (session.id, "Crab été", 10_000, "ann")
    with pytest.raises(NotFound, match="it was deleted, or it never was"):
        sessions.get(new_id())


def test_of_two_that_save_the_same_revision_the_second_is_refused(sessions: WorkSessionStore) -> None:
    session = made(sessions)
    later = utcnow() + timedelta(seconds=1)
    assert sessions.save(session.id, 1, replace(CONTENT, note="one"), later)
    assert not sessions.save(session.id, 1, replace(CONTENT, note="two"), later)
    kept = sessions.get(session.id)
    assert (kept.content.note, kept.revision, kept.changed) == ("one", 2, later)


def test_an_owner_has_no_more_than_may_be(sessions: WorkSessionStore) -> None:
    now = utcnow()
    for wanted in (True, True, False):
        assert sessions.add(WorkSession(new_id(), "ann", now, now, now, CONTENT), (), most=2) is wanted
    assert sessions.count("ann") == 2
    spare = made(sessions)
    assert not sessions.take(spare.id, "ann", most=2)
    assert sessions.take(spare.id, "bob", most=2)
    assert sessions.get(spare.id).owner == "bob"
    assert not sessions.take(spare.id, "eve", most=2), "it has an owner"


def test_jobs_are_listed_in_their_order_and_deleted_ones_too(sessions: WorkSessionStore, store: JobStore) -> None:
    session = made(sessions, "ann")
    ids = [job_of(store, "ann") for _ in range(3)]
    for job_id in (ids[2], ids[0], ids[1], ids[0]):
        assert sessions.link(session.id, job_id, utcnow(), most=3)
    assert not sessions.link(session.id, new_id(), utcnow(), most=3), "it has three"
    store.delete(ids[0])
    links = sessions.linked([session.id])
    assert [link.job_id for link in links] == [ids[2], ids[0], ids[1]]
    assert [link.phase for link in links] == [Phase.PENDING, None, Phase.PENDING]
    assert [link.is_open for link in links] == [True, False, True]
    assert sessions.unlink(session.id, ids[0], utcnow())
    assert not sessions.unlink(session.id, ids[0], utcnow())
    assert [link.job_id for link in sessions.linked([session.id])] == [ids[2], ids[1]]
    with pytest.raises(NotFound):
        sessions.link(new_id(), ids[1], utcnow(), most=3)


def test_a_share_link_opens_the_jobs_of_the_owner_and_of_nobody(sessions: WorkSessionStore, store: JobStore) -> None:
    session = made(sessions, "ann")
    own, nobodys, foreign = job_of(store, "ann"), job_of(store, None), job_of(store, "bob")
    for job_id in (own, nobodys, foreign):
        sessions.link(session.id, job_id, utcnow(), most=9)
    assert sessions.opened_by(session.id, "0" * 32) == frozenset()
    key = sessions.share(session.id, new_id())
    assert sessions.share(session.id, new_id()) == key, "the link that was given stays"
    assert sessions.opened_by(session.id, key) == {own, nobodys}
    assert sessions.opened_by(session.id, new_id()) == frozenset()
    sessions.unshare(session.id)
    assert sessions.opened_by(session.id, key) == frozenset()


def test_a_copy_shows_the_jobs_as_long_as_the_link_does(sessions: WorkSessionStore, store: JobStore) -> None:
    session = made(sessions, "ann")
    job_id, other = job_of(store, "ann"), job_of(store, "ann")
    sessions.link(session.id, job_id, utcnow(), most=9)
    key = sessions.share(session.id, new_id())
    now = utcnow()
    copy = WorkSession(new_id(), "bob", now, now, now, CONTENT)
    assert sessions.add(copy, [(job_id, session.id, key), (other, session.id, key)], most=9)
    assert [link.is_open for link in sessions.linked([copy.id])] == [True, False], "the second is none of the session's"
    key_of_copy = sessions.share(copy.id, new_id())
    assert sessions.opened_by(copy.id, key_of_copy) == {job_id}
    sessions.unshare(session.id)
    assert sessions.opened_by(copy.id, key_of_copy) == frozenset()
    sessions.share(session.id, new_id())
    assert not sessions.linked([copy.id])[0].is_open, "a new link does not bring back what the old one showed"


def test_a_deleted_session_leaves_its_jobs(sessions: WorkSessionStore, store: JobStore) -> None:
    session = made(sessions, "ann")
    job_id = job_of(store, "ann")
    sessions.link(session.id, job_id, utcnow(), most=9)
    sessions.delete(session.id)
    assert sessions.linked([session.id]) == []
    assert store.bare(job_id).id == job_id


def test_only_sessions_of_nobody_end_unused(sessions: WorkSessionStore) -> None:
    old, opened, owned = made(sessions), made(sessions), made(sessions, "ann")
    later = utcnow() + timedelta(days=31)
    sessions.use(opened.id, later)
    assert sessions.expire(later) == 1
    assert {row.id for row in sessions.of_owners(None, 0, 10)} == {opened.id, owned.id}
    assert [row.id for row in sessions.of_nobody([old.id, opened.id, owned.id])] == [opened.id]


def test_a_backup_has_sessions_with_their_jobs(
    sessions: WorkSessionStore, store: JobStore, database_url: str, tmp_path: Path
) -> None:
    session = made(sessions, "ann")
    job_id = job_of(store, "ann")
    sessions.link(session.id, job_id, session.changed, most=9)
    key = sessions.share(session.id, new_id())
    lines = io.StringIO()
    with dump.snapshot(database_url) as held:
        held.write(lines, lambda: None)
    url = f"sqlite:///{tmp_path / 'restored.sqlite'}"
    dump.load(url, migrate.HEAD, dump.rows(lines.getvalue().splitlines()), lambda: None)
    restored = JobStore(url)
    try:
        again = WorkSessionStore(restored.engine)
        assert again.get(session.id) == replace(session, share=key)
        assert again.opened_by(session.id, key) == {job_id}
    finally:
        restored.close()


def test_a_rerun_joins_the_sessions_of_its_owner_that_have_the_job(sessions: WorkSessionStore, store: JobStore) -> None:
    old, again = job_of(store, "ada"), job_of(store, "ada")
    own, others, without = made(sessions, "ada"), made(sessions, "bob"), made(sessions, "ada")
    for session in (own, others):
        assert sessions.link(session.id, old, utcnow(), 10)
    sessions.link_rerun(again, old, "ada", utcnow(), 10)
    assert [[link.job_id for link in sessions.linked([one.id])] for one in (own, others, without)] == [
        [old, again],
        [old],
        [],
    ]
    sessions.forget_job(again)
    assert [link.job_id for link in sessions.linked([own.id])] == [old]
    sessions.link_rerun(again, old, "ada", utcnow(), 1)
    assert [link.job_id for link in sessions.linked([own.id])] == [old], "there is no room for it"
