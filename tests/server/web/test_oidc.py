"""Signing in at a real provider of OpenID Connect, without JavaScript: who gets which account, what can go wrong."""

from __future__ import annotations

import base64
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from cryptography.fernet import Fernet

from accounts import account
from oidcprovider import PEOPLE, Entrance, entrance
from pagereader import AS_BROWSER, TIMEOUT_S, Page, token_of
from serving import run_command, running_server


@pytest.fixture(scope="module")
def everybody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entrance]:
    """A server that whoever the provider knows may use."""
    settings = {"groups_claim": "groups", "group_roles": "xmm-team=xmm, staff=author", "new_accounts": "true"}
    with entrance(tmp_path_factory.mktemp("oidc"), **settings) as made:
        yield made


@pytest.fixture
def door(everybody: Entrance) -> Iterator[Entrance]:
    """The server, with the provider as it is at first."""
    yield everybody
    if everybody.provider.process is None or everybody.provider.people is not PEOPLE:
        everybody.provider.people = PEOPLE
        everybody.provider.start()


def asked(door: Entrance, session: requests.Session, path: str) -> requests.Response:
    return session.get(f"{door.served.url}{path}", headers=AS_BROWSER, allow_redirects=False, timeout=TIMEOUT_S)


def name_of(page: Page) -> str:
    return page.text("//header//strong")


