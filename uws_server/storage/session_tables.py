"""The tables of sessions in which work is kept. Imports the other tables.

They are made by the migrations, as those of `tables`, and are in its `metadata`.
"""

from __future__ import annotations

import sqlalchemy as sa

from uws_server.storage.tables import UTCTime, metadata

# Work that is kept to be continued: regions, what was searched for and selected, a definition and values for its
# parameters. `exposures` and `parameters` are JSON; `revision` counts the times it was saved; `used` is when somebody
# who may change it opened or changed it last; `share` is the key of its share link.
work_sessions = sa.Table(
    "work_sessions",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("owner", sa.String(128), nullable=False, index=True),
    sa.Column("created", UTCTime, nullable=False),
    sa.Column("changed", UTCTime, nullable=False),
    sa.Column("used", UTCTime, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("share", sa.String(32)),
    sa.Column("definition", sa.String(64), nullable=False),
    sa.Column("selected", sa.Integer, nullable=False),
    *(sa.Column(text, sa.Text, nullable=False) for text in ("name", "source", "background", "search", "note")),
    *(sa.Column(text, sa.Text, nullable=False) for text in ("exposures", "parameters")),
)

# The jobs of these sessions in their order, deleted ones too; `via` and `via_share` are the session whose share link
# shows the job, and its key, where the session is a copy of it.
work_session_jobs = sa.Table(
    "work_session_jobs",
    metadata,
    sa.Column("session_id", sa.ForeignKey("work_sessions.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("job_id", sa.String(32), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("via", sa.String(32), nullable=False),
    sa.Column("via_share", sa.String(32), nullable=False),
)
