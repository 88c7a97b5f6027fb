"""The headers of one X-ray product together: which one is of the science data, and what kind of product it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeAlias

from provenance.fits.hdus import TAGS_EXTNAME
from provenance.fits.headers import Cards

Found: TypeAlias = dict[str, str | int | float | None]
"""Columns by name; None, or no key, for what the headers do not say."""

_CLASSES: Final = {"SPECTRUM": "spectrum", "LIGHTCURVE": "timeseries", "EVENTS": "event", "EVENT": "event",
                   "IMAGE": "image", "RESPONSE": "measurements"}
_NAMES: Final = {"SPECTRUM": "spectrum", "RATE": "timeseries", "EVENTS": "event", "SPECRESP": "measurements",
                 "MATRIX": "measurements", "SPECRESP MATRIX": "measurements", "EBOUNDS": "measurements"}


@dataclass(frozen=True)
class Product:
    """The headers of a file, the one of the science data first.

    `type` is the dataproduct_type of ObsCore, empty when the headers say none.
    """

    headers: tuple[Cards, ...]
    primary: Cards
    type: str

    @cached_property
    def main(self) -> tuple[Cards, ...]:
        """The headers whose keywords hold for the product."""
        return (self.science,) if self.science is self.primary else (self.science, self.primary)

    def text(self, keyword: str) -> str:
        """Return the text of a keyword in the main headers; empty when they have none."""
        return next((text for cards in self.main if (text := cards.text(keyword))), "")

    def number(self, keyword: str) -> float | None:
        """Return the finite number of a keyword in the main headers; None when they have none."""
        return next((number for cards in self.main if (number := cards.number(keyword)) is not None), None)

    @property
    def science(self) -> Cards:
        """The header of the science data."""
        return self.headers[0]

    @property
    def is_xmm(self) -> bool:
        """Whether the telescope is XMM-Newton."""
        return self.text("TELESCOP").upper() == "XMM"


def product(headers: Sequence[Mapping[str, Any]]) -> Product | None:
    """Put the science header first. Return None where there is no header but VO-TAGS.

    The science header is the first that says what it holds (HDUCLAS1, else EXTNAME, else that it is an image) and has
    data; it is preferred to one without.
    """
    native = [cards for cards in map(Cards, headers) if cards.text("EXTNAME").upper() != TAGS_EXTNAME]
    if not native:
        return None
    with_data = [cards for cards in native if cards.value("NAXIS") != 0]
    science = next((cards for cards in (*with_data, *native) if _type(cards)), (with_data or native)[0])
    return Product((science, *(cards for cards in native if cards is not science)), native[0], _type(science))


def _type(cards: Cards) -> str:
    """Return the dataproduct_type that a header says, empty when it says none."""
    found = _CLASSES.get(cards.text("HDUCLAS1").upper(), "")
    if not found and not cards.text("HDUCLAS1"):
        found = _NAMES.get(cards.text("EXTNAME").upper(), "")
    axes = [cards.count(f"NAXIS{number}") or 0 for number in (1, 2, 3)]
    is_picture = cards.text("XTENSION") in ("", "IMAGE") and min(axes[:2]) > 1
    if not found and is_picture and not cards.text("HDUCLAS1"):
        found = "image"
    return "cube" if found == "image" and is_picture and axes[2] > 1 else found


def one_bin(product: Product, *types: str) -> int | None:
    """Return 1 for products of these types, which have one bin on the axis in question; None for others."""
    return 1 if product.type in types else None
