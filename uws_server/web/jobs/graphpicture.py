"""The layout of a provenance graph: jobs and files in rows, the earliest at the top. Imports the graph.

A node stands below all that it came of, and a rerun beside the job that it runs again: below it, its own inputs would
seem to be products of that job. A row has a few nodes; more go into rows below. The template draws them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from provenance.graph.model import File, ProvenanceGraph
from uws_server.errors import counted

WIDTH, HEIGHT = 188, 48
_GAP_X, _GAP_Y, _MARGIN = 20, 44, 10
_ARCH = 36
_COLUMNS = 4
_LETTERS = 24.0
_MANY = 6
"""Files of a collection from which on it is drawn as one."""
MOST = 60
"""Jobs in a picture."""

Kind = Literal["file", "files", "job", "unseen", "foreign"]


@dataclass(frozen=True)
class Node:
    """A job or a file: its caption, and its upper left corner."""

    key: str
    kind: Kind
    name: str
    below: str
    about: str
    current: bool
    x: int
    y: int


@dataclass(frozen=True)
class Edge:
    """An arrow to a job or a file from what it came of, as the path of an SVG; `again` for a rerun."""

    path: str
    again: bool


@dataclass(frozen=True)
class Picture:
    """A drawing of a graph; `left_out` jobs are not in it."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    width: int
    height: int
    left_out: int


def picture(whole: ProvenanceGraph, current: str) -> Picture:
    """Lay out a graph around the activity with the key `current`."""
    drawn = _nearest(whole, current)
    visible = ProvenanceGraph(tuple(each for each in whole.activities if each.key in drawn), whole.files)
    files = _files_of(visible, current)
    arrows = _arrows(visible, files)
    again = [(key, each.key) for each in visible.activities for key in each.informed_by if key in drawn]
    keys = [*dict.fromkeys([*(key for arrow in arrows for key in arrow), *(each.key for each in visible.activities)])]
    fed = {other for _, other in arrows}
    below = [pair for pair in again if pair[1] not in fed]
    places = _corners(_rows(keys, [*arrows, *below]), arrows)
    nodes = tuple(_node(visible, files, key, current, places[key]) for key in keys)
    edges = [Edge(_path(places[one], places[other]), False) for one, other in arrows]
    edges += [Edge(_path(places[one], places[other]), True) for one, other in again]
    width = max((x for x, _ in places.values()), default=0) + WIDTH + _MARGIN
    height = max((y for _, y in places.values()), default=0) + HEIGHT + _MARGIN
    return Picture(nodes, tuple(edges), width, height, len(whole.activities) - len(visible.activities))


def _nearest(whole: ProvenanceGraph, current: str) -> set[str]:
    """Return the activities that are drawn: those with the fewest steps to the current one."""
    beside: dict[str, list[str]] = {}
    for each in whole.activities:
        for key in (*(link.key for link in (*each.used, *each.made)), *each.informed_by):
            beside.setdefault(each.key, []).append(key)
            beside.setdefault(key, []).append(each.key)
    activities = {each.key for each in whole.activities}
    found, waiting, seen = [current], [current], {current}
    while waiting and len(found) < MOST:
        near = [key for one in waiting for key in beside.get(one, ()) if key not in seen]
        waiting = list(dict.fromkeys(near))
        seen.update(waiting)
        found += [key for key in waiting if key in activities]
    return set(found[:MOST]) & activities


def _files_of(visible: ProvenanceGraph, current: str) -> dict[str, File]:
    """Return the files that are drawn: inputs of a drawn activity, and the files that the current one made."""
    used = {link.key for each in visible.activities for link in each.used}
    mine = {link.key for each in visible.activities if each.key == current for link in each.made}
    several = [visible.files[key] for key in mine if key in visible.files and visible.files[key].members]
    inside = {key for file in several if len(file.members) >= _MANY for key in file.members}
    as_one = {file.key for file in several if len(file.members) >= _MANY}
    wanted = used | (mine - inside - {file.key for file in several}) | as_one
    return {key: file for key, file in visible.files.items() if key in wanted}


def _arrows(visible: ProvenanceGraph, files: Mapping[str, File]) -> list[tuple[str, str]]:
    """Return the arrows from a file to the activity that used it, and from an activity to the file it made."""
    found = [(link.key, each.key) for each in visible.activities for link in each.used if link.key in files]
    found += [(each.key, link.key) for each in visible.activities for link in each.made if link.key in files]
    return list(dict.fromkeys(found))


