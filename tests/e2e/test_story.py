"""The whole story in a browser: from a position on the sky to spectra and light curves of two cameras, and a rerun.

Set UWS_STORY_SCREENSHOTS to a folder to have a picture of every step.
"""

from __future__ import annotations

import io
import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from astropy.io import fits
from playwright.sync_api import expect

from accounts import account
from browsing import NewPage, sign_in
from reduction import regions
from reduction.simulate import simulate, small
from samphub import receiver, running_hub, taken
from serving import Served, running_server
from uws_server import cli

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.usefixtures("vendored")]

SKY = replace(small(), exposure_s=2500.0, flare=None)
STAR = SKY.sources[0]
CAMERAS = ("EPN", "EMOS1")
LOADED = """async () => {
  for (const image of document.images) image.loading = "eager";
  const shown = [...document.images].filter((image) => image.checkVisibility());
  await Promise.all(shown.map((image) => image.decode().catch(() => 0)));
}"""
"""Waits until all pictures of a page are there."""


@dataclass
class Observatory:
    """A server with an archive of one observation, and an account on it."""

    served: Served
    who: tuple[str, str]


@pytest.fixture(scope="module")
def observatory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observatory]:
    folder = tmp_path_factory.mktemp("story")
    data, archive = folder / "data", folder / "archive"
    simulate(SKY, archive)
    assert cli.main(["archive", "add", "--archive", str(archive), "--data", str(data)]) == 0
    with running_server(data, "--archive", str(archive)) as served:
        yield Observatory(served, account(data, "ann"))


@dataclass
class Camera:
    """Takes a picture of every step, where somebody wants to look at them."""

    page: Any
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def shoot(self, step: str) -> None:
        folder = os.environ.get("UWS_STORY_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.evaluate(LOADED)
            self.page.screenshot(path=Path(folder) / f"{next(self.numbers):02d}-{step}.png", full_page=True)


def drag(page: Any, to: tuple[float, float]) -> None:
    """Draw with the mouse, from the middle of the view to a place in pixels from there."""
    page.locator("#sky-frame").scroll_into_view_if_needed()
    box = page.locator("#sky-overlay").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + to[0] / 2, y + to[1] / 2, steps=3)
    page.mouse.move(x + to[0], y + to[1], steps=3)
    page.mouse.up()


def draw_regions(page: Any, camera: Camera) -> None:
    """Go to the source, draw a circle on it and a ring around it."""
    page.get_by_label("Go to").fill(f"{STAR.ra} {STAR.dec}")
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page.locator("#sky-reading")).to_contain_text("30.0′ wide")
    for _ in range(4):
        page.get_by_role("button", name="Closer").click()
    camera.shoot("position")
    page.get_by_role("button", name="Circle", exact=True).click()
    drag(page, (90, 0))
    expect(page.locator("#source")).to_have_value(re.compile(r"icrs; circle\("))
    camera.shoot("source-drawn")
    page.get_by_role("tab", name="Background").click()
    page.get_by_role("button", name="Annulus", exact=True).click()
    drag(page, (220, 0))
    camera.shoot("background-drawn")
    expect(page.locator("#sky-problems li")).to_have_count(0)


def run(page: Any, title: str, **values: str) -> str:
    """Choose what is done with the selection, run it, see it end, and return the id of the job."""
    page.get_by_label("Do", exact=True).select_option(label=title)
    expect(page.locator("#run-form legend").first).to_have_text(title)
    for name, value in values.items():
        page.locator(f"#run-form [name={name}]").fill(value)
    page.get_by_role("button", name="Run", exact=True).click()
    article = page.locator("#job")
    expect(article.get_by_role("heading", level=3).first).to_contain_text(title)
    expect(article.locator("#phase")).to_have_text("Completed")
    return str(article.get_attribute("data-id"))


def select_and_keep(page: Any, camera: Camera) -> None:
    """Choose the exposures of two cameras, and keep the work as a session."""
    for label in ("EPN", "EMOS-1"):
        page.get_by_role("button", name=f"Enable all {label} observations").click()
    expect(page.locator("#counted")).to_contain_text("2 of 3 selected: 1 pn, 1 MOS1")
    page.get_by_role("textbox", name="Session", exact=True).fill("Two cameras")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#session-status")).to_contain_text("saved")
    camera.shoot("observations")


def send(page: Any, camera: Camera) -> None:
    """Send what was made of both cameras to another application, from the page of the job."""
    page.get_by_role("link", name="Page of the job").click()
    with running_hub() as (hub, _), receiver(hub, "Catalogue tool", "table.load.fits") as received:
        for part in (1, 2):
            row = page.locator("tr", has_text=f"source_spectrum_part{part}")
            row.get_by_role("button", name="Send to TOPCAT / Aladin").click()
            message = taken(page, received)
            with fits.open(io.BytesIO(requests.get(message["url"], timeout=300).content)) as sent:
                assert sent["SPECTRUM"].header["INSTRUME"] == CAMERAS[part - 1]
        expect(page.locator("#samp-status")).to_contain_text("to Catalogue tool.")
        camera.shoot("sent")


