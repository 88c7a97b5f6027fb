"""The sheet of the editor of job definitions: the texts as they are typed.

A text that fits no value (a word where a number belongs) stays as it was typed; `sheetreader` makes a definition of
them. Imports the jobs' values and formats.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from uws_server.errors import BadRequest, Problem
from uws_server.jobs.checks import MOST_PARAMETERS, MOST_RESULTS
from uws_server.jobs.definition import Definition, Entry, ParameterSpec
from uws_server.jobs.formats import Package, native
from uws_server.jobs.formats.draft import DEFINITION_FILE, README_FILE
from uws_server.jobs.words import CONTROL
from uws_server.web.shared.boxes import ABOUT, LIMITS, SCRIPT

Rows = Literal["parameters", "results"]

MOST: Mapping[Rows, int] = {"parameters": MOST_PARAMETERS, "results": MOST_RESULTS}

UNITS = {"": 1, "B": 1} | {
    f"{letter}{binary}B": (1024 if binary else 1000) ** power
    for power, letters in enumerate(("kK", "M", "G", "T"), 1)
    for letter in letters
    for binary in ("", "i")
}
"""The unit of a size, and its bytes."""
TEXTS_OF_PARAMETER = ("description", "unit", "pattern", "ucd", "utype", "xtype", "annotation", "group", "media_type",
                       "url")  # fmt: skip
"""The fields of a parameter that are texts as they are."""

_ROW = re.compile(r"(parameters|results)\[([0-9]{1,5})\]\.([a-z_]{1,20})")
_SINGLE = frozenset(box.name for box in (*ABOUT, *LIMITS, *SCRIPT)) | {"script", "readme"}


@dataclass
class Sheet:
    """The texts of the editor: single ones by place, those of parameters and results by row and field."""

    texts: dict[str, str] = field(default_factory=dict)
    parameters: list[dict[str, str]] = field(default_factory=list)
    results: list[dict[str, str]] = field(default_factory=list)

    def rows(self, kind: Rows) -> list[dict[str, str]]:
        """Return the rows of parameters, or those of results."""
        return self.parameters if kind == "parameters" else self.results

    def text(self, place: str) -> str:
        """Return the text at a place such as title or parameters[2].min; '' where there is none."""
        found = _ROW.fullmatch(place)
        if found is None:
            return self.texts.get(place, "")
        rows, number = self.rows(cast(Rows, found[1])), int(found[2])
        return rows[number].get(found[3], "") if number < len(rows) else ""

    def control(self, place: str) -> str:
        """Return the place of the control that shows a problem: that of parameters[2].options[1] is without the [1]."""
        if place.startswith("script:"):
            return "script"
        if place in ("control.duration", "control.destruction"):
            return f"{place}.default"
        for box in ("control.statuses", "control.needs"):
            if place.startswith(box):
                return box
        if place.startswith("test."):
            wanted = place.removeprefix("test.").split("[")[0].lower()
            names = [row.get("name", "").lower() for row in self.parameters]
            return f"parameters[{names.index(wanted)}].test" if wanted in names else "parameters"
        if place in _SINGLE or place in MOST:
            return place
        found = re.fullmatch(r"((?:parameters|results)\[[0-9]+\])(\.[a-z_]+)?.*|([a-z.]+)\[.*", place, re.DOTALL)
        if found is None:
            return place
        return found[3] or found[1] + (found[2] or ".name")


def blank() -> Sheet:
    """Return the sheet of a new definition."""
    return of_package(Package(Definition("", "1.0", "", Entry("python", "run.py"))))


def of_files(files: Mapping[str, str]) -> Sheet:
    """Return the sheet of a definition's files."""
    definition = native.read_unchecked(files[DEFINITION_FILE], DEFINITION_FILE)
    return of_package(Package(definition, files.get(definition.entry.script, ""), files.get(README_FILE, "")))


