"""An observation as its page shows it: exposures, products, what the archives' columns say of each file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from uws_server.jobs.definition import Definition, ParameterSpec
from uws_server.services.archive_files import ArchiveProduct, product_of

Row = Mapping[str, Any]


@dataclass(frozen=True)
class File:
    """A file of an observation: its row, and its ObsCore columns, which are empty for one that has none."""

    row: Row

    @property
    def source(self) -> str:
        """The path below the folder of the archive."""
        return str(self.row["source"])

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.source.rpartition("/")[2]

    @property
    def is_here(self) -> bool:
        """Check whether there is a file, which a job can read; an imported row has none."""
        return str(self.row["kind"]) != "observation"

    @property
    def has_footprint(self) -> bool:
        """Check whether it is known what it sees of the sky."""
        return bool(self.row["has_footprint"])

    @cached_property
    def product(self) -> ArchiveProduct:
        """What the name and the row of a product tell of it."""
        return product_of(self.row)

    @cached_property
    def columns(self) -> Mapping[str, str]:
        """The ObsCore columns that have a value."""
        try:
            found = json.loads(self.row["row"] or "{}")
        except ValueError:
            return {}
        return {name: str(value) for name, value in found.items() if value not in (None, "")}


@dataclass(frozen=True)
class Observation:
    """The files of one observation; `of` makes one of their rows."""

    id: str
    exposures: Sequence[File]
    products: Sequence[File] = field(default=())

    @classmethod
    def of(cls, obs_id: str, rows: Iterable[Row]) -> Observation:
        """Return the observation of some rows."""
        files = [File(row) for row in rows]
        exposures = [one for one in files if one.row["kind"] != "product"]
        return cls(obs_id, exposures, [one for one in files if one.row["kind"] == "product"])

    @property
    def files(self) -> Sequence[File]:
        """All files."""
        return [*self.exposures, *self.products]

    @property
    def sources(self) -> list[str]:
        """The exposures that a job can read."""
        return [one.source for one in self.exposures if one.is_here]

    @property
    def footprints(self) -> list[str]:
        """The exposures of which it is known what they see."""
        return [one.source for one in self.exposures if one.has_footprint]

    def first(self, column: str) -> Any:
        """Return the first value of a column that is known; None if none is."""
        return next((one.row[column] for one in self.files if one.row[column] not in (None, "")), None)

    def least(self, column: str) -> float | None:
        """Return the least number of a column."""
        return min((one.row[column] for one in self.exposures if one.row[column] is not None), default=None)

    def most(self, column: str) -> float | None:
        """Return the largest number of a column."""
        return max((one.row[column] for one in self.exposures if one.row[column] is not None), default=None)


@dataclass(frozen=True)
class Runnable:
    """A definition that reads event lists, and the parameter that takes them."""

    definition: Definition
    spec: ParameterSpec

    @property
    def takes_several(self) -> bool:
        """Check whether one job reads several event lists."""
        return self.spec.max_values > 1


def definitions_for(definitions: Iterable[Definition]) -> list[Runnable]:
    """Return the definitions whose jobs begin with an event list of the archive."""
    found = []
    for definition in definitions:
        spec = next((one for one in definition.parameters if one.type == "eventlist"), None)
        if spec is not None:
            found.append(Runnable(definition, spec))
    return found
