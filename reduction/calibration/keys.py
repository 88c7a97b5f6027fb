"""What calibration files are asked for by, and which of several files answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reduction.errors import ReductionError

_ANY = ("", "ANY", "NONE", "-", "UNKNOWN")
"""What files and indices write for a filter or an instrument for which it does not matter."""


_DATE = re.compile(r"(?P<date>\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?)\d*Z?")


@dataclass(frozen=True)
class Keys:
    """What is asked for: a file of a kind, for an instrument, its filter, the patterns of its events and a date.

    An empty text, and None as the date, asks for nothing.
    """

    telescope: str
    instrument: str
    kind: str
    filter: str = ""
    pattern: str = ""
    date: datetime | None = None

    @property
    def words(self) -> str:
        """The keys as an error names them."""
        given = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return ", ".join(f"{name} {value:%Y-%m-%dT%H:%M:%S}" if isinstance(value, datetime) else f"{name} {value}"
                         for name, value in given if value)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A calibration file, as an index or its own name or header describes it.

    `since` and `until` bound the dates for which it holds (None: no bound), `issue` orders files of which one replaces
    the other, and `is_good` is False for a file that its makers have withdrawn.
    """

    path: Path
    telescope: str
    instrument: str
    kind: str
    filter: str = ""
    pattern: str = ""
    since: datetime | None = None
    until: datetime | None = None
    issue: float = 0.0
    is_good: bool = True
    extension: int | None = None

    def answers(self, keys: Keys) -> bool:
        """Return whether this is what is asked for, its date included."""
        same = _same(self.telescope, keys.telescope) and _same(self.instrument, keys.instrument)
        fits = _same(self.filter, keys.filter) and _same(self.pattern, keys.pattern)
        return self.is_good and same and fits and _same(self.kind, keys.kind) and self.holds_at(keys.date)

    def holds_at(self, date: datetime | None) -> bool:
        """Return whether a date lies within its bounds; the end belongs to the file that follows."""
        if date is None:
            return True
        return (self.since is None or self.since <= date) and (self.until is None or date < self.until)

    @property
    def order(self) -> tuple[bool, bool, datetime, float, str]:
        """What the better of two that answer has more of: exact keys, then a later start, then a later issue."""
        since = self.since or datetime.min.replace(tzinfo=UTC)
        return _means(self.filter), _means(self.pattern), since, self.issue, self.path.name


def choose(entries: Iterable[Entry], keys: Keys, where: str, parameter: str | None = None) -> Entry:
    """Return the file that answers.

    Parameters
    ----------
    entries
        Files that there are.
    keys
        What is asked for.
    where
        The folder or service that was searched, as the error names it.
    parameter
        Job parameter named in the error.

    Returns
    -------
    Entry
        Of several that answer, the one made for the filter and the patterns rather than for any, then the one that
        begins to hold last, then the one issued last.

    Raises
    ------
    ReductionError
        None answers; the error tells what was asked and how near the others come.
    """
    known = list(entries)
    found = [entry for entry in known if entry.answers(keys)]
    if found:
        return max(found, key=lambda entry: entry.order)
    raise ReductionError(f"{where} has no calibration file with {keys.words}{_nearest(known, keys)}", parameter)


def _nearest(entries: list[Entry], keys: Keys) -> str:
    """What there is instead: the dates, filters or patterns of files of the kind, else the kinds of the instrument."""
    mine = [entry for entry in entries
            if _same(entry.telescope, keys.telescope) and _same(entry.instrument, keys.instrument)]  # fmt: skip
    if not mine:
        return f"; none of its {len(entries)} files is for {keys.telescope} {keys.instrument}"
    kind = [entry for entry in mine if _same(entry.kind, keys.kind)]
    if not kind:
        return f"; for {keys.instrument} it has {_listed(entry.kind for entry in mine)}"
    if not any(entry.is_good for entry in kind):
        return "; those that it has are marked as bad"
    told = []
    for name in ("filter", "pattern"):
        there = [getattr(entry, name) for entry in kind]
        if not any(_same(word, getattr(keys, name)) for word in there):
            told.append(f"{name} {_listed(there)}")
    return "; it has " + " and ".join(told or ["other dates: " + _listed(map(_span, kind))])


def _span(entry: Entry) -> str:
    start, end = (f"{date:%Y-%m-%d}" if date else "..." for date in (entry.since, entry.until))
    return f"{start} to {end}"


def _listed(words: Iterable[str], most: int = 8) -> str:
    found = sorted(set(filter(None, words)))
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")


def _means(text: str) -> bool:
    return text.strip().upper() not in _ANY


def _same(mine: str, asked: str) -> bool:
    """Whether two words say the same, or one of them anything."""
    return not _means(mine) or not _means(asked) or mine.strip().upper() == asked.strip().upper()


def parse_date(text: str, parameter: str | None = None) -> datetime:
    """Read a date in UTC.

    Parameters
    ----------
    text
        As in FITS headers: 2012-05-14 or 2012-05-14T03:27:43, with or without a fraction.
    parameter
        Job parameter named in the error.

    Returns
    -------
    datetime
        Aware, in UTC.

    Raises
    ------
    ReductionError
        The text is no date.
    """
    match = _DATE.fullmatch(text.strip())
    try:
        return datetime.fromisoformat(match["date"] if match else "").replace(tzinfo=UTC)
    except ValueError as error:
        raise ReductionError(f"{text.strip()[:40]!r} is no date; write it as 2012-05-14 or 2012-05-14T03:27:43",
                             parameter) from error  # fmt: skip


def date_of(header: Mapping[str, Any], parameter: str | None = None) -> datetime:
    """Return when an observation began, from DATE-OBS of its header. Raise ReductionError if it says no date."""
    text = str(header.get("DATE-OBS") or "").strip()
    if not text:
        raise ReductionError("its header has no DATE-OBS, and calibration files are chosen by date", parameter)
    return parse_date(text, parameter)
