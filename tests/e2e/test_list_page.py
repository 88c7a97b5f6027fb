"""The job list in a browser: what is ticked stays ticked while jobs go on, and the keyboard does everything."""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests
from playwright.sync_api import expect

from browsing import NewPage
from serving import Served
from uwsjobs import ENDED, reached

pytestmark = [pytest.mark.browser, pytest.mark.slow]


SEEN = """() => document.activeElement === document.body
    || getComputedStyle(document.activeElement).outlineStyle !== 'none'"""
"""Whether nothing has the focus, or it is seen what has."""


def started(served: Served, **form: str) -> str:
    return requests.post(f"{served.url}/rest/dummy", data=form, timeout=300).url.rpartition("/")[2]


def box(page: Any, job_id: str) -> Any:
    return page.locator(f"#tick-{job_id}")


def test_what_is_ticked_stays_while_the_list_follows_its_jobs(new_page: NewPage, served: Served) -> None:
    kept, other = started(served, RUNID="ticked"), started(served, RUNID="ticked too")
    page = new_page()
    page.goto(f"{served.url}/?runid=ticked")
    box(page, kept).check()
    expect(page.locator("#selected-count")).to_have_text("1 selected")
    late = started(served, RUNID="ticked later", PHASE="RUN")
    reached(f"{served.url}/rest/dummy/{late}", *ENDED)
    expect(page.locator(f'tr[data-id="{late}"] .phase')).to_have_text("Completed")
    expect(box(page, kept)).to_be_checked()
    expect(box(page, other)).not_to_be_checked()
    page.get_by_role("link", name="Select all on this page").click()
    expect(page.locator("#selected-count")).to_have_text("3 selected")
    page.get_by_role("link", name="Select none").click()
    expect(page.locator("#jobs .tick:checked")).to_have_count(0)
    assert page.url.endswith("/?runid=ticked"), "no page was loaded for it"


def test_jobs_are_searched_chosen_and_deleted_with_the_keyboard_alone(new_page: NewPage, served: Served) -> None:
    gone = started(served, RUNID="Keyboard only", PHASE="RUN", seconds="600")
    page = new_page()
    page.goto(served.url)
    page.get_by_label("Find").focus()
    page.keyboard.type("keyboardonly")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("q=keyboardonly"))
    tab_to(page, box(page, gone))
    page.keyboard.press("Space")
    expect(box(page, gone)).to_be_checked()
    delete = page.get_by_role("button", name="Delete selected")
    tab_to(page, delete, "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Delete 1 job?")
    expect(page.locator("main")).to_contain_text("1 job of these waits or runs and is aborted first.")
    tab_to(page, page.get_by_role("button", name="Delete 1 job"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("1 job deleted")
    tab_to(page, page.get_by_role("link", name="Back to the list"))
    page.keyboard.press("Enter")
    expect(page.locator("#jobs")).to_contain_text("No job is like this.")
    assert "q=keyboardonly" in page.url
    assert requests.get(f"{served.url}/rest/dummy/{gone}", timeout=300).status_code == 404


def tab_to(page: Any, wanted: Any, key: str = "Tab") -> None:
    """Press a key until something has the focus, and require that it can be seen where that is on the way."""
    for _ in range(80):
        if wanted.evaluate("node => node === document.activeElement"):
            return
        page.keyboard.press(key)
        assert page.evaluate(SEEN)
    pytest.fail(f"the keyboard does not reach {wanted}")
