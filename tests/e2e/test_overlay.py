"""Several products in one plot in the browser: choice and zoom stay in the address, and the page can be used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from browsing import AUDIT, NewPage
from curves import curve_job, define_curves
from serving import Served, running_server

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    definitions = define_curves(tmp_path_factory.mktemp("definitions"))
    with running_server(tmp_path_factory.mktemp("data"), definitions=definitions) as server:
        yield server


@pytest.fixture(scope="module")
def two(served: Served) -> tuple[str, str]:
    return curve_job(served.url, 1.0, 2.0, "first"), curve_job(served.url, 3.0, 2.0, "second")


def test_the_choice_and_the_zoom_are_in_the_address(
    new_page: NewPage, served: Served, two: tuple[str, str], tmp_path: Path
) -> None:
    page = new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{served.url}/jobs/plot?of={two[0]}/curve&job={two[1]}")
    page.get_by_role("group", name=re.compile("second$")).get_by_label("curve.fits").check()
    page.wait_for_url(re.compile(f"of={two[0]}.*of={two[1]}"))
    expect(page.locator("figcaption")).to_contain_text("2 products")
    pane = page.locator(".pane")
    box = pane.bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.4 * box["height"])
    expect(page.locator(".reading")).to_have_text(re.compile(r"s: first 1\.\d+ \(.*\); second 3\.\d+ \("))
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.4 * box["height"] + 2, steps=4)
    page.mouse.up()
    page.wait_for_url(re.compile("x_low=.*x_high="))
    assert "y_low" not in page.url, "a flat drag zooms along x"
    low, high = (float(page.locator(f"input[name={name}]").input_value()) for name in ("x_low", "x_high"))
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    download.value.save_as(tmp_path / "plot.csv")
    cells = np.genfromtxt(tmp_path / "plot.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    assert cells["time_s_high"].min() >= low and cells["time_s_low"].max() <= high
    assert set(cells["series"]) == {"first", "second"}
    page.reload()
    expect(page.locator("input[name=x_low]")).to_have_value(f"{low:g}")
    page.get_by_role("button", name="Show all").click()
    page.wait_for_url(lambda address: "x_low" not in address)


def test_the_keyboard_goes_from_point_to_point(new_page: NewPage, served: Served, two: tuple[str, str]) -> None:
    page = new_page()
    page.goto(f"{served.url}/jobs/plot?of={two[0]}/curve")
    page.locator(".pane").focus()
    told: list[Any] = []
    new = "told => ![...told, '', '\u00a0'].includes(document.querySelector('.reading').textContent)"
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        page.wait_for_function(new, arg=told)
        told.append(page.locator(".reading").text_content())
    starts = [float(text.split(" ")[0]) for text in told]
    assert np.diff(starts) == pytest.approx([100, 100])
    page.keyboard.press("+")
    page.wait_for_url(re.compile("x_low=.*x_high="))
    page.keyboard.press("Home")
    page.wait_for_url(lambda address: "x_low" not in address)


@pytest.mark.parametrize(("width", "colours"), [(1920, "light"), (1280, "dark"), (320, "light"), (320, "dark")])
def test_the_page_is_named_ordered_readable_and_fits(
    new_page: NewPage, served: Served, two: tuple[str, str], width: int, colours: str
) -> None:
    page = new_page(viewport={"width": width, "height": 900}, color_scheme=colours)
    queries = ("", f"?of={two[0]}/curve&of={two[1]}/curve", f"?of={two[0]}/curve&of={two[1]}/spectrum", "?job=none",
               f"?of={two[0]}/spectrum&x_low=5&y_scale=linear")  # fmt: skip
    addresses = [f"{served.url}/jobs/plot{query}" for query in queries] + [f"{served.url}/jobs/{two[0]}"]
    wrong = {}
    for address in addresses:
        page.goto(address)
        for summary in page.locator("details.ends > summary").all():
            summary.click()
        if found := page.evaluate(AUDIT):
            wrong[address] = found
    assert not wrong
