"""SAS selection expressions on the columns X,Y, as in the keyword SLCTEXPR, to shapes; may import `shapes`.

The functions and their arguments are those of the SAS package selectlib ("Special region filter functions"): box and
ellipse take half-widths.
"""

from __future__ import annotations

import re

import astropy.units as u
import regions

from reduction.regions import shapes
from reduction.regions.shapes import PHYSICAL, Selection, ShapeError, shortened

_HINT = re.compile(r"\)\s*in\s+[a-z]|,\s*x\s*,\s*y\s*\)", re.IGNORECASE)
_TERM = re.compile(r"(!?)(?:\(x,y\)in)?([a-z]+)\(([-+.,e\d]*)(,x,y)?\)", re.IGNORECASE)


def is_expression(text: str) -> bool:
    """Return whether the text is a SAS expression rather than a DS9 file."""
    return bool(_HINT.search(text))


def read_expression(text: str) -> Selection:
    """Read the shapes of an expression: several joined by ``||``, or a shape and others taken off by ``&& !``.

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
    packed = re.sub(r"\s+", "", text)
    joined = re.split(r"(&&|\|\|)", packed)
    terms = [_term(term) for term in joined[0::2]]
    include = tuple(shape for negated, shape in terms if not negated)
    exclude = tuple(shape for negated, shape in terms if negated)
    operators = set(joined[1::2])
    alternatives = operators <= {"||"} and not exclude
    without = operators <= {"&&"} and len(include) == 1 and not terms[0][0]
    if not (alternatives or without):
        raise ShapeError(
            f"'{shortened(text)}': join shapes by '||', or take shapes off one by '&& !'; for more, give DS9 text"
        )
    return include, exclude


def _term(text: str) -> tuple[bool, regions.Region]:
    """Return whether a term is negated, and its shape; parentheses around the whole term are removed."""
    term, negated = text, False
    while True:
        bare = term.removeprefix("!") if term.startswith("!(") and not term.lower().startswith("!(x,y)in") else term
        if bare != term:
            term, negated = bare, not negated
        elif term.startswith("(") and term.endswith(")") and not term.lower().startswith("(x,y)in"):
            term = term[1:-1]
        else:
            break
    match = _TERM.fullmatch(term)
    if not match or ("in" in term.lower().split(match[2].lower())[0]) == bool(match[4]):
        raise ShapeError(
            f"'{shortened(text)}' is not a shape on the columns X,Y, as in ((X,Y) IN circle(25921,25921,800))"
        )
    try:
        return negated != bool(match[1]), _shape(match[2].lower(), [float(value) for value in match[3].split(",")])
    except ShapeError as error:
        raise ShapeError(f"'{shortened(text)}': {error}") from error
    except ValueError as error:
        raise ShapeError(f"'{shortened(text)}': {shortened(match[3])} are not numbers separated by commas") from error


def _shape(name: str, values: list[float]) -> regions.Region:
    """Return the shape of a function of selectlib. Raise ShapeError for another function or number of arguments."""
    x, y = [*values, 0.0, 0.0][:2]
    centre, sizes = (x, y), values[2:]
    count = len(values)
    if name == "circle" and count == 3:
        return shapes.circle(PHYSICAL, centre, sizes[0])
    if name in ("annulus", "ring") and count == 4:
        return shapes.annulus(PHYSICAL, centre, sizes[0], sizes[1])
    if name == "ellipse" and count == 5:
        return shapes.ellipse(PHYSICAL, centre, sizes[:2], sizes[2] * u.deg)
    if name == "box" and count == 5:
        return shapes.box(PHYSICAL, centre, [2 * half for half in sizes[:2]], sizes[2] * u.deg)
    if name in ("polygon", "polygon2") and count % 2 == 0:
        return shapes.polygon(PHYSICAL, list(zip(values[0::2], values[1::2], strict=True)))
    raise ShapeError(
        f"{name} with {count} numbers is not read; allowed are circle(x,y,r), annulus(x,y,r1,r2), "
        "ellipse and box(x,y,half-width,half-height,angle), polygon(x1,y1,...)"
    )
