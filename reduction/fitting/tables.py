"""Where the tables of models lie on this machine: cross-sections of absorption, emissivities of thermal plasma."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from reduction.errors import ReductionError
from reduction.fitting.absorption import ABUNDANCES
from reduction.fitting.components import Tables

ABSORPTION: Final = "UWS_ABSORPTION"
"""The variable for the folder of the cross-sections."""

APEC: Final = "UWS_APEC"
"""The variable for the folder of the emissivities."""


def configured(abundances: str = "wilm", environment: Mapping[str, str] | None = None) -> Tables:
    """Return the tables that this machine has.

    Parameters
    ----------
    abundances
        The abundances of absorption: wilm, angr or aspl.
    environment
        Variables; None for those of this process.

    Returns
    -------
    Tables
        The folders that are named.

    Raises
    ------
    ReductionError
        There are no such abundances.
    """
    word = abundances.strip().lower()
    if word not in ABUNDANCES:
        raise ReductionError(f"{abundances[:40]!r} are no abundances; write {', '.join(ABUNDANCES)}", "abundance")
    variables = os.environ if environment is None else environment
    absorption, apec = (Path(variables[name]) if variables.get(name) else None for name in (ABSORPTION, APEC))
    return Tables(absorption, word, apec)
