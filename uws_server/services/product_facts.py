"""What the ObsCore rows of products say to people: observation, camera, when and for how long. Imports storage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from uws_server.jobs.job import Result
from uws_server.storage import obscore_rows
from uws_server.storage.jobstore import JobStore

_MJD_0 = datetime(1858, 11, 17, tzinfo=UTC)


@dataclass(frozen=True)
class Facts:
    """What is known of a product; '' or None where nobody knows. `exposure_s` are seconds."""

    obs_id: str = ""
    camera: str = ""
    observed: datetime | None = None
    exposure_s: float | None = None
    created: datetime | None = None

    @property
    def exposure(self) -> str:
        """Return the exposure time for people."""
        if self.exposure_s is None:
            return "–"
        return f"{self.exposure_s:,.0f} s" if self.exposure_s >= 100 else f"{self.exposure_s:.4g} s"


NO_FACTS = Facts()


def facts_of(store: JobStore, shown: Sequence[Result]) -> dict[str, Facts]:
    """Return the facts of those of some results (a few hundred) whose rows are kept, by their ids."""
    texts = obscore_rows.texts_of(store.engine, [result.id for result in shown])
    return {result_id: _facts(json.loads(text)) for result_id, text in texts.items()}


def _facts(row: dict[str, Any]) -> Facts:
    days, seconds = row.get("t_min"), row.get("t_exptime")
    return Facts(
        obs_id=str(row.get("obs_id") or ""),
        camera=str(row.get("instrument_name") or ""),
        observed=_mjd(days) if isinstance(days, int | float) else None,
        exposure_s=float(seconds) if isinstance(seconds, int | float) else None,
        created=_date(str(row.get("obs_creation_date") or "")),
    )


def _mjd(days: float) -> datetime | None:
    try:
        return _MJD_0 + timedelta(days=days)
    except OverflowError:
        return None


def _date(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
