"""What is typed in the editor of job definitions: texts, whatever they are, and the definition that they make.

A text that fits no value (a word where a number belongs) stays as it was typed. Imports the jobs' values and formats.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from uws_server.errors import BadRequest, Problem
from uws_server.jobs.checks import MOST_PARAMETERS, MOST_RESULTS
from uws_server.jobs.definition import Contact, Control, Definition, Duration, Entry, Keep, ParameterSpec, ResultSpec
from uws_server.jobs.draft import DEFINITION_FILE, README_FILE
from uws_server.jobs.formats import Package, native
from uws_server.web.boxes import ABOUT, LIMITS, SCRIPT

Rows = Literal["parameters", "results"]
Default = str | float | bool | tuple[str | float | bool, ...] | None

MOST: Mapping[Rows, int] = {"parameters": MOST_PARAMETERS, "results": MOST_RESULTS}
USUAL_SCRIPT = {"python": "run.py", "shell": "run.sh"}

_ROW = re.compile(r"(parameters|results)\[([0-9]{1,5})\]\.([a-z_]{1,20})")
_SINGLE = frozenset(box.name for box in (*ABOUT, *LIMITS, *SCRIPT)) | {"script", "readme"}
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_SCRIPT_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_SIZE = re.compile(r"([0-9]{1,15})\s*(|B|[kKMGT]i?B)")
_UNITS = {"": 1, "B": 1} | {
    f"{letter}{binary}B": (1024 if binary else 1000) ** power
    for power, letters in enumerate(("kK", "M", "G", "T"), 1)
    for letter in letters
    for binary in ("", "i")
}
_TEXTS_OF_PARAMETER = ("description", "unit", "pattern", "ucd", "utype", "xtype", "annotation", "group", "media_type",
                       "url")  # fmt: skip


@dataclass
class Sheet:
    """The texts of the editor: single ones by place, those of parameters and results by row and field."""

    texts: dict[str, str] = field(default_factory=dict)
    parameters: list[dict[str, str]] = field(default_factory=list)
    results: list[dict[str, str]] = field(default_factory=list)

    def rows(self, kind: Rows) -> list[dict[str, str]]:
        """The rows of parameters, or those of results."""
        return self.parameters if kind == "parameters" else self.results

    def control(self, place: str) -> str:
        """The place of the control where a problem is told: that of parameters[2].options[1] is without the [1]."""
        if place.startswith("script:"):
            return "script"
        if place in ("control.duration", "control.destruction"):
            return f"{place}.default"
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
    """The sheet of a new definition."""
    return of_package(Package(Definition("", "1.0", "", Entry("python", "run.py"))))


def of_files(files: Mapping[str, str]) -> Sheet:
    """The sheet of a definition's files."""
    definition = native.read_unchecked(files[DEFINITION_FILE], DEFINITION_FILE)
    return of_package(Package(definition, files.get(definition.entry.script, ""), files.get(README_FILE, "")))


def of_package(package: Package) -> Sheet:
    """The sheet of a definition with its script and its README."""
    definition = package.definition
    control, keep = definition.control, definition.control.destruction
    texts = {name: str(getattr(definition, name))
             for name in ("name", "version", "title", "description", "group", "documentation")}  # fmt: skip
    texts |= {"contact.name": definition.contact.name, "contact.email": definition.contact.email}
    texts |= {"roles": ", ".join(definition.roles), "control.cpus": str(control.cpus)}
    texts |= {"control.duration.default": str(control.duration.default)}
    texts |= {"control.duration.max": str(control.duration.max), "control.partition": control.partition}
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
             "optional": "true" if result.optional else ""}
            for result in definition.results
        ],
    )  # fmt: skip


def of_form(values: Mapping[str, Sequence[str]]) -> Sheet:
    """The sheet that a form brought; a browser's line ends become ours. BadRequest for more rows than there may be."""
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


@dataclass
class Reading:
    """What a sheet says: the definition and its files, and the problems of texts that are no values."""

    definition: Definition
    files: Mapping[str, str]
    problems: Sequence[Problem]


