"""What a reader does with the pages in a browser, with JavaScript and without."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import expect

from browsing import AUDIT
from serving import Served, running_server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

REGIONS = {
    "source_region": 'fk5; circle(148.965, 69.680, 40")',
    "background_region": 'fk5; annulus(148.965, 69.680, 60", 120")',
}


def mark(page: Any) -> None:
    """Leave something in the page that a reload would take away."""
    page.evaluate("window.neverReloaded = true")


def never_reloaded(page: Any) -> bool:
    return bool(page.evaluate("window.neverReloaded === true"))


def fill_dummy(page: Any, served: Served, **values: str) -> None:
    page.goto(served.url)
    page.locator("main").get_by_role("link", name="New job").click()
    page.locator("main").get_by_role("link", name="Test job").click()
    for name, value in values.items():
        page.get_by_label(name, exact=True).fill(value)
    page.get_by_role("button", name="Create and run").click()
    page.wait_for_url(re.compile("/jobs/"))


def spectrum_page(page: Any, observed: Served) -> None:
    page.goto(f"{observed.url}/new/spectrum")
    page.get_by_label("eventlist").fill("acis_10027_events")
    for name, region in REGIONS.items():
        page.get_by_label(name).fill(region)
    page.get_by_role("button", name="Create and run").click()


def test_a_job_is_watched_to_its_end_without_a_reload(new_page: Any, served: Served) -> None:
    page = new_page()
    fill_dummy(page, served, seconds="12", text="written at the end")
    mark(page)
    expect(page.locator(".phase")).to_have_text("Executing")
    expect(page.locator("#stage")).to_have_text("Working")
    # in one look: the next stage may come before a second one
    shown = page.wait_for_function("""() => {
        const [count, bar, announce] = ["count", "bar", "announce"].map((id) => document.getElementById(id));
        return count.textContent === "3/5" && [bar.value, bar.max, announce.textContent];
    }""")
    assert shown.json_value() == [2.5, 5, "Working, 3/5"]
    expect(page.locator("#elapsed")).to_have_text(re.compile(r"00:00:(0[1-9]|[1-5]\d)"))
    expect(page.locator(".phase")).to_have_text("Completed")
    expect(page.locator("#log .stage")).to_have_count(5)
    expect(page.get_by_role("link", name="Download result.txt")).to_be_visible()
    expect(page.locator("#announce")).to_have_text("The job is completed.")
    assert never_reloaded(page)


def test_an_error_appears_without_a_reload(new_page: Any, served: Served) -> None:
    page = new_page()
    page.goto(f"{served.url}/new/dummy?seconds=4")
    page.get_by_label("fail", exact=True).check()
    page.get_by_role("button", name="Create and run").click()
    mark(page)
    expect(page.get_by_role("heading", name="The job ended in an error")).to_be_visible()
    expect(page.locator("#error")).to_contain_text("fail: the job was asked to fail")
    expect(page.locator("#log .error")).to_have_text("[ERROR] fail: the job was asked to fail\n", use_inner_text=True)
    assert never_reloaded(page)


def test_abort_and_delete(new_page: Any, served: Served) -> None:
    page = new_page()
    fill_dummy(page, served, seconds="600")
    address = page.url
    page.get_by_role("button", name="Abort").click()
    expect(page.locator(".phase")).to_have_text("Aborted")
    page.wait_for_load_state("load")  # the key is heard by the page's script
    page.locator("summary", has_text="Delete").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Delete the job")).to_be_hidden()
    page.locator("summary", has_text="Delete").click()
    page.get_by_role("button", name="Delete the job").click()
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
    assert requests.get(address, timeout=300).status_code == 404


def test_the_list_follows_its_jobs(new_page: Any, served: Served) -> None:
    page = new_page()
    page.goto(served.url)
    mark(page)
    job = requests.post(f"{served.url}/rest/dummy", data={"seconds": "8", "PHASE": "RUN"}, timeout=300).url
    row = page.locator(f'tr[data-id="{job.rsplit("/", 1)[1]}"]')
    expect(row.locator(".phase")).to_have_text("Executing")
    expect(row.locator(".stage")).to_have_text(re.compile("/5 Working"))
    expect(row.locator(".phase")).to_have_text("Completed")
    assert never_reloaded(page)


def test_a_server_that_is_away_is_told_and_found_again(new_page: Any, tmp_path: Path) -> None:
    page = new_page()
    page.expected.append("ERR_CONNECTION_REFUSED")
    with running_server(tmp_path) as first:
        fill_dummy(page, first, seconds="10")
        mark(page)
        expect(page.locator("#count")).to_have_text(re.compile("^[1-4]/5$"))
        port = first.url.rsplit(":", 1)[1]
    expect(page.locator("#away")).to_contain_text("The server does not answer; trying again")
    with running_server(tmp_path, "--port", port):
        expect(page.locator("#away")).to_be_hidden()
        expect(page.locator(".phase")).to_have_text("Completed", timeout=300_000)
        assert never_reloaded(page)


def test_a_wrong_value_is_told_where_it_is(new_page: Any, served: Served) -> None:
    page = new_page()
    page.expected.append("400 (Bad Request)")
    page.goto(f"{served.url}/new/dummy")
    page.get_by_label("seconds").fill("a while")
    page.get_by_role("button", name="Create and run").click()
    expect(page.locator("#summary")).to_be_focused()
    field = page.get_by_label("seconds", exact=True)
    expect(field).to_have_value("a while")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile("'a while' is not a number"))
    page.get_by_role("link", name="seconds").click()
    expect(field).to_be_in_viewport()


def test_a_form_can_be_filled_with_the_keyboard_alone(new_page: Any, served: Served) -> None:
    page = new_page()
    page.goto(f"{served.url}/new/dummy")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("text", exact=True)).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("by hand")
    page.keyboard.press("Enter")
    expect(page.locator(".phase")).to_have_text("Completed")
    expect(page.locator("#parameters")).to_contain_text("by hand")


def test_a_spectrum_is_plotted_and_zoomed(new_page: Any, observed: Served) -> None:
    page = new_page(viewport={"width": 1280, "height": 1000})
    spectrum_page(page, observed)
    expect(page.locator(".phase")).to_have_text("Completed", timeout=300_000)
    plot = page.locator("figure.spectrum")
    pane = plot.get_by_role("application", name=re.compile("against Energy .keV. from"))
    pane.scroll_into_view_if_needed()
    box = pane.bounding_box()
    reading = plot.locator(".reading")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 80)
    expect(reading).to_have_text(re.compile(r"[\d.]+ – [\d.]+ keV: Source [\d.]+ \(.* to .*\)"))
    whole = reading.text_content()
    page.mouse.move(box["x"] + 200, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 250, steps=4)
    page.mouse.up()
    expect(plot.locator("img")).to_have_attribute("src", re.compile("x_low=.*x_high=.*y_low=.*y_high="))
    page.mouse.move(box["x"] + box["width"] / 2 + 1, box["y"] + 80)
    expect(reading).to_have_text(re.compile("keV"))
    expect(reading).not_to_have_text(whole)
    page.mouse.dblclick(box["x"] + box["width"] / 2 + 1, box["y"] + 80)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 80)
    expect(reading).to_have_text(whole)


def test_pictures_are_pictures(new_page: Any, observed: Served) -> None:
    page = new_page()
    spectrum_page(page, observed)
    expect(page.locator(".results img")).to_have_count(3, timeout=300_000)
    for image in page.locator(".results img").all():
        image.scroll_into_view_if_needed()
        page.wait_for_function("image => image.complete", arg=image.element_handle())
        assert image.evaluate("image => image.naturalWidth") > 60


@pytest.mark.parametrize("width", [400, 1600])
def test_no_page_is_wider_than_the_window(new_page: Any, observed: Served, width: int) -> None:
    page = new_page(viewport={"width": width, "height": 800})
    spectrum_page(page, observed)
    expect(page.locator(".phase")).to_have_text("Completed", timeout=300_000)
    for address in (page.url, observed.url, f"{observed.url}/new/spectrum"):
        page.goto(address)
        page.wait_for_load_state("networkidle") if "/new/" in address else page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address


def test_without_javascript_everything_but_the_live_part_works(new_page: Any, observed: Served) -> None:
    page = new_page(java_script_enabled=False)
    spectrum_page(page, observed)
    expect(page.locator(".phase")).to_have_text("Completed", timeout=300_000)  # by the refresh of the page
    expect(page.locator("figure[data-shown=chart] img")).to_be_visible()
    expect(page.locator("figure noscript p")).to_be_visible()
    expect(page.get_by_role("button", name="Send to TOPCAT / Aladin").first).to_be_hidden()
    page.get_by_role("link", name="New job like this").click()
    expect(page.get_by_label("source_region")).to_have_value(REGIONS["source_region"])
    page.get_by_role("button", name="Create only").click()
    expect(page.locator(".phase")).to_have_text("Pending")
    page.get_by_role("button", name="Abort").click()
    expect(page.locator(".phase")).to_have_text("Aborted")
    page.locator("summary", has_text="Delete").click()
    page.get_by_role("button", name="Delete the job").click()
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_a_long_value_scrolls_by_the_keyboard_and_shows_that_it_has_the_focus(
    new_page: Any, served: Served, colours: str
) -> None:
    text = "\n".join(f"circle({number}, 2, 3)" for number in range(200))
    made = requests.post(f"{served.url}/rest/dummy", data={"text": text}, timeout=300).url
    page = new_page(color_scheme=colours)
    page.goto(f"{served.url}/jobs/{made.rpartition('/')[2]}")
    box = page.get_by_role("region", name="Value of text")
    assert page.evaluate(AUDIT) == []
    page.locator("body").press("Tab")
    for _ in range(60):
        if box.evaluate("node => node === document.activeElement"):
            break
        page.keyboard.press("Tab")
    assert box.evaluate("node => node.matches(':focus-visible') && getComputedStyle(node).outlineStyle") == "solid"
    page.keyboard.press("End")
    page.wait_for_function("node => node.scrollTop > 100", arg=box.element_handle())
    assert page.get_by_role("region", name="Value of seconds").count() == 0, "a short one is no stop of the Tab key"
