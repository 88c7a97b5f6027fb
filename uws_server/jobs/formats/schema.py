"""The JSON Schema (2020-12) of the native format, made from the definition's own types. Imports the definition.

It says what `native` reads: keys, types and counts. What needs more than one place to judge (a minimum above its
maximum, a name that is reserved) is for the checks.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from uws_server.jobs import checks
from uws_server.jobs.definition import PARAMETER_TYPES, Definition, ParameterSpec
from uws_server.jobs.formats.content import LARGEST_INTEGER
from uws_server.jobs.formats.native import TEXTS

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TEXT: Mapping[str, Any] = {"type": "string"}
_SCALAR = ["string", "number", "boolean"]
_MOST: Mapping[str, int] = {"parameters": checks.MOST_PARAMETERS, "results": checks.MOST_RESULTS}


def schema(base_url: str) -> dict[str, Any]:
    """Return the schema of a definition and of a package, as it is served below `base_url`."""
    made: dict[str, Any] = {
        "$schema": DIALECT,
        "$id": f"{base_url}/jdl/schema.json",
        "title": "A job definition of uws-server",
    }
    made |= _of_class(Definition)
    says = {"script": "The text of the script", "readme": "The text of the README, in Markdown"}
    for name in TEXTS:
        made["properties"][name] = {**_TEXT, "description": f"{says[name]}, where it travels with the definition."}
    return made


def _of_class(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    properties: dict[str, Any] = {}
    required = []
    for field in dataclasses.fields(kind):
        properties[field.name] = _of_type(hints[field.name])
        if field.name in _MOST:
            properties[field.name]["maxItems"] = _MOST[field.name]
        if field.default is not dataclasses.MISSING:
            properties[field.name]["default"] = _plain(field.default)
        elif field.default_factory is dataclasses.MISSING:
            required.append(field.name)
    if kind is ParameterSpec:
        properties["type"] = {**_TEXT, "enum": list(PARAMETER_TYPES)}
    return {
        "description": inspect.cleandoc(kind.__doc__ or ""),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _of_type(hint: Any) -> dict[str, Any]:
    """Return the schema of a field's type; a new one at each call."""
    if dataclasses.is_dataclass(hint):
        return _of_class(hint)  # type: ignore[arg-type]
    if hint is str:
        return dict(_TEXT)
    if hint is bool:
        return {"type": "boolean"}
    if hint is int:
        return {"type": "integer", "minimum": -LARGEST_INTEGER, "maximum": LARGEST_INTEGER}
    if get_origin(hint) is Literal:
        return {**_TEXT, "enum": list(get_args(hint))}
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _of_type(get_args(hint)[0])}
    if hint == float | None:
        return {"type": ["number", "null"]}
    if hint == Mapping[str, str]:
        return {"type": "object", "additionalProperties": dict(_TEXT)}
    if get_origin(hint) is Mapping or getattr(get_origin(hint), "__name__", "") == "Mapping":
        values = {"type": _SCALAR}
        return {"type": "object", "additionalProperties": {"anyOf": [values, {"type": "array", "items": values}]}}
    if any(get_origin(part) is tuple for part in get_args(hint)):  # a value, several or none
        items = {"type": _SCALAR}
        return {"anyOf": [items, {"type": "null"}, {"type": "array", "items": items}]}
    raise TypeError(f"no schema for {hint}")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
