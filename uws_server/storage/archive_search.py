"""The conditions of a search as SQL, and the rows of the archive that fulfil them. Imports the tables and the query.

Every value is a bound parameter; the exposures that see a place are one, whatever their number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from uws_server.archive.query.conditions import (
    AllOf,
    AnyOf,
    Compared,
    Condition,
    Cone,
    InRegion,
    Like,
    Not,
    OneOf,
    Place,
)
from uws_server.archive.query.parts import Counts, Part
from uws_server.storage.archive_tables import archive_files
from uws_server.storage.database import reading

Keys = Mapping[Place, Sequence[int]]
"""The rows that see each cone and region of a search."""

_FILES = archive_files.c
_KINDS: Final = ("events", "observation")
"""Kinds of rows that are exposures: event lists, and the rows of imported tables."""
_NAMELESS: Final = " "
_ID: Final = sa.case((_FILES.obs_id == "", _NAMELESS + sa.cast(_FILES.key, sa.String)), else_=_FILES.obs_id)
"""What an observation is told apart by: a file that names none is one of its own. No identifier begins with a blank."""
_KNOWN_ID: Final = sa.func.nullif(_FILES.obs_id, "")
_ROWS: Final = tuple(column for column in _FILES if column.name not in ("footprint", "row", "size", "changed"))

_OF_OBSERVATION: Final[Mapping[str, sa.ColumnElement[Any]]] = {
    "obsid": sa.func.min(_KNOWN_ID),
    "target": sa.func.max(_FILES.target),
    "observer": sa.func.max(_FILES.observer),
    "ra": sa.func.min(_FILES.ra),
    "dec": sa.func.min(_FILES.dec),
    "date": sa.func.min(_FILES.t_min),
    "exposure": sa.func.max(_FILES.exposure_s),
    "exposures": sa.func.count(),
}
"""What observations are sorted by."""

_OF_EXPOSURE: Final[Mapping[str, sa.ColumnElement[Any]]] = {
    "obsid": _KNOWN_ID,
    "instrument": _FILES.instrument,
    "expid": _FILES.exposure,
    "target": _FILES.target,
    "observer": _FILES.observer,
    "ra": _FILES.ra,
    "dec": _FILES.dec,
    "date": _FILES.t_min,
    "exposure": _FILES.exposure_s,
    "mode": _FILES.mode,
    "filter": _FILES.filter,
}
"""What exposures are sorted by."""

OBSERVATION_ORDERS: Final = tuple(_OF_OBSERVATION)
EXPOSURE_ORDERS: Final = tuple(_OF_EXPOSURE)


class ArchiveSearchStore:
    """Searches the table of the archive's files."""

    def __init__(self, engine: sa.Engine) -> None:
        self._reading = reading(engine)
        self._is_sqlite = engine.dialect.name == "sqlite"

    def counts(self, condition: Condition, keys: Keys) -> Counts:
        """Return how many exposures fulfil a condition, and of how many observations they are."""
        query = sa.select(sa.func.count(), sa.func.count(sa.distinct(_ID))).where(self._where(condition, keys))
        with self._reading.connect() as connection:
            return Counts(*connection.execute(query).one())

    def exposures(self, condition: Condition, keys: Keys, part: Part) -> list[Mapping[str, Any]]:
        """Return the rows of exposures that fulfil a condition, without footprint and ObsCore row."""
        query = sa.select(*_ROWS).where(self._where(condition, keys))
        return self._rows(_ordered(query, _OF_EXPOSURE[part.order], part, _FILES.instrument, _FILES.key))

    def observations(self, condition: Condition, keys: Keys, part: Part) -> list[str]:
        """Return what tells the observations apart of which an exposure fulfils a condition (see `id_of`)."""
        query = sa.select(_ID.label("id")).where(self._where(condition, keys)).group_by(_ID)
        return [row["id"] for row in self._rows(_ordered(query, _OF_OBSERVATION[part.order], part, _ID))]

    def of_observations(self, ids: Sequence[str], condition: Condition, keys: Keys) -> list[Mapping[str, Any]]:
        """Return the rows of the exposures of some observations that fulfil a condition."""
        nameless = [int(one) for one in ids if one.startswith(_NAMELESS)]
        mine = sa.or_(_FILES.obs_id.in_(ids), _FILES.key.in_(nameless)) if nameless else _FILES.obs_id.in_(ids)
        query = sa.select(*_ROWS).where(self._where(condition, keys), mine)
        return self._rows(query.order_by(_FILES.instrument, _FILES.exposure, _FILES.key))

    def files_of(self, obs_id: str) -> list[Mapping[str, Any]]:
        """Return the rows of all files of an observation, exposures first.

        They have their ObsCore rows, their sizes, and as `has_footprint` whether one is known.
        """
        has_footprint = (sa.func.length(_FILES.footprint) > 0).label("has_footprint")
        query = sa.select(*_ROWS, _FILES.row, _FILES.size, has_footprint).where(_named(obs_id))
        is_product = sa.case((_FILES.kind.in_(_KINDS), 0), else_=1)
        return self._rows(query.order_by(is_product, _FILES.instrument, _FILES.exposure, _FILES.source))

    def pointings(self, dec_low: float, dec_high: float) -> list[tuple[int, float, float]]:
        """Return key, right ascension and declination of the exposures without footprint between two declinations."""
        query = sa.select(_FILES.key, _FILES.ra, _FILES.dec).where(
            _FILES.kind.in_(_KINDS), _FILES.dec.between(dec_low, dec_high), sa.func.length(_FILES.footprint) == 0,
            _FILES.ra.is_not(None),
        )  # fmt: skip
        with self._reading.connect() as connection:
            return [(key, ra, dec) for key, ra, dec in connection.execute(query)]

    def footprints(self, sources: Sequence[str]) -> list[tuple[Mapping[str, Any], bytes]]:
        """Return the rows of some exposures, with the cells of their footprints."""
        query = sa.select(*_ROWS, _FILES.footprint).where(_FILES.source.in_(list(sources)), _FILES.kind.in_(_KINDS))
        rows = self._rows(query.order_by(_FILES.obs_id, _FILES.instrument, _FILES.exposure, _FILES.key))
        return [(row, bytes(row["footprint"])) for row in rows]

    def _rows(self, query: sa.Select[Any]) -> list[Mapping[str, Any]]:
        with self._reading.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def _where(self, condition: Condition, keys: Keys) -> sa.ColumnElement[bool]:
        return sa.and_(_FILES.kind.in_(_KINDS), self._sql(condition, keys))

    def _sql(self, condition: Condition, keys: Keys) -> sa.ColumnElement[bool]:
        match condition:
            case AllOf(inner):
                return sa.and_(sa.true(), *(self._sql(one, keys) for one in inner))
            case AnyOf(inner):
                return sa.or_(sa.false(), *(self._sql(one, keys) for one in inner))
            case Not(inner):
                return sa.not_(self._sql(inner, keys))
            case Cone() | InRegion():
                return self._among(keys[condition])
            case Compared(column, sign, value):
                compared: sa.ColumnElement[bool] = _SIGNS[sign](_compared(column.stored, [value]), value)
                return compared
            case OneOf(column, values):
                return _compared(column.stored, values).in_(values)
            case Like(column, pattern):
                return sa.func.lower(_FILES[column.stored]).like(pattern.replace("\\", "\\\\"), escape="\\")

    def _among(self, keys: Sequence[int]) -> sa.ColumnElement[bool]:
        """Return that a row is one of some: one value, since a query has room for some thousand of them."""
        if self._is_sqlite:
            listed = sa.func.json_each(json.dumps(list(keys))).table_valued("value")
            return _FILES.key.in_(sa.select(listed.c.value))
        whole = sa.bindparam(None, list(keys), type_=sa.ARRAY(sa.Integer))
        return _FILES.key == sa.any_(whole)


