"""The parts of one server, and how they are put together: each is made here with what it needs. Imports all of them.

Nothing is decided here. The use cases that both doors call are in `job_service`, `drafts`, `provenance` and `obscore`:
they name in their `Needs` which of these parts they use.
"""

from __future__ import annotations

import copy
from pathlib import Path

from uws_server.archive.observations import Archive
from uws_server.config import Config
from uws_server.execution import curation, job_secrets, sandbox
from uws_server.execution.arrays.work import ArrayWork
from uws_server.execution.capacity import Capacity
from uws_server.execution.scheduler import Scheduler
from uws_server.execution.slurm.placing import PlacedStarter
from uws_server.execution.starter import ColdStarter
from uws_server.execution.warm.starter import WarmStarter
from uws_server.execution.work import SingleWork
from uws_server.services.accounts import Accounts
from uws_server.services.definition_check import DefinitionCheck, candidates
from uws_server.services.expiry import Expiry
from uws_server.services.hashes import Hashes
from uws_server.services.health import Health
from uws_server.services.housekeeping import Housekeeping
from uws_server.services.job_keys import JobKeys
from uws_server.services.job_life import JobLife
from uws_server.services.metrics import Metrics
from uws_server.services.parameters import Outside, ParameterReader
from uws_server.services.region_texts import RegionTexts
from uws_server.services.rights import rights_of
from uws_server.services.server_clock import ServerClock
from uws_server.services.sessions import Sessions
from uws_server.storage.accounts import AccountStore
from uws_server.storage.clock import ClockStore
from uws_server.storage.counts import Counts
from uws_server.storage.definitions import DefinitionStore
from uws_server.storage.drain import DrainStore
from uws_server.storage.durations import DurationStore
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore
from uws_server.storage.library import Library
from uws_server.storage.quick_store import QuickStore
from uws_server.storage.revisions import Revisions
from uws_server.storage.sessions import SessionStore
from uws_server.storage.uses import UseStore


class Services:
    """Stores, library, archive, accounts and scheduler of one server."""

    def __init__(self, config: Config, base_url: str, definitions: Path) -> None:
        sandbox.require(config)
        curation.require(config)
        job_secrets.require(config)
        self.config = config
        self.base_url = base_url
        self.rights = rights_of(config)
        self.keys = JobKeys(config.folders.data)
        self.archive = Archive(config.folders.archive)
        self.outside = Outside.of(config)
        self.parameters = ParameterReader(self.archive, self.outside)
        self.definition_check = DefinitionCheck(self.archive, self.outside, RegionTexts(config.folders.data))
        self.files = JobFiles(config.folders.data, config.folders.reserve)
        self.hashes = Hashes(config.folders.data)
        self.store = JobStore(config.database_url())
        self._quick_store: QuickStore | None = None
        self.uses = UseStore(self.store.engine)
        self.secrets = job_secrets.job_secrets(config, self.store)
        self.accounts = Accounts(AccountStore(self.store.engine))
        self.durations = DurationStore(self.store.engine)
        self.sessions = Sessions(SessionStore(self.store.engine))
        self.revisions = Revisions(config.folders.data)
        self.definitions = DefinitionStore(self.store.engine)
        self.definition_check.prepare(candidates(definitions, self.revisions, self.definitions))
        self.library = Library(definitions, self.definition_check.require_sound, self.revisions, self.definitions)
        here = WarmStarter(config) if config.jobs.warm else ColdStarter()
        self.capacity = Capacity.of(config)
        self._starter = PlacedStarter(config, self.capacity, here, lambda job_id: self.store.asked(job_id).abort)
        work = ArrayWork(config, base_url, SingleWork(config, base_url))
        self.scheduler = Scheduler(
            self.store, self.files, self.library, config, self.capacity, base_url, self._starter, work
        )
        self.life = JobLife(self.store, self.files, self.uses, self.scheduler, config.jobs.destroyed == "record")
        self.housekeeping = Housekeeping(
            Expiry(self.life, self.store, ServerClock(ClockStore(self.store.engine))),
            self.store,
            self.files,
            self.hashes,
            self.revisions,
            self.definitions,
        )
        self.scheduler.observers.add(self.housekeeping)
        self.counts = Counts(self.store.engine)
        self.drain = DrainStore(self.store.engine, self.store.server)
        self.health = Health(self.counts, self.files, self.scheduler, self._starter.cluster_answers)
        self.metrics = Metrics(config, self.counts, self.drain, self.scheduler, self.health)
        self.scheduler.observers.add(self.metrics)

    def at_hand(self) -> Services | None:
        """Return the same parts over a store that waits for nothing, for one thread. Return None if there is none."""
        if not QuickStore.serves(self.store):
            return None
        parts = copy.copy(self)
        parts.store = self._quick_store = QuickStore(self.store)
        return parts

    def start(self) -> None:
        """Begin to run jobs, and to read the archive."""
        self.archive.prepare()
        self._starter.begin()
        self.scheduler.start()

    def stop(self) -> None:
        """Stop taking jobs; running ones go on under their supervisors."""
        self.scheduler.stop()
        if self._quick_store is not None:
            self._quick_store.close()
        self.store.close()

    def spool(self) -> Path:
        """Return a new empty file for an upload on its way, on the disk of the jobs."""
        return self.files.spool()
