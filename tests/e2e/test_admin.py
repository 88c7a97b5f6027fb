"""The page for admins in a real Chromium: readable at every width, and its buttons do what they say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from accounts import account
from browsing import AUDIT, NewPage, sign_in
from joblab import Lab
from processes import until

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path, "")
    with made.serving(max_running=1):
        yield made
    made.close()


@pytest.mark.parametrize(("width", "colours"), [(1280, "light"), (420, "dark")])
def test_an_admin_drains_aborts_and_lets_go_on(new_page: NewPage, lab: Lab, width: int, colours: str) -> None:
    assert lab.served is not None
    who = account(lab.data, "root", "--admin")
    first, second = lab.run(gate=str(lab.root / "never")), lab.run(label="second")
    until(lambda: first.phase() == "EXECUTING")
    page = sign_in(new_page, lab.served, who, viewport={"width": width, "height": 900}, color_scheme=colours)
    page.get_by_role("link", name="Admin").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Admin")
    assert page.evaluate(AUDIT) == []
    page.get_by_label("Reason").fill("upgrade")
    page.get_by_role("button", name="Drain the queue").click()
    expect(page.locator("#drain .notice")).to_contain_text("One job still runs")
    assert page.evaluate(AUDIT) == []
    page.get_by_text("Abort", exact=False).first.click()
    page.get_by_role("button", name="Abort the job").click()
    expect(page.locator("#drain .notice")).to_contain_text("the server may be stopped")
    assert (first.phase(), second.phase()) == ("ABORTED", "QUEUED")
    page.get_by_role("button", name="Let jobs start again").click()
    expect(page.get_by_label("Reason")).to_be_visible()
    assert second.ended() == "COMPLETED"