_SIGNS: Final[Mapping[str, Any]] = {
    "=": sa.ColumnElement.__eq__,
    "!=": sa.ColumnElement.__ne__,
    "<": sa.ColumnElement.__lt__,
    "<=": sa.ColumnElement.__le__,
    ">": sa.ColumnElement.__gt__,
    ">=": sa.ColumnElement.__ge__,
}


def _compared(stored: str, values: Sequence[float | str]) -> sa.ColumnElement[Any]:
    """Return a column to compare with values: in lower case where they have letters, else as it is, by its index."""
    column = _FILES[stored]
    cased = any(isinstance(value, str) and value.lower() != value.upper() for value in values)
    return sa.func.lower(column) if cased else column


def id_of(row: Mapping[str, Any]) -> str:
    """Return what tells the observation of a row apart: its identifier, else a text that is none."""
    return str(row["obs_id"]) or f"{_NAMELESS}{row['key']}"


def _named(name: str) -> sa.ColumnElement[bool]:
    """Return that a file is of an observation; of one without identifier, that it is the file of that path."""
    if not name:
        return sa.false()
    return sa.or_(_FILES.obs_id == name, sa.and_(_FILES.obs_id == "", _FILES.source == name))


def _ordered(
    query: sa.Select[Any], by: sa.ColumnElement[Any], part: Part, *then: sa.ColumnElement[Any]
) -> sa.Select[Any]:
    """Return a part of what a query finds, in an order; what is not known comes last."""
    order = (by.desc() if part.descending else by.asc()).nulls_last()
    return query.order_by(order, *then).limit(part.most).offset(part.first)
