"""Reads a search: from its text to conditions, or to a sentence that says what is wrong, and where."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from uws_server.archive.query import words
from uws_server.archive.query.columns import ANGLES, BY_NAME, COLUMNS, INSTRUMENT, OBS_ID, Column, cameras_of
from uws_server.archive.query.conditions import (
    DEFAULT_RADIUS_DEG,
    AllOf,
    AnyOf,
    Compared,
    Condition,
    Cone,
    InRegion,
    Like,
    Not,
    OneOf,
    Sign,
    single_ones,
)
from uws_server.archive.query.errors import QueryError
from uws_server.archive.query.grammar import parsed

Value = TypeVar("Value")

MOST_CHARS: Final = 50_000
MOST_CONDITIONS: Final = 300
MOST_VALUES: Final = 2_000
"""Comparisons of a search, and values of its lists: what every database takes in one query."""
DEEPEST: Final = 12
"""Parentheses within one another: the parser of SQLite has a stack of 100 symbols, of which each takes six."""
_MOST_PLACES: Final = 20
_LONGEST_PLACE: Final = 200
_SIGNS: Final[dict[str, Sign]] = {"==": "=", "<>": "!=", "≠": "!=", "≤": "<=", "≥": ">="}
_QUOTED_OR_NESTING: Final = re.compile(r"'[^']*'|\"[^\"]*\"|[()]")
_OBS_ID: Final = re.compile(r"\d{8,11}", re.ASCII)
_FUNCTIONS: Final = ("cone", "region")


def read(text: str) -> Condition:
    """Return what a search asks for; an empty one asks for every exposure. Raise QueryError if it is none."""
    if len(text) > MOST_CHARS:
        raise QueryError(f"the search has {len(text):,} characters; {MOST_CHARS:,} are allowed", text, MOST_CHARS)
    if not text.strip():
        return AllOf()
    _require_shallow(text)
    found = _Reader(text).condition(parsed(text))
    _require_few(found, text)
    return found


def _require_few(condition: Condition, text: str) -> None:
    every = list(single_ones(condition))
    values = sum(len(one.values) for one in every if isinstance(one, OneOf))
    for count, what, most in ((len(every), "comparisons", MOST_CONDITIONS), (values, "values in lists", MOST_VALUES)):
        if count > most:
            raise QueryError(f"the search has {count:,} {what}; {most:,} are allowed", text, 0)


def _require_shallow(text: str) -> None:
    depth = 0
    for match in _QUOTED_OR_NESTING.finditer(text):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth > DEEPEST:
            at = match.start()
            raise QueryError(f"more than {DEEPEST} parentheses are open here: write it with fewer", text, at, at + 1)


class _Reader:
    """Reads the tree of one search."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._places = 0

    def condition(self, tree: Any) -> Condition:
        found: Condition = getattr(self, f"_{tree.data}")(tree.children)
        return found

    def _nothing(self, _parts: Sequence[Any]) -> Condition:
        return AllOf()

    def _any_of(self, parts: Sequence[Any]) -> Condition:
        return _joined(AnyOf, self._each(parts))

    def _all_of(self, parts: Sequence[Any]) -> Condition:
        return _joined(AllOf, self._each(parts))

    def _each(self, parts: Sequence[Any]) -> list[Condition]:
        return [self.condition(part) for part in parts if not _is_token(part)]

    def _negation(self, parts: Sequence[Any]) -> Condition:
        turns = 1
        while (inner := parts[-1]).data == "negation":  # a row of NOTs is as long as the text
            parts, turns = inner.children, turns + 1
        found = self.condition(inner)
        return _opposite(found) if turns % 2 else found

    def _compared(self, parts: Sequence[Any]) -> Condition:
        word, sign, value = parts
        column = self._column(word)
        plain = _SIGNS.get(str(sign), str(sign))
        if column.kind == "date":
            return _dated(column, plain, self._value(value, words.span, column))
        if column.kind == "number":
            return Compared(column, plain, self._value(value, words.number, column))  # type: ignore[arg-type]
        if plain not in ("=", "!="):
            raise self._wrong(f"{column.name} is text: =, !=, LIKE and IN are allowed, not {plain}", sign)
        found = _one_of(column, [self._value(value, words.text, column)])
        return found if plain == "=" else _opposite(found)

    def _one_of(self, parts: Sequence[Any]) -> Condition:
        word, negated, _, *values = parts
        column = self._column(word)
        found: Condition
        if column.kind == "date":
            spans = [self._value(value, words.span, column) for value in values]
            found = _joined(AnyOf, [_dated(column, "=", one) for one in spans])
        elif column.kind == "number":
            found = OneOf(column, tuple(self._value(value, words.number, column) for value in values))
        else:
            found = _one_of(column, [self._value(value, words.text, column) for value in values])
        return _opposite(found) if negated else found

    def _like(self, parts: Sequence[Any]) -> Condition:
        word, negated, sign, value = parts
        column = self._column(word)
        if column.kind != "text":
            raise self._wrong(f"LIKE compares texts, and {column.name} is a {column.kind}: =, <, > and BETWEEN are "
                              "allowed", sign)  # fmt: skip
        found = Like(column, self._value(value, words.pattern, column))
        return Not(found) if negated else found

    def _between(self, parts: Sequence[Any]) -> Condition:
        word, negated, sign, low, _, high = parts
        column = self._column(word)
        found: Condition
        if column.kind == "text":
            raise self._wrong(f"{column.name} is text: =, !=, LIKE and IN are allowed, not BETWEEN", sign)
        if column.kind == "date":
            begin, end = (self._value(value, words.span, column) for value in (low, high))
            found = AllOf((_dated(column, ">=", begin), _dated(column, "<=", end)))
        else:
            least, most = (self._value(value, words.number, column) for value in (low, high))
            found = AllOf((Compared(column, ">=", least), Compared(column, "<=", most)))
        return Not(found) if negated else found

    def _function(self, parts: Sequence[Any]) -> Condition:
        name, *values = parts
        arguments = [value for value in values if value is not None]
        match str(name).lower(), arguments:
            case "cone", [place]:
                return self._cone(self._typed(place), DEFAULT_RADIUS_DEG, self._at(place), self._whole(name, place))
            case "cone", [place, radius]:
                size = self._read(radius, lambda typed: words.angle(typed, ANGLES))
                return self._cone(self._typed(place), size, self._at(place), self._whole(name, radius))
            case "cone", [ra, dec, radius]:
                size = self._read(radius, lambda typed: words.angle(typed, ANGLES))
                at = self._at(ra)[0], self._at(dec)[1]
                return self._cone(f"{self._typed(ra)}, {self._typed(dec)}", size, at, self._whole(name, radius))
            case "cone", _:
                raise self._wrong("cone takes a name or a position, and a radius: cone('M31', '1deg')", name)
            case "region", [region] if region.children[0].type == "STRING":
                self._count_place(region)
                return InRegion(self._typed(region), self._at(region))
            case "region", _:
                raise self._wrong("region takes one text in quotes: region('icrs; circle(83.63, 22.01, 0.1)')", name)
        raise self._unknown(name, "function", _FUNCTIONS, _FUNCTIONS)

    def _alone(self, parts: Sequence[Any]) -> Condition:
        """Return what words without a comparison stand for: a camera, an observation, else a place."""
        tokens = [part for part in parts if part is not None]
        at = tokens[0].start_pos, tokens[-1].end_pos
        typed = self._typed_at(tokens[0]) if len(tokens) == 1 else self._text[at[0] : at[1]]
        plain = tokens[0].type == "WORD"
        if plain and cameras_of(typed):
            return _one_of(INSTRUMENT, [typed])
        if plain and len(tokens) == 1 and _OBS_ID.fullmatch(typed):
            return Compared(OBS_ID, "=", typed)
        if plain and len(tokens) == 1 and typed.lower() in BY_NAME:
            raise self._wrong(f"{typed} is a column: a comparison is missing, such as {_example(typed)}", tokens[0])
        if plain and len(tokens) > 1 and (camera := next((token for token in tokens if cameras_of(token)), None)):
            meant = f"{' '.join(token for token in tokens if token is not camera)} AND {camera}"
            instead = f"{self._text[: at[0]]}{meant}{self._text[at[1] :]}"
            raise self._wrong(f"AND or OR is missing: did you mean {meant}?", camera, instead)
        return self._cone(typed, DEFAULT_RADIUS_DEG, at, at)

    def _cone(self, place: str, radius_deg: float, at: tuple[int, int], whole: tuple[int, int]) -> Condition:
        self._places += 1
        if self._places > _MOST_PLACES:
            raise QueryError(f"more than {_MOST_PLACES} cones and regions are asked for", self._text, *at)
        if not place.strip() or len(place) > _LONGEST_PLACE:
            raise QueryError(f"a name or a position of 1 to {_LONGEST_PLACE} characters is expected", self._text, *at)
        return Cone(" ".join(place.split()), radius_deg, at, whole)

    def _whole(self, name: Any, last: Any) -> tuple[int, int]:
        """Return where a function is in the text, by its name and its last argument."""
        return name.start_pos, self._text.index(")", self._at(last)[1]) + 1

    def _count_place(self, value: Any) -> None:
        self._places += 1
        if self._places > _MOST_PLACES:
            raise self._wrong(f"more than {_MOST_PLACES} cones and regions are asked for", value.children[0])

    def _column(self, word: Any) -> Column:
        found = BY_NAME.get(str(word).lower())
        if found is None:
            raise self._unknown(word, "column", [column.name for column in COLUMNS], list(BY_NAME))
        return found

    def _unknown(self, word: Any, what: str, known: Sequence[str], every: Sequence[str]) -> QueryError:
        near = difflib.get_close_matches(str(word)[:40].lower(), every, 1, 0.6)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        instead = f"{self._text[: word.start_pos]}{near[0]}{self._text[word.end_pos :]}" if near else ""
        return self._wrong(f"{words.shown(str(word))} is no {what}; {hint}", word, instead)

    def _value(self, value: Any, read_as: Callable[[str, Column], Value], column: Column) -> Value:
        return self._read(value, lambda typed: read_as(typed, column))

    def _read(self, value: Any, read_as: Callable[[str], Value]) -> Value:
        try:
            return read_as(self._typed(value))
        except ValueError as error:
            raise QueryError(str(error), self._text, *self._at(value)) from error

    def _typed(self, value: Any) -> str:
        """Return a value as it was typed, without its quotes."""
        first = value.children[0]
        if first.type == "STRING":
            return self._typed_at(first)
        begin, end = self._at(value)
        return self._text[begin:end]

    @staticmethod
    def _typed_at(token: Any) -> str:
        if token.type != "STRING":
            return str(token)
        quote = str(token)[0]
        return str(token)[1:-1].replace(quote * 2, quote)

    @staticmethod
    def _at(value: Any) -> tuple[int, int]:
        return value.children[0].start_pos, value.children[-1].end_pos

    def _wrong(self, sentence: str, token: Any, instead: str = "") -> QueryError:
        return QueryError(sentence, self._text, token.start_pos, token.end_pos, instead)


