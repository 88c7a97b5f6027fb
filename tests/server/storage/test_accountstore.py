"""The accounts in both databases: what comes back, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from uws_server.errors import Conflict, NotFound
from uws_server.jobs.job import Job, new_id
from uws_server.jobs.phases import Phase
from uws_server.storage.accounts import Account, AccountStore, Token
from uws_server.storage.definitions import DefinitionStore, Draft
from uws_server.storage.jobstore import JobStore
from uws_server.storage.tables import drafts

ADA = Account("ada", "hash 1", False, False, datetime(2026, 11, 20, 12, 0, 0, 123456, UTC), 3, 10**13)
KEY = Token("1" * 16, "ada", "laptop", "d" * 64, ADA.created)


@pytest.fixture
def accounts(database_url: str) -> Iterator[AccountStore]:
    store = JobStore(database_url)
    yield AccountStore(store.engine)
    store.close()


def test_an_account_comes_back_as_it_was_added(accounts: AccountStore) -> None:
    bob = Account("Bob", "hash 2", True, False, ADA.created, roles="author xmm")
    accounts.add(ADA)
    accounts.add(bob)
    assert accounts.get("ada") == ADA
    assert accounts.get("Bob") == bob
    assert accounts.get("bob") is None
    assert {account.name for account in accounts.list()} == {"ada", "Bob"}


def test_a_name_is_taken_once(accounts: AccountStore) -> None:
    accounts.add(ADA)
    with pytest.raises(Conflict, match="'ada'"):
        accounts.add(replace(ADA, token_hash="another"))
    assert accounts.get("ada") == ADA


def test_an_account_changes_and_goes(accounts: AccountStore) -> None:
    accounts.add(ADA)
    accounts.change("ada", token_hash="hash 3", disabled=True)
    assert accounts.get("ada") == replace(ADA, token_hash="hash 3", disabled=True)
    accounts.change("ada", disabled=False, max_active=None, max_bytes=7, is_admin=True, roles="author xmm")
    changed = replace(ADA, token_hash="hash 3", max_active=None, max_bytes=7, is_admin=True, roles="author xmm")
    assert accounts.get("ada") == changed
    accounts.remove("ada")
    assert accounts.get("ada") is None
    for use in (accounts.remove, accounts.revoke_all, lambda name: accounts.change(name, roles="x"),
                lambda name: accounts.add_token(replace(KEY, account=name))):  # fmt: skip
        with pytest.raises(NotFound, match="'ada'"):
            use("ada")


def test_tokens_are_found_by_their_digest_and_go_with_the_account(accounts: AccountStore) -> None:
    accounts.add(ADA)
    other = replace(KEY, id="2" * 16, name="cluster", digest="e" * 64, created=KEY.created + timedelta(seconds=1))
    for token in (other, KEY):
        accounts.add_token(token)
    assert accounts.tokens_of("ada") == [KEY, other]
    assert accounts.by_token("d" * 64) == (ADA, KEY)
    accounts.note_use(KEY.id, ADA.created)
    assert accounts.by_token("d" * 64) == (ADA, replace(KEY, used=ADA.created))
    for name, token_id in (("bob", KEY.id), ("ada", "3" * 16)):
        with pytest.raises(NotFound):
            accounts.revoke(name, token_id)
    accounts.revoke("ada", KEY.id)
    assert accounts.by_token("d" * 64) is None
    accounts.remove("ada")
    assert accounts.by_token("e" * 64) is None


def test_a_name_is_not_given_again_while_jobs_of_it_are_left(accounts: AccountStore, database_url: str) -> None:
    accounts.add(ADA)
    store = JobStore(database_url)
    job = Job(new_id(), "dummy", "1", Phase.PENDING, ADA.created, 1, owner="ada")
    store.add(job)
    accounts.remove("ada")
    with pytest.raises(Conflict, match="an earlier account 'ada' left 1 jobs"):
        accounts.add(ADA)
    assert accounts.get("ada") is None
    accounts.add(replace(ADA, name="ada2"))
    store.delete(job.id)
    accounts.add(ADA)
    assert accounts.get("ada") == ADA
    store.close()


def test_a_name_is_not_given_again_while_drafts_of_it_are_left(accounts: AccountStore, database_url: str) -> None:
    accounts.add(ADA)
    store = JobStore(database_url)
    definitions = DefinitionStore(store.engine)
    definitions.create(Draft("lightcurve", 1, "draft", "ada", ADA.created, "", {"run.py": "secret = 1"}))
    accounts.remove("ada")
    with pytest.raises(Conflict, match="an earlier account 'ada' left 1 drafts of definitions, which"):
        accounts.add(ADA)
    assert accounts.get("ada") is None
    with store.engine.begin() as connection:
        connection.execute(drafts.delete())
    accounts.add(ADA)
    store.close()
