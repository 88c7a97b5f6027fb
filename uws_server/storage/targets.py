"""What the event lists of the archive were pointed at, for the jobs that read them. Imports the tables."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from uws_server.jobs.job import ParameterValue
from uws_server.storage.archive_tables import archive_files
from uws_server.storage.database import reading

_MOST = 400


def target_of(engine: sa.Engine, values: Iterable[ParameterValue]) -> str:
    """Return what the first of the archive's files among parameters of a job was pointed at; '' where none is known."""
    each = (part for value in values for one in value.each for part in one.each)
    wanted = [part.text for part in each if part.kind == "archive"][:_MOST]
    if not wanted:
        return ""
    query = sa.select(archive_files.c.source, archive_files.c.target).where(archive_files.c.source.in_(wanted))
    with reading(engine).connect() as connection:
        found = {source: target.strip() for source, target in connection.execute(query)}
    return next((found[source] for source in wanted if found.get(source)), "")
