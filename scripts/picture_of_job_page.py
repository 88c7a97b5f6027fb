"""Make docs/images/job-page.png anew: the page of the demo's spectrum job, as Chromium draws it.

    .venv/bin/python scripts/picture_of_job_page.py

Needs what the tests in a browser need: Chromium, playwright, and the front-end parts (`make front-end`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "job-page.png"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
WIDTH, MARGIN = 1400, 24


@contextmanager
def demo_page() -> Iterator[str]:
    """Run the demo and keep its server up; yields the address of the job's page."""
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "uws_server", "demo", "--serve", "--data", data]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as demo:
            assert demo.stdout is not None
            try:
                lines = (line.removeprefix("Look at it:") for line in demo.stdout if line.startswith("Look at it:"))
                address = next(lines, None)
                if address is None:
                    raise SystemExit("the demo did not get as far as its page")
                yield address.strip()
            finally:
                demo.terminate()


def take(page: Page, address: str) -> None:
    """Save the page from its heading to the axis of the plot."""
    page.goto(address)
    page.wait_for_selector(".plot canvas")
    heading, plot = page.locator("#head").bounding_box(), page.locator(".plot .canvas").bounding_box()
    assert heading is not None and plot is not None
    top = heading["y"] - MARGIN
    height = plot["y"] + plot["height"] - top
    page.screenshot(path=PICTURE, full_page=True, clip={"x": 0, "y": top, "width": WIDTH, "height": height})


def main() -> None:
    """Make the picture."""
    PICTURE.parent.mkdir(exist_ok=True)
    with demo_page() as address, sync_playwright() as driver:
        # --no-sandbox: a container runs as root, where Chromium refuses its sandbox
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        take(browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light"), address)
        browser.close()
    print(f"{PICTURE.relative_to(ROOT)}  {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
