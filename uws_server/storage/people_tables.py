"""The tables of who signs in elsewhere and of what admins do with the server. Imports the other tables.

They are made by the migrations, as those of `tables`, and are in its `metadata`.
"""

from __future__ import annotations

import sqlalchemy as sa

from uws_server.storage.tables import UTCTime, metadata

# The people of a provider of OpenID Connect, by what never changes of them there, and the account that each one has.
# `label` is what the provider called them last.
identities = sa.Table(
    "identities",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("issuer", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("account", sa.ForeignKey("accounts.name", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("created", UTCTime, nullable=False),
    sa.Column("used", UTCTime, nullable=False),
    sa.Index("ix_identities_person", "issuer", "subject", unique=True),
)

# What admins tell everybody on top of each page, from when to when (NULL: until it is taken away).
announcements = sa.Table(
    "announcements",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("starts", UTCTime, nullable=False),
    sa.Column("ends", UTCTime),
    sa.Column("author", sa.String(64), nullable=False),
)

# What was done with accounts and announcements: when, by whom ('' for the command and the server itself), with what.
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("moment", UTCTime, nullable=False),
    sa.Column("who", sa.String(64), nullable=False),
    sa.Column("subject", sa.String(64), nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)
