"""The statements of a DS9 region file: their words, and what their properties say; may import `shapes`.

Behind a ``#`` stand properties, ``name=value`` or one of the words ``source``, ``background``, ``dash``; the first
other word begins a comment that goes on to the end of the line, as in DS9. Values may hold braces inside braces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from reduction.regions.shapes import ShapeError, shortened

SHAPE_NAMES = ("circle", "ellipse", "annulus", "box", "rotbox", "polygon")
"""The shapes that select events."""

_END = re.compile(r"\r\n|\r|\n")
_WORDS = re.compile(r"(?:[^;#\\]|\\(?!n))*")
"""What stands in front of the properties of a statement. DS9 takes a backslash with an n behind it for a line end."""
_GLOBAL = re.compile(r"\s*global\b", re.IGNORECASE)
_COMPOSITE = re.compile(r"\s*#\s*(?:([-!+])\s*)?composite\b", re.IGNORECASE)
_BLANK = re.compile(r"[\s,]*")
_NUMBER = re.compile(r"[-+]?[\d.]+(?=[\s,;]|$)")
_NAME = re.compile(r"([a-z]\w*)\s*(=?)\s*", re.IGNORECASE)
_BARE = re.compile(r"[^\s;,]*")
_YES, _NO = ("yes", "y", "on", "true"), ("no", "n", "off", "false")
_BACKGROUND_TAGS = ("background", "bkg", "bkgd", "bgd")
"""Groups of regions, as DS9 calls them, by which people mark what is background."""
_MANY_WORDS = ("point", "ruler", "compass", "callback")
"""Properties whose value is several words."""
_SHAPE_IN_COMMENT = re.compile(rf";\s*(?:[-+!]\s*)?({'|'.join(SHAPE_NAMES)})\b\s*[(\d]", re.IGNORECASE)


@dataclass(frozen=True)
class Properties:
    """What properties say of a shape: whether it is included, whether it is background; None if they do not say.

    `tagged` is whether it has a tag that people give to what is background; to DS9 it is a name like any other.
    """

    included: bool | None = None
    background: bool | None = None
    tagged: bool = False


@dataclass(frozen=True)
class Statement:
    """A statement of a region file, on which line it stands, and its properties; `words` of ``global`` is "global"."""

    line: int
    words: str
    properties: Properties = field(default_factory=Properties)


def statements(text: str) -> Iterator[Statement]:
    """Yield the statements of a region file, without comments. Raise ShapeError for properties that are not clear."""
    for number, line in enumerate(_END.split(text), start=1):
        try:
            yield from (Statement(number, words, properties) for words, properties in _on_line(line))
        except ShapeError as error:
            raise ShapeError(f"line {number}, '{shortened(line)}': {error}") from error


def _on_line(line: str) -> Iterator[tuple[str, Properties]]:
    reader = _Reader(line)
    reader.check_composite()
    position = 0
    while position < len(line):
        begin = _GLOBAL.match(line, position)
        end = begin.end() if begin else _end_of_words(line, position)
        words = "global" if begin else line[position:end].strip()
        properties, position = Properties(), end
        if begin or line.startswith("#", end):
            if not words:
                return
            properties, position = reader.read(end if begin else end + 1)
        if words:
            yield words, properties
        position += 2 if line.startswith("\\n", position) else 1


def _end_of_words(line: str, position: int) -> int:
    found = _WORDS.match(line, position)
    return found.end() if found else position


class _Reader:
    """Reader of the properties of the statements on a line."""

    def __init__(self, line: str) -> None:
        self.line = line
        self.position = 0
        self.included: bool | None = None
        self.background: bool | None = None
        self.tagged = False

    def read(self, position: int) -> tuple[Properties, int]:
        """Return the properties from a position on, and where their statement ends. Raise ShapeError if not clear."""
        self.position, self.included, self.background, self.tagged = position, None, None, False
        name = ""
        while not self._at_end():
            char = self.line[self.position]
            if char in "{\"'(":
                if not self._skip_quoted():
                    self._comment()
            elif number := _NUMBER.match(self.line, self.position):
                self.position = number.end()
            elif word := _NAME.match(self.line, self.position):
                name = self._property(word, name)
            else:
                self._comment()
        return Properties(self.included, self.background, self.tagged), self.position

    def check_composite(self) -> None:
        """Raise ShapeError for a composite region that is cut out as a whole; of others the members say all."""
        found = _COMPOSITE.match(self.line)
        if not found:
            return
        behind = self.line.find("||")
        included = self.read(behind + 2)[0].included if behind > 0 else None
        if found[1] in ("-", "!") or included is False:
            raise ShapeError(
                "a composite region is cut out; dissolve it in DS9 (Region, Composite Region, Dissolve) first"
            )

    def _at_end(self) -> bool:
        blank = _BLANK.match(self.line, self.position)
        self.position = blank.end() if blank else self.position
        return self.position >= len(self.line) or self.line.startswith((";", "\\n"), self.position)

    def _property(self, word: re.Match[str], before: str) -> str:
        """Read a property, or a word that is one by itself; return its name."""
        name = word[1].lower()
        if word[2]:
            self.position = word.end()
            value = self._value(name)
            if name == "include":
                self.included = _truth(name, value)
            elif name in ("source", "background"):
                self.background = _truth(name, value) == (name == "background")
            elif name == "tag":
                self.tagged = self.tagged or value.strip().lower() in _BACKGROUND_TAGS
        elif name in ("source", "background", "dash"):
            self.position = word.end()
            self.background = self.background if name == "dash" else name == "background"
        elif before in _MANY_WORDS:
            self.position = word.end()
            return before
        else:
            self._comment()
        return name

    def _value(self, name: str) -> str:
        begin = self.position
        if self.line[begin : begin + 1] in ("{", '"', "'", "("):
            if not self._skip_quoted():
                raise ShapeError(f"the value of {name} begins with {self.line[begin]} and is not closed")
            return self.line[begin + 1 : self.position - 1]
        found = _BARE.match(self.line, begin)
        self.position = found.end() if found else begin
        return self.line[begin : self.position]

    def _skip_quoted(self) -> bool:
        """Go behind the quote, brace or parenthesis that closes the one here. Return False if there is none."""
        opening = self.line[self.position]
        end = self._closing_braces.get(self.position, -1) if opening == "{" else -1
        if end < 0:
            end = self.line.find({"{": "}", "(": ")"}.get(opening, opening), self.position + 1)
        if end >= 0:
            self.position = end + 1
        return end >= 0

    @cached_property
    def _closing_braces(self) -> dict[int, int]:
        """The position of every opening brace that has a closing one, and of that."""
        closing: dict[int, int] = {}
        opened: list[int] = []
        for brace in re.finditer(r"[{}]", self.line):
            if brace[0] == "{":
                opened.append(brace.start())
            elif opened:
                closing[opened.pop()] = brace.start()
        return closing

    def _comment(self) -> None:
        """Take the rest of the line for a comment. Raise ShapeError if other programs read a shape or a sign in it."""
        rest, self.position = self.line[self.position :], len(self.line)
        if _SHAPE_IN_COMMENT.search(rest) or re.search(r"\binclude\s*=", rest, re.IGNORECASE):
            raise ShapeError(
                f"'{shortened(rest)}' is a comment up to the end of the line; put a shape in it on a line of its own, "
                "and properties in front of the comment"
            )
        if self.background is None and re.search(r"\bbackground\b(?!\s*=\s*0)", rest, re.IGNORECASE):
            self.background = True


def _truth(name: str, value: str) -> bool:
    word = value.strip().lower()
    if word in _YES or (word.isascii() and word.isdigit() and int(word[:9]) > 0):
        return True
    if word in _NO or (word and not word.strip("0")):
        return False
    raise ShapeError(f"{name}={shortened(value)} is neither 0 nor 1")
