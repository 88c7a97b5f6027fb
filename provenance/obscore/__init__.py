"""ObsCore 1.1 rows: the columns, a row from what the headers of a product say, and what is wrong with one."""

from __future__ import annotations

from provenance.obscore.columns import COLUMNS, ENUMERATIONS, NOT_NULL, Column
from provenance.obscore.row import (
    ALL_COLUMNS,
    ObsCoreRow,
    Value,
    from_file,
    from_science,
    from_tags,
    invalid,
    missing,
    problems,
    wavelength_m,
)

__all__ = [
    "ALL_COLUMNS",
    "COLUMNS",
    "ENUMERATIONS",
    "NOT_NULL",
    "Column",
    "ObsCoreRow",
    "Value",
    "from_file",
    "from_science",
    "from_tags",
    "invalid",
    "missing",
    "problems",
    "wavelength_m",
]
