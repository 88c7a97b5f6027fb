"""The tables of the database, and the conditions that their indexes have. Imports the jobs' values.

The migrations make the database; a test checks that they make these tables.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from uws_server.jobs.job import EPOCH, moment_of
from uws_server.jobs.phases import ACTIVE, Phase


class UTCTime(sa.types.TypeDecorator[datetime]):
    """An aware datetime, kept as whole microseconds since 1970 UTC: sorts and compares alike in every database."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        """Return the microseconds of an aware datetime."""
        return None if value is None else microseconds_of(value)

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        """Return the aware datetime of microseconds."""
        return None if value is None else moment_of(value)


def microseconds_of(moment: datetime) -> int:
    """Return the whole microseconds from the beginning of 1970 to an aware time."""
    return (moment - EPOCH) // timedelta(microseconds=1)


# what is looked for by its beginning, without case and blanks: in the order of its characters
_KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
metadata = sa.MetaData()

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("definition", sa.String(64), nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("phase", sa.String(16), nullable=False),
    # '' for nobody: no database puts NULL and a name into one order that an index could give
    sa.Column("owner", sa.String(128), nullable=False, server_default=""),
    sa.Column("run_id", sa.Text),
    sa.Column("created", UTCTime, nullable=False),
    sa.Column("queued", UTCTime),
    sa.Column("started", UTCTime),
    sa.Column("ended", UTCTime),
    sa.Column("execution_duration", sa.Integer, nullable=False),
    sa.Column("destruction", UTCTime),
    sa.Column("quote", UTCTime),
    sa.Column("error", sa.Text),
    sa.Column("error_fatal", sa.Boolean),
    sa.Column("parameters", sa.Text, nullable=False),
    sa.Column("share", sa.String(32)),
    sa.Column("size", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("server", sa.String(64)),
    sa.Column("abort_asked", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("revision", sa.String(64), nullable=False, server_default=""),
    sa.Column("trial", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("parent", sa.String(32)),
    sa.Column("after", sa.String(32)),
    # deleted, but its record is kept for the jobs that came of it
    sa.Column("forgotten", sa.Boolean, nullable=False, server_default=sa.false()),
    # it made a FITS file, or one whose ObsCore row is kept; set by triggers of the database
    sa.Column("has_products", sa.Boolean, nullable=False, server_default=sa.false()),
    # since when it is to stand still (it may be UNKNOWN meanwhile), and the microseconds for which it did before
    sa.Column("suspended", UTCTime),
    sa.Column("stood_still", sa.BigInteger, nullable=False, server_default="0"),
    # what a named exit status of its script stands for; seconds of CPU, and bytes at the most, that its processes used
    sa.Column("warning", sa.Text),
    sa.Column("cpu_s", sa.Float),
    sa.Column("memory", sa.BigInteger),
    # what it takes while it runs, and whether it may take a short place
    sa.Column("cores", sa.Integer, nullable=False, server_default="1"),
    sa.Column("needed_memory", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("short", sa.Boolean, nullable=False, server_default=sa.false()),
    # the bytes of its input files, and the seconds that it is expected to run, from the jobs before it
    sa.Column("input_size", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("expected_s", sa.Integer),
    # since when a SUSPENDED job waits for a place to go on
    sa.Column("resume_asked", UTCTime),
    # how many parts a job had that was spread over a parameter, and how many of them failed
    sa.Column("parts", sa.Integer),
    sa.Column("parts_failed", sa.Integer),
    # how many parts of it may run at a time while it runs, and how many could (0: it has none), each with what it takes
    sa.Column("width", sa.Integer, nullable=False, server_default="1"),
    sa.Column("wanted", sa.Integer, nullable=False, server_default="0"),
    # what was observed: of its event list in the archive, else of its first product (by triggers), '' where unknown
    sa.Column("target", sa.Text, nullable=False, server_default=""),
    sa.Column("target_key", _KEY, nullable=False, server_default=""),
    sa.Column("run_key", _KEY, nullable=False, server_default=""),
)

# A partial index serves only a query with its condition word for word: no bound parameters here.
LISTED = jobs.c.phase != sa.literal_column(f"'{Phase.ARCHIVED}'")
"""Condition: the job is in lists that name no phase."""

_IS_QUEUED = jobs.c.phase == sa.literal_column(f"'{Phase.QUEUED}'")
"""Condition: the job waits, for a server or on a cluster."""

QUEUED = sa.and_(_IS_QUEUED, jobs.c.server.is_(None))
"""Condition: the job waits to be started by a server."""

ON_CLUSTER = sa.and_(_IS_QUEUED, jobs.c.server.is_not(None))
"""Condition: the job waits on a cluster, where a server has put it: only that server changes it."""

TAKEN = jobs.c.phase.in_([sa.literal_column(f"'{phase}'") for phase in ("EXECUTING", "SUSPENDED", "UNKNOWN")])
"""Condition: a server has taken the job."""

HAS_PARTS = jobs.c.wanted > sa.literal_column("0")
"""Condition: the job may have parts, so that the number of its places changes while it runs."""

BUSY = jobs.c.phase.in_([sa.literal_column(f"'{phase}'") for phase in sorted(ACTIVE)])
"""Condition: the server has work to do with the job."""

SHOWN = sa.and_(jobs.c.has_products.is_(sa.true()), LISTED)
"""Condition: the job has products that are there, so that its results may be in the table of products."""

results = sa.Table(
    "results",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("job_id", sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("mime", sa.String(128), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False, index=True),
    sa.Column("description", sa.Text, nullable=False),
)

# The parts of jobs that are spread over a parameter: the text of the value that each had, and how it ended.
parts = sa.Table(
    "parts",
    metadata,
    sa.Column("job_id", sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("phase", sa.String(16), nullable=False),
    sa.Column("started", UTCTime),
    sa.Column("ended", UTCTime),
    sa.Column("sentence", sa.Text, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
)

# The files that a job used, by what they hold: how one job is found from another. `result_id` is the result of ours
# that it was, where it was one.
uses = sa.Table(
    "uses",
    metadata,
    sa.Column("job_id", sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False, index=True),
    sa.Column("result_id", sa.String(32), index=True),
)

# The ObsCore row of a result, as JSON ('' for none), read from its file when that had this size and time of change: a
# table of 100,000 results need not open 100,000 files.
obscore_rows = sa.Table(
    "obscore_rows",
    metadata,
    sa.Column("result_id", sa.ForeignKey("results.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("changed", sa.BigInteger, nullable=False),
    sa.Column("row", sa.Text, nullable=False),
)

# What the jobs of an owner hold on disk: the sum of jobs.size, kept right by triggers of the database.
stored = sa.Table(
    "stored",
    metadata,
    sa.Column("owner", sa.String(128), primary_key=True),
    sa.Column("bytes", sa.BigInteger, nullable=False),
)

# The time that a server saw last when its clock could be trusted: one row, or none in a new database.
clock = sa.Table(
    "clock",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seen", UTCTime, nullable=False),
)

# Who drains the queue before an upgrade, since when and why: one row while it is drained, else none.
drain = sa.Table(
    "drain",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("since", UTCTime, nullable=False),
    sa.Column("who", sa.String(64), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
)

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("token_hash", sa.Text, nullable=False),
    sa.Column("is_admin", sa.Boolean, nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("created", UTCTime, nullable=False),
    sa.Column("max_active", sa.Integer),
    sa.Column("max_bytes", sa.BigInteger),
    sa.Column("roles", sa.Text, nullable=False, server_default=""),
    sa.Column("max_running", sa.Integer),
    # what a person calls oneself and where mail goes, '' where it is not told; neither of them signs anybody in
    sa.Column("full_name", sa.Text, nullable=False, server_default=""),
    sa.Column("email", sa.Text, nullable=False, server_default=""),
)

# What programs and people sign in with: the SHA-256 of each token, which is random and long. `accounts.token_hash` has
# the argon2 hash of a token that an earlier version issued, until that is used.
tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.name", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, index=True, unique=True),
    sa.Column("created", UTCTime, nullable=False),
    sa.Column("used", UTCTime),
)

# What accounts let their jobs have for other services, encrypted with a key that is in no database (storage.secrets).
owner_secrets = sa.Table(
    "owner_secrets",
    metadata,
    sa.Column("owner", sa.ForeignKey("accounts.name", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("changed", UTCTime, nullable=False),
)

# Browsers that are signed in, by the SHA-256 of their cookie; one ends with the token or the identity that it was begun
# with, of which it has one.
sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("token_id", sa.ForeignKey("tokens.id", ondelete="CASCADE"), index=True),
    sa.Column("identity_id", sa.ForeignKey("identities.id", ondelete="CASCADE"), index=True),
    sa.Column("created", UTCTime, nullable=False),
    sa.Column("expires", UTCTime, nullable=False),
)

# The job definitions that are live (or were and are removed), and the revision that new jobs run with; `folder` is what
# the folder of definitions held when it was last looked at ('' for nothing), so that a change is seen after a restart.
definitions = sa.Table(
    "definitions",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("revision", sa.String(64), nullable=False),
    sa.Column("source", sa.String(16), nullable=False),
    sa.Column("removed", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("folder", sa.String(64), nullable=False, server_default=""),
)

# Definitions that somebody works on; `edit` counts the times one was saved, `trial` is the job that tried it last, and
# `tried` the edit that it tried.
drafts = sa.Table(
    "drafts",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("edit", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("author", sa.String(64), nullable=False),
    sa.Column("updated", UTCTime, nullable=False),
    sa.Column("based_on", sa.String(64), nullable=False, server_default=""),
    sa.Column("files", sa.Text, nullable=False),
    sa.Column("trial", sa.String(32)),
    sa.Column("tried", sa.Integer, nullable=False, server_default="0"),
)

# Who did what with a definition, when and why; `edit` is that of its draft when the draft ended, else 0.
definition_history = sa.Table(
    "definition_history",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("name", sa.String(64), nullable=False, index=True),
    sa.Column("revision", sa.String(64), nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("who", sa.String(64), nullable=False),
    sa.Column("made", UTCTime, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("edit", sa.Integer, nullable=False, server_default="0"),
    sqlite_autoincrement=True,
)

# When a job of an owner was started last: whose turn it is.
turns = sa.Table(
    "turns",
    metadata,
    sa.Column("owner", sa.String(128), primary_key=True),
    sa.Column("served", UTCTime, nullable=False),
)

# The server processes that use the database, and how many jobs each may run.
servers = sa.Table(
    "servers",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("place", sa.String(128), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("start", sa.String(32), nullable=False),
    sa.Column("seen", UTCTime, nullable=False),
    sa.Column("places", sa.Integer, nullable=False, server_default="1"),
)

# How long the last jobs of a revision of a definition ran that were COMPLETED, as JSON: seconds and bytes of input.
durations = sa.Table(
    "durations",
    metadata,
    sa.Column("definition", sa.String(64), primary_key=True),
    sa.Column("revision", sa.String(64), primary_key=True),
    sa.Column("updated", UTCTime, nullable=False),
    sa.Column("samples", sa.Text, nullable=False),
)

# What a server process announces to the others: in SQLite only; PostgreSQL has NOTIFY for it.
changes = sa.Table(
    "changes",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("job_id", sa.String(32), nullable=False),
    sa.Column("what", sa.String(16), nullable=False),
    sa.Column("server", sa.String(64), nullable=False),
    sqlite_autoincrement=True,
)
