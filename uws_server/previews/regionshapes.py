"""Regions as a page of an image has them: their texts, their shapes in ICRS, and what is wrong. Imports the regions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from reduction import regions
from reduction.errors import ReductionError
from reduction.regions import RegionSet
from uws_server.previews import marks
from uws_server.previews.marks import Role
from uws_server.previews.preview import ResultFile


@dataclass(frozen=True)
class ShownRegion:
    """A region of one role: what was read of its text, or the sentence that states why it cannot be shown."""

    text: str
    found: RegionSet | None = None
    problem: str = ""

    def described(self) -> dict[str, Any]:
        """Return what the browser is told of it: its text, its shapes, and what is wrong with it."""
        return {"text": self.text, "shapes": self.shapes(), "problem": self.problem}

    def shapes(self) -> list[dict[str, Any]]:
        """Return its shapes in ICRS, as objects of the JSON of `reduction.regions`."""
        if self.found is None:
            return []
        entries = json.loads(self.found.in_icrs().to_json())
        return entries if isinstance(entries, list) else [entries]


NO_REGION: Final = ShownRegion("")


def read(text: str, role: Role) -> dict[Role, ShownRegion]:
    """Return the region of a text by its role, and that of the background where the text holds one beside a source."""
    if not text.strip():
        return {role: NO_REGION}
    try:
        if role != "source":
            return {role: _of(regions.parse(text, role), text)}
        source, background = regions.parse_with_background(text, role)
        if background is None:
            return {role: _of(source, text)}
        return {role: _of(source, one_line(source)), "background": _of(background, one_line(background))}
    except ReductionError as error:
        return {role: ShownRegion(text, None, str(error).removeprefix(f"{role}: "))}


def beside(file: ResultFile) -> dict[Role, ShownRegion]:
    """Return the regions of the region files beside a result: the first of a source, and of a background."""
    found: dict[Role, ShownRegion] = {}
    for role, region in marks.read_files(file.beside):
        found.setdefault("background" if role == "background" else "source", _of(region, one_line(region)))
    return found


def _of(found: RegionSet, text: str) -> ShownRegion:
    if not found.is_on_sky:
        return ShownRegion(text, None, "a region in physical X,Y is not drawn on an image: give it on the sky")
    return ShownRegion(text.strip(), found)


def one_line(found: RegionSet) -> str:
    """Return DS9 text of a region in one line, which an address can hold."""
    return "; ".join(line for line in found.to_ds9().splitlines() if not line.startswith("#"))
