"""Where a job runs: on this machine, or on the cluster. Imports both ways to start it and the configuration.

A job that was given to the cluster stays there, whatever the configuration says by now.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from uws_server.config import Config
from uws_server.errors import ConfigurationError, Forbidden
from uws_server.execution.capacity import ELSEWHERE, Capacity
from uws_server.execution.slurm import options
from uws_server.execution.slurm.starter import SlurmStarter
from uws_server.execution.starter import Handle, Kept, Starter
from uws_server.jobs.job import Job
from uws_server.storage.library import Installed


class PlacedStarter:
    """Starts each job where its definition or else the configuration has it run.

    Parameters
    ----------
    config, capacity
        The configuration of the server, and what its jobs may take.
    here
        What starts jobs on this machine.
    was_asked
        Returns whether the abortion of a job was asked for, from its id.
    """

    def __init__(self, config: Config, capacity: Capacity, here: Starter, was_asked: Callable[[str], bool]) -> None:
        self._config, self._capacity, self._here = config, capacity, here
        self.cluster = SlurmStarter(config, was_asked)
        require(config, self.cluster)

    def begin(self) -> None:
        """Look at the cluster from now on, if jobs run there unless their definition says otherwise."""
        if self._config.jobs.execution == ELSEWHERE:
            self.cluster.begin()

    def cluster_answers(self) -> bool | None:
        """Return whether the cluster answered when it was asked last; None where it was not asked."""
        return self.cluster.answers()

    def start(self, job: Job, installed: Installed, folder: Path, launch: dict[str, Any]) -> Handle:
        """Return the supervisor of a job. Raise OSError if it cannot be started, Forbidden if there is no cluster."""
        if not self.cluster.claimed(folder) and not self._capacity.is_elsewhere(installed.definition):
            return self._here.start(job, installed, folder, launch)
        if missing := self.cluster.missing():
            raise Forbidden(
                f"the definition runs on a cluster, and this server has none: {', '.join(missing)} is not there"
            )
        return self.cluster.start(job, installed, folder, launch)

    def find(self, folder: Path) -> Handle | None:
        """Return the supervisor of a folder, here or on the cluster; None if there is none."""
        return self.cluster.find(folder) or self._here.find(folder)

    def claimed(self, folder: Path) -> bool:
        """Check whether a supervisor has ever claimed a folder, or will for certain."""
        return self.cluster.claimed(folder) or self._here.claimed(folder)

    def number_elsewhere(self) -> int:
        """Return how many jobs this server has on the cluster."""
        return len(self.cluster.jobs())

    def look(self) -> None:
        """Look after what the starts on this machine are made with."""
        self._here.look()

    def kept(self) -> list[Kept]:
        """Return the processes that wait for starts on this machine; called from any thread."""
        return self._here.kept()

    def stop(self) -> None:
        """Release what the starts are made with; the jobs go on."""
        self._here.stop()
        self.cluster.stop()


def require(config: Config, cluster: SlurmStarter) -> None:
    """Raise ConfigurationError for wrong options of sbatch, or where jobs are to run on a cluster that is not there."""
    options.require(config.slurm.sbatch_options)
    if config.jobs.execution == ELSEWHERE and (missing := cluster.missing()):
        raise ConfigurationError(
            f"execution = {ELSEWHERE!r}: {', '.join(missing)} is not there (Debian package slurm-client)"
        )
