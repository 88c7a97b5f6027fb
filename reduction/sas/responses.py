"""Responses of a region by the tasks of the SAS: evselect and backscale for its spectrum, then rmfgen and arfgen."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from reduction.errors import ReductionError
from reduction.sas import installation
from reduction.sas.command import files_of, follow
from reduction.sas.tasks import task_named

TASKS = ("evselect", "backscale", "rmfgen", "arfgen")
"""The tasks that are called, in this order."""


@dataclass(frozen=True)
class SasRegion:
    """What the tasks are given: the list, the selection as evselect takes it, channels, and what the source is.

    `position` is right ascension and declination of a point source in degrees, None for the middle of the region.
    """

    eventlist: Path
    expression: str
    channel_ev: int
    highest_ev: int
    is_extended: bool
    position: tuple[float, float] | None = None


@dataclass(frozen=True)
class SasFiles:
    """The files that the tasks write."""

    spectrum: Path
    matrix: Path
    area: Path


@dataclass(frozen=True)
class Ran:
    """A task that has run: its name, release, parameters, and the files that it read and wrote."""

    name: str
    release: str
    given: Mapping[str, str]
    reads: tuple[Path, ...]
    writes: tuple[Path, ...]


def is_installed(environment: Mapping[str, str]) -> bool:
    """Return whether the tasks can run."""
    try:
        installation.require(TASKS, environment)
    except ReductionError:
        return False
    return True


def commands(region: SasRegion, files: SasFiles) -> list[tuple[str, dict[str, str]]]:
    """Return the tasks with their parameters, as the threads of SAS 22 have them.

    Parameters
    ----------
    region
        What they are given.
    files
        What they write.

    Returns
    -------
    list
        Name and parameters of each task.
    """
    spectrum, matrix, bad = str(files.spectrum), str(files.matrix), str(region.eventlist)
    kind = {"detmaptype": "flat" if region.is_extended else "psf", "extendedsource": _word(region.is_extended)}
    arf = {"spectrumset": spectrum, "arfset": str(files.area), "withrmfset": "yes", "rmfset": matrix,
           "badpixlocation": bad, **kind}  # fmt: skip
    if region.position is not None and not region.is_extended:
        arf |= {"withsourcepos": "yes", "sourcecoords": "eqpos", "sourcex": f"{region.position[0]:.7f}",
                "sourcey": f"{region.position[1]:.7f}"}  # fmt: skip
    return [
        ("evselect", {"table": str(region.eventlist), "energycolumn": "PI", "expression": region.expression or "true",
                      "withspectrumset": "yes", "spectrumset": spectrum, "spectralbinsize": str(region.channel_ev),
                      "withspecranges": "yes", "specchannelmin": "0", "specchannelmax": str(region.highest_ev)}),
        ("backscale", {"spectrumset": spectrum, "badpixlocation": bad}),
        ("rmfgen", {"spectrumset": spectrum, "rmfset": matrix, **kind}),
        ("arfgen", arf),
    ]  # fmt: skip


def run_tasks(region: SasRegion, files: SasFiles, environment: Mapping[str, str] | None = None) -> Iterator[Ran]:
    """Run the tasks one after the other, passing on what they print.

    Parameters
    ----------
    region
        What they are given.
    files
        What they write.
    environment
        The variables of the SAS; None for those of the process.

    Yields
    ------
    Ran
        Each task once it has ended well.

    Raises
    ------
    ReductionError
        The SAS is not set up, or a task fails; the error is that of the task.
    """
    variables = os.environ if environment is None else environment
    found = installation.require(TASKS, variables)
    for name, given in commands(region, files):
        task = task_named(name)
        task.require(given)
        words = [name, *(f"{key}={value}" for key, value in given.items())]
        code, complaint = follow(found.command(words), dict(variables) | {"PATH": found.path(variables)})
        if code:
            raise ReductionError(f"{name} of the SAS failed: {complaint or f'it ended with status {code}'}")
        reads, writes = files_of(task, given)
        if lost := [path.name for path in writes if not path.is_file()]:
            raise ReductionError(f"{name} of the SAS ended well but left no {', '.join(lost)}")
        yield Ran(name, found.release, given, tuple(reads), tuple(writes))


def _word(yes: bool) -> str:
    return "yes" if yes else "no"
