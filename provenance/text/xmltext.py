"""Text that an XML document can hold."""

from __future__ import annotations

import re
from typing import Final

_UNWRITABLE: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def is_writable(text: str) -> bool:
    """Return whether an XML document can hold a text as it is."""
    return _UNWRITABLE.search(text) is None


def writable(text: str) -> str:
    """Return a text with U+FFFD in the place of each character that no XML document can hold."""
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
