"""Text as it came: how it may stand in a message, and what is not taken. Imports nothing of ours."""

from __future__ import annotations

import re
from collections.abc import Sequence

LONGEST_WORD = 100
"""Characters of a number, a time, a choice or a range: the patterns that read them take the square of the length."""

_LONGEST_RUN_ID = 255
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What no XML document can hold."""
_MOST_LISTED = 20


def shorten(text: str, length: int = 80) -> str:
    """The text as it may stand in a message: printable, and not longer than `length`."""
    return repr(text if len(text) <= length else text[:length] + "…")


def short_word(text: str) -> str:
    """The text without blanks around it; ValueError if it is longer than any value that is one word or two."""
    if len(text) > LONGEST_WORD:
        raise ValueError(f"{len(text)} characters came, at most {LONGEST_WORD} are allowed")
    return text.strip()


def require_printable(text: str) -> None:
    """Refuse (ValueError) text that no XML document can hold."""
    if control := _CONTROL.search(text):
        raise ValueError(f"the control character {control[0]!r} came; printable text is allowed")


def run_id_problem(text: str) -> str:
    """The sentence that says why a text cannot be the RUNID of a job, or ''."""
    if len(text) <= _LONGEST_RUN_ID and text.isprintable():
        return ""
    return f"printable text of at most {_LONGEST_RUN_ID} characters is allowed"


def listed(words: Sequence[str]) -> str:
    """The words with commas between them; of very many the first ones, and how many there are."""
    if len(words) <= _MOST_LISTED:
        return ", ".join(words)
    return f"{', '.join(words[:_MOST_LISTED])} … ({len(words)} in all)"
