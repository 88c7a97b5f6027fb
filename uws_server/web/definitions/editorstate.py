"""The state of the editor's page, and its steps that need no server: rows added, moved, removed.

Imports the jobs' values and the other values of the pages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from provenance.text import jsontext
from provenance.text.errors import JsonError
from uws_server.errors import DefinitionError, Problem
from uws_server.jobs.definition import PARAMETER_TYPES, Definition
from uws_server.jobs.formats.draft import Draft
from uws_server.web.definitions import sheet
from uws_server.web.definitions.sheet import MOST, Rows, Sheet
from uws_server.web.shared.boxes import place_id
from uws_server.web.shared.fields import Filled, Group, groups

_MOST_BASE_FILES = 1000
_NAMES_OF_FILES = {"_document": "the document", "_file": "further files"}
"""What the summary of problems calls the fields for files."""


@dataclass
class EditorState:
    """The state of the page: the draft, the sheet as typed, the message.

    `edit` and `base` are the save and the files that the typing began from; `focus` the place of the cursor; `refused`
    an action that failed; `theirs` the draft that another user saved meanwhile; `checked` whether problems are
    displayed.
    """

    sheet: Sheet
    draft: Draft | None = None
    edit: int = 0
    base: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    focus: str = ""
    problems: Sequence[Problem] = ()
    refused: str = ""
    theirs: Draft | None = None
    checked: bool = False

    @property
    def editable(self) -> bool:
        """Return whether the draft can be changed: not while it waits for an admin."""
        return self.draft is None or self.draft.state == "draft"

    @property
    def visible_messages(self) -> dict[str, str]:
        """Return the message at each control, by its place; none before a check was requested."""
        return self.messages if self.checked or self.refused else {}

    @property
    def messages(self) -> dict[str, str]:
        """Return what is wrong at each control, by its place."""
        found: dict[str, list[str]] = {}
        for problem in self.problems:
            place = self.sheet.control(problem.parameter)
            found.setdefault(place, []).append(self.message_of(problem))
        return {place: "; ".join(dict.fromkeys(messages)) for place, messages in found.items()}

    @property
    def lines(self) -> dict[int, str]:
        """Return the mistakes of the script, by line."""
        found = [(problem, re.fullmatch(r"script:([0-9]{1,7})", problem.parameter)) for problem in self.problems]
        return {int(line[1]): problem.message for problem, line in found if line}

    def message_of(self, problem: Problem) -> str:
        """Return the message of a problem at its control."""
        line = re.fullmatch(r"script:([0-9]+)", problem.parameter)
        return f"line {line[1]}: {problem.message}" if line else problem.message

    def label(self, problem: Problem) -> str:
        """Return the place of a problem in words, such as `binsize, default`; '' for none."""
        if line := re.fullmatch(r"script:([0-9]+)", problem.parameter):
            return f"script, line {line[1]}"
        place = self.sheet.control(problem.parameter)
        row = re.fullmatch(r"(parameters|results)\[([0-9]+)\]\.([a-z_]+)", place)
        if row is None:
            return _NAMES_OF_FILES.get(place, place)
        rows = self.sheet.parameters if row[1] == "parameters" else self.sheet.results
        name = rows[int(row[2])].get("name", "") if int(row[2]) < len(rows) else ""
        return f"{name[:64] or f'{row[1][:-1]} {int(row[2]) + 1}'}, {row[3]}"

    def target(self, problem: Problem) -> str:
        """Return the id of the control that shows a problem; '' where there is none."""
        place = self.sheet.control(problem.parameter)
        known = place in self.sheet.texts or place in MOST or place in _NAMES_OF_FILES or "[" in place
        return place_id(place) if known else ""


def of_draft(draft: Draft) -> EditorState:
    """Return the editor of a draft as it is saved; of an unreadable one the sheet has the name alone."""
    try:
        typed = sheet.of_files(draft.files)
    except DefinitionError:
        typed = sheet.blank()
    typed.texts["name"] = draft.name
    return EditorState(typed, draft, draft.edit, draft.files)


def read_base(text: str | None) -> dict[str, str]:
    """Return the files that the typing began from, as the form states them; none where it does not."""
    try:
        found = jsontext.parse(text or "{}")
    except JsonError:
        return {}
    if not isinstance(found, dict) or len(found) > _MOST_BASE_FILES:
        return {}
    return {name: content for name, content in found.items() if isinstance(content, str)}


def take_step(state: EditorState, kind: Rows, step: str, which: str) -> None:
    """Add, move or remove a row; set the message and the place of the cursor."""
    rows, one = state.sheet.rows(kind), kind[:-1]
    if step == "add":
        if len(rows) >= MOST[kind]:
            state.message, state.focus = f"At most {MOST[kind]} {kind} are allowed.", f"{kind}.add"
            return
        rows.append(_fresh_parameter(which) if kind == "parameters" else {})
        state.message, state.focus = f"{one.capitalize()} {len(rows)} added.", f"{kind}[{len(rows) - 1}].name"
        return
    i = int(which) if which.isdigit() else len(rows)
    if i >= len(rows):
        state.message = f"There is no {one} {which[:20]}."
        return
    name = rows[i].get("name", "")[:64] or f"{one.capitalize()} {i + 1}"
    if step == "remove":
        del rows[i]
        state.message = f"{name} removed."
        state.focus = f"{kind}[{min(i, len(rows) - 1)}].name" if rows else f"{kind}.add"
        return
    j = i - 1 if step == "up" else i + 1
    if 0 <= j < len(rows):
        rows[i], rows[j] = rows[j], rows[i]
        state.message = f"{name} is now number {j + 1} of {len(rows)}."
    else:
        j = i
        state.message = f"{name} is already {'first' if step == 'up' else 'last'}."
    state.focus = f"{kind}.{step}.{j}"


def _fresh_parameter(kind: str) -> dict[str, str]:
    """Return the row of a new parameter: most are asked for, and changed in a rerun; who wants less unticks it."""
    return {"type": kind if kind in PARAMETER_TYPES else "string", "required": "true", "editable": "true"}


def form_of(definition: Definition) -> list[Group]:
    """Return the fields of the form that a definition makes; a parameter without a name has none yet."""
    named = replace(definition, parameters=tuple(spec for spec in definition.parameters if spec.name))
    return groups(named, Filled())
