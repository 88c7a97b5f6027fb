"""The circles around the regions of ivoa.obscore, and indexes of regions, publisher DIDs and addresses.

How a region is read is that of the program (`region_sizes`): the rows are such as it would write.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from uws_server.storage.region_sizes import values_of_region

revision = "0024"
down_revision = "0023"

_NUMBERS = ("uws_region_ra", "uws_region_dec", "uws_region_radius")
_INDEXES = {
    "region": ["uws_region_size", "uws_region_dec", "uws_region_ra"],
    "did": ["uws_did"],
    "place": ["uws_place"],
    "publisher_did": ["obs_publisher_did"],
}
_AT_ONCE = 2000
_PAGE = """
SELECT uws_key, s_region FROM tap_obscore WHERE s_region IS NOT NULL AND uws_key > :after ORDER BY uws_key LIMIT :most
"""
_CHANGE = """
UPDATE tap_obscore SET uws_region_ra = :uws_region_ra, uws_region_dec = :uws_region_dec,
uws_region_radius = :uws_region_radius, uws_region_size = :uws_region_size WHERE uws_key = :key
"""


def upgrade() -> None:
    """Add the columns, fill them, and add the indexes."""
    for name in _NUMBERS:
        op.add_column("tap_obscore", sa.Column(name, sa.Double))
    op.add_column("tap_obscore", sa.Column("uws_region_size", sa.Integer))
    _fill(op.get_bind())
    for name, columns in _INDEXES.items():
        op.create_index(f"ix_tap_obscore_{name}", "tap_obscore", columns)


def _fill(bind: sa.Connection) -> None:
    after: Any = 0
    while page := list(bind.execute(sa.text(_PAGE), {"after": after, "most": _AT_ONCE})):
        bind.execute(sa.text(_CHANGE), [{"key": row.uws_key, **values_of_region(row.s_region)} for row in page])
        after = page[-1].uws_key
