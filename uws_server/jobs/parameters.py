"""The types of parameters, and the validation of a set of values against a definition. Imports values and errors.

`validate` returns every accepted value, or raises `InvalidParameters` with every problem at once. A type is a
function from text to the value a script gets; those that need other rooms (regions, files, names of objects) are
handed in by the services, so that this module knows no astronomy and no disk.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from uws_server.errors import InvalidParameters, Problem, at_most, counted
from uws_server.jobs import numbers, patterns, positions, times
from uws_server.jobs.checks import MOST_PROBLEMS
from uws_server.jobs.definition import FILE_TYPES, Definition, ParameterSpec
from uws_server.jobs.job import ParameterValue
from uws_server.jobs.words import listed, require_printable, short_word, shorten, truth

Check = Callable[[str, ParameterSpec], ParameterValue]
"""A reader of a parameter type: (text of one value, specification) -> accepted value; raises ValueError."""

_OF_LINES = frozenset({"string", "region"})
"""Types of which one value may have several lines."""
_WITH_COMMAS = frozenset({"boolean", "integer", "float", "choice", "observation"})
"""Types of which several values may stand in one text, with commas between them."""
_OF_ARRAYS = frozenset({"integer", "float"})
"""Types of which several values may stand in one text, with blanks between them: an interval or circle of DALI."""
_OF_DALI = frozenset({"REQUEST", "VERSION", "LANG", "MAXREC"})
"""Parameters that a client of DALI 1.1 may send to any service: passed over unless the definition has them."""
_LONGEST_OF_SEVERAL = 2100
"""The longest text, in characters, that is cut into several values, so that none takes long."""


def _string(text: str, spec: ParameterSpec) -> ParameterValue:
    if len(text) > spec.max_length:
        raise ValueError(f"{len(text)} characters came, at most {spec.max_length} are allowed")
    if spec.pattern and not patterns.matches(spec.pattern, text):
        raise ValueError(f"{shorten(text)} is not allowed; expected is {spec.annotation or spec.pattern}")
    return ParameterValue(text, text)


def _boolean(text: str, spec: ParameterSpec) -> ParameterValue:
    del spec
    value = truth(short_word(text))
    if value is None:
        raise ValueError(f"{shorten(text)} is neither true nor false")
    return ParameterValue("true" if value else "false", value)


def _choice(text: str, spec: ParameterSpec) -> ParameterValue:
    word = short_word(text).lower()
    for option in spec.options:
        if option.strip().lower() == word:
            return ParameterValue(option, option)
    raise ValueError(f"{shorten(text)} is not one of {listed(spec.options)}")


TYPES: Mapping[str, Check] = {
    "string": _string,
    "boolean": _boolean,
    "integer": numbers.integer,
    "float": numbers.number,
    "choice": _choice,
    "datetime": times.moment,
    "time_range": times.time_range,
    "position": positions.position,
    "energy_range": numbers.energy_range,
}
"""The types that need nothing but their text. The services add regions, files and names of objects."""


def validate(
    definition: Definition,
    given: Mapping[str, Sequence[str]],
    types: Mapping[str, Check],
    before: Mapping[str, ParameterValue] | None = None,
) -> dict[str, ParameterValue]:
    """Return the accepted values of a request; a parameter that did not come has its value of `before`, or its default.

    `given` maps names (in any case) to all the values that came; empty ones alone take a value back. Returns the
    values by their names in the definition, in its order; parameters without a value are left out.
    """
    before = before or {}
    problems: list[Problem] = []
    texts: dict[str, list[str]] = {}
    for name, values in given.items():
        spec = definition.parameter(name)
        if spec is None and name.upper() in _OF_DALI:
            continue
        if spec is None:
            problems.append(Problem(name[:80], _unknown(definition, name)))
        else:
            texts.setdefault(spec.name, []).extend(values)
    accepted: dict[str, ParameterValue] = {}
    for spec in definition.parameters:
        if not texts.get(spec.name) and spec.name in before:
            accepted[spec.name] = before[spec.name]
            continue
        try:
            value = _accept(spec, texts.get(spec.name, []), types)
        except ValueError as error:
            problems.append(Problem(spec.name, str(error)))
            continue
        if value is not None:
            accepted[spec.name] = value
    if problems:
        raise InvalidParameters(problems)
    return accepted


def check_values(definition: Definition, types: Mapping[str, Check], known: Sequence[Problem] = ()) -> list[Problem]:
    """Return every problem of a definition's own values: its defaults, and the values of its test.

    Values of a parameter that has a `known` problem already are not looked at.

    A file is not looked for: a default that the archive does not hold is a name that is proposed, and no default; the
    files of a test may lie beside the definition.
    """
    places = {problem.parameter.partition(".")[0] for problem in known}
    if places & {"parameters", "results"} or len(known) >= MOST_PROBLEMS:  # so many that not all were looked at
        return []
    broken = {spec.name.lower() for i, spec in enumerate(definition.parameters) if f"parameters[{i}]" in places}
    return list(_values_problems(definition, types, broken))


def _values_problems(definition: Definition, types: Mapping[str, Check], broken: Collection[str]) -> Iterator[Problem]:
    for i, spec in enumerate(definition.parameters):
        if spec.name.lower() in broken:
            continue
        if spec.type not in types:
            yield Problem(f"parameters[{i}].type", f"unknown type {spec.type[:80]!r}; known are {', '.join(types)}")
        elif spec.type not in FILE_TYPES and spec.defaults:
            try:
                read_values(spec, spec.default_texts, types[spec.type])
            except ValueError as error:
                yield Problem(f"parameters[{i}].default", str(error))
    for name, values in definition.test.items():
        tried = definition.parameter(name)
        if tried is None or tried.type not in types or tried.name.lower() in broken:
            continue  # uws_server.jobs.checks reports it
        if tried.type in FILE_TYPES and len(values) > max(1, tried.max_values):
            yield Problem(f"test.{name}", f"{counted(len(values), 'value')} came, {at_most(tried.max_values)}")
        elif tried.type not in FILE_TYPES and any(text.strip() for text in values):
            try:
                read_values(tried, values, types[tried.type])
            except ValueError as error:
                yield Problem(f"test.{name}", str(error))


def read_values(spec: ParameterSpec, texts: Sequence[str], check: Check) -> ParameterValue:
    """Return the value that texts, at least one of them not blank, give a parameter. Raise ValueError, with the reason.

    Several values are allowed to a parameter whose `max_values` is above 1; a message tells the numbers of those that
    are wrong.
    """
    if spec.max_values == 1:
        if len(texts) > 1:
            raise ValueError("several values came, one is allowed")
        return _one(texts[0], spec, check)
    pieces = [piece for text in texts for piece in split(text, spec)]
    if not pieces:
        raise ValueError(f"{shorten(texts[0])} holds no value")
    if len(pieces) > spec.max_values:
        raise ValueError(f"{counted(len(pieces), 'value')} came, {at_most(spec.max_values)}")
    values: list[ParameterValue] = []
    wrong: dict[int, str] = {}
    for number, piece in enumerate(pieces, start=1):
        try:
            values.append(_one(piece, spec, check))
        except ValueError as error:
            wrong[number] = str(error)
    if wrong:
        first, *others = wrong
        begin = f"value {first} of {len(pieces)}: " if len(pieces) > 1 else ""
        more = f"; wrong too: {listed([str(number) for number in others])}" if others else ""
        raise ValueError(f"{begin}{wrong[first]}{more}")
    return _together(values)


def _one(text: str, spec: ParameterSpec, check: Check) -> ParameterValue:
    require_printable(text)
    value = check(text, spec)
    if spec.pattern and spec.type != "string" and not patterns.matches(spec.pattern, value.text):
        raise ValueError(f"{shorten(value.text)} is not allowed; expected is {spec.annotation or spec.pattern}")
    return value


def split(text: str, spec: ParameterSpec) -> list[str]:
    """Split one text into the values of a parameter that may have several: by lines, words and numbers also by commas.

    Text and regions are never cut: one value of them may have several lines.
    """
    if spec.type in _OF_LINES:
        return [text] if text.strip() else []
    if len(text) > _LONGEST_OF_SEVERAL * spec.max_values:
        raise ValueError(f"{len(text):,} characters came, at most {spec.max_values} values are allowed")
    lines = text.splitlines()
    if spec.type in _WITH_COMMAS:
        options = {option.strip().lower() for option in spec.options}
        lines = [piece for line in lines for piece in ([line] if line.strip().lower() in options else line.split(","))]
    if spec.type in _OF_ARRAYS:
        lines = [piece for line in lines for piece in (line.split() if _is_array(line) else [line])]
    return [line.strip() for line in lines if line.strip()]


def _is_array(text: str) -> bool:
    """Check whether a text is several numbers with blanks between them, and not one with its unit."""
    words = text.split()
    return len(words) > 1 and all(word[-1].isdigit() or word[-1] == "." for word in words)


def texts_of(value: ParameterValue) -> list[str]:
    """Return the texts that give the value again, one for each value that came: of an observation its id, not its
    files.
    """
    if not value.parts:
        return [value.text]
    texts = [part.text for part in value.parts]
    return texts if "\n".join(texts) == value.text else value.text.split("\n")


def _together(values: Sequence[ParameterValue]) -> ParameterValue:
    """Join several values into one; the files of several observations stand side by side for the script."""
    files = [file for value in values for file in value.each]
    seen = set()
    for file in files:
        if file.is_file and file.value in seen:
            raise ValueError(f"{shorten(file.text)} is there twice")
        seen.add(file.value)
    return ParameterValue("\n".join(value.text for value in values), None, files[0].kind, tuple(files))


def _accept(spec: ParameterSpec, texts: Sequence[str], types: Mapping[str, Check]) -> ParameterValue | None:
    if len(texts) > 1 and spec.max_values == 1:
        raise ValueError("several values came, one is allowed")
    if any(text.strip() for text in texts):
        return read_values(spec, texts, types[spec.type])
    if spec.defaults:
        try:
            return read_values(spec, spec.default_texts, types[spec.type])
        except ValueError as error:
            if spec.type not in FILE_TYPES:
                raise
            if spec.required:
                raise ValueError(f"a value is needed, since its default cannot be used: {error}") from error
    if spec.required:
        raise ValueError(f"a value is needed: {spec.description or spec.type}")
    return None


def _unknown(definition: Definition, name: str) -> str:
    names = {spec.name.lower(): spec.name for spec in definition.parameters}
    near = difflib.get_close_matches(name[:80].lower(), names, n=1)
    hint = f"did you mean {names[near[0]]}? " if near else ""
    return f"no such parameter; {hint}{definition.name} takes {listed(list(names.values())) or 'none'}"
