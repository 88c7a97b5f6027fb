"""Jobs are found by their run id and by their target: that of the event list they read, or of a product they made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

_SET = "UPDATE jobs SET target = {name}, target_key = {key} WHERE target = '' AND {name} > '' AND id = {job}"
_KEY = "lower(replace({}, ' ', ''))"
_JOB = "(SELECT job_id FROM results WHERE id = NEW.result_id)"


def _marks(name: str) -> str:
    """Return the statement that a trigger executes; `name` finds the target in the row of a product."""
    return _SET.format(name=name, key=_KEY.format(name), job=_JOB)


# a later step that has SQLite make `jobs`, `results` or `obscore_rows` anew must make this anew, too
SQLITE_TRIGGERS = (
    f"""CREATE TRIGGER obscore_rows_target AFTER INSERT ON obscore_rows WHEN NEW.row != ''
    BEGIN {_marks("json_extract(NEW.row, '$.target_name')")}; END""",
)
POSTGRESQL_TRIGGERS = (
    f"""CREATE FUNCTION mark_target() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN {_marks("(NEW.row::json ->> 'target_name')")}; RETURN NULL; END $$""",
    """CREATE TRIGGER obscore_rows_target AFTER INSERT ON obscore_rows
    FOR EACH ROW WHEN (NEW.row != '') EXECUTE FUNCTION mark_target()""",
)


def upgrade() -> None:
    """Add the target of each job, as far as its products tell it, what is searched in, and the indexes."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    key = sa.Text() if sqlite else sa.Text(collation="C")  # a range of texts is a beginning in this order only
    op.add_column("jobs", sa.Column("target", sa.Text, nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("target_key", key, nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("run_key", key, nullable=False, server_default=""))
    name = "json_extract(o.row, '$.target_name')" if sqlite else "(o.row::json ->> 'target_name')"
    first = f"SELECT min({name}) FROM obscore_rows o JOIN results r ON r.id = o.result_id"
    _run(
        f"UPDATE jobs SET target = coalesce(({first} WHERE r.job_id = jobs.id AND o.row != ''), '') WHERE has_products"
    )
    _run(f"UPDATE jobs SET target_key = {_KEY.format('target')} WHERE target != ''")
    _run(f"UPDATE jobs SET run_key = {_KEY.format('run_id')} WHERE run_id IS NOT NULL")
    for statement in SQLITE_TRIGGERS if sqlite else POSTGRESQL_TRIGGERS:
        _run(statement)
    for column in ("run_key", "target_key"):
        where = sa.text(f"{column} != ''")
        op.create_index(
            f"jobs_by_{column}", "jobs", [column, "created", "id"], sqlite_where=where, postgresql_where=where
        )


def _run(statement: str) -> None:
    """Execute a statement whose colons are not those of parameters."""
    op.execute(sa.text(statement.replace(":", r"\:")))
