"""Sessions in which work is kept, over REST: saved, shared, copied, with their jobs, and what each caller may do."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from accounts import account
from checkout import ROOT
from serving import running_server
from uwsjobs import ENDED, create

Who = tuple[str, str] | None
PAGE = {"Accept": "text/html,application/xhtml+xml"}
CONTENT = {
    "name": "Crab été",
    "source": 'icrs; circle(83.63, 22.01, 40")',
    "background": 'icrs; annulus(83.63, 22.01, 60", 90")',
    "search": "cone('M1', '5arcmin')",
    "exposures": ["0411081601/pn.fits", "0411081601/mos1.fits"],
    "definition": "dummy",
    "parameters": {"text": ["hello"], "seconds": ["0.1"]},
    "note": "first look\nat it",
}


@dataclass(frozen=True)
class House:
    """A server on which what nobody owns has keys, with two accounts and an admin."""

    url: str
    people: dict[str, tuple[str, str]]

    def ask(self, method: str, address: str, who: str = "", **more: Any) -> requests.Response:
        """The answer to a request of somebody, '' for nobody; `address` may be without the server's."""
        url = address if address.startswith("http") else f"{self.url}{address}"
        return requests.request(method, url, auth=self.people.get(who), timeout=300, allow_redirects=False, **more)

    def new(self, who: str = "ann", **content: Any) -> dict[str, Any]:
        """A new session of somebody."""
        answer = self.ask("POST", "/sessions", who, json=content)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        assert answer.headers["Location"] == found["url"]
        return found

    def job(self, session: dict[str, Any], who: str = "ann", **values: str) -> str:
        """The address of a new job that is made for a session."""
        headers = {"X-Session": session["url"].rpartition("/")[2]}
        answer = self.ask("POST", "/rest/dummy", who, data=values, headers=headers)
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"]

    def ended(self, job: str, who: str = "ann") -> str:
        """The phase of a job that has ended; the server holds the request until it has."""
        while (phase := self.ask("GET", f"{job}/phase", who).text) not in ENDED:
            self.ask("GET", job, who, params={"WAIT": "5"})
        return phase

    def shared(self, session: dict[str, Any], who: str = "ann") -> str:
        """The share link of a session."""
        link: str = self.ask("POST", f"{session['url']}/share", who).json()["share"]
        return link


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data = tmp_path_factory.mktemp("sessions")
    with running_server(data, anonymous="unlisted", max_active=3) as served:
        people = {name: account(data, name) for name in ("ann", "bob")}
        yield House(served.url, {**people, "root": account(data, "root", "--admin")})


def test_what_is_sent_comes_back_and_is_listed(house: House) -> None:
    session = house.new(**CONTENT)
    found = house.ask("GET", session["url"], "ann").json()
    assert {name: found[name] for name in CONTENT} == CONTENT
    assert (found["owner"], found["revision"], found["may_change"], found["share"]) == ("ann", 1, True, None)
    (row,) = [row for row in house.ask("GET", "/sessions", "ann").json()["sessions"] if row["id"] == session["id"]]
    assert (row["name"], row["exposures"], row["source"], row["jobs"]) == ("Crab été", 2, CONTENT["source"], {})


def test_a_session_that_is_sent_back_as_it_came_is_saved(house: House) -> None:
    session = house.new(**CONTENT)
    again = house.ask("PUT", session["url"], "ann", json={**session, "note": "second"})
    assert again.status_code == 200, again.text
    assert (again.json()["note"], again.json()["revision"], again.headers["ETag"]) == ("second", 2, '"2"')


def test_put_replaces_all_and_patch_only_what_comes(house: House) -> None:
    session = house.new(**CONTENT)
    patched = house.ask("PATCH", session["url"], "ann", json={"name": "Nebula"}, headers={"If-Match": '"1"'}).json()
    assert (patched["name"], patched["exposures"]) == ("Nebula", CONTENT["exposures"])
    put = house.ask("PUT", session["url"], "ann", json={"name": "Bare", "revision": 2}).json()
    assert (put["name"], put["exposures"], put["parameters"], put["source"]) == ("Bare", [], {}, "")


