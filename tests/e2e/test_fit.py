"""The form of a fit in a browser: the curve follows each number, the table writes the form, its page shows all."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

import fitfiles
from browsing import AUDIT, NewPage, axe_violations, layout_faults
from serving import Served, running_server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHOTS = os.environ.get("UWS_SHOTS", "")
"""A folder for pictures of the pages, to be looked at; none where it is not set."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> fitfiles.FitFiles:
    return fitfiles.write(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, files: fitfiles.FitFiles) -> Iterator[Served]:
    archive = tmp_path_factory.mktemp("archive")
    shutil.copytree(files.spectrum.parent, archive / "products")
    with running_server(tmp_path_factory.mktemp("data"), "--archive", str(archive)) as server:
        yield server


def shoot(page: Any, name: str, part: str) -> None:
    """Leave a picture of a part of a page."""
    if SHOTS:
        page.locator(part).first.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


def chosen(page: Any, files: fitfiles.FitFiles) -> None:
    """Choose the files of a spectrum, as a user does."""
    for name, path in files.given.items():
        page.set_input_files(f"input[type=file][name={name}]", str(path))


def drawn(page: Any) -> str:
    """The address of the picture of the curve."""
    return str(page.locator("#fold-picture").get_attribute("src"))


def test_the_curve_follows_what_is_typed(served: Served, files: fitfiles.FitFiles, new_page: NewPage) -> None:
    """Files are sent once; a number in the table changes curve and form; a mistake is told, and mended by the next."""
    page = new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{served.url}/new/fit?model=powerlaw")
    status = page.locator("#fold-status")
    expect(status).to_contain_text("Choose a spectrum")
    chosen(page, files)
    expect(status).to_contain_text("wstat")
    expect(page.locator("#fold-picture")).to_be_visible()
    first, sent = drawn(page), []
    page.on("request", lambda request: sent.append(len(request.post_data_buffer or b"")))
    page.get_by_label("powerlaw.norm, value").fill("0.002")
    expect(page.locator("#fold-status")).to_contain_text("degrees of freedom")
    page.wait_for_function("before => document.getElementById('fold-picture').src !== before", arg=first)
    assert sent and max(sent) < 5000, "no file is sent again"
    assert "powerlaw.norm = 0.002 [0, 1" in page.locator("[name=parameters]").input_value()
    page.get_by_label("powerlaw.PhoIndex, frozen").check()
    expect(page.locator("[name=parameters]")).to_have_value("powerlaw.PhoIndex = 1.7 [-3, 10] frozen\n"
                                                            "powerlaw.norm = 0.002 [0, 1e20] free")  # fmt: skip
    second = drawn(page)
    page.expected.append("400")  # that of the misspelt model
    page.get_by_label("powerlaw.PhoIndex, value").press("ArrowUp")
    page.wait_for_function("before => document.getElementById('fold-picture').src !== before", arg=second)
    assert page.get_by_label("powerlaw.PhoIndex, value").input_value() == "1.734"
    page.locator("[name=model]").fill("powrlaw")
    expect(status).to_contain_text("did you mean powerlaw")
    page.locator("[name=model]").fill("wabs*powerlaw")
    expect(page.get_by_label("wabs.nH, value")).to_be_visible()
    shoot(page, "form", "#fold")
    link = parse_qs(urlsplit(str(page.locator("#fold-link").get_attribute("href"))).query)
    assert link["model"] == ["wabs*powerlaw"] and "powerlaw.norm = 0.002 [0, 1e20] free" in link["parameters"]


def test_a_change_is_seen_at_once(served: Served, new_page: NewPage) -> None:
    """The link of a form brings back its curve; from a key press to the picture it takes no time that one notices."""
    page = new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{served.url}/new/fit?spectrum=products/source.pha&model=powerlaw&parameters=powerlaw.norm%20%3D%201e-3")
    expect(page.locator("#fold-status")).to_contain_text("wstat")
    field = page.get_by_label("powerlaw.PhoIndex, value")
    times = []
    for _ in range(10):
        before = drawn(page)
        begun = time.monotonic()
        field.press("ArrowUp")
        page.wait_for_function("before => document.getElementById('fold-picture').src !== before", arg=before)
        times.append(1000 * (time.monotonic() - begun))
    print(
        f"from a key to the picture: {sorted(times)[5]:.0f} ms (median of 10), of which 30 ms are waited for more keys"
    )
    page.locator("#fold-picture").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#fold-reading")).to_contain_text("keV: Background")


LOOKS = {"light": (1280, "light"), "dark": (1280, "dark"), "narrow": (320, "dark")}
"""Widths and colours in which the pages are looked at."""


def test_form_and_page_of_a_fit_can_be_used_by_everybody(served: Served, new_page: NewPage) -> None:
    page = new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{served.url}/new/fit?spectrum=products/source.pha&model=powerlaw")
    expect(page.locator("#fold-status")).to_contain_text("wstat")
    for name in LOOKS:
        look(page, name, "form", "#fold")
    page.get_by_role("button", name="Create and run").click()
    expect(page.locator("#phase")).to_contain_text("Completed")
    expect(page.locator("table.fit tbody tr")).to_have_count(2)
    expect(page.locator("table.fluxes tbody tr")).to_have_count(2)
    expect(page.locator("section.told pre")).to_contain_text("Unabsorbed flux")
    link = page.get_by_role("link", name="Link to this plot")
    page.locator("figure.fit select[name=y_scale]").select_option("linear")
    expect(link).to_have_attribute("href", re.compile(r"/preview/fit\.svg\?.*y_scale=linear"))
    page.locator("figure.fit select[name=y_scale]").select_option("")
    for name in LOOKS:
        look(page, name, "job", "#outcome")


def look(page: Any, name: str, what: str, part: str) -> None:
    """Look at a page in a width and colours: nothing is wrong with it for anybody."""
    width, colours = LOOKS[name]
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=colours)
    assert [*page.evaluate(AUDIT), *axe_violations(page), *layout_faults(page)] == []
    shoot(page, f"{what}-{name}", part)
