"""The pages of admins about accounts, roles, definitions, announcements, without JavaScript: who may do what there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from lxml import etree

import uwsjobs
from accounts import account
from joblab import Remote
from pagereader import AS_BROWSER, TIMEOUT_S, Page, token_of
from serving import Served, running_server

PAGES = ("/admin/accounts", "/admin/accounts/bob", "/admin/roles", "/admin/definitions", "/admin/announcements",
         "/admin/changes")  # fmt: skip
FORMS = (
    "/admin/accounts", "/admin/accounts/bob", "/admin/accounts/bob/admin", "/admin/accounts/bob/no-admin",
    "/admin/accounts/bob/disable", "/admin/accounts/bob/enable", "/admin/accounts/bob/token",
    "/admin/definitions/wanted/accept", "/admin/definitions/wanted/refuse", "/admin/definitions/wanted/try",
    "/admin/announcements", f"/admin/announcements/{'0' * 16}/remove",
)  # fmt: skip


@dataclass
class Office:
    """A server with an admin and another account; some of its definitions ask for roles."""

    served: Served
    data: Path
    people: dict[str, requests.Session] = field(default_factory=dict)

    def person(self, name: str, *options: str) -> requests.Session:
        """Somebody who sends name and token with each request, with a new account the first time."""
        if name not in self.people:
            self.people[name] = requests.Session()
            self.people[name].auth = account(self.data, name, *options)
        return self.people[name]

    def visit(self, path: str, who: requests.Session | None = None) -> Page:
        session = who or requests.Session()
        return Page(session, session.get(f"{self.served.url}{path}", headers=AS_BROWSER, timeout=TIMEOUT_S))

    def root(self, path: str) -> Page:
        return self.visit(path, self.person("root", "--admin"))


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    uwsjobs.define(folder / "definitions", "open", "echo made > results/out.txt")
    uwsjobs.define(folder / "definitions", "narrow", "exit 0", roles=["xmm"])
    with running_server(folder / "data", definitions=folder / "definitions", max_stored="10 MB") as served:
        made = Office(served, folder / "data")
        made.person("root", "--admin")
        made.person("bob")
        yield made


def rows(page: Page, section: str) -> list[str]:
    return [_words(row) for row in page.all(f"//*[@id='{section}']//tbody/tr")]


def notes(office: Office) -> list[str]:
    document = etree.fromstring(requests.get(f"{office.served.url}/availability", timeout=TIMEOUT_S).content)
    return [str(note.text) for note in document.iterfind("{*}note")]


# --- rights ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_for_admins(office: Office, path: str) -> None:
    assert office.visit(path).status == 401
    assert office.visit(path, office.person("bob")).status == 403
    page = office.root(path)
    assert page.status == 200
    assert len(page.all("//nav[@aria-label='Admin']//a[@aria-current='page']")) == 1


@pytest.mark.parametrize("path", FORMS)
def test_a_form_is_for_admins_and_of_our_pages(office: Office, path: str) -> None:
    for session, status in ((requests.Session(), 401), (office.person("bob"), 403)):
        sent = {"_token": token_of(office.visit("/new/open", session))}
        answer = session.post(f"{office.served.url}{path}", sent, headers=AS_BROWSER, timeout=TIMEOUT_S)
        assert answer.status_code == status, path
    root = office.person("root")
    answer = root.post(f"{office.served.url}{path}", {}, headers=AS_BROWSER, timeout=TIMEOUT_S)
    assert (answer.status_code, "was not sent from a page" in answer.text) == (403, True)
    assert "bob" in " ".join(rows(office.root("/admin/accounts?q=bob"), "accounts"))


# --- accounts ----------------------------------------------------------------------------------------------


def test_an_account_is_made_and_its_token_shown_once(office: Office) -> None:
    sent = {"name": "carl@x.org", "roles": "xmm, author", "max_stored": "5 GB", "max_active": "3"}
    page = office.root("/admin/accounts").send("/admin/accounts", sent)
    assert page.status == 200
    token = page.text("//*[@id='new-token']")
    assert page.response.headers["Cache-Control"] == "no-store"
    assert token not in office.root("/admin/accounts/carl@x.org").response.text
    carl = requests.Session()
    carl.auth = ("carl@x.org", token)
    own = office.visit("/account", carl).text()
    assert "Roles: author, xmm" in own
    assert "0 of 3" in own
    assert "0 bytes of 5.0 GB" in own
    (row,) = rows(office.root("/admin/accounts?q=CARL"), "accounts")
    assert re.fullmatch(r"carl@x.org author, xmm 0 0 bytes of 5.0 GB \d{4}-.*", row), row


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({"name": "a b"}, "is not 1 to 64 letters"), ({"name": "bob"}, "there is an account 'bob' already"),
        ({"name": "new", "roles": "Xmm"}, "is not a small letter"), ({"name": "new", "roles": "admin"}, "is no role"),
        ({"name": "new", "max_stored": "much"}, "space on disk: 'much'"),
        ({"name": "new", "max_active": "-1"}, "active jobs: '-1'"),
    ],
)  # fmt: skip
def test_what_is_no_account_is_told_and_what_was_typed_stays(office: Office, sent: dict[str, str], reason: str) -> None:
    page = office.root("/admin/accounts").send("/admin/accounts", sent)
    assert page.status in (400, 409)
    assert reason in page.text("//section[@id='summary']").replace("There is", "there is")
    for name, text in sent.items():
        assert page.field(name).get("value") == text
    assert office.root("/admin/accounts/new").status == 404


def test_the_list_has_pages_and_is_searched(office: Office) -> None:
    from uws_server.services.accounts import Accounts
    from uws_server.storage.accounts import AccountStore
    from uws_server.storage.jobstore import JobStore

    store = JobStore(f"sqlite:///{office.data / 'jobs.sqlite'}")
    made = Accounts(AccountStore(store.engine))
    for number in range(60):
        made.create(f"list-{number:02}")
    made.change("list-07", full_name="Zoë % Under_score")
    store.close()
    first = office.root("/admin/accounts?q=list-")
    assert len(rows(first, "accounts")) == 50
    (further,) = first.all("//a[@rel='next']")
    second = office.root(further.get("href"))
    assert [row.split()[0] for row in rows(second, "accounts")] == [f"list-{number}" for number in range(50, 60)]
    assert not second.all("//a[@rel='next']")
    for text in ("zoë", "% under", "under_s"):
        assert [row.split()[0] for row in rows(office.root(f"/admin/accounts?q={text}"), "accounts")] == ["list-07"]
    assert rows(office.root("/admin/accounts?q=%25%25"), "accounts") == [], "no pattern, a text"
    assert office.root("/admin/accounts?page=x").status == 404
    assert office.root("/admin/accounts?page=999999").status == 200


def test_roles_and_limits_hold_at_once(office: Office) -> None:
    dora = office.person("dora")
    job = {"PHASE": "RUN"}
    assert dora.post(f"{office.served.url}/rest/narrow", job, timeout=TIMEOUT_S).status_code == 403
    page = office.root("/admin/accounts/dora").send("/admin/accounts/dora", {"roles": "xmm", "max_stored": "1"})
    assert "The account is changed" in page.text()
    ran = dora.post(f"{office.served.url}/rest/narrow", job, timeout=TIMEOUT_S)
    assert ran.status_code == 200, ran.text
    assert "1 byte" in office.visit("/account", dora).text()
    bad = office.root("/admin/accounts/dora").send("/admin/accounts/dora", {"roles": "author", "max_running": "x"})
    assert bad.status == 400
    assert "Role: xmm" in office.visit("/account", dora).text(), "nothing of what was sent holds"
    back = office.root("/admin/accounts/dora").send("/admin/accounts/dora", {"roles": "", "max_stored": ""})
    assert "10.0 MB" in back.text("//dl")


def test_an_account_is_kept_out_and_let_in(office: Office) -> None:
    emil = office.person("emil")
    assert office.visit("/account", emil).status == 200
    office.root("/admin/accounts/emil").send("/admin/accounts/emil/disable")
    assert office.visit("/account", emil).status == 401
    page = office.root("/admin/accounts/emil").send("/admin/accounts/emil/enable")
    assert office.visit("/account", emil).status == 200
    new = page.send("/admin/accounts/emil/token")
    assert office.visit("/account", emil).status == 401, "the token of before is void"
    emil.auth = ("emil", new.text("//*[@id='new-token']"))
    assert office.visit("/account", emil).status == 200


def test_the_last_admin_stays_one(office: Office) -> None:
    page = office.root("/admin/accounts/root")
    for action in ("no-admin", "disable"):
        refused = page.send(f"/admin/accounts/root/{action}")
        assert refused.status == 409
        assert "is the last admin who is let in" in refused.text()
    assert office.root("/admin").status == 200
    fay = office.person("fay")
    office.root("/admin/accounts/fay").send("/admin/accounts/fay/admin")
    assert office.visit("/admin", fay).status == 200
    assert page.send("/admin/accounts/root/no-admin").status == 403, "now another one is there: the right is gone"
    office.visit("/admin/accounts/root", fay).send("/admin/accounts/root/admin")
    office.root("/admin/accounts/fay").send("/admin/accounts/fay/disable")
    assert office.root("/admin/accounts/root").send("/admin/accounts/root/no-admin").status == 409, "fay is kept out"


def test_what_was_done_is_noted_with_who_did_it(office: Office) -> None:
    gus = office.person("gus", "--admin")
    office.person("hal")
    office.visit("/admin/accounts/hal", gus).send("/admin/accounts/hal", {"roles": "xmm", "max_active": "0"})
    office.visit("/admin/accounts/hal", gus).send("/admin/accounts/hal/disable")
    said = [row.split(" ", 2)[2] for row in rows(office.root("/admin/accounts/hal"), "changes")]
    assert said == ["gus disabled", "gus roles: xmm; active jobs: any number", "server made, with the roles: none"]
    newest = office.root("/admin/changes").all("//tbody/tr")[0]
    assert _words(newest).endswith("gus hal disabled")
    office.root("/admin/accounts/gus").send("/admin/accounts/gus/no-admin")


def test_roles_are_listed_with_what_asks_for_them_and_who_has_them(office: Office) -> None:
    office.person("ida", "--role", "xmm", "--role", "rosat")
    found = {str(row.split()[0]): row for row in map(_words, office.root("/admin/roles").all("//tbody/tr"))}
    assert "narrow" in found["xmm"]
    assert "ida" in found["xmm"]
    assert "no definition" in found["rosat"]
    assert "writing definitions" in found["author"]


def _words(element: etree._Element) -> str:
    """The words of an element, those of the cells of a row apart."""
    parts = element.xpath("./td|./th") or [element]
    return " ".join(" ".join("".join(part.itertext()).split()) for part in parts)


# --- definitions -------------------------------------------------------------------------------------------


def draft(office: Office, author: requests.Session, name: str) -> Page:
    """A draft of the live definition, changed, with validation requested."""
    form = office.visit(f"/definitions/{name}", author).send("/draft")
    sent = {"version": "2.0", "script": "echo new > results/out.txt\n", "_why.request": "It was wrong."}
    return form.send("/edit", {**sent, "_do": "request"})


def test_a_draft_is_looked_at_tried_and_made_live(office: Office) -> None:
    jon = office.person("jon", "--role", "author")
    assert draft(office, jon, "open").status == 200
    page = office.root("/admin/definitions")
    shown = page.text("//section[@class='waiting']")
    assert "jon asked on" in shown
    assert "It was wrong." in shown
    assert "+echo new > results/out.txt" in shown
    assert "-echo made > results/out.txt" in shown
    assert "Not tried as it is now" in shown
    tried = page.send("/admin/definitions/open/try")
    (link,) = tried.all("//section[@class='waiting']//a[contains(@href, '/jobs/')]")
    job = f"{office.served.url}/rest/open/{link.get('href').rpartition('/')[2]}"
    assert Remote(job, office.person("root")).ended() == "COMPLETED"
    refused = tried.send("/admin/definitions/open/refuse", {"why": " "})
    assert refused.status == 400
    assert "why" in refused.text("//section[@id='summary']").lower()
    back = refused.send("/admin/definitions/open/refuse", {"why": "Say what was wrong."})
    assert "went back to its author" in back.text()
    assert "Say what was wrong." in office.visit("/definitions/open/edit", jon).text()
    again = office.visit("/definitions/open/edit", jon)
    again.send("/edit", {"_do": "request", "_why.request": "x"})
    live = office.root("/admin/definitions").send("/admin/definitions/open/accept", {"why": "Good."})
    assert "open is live" in live.text()
    assert "2.0" in office.visit("/definitions/open").text()
    assert "No draft waits" in office.root("/admin/definitions").text()


def test_a_draft_that_changed_since_the_page_was_opened_is_not_made_live(office: Office) -> None:
    kim = office.person("kim", "--role", "author")
    draft(office, kim, "narrow")
    page = office.root("/admin/definitions")
    editor = office.visit("/definitions/narrow/edit", kim).send("/edit", {"_do": "withdraw"})
    editor.send("/edit", {"script": "rm -rf /\n", "_do": "request"})
    late = page.send("/admin/definitions/narrow/accept", {"why": "Good."})
    assert late.status == 409
    assert "narrow · version 1 " in office.visit("/definitions/narrow", kim).text()


# --- announcements -----------------------------------------------------------------------------------------


def announced(page: Page) -> list[str]:
    return [_words(one).removesuffix(" Put away: " + _words(one.find("p"))) for one in
            page.all("//div[@role='status']/div")]  # fmt: skip


def test_everybody_reads_an_announcement_until_it_is_put_away_or_removed(office: Office) -> None:
    text = 'Down at <script>alert(1)</script> "six" & seven'
    page = office.root("/admin/announcements").send("/admin/announcements", {"text": f"  {text}\n"})
    assert "<script>alert" not in page.response.text
    assert notes(office) == [text]
    for path in ("/", "/login", "/help", "/nothing", "/definitions"):
        assert announced(office.visit(path)) == [text], path
    reader = office.visit("/definitions?said=x", requests.Session())
    other = office.visit("/definitions")
    away = reader.send("/put-away")
    assert away.url == f"{office.served.url}/definitions?said=x"
    assert announced(away) == []
    assert announced(office.visit("/", reader.session)) == []
    assert announced(office.visit("/", other.session)) == [text], "for one browser only"
    office.root("/admin/announcements").send("/remove")
    assert announced(office.visit("/")) == []
    assert notes(office) == []
    said = [_words(row) for row in office.root("/admin/changes").all("//tbody/tr")[:2]]
    assert f"announced no longer: {text}" in said[0]


def test_an_announcement_holds_from_one_time_to_another(office: Office) -> None:
    now = datetime.now(UTC)
    times = {"to come": (2, 3), "shown now": (-1, 1)}
    for text, (first, last) in times.items():
        sent = {"text": text, "starts": f"{now + timedelta(hours=first):%Y-%m-%d %H:%M}",
                "ends": f"{now + timedelta(hours=last):%Y-%m-%dT%H:%M:%SZ}"}  # fmt: skip
        page = office.root("/admin/announcements").send("/admin/announcements", sent)
        assert page.status == 200, page.text()
    assert announced(page) == ["shown now"]
    assert sorted(row.split(" 20")[0] for row in rows(page, "entries")) == ["shown now shown now", "to come to come"]
    for _ in times:
        office.root("/admin/announcements").send("/remove")


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({"text": " "}, "0 characters came"), ({"text": "x" * 501}, "501 characters came"),
        ({"text": "a", "starts": "tomorrow"}, "from: 'tomorrow' is not a time"),
        ({"text": "a", "ends": "2001-01-01"}, "until: a time after the beginning"),
        ({"text": "a", "starts": "2101-01-02", "ends": "2101-01-01"}, "until: a time after the beginning"),
    ],
)  # fmt: skip
def test_what_is_no_announcement_is_told(office: Office, sent: dict[str, str], reason: str) -> None:
    page = office.root("/admin/announcements").send("/admin/announcements", sent)
    assert page.status == 400
    assert reason in page.text("//section[@id='summary']")
    assert announced(page) == []


def test_a_cookie_of_somebody_hides_nothing_else(office: Office) -> None:
    office.root("/admin/announcements").send("/admin/announcements", {"text": "kept"})
    for cookie in ("x" * 5000, "..", "é", "0" * 16):
        headers = {**AS_BROWSER, "Cookie": f"uws_seen={cookie}".encode()}
        answer = requests.get(f"{office.served.url}/help", headers=headers, timeout=TIMEOUT_S)
        assert "kept" in answer.text
    sent = office.visit("/").send("/put-away", {"next": "//evil.org"})
    assert sent.url == f"{office.served.url}/"
    office.root("/admin/announcements").send("/remove")
