"""The indexes of the table of jobs, beside the table. Imports the tables.

A server does not import it: the migrations make the indexes, queries name none, and SQLAlchemy loads all it knows of
PostgreSQL for a condition of an index. A test checks that the migrations make these.
"""

from __future__ import annotations

import sqlalchemy as sa

from uws_server.storage import sought, tables


def _index(name: str, columns: str, where: sa.ColumnElement[bool] | None = None) -> sa.Index:
    return sa.Index(
        name, *(tables.jobs.c[column] for column in columns.split()), sqlite_where=where, postgresql_where=where
    )


INDEXES = (
    # every stream of a list (uws_server.storage.lists) is one range of one of the first four, already in order
    _index("jobs_listed", "definition created id", tables.LISTED),
    _index("jobs_by_phase", "definition phase created id"),
    _index("jobs_of_owner_listed", "definition owner created id", tables.LISTED),
    _index("jobs_of_owner_by_phase", "definition owner phase created id"),
    _index("jobs_busy", "phase queued", tables.BUSY),
    _index("jobs_queue", "owner definition short queued id", tables.QUEUED),
    _index("jobs_taken", "phase server", tables.TAKEN),
    _index("jobs_on_cluster", "server", tables.ON_CLUSTER),
    _index("jobs_of_owner_busy", "owner", tables.BUSY),
    _index("jobs_by_destruction", "destruction", tables.LISTED),
    _index("jobs_by_parent", "parent", tables.jobs.c.parent.is_not(None)),
    _index("jobs_by_after", "after", tables.jobs.c.after.is_not(None)),
    _index("jobs_by_run_key", "run_key created id", sought.HAS_RUN_ID),
    _index("jobs_by_target_key", "target_key created id", sought.HAS_TARGET),
    _index("jobs_with_products", "created id", tables.SHOWN),
    _index("jobs_of_owner_with_products", "owner created id", tables.SHOWN),
)
"""The indexes, made with the import of this module."""
