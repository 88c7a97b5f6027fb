"""The life of a job definition: written, tried, proposed, made live by an admin, removed. Imports the job service.

The use cases of one caller, without HTTP. A draft waits in the database; what is tried or proposed is kept with the
revisions, and every change of what is live is recorded with who made it, when and why. Jobs keep the revision that they
were made with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Protocol

from uws_server.errors import BadRequest, Conflict, DefinitionError, Forbidden, NotFound, Problem
from uws_server.jobs import checks
from uws_server.jobs.definition import Definition
from uws_server.jobs.formats.draft import (
    DEFINITION_FILE,
    MOST_BYTES,
    README_FILE,
    Action,
    Change,
    Draft,
    State,
    cleaned,
    definition_of,
)
from uws_server.jobs.job import Job, utcnow
from uws_server.services import further_files, job_service, parameters, trials
from uws_server.services.definition_check import DefinitionCheck
from uws_server.services.job_service import JobService
from uws_server.services.rights import Caller
from uws_server.storage import scripts
from uws_server.storage.library import Installed
from uws_server.storage.revisions import Revisions, digest_of

__all__ = ["MOST_BYTES", "Change", "Draft", "Drafts", "Edited"]

_LONGEST_WHY = 2000
MOST_DRAFTS = 100
"""Drafts that one account may have: the list of definitions reads all of them."""


class Edited(Conflict):
    """Raised if somebody else saved the draft meanwhile: `current` is the draft as it is now; no version is lost."""

    def __init__(self, current: Draft) -> None:
        self.current = current
        super().__init__(
            f"the draft {current.name!r} was saved by somebody else at {current.updated:%Y-%m-%d %H:%M:%S} UTC: "
            "look at what changed, take over what you want to keep, and save again"
        )


class Needs(job_service.Needs, Protocol):
    """The parts of a server that the work on definitions uses, and that a trial needs to run."""

    revisions: Revisions
    definition_check: DefinitionCheck


class Drafts:
    """What one caller can do with job definitions."""

    def __init__(self, needs: Needs, caller: Caller) -> None:
        self.caller = caller
        self._needs = needs
        self._rights, self._library = needs.rights, needs.library
        self._revisions, self._store = needs.revisions, needs.definitions

    @property
    def may_draft(self) -> bool:
        """Whether the caller may write definitions."""
        return self._rights.may_draft(self.caller)

    @property
    def may_validate(self) -> bool:
        """Whether the caller may make them live, and take them out of use."""
        return self._rights.may_validate(self.caller)

    def require_author(self) -> None:
        """Raise Forbidden or Unauthorized if the caller may not write definitions."""
        self._rights.require_draft(self.caller)

    def require_admin(self) -> None:
        """Raise Forbidden or Unauthorized if the caller may not make definitions live."""
        self._rights.require_validate(self.caller)

    # --- writing ---------------------------------------------------------------------------------------

    def all(self) -> Sequence[Draft]:
        """Return every draft, by name."""
        self.require_author()
        return self._store.drafts()

    def get(self, name: str) -> Draft:
        """Return the draft of that name. Raise NotFound if there is none."""
        self.require_author()
        return self._store.draft(name)

    def create(self, files: Mapping[str, str]) -> Draft:
        """Begin a draft, which may be incomplete, and return it. Raise Conflict if there is one of its name."""
        self.require_author()
        return self._begin(cleaned(files), "")

    def edit_live(self, name: str) -> Draft:
        """Begin a draft of a live definition and return it. Raise Conflict if there is one already."""
        self.require_author()
        live = self._library.get(name)
        return self._begin(cleaned(self._texts_of(live)), live.revision)

    def save(self, name: str, edit: int, files: Mapping[str, str]) -> Draft:
        """Save a draft that was opened at `edit` and return it. Raise Edited if somebody else saved it meanwhile."""
        self.require_author()
        draft, content = self._store.draft(name), cleaned(files)
        if definition_of(content).name != name:
            raise DefinitionError.of(
                DEFINITION_FILE, [Problem("name", f"this draft is of {name!r}; begin another for another name")]
            )
        if draft.state == "draft" and draft.edit == edit and draft.files == content:
            return draft
        saved = self._store.save(name, edit, content, utcnow())
        current = self._store.draft(name)
        if not saved and current.state == "requested":
            raise Conflict(f"the draft {name!r} waits for an admin: withdraw the request to change it")
        if not saved:
            raise Edited(current)
        return current

    def discard(self, name: str) -> None:
        """Remove a draft. Raise Forbidden unless the caller began it or is an admin."""
        draft = self.get(name)
        if self.caller.name != draft.author and not self.caller.is_admin:
            raise Forbidden(f"the draft {name!r} was begun by {draft.author}, who can discard it; admins can, too")
        self._require_state(draft, "draft", "withdraw the request first")
        if not self._store.discard(draft, self._who, draft.based_on if self.is_of_live(draft) else ""):
            raise Edited(self._store.draft(name))

    def further(self, draft: Draft) -> Mapping[str, bytes]:
        """Return the files of a draft beside job.json, the script and the README, by name."""
        if not draft.based_on:
            return {}
        texts = {*draft.files, README_FILE}
        return {name: content for name, content in self._further(draft).items() if name not in texts}

    def is_of_live(self, draft: Draft) -> bool:
        """Return whether a draft was begun from a live definition and has its further files."""
        return bool(draft.based_on) and self._store.was_live(draft.name, draft.based_on)

    def add_file(self, name: str, edit: int, file: str, content: bytes) -> Draft:
        """Put a further file into a draft at `edit`, in place of one of its name, and return the draft.

        Raise BadRequest for a name or a size that is not allowed, Edited if somebody else saved the draft meanwhile.
        """
        draft = self.get(name)
        files = self._further(draft)
        further_files.require_name(file, draft.definition.entry.script)
        further_files.require_room(files, file, len(content))
        return self._hold(draft, edit, files | {file: content})

    def remove_file(self, name: str, edit: int, file: str) -> Draft:
        """Remove a further file from a draft at `edit` and return the draft. Raise NotFound if there is none."""
        draft = self.get(name)
        files = self._further(draft)
        if file not in files:
            raise NotFound(f"the draft {name!r} has no file {file[:80]!r}")
        return self._hold(draft, edit, {other: content for other, content in files.items() if other != file})

    def problems(self, files: Mapping[str, str]) -> tuple[Problem, ...]:
        """Return all that keeps files from becoming a live definition, each with its place, such as script:12."""
        self.require_author()
        try:
            content = cleaned(files)
        except DefinitionError as error:
            return error.problems
        return (*self._mistakes(content), *self._same_version(content))

    def try_out(self, name: str) -> Job:
        """Run a draft with its test values and return the job, which only its owner and admins see."""
        draft = self.get(name)
        trials.require_possible(self._needs.config)
        _require_none(self._mistakes(draft.files))
        installed = self._library.revision(self._keep(draft))
        request = trials.request_of(installed.definition, installed.folder, self._needs.files.spool)
        try:
            job = JobService(self._needs, self.caller).try_out(installed, request)
        finally:
            parameters.discard(request.uploads)
        self._store.tried(draft, job.id)
        return job

    # --- becoming live ---------------------------------------------------------------------------------

    def request(self, name: str, why: str) -> Draft:
        """Ask the admins to make a draft live, and return it. Raise DefinitionError if it has a problem."""
        draft = self.get(name)
        self._require_state(draft, "draft", "its author can withdraw it")
        return self._step(draft, self._validated(draft), "request", why)

    def withdraw(self, name: str) -> Draft:
        """Take the request for validation back and return the draft, which can be changed again."""
        draft = self.get(name)
        self._require_state(draft, "requested", "there is nothing to withdraw")
        return self._step(draft, digest_of(self._files(draft)), "withdraw", "")

    def accept(self, name: str, why: str, edit: int | None = None) -> Installed:
        """Make a draft live for which validation was requested, remove the draft and return the definition.

        Raise Edited if the draft is not at `edit` any more, where that is given.
        """
        self.require_admin()
        draft = self._store.draft(name)
        if edit not in (None, draft.edit):
            raise Edited(draft)
        self._require_state(draft, "requested", "its author must request validation first")
        reason, revision = _reason(why), self._validated(draft)
        if not self._store.accept(draft, revision, self._who, reason):
            raise Edited(self._store.draft(name))
        self._library.look_now()
        return self._library.get(name)

    def refuse(self, name: str, why: str) -> Draft:
        """Give a draft back to its author, with the reason, and return it."""
        self.require_admin()
        draft = self._store.draft(name)
        self._require_state(draft, "requested", "there is nothing to refuse")
        return self._step(draft, digest_of(self._files(draft)), "refuse", _required(why))

    def remove(self, name: str, why: str) -> None:
        """Take a definition out of use: its history and its jobs stay."""
        self.require_admin()
        self._library.get(name)
        self._store.remove(name, self._who, _required(why))
        self._library.look_now()

    def restore(self, name: str, revision: str, why: str) -> Installed:
        """Make a revision live again that was live before, and return it. Raise NotFound if it never was."""
        self.require_admin()
        if not self._store.was_live(name, revision):
            raise NotFound(f"{name[:64]!r} was never live with the revision {revision[:64]!r}")
        live = self._library.by_name().get(name)
        if live is not None and live.revision == revision:
            raise Conflict(f"this revision of {name!r} is live already")
        _require_none(self._unsound(self._library.revision(revision).definition))
        self._store.restore(name, revision, self._who, _required(why))
        self._library.look_now()
        return self._library.get(name)

    # --- looking back ----------------------------------------------------------------------------------

    def history(self, name: str) -> Sequence[Change]:
        """Return what happened to a definition, the newest change first."""
        self.require_author()
        return self._store.history(name)

    def files_of(self, revision: str) -> Mapping[str, str]:
        """Return the files of a revision as texts; for a file that is no text, a line that says what it is."""
        self.require_author()
        return {name: _as_text(content) for name, content in sorted(self._revisions.files(revision).items())}

    # --- parts -----------------------------------------------------------------------------------------

    @property
    def _who(self) -> str:
        return self.caller.name or ""

    def _begin(self, files: Mapping[str, str], based_on: str) -> Draft:
        name = definition_of(files).name
        if problem := checks.name_problem(name):
            raise DefinitionError.of(DEFINITION_FILE, [Problem("name", problem)])
        with self._store.counting:
            if self._store.count(self._who) >= MOST_DRAFTS:
                raise Forbidden(f"you have {MOST_DRAFTS} drafts, as many as are allowed: discard some")
            self._store.create(Draft(name, 1, "draft", self._who, utcnow(), based_on, files))
        return self._store.draft(name)

    def _step(self, draft: Draft, revision: str, action: Action, why: str) -> Draft:
        reason = _reason(why)
        after: State = "requested" if action == "request" else "draft"
        if not self._store.step(draft, after, action, revision, self._who, reason):
            raise Edited(self._store.draft(draft.name))
        return self._store.draft(draft.name)

    def _require_state(self, draft: Draft, state: str, hint: str) -> None:
        if draft.state != state:
            now = "waits for an admin already" if draft.state == "requested" else "has not been asked for"
            raise Conflict(f"the draft {draft.name!r} {now}: {hint}")

    def _validated(self, draft: Draft) -> str:
        """Keep the files of a draft and return their digest. Raise DefinitionError if they may not become live."""
        live = self._library.by_name().get(draft.name)
        if live is not None and live.revision == digest_of(self._files(draft)):
            raise Conflict(f"nothing in the draft {draft.name!r} differs from what is live")
        _require_none([*self._mistakes(draft.files), *_version_taken(live, draft.definition), *self._no_gather(draft)])
        return self._keep(draft)

    def _no_gather(self, draft: Draft) -> Sequence[Problem]:
        """Return what is wrong with the further file that gathers the parts of a job."""
        name = draft.definition.gather
        content = self._further(draft).get(name)
        if not name or content is not None:
            return scripts.problems(draft.definition.scripts[name], content) if content else ()
        return [Problem("gather", f"{name[:80]!r} is missing; add it below Further files")]

    def _mistakes(self, files: Mapping[str, str]) -> Sequence[Problem]:
        """Return what is wrong with files by themselves."""
        definition = definition_of(files)
        found = self._unsound(definition)
        script = files.get(definition.entry.script, "")
        if not script.strip():
            return [*found, Problem("script", f"{definition.entry.script[:80]!r} is missing, or empty")]
        return [*found, *scripts.problems(definition.entry.type, script.encode())]

    def _unsound(self, definition: Definition) -> Sequence[Problem]:
        """Return what is wrong with a definition, and with the defaults and test values that do not fit."""
        try:
            self._needs.definition_check.require_sound(definition)
        except DefinitionError as error:
            return error.problems
        return ()

    def _same_version(self, files: Mapping[str, str]) -> list[Problem]:
        """Return the problem of a version name that is live with other content: two versions must not share a name."""
        definition = definition_of(files)
        live = self._library.by_name().get(definition.name)
        return [] if live is None or self._texts_of(live) == dict(files) else _version_taken(live, definition)

    def _texts_of(self, installed: Installed) -> dict[str, str]:
        """Return the files of a definition that an editor shows."""
        names = (DEFINITION_FILE, installed.definition.entry.script, README_FILE)
        found = {name: installed.folder / name for name in names}
        texts = {name: path.read_bytes().decode(errors="replace") for name, path in found.items() if path.is_file()}
        return {name: text for name, text in texts.items() if name != README_FILE or text.strip()}

    def _files(self, draft: Draft) -> dict[str, bytes]:
        """Return all files of a draft: its texts, and its further files."""
        return self._further(draft) | {name: text.encode() for name, text in draft.files.items()}

    def _further(self, draft: Draft) -> dict[str, bytes]:
        return further_files.of(self._revisions.files(draft.based_on)) if draft.based_on else {}

    def _hold(self, draft: Draft, edit: int, files: Mapping[str, bytes]) -> Draft:
        """Keep further files and have a draft at `edit` refer to them."""
        self._require_state(draft, "draft", "withdraw the request first")
        held = self._revisions.keep(files) if files else ""
        if draft.edit != edit or not self._store.hold(draft, held, utcnow()):
            raise Edited(self._store.draft(draft.name))
        return self._store.draft(draft.name)

    def _keep(self, draft: Draft) -> str:
        return self._revisions.keep(self._files(draft))


def _version_taken(live: Installed | None, definition: Definition) -> list[Problem]:
    """Return the problem of a version that other content has, which is live."""
    if live is None or live.definition.version != definition.version:
        return []
    came = definition.version[:64]
    return [Problem("version", f"{came!r} is live with other content: give this one another, such as {came}.1")]


def _require_none(problems: Sequence[Problem]) -> None:
    if problems:
        raise DefinitionError("\n".join(map(str, problems)), problems)


def _reason(why: str) -> str:
    text = " ".join(why.split())
    if len(text) > _LONGEST_WHY or not text.isprintable():
        raise BadRequest(f"the reason: printable text of at most {_LONGEST_WHY:,} characters is allowed")
    return text


def _required(why: str) -> str:
    reason = _reason(why)
    if not reason:
        raise BadRequest("the reason: say why, for those who look at the history")
    return reason


def _as_text(content: bytes) -> str:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" not in text:
        return text
    return f"no text: {len(content):,} bytes with the SHA-256 {hashlib.sha256(content).hexdigest()}\n"
