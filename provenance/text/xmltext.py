"""What XML can hold."""

from __future__ import annotations

import re
from typing import Final

_UNWRITABLE: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def writable(text: str) -> str:
    """A text without what no XML document can hold: U+FFFD stands for it."""
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
