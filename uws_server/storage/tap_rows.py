"""Keeps the rows of ivoa.obscore: one for each product of a job or of the archive that has an ObsCore row.

They are written in the transaction in which the row of the product is, and go with it. Imports the tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import sqlalchemy as sa

from uws_server.storage.region_sizes import values_of_region, zone_of
from uws_server.storage.tables import jobs, results
from uws_server.storage.tap_tables import INTEGERS, NUMBERS, TEXTS, tap_obscore

PUBLIC: Final = "*"
"""The owner of what is in the archive: everybody who may use the server sees it."""
_OF_PIPELINE: Final = re.compile(r"P[0-9]{10}[A-Z0-9]+\.[A-Za-z]+")
_AT_ONCE: Final = 400


def keep_of_results(connection: sa.Connection, rows: Mapping[str, tuple[str, int]]) -> None:
    """Store the rows of results in place of earlier ones; `rows` are text ('' for none) and size of the file by id.

    Those of trials have none.
    """
    forget_results(connection, rows)
    wanted = [result_id for result_id, (text, _) in rows.items() if text]
    made = []
    for some in _parts(wanted):
        query = sa.select(results.c.id, results.c.file, jobs.c.owner).join(jobs, jobs.c.id == results.c.job_id)
        for result_id, file, owner in connection.execute(query.where(results.c.id.in_(some), sa.not_(jobs.c.trial))):
            text, size = rows[result_id]
            place = f"store/{result_id}/{quote(file.rpartition('/')[2])}"
            made.append(
                {**values_of(json.loads(text), size), "uws_owner": owner, "uws_result": result_id, "uws_place": place,
                 "uws_did": result_id, "uws_archive": None}
            )  # fmt: skip
    if made:
        connection.execute(tap_obscore.insert(), made)


def forget_results(connection: sa.Connection, ids: Iterable[str]) -> None:
    """Remove the rows of some results."""
    for some in _parts(list(ids)):
        connection.execute(tap_obscore.delete().where(tap_obscore.c.uws_result.in_(some)))


def forget_job(connection: sa.Connection, job_id: str) -> None:
    """Remove the rows of a job whose results are gone."""
    connection.execute(tap_obscore.delete().where(tap_obscore.c.uws_result.in_(_results_of(job_id))))


def give(connection: sa.Connection, job_id: str, owner: str) -> None:
    """Give the rows of a job to another owner."""
    change = tap_obscore.update().where(tap_obscore.c.uws_result.in_(_results_of(job_id)))
    connection.execute(change.values(uws_owner=owner))


def keep_of_archive(connection: sa.Connection, files: Sequence[Mapping[str, Any]], keys: Mapping[str, int]) -> None:
    """Store the rows of files of the archive in place of earlier ones; `keys` are those of their sources."""
    for some in _parts(list(keys.values())):
        connection.execute(tap_obscore.delete().where(tap_obscore.c.uws_archive.in_(some)))
    made = [row for file in files if (row := of_archive(file, keys[file["source"]])) is not None]
    if made:
        connection.execute(tap_obscore.insert(), made)


def of_archive(file: Mapping[str, Any], key: int) -> dict[str, Any] | None:
    """Return the row of a file of the archive; None for one without."""
    if not file["row"] or file["kind"] not in ("events", "product"):
        return None
    source = file["source"]
    needed = {
        "obs_id": file["obs_id"] or source,
        "obs_collection": file["collection"] or "archive",
        "calib_level": 2 if _OF_PIPELINE.fullmatch(source.rpartition("/")[2]) else 1,
    }
    place = quote(source)
    return {
        **values_of({**needed, **json.loads(file["row"])}, file["size"]),
        "uws_owner": PUBLIC,
        "uws_archive": key,
        "uws_result": None,
        "uws_place": f"archive/file/{place}",
        "uws_did": f"archive/{place}",
    }


def values_of(row: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Return the values of all columns for an ObsCore row, None where it has none; `size` is that of the file."""
    found: dict[str, Any] = {name: _text(row.get(name)) for name in TEXTS}
    found |= {name: _number(row.get(name), int) for name in INTEGERS}
    found |= {name: _number(row.get(name), float) for name in NUMBERS}
    found["access_estsize"] = max(1, round(size / 1000))
    return found | values_of_region(found["s_region"]) | {"uws_zone": zone_of(found["s_dec"])}


def _text(value: Any) -> str | None:
    return None if value is None else str(value).replace("\0", "")


def _number(value: Any, kind: type[int] | type[float]) -> int | float | None:
    """Return a value as that kind of number; None for what is none: what products say is not checked before."""
    try:
        found = kind(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if isinstance(found, int):
        return found if abs(found) < 1 << 63 else None
    return found if abs(found) < float("inf") else None


def _results_of(job_id: str) -> Any:
    return sa.select(results.c.id).where(results.c.job_id == job_id)


def _parts(values: Collection[Any]) -> list[list[Any]]:
    """Return values in parts that one query has room for."""
    listed = list(values)
    return [listed[first : first + _AT_ONCE] for first in range(0, len(listed), _AT_ONCE)]
