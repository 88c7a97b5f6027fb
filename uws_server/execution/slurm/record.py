"""What the folder of a job says of its place on the cluster, so that any server finds it again. Imports storage."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from uws_server.storage.files import SLURM_FILE, read_json, write_json, write_passing_json


@dataclass(frozen=True)
class Record:
    """How a job is submitted, and what became of it.

    `tried` is when sbatch was called last, in seconds since 1970, 0 where that had no effect; `tries` how often Slurm
    has taken the job. `id` is the number that Slurm gave it, 0 as long as that is not known; `waits` why it waits,
    `node` where it runs, `restarts` how often Slurm had put it back into its queue before a supervisor began.

    `array` are the tasks of a job array that run its parts, such as 1-100%8; empty where they run on one node, or there
    are none. `array_tried` and `array_id` are for it what `tried` and `id` are for the job itself, which then waits for
    the end of all tasks. `alone` are the options with which the job runs its parts on one node. `held` says that tasks
    which wait may be held because the job is to stand still: no hold of somebody else is ever undone.
    """

    options: tuple[str, ...]
    tried: float = 0.0
    tries: int = 0
    id: int = 0
    waits: str = ""
    node: str = ""
    restarts: int = 0
    array: str = ""
    array_tried: float = 0.0
    array_id: int = 0
    alone: tuple[str, ...] = ()
    held: bool = False

    @property
    def waits_for_tasks(self) -> bool:
        """Return whether the job array is not known to be on the cluster, which the job is to wait for."""
        return bool(self.array) and not self.array_id


def is_there(folder: Path) -> bool:
    """Check whether a job was given to the cluster."""
    return (folder / SLURM_FILE).exists()


def read(folder: Path) -> Record | None:
    """Return the record of a job; None for one that was not given to the cluster."""
    found = read_json(folder / SLURM_FILE)
    try:
        return Record(
            tuple(map(str, found["options"])),
            float(found["tried"]),
            int(found["tries"]),
            int(found["id"]),
            str(found["waits"]),
            str(found["node"]),
            int(found.get("restarts", 0)),
            str(found.get("array", "")),
            float(found.get("array_tried", 0.0)),
            int(found.get("array_id", 0)),
            tuple(map(str, found.get("alone", ()))),
            bool(found.get("held", False)),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def write(folder: Path, record: Record) -> None:
    """Write the record of a job. Raise OSError where that cannot be."""
    write_passing_json(folder / SLURM_FILE, dataclasses.asdict(record))


def write_lasting(folder: Path, record: Record) -> None:
    """Write the record of a job so that it outlasts a power failure. Raise OSError where that cannot be."""
    write_json(folder / SLURM_FILE, dataclasses.asdict(record))
