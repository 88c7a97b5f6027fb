"""A real Chromium on real pages: what goes wrong in a page fails its test, and nothing is fetched from elsewhere."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from accounts import account
from browsing import REFUSED, House, NewPage
from checkout import ROOT
from samphub import port_is_taken
from serving import Served, running_server
from uwsjobs import ENDED, reached

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
HUB = "localhost:21012"
VENDOR = ROOT / "templates" / "static" / "vendor"


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by playwright: only for these tests, since it keeps an event loop running."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing: pip install playwright")
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium: apt-get install chromium, or set CHROMIUM to where one is")
    playwright.expect.set_options(timeout=300_000)  # without it 5 s, and those of a page are for what is done in it
    with playwright.sync_playwright() as driver:
        # --no-sandbox: tests may run as root, where Chromium refuses its sandbox
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def new_page(browser: Any) -> Iterator[NewPage]:
    """Makes pages whose errors fail the test; requests to other hosts than this machine are refused and fail it too.

    `expected` in `page.expected` are pieces of messages that the test provokes on purpose.
    """
    contexts: list[Any] = []
    problems: list[str] = []
    expected = list(REFUSED)

    def make(**options: Any) -> Any:
        context = browser.new_context(**options)
        contexts.append(context)

        def guard(route: Any) -> None:
            host = urlsplit(route.request.url)
            if host.hostname == "127.0.0.1" or host.netloc == HUB:
                route.continue_()
            else:
                problems.append(f"the page asked for {route.request.url}")
                route.abort()

        context.route("**/*", guard)
        page = context.new_page()
        page.set_default_timeout(300_000)
        page.on("pageerror", lambda error: problems.append(f"error in the page: {error}"))
        page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
        page.expected = expected
        return page

    yield make
    for context in contexts:
        context.close()
    assert [text for text in problems if not any(piece in text for piece in expected)] == []


@pytest.fixture
def vendored() -> None:
    """Aladin Lite, sampjs and CodeMirror; the test is skipped without them."""
    if not (VENDOR / "versions.json").exists():
        pytest.skip("no front-end parts: make front-end")


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with the test job and without an archive."""
    with running_server(tmp_path_factory.mktemp("data")) as server:
        yield server


@pytest.fixture(scope="session")
def observed(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Iterator[Served]:
    """A server whose archive is the real Chandra list of M82."""
    folder = shared / "real" / "chandra_m82"
    with running_server(tmp_path_factory.mktemp("data"), "--archive", str(folder)) as server:
        yield server


@pytest.fixture
def web_port() -> Iterator[None]:
    """The port of the web profile, which one hub of a machine can use: tests in other processes wait for their turn."""
    with (Path(tempfile.gettempdir()) / "uws-server-samp-port.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        patience = time.monotonic() + 300  # the hub of the test before may take a moment to let it go
        while port_is_taken() and time.monotonic() < patience:
            time.sleep(0.1)
        if port_is_taken():
            pytest.skip("another SAMP hub has port 21012: close TOPCAT or Aladin")
        yield


@pytest.fixture(scope="session")
def spectrum_address(observed: Served) -> str:
    """The page of a spectrum job that has ended."""
    job = requests.post(
        f"{observed.url}/rest/spectrum", data={"eventlist": "acis_10027_events", "PHASE": "RUN"}, timeout=300
    ).url
    assert reached(job, *ENDED) == "COMPLETED"
    return f"{observed.url}/jobs/{job.rsplit('/', 1)[1]}"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server with two authors and an admin."""
    data = tmp_path_factory.mktemp("data")
    with running_server(data) as served:
        names = {"ann": ("--role", "author"), "ben": ("--role", "author"), "root": ("--admin",)}
        yield House(served, {name: account(data, name, *options) for name, options in names.items()})
