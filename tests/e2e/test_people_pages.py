"""The pages of admins about people, definitions, announcements in a real Chromium: readable, and used by keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import expect

import uwsjobs
from accounts import account
from browsing import AUDIT, House, NewPage, axe_violations, layout_faults, sign_in
from pagereader import AS_BROWSER, Page
from serving import running_server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LONG = "ann.with.a.very.long.name@a.department.observatory.example"
PAGES = {
    "/admin/accounts": "Accounts",
    f"/admin/accounts/{LONG}": "Account",
    "/admin/roles": "Roles",
    "/admin/definitions": "Definitions to validate",
    "/admin/announcements": "Announcements",
    "/admin/changes": "Changes",
    "/account": "Account root",
}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server with an admin, accounts of long and short names, a draft that waits and an announcement."""
    folder = tmp_path_factory.mktemp("office")
    uwsjobs.define(folder / "definitions", "open", "echo made > results/out.txt")
    uwsjobs.define(folder / "definitions", "narrow", "exit 0", roles=["xmm"])
    with running_server(folder / "data", definitions=folder / "definitions", max_stored="10 MB") as served:
        made = House(served, prepared(folder / "data", served.url))
        yield made


def prepared(data: Path, url: str) -> dict[str, tuple[str, str]]:
    """Accounts, with a draft of one of them that waits and an announcement."""
    who = {"root": account(data, "root", "--admin"), "ann": account(data, LONG, "--role", "author", "--role", "xmm")}
    account(data, "bob")

    def visit(name: str, path: str) -> Page:
        session = requests.Session()
        session.auth = who[name]
        return Page(session, session.get(f"{url}{path}", headers=AS_BROWSER, timeout=300))

    draft = visit("ann", "/definitions/open").send("/draft")
    script = "".join(f"echo line {number} of a script that grew >> results/out.txt\n" for number in range(30))
    draft.send("/edit", {"version": "2.0", "script": script, "_do": "request", "_why.request": "It was too short."})
    text = "On Tuesday from 6 to 8 UTC the disks are moved: jobs that run go on, new ones wait in the queue meanwhile."
    visit("root", "/admin/announcements").send("/admin/announcements", {"text": text})
    return who


def require_sound(page: Any) -> None:
    page.wait_for_load_state()
    assert [*page.evaluate(AUDIT), *axe_violations(page), *layout_faults(page)] == [], page.url


@pytest.mark.parametrize(("width", "colours"), [(1280, "light"), (320, "dark")])
def test_every_page_is_named_ordered_readable_and_fits(
    new_page: NewPage, office: House, width: int, colours: str
) -> None:
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": colours}
    page = sign_in(new_page, office.served, office.accounts["root"], **options)
    for path, heading in PAGES.items():
        page.goto(f"{office.served.url}{path}")
        expect(page.get_by_role("heading", level=1)).to_contain_text(heading)
        require_sound(page)
        for opens in page.locator("main summary").all():
            opens.click()
            panel = page.locator("main details[open] .panel")
            if panel.count():
                box = panel.first.bounding_box()
                assert box["x"] >= 0 and box["x"] + box["width"] <= width, (path, box)
        require_sound(page)


def test_an_admin_makes_an_account_and_announces_by_keyboard(new_page: NewPage, office: House) -> None:
    name = "new"
    page = sign_in(new_page, office.served, office.accounts["root"])
    page.get_by_role("link", name="Admin").click()
    page.get_by_role("navigation", name="Admin").get_by_role("link", name="Accounts").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Roles").fill("xmm")
    page.keyboard.press("Enter")
    expect(page.locator("#new-token")).to_have_text(re.compile(r"[\w-]{32}"))
    page.get_by_label("Name, person or mail address").fill(name)
    page.keyboard.press("Enter")
    page.get_by_role("link", name=name, exact=True).focus()
    page.keyboard.press("Enter")
    page.locator("summary", has_text="Disable").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Disable the account").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("disabled")
    page.get_by_role("navigation", name="Admin").get_by_role("link", name="Announcements").click()
    page.get_by_label("Text").fill(f"Hello {name}")
    page.get_by_role("button", name="Announce it").focus()
    page.keyboard.press("Enter")
    told = page.locator("[role=status] .notice", has_text=f"Hello {name}")
    expect(told).to_be_visible()
    told.get_by_role("button", name="Put away").focus()
    page.keyboard.press("Enter")
    expect(told).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text("Announcements")
