"""The parts of one server, and how they are put together: each is made here with what it needs. Imports all of them.

Nothing is decided here. The use cases that both doors call are in `job_service`, `drafts`, `provenance` and `obscore`:
they name in their `Needs` which of these parts they use.
"""

from __future__ import annotations

import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from uws_server.archive.observations import Archive
from uws_server.config import Config
from uws_server.execution import curation, job_secrets, sandbox
from uws_server.execution.arrays.work import ArrayWork
from uws_server.execution.capacity import Capacity
from uws_server.execution.hashes import Hashes
from uws_server.execution.input_hashing import InputHashing
from uws_server.execution.resources import Resources
from uws_server.execution.scheduler import Scheduler
from uws_server.execution.slurm.placing import PlacedStarter
from uws_server.execution.starter import ColdStarter
from uws_server.execution.warm.starter import WarmStarter
from uws_server.execution.work import SingleWork
from uws_server.jobs.job import Job
from uws_server.oidc.attempt import Sealing
from uws_server.services.accounts import Accounts
from uws_server.services.definition_check import DefinitionCheck, candidates
from uws_server.services.expiry import Expiry
from uws_server.services.health import Health
from uws_server.services.housekeeping import Housekeeping
from uws_server.services.job_keys import JobKeys, SessionKeys
from uws_server.services.job_life import JobLife
from uws_server.services.metrics import Metrics
from uws_server.services.parameters import Outside, ParameterReader
from uws_server.services.provider_sign_in import CALLBACK
from uws_server.services.region_texts import RegionTexts
from uws_server.services.rights import rights_of
from uws_server.services.server_clock import ServerClock
from uws_server.services.sessions import Sessions
from uws_server.services.stored_files import StoredFiles
from uws_server.storage.account_lists import AccountLists
from uws_server.storage.accounts import AccountStore
from uws_server.storage.announcements import AnnouncementStore
from uws_server.storage.audit import AuditStore
from uws_server.storage.clock import ClockStore
from uws_server.storage.counts import Counts
from uws_server.storage.definitions import DefinitionStore
from uws_server.storage.drain import DrainStore
from uws_server.storage.durations import DurationStore
from uws_server.storage.files import JobFiles
from uws_server.storage.identities import IdentityStore
from uws_server.storage.jobstore import JobStore
from uws_server.storage.library import Library
from uws_server.storage.ownership import Ownership
from uws_server.storage.quick_store import QuickStore
from uws_server.storage.revisions import Revisions
from uws_server.storage.sessions import SessionStore
from uws_server.storage.uses import UseStore
from uws_server.storage.work_sessions import WorkSessionStore
from uws_server.tap.jobs.definition import INSTALLED as TAP_JOBS
from uws_server.tap.jobs.executor import QueryStarter
from uws_server.tap.jobs.work import QueryWork
from uws_server.tap.query.turns import Turns

