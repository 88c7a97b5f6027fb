"""The order of the queue for who has no running server at hand: the command. Imports execution and storage."""

from __future__ import annotations

from uws_server.config import Config
from uws_server.execution.capacity import Capacity
from uws_server.execution.forecast import Forecast
from uws_server.storage.jobstore import JobStore

_MOST = 50_000


def places(store: JobStore, config: Config) -> dict[str, int]:
    """Return the places of the jobs in the queue by their ids, as servers with that configuration take them.

    The limits of definitions, which only a server has read, are left out; places among short jobs count on their own.
    """
    limits = Capacity.of(config).limits
    return {job_id: at.place for job_id, at in Forecast(store.queue, lambda: limits).order(_MOST)}
