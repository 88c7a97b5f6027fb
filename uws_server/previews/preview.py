"""A file to preview, what is found in it, and a picture of it, as values. Loads none of the modules that draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from uws_server.previews.chart import Chart
    from uws_server.previews.curve import Curve
    from uws_server.previews.ecsv import ShownTable
    from uws_server.previews.fitwords import FitShown
    from uws_server.previews.plot import Plot

Kind = Literal[
    "spectrum",
    "lightcurve",
    "response",
    "fit",
    "contour",
    "events",
    "image",
    "picture",
    "table",
    "text",
    "votable",
    "other",
]


@dataclass(frozen=True)
class ResultFile:
    """A file to preview: `key` names its content for ever, `beside` the files its header may refer to, by name."""

    key: str
    path: Path
    beside: Mapping[str, Path]


@dataclass(frozen=True)
class Preview:
    """The kind of a file and its plot, light curve, chart or first lines; `reason` says why there is no picture.

    `text` are the first lines of a text, or what is to be said of a chart; `fit` is what is told beside that of a fit;
    `is_sources` is whether a table is a list of sources; `rows` are the first ones of a table of text (ECSV).
    """

    kind: Kind
    text: str = ""
    plot: Plot | None = None
    curve: Curve | None = None
    chart: Chart | None = None
    reason: str = ""
    fit: FitShown | None = None
    is_sources: bool = False
    rows: ShownTable | None = None


@dataclass(frozen=True)
class Drawing:
    """A picture to send: its bytes and their media type; `ok` is whether it shows the file or a reason."""

    data: bytes
    mime: str
    ok: bool = True


@dataclass(frozen=True)
class ArrayFile:
    """An image as an array to send: JSON that describes it, and its values compressed by gzip.

    Where there is none, `reason` says why.
    """

    about: bytes = b""
    values: bytes = b""
    reason: str = ""
