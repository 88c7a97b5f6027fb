"""Text as it came: how it may stand in a message, and what is not taken. Imports nothing of ours."""

from __future__ import annotations

import re
from collections.abc import Sequence

LONGEST_WORD = 100
"""Characters of a number, a time, a choice or a range: the patterns that read them take the square of the length."""

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
"""What no XML document can hold, and DEL, which a terminal would obey."""

_LONGEST_RUN_ID = 255
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_TRUE = frozenset({"true", "yes", "on", "1", "t", "y"})
_FALSE = frozenset({"false", "no", "off", "0", "f", "n"})
_MOST_LISTED = 20


def shorten(text: str, length: int = 80) -> str:
    """The text as it may stand in a message: printable, and not longer than `length`."""
    return repr(text if len(text) <= length else text[:length] + "…")


def short_word(text: str) -> str:
    """The text without blanks around it; ValueError if it is longer than any value that is one word or two."""
    if len(text) > LONGEST_WORD:
        raise ValueError(f"{len(text)} characters came, at most {LONGEST_WORD} are allowed")
    return text.strip()


def control_problem(text: str) -> str:
    """The sentence that says which control character a text holds, or ''."""
    control = CONTROL.search(text)
    return f"the control character {control[0]!r} came; printable text is allowed" if control else ""


def require_printable(text: str) -> None:
    """Refuse (ValueError) text with control characters."""
    if problem := control_problem(text):
        raise ValueError(problem)


def without_colours(text: str) -> str:
    """The text without what sets colours, or moves about, on a terminal."""
    return _COLOUR.sub("", text)


def truth(text: str) -> bool | None:
    """What a word such as yes, off or 1 says, in any case; None where it is neither true nor false."""
    word = text.strip().lower()
    return True if word in _TRUE else False if word in _FALSE else None


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
