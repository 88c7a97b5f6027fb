"""The search page in a browser: event lists that are ticked become a job; what was found is sent to applications."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from astropy.io.votable import parse_single_table
from playwright.sync_api import expect

from browsing import NewPage
from reduction.simulate import simulate, small
from samphub import receiver, running_hub, taken
from serving import Served, running_server
from uws_server import cli

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("search")
    simulate(small(), folder / "archive")
    with running_server(folder / "data", "--archive", str(folder / "archive")) as server:
        named = ["--archive", str(folder / "archive"), "--data", str(folder / "data")]
        assert cli.main(["archive", "add", *named]) == 0
        yield server


def test_a_search_becomes_a_job_over_the_lists_that_are_ticked(new_page: NewPage, served: Served) -> None:
    page = new_page()
    page.goto(f"{served.url}/archive")
    page.get_by_role("link", name="Search the products").click()
    page.get_by_label("Place").fill("148.974 69.6512")
    page.get_by_label("Kind").select_option("event")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("heading", name="3 products")).to_be_visible()
    for name in ("P0999990101M1S001MIEVLI0000.FITS", "P0999990101PNS003PIEVLI0000.FITS"):
        page.get_by_role("checkbox", name=f"Select {name}").check()
    page.get_by_text("Analyse the selected", exact=True).click()
    page.get_by_role("button", name="Image, exposure map and background").click()
    expect(page).to_have_title("New job: Image, exposure map and background · uws-server")
    lists = page.locator("[name=eventlist]").first.input_value()
    assert lists.split() == ["P0999990101M1S001MIEVLI0000.FITS", "P0999990101PNS003PIEVLI0000.FITS"]


@pytest.mark.usefixtures("vendored")
def test_the_table_and_the_selected_are_sent(new_page: NewPage, served: Served, web_port: Any) -> None:
    page = new_page()
    with (
        running_hub() as (hub, _),
        receiver(hub, "Tables", "table.load.votable") as tables,
        receiver(hub, "Files", "table.load.fits") as files,
    ):
        page.goto(f"{served.url}/search?kind=event&instrument=EPN")
        page.get_by_role("button", name="Send the table of results").click()
        message = taken(page, tables)
        content = requests.get(message["url"], timeout=300).content
        (row,) = parse_single_table(io.BytesIO(content)).to_table()
        expect(page.locator("#samp-status")).to_have_text("Sent search.vot to Tables.")
        page.get_by_role("button", name="Send to TOPCAT / Aladin").click()
        assert taken(page, files)["url"] == row["access_url"]
        expect(page.locator("#samp-status")).to_contain_text("to Files.")
        page.goto(f"{served.url}/search?kind=event")
        for box in page.get_by_role("checkbox").all()[:2]:
            box.check()
        page.get_by_role("button", name="Send the 2 selected").click()
        assert len({taken(page, files)["url"] for _ in range(2)}) == 2
        expect(page.locator("#samp-status")).to_contain_text("to Files.")
