"""Which jobs have products, so that a table of these need not look at every job; when the database was last used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"

_MARK = "UPDATE jobs SET has_products = TRUE WHERE has_products = FALSE AND id = {job}"
_MAKER = "(SELECT job_id FROM results WHERE id = NEW.result_id)"

# a later step that has SQLite make `jobs`, `results` or `obscore_rows` anew must make these anew, too
SQLITE_TRIGGERS = (
    f"""CREATE TRIGGER results_product AFTER INSERT ON results WHEN NEW.mime LIKE '%fits%'
    BEGIN {_MARK.format(job="NEW.job_id")}; END""",
    f"""CREATE TRIGGER obscore_rows_product AFTER INSERT ON obscore_rows
    BEGIN {_MARK.format(job=_MAKER)}; END""",
)
POSTGRESQL_TRIGGERS = (
    f"""CREATE FUNCTION mark_product() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN {_MARK.format(job="NEW.job_id")}; RETURN NULL; END $$""",
    f"""CREATE FUNCTION mark_obscore_row() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN {_MARK.format(job=_MAKER)}; RETURN NULL; END $$""",
    """CREATE TRIGGER results_product AFTER INSERT ON results
    FOR EACH ROW WHEN (NEW.mime LIKE '%fits%') EXECUTE FUNCTION mark_product()""",
    """CREATE TRIGGER obscore_rows_product AFTER INSERT ON obscore_rows
    FOR EACH ROW EXECUTE FUNCTION mark_obscore_row()""",
)


def upgrade() -> None:
    """Mark the jobs that have products, and note when the newest of all jobs changed."""
    op.add_column("jobs", sa.Column("has_products", sa.Boolean, nullable=False, server_default=sa.false()))
    op.execute(
        "UPDATE jobs SET has_products = TRUE WHERE id IN (SELECT job_id FROM results WHERE mime LIKE '%fits%') "
        "OR id IN (SELECT results.job_id FROM results JOIN obscore_rows ON obscore_rows.result_id = results.id)"
    )
    where = sa.and_(sa.column("has_products").is_(sa.true()), sa.text("phase != 'ARCHIVED'"))
    for name, columns in (("jobs_with_products", "created id"), ("jobs_of_owner_with_products", "owner created id")):
        op.create_index(name, "jobs", columns.split(), sqlite_where=where, postgresql_where=where)
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE_TRIGGERS if sqlite else POSTGRESQL_TRIGGERS:
        op.execute(sa.text(statement.replace(":", r"\:")))
    op.create_table(
        "clock",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
    )
    newest = [f"(SELECT coalesce(max({column}), 0) FROM jobs)" for column in ("created", "started", "ended")]
    largest = f"{'max' if sqlite else 'greatest'}({', '.join(newest)})"
    op.execute(f"INSERT INTO clock SELECT 1, {largest} WHERE EXISTS (SELECT 1 FROM jobs)")
