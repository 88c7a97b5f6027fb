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
    times = _scaled_times(events, gtis)
    carried = fitswrite.without(fitswrite.raw_cards(events.events.header), _RENEWED)
    texts = [text for _, text in fitswrite.replaced(carried, times.get)]
    skip = {"MTYPE1", "MFORM1"} if "MTYPE1" in events.header else set()
    added: Cards = [*LONGSTRN, *(card for card in subspace.cards if card[0] not in skip),
                    ("SLCTEXPR", subspace.expression, "")]  # fmt: skip
    return fitswrite.from_texts([*texts, *fitswrite.texts(added)])


def _scaled_times(events: EventList, gtis: Mapping[int | None, GTI]) -> dict[str, float]:
    """Return the on times and live times of the header, scaled by the part of the good time that is left.

    It is empty where no good time was taken away.
    """
    before = sum(good.total for good in events.gtis.values())
    after = sum(good.total for good in gtis.values())
    if before <= 0 or after >= before:
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
            part = new.total / old.total if old and new and old.total > 0 else 0.0
        found[key] = seconds * part
    return found
