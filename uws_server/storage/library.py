"""The job definitions that are live: those of the folder of definitions and of the editor. Imports storage and jobs.

The folder holds one folder for each, with job.json, the script and a README. It is read when the server starts, and
again when it is used, once a second at most; so is the database, in which other servers and the editor make definitions
live. What became live last is live: a change in the folder replaces the editor's version, and the other way round. A
broken definition is reported and left out, its last good version stays live, and the others go on.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from uws_server.errors import ConfigurationError, DefinitionError, NotFound, Problem
from uws_server.jobs import checks
from uws_server.jobs.definition import Definition
from uws_server.jobs.formats import native
from uws_server.jobs.formats.draft import DEFINITION_FILE, README_FILE
from uws_server.jobs.job import Job
from uws_server.storage.definitions import FOLDER, DefinitionStore, Live, Source
from uws_server.storage.outages import Outage
from uws_server.storage.revisions import Revisions, digest_of, plain_files, read_files
from uws_server.storage.scripts import ScriptCheck

LOG = logging.getLogger(__name__)
_EVERY_S = 1.0
"""How often the folder and the database are looked at."""
_QUIET_S = 0.3
"""How long a folder must be left alone before its change is read: an editor writes one file after the other."""
_MOMENT_S = 0.02
"""How long before the next look nothing is promised any more."""
_SIGNS = re.compile(r"job\.json|run\.(py|sh)", re.IGNORECASE)
"""Files by which a folder looks like that of a definition."""
_MOST_REMEMBERED = 500

Signature = Sequence[tuple[str, int, int]]
"""Name, time of change (ns) and size of each file of a definition: whether it changed, without reading it."""


@dataclass(frozen=True)
class Installed:
    """A definition, the folder of its files, the digest of these, and whether the folder or the editor made it live."""

    definition: Definition
    folder: Path
    revision: str = ""
    source: Source = FOLDER

    @property
    def script(self) -> Path:
        """The script that runs a job of this definition."""
        return self.folder / self.definition.entry.script

    def readme(self) -> str:
        """Return the documentation for the scientist, as Markdown; empty if there is none."""
        path = self.folder / README_FILE
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


@dataclass(frozen=True)
class _Seen:
    """What was found in the folder of one definition: the digest of its files and the definition, or what is wrong.

    A folder is `astray` if it looks like that of a definition and holds none.
    """

    signature: Signature
    digest: str = ""
    definition: Definition | None = None
    problem: str = ""
    astray: bool = False


@dataclass(frozen=True)
class _State:
    """What is known at one moment; replaced as a whole, so that no reader needs a lock."""

    rows: Mapping[str, Live] = field(default_factory=dict)
    seen: Mapping[str, _Seen] = field(default_factory=dict)
    installed: Mapping[str, Installed] = field(default_factory=dict)
    unusable: Mapping[str, str] = field(default_factory=dict)


class Library:
    """All usable definitions of a server."""

    def __init__(
        self,
        folder: Path,
        check: Callable[[Definition], None],
        revisions: Revisions,
        store: DefinitionStore,
        builtin: Sequence[Installed] = (),
    ) -> None:
        """Read a folder; `builtin` are definitions that every server has, which no list of definitions names."""
        if not folder.is_dir():
            raise ConfigurationError(f"definitions = '{folder}': there is no such folder")
        self._folder, self._check = folder.absolute(), check
        self._revisions, self._store = revisions, store
        self._builtin = {each.definition.name: each for each in builtin}
        self._turn = threading.Lock()
        self._outage = Outage(LOG, "reading the job definitions, of which those known so far stay,")
        self._remembered: dict[str, Installed] = {}
        self._state = _State()
        self._begin()
        self._due = time.monotonic() + _EVERY_S

    # --- use -------------------------------------------------------------------------------------------

    def get(self, name: str) -> Installed:
        """Return the live definition of that name. Raise NotFound, which names those there are, if there is none."""
        if name in self._builtin:
            return self._builtin[name]
        self.look()
        installed = self._state.installed
        try:
            return installed[name]
        except KeyError:
            known = ", ".join(installed) or "none"
            raise NotFound(f"no job definition {name[:80]!r}; there are {known}") from None

    def of(self, job: Job) -> Installed:
        """Return the definition that a job was made with, as it was then. Raise NotFound if its files are gone."""
        if not job.revision:  # made before revisions were kept
            return self.get(job.definition)
        return self.revision(job.revision)

    def revision(self, digest: str) -> Installed:
        """Return the definition with the files of that digest, live or not. Raise NotFound if they are not kept."""
        found = self._remembered.get(digest)
        if found is None:
            place = self._revisions.path(digest)
            text = (place / DEFINITION_FILE).read_text(encoding="utf-8")
            # it was sound when it was kept, by the rules of then
            found = Installed(native.read_unchecked(text, DEFINITION_FILE), place, digest, "editor")
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[digest] = found
        return found

    def __iter__(self) -> Iterator[Installed]:
        return iter(self.by_name().values())

    def by_name(self) -> Mapping[str, Installed]:
        """Return all live definitions by name."""
        self.look()
        return self._state.installed

    @property
    def problems(self) -> Mapping[str, str]:
        """What is wrong with definitions that are broken, by name: file, place and reason."""
        self.look()
        broken = {name: seen.problem for name, seen in self._state.seen.items() if seen.problem}
        return broken | dict(self._state.unusable)

    # --- looking ---------------------------------------------------------------------------------------

    def look(self) -> None:
        """Read what changed in the folder and in the database, once a second; return at once if another thread does."""
        if time.monotonic() < self._due or not self._turn.acquire(blocking=False):
            return
        try:
            self._due = time.monotonic() + _EVERY_S
            self._look()
            self._outage.over()
        except (OSError, sa.exc.SQLAlchemyError) as error:
            self._due = time.monotonic() + self._outage.failed(error)
        finally:
            self._turn.release()

    def is_fresh(self) -> bool:
        """Check whether who asks for a definition now, or a moment later, has nothing read first."""
        return time.monotonic() + _MOMENT_S < self._due

    def look_now(self) -> None:
        """Read now what changed, such as what this server has just made live."""
        with self._turn:
            self._look()

    def _begin(self) -> None:
        """Read everything for the first time; definitions whose folder has gone since the last run are removed."""
        rows, seen = self._store.all(), self._scan({})
        for name, row in rows.items():
            if row.folder and name not in _present(seen):
                self._store.uninstall(name)
        for name, found in seen.items():
            if found.digest and (name not in rows or rows[name].folder != found.digest):
                self._store.install(name, found.digest)
        self._publish(seen)

    def _look(self) -> None:
        before, seen = self._state.seen, self._scan(self._state.seen)
        for name in _present(before) - _present(seen):
            LOG.warning("the job definition %s is no longer in the folder", name)
            self._store.uninstall(name)
        for name, found in seen.items():
            if found.digest and found.digest != self._digest_before(name):
                LOG.warning("the job definition %s was changed in the folder, and is live so", name)
                self._store.install(name, found.digest)
        self._publish(seen)

    def _digest_before(self, name: str) -> str:
        """Return the digest that this server last read of a definition; '' for none. A broken one does not count."""
        seen = self._state.seen.get(name)
        if seen is not None and seen.digest:
            return seen.digest
        row = self._state.rows.get(name)
        return "" if row is None else row.folder

    def _scan(self, before: Mapping[str, _Seen]) -> dict[str, _Seen]:
        """Return what is in the folder; only what changed is read."""
        seen = {}
        with ScriptCheck() as scripts:
            for place in sorted(self._folder.iterdir()):
                name = place.name.encode(errors="replace").decode()  # a name that is not UTF-8 can be shown, too
                if name.startswith("."):
                    continue
                if _is_definition(place):
                    seen[name] = self._seen(name, place, before.get(name), bool(before), scripts)
                elif sign := _sign_of_definition(place):
                    seen[name] = _Seen((), problem=f"{name}: there is {sign}, but no {DEFINITION_FILE}", astray=True)
        return seen

    def _seen(self, name: str, place: Path, before: _Seen | None, patient: bool, scripts: ScriptCheck) -> _Seen:
        signature: Signature = ()
        try:
            signature = _signature(place)
            if before is not None and before.signature == signature:
                return before
            if patient and _is_fresh(signature):
                self._due = time.monotonic() + _QUIET_S
                return before or _Seen(())
            return _Seen(signature, *self._read(name, place, scripts))
        except DefinitionError as error:
            problem = str(error)
        except OSError as error:  # such as a full disk: to be tried again
            signature, problem = (), f"{name}: {error.strerror}"
        if before is None or before.problem != problem:
            LOG.error("job definition left out: %s", problem)
        return _Seen(signature, problem=problem)

    def _read(self, name: str, place: Path, scripts: ScriptCheck) -> tuple[str, Definition]:
        """Read, check and keep the files of a definition; return their digest and the definition."""
        files = read_files(place)
        definition = load(name, files, self._check)
        if not self._revisions.has(digest_of(files)):  # else its script was looked at when it was kept
            for script, kind in definition.scripts.items():
                if found := scripts.problems(kind, files[script]):
                    raise DefinitionError.of(f"{name}/{script}", found)
        return self._revisions.keep(files), definition

    def _publish(self, seen: Mapping[str, _Seen]) -> None:
        """Publish what is live by now to every reader."""
        rows = self._store.all()
        installed, unusable = {}, {}
        for name, row in sorted(rows.items()):
            if row.removed:
                continue
            known = self._state.installed.get(name)
            if known is not None and (known.revision, known.source) == (row.revision, row.source):
                installed[name] = known
                continue
            try:
                installed[name] = self._open(row, seen.get(name))
            except (DefinitionError, NotFound, OSError) as error:
                unusable[name] = str(error)
                if self._state.unusable.get(name) != str(error):
                    LOG.error("the live revision of %s cannot be used: %s", name, error)
        self._state = _State(rows, seen, installed, unusable)

    def _open(self, row: Live, seen: _Seen | None) -> Installed:
        place = self._revisions.path(row.revision)
        if seen is not None and seen.definition is not None and seen.digest == row.revision:
            return Installed(seen.definition, place, row.revision, row.source)  # checked a moment ago
        text = (place / DEFINITION_FILE).read_text(encoding="utf-8")
        definition = native.read(text, f"{row.name}/{DEFINITION_FILE}")
        self._check(definition)
        return Installed(definition, place, row.revision, row.source)


def load(name: str, files: Mapping[str, bytes], check: Callable[[Definition], None]) -> Definition:
    """Return the definition in files, of which the script must be one; its name must be `name`.

    Raise DefinitionError with every problem and its line.
    """
    where = f"{name}/{DEFINITION_FILE}"
    try:
        text = files[DEFINITION_FILE].decode("utf-8")
    except (KeyError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{where}: cannot be read: {error}") from error
    definition, problems = native.read_unchecked(text, where), list[Problem]()
    try:
        check(definition)
    except DefinitionError as error:
        problems += error.problems
    if definition.name != name and not checks.name_problem(definition.name):
        problems.append(Problem("name", f"{definition.name!r} is not the name of its folder, {name!r}"))
    if definition.entry.script not in files:
        problems.append(Problem("entry.script", f"there is no {definition.entry.script[:80]!r} beside it"))
    if definition.gather and definition.gather not in files:
        problems.append(Problem("gather", f"there is no {definition.gather[:80]!r} beside it"))
    if problems:
        raise native.refused(text, where, problems)
    return definition


def _is_definition(place: Path) -> bool:
    try:
        return (place / DEFINITION_FILE).is_file()
    except OSError:  # it may not be read: to be reported, not to be passed over
        return True


def _sign_of_definition(place: Path) -> str:
    """Return the file by which a folder without a definition looks like that of one; '' if it does not."""
    try:
        names = sorted(path.name for path in place.iterdir())
    except OSError:  # no folder, or one that may not be listed, or is gone by now
        return ""
    return next((name for name in names if _SIGNS.fullmatch(name)), "")


def _present(seen: Mapping[str, _Seen]) -> set[str]:
    return {name for name, found in seen.items() if not found.astray}


def _signature(place: Path) -> Signature:
    about = place.stat()
    return [("", about.st_mtime_ns, 0), *((name, at.st_mtime_ns, at.st_size) for name, at in plain_files(place))]


def _is_fresh(signature: Signature) -> bool:
    """Check whether something was written a moment ago; times in the future, of another clock, do not count."""
    now = time.time_ns()
    return any(0 <= now - changed < _QUIET_S * 1e9 for _, changed, _ in signature)
