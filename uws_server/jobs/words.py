"""Text from outside: how it may stand in a message, and which text is refused. Imports nothing of ours."""

from __future__ import annotations

import re
from collections.abc import Sequence

LONGEST_WORD = 100
"""The longest number, time, choice or range, in characters: the patterns that read them take quadratic time."""

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
"""Characters that no XML document can hold, and DEL, which a terminal would obey."""

_LONGEST_RUN_ID = 255
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_TRUE = frozenset({"true", "yes", "on", "1", "t", "y"})
_FALSE = frozenset({"false", "no", "off", "0", "f", "n"})
_MOST_LISTED = 20


def shorten(text: str, length: int = 80) -> str:
    """Return the text as it may stand in a message: printable, and not longer than `length`."""
    return repr(text if len(text) <= length else text[:length] + "…")


def short_word(text: str) -> str:
    """Return the text without blanks around it. Raise ValueError if it is longer than any value of a word or two."""
    if len(text) > LONGEST_WORD:
        raise ValueError(f"{len(text)} characters came, at most {LONGEST_WORD} are allowed")
    return text.strip()


def control_problem(text: str) -> str:
    """Return the sentence that names the control character in a text, or ''."""
    control = CONTROL.search(text)
    return f"the control character {control[0]!r} came; printable text is allowed" if control else ""


def require_printable(text: str) -> None:
    """Raise ValueError for text with control characters."""
    if problem := control_problem(text):
        raise ValueError(problem)


def without_colours(text: str) -> str:
    """Return the text without the escapes that set colours or move the cursor of a terminal."""
    return _COLOUR.sub("", text)


def truth(text: str) -> bool | None:
    """Return the truth value of a word such as yes, off or 1, in any case; None where it is neither true nor false."""
    word = text.strip().lower()
    return True if word in _TRUE else False if word in _FALSE else None


def run_id_problem(text: str) -> str:
    """Return why a text cannot be the RUNID of a job, or ''."""
    if len(text) <= _LONGEST_RUN_ID and text.isprintable():
        return ""
    return f"printable text of at most {_LONGEST_RUN_ID} characters is allowed"


def seconds_problem(text: str) -> str:
    """Return why a text cannot be the time limit of a job in seconds, or ''."""
    return "" if re.fullmatch(r"[0-9]{1,9}", text) else f"{text[:40]!r} came; whole seconds are allowed"


def listed(words: Sequence[str]) -> str:
    """Return the words with commas between them; of very many the first ones, and how many there are."""
    if len(words) <= _MOST_LISTED:
        return ", ".join(words)
    return f"{', '.join(words[:_MOST_LISTED])} … ({len(words)} in all)"
