"""Sessions in a real browser: saved, opened by the share link where nobody is signed in, copied."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from playwright.sync_api import expect

from accounts import account
from browsing import AUDIT, NewPage, axe_violations, layout_faults, sign_in
from chained import CIRCLE
from reduction.simulate import simulate, small, truth_path
from serving import Served, running_server
from uws_server import cli, client

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@dataclass(frozen=True)
class Observatory:
    """A server with an archive of one event list, and two accounts."""

    served: Served
    ann: tuple[str, str]
    bob: tuple[str, str]
    source: str


@pytest.fixture(scope="module")
def observatory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observatory]:
    folder = tmp_path_factory.mktemp("sessions")
    archive, data = folder / "archive", folder / "data"
    simulate(small(), archive / "0999990101", cameras=("EPN",))
    truth = json.loads(truth_path(archive / "0999990101", small()).read_text())
    source = f"0999990101/{truth['cameras']['EPN']['file']}"
    assert cli.main(["archive", "add", "--archive", str(archive), "--data", str(data)]) == 0
    with running_server(data, "--archive", str(archive), anonymous="unlisted") as served:
        yield Observatory(served, account(data, "ann"), account(data, "bob"), source)


def faults(page: Any) -> list[str]:
    """What is wrong with a page, a sentence each."""
    page.wait_for_load_state()
    return [*page.evaluate(AUDIT), *axe_violations(page), *layout_faults(page)]


def require_sound(page: Any) -> None:
    assert faults(page) == []


def spectrum(observatory: Observatory, session: str) -> str:
    """The id of a new spectrum job of ann for a session."""
    values = {"eventlist": observatory.source, "source_region": CIRCLE, "PHASE": "RUN"}
    made = requests.post(f"{observatory.served.url}/rest/spectrum", data=values, auth=observatory.ann, timeout=300,
                         headers={"X-Session": session.rpartition("/")[2]}, allow_redirects=False)  # fmt: skip
    assert made.status_code == 303, made.text
    return made.headers["Location"].rpartition("/")[2]


@dataclass(frozen=True)
class Shared:
    """A session of ann with a spectrum job that has ended: its address, its job, its share link."""

    url: str
    job: str
    link: str


@pytest.fixture(scope="module")
def shared_session(observatory: Observatory) -> Shared:
    content = {"name": "A source and its spectrum", "source": CIRCLE, "exposures": [observatory.source]}
    sessions = f"{observatory.served.url}/sessions"
    url = requests.post(sessions, json=content, auth=observatory.ann, timeout=300).json()["url"]
    job = spectrum(observatory, url)
    followed = client.follow(f"{observatory.served.url}/rest/spectrum/{job}", lambda state: None, who=observatory.ann)
    assert followed.phase == "COMPLETED", followed.error
    return Shared(url, job, requests.post(f"{url}/share", auth=observatory.ann, timeout=300).json()["share"])


def require_drawn(picture: Any) -> None:
    """Check that a picture is there, not only its place."""
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


def test_a_session_is_saved_and_its_job_followed(new_page: NewPage, observatory: Observatory) -> None:
    page = sign_in(new_page, observatory.served, observatory.ann)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Sessions").click()
    require_sound(page)
    page.get_by_label("New session").fill("Followed")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Followed")
    page.get_by_label("Source region").fill(CIRCLE)
    page.locator("summary", has_text="Selected exposures").click()
    page.get_by_label("One a line").fill(observatory.source)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("summary", has_text="Selected exposures: 1")).to_be_visible()
    footprints = page.locator("#footprints img")
    footprints.scroll_into_view_if_needed()
    require_drawn(footprints)
    job = spectrum(observatory, page.url)
    page.reload()
    row = page.locator(f"tr[data-id='{job}']")
    expect(row.locator(".phase")).to_have_text("Completed")
    require_drawn(row.get_by_role("img", name="Preview of source_spectrum.fits"))
    require_sound(page)


def test_the_share_link_shows_and_changes_nothing(
    new_page: NewPage, observatory: Observatory, shared_session: Shared
) -> None:
    guest = new_page()
    guest.expected += ["401 (Unauthorized)", "404 (Not Found)"]
    guest.goto(shared_session.link)
    expect(guest.locator("#shared-notice")).to_contain_text("Shared with you, to look at.")
    require_drawn(guest.get_by_role("img", name="Preview of source_spectrum.fits"))
    for name in ("Save", "Add", "Delete", "Make a share link", "Remove"):
        expect(guest.get_by_role("button", name=re.compile(f"^{name}"))).to_have_count(0)
    require_sound(guest)
    with guest.expect_download() as archive:
        guest.get_by_role("link", name="All products as zip").click()
    assert Path(archive.value.path()).read_bytes().startswith(b"PK")
    guest.locator(f"tr[data-id='{shared_session.job}']").get_by_role("link", name="Spectrum of a region").click()
    expect(guest.locator("#head")).to_contain_text("Shared with you: its owner can change it.")
    require_drawn(guest.locator("table.results").get_by_role("img").first)
    for address in (f"{observatory.served.url}/jobs/{shared_session.job}", shared_session.url):
        guest.goto(address)
        expect(guest.get_by_role("heading", level=1)).to_have_text("Please sign in")
    last = shared_session.link[-1]
    guest.goto(f"{shared_session.link[:-1]}{'0' if last != '0' else '1'}")
    expect(guest.locator("main")).to_contain_text("This link shows no session")


def test_a_copy_shows_the_jobs_until_sharing_stops(
    new_page: NewPage, observatory: Observatory, shared_session: Shared
) -> None:
    other = sign_in(new_page, observatory.served, observatory.bob)
    other.goto(shared_session.link)
    other.get_by_role("button", name="Copy to my sessions").click()
    expect(other.get_by_role("heading", level=1)).to_have_text("Copy of A source and its spectrum")
    expect(other.get_by_label("Source region")).to_have_value(CIRCLE)
    row = other.locator(f"tr[data-id='{shared_session.job}']")
    require_drawn(row.get_by_role("img").first)
    page = sign_in(new_page, observatory.served, observatory.ann)
    page.goto(shared_session.url)
    page.get_by_role("button", name="Stop sharing").click()
    expect(page.get_by_role("button", name="Make a share link")).to_be_visible()
    other.reload()
    expect(row).to_contain_text("Not shown: its owner has revoked the link")


def test_the_sky_page_saves_goes_on_and_adds_its_jobs(new_page: NewPage, observatory: Observatory) -> None:
    page = sign_in(new_page, observatory.served, observatory.ann)
    page.expected += ["Applying inline style violates", "Creating a worker from 'blob:"]  # Aladin Lite does without
    state = urlencode({"source": CIRCLE, "exposure": observatory.source, "definition": "spectrum"})
    page.goto(f"{observatory.served.url}/sky?{state}")
    page.locator("#session-name").fill("From the sky")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#session-status")).to_have_text(re.compile("^saved [0-9]{2}:[0-9]{2}$"))
    session = re.findall("session=([0-9a-f]{32})", page.url)[0]
    page.locator("textarea#source").fill(CIRCLE.replace("40", "30"))
    page.locator("textarea#source").press("Tab")
    expect(page.locator("#session-status")).to_have_text("changed since it was saved")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#session-status")).to_have_text(re.compile("^saved "))
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url(re.compile("[?&]job="))
    page.goto(f"{observatory.served.url}/sessions/{session}")
    expect(page.locator("#session-jobs").get_by_role("link", name="Spectrum of a region")).to_have_count(1)
    expect(page.get_by_label("Source region")).to_have_value(CIRCLE.replace("40", "30"))
    page.get_by_role("link", name="Continue on the sky").click()
    expect(page.locator("#session-name")).to_have_value("From the sky")
    expect(page.locator("textarea#source")).to_have_value(re.compile("30"))


@pytest.mark.parametrize(("width", "colours"), [(320, "dark"), (1280, "light"), (2560, "light")])
def test_the_pages_of_sessions_have_no_fault(
    new_page: NewPage, observatory: Observatory, width: int, colours: str
) -> None:
    page = new_page(viewport={"width": width, "height": 900}, color_scheme=colours)
    url = observatory.served.url
    page.goto(f"{url}/sessions")
    content = {"name": "An unusually long name that nobody would want to read in a list of sessions, " * 2,
               "source": CIRCLE, "background": CIRCLE, "definition": "spectrum", "parameters": {"energy": "0.5 2"},
               "exposures": [observatory.source, "x" * 300]}  # fmt: skip
    made = page.request.post(f"{url}/sessions", data=content).json()  # this browser remembers it
    headers = {"X-Session": made["url"].rpartition("/")[2]}
    jobs = [requests.post(f"{url}/rest/dummy", headers=headers, timeout=300).url for _ in range(2)]
    requests.delete(jobs[0], timeout=300)
    link = requests.post(f"{made['url']}/share", timeout=300).json()["share"]
    wrong = {}
    for address in (made["url"], f"{url}/sessions", link):
        page.goto(address)
        if found := faults(page):
            wrong[address] = found
    page.goto(f"{url}/login")
    page.get_by_label("Name", exact=True).fill(observatory.bob[0])
    page.get_by_label("Token", exact=True).fill(observatory.bob[1])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Keep them in my account").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Keep your work")
    wrong["what is offered"] = faults(page)
    page.get_by_role("button", name="Keep them in my account").click()
    expect(page.locator("#kept")).to_contain_text("1 job and 1 session are yours now")
    wrong["what was kept"] = faults(page)
    assert {where: found for where, found in wrong.items() if found} == {}
