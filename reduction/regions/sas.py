"""SAS selection expressions on X,Y, as in the keyword SLCTEXPR, to shapes; may import `shapes` and `components`.

The functions and their arguments are those of the SAS package selectlib ("Special region filter functions"): box and
ellipse take half-widths, an elliptical ring takes a rotation for each of its two ellipses, angles run anticlockwise
from the X axis. ``!`` binds tighter than ``&&``, and that tighter than ``||``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import astropy.units as u
import regions

from reduction.regions import shapes
from reduction.regions.components import Component, united
from reduction.regions.shapes import PHYSICAL, Selection, ShapeError, shortened

_COMMENT = re.compile(r"#(?!\s*XMMEA).*", re.IGNORECASE)
"""A comment of DS9 text; ``#XMMEA_EP`` of the SAS is an attribute of the event list."""

_HINT = re.compile(
    r"\)\s*in\s+[a-z]|,\s*[a-z]\w*\s*,\s*[a-z]\w*\s*\)|[<>]|==|\bin\s*[\[(]|#\s*XMMEA|\b(?:gti|region)\s*\(",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"""(?P<blank>\s+)
    | \(\s*x\s*,\s*y\s*\)\s*in\s*(?P<name>[a-z]\w*)\s*\((?P<arguments>[^()]*)\)
    | (?P<name_before>[a-z]\w*)\s*\((?P<arguments_before>[^()]*),\s*x\s*,\s*y\s*\)
    | (?P<and>&&?|\band\b) | (?P<or>\|\|?|\bor\b) | (?P<not>!|\bnot\b) | (?P<open>\() | (?P<close>\))
    | (?P<other>\#?\w+|.)""",
    re.IGNORECASE | re.VERBOSE,
)
_COLUMN = re.compile(r"#?\b[a-z_]\w*\b(?!\s*\()", re.IGNORECASE)
_NUMBER = re.compile(r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*")
_OPERATORS = frozenset({"and", "or", "not", "in", "true", "false"})
_MAX_DEPTH = 50
_EXAMPLE = "((X,Y) IN circle(25921,25921,800))"


def is_expression(text: str) -> bool:
    """Return whether the text is a SAS expression rather than a DS9 file, whose comments do not count."""
    return bool(_HINT.search(_COMMENT.sub("", text)))


def read_expression(text: str) -> Selection:
    """Read the shapes of an expression: shapes joined by ``||``, and others taken off these by ``&& !``.

    Parameters
    ----------
    text
        The expression on X,Y; white space in it does not matter.

    Returns
    -------
    include, exclude
        The shapes that are included, and those that are excluded.

    Raises
    ------
    ShapeError
        The expression has other columns than X,Y, another function, or other operators.
    """
    tokens = [(str(found.lastgroup), found) for found in _TOKEN.finditer(text) if found.lastgroup != "blank"]
    if any(kind == "other" for kind, _ in tokens):
        raise ShapeError(_not_only_shapes(text, tokens))
    reader = _Reader(text, tokens)
    selected = reader.alternatives(0)
    reader.finish()
    if isinstance(selected, _Outside):
        return (), selected.shapes
    return united(selected)


def _not_only_shapes(text: str, tokens: list[tuple[str, re.Match[str]]]) -> str:
    """Return the sentence for an expression that holds more than shapes on X,Y."""
    rest = " ".join(found[0] for kind, found in tokens if not kind.startswith("arguments"))
    columns = [name for name in dict.fromkeys(_COLUMN.findall(rest)) if name.lower() not in _OPERATORS]
    on = f" on {shortened(', '.join(columns))}" if columns else ""
    shape = next((found[0] for kind, found in tokens if kind.startswith("arguments")), "")
    if not shape:
        return f"'{shortened(text)}' is a SAS expression{on} without a shape on the columns X,Y, as in {_EXAMPLE}"
    return (
        f"this SAS expression selects also{on}; as a region only its shapes on the columns X,Y can be given, here "
        f"{shortened(shape)}; energies, patterns, flags and times have parameters of their own"
    )


@dataclass(frozen=True)
class _Outside:
    """All points that lie in none of the shapes."""

    shapes: tuple[regions.Region, ...]


_Selected: TypeAlias = "list[Component] | _Outside"


class _Reader:
    """Parser of the tokens of an expression, which it reads once from left to right."""

    def __init__(self, text: str, tokens: list[tuple[str, re.Match[str]]]) -> None:
        self.text = text
        self.tokens = tokens
        self.at = 0

    def alternatives(self, depth: int) -> _Selected:
        """Read what ``||`` joins."""
        selected = self._together(depth)
        while self._next_is("or"):
            other = self._together(depth)
            if isinstance(selected, _Outside) or isinstance(other, _Outside):
                raise self._unread("'||' joins shapes, and no cut-outs, which would select everything around them")
            selected = [*selected, *other]
        return selected

    def finish(self) -> None:
        """Raise ShapeError if anything follows."""
        if self.at < len(self.tokens):
            raise self._unread("the parentheses do not match, or an operator is missing between two shapes")

    def _together(self, depth: int) -> _Selected:
        parts = [self._negated(depth)]
        while self._next_is("and"):
            parts.append(self._negated(depth))
        cut = tuple(shape for part in parts if isinstance(part, _Outside) for shape in part.shapes)
        kept = [part for part in parts if not isinstance(part, _Outside)]
        if len(kept) > 1:
            raise self._unread("'&&' is read only as '&& !', which takes shapes off; for more, give DS9 text")
        if not kept:
            return _Outside(cut)
        return [Component(component.shape, (*component.cut, *cut)) for component in kept[0]]

    def _negated(self, depth: int) -> _Selected:
        negations = 0
        while self._next_is("not"):
            negations += 1
        selected = self._one(depth)
        if negations % 2 == 0:
            return selected
        if isinstance(selected, _Outside):
            return [Component(shape) for shape in selected.shapes]
        if any(component.cut for component in selected):
            raise self._unread("a shape of which a part is taken off cannot be taken off itself")
        return _Outside(tuple(component.shape for component in selected))

    def _one(self, depth: int) -> _Selected:
        """Read a shape, or an expression in parentheses."""
        if depth > _MAX_DEPTH:
            raise ShapeError(f"parentheses are nested deeper than {_MAX_DEPTH}")
        kind, found = self.tokens[self.at] if self.at < len(self.tokens) else ("", None)
        self.at += 1
        if kind == "open":
            selected = self.alternatives(depth + 1)
            if not self._next_is("close"):
                raise self._unread("the parentheses do not match")
            return selected
        if found is None or not kind.startswith("arguments"):
            raise self._unread(f"a shape on the columns X,Y is missing, as in {_EXAMPLE}")
        return [_component(found)]

    def _next_is(self, kind: str) -> bool:
        there = self.at < len(self.tokens) and self.tokens[self.at][0] == kind
        self.at += there
        return there

    def _unread(self, reason: str) -> ShapeError:
        return ShapeError(f"'{shortened(self.text)}': {reason}")


def _component(found: re.Match[str]) -> Component:
    """Return the shape of a function of selectlib. Raise ShapeError for another function or arguments."""
    name = (found["name"] or found["name_before"]).lower()
    words = (found["arguments"] or found["arguments_before"] or "").split(",")
    try:
        if not all(_NUMBER.fullmatch(word) for word in words):
            raise ShapeError(f"{shortened(','.join(words))} are not numbers separated by commas")
        return _shape(name, [float(word) for word in words])
    except ShapeError as error:
        raise ShapeError(f"'{shortened(found[0])}': {error}") from error


def _shape(name: str, values: list[float]) -> Component:
    count = len(values)
    if name in _FUNCTIONS and count == _FUNCTIONS[name][0]:
        made = _FUNCTIONS[name][1](values)
        return made if isinstance(made, Component) else Component(made)
    if name in ("polygon", "polygon2") and count % 2 == 0:
        return Component(shapes.polygon(PHYSICAL, list(zip(values[0::2], values[1::2], strict=True))))
    raise ShapeError(
        f"{name} with {count} numbers is not read; allowed are circle(x,y,r), annulus(x,y,r1,r2), ellipse and "
        "box(x,y,half-width,half-height,angle), elliptannulus(x,y,a1,b1,a2,b2,angle1,angle2), polygon(x1,y1,...)"
    )


def _circle(values: list[float]) -> regions.Region:
    return shapes.circle(PHYSICAL, (values[0], values[1]), values[2])


def _annulus(values: list[float]) -> regions.Region:
    return shapes.annulus(PHYSICAL, (values[0], values[1]), values[2], values[3])


def _ellipse(values: list[float]) -> regions.Region:
    return shapes.ellipse(PHYSICAL, (values[0], values[1]), values[2:4], values[4] * u.deg)


def _box(values: list[float]) -> regions.Region:
    return shapes.box(PHYSICAL, (values[0], values[1]), [2 * half for half in values[2:4]], values[4] * u.deg)


def _elliptannulus(values: list[float]) -> Component | regions.Region:
    """Return a ring; if its two ellipses are turned otherwise, the outer one, out of which the inner one is cut."""
    centre, inner, outer = (values[0], values[1]), values[2:4], values[4:6]
    if values[6] == values[7]:
        return shapes.ellipse_annulus(PHYSICAL, centre, inner, outer, values[6] * u.deg)
    cut = shapes.ellipse(PHYSICAL, centre, inner, values[6] * u.deg)
    return Component(shapes.ellipse(PHYSICAL, centre, outer, values[7] * u.deg), (cut,))


_FUNCTIONS: dict[str, tuple[int, Callable[[list[float]], Component | regions.Region]]] = {
    "circle": (3, _circle), "annulus": (4, _annulus), "ring": (4, _annulus), "ellipse": (5, _ellipse),
    "box": (5, _box), "elliptannulus": (8, _elliptannulus), "elliptring": (8, _elliptannulus),
}  # fmt: skip
