"""Traverses a graph: what is upstream or downstream of some of it, and the part of it that is wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final

from provenance.graph.model import ProvenanceGraph

ALL: Final = 10**9
"""A depth without end."""


class Direction(StrEnum):
    """The direction of a traversal: upstream (BACK, to the origins) or downstream (FORWARD, to what was made of it)."""

    BACK = "BACK"
    FORWARD = "FORWARD"


def joined(first: ProvenanceGraph, second: ProvenanceGraph) -> ProvenanceGraph:
    """Return two graphs as one; of what is in both, that of the first."""
    activities = {activity.key: activity for activity in (*second.activities, *first.activities)}
    order = dict.fromkeys(activity.key for activity in (*first.activities, *second.activities))
    derived = dict.fromkeys((*first.derived, *second.derived))
    return ProvenanceGraph(tuple(activities[key] for key in order), {**second.files, **first.files}, tuple(derived))


def reached(whole: ProvenanceGraph, starts: Sequence[str], direction: Direction, depth: int) -> set[str]:
    """Find what is upstream or downstream of some activities and files.

    Parameters
    ----------
    whole
        The graph.
    starts
        The keys of activities and files to start from; those that the graph does not have are ignored.
    direction
        Where to go.
    depth
        The most relations between a start and what is found.

    Returns
    -------
    set of str
        The keys of what is found, the starts among them; nothing that is reached through a hidden activity only.
    """
    next_keys: dict[str, list[str]] = {}
    for activity in whole.activities:
        used, made = [link.key for link in activity.used], [link.key for link in activity.made]
        ahead, behind = (used, made) if direction is Direction.BACK else (made, used)
        for key in behind:
            next_keys.setdefault(key, []).append(activity.key)
        if not activity.hidden:
            next_keys.setdefault(activity.key, []).extend(ahead)
        for parent in activity.informed_by:
            here, there = (activity.key, parent) if direction is Direction.BACK else (parent, activity.key)
            next_keys.setdefault(here, []).append(there)
    known = {activity.key for activity in whole.activities} | whole.files.keys()
    distance = {key: 0 for key in starts if key in known}
    waiting = deque(distance)
    while waiting:
        key = waiting.popleft()
        if distance[key] >= depth:
            continue
        for found in next_keys.get(key, ()):
            if found in known and found not in distance:
                distance[found] = distance[key] + 1
                waiting.append(found)
    return set(distance)


def cut(whole: ProvenanceGraph, keys: set[str]) -> ProvenanceGraph:
    """Return the part of a graph with these keys and the links between them; members come with their collection."""
    wanted = keys | {key for name in keys & whole.files.keys() for key in whole.files[name].members}
    activities = []
    for activity in whole.activities:
        if activity.key in keys:
            activities.append(replace(
                activity,
                used=tuple(link for link in activity.used if link.key in wanted),
                made=tuple(link for link in activity.made if link.key in wanted),
                informed_by=tuple(key for key in activity.informed_by if key in keys),
            ))  # fmt: skip
    derived = tuple(pair for pair in whole.derived if wanted.issuperset(pair))
    return ProvenanceGraph(
        tuple(activities), {key: file for key, file in whole.files.items() if key in wanted}, derived
    )