def rows(door: Entrance, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(door.data / "jobs.sqlite") as database:
        return database.execute(query).fetchall()


def on_the_way_back(door: Entrance, login: str, session: requests.Session) -> str:
    """The address that the provider sends somebody back to, not visited yet."""
    form = door.begin(session=session)
    sent = session.post(form.url, {"login": login}, allow_redirects=False, timeout=TIMEOUT_S)
    while not sent.headers["Location"].startswith(door.served.url):
        sent = session.get(sent.headers["Location"], allow_redirects=False, timeout=TIMEOUT_S)
    return sent.headers["Location"]


def test_the_page_leads_to_the_provider_by_a_link(door: Entrance) -> None:
    page = door.begin("/jobs?phase=ERROR")
    (link,) = page.all("//main//a[contains(., 'Sign in with Observatory login')]")
    way = asked(door, page.session, link.get("href"))
    assert way.status_code == 303
    sent = parse_qs(urlsplit(way.headers["Location"]).query)
    assert sent["code_challenge_method"] == ["S256"]
    assert sent["scope"] == ["openid profile email"]
    assert {"code_challenge", "state", "nonce"} <= set(sent)
    assert "HttpOnly" in way.headers["Set-Cookie"]
    assert "samesite=lax" in way.headers["Set-Cookie"].lower()
    back = door.say(Page(page.session, page.session.get(way.headers["Location"], timeout=TIMEOUT_S)), login="1001")
    assert back.url == f"{door.served.url}/jobs?phase=ERROR"
    assert name_of(back) == "Ann_Ete"


def test_who_comes_first_gets_an_account_and_keeps_it(door: Entrance) -> None:
    first = door.enter("1001", "/login/oidc?next=/account")
    assert name_of(first) == "Ann_Ete"
    assert "Roles: author, xmm" in first.text()
    assert name_of(door.enter("1002")) == "ann_ete-2", "no two accounts that people would take for one another"
    assert name_of(door.enter("1001")) == "Ann_Ete"
    found = "SELECT accounts.name, full_name, email, is_admin FROM accounts JOIN identities ON account = accounts.name"
    assert rows(door, f"{found} WHERE subject = '1001'") == [("Ann_Ete", "Ann Été", "ann@x.org", 0)]
    assert rows(door, "SELECT * FROM tokens WHERE account = 'Ann_Ete'") == []


def test_a_mail_address_that_nobody_verified_names_nobody(door: Entrance) -> None:
    assert name_of(door.enter("1003")) == "user"
    assert rows(door, "SELECT email FROM accounts WHERE name = 'user'") == [("",)]


def test_an_account_of_the_same_name_is_not_the_one_of_who_comes(door: Entrance) -> None:
    account(door.data, "eve", "--admin")
    door.provider.people = {**PEOPLE, "1004": {"preferred_username": "eve"}}
    door.provider.start()
    page = door.enter("1004")
    assert name_of(page) == "eve-2"
    assert door.begin("/admin", page.session).status == 403


def test_roles_follow_the_groups(door: Entrance) -> None:
    door.provider.people = {"1005": {"preferred_username": "joe", "groups": ["staff"]}}
    door.provider.start()
    door.enter("1005")
    run_command("accounts", "roles", "joe", "author", "rosat", "--data", str(door.data)).check_returncode()
    door.provider.people = {"1005": {"preferred_username": "joe", "groups": ["xmm-team"]}}
    door.provider.start()
    page = door.enter("1005", "/login/oidc?next=/account")
    assert "Roles: rosat, xmm." in page.text(), "what an admin gave stays, what a group gave goes with it"


@pytest.mark.parametrize(
    ("place", "reached"),
    [
        ("//evil.org/x", "/"), ("/\\evil.org", "/"), ("https://evil.org", "/"), ("/a b", "/"),
        (f"/definitions?x={'y' * 2000}", f"/definitions?x={'y' * 2000}"), (f"/definitions?x={'y' * 4000}", "/"),
    ],
)  # fmt: skip
def test_it_goes_on_to_nothing_but_this_server(door: Entrance, place: str, reached: str) -> None:
    session = requests.Session()
    form = session.get(f"{door.served.url}/login/oidc", params={"next": place}, headers=AS_BROWSER, timeout=TIMEOUT_S)
    assert len(session.cookies["uws_oidc"]) < 4000, "a browser drops a longer one"
    assert door.say(Page(session, form), login="1001").url == f"{door.served.url}{reached}"


def test_refused_consent_is_told(door: Entrance) -> None:
    page = door.say(door.begin("/login/oidc?next=/account"), refuse="yes")
    assert page.status == 401
    assert "The sign-in was refused at Observatory login" in page.text("//section[@id='summary']")
    (link,) = page.all("//main//a[contains(., 'Sign in with')]")
    assert link.get("href") == "/login/oidc?next=/account", "it goes on to the same place when begun again"
    assert "uws_session" not in page.session.cookies


def test_an_answer_that_belongs_to_no_try_signs_nobody_in(door: Entrance) -> None:
    session = requests.Session()
    address = on_the_way_back(door, "1001", session)
    other = Page(requests.Session(), requests.get(address, headers=AS_BROWSER, timeout=TIMEOUT_S))
    assert (other.status, "did not keep its cookie" in other.text()) == (401, True), "the link of somebody else"
    asked(door, session, "/login/oidc")
    assert "begun anew" in door.begin(address.removeprefix(door.served.url), session).text()
    assert "uws_session" not in session.cookies


def test_a_code_signs_in_once(door: Entrance) -> None:
    session = requests.Session()
    address = on_the_way_back(door, "1001", session)
    kept = session.cookies["uws_oidc"]
    assert session.get(address, timeout=TIMEOUT_S).status_code == 200
    again = requests.get(address, headers=AS_BROWSER, cookies={"uws_oidc": kept}, timeout=TIMEOUT_S)
    assert again.status_code == 401
    assert "holds for one sign-in" in again.text


@pytest.mark.parametrize("seconds", [300, 601])
def test_a_try_holds_for_ten_minutes(door: Entrance, seconds: int) -> None:
    session = requests.Session()
    address = on_the_way_back(door, "1001", session)
    seal = Fernet(base64.urlsafe_b64encode((door.data / "oidc.key").read_bytes()))
    attempt = seal.decrypt(session.cookies["uws_oidc"].encode())
    aged = seal.encrypt_at_time(attempt, int(time.time()) - seconds).decode()
    back = requests.get(address, headers=AS_BROWSER, cookies={"uws_oidc": aged}, allow_redirects=False, timeout=300)
    assert back.status_code == (303 if seconds < 600 else 401)
    assert ("longer than 10 minutes" in back.text) == (seconds > 600)
    assert json.loads(attempt)["verifier"] not in str(session.cookies), "a browser cannot read it"


def test_a_provider_that_is_down_is_told_and_tokens_go_on(door: Entrance) -> None:
    session = requests.Session()
    address = on_the_way_back(door, "1001", session)
    door.provider.stop()
    back = door.begin(address.removeprefix(door.served.url), session)
    assert back.status == 503
    assert "Observatory login does not answer" in back.text()
    assert back.response.headers["Cache-Control"] == "no-store"
    who = account(door.data, "with-token")
    page = back.send("/login", {"name": who[0], "token": who[1]})
    assert name_of(page) == "with-token"


@pytest.mark.parametrize(("ahead", "status"), [(30, 200), (-30, 200), (150, 401)])
def test_clocks_may_be_a_minute_apart(door: Entrance, ahead: int, status: int) -> None:
    door.provider.start(ahead=ahead)
    page = door.enter("1001")
    door.provider.stop()
    assert page.status == status, page.text()
    assert ("clocks are over 60 s apart" in page.text()) == (status == 401)


def test_new_keys_of_the_provider_are_fetched(door: Entrance) -> None:
    door.provider.key = "second"
    door.provider.start()
    pages = [door.enter("1001")]
    while "did not publish a moment ago" in pages[-1].text():  # they are fetched at most every ten seconds
        assert len(pages) < 100
        time.sleep(0.2)
        pages.append(door.enter("1001"))
    assert name_of(pages[-1]) == "Ann_Ete"


def test_signing_out_leads_to_where_the_provider_does(door: Entrance) -> None:
    page = door.enter("1001", "/login/oidc?next=/account")
    kept = page.session.cookies["uws_session"]
    out = page.send("/logout")
    assert "You are signed out here" in out.text()
    (link,) = out.all("//section[@id='signed-out']//a")
    assert requests.get(link.get("href"), timeout=TIMEOUT_S).status_code == 200
    again = requests.get(f"{door.served.url}/account", headers=AS_BROWSER, cookies={"uws_session": kept}, timeout=300)
    assert again.status_code == 401


def test_a_disabled_account_stays_out(door: Entrance) -> None:
    page = door.enter("1002", "/login/oidc?next=/account")
    name = name_of(page)
    for action, status in (("disable", 403), ("enable", 200)):
        run_command("accounts", action, name, "--data", str(door.data)).check_returncode()
        assert door.begin("/account", page.session).status == (401 if status == 403 else 200)
        assert door.enter("1002").status == status


def test_a_server_without_a_provider_has_no_such_way(tmp_path: Path) -> None:
    with running_server(tmp_path) as served:
        assert requests.get(f"{served.url}/login/oidc", timeout=TIMEOUT_S).status_code == 404
        assert requests.get(f"{served.url}/login/oidc/callback?code=x", timeout=TIMEOUT_S).status_code == 404
        assert "Sign in with" not in requests.get(f"{served.url}/login", timeout=TIMEOUT_S).text


# --- accounts of admins, connected with the provider -------------------------------------------------------


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entrance]:
    """A server for accounts that admins made, and for one group."""
    settings = {"groups_claim": "groups", "entry_groups": "xmm-team", "new_accounts": "false"}
    with entrance(tmp_path_factory.mktemp("closed"), **settings) as made:
        yield made


