"""Walks through a graph: what is before or behind some of it, and the part of it that is wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final

from provenance.graph.model import ProvenanceGraph

ALL: Final = 10**9
"""A depth that follows everything."""


class Direction(StrEnum):
    """Where to look: at what something came of, or at what came of it."""

    BACK = "BACK"
    FORWARD = "FORWARD"


def joined(one: ProvenanceGraph, other: ProvenanceGraph) -> ProvenanceGraph:
    """Two graphs as one, each activity once."""
    activities = {each.key: each for each in (*other.activities, *one.activities)}
    order = dict.fromkeys(each.key for each in (*one.activities, *other.activities))
    derived = dict.fromkeys((*one.derived, *other.derived))
    return ProvenanceGraph(tuple(activities[key] for key in order), {**other.files, **one.files}, tuple(derived))


def reached(whole: ProvenanceGraph, starts: Sequence[str], direction: Direction, depth: int) -> set[str]:
    """The keys that are at most `depth` relations from some, in one direction; a hidden activity is not passed."""
    onwards: dict[str, list[str]] = {}
    for each in whole.activities:
        used, made = [link.key for link in each.used], [link.key for link in each.made]
        after, before = (used, made) if direction is Direction.BACK else (made, used)
        for key in before:
            onwards.setdefault(key, []).append(each.key)
        if not each.hidden:
            onwards.setdefault(each.key, []).extend(after)
        for key in each.informed_by:
            one, other = (each.key, key) if direction is Direction.BACK else (key, each.key)
            onwards.setdefault(one, []).append(other)
    known = {each.key for each in whole.activities} | whole.files.keys()
    distance = {key: 0 for key in starts if key in known}
    waiting = deque(distance)
    while waiting:
        key = waiting.popleft()
        if distance[key] >= depth:
            continue
        for other in onwards.get(key, ()):
            if other in known and other not in distance:
                distance[other] = distance[key] + 1
                waiting.append(other)
    return set(distance)


def cut(whole: ProvenanceGraph, keys: set[str]) -> ProvenanceGraph:
    """The part of a graph whose keys are wanted, and the links between them; members come with their collection."""
    wanted = keys | {key for name in keys & whole.files.keys() for key in whole.files[name].members}
    activities = []
    for each in whole.activities:
        if each.key in keys:
            activities.append(replace(
                each,
                used=tuple(link for link in each.used if link.key in wanted),
                made=tuple(link for link in each.made if link.key in wanted),
                informed_by=tuple(key for key in each.informed_by if key in keys),
            ))  # fmt: skip
    derived = tuple(pair for pair in whole.derived if wanted.issuperset(pair))
    return ProvenanceGraph(
        tuple(activities), {key: file for key, file in whole.files.items() if key in wanted}, derived
    )
