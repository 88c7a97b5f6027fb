"""Identities, announcements, the log and the list of accounts, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from uws_server.errors import Conflict, NotFound
from uws_server.jobs.job import utcnow
from uws_server.storage.account_lists import AccountLists
from uws_server.storage.accounts import Account, AccountStore, Token
from uws_server.storage.announcements import Announcement, AnnouncementStore
from uws_server.storage.audit import AuditStore
from uws_server.storage.identities import Identity, IdentityStore
from uws_server.storage.jobstore import JobStore
from uws_server.storage.sessions import SessionStore

NOW = utcnow()
ANN = Account("ann", "", True, False, NOW)
PERSON = Identity("0" * 16, "https://login.x.org", "1", "ann", "Ann", NOW, NOW)


@pytest.fixture
def kept(database_url: str) -> Iterator[SimpleNamespace]:
    """The stores of one database, with an account."""
    store = JobStore(database_url)
    engine = store.engine
    made = SimpleNamespace(
        accounts=AccountStore(engine), identities=IdentityStore(engine), announcements=AnnouncementStore(engine),
        audit=AuditStore(engine), lists=AccountLists(engine), sessions=SessionStore(engine),
    )  # fmt: skip
    made.accounts.add(ANN)
    yield made
    store.close()


def test_a_person_has_one_account(kept: SimpleNamespace) -> None:
    kept.identities.add(PERSON)
    assert kept.identities.find(PERSON.issuer, "1") == (ANN, PERSON)
    assert kept.identities.find("https://other.org", "1") is None
    kept.accounts.add(replace(ANN, name="ben"))
    with pytest.raises(Conflict):
        kept.identities.add(replace(PERSON, id="1" * 16, account="ben"))
    with pytest.raises(NotFound):
        kept.identities.add(replace(PERSON, id="1" * 16, subject="2", account="nobody"))
    assert kept.identities.is_taken("BEN")
    with pytest.raises(Conflict):
        kept.identities.add_with_account(replace(ANN, name="cid"), replace(PERSON, id="2" * 16, account="cid"))
    assert kept.accounts.get("cid") is None, "nothing is half-made"


def test_a_session_ends_with_the_identity_that_it_was_begun_with(kept: SimpleNamespace) -> None:
    kept.identities.add(PERSON)
    kept.accounts.add_token(Token("t" * 16, "ann", "first", "d" * 64, NOW))
    later = NOW + timedelta(hours=1)
    kept.sessions.add("a" * 64, "", PERSON.id, NOW, later)
    kept.sessions.add("b" * 64, "t" * 16, "", NOW, later)
    assert kept.sessions.find("a" * 64, NOW) == (ANN, "", PERSON.id)
    assert kept.sessions.find("b" * 64, NOW) == (ANN, "t" * 16, "")
    assert kept.sessions.find("a" * 64, later) is None
    kept.identities.remove("ann", PERSON.id)
    assert kept.sessions.find("a" * 64, NOW) is None
    assert kept.sessions.find("b" * 64, NOW) is not None
    with pytest.raises(NotFound):
        kept.identities.remove("ann", PERSON.id)


def test_the_list_says_who_was_seen_when(kept: SimpleNamespace) -> None:
    assert [(row.account, row.jobs, row.bytes, row.seen) for row in kept.lists.page("", 0, 9)] == [(ANN, 0, 0, None)]
    kept.identities.add(PERSON)
    assert kept.lists.row("ann").seen == NOW
    kept.accounts.add_token(Token("t" * 16, "ann", "first", "d" * 64, NOW))
    kept.accounts.note_use("t" * 16, NOW + timedelta(hours=2))
    assert kept.lists.row("ann").seen == NOW + timedelta(hours=2)
    kept.sessions.add("b" * 64, "t" * 16, "", NOW + timedelta(hours=3), NOW + timedelta(days=1))
    assert kept.lists.row("ann").seen == NOW + timedelta(hours=3)
    assert kept.lists.row("nobody") is None
    kept.accounts.change("ann", full_name="Änne O'Neill_50%", roles="xmm")
    for text, found in (("o'ne", 1), ("_50%", 1), ("_5_%", 0), ("%", 1), ("ANN", 1), ("x", 0)):
        assert len(kept.lists.page(text, 0, 9)) == found, text
    assert [account.name for account in kept.lists.with_roles()] == ["ann"]


def test_two_admins_cannot_take_the_right_of_each_other_at_once(kept: SimpleNamespace) -> None:
    for attempt in range(5):
        names = [f"admin{attempt}a", f"admin{attempt}b"]
        for name in names:
            kept.accounts.add(replace(ANN, name=name))
        with_right = [row.account.name for row in kept.lists.page("", 0, 50) if row.account.is_admin]
        for other in set(with_right) - set(names):
            kept.accounts.change(other, is_admin=False)
        refused: list[Conflict] = []
        begin = threading.Barrier(2)

        def take(name: str, begin: threading.Barrier = begin, refused: list[Conflict] = refused) -> None:
            begin.wait()
            try:
                kept.accounts.change_keeping_admin(name, is_admin=False)
            except Conflict as error:
                refused.append(error)

        threads = [threading.Thread(target=take, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 1
        assert sum(kept.accounts.get(name).is_admin for name in names) == 1
    with pytest.raises(NotFound):
        kept.accounts.change_keeping_admin("nobody", is_admin=True)


def test_announcements_hold_between_their_times(kept: SimpleNamespace) -> None:
    hour = timedelta(hours=1)
    until = Announcement("1" * 16, "a", NOW, NOW + hour, "ann")
    always = Announcement("2" * 16, "b", NOW - hour, None, "ann")
    for one in (until, always):
        kept.announcements.add(one)
    assert list(kept.announcements.all()) == [until, always]
    for moment, shown in (
        (NOW - 2 * hour, []), (NOW - hour, [always]), (NOW, [always, until]), (NOW + hour, [always]),
    ):  # fmt: skip
        assert list(kept.announcements.at(moment)) == shown
        assert [one for one in (always, until) if one.holds(moment)] == shown
    assert kept.announcements.remove(until.id) == until
    with pytest.raises(NotFound):
        kept.announcements.remove(until.id)


def test_the_log_is_read_from_its_end(kept: SimpleNamespace) -> None:
    for number in range(5):
        kept.audit.add("root", "ann" if number % 2 else "ben", f"change {number}")
    assert [entry.what for entry in kept.audit.page("", 1, 2)] == ["change 3", "change 2"]
    assert [entry.what for entry in kept.audit.page("ann", 0, 9)] == ["change 3", "change 1"]
