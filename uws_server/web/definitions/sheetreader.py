"""Reads the texts of the editor's sheet as a definition and its files. Imports the sheet and the values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from uws_server.errors import Problem
from uws_server.jobs.definition import Contact, Control, Definition, Duration, Entry, Keep, ParameterSpec, ResultSpec
from uws_server.jobs.formats import native
from uws_server.jobs.formats.draft import DEFINITION_FILE, README_FILE
from uws_server.jobs.words import control_problem
from uws_server.web.definitions.sheet import TEXTS_OF_PARAMETER, UNITS, Sheet

Default = str | float | bool | tuple[str | float | bool, ...] | None

USUAL_SCRIPT = {"python": "run.py", "shell": "run.sh"}

_SCRIPT_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_SIZE = re.compile(r"([0-9]{1,15})\s*(|B|[kKMGT]i?B)")


@dataclass
class Reading:
    """The definition and the files of a sheet, and the problems of texts that are no values."""

    definition: Definition
    files: Mapping[str, str]
    problems: Sequence[Problem]


def read(sheet: Sheet) -> Reading:
    """Return the definition and the files of a sheet; the default stands for a text that is no value."""
    reader = _Reader(sheet)
    definition = reader.definition()
    files = {DEFINITION_FILE: native.write(definition), definition.entry.script: sheet.texts["script"]}
    if sheet.texts["readme"].strip():
        files[README_FILE] = sheet.texts["readme"]
    return Reading(definition, files, reader.problems)


class _Reader:
    """Reads the texts of a sheet as values and records the problems."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self.problems: list[Problem] = [
            Problem(place, problem) for place, text in _open_texts(sheet) if (problem := control_problem(text))
        ]

    def definition(self) -> Definition:
        texts = self._sheet.texts
        parameters = tuple(self._parameter(i, row) for i, row in enumerate(self._sheet.parameters))
        language = texts["entry.type"]
        if language not in USUAL_SCRIPT:
            self.problems.append(Problem("entry.type", f"{language[:80]!r} is neither 'python' nor 'shell'"))
            language = "python"
        return Definition(
            **{name: texts[name].strip() for name in ("name", "version", "title", "group", "documentation", "gather")},
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
            max_running=self._whole("control.max_running", 0),
            execution=self._sheet.texts["control.execution"],
            partition=self._sheet.texts["control.partition"].strip(),
            quote=self._whole("control.quote", 0),
            statuses=self._sentences("control.statuses"),
            needs=self._sentences("control.needs"),
            secrets=tuple(re.findall(r"[^\s,;]+", self._sheet.texts["control.secrets"])),
            warm=self._sheet.texts["control.warm"] != "false",
        )  # fmt: skip

    def _sentences(self, box: str) -> dict[str, str]:
        """Return the sentences of a box, one a line behind the word that each is about."""
        found: dict[str, str] = {}
        for line in self._sheet.texts[box].split("\n"):
            word, _, sentence = line.strip().partition(" ")
            word = word.removesuffix(":")
            if word in found:
                self.problems.append(Problem(box, f"{word[:40]!r} is there twice"))
            if word:
                found[word] = sentence.strip()
        return found

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
            spread=row.get("spread") == "true",
            default=_default(row, kind, most),
            min=self._number(f"{place}.min"),
            max=self._number(f"{place}.max"),
            step=self._number(f"{place}.step"),
            options=tuple(line.strip() for line in row.get("options", "").split("\n") if line.strip()),
            max_length=self._whole(f"{place}.max_length", usual.max_length),
            max_values=most,
            **{name: row.get(name, "").strip() for name in TEXTS_OF_PARAMETER},
        )

    def _whole(self, place: str, usual: int) -> int:
        text = self._sheet.text(place).strip()
        if not text:
            return usual
        if not re.fullmatch(r"-?[0-9]{1,12}", text):
            self.problems.append(Problem(place, f"{text[:40]!r} came; a whole number is allowed"))
            return usual
        return int(text)

    def _number(self, place: str) -> float | None:
        text = self._sheet.text(place).strip()
        if not text:
            return None
        value = _as_number(text)
        if value is None:
            self.problems.append(Problem(place, f"{text[:40]!r} came; a number is allowed"))
        return value

    def _bytes(self, place: str) -> int:
        text = self._sheet.text(place).strip()
        found = _SIZE.fullmatch(text)
        if text and found is None:
            self.problems.append(Problem(place, f"{text[:40]!r} came; a size such as 2 GiB is allowed"))
        return int(found[1]) * UNITS[found[2]] if found else 0


def _open_texts(sheet: Sheet) -> Iterator[tuple[str, str]]:
    """Yield the texts whose characters no check of a definition looks at, with their places."""
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
    """Return the finite number that a text is; a whole one as int, as JSON has it."""
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
        row.get("gathered") == "true",
    )
