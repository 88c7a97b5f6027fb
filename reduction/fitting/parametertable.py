"""The table of parameters as text: where a fit begins, what it may change and within which limits.

One parameter a line: ``powerlaw.PhoIndex = 1.7 [0, 5] frozen``; ``powerlaw2.norm = 0.5 * powerlaw.norm`` ties one to
another. Empty lines, and what follows a ``#``, are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from reduction.errors import ReductionError
from reduction.fitting.parameters import Parameter, Setting

PARAMETER: Final = "parameters"
_NUMBER: Final = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_NAME: Final = r"[A-Za-z]\w*(?:\.\w+)?"
_LINE: Final = re.compile(
    rf"(?P<name>{_NAME})\s*=\s*"
    rf"(?:(?P<tied>(?:{_NUMBER}\s*\*\s*)?{_NAME})|(?P<value>{_NUMBER})"
    rf"(?:\s*\[\s*(?P<low>{_NUMBER})\s*(?:[,;]|\s)\s*(?P<high>{_NUMBER})\s*\])?(?:\s+(?P<state>frozen|free))?)"
)
MOST_LINES: Final = 1000
LONGEST_LINE: Final = 300
_ALLOWED: Final = "write 'name = value [lowest, highest] frozen', or 'name = other name' to tie it"


def read_table(text: str) -> dict[str, Setting]:
    """Return what a table asks of parameters, by the names that it has.

    Raises ReductionError, which names the line, for one that cannot be read, and for a parameter that comes twice.
    """
    found: dict[str, Setting] = {}
    lines = text.splitlines()
    if len(lines) > MOST_LINES or max(map(len, lines), default=0) > LONGEST_LINE:
        raise ReductionError(f"at most {MOST_LINES} lines of {LONGEST_LINE} characters are allowed", PARAMETER)
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].strip()
        if not words:
            continue
        read = _LINE.fullmatch(words)
        if read is None:
            raise ReductionError(f"line {number}: {words[:60]!r} came; {_ALLOWED}", PARAMETER)
        if read["name"].lower() in {name.lower() for name in found}:
            raise ReductionError(f"line {number}: {read['name']} stands there a second time", PARAMETER)
        found[read["name"]] = _setting(read)
    return found


def of_models(settings: Mapping[str, Setting], known: Iterable[Iterable[str]]) -> list[dict[str, Setting]]:
    """Return for each of several models what is asked of its own parameters.

    Parameters
    ----------
    settings
        What is asked, by name.
    known
        The names of the parameters of each model.

    Returns
    -------
    list of dict
        The settings of each model. A name that none of them has is left to the first, which then refuses it.
    """
    names = [{name.lower() for name in of_one} for of_one in known]
    everywhere = set().union(*names)
    return [{name: setting for name, setting in settings.items()
             if name.lower() in of_one or (i == 0 and name.lower() not in everywhere)}
            for i, of_one in enumerate(names)]  # fmt: skip


def written(parameters: Iterable[Parameter]) -> str:
    """Return parameters as a table that can be read again, one a line."""
    return "".join(f"{_line(one)}\n" for one in parameters)


def _line(one: Parameter) -> str:
    if one.tied:
        return f"{one.name} = {one.tied}"
    return f"{one.name} = {one.value:.8g} [{one.min:g}, {one.max:g}]{' frozen' if one.frozen else ''}"


def _setting(read: re.Match[str]) -> Setting:
    if read["tied"]:
        return Setting(tied=read["tied"])
    low, high = (None if read[end] is None else float(read[end]) for end in ("low", "high"))
    state = read["state"]
    return Setting(float(read["value"]), low, high, None if state is None else state == "frozen", tied="")