def read(sheet: Sheet) -> Reading:
    """The definition and the files that a sheet makes; where a text is no value, the usual one stands for it."""
    reader = _Reader(sheet)
    definition = reader.definition()
    files = {DEFINITION_FILE: native.write(definition), definition.entry.script: sheet.texts["script"]}
    if sheet.texts["readme"].strip():
        files[README_FILE] = sheet.texts["readme"]
    return Reading(definition, files, reader.problems)


def refused(sheet: Sheet, problems: Sequence[Problem]) -> list[Problem]:
    """Those of a definition's problems with which not even a draft is kept: names that may not be, odd characters.

    A name that is not there yet is no such problem.
    """
    return [
        problem
        for problem in problems
        if _CONTROL.search(_text_at(sheet, sheet.control(problem.parameter)))
        or problem.parameter == "name"
        or problem.parameter.startswith("entry.")
        or (re.fullmatch(r"(parameters|results)\[[0-9]+\]\.(name|file)", problem.parameter)
            and _text_at(sheet, problem.parameter))
    ]  # fmt: skip


def _text_at(sheet: Sheet, place: str) -> str:
    found = _ROW.fullmatch(place)
    if found is None:
        return sheet.texts.get(place, "")
    rows, number = sheet.rows(cast(Rows, found[1])), int(found[2])
    return rows[number].get(found[3], "") if number < len(rows) else ""


