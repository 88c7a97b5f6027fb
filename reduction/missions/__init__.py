"""The telescopes whose photon lists can be reduced: what each calls things, and how its numbers become energies."""

from __future__ import annotations

from reduction.missions.telescopes import (
    ACIS,
    CREATOR,
    EMOS1,
    EMOS2,
    EPN,
    FPMA,
    FPMB,
    HIGHEST_PATTERN,
    MISSIONS,
    XTI,
    Header,
    Mission,
    Ranges,
    Window,
    identify,
    number,
    parse_patterns,
)

__all__ = [
    "ACIS",
    "CREATOR",
    "EMOS1",
    "EMOS2",
    "EPN",
    "FPMA",
    "FPMB",
    "HIGHEST_PATTERN",
    "MISSIONS",
    "XTI",
    "Header",
    "Mission",
    "Ranges",
    "Window",
    "identify",
    "number",
    "parse_patterns",
]
