"""The recipe of a bench: what is simulated, which steps are run on it, what is measured and held against the truth."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reduction.bench import formula, references
from reduction.errors import ReductionError
from reduction.simulate.cameras import CAMERAS
from reduction.simulate.document import Plan, placed, read_observation
from reduction.simulate.fields import Fields

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_TAKES = ("first", "sum", "mean", "max", "min", "count")
RESERVED = ("run", "seed", "eventlist", "rmf", "arf", "source", "truth", "measured", "file", references.CAMERA)
"""What references begin with that names no step."""


@dataclass(frozen=True)
class Step:
    """A step of the pipeline: a definition with its parameters, for one camera where it is run for each.

    `key` is its name, of one for a camera with the camera behind a dot. One that `may_fail` stops no run.
    """

    key: str
    definition: str
    parameters: Mapping[str, Any]
    may_fail: bool = False


@dataclass(frozen=True)
class FromFile:
    """A quantity in a product: a keyword, or a column with the rows where others have given values.

    `result` names the result of the step. Several values of a column are taken together as `take` says. `near` is a
    reference to a source: of a list of sources only the row nearest to it counts.
    """

    step: str
    result: str
    hdu: str
    keyword: str = ""
    column: str = ""
    where: tuple[tuple[str, Any], ...] = ()
    take: str = "first"
    near: str = ""


@dataclass(frozen=True)
class FromTruth:
    """A quantity that is known: a reference such as ``source.A.flux``."""

    reference: str


@dataclass(frozen=True)
class Formula:
    """A quantity made of those above it."""

    text: str


Quantity = FromFile | FromTruth | Formula


@dataclass(frozen=True)
class Comparison:
    """Quantities held against each other: what is true, what was measured, its errors down and up ('' for none)."""

    name: str
    truth: str
    value: str
    low: str = ""
    high: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Detections:
    """Where the source list of a run is, and by how much a detection may be off a source to be that source.

    `likelihood` and `flux` are columns of how sure a detection is and of what it measures, '' for none; `error` that of
    the error of its position in arcsec: of both coordinates together, as RADEC_ERR is, or of each, by `error_of`.
    """

    step: str
    result: str
    hdu: str = "1"
    ra: str = "RA"
    dec: str = "DEC"
    error: str = ""
    likelihood: str = ""
    flux: str = ""
    match_arcsec: float = 10.0
    error_of: str = "both"


@dataclass(frozen=True)
class Recipe:
    """A recipe, read. `document` is the object that it was read from."""

    name: str
    description: str
    seed: int
    cameras: tuple[str, ...]
    plan: Plan
    steps: tuple[Step, ...]
    measures: Mapping[str, Quantity]
    comparisons: tuple[Comparison, ...]
    detections: Detections | None
    document: Mapping[str, Any]


def files_of(document: Any) -> list[str]:
    """Return the names of the files that a recipe needs beside it: attitude, images of the sky, files of its steps."""
    found: list[Any] = []
    if isinstance(document, dict) and isinstance(observation := document.get("observation"), dict):
        sources = [source for source in _list(observation.get("sources")) if isinstance(source, dict)]
        extents = [source.get("extent") for source in sources]
        found += [observation.get("attitude"), *(each.get("image") for each in extents if isinstance(each, dict))]
    if isinstance(document, dict):
        found += _list(document.get("files"))
    return list(dict.fromkeys(name for name in found if isinstance(name, str)))


def parse(text: str) -> Any:
    """Return the document of a recipe. Raise ReductionError, with line and column, for a text that is no JSON."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ReductionError(f"line {error.lineno}, column {error.colno}: {error.msg}", "recipe") from error
    except RecursionError as error:
        raise ReductionError("too many brackets are open", "recipe") from error


