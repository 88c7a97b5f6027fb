"""Patterns that must match a whole text, in time proportional to its length. Imports nothing of ours.

A pattern comes from whoever writes a definition, and the text from anybody. RE2 takes time in proportion to the text
whatever the pattern (Cox 2010), where Python's `re` may take for ever and holds up every thread meanwhile. It knows no
look-ahead and no back reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re2

_LARGEST = 2000
"""The largest compiled pattern, in steps: the time for a text is, at worst, proportional to both."""


def matches(pattern: str, text: str) -> bool:
    """Return whether the whole text matches the pattern. Raise ValueError if the pattern cannot be used."""
    return _compiled(pattern).fullmatch(text) is not None


def problem(pattern: str) -> str:
    """Return why a pattern cannot be used, or ''."""
    try:
        _compiled(pattern)
    except ValueError as error:
        return str(error)
    return ""


def _compiled(pattern: str) -> re2._Regexp:
    import re2  # here: a server need not hold it before a value comes that must match a pattern

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = 1 << 20
    try:
        compiled = re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0].decode("utf-8", "replace") if isinstance(error, re2.error) else "not Unicode text"
        raise ValueError(
            f"{pattern[:80]!r} is no pattern that RE2 reads ({reason[:200]}); "
            "look-ahead and back references are not allowed"
        ) from error
    if compiled.programsize > _LARGEST:
        raise ValueError(f"{pattern[:80]!r} is too large: repeat less, or allow any length and set max_length")
    return compiled
