"""The pages of accounts without JavaScript: signing in and out, tokens; and how programs are told to sign in."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from accounts import account
from pagereader import AS_BROWSER, Page
from serving import Served, run_command, running_server

CHALLENGE = 'Basic realm="uws-server", charset="UTF-8", Bearer realm="uws-server"'


@dataclass(frozen=True)
class Door:
    """A server for accounts only, with one of them."""

    served: Served
    data: Path
    who: tuple[str, str]

    def visit(self, path: str, session: requests.Session | None = None) -> Page:
        session = session or requests.Session()
        return Page(session, session.get(f"{self.served.url}{path}", headers=AS_BROWSER, timeout=300))

    def command(self, *options: str) -> None:
        """Change accounts as an operator does."""
        done = run_command("accounts", *options, "--data", str(self.data))
        assert done.returncode == 0, done.stderr

    def signed_in(self, path: str = "/login", token: str | None = None) -> Page:
        """The page that the form leads to."""
        return self.visit(path).send("/login", {"name": self.who[0], "token": token or self.who[1]})


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with running_server(tmp_path, anonymous="refused", max_stored="10 MB") as served:
        yield Door(served, tmp_path, account(tmp_path, "ann@x.org", "--role", "xmm", "--max-active", "4"))


FOREIGN = ('theme={"dark": true}', "tags=a b", "x", "=1", "path=/", "a/b=1", 'open="', "listed[0]=1", "caf\xe9=1")
"""Cookies of other servers of the machine, as browsers send them."""


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_cookie_of_another_server_hides_none_of_ours(door: Door, foreign: str) -> None:
    headers = {**AS_BROWSER, "Cookie": f"{foreign}; uws_form={'ab' * 16}"}
    form = requests.get(f"{door.served.url}/login", headers=headers, timeout=300)
    assert "Set-Cookie" in form.headers
    assert f"uws_form={'ab' * 16}" in form.headers["Set-Cookie"]
    token = form.text.partition('name="_token" value="')[2].partition('"')[0]
    sent = {"name": door.who[0], "token": door.who[1], "_token": token, "next": "/account"}
    asked = {"headers": headers, "allow_redirects": False, "timeout": 300}
    signed_in = requests.post(f"{door.served.url}/login", data=sent, **asked)
    assert signed_in.status_code == 303, signed_in.text
    headers["Cookie"] += f"; uws_session={signed_in.cookies['uws_session']}"
    assert requests.get(f"{door.served.url}/account", **asked).headers["X-VO-Authenticated"] == door.who[0]


def test_the_form_signs_in_and_goes_on_to_what_was_asked_for(door: Door) -> None:
    asked = door.visit("/?phase=ERROR")
    assert asked.status == 401
    assert asked.text("//h1") == "Please sign in"
    assert asked.text().startswith("Please sign in This server is for accounts: sign in"), asked.text()
    assert not asked.all("//main//a"), "no way that ends here again"
    assert asked.response.headers["WWW-Authenticate"] == 'Bearer realm="uws-server"', "no window in place of the page"
    page = door.signed_in("/?phase=ERROR")
    assert page.status == 200
    assert page.url == f"{door.served.url}/?phase=ERROR"
    assert "ann@x.org" in page.text("//header")
    cookie = page.response.history[0].headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert door.visit("/login", page.session).url == f"{door.served.url}/", "who is signed in needs no form"
    with sqlite3.connect(door.data / "jobs.sqlite") as database:
        kept = str(database.execute("SELECT * FROM sessions").fetchall())
    assert page.session.cookies["uws_session"] not in kept


@pytest.mark.parametrize("place", ["//evil.org/x", "/\\evil.org", "https://evil.org", "x", "/a b", "/\r\nX: y"])
def test_the_form_goes_on_to_nothing_but_this_server(door: Door, place: str) -> None:
    form = door.visit("/login")
    form.send("/login", {"name": door.who[0], "token": door.who[1], "next": place})
    token = form.all("//input[@name='_token']")[0].get("value")
    sent = {"_token": token, "name": door.who[0], "token": door.who[1], "next": place}
    answer = form.session.post(f"{door.served.url}/login", sent, allow_redirects=False, timeout=300)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def test_a_wrong_token_gets_the_form_again_with_the_reason(door: Door) -> None:
    page = door.signed_in(token="wrong")
    assert page.status == 401
    assert "name and the token do not go together" in page.text()
    assert page.all("//input[@id='sign-in-name']")[0].get("value") == "ann@x.org"
    assert "uws_session" not in page.session.cookies
    assert "wrong" not in page.response.text
    assert page.send("/login", {"token": door.who[1]}).status == 200


def test_a_form_of_nobody_of_ours_signs_nobody_in(door: Door) -> None:
    sent = {"name": door.who[0], "token": door.who[1]}
    answer = requests.post(f"{door.served.url}/login", sent, allow_redirects=False, timeout=300)
    assert answer.status_code == 403
    assert "uws_session" not in answer.cookies


def test_signing_out_ends_the_session_wherever_its_cookie_is(door: Door) -> None:
    page = door.signed_in()
    kept = dict(page.session.cookies)
    assert requests.get(f"{door.served.url}/jobs", cookies=kept, timeout=300).status_code == 200
    assert page.send("/logout").status == 401
    assert "uws_session" not in page.session.cookies
    assert requests.get(f"{door.served.url}/jobs", cookies=kept, timeout=300).status_code == 401


def test_an_account_is_shown_with_what_it_holds(door: Door) -> None:
    upload = {"eventlist": b"SIMPLE  = " + b" " * 1_999_990}
    made = requests.post(
        f"{door.served.url}/rest/spectrum", files=upload, auth=door.who, allow_redirects=False, timeout=300
    )
    assert made.status_code == 303, made.text
    held = door.visit("/account", door.signed_in().session).text("//*[@id='holdings']")
    assert re.search(r"Jobs ?1 Queued or running ?0 of 4 On disk ?2.0 MB of 10.0 MB 20 %", held), held


def test_an_account_that_is_full_says_so_in_the_units_of_the_refusal(door: Door) -> None:
    upload = {"eventlist": b"SIMPLE  = " + b" " * 1_999_990}
    requests.post(f"{door.served.url}/rest/spectrum", files=upload, auth=door.who, timeout=300)
    page = door.signed_in()
    assert not door.visit("/account", page.session).all("//*[@id='full']")
    door.command("change", door.who[0], "--max-stored", "1.5MB")
    full = door.visit("/account", page.session)
    assert "2.0 MB of 1.5 MB" in full.text("//*[@id='holdings']")
    assert "Your space is used up" in full.text("//*[@id='full']")
    refused = requests.post(f"{door.served.url}/rest/dummy", {"text": "x"}, auth=door.who, timeout=300)
    assert refused.status_code == 403
    assert refused.text == "your jobs hold 2.0 MB; 1.5 MB are allowed: delete jobs you no longer need\n"


def test_what_an_admin_changes_holds_at_once_for_a_browser_that_is_signed_in(door: Door) -> None:
    page = door.signed_in("/login")
    name = door.who[0]
    door.command("roles", name, "author", "spectra")
    door.command("change", name, "--admin", "--max-active", "7")
    changed = door.visit("/account", page.session)
    assert changed.text("//*[contains(@class, 'lead')]").startswith("An admin:")
    assert "Roles: author, spectra." in changed.text("//*[contains(@class, 'lead')]")
    door.command("change", name, "--no-admin")
    less = door.visit("/account", page.session)
    assert "admin" not in less.text("//*[contains(@class, 'lead')]")
    assert "0 of 7" in less.text("//*[@id='holdings']")
    door.command("disable", name)
    shut_out = door.visit("/account", page.session)
    assert (shut_out.status, shut_out.text("//h1")) == (401, "Please sign in")
    assert name not in shut_out.response.text
    assert door.signed_in().status == 401, "nor does the form let it in"
    door.command("enable", name)
    assert door.visit("/account", page.session).status == 200


def test_a_session_is_not_that_of_a_later_account_of_the_name(door: Door) -> None:
    page = door.signed_in()
    door.command("remove", door.who[0])
    token = account(door.data, door.who[0])[1]
    assert door.visit("/account", page.session).status == 401
    newcomer = door.visit("/account", door.signed_in(token=token).session)
    assert "Without roles" in newcomer.text("//*[contains(@class, 'lead')]")
    assert len(newcomer.all("//tbody/tr")) == 1, "the tokens of the earlier one went with it"


def test_a_token_is_made_shown_once_and_revoked(door: Door) -> None:
    page = door.visit("/account", door.signed_in().session)
    made = page.send("/account/tokens", {"name": "night runs"})
    token = made.text("//*[@id='new-token']")
    assert made.response.headers["Cache-Control"] == "no-store"
    assert token not in door.visit("/account", page.session).response.text
    job_list = f"{door.served.url}/rest/dummy"
    assert requests.get(job_list, auth=(door.who[0], token), timeout=300).status_code == 200
    by_it = door.signed_in(token=token)
    again = made.send("/account/tokens", {"name": "night runs"})
    assert again.status == 400
    assert "there is a token" in again.text()
    row = made.all("//tr[contains(., 'night runs')]//form")[0]
    gone = made.send(row.action)
    assert "night runs" not in gone.text("//table")
    assert requests.get(job_list, auth=(door.who[0], token), timeout=300).status_code == 401
    assert door.visit("/jobs", by_it.session).status == 401, "a browser that signed in with it is signed out"
    assert requests.get(job_list, auth=door.who, timeout=300).status_code == 200
    assert not gone.all("//form[contains(@action, 'revoke')]"), "the last one stays"


def test_nobody_revokes_the_token_of_another_account(door: Door) -> None:
    other = account(door.data, "bob")
    page = door.visit("/account", door.signed_in().session)
    with sqlite3.connect(door.data / "jobs.sqlite") as database:
        (token_id,) = database.execute("SELECT id FROM tokens WHERE account = 'bob'").fetchone()
    form = page.all("//input[@name='_token']")[0].get("value")
    page.send("/account/tokens", {"name": "second"})
    place = f"{door.served.url}/account/tokens/{token_id}/revoke"
    assert page.session.post(place, {"_token": form}, timeout=300).status_code == 404
    assert requests.get(f"{door.served.url}/rest/dummy", auth=other, timeout=300).status_code == 200


def test_programs_are_told_how_to_sign_in_and_as_whom_they_were_let_in(door: Door) -> None:
    places = f"{door.served.url}/rest/dummy", f"{door.served.url}/capabilities"
    for place, status in zip(places, (401, 200), strict=True):
        nobody = requests.get(place, timeout=300)
        assert nobody.status_code == status
        assert nobody.headers["WWW-Authenticate"] == CHALLENGE
        assert "X-VO-Authenticated" not in nobody.headers
        for header in (f"Bearer {'.'.join(door.who)}", f"bearer {'.'.join(door.who)}"):
            let_in = requests.get(place, headers={"Authorization": header}, timeout=300)
            assert let_in.status_code == 200
            assert let_in.headers["X-VO-Authenticated"] == "ann@x.org"
            assert "WWW-Authenticate" not in let_in.headers
        assert requests.get(place, auth=door.who, timeout=300).headers["X-VO-Authenticated"] == "ann@x.org"
        for header in ("Digest x", "Negotiate abc=", "Bearer ann@x.org.wrong", "Bearer none"):
            refused = requests.get(place, headers={"Authorization": header}, timeout=300)
            if header != "Bearer none":
                assert refused.status_code == 401, header
                assert refused.headers["WWW-Authenticate"] == CHALLENGE


def test_who_signs_in_again_leaves_no_session_behind(door: Door) -> None:
    page = door.signed_in()
    before = {"uws_session": page.session.cookies["uws_session"]}
    place = f"{door.served.url}/account"
    assert requests.get(place, cookies=before, timeout=300).status_code == 200
    form = requests.get(f"{door.served.url}/login", timeout=300)
    token = form.text.partition('name="_token" value="')[2].partition('"')[0]
    sent = {"name": door.who[0], "token": door.who[1], "_token": token}
    cookies = {**before, "uws_form": form.cookies["uws_form"]}
    again = requests.post(f"{door.served.url}/login", data=sent, cookies=cookies, allow_redirects=False, timeout=300)
    assert again.status_code == 303
    assert requests.get(place, cookies=before, timeout=300).status_code == 401
    after = {"uws_session": again.cookies["uws_session"]}
    assert requests.get(place, cookies=after, timeout=300).status_code == 200


def test_what_an_account_sees_is_shared_by_no_cache(door: Door) -> None:
    """A cache between may share what was asked for with a cookie, and keeps files that have a date for a while."""
    page = door.signed_in()
    form = {"text": "mine", "PHASE": "RUN"}
    asked = {"auth": door.who, "timeout": 300}
    job = requests.post(f"{door.served.url}/rest/dummy", form, allow_redirects=False, **asked).headers["Location"]
    while requests.get(f"{job}?WAIT=60", **asked).text.count("COMPLETED") == 0:
        pass
    name = job.rpartition("/")[2]
    places = [
        f"{job}{place}"
        for place in ("", "/phase", "/parameters", "/parameters/text", "/results", "/results/log", "/stdout")
    ]
    places += [f"{door.served.url}/{place}" for place in ("rest/dummy", "rest/dummy?LAST=3", "obscore", "account", "",
               f"jobs/{name}", f"jobs/{name}/all.tar", f"jobs/{name}/state", f"datalink?ID={name}")]  # fmt: skip
    for place in places:
        for ask in (page.session.get, requests.get):
            kept = ask(place, timeout=300).headers["Cache-Control"]
            assert kept in ("private, no-cache", "no-store"), place
    stored = page.session.get(f"{door.served.url}/datalink?ID={name}", timeout=300).text
    log = re.search(rf"{door.served.url}/store/[^<]+", stored)
    assert log is not None
    assert "Cache-Control" not in requests.get(log[0], timeout=300).headers, "its address is the secret"


def test_a_person_is_called_as_the_person_wants(door: Door) -> None:
    page = door.signed_in("/account")
    kept = page.send("/account/person", {"full_name": " Ann  <b>Été</b> ", "email": "ann@x.org"})
    assert kept.url == f"{door.served.url}/account"
    assert kept.all("//input[@name='full_name']")[0].get("value") == "Ann <b>Été</b>"
    assert "<b>Été" not in kept.response.text
    for bad in ({"email": "ann"}, {"email": "a b@x.org"}, {"full_name": "x" * 101}, {"full_name": "a\x00b"}):
        refused = kept.send("/account/person", bad)
        assert refused.status == 400, bad
        assert refused.all("//section[@id='summary']")
    empty = kept.send("/account/person", {"full_name": "", "email": ""})
    assert empty.all("//input[@name='email']")[0].get("value") == ""
    for session in (requests.Session(), page.session):
        answer = session.post(f"{door.served.url}/account/person", {}, headers=AS_BROWSER, timeout=300)
        assert answer.status_code == 403, "only a form of the page"


def test_the_person_of_an_account_is_its_own_and_nobody_s_else(door: Door) -> None:
    nobody = door.visit("/login")
    token = nobody.all("//input[@name='_token']")[0].get("value")
    sent = {"_token": token, "full_name": "x"}
    answer = nobody.session.post(f"{door.served.url}/account/person", sent, headers=AS_BROWSER, timeout=300)
    assert answer.status_code == 401
