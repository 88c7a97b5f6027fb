"""Signing in and out in a browser, and a job made without account there: by keyboard, at both widths, read aloud."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import expect

from accounts import account
from browsing import AUDIT, NewPage
from serving import Served, running_server

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@dataclass(frozen=True)
class House:
    """A server that lists nobody's jobs, with an account."""

    served: Served
    who: tuple[str, str]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data: Path = tmp_path_factory.mktemp("accounts")
    with running_server(data, anonymous="unlisted", max_stored="50 MB") as served:
        yield House(served, account(data, "ann.long.name@observatory.example.org", "--max-active", "4"))


def require_sound(page: Any) -> None:
    page.wait_for_load_state()  # a page can be read before its style sheet is there
    problems = page.evaluate(AUDIT)
    assert problems == [], page.url


@pytest.mark.parametrize(
    "options",
    [{"viewport": {"width": 1280, "height": 900}}, {"viewport": {"width": 420, "height": 900}, "color_scheme": "dark"},
     {"java_script_enabled": False}],
    ids=["wide", "narrow and dark", "without JavaScript"],
)  # fmt: skip
def test_an_account_is_used_by_keyboard(new_page: NewPage, house: House, options: dict[str, Any]) -> None:
    name, token = house.who
    has_script = options.get("java_script_enabled", True)
    page = new_page(**options)
    page.expected.append("401 (Unauthorized)")
    page.goto(f"{house.served.url}/account")
    expect(page.get_by_role("heading", level=1)).to_have_text("Please sign in")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Token", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("do not go together")
    if has_script:
        require_sound(page)
    page.get_by_label("Token", exact=True).fill(token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)
    label = f"laptop {len(str(options))}"
    page.get_by_label("Name", exact=True).fill(label)
    page.keyboard.press("Enter")
    expect(page.locator("#new-token")).to_have_text(re.compile(r"[\w-]{32}"))
    if has_script:
        require_sound(page)
    page.get_by_text(f"Revoke {label}").focus()
    page.keyboard.press("Enter")
    page.get_by_role("row", name=label).get_by_role("button", name="Revoke the token").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name=label)).to_have_count(0)
    page.get_by_role("button", name="Sign out", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()


def test_a_job_without_account_is_known_to_the_browser_that_made_it(new_page: NewPage, house: House) -> None:
    page, other = new_page(), new_page()
    page.goto(f"{house.served.url}/new/dummy")
    page.get_by_label("RUNID").or_(page.get_by_label("Run id")).first.fill("mine alone")
    page.get_by_role("button", name="Create and run").click()
    page.wait_for_url(re.compile(r"/jobs/[0-9a-f]{32}-[0-9a-f]{32}$"))
    expect(page.locator(".phase")).to_have_text("Completed")
    expect(page.locator("#key-notice")).to_contain_text("The address of this page is the key to the job.")
    require_sound(page)
    whole = page.url
    page.goto(house.served.url)
    expect(page.locator("table.jobs")).to_contain_text("mine alone")
    other.goto(house.served.url)
    expect(other.locator("main")).not_to_contain_text("mine alone")
    other.expected.append("403 (Forbidden)")
    other.goto(whole.rpartition("-")[0])
    expect(other.locator("main")).to_contain_text("was made without an account")
    other.goto(whole)
    expect(other.locator("main")).to_contain_text("mine alone")


def test_a_page_that_was_shared_follows_its_job(new_page: NewPage, house: House) -> None:
    session = requests.Session()
    session.auth = house.who
    form = {"PHASE": "RUN", "seconds": "3"}
    answer = session.post(f"{house.served.url}/rest/dummy", data=form, allow_redirects=False, timeout=300)
    address = f"{house.served.url}/jobs/{answer.headers['Location'].rpartition('/')[2]}"
    token = re.findall(r'name="_token" value="([^"]+)"', session.get(address, timeout=300).text)[0]
    shown = session.post(f"{address}/share", data={"_token": token}, timeout=300)
    link = shown.text.partition('id="share-link">')[2].partition("<")[0]
    session.close()
    page = new_page()
    with page.expect_request(lambda asked: "/rest/dummy/" in asked.url and "WAIT=" in asked.url):
        page.goto(link)
    expect(page.locator(".phase")).to_have_text("Completed")
    expect(page.locator("#away")).to_be_hidden()


def test_a_secret_is_set_and_deleted_in_the_browser(new_page: NewPage, house: House) -> None:
    name, token = house.who
    page = new_page()
    page.expected.append("401 (Unauthorized)")
    page.goto(f"{house.served.url}/account")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Token", exact=True).fill(token)
    page.keyboard.press("Enter")
    page.get_by_label("Name of the secret").fill("xsa_token")
    page.get_by_label("Value").fill("a-value-of-mine")
    require_sound(page)
    page.get_by_role("button", name="Keep the secret").click()
    expect(page.get_by_role("rowheader", name="xsa_token")).to_be_visible()
    assert "a-value-of-mine" not in page.content()
    require_sound(page)
    page.locator("summary", has_text="Delete xsa_token").click()
    page.get_by_role("button", name="Delete the secret").click()
    expect(page.get_by_role("rowheader", name="xsa_token")).to_have_count(0)
