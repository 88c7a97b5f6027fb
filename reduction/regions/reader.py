"""Reading of region text in any of the notations; may import the readers of each."""

from __future__ import annotations

import re
from collections.abc import Callable

from reduction.errors import ReductionError
from reduction.regions import ciao, dali, ds9, foreign, json_text, sas, stcs
from reduction.regions.components import MAX_SHAPES, check_count
from reduction.regions.core import RegionSet
from reduction.regions.shapes import Selection, ShapeError

MAX_BYTES = 100_000
"""Longest region text in UTF-8 that is read."""

_BYTE_ORDER_MARK = "\ufeff"
"""What some editors put in front of a text."""

__all__ = ["MAX_BYTES", "MAX_SHAPES", "parse", "parse_with_background"]


def parse(text: str, parameter: str = "region") -> RegionSet:
    """Read regions from text in any of the notations that stand in the package's description.

    Parameters
    ----------
    text
        The text itself, not a file name.
    parameter
        Job parameter named in errors.

    Returns
    -------
    RegionSet
        The shapes, in the frames in which they were given.

    Raises
    ------
    ReductionError
        The text is empty or too long, or a part of it is not understood; nothing is skipped.
    """
    try:
        text = _checked(text)
        include, exclude = _reader(text)(text)
        check_count(len(include) + len(exclude))
    except ShapeError as error:
        raise ReductionError(f"{parameter}: {error}", parameter) from error
    return RegionSet(include, exclude, parameter)


def parse_with_background(text: str, parameter: str = "region") -> tuple[RegionSet, RegionSet | None]:
    """Read regions from text that may hold the region of a background too: a DS9 file that marks it as such.

    Parameters
    ----------
    text
        The text itself, not a file name, in any of the notations that stand in the package's description.
    parameter
        Job parameter named in errors.

    Returns
    -------
    source, background
        The shapes that are not marked as background, and those that are; None where there is one region only, whatever
        it is marked as.

    Raises
    ------
    ReductionError
        As `parse`.
    """
    try:
        plain = _checked(text)
        found = ds9.read_both(plain) if _reader(plain) is ds9.read else {}
    except ShapeError as error:
        raise ReductionError(f"{parameter}: {error}", parameter) from error
    if len(found) < 2:
        return parse(text, parameter), None
    source, background = (RegionSet(*found[marked], parameter) for marked in (False, True))
    return source, background


def _checked(text: str) -> str:
    """Return the text without its byte order mark. Raise ShapeError if it is empty, too long or no plain text."""
    text = text.removeprefix(_BYTE_ORDER_MARK)
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_BYTES:
        raise ShapeError(f"the region text has {size:,} bytes, at most {MAX_BYTES:,} are read")
    if not text.strip():
        raise ShapeError('the region text is empty; give for example: fk5; circle(148.97,69.65,40")')
    control = re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text)
    if control:
        raise ShapeError(
            f"the region text holds the control character {control.group()!a} at position {control.start() + 1}; "
            "give plain text"
        )
    return text


def _reader(text: str) -> Callable[[str], Selection]:
    """Return the reader of the notation that a text has. Raise ShapeError if it is one that is not read."""
    if text.lstrip()[0] in "{[":
        return json_text.read
    foreign.refuse(text)
    if ciao.looks_like(text):
        return ciao.read
    if dali.looks_like(text):
        return dali.read
    if sas.is_expression(text):
        return sas.read_expression
    return stcs.read if stcs.looks_like(text) else ds9.read
