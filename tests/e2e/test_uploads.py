"""Forms with large files: how much of them is through is shown, and what the server says of them comes back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from playwright.sync_api import expect

from browsing import NewPage
from serving import Served

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def slowed(session: Any, bytes_per_s: int) -> None:
    """Let a page send no faster than this; -1: as fast as it can."""
    link = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_s}
    session.send("Network.emulateNetworkConditions", link)


def test_an_upload_shows_how_far_it_is_and_what_is_wrong_with_it(
    new_page: NewPage, served: Served, tmp_path: Path
) -> None:
    wrong, right = tmp_path / "wrong.fits", tmp_path / "right.fits"
    wrong.write_bytes(b"no event list " * 200_000)
    fits.PrimaryHDU(np.zeros((1000, 700), np.float32)).writeto(right)
    page = new_page()
    page.expected += ["400"]
    page.goto(f"{served.url}/new/spectrum")
    session = page.context.new_cdp_session(page)
    bar = page.get_by_role("progressbar", name="Upload")
    for file in (wrong, right):
        page.locator("#p-eventlist").set_input_files(file)
        page.get_by_label("Run id").fill("kept")
        slowed(session, 60_000)
        page.get_by_role("button", name="Create and run").click()
        expect(page.locator("#status")).to_have_text("Uploading 3 MB…")
        page.wait_for_function("() => 0 < document.querySelector('progress').value")
        assert 0 < bar.evaluate("bar => bar.value / bar.max") < 1
        slowed(session, -1)  # it was seen: what is left may go fast
        if file is wrong:
            expect(page.locator("#summary")).to_be_focused()
            expect(page.locator("#p-eventlist-problem")).to_contain_text("wrong.fits")
            expect(page.get_by_label("Run id")).to_have_value("kept")
            expect(bar).to_have_count(0)
    page.wait_for_url(re.compile("/jobs/[0-9a-f]{32}$"))
    expect(page.locator("#head")).to_contain_text("kept")
    page.go_back()
    expect(bar).to_have_count(0)
    expect(page.locator("#status")).to_have_text("")
