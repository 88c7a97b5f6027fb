"""Identities of OpenID Connect, with sessions that they begin; announcements, and what admins changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables, and make the one of the sessions anew: SQLite can take no condition away from a column."""
    for name in ("full_name", "email"):
        op.add_column("accounts", sa.Column(name, sa.Text, nullable=False, server_default=""))
    _add_identities()
    op.execute("CREATE TABLE sessions_before AS SELECT * FROM sessions")
    op.drop_table("sessions")
    _add_sessions()
    op.execute(
        "INSERT INTO sessions (digest, token_id, created, expires) "
        "SELECT digest, token_id, created, expires FROM sessions_before"
    )
    op.drop_table("sessions_before")
    _add_what_admins_do()


def _add_identities() -> None:
    op.create_table(
        "identities",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("account", sa.String(64), sa.ForeignKey("accounts.name", ondelete="CASCADE"), nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_identities_account", "identities", ["account"])
    op.create_index("ix_identities_person", "identities", ["issuer", "subject"], unique=True)


def _add_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("token_id", sa.String(16), sa.ForeignKey("tokens.id", ondelete="CASCADE")),
        sa.Column("identity_id", sa.String(16), sa.ForeignKey("identities.id", ondelete="CASCADE")),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_sessions_token_id", "sessions", ["token_id"])
    op.create_index("ix_sessions_identity_id", "sessions", ["identity_id"])


def _add_what_admins_do() -> None:
    op.create_table(
        "announcements",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("starts", sa.BigInteger, nullable=False),
        sa.Column("ends", sa.BigInteger),
        sa.Column("author", sa.String(64), nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("number", _NUMBER, primary_key=True),
        sa.Column("moment", sa.BigInteger, nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
