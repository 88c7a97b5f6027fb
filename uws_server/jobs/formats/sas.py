"""The parameter files of XMM-SAS tasks (.par, in XML). Imports the definition's checks and the formats' common parts.

As the document of the SAS package `param` describes them: CONFIG holds PARAM elements with id, type, default, mandatory
and list; a DESCRIPTION, CONSTRAINTS in words of their own, or a CASE with an ITEM for each value. PARAM elements within
others matter only where those have a certain value. The file knows neither results nor a script, and no difference
between files that are read and those that are written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from uws_server.errors import DefinitionError, Problem
from uws_server.jobs import checks
from uws_server.jobs.formats import Package, etree, leaves, native, xmltext
from uws_server.jobs.formats.par import name_of

_TYPES: Mapping[str, str] = {
    "bool": "boolean",
    "boolean": "boolean",
    "int": "integer",
    "integer": "integer",
    "real": "float",
    **dict.fromkeys(("string", "directory", "column", "angle", "time"), "string"),
    **dict.fromkeys(("file", "dataset", "block", "table", "array"), "file"),
}
"""The types of SAS; each with `list` before it takes several values."""
_WORDS = re.compile(r'"([^"]*)"|(\S+)')


def from_root(root: etree._Element, where: str) -> Package:
    """Return the definition in a parsed document, checked: `where` gives its name, and it has no script yet."""
    config = next(xmltext.within(root, "CONFIG"), None)
    if config is None:
        raise DefinitionError(f"{where}: there is no CONFIG in it: this is no parameter file of a SAS task")
    lines: dict[str, int] = {}
    return Package(native.sound(lambda: _definition(name_of(where), config, lines), where, lines))


def _definition(name: str, config: etree._Element, lines: dict[str, int]) -> dict[str, Any]:
    elements = leaves.limited(list(xmltext.within(config, "PARAM")), "parameters", lines)
    parameters: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for i, element in enumerate(elements):
        lines[f"parameters[{i}]"] = xmltext.line_of(element)
        with native.gathered(problems):
            parameters.append(_parameter(element, f"parameters[{i}]"))
    native.require_none(problems)
    return {**leaves.bare(name), "parameters": parameters}


def _parameter(element: etree._Element, place: str) -> dict[str, Any]:
    """Return the parameter of an element, as the native format has it; one inside a CASE is not required."""
    kind = element.get("type", "string").strip().lower()
    known = _TYPES.get(kind.removeprefix("list"))
    if known is None:
        raise native.Misfit.at(f"{place}.type", f"{kind[:80]!r} is not one of {', '.join(_TYPES)}")
    above = next((each for each in element.iterancestors() if xmltext.kind(each) == "PARAM"), None)
    data: dict[str, Any] = {"name": element.get("id", ""), "type": known, "description": _description(element)}
    data["required"] = above is None and _is_yes(element.get("mandatory", ""))
    if above is not None:
        data["group"] = above.get("id", "")
    options = [
        item.get("value", "") for case in xmltext.children(element, "CASE") for item in xmltext.children(case, "ITEM")
    ]
    if options and known != "boolean":
        data |= {"type": "choice", "options": options}
    texts = [element.get("default") or (options[-1] if options else "")]
    if kind.startswith("list") or _is_yes(element.get("list", "")):
        data["max_values"] = checks.MOST_VALUES
        texts = [quoted or plain for quoted, plain in _WORDS.findall(texts[0])]
    defaults = [leaves.scalar(text, data["type"]) for text in texts if text.strip()]
    if defaults:
        data["default"] = defaults if len(defaults) > 1 else defaults[0]
    return data


def _description(element: etree._Element) -> str:
    """Return the description, with the constraints as the document words them."""
    description, bounds = (
        " ".join(xmltext.text_of(next(xmltext.children(element, name), None)).split())
        for name in ("DESCRIPTION", "CONSTRAINTS")
    )
    return f"{description} ({bounds})".strip() if bounds else description


def _is_yes(text: str) -> bool:
    return leaves.scalar(text, "boolean") is True
