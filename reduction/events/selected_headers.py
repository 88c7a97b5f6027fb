"""The headers of a selection of events: those of the event list, with what the selection makes wrong written anew."""

from __future__ import annotations

import re
from collections.abc import Mapping

from provenance.fits.cards import SIZE
from reduction.events import fitswrite
from reduction.events.dss import DataSubspace
from reduction.events.eventlist import EventList
from reduction.events.fitswrite import LONGSTRN, PRIMARY, Cards
from reduction.events.goodtime import GTI, of_ccd
from reduction.missions import CREATOR, number

_RENEWED = re.compile(r"CHECKSUM|DATASUM|\d*DS(TYP|VAL|FORM|UNIT?|REF)\d+|NEVENTS|SLCTEXPR|LONGSTRN")
"""Keywords of the event table that its selection makes wrong, or that are written anew."""

_PRIMARY_RENEWED = re.compile(r"SIMPLE|BITPIX|NAXIS\d*|EXTEND|CHECKSUM|DATASUM|GROUPS|PCOUNT|GCOUNT|LONGSTRN")


def primary(events: EventList) -> bytes:
    """Return the primary header of the event list, without sums of bytes that change, without the data of an image."""
    carried = fitswrite.without(fitswrite.raw_cards(events.hdus[0].header), _PRIMARY_RENEWED)
    first = fitswrite.texts([*PRIMARY, *LONGSTRN])
    history = f"HISTORY Events selected by {CREATOR}".ljust(SIZE)
    return fitswrite.from_texts([*first, *(text for _, text in carried), history])


def event_table(events: EventList, subspace: DataSubspace, gtis: Mapping[int | None, GTI]) -> bytes:
    """Return the header of the event table with the new data subspace.

    Parameters
    ----------
    events
        The event list that the rows come from.
    subspace
        Which events are selected, from `dss.describe`.
    gtis
        Good times of the selection by CCD: on times and live times follow them.

    Returns
    -------
    bytes
        Whole blocks. NAXIS2 is that of the event list: the rows are counted only when they are written.
    """
    times = _scaled_times(events, gtis, subspace.phase_share)
    carried = fitswrite.without(fitswrite.raw_cards(events.events.header), _RENEWED)
    texts = [text for _, text in fitswrite.replaced(carried, times.get)]
    skip = {"MTYPE1", "MFORM1"} if "MTYPE1" in events.header else set()
    added: Cards = [*LONGSTRN, *(card for card in subspace.cards if card[0] not in skip),
                    ("SLCTEXPR", subspace.expression or None, "")]  # fmt: skip
    return fitswrite.from_texts([*texts, *fitswrite.texts(added)])


def _scaled_times(events: EventList, gtis: Mapping[int | None, GTI], share: float) -> dict[str, float]:
    """Return the on times and live times of the header, scaled by the part of the good time that is left.

    CCDs that were not selected have no part in what is left of the time of the whole instrument; `share` is a part of
    the good times that they themselves do not tell. The result is empty where no good time was taken away.
    """
    ccds: list[int | None] = [ccd for ccd in gtis if ccd is not None] or [None]
    before, after = (sum(good.total for ccd in ccds if (good := of_ccd(tables, ccd))) for tables in (events.gtis, gtis))
    after *= share
    is_whole = set(events.gtis) <= set(gtis) or set(events.gtis) == {None}
    if before <= 0 or (after >= before and is_whole):
        return {}
    found = {}
    for key in events.header:
        match = re.fullmatch(r"(ONTIME|LIVETI|LIVTIME|EXPOSUR|LIVETIME|EXPOSURE)(\d*)", key)
        seconds = number(events.header, key)
        if not match or seconds is None:
            continue
        part = after / before
        if match[2]:
            old, new = of_ccd(events.gtis, int(match[2])), of_ccd(gtis, int(match[2]))
            part = share * new.total / old.total if old and new and old.total > 0 else 0.0
        if part != 1.0 or is_whole:
            found[key] = seconds * part
    return found
