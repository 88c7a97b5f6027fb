"""The telescopes whose photon lists can be reduced: what each calls things, and how its numbers become energies."""

from __future__ import annotations

from reduction.missions.chandra import ACIS
from reduction.missions.model import HIGHEST_PATTERN, Header, Mission, Ranges, Window, number
from reduction.missions.nicer import XTI
from reduction.missions.nustar import FPMA, FPMB
from reduction.missions.telescopes import CREATOR, MISSIONS, identify, parse_ccds, parse_patterns
from reduction.missions.xmm import EMOS1, EMOS2, EPN

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
    "parse_ccds",
    "parse_patterns",
]
