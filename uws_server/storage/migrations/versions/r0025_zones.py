"""The zones of declination of ivoa.obscore, by which a small cone is found among many rows, and their index.

Which zone a place is in is that of the program (`region_sizes`): the rows are such as it would write.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from uws_server.storage.region_sizes import zone_of

revision = "0025"
down_revision = "0024"

_AT_ONCE = 5000
_PAGE = """
SELECT uws_key, s_dec FROM tap_obscore WHERE s_dec IS NOT NULL AND uws_key > :after ORDER BY uws_key LIMIT :most
"""
_CHANGE = "UPDATE tap_obscore SET uws_zone = :zone WHERE uws_key = :key"


def upgrade() -> None:
    """Add the column, fill it, and add the index."""
    op.add_column("tap_obscore", sa.Column("uws_zone", sa.Integer))
    bind, after = op.get_bind(), 0
    while page := list(bind.execute(sa.text(_PAGE), {"after": after, "most": _AT_ONCE})):
        rows: list[dict[str, Any]] = [{"key": row.uws_key, "zone": zone_of(row.s_dec)} for row in page]
        bind.execute(sa.text(_CHANGE), rows)
        after = page[-1].uws_key
    op.create_index("ix_tap_obscore_zone", "tap_obscore", ["uws_zone", "s_ra"])
