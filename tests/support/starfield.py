"""A table of stars, the same in SQLite, in PostgreSQL and in numpy, over which ADQL is compared with brute force."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
import psycopg
from mocpy import MOC

from uws_server.storage.region_sizes import REACHES_DEG, values_of_region
from uws_server.tap.adql import postgresql, sqlite
from uws_server.tap.adql.backends import BackendName
from uws_server.tap.adql.translation import Translated
from uws_server.tap.tables import ColumnDescription as Column
from uws_server.tap.tables import Position, RegionIndex, TableDescription

STARS = TableDescription(
    "lab.stars",
    "lab_stars",
    (
        Column("id", "long", ucd="meta.id;meta.main"),
        Column("name", "char", "*"),
        Column("ra", "double", unit="deg", ucd="pos.eq.ra;meta.main"),
        Column("dec", "double", unit="deg", ucd="pos.eq.dec;meta.main", sql_name="declination"),
        Column("mag", "double", unit="mag"),
        Column("flux", "float", unit="mW.m**-2"),
        Column("n", "int"),
        Column("start", "double", unit="d"),
        Column("field", "char", "*", xtype="adql:REGION"),
        Column("bright", "boolean"),
        Column("tags", "char", "*"),
        Column("Mixed Case", "int"),
    ),
    (Position("ra", "dec", healpix="cell"),),
    regions=(RegionIndex("field", "field_ra", "field_dec", "reach", "size", REACHES_DEG),),
)
"""With the index columns of geometry."""

PLAIN = TableDescription("lab.plain", "lab_plain", STARS.columns)
"""The same rows, without, and with right ascensions from -180 to 180."""

TABLES = {table.name: table for table in (STARS, PLAIN)}
_NAMES = ("Vega", "deneb", "Altair", "sirius", "Rigel", "vesta", "pallas", "JUNO", "100%", "a_b")
_TYPES = {
    "sqlite": "id INTEGER, name TEXT, ra REAL, declination REAL, mag REAL, flux REAL, n INTEGER, start REAL, "
    'field TEXT, bright INTEGER, tags TEXT, "Mixed Case" INTEGER, cell INTEGER, '
    'field_ra REAL, field_dec REAL, reach REAL, size INTEGER',
    "postgresql": "id bigint, name text, ra float8, declination float8, mag float8, flux real, n int, start float8,"
    'field text, bright boolean, tags text, "Mixed Case" int, cell bigint, field_ra float8, field_dec float8, '
    'reach float8, size int',
}


@dataclass(frozen=True)
class Field:
    """The rows as columns of numpy; `mag` is NaN where it is NULL."""

    id: np.ndarray
    name: np.ndarray
    ra: np.ndarray
    dec: np.ndarray
    mag: np.ndarray
    flux: np.ndarray
    n: np.ndarray
    start: np.ndarray
    radius: np.ndarray
    bright: np.ndarray
    tags: np.ndarray
    cell: np.ndarray

    def ids(self, mask: np.ndarray) -> list[tuple[int]]:
        """The ids of some rows, as a query gives them."""
        return [(int(one),) for one in self.id[mask]]

    def corners(self) -> np.ndarray:
        """The corners of each row's field where it is a polygon, shape (n, 4, 2), degrees."""
        half = self.radius / np.sqrt(2)
        wide = half / np.cos(np.radians(self.dec))
        across = np.stack([-wide, wide, wide, -wide], axis=1) + self.ra[:, None]
        up = np.stack([-half, -half, half, half], axis=1) + self.dec[:, None]
        return np.stack([across, up], axis=2)

    @property
    def is_circle(self) -> np.ndarray:
        """Which fields are circles of `radius`; the others are polygons."""
        return (self.n % 2 == 0) | (np.abs(self.dec) > 70)