def of_package(package: Package) -> Sheet:
    """Return the sheet of a definition with its script and its README."""
    definition = package.definition
    control, keep = definition.control, definition.control.destruction
    texts = {name: str(getattr(definition, name))
             for name in ("name", "version", "title", "description", "group", "documentation", "gather")}  # fmt: skip
    texts |= {"contact.name": definition.contact.name, "contact.email": definition.contact.email}
    texts |= {"roles": ", ".join(definition.roles), "control.cpus": str(control.cpus)}
    texts |= {"control.max_running": str(control.max_running or "")}
    texts |= {"control.duration.default": str(control.duration.default)}
    texts |= {"control.duration.max": str(control.duration.max), "control.partition": control.partition}
    texts |= {"control.execution": control.execution}
    texts |= {"control.quote": str(control.quote or ""), "control.warm": str(control.warm).lower()}
    texts |= {"control.secrets": ", ".join(control.secrets)}
    for name, sentences in (("statuses", control.statuses), ("needs", control.needs)):
        texts |= {f"control.{name}": "\n".join(f"{key} {text}" for key, text in sentences.items())}
    texts |= {f"control.destruction.{name}": str(getattr(keep, name) or "") for name in ("default", "max")}
    texts |= {f"control.{name}": _size_text(getattr(control, name)) for name in ("memory", "disk")}
    texts |= {f"entry.{name}": str(getattr(definition.entry, name)) for name in ("type", "script", "function")}
    texts |= {"script": package.script, "readme": package.readme}
    tests = {name.lower(): values for name, values in definition.test.items()}
    return Sheet(
        texts,
        [_parameter_row(spec, tests.get(spec.name.lower(), ())) for spec in definition.parameters],
        [
            {"name": result.name, "file": result.file, "mime": result.mime, "description": result.description,
             "optional": "true" if result.optional else "", "gathered": "true" if result.gathered else ""}
            for result in definition.results
        ],
    )  # fmt: skip


def of_form(values: Mapping[str, Sequence[str]]) -> Sheet:
    """Return the sheet of a form, with Unix line ends. Raise BadRequest for more rows than are allowed."""
    sheet = Sheet(dict.fromkeys(_SINGLE, ""))
    rows: dict[str, dict[int, dict[str, str]]] = {kind: {} for kind in MOST}
    for name, texts in values.items():
        text = texts[-1].replace("\r\n", "\n").replace("\r", "\n")
        if name in _SINGLE:
            sheet.texts[name] = text
        elif found := _ROW.fullmatch(name):
            rows[found[1]].setdefault(int(found[2]), {})[found[3]] = text
    for kind, most in MOST.items():
        if len(rows[kind]) > most:
            raise BadRequest(f"{kind}: {len(rows[kind]):,} came, at most {most} are allowed")
        sheet.rows(kind).extend(row for _, row in sorted(rows[kind].items()))
    return sheet


def refused(sheet: Sheet, problems: Sequence[Problem]) -> list[Problem]:
    """Return the problems with which not even a draft is kept: names that are not allowed, control characters.

    A name that is not there yet is no such problem.
    """
    return [
        problem
        for problem in problems
        if CONTROL.search(sheet.text(sheet.control(problem.parameter)))
        or problem.parameter == "name"
        or problem.parameter.startswith("entry.")
        or (re.fullmatch(r"(parameters|results)\[[0-9]+\]\.(name|file)", problem.parameter)
            and sheet.text(problem.parameter))
    ]  # fmt: skip


def _parameter_row(spec: ParameterSpec, test: Sequence[str]) -> dict[str, str]:
    row = {name: str(getattr(spec, name)) for name in ("name", "type", *TEXTS_OF_PARAMETER)}
    row |= {name: "" if (value := getattr(spec, name)) is None else str(value) for name in ("min", "max", "step")}
    usual = {each.name: each.default for each in dataclasses.fields(ParameterSpec)}
    row |= {name: "" if (value := getattr(spec, name)) == usual[name] else str(value)
            for name in ("max_length", "max_values")}  # fmt: skip
    row |= {name: "true" if getattr(spec, name) else "" for name in ("required", "editable", "spread")}
    row |= {"options": "\n".join(spec.options), "default": "\n".join(spec.default_texts)}
    row |= {"test": "\n".join(test)}
    return row | {f"empty_{name}": "true" for name, texts in (("default", spec.defaults), ("test", test))
                  if texts and not any(map(str, texts))}  # fmt: skip


def _size_text(count: int) -> str:
    """Return a number of bytes, exactly, in the largest unit that is whole."""
    for unit in ("TiB", "GiB", "MiB", "TB", "GB", "MB"):
        if count and count % UNITS[unit] == 0:
            return f"{count // UNITS[unit]} {unit}"
    return str(count or "")
