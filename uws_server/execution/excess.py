"""What all processes of a job may have together, as its supervisor sees it. Imports its look at the processes.

No limit of the system that every user has counts the processes and the memory of one job.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uws_server.execution.usage import Sampler, holds_more


class Excess:
    """The limits of a job, from its `launch.json`; 0 stands for any number."""

    def __init__(self, launch: Mapping[str, Any]) -> None:
        self.memory = int(launch.get("max_together", 0))
        self.processes = int(launch.get("max_processes", 0))

    def reason(self, sampler: Sampler, root: int) -> str:
        """Return of what the processes below `root` have too much, by the last look at them; '' for nothing."""
        if 0 < self.processes < sampler.processes:
            return "processes"
        return "memory" if 0 < self.memory < sampler.now and holds_more(root, self.memory) else ""

    def sentence(self, reason: str | None) -> str:
        """Return what the log says of a job that was ended for that; '' where it was something else."""
        if reason == "memory":
            most = f"{self.memory:,} bytes of memory together"
            return f"[ERROR] memory: the processes of the job held more than its {most}; it was ended"
        if reason == "processes":
            return f"[ERROR] processes: the job had more than {self.processes:,} processes at a time; it was ended"
        return ""
