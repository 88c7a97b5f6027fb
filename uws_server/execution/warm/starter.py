"""Starts supervisors from warm processes, or cold where there is none. Imports the processes, the jobs and storage.

One warm process has the supervisor loaded and forks it for every job. Another one, split off from the first, has loaded
what scripts import: of a Python script whose imports are there the script is a fork, too. Nothing is waited for but
forks: a job that comes before a process is ready starts without it. An import that spoils a process is not tried again
for a while, and the process is made anew.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uws_server.config import Config
from uws_server.execution import local, staging
from uws_server.execution.starter import ColdStarter, Kept
from uws_server.execution.warm import imports, state
from uws_server.execution.warm.link import Misbehaved, WarmLink
from uws_server.execution.warm.needs import Needs, obstacle, of_script
from uws_server.jobs.job import Job
from uws_server.storage.library import Installed

LOG = logging.getLogger(__name__)

MOST_BYTES = 1 << 29
"""The most memory that a warm process may use."""
RETRY_S = 600.0
"""Seconds after which an import that spoiled a process is tried again."""
_PAUSE_S = 5.0
"""Seconds between two starts of a warm process that ends at once."""
_MOST_SCRIPTS = 500
_OF_DRIVER: tuple[imports.Import, ...] = (("uws_server.execution.arrays.driver", ()),)
"""What runs the parts of an array, from which their scripts are forked in turn."""


@dataclass
class _Loaded:
    """The process with modules; `wanted` are being loaded."""

    link: WarmLink
    has: set[imports.Import] = field(default_factory=set)
    wanted: tuple[imports.Import, ...] = ()


class WarmStarter(ColdStarter):
    """The starts of the jobs of a server, by one thread at a time."""

    def __init__(self, config: Config, most_bytes: int = MOST_BYTES) -> None:
        self._config, self._most = config, most_bytes
        self._plain: WarmLink | None = None
        self._loaded: _Loaded | None = None
        self._not_before = 0.0
        self._needs: dict[Path, Needs] = {}
        self._spoiled: dict[tuple[imports.Import, ...], tuple[str, float]] = {}

    def start(self, job: Job, installed: Installed, folder: Path, launch: dict[str, Any]) -> local.Handle:
        """Return the supervisor of a job. Raises OSError if it cannot be started."""
        folder = folder.resolve()
        plain = self._ready_plain()
        if plain is None:
            return local.start(folder)
        if launch.get("forks") and (handle := self._driver(installed, folder, plain)):
            return handle
        if _is_plain_python(job, installed, launch):
            handle = self._forked(installed, folder, launch["max_memory"], plain)
            if handle is not None:
                return handle
        return self._from_plain(folder, (), "execute") or local.start(folder)

    def look(self) -> None:
        """Look at the processes: forget those that ended, and end those that hang or use too much memory."""
        if self._plain is not None:
            self._ready(self._plain)
        if self._loaded is not None:
            self._ready(self._loaded.link)
        for link in self._links():
            with contextlib.suppress(OSError):
                if (used := state.memory(link.handle.pid)) > self._most:
                    self._give_up(link, f"it uses {used >> 20} MiB of memory")

    def kept(self) -> list[Kept]:
        """Return the processes that wait for starts; called from any thread."""
        found = []
        for link in self._links():
            with contextlib.suppress(OSError):  # it ended, and nobody has looked since
                found.append(Kept(link.handle.pid, state.memory(link.handle.pid)))
        return found

    def stop(self) -> None:
        """End the processes; what they forked goes on."""
        for link in self._links():
            link.kill()
        self._plain = self._loaded = None

    def _links(self) -> list[WarmLink]:
        plain, loaded = self._plain, self._loaded  # another thread may take them away meanwhile
        links = [] if plain is None else [plain]
        return links if loaded is None else [*links, loaded.link]

    def _ready_plain(self) -> WarmLink | None:
        """The process with nothing but the supervisor, once it is ready; it is started where there is none."""
        if self._plain is None and time.monotonic() >= self._not_before:
            self._not_before = time.monotonic() + _PAUSE_S
            try:
                self._plain = WarmLink.started(staging.common_environment(os.environ, self._config.jobs.environment))
            except OSError as error:
                LOG.warning("no warm process can be started: %s", error)
        return self._plain if self._plain is not None and self._ready(self._plain) else None

    def _forked(self, installed: Installed, folder: Path, max_memory: int, plain: WarmLink) -> local.Handle | None:
        """The supervisor of a job whose script is forked; None for one whose script needs a new interpreter."""
        needs = self._needs_of(installed)
        why = obstacle(installed, needs, max_memory) or self._spoiled_by(needs.imports)
        if why:
            _note(folder, why)
            return None
        if not needs.imports:
            return self._from_plain(folder, needs.own, "fork")
        loaded = self._loaded_with(needs.imports, plain)
        return None if loaded is None else self._from(loaded.link, folder, needs.own, "fork")

    def _driver(self, installed: Installed, folder: Path, plain: WarmLink) -> local.Handle | None:
        """The supervisor of an array whose driver is forked, with what scripts import; None until there is one."""
        needs = self._needs_of(installed)
        wanted = (*_OF_DRIVER, *needs.imports)
        if self._spoiled_by(wanted):  # the driver finds out by itself, and says it
            return None
        loaded = self._loaded_with(wanted, plain)
        return None if loaded is None else self._from(loaded.link, folder, needs.own, "fork")

    def _from_plain(self, folder: Path, own: tuple[str, ...], script: str) -> local.Handle | None:
        return None if self._plain is None else self._from(self._plain, folder, own, script)

    def _from(self, link: WarmLink, folder: Path, own: tuple[str, ...], script: str) -> local.Handle | None:
        """The supervisor that a process has forked; None if it does not."""
        try:
            handle = link.start(folder, own, script)
        except Misbehaved as why:
            self._give_up(link, str(why))
            return None
        if isinstance(handle, str):
            _note(folder, handle)
            return None
        return handle

    def _loaded_with(self, wanted: tuple[imports.Import, ...], plain: WarmLink) -> _Loaded | None:
        """The process that has loaded these modules; None as long as there is none, which then is made."""
        if self._loaded is not None and not self._ready(self._loaded.link):
            return None
        try:
            if self._loaded is None:
                self._loaded = _Loaded(plain.split())
            elif self._loaded.has.issuperset(wanted):
                return self._loaded
        except Misbehaved as why:
            self._give_up(plain, str(why))
            return None
        if self._ready(self._loaded.link):
            self._load(self._loaded, wanted)
        return None

    def _load(self, loaded: _Loaded, wanted: tuple[imports.Import, ...]) -> None:
        loaded.wanted = wanted
        with contextlib.suppress(Misbehaved):  # it is found to have ended when it is looked at
            loaded.link.load(wanted, lambda answer: self._learn(loaded, answer))

    def _learn(self, loaded: _Loaded, answer: dict[str, Any]) -> None:
        """Note what became of an import. Raise Misbehaved for a process that is not to be used any more."""
        wanted, loaded.wanted = loaded.wanted, ()
        used = answer.get("memory", 0)
        why = answer.get("refused", "")
        if used > self._most and not loaded.has:
            why = f"its imports need {used >> 20} MiB of memory, at most {self._most >> 20} MiB are kept loaded"
        if why:
            self._spoiled[wanted] = why, time.monotonic() + RETRY_S
        if why or "memory" not in answer or used > self._most:
            raise Misbehaved(why or "its modules were changed, or use too much memory together")
        loaded.has.update(wanted)

    def _ready(self, link: WarmLink) -> bool:
        """Whether a process is ready; one that misbehaves is given up."""
        try:
            return link.is_ready()
        except Misbehaved as why:
            if self._loaded is not None and self._loaded.link is link and self._loaded.wanted:
                reason = f"its imports did not come to an end: {why}"
                self._spoiled.setdefault(self._loaded.wanted, (reason, time.monotonic() + RETRY_S))
            self._give_up(link, str(why))
            return False

    def _give_up(self, link: WarmLink, why: str) -> None:
        LOG.info("a warm process is ended: %s", why)
        link.kill()
        loaded, self._loaded = self._loaded, None
        if self._plain is link:
            self._plain = None
            if loaded is not None:  # which ends with the one that it was split from
                loaded.link.kill()

    def _spoiled_by(self, wanted: tuple[imports.Import, ...]) -> str:
        why, until = self._spoiled.get(wanted, ("", 0.0))
        if until > time.monotonic():
            return why
        self._spoiled.pop(wanted, None)
        return ""

    def _needs_of(self, installed: Installed) -> Needs:
        """What a script imports, read once: the files of a revision never change."""
        found = self._needs.get(installed.script)
        if found is None:
            if len(self._needs) >= _MOST_SCRIPTS:
                self._needs.clear()
            found = self._needs[installed.script] = of_script(installed)
        return found


def _is_plain_python(job: Job, installed: Installed, launch: dict[str, Any]) -> bool:
    """Whether a job is a Python script by itself: no trial, nothing shut in, nothing fetched before."""
    is_python = installed.definition.entry.type == "python" and installed.definition.control.warm
    return is_python and not job.trial and launch["command"] == staging.command(installed, Path())


def _note(folder: Path, why: str) -> None:
    """Say in the log of a job why its script starts in a new interpreter."""
    line = f"[INFO] the script starts in a new Python: {' '.join(why.split())}\n"
    with contextlib.suppress(OSError), (folder / "job.log").open("a", encoding="utf-8") as log:
        log.write(line)
