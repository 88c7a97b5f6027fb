"""What the jobs of this server may take together, what a job takes, and which job can never run here.

Imports the configuration, the values of jobs and of the queue, and its neighbours.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from uws_server.config import Config
from uws_server.execution.fairness import Limits, obstacle
from uws_server.jobs.definition import Definition
from uws_server.jobs.job import Needs, ParameterValue
from uws_server.storage.queued_jobs import Candidate

ELSEWHERE = "slurm"
"""What `execution` is for jobs that run on a cluster."""


@dataclass(frozen=True)
class Capacity:
    """The limits of a server, and the seconds up to which the time limit of a job makes it a short one.

    `execution` is where jobs run whose definition does not say it.
    """

    limits: Limits
    short_s: int
    execution: str = "local"

    @classmethod
    def of(cls, config: Config) -> Capacity:
        """Return what the configuration says; where it says nothing of cores, there is one for each place at least."""
        jobs = config.jobs
        own_cores = max(jobs.max_running, os.cpu_count() or 1)
        of_owner = config.accounts.max_running_owner
        places = (jobs.max_running, jobs.short_places)
        return cls(Limits(*places, jobs.cores, jobs.memory, of_owner, own_cores=own_cores), jobs.short, jobs.execution)

    def is_elsewhere(self, definition: Definition) -> bool:
        """Check whether jobs of a definition run on a cluster."""
        return (definition.control.execution or self.execution) == ELSEWHERE

    def needs(
        self, definition: Definition, duration_s: int, trial: bool, values: Mapping[str, ParameterValue]
    ) -> Needs:
        """Return what a job with those values takes; one of several cores or parts never has a short place."""
        control, spread = definition.control, definition.spread
        parts = len(values[spread.name].each) if spread and spread.name in values else 0
        short = control.cpus == 1 and parts <= 1 and (trial or 0 < duration_s <= self.short_s)
        return Needs(control.cpus, control.memory, short, parts)

    def obstacle(self, definition: Definition) -> str:
        """Return the sentence that says why jobs of a definition can never run here; '' where they can."""
        control, limits = definition.control, self.limits_for([definition])
        job = Candidate("", "", definition.name, 0, False, control.cpus, control.memory)
        return f"a job of {definition.name} {why}" if (why := obstacle(job, limits)) else ""

    def limits_for(self, definitions: Iterable[Definition]) -> Limits:
        """Return the limits with those of the definitions as they are now."""
        found = list(definitions)
        of_definition = {each.name: each.control.max_running for each in found if each.control.max_running}
        elsewhere = frozenset(each.name for each in found if self.is_elsewhere(each))
        return replace(self.limits, of_definition=of_definition, elsewhere=elsewhere)
