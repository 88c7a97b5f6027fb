"""The parameter files of FTOOLS, ctools and IRAF (.par): a line for each parameter. Imports the definition and checks.

A line is name, type, mode, default, minimum or options, maximum, prompt; commas inside quotes do not divide. A value
that begins with a parenthesis, such as `)infile` or `)task.infile`, is that of another parameter. The file knows
neither the definition's name, which is that of the file, nor results nor a script. The parameter `mode`, which tells
the parameter library what to ask for, is no parameter of the task and is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from uws_server.errors import Problem
from uws_server.jobs import checks
from uws_server.jobs.definition import FILE_TYPES, ParameterSpec
from uws_server.jobs.formats import Package, content, leaves, native

_TYPES: Mapping[str, str] = {"b": "boolean", "i": "integer", "r": "float", "d": "float", "s": "string", "f": "file"}
_FILE = re.compile(r"f[rwen]*")
_MODE = re.compile(r"[ahlq]{1,3}")
_FIELD = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^,]*)\s*(,|$)""")
_LONGEST_LINE = 100_000
_NONE = re.compile(r"INDEF[A-Z]?|", re.IGNORECASE)
"""The default of a parameter that has none."""
_UNNAMED = re.compile(r"[^A-Za-z0-9_.-]+")
_REDIRECT = re.compile(r"\)(?:(?P<task>[^.]*)\.)?(?P<name>[A-Za-z_][A-Za-z0-9_-]*)")
"""A value that is the one of another parameter, of this file or of another task."""
_HEAD = ("name", "type", "mode", "default", "min", "max", "prompt")


def read(document: bytes, where: str) -> Package:
    """Return the definition in a parameter file, checked: `where` gives its name, and it has no script yet.

    What is asked for (mode q, ql, and a unless `mode` says otherwise) is required; what is learned (ql, hl and so on)
    may be changed when a job is run again.
    """
    text = content.decoded(document, where)
    name = name_of(where)
    lines: dict[str, int] = {}
    return Package(native.sound(lambda: _definition(name, text, lines), where, lines))


def name_of(where: str) -> str:
    """Return the name that a definition gets from the name of a file."""
    return _UNNAMED.sub("_", PurePath(where).name.removesuffix(".par"))


def write_package(package: Package, base_url: str = "") -> bytes:
    """Return the parameters as a parameter file.

    It holds names, descriptions, defaults, ranges, options, and whether a value is needed. Lost are the script, the
    README, the results, units, patterns, groups and everything else; a type that the file does not know is text, and
    of several values of a default there is the first.
    """
    definition = package.definition
    lines = [f"# {line}" for line in (definition.title, f"version {definition.version}")]
    lines += [_line(spec) for spec in definition.parameters]
    lines.append('mode,s,h,"ql",,,"Mode of automatic parameters"')
    return "".join(f"{line}\n" for line in lines).encode()


def looks_like_one(text: str) -> bool:
    """Return whether the first line that is neither blank nor a comment describes a parameter."""
    first = next((line for line in text.splitlines() if _says_something(line)), "")
    if len(first) > _LONGEST_LINE:
        return False
    fields = _fields(first)
    return len(fields) >= 3 and _type(fields[1]) is not None and _MODE.fullmatch(fields[2]) is not None


def _definition(name: str, text: str, lines: dict[str, int]) -> dict[str, Any]:
    """Return the whole definition as the native format has it; add the lines of its places."""
    rows = [(number, line) for number, line in enumerate(text.splitlines(), 1) if _says_something(line)]
    if len(rows) > checks.MOST_PARAMETERS + 1:  # one of them may be `mode`
        lines["parameters"] = rows[checks.MOST_PARAMETERS][0]
        raise native.Misfit.at("parameters", f"{len(rows):,} came, at most {checks.MOST_PARAMETERS} are allowed")
    cut = [_fields(line) if len(line) <= _LONGEST_LINE else [] for _, line in rows]
    automatic = _automatic(cut)
    resolve = _Redirections(cut).resolve
    parameters: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for (number, line), fields in zip(rows, cut, strict=True):
        place = f"parameters[{len(parameters)}]"
        lines[place] = number
        spec: dict[str, Any] = {}
        with native.gathered(problems):
            spec = _parameter(line, fields, place, automatic, resolve)
        if spec.get("name") != "mode":
            parameters.append(spec)
    native.require_none(problems)
    return {**leaves.bare(name), "parameters": parameters}


def _automatic(cut: Iterable[Sequence[str]]) -> str:
    """Return what the mode `a` stands for: the value of the parameter `mode`, where there is one."""
    for fields in cut:
        name, *_, value = (*fields, "", "", "", "")[:4]
        if name == "mode" and _MODE.fullmatch(value.lower()):
            return value.lower().replace("a", "ql")
    return "ql"