def read_recipe(document: Any, files: Mapping[str, Path]) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    document
        From `parse`.
    files
        The files beside it, by name.

    Returns
    -------
    Recipe
        The recipe; what its steps want is not looked at.

    Raises
    ------
    ReductionError
        Something is absent, misspelt or names nothing; its parameter is the place in the recipe.
    """
    fields = Fields(document, "")
    cameras = fields.words("cameras", tuple(CAMERAS), tuple(CAMERAS))
    plan = read_observation(fields.object("observation"), files)
    steps = _steps(fields, cameras)
    measures = _measures(fields, steps)
    comparisons = tuple(_comparison(each, measures) for each in fields.objects("compare"))
    detections = _detections(fields.object("detections"), steps) if fields.has("detections") else None
    if fields.has("files") and not all(isinstance(name, str) for name in _list(document["files"])):
        raise ReductionError("a list of names of files is wanted", "files")
    recipe = Recipe(
        fields.text("name"), fields.text("description", ""), fields.whole("seed", 1), cameras, plan, steps, measures,
        comparisons, detections, document,
    )  # fmt: skip
    fields.done()
    return recipe


def _steps(fields: Fields, cameras: tuple[str, ...]) -> tuple[Step, ...]:
    """Return the steps in their order. Raise ReductionError for a name that is taken, or none."""
    steps: list[Step] = []
    for each in fields.objects("steps"):
        name, definition = each.text("name"), each.text("definition")
        taken = {step.key.partition(".")[0] for step in steps}
        if not _NAME.fullmatch(name) or name in RESERVED or name in taken:
            raise ReductionError(f"{name[:40]!r} is no name for it: it is of letters, digits and _, none of another "
                                 f"step, and none of {', '.join(RESERVED)}", each.where("name"))  # fmt: skip
        may_fail, for_each = each.truth("may_fail", False), each.truth("for_each_camera", False)
        given = dict(each.object("parameters").items()) if each.has("parameters") else {}
        each.done()
        for camera in cameras if for_each else ("",):
            key = f"{name}.{camera}" if camera else name
            values = {name: references.of_camera(value, camera) for name, value in given.items()} if camera else given
            _require_earlier(values, steps, each)
            steps.append(Step(key, definition, values, may_fail))
    if not steps:
        raise ReductionError("one step at least is wanted", "steps")
    return tuple(steps)


def _require_earlier(values: Mapping[str, Any], steps: list[Step], fields: Fields) -> None:
    """Raise ReductionError for a reference that begins neither with a reserved word nor with an earlier step."""
    known = {step.key.partition(".")[0] for step in steps} | set(RESERVED)
    for name, value in values.items():
        for reference in references.named(value):
            first = reference.partition(".")[0]
            placed(fields.where(f"parameters.{name}"), lambda first=first: references.look_up(  # type: ignore[misc]
                first, dict.fromkeys(sorted(known))))  # fmt: skip


def _measures(fields: Fields, steps: tuple[Step, ...]) -> dict[str, Quantity]:
    """Return the quantities by name."""
    found: dict[str, Quantity] = {}
    if not fields.has("measure"):
        return found
    outer = fields.object("measure")
    for name, document in outer.items():
        place = outer.where(name)
        if not _NAME.fullmatch(name):
            raise ReductionError("the name of a quantity is of letters, digits and _", place)
        inner = Fields(document, place)
        kind = inner.choice("step", "truth", "formula")
        if kind == "step":
            found[name] = _from_file(inner, steps)
        elif kind == "truth":
            found[name] = FromTruth(inner.text("truth"))
        else:
            text = inner.text("formula")
            for each in placed(place, lambda text=text: formula.names_in(text)):  # type: ignore[misc]
                if each not in found:
                    raise ReductionError(f"there is no quantity {each!r} above it", f"{place}.formula")
            found[name] = Formula(text)
        inner.done()
    return found


def _from_file(fields: Fields, steps: tuple[Step, ...]) -> FromFile:
    step = _step_named(fields, steps)
    result, hdu = fields.text("result"), fields.text("hdu", "1")
    if fields.choice("keyword", "column") == "keyword":
        return FromFile(step, result, hdu, keyword=fields.text("keyword"))
    column, take = fields.text("column"), fields.text("take", "first")
    if take not in _TAKES:
        raise ReductionError(f"{take[:40]!r} came; {', '.join(_TAKES)} are allowed", fields.where("take"))
    where = tuple(fields.object("where").items()) if fields.has("where") else ()
    return FromFile(step, result, hdu, column=column, where=where, take=take, near=fields.text("near", ""))


def _step_named(fields: Fields, steps: tuple[Step, ...]) -> str:
    """Return the step that an object names. Raise ReductionError if there is none of that name."""
    step, keys = fields.text("step"), [step.key for step in steps]
    if step not in keys:
        raise ReductionError(f"there is no step {step[:40]!r}; there are {', '.join(keys)}", fields.where("step"))
    return step


def _comparison(fields: Fields, measures: Mapping[str, Quantity]) -> Comparison:
    name, truth, value = fields.text("name"), fields.text("truth"), fields.text("value")
    errors = fields.any("error") if fields.has("error") else []
    low, high = (errors, errors) if isinstance(errors, str) else (errors if len(_list(errors)) == 2 else ("", ""))
    if fields.has("error") and not (low and high):
        raise ReductionError("a quantity is wanted, or a list of two: down, up", fields.where("error"))
    for field, quantity in (("truth", truth), ("value", value), ("error", low), ("error", high)):
        if quantity and quantity not in measures:
            raise ReductionError(f"there is no quantity {str(quantity)[:40]!r} in measure", fields.where(field))
    unit = fields.text("unit", "")
    fields.done()
    return Comparison(name, truth, value, low, high, unit)


def _detections(fields: Fields, steps: tuple[Step, ...]) -> Detections:
    step = _step_named(fields, steps)
    names = {name: fields.text(name, default) for name, default in
             (("hdu", "1"), ("ra", "RA"), ("dec", "DEC"), ("error", ""), ("likelihood", ""), ("flux", ""))}  # fmt: skip
    result, match = fields.text("result"), fields.number("match_arcsec", 10.0)
    if not 0 < match <= 600:
        raise ReductionError(f"{match:g} came; above 0 and up to 600 is allowed", fields.where("match_arcsec"))
    error_of = fields.text("error_of", "both")
    if error_of not in ("both", "each"):
        raise ReductionError(f"{error_of[:40]!r} came; both or each is allowed", fields.where("error_of"))
    fields.done()
    return Detections(step, result, match_arcsec=match, error_of=error_of, **names)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
