"""The draft of a job definition, and the changes of definitions, as values. Imports the native format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from uws_server.errors import DefinitionError, Problem
from uws_server.jobs.definition import Definition
from uws_server.jobs.formats import native

DEFINITION_FILE = "job.json"
README_FILE = "README.md"
MOST_BYTES = 1_000_000
"""Size of the longest file of a draft."""

State = Literal["draft", "requested"]
Action = Literal[
    "install", "remove", "restore", "create", "request", "withdraw", "accept", "refuse", "discard"
]  # fmt: skip
WAS_LIVE = frozenset({"install", "accept", "restore"})
"""Actions that made a revision live."""


@dataclass(frozen=True)
class Draft:
    """A draft of a definition. `edit` counts how often it was saved, continuing from an earlier draft of its name;
    `files` are texts by name.

    `author` began it; `based_on` is the revision that has its further files, '' for none: the one it was begun from
    until such a file is added or removed. `trial` is the job that tried these very files, None if there is none.
    that is `requested` waits for an admin and cannot be changed.
    """

    name: str
    edit: int
    state: State
    author: str
    updated: datetime
    based_on: str
    files: Mapping[str, str]
    trial: str | None = None

    @property
    def definition(self) -> Definition:
        """Return its definition, which may be incomplete and wrong."""
        return definition_of(self.files)


@dataclass(frozen=True)
class Change:
    """A change of a definition: by whom, when and why; `revision` are its files then, '' where none were kept."""

    number: int
    name: str
    revision: str
    action: Action
    who: str
    made: datetime
    why: str


def definition_of(files: Mapping[str, str]) -> Definition:
    """Return the definition in the files of a draft, which may be incomplete and wrong."""
    return native.read_unchecked(files[DEFINITION_FILE], DEFINITION_FILE)


def cleaned(files: Mapping[str, str]) -> dict[str, str]:
    """Return the files of a draft with Unix line ends. Raise DefinitionError for files that a draft cannot hold."""
    if DEFINITION_FILE not in files:
        raise DefinitionError.of(DEFINITION_FILE, [Problem("", "is missing")])
    for name, text in files.items():
        problem = _text_problem(text)
        if problem:
            raise DefinitionError.of(name[:80], [Problem("", problem)])
    unix = {name: text.replace("\r\n", "\n").replace("\r", "\n") for name, text in files.items()}
    script = definition_of(unix).entry.script
    known = (DEFINITION_FILE, script, README_FILE)
    for name in unix:
        if name not in known:
            where = Problem("entry.script", f"{script[:80]!r} is the script here; the file {name[:80]!r} came")
            raise DefinitionError.of(DEFINITION_FILE, [where])
    return {name: unix[name] for name in known if name == DEFINITION_FILE or unix.get(name, "").strip()}


def _text_problem(text: str) -> str:
    """Return why a draft cannot hold a text; '' where it can."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        return f"line {text.count(chr(10), 0, error.start) + 1}: what came is not UTF-8"
    if size > MOST_BYTES:
        return f"{size:,} bytes came, at most {MOST_BYTES:,} are allowed"
    if "\0" in text:
        return f"line {text.count(chr(10), 0, text.index(chr(0))) + 1}: a NUL character came; text is expected"
    return ""
