"""DS9 region text to shapes; may import the other modules of DS9 text, `shapes` and `components`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum

import regions

from reduction.regions import ds9_shapes
from reduction.regions.components import Component, check_count, united
from reduction.regions.ds9_statements import Properties, Statement, statements
from reduction.regions.shapes import FRAMES, Selection, ShapeError, shortened

_FRAMES: dict[str, str | None] = {**{name: name for name in FRAMES}, "j2000": "fk5", "b1950": "fk4", "wcs": None}
"""The coordinate systems that are read. ``wcs`` alone does not say which one, but the sky frame that follows it."""

_REFUSED_FRAMES = ("image", "detector", "amplifier", "linear", "ecliptic")
_ADVICE = (
    "save the regions in fk5 or icrs (DS9: Region, File Format, Coordinate System), "
    "or in physical for X,Y of the event list"
)
_JOINED = re.compile(r"(\|\|?|&&?)")


def read(text: str) -> Selection:
    """Read the shapes of a DS9 region file.

    Parameters
    ----------
    text
        The content of the file.

    Returns
    -------
    include, exclude
        The shapes that are included, and those that are excluded.

    Raises
    ------
    ShapeError
        Something is not understood; the message has its line number and text.
    """
    reader = _read(text)
    if len({mark.is_background for mark in reader.marks}) > 1:
        raise ShapeError(
            "some regions of this file are marked as background and some are not; give them as two separate parameters"
        )
    return reader.selection(set(_Mark))


def read_both(text: str) -> Mapping[bool, Selection]:
    """Read the shapes of a DS9 region file that may hold a source and its background.

    Parameters
    ----------
    text
        The content of the file.

    Returns
    -------
    Mapping
        Whether they are marked as background -> the shapes that are included, and those that are excluded. There is at
        least one of the two.

    Raises
    ------
    ShapeError
        Something is not understood; the message has its line number and text.
    """
    reader = _read(text)
    behind = {_Mark.BACKGROUND, _Mark.TAGGED}
    sides = {True: reader.marks & behind, False: reader.marks - behind}
    return {background: reader.selection(marks) for background, marks in sides.items() if marks}


def _read(text: str) -> _Reader:
    """Return what a file holds. Raise ShapeError if something is not understood, or there is no shape."""
    reader = _Reader()
    for statement in statements(text):
        try:
            reader.take(statement)
        except ShapeError as error:
            raise ShapeError(f"line {statement.line}, '{shortened(statement.words)}': {error}") from error
    if not reader.marks:
        raise ShapeError(_nothing(text, reader.frame))
    return reader


class _Mark(Enum):
    """What a shape is marked as; one that is tagged is background to people, not to DS9."""

    NONE = "none"
    TAGGED = "tagged"
    BACKGROUND = "background"

    @property
    def is_background(self) -> bool:
        """Whether it is background to DS9."""
        return self is _Mark.BACKGROUND


class _Reader:
    """Reader of the statements of a file: what it has read, and what holds for the statements that follow."""

    def __init__(self) -> None:
        self.frame: str | None = None
        self.usual = Properties(included=True, background=False)
        self.components: list[tuple[_Mark, Component]] = []
        self.exclude: list[tuple[_Mark, regions.Region]] = []

    def take(self, statement: Statement) -> None:
        """Take the next statement. Raise ShapeError if it is not understood."""
        said = statement.properties
        if statement.words == "global":
            self.usual = Properties(
                self.usual.included if said.included is None else said.included,
                self.usual.background if said.background is None else said.background,
            )
            return
        self.frame, words = _after_frame(statement.words, self.frame)
        if words:
            self._take_shapes(words, said)

    @property
    def marks(self) -> set[_Mark]:
        """What the shapes are marked as; empty if there are none."""
        return {mark for mark, _ in (*self.components, *self.exclude)}

    def selection(self, marks: set[_Mark]) -> Selection:
        """Return the shapes that are included and those that are excluded, of some marks. Raise ShapeError."""
        include, cut = united([component for mark, component in self.components if mark in marks])
        exclude = (*cut, *(shape for mark, shape in self.exclude if mark in marks))
        check_count(len(include) + len(exclude))
        return include, exclude

    def _take_shapes(self, words: str, said: Properties) -> None:
        mark = self._mark(said)
        groups = _groups(words)
        for group in groups:
            signed = [(sign, ds9_shapes.read(shape, self.frame, _ADVICE)) for sign, shape in group]
            included = self._included(signed[0][0] if len(signed) == 1 else "", said)
            if len(signed) == 1 and not included:
                if len(groups) > 1 and signed[0][0] in ("-", "!"):
                    raise ShapeError(
                        "a shape joined by '|' cannot be cut out; put what is cut out on a line of its own"
                    )
                self.exclude += [(mark, shape) for shape in ds9_shapes.whole(signed[0][1])]
            else:
                self.components += [(mark, component) for component in _component(signed, included)]

    def _mark(self, said: Properties) -> _Mark:
        if said.background is None and said.tagged and not self.usual.background:
            return _Mark.TAGGED
        is_background = self.usual.background if said.background is None else said.background
        return _Mark.BACKGROUND if is_background else _Mark.NONE

    def _included(self, sign: str, said: Properties) -> bool:
        if sign in ("-", "!") and sign:
            if said.included:
                raise ShapeError(f"the '{sign}' cuts the shape out, and include=1 does not; write one of the two")
            return False
        if said.included is not None:
            return said.included
        return bool(sign == "+" or self.usual.included)


def _nothing(text: str, frame: str | None) -> str:
    """Return the sentence for a text without a shape."""
    if frame is None:
        return f"no region found in '{shortened(text)}'; give for example: fk5; circle(148.97,69.65,40\")"
    return (
        f"no shape follows '{shortened(text.strip())}'; give for example: fk5; circle(148.97,69.65,40\") "
        "(curl --form cuts a value at its ';', --form-string does not)"
    )


def _after_frame(words: str, frame: str | None) -> tuple[str | None, str]:
    """Return the frame that holds from here on, and the rest of the statement. Raise ShapeError for others' frames."""
    first, *rest = words.split(maxsplit=1)
    name = first.lower()
    if name in _REFUSED_FRAMES or re.fullmatch(r"wcs[a-z0]", name):
        raise ShapeError(f"{name} coordinates cannot be used here; {_ADVICE}")
    return (_FRAMES[name], "".join(rest)) if name in _FRAMES else (frame, words)


