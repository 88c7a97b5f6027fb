"""Source lists as files: a FITS table, a VOTable and DS9 regions; and the images that they were found in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import numpy.typing as npt

from provenance.fits.atomic import write_bytes
from reduction.detection.chain import Detected
from reduction.detection.layers import Layer
from reduction.detection.options import Options
from reduction.detection.sources import FLAGS, SourceColumn, SourceList
from reduction.events import fitswrite
from reduction.events.fitswrite import LONGSTRN, PRIMARY, Cards, TableColumn
from reduction.missions import CREATOR

EXTNAME = "SOURCES"

_TYPES = {"i4": "int", "f8": "double", "S": "char"}
_LEAST_RADIUS_ARCSEC = 15.0
_NOT_OF_WORLD = ("", "COMMENT", "MJDREF", "MJDREFI", "MJDREFF", "DATEREF")
"""Cards of wcslib that are no projection: its MJDREF of 0 would stand in place of that of the observation."""


@dataclass(frozen=True)
class Origin:
    """What the files of a detection say of where it comes from: cards of the observation, and the options."""

    cards: Cards
    options: Options


def write_fits(path: Path, sources: SourceList, detected: Detected, origin: Origin) -> None:
    """Write a source list as table SOURCES of a FITS file, whole or not at all.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    sources
        The list.
    detected
        The detection that it is of.
    origin
        The observation and the options.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    columns = [TableColumn(each.name, each.values, each.unit, each.words[:45]) for each in sources.columns]
    cards: Cards = [
        *LONGSTRN, ("HDUCLASS", "UWS-SERVER", ""), ("HDUCLAS1", "SRCLIST", "list of sources"),
        ("RADESYS", "ICRS", "frame of RA and DEC"), *_option_cards(origin.options),
        *_layer_cards(detected.field.layers),
        *[(f"FLAG{bit:04d}", words, "what this bit of FLAG says") for bit, words in FLAGS.items()],
    ]  # fmt: skip
    creator: Cards = [("CREATOR", CREATOR, "name of code which created this file")]
    primary = fitswrite.header([*PRIMARY, *creator, *LONGSTRN, *origin.cards])
    write_bytes(path, primary + fitswrite.table(EXTNAME, columns, cards))


def _option_cards(options: Options) -> Cards:
    """Return how the sources were looked for."""
    return [
        ("MLMIN", options.cut, "lowest DET_ML"), ("BOXMIN", options.box_cut, "lowest -ln p of a box"),
        ("EXTMIN", options.extent_cut, "lowest EXT_ML"), ("NNODES", options.nodes, "most nodes of the spline"),
        ("MAXEXT", options.largest_extent_arcsec, "[arcsec] upper limit of EXT"),
        ("MINDIST", options.nearest_arcsec, "[arcsec] nearer sources are one"),
        ("SIDEMIN", options.side_cut, "lowest -ln p against the brightest side; 0: none"),
    ]  # fmt: skip


def _layer_cards(layers: Sequence[Layer]) -> Cards:
    """Return what the images were."""
    cards: Cards = [("NIMAGES", len(layers), "images that were searched")]
    for number, layer in enumerate(layers[:99], start=1):
        cards += [(f"IMAGE{number}", layer.name, "camera and band"), (f"PSF{number}", layer.spread.origin, "")]
    return cards


