"""Job definitions as lists show them: under their headings, each with what it says of itself. Imports jobs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from uws_server.jobs.definition import Definition
from uws_server.web.shared import documentation

_SENTENCE = re.compile(r".+?[.!?](?=\s+[A-Z]|\s*$)", re.DOTALL)


def sections(definitions: Iterable[Definition]) -> list[tuple[str, list[Definition]]]:
    """Return the definitions by the heading under which each is listed; those without a heading come last."""
    found: dict[str, list[Definition]] = {}
    for definition in definitions:
        found.setdefault(definition.group, []).append(definition)
    return sorted(found.items(), key=lambda item: (not item[0], item[0].lower()))


def about(definition: Definition) -> str:
    """Return the description of a definition as HTML."""
    return documentation.as_html(definition.description)


def lacking(definition: Definition) -> tuple[str, ...]:
    """Return what its jobs need and this server does not have: a sentence each, none where nothing is missing."""
    return definition.control.lacking(os.environ)


def first_sentence(definition: Definition) -> str:
    """Return the first sentence of the description of a definition as HTML."""
    paragraph = definition.description.strip().partition("\n\n")[0]
    found = _SENTENCE.match(paragraph)
    return documentation.as_html(found[0] if found else paragraph)
