"""Products go from a page to another application, through pyvo's hub to a client of it."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import astropy.units as u
import numpy as np
import pytest
import requests
from astropy.io import fits
from astropy.table import Table
from mocpy import MOC
from playwright.sync_api import expect

from processes import until
from samphub import receiver, running_hub, taken

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.usefixtures("vendored")]


def send_button(page: Any, row: str) -> Any:
    return page.locator("tr", has_text=row).get_by_role("button", name="Send to TOPCAT / Aladin")


def test_a_click_brings_the_file_to_a_client(new_page: Any, spectrum_address: str, web_port: None) -> None:
    page = new_page()
    with (
        running_hub() as (hub, consent),
        receiver(hub, "Catalogue tool", "table.load.fits") as tables,
        receiver(hub, "Picture tool", "image.load.fits") as images,
    ):
        page.goto(spectrum_address)
        assert consent.asked == []  # nothing is asked before a click
        send_button(page, "source_spectrum.fits").click()
        expect(page.locator("#samp-status")).to_have_text("Sent source_spectrum.fits to Catalogue tool.")
        message = tables.get(timeout=300)
        assert message["name"] == "source_spectrum.fits"
        assert re.search(r"^http://127\.0\.0\.1:\d+/store/[0-9a-f]{32}/source_spectrum\.fits$", message["url"])
        with fits.open(io.BytesIO(requests.get(message["url"], timeout=300).content)) as opened:
            assert opened["SPECTRUM"].data["COUNTS"].sum() > 1000
        page.get_by_label("Send to").select_option("Catalogue tool (tables)")
        send_button(page, "events.fits").click()
        # this also lets the browser's requests through, which wait for this thread
        expect(page.locator("#samp-status")).to_have_text("Sent events.fits to Catalogue tool.")
        assert tables.get(timeout=300)["name"] == "events.fits"
        assert consent.asked == ["uws-server"]  # one registration serves all clicks
        assert images.empty()


def test_applications_can_be_looked_for_first(new_page: Any, spectrum_address: str, web_port: None) -> None:
    page = new_page()
    with running_hub() as (hub, _), receiver(hub, "Catalogue tool", "table.load.fits") as tables:
        page.goto(spectrum_address)
        page.get_by_role("button", name="Find applications").click()
        expect(page.locator("#samp-status")).to_have_text("Found Catalogue tool.")
        assert page.get_by_label("Send to").locator("option").all_text_contents() == [
            "all applications",
            "Catalogue tool (tables)",
        ]
        assert tables.empty()


def test_the_page_signs_off_when_it_is_left(new_page: Any, spectrum_address: str, web_port: None) -> None:
    from pyvo.samp import SAMPIntegratedClient

    page = new_page()
    with running_hub() as (hub, _):
        watcher = SAMPIntegratedClient(name="Watcher", addr="127.0.0.1")
        watcher.connect(hub=hub)
        before = set(watcher.get_registered_clients())
        page.goto(spectrum_address)
        page.get_by_role("button", name="Find applications").click()
        expect(page.locator("#samp-status")).to_contain_text("no application that takes these files")
        (own,) = set(watcher.get_registered_clients()) - before
        page.goto("about:blank")
        until(lambda: own not in watcher.get_registered_clients(), what="the page is signed off", every=0.1)
        watcher.disconnect()


def test_without_a_hub_the_page_says_what_to_do(new_page: Any, spectrum_address: str, web_port: None) -> None:
    page = new_page()
    page.expected.append("ERR_CONNECTION_REFUSED")
    page.goto(spectrum_address)
    send_button(page, "events.fits").click()
    expect(page.locator("#samp-status")).to_have_text("No SAMP hub found: start TOPCAT or Aladin, then try again.")


def test_a_refusal_is_told(new_page: Any, spectrum_address: str, web_port: None) -> None:
    page = new_page()
    with running_hub(allow=False):
        page.goto(spectrum_address)
        send_button(page, "events.fits").click()
        expect(page.locator("#samp-status")).to_contain_text("The hub refused this page")


def test_each_application_gets_the_message_that_it_takes(new_page: Any, spectrum_address: str, web_port: None) -> None:
    page = new_page()
    with (
        running_hub() as (hub, _),
        receiver(hub, "Plotter", "spectrum.load.ssa-generic") as spectra,
        receiver(hub, "Catalogue tool", "table.load.fits") as tables,
    ):
        page.goto(spectrum_address)
        send_button(page, "source_spectrum.fits").click()
        expect(page.locator("#samp-status")).to_contain_text("Sent source_spectrum.fits to ")
        sent = spectra.get(timeout=300)
        assert sent["meta"]["Access.Reference"] == sent["url"] == tables.get(timeout=300)["url"]
        assert sent["spectrum-id"]
        page.get_by_label("Send to").select_option("Plotter (spectra)")
        send_button(page, "events.fits").click()
        expect(page.locator("#samp-status")).to_have_text("Plotter does not take events.fits; Catalogue tool would.")


def test_what_an_application_says_is_shown(new_page: Any, spectrum_address: str, web_port: None) -> None:
    page = new_page()
    with (
        running_hub() as (hub, _),
        receiver(hub, "Bad tool", "table.load.fits", error="the table is upside down") as first,
        receiver(hub, "Careful tool", "table.load.fits", warning="a column has no unit"),
    ):
        page.goto(spectrum_address)
        ids = []
        for _ in range(2):
            send_button(page, "events.fits").click()
            ids.append(taken(page, first)["table-id"])
            expect(page.locator("#samp-status")).to_contain_text("Sent events.fits to Careful tool.")
            expect(page.locator("#samp-status")).to_contain_text(
                "Bad tool could not load events.fits: the table is upside down."
            )
            expect(page.locator("#samp-status")).to_contain_text("with a warning: a column has no unit.")
        assert len(set(ids)) == 2


def test_the_selected_results_and_the_table_of_all_are_sent(
    new_page: Any, spectrum_address: str, web_port: None
) -> None:
    page = new_page()
    with (
        running_hub() as (hub, _),
        receiver(hub, "Catalogue tool", "table.load.fits", "table.load.votable") as tables,
    ):
        page.goto(spectrum_address)
        expect(page.get_by_role("button", name="Send the selected")).to_be_disabled()
        for name in ("source_spectrum.fits", "events.fits"):
            page.get_by_label(f"Select {name}, to be sent").check()
        page.get_by_role("button", name="Send the 2 selected").click()
        expect(page.locator("#samp-status")).to_have_text("Sent all 2 to Catalogue tool.")
        assert [tables.get(timeout=300)["name"] for _ in "12"] == ["source_spectrum.fits", "events.fits"]
        page.get_by_role("button", name="Send the table of results").click()
        expect(page.locator("#samp-status")).to_contain_text(".vot to Catalogue tool.")
        message = tables.get(timeout=300)
        assert message["mtype"] == "table.load.votable"
        rows = Table.read(io.BytesIO(requests.get(message["url"], timeout=300).content), format="votable")
        names = [str(name) for name in rows["result"]]
        assert {"source_spectrum", "events", "regions"} <= set(names)
        row = rows[names.index("source_spectrum")]
        assert row["dataproduct_type"] == "spectrum"
        with fits.open(io.BytesIO(requests.get(row["access_url"], timeout=300).content)) as opened:
            assert opened["SPECTRUM"].data["COUNTS"].sum() > 1000


def test_the_coverage_of_a_region_goes_from_the_sky_page(
    new_page: Any, spectrum_address: str, web_port: None, tmp_path: Path
) -> None:
    page = new_page()
    region = 'icrs; circle(148.97, 69.68, 40")'
    with running_hub() as (hub, _), receiver(hub, "Atlas", "coverage.load.moc.fits") as coverage:
        page.goto(f"{spectrum_address.partition('/jobs/')[0]}/sky?source={quote(region)}")
        expect(page.locator("#sky-form[data-ready=yes]")).to_be_attached()
        page.get_by_role("button", name="Send to Aladin / TOPCAT").click()
        expect(page.locator("#send-moc-status")).to_have_text("Sent region.moc.fits to Atlas.")
        message = coverage.get(timeout=300)
        assert message["coverage-id"]
        (tmp_path / "moc.fits").write_bytes(requests.get(message["url"], timeout=300).content)
        moc = MOC.load(tmp_path / "moc.fits", format="fits")
        assert moc.contains_lonlat(148.97 * u.deg, 69.68 * u.deg).all()
        assert moc.sky_fraction == pytest.approx((40 / 3600) ** 2 * np.pi / 41252.96, rel=0.5)


def test_a_table_of_the_results_goes_from_the_list_of_jobs(
    new_page: Any, spectrum_address: str, web_port: None
) -> None:
    page = new_page()
    page.goto(spectrum_address)  # the browser remembers it: nobody owns the job
    with running_hub() as (hub, _), receiver(hub, "Catalogue tool", "table.load.votable") as tables:
        page.goto(f"{spectrum_address.partition('/jobs/')[0]}/")
        page.locator("#jobs .tick").first.check()
        page.get_by_role("button", name="Send a table of the results").click()
        expect(page.locator("#status")).to_have_text("Sent results-of-1-jobs.vot to Catalogue tool.")
        content = requests.get(tables.get(timeout=300)["url"], timeout=300).content
        assert "source_spectrum" in Table.read(io.BytesIO(content), format="votable")["result"]
