"""The headers of one X-ray product, asked without exceptions: what kind of product it is, and what a keyword says.

May import: standard library, numpy (and the error of astropy's headers, when it is given one).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any, Final, TypeAlias

import numpy as np

Found: TypeAlias = dict[str, str | int | float | None]
"""Columns by name; None, or no key, for what the headers do not say."""

_CLASSES: Final = {"SPECTRUM": "spectrum", "LIGHTCURVE": "timeseries", "EVENTS": "event", "EVENT": "event",
                   "IMAGE": "image", "RESPONSE": "measurements"}
_NAMES: Final = {"SPECTRUM": "spectrum", "RATE": "timeseries", "EVENTS": "event", "SPECRESP": "measurements",
                 "MATRIX": "measurements", "SPECRESP MATRIX": "measurements", "EBOUNDS": "measurements"}


class Cards:
    """A header (mapping or astropy header) whose values are had without exceptions."""

    def __init__(self, header: Mapping[str, Any]) -> None:
        self._header = header
        self._errors: tuple[type[Exception], ...] = (KeyError, ValueError, TypeError, IndexError)
        if hasattr(header, "cards"):
            from astropy.io.fits import VerifyError

            self._errors = (*self._errors, VerifyError)

    def value(self, keyword: str) -> str | float | int | bool | None:
        """What stands under a keyword; None when it is absent, undefined or unreadable."""
        try:
            value = self._header[keyword]
        except self._errors:
            return None
        value = value.item() if isinstance(value, np.generic) else value
        return value if isinstance(value, (str, int, float)) else None

    def text(self, keyword: str) -> str:
        """The stripped text of a keyword; empty when it is absent or no text."""
        value = self.value(keyword)
        return value.strip() if isinstance(value, str) else ""

    def number(self, keyword: str) -> float | None:
        """The finite number of a keyword; None when it is absent or none."""
        value = self.value(keyword)
        if isinstance(value, bool) or not isinstance(value, Real) or not abs(value) < 1e300:
            return None
        return float(value)

    def texts(self, keywords: re.Pattern[str]) -> Iterator[tuple[str, str]]:
        """The keywords that match as a whole and hold text, with the text."""
        for keyword in list(self._header):
            if isinstance(keyword, str) and keywords.fullmatch(keyword) and (text := self.text(keyword)):
                yield keyword, text

    def count(self, keyword: str) -> int | None:
        """The whole number from 0 of a keyword; None when it is absent or none."""
        number = self.number(keyword)
        return int(number) if number is not None and number >= 0 and number.is_integer() else None


@dataclass(frozen=True)
class Product:
    """The headers of a file, the one of the science data first.

    `type` is the dataproduct_type of ObsCore, empty when the headers speak of none.
    """

    headers: tuple[Cards, ...]
    primary: Cards
    type: str

    @cached_property
    def main(self) -> tuple[Cards, ...]:
        """The headers whose keywords hold for the product."""
        return (self.science,) if self.science is self.primary else (self.science, self.primary)

    def text(self, keyword: str) -> str:
        """The text of a keyword in the main headers; empty when they have none."""
        return next((text for cards in self.main if (text := cards.text(keyword))), "")

    def number(self, keyword: str) -> float | None:
        """The finite number of a keyword in the main headers."""
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
    """Put the science header first; None where there is no header but VO-TAGS.

    The science header is the first that says what it holds (HDUCLAS1, else EXTNAME, else that it is an image) and has
    data; it is preferred to one without.
    """
    native = [cards for cards in map(Cards, headers) if cards.text("EXTNAME").upper() != "VO-TAGS"]
    if not native:
        return None
    with_data = [cards for cards in native if cards.value("NAXIS") != 0]
    science = next((cards for cards in (*with_data, *native) if _type(cards)), (with_data or native)[0])
    return Product((science, *(cards for cards in native if cards is not science)), native[0], _type(science))


def _type(cards: Cards) -> str:
    """The dataproduct_type a header speaks of, empty when it is none of them."""
    found = _CLASSES.get(cards.text("HDUCLAS1").upper(), "")
    if not found and not cards.text("HDUCLAS1"):
        found = _NAMES.get(cards.text("EXTNAME").upper(), "")
    axes = [cards.count(f"NAXIS{number}") or 0 for number in (1, 2, 3)]
    is_picture = cards.text("XTENSION") in ("", "IMAGE") and min(axes[:2]) > 1
    if not found and is_picture and not cards.text("HDUCLAS1"):
        found = "image"
    return "cube" if found == "image" and is_picture and axes[2] > 1 else found


def one_bin(product: Product, *types: str) -> int | None:
    """1 for products of these types, which have one bin on the axis asked for."""
    return 1 if product.type in types else None
