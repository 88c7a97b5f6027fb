"""References in the values of a recipe, ``${source.A.ra}``: to the truth, event lists, products of earlier steps."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reduction.errors import ReductionError

_REFERENCE = re.compile(r"\$\{([^{}]*)\}")
CAMERA = "CAMERA"
"""What stands for the camera in a reference of a step that is run for each camera."""


def of_camera(value: Any, camera: str) -> Any:
    """Return a value of a recipe with the camera put into its references."""
    if isinstance(value, list):
        return [of_camera(each, camera) for each in value]
    if not isinstance(value, str):
        return value
    return _REFERENCE.sub(
        lambda found: "${" + ".".join(camera if word == CAMERA else word for word in found[1].split(".")) + "}", value
    )


def named(value: Any) -> list[str]:
    """Return the references in a value."""
    if isinstance(value, list):
        return [name for each in value for name in named(each)]
    return _REFERENCE.findall(value) if isinstance(value, str) else []


def resolve(value: Any, known: Mapping[str, Any]) -> Any:
    """Return a value with its references replaced.

    Parameters
    ----------
    value
        Text, number, or a list of them. A text that is one reference becomes what it names, of whatever type.
    known
        What can be named: mappings and lists within each other.

    Returns
    -------
    object
        Texts, numbers, paths or lists of them.

    Raises
    ------
    ReductionError
        A reference names nothing, or a file within a text.
    """
    if isinstance(value, list):
        return [resolve(each, known) for each in value]
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole:
        return look_up(whole[1], known)
    return _REFERENCE.sub(lambda found: _text(found[1], look_up(found[1], known)), value)


def look_up(name: str, known: Mapping[str, Any]) -> Any:
    """Return what a dotted name stands for. Raise ReductionError, with what there is, if it stands for nothing."""
    at: Any = known
    passed: list[str] = []
    for word in name.split("."):
        if isinstance(at, Mapping) and word in at:
            at = at[word]
        elif isinstance(at, Sequence) and not isinstance(at, str) and word.isdigit() and int(word) < len(at):
            at = at[int(word)]
        else:
            raise ReductionError(f"${{{name}}}: there is no {word!r} {_beside('.'.join(passed), word, at)}")
        passed.append(word)
    return at


def _beside(place: str, word: str, at: Any) -> str:
    where = f"in {place}" if place else "to refer to"
    if isinstance(at, Mapping) and at:
        near = difflib.get_close_matches(word, [str(key) for key in at], 1)
        there = ", ".join(str(key) for key in list(at)[:12])
        return f"{where}; {f'did you mean {near[0]}?' if near else f'there are {there}'}"
    if isinstance(at, list):
        return f"{where}, which has {len(at)} items, counted from 0"
    return where


def _text(name: str, value: Any) -> str:
    if isinstance(value, Path | Mapping | list) or value is None:
        raise ReductionError(f"${{{name}}} is no number or text, and cannot be a part of a text")
    return repr(value) if isinstance(value, float) else str(value)
