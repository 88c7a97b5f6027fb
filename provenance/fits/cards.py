"""The cards of a FITS header: keyword, value and comment, read tolerantly from bytes and written exactly.

Reading never raises and never warns, whatever the bytes are, and holds no state: a server's threads may share it.
Source: FITS Standard 4.0, chapter 4 (fixed and free format, CONTINUE).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, TypeAlias

Value: TypeAlias = str | int | float | bool | None
"""What a card holds; None for a keyword without a value."""

SIZE: Final = 80
"""Bytes of a card."""

BLOCK: Final = 2880
"""Bytes of a FITS block: headers and data are whole numbers of them."""

_PRINTABLE: Final = bytes(code if 32 <= code < 127 else 32 if code < 128 else ord("?") for code in range(256))
_STRING: Final = re.compile(r"\s*'((?:[^']|'')*)'?")
_INTEGER: Final = re.compile(r"[+-]?\d+")
_REAL: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][+-]?\d+)?")
_LONG_NAME: Final = re.compile(r"[A-Z0-9_ -]+")


def parse(header: bytes) -> dict[str, Value]:
    """Read the cards of a header up to END: keyword -> value, the first one of a keyword that stands twice.

    CONTINUE cards are joined to their string; HIERARCH keywords, and keywords too long for their 8 characters, are
    read under their full name; COMMENT, HISTORY and cards without a value indicator are passed over.
    """
    values: dict[str, Value] = {}
    for keyword, value in _cards(_text(header)):
        values.setdefault(keyword, value)
    return values


def find(header: bytes, keyword: str) -> Value:
    """Read one keyword of 8 characters at most without reading the others; None when it is absent.

    A long string is read to the end of its first card only.
    """
    at = offset(header, keyword)
    return None if at is None else _value(_text(header[at + 9 : at + SIZE]))


def offset(header: bytes, keyword: str) -> int | None:
    """Return the byte at which the card of a keyword of 8 characters at most begins; None when it is absent."""
    sought = f"{keyword:<8}=".encode("ascii")
    at = header.find(sought)
    while at >= 0:
        if at % SIZE == 0:
            return at
        at = header.find(sought, at + 1)
    return None


def card(keyword: str, value: str | int | float | bool, comment: str = "") -> str:
    """Write a card, or a card and its CONTINUE cards for a string too long for one.

    Parameters
    ----------
    keyword
        At most 8 characters.
    value
        A float keeps all its digits.
    comment
        Left out where it does not fit.

    Returns
    -------
    str
        A multiple of 80 characters (FITS Standard 4.0, sections 4.1.2 and 4.2.1).
    """
    if isinstance(value, str):
        quoted = value.replace("'", "''")
        if len(quoted) > SIZE - 12 or value.endswith("&"):
            return _continued(keyword, value)
        body = f"{keyword:<8}= {_padded(quoted):<20}"
    else:
        body = f"{keyword:<8}= {_number(value):>20}"
    with_comment = f"{body} / {comment}" if comment else body
    return f"{with_comment if len(with_comment) <= SIZE else body:<{SIZE}}"


def _text(header: bytes) -> str:
    """Return a header as printable ASCII: `?` for other letters, as astropy has it, blanks for control characters."""
    return header.translate(_PRINTABLE).decode("ascii")


def _cards(text: str) -> Iterator[tuple[str, Value]]:
    """Yield the keywords and values of a header's text, long strings joined."""
    keyword, pieces = "", [""]
    for at in range(0, len(text), SIZE):
        line = text[at : at + SIZE]
        name = line[:8].rstrip()
        if keyword and name == "CONTINUE" and pieces[-1].endswith("&"):
            pieces[-1] = pieces[-1][:-1]
            pieces.append(_string(line[8:]))
            continue
        if keyword:
            yield keyword, "".join(pieces)
            keyword = ""
        if name == "END":
            return
        name, rest = _split(line)
        value = _value(rest) if name else None
        if isinstance(value, str) and value.endswith("&"):
            keyword, pieces = name, [value]
        elif name:
            yield name, value
    if keyword:
        yield keyword, "".join(pieces)


def _split(line: str) -> tuple[str, str]:
    """Return the keyword of a card and what stands behind its equals sign; two empty strings when it has none."""
    name = line[:8].rstrip()
    if line[8:9] == "=" and name and name not in ("COMMENT", "HISTORY"):
        return name.upper(), line[9:]
    if name in ("COMMENT", "HISTORY", "CONTINUE", ""):
        return "", ""
    head, mark, rest = line.partition("= ")
    long_name = head.removeprefix("HIERARCH ").strip().upper()
    return (long_name, rest) if mark and _LONG_NAME.fullmatch(long_name) else ("", "")


def _value(rest: str) -> Value:
    """Return the value in what stands behind an equals sign; None where there is none."""
    text = rest.strip()
    if text.startswith("'"):
        return _string(text)
    token = text.split("/", 1)[0].strip()
    if token in ("T", "F"):
        return token == "T"
    if _INTEGER.fullmatch(token):
        return int(token)
    if _REAL.fullmatch(token):
        return float(token.upper().replace("D", "E"))
    return token or None


def _string(text: str) -> str:
    """Return the string between quotes; one that is not closed ends with its card."""
    match = _STRING.match(text)
    return match[1].replace("''", "'").rstrip(" ") if match else ""


def _number(value: float | int | bool) -> str:
    if isinstance(value, bool):
        return "T" if value else "F"
    text = repr(value).upper()
    mantissa, mark, exponent = text.partition("E")
    return text if isinstance(value, int) or "." in mantissa else f"{mantissa}.0{mark}{exponent}"


def _padded(quoted: str) -> str:
    """Return a string in quotes, at least 8 characters between them, as fixed format asks for."""
    return f"'{quoted:<8}'"


def _continued(keyword: str, value: str) -> str:
    """Write a string over several cards, each but the last ending in an ampersand."""
    pieces = [""]
    for letter in value:
        quoted = "''" if letter == "'" else letter
        if len(pieces[-1]) + len(quoted) > SIZE - 13:
            pieces.append("")
        pieces[-1] += quoted
    if pieces[-1].endswith("&"):  # a reader would look for one more piece
        pieces.append("")
    heads = [f"{keyword:<8}= ", *["CONTINUE  "] * (len(pieces) - 1)]
    marks = [*["&"] * (len(pieces) - 1), ""]
    return "".join(f"{head}'{piece}{mark}'".ljust(SIZE) for head, piece, mark in zip(heads, pieces, marks, strict=True))
