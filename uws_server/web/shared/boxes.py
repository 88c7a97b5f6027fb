"""The fields of the editor of job definitions: their labels and controls. Imports the jobs' values.

A field's name is the place of its value in job.json, below its parameter or result.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from uws_server.jobs.definition import FILE_TYPES, NUMBER_TYPES, PARAMETER_TYPES

Kind = Literal["text", "number", "area", "check", "select", "type"]

_TEXT_TYPES = frozenset({"string", "region", "position", "url", "choice"})


@dataclass(frozen=True)
class Box:
    """A field: its name, its label, the control, a sentence about it, an example.

    `only` are the types of a parameter for which it matters, none for all.
    """

    name: str
    label: str
    kind: Kind = "text"
    about: str = ""
    example: str = ""
    unit: str = ""
    only: frozenset[str] = frozenset()
    options: tuple[tuple[str, str], ...] = ()
    wide: bool = False


ABOUT = (
    Box("name", "Name", about="Its address: letters, digits, '_', '-' and '.'; it stays.", example="lightcurve"),
    Box("version", "Version", example="1.0"),
    Box("title", "Title", about="What lists and the form call it.", wide=True),
    Box("description", "Description", "area", "One or two sentences; Markdown.", wide=True),
    Box("group", "Group", about="The heading under which it is listed."),
    Box("documentation", "Documentation", about="The address of more than the README tells.",
        example="https://example.org/manual"),
    Box("contact.name", "Whom to ask"),
    Box("contact.email", "Mail address"),
    Box("roles", "Roles", about="An account needs one of these to run it; none: everybody may.", example="xmm, team"),
)  # fmt: skip

LIMITS = (
    Box("control.duration.default", "Time limit, usual", "number", unit="s"),
    Box("control.duration.max", "Time limit, longest", "number", unit="s"),
    Box("control.quote", "Usually takes", "number", "What a job is told to take; empty: unknown.", unit="s"),
    Box("control.destruction.default", "Kept, usually", "number", "Empty: what the server allows.", unit="days"),
    Box("control.destruction.max", "Kept, at most", "number", unit="days"),
    Box("control.memory", "Memory", about="Empty: what the server allows.", example="2 GiB"),
    Box("control.disk", "Disk", about="Empty: what the server allows.", example="10 GiB"),
    Box("control.cpus", "Cores", "number"),
    Box("control.max_running", "Run at a time", "number", "On all servers together; empty: any number."),
    Box(
        "control.warm",
        "Python",
        "select",
        "A new interpreter loads its modules for each job.",
        options=(("true", "forked from one that has the modules"), ("false", "a new interpreter")),
    ),
    Box(
        "control.execution",
        "Runs",
        "select",
        options=(("", "where the server has jobs run"), ("local", "on the server"), ("slurm", "on its cluster")),
    ),
    Box("control.partition", "Partition", about="The queue of a cluster."),
    Box("control.secrets", "Secrets", about="Names, with commas: what its jobs get as files, for other services.",
        example="xsa_token"),
    Box("control.statuses", "Exit statuses that are no failure", "area", "One a line: the status, what it stands for.",
        example="3 no counts in the region", wide=True),
    Box("control.needs", "Needs", "area", "One a line: a variable of the server, and what is not there without it.",
        example="SAS_DIR The SAS is not installed on this server.", wide=True),
)  # fmt: skip

SCRIPT = (
    Box("entry.type", "Language", "select", options=(("python", "Python"), ("shell", "Shell (bash)"))),
    Box("entry.script", "File", example="run.py"),
    Box("entry.function", "Function", about="Python: what is called with the task; none: the file is run.",
        example="main"),
    Box("gather", "Gathering file", about="Runs once after all parts of a job that is spread over a parameter.",
        example="merge.py"),
)  # fmt: skip

PARAMETER = (
    Box("name", "Name", example="binsize"),
    Box("type", "Type", "type"),
    Box("unit", "Unit", example="s", only=NUMBER_TYPES),
    Box("default", "Default", "area"),
    Box("test", "Test value", "area"),
    Box("description", "Description", "area", wide=True),
    Box("required", "Required", "check"),
    Box("editable", "May be changed in a rerun", "check"),
)
"""The fields of a parameter that are always visible; further ones are below More."""

PARAMETER_MORE = (
    Box("options", "Options", "area", "One a line.", only=frozenset({"choice"})),
    Box("min", "Smallest", "number", only=NUMBER_TYPES),
    Box("max", "Largest", "number", only=NUMBER_TYPES),
    Box("step", "Step", "number", only=NUMBER_TYPES),
    Box("pattern", "Pattern", about="A regular expression for the whole text.", only=_TEXT_TYPES),
    Box("max_length", "Characters, at most", "number", only=_TEXT_TYPES),
    Box("max_values", "Values, at most", "number", "Above 1 the script gets a list; defaults then one a line."),
    Box("spread", "A part for each value", "check", "The script runs once for each value, side by side."),
    Box("group", "Group", about="The heading in the form."),
    Box("annotation", "Example", about="Shown in the empty field."),
    Box("media_type", "Media type", example="application/fits", only=FILE_TYPES),
    Box("url", "Address of files named by id", example="https://example.org/get?id=$ID", only=FILE_TYPES),
    Box("ucd", "UCD", example="time.interval"),
    Box("utype", "Utype"),
    Box("xtype", "Xtype"),
)

RESULT = (
    Box("name", "Name", example="lightcurve"),
    Box("file", "File", about="In results/; * stands for any text.", example="lightcurve.fits"),
    Box("mime", "Media type", example="application/fits"),
    Box("optional", "May be missing", "check"),
    Box("gathered", "Made by the gathering file", "check"),
    Box("description", "Description", "area", wide=True),
)

TYPE_GROUPS = (
    ("Values", tuple((name, about) for name, about in PARAMETER_TYPES.items() if name not in FILE_TYPES)),
    ("Inputs (files)", tuple((name, about) for name, about in PARAMETER_TYPES.items() if name in FILE_TYPES)),
)
"""The types of a parameter under their two headings, each with its description."""


def place_id(place: str) -> str:
    """Return the id, in the page, of the control for a place such as parameters[2].min."""
    return "at-" + re.sub("[^A-Za-z0-9_]+", "-", place).strip("-")
