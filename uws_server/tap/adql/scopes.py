"""Which names a SELECT knows: its tables by their aliases, their columns, and those of the SELECTs around it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from sqlglot import exp

from uws_server.tap.adql.backends import Backend
from uws_server.tap.adql.errors import near
from uws_server.tap.adql.values import Origin, Shape, Value, kind_of
from uws_server.tap.tables import ColumnDescription, TableDescription


@dataclass(frozen=True)
class Column:
    """A column as it is named in this query: its own name, and the value that it stands for."""

    name: str
    value: Value


@dataclass
class Source:
    """Something behind FROM: the names it answers to, its SQL, and its columns by lower-case name."""

    name: str
    schema: str
    sql: str
    columns: Mapping[str, tuple[Column, ...]]

    def find(self, wanted: exp.Identifier) -> list[Column]:
        """Return the columns of that name: in quotes to the letter, else whatever the case."""
        return [column for column in self.columns.get(wanted.name.lower(), ())
                if not wanted.args.get("quoted") or column.name == wanted.name]  # fmt: skip

    def all(self) -> Iterator[Column]:
        """Yield every column in order."""
        for columns in self.columns.values():
            yield from columns


@dataclass
class Scope:
    """The names of one SELECT.

    `joined` are the columns that USING or NATURAL made one of two; `loose` the columns met outside of aggregates,
    `keys` the SQL of what is grouped by, `aggregates` how many aggregates were met.
    """

    parent: Scope | None = None
    sources: list[Source] = field(default_factory=list)
    joined: dict[str, Column] = field(default_factory=dict)
    hidden: set[tuple[int, str]] = field(default_factory=set)
    loose: list[tuple[exp.Expr, str]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    aggregates: int = 0
    within: str = ""

    def names(self) -> Iterator[str]:
        """Yield every name of a column that could be meant."""
        for source in self.sources:
            for column in source.all():
                yield column.name

    def columns_of_all(self) -> Iterator[Column]:
        """Yield what `*` stands for: joined columns once and first, then the others in order."""
        yield from self.joined.values()
        for number, source in enumerate(self.sources):
            for column in source.all():
                if (number, column.name.lower()) not in self.hidden:
                    yield column


class NoSuchName(LookupError):
    """A name means nothing, or more than one thing; the message says which."""


def find_column(scope: Scope, parts: list[exp.Identifier]) -> tuple[Scope, Column]:
    """Return the column of a name and the SELECT whose it is; the innermost SELECT that knows the name is asked first.

    Raise NoSuchName with near names.
    """
    wanted, qualifiers = parts[-1], parts[:-1]
    level: Scope | None = scope
    while level is not None:
        found = _in_scope(level, wanted, qualifiers)
        if len(found) == 1:
            return level, found[0]
        if found:
            owners = " or ".join(f"{source.name}.{wanted.name}" for source in level.sources if source.find(wanted))
            raise NoSuchName(f"the column {wanted.name} is ambiguous: write {owners}")
        level = level.parent
    raise NoSuchName(_unknown(scope, wanted, qualifiers))


def find_sources(scope: Scope, qualifiers: list[exp.Identifier]) -> list[Source]:
    """Return the tables of a SELECT that `alias` or `schema.table` names."""
    return [source for source in scope.sources if _is_called(source, qualifiers)]


def _in_scope(scope: Scope, wanted: exp.Identifier, qualifiers: list[exp.Identifier]) -> list[Column]:
    if not qualifiers:
        joined = scope.joined.get(wanted.name.lower())
        if joined is not None and (not wanted.args.get("quoted") or joined.name == wanted.name):
            return [joined]
    sources = find_sources(scope, qualifiers) if qualifiers else scope.sources
    return [column for source in sources for column in source.find(wanted)]


def _is_called(source: Source, qualifiers: list[exp.Identifier]) -> bool:
    names = (source.schema, source.name)[-len(qualifiers) :] if len(qualifiers) < 3 else ()
    return bool(names) and all(
        known == asked.name if asked.args.get("quoted") else known.lower() == asked.name.lower()
        for known, asked in zip(names, qualifiers, strict=True)
    )


def _unknown(scope: Scope, wanted: exp.Identifier, qualifiers: list[exp.Identifier]) -> str:
    """Return the sentence on a name that nothing has."""
    levels: list[Scope] = []
    level: Scope | None = scope
    while level is not None:
        levels.append(level)
        level = level.parent
    if not qualifiers:
        names = [name for one in levels for name in one.names()]
        return f"there is no column {wanted.name}{near(wanted.name, names)}"
    asked = ".".join(part.name for part in qualifiers)
    sources = [source for one in levels for source in find_sources(one, qualifiers)]
    if not sources:
        known = [source.name for one in levels for source in one.sources]
        return f"no table or alias {asked} stands behind FROM{near(asked, known) or f'; there is {listed(known)}'}"
    return f"{asked} has no column {wanted.name}{near(wanted.name, (column.name for column in sources[0].all()))}"


def listed(names: Iterable[str]) -> str:
    """Return names with commas between, or the word nothing."""
    return ", ".join(sorted(set(names))) or "nothing"


class _TableColumns(Mapping[str, tuple[Column, ...]]):
    """The columns of a table of the database, made when they are asked for: it may have hundreds."""

    def __init__(self, table: TableDescription, alias: str, backend: Backend) -> None:
        self.table, self.alias, self.backend = table, alias, backend

    def __getitem__(self, key: str) -> tuple[Column, ...]:
        return tuple(self._column(column) for column in self.table.by_name[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self.table.by_name)

    def __len__(self) -> int:
        return len(self.table.by_name)

    def _column(self, column: ColumnDescription) -> Column:
        sql, kind = f"{self.alias}.{self.backend.quoted(column.sql_name or column.name)}", kind_of(column)
        origin = Origin(self.alias, column.name, self.table)
        name: Literal["MOC", "REGION"] = "MOC" if (column.xtype or "").lower() == "moc" else "REGION"
        shape = Shape(name, text=sql, origin=origin) if kind == "shape" else None
        return Column(column.name, Value(sql, kind, column, shape=shape, origin=origin))


def table_source(table: TableDescription, name: str, alias: str, backend: Backend) -> Source:
    """Return a table of the database as something behind FROM, under its own name or another."""
    if table.rows_sql is None:
        rows = ".".join(backend.quoted(part) for part in table.sql_name.split(".", 1))
    else:
        rows = f"({table.rows_sql})"
    schema, _, own = table.name.rpartition(".")
    return Source(name or own, "" if name else schema, f"{rows} AS {alias}", _TableColumns(table, alias, backend))


def derived(columns: Iterable[Column], alias: str, quoted: Iterable[str]) -> dict[str, tuple[Column, ...]]:
    """Return the columns of a SELECT as those that the SELECT around it may name."""
    found: dict[str, tuple[Column, ...]] = {}
    for column, name in zip(columns, quoted, strict=True):
        sql = f"{alias}.{name}"
        inner = column.value.shape
        shape = Shape("MOC" if inner.name == "MOC" else "REGION", text=sql) if inner is not None else None
        value = replace(column.value, sql=sql, literal=None, condition=None, apart=None, shape=shape, origin=None)
        key = column.name.lower()
        found[key] = (*found.get(key, ()), Column(column.name, value))
    return found
