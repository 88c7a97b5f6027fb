"""Text that an XML document can hold."""

from __future__ import annotations

import re
from typing import Final

_UNWRITABLE: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def writable(text: str) -> str:
    """Return a text with U+FFFD in the place of each character that no XML document can hold."""
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