if TYPE_CHECKING:
    from uws_server.oidc.provider import Provider
    from uws_server.services.archive_files import ArchiveFiles
    from uws_server.services.archive_search import ArchiveSearch
    from uws_server.services.exposures import Exposures
    from uws_server.storage.archive_rows import ArchiveRows
    from uws_server.tap.jobs.running import QueryRun
    from uws_server.tap.query.service import Queries


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
        self.session_keys = SessionKeys(config.folders.data)
        self.archive = Archive(config.folders.archive)
        self.outside = Outside.of(config)
        self.definition_check = DefinitionCheck(self.archive, self.outside, RegionTexts(config.folders.data))
        self.files = JobFiles(config.folders.data, config.folders.reserve)
        self.hashes = Hashes(config.folders.data)
        self.store = JobStore(config.database_url())
        stored = StoredFiles(self.store, self.files, base_url)
        self.parameters = ParameterReader(self.archive, self.outside, stored)
        self._quick_store: QuickStore | None = None
        self.uses = UseStore(self.store.engine)
        self.secrets = job_secrets.job_secrets(config, self.store)
        self._know_people()
        self.durations = DurationStore(self.store.engine)
        self.work_sessions = WorkSessionStore(self.store.engine)
        self.revisions = Revisions(config.folders.data)
        self.definitions = DefinitionStore(self.store.engine)
        self.definition_check.prepare(candidates(definitions, self.revisions, self.definitions))
        self.library = Library(
            definitions, self.definition_check.require_sound, self.revisions, self.definitions, (TAP_JOBS,)
        )
        here = WarmStarter(config) if config.jobs.warm else ColdStarter()
        self.capacity = Capacity.of(config)
        self._starter = PlacedStarter(config, self.capacity, here, lambda job_id: self.store.asked(job_id).abort)
        work = QueryWork(ArrayWork(config, base_url, SingleWork(config, base_url)))
        resources = Resources(self.store, self.files, self.library, config, self.capacity)
        self.scheduler = Scheduler(resources, base_url, QueryStarter(self._starter, self._query_of), work)
        self.life = JobLife(self.store, self.files, self.uses, self.scheduler, config.jobs.destroyed == "record")
        self.housekeeping = Housekeeping(
            Expiry(self.life, self.store, ServerClock(ClockStore(self.store.engine))),
            self.store,
            self.files,
            self.hashes,
            self.revisions,
            self.definitions,
            self.work_sessions,
            config.jobs.keep_days,
        )
        self.scheduler.observers.add(self.housekeeping)
        self._input_hashing = InputHashing(self.hashes)
        self.scheduler.observers.add(self._input_hashing)
        self.turns = Turns()
        self.counts = Counts(self.store.engine)
        self.drain = DrainStore(self.store.engine, self.store.server)
        self.health = Health(self.counts, self.files, self.scheduler, self._starter.cluster_answers)
        self.metrics = Metrics(config, self.counts, self.drain, self.scheduler, self.health)
        self.scheduler.observers.add(self.metrics)

    def _know_people(self) -> None:
        """Add what knows accounts, and what is theirs."""
        engine, data, oidc = self.store.engine, self.config.folders.data, self.config.oidc
        self.accounts = Accounts(AccountStore(engine))
        self.identities = IdentityStore(engine)
        self.account_lists = AccountLists(engine)
        self.audit = AuditStore(engine)
        self.announcements = AnnouncementStore(engine)
        self.provider: Provider | None = None
        if oidc.issuer:
            from uws_server.oidc.provider import Provider  # here: what it asks with is large

            self.provider = Provider(oidc, f"{self.base_url}{CALLBACK}")
        self.sealing = Sealing(data)
        self.sessions = Sessions(SessionStore(engine))
        self.ownership = Ownership(engine, self.store.server)

    @cached_property
    def _archive_rows(self) -> ArchiveRows:
        """The index of the archive. What searches it is loaded with the first search, as with the first query."""
        from uws_server.storage.archive_rows import ArchiveRows

        return ArchiveRows(self.store.engine, self.store.reader)

    @cached_property
    def exposures(self) -> Exposures:
        """The footprints of the exposures of the archive."""
        from uws_server.services.exposures import Exposures

        return Exposures(self._archive_rows, self.config.folders.archive, self.config.folders.data)

    @cached_property
    def archive_search(self) -> ArchiveSearch:
        """The search for observations and exposures."""
        from uws_server.services.archive_search import ArchiveSearch
        from uws_server.storage.archive_search import ArchiveSearchStore

        return ArchiveSearch(ArchiveSearchStore(self.store.engine), self.exposures, self.outside.resolve)

    @cached_property
    def archive_files(self) -> ArchiveFiles:
        """The files of the archive, by what is known of them."""
        from uws_server.services.archive_files import ArchiveFiles

        return ArchiveFiles(self._archive_rows, self.archive, self.archive_search, self.config.folders.archive)

    @cached_property
    def queries(self) -> Queries:
        """The queries of TAP; what they need is loaded with the first one."""
        from uws_server.storage.tap_schema import SchemaStore
        from uws_server.tap.query.service import Queries

        return Queries(SchemaStore(self.store.engine), self.config, self.base_url)

    def _query_of(self, job: Job, folder: Path) -> QueryRun:
        """Return what runs the query of a job, which sees what the owner of the job does."""
        from uws_server.tap.jobs.running import QueryRun

        owners = self.rights.listed_owners(self.accounts.caller(job.owner))
        return QueryRun(job, folder, self.queries, self.config, owners)

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
        self._input_hashing.stop()
        if self._quick_store is not None:
            self._quick_store.close()
        if "queries" in self.__dict__:
            self.queries.close()
        self.store.close()

    def spool(self) -> Path:
        """Return a new empty file for an upload on its way, on the disk of the jobs."""
        return self.files.spool()
