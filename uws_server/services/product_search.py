"""The search of the VO in the products that a caller may see: the ObsCore rows that fulfil some conditions, streamed.

The rows are those of the table of results (`obscore`): whatever asks, it finds the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from uws_server.discovery.conditions import Condition, fulfils
from uws_server.services import obscore
from uws_server.services.rights import Caller


def found(needs: obscore.Needs, caller: Caller, conditions: Sequence[Condition]) -> Iterator[obscore.Row]:
    """Yield the rows that fulfil all conditions, newest job first, then the archive."""
    rows = obscore.rows_that_may(needs, caller, conditions) if conditions else obscore.rows(needs, caller)
    return (row for row in rows if fulfils(row, conditions))
