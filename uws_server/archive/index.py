"""What lies below the archive's folder: the names of its FITS files, read folder by folder. Imports the names of XMM.

An index is never changed: one that is read later takes from it every folder that has not changed since.
"""

from __future__ import annotations

import bisect
import difflib
import os
import re
import stat
import string
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from uws_server.archive import pps_names

_PLAIN = (".fits", ".fit", ".evt", ".pha", ".pi", ".rmf", ".rsp", ".arf")
"""How the names of FITS files end: also spectra, response matrices and ancillary responses, as OGIP has them."""
_SUFFIXES = (*_PLAIN, ".ftz", ".evt.ftz", *(f"{plain}.gz" for plain in _PLAIN))
_EVENT_LISTS = (
    re.compile(r"acisf(\d{5})(?:n\d{3})?_(?:repro_)?evt2"),  # Chandra ACIS
    re.compile(r"nu(\d{11})[ab]\d\d_cl"),  # NuSTAR
    re.compile(r"ni(\d{10})_0mpu7_cl"),  # NICER
)
"""Ids of event lists as the archives of other missions than XMM-Newton name them; the group is the observation."""

_SETTLED_NS = 2 * 10**9
"""A folder that changed so shortly before it was read may have changed again since, at the same time of change."""
_LONGEST_ID = 80
_NEIGHBOURS = 24
_LETTERS = string.ascii_lowercase + string.digits + "_-"


@dataclass(frozen=True)
class _Folder:
    """The content of one folder, and its time of change in nanoseconds; None if it may have changed since."""

    changed: int | None
    files: tuple[str, ...]
    folders: tuple[str, ...]


@dataclass(frozen=True)
class Index:
    """The FITS files below a folder, each by its place (its path below the folder).

    `places` are ordered, `ids` are the places of each id in lower case, `observations` those of the event lists of
    each observation. Links are among them: whether one leads out of the folder is for who opens it to check.
    """

    places: Sequence[str] = ()
    ids: Mapping[str, Sequence[str]] = field(default_factory=dict)
    observations: Mapping[str, Sequence[str]] = field(default_factory=dict)
    folders: Mapping[str, _Folder] = field(default_factory=dict, repr=False)

    def of_name(self, name: str) -> Sequence[str]:
        """Return the places of the files of that name, in any case, in whatever sub-folder they are."""
        places = self.ids.get(id_of(name).lower(), ())
        return [place for place in places if place.rpartition("/")[2].lower() == name.lower()]

    def nearest_id(self, wanted: str) -> str | None:
        """Return the id that a wrong one was probably meant for, as its file has it. Return None if none is near."""
        near = self._near_ids.to(wanted)
        return None if near is None else id_of(self.ids[near][0].rpartition("/")[2])

    def nearest_observation(self, wanted: str) -> str | None:
        """Return the observation that a wrong one was probably meant for. Return None if none is near."""
        return self._near_observations.to(wanted)

    @cached_property
    def _near_ids(self) -> _Neighbours:
        return _Neighbours(self.ids)

    @cached_property
    def _near_observations(self) -> _Neighbours:
        return _Neighbours(self.observations)

    def prepare(self) -> None:
        """Make now what the search for near names needs: else the first request for one would."""
        _ = self._near_ids, self._near_observations


def id_of(name: str) -> str:
    """Return the id of a file: its name without its suffixes."""
    return name.split(".", 1)[0]


def is_text(path: str) -> bool:
    """Check whether a path can stand in a document: it has no control character and is UTF-8."""
    return path.isprintable()


def read(folder: Path, before: Index) -> Index:
    """Return the index of a folder: `before` itself if nothing has changed since that one was read."""
    folders = dict(_walk(str(folder), before.folders))
    unchanged = all(before.folders.get(place) is content for place, content in folders.items())
    if before.folders and unchanged and len(folders) == len(before.folders):
        return before
    places = sorted(f"{place}/{name}" if place else name for place, found in folders.items() for name in found.files)
    ids: dict[str, list[str]] = {}
    for place in places:
        ids.setdefault(id_of(place.rpartition("/")[2]).lower(), []).append(place)
    index = Index(places, ids, _by_observation(ids), folders)
    index.prepare()
    return index


def _walk(root: str, before: Mapping[str, _Folder]) -> Iterator[tuple[str, _Folder]]:
    """Yield every folder by its place ('' for the first); what has not changed is taken from `before`."""
    waiting = [""]
    while waiting:
        place = waiting.pop()
        path = f"{root}/{place}" if place else root
        known = before.get(place)
        try:
            changed = os.lstat(path)
            if not stat.S_ISDIR(changed.st_mode):
                continue
            if known is None or known.changed != changed.st_mtime_ns:
                known = _content(path, place, changed.st_mtime_ns)
        except OSError:  # it has gone, or may not be read
            continue
        yield place, known
        waiting += [f"{place}/{name}" if place else name for name in known.folders]


def _content(path: str, place: str, changed: int) -> _Folder:
    now = time.time_ns()
    files, folders = [], []
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif entry.name.lower().endswith(_SUFFIXES) and is_text(place + entry.name):
                files.append(entry.name)
    return _Folder(changed if now - changed > _SETTLED_NS else None, tuple(files), tuple(folders))


def _by_observation(ids: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for name, places in ids.items():
        observation = _observation_of(name)
        if observation:
            found.setdefault(observation, []).extend(places)
    return {name: sorted(places) for name, places in sorted(found.items())}


def _observation_of(name: str) -> str:
    """Return the observation of an event list by its id; '' for another file."""
    of_xmm = pps_names.parse(name)
    if of_xmm is not None:
        return of_xmm.obs_id if of_xmm.is_epic_event_list else ""
    return next((match[1] for pattern in _EVENT_LISTS if (match := pattern.fullmatch(name))), "")


class _Neighbours:
    """Finds among many names the one that is nearest to another, by a look at few of them.

    A name with one letter wrong, too few or too many, or with two exchanged, is found wherever the slip is; one with
    more slips if it begins or ends like the right one.
    """

    def __init__(self, names: Mapping[str, object]) -> None:
        self._names = names
        self._ordered = sorted(names)
        self._from_behind = sorted(name[::-1] for name in names)

    def to(self, wanted: str) -> str | None:
        """Return the nearest name, None if there is none that is near."""
        text = wanted[:_LONGEST_ID].lower()
        near = {name for name in _with_one_slip(text) if name in self._names}
        near |= set(_around(self._ordered, text))
        near |= {name[::-1] for name in _around(self._from_behind, text[::-1])}
        return next(iter(difflib.get_close_matches(text, sorted(near), n=1)), None)


def _around(ordered: Sequence[str], text: str) -> Sequence[str]:
    at = bisect.bisect_left(ordered, text)
    return [name for name in ordered[max(0, at - _NEIGHBOURS) : at + _NEIGHBOURS] if len(name) <= 2 * _LONGEST_ID]


def _with_one_slip(text: str) -> Iterator[str]:
    for at in range(len(text) + 1):
        before, after = text[:at], text[at:]
        yield before + after[1:]
        yield before + after[1:2] + after[:1] + after[2:]
        for letter in _LETTERS:
            yield before + letter + after
            yield before + letter + after[1:]
