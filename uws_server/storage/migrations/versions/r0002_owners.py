"""Accounts, shares and quotas; several server processes; lists of a million jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

LISTED = "phase != 'ARCHIVED'"
BUSY = "phase IN ('EXECUTING', 'QUEUED', 'SUSPENDED', 'UNKNOWN')"
INDEXES = (
    ("jobs_listed", "definition created id", LISTED),
    ("jobs_by_phase", "definition phase created id", None),
    ("jobs_of_owner_listed", "definition owner created id", LISTED),
    ("jobs_of_owner_by_phase", "definition owner phase created id", None),
    ("jobs_busy", "phase queued", BUSY),
    ("jobs_of_owner_busy", "owner", BUSY),
    ("jobs_by_destruction", "destruction", LISTED),
)

_ADD = """INSERT INTO stored (owner, bytes) VALUES (NEW.owner, {bytes})
    ON CONFLICT (owner) DO UPDATE SET bytes = stored.bytes + excluded.bytes"""
_TAKE = "UPDATE stored SET bytes = bytes - OLD.size WHERE owner = OLD.owner"

# a later step that has SQLite make `jobs` anew must make its triggers anew, too
SQLITE_TRIGGERS = (
    f"""CREATE TRIGGER jobs_size_added AFTER INSERT ON jobs WHEN NEW.size <> 0
    BEGIN {_ADD.format(bytes="NEW.size")}; END""",
    f"""CREATE TRIGGER jobs_size_changed AFTER UPDATE OF size ON jobs WHEN NEW.size <> OLD.size
    BEGIN {_ADD.format(bytes="NEW.size - OLD.size")}; END""",
    f"CREATE TRIGGER jobs_size_removed AFTER DELETE ON jobs WHEN OLD.size <> 0 BEGIN {_TAKE}; END",
)
POSTGRESQL_TRIGGERS = (
    f"""CREATE FUNCTION count_stored() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN {_ADD.format(bytes="NEW.size")};
        ELSIF TG_OP = 'UPDATE' THEN {_ADD.format(bytes="NEW.size - OLD.size")};
        ELSE {_TAKE};
        END IF;
        RETURN NULL;
    END $$""",
    """CREATE TRIGGER jobs_size_added AFTER INSERT ON jobs
    FOR EACH ROW WHEN (NEW.size <> 0) EXECUTE FUNCTION count_stored()""",
    """CREATE TRIGGER jobs_size_changed AFTER UPDATE OF size ON jobs
    FOR EACH ROW WHEN (NEW.size <> OLD.size) EXECUTE FUNCTION count_stored()""",
    """CREATE TRIGGER jobs_size_removed AFTER DELETE ON jobs
    FOR EACH ROW WHEN (OLD.size <> 0) EXECUTE FUNCTION count_stored()""",
)


def upgrade() -> None:
    """Change `jobs`, make the new tables, count what each owner holds."""
    _change_jobs()
    op.create_table(
        "stored",
        sa.Column("owner", sa.String(128), primary_key=True),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "accounts",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("token_hash", sa.Text, nullable=False),
        sa.Column("is_admin", sa.Boolean, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("max_active", sa.Integer),
        sa.Column("max_bytes", sa.BigInteger),
    )
    op.create_table(
        "servers",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("place", sa.String(128), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("start", sa.String(32), nullable=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "changes",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("server", sa.String(64), nullable=False),
        sqlite_autoincrement=True,
    )
    _count_stored()


def _change_jobs() -> None:
    for name in ("jobs_by_definition", "jobs_by_phase", "jobs_by_time"):
        op.drop_index(name, "jobs")
    op.execute("UPDATE jobs SET owner = '' WHERE owner IS NULL")
    with op.batch_alter_table("jobs") as batch:
        batch.alter_column("owner", existing_type=sa.String(128), nullable=False, server_default="")
        batch.add_column(sa.Column("share", sa.String(32)))
        batch.add_column(sa.Column("size", sa.BigInteger, nullable=False, server_default="0"))
        batch.add_column(sa.Column("server", sa.String(64)))
        batch.add_column(sa.Column("abort_asked", sa.Boolean, nullable=False, server_default=sa.false()))
    for name, columns, condition in INDEXES:
        where = None if condition is None else sa.text(condition)
        op.create_index(name, "jobs", columns.split(), sqlite_where=where, postgresql_where=where)


def _count_stored() -> None:
    """What the older jobs hold: their results, as far as the database knows."""
    op.execute(
        "UPDATE jobs SET size = (SELECT sum(results.size) FROM results WHERE results.job_id = jobs.id) "
        "WHERE id IN (SELECT job_id FROM results)"
    )
    op.execute("INSERT INTO stored SELECT owner, sum(size) FROM jobs WHERE size <> 0 GROUP BY owner")
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE_TRIGGERS if sqlite else POSTGRESQL_TRIGGERS:
        op.execute(statement)
