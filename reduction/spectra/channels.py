"""The width of the channels of a spectrum, so that they are those of the response it is fitted with."""

from __future__ import annotations

from dataclasses import replace

from reduction.errors import ReductionError
from reduction.events.eventlist import EventList


def with_channels(events: EventList, width_ev: int | str | None, parameter: str = "channel_width") -> EventList:
    """Return an event list whose spectra have channels of a width.

    Parameters
    ----------
    events
        The open event list.
    width_ev
        Width of a channel in eV, the spectralbinsize of the SAS; None or an empty text for the usual one.
    parameter
        Job parameter named in the error.

    Returns
    -------
    EventList
        The same list where the width is the usual one.

    Raises
    ------
    ReductionError
        No response of the instrument has channels of that width.
    """
    if width_ev is None or str(width_ev).strip() == "":
        return events
    mission = events.mission
    known = mission.channel_widths_ev
    if not known:
        raise ReductionError(f"the channels of {mission.name} are those of its PI column and have one width; leave it "
                             "empty", parameter)  # fmt: skip
    if str(width_ev).strip() not in map(str, known):
        raise ReductionError(f"{str(width_ev)[:20]} eV is no channel width of {mission.name}; its responses have "
                             f"{' or '.join(map(str, known))} eV", parameter)  # fmt: skip
    return replace(events, mission=mission.with_channel_width(int(width_ev)))