def _groups(words: str) -> list[list[tuple[str, str]]]:
    """Return the groups that ``|`` joins: of each the shapes that ``&`` joins, with their signs."""
    pieces = _JOINED.split(words)
    if len(pieces) > 1 and not pieces[-1].strip() and pieces[-2].startswith("|"):
        pieces = pieces[:-2]  # it joins the next statement, of a composite region
    groups: list[list[tuple[str, str]]] = [[]]
    for operator, piece in zip(["", *pieces[1::2]], pieces[0::2], strict=True):
        if operator.startswith("|"):
            groups.append([])
        shape = piece.strip()
        sign = shape[:1] if shape[:1] in ("+", "-", "!") else ""
        groups[-1].append((sign, shape[len(sign) :].strip()))
    return groups


def _component(signed: list[tuple[str, list[Component]]], included: bool) -> list[Component]:
    """Return what is left of a shape without those that are joined by ``&!``. Raise ShapeError for an intersection."""
    if len(signed) == 1:
        return signed[0][1]
    kept = [shapes for sign, shapes in signed if sign not in ("-", "!")]
    if len(kept) != 1 or not included:
        raise ShapeError("'&' is read only where it cuts a shape out of another one, as in circle(...) & !circle(...)")
    cut = [shape for sign, shapes in signed if sign in ("-", "!") for shape in ds9_shapes.whole(shapes)]
    return [Component(component.shape, (*component.cut, *cut)) for component in kept[0]]
