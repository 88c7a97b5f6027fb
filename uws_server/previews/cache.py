"""The preview of a file, made once and kept while there is room. Imports the other previews and reduction.

Nothing here raises for a bad file: a preview then says why there is none.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from provenance.fits import FitsError
from provenance.fits.hdus import OPENING, Hdu
from provenance.fits.pha import is_spectrum
from reduction.errors import ReductionError
from reduction.events.fitsfile import scan
from uws_server.previews import (
    charting,
    chartplot,
    contourchart,
    curve,
    curvechart,
    ecsv,
    fitchart,
    plot,
    responsechart,
    skyfiles,
    sourcelist,
)
from uws_server.previews.chart import Chart
from uws_server.previews.extent import WHOLE, Extent
from uws_server.previews.firstrows import first_rows
from uws_server.previews.look import AS_USUAL, Look
from uws_server.previews.preview import ArrayFile, Drawing, Preview, ResultFile
from uws_server.previews.spectra import NoPreview

if TYPE_CHECKING:
    from uws_server.previews.skyfiles import Regions

LOG = logging.getLogger(__name__)

_ON_SKY = frozenset({"events", "image"})
_TEXT_BYTES = 4096
_TEXT_LINES = 12
_SLOW_S = 3.0


_Made = Preview | Drawing | ArrayFile


class Previews:
    """Previews of the files of ended jobs, kept in memory up to `room_bytes`."""

    def __init__(self, room_bytes: int = 32_000_000) -> None:
        self._room = room_bytes
        self._kept: OrderedDict[tuple[str, str], tuple[int, _Made]] = OrderedDict()
        self._lock = threading.Lock()
        self._large = threading.Lock()

    def look(self, file: ResultFile) -> Preview:
        """Return the kind of the file, with its plot or its first lines."""
        found = self._kept_or_made(file, "look", lambda: _look(file))
        assert isinstance(found, Preview)
        return found

    def plot_picture(self, file: ResultFile, look: Look = AS_USUAL, extent: Extent = WHOLE) -> Drawing:
        """Return the plot of a spectrum or a light curve, or the sky in a file with its coordinates, as SVG."""
        if self.look(file).kind in _ON_SKY:
            return self._one_by_one(
                file, f"sky plot {look.key} {extent.key}", lambda: skyfiles.plot(file, look, extent)
            )
        return self._charted(file, "svg", extent)

    def thumbnail(self, file: ResultFile) -> Drawing:
        """Return the plot of a spectrum or a light curve as a small SVG."""
        return self._drawn(file, "thumbnail", lambda: chartplot.draw_thumbnail(self.chart(file)))

    def plot_data(self, file: ResultFile, look: Look = AS_USUAL, extent: Extent = WHOLE) -> Drawing:
        """Return the points of a plot, or the values of a picture of the sky, and where they lie in it, as JSON."""
        mime = "application/json"
        if self.look(file).kind in _ON_SKY:
            what = f"sky data {look.key} {extent.key}"
            return self._one_by_one(file, what, lambda: skyfiles.data(file, look, extent), mime)
        return self._charted(file, "json", extent)

    def plot_table(self, file: ResultFile, extent: Extent = WHOLE) -> Drawing:
        """Return the points that a plot shows, or the cells of a picture of the sky, as CSV."""
        mime = "text/csv"
        if self.look(file).kind in _ON_SKY:
            return self._one_by_one(file, f"sky table {extent.key}", lambda: skyfiles.table(file, extent), mime)
        return self._charted(file, "csv", extent)

    def sky_picture(self, file: ResultFile, look: Look = AS_USUAL, extent: Extent = WHOLE) -> Drawing:
        """Return the sky in an event list or an image as PNG, without coordinates."""
        what = f"sky {look.key} {extent.key}"
        return self._one_by_one(file, what, lambda: skyfiles.png(file, look, extent), "image/png")

    def array(self, file: ResultFile, extent: Extent = WHOLE) -> ArrayFile:
        """Return an image, or an event list counted in bins, as an array."""
        what = f"array {extent.key}"
        found = self._known(file, what)
        if found is None:
            with self._large:
                found = self._kept_or_made(file, what, lambda: skyfiles.array_of(file, extent))
        assert isinstance(found, ArrayFile)
        return found

    def picture_with(self, file: ResultFile, look: Look, extent: Extent, drawn: Regions) -> Drawing:
        """Return the sky in a file as SVG with these regions, in the place of those that lie beside the file."""
        texts = "".join(f"{role} {region.to_ds9()}" for role, region in drawn)
        what = f"sky with {hashlib.sha256(texts.encode()).hexdigest()} {look.key} {extent.key}"
        return self._one_by_one(file, what, lambda: skyfiles.plot_with(file, look, extent, drawn))

    def chart(self, file: ResultFile, extent: Extent = WHOLE) -> Chart:
        """Return the chart of a spectrum or a light curve. Raise NoPreview for a file that has none."""
        preview = self.look(file)
        if preview.curve is not None:
            return curvechart.chart_of(preview.curve, extent)
        if preview.chart is not None:
            return preview.chart
        if preview.plot is None:
            raise NoPreview(preview.reason or "the file is no spectrum and no light curve")
        return plot.chart_of(preview.plot)

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

    def _charted(self, file: ResultFile, suffix: str, extent: Extent) -> Drawing:
        found = self._kept_or_made(
            file, f"{suffix} {extent.key}", lambda: charting.drawing(lambda: self.chart(file, extent), suffix, extent)
        )
        assert isinstance(found, Drawing)
        return found

    def _drawn(
        self, file: ResultFile, what: str, draw: Callable[[], str | bytes], mime: str = "image/svg+xml"
    ) -> Drawing:
        found = self._kept_or_made(file, what, lambda: charting.drawn(draw, mime, str(file.path)))
        assert isinstance(found, Drawing)
        return found

    def _known(self, file: ResultFile, what: str) -> _Made | None:
        key = file.key, what
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][1]

    def _kept_or_made(self, file: ResultFile, what: str, make: Callable[[], _Made]) -> _Made:
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
        return _look_at_fits(file) if head.startswith(OPENING) else _look_at_text(file.path, head)
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
            preview = Preview("spectrum", plot=plot.make_plot(file.path, file.beside))
        except NoPreview as error:
            preview = Preview("table", reason=str(error))
    elif (response := next((hdu for hdu in hdus if responsechart.is_response(hdu)), None)) is not None:
        try:
            preview = Preview(
                "response", chart=responsechart.read(file.path, response), text=responsechart.origin(response)
            )
        except NoPreview as error:
            preview = Preview("table", reason=str(error))
    elif (fitted := fitchart.find(hdus)) is not None:
        try:
            drawn, told = fitchart.read(file.path, fitted, hdus)
            preview = Preview("fit", chart=drawn, fit=told)
        except NoPreview as error:
            preview = Preview("table", reason=str(error))
    elif (contour := contourchart.find(hdus)) is not None:
        try:
            preview = Preview("contour", chart=contourchart.read(file.path, contour))
        except NoPreview as error:
            preview = Preview("table", reason=str(error))
    elif any(hdu.name in ("EVENTS", "STDEVT") for hdu in hdus):
        preview = Preview("events", reason=_why_no_sky(file.path))
    elif (curve_hdu := next((hdu for hdu in hdus if curve.is_curve(hdu)), None)) is not None:
        try:
            preview = Preview("lightcurve", curve=curve.read(file.path, curve_hdu, hdus))
        except NoPreview as error:
            preview = Preview("table", reason=str(error))
    elif skyfiles.first_image(hdus) is not None:
        preview = Preview("image")
    else:
        preview = _look_at_table(file.path, hdus)
    if time.monotonic() - began > _SLOW_S:
        LOG.warning("looking at %s took %.1f s", file.path, time.monotonic() - began)
    return preview


def _look_at_table(path: Path, hdus: tuple[Hdu, ...]) -> Preview:
    """Return the first rows of the first table that is not empty, else of the first."""
    reason = "a FITS file without a spectrum, a light curve, events or an image"
    tables = sorted((hdu for hdu in hdus if hdu.is_table), key=lambda hdu: not hdu.cards.get("NAXIS2"))
    try:
        text = first_rows(path, tables[0]) if tables else ""
        return Preview("table", text=text, reason=reason, is_sources=any(map(sourcelist.is_list, tables)))
    except FitsError as error:
        return Preview("table", reason=str(error))


def _look_at_text(path: Path, head: bytes) -> Preview:
    text = head.decode("utf-8", "ignore")
    if "\x00" in text or len(text.encode()) < len(head) - 3:
        return Preview("other", reason="the file is not text")
    if "<VOTABLE" in text:
        return Preview("votable", reason="a VOTable: send it to TOPCAT")
    lines = text.splitlines()
    more = len(lines) > _TEXT_LINES or len(head) == _TEXT_BYTES
    rows = ecsv.read(path) if head.startswith(ecsv.OPENING) else None
    return Preview("text", text="\n".join(lines[:_TEXT_LINES]) + ("\n…" if more else ""), rows=rows)


def _why_no_sky(path: Path) -> str:
    """Return why an event list has no picture of the sky; empty where it has one."""
    from reduction.events.eventlist import open_eventlist  # projections are not loaded before there is such a file

    try:
        with open_eventlist(path) as events:
            return "" if events.x and events.y else f"{events.mission.name} has no sky positions"
    except ReductionError as error:
        return str(error)


def _weight(made: _Made) -> int:
    """Return roughly how many bytes an entry holds."""
    if isinstance(made, Drawing):
        return len(made.data) + 500
    if isinstance(made, ArrayFile):
        return len(made.about) + len(made.values) + 500
    points = sum(len(series.points.rate) for series in made.plot.series) if made.plot else 0
    points += sum(len(series.rate) for series in made.curve.series) if made.curve else 0
    points += sum(len(series.y) for series in made.chart.series) if made.chart else 0
    return 2000 + len(made.text) + 40 * points
