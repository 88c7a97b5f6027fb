"""The rows that a caller may see, as SQL: who may not see a job or a product does not see its row.

The texts in it are names of accounts, and the addresses of the server: they are quoted, and come from no query.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from uws_server.storage.tap_rows import PUBLIC
from uws_server.tap.schema import builtin
from uws_server.tap.schema.model import SchemaColumn
from uws_server.tap.tables import Composed

_OWN_DID: Final = "uws_own_did"
"""The name of the column of publisher DIDs as products state them."""


@dataclass(frozen=True)
class Visible:
    """What decides which rows of the tables of the server there are, and how they read.

    `owners` are those whose jobs a list shows to the caller ('' for nobody); None for all. `curation` are the columns
    that the configuration sets where a product does not state them.
    """

    backend: str
    owners: tuple[str, ...] | None
    base_url: str
    publisher: str = ""
    curation: tuple[tuple[str, str], ...] = ()

    def rows(self, name: str) -> str | None:
        """Return the SELECT of the rows of a built-in table; None where everybody sees all of it."""
        makers = {
            builtin.OBSCORE: self._obscore,
            "uws.jobs": self._jobs,
            "uws.results": self._results,
            "archive.observations": self._observations,
            "archive.exposures": self._exposures,
        }
        return makers[name]() if name in makers else None

    def _obscore(self) -> str:
        base, url = self._quoted(f"{self.base_url}/"), f"{self._quoted(f'{self.base_url}/')} || uws_place"
        special = {
            "access_url": url,
            **{name: f"coalesce({name}, {self._quoted(text)})" for name, text in self.curation},
        }
        special["obs_publisher_did"] = (
            f"{self._quoted(f'{self.publisher}?')} || uws_did"
            if self.publisher
            else f"CASE WHEN uws_archive IS NULL THEN obs_publisher_did ELSE {base} || uws_place END"
        )
        names = [each.column.name for each in _columns(builtin.OBSCORE)]
        names += [*builtin.REGION_COLUMNS, builtin.ZONE_COLUMN]
        listed = ", ".join(f"{special[name]} AS {name}" if name in special else name for name in names)
        listed += f", uws_did, uws_place, obs_publisher_did AS {_OWN_DID}"
        owners = None if self.owners is None else (PUBLIC, *self.owners)
        return f"SELECT {listed} FROM tap_obscore{self._where('uws_owner', owners)}"

    def composed(self, name: str) -> tuple[Composed, ...]:
        """Return the columns of a built-in table that are found by what their values are made of."""
        if name != builtin.OBSCORE:
            return ()
        place = (f"{self.base_url}/", "uws_place")
        did = ((f"{self.publisher}?", "uws_did"),) if self.publisher else (("", _OWN_DID), place)
        return Composed("obs_publisher_did", did), Composed("access_url", (place,))

    def _jobs(self) -> str:
        listed = _listed(
            {"job_id": "id", "owner": "nullif(owner, '')", "target": "nullif(target, '')", "cpu": "cpu_s",
             "bytes": "size", **{name: self._time(name) for name in ("created", "started", "ended", "destruction")}},
            "uws.jobs",
        )  # fmt: skip
        return f"SELECT {listed} FROM jobs WHERE phase != 'ARCHIVED'{self._and('owner')}"

    def _results(self) -> str:
        file = "substr(r.file, 9)"  # behind results/
        name = f"CASE WHEN substr(r.file, 1, 8) = 'results/' THEN {file} ELSE r.file END"
        listed = _listed(
            {"result_id": "r.id", "job_id": "r.job_id", "name": "r.name", "file_name": name, "media_type": "r.mime",
             "bytes": "r.size", "sha256": "r.sha256", "description": "r.description",
             "access_url": f"{self._quoted(f'{self.base_url}/store/')} || r.id || '/' || {name}"},
            "uws.results",
        )  # fmt: skip
        condition = f"WHERE j.phase != 'ARCHIVED'{self._and('j.owner')}"
        return f"SELECT {listed} FROM results r JOIN jobs j ON j.id = r.job_id {condition}"

    def _exposures(self) -> str:
        listed = _listed(
            {"obs_mode": "mode", "here": "CASE WHEN kind = 'events' THEN 1 ELSE 0 END"}, "archive.exposures"
        )
        return f"SELECT {listed} FROM archive_files WHERE kind IN ('events', 'observation')"

    def _observations(self) -> str:
        listed = _listed(
            {"target": "max(target)", "ra": "min(ra)", "dec": "min(dec)", "t_min": "min(t_min)",
             "t_max": "max(t_max)", "exposure_s": "max(exposure_s)", "exposures": "count(*)",
             "here": "sum(CASE WHEN kind = 'events' THEN 1 ELSE 0 END)"},
            "archive.observations",
        )  # fmt: skip
        kinds = "kind IN ('events', 'observation') AND obs_id != ''"
        return f"SELECT {listed} FROM archive_files WHERE {kinds} GROUP BY obs_id"

    def _time(self, column: str) -> str:
        """Return the SQL of a column of microseconds since 1970 as ISO 8601."""
        if self.backend == "sqlite":
            return f"strftime('%Y-%m-%dT%H:%M:%f', {column} / 1000000.0, 'unixepoch')"
        return f"to_char(to_timestamp({column} / 1000000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS')"

    def _quoted(self, text: str) -> str:
        """Return a text as a literal of SQL; the driver of PostgreSQL looks for parameters in it."""
        literal = "'" + text.replace("\0", "").replace("'", "''") + "'"
        return literal if self.backend == "sqlite" else literal.replace("%", "%%")

    def _where(self, column: str, owners: Collection[str] | None) -> str:
        return "" if owners is None else f" WHERE {column} IN ({', '.join(map(self._quoted, owners))})"

    def _and(self, column: str) -> str:
        if self.owners is None:
            return ""
        if not self.owners:
            return " AND 1 = 0"
        return f" AND {column} IN ({', '.join(map(self._quoted, self.owners))})"


def _columns(name: str) -> tuple[SchemaColumn, ...]:
    return next(table.columns for schema in builtin.SCHEMAS for table in schema.tables if table.name == name)


def _listed(special: Mapping[str, str], name: str) -> str:
    """Return the columns of a table as SELECT lists them, by their own names where nothing else is said."""
    names = [each.column.name for each in _columns(name)]
    return ", ".join(f"{special[each]} AS {each}" if each in special else each for each in names)