def run_again(page: Any, camera: Camera) -> str:
    """Run the job of the page again with other energies, and return the id of the new one."""
    page.get_by_role("link", name="Run again", exact=True).last.click()
    camera.shoot("run-again")
    page.get_by_label("energy", exact=True).fill("2 7")
    page.get_by_role("button", name="Run again", exact=True).click()
    expect(page.locator("#phase")).to_have_text("Completed")
    expect(page.locator("#parts tbody tr")).to_have_count(2)
    camera.shoot("other-energies")
    again = page.url.rpartition("/")[2]
    page.get_by_role("link", name="both side by side").click()
    camera.shoot("side-by-side")
    return str(again)


def share(page: Any, camera: Camera) -> str:
    """Return the share link of the session."""
    page.get_by_role("link", name="Sessions", exact=True).click()
    page.get_by_role("link", name="Two cameras", exact=True).click()
    expect(page.locator("tr[data-id]")).to_have_count(3)  # the rerun came along
    page.get_by_role("button", name="Make a share link").click()
    link = page.locator("#share-link").text_content()
    camera.shoot("session")
    return str(link)


def test_from_a_position_to_products_and_again(
    new_page: NewPage, observatory: Observatory, tmp_path: Path, web_port: None
) -> None:
    served = observatory.served
    page = sign_in(new_page, served, observatory.who, viewport={"width": 1100, "height": 760})
    camera = Camera(page)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Sky", exact=True).click()
    page.locator("#sky-form[data-ready=yes]").wait_for()
    camera.shoot("sky")
    draw_regions(page, camera)
    select_and_keep(page, camera)

    curves = run(page, "Light curve of a region", bin_size="100", energy="0.2 12")
    expect(page.locator("#parts tbody tr")).to_have_count(2)
    expect(page.locator("#log")).to_contain_text("[STAGE 2/2] 2 of 2 parts have ended")
    expect(page.locator("#outcome figure img")).to_have_count(2)
    camera.shoot("light-curves")
    spectra = run(page, "Spectrum of a region", energy="0.2 12")
    expect(page.locator("#outcome .plot.spectrum")).to_have_count(2)
    camera.shoot("spectra")

    elsewhere = sign_in(new_page, served, observatory.who)
    elsewhere.goto(f"{served.url}/sky?job={spectra}")
    expect(elsewhere.locator("#counted")).to_contain_text("2 of 3 selected: 1 pn, 1 MOS1")
    expect(elsewhere.locator("#outcome .plot.spectrum")).to_have_count(2)
    assert elsewhere.locator("#source").input_value().startswith("icrs; circle(")
    elsewhere.close()

    send(page, camera)
    again = run_again(page, camera)
    link = share(page, camera)
    stranger = new_page()
    stranger.goto(link)
    expect(stranger.locator("#shared-notice")).to_contain_text("Shared with you, to look at.")
    Camera(stranger, itertools.count(90)).shoot("shared")
    for job, title in ((curves, "Light curve of a region"), (spectra, "Spectrum of a region")):
        stranger.goto(link)
        stranger.locator(f"tr[data-id='{job}']").get_by_role("link", name=title).click()
        expect(stranger.locator("#head")).to_contain_text("Shared with you: its owner can change it.")
    expect(stranger.locator("#outcome .plot.spectrum")).to_have_count(2)
    require_products(observatory, {"lightcurve": curves, "spectrum": spectra}, again, tmp_path)


def require_products(observatory: Observatory, jobs: dict[str, str], again: str, folder: Path) -> None:
    """The products are of both cameras, of the circle that was drawn, and the rerun has other energies."""
    served, session = observatory.served, requests.Session()
    session.auth = observatory.who

    def product(definition: str, job: str, name: str, part: int) -> fits.HDUList:
        path = folder / f"{job}-{name}-{part}.fits"
        answer = session.get(f"{served.url}/rest/{definition}/{job}/results/{name}_part{part}", timeout=300)
        path.write_bytes(answer.content)
        return fits.open(path)

    region = session.get(f"{served.url}/rest/spectrum/{jobs['spectrum']}/parameters/source_region", timeout=300).text
    (circle,) = regions.parse(region).include
    assert abs(circle.center.ra.deg - STAR.ra) * np.cos(np.radians(STAR.dec)) < 1 / 3600
    assert 30 < circle.radius.to_value("arcsec") < 45
    for part, camera in enumerate(CAMERAS, start=1):
        with product("lightcurve", jobs["lightcurve"], "lightcurve", part) as hdus:
            assert hdus["RATE"].header["INSTRUME"] == camera
        with (
            product("spectrum", jobs["spectrum"], "source_spectrum", part) as before,
            product("spectrum", again, "source_spectrum", part) as after,
        ):
            counts = [hdus["SPECTRUM"].data["COUNTS"] for hdus in (before, after)]
            width = 5 / 1000
            energies = np.arange(len(counts[0])) * width
            inside = (energies > 2.01) & (energies < 6.99)
            assert after["SPECTRUM"].header["INSTRUME"] == camera
            assert np.array_equal(counts[0][inside], counts[1][inside])
            assert counts[1][~((energies >= 1.99) & (energies <= 7.01))].sum() == 0 < counts[1].sum() < counts[0].sum()
