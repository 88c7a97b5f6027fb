"""The sky in a result file, in each form that is sent: picture, data of a page, table, array. Imports the libraries.

What draws is not loaded before there is something to draw: coordinates and projections take 18 MiB.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from provenance.fits.hdus import Hdu
from reduction.errors import ReductionError
from reduction.events.fitsfile import scan
from uws_server.previews.extent import Extent
from uws_server.previews.look import AS_USUAL, Look
from uws_server.previews.preview import ArrayFile, ResultFile
from uws_server.previews.spectra import NoPreview

if TYPE_CHECKING:
    from reduction.regions import RegionSet
    from uws_server.previews.marks import Role
    from uws_server.previews.sky import SkyView

    Regions = Sequence[tuple[Role, RegionSet]]

LOG = logging.getLogger(__name__)


def plot(file: ResultFile, look: Look, extent: Extent) -> str:
    """Return the sky with its coordinates and the regions beside the file, as SVG. Raise NoPreview."""
    from uws_server.previews import skyplot

    return skyplot.draw(_view(file, look, extent))


def plot_with(file: ResultFile, look: Look, extent: Extent, drawn: Regions) -> str:
    """Return the sky with its coordinates and some regions, as SVG. Raise NoPreview."""
    from uws_server.previews import marks, skyplot

    view = _view(file, look, extent)
    return skyplot.draw(replace(view, marks=marks.project(drawn, view.wcs) if view.wcs else ()))


def png(file: ResultFile, look: Look, extent: Extent) -> bytes:
    """Return the sky as PNG, a pixel a cell. Raise NoPreview."""
    return _view(file, look, extent).raster.png()


def data(file: ResultFile, look: Look, extent: Extent) -> str:
    """Return what a page tells of the picture, as JSON. Raise NoPreview."""
    from uws_server.previews import skydata

    return json.dumps(skydata.describe(_view(file, look, extent)))


def table(file: ResultFile, extent: Extent) -> str:
    """Return the cells of the picture as CSV. Raise NoPreview."""
    from uws_server.previews import table

    return table.of_sky(_view(file, AS_USUAL, extent))


def array_of(file: ResultFile, extent: Extent) -> ArrayFile:
    """Return the whole image as an array, or the reason why there is none."""
    from uws_server.previews import skyarray

    try:
        made = skyarray.make(_array_view(file, extent))
    except NoPreview as error:
        return ArrayFile(reason=str(error))
    except Exception:
        LOG.exception("the array of %s failed", file.path)
        return ArrayFile(reason="the image cannot be understood")
    return ArrayFile(json.dumps(made.about).encode(), made.values)


def first_image(hdus: Sequence[Hdu]) -> Hdu | None:
    """Return the first image with two axes; an ASCII table, such as VO-TAGS, has two axes as well."""
    return next((hdu for hdu in _images(hdus) if hdu.cards.get("NAXIS") == 2 and hdu.size), None)


def _images(hdus: Sequence[Hdu]) -> list[Hdu]:
    return [hdu for hdu in hdus if hdu.kind in ("", "IMAGE")]


def _view(file: ResultFile, look: Look, extent: Extent) -> SkyView:
    """Return the events or the image of a file, as small as a figure on a page. Raise NoPreview."""
    from uws_server.previews import sky

    hdus = _hdus(file)
    if _has_events(hdus):
        return sky.view_of_events(file.path, file.beside, look, extent)
    return sky.view_of_image(file.path, _require_image(hdus), file.beside, look, extent)


def _array_view(file: ResultFile, extent: Extent) -> SkyView:
    """Return the events or the image of a file, in as many cells as fill a page. Raise NoPreview."""
    from uws_server.previews import sky
    from uws_server.previews.skyarray import MOST_SIDE

    hdus = _hdus(file)
    if _has_events(hdus):
        return sky.view_of_events(file.path, file.beside, AS_USUAL, extent, MOST_SIDE)
    return sky.averaged_image(file.path, _require_image(hdus), AS_USUAL, extent, MOST_SIDE)


def _hdus(file: ResultFile) -> Sequence[Hdu]:
    try:
        return scan(file.path, "").hdus
    except (OSError, ReductionError) as error:
        raise NoPreview(str(error)) from error


def _has_events(hdus: Sequence[Hdu]) -> bool:
    return any(hdu.name in ("EVENTS", "STDEVT") for hdu in hdus)


def _require_image(hdus: Sequence[Hdu]) -> Hdu:
    """Return the first image with two axes. Raise NoPreview, with what there is in its place."""
    found = first_image(hdus)
    if found is not None:
        return found
    other = next((hdu for hdu in _images(hdus) if hdu.cards.get("NAXIS")), None)
    if other is None:
        raise NoPreview("the file has no image and no events")
    if not other.size:
        raise NoPreview("the image has no pixels")
    raise NoPreview(f"the image has {other.cards['NAXIS']} axes; one of two axes is shown")