def starfield() -> Field:
    """Make the rows: over the whole sky, and crowded at a few places, such as a pole and the beginning of RA."""
    rng = np.random.default_rng(20)
    ra, dec = rng.uniform(0, 360, 200), np.degrees(np.arcsin(rng.uniform(-1, 1, 200)))
    for place in ((10.0, 20.0), (0.1, -0.2), (180.0, 45.0), (120.0, 89.6), (300.0, -89.9), (83.6, 22.0)):
        ra = np.append(ra, place[0] + rng.normal(0, 0.8, 50) / np.cos(np.radians(min(abs(place[1]), 85))))
        dec = np.append(dec, np.clip(place[1] + rng.normal(0, 0.8, 50), -90, 90))
    ra, many = ra % 360, len(ra)
    mag = np.where(rng.random(many) < 0.1, np.nan, rng.uniform(-1, 15, many))
    cells = [int(MOC.from_lonlat(ra[i : i + 1] * u.deg, dec[i : i + 1] * u.deg, max_norder=29).to_depth29_ranges[0][0])
             for i in range(many)]  # fmt: skip
    return Field(
        np.arange(many), rng.choice(_NAMES, many), ra, dec, mag, rng.uniform(1, 9, many).astype("f4"),
        rng.integers(-20, 20, many), 55000 + rng.uniform(0, 100, many), rng.uniform(0.05, 1.1, many),
        rng.random(many) < 0.3, rng.choice(["x-ray#hard", "X-ray#soft source", "optical", "the hard X-ray sky"], many),
        np.array(cells),
    )  # fmt: skip


def regions(field: Field) -> list[str]:
    """The fields of the rows as STC-S."""
    circles = [f"Circle ICRS {ra!r} {dec!r} {radius!r}" for ra, dec, radius in
               zip(field.ra.tolist(), field.dec.tolist(), field.radius.tolist(), strict=True)]  # fmt: skip
    polygons = ["Polygon ICRS " + " ".join(map(repr, corners.ravel().tolist())) for corners in field.corners()]
    return [one if circle else other for one, other, circle in zip(circles, polygons, field.is_circle, strict=True)]


def _rows(field: Field, ra: np.ndarray) -> Iterator[tuple[Any, ...]]:
    circles = [tuple(values_of_region(text).values()) for text in regions(field)]
    columns = (
        field.id.tolist(), field.name.tolist(), ra.tolist(), field.dec.tolist(),
        [None if np.isnan(one) else float(one) for one in field.mag], field.flux.tolist(), field.n.tolist(),
        field.start.tolist(), regions(field), field.bright.tolist(), field.tags.tolist(), (field.n * 2).tolist(),
        field.cell.tolist(), *zip(*circles, strict=True),
    )  # fmt: skip
    return zip(*columns, strict=True)


class Asked:
    """A database with the rows, which runs translated queries."""

    def __init__(self, connection: Any, backend: BackendName) -> None:
        self.connection, self.backend = connection, backend

    def fill(self, field: Field) -> None:
        """Make the tables, with the indexes that geometry wants."""
        mark = "?" if self.backend == "sqlite" else "%s"
        folded = np.where(field.ra > 180, field.ra - 360, field.ra)
        for table, ra in ((STARS, field.ra), (PLAIN, folded)):
            self.connection.execute(f"CREATE TABLE {table.sql_name} ({_TYPES[self.backend]})")
            cursor = self.connection.cursor()
            cursor.executemany(
                f"INSERT INTO {table.sql_name} VALUES ({', '.join([mark] * 17)})", list(_rows(field, ra))
            )
        self.connection.execute("CREATE INDEX by_place ON lab_stars (declination, ra)")
        self.connection.execute("CREATE INDEX by_cell ON lab_stars (cell)")
        self.connection.execute("CREATE INDEX by_region ON lab_stars (size, field_dec, field_ra)")

    def rows(self, query: Translated) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        found: Sequence[tuple[Any, ...]] = self.connection.execute(query.sql, query.parameters).fetchall()
        return list(found)


@contextmanager
def asked_sqlite(field: Field) -> Iterator[Asked]:
    """Yield a database in memory with the rows."""
    connection = sqlite3.connect(":memory:")
    sqlite.register(connection)
    asked = Asked(connection, "sqlite")
    asked.fill(field)
    yield asked
    connection.close()


@contextmanager
def asked_postgresql(field: Field, url: str) -> Iterator[Asked]:
    """Yield a database of PostgreSQL with the rows, read in transactions that cannot write."""
    with psycopg.connect(url, autocommit=True) as connection:
        asked = Asked(connection, "postgresql")
        asked.fill(field)
        postgresql.register(connection)
        connection.execute("SET default_transaction_read_only = on")
        yield asked
