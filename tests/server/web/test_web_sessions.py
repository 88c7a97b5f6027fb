"""The pages of sessions in which work is kept, without JavaScript, and keeping in an account what was made without."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from accounts import account
from serving import running_server

PAGE = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9"}


class Browser:
    """A browser without JavaScript: cookies, pages, forms with their tokens."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers.update(PAGE)

    def get(self, address: str, status: int = 200) -> str:
        """The text of a page."""
        answer = self.session.get(self.whole(address), timeout=300)
        assert answer.status_code == status, answer.text
        self.at = answer.url
        return answer.text

    def send(self, address: str, status: int = 200, **fields: str) -> str:
        """The text of the page that a form leads to."""
        page = self.session.get(self.url + "/sessions", timeout=300).text
        (token, *_) = re.findall(r'name="_token" value="([0-9a-f]+)"', page)
        answer = self.session.post(self.whole(address), data={"_token": token, **fields}, timeout=300)
        assert answer.status_code == status, answer.text
        self.at = answer.url
        return answer.text

    def sign_in(self, who: tuple[str, str]) -> None:
        """Sign in with name and token."""
        self.send("/login", name=who[0], token=who[1], next="/")

    def whole(self, address: str) -> str:
        """The whole address of one on this server."""
        return address if address.startswith("http") else self.url + address


@dataclass(frozen=True)
class House:
    """A server on which what nobody owns has keys, and its accounts."""

    url: str
    ann: tuple[str, str]
    tight: tuple[str, str]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data = tmp_path_factory.mktemp("sessions")
    with running_server(data, anonymous="unlisted", max_running=1) as served:
        yield House(served.url, account(data, "ann"), account(data, "tight", "--max-active", "1"))


@pytest.fixture
def ann(house: House) -> Browser:
    browser = Browser(house.url)
    browser.sign_in(house.ann)
    return browser


def values_of(page: str) -> dict[str, str]:
    """The fields of the form that saves a session, as a browser would send them."""
    (form,) = re.findall(r'<form class="job" id="save".*?</form>', page, re.DOTALL)
    fields = re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', form)
    fields += re.findall(r'<textarea[^>]*name="([^"]+)"[^>]*>\n(.*?)</textarea>', form, re.DOTALL)
    return {name: html.unescape(value) for name, value in fields if name != "_token"}


def test_a_session_is_made_saved_and_found_by_forms(ann: Browser) -> None:
    page = ann.send("/sessions", name="By hand")
    assert "<h1>By hand</h1>" in page
    place = ann.at
    fields = values_of(page)
    fields |= {"source": 'icrs; circle(83.63, 22.01, 40")', "exposures": "a/pn.fits\r\n\r\n b.fits ", "note": "<b>&"}
    saved = ann.send(place, **fields)
    kept = values_of(saved)
    assert (kept["exposures"], kept["note"], kept["revision"]) == ("a/pn.fits\nb.fits", "<b>&", "2")
    listed = ann.get("/sessions")
    assert "By hand" in listed
    assert "circle(83.63, 22.01, 40&quot;)" in listed


def test_what_was_saved_elsewhere_is_not_overwritten_unseen(ann: Browser) -> None:
    page = ann.send("/sessions", name="Twice")
    place, fields = ann.at, values_of(page)
    ann.send(place, **{**fields, "note": "one"})
    late = ann.send(place, 409, **{**fields, "note": "mine, written for an hour"})
    assert "It was saved elsewhere meanwhile" in html.unescape(late)
    again = values_of(late)
    assert (again["note"], again["revision"]) == ("mine, written for an hour", "2")
    assert values_of(ann.send(place, **again))["note"] == "mine, written for an hour"


def test_what_cannot_be_kept_is_said_beside_its_field(ann: Browser) -> None:
    page = ann.send("/sessions", name="Long")
    place, fields = ann.at, values_of(page)
    wrong = ann.send(place, 400, **{**fields, "name": "x" * 201, "note": "still here"})
    assert "201 characters came; 200 are allowed" in wrong
    assert values_of(wrong)["note"] == "still here"
    assert "It was" not in wrong
    assert values_of(ann.get(place))["revision"] == "1"


def test_a_job_of_the_form_is_added_to_its_session(ann: Browser) -> None:
    ann.send("/sessions", name="With jobs")
    place = ann.at
    session = place.rpartition("/")[2]
    form = ann.get(f"/new/dummy?session={session}")
    assert f'name="_session" value="{session}"' in form
    ann.send("/new/dummy", _session=session, text="of the form", PHASE="RUN")
    job = ann.at.rpartition("/")[2]
    page = ann.get(place)
    assert f'href="/jobs/{job}"' in page
    assert "No session" in ann.send("/new/dummy", 404, _session="0" * 32, text="lost")
    removed = ann.send(f"{place}/jobs/{job}/remove")
    assert f'href="/jobs/{job}"' not in removed
    assert f'href="/jobs/{job}"' in ann.send(f"{place}/jobs", job=f"{ann.url}/jobs/{job}")
    assert "the id or the address of a job is allowed" in ann.send(f"{place}/jobs", 400, job="that one")