def with_token(door: Entrance, who: tuple[str, str]) -> Page:
    return door.begin("/login?next=/account").send("/login", {"name": who[0], "token": who[1]})


def test_an_account_is_connected_by_who_has_it(closed: Entrance) -> None:
    stranger = closed.enter("1001")
    assert (stranger.status, "has no account here" in stranger.text()) == (403, True)
    guest = closed.enter("1002")
    assert (guest.status, "in no group that may use this server" in guest.text()) == (403, True)
    page = with_token(closed, account(closed.data, "ann"))
    without = page.session.post(f"{closed.served.url}/account/identities", {}, headers=AS_BROWSER, timeout=TIMEOUT_S)
    assert without.status_code == 403, "a page of another site connects nothing"
    way = page.send("/account/identities")
    (link,) = way.all("//main//a[contains(., 'Go on to')]")
    back = closed.say(Page(page.session, page.session.get(link.get("href"), timeout=TIMEOUT_S)), login="1001")
    assert back.url == f"{closed.served.url}/account"
    assert "Ann Été <ann@x.org>" in back.text()
    assert name_of(closed.enter("1001")) == "ann"
    other = with_token(closed, account(closed.data, "ben"))
    (link,) = other.send("/account/identities").all("//main//a[contains(., 'Go on to')]")
    refused = closed.say(Page(other.session, other.session.get(link.get("href"), timeout=TIMEOUT_S)), login="1001")
    assert (refused.status, "has another account here, ann" in refused.text()) == (409, True)


@pytest.mark.parametrize("path", ["/account/identities", f"/account/identities/{'0' * 16}/remove"])
def test_who_has_no_account_connects_none(closed: Entrance, path: str) -> None:
    page = closed.begin("/login")
    sent = {"_token": token_of(page)}
    answer = page.session.post(f"{closed.served.url}{path}", sent, headers=AS_BROWSER, timeout=TIMEOUT_S)
    assert answer.status_code == 401


def test_nobody_connects_an_account_that_was_signed_out(closed: Entrance) -> None:
    page = with_token(closed, account(closed.data, "cid"))
    (link,) = page.send("/account/identities").all("//main//a[contains(., 'Go on to')]")
    page.send("/logout")
    back = closed.say(Page(page.session, page.session.get(link.get("href"), timeout=TIMEOUT_S)), login="1001")
    assert (back.status, "was signed out meanwhile" in back.text()) == (401, True)


def test_an_identity_is_taken_away_with_what_it_opened(closed: Entrance) -> None:
    who = account(closed.data, "dan")
    closed.provider.people = {**PEOPLE, "1006": {"name": "Dan", "groups": ["xmm-team"]}}
    closed.provider.start()
    page = with_token(closed, who)
    (link,) = page.send("/account/identities").all("//main//a[contains(., 'Go on to')]")
    closed.say(Page(page.session, page.session.get(link.get("href"), timeout=TIMEOUT_S)), login="1006")
    own = with_token(closed, who)
    (form,) = own.all("//form[contains(@action, '/account/identities/')]")
    address = f"{closed.served.url}{form.get('action')}"
    assert own.session.post(address, {}, headers=AS_BROWSER, timeout=TIMEOUT_S).status_code == 403
    eve = with_token(closed, account(closed.data, "eve"))
    foreign = eve.session.post(address, {"_token": token_of(eve)}, headers=AS_BROWSER, timeout=TIMEOUT_S)
    assert foreign.status_code == 404, "one's own only"
    assert "Dan" not in own.send(form.get("action")).text("//section[@aria-labelledby='identities-title']")
    assert closed.begin("/account", page.session).status == 401
    assert closed.enter("1006").status == 403