class _Reader:
    """Reads the texts of a sheet as values and remembers what was wrong."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self.problems: list[Problem] = [
            Problem(place, f"the control character {found[0]!r} came; printable text is allowed")
            for place, text in _open_texts(sheet)
            if (found := _CONTROL.search(text))
        ]

    def definition(self) -> Definition:
        texts = self._sheet.texts
        parameters = tuple(self._parameter(i, row) for i, row in enumerate(self._sheet.parameters))
        language = texts["entry.type"]
        if language not in USUAL_SCRIPT:
            self.problems.append(Problem("entry.type", f"{language[:80]!r} is neither 'python' nor 'shell'"))
            language = "python"
        return Definition(
            **{name: texts[name].strip() for name in ("name", "version", "title", "group", "documentation")},
            description=texts["description"].strip("\n"),
            entry=Entry(cast(Literal["python", "shell"], language), self._script(language),
                        texts["entry.function"].strip()),
            contact=Contact(texts["contact.name"].strip(), texts["contact.email"].strip()),
            roles=tuple(re.findall(r"[^\s,;]+", texts["roles"])),
            parameters=parameters,
            results=tuple(_result(row) for row in self._sheet.results),
            control=self._control(),
            test={spec.name: values for spec, row in zip(parameters, self._sheet.parameters, strict=True)
                  if (values := _test(spec, row))},
        )  # fmt: skip

    def _script(self, language: str) -> str:
        name = self._sheet.texts["entry.script"].strip()
        if _SCRIPT_FILE.fullmatch(name) and name.lower() not in (DEFINITION_FILE.lower(), README_FILE.lower()):
            return name
        self.problems.append(Problem("entry.script", f"{name[:80]!r} is not the name of a file beside job.json"))
        return USUAL_SCRIPT[language]

    def _control(self) -> Control:
        usual, keep = Duration(), Keep()
        return Control(
            duration=Duration(self._whole("control.duration.default", usual.default),
                              self._whole("control.duration.max", usual.max)),
            destruction=Keep(self._whole("control.destruction.default", keep.default),
                             self._whole("control.destruction.max", keep.max)),
            memory=self._bytes("control.memory"),
            disk=self._bytes("control.disk"),
            cpus=self._whole("control.cpus", 1),
            partition=self._sheet.texts["control.partition"].strip(),
        )  # fmt: skip

    def _parameter(self, i: int, row: Mapping[str, str]) -> ParameterSpec:
        place = f"parameters[{i}]"
        usual = ParameterSpec("", "")
        kind = row.get("type", "string")
        most = self._whole(f"{place}.max_values", usual.max_values)
        return ParameterSpec(
            name=row.get("name", "").strip(),
            type=kind,
            required=row.get("required") == "true",
            editable=row.get("editable") == "true",
            default=_default(row, kind, most),
            min=self._number(f"{place}.min"),
            max=self._number(f"{place}.max"),
            step=self._number(f"{place}.step"),
            options=tuple(line.strip() for line in row.get("options", "").split("\n") if line.strip()),
            max_length=self._whole(f"{place}.max_length", usual.max_length),
            max_values=most,
            **{name: row.get(name, "").strip() for name in _TEXTS_OF_PARAMETER},
        )

    def _whole(self, place: str, usual: int) -> int:
        text = _text_at(self._sheet, place).strip()
        if not text:
            return usual
        if not re.fullmatch(r"-?[0-9]{1,12}", text):
            self.problems.append(Problem(place, f"{text[:40]!r} came; a whole number is allowed"))
            return usual
        return int(text)

    def _number(self, place: str) -> float | None:
        text = _text_at(self._sheet, place).strip()
        if not text:
            return None
        value = _as_number(text)
        if value is None:
            self.problems.append(Problem(place, f"{text[:40]!r} came; a number is allowed"))
        return value

    def _bytes(self, place: str) -> int:
        text = _text_at(self._sheet, place).strip()
        found = _SIZE.fullmatch(text)
        if text and found is None:
            self.problems.append(Problem(place, f"{text[:40]!r} came; a size such as 2 GiB is allowed"))
        return int(found[1]) * _UNITS[found[2]] if found else 0


def _open_texts(sheet: Sheet) -> Iterator[tuple[str, str]]:
    """The texts whose characters no check of a definition looks at, with their places."""
    yield from ((place, sheet.texts[place]) for place in ("script", "readme"))
    for i, row in enumerate(sheet.parameters):
        yield from ((f"parameters[{i}].{name}", row.get(name, "")) for name in ("default", "test"))


def _default(row: Mapping[str, str], kind: str, most: int) -> Default:
    text = row.get("default", "")
    if most > 1 and "\n" in text.strip():
        return tuple(_typed(line.strip(), kind) for line in text.split("\n") if line.strip())
    if not text.strip():
        return "" if row.get("empty_default") else None
    return _typed(text if kind == "string" else text.strip(), kind)


def _typed(text: str, kind: str) -> str | float | bool:
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    number = _as_number(text) if kind in ("integer", "float") else None
    return text if number is None else number


def _as_number(text: str) -> float | None:
    """The finite number that a text is; a whole one as int, as JSON knows it."""
    if re.fullmatch(r"-?[0-9]{1,15}", text):
        return int(text)
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def _test(spec: ParameterSpec, row: Mapping[str, str]) -> tuple[str, ...]:
    text = row.get("test", "")
    if spec.max_values > 1:
        return tuple(line.strip() for line in text.split("\n") if line.strip())
    if not text.strip():
        return ("",) if row.get("empty_test") else ()
    return (text if spec.type == "string" else text.strip(),)


def _result(row: Mapping[str, str]) -> ResultSpec:
    usual = ResultSpec("", "")
    return ResultSpec(
        row.get("name", "").strip(),
        row.get("file", "").strip(),
        row.get("mime", "").strip() or usual.mime,
        row.get("description", "").strip("\n"),
        row.get("optional") == "true",
    )


def _parameter_row(spec: ParameterSpec, test: Sequence[str]) -> dict[str, str]:
    row = {name: str(getattr(spec, name)) for name in ("name", "type", *_TEXTS_OF_PARAMETER)}
    row |= {name: "" if (value := getattr(spec, name)) is None else str(value) for name in ("min", "max", "step")}
    usual = {each.name: each.default for each in dataclasses.fields(ParameterSpec)}
    row |= {name: "" if (value := getattr(spec, name)) == usual[name] else str(value)
            for name in ("max_length", "max_values")}  # fmt: skip
    row |= {name: "true" if getattr(spec, name) else "" for name in ("required", "editable")}
    row |= {"options": "\n".join(spec.options), "default": "\n".join(spec.default_texts)}
    row |= {"test": "\n".join(test)}
    return row | {f"empty_{name}": "true" for name, texts in (("default", spec.defaults), ("test", test))
                  if texts and not any(map(str, texts))}  # fmt: skip


def _size_text(count: int) -> str:
    """A number of bytes, exactly, in the largest unit that is whole."""
    for unit in ("TiB", "GiB", "MiB", "TB", "GB", "MB"):
        if count and count % _UNITS[unit] == 0:
            return f"{count // _UNITS[unit]} {unit}"
    return str(count or "")
