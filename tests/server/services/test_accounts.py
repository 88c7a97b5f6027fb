"""The accounts of a server, over each kind of database: tokens, those of an earlier version, names, wrong tokens."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from growth import counted_calls
from uws_server.errors import BadRequest, TooMany, Unauthorized
from uws_server.services.accounts import Accounts
from uws_server.services.earlier_tokens import hash_of_nobody
from uws_server.storage.accounts import Account, AccountStore
from uws_server.storage.jobstore import JobStore

MADE = datetime(2026, 11, 20, 12, tzinfo=UTC)
HERE = "192.0.2.1"


@pytest.fixture
def store(database_url: str) -> Iterator[AccountStore]:
    jobs = JobStore(database_url)
    yield AccountStore(jobs.engine)
    jobs.close()


@pytest.fixture
def accounts(store: AccountStore) -> Accounts:
    return Accounts(store)


@pytest.mark.parametrize("name", ["ann", "ann@x.org", "a.b-c_d+e@x-y.example.org", "9", "x" * 64])
def test_a_mail_address_is_a_name(accounts: Accounts, name: str) -> None:
    token = accounts.create(name)
    assert accounts.check(name, token, HERE).caller.name == name


@pytest.mark.parametrize("name", ["", ".ann", "ann.", "a b", "a:b", "a/b", "é", "@x", "x" * 65, "ann\n"])
def test_what_is_no_name_is_refused_with_what_is_allowed(accounts: Accounts, name: str) -> None:
    with pytest.raises(BadRequest, match=r"1 to 64 letters, digits.*such as a mail address"):
        accounts.create(name)


def test_the_token_of_an_earlier_version_goes_on_and_is_kept_like_the_others_then(
    accounts: Accounts, store: AccountStore
) -> None:
    store.add(Account("old", PasswordHasher().hash("a token"), True, False, MADE, 3, 10**12, "author"))
    with pytest.raises(Unauthorized):
        accounts.check("old", "another", HERE)
    caller = accounts.check("old", "a token", HERE).caller
    assert (caller.is_admin, caller.max_active, caller.max_bytes, caller.roles) == (True, 3, 10**12, {"author"})
    kept = store.get("old")
    assert kept is not None
    assert kept.token_hash == ""
    (token,) = accounts.tokens("old")
    assert accounts.check("old", "a token", HERE).token_id == token.id
    renewed = accounts.renew("old")
    with pytest.raises(Unauthorized):
        accounts.check("old", "a token", HERE)
    assert accounts.check("old", renewed, HERE).caller.name == "old"


def test_a_token_that_was_never_used_is_void_once_there_is_a_new_one(accounts: Accounts, store: AccountStore) -> None:
    store.add(Account("old", PasswordHasher().hash("a token"), False, False, MADE))
    accounts.renew("old")
    with pytest.raises(Unauthorized):
        accounts.check("old", "a token", HERE)


def test_right_tokens_get_in_past_any_number_of_wrong_ones(accounts: Accounts, store: AccountStore) -> None:
    ann = accounts.create("ann")
    store.add(Account("old", PasswordHasher().hash("a token"), False, False, MADE))

    def guess(number: int) -> type[BaseException]:
        with pytest.raises((Unauthorized, TooMany)) as refused:
            accounts.check(("ann", "old", "nobody")[number % 3], f"wrong {number}", HERE)
        return refused.type

    assert [guess(number) for number in range(23)] == [Unauthorized] * 20 + [TooMany] * 3
    assert accounts.check("ann", ann, HERE).caller.name == "ann"
    assert accounts.check("old", "a token", HERE).caller.name == "old"
    assert guess(23) is TooMany
    with pytest.raises(TooMany):
        accounts.check("old", ann, HERE)
    with pytest.raises(Unauthorized):
        accounts.check("ann", "wrong", "192.0.2.2")


def test_a_wrong_token_costs_a_slow_hash_only_while_an_earlier_one_is_left(
    accounts: Accounts, store: AccountStore
) -> None:
    accounts.create("ann")

    def hashes(name: str, token: str) -> int:
        with counted_calls() as calls, suppress(Unauthorized):
            accounts.check(name, token, HERE)
        return calls["verify_secret"]

    names = ("ann", "nobody")
    assert [hashes(name, "wrong") for name in names] == [0, 0], "whoever it is"
    store.add(Account("old", PasswordHasher().hash("a token"), False, False, MADE))
    assert [hashes(name, "wrong") for name in (*names, "old")] == [1, 1, 1]
    assert [hashes("old", "a token") for _ in range(2)] == [1, 0], "from then on it is kept as the others are"
    assert [hashes(name, "wrong") for name in (*names, "old")] == [0, 0, 0]


def test_the_hash_of_nobody_is_checked_like_that_of_an_account() -> None:
    """How long a wrong token takes tells of no name: argon2 does the same work for both hashes."""
    hasher = PasswordHasher()
    nobody, somebody = hash_of_nobody(hasher), hasher.hash("a token")
    assert extract_parameters(nobody) == extract_parameters(somebody)
    assert not hasher.check_needs_rehash(nobody)
    assert [len(part) for part in nobody.split("$")] == [len(part) for part in somebody.split("$")]
    with pytest.raises(VerifyMismatchError):  # it was computed and differs; one that cannot be read is told at once
        hasher.verify(nobody, "a token")
    assert hash_of_nobody(hasher) != nobody


def test_a_disabled_account_is_let_in_no_more_until_it_is_enabled(accounts: Accounts) -> None:
    token = accounts.create("ann")
    accounts.change("ann", disabled=True)
    with pytest.raises(Unauthorized):
        accounts.check("ann", token, HERE)
    accounts.change("ann", disabled=False)
    assert accounts.check("ann", token, HERE).caller.name == "ann"


def test_an_account_has_several_tokens_each_with_a_name(accounts: Accounts) -> None:
    first = accounts.create("ann")
    second = accounts.make_token("ann", "night runs (cluster)")
    assert [token.name for token in accounts.tokens("ann")] == ["first token", "night runs (cluster)"]
    ids = [accounts.check("ann", token, HERE).token_id for token in (first, second)]
    assert ids == [token.id for token in accounts.tokens("ann")]
    assert all(token.used is not None for token in accounts.tokens("ann"))
    assert not [token for token in accounts.tokens("ann") if first in repr(token) or second in repr(token)]
    for wrong in ("", " x", "x ", "a\tb", "<b>", "x" * 65, "night runs (cluster)"):
        with pytest.raises(BadRequest, match=r"^name: "):
            accounts.make_token("ann", wrong)
    accounts.revoke("ann", ids[0])
    with pytest.raises(Unauthorized):
        accounts.check("ann", first, HERE)
    assert accounts.check("ann", second, HERE).token_id == ids[1]
    with pytest.raises(BadRequest, match="your only token"):
        accounts.revoke("ann", ids[1])


def test_the_first_use_of_an_old_token_may_come_several_times_at_once(accounts: Accounts, store: AccountStore) -> None:
    store.add(Account("old", PasswordHasher().hash("a token"), False, False, MADE))
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: accounts.check("old", "a token", HERE), range(6)))
    assert len({one.token_id for one in found}) == 1
    assert len(accounts.tokens("old")) == 1