def write_votable(path: Path, sources: SourceList, origin: Origin) -> None:
    """Write a source list as a VOTable 1.4, its frame named by a COOSYS, whole or not at all.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    sources
        The list.
    origin
        The options, which become PARAMs.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    head = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">', '<RESOURCE type="results">',
        '<COOSYS ID="icrs" system="ICRS"/>', f'<TABLE name="{EXTNAME}" nrows="{len(sources)}">',
        f"<DESCRIPTION>{escape('Sources in ' + ', '.join(sources.layers))}</DESCRIPTION>",
        *[f'<PARAM name="{key}" datatype="double" value="{value}"><DESCRIPTION>{escape(words)}</DESCRIPTION></PARAM>'
          for key, value, words in _option_cards(origin.options)],
        *[_field(column) for column in sources.columns], "<DATA><TABLEDATA>",
    ]  # fmt: skip
    texts = [_texts(column) for column in sources.columns]
    rows = ["<TR>" + "".join(f"<TD>{text}</TD>" for text in row) + "</TR>" for row in zip(*texts, strict=True)]
    tail = ["</TABLEDATA></DATA>", "</TABLE>", "</RESOURCE>", "</VOTABLE>", ""]
    write_bytes(path, "\n".join([*head, *rows, *tail]).encode("utf-8"))


def _field(column: SourceColumn) -> str:
    """Return the FIELD of a column."""
    kind = column.values.dtype.kind
    datatype = _TYPES["S" if kind == "S" else column.values.dtype.str[1:]]
    unit = f" unit={quoteattr(column.unit)}" if column.unit else ""
    size = ' arraysize="*"' if kind == "S" else ""
    frame = ' ref="icrs"' if column.name in ("RA", "DEC") else ""
    words = column.words
    if column.name == "FLAG":
        words = "; ".join(f"{bit}: {text}" for bit, text in FLAGS.items())
    return (f'<FIELD name="{column.name}" datatype="{datatype}"{size}{unit} ucd="{column.ucd}"{frame}>'
            f"<DESCRIPTION>{escape(words)}</DESCRIPTION></FIELD>")  # fmt: skip


def _texts(column: SourceColumn) -> list[str]:
    """Return the values as the cells of TABLEDATA have them; NaN as an empty cell."""
    values = column.values
    if values.dtype.kind == "S":
        return [escape(value.decode("ascii")) for value in values.tolist()]
    if values.dtype.kind == "i":
        return [str(value) for value in values.tolist()]
    return ["" if value != value else repr(value) for value in values.tolist()]


def write_regions(path: Path, sources: SourceList) -> None:
    """Write the sources as DS9 text, a circle each: of its extent, or of 15 arcsec for a point."""
    lines = ["# Region file format: DS9", "icrs"]
    for number, ra, dec, extent in zip(
        *(sources[name].tolist() for name in ("SRC_ID", "RA", "DEC", "EXT")), strict=True
    ):
        radius = max(_LEAST_RADIUS_ARCSEC, 2 * extent)
        lines.append(f'circle({ra:.6f},{dec:.6f},{radius:.1f}") # text={{{number}}}')
    write_bytes(path, ("\n".join(lines) + "\n").encode())


def write_image(path: Path, detected: Detected, origin: Origin) -> None:
    """Write the counts of all images together, with their background and sources as image extensions.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    detected
        The detection.
    origin
        The observation.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    layers = detected.field.layers
    counts = np.sum([np.where(layer.seen, layer.counts, 0.0) for layer in layers], axis=0)
    creator: Cards = [("CREATOR", CREATOR, "name of code which created this file"), *LONGSTRN]
    world = world_cards(detected)
    parts = [_image([("SIMPLE", True, "file does conform to FITS standard")], counts,
                    [("EXTEND", True, ""), *creator, *_without(origin.cards, world), *world,
                     *_kind("TOTAL", "counts of all images")])]  # fmt: skip
    for name, images, words in (("BACKGROUND", detected.backgrounds, "expected background counts"),
                                ("MODEL", detected.models, "counts of the fitted sources")):  # fmt: skip
        parts.append(_image([("XTENSION", "IMAGE", "image extension")], images.sum(axis=0),
                            [("PCOUNT", 0, ""), ("GCOUNT", 1, ""), ("EXTNAME", name, words), *world,
                             *_kind("BKG" if name == "BACKGROUND" else "MODEL", words)]))  # fmt: skip
    write_bytes(path, b"".join(parts))


def world_cards(detected: Detected) -> Cards:
    """Return the projection of the pixels as cards."""
    header = detected.field.wcs.to_header()
    return [(card.keyword, card.value, card.comment) for card in header.cards if card.keyword not in _NOT_OF_WORLD]


def _without(cards: Cards, written: Cards) -> Cards:
    """Return the cards that are not written anyway."""
    names = {card[0] for card in written}
    return [card for card in cards if card[0] not in names and card[0] not in ("BUNIT", "EQUINOX", "RADECSYS")]


def _kind(hduclas2: str, words: str) -> Cards:
    return [("HDUCLASS", "OGIP", ""), ("HDUCLAS1", "IMAGE", ""), ("HDUCLAS2", hduclas2, words), ("BUNIT", "count", "")]


def _image(first: Cards, pixels: npt.NDArray[np.float64], cards: Cards) -> bytes:
    """Return an HDU of 32 bit floats."""
    rows, columns = pixels.shape
    size: Cards = [("BITPIX", -32, ""), ("NAXIS", 2, ""), ("NAXIS1", columns, ""), ("NAXIS2", rows, "")]
    return fitswrite.header([*first, *size, *cards]) + fitswrite.padded(pixels.astype(">f4").tobytes())
