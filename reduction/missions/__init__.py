"""The telescopes whose photon lists can be reduced: what each calls things, and how its numbers become energies."""

from __future__ import annotations

from reduction.missions.chandra import ACIS
from reduction.missions.erosita import EROSITA
from reduction.missions.field import FieldOfView
from reduction.missions.ixpe import GPD
from reduction.missions.model import HIGHEST_PATTERN, Header, Mission, Ranges, Window, number
from reduction.missions.nicer import XTI
from reduction.missions.nustar import FPMA, FPMB
from reduction.missions.swift import XRT
from reduction.missions.telescopes import CREATOR, MISSIONS, identify, parse_ccds, parse_patterns
from reduction.missions.xmm import EMOS1, EMOS2, EPN
from reduction.missions.xrism import RESOLVE, XTEND

__all__ = [
    "ACIS",
    "CREATOR",
    "EMOS1",
    "EMOS2",
    "EPN",
    "EROSITA",
    "FPMA",
    "FPMB",
    "GPD",
    "HIGHEST_PATTERN",
    "MISSIONS",
    "RESOLVE",
    "XRT",
    "XTEND",
    "XTI",
    "FieldOfView",
    "Header",
    "Mission",
    "Ranges",
    "Window",
    "identify",
    "number",
    "parse_ccds",
    "parse_patterns",
]
