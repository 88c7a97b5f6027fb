"""The archive in a browser: search bar, list, an observation with its footprints; light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from browsing import AUDIT, NewPage, axe_violations, layout_faults
from reduction.simulate import simulate, small
from serving import Served, running_server
from uws_server import cli

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OBSERVATION = "0999990101"


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("archive-in-browser")
    simulate(small(), folder / "archive")
    assert cli.main(["archive", "add", "--archive", str(folder / "archive"), "--data", str(folder / "data")]) == 0
    with running_server(folder / "data", "--archive", str(folder / "archive")) as server:
        yield server


def width_of(page: Any) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth"))


@pytest.mark.parametrize(("width", "colours"), [(1280, "light"), (320, "dark"), (3840, "dark")])
@pytest.mark.parametrize(
    "path", ["archive", "archive?q=pn+AND+expsure+%3E+20ks", "archive?q=M82", f"archive/observation/{OBSERVATION}"]
)
def test_a_page_is_sound(archived: Served, new_page: NewPage, path: str, width: int, colours: str) -> None:
    page = new_page(viewport={"width": width, "height": 800}, color_scheme=colours)
    page.expected.append("400 (Bad Request)")  # of a search that cannot be answered
    page.goto(f"{archived.url}/{path}")
    for summary in page.locator("details.grammar:not([open]) > summary, details.columns > summary").all():
        summary.click()
    assert [*page.evaluate(AUDIT), *axe_violations(page), *layout_faults(page)] == []
    assert width_of(page) == width


def test_from_a_search_to_a_job_by_the_keyboard(archived: Served, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{archived.url}/archive")
    bar = page.get_by_role("searchbox", name="Search")
    bar.fill("148.9745 69.651 AND expsure > 10ks")
    page.expected.append("400 (Bad Request)")
    bar.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("did you mean exposure?")
    page.get_by_role("link", name="148.9745 69.651 AND exposure > 10ks").press("Enter")
    expect(page.get_by_role("heading", name="1 observation, 3 exposures found")).to_be_visible()
    page.get_by_role("link", name=OBSERVATION, exact=True).press("Enter")
    picture = page.get_by_role("img", name="What the cameras see of the sky")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 760
    page.get_by_label("Run on EPN S003").press("Enter")
    page.get_by_role("link", name="Spectrum of a region").press("Enter")
    expect(page.get_by_label("eventlist").first).to_have_value("P0999990101PNS003PIEVLI0000.FITS")


def test_a_narrow_window_gets_a_narrow_picture_and_cards(archived: Served, new_page: NewPage) -> None:
    page = new_page(viewport={"width": 320, "height": 800}, java_script_enabled=False)
    page.goto(f"{archived.url}/archive/observation/{OBSERVATION}")
    expect(page.get_by_role("img", name="What the cameras see of the sky")).to_be_visible()
    shown = page.locator("figure img").evaluate("image => image.currentSrc")
    assert "size=narrow" in shown
    expect(page.get_by_role("row").filter(has_text="EPN").get_by_text("PrimeFullWindow")).to_be_visible()
