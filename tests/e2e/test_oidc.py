"""Signing in at a provider of OpenID Connect in a real browser: there by its own page, and back to where one wanted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from accounts import account
from browsing import AUDIT, NewPage, axe_violations, layout_faults, sign_in
from oidcprovider import Entrance, entrance

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entrance]:
    with entrance(tmp_path_factory.mktemp("oidc")) as made:
        yield made


def require_sound(page: Any) -> None:
    page.wait_for_load_state()
    assert [*page.evaluate(AUDIT), *axe_violations(page), *layout_faults(page)] == [], page.url


@pytest.mark.parametrize(
    "options",
    [{"viewport": {"width": 1280, "height": 900}}, {"viewport": {"width": 320, "height": 800}, "color_scheme": "dark"}],
    ids=["wide", "narrow and dark"],
)  # fmt: skip
def test_somebody_signs_in_by_keyboard_and_out(new_page: NewPage, door: Entrance, options: dict[str, Any]) -> None:
    page = new_page(**options)
    page.expected.append("401 (Unauthorized)")
    page.goto(f"{door.served.url}/account")
    link = page.get_by_role("link", name="Sign in with Observatory login")
    require_sound(page)
    link.focus()
    page.keyboard.press("Enter")
    page.get_by_label("Who are you?").fill("1001")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Account Ann_Ete")
    assert page.url == f"{door.served.url}/account"
    require_sound(page)
    page.get_by_role("button", name="Sign out", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#signed-out")).to_contain_text("sign out there, too")
    require_sound(page)


def test_who_refuses_reads_why_and_may_begin_again(new_page: NewPage, door: Entrance) -> None:
    page = new_page()
    page.expected.append("401 (Unauthorized)")
    page.goto(f"{door.served.url}/login?next=/definitions")
    page.get_by_role("link", name="Sign in with Observatory login").click()
    page.get_by_role("button", name="Refuse").click()
    expect(page.locator("#summary")).to_contain_text("was refused at Observatory login")
    page.get_by_role("link", name="Sign in with Observatory login").click()
    page.get_by_label("Who are you?").fill("1002")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{door.served.url}/definitions")


def test_an_account_is_connected_on_its_page(new_page: NewPage, door: Entrance) -> None:
    page = sign_in(new_page, door.served, account(door.data, "root", "--admin"))
    page.goto(f"{door.served.url}/account")
    page.get_by_role("button", name="Connect with Observatory login").click()
    require_sound(page)
    page.get_by_role("link", name="Go on to Observatory login").click()
    page.get_by_label("Who are you?").fill("1003")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{door.served.url}/account")
    expect(page.locator("#identities")).to_contain_text(door.provider.issuer)
    require_sound(page)
