"""The graph of activities and files, from which exports and pictures are made, and its reading from a step list."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from provenance import steps
from provenance.steps import InputData, OutputData, Parameter, Scalar, Step, dependencies
from provenance.text.errors import StepsError

FACTS: Final = ("exit_status", "warning", "software", "host", "calibration")
"""Keys of a step that an activity takes over as they are."""

_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class File:
    """A file, or a collection of files (`members` are then their keys). `key` identifies it in a graph.

    `location` is a URL, or the path that the user named. Empty text and None stand for what is not known.
    """

    key: str
    name: str
    location: str = ""
    sha256: str = ""
    mime: str = ""
    size: int | None = None
    description: str = ""
    created: datetime | None = None
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Value:
    """A parameter of an activity."""

    name: str
    value: Scalar | tuple[Scalar, ...]
    unit: str = ""
    description: str = ""
    type: str = ""
    ucd: str = ""
    editable: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A file as an activity used or made it: the key of the file, and its role."""

    key: str
    role: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Activity:
    """A task that ran: a job of this server, or a step of any list. Of a `hidden` one only the id may be shown.

    `facts` are further keys of its step (software, host ...), `informed_by` the keys of the activities that it runs
    again.
    """

    key: str
    name: str = ""
    version: str = ""
    title: str = ""
    description: str = ""
    documentation: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    agent: str = ""
    parameters: tuple[Value, ...] = ()
    used: tuple[Link, ...] = ()
    made: tuple[Link, ...] = ()
    informed_by: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    hidden: bool = False


@dataclass(frozen=True)
class ProvenanceGraph:
    """Activities in order (the earlier ones first, where that is known) and their files by key.

    `derived` are pairs of keys: a file, and the file of which it is another version.
    """

    activities: tuple[Activity, ...]
    files: Mapping[str, File]
    derived: tuple[tuple[str, str], ...] = ()


def of_steps(everything: Iterable[Step]) -> ProvenanceGraph:
    """Return the graph of a step list.

    The input of a step is the output of an earlier one that `dependencies` finds; of several of one name, the latest.
    """
    return _Reader(tuple(everything)).read()


def key_of_step(step: Step) -> str:
    """Return the key of a step's activity: made from its job where it names one, else from its content."""
    job = step.extra.get("job")
    if isinstance(job, str) and re.fullmatch(r"[0-9a-f]{32}", job):
        return f"job_{job}"
    return f"step_{steps.digest(step)[:32]}"


def key_of_file(sha256: str, named: str) -> str:
    """Return the key of a file that no activity made; text that is no SHA-256 counts as a part of its name."""
    if _SHA256.fullmatch(sha256):
        return f"file_{sha256.lower()}"
    return f"file_{hashlib.sha256(f'{sha256}{named}'.encode('utf-8', 'replace')).hexdigest()}"


def safe(name: str) -> str:
    """Return a name as a part of a key: its letters and digits, and a hash of it where it has other characters."""
    cleaned = _UNSAFE.sub("_", name)[:80]
    if cleaned == name:
        return name
    return f"{cleaned}_{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:8]}"


def _key_of_output(activity: str, name: str) -> str:
    return f"{activity}.made.{safe(name)}"


class _Reader:
    """Reads steps one after the other, and collects their files."""

    def __init__(self, listed: Sequence[Step]) -> None:
        self._steps = listed
        self._keys = [key_of_step(step) for step in listed]
        self._outputs = dependencies.Outputs(enumerate(listed))
        self._files: dict[str, File] = {}

    def read(self) -> ProvenanceGraph:
        activities: dict[str, Activity] = {}
        for number in range(len(self._steps)):
            activity = self._activity(number)
            activities.setdefault(activity.key, activity)
        informed = [_informed(activity, activities) for activity in activities.values()]
        return ProvenanceGraph(tuple(informed), self._files)

    def _activity(self, number: int) -> Activity:
        step, key = self._steps[number], self._keys[number]
        extra = step.extra
        used = tuple(self._used(number, arg) for arg in step.args if isinstance(arg, InputData))
        made = tuple(link for arg in step.args if isinstance(arg, OutputData) for link in self._made(key, arg, extra))
        values = tuple(_value(arg) for arg in step.args if isinstance(arg, Parameter))
        parent = extra.get("parent")
        facts = {name: extra[name] for name in FACTS if name in extra}
        return Activity(
            key, str(extra.get("task") or "unnamed"), str(extra.get("version") or ""),
            started=_moment(extra.get("started")), ended=_moment(extra.get("ended")), parameters=values, used=used,
            made=made, informed_by=(f"job_{parent}",) if isinstance(parent, str) else (), facts=facts,
        )  # fmt: skip

    def _used(self, number: int, arg: InputData) -> Link:
        role = str(arg.extra.get("name") or arg.index)
        try:
            origins = self._outputs.find(number, arg)
        except StepsError:  # the steps are out of order: the input is then a file that no step makes
            origins = ()
        if origins:
            return Link(_key_of_output(self._keys[origins[-1].step], origins[-1].path), role, arg.description)
        named = f"{arg.location}/{arg.path}" if arg.location else arg.path
        digest = str(arg.extra.get("sha256") or arg.extra.get("science_sha256") or "")
        key = key_of_file(digest, named)
        self._files.setdefault(key, File(key, arg.path, named, digest, description=arg.description))
        return Link(key, role, arg.description)

    def _made(self, activity: str, arg: OutputData, extra: Mapping[str, Any]) -> list[Link]:
        names = arg.path if isinstance(arg.path, tuple) else (arg.path,)
        hashes = _as_list(arg.extra.get("sha256"))
        role = str(arg.extra.get("name") or arg.index)
        keys = []
        for number, name in enumerate(names):
            digest = str(hashes[number] or "") if number < len(hashes) else ""
            key = _key_of_output(activity, name)
            where = f"{arg.location}/{name}" if arg.location else name
            self._files[key] = File(key, name, where, digest, description=arg.description,
                                    created=_moment(extra.get("ended")))  # fmt: skip
            keys.append(key)
        if not isinstance(arg.path, tuple):
            return [Link(keys[0], role, arg.description)]
        several = f"{activity}.collection.{safe(role)}"
        self._files[several] = File(several, role, arg.location, description=arg.description, members=tuple(keys))
        return [Link(several, role, arg.description), *(Link(key, role, arg.description) for key in keys)]


def _informed(activity: Activity, known: Mapping[str, Activity]) -> Activity:
    """The activity without the parents that the list does not contain."""
    there = tuple(key for key in activity.informed_by if key in known)
    if there == activity.informed_by:
        return activity
    return replace(activity, informed_by=there)


def _value(arg: Parameter) -> Value:
    name = str(arg.extra.get("name") or f"parameter {arg.index}")
    return Value(name, arg.value, str(arg.extra.get("unit") or ""), arg.description, editable=arg.editable)


def _as_list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
