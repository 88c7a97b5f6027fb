"""What the jobs of a server run with, in one value for the modules that start and end them. Imports storage."""

from __future__ import annotations

from dataclasses import dataclass

from uws_server.config import Config
from uws_server.execution.capacity import Capacity
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore
from uws_server.storage.library import Library


@dataclass(frozen=True)
class Resources:
    """The jobs and their folders, the definitions, the configuration, and what all jobs may take together."""

    store: JobStore
    files: JobFiles
    library: Library
    config: Config
    capacity: Capacity
