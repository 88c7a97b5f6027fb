"""A picture of the sky as numbers for the browser: its values, where they lie in the drawing, and its coordinates.

The coordinates are those of a few points, between which the browser interpolates: so it needs no projections.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from uws_server.previews.sky import SkyView
from uws_server.previews.skyplot import Frame, coordinate, system

NODES = 17
"""Points along each side of the picture whose coordinates are given: between them lie 1.5 arcmin of a field of EPIC."""


def describe(view: SkyView) -> dict[str, Any]:
    """Return what the browser needs to tell what lies under the pointer.

    ``values`` are floats of 32 bits, little-endian, in base64, row by row from the bottom; NaN where there is none.
    ``box`` is the picture in the drawing: left, top, width, height; ``drawing`` the size of the drawing.
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
        "sky": _sky(view),
        "axes": [[axis.name, axis.zero, axis.step] for axis in view.axes or ()],
    }


def _sky(view: SkyView) -> dict[str, Any] | None:
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
        "nodes": NODES,
        "lon": np.round(lon, 9).tolist(),
        "lat": np.round(lat, 9).tolist(),
    }