class _Redirections:
    """Follows the values that are those of other parameters."""

    def __init__(self, cut: Iterable[Sequence[str]]) -> None:
        self._defaults = {fields[0].lower(): fields[3] for fields in cut if len(fields) > 3}

    def resolve(self, value: str) -> tuple[str, str]:
        """Return the value that one stands for, and '' or a remark, with no value, where this file does not have it."""
        seen: set[str] = set()
        followed = value
        while (match := _REDIRECT.fullmatch(followed)) is not None:
            name = match["name"].lower()
            if match["task"] or name in seen or name not in self._defaults:
                return "", f"by default that of {followed[1:]}"
            seen.add(name)
            followed = self._defaults[name]
        return followed, ""


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _parameter(
    line: str, fields: Sequence[str], place: str, automatic: str, resolve: Callable[[str], tuple[str, str]]
) -> dict[str, Any]:
    """Return the parameter of a line, cut into its fields, as the native format has it; `resolve` follows
    redirections.
    """
    if len(line) > _LONGEST_LINE:
        raise native.Misfit.at(place, f"a line of {len(line):,} characters came, at most {_LONGEST_LINE:,} are read")
    if len(fields) < 3:
        raise native.Misfit.at(place, f"{line[:80]!r} is not {', '.join(_HEAD)}")
    name, kind, mode, default, low, high, prompt = (*fields, "", "", "", "", "")[:7]
    known = _type(kind)
    if known is None:
        raise native.Misfit.at(f"{place}.type", f"{kind[:80]!r} is not one of {', '.join(_TYPES)}")
    mode = mode.lower() or "a"
    if not _MODE.fullmatch(mode):
        raise native.Misfit.at(place, f"the mode {mode[:80]!r} is not a, h, l, q, hl or ql")
    effective = mode.replace("a", automatic)
    asked, learned = "q" in effective, "l" in effective
    (default, remark), (low, _), (high, _) = (resolve(value) for value in (default, low, high))
    data: dict[str, Any] = {"name": name, "type": known, "description": prompt, "required": asked, "editable": learned}
    if "w" in kind.lower() and known == "file":
        data |= {"type": "string", "annotation": "the name of a file that is written"}
    if remark:
        data["annotation"] = "; ".join(filter(None, (data.get("annotation"), remark)))
    if "|" in low:
        data |= {"type": "choice", "options": [option.strip() for option in low.split("|") if option.strip()]}
    elif known in ("integer", "float"):
        for key, bound in (("min", low), ("max", high)):
            if not _NONE.fullmatch(bound):
                data[key] = leaves.bound(bound, f"{place}.{key}")
    if not _NONE.fullmatch(default):
        data["default"] = leaves.scalar(default, data["type"])
    return data


def _fields(line: str) -> list[str]:
    """Return the fields of a line, without their quotes."""
    found: list[str] = []
    start = 0
    while start <= len(line):
        match = _FIELD.match(line, start)
        if match is None:  # a quote that is not closed, or text behind one: taken as it is
            found.append(line[start:].strip())
            break
        found.append(_unquoted(match[1].strip()))
        if not match[2]:
            break
        start = match.end()
    return found


def _unquoted(field: str) -> str:
    if len(field) > 1 and field[0] == field[-1] and field[0] in "\"'":
        return re.sub(r"\\(.)", r"\1", field[1:-1])
    return field


def _type(word: str) -> str | None:
    word = word.lower()
    return _TYPES["f"] if _FILE.fullmatch(word) else _TYPES.get(word)


def _line(spec: ParameterSpec) -> str:
    letters = {kind: letter for letter, kind in _TYPES.items() if letter != "d"}
    letter = "f" if spec.type in FILE_TYPES else letters.get(spec.type, "s")
    mode = {(True, True): "ql", (True, False): "q", (False, True): "hl", (False, False): "h"}
    default = _default(spec)
    options = "|".join(spec.options)
    if spec.type in ("integer", "float"):
        low, high = (_bound(bound) for bound in (spec.min, spec.max))
    else:
        low, high = (_quoted(options) if options else ""), ""
    fields = (spec.name, letter, mode[spec.required, spec.editable], default, low, high, _quoted(spec.description))
    return ",".join(fields)


def _default(spec: ParameterSpec) -> str:
    if not spec.defaults:
        return "INDEF" if spec.type in ("integer", "float") else ""
    value = spec.defaults[0]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _quoted(value) if isinstance(value, str) else leaves.written(value)


def _bound(bound: float | None) -> str:
    return "" if bound is None else leaves.written(bound)


def _quoted(text: str) -> str:
    """Return a text in quotes, in one line."""
    return '"' + re.sub(r'(["\\])', r"\\\1", " ".join(text.splitlines())) + '"'
