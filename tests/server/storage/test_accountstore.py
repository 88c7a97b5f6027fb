"""The accounts in both databases: what comes back, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from uws_server.errors import Conflict, NotFound
from uws_server.storage.accounts import Account, AccountStore
from uws_server.storage.jobstore import JobStore

ADA = Account("ada", "hash 1", False, False, datetime(2026, 11, 20, 12, 0, 0, 123456, UTC), 3, 10**13)


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
    accounts.set_token_hash("ada", "hash 3")
    accounts.disable("ada")
    assert accounts.get("ada") == replace(ADA, token_hash="hash 3", disabled=True)
    accounts.enable("ada")
    assert accounts.get("ada") == replace(ADA, token_hash="hash 3")
    accounts.set_roles("ada", "author xmm")
    assert accounts.get("ada") == replace(ADA, token_hash="hash 3", roles="author xmm")
    accounts.remove("ada")
    assert accounts.get("ada") is None
    changes = (lambda name: accounts.set_token_hash(name, "x"), lambda name: accounts.set_roles(name, "x"))
    for use in (accounts.remove, accounts.disable, accounts.enable, *changes):
        with pytest.raises(NotFound, match="'ada'"):
            use("ada")
