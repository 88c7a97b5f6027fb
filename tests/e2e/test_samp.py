"""Products go from a page to another application, through pyvo's hub to a client of it."""

from __future__ import annotations

import io
import queue
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from astropy.io import fits
from playwright.sync_api import expect

from processes import until
from samphub import running_hub

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.usefixtures("vendored")]


@contextmanager
def receiver(hub: Any, name: str, mtype: str) -> Iterator[queue.Queue[dict[str, str]]]:
    """A client of the hub that takes one kind of message; what it was sent."""
    from pyvo.samp import SAMPIntegratedClient

    received: queue.Queue[dict[str, str]] = queue.Queue()
    client = SAMPIntegratedClient(name=name, addr="127.0.0.1")
    client.connect(hub=hub)
    client.bind_receive_notification(mtype, lambda _key, _sender, _mtype, params, _extra: received.put(params))
    try:
        yield received
    finally:
        client.disconnect()


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
        page.get_by_label("Send to").select_option("Catalogue tool")
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
            "Catalogue tool",
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
