"""The job definitions in the database: which are live, what happened to them, who works on which. Imports storage.

Whatever became live last is live, whether it came from the folder of definitions or from the editor; each step is one
transaction together with its row in the history, so that servers which share the database agree. The database is not
asked for what cannot be a name: PostgreSQL fails on a NUL character.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from uws_server.errors import Conflict, NotFound
from uws_server.jobs.checks import name_problem
from uws_server.jobs.formats.draft import WAS_LIVE, Action, Change, Draft, State
from uws_server.jobs.job import utcnow
from uws_server.storage.database import reading
from uws_server.storage.revisions import is_digest
from uws_server.storage.tables import definition_history, definitions, drafts, jobs

FOLDER: Literal["folder"] = "folder"
"""Who makes the changes that the folder of definitions makes."""

Source = Literal["folder", "editor"]
_DRAFT_COLUMNS = [
    drafts.c[name] for name in ("name", "edit", "state", "author", "updated", "based_on", "files", "trial")
]
_DRAFT_COLUMNS += [drafts.c.tried]

_CHANGE_COLUMNS = [definition_history.c[field.name] for field in fields(Change)]


class Live(NamedTuple):
    """A definition that is live or was: its revision, where that came from, and what the folder held when last seen."""

    name: str
    revision: str
    source: Source
    removed: bool
    folder: str


class DefinitionStore:
    """The live definitions, their history and the drafts of a database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._reading = reading(engine)
        self.counting = threading.Lock()
        """Held from when the drafts of an account are counted until a new one counts itself."""

    # --- what is live ----------------------------------------------------------------------------------

    def all(self) -> dict[str, Live]:
        """Return every definition that is live or was, by name."""
        with self._reading.connect() as connection:
            rows = connection.execute(definitions.select()).all()
        return {row.name: Live(row.name, row.revision, row.source, bool(row.removed), row.folder) for row in rows}

    def install(self, name: str, revision: str) -> None:
        """Make live what the folder holds now, unless another server that sees the same folder has done so."""
        changed = definitions.update().where(definitions.c.name == name, definitions.c.folder != revision)
        values = {"revision": revision, "source": FOLDER, "removed": False, "folder": revision}
        try:
            with self._engine.begin() as connection:
                if connection.execute(changed.values(values)).rowcount == 0:
                    if _is_known(connection, name):
                        return
                    connection.execute(definitions.insert().values(name=name, **values))
                _note(connection, name, revision, "install", FOLDER, "")
        except sa.exc.IntegrityError:  # another server installs it for the first time at this moment
            return

    def uninstall(self, name: str) -> None:
        """Note that the folder has no such definition any more; what the editor made live stays so."""
        of_folder = sa.and_(definitions.c.source == FOLDER, definitions.c.removed.is_(False))
        there = definitions.update().where(definitions.c.name == name, definitions.c.folder != "")
        with self._engine.begin() as connection:
            row = connection.execute(definitions.select().where(definitions.c.name == name, of_folder)).one_or_none()
            removed = connection.execute(there.where(of_folder).values(folder="", removed=True)).rowcount
            if row is not None and removed:
                _note(connection, name, row.revision, "remove", FOLDER, "it is no longer in the folder of definitions")
            else:
                connection.execute(there.values(folder=""))

    def restore(self, name: str, revision: str, who: str, why: str) -> None:
        """Make a revision live that was so before."""
        with self._engine.begin() as connection:
            _set_live(connection, name, revision)
            _note(connection, name, revision, "restore", who, why)

    def remove(self, name: str, who: str, why: str) -> None:
        """Take a definition out of use. Raise Conflict if it is not live."""
        live = definitions.update().where(definitions.c.name == name, definitions.c.removed.is_(False))
        with self._engine.begin() as connection:
            revision = connection.execute(sa.select(definitions.c.revision).where(definitions.c.name == name)).scalar()
            if connection.execute(live.values(removed=True)).rowcount != 1:
                raise Conflict(f"{name!r} is not live any more")
            _note(connection, name, str(revision), "remove", who, why)

    def history(self, name: str) -> Sequence[Change]:
        """Return what happened to a definition, the newest change first."""
        if name_problem(name):
            return []
        query = sa.select(*_CHANGE_COLUMNS).where(definition_history.c.name == name)
        with self._reading.connect() as connection:
            rows = connection.execute(query.order_by(definition_history.c.number.desc())).all()
        return [Change(*row) for row in rows]

    def was_live(self, name: str, revision: str) -> bool:
        """Check whether a definition was live with that revision, now or at any time."""
        if name_problem(name) or not is_digest(revision):
            return False
        query = sa.select(definition_history.c.number).where(
            definition_history.c.name == name,
            definition_history.c.revision == revision,
            definition_history.c.action.in_(sorted(WAS_LIVE)),
        )
        with self._reading.connect() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def was_live_at(self, name: str, revision: str, moment: datetime) -> bool:
        """Check whether a definition was live with that revision at a moment."""
        if name_problem(name) or not is_digest(revision):
            return False
        ends = (*sorted(WAS_LIVE), "remove")
        query = sa.select(definition_history.c.revision, definition_history.c.action).where(
            definition_history.c.name == name,
            definition_history.c.action.in_(ends),
            definition_history.c.made <= moment,
        )
        with self._reading.connect() as connection:
            row = connection.execute(query.order_by(definition_history.c.number.desc()).limit(1)).first()
        return row is not None and row.action != "remove" and bool(row.revision == revision)

    def unused(self, revisions: Collection[str]) -> set[str]:
        """Return those of some revisions that no definition, draft, trial or row of the history refers to."""
        left = set(revisions)
        trials = sa.select(jobs.c.revision).where(jobs.c.trial.is_(sa.true()))  # what was live is in the history
        places = (definitions.c.revision, definitions.c.folder, definition_history.c.revision, drafts.c.based_on)
        with self._reading.connect() as connection:
            for query in (*(sa.select(place) for place in places), trials):  # the longest last, if at all
                if left:
                    left.difference_update(connection.execute(query.distinct()).scalars())
        return left

    # --- drafts ----------------------------------------------------------------------------------------

    def drafts(self) -> Sequence[Draft]:
        """Return every draft, by name."""
        with self._reading.connect() as connection:
            return [_draft(row) for row in connection.execute(sa.select(*_DRAFT_COLUMNS).order_by(drafts.c.name))]

    def count(self, author: str) -> int:
        """Return how many drafts an account began that are still there."""
        query = sa.select(sa.func.count()).select_from(drafts).where(drafts.c.author == author)
        with self._reading.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def draft(self, name: str) -> Draft:
        """Return the draft of that name. Raise NotFound if there is none."""
        row = None
        if not name_problem(name):
            with self._reading.connect() as connection:
                row = connection.execute(sa.select(*_DRAFT_COLUMNS).where(drafts.c.name == name)).one_or_none()
        if row is None:
            raise NotFound(f"there is no draft {name[:64]!r}")
        return _draft(row)

    def create(self, draft: Draft) -> None:
        """Store a new draft. Raise Conflict if there is one of its name.

        Its edits are counted on from those of the last draft of the name, so that a page which still shows that draft
        is never taken for a page of this one.
        """
        row = {
            "name": draft.name,
            "edit": draft.edit,
            "state": draft.state,
            "author": draft.author,
            "updated": draft.updated,
            "based_on": draft.based_on,
            "files": json.dumps(dict(draft.files)),
        }
        try:
            with self._engine.begin() as connection:
                last = sa.select(sa.func.max(definition_history.c.edit)).where(definition_history.c.name == draft.name)
                row["edit"] = draft.edit + (connection.execute(last).scalar() or 0)
                connection.execute(drafts.insert().values(row))
                _note(connection, draft.name, draft.based_on, "create", draft.author, "")
        except sa.exc.IntegrityError as error:
            raise Conflict(f"there is a draft {draft.name!r} already: open that one") from error

    def save(self, name: str, edit: int, files: Mapping[str, str], updated: datetime) -> bool:
        """Replace the files of a draft that still is at `edit` and not requested; return whether it was."""
        unchanged = drafts.update().where(drafts.c.name == name, drafts.c.edit == edit, drafts.c.state == "draft")
        values = {"edit": edit + 1, "files": json.dumps(dict(files)), "updated": updated}
        with self._engine.begin() as connection:
            return connection.execute(unchanged.values(values)).rowcount == 1

    def tried(self, draft: Draft, job_id: str) -> None:
        """Note the job that tries a draft as it was read."""
        with self._engine.begin() as connection:
            connection.execute(_as_read(drafts.update(), draft).values(trial=job_id, tried=draft.edit))

    def step(self, draft: Draft, after: State, action: Action, revision: str, who: str, why: str) -> bool:
        """Change the state of a draft if it is still as it was read; return whether it was."""
        with self._engine.begin() as connection:
            if connection.execute(_as_read(drafts.update(), draft).values(state=after)).rowcount != 1:
                return False
            _note(connection, draft.name, revision, action, who, why)
            return True

    def accept(self, draft: Draft, revision: str, who: str, why: str) -> bool:
        """Make a draft live if it is still as it was read, and delete the draft; return whether it was."""
        with self._engine.begin() as connection:
            if connection.execute(_as_read(drafts.delete(), draft)).rowcount != 1:
                return False
            _set_live(connection, draft.name, revision)
            _note(connection, draft.name, revision, "accept", who, why, draft.edit)
            return True

    def hold(self, draft: Draft, revision: str, updated: datetime) -> bool:
        """Have a draft refer to the revision with its further files if it is still as it was read; return whether."""
        values = {"based_on": revision, "edit": draft.edit + 1, "updated": updated}
        with self._engine.begin() as connection:
            return connection.execute(_as_read(drafts.update(), draft).values(values)).rowcount == 1

    def discard(self, draft: Draft, who: str, revision: str) -> bool:
        """Delete a draft, begun from a live revision or '', if it is still as it was read; return whether it was."""
        with self._engine.begin() as connection:
            if connection.execute(_as_read(drafts.delete(), draft)).rowcount != 1:
                return False
            _note(connection, draft.name, revision, "discard", who, "", draft.edit)
            return True


