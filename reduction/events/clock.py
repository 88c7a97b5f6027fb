"""What the times of a file count from, and how those of one file become those of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reduction.errors import ReductionError
from reduction.missions import number

SECONDS_PER_DAY = 86400.0


@dataclass(frozen=True)
class Clock:
    """Where a file's times count from: MJDREF in days (whole, fraction), TIMEZERO in seconds, and the time system."""

    day: float | None
    fraction: float
    zero_s: float
    system: str

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> Clock:
        """Read MJDREF or MJDREFI and MJDREFF, TIMEZERO and TIMESYS; `day` is None where there is no MJDREF."""
        day, fraction = number(header, "MJDREFI"), number(header, "MJDREFF") or 0.0
        if day is None:
            day, fraction = number(header, "MJDREF"), 0.0
        zero_s = number(header, "TIMEZERO") or 0.0
        return cls(day, fraction, zero_s, str(header.get("TIMESYS") or "").strip().upper())

    def seconds_to(self, other: Clock, parameter: str) -> float:
        """Return the seconds to add to times of this clock to get times of the other.

        A missing MJDREF or TIMESYS is taken to be the other's. Raises ReductionError if the time systems differ.
        """
        if self.system and other.system and self.system != other.system:
            raise ReductionError(f"its times are {self.system}, those of the event list are {other.system}; make the "
                                 f"good time intervals in {other.system}", parameter)  # fmt: skip
        if self.day is None or other.day is None:
            return 0.0
        days = (self.day - other.day) + (self.fraction - other.fraction)
        shift = days * SECONDS_PER_DAY + self.zero_s - other.zero_s
        return shift if abs(shift) > 1e-6 else 0.0