def _is_token(part: Any) -> bool:
    return hasattr(part, "start_pos")


def _joined(kind: type[AllOf | AnyOf], conditions: Sequence[Condition]) -> Condition:
    return conditions[0] if len(conditions) == 1 else kind(tuple(conditions))


def _opposite(condition: Condition) -> Condition:
    return condition.condition if isinstance(condition, Not) else Not(condition)


def _one_of(column: Column, values: Sequence[str]) -> Condition:
    """Return that a text is one of some; words for cameras stand for their instruments."""
    if column is INSTRUMENT:
        values = [name.lower() for value in values for name in cameras_of(value) or (value,)]
    different = tuple(dict.fromkeys(values))
    return Compared(column, "=", different[0]) if len(different) == 1 else OneOf(column, different)


def _dated(column: Column, sign: str, when: words.Span) -> Condition:
    """Return how a time compares with one that may last: after it is after its end, at it is within it."""
    begin, end = when
    if begin == end:
        return Compared(column, sign, begin)  # type: ignore[arg-type]
    within: Condition = AllOf((Compared(column, ">=", begin), Compared(column, "<", end)))
    conditions: dict[str, Condition] = {
        "=": within,
        "!=": Not(within),
        "<": Compared(column, "<", begin),
        "<=": Compared(column, "<", end),
        ">": Compared(column, ">=", end),
        ">=": Compared(column, ">=", begin),
    }
    return conditions[sign]


def _example(name: str) -> str:
    column = BY_NAME[name.lower()]
    return f"{name} {'> 2005' if column.kind == 'date' else '> 20' if column.kind == 'number' else '= ...'}"
