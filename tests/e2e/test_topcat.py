"""A product goes from a page to TOPCAT itself, which runs on a display of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from checkout import ROOT
from reduction.simulate import simulate, small
from serving import running_server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

START_S = 300


@pytest.fixture
def desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, web_port: None) -> Iterator[Any]:
    """A display with TOPCAT and a hub that lets every page register; a client of that hub, to ask TOPCAT things."""
    for program in ("topcat", "Xvfb"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program}: apt-get install topcat xvfb")
    from pyvo.samp import SAMPIntegratedClient

    lock = tmp_path / "samp.lock"
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:file://{lock}")
    environment = {**os.environ, "HOME": str(tmp_path)}
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: str, **options: Any) -> subprocess.Popen[bytes]:
        with (tmp_path / f"{Path(command[0]).name}-{len(started)}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True, **options
            )
        started.append(process)
        return process

    try:
        reader, writer = os.pipe()
        start("Xvfb", "-displayfd", str(writer), "-nolisten", "tcp", pass_fds=(writer,))
        os.close(writer)
        with os.fdopen(reader) as display:
            environment["DISPLAY"] = f":{display.readline().strip()}"
        # the hub of TOPCAT's own library; `-web:auth true` stands for the person who allows the page
        start("topcat", "-jsamp", "hub", "-mode", "no-gui", "-profiles", "std,web", "-web:auth", "true")
        wait_until(lock.exists, "the hub did not start")
        start("topcat", "-samp", "-nohub")
        client = SAMPIntegratedClient(name="Watcher", addr="127.0.0.1")
        client.connect()
        wait_until(lambda: topcat_of(client) is not None, "TOPCAT did not register")
        yield client
        client.disconnect()
    finally:
        for process in reversed(started):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(300)


def wait_until(done: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + START_S
    while not done():
        assert time.monotonic() < end, otherwise
        time.sleep(0.2)


def topcat_of(client: Any) -> str | None:
    """The id of TOPCAT at the hub."""
    names = {client.get_metadata(other).get("samp.name"): other for other in client.get_registered_clients()}
    return names.get("topcat")


def has_loaded(client: Any, url: str) -> bool:
    """Whether TOPCAT can highlight the first row of the table it loaded from there."""
    message = {"samp.mtype": "table.highlight.row", "samp.params": {"url": url, "row": "0"}}
    reply = client.call_and_wait(topcat_of(client), message, "60")
    return bool(reply["samp.status"] == "samp.ok")


def test_a_click_loads_a_spectrum_into_topcat(
    new_page: Any, desktop: Any, spectrum_address: str, vendored: None
) -> None:
    page = new_page()
    page.goto(spectrum_address)
    results = page.get_by_role("button", name="Send the table of results")
    row = page.locator("tr", has_text="source_spectrum.fits")
    path = row.get_by_role("link", name="Download source_spectrum.fits").get_attribute("href")
    url = spectrum_address.partition("/jobs/")[0] + path
    assert not has_loaded(desktop, url)
    row.get_by_role("button", name="Send to TOPCAT / Aladin").click()
    expect(page.locator("#samp-status")).to_have_text("Sent source_spectrum.fits to topcat.")
    wait_until(lambda: has_loaded(desktop, url), "TOPCAT did not load the table")
    row.get_by_role("button", name="Send to TOPCAT / Aladin").click()  # by the same id TOPCAT would refuse it
    expect(page.locator("#samp-status")).to_have_text("Sent source_spectrum.fits to topcat.")
    results.click()
    expect(page.locator("#samp-status")).to_contain_text(".vot to topcat.")
    table = str(results.get_attribute("data-url"))
    wait_until(lambda: has_loaded(desktop, url.partition("/store/")[0] + table), "TOPCAT did not load the results")
    address = url.partition("/store/")[0] + "/store/products.vot?ID=" + "0" * 32
    results.evaluate("(button, url) => { button.dataset.url = url; }", address)
    results.click()
    expect(page.locator("#samp-status")).to_contain_text("topcat could not load")
    registered = len(desktop.get_registered_clients())
    page.goto("about:blank")
    wait_until(lambda: len(desktop.get_registered_clients()) == registered - 1, "the page is still registered")


def test_the_tutorial_ends_in_topcat(new_page: Any, desktop: Any, vendored: None, tmp_path: Path) -> None:
    """What docs/tutorial-spectrum.md says of the pages: every name in bold is that of a control, or TOPCAT's own."""
    text = " ".join((ROOT / "docs" / "tutorial-spectrum.md").read_text(encoding="utf-8").split())
    names = set(re.findall(r"\*\*(.+?)\*\*", text)) - {"Graphics", "Plane Plot"}
    simulate(small(), tmp_path / "archive", cameras=("EPN",))
    with running_server(tmp_path / "data", "--archive", str(tmp_path / "archive")) as server:
        page = new_page()

        def press(role: Any, name: str, within: Any = page) -> None:
            names.remove(name)
            within.get_by_role(role, name=name).click()

        page.goto(server.url)
        press("link", "New job", page.locator("main"))
        press("link", "Spectrum of a region", page.locator("main"))
        for field, value in re.findall(r"\| (\w+) \| `([^`]+)` \|", text):
            page.locator(f"#p-{field}").fill(value)
        press("button", "Create and run")
        expect(page.locator("#head .phase")).to_have_text("Completed", timeout=START_S * 1000)
        job = page.url
        row = page.locator("tr", has_text="source_spectrum.fits")
        url = server.url + str(row.get_by_role("link", name="Download source_spectrum.fits").get_attribute("href"))
        press("button", "Send to TOPCAT / Aladin", row)
        expect(page.locator("#samp-status")).to_have_text("Sent source_spectrum.fits to topcat.")
        wait_until(lambda: has_loaded(desktop, url), "TOPCAT did not load the table")
        press("button", "Find applications")
        press("link", "How it was made")
        page.goto(job)
        press("link", "Run again", page.locator("#head"))
        page.get_by_label("energy", exact=True).fill("2 10")
        names.remove("energy")
        page.locator("main").get_by_role("button", name="Run again").click()
        expect(page.locator("#head .phase")).to_have_text("Completed", timeout=START_S * 1000)
        press("link", "both side by side")
        expect(page.locator("main")).to_contain_text("One parameter differs: energy.")
    assert names == set()
