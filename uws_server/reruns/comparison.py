"""The differences between two jobs: parameters, results, and the metadata of the products. Imports the services.

Knows no HTTP. Files are told apart by their hashes; two FITS files whose VO-TAGS alone differ hold the same science.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from provenance import obscore, votags
from provenance.obscore import COLUMNS
from provenance.text.errors import ProvenanceError
from uws_server.errors import NotFound
from uws_server.execution.hashes import Hashes
from uws_server.jobs.job import LOG, Job, Result
from uws_server.services.context import Services
from uws_server.services.job_results import MOST_SHOWN
from uws_server.services.job_service import JobService

Sameness = Literal["identical", "same science", "different", "only one", "gone"]

_COLUMNS = ("dataproduct_type", "t_exptime", "t_min", "t_max", "em_min", "em_max", "em_xel", "s_ra", "s_dec", "s_fov",
         "s_region", "target_name", "instrument_name")  # fmt: skip
"""Columns of ObsCore that a comparison shows."""
_UNITS: Mapping[str, str] = {column.name: column.unit or "" for column in COLUMNS}


@dataclass(frozen=True)
class Pair:
    """One value of two jobs; None where a job has none."""

    name: str
    earlier: str | None
    later: str | None
    unit: str = ""

    @property
    def differs(self) -> bool:
        """Return whether the two differ."""
        return self.earlier != self.later


@dataclass(frozen=True)
class ResultPair:
    """The results of one name of two jobs, how alike they are, and their metadata."""

    name: str
    earlier: Result | None
    later: Result | None
    sameness: Sameness
    facts: tuple[Pair, ...]


@dataclass(frozen=True)
class Comparison:
    """Two jobs side by side."""

    earlier: Job
    later: Job
    parameters: tuple[Pair, ...]
    results: tuple[ResultPair, ...]
    left_out: int = 0
    """Results beyond the first MOST_SHOWN, which were not compared: each has to be read as a whole."""

    @property
    def changed(self) -> tuple[Pair, ...]:
        """Return the parameters that differ."""
        return tuple(pair for pair in self.parameters if pair.differs)


def compare(services: Services, job_service: JobService, later: Job, earlier: Job) -> Comparison:
    """Compare two jobs that the caller may see."""
    names = dict.fromkeys([*later.parameters, *earlier.parameters])
    parameters = tuple(_parameter(services, name, later, earlier) for name in names)
    old, new = ({result.name: result for result in job.results if result.name != LOG} for job in (earlier, later))
    names_of_results = list(dict.fromkeys([*new, *old]))
    return Comparison(
        earlier,
        later,
        parameters,
        tuple(
            _result(job_service, services.hashes, later, earlier, name, old.get(name), new.get(name))
            for name in names_of_results[:MOST_SHOWN]
        ),
        max(0, len(names_of_results) - MOST_SHOWN),
    )


def _parameter(services: Services, name: str, later: Job, earlier: Job) -> Pair:
    """Return a parameter of both; files with one name but other content are given with their SHA-256."""
    pair = Pair(name, _value(earlier, name), _value(later, name))
    files = [_files(services, job, name) for job in (earlier, later)]
    if pair.differs or files[0] == files[1]:
        return pair
    try:
        held = [[services.hashes.of(path).science for path in paths] for paths in files]
    except OSError:  # no longer here
        return pair
    if held[0] == held[1]:
        return pair
    old, new = (" ".join(f"{digest[:12]}…" for digest in each) for each in held)
    return Pair(name, f"{pair.earlier} (SHA-256 {old})", f"{pair.later} (SHA-256 {new})")


def _files(services: Services, job: Job, name: str) -> list[Path]:
    """Return the paths of the files of a parameter."""
    parts = value.each if (value := job.parameters.get(name)) else ()
    return [services.files.folder(job.id) / str(part.value) for part in parts if part.is_file and part.value]


def _value(job: Job, name: str) -> str | None:
    value = job.parameters.get(name)
    if value is None:
        return None
    return value.text.rpartition("/")[2] if value.is_file and "://" in value.text else value.text


def _result(
    job_service: JobService,
    hashes: Hashes,
    later: Job,
    earlier: Job,
    name: str,
    old: Result | None,
    new: Result | None,
) -> ResultPair:
    if old is None or new is None:
        return ResultPair(name, old, new, "only one", ())
    try:
        paths = job_service.result_path(earlier, old), job_service.result_path(later, new)
        alike = _sameness(hashes, *paths)
    except (NotFound, OSError):
        return ResultPair(name, old, new, "gone", ())
    return ResultPair(name, old, new, alike, _facts(*paths))


def _sameness(hashes: Hashes, first: Path, second: Path) -> Sameness:
    one, other = hashes.of(first), hashes.of(second)
    if one.whole == other.whole:
        return "identical"
    return "same science" if one.is_fits and one.science == other.science else "different"


def _facts(earlier: Path, later: Path) -> tuple[Pair, ...]:
    """Return the columns of ObsCore that either file has."""
    old, new = _row(earlier), _row(later)
    names = [name for name in _COLUMNS if name in old or name in new]
    return tuple(Pair(name, _text(old.get(name)), _text(new.get(name)), _UNITS.get(name, "")) for name in names)


def _row(path: Path) -> Mapping[str, obscore.Value]:
    try:
        tags = votags.read(path)
    except (OSError, ProvenanceError):
        return {}
    return tags.row if tags is not None else {}


def _text(value: obscore.Value | None) -> str | None:
    if value is None:
        return None
    return f"{value:.8g}" if isinstance(value, float) else str(value)