def _rows(keys: Sequence[str], arrows: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Return rows in which everything stands below what it came of; a cycle is cut where it began."""
    before: dict[str, set[str]] = {key: set() for key in keys}
    for one, other in arrows:
        before[other].add(one)
    rank: dict[str, int] = {}
    left = list(keys)
    while left:
        ready = [key for key in left if before[key] <= rank.keys()] or left[:1]
        for key in ready:
            rank[key] = max((rank[one] + 1 for one in before[key] if one in rank), default=0)
        left = [key for key in left if key not in rank]
    after = {key: [rank[other] for one, other in arrows if one == key] for key in keys}
    for key in keys:  # an input stands right above the first that used it
        if not before[key] and after[key]:
            rank[key] = max(0, min(after[key]) - 1)
    rows: dict[int, list[str]] = {}
    for key in keys:
        rows.setdefault(rank[key], []).append(key)
    return [rows[number] for number in sorted(rows)]


def _corners(rows: Sequence[Sequence[str]], arrows: Sequence[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """Return the corner of each node: rows of a few, each centred, in the order of the row above."""
    before: dict[str, list[str]] = {}
    for one, other in arrows:
        before.setdefault(other, []).append(one)
    columns = min(_COLUMNS, max((len(row) for row in rows), default=1))
    middle = _MARGIN + (columns * (WIDTH + _GAP_X) - _GAP_X) / 2
    places: dict[str, tuple[int, int]] = {}
    y = _MARGIN
    for row in rows:
        above = {key: [places[one][0] for one in before.get(key, ()) if one in places] for key in row}
        ordered = sorted(row, key=lambda key: sum(above[key]) / len(above[key]) if above[key] else middle)
        for at in range(0, len(ordered), columns):
            part = ordered[at : at + columns]
            x = middle - (len(part) * (WIDTH + _GAP_X) - _GAP_X) / 2
            for number, key in enumerate(part):
                places[key] = (round(x + number * (WIDTH + _GAP_X)), y)
            y += HEIGHT + (_GAP_Y if at + columns >= len(ordered) else _GAP_Y // 3)
    return places


def _node(visible: ProvenanceGraph, files: Mapping[str, File], key: str, current: str, place: tuple[int, int]) -> Node:
    x, y = place
    file = files.get(key)
    if file is not None:
        kind: Kind = "files" if file.members else "file"
        below = counted(len(file.members), "file") if file.members else _short(file.description)
        return Node(key, kind, _short(file.name), below, f"{file.name}. {file.description}".strip(), False, x, y)
    activity = next(each for each in visible.activities if each.key == key)
    if activity.hidden:
        return Node(
            key, "unseen", "A job of somebody else", key.removeprefix("job_")[:8], "Not shown to you", False, x, y
        )
    name = f"{activity.title or activity.name}"
    below = key.removeprefix("job_")[:8] if "phase" in activity.facts else f"{activity.version} elsewhere".strip()
    kind = "job" if "phase" in activity.facts else "foreign"
    return Node(key, kind, _short(name), below, f"{name} {activity.version}".strip(), key == current, x, y)


def _path(one: tuple[int, int], other: tuple[int, int]) -> str:
    """Return a curve from the foot of a node to the head of another; in a row, to its side, or over those between."""
    x1, y1 = one[0] + WIDTH // 2, one[1] + HEIGHT
    x2, y2 = other[0] + WIDTH // 2, other[1] - 3
    if one[1] == other[1] and 0 < other[0] - one[0] < 2 * WIDTH:
        return f"M{one[0] + WIDTH} {y1 - HEIGHT // 2}H{other[0] - 3}"
    if one[1] == other[1]:
        return f"M{x1} {one[1]}C{x1} {y2 - _ARCH} {x2} {y2 - _ARCH} {x2} {y2}"
    bend = max(18, (y2 - y1) // 2)
    return f"M{x1} {y1}C{x1} {y1 + bend} {x2} {y2 - bend} {x2} {y2}"


def _short(text: str) -> str:
    """Return a text that fits into a node: capitals and digits are wider."""
    room = _LETTERS
    for at, letter in enumerate(text):
        room -= 1.3 if letter.isupper() or letter.isdigit() else 1.0
        if room < 0:
            return f"{text[: at - 1].rstrip()}…"
    return text