def _as_read(statement: Any, draft: Draft) -> Any:
    same = (drafts.c.edit == draft.edit, drafts.c.state == draft.state, drafts.c.updated == draft.updated)
    return statement.where(drafts.c.name == draft.name, *same)


def _draft(row: sa.Row[Any]) -> Draft:
    trial = row.trial if row.tried == row.edit else None
    files = json.loads(row.files)
    return Draft(row.name, row.edit, row.state, row.author, row.updated, row.based_on, files, trial)


def _is_known(connection: sa.Connection, name: str) -> bool:
    return connection.execute(sa.select(definitions.c.name).where(definitions.c.name == name)).first() is not None


def _set_live(connection: sa.Connection, name: str, revision: str) -> None:
    values = {"revision": revision, "source": "editor", "removed": False}
    if connection.execute(definitions.update().where(definitions.c.name == name).values(values)).rowcount == 0:
        connection.execute(definitions.insert().values(name=name, **values))


def _note(
    connection: sa.Connection, name: str, revision: str, action: Action, who: str, why: str, edit: int = 0
) -> None:
    """Add a row to the history; `edit` is that of a draft that ends."""
    row = {"name": name, "revision": revision, "action": action, "who": who, "made": utcnow(), "why": why, "edit": edit}
    connection.execute(definition_history.insert().values(row))
