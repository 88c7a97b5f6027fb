"""Make the pictures of README anew: the products of the demo and the page of its first job, as Chromium draws them.

    .venv/bin/python scripts/pictures_of_demo.py [FOLDER]

They land in docs/images, or in the folder. Needs what the tests in a browser need: Chromium and playwright.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "images"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
WIDTH, MARGIN = 860, 20
PAGE: Final = "job-page.png"
SKY: Final = "sky-page.png"
PRODUCTS: Final = {
    "spectrum.png": ("spectrum", "source_spectrum"),
    "patterns.png": ("spectrum", "patterns"),
    "events.png": ("spectrum", "events"),
    "image.png": ("image", "images"),
    "exposure.png": ("image", "exposure_map"),
    "lightcurve.png": ("lightcurve", "lightcurve"),
    "flares.png": ("flare_filter", "curve"),
    "fit.png": ("fit", "fit"),
    "area.png": ("response", "effective_area"),
    "response.png": ("response", "response"),
}
"""The pictures of products: the job of the demo and the result of it that each shows."""


@contextmanager
def demo_pages() -> Iterator[Mapping[str, str]]:
    """Run the demo and keep its server up; yields the address of the page of each job by its definition, and `sky`."""
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "uws_server", "demo", "--serve", "--data", data]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as demo:
            assert demo.stdout is not None
            try:
                pages = {}
                for line in demo.stdout:
                    if found := re.match(r"(\w+): .* COMPLETED +(http\S+)", line):
                        pages[found[1]] = found[2]
                    elif line.startswith("Draw regions:"):
                        pages["sky"] = line.removeprefix("Draw regions:").strip()
                    elif line.startswith("Look at it:"):
                        pages["spectrum"] = line.removeprefix("Look at it:").strip()
                        break
                else:
                    raise SystemExit("the demo did not get as far as its page")
                yield pages
            finally:
                demo.terminate()
        if demo.returncode:
            raise SystemExit(f"the demo ended with {demo.returncode}")


def take_products(browser: Browser, pages: Mapping[str, str], folder: Path) -> None:
    """Save the drawing of each product, as large as it is: a narrow one, since three stand side by side."""
    page = browser.new_page(color_scheme="light")
    for name, (definition, result) in PRODUCTS.items():
        page.goto(f"{pages[definition]}/preview/{result}.svg?size=narrow")
        drawing = page.locator("svg").bounding_box()
        assert drawing is not None, f"{definition} has no picture of {result}"
        page.set_viewport_size({"width": round(drawing["width"]), "height": round(drawing["height"])})
        page.screenshot(path=folder / name)
    page.close()


def take_page(browser: Browser, address: str, folder: Path) -> None:
    """Save the page of a job from its heading to the end of the plot."""
    page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
    page.goto(address)
    page.wait_for_selector(".plot .pane")
    page.wait_for_load_state("networkidle")
    heading, plot = page.locator("#head").bounding_box(), page.locator(".plot .drawing").first.bounding_box()
    assert heading is not None and plot is not None
    top = heading["y"] - MARGIN
    height = plot["y"] + plot["height"] - top
    page.screenshot(path=folder / PAGE, full_page=True, clip={"x": 0, "y": top, "width": WIDTH, "height": height})
    page.close()


def take_sky(browser: Browser, address: str, folder: Path) -> None:
    """Save the sky page down to the exposures of the first camera."""
    page = browser.new_page(viewport={"width": 1100, "height": 900}, color_scheme="light")
    page.goto(address)
    page.wait_for_selector("#sky-form[data-ready=yes]")
    page.wait_for_selector("#exposures tr[data-eventlist]")
    page.wait_for_load_state("networkidle")
    row = page.locator("#exposures tr[data-eventlist]").first.bounding_box()
    assert row is not None
    page.screenshot(
        path=folder / SKY, full_page=True, clip={"x": 0, "y": 0, "width": 1100, "height": row["y"] + row["height"]}
    )
    page.close()


def main(folder: Path) -> None:
    """Make the pictures."""
    folder.mkdir(exist_ok=True)
    with demo_pages() as pages, sync_playwright() as driver:
        # --no-sandbox: a container runs as root, where Chromium refuses its sandbox
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        take_products(browser, pages, folder)
        take_page(browser, pages["spectrum"], folder)
        take_sky(browser, pages["sky"], folder)
        browser.close()
    for name in (*PRODUCTS, PAGE, SKY):
        print(f"{name:16}{(folder / name).stat().st_size:9,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
