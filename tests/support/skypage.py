"""What tests of the sky page share: how it is opened, what stands in it, and where its pixels are on the sky."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from browsing import NewPage
from reduction import regions


class SkyPage:
    """The sky page in a browser; pixels count from the middle of the view."""

    def __init__(self, new_page: NewPage, url: str, **options: Any) -> None:
        self.page = new_page(**{"viewport": {"width": 1280, "height": 1000}, **options})
        self.url = url

    def open(self, **state: Any) -> None:
        """Go to a state, and wait until the scripts have done what they do at first."""
        self.page.goto(f"{self.url}/sky?{urlencode(state, doseq=True)}")
        self.page.locator("#sky-form[data-ready=yes]").wait_for()

    def middle(self) -> tuple[float, float]:
        """Where the middle of the view is in the window."""
        left, top, width, height = self._box()
        return left + width / 2, top + height / 2

    def size(self) -> tuple[float, float]:
        return self._box()[2:]

    def _box(self) -> tuple[float, float, float, float]:
        box = self.page.evaluate("""() => { scrollTo(0, 0);
            const { x, y, width, height } = document.getElementById("sky-overlay").getBoundingClientRect();
            return [x, y, width, height]; }""")
        return tuple(box)

    def drag(self, *places: tuple[float, float]) -> None:
        """Press at the first place, go over the others and let go at the last one."""
        x, y = self.middle()
        self.page.mouse.move(x + places[0][0], y + places[0][1])
        self.page.mouse.down()
        for dx, dy in places[1:]:
            self.page.mouse.move(x + dx, y + dy)
        self.page.mouse.up()

    def click(self, *places: tuple[float, float]) -> None:
        x, y = self.middle()
        for dx, dy in places:
            self.page.mouse.click(x + dx, y + dy)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name, exact=True)

    def text(self, name: str = "source") -> str:
        return str(self.page.locator(f"#{name}").input_value())

    def shapes(self, name: str = "source") -> Sequence[Any]:
        """The shapes of a region, as the server's own reader finds them in its text."""
        text = self.text(name)
        return regions.parse(text).include if text.strip() else ()

    def problems(self) -> Any:
        return self.page.locator("#sky-problems li")

    def plane(self, ra: float, dec: float, radius_arcsec: float) -> WCS:
        """The projection of the view on a region that the page has just been opened with: orthographic, north up."""
        width, height = self.size()
        fov = np.radians(4 * radius_arcsec / 3600 * max(1, width / height))
        wcs = WCS(naxis=2)
        wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---SIN", "DEC--SIN"], [ra, dec], [1, 1]
        scale = np.degrees(2 * np.sin(fov / 2) / width)
        wcs.wcs.cdelt = [-scale, -scale]  # pixels of a window count downwards
        wcs.wcs.set()
        return wcs


def on(plane: WCS, places: Sequence[tuple[float, float]]) -> SkyCoord:
    """Where pixels that count from the middle are on the sky."""
    return SkyCoord(plane.wcs_pix2world(np.array(places, float), 0), unit="deg")
