"""The editor of a job definition: displayed, changed step by step, saved, tried, submitted. Imports the use cases.

Every button of the page sends the whole form: what was typed comes back whatever the answer is. The page's script sends
the same form and puts the answer in its place; without it the browser does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import cast

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest, Conflict, NotFound, Problem, problems_of
from uws_server.incoming import forms
from uws_server.incoming.forms import Form
from uws_server.jobs.formats import Package, detect
from uws_server.jobs.formats.content import MOST_BYTES
from uws_server.jobs.formats.draft import Draft
from uws_server.services import further_files
from uws_server.services.drafts import Edited
from uws_server.services.parameters import Upload
from uws_server.web.definitions import sheet, sheetreader, trial
from uws_server.web.definitions.draftpage import DraftPage
from uws_server.web.definitions.editorstate import EditorState, form_of, of_draft, read_base, take_step
from uws_server.web.definitions.sheet import Rows
from uws_server.web.shared import boxes, differences, documentation

NEW = "_new"
"""The name in the address of a definition that has none yet; no name begins so."""

CONFIRMATIONS = {
    "saved": "Saved.",
    "created": "The draft is saved.",
    "begun": "This draft begins with what is live, which stays as it is meanwhile.",
    "tried": "The trial job runs the draft as it is saved.",
    "requested": "Validation is requested: the draft waits for an admin and cannot be changed meanwhile.",
    "withdrawn": "Withdrawn: the draft can be changed again.",
    "refused": "Refused: the draft can be changed again.",
    "theirs": "This is the draft as it was last saved.",
    "added": "The draft is saved with the file.",
    "removed": "The file is removed, and the draft saved.",
}
"""The confirmation that the page shows after a button did its work."""
_STEP = re.compile(r"(parameters|results)\.(add|up|down|remove)(?:\.([0-9]{1,5}|[a-z_]{1,20}))?")
_KEPT = {"save": "Not saved", "try": "Not tried", "request": "Not requested", "file": "Not done"}
_FILE_STEP = re.compile(r"file\.(?:add|remove\.(.+))", re.DOTALL)
_HANDED_ON = frozenset({"withdraw", "discard", "accept", "refuse"})


class Editor(DraftPage):
    """The editor over one set of services."""

    def new(self) -> HTTPResponse:
        """GET the editor with nothing in it."""
        self.require_author()
        return self._show(EditorState(sheet.blank()))

    def page(self, name: str) -> HTTPResponse:
        """GET the editor of a draft; of a live definition without one, the offer to begin it."""
        self.require_author()
        try:
            draft = self.drafts.get(name)
        except NotFound:
            live = self.job_service.definitions.by_name().get(name)
            if live is None:
                raise
            return self.render.page("no_draft.html", 404, definition=live.definition)
        state = of_draft(draft)
        state.message = CONFIRMATIONS.get(dict(forms.query(request.environ)).get("said", ""), "")
        state.problems = self._problems(state)
        state.checked = True
        return self._show(state)

    def preview(self, name: str) -> HTTPResponse:
        """POST what is typed: the form that it makes and its problems, as a piece of the page."""
        with self._form() as form:
            self.render.require_token(form)
            return self._show(self._typed(form, name), template="editor_preview.html")

    def send_new(self) -> HTTPResponse:
        """POST the editor of a definition that has no name yet."""
        return self.send(NEW)

    def send(self, name: str) -> HTTPResponse:
        """POST one of the buttons: 303 to the draft, or the page again with everything that was typed."""
        with self._form() as form:
            self.render.require_token(form)
            do = form.take("_do") or "check"
            if do in _HANDED_ON:
                return self._hand_on(name, do, form)
            state = self._typed(form, name)
            if not state.editable:
                raise Conflict(f"the draft {name} waits for an admin: withdraw it to change it")
            if do == "take":
                return self._go(name, "theirs")
            if do == "import":
                return self._import(state, form.uploads.get("_document"))
            if step := _STEP.fullmatch(do):
                take_step(state, cast(Rows, step[1]), step[2], step[3] or "")
                state.problems = self._problems(state)
                return self._show(state)
            if do == "check":
                state.checked = True
                state.focus = "summary" if state.problems else ""
                state.message = "" if state.problems else "Nothing is wrong with it."
                return self._show(state)
            if step := _FILE_STEP.fullmatch(do):
                return self._keep(state, "file", lambda draft: self._change_files(draft, step[1], form))
            why = (form.take("_why.request") or "").strip()
            return self._keep(state, do, lambda draft: self._follow_up(draft, do.partition(".over.")[0], why))

    def file(self, name: str, file: str) -> HTTPResponse:
        """GET a further file of a draft, to be kept elsewhere."""
        self.require_author()
        content = self.drafts.further(self.drafts.get(name)).get(file)
        if content is None:
            raise NotFound(f"the draft {name} has no file {file[:80]!r}")
        plain = re.sub(r'[^ -~]|["\\]', "_", file.rpartition("/")[2])
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f'attachment; filename="{plain}"',
            "Cache-Control": "private, no-cache",
            "Content-Security-Policy": "sandbox",
        }
        return HTTPResponse(content, 200, headers)

    # --- what the buttons do ---------------------------------------------------------------------------

    def _keep(self, state: EditorState, do: str, then: Callable[[Draft], HTTPResponse | None]) -> HTTPResponse:
        """Save what is typed, then do what `then` does with the draft; without an answer of its own that is all."""
        do, _, over = do.partition(".over.")
        if do not in _KEPT:
            raise BadRequest(f"_do: {do[:40]!r} is no button of this page")
        if re.fullmatch("[0-9]{1,9}", over):
            state.edit = int(over)
        reading = sheetreader.read(state.sheet)
        bad = [*reading.problems, *sheet.refused(state.sheet, state.problems)]
        if bad:
            return self._refuse(state, do, bad, 400)
        is_new = state.draft is None
        try:
            draft = self._saved(state, reading.files)
            state.draft, state.edit, state.base = draft, draft.edit, draft.files
            return then(draft) or self._go(draft.name, "created" if is_new else "saved")
        except Edited as error:
            state.theirs, state.focus = error.current, "theirs"
            return self._show(state, 409)
        except (BadRequest, Conflict) as error:
            at = "name" if is_new and isinstance(error, Conflict) else "_file" if do == "file" else ""
            return self._refuse(state, do, _problems_of(error, at), error.status)

    def _follow_up(self, draft: Draft, do: str, why: str) -> HTTPResponse | None:
        """Try a draft that was just saved, or request its validation, if that button was pressed."""
        if do == "try":
            self.drafts.try_out(draft.name)
            return self._go(draft.name, "tried", "#trial")
        if do == "request":
            self.drafts.request(draft.name, why)
            return self._go(draft.name, "requested")
        return None

    def _change_files(self, draft: Draft, removed: str | None, form: Form) -> HTTPResponse:
        """Remove a further file of a draft that was just saved, or add those that came."""
        if removed is not None:
            self.drafts.remove_file(draft.name, draft.edit, removed)
            return self._go(draft.name, "removed", "#files")
        uploads = [upload for name, upload in form.uploads.items() if re.fullmatch(r"_file(\[[0-9]+\])?", name)]
        if not uploads:
            raise BadRequest("choose a file first")
        folder = (form.take("_folder") or "").strip().strip("/")
        for upload in uploads:
            name = re.split(r"[/\\]", upload.filename)[-1]
            further_files.require_room({}, name, upload.path.stat().st_size)  # before it is read
            content = upload.path.read_bytes()
            draft = self.drafts.add_file(draft.name, draft.edit, f"{folder}/{name}" if folder else name, content)
        return self._go(draft.name, "added", "#files")

    def _saved(self, state: EditorState, files: Mapping[str, str]) -> Draft:
        """Return the draft as it is typed, saved unless it is unchanged."""
        if state.draft is None:
            return self.drafts.create(files)
        if state.draft.edit == state.edit and dict(state.draft.files) == files:
            return state.draft
        return self.drafts.save(state.draft.name, state.edit, files)

    def _refuse(self, state: EditorState, do: str, problems: Sequence[Problem], status: int) -> HTTPResponse:
        state.refused, state.checked, state.focus = _KEPT[do], True, "summary"
        state.problems = list(dict.fromkeys([*problems, *state.problems]))
        return self._show(state, status)

    def _hand_on(self, name: str, do: str, form: Form) -> HTTPResponse:
        """Take the step of a draft, if it still is what the page showed."""
        self.require_author()
        if do in ("accept", "refuse"):
            self.drafts.require_admin()
        drafts = self.drafts
        draft = drafts.get(name)
        why = (form.take(f"_why.{do}") or "").strip()
        try:
            if form.take("_edit") != str(draft.edit):
                raise Conflict("somebody saved the draft since this page was opened: here it is as it is now")
            if do == "accept":
                drafts.accept(name, why, draft.edit)
                return self.render.go(self.render.link("definitions", name, said="live"))
            if do == "discard":
                drafts.discard(name)
                return self.render.go(self.render.link("definitions", said="discarded"))
            if do == "withdraw":
                drafts.withdraw(name)
                return self._go(name, "withdrawn")
            drafts.refuse(name, why)
            return self._go(name, "refused")
        except (BadRequest, Conflict) as error:
            state = of_draft(draft)
            state.refused, state.focus, state.problems = "Not done", "summary", _problems_of(error)
            return self._show(state, error.status)

    def _import(self, state: EditorState, upload: Upload | None) -> HTTPResponse:
        """Fill the sheet from a document; nothing is saved."""
        try:
            package = _read_document(upload)
        except BadRequest as error:
            state.problems = [
                Problem("_document", f"line {problem.line}: {problem}" if problem.line else str(problem))
                for problem in problems_of(error)
            ]
            state.refused, state.focus = "Not read", "summary"
            return self._show(state, 400)
        fresh = sheet.of_package(package)
        for name, given in (("script", package.script), ("readme", package.readme)):
            if not given:
                fresh.texts[name] = state.sheet.texts[name]
        named = fresh.texts["name"]
        if state.draft is not None:
            fresh.texts["name"] = state.draft.name
        state.sheet, state.checked = fresh, True
        state.problems = self._problems(state)
        state.message = f"Filled in from {upload.filename[:80] if upload else ''}; nothing is saved yet."
        if named != fresh.texts["name"]:
            state.message += f" It calls itself {named[:64]}; the draft keeps its name."
        return self._show(state)

    # --- what is typed ---------------------------------------------------------------------------------

    def _form(self) -> AbstractContextManager[Form]:
        return forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload)

    def _typed(self, form: Form, name: str) -> EditorState:
        """Return the editor as the form sent it, with its problems."""
        self.require_author()
        draft = None if name == NEW else self.drafts.get(name)
        typed = sheet.of_form(form.values)
        edit = form.take("_edit") or ""
        number = int(edit) if re.fullmatch("[0-9]{1,9}", edit) else 0
        state = EditorState(typed, draft, number, read_base(form.take("_base")))
        if draft is not None:
            typed.texts["name"] = draft.name
        state.checked = form.take("_checked") == "yes"
        state.problems = self._problems(state)
        return state

    def _problems(self, state: EditorState) -> list[Problem]:
        """Return texts that are no values first, without the problems of the defaults that stand for them."""
        reading = sheetreader.read(state.sheet)
        odd = {state.sheet.control(problem.parameter) for problem in reading.problems}
        found = self.drafts.problems(reading.files)
        return [*reading.problems, *(one for one in found if state.sheet.control(one.parameter) not in odd)]

    # --- the page --------------------------------------------------------------------------------------

    def _show(self, state: EditorState, status: int = 200, template: str = "editor.html") -> HTTPResponse:
        reading = sheetreader.read(state.sheet)
        draft = state.draft
        asked = self.asked(draft)
        return self.render.page(
            template,
            status,
            state=state,
            draft=draft,
            name=draft.name if draft else NEW,
            may_validate=self.drafts.may_validate,
            boxes=boxes,
            base_files=json.dumps(dict(state.base)),
            further={name: len(content) for name, content in sorted(self.drafts.further(draft).items())}
            if draft
            else {},
            limits=further_files,
            is_of_live=draft is not None and self.drafts.is_of_live(draft),
            theirs=differences.between(state.base, state.theirs.files) if state.theirs else [],
            asked=asked,
            live_before=self.live_before(asked),
            definition=reading.definition,
            groups=form_of(reading.definition),
            readme=documentation.as_html(state.sheet.texts["readme"]),
            has_archive=self.services.config.folders.archive is not None,
            max_upload=self.services.config.server.max_upload,
            trial=trial.look(self.job_service, draft.trial) if draft and draft.trial else None,
        )

    def _go(self, name: str, done: str, fragment: str = "") -> HTTPResponse:
        return self.render.go(self.render.link("definitions", name, "edit", said=done) + fragment)


def _problems_of(error: BadRequest | Conflict, at: str = "") -> list[Problem]:
    """Return the problems of a refusal; those without a place get `at`."""
    found = problems_of(error) if isinstance(error, BadRequest) else (Problem("", str(error)),)
    return [replace(problem, parameter=problem.parameter or at) for problem in found]


def _read_document(upload: Upload | None) -> Package:
    if upload is None:
        raise BadRequest("choose a file first")
    size = upload.path.stat().st_size
    if size > MOST_BYTES:
        raise BadRequest(f"{upload.filename[:80]}: {size:,} bytes came, at most {MOST_BYTES:,} are read")
    return detect.read_any(upload.path.read_bytes(), upload.filename[:80])
