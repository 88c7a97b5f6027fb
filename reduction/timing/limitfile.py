"""Limits of a source that was not detected, as a FITS table and as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from provenance.fits.atomic import write_bytes
from reduction.events import fitswrite
from reduction.events.dss import DataSubspace
from reduction.events.eventlist import EventList
from reduction.events.fitswrite import LONGSTRN, Cards, TableColumn
from reduction.spectra.ogip import primary_cards
from reduction.timing.limits import Limits


@dataclass(frozen=True)
class LimitResult:
    """Counts in a region, those that its background gives there, the probability that these alone give as many, limits.

    `background_counts` are those of the background region, `ratio` the good area of the source region over its own and
    the live times too; `exposure_s` is the live time of the source region, `encircled` the part of the source's light
    in it (1: not corrected).
    """

    counts: int
    background_counts: int
    ratio: float
    exposure_s: float
    encircled: float
    chance: float
    limits: tuple[Limits, ...]

    @property
    def background(self) -> float:
        """Counts that the background gives in the source region."""
        return self.ratio * self.background_counts

    @property
    def seconds(self) -> float:
        """What counts are divided by for a rate of the whole source."""
        return self.exposure_s * self.encircled

    def text(self) -> str:
        """Return the result in words."""
        lines = [
            f"{self.counts} counts in the source region, {self.background:.2f} expected of the background "
            f"({self.background_counts} counts, scaled by {self.ratio:.4g})",
            f"live time {self.exposure_s:.1f} s",
            f"the background alone gives as many counts or more with a probability of {self.chance:.2g}",
            "the rates are those of the whole source: "
            f"{100 * self.encircled:.3g} % of its light lies in the region" if self.encircled < 1
            else "the rates are those in the region: the light outside of it is not corrected",
            "",
        ]  # fmt: skip
        for each in self.limits:
            up, rate = each.upper, each.upper / self.seconds
            percent = f"{100 * each.confidence:.6g} %"
            if each.lower > 0:
                low = each.lower / self.seconds
                lines.append(f"{percent}: {each.lower:.2f} to {up:.2f} counts, {low:.3e} to {rate:.3e} counts/s: more "
                             "than the background")  # fmt: skip
            else:
                lines.append(f"{percent}: below {up:.2f} counts, below {rate:.3e} counts/s")
        return "\n".join(lines) + "\n"


def write_limits(
    path: Path,
    result: LimitResult,
    events: EventList,
    subspace: DataSubspace,
    more: Sequence[tuple[str, float, str]] = (),
) -> None:
    """Write limits as table LIMITS, whole or not at all.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    result
        The limits.
    events
        The open event list; the keywords of the observation are taken from it.
    subspace
        Which events were counted.
    more
        Further keywords, such as the energies.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    seconds = result.seconds
    lower, upper = (np.array([getattr(each, side) for each in result.limits]) for side in ("lower", "upper"))
    columns = [
        TableColumn("CONFIDENCE", np.array([each.confidence for each in result.limits]), "", "probability within"),
        TableColumn("COUNTS_LO", lower, "count", "0: nothing is detected"),
        TableColumn("COUNTS_UP", upper, "count", "upper limit in the region"),
        TableColumn("RATE_LO", lower / seconds, "count/s", "over EXPOSURE and ENCIRCLE"),
        TableColumn("RATE_UP", upper / seconds, "count/s", "over EXPOSURE and ENCIRCLE"),
    ]
    cards: Cards = [
        *LONGSTRN, ("HDUCLASS", "UWS-SERVER", ""), ("HDUCLAS1", "LIMITS", "limits of a source"),
        ("METHOD", "KBN1991", "Kraft, Burrows and Nousek 1991"), ("COUNTS", result.counts, "in the source region"),
        ("BACKCTS", result.background_counts, "in the background region"),
        ("BACKRAT", result.ratio, "source over background: area and live time"),
        ("BACKEXP", result.background, "counts expected of the background"),
        ("CHANCE", result.chance, "of so many counts or more of the background"),
        ("EXPOSURE", result.exposure_s, "[s] live time of the source region"),
        ("ENCIRCLE", result.encircled, "part of the light within; 1: not corrected"), *more,
        ("SLCTEXPR", subspace.expression, ""), *subspace.cards,
    ]  # fmt: skip
    parts = [fitswrite.header(primary_cards(events)), fitswrite.table("LIMITS", columns, cards), *subspace.tables]
    write_bytes(path, b"".join(parts))
