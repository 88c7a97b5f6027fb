"""The telescopes whose photon lists can be reduced: which one a header is from, and what a choice of patterns means.

A further telescope is a module of its own beside this one and a line in MISSIONS; no other module knows a column or
keyword name of a telescope.
"""

from __future__ import annotations

import re

from reduction.errors import ReductionError
from reduction.missions.chandra import ACIS
from reduction.missions.erosita import EROSITA
from reduction.missions.ixpe import GPD
from reduction.missions.model import HIGHEST_PATTERN, Header, Mission, Ranges
from reduction.missions.nicer import XTI
from reduction.missions.nustar import FPMA, FPMB
from reduction.missions.swift import XRT
from reduction.missions.xmm import EMOS1, EMOS2, EPN
from reduction.missions.xrism import RESOLVE, XTEND

CREATOR = "uws-server reduction"
"""What products name as their maker, whatever the telescope (keyword CREATOR)."""

MISSIONS: tuple[Mission, ...] = (
    EPN, EMOS1, EMOS2, ACIS, FPMA, FPMB, XTI, XRT, GPD, EROSITA, RESOLVE, XTEND,
)  # fmt: skip

_NOT_READ = {
    ("SVOM", "MXT"): "no public document gives the columns and the channels of its event lists",
    ("CHANDRA", "HRC"): "its events have no energies",
    ("XMM", "RGS1"): "its spectra are dispersed, which no job here takes into account",
    ("XMM", "RGS2"): "its spectra are dispersed, which no job here takes into account",
}
"""Why the event lists of some instruments are not read, by TELESCOP and INSTRUME."""


def identify(header: Header, parameter: str = "eventlist") -> Mission:
    """Find the instrument of an event list by TELESCOP, INSTRUME and DATAMODE.

    Parameters
    ----------
    header
        Keywords of the event table, those of the primary header behind them.
    parameter
        Job parameter named in the error.

    Returns
    -------
    Mission
        The instrument, one of `MISSIONS`.

    Raises
    ------
    ReductionError
        The instrument or its mode is not known here.
    """
    telescope = str(header.get("TELESCOP") or "").strip()
    instrument = str(header.get("INSTRUME") or "").strip()
    for mission in MISSIONS:
        if mission.telescope.upper() == telescope.upper() and instrument.upper() in mission.instruments:
            mode = str(header.get("DATAMODE") or "").strip().upper()
            if mission.modes and mode and mode not in mission.modes:
                raise ReductionError(
                    f"the event list of {mission.name} is in {mode} mode, only {', '.join(mission.modes)} mode can be "
                    f"reduced: {mission.mode_refusal}", parameter)  # fmt: skip
            return mission
    if why := _NOT_READ.get((telescope.upper(), instrument.upper())):
        raise ReductionError(f"the event list is from {telescope} {instrument}, which is not read here: {why}",
                             parameter)  # fmt: skip
    came = " ".join(part for part in (telescope, instrument) if part) or "nowhere (no TELESCOP, no INSTRUME)"
    known = ", ".join(mission.name for mission in MISSIONS)
    raise ReductionError(f"the event list is from {came[:80]}; known are {known}", parameter)


def parse_patterns(text: str, mission: Mission, parameter: str = "pattern") -> Ranges | None:
    """Read a choice of patterns.

    Parameters
    ----------
    text
        ``default``, ``all``, or a list such as ``0:4`` or ``0,2:4,6``.
    mission
        The instrument, whose usual patterns ``default`` means.
    parameter
        Job parameter named in the error.

    Returns
    -------
    Ranges or None
        The patterns to take; None for all.

    Raises
    ------
    ReductionError
        The text is no such choice, or the instrument has no patterns.
    """
    text = text.strip().lower()
    if text == "default":
        return mission.default_patterns if mission.pattern else None
    if text == "all":
        return None
    ranges = _listed(text, "patterns", parameter)
    if ranges is None:
        raise ReductionError(f"{text[:60]!r} is no choice of patterns; write default, all, or a list such as 0:4 or "
                             "0,2,3,4,6", parameter)  # fmt: skip
    if mission.pattern is None:
        raise ReductionError(f"events of {mission.name} have no pattern; write default or all", parameter)
    return ranges


def parse_ccds(text: str, mission: Mission, parameter: str = "ccd") -> Ranges | None:
    """Read a choice of CCDs.

    Parameters
    ----------
    text
        ``all``, or a list such as ``4`` or ``1:3,7``.
    mission
        The instrument.
    parameter
        Job parameter named in the error.

    Returns
    -------
    Ranges or None
        The CCDs to take; None for all.

    Raises
    ------
    ReductionError
        The text is no such choice, or the instrument numbers no CCDs.
    """
    text = text.strip().lower()
    if text in ("", "all"):
        return None
    ranges = _listed(text, "CCDs", parameter)
    if ranges is None:
        raise ReductionError(f"{text[:60]!r} is no choice of CCDs; write all, or a list such as 4 or 1:3,7", parameter)
    if mission.ccd is None:
        raise ReductionError(f"events of {mission.name} have no number of a CCD; write all", parameter)
    return ranges


def _listed(text: str, what: str, parameter: str) -> Ranges | None:
    """Read a list of numbers and ranges; None where the text is none. Raise ReductionError for an odd range."""
    text = re.sub(r"\s", "", text)
    if not re.fullmatch(r"\d{1,3}(:\d{1,3})?(,\d{1,3}(:\d{1,3})?)*", text):
        return None
    wanted: set[int] = set()
    for part in text.split(","):
        low, _, high = part.partition(":")
        first, last = int(low), int(high or low)
        if first > last or last > HIGHEST_PATTERN:
            raise ReductionError(f"{part} is no range of {what}; both ends lie in 0..{HIGHEST_PATTERN}, the lower "
                                 "one first", parameter)  # fmt: skip
        wanted.update(range(first, last + 1))
    return _ranges(sorted(wanted))


def _ranges(values: list[int]) -> Ranges:
    """Join sorted numbers into inclusive ranges."""
    ranges: list[tuple[int, int]] = []
    for value in values:
        if ranges and value == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], value)
        else:
            ranges.append((value, value))
    return tuple(ranges)
