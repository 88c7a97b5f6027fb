"""A FITS header that is read without exceptions: a keyword that is absent or unreadable has the value None."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

_NUMERAL: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][+-]?\d+)?", re.ASCII)


def numeral(value: object) -> float | None:
    """Return the finite number that a value is, or that its text says, as some programs write it; else None.

    >>> numeral(" 7.5D-04 "), numeral(50814), numeral("many"), numeral(True)
    (0.00075, 50814.0, None, None)
    """
    if isinstance(value, str):
        text = value.strip()
        value = float(text.upper().replace("D", "E")) if _NUMERAL.fullmatch(text) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
        return None
    return float(value)


def plain(value: Any) -> Any:
    """Return a number of numpy as one of Python, and anything else as it is.

    numpy is not imported for it: where no module has, there is no such number.
    """
    generic = getattr(sys.modules.get("numpy"), "generic", ())
    return value.item() if isinstance(value, generic) else value


class Cards:
    """A header (mapping or astropy header) whose values are read without exceptions."""

    def __init__(self, header: Mapping[str, Any]) -> None:
        self._header = header
        self._errors: tuple[type[Exception], ...] = (KeyError, ValueError, TypeError, IndexError)
        if hasattr(header, "cards"):
            from astropy.io.fits import VerifyError

            self._errors = (*self._errors, VerifyError)

    def value(self, keyword: str) -> str | float | int | bool | None:
        """Return the value of a keyword; None when it is absent, undefined or unreadable."""
        try:
            value = self._header[keyword]
        except self._errors:
            return None
        value = plain(value)
        return value if isinstance(value, (str, int, float)) else None

    def text(self, keyword: str) -> str:
        """Return the stripped text of a keyword; empty when it is absent or no text."""
        value = self.value(keyword)
        return value.strip() if isinstance(value, str) else ""

    def number(self, keyword: str) -> float | None:
        """Return the finite number of a keyword; None when it is absent or no number."""
        value = self.value(keyword)
        return None if isinstance(value, str) else numeral(value)

    def numeral(self, keyword: str) -> float | None:
        """Return the finite number of a keyword, also one that is written as text; None when there is none."""
        return numeral(self.value(keyword))

    def texts(self, keywords: re.Pattern[str]) -> Iterator[tuple[str, str]]:
        """Yield the keywords that match as a whole and hold text, with the text."""
        for keyword in list(self._header):
            if isinstance(keyword, str) and keywords.fullmatch(keyword) and (text := self.text(keyword)):
                yield keyword, text

    def count(self, keyword: str) -> int | None:
        """Return the whole number from 0 of a keyword; None when it is absent or no such number."""
        number = self.number(keyword)
        return int(number) if number is not None and number >= 0 and number.is_integer() else None