def test_a_session_goes_on_where_it_was_left(ann: Browser, house: House) -> None:
    content = {"name": "Go on", "source": 'icrs; circle(83.63, 22.01, 40")', "search": "M1", "exposures": ["a", "b"]}
    made = requests.post(f"{house.url}/sessions", json=content, auth=house.ann, timeout=300).json()
    answer = ann.session.get(f"{made['url']}/continue", allow_redirects=False, timeout=300)
    assert answer.status_code == 303
    assert answer.headers["Location"] == (
        "/sky?source=icrs%3B+circle%2883.63%2C+22.01%2C+40%22%29&q=M1&exposure=a&exposure=b&session=" + made["id"]
    )
    many = {"exposures": [f"{number}.fits" for number in range(10_000)], "revision": 1}
    requests.patch(made["url"], json=many, auth=house.ann, timeout=300)
    answer = ann.session.get(f"{made['url']}/continue", allow_redirects=False, timeout=300)
    assert answer.headers["Location"] == f"/sky?session={made['id']}", "what is too long for an address stays in it"


def test_the_sky_page_has_what_the_session_holds(ann: Browser, house: House) -> None:
    content = {
        "name": "On the sky",
        "source": 'icrs; circle(84.9, 21.1, 40")',
        "search": "M1",
        "exposures": ["a", "b"],
    }
    made = requests.post(f"{house.url}/sessions", json=content, auth=house.ann, timeout=300).json()
    page = ann.get(f"/sky?session={made['id']}")
    assert 'name="source" value="icrs; circle(84.9, 21.1, 40&quot;)"' in page
    assert 'name="exposure" value="b"' in page
    assert f'name="session" value="{made["id"]}"' in page
    mine = ann.get(f"/sky?session={made['id']}&source=icrs%3B+circle%281%2C+2%2C+3%22%29")
    assert "circle(84.9" not in mine, "what stands in the address is as it stands there"
    lost = ann.get(f"/sky?session={'0' * 32}&source=icrs%3B+circle%281%2C+2%2C+3%22%29")
    assert "The session of this address is gone" in lost
    link = requests.post(f"{made['url']}/share", auth=house.ann, timeout=300).json()["share"].rpartition("/")[2]
    shared = Browser(house.url).get(f"/sky?session={link}")
    assert "circle(84.9" in shared and "Save makes a session of your own" in shared


def test_the_sky_page_saves_without_javascript(ann: Browser) -> None:
    fields = {
        "_go": "sky",
        "name": "From the sky",
        "source": 'icrs; circle(1, 2, 3")',
        "exposures": "",
        "exposure": "a",
    }
    ann.send("/sessions", **fields)
    assert ann.at.startswith(f"{ann.url}/sky?source=icrs")
    session = ann.at.rpartition("=")[2]
    ann.send(f"/sessions/{session}", revision="1", **{**fields, "source": "", "exposure": ""})
    assert ann.at == f"{ann.url}/sky?session={session}"
    kept = values_of(ann.get(f"/sessions/{session}"))
    assert (kept["name"], kept["source"], kept["exposures"]) == ("From the sky", "", "")


def test_work_without_an_account_is_kept_when_one_signs_in(house: House) -> None:
    browser, other = Browser(house.url), Browser(house.url)
    browser.send("/sessions", name="Before I came")
    session = browser.at.rpartition("/")[2]
    browser.send("/new/dummy", _session=session, RUNID="first job", PHASE="RUN")
    assert 'id="keepable"' not in browser.get("/")
    assert "Before I came" in browser.get("/sessions")
    assert "Before I came" not in other.get("/sessions")
    browser.sign_in(house.ann)
    assert "This browser made 1 job and 1 session before you signed in" in browser.get("/")
    offered = browser.get("/sessions/keep")
    assert "Before I came" in offered and "first job" in offered
    kept = browser.send("/sessions/keep")
    assert "1 job and 1 session are yours now" in kept
    assert 'id="keepable"' not in browser.get("/")
    mine = requests.get(f"{house.url}/sessions/{session[:32]}", auth=house.ann, timeout=300).json()
    assert (mine["owner"], [one["run_id"] for one in mine["jobs"]]) == ("ann", ["first job"])
    assert requests.get(f"{house.url}/sessions/{session}", timeout=300).status_code == 404, "its key opens it no longer"
    other.sign_in(house.tight)
    assert "nothing to keep" in other.get("/sessions/keep")
    assert "nothing to keep" in browser.get("/sessions/keep")


def test_what_an_account_may_not_have_is_left_and_said(house: House) -> None:
    browser = Browser(house.url)
    for _ in range(2):
        browser.send("/new/dummy", seconds="120", EXECUTIONDURATION="120", PHASE="RUN")
    browser.sign_in(house.tight)
    kept = browser.send("/sessions/keep")
    assert "1 job and 0 sessions are yours now" in kept
    assert "1 job would be more than the 1 active jobs that you may have" in kept
    assert "This browser made 1 job and 0 sessions" in browser.get("/")
    assert "Keep them" not in browser.send("/sessions/keep", later="yes"), "put off, it is not offered again"


def test_forms_of_other_pages_are_refused(ann: Browser) -> None:
    ann.send("/sessions", name="Safe")
    for path in ("", "/copy", "/share", "/delete", "/jobs"):
        answer = ann.session.post(ann.at + path, data={"name": "x", "revision": "1"}, timeout=300)
        assert answer.status_code == 403
        assert "not sent from a page of this server" in answer.text
    answer = ann.session.post(f"{ann.url}/sessions", json={}, headers={"Origin": "https://x.org"}, timeout=300)
    assert answer.status_code == 403
