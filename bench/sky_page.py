"""The sky page in Chromium: when it can be looked at and drawn on, how soon a drawn region is searched for.

    python bench/sky_page.py [--rounds 15] [--observations TABLE] [--chromium PATH]

The archive is a simulated observation of three cameras, with `--observations` also the rows of a table that
`uws-server archive import` takes. Each round opens the page in a browser context of its own (nothing is cached), draws
a circle with the mouse, and takes the time from the release of the button to the event `exposures:found`, and to the
answer of the server's check. Needs playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _serving import own_server
from playwright.sync_api import sync_playwright

from reduction.simulate import simulate, small
from uws_server import cli

REGION = 'icrs; circle(148.9745, 69.651, 40")'
LISTEN = """
window.times = {};
const note = (name) => { window.times[name] = performance.now(); };
document.addEventListener("pointerup", () => note("drawn"), true);
document.addEventListener("exposures:found", () => note("found"));
document.addEventListener("region:checked", () => note("checked"));
const isReady = () => document.querySelector("#sky-form[data-ready]");
new MutationObserver(() => isReady() && (window.times.ready ??= performance.now())).observe(document,
  { subtree: true, childList: true, attributes: true, attributeFilter: ["data-ready"] });
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--observations", type=Path)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        where = ["--archive", str(folder / "archive"), "--data", str(folder / "data")]
        simulate(small(), folder / "archive")
        os.environ["UWS_SERVER_ARCHIVE"] = str(folder / "archive")
        cli.main(["archive", "add", *where])
        if options.observations:
            cli.main(["archive", "import", str(options.observations), *where])
        served = stack.enter_context(own_server(folder / "data"))
        driver = stack.enter_context(sync_playwright())
        browser = driver.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
        print(
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.rounds} rounds, ms: least, median, most"
        )
        report([of_page(browser, f"{served.url}/sky?source={REGION}") for _ in range(options.rounds)])
        browser.close()


def of_page(browser: Any, address: str) -> dict[str, float]:
    """Open the page and draw a circle; return how long each step took, in ms."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.add_init_script(LISTEN)
    page.goto(address)
    page.locator("#sky-form[data-ready=yes]").wait_for()
    paints = page.evaluate("performance.getEntriesByType('paint').map((entry) => [entry.name, entry.startTime])")
    ready = page.evaluate("window.times.ready")
    page.wait_for_timeout(500)  # what the page fetches at its start is there
    box = page.locator("#sky-overlay").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.evaluate("() => { delete window.times.found; delete window.times.checked; }")
    page.mouse.move(x + 100, y)
    page.mouse.down()
    page.mouse.move(x + 140, y)
    page.mouse.up()
    times = waited(page, lambda told: {"found", "checked"} <= told.keys())
    context.close()
    return {
        "first paint with content": dict(paints)["first-contentful-paint"],
        "the sky can be drawn on": ready,
        "region drawn to exposures:found": times["found"] - times["drawn"],
        "region drawn to the check of the server": times["checked"] - times["drawn"],
    }


def waited(page: Any, is_done: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    """Return the times that the page noted, when they are complete; its policy lets no function wait in it."""
    for _ in range(2000):
        times: dict[str, float] = page.evaluate("window.times")
        if is_done(times):
            return times
        page.wait_for_timeout(5)
    raise SystemExit("the page tells of no exposures")


def report(rounds: list[dict[str, float]]) -> None:
    for name in rounds[0]:
        values = [each[name] for each in rounds]
        print(f"{name:42} {min(values):7.0f} {statistics.median(values):7.0f} {max(values):7.0f}")


if __name__ == "__main__":
    main()