def test_who_saves_an_outdated_one_is_refused_and_nothing_is_lost(house: House) -> None:
    session = house.new(note="as it was")
    assert house.ask("PATCH", session["url"], "ann", json={"revision": 1, "note": "mine"}).status_code == 200
    for method in ("PATCH", "PUT"):
        late = house.ask(method, session["url"], "root", json={"revision": 1, "note": "theirs"})
        assert late.status_code == 409
        assert "was saved meanwhile: it is of revision 2, 1 came" in late.json()["error"]
    assert house.ask("GET", session["url"], "ann").json()["note"] == "mine"


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"nmae": "Crab"}, "nmae: a session has no such field; there are name, source"),
        ({"name": 7}, "name: a number came; a text is allowed"),
        ({"name": "x" * 201}, "name: 201 characters came; 200 are allowed"),
        ({"note": "a\x00b"}, "note: the character U+0000 came"),
        ({"exposures": "pn.fits"}, "exposures: a text came; a list of the sources of exposures is allowed"),
        ({"exposures": [["pn.fits"]]}, "exposures: a list came as exposure; a text is allowed"),
        ({"exposures": [f"{number}.fits" for number in range(10_001)]}, "10,001 exposures came; 10,000 are allowed"),
        ({"parameters": ["x"]}, "parameters: a list came; an object with a text"),
        ({"parameters": {"emin": 0.5}}, "parameters: a number came as value of 'emin'; a text is allowed"),
        ({"source": "x" * 500_001}, "source: 500,001 characters came; 500,000 are allowed"),
        (["name"], "the body: a JSON object is expected"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_a_sentence(house: House, sent: Any, said: str) -> None:
    answer = house.ask("POST", "/sessions", "ann", json=sent)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_a_change_without_a_revision_or_in_no_json_is_refused(house: House) -> None:
    session = house.new()
    for sent, said in (({"json": {"note": "x"}}, "revision: nothing came"),
                       ({"json": {"revision": True}}, "revision: True came"),
                       ({"data": b"{", "headers": {"Content-Type": "application/json"}}, "the body: ")):  # fmt: skip
        answer = house.ask("PATCH", session["url"], "ann", **sent)
        assert (answer.status_code, answer.json()["error"][: len(said)]) == (400, said)
    assert house.ask("GET", session["url"], "ann").json()["revision"] == 1


def test_each_caller_may_do_what_is_due(house: House) -> None:
    session = house.new(**CONTENT)
    job = house.job(session, PHASE="RUN")
    link, job_id = house.shared(session), job[-32:]
    reads = [("GET", "", None), ("GET", "/state", None)]
    changes = [("PATCH", "", {"revision": 1}), ("PUT", "", {"revision": 1}), ("POST", "/jobs", {"job": job_id}),
               ("DELETE", f"/jobs/{job_id}", None), ("POST", "/share", None), ("DELETE", "/share", None),
               ("DELETE", "", None)]  # fmt: skip

    def statuses(address: str, who: str, asked: list[Any]) -> set[int]:
        return {house.ask(method, address + path, who, json=sent).status_code for method, path, sent in asked}

    assert statuses(session["url"], "bob", reads + changes) == {403}
    assert statuses(session["url"], "", reads + changes) == {401}
    for who in ("bob", ""):
        assert statuses(link, who, reads) == {200}
        assert statuses(link, who, changes) == {403}
        assert house.ask("POST", f"{link}/copy", who).status_code == 201
    assert statuses(session["url"], "root", reads) == {200}
    assert house.ask("PATCH", session["url"], "root", json={"revision": 1, "note": "by the admin"}).status_code == 200
    assert house.ask("DELETE", f"{session['url']}/share", "ann").status_code == 204
    for who in ("bob", ""):
        assert statuses(link, who, reads + changes) == {404}
    assert house.ask("GET", link, "ann").status_code == 200, "the owner sees the own session by whatever address"
    assert house.ask("DELETE", session["url"], "ann").status_code == 204
    assert house.ask("GET", session["url"], "ann").status_code == 404
    assert house.ask("GET", job, "ann").status_code == 200, "its job stays"


def test_a_share_link_that_was_changed_opens_nothing(house: House) -> None:
    link = house.shared(house.new(**CONTENT))
    last = "0" if link[-1] != "0" else "1"
    other = house.new()
    wrong = {
        link[:-1] + last: "this link shows no session: its owner revoked it, or it was changed on its way",
        link[:-1]: "this link shows no session",
        f"{other['url']}-{link[-32:]}": "this link shows no session",
        f"{house.url}/sessions/{'0' * 32}-{link[-32:]}": "no session",
        f"{house.url}/sessions/crab": "no session 'crab'",
    }
    for address, said in wrong.items():
        answer = house.ask("GET", address)
        assert answer.status_code == 404, address
        assert said in answer.json()["error"]
        page = house.ask("GET", address, headers=PAGE)
        assert (page.status_code, page.headers["Content-Type"]) == (404, "text/html; charset=UTF-8")


def test_the_share_link_opens_the_jobs_of_the_session_and_no_others(house: House) -> None:
    session = house.new(**CONTENT)
    job, other = house.job(session, PHASE="RUN", text="of the session"), house.ask("POST", "/rest/dummy", "ann")
    assert house.ended(job) == "COMPLETED"
    link = house.shared(session)
    (seen,) = house.ask("GET", link).json()["jobs"]
    assert seen["phase"] == "COMPLETED"
    share = {"share": link.rpartition("/")[2]}
    assert house.ask("GET", f"{job}/results/result", params=share).text == "of the session\n"
    assert "of the session" in house.ask("GET", seen["page"], headers=PAGE).text
    for address in (f"{house.url}/jobs/{job[-32:]}/state", f"{house.url}/jobs/{job[-32:]}/all.zip", f"{job}/phase"):
        assert house.ask("GET", address, params=share).status_code == 200
        assert house.ask("GET", address).status_code == 401
    assert house.ask("GET", other.headers["Location"], params=share).status_code == 401
    for changed in ({"PHASE": "ABORT"}, {"ACTION": "DELETE"}, {"text": "mine"}):
        assert house.ask("POST", job, params=share, data=changed).status_code == 403
    page = house.ask("GET", link, headers=PAGE).text
    assert f"/jobs/{job[-32:]}?share={share['share']}" in page
    assert "Remove" not in page and 'id="save"' not in page
    house.ask("DELETE", f"{session['url']}/jobs/{job[-32:]}", "ann")
    assert house.ask("GET", job, params=share).status_code == 401, "it is no job of the session any more"


def test_a_copy_shows_the_jobs_until_the_link_is_revoked(house: House) -> None:
    session = house.new(**CONTENT)
    job = house.job(session, text="a", PHASE="RUN")
    link = house.shared(session)
    copy = house.ask("POST", f"{link}/copy", "bob").json()
    assert (copy["name"], copy["owner"], copy["source"]) == ("Copy of Crab été", "bob", CONTENT["source"])
    (seen,) = copy["jobs"]
    assert house.ask("GET", seen["page"], "bob", headers=PAGE).status_code == 200
    assert house.ask("POST", seen["url"], "bob", data={"PHASE": "ABORT"}).status_code == 403
    link_of_copy = house.shared(copy, "bob")
    (third,) = house.ask("POST", f"{link_of_copy}/copy", "").json()["jobs"]
    assert house.ask("GET", third["url"]).status_code == 200
    assert "another account" in house.ask("POST", f"{copy['url']}/jobs", "bob", json={"job": job}).json()["error"]
    house.ask("DELETE", f"{session['url']}/share", "ann")
    assert house.ask("GET", copy["url"], "bob").json()["jobs"] == [{"id": job[-32:], "seen": "closed"}]
    assert house.ask("GET", link_of_copy).json()["jobs"] == [{"id": job[-32:], "seen": "closed"}]
    assert house.ask("GET", seen["url"], "bob").status_code == 403
    assert "Not shown: its owner has revoked" in house.ask("GET", copy["url"], "bob", headers=PAGE).text


def test_a_deleted_job_is_shown_as_deleted(house: House) -> None:
    session = house.new()
    jobs = [house.job(session), house.job(session)]
    assert house.ask("DELETE", jobs[0], "ann").status_code == 303
    found = house.ask("GET", session["url"], "ann").json()["jobs"]
    assert [(one["id"], one["seen"]) for one in found] == [(jobs[0][-32:], "deleted"), (jobs[1][-32:], "open")]
    page = house.ask("GET", session["url"], "ann", headers=PAGE)
    assert page.status_code == 200
    assert "Deleted: it is no longer there" in page.text
    copied = house.ask("POST", f"{session['url']}/copy", "ann").json()["jobs"]
    assert [one["id"] for one in copied] == [jobs[1][-32:]]
    assert house.ask("GET", f"{session['url']}/products.zip", "ann").status_code == 404


def test_a_job_is_made_for_a_session_or_not_at_all(house: House) -> None:
    session, foreign = house.new(), house.new("bob")
    before = house.ask("GET", "/rest/dummy", "ann").text.count("<uws:jobref")
    for address, status in ((foreign["id"], 403), ("0" * 32, 404)):
        answer = house.ask("POST", "/rest/dummy", "ann", headers={"X-Session": address})
        assert answer.status_code == status, answer.text
    assert house.ask("GET", "/rest/dummy", "ann").text.count("<uws:jobref") == before
    sync = house.ask("POST", "/rest/dummy/sync", "ann", headers={"X-Session": session["id"]})
    assert sync.status_code == 303
    loose = house.ask("POST", "/rest/dummy", "ann").headers["Location"]
    for named in (loose, loose[-32:], f"{house.url}/jobs/{loose[-32:]}?results=0"):
        found = house.ask("POST", f"{session['url']}/jobs", "ann", json={"job": named}).json()
        assert [one["id"] for one in found["jobs"]][1:] == [loose[-32:]]
    refused = house.ask("POST", f"{session['url']}/jobs", "ann", json={"job": "the last one"})
    assert (refused.status_code, refused.json()["error"][:24]) == (400, "job: 'the last one' came")


def test_nobody_has_a_session_by_its_key(house: House) -> None:
    session = house.new("", name="of nobody")
    assert session["owner"] is None
    assert session["url"] != f"{house.url}/sessions/{session['id']}"
    assert house.ask("GET", f"/sessions/{session['id']}").status_code == 403
    assert house.ask("GET", "/sessions").json()["sessions"] == []
    job = house.job(session, "")
    bare = job[: -len("-0123456789abcdef0123456789abcdef")]
    assert house.ask("GET", bare).status_code == 403
    (seen,) = house.ask("GET", session["url"]).json()["jobs"]
    assert seen["url"] == job, "who has the session has its jobs"
    link = house.shared(session, "")
    (shown,) = house.ask("GET", link, "bob").json()["jobs"]
    assert shown["url"] != job
    assert house.ask("GET", shown["url"], "bob").status_code == 200
    assert house.ask("POST", shown["url"], "bob", data={"PHASE": "ABORT"}).status_code == 403
    assert house.ask("PATCH", session["url"], json={"revision": 1, "note": "by key"}).status_code == 200


def test_a_browser_remembers_what_its_script_made(house: House) -> None:
    browser = requests.Session()
    made = browser.post(f"{house.url}/sessions", json={"name": "by a script"}, timeout=300).json()
    assert [one["url"] for one in browser.get(f"{house.url}/sessions", timeout=300).json()["sessions"]] == [made["url"]]
    assert requests.get(f"{house.url}/sessions", timeout=300).json()["sessions"] == []


def test_all_products_come_as_one_archive(house: House) -> None:
    session = house.new()
    jobs = [house.job(session, text=text, PHASE="RUN") for text in ("one", "two")]
    assert {house.ended(job) for job in jobs} == {"COMPLETED"}
    link = house.shared(session)
    answer = house.ask("GET", f"{link}/products.zip")
    assert answer.headers["Content-Length"] == str(len(answer.content))
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        texts = {name: archive.read(name) for name in archive.namelist() if name.endswith("result.txt")}
    folders = [f"session-{session['id'][:8]}/dummy-{job[-32:][:8]}/result.txt" for job in jobs]
    assert texts == dict(zip(folders, (b"one\n", b"two\n"), strict=True))


def test_curl_gets_json_and_a_browser_the_page(house: House, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl")
    name, token = house.people["ann"]
    command = ["curl", "-s", "-u", f"{name}:{token}", f"{house.url}/sessions"]
    made = subprocess.run([*command, "-d", "name=By curl", "-d", "exposure=a.fits", "-d", "exposure=b.fits"],
                          capture_output=True, check=True, timeout=300)  # fmt: skip
    assert b'"exposures": ["a.fits", "b.fits"]' in made.stdout
    listed = subprocess.run(command, capture_output=True, check=True, timeout=300)
    assert b'"name": "By curl"' in listed.stdout
    page = house.ask("GET", "/sessions", "ann", headers=PAGE)
    assert "By curl" in page.text and page.headers["Vary"] == "Accept"


def test_the_recipes_of_the_page_work(tmp_path: Path) -> None:
    if shutil.which("curl") is None or shutil.which("jq") is None:
        pytest.skip("no curl or no jq")
    page = (ROOT / "docs" / "sessions.md").read_text(encoding="utf-8")
    (shell,), (python,) = (re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL) for kind in ("sh", "python"))
    with running_server(tmp_path) as served:
        told = []
        for command in (["bash", "-ec", shell], [sys.executable, "-c", python]):
            command[-1] = command[-1].replace("http://127.0.0.1:8080", served.url)
            told.append(subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout)
        assert f"dummy {served.url}/rest/dummy/" in told[0]
        (link,) = re.findall(rf'"share": "({served.url}/sessions/[0-9a-f]{{32}}-[0-9a-f]{{32}})"', told[0])
        assert requests.get(link, timeout=300).json()["note"] == "first look"
        assert told[1] == "200 2\n"


def test_a_refusing_server_still_opens_share_links(tmp_path: Path) -> None:
    with running_server(tmp_path, anonymous="refused") as served:
        house = House(served.url, {"ann": account(tmp_path, "ann")})
        assert house.ask("POST", "/sessions").status_code == 401
        assert house.ask("GET", "/sessions").status_code == 401
        session = house.new(**CONTENT)
        job = house.job(session)
        link = house.shared(session)
        assert house.ask("GET", link).status_code == 200
        assert house.ask("GET", job, params={"share": link.rpartition("/")[2]}).status_code == 200
        assert house.ask("POST", f"{link}/copy").status_code == 401
        assert "Sign in</a> to copy it" in house.ask("GET", link, headers=PAGE).text


def test_everybody_shares_what_nobody_owns_where_jobs_are_listed(tmp_path: Path) -> None:
    with running_server(tmp_path) as served:
        house = House(served.url, {"ann": account(tmp_path, "ann")})
        session = house.new("", name="everybody's")
        create(served.url)
        assert session["url"].endswith(session["id"])
        listed = house.ask("GET", "/sessions", "ann").json()["sessions"]
        assert [one["name"] for one in listed] == ["everybody's"]
        assert house.ask("PATCH", session["url"], "ann", json={"revision": 1, "note": "hers"}).status_code == 200
