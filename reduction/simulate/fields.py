"""Reading of an object of JSON field by field: what is absent, misspelt or of another type is said with its place."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reduction.errors import ReductionError

_SHOWN = 60


class Fields:
    """The fields of an object; each is asked for once, and `done` refuses those that nobody asked for.

    `place` is where the object stands, such as ``observation.sources[0]``, and names the parameter of an error.
    """

    def __init__(self, document: Any, place: str) -> None:
        if not isinstance(document, Mapping):
            raise ReductionError(f"{_shown(document)} came; an object {{...}} is wanted", place or "recipe")
        self._document = document
        self._place = place
        self._known: list[str] = []

    def where(self, name: str) -> str:
        """Return the place of a field."""
        return f"{self._place}.{name}" if self._place else name

    def has(self, name: str) -> bool:
        """Return whether a field is there, and not null."""
        self._known.append(name)
        return self._document.get(name) is not None

    def any(self, name: str) -> Any:
        """Return a field of any type. Raise ReductionError if it is absent."""
        if not self.has(name):
            raise ReductionError("it is wanted, and absent", self.where(name))
        return self._document[name]

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text; the default where it is absent. Raise ReductionError if there is none, or it is no text."""
        if default is not None and not self.has(name):
            return default
        value = self.any(name)
        if not isinstance(value, str):
            raise ReductionError(f"{_shown(value)} came; a text is wanted", self.where(name))
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """Return a finite number; the default where it is absent. Raise ReductionError if there is none."""
        if default is not None and not self.has(name):
            return default
        value = self.any(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ReductionError(f"{_shown(value)} came; a number is wanted", self.where(name))
        return float(value)

    def whole(self, name: str, default: int | None = None, least: int = 0) -> int:
        """Return a whole number.

        Parameters
        ----------
        name
            The field.
        default
            What an absent one is; None for one that must be there.
        least
            The least that is allowed.

        Returns
        -------
        int
            The number.

        Raises
        ------
        ReductionError
            It is absent, no whole number, or less.
        """
        value = self.number(name, None if default is None else float(default))
        if value != int(value) or value < least:
            raise ReductionError(f"{value:g} came; a whole number from {least} on is wanted", self.where(name))
        return int(value)

    def truth(self, name: str, default: bool) -> bool:
        """Return true or false; the default where it is absent. Raise ReductionError if it is neither."""
        if not self.has(name):
            return default
        value = self._document[name]
        if not isinstance(value, bool):
            raise ReductionError(f"{_shown(value)} came; true or false is wanted", self.where(name))
        return value

    def numbers(self, name: str, count: int) -> list[float]:
        """Return a list of so many numbers. Raise ReductionError if it is none."""
        value = self.any(name)
        if not isinstance(value, list) or len(value) != count or not all(_is_number(each) for each in value):
            raise ReductionError(f"{_shown(value)} came; a list of {count} numbers is wanted", self.where(name))
        return [float(each) for each in value]

    def words(self, name: str, allowed: Sequence[str], default: Sequence[str]) -> tuple[str, ...]:
        """Return a list of words.

        Parameters
        ----------
        name
            The field.
        allowed
            Words that may be in it.
        default
            What an absent one is.

        Returns
        -------
        tuple
            The words, each once.

        Raises
        ------
        ReductionError
            It is no list, empty, or has another word.
        """
        if not self.has(name):
            return tuple(default)
        value = self._document[name]
        if not isinstance(value, list) or not value or any(word not in allowed for word in value):
            raise ReductionError(f"{_shown(value)} came; a list of some of {', '.join(allowed)} is wanted",
                                 self.where(name))  # fmt: skip
        return tuple(dict.fromkeys(value))

    def object(self, name: str) -> Fields:
        """Return the fields of an object within. Raise ReductionError if it is absent or none."""
        return Fields(self.any(name), self.where(name))

    def objects(self, name: str) -> Iterator[Fields]:
        """Yield the fields of each object of a list; none where it is absent. Raise ReductionError if it is none."""
        value = self._document[name] if self.has(name) else []
        if not isinstance(value, list):
            raise ReductionError(f"{_shown(value)} came; a list of objects is wanted", self.where(name))
        for number, item in enumerate(value):
            yield Fields(item, f"{self.where(name)}[{number}]")

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield the name and the value of every field."""
        self._known.extend(self._document)
        yield from self._document.items()

    def choice(self, *names: str) -> str:
        """Return which one of some fields is there. Raise ReductionError unless it is just one."""
        there = [name for name in names if self.has(name)]
        if len(there) != 1:
            raise ReductionError(f"{' and '.join(there) or 'none'} came; just one of {', '.join(names)} is wanted",
                                 self._place)  # fmt: skip
        return there[0]

    def done(self) -> None:
        """Raise ReductionError if there is a field that nobody asked for."""
        for name in self._document:
            if name not in self._known:
                near = difflib.get_close_matches(str(name), self._known, 1)
                hint = (
                    f"; did you mean {near[0]}?" if near else f"; allowed are {', '.join(dict.fromkeys(self._known))}"
                )
                raise ReductionError(f"there is no such field{hint}", self.where(str(name)[:_SHOWN]))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
