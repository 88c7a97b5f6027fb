"""A picture of the sky as numbers for the browser: its values, where they lie in the drawing, and its coordinates.

The coordinates are those of a tangential projection, which the browser computes as its header says (TAN, as XMM's
images have it); of any other they are those of a few points, between which the browser interpolates.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from astropy.wcs import WCS

from uws_server.previews.sky import SkyView
from uws_server.previews.skyplot import Frame, coordinate, system

NODES = 17
"""Points along each side of the picture whose coordinates are given: between them lie 1.5 arcmin of a field of EPIC."""


def describe(view: SkyView) -> dict[str, Any]:
    """Return what the browser needs to tell what lies under the pointer.

    ``values`` are floats of 32 bits, little-endian, in base64, row by row from the bottom; NaN where there is none.
    ``box`` is the picture in the drawing: left, top, width, height; ``drawing`` the size of the drawing; ``axes`` are
    the pixels at its edges, counted as readers count them. ``limits`` are the values at the ends of the colours.
    """
    frame = Frame.of(view)
    rows, columns = view.raster.values.shape
    return {
        "rows": rows,
        "columns": columns,
        "measure": view.measure,
        "box": [frame.left, frame.top, frame.width, frame.height],
        "drawing": list(frame.drawing),
        "low": list(view.low),
        "step": list(view.step),
        "values": base64.b64encode(view.raster.values.astype("<f4").tobytes()).decode("ascii"),
        "sky": coordinates(view),
        "named": [[axis.name, axis.zero, axis.step] for axis in view.axes or ()],
        "first": view.first_pixel,
        "axes": [{"low": low + view.first_pixel, "high": low + size + view.first_pixel, "log": False}
                 for low, size in zip(view.low, view.size, strict=True)],
        "limits": [view.raster.stretch.lowest, view.raster.stretch.highest],
    }  # fmt: skip


def coordinates(view: SkyView) -> dict[str, Any] | None:
    """Return the names of the coordinates and their values at the nodes, row by row from the bottom; None for none."""
    if view.wcs is None:
        return None
    share = np.linspace(0, 1, NODES)
    x, y = np.meshgrid(view.low[0] + share * view.size[0], view.low[1] + share * view.size[1])
    lon, lat = view.wcs.wcs_pix2world(np.stack((x.ravel(), y.ravel()), axis=1), 0).T
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return None
    return {
        "names": [coordinate(view.wcs, axis) for axis in (0, 1)],
        "system": system(view.wcs).removeprefix(", "),
        "tan": tangent(view.wcs),
        "nodes": NODES,
        "lon": np.round(lon, 9).tolist(),
        "lat": np.round(lat, 9).tolist(),
    }


def tangent(wcs: WCS) -> dict[str, Any] | None:
    """Return the keywords of a tangential projection of longitude and latitude; None of any other, or a distorted one.

    ``pixel`` counts from 0; ``matrix`` turns pixels into degrees, row by row.
    """
    kinds = [str(kind) for kind in wcs.wcs.ctype]
    usual = (wcs.wcs.lng, wcs.wcs.lat) == (0, 1) and wcs.wcs.lonpole == 180
    if not (usual and all(kind.endswith("-TAN") for kind in kinds)) or wcs.has_distortion or wcs.wcs.get_pv():
        return None
    matrix = wcs.pixel_scale_matrix
    return {"pixel": [float(value) - 1 for value in wcs.wcs.crpix], "matrix": matrix.tolist(),
            "value": [float(value) for value in wcs.wcs.crval]}  # fmt: skip
