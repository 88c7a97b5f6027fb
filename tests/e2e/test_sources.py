"""A source list in a browser: its rows lead to a spectrum, it is drawn on the sky and over the image of its job."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import requests
from astropy.table import Table
from playwright.sync_api import expect

from browsing import AUDIT, NewPage
from reduction import regions
from serving import Served, running_server
from skies import points
from uwsjobs import ENDED, reached

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with running_server(tmp_path_factory.mktemp("data")) as server:
        yield server


@pytest.fixture(scope="module")
def job(served: Served, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The id of a detection in images of fifteen sources."""
    rng = np.random.default_rng(3)
    images, exposure = points(rng, 15, 80, 800).write(tmp_path_factory.mktemp("sky"), rng)
    files = [("images", (path.name, path.read_bytes())) for path in images]
    files.append(("exposure_maps", (exposure.name, exposure.read_bytes())))
    made = requests.post(f"{served.url}/rest/detect", files=files, data={"PHASE": "RUN"}, timeout=300)
    assert reached(made.url, *ENDED) == "COMPLETED", requests.get(made.url, timeout=300).text
    return made.url.rsplit("/", 1)[1]


@pytest.fixture(scope="module")
def listed(served: Served, job: str, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """The source list as the server hands it out."""
    path = tmp_path_factory.mktemp("list") / "sources.fits"
    path.write_bytes(requests.get(f"{served.url}/rest/detect/{job}/results/sources", timeout=300).content)
    return Table.read(path, hdu="SOURCES")


def test_rows_lead_to_the_form_of_a_spectrum(
    new_page: NewPage, served: Served, job: str, listed: Table, tmp_path: Path
) -> None:
    page = new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{served.url}/jobs/{job}")
    picture = page.locator("figure.image .drawing img, figure.image .drawing canvas, figure.image .drawing svg").first
    picture.scroll_into_view_if_needed()
    page.screenshot(path=tmp_path / "job.png", full_page=True)
    figure = page.locator("figure.image")
    expect(figure).to_have_count(1)
    assert "image.fits" in figure.inner_text()
    page.get_by_role("link", name="All sources, with a spectrum of each").click(timeout=20_000)
    expect(page.locator("table.sources tbody tr")).to_have_count(len(listed))
    assert page.evaluate(AUDIT) == []
    page.screenshot(path=tmp_path / "sources.png")
    cells = page.locator("#source-1 td").all_inner_texts()
    assert float(cells[2]) == pytest.approx(listed["RA"][0], abs=1e-5)
    assert float(cells[5]) == pytest.approx(listed["DET_ML"][0], abs=0.06)
    everything = page.get_by_role("link", name="All products of source 1", exact=True).get_attribute("href")
    given = parse_qs(urlsplit(str(everything)).query)
    assert [float(text) for text in given["position"][0].split()] == pytest.approx(
        [listed["RA"][0], listed["DEC"][0]], abs=1e-5
    )
    assert requests.get(served.url + given["source_list"][0], timeout=300).content.startswith(b"SIMPLE")
    page.set_viewport_size({"width": 320, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_role("link", name="Spectrum of source 1", exact=True).click()
    page.wait_for_url("**/new/spectrum**")
    source = page.locator("textarea[name=source_region]").input_value()
    assert source == f'icrs; circle({listed["RA"][0]:.5f}, {listed["DEC"][0]:.5f}, 20")'
    background = parse_qs(urlsplit(page.url).query)["background_region"][0]
    assert "annulus(" in background
    regions.parse(background, parameter="background_region")


def test_sources_are_drawn_on_the_sky(
    new_page: NewPage, served: Served, job: str, listed: Table, tmp_path: Path
) -> None:
    page = new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{served.url}/sky?sources={job}/sources")
    page.locator("#sky-form[data-ready=yes]").wait_for()
    circles = page.locator("#sky-sources circle.source")
    expect(circles).to_have_count(len(listed))
    expect(page.locator("#sky-source-list li")).to_have_count(len(listed))
    box = page.locator("#sky-overlay").bounding_box()
    east = [float(circles.nth(index).get_attribute("cx")) for index in range(len(listed))]
    assert np.corrcoef(east, listed["RA"])[0, 1] < -0.99
    assert all(0 < x < box["width"] for x in east)
    page.locator("#sky-source-list li button").first.click()
    expect(page.locator("#sky-sources circle.chosen")).to_have_count(1)
    assert "/new/spectrum?" in page.locator("#sky-source-list li a").first.get_attribute("href")
    page.screenshot(path=tmp_path / "sky.png")


def test_sources_are_drawn_over_the_image_of_the_job(served: Served, job: str, listed: Table) -> None:
    drawing = requests.get(f"{served.url}/jobs/{job}/preview/image.svg", timeout=300).text
    drawn = re.findall(r'class="m region" d="([^"]*)"', drawing)
    assert sum(path.count("M") for path in drawn) >= len(listed)


def test_what_is_no_source_list_is_not_found(served: Served, job: str) -> None:
    for path, status in ((f"jobs/{job}/sources/image", 404), (f"jobs/{job}/sources/none", 404),
                         (f"jobs/{job}/sources/sources?from=900", 400), ("sky?sources=x", 400)):  # fmt: skip
        assert requests.get(f"{served.url}/{path}", timeout=300).status_code == status, path
