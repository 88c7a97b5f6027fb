"""The preview of a file, made once and kept while there is room. Imports the other previews and reduction.

Nothing here raises for a bad file: a preview then says why there is none.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from provenance.fits.hdus import OPENING, Hdu
from provenance.fits.pha import is_spectrum
from reduction.errors import ReductionError
from reduction.events.fitsfile import scan
from uws_server.previews import curve, curveplot, svg
from uws_server.previews.look import AS_USUAL, Look
from uws_server.previews.plot import Plot, make_plot, plot_json
from uws_server.previews.preview import Drawing, Preview, ResultFile
from uws_server.previews.spectra import NoPreview

if TYPE_CHECKING:
    from uws_server.previews.sky import SkyView

LOG = logging.getLogger(__name__)

_ON_SKY = frozenset({"events", "image"})
_TEXT_BYTES = 4096
_TEXT_LINES = 12
_SLOW_S = 3.0


class Previews:
    """Previews of the files of ended jobs, kept in memory up to `room_bytes`."""

    def __init__(self, room_bytes: int = 32_000_000) -> None:
        self._room = room_bytes
        self._kept: OrderedDict[tuple[str, str], tuple[int, Preview | Drawing]] = OrderedDict()
        self._lock = threading.Lock()
        self._large = threading.Lock()

    def look(self, file: ResultFile) -> Preview:
        """Return the kind of the file, with its plot or its first lines."""
        found = self._kept_or_made(file, "look", lambda: _look(file))
        assert isinstance(found, Preview)
        return found

    def plot_picture(self, file: ResultFile, look: Look = AS_USUAL) -> Drawing:
        """Return the plot of a spectrum or a light curve, or the sky in a file with its coordinates, as SVG."""
        preview = self.look(file)
        if preview.kind in _ON_SKY:
            return self._one_by_one(file, f"sky plot {look.key}", lambda: _sky_plot(file, look))
        if preview.curve is not None:
            curve = preview.curve
            return self._drawn(file, "plot", lambda: curveplot.draw(curve))
        return self._drawn(file, "plot", lambda: svg.draw(self._plot(file)))

    def thumbnail(self, file: ResultFile) -> Drawing:
        """Return the plot of a spectrum or a light curve as a small SVG."""
        curve = self.look(file).curve
        if curve is not None:
            return self._drawn(file, "thumbnail", lambda: curveplot.draw_thumbnail(curve))
        return self._drawn(file, "thumbnail", lambda: svg.draw_thumbnail(self._plot(file)))

    def plot_data(self, file: ResultFile) -> Drawing:
        """Return the plot of a spectrum, or the values of a picture of the sky and where they lie, as JSON."""
        if self.look(file).kind in _ON_SKY:
            return self._one_by_one(file, "sky data", lambda: _sky_data(file), "application/json")
        return self._drawn(file, "data", lambda: json.dumps(plot_json(self._plot(file))), "application/json")

    def sky_picture(self, file: ResultFile) -> Drawing:
        """Return the sky in an event list or an image as PNG, without coordinates."""
        return self._one_by_one(file, "sky", lambda: _sky(file, AS_USUAL).raster.png(), "image/png")

    def _one_by_one(
        self, file: ResultFile, what: str, draw: Callable[[], str | bytes], mime: str = "image/svg+xml"
    ) -> Drawing:
        """Return a picture of the sky; one is drawn at a time, as it may take seconds."""
        found = self._known(file, what)
        if found is not None:
            assert isinstance(found, Drawing)
            return found
        with self._large:
            return self._drawn(file, what, draw, mime)

    def _plot(self, file: ResultFile) -> Plot:
        preview = self.look(file)
        if preview.plot is None:
            raise NoPreview(preview.reason or "the file is no spectrum")
        return preview.plot

    def _drawn(
        self, file: ResultFile, what: str, draw: Callable[[], str | bytes], mime: str = "image/svg+xml"
    ) -> Drawing:
        def make() -> Drawing:
            try:
                drawn = draw()
            except NoPreview as reason:
                return Drawing(svg.say(f"No preview: {reason}").encode(), "image/svg+xml", ok=False)
            except Exception:
                LOG.exception("the picture of %s failed", file.path)
                return Drawing(svg.say("No preview: the picture failed").encode(), "image/svg+xml", ok=False)
            return Drawing(drawn.encode() if isinstance(drawn, str) else drawn, mime)

        found = self._kept_or_made(file, what, make)
        assert isinstance(found, Drawing)
        return found

    def _known(self, file: ResultFile, what: str) -> Preview | Drawing | None:
        key = file.key, what
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][1]

    def _kept_or_made(self, file: ResultFile, what: str, make: Callable[[], Preview | Drawing]) -> Preview | Drawing:
        found = self._known(file, what)
        if found is not None:
            return found
        made = make()
        with self._lock:
            self._kept[file.key, what] = _weight(made), made
            while len(self._kept) > 1 and sum(size for size, _ in self._kept.values()) > self._room:
                self._kept.popitem(last=False)
        return made


def _look(file: ResultFile) -> Preview:
    try:
        with file.path.open("rb") as stream:
            head = stream.read(_TEXT_BYTES)
        if head.startswith(b"\x89PNG\r\n\x1a\n"):
            return Preview("picture")
        if head.startswith(b"\x1f\x8b"):
            return Preview("other", reason="the file is compressed")
        return _look_at_fits(file) if head.startswith(OPENING) else _look_at_text(head)
    except (OSError, ReductionError, NoPreview) as error:
        return Preview("other", reason=str(error))
    except Exception:
        LOG.exception("the preview of %s failed", file.path)
        return Preview("other", reason="the file cannot be understood")


def _look_at_fits(file: ResultFile) -> Preview:
    began = time.monotonic()
    hdus = scan(file.path, "").hdus
    if any(is_spectrum(hdu) for hdu in hdus):
        try:
            preview = Preview("spectrum", plot=make_plot(file.path, file.beside))
        except NoPreview as error:
            preview = Preview("table", reason=str(error))
    elif any(hdu.name in ("EVENTS", "STDEVT") for hdu in hdus):
        preview = Preview("events", reason=_why_no_sky(file.path))
    elif (curve_hdu := next((hdu for hdu in hdus if curve.is_curve(hdu)), None)) is not None:
        try:
            preview = Preview("lightcurve", curve=curve.read(file.path, curve_hdu, hdus))
        except NoPreview as error:
            preview = Preview("table", reason=str(error))
    elif _first_image(hdus) is not None:
        preview = Preview("image")
    else:
        preview = Preview("table", reason="a FITS table that is no spectrum, light curve or event list")
    if time.monotonic() - began > _SLOW_S:
        LOG.warning("looking at %s took %.1f s", file.path, time.monotonic() - began)
    return preview


def _look_at_text(head: bytes) -> Preview:
    text = head.decode("utf-8", "ignore")
    if "\x00" in text or len(text.encode()) < len(head) - 3:
        return Preview("other", reason="the file is not text")
    if "<VOTABLE" in text:
        return Preview("votable", reason="a VOTable: send it to TOPCAT")
    lines = text.splitlines()
    more = len(lines) > _TEXT_LINES or len(head) == _TEXT_BYTES
    return Preview("text", text="\n".join(lines[:_TEXT_LINES]) + ("\n…" if more else ""))


def _why_no_sky(path: Path) -> str:
    """Return why an event list has no picture of the sky; empty where it has one."""
    from reduction.events.eventlist import open_eventlist  # projections are not loaded before there is such a file

    try:
        with open_eventlist(path) as events:
            return "" if events.x and events.y else f"{events.mission.name} has no sky positions"
    except ReductionError as error:
        return str(error)


def _sky_plot(file: ResultFile, look: Look) -> str:
    from uws_server.previews import skyplot

    return skyplot.draw(_sky(file, look))


def _sky_data(file: ResultFile) -> str:
    from uws_server.previews import skydata

    return json.dumps(skydata.describe(_sky(file, AS_USUAL)))


def _sky(file: ResultFile, look: Look) -> SkyView:
    from uws_server.previews import sky  # not before a picture is drawn: coordinates and projections take 18 MiB

    try:
        hdus = scan(file.path, "").hdus
    except (OSError, ReductionError) as error:
        raise NoPreview(str(error)) from error
    if any(hdu.name in ("EVENTS", "STDEVT") for hdu in hdus):
        return sky.view_of_events(file.path, file.beside, look)
    image = _first_image(hdus)
    if image is None:
        raise NoPreview("the file has no image and no events")
    return sky.view_of_image(file.path, image, file.beside, look)


def _first_image(hdus: tuple[Hdu, ...]) -> Hdu | None:
    """The first image with two axes; an ASCII table, such as VO-TAGS, has two axes as well."""
    images = (hdu for hdu in hdus if hdu.kind in ("", "IMAGE"))
    return next((hdu for hdu in images if hdu.cards.get("NAXIS") == 2 and hdu.size), None)


def _weight(made: Preview | Drawing) -> int:
    """Return roughly how many bytes an entry holds."""
    if isinstance(made, Drawing):
        return len(made.data) + 500
    points = sum(len(series.points.rate) for series in made.plot.series) if made.plot else 0
    points += sum(len(series.rate) for series in made.curve.series) if made.curve else 0
    return 2000 + len(made.text) + 40 * points
