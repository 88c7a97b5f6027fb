"""What the times of a file count from, and how those of one file become those of another.

The one module that decides whether good times fit an event list; the keywords are read by `provenance.fits.timing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provenance.fits import FitsError, timing
from provenance.fits.headers import Cards
from provenance.fits.timing import SECONDS
from reduction.errors import ReductionError

SECONDS_PER_DAY = SECONDS["d"]


@dataclass(frozen=True)
class Clock:
    """Where a file's times count from: MJDREF in days (whole, fraction), TIMEZERO in seconds, time system and place.

    `day` is None where there is no reference; `system` and `place` are in the spelling of `timing.TimeOrigin`, empty
    where they are not said.
    """

    day: float | None
    fraction: float
    zero_s: float
    system: str
    place: str = ""

    @classmethod
    def of(cls, *headers: Mapping[str, Any]) -> Clock:
        """Read the clock of a table from its header and, for what that does not say, from those behind it.

        Raises ReductionError where a keyword of it is no number, or TIMEUNIT no known unit beside a TIMEZERO.
        """
        try:
            origin = timing.read(*map(Cards, headers))
        except FitsError as error:
            raise ReductionError(str(error)) from error
        if origin.zero and origin.unit not in SECONDS:
            raise ReductionError(f"TIMEZERO is in {origin.unit[:40]} (TIMEUNIT); {', '.join(SECONDS)} are read")
        zero_s = origin.zero * SECONDS.get(origin.unit, 1.0)
        return cls(origin.day, origin.fraction, zero_s, origin.system, origin.place)

    def seconds_to(self, other: Clock, parameter: str) -> float:
        """Return the seconds to add to times of this clock to get times of the other.

        What is not said of one is taken to be as in the other. Raises ReductionError if time systems or places differ:
        between spacecraft and solar system barycentre light takes up to 500 s.
        """
        if self.system and other.system and self.system != other.system:
            raise ReductionError(f"its times are {self.system}, those of the event list are {other.system}; make the "
                                 f"good time intervals in {other.system}", parameter)  # fmt: skip
        if self.place and other.place and self.place != other.place:
            raise ReductionError(f"its times are {self.place} (TIMEREF), those of the event list are {other.place}, up "
                                 f"to 500 s apart; give good time intervals in {other.place}", parameter)  # fmt: skip
        if self.day is None or other.day is None:
            return 0.0
        days = (self.day - other.day) + (self.fraction - other.fraction)
        shift = days * SECONDS_PER_DAY + self.zero_s - other.zero_s
        return shift if abs(shift) > 1e-6 else 0.0

    def unsaid(self, other: Clock) -> str:
        """Return the keywords without which this clock may not be the other, as it is taken to be; empty for none."""
        is_moved = other.place not in ("", "LOCAL")
        missing = [("MJDREF", self.day is None and other.day is not None), ("TIMEREF", is_moved and not self.place)]
        return " and ".join(keyword for keyword, is_missing in missing if is_missing)
