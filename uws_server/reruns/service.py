"""Reruns of a product, with changes: from a job, from the tags of a FITS file, or from a step list.

The rules are those of `provenance.steps.rerun`; here steps become jobs of this server, and inputs files that it has.
Knows no HTTP. Imports the job service, the inputs and everything below.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from provenance import steps, votags
from provenance.steps import InputData, Parameter, Step, dependencies, rerun
from provenance.steps.dependencies import LinkedSteps, name_of
from provenance.steps.recording import HIDDEN
from provenance.steps.rerun import LockedError, Plan, PlannedInput, PlannedStep, Value
from provenance.text.errors import ProvenanceError
from uws_server.errors import BadRequest, Forbidden, InvalidParameters, NotFound
from uws_server.jobs.definition import Definition
from uws_server.jobs.job import Job, ParameterValue
from uws_server.jobs.rerun_origin import RerunOrigin
from uws_server.reruns import sources, units
from uws_server.reruns.gathered import as_whole_jobs
from uws_server.reruns.inputs import Finder, Found
from uws_server.reruns.job_inputs import JobInputs
from uws_server.reruns.preview import RerunPreview, RerunRequest, View
from uws_server.reruns.relations import JobRelations
from uws_server.reruns.sources import RerunSource
from uws_server.services.parameters import Request, Upload
from uws_server.storage.files import safe_name
from uws_server.storage.library import Installed

Made = TypeVar("Made")

_LONGEST_NAME = 1000
_MOST_STEPS, _MOST_ARGS = 50_000, 200_000
"""The longest step list that is looked at: its steps, and the arguments of all of them."""
_MOST_BEFORE = 2000
"""The most steps on which the wanted one may depend."""
_MOST_FILES = 5000
"""The most files that are looked for in one request."""
_MOST_CHANGES = 1000


class Reruns(JobRelations):
    """What one caller can run again."""

    def require_entry(self) -> None:
        """Refuse callers who may not create jobs."""
        self._services.rights.require_entry(self.job_service.caller)

    # --- where a list comes from -------------------------------------------------------------------------

    def of_job(self, job: Job) -> RerunSource:
        """Return the steps that end with a job of this server, as it keeps them."""
        return self._completed(sources.of_job(self._services, job))

    def of_fits(self, path: Path, name: str) -> RerunSource:
        """Return the steps in the tags of a FITS file, which the user knows as `name`."""
        label = safe_name(name)
        try:
            tags = votags.read(path)
        except (OSError, ProvenanceError) as error:
            raise BadRequest(str(error).replace(str(path), label)) from error
        if tags is None:
            raise BadRequest(f"{label} carries no VO-TAGS: nothing in it records how it was made")
        if not tags.steps:
            raise BadRequest(f"{label}: the step list of its VO-TAGS is empty: nothing records how it was made")
        return self._completed(RerunSource(tags.steps, self._job_of(tags.steps[-1])))

    def of_text(self, text: str | bytes) -> RerunSource:
        """Return the steps of a provenance list in JSON. Raise BadRequest for a longer one than is looked at."""
        written = text.count('"args"') if isinstance(text, str) else text.count(b'"args"')
        if written > _MOST_STEPS:  # told before minutes are spent on reading each: every step has this word
            raise BadRequest(f"provenance: some {written:,} steps came; {_MOST_STEPS:,} are looked at")
        listed = translate_errors(lambda: steps.parse(text))
        if not listed:
            raise BadRequest("provenance: the list is empty: nothing can be run again")
        return self._completed(RerunSource(listed, self._job_of(listed[-1])))

    # --- looking -----------------------------------------------------------------------------------------

    def look(self, source: RerunSource, wanted: RerunRequest) -> RerunPreview:
        """Return the plan of a rerun request. Raise BadRequest or Forbidden if it cannot be followed at all."""
        if len(wanted.changes) > _MOST_CHANGES:
            raise BadRequest(f"{len(wanted.changes):,} changes came, at most {_MOST_CHANGES:,} are allowed")
        finder = Finder(self._services, self.job_service, wanted.uploads)
        preview = self._preview(source, wanted, finder)
        for name in wanted.uploads.keys() - finder.used:
            raise BadRequest(f"{name}: a file came, but no input of the steps to be run needs one of that name")
        return preview

    def _preview(self, source: RerunSource, wanted: RerunRequest, finder: Finder) -> RerunPreview:
        linked = translate_errors(lambda: dependencies.linked(source.steps))
        last = translate_errors(lambda: rerun.target(source.steps, wanted.target))
        if wanted.first is not None:
            first, end = wanted.first, last if wanted.target else None
            chosen = translate_errors(lambda: rerun.from_step(linked, first, end))
            plan = translate_errors(lambda: rerun.plan(linked, chosen, wanted.changes))
            return self._with_files(linked, plan, finder)
        before = linked.ancestors({last})
        if len(before) > _MOST_BEFORE:
            raise BadRequest(f"target: it depends on {len(before):,} steps, at most {_MOST_BEFORE:,} are looked at")
        linked = replace(linked, origins={key: found for key, found in linked.origins.items() if key[0] in before})
        needed = self._changed_steps(linked, last, wanted.changes)
        while True:
            chosen = translate_errors(lambda: rerun.leading_to(linked, last, needed))  # noqa: B023 - called at once
            plan = translate_errors(lambda: rerun.plan(linked, chosen, wanted.changes))  # noqa: B023
            preview = self._with_files(linked, plan, finder)
            makers = {
                origin.step
                for step, file in preview.plan.missing
                if file.given is None and not _is_same(preview.found.get((step.number, file.index)))
                for origin in linked.origins.get((step.number, file.index), ())
            }
            if makers <= set(chosen):
                return preview
            needed = {*needed, *makers}

    def _changed_steps(self, linked: LinkedSteps, last: int, changes: Mapping[str, Value]) -> set[int]:
        """Return the steps that changes name; a name without a step means the last one that has it."""
        having: dict[str, int] = {}
        for one in sorted(linked.ancestors({last})):
            for field in translate_errors(lambda one=one: rerun.fields(linked.steps, one)):  # type: ignore[misc]
                having[field.name.casefold()] = one
        needed = set()
        for key in changes:
            number, _, rest = key.partition(".")
            if rest and number.isascii() and number.isdigit():
                needed.add(int(number))
                continue
            if key.casefold() in having:
                needed.add(having[key.casefold()])
        return needed

    def _with_files(self, linked: LinkedSteps, plan: Plan, finder: Finder) -> RerunPreview:
        wanted = [(step, file) for step, file in plan.missing if file.given is None]
        _require_few(sum(len(step.inputs) for step in plan.steps))
        found = {(step.number, file.index): finder.find(step, file) for step, file in wanted}
        return RerunPreview(linked, plan, found)

    def survey(self, source: RerunSource, uploads: Mapping[str, Upload]) -> tuple[View, ...]:
        """Return every step with its inputs, which of them are editable, and where each input is found now."""
        linked = translate_errors(lambda: dependencies.linked(source.steps))
        finder = Finder(self._services, self.job_service, uploads)
        latest = source.steps[-rerun.MOST_STEPS :]
        _require_few(sum(isinstance(arg, InputData) for step in latest for arg in step.args))
        views = []
        for number, step in enumerate(latest, start=len(source.steps) - len(latest)):
            fields = rerun.fields(source.steps, number)
            try:
                planned = translate_errors(lambda: rerun.plan(linked, [number])).steps[0]  # noqa: B023 - called at once
                notes, problem = self.installed(planned)[1], ""
                found = {file.index: finder.find(planned, file) for file in planned.inputs}
            except BadRequest as error:
                notes, problem, found = [], str(error), {}
            makers = {
                field.index: origins[0].step
                for field in fields
                if (origins := linked.origins.get((number, field.index)))
            }
            extra = step.extra
            task, version = str(extra.get("task") or "?"), str(extra.get("version") or "")
            outcome = rerun.outputs(step), tuple(notes), problem
            views.append(View(number, task, version, self._job_of(step), fields, found, makers, *outcome))
        return tuple(views)

    # --- doing -------------------------------------------------------------------------------------------

    def make(self, source: RerunSource, wanted: RerunRequest) -> tuple[Job, ...]:
        """Make the jobs of a rerun request, PENDING and each waiting for the one before; all of them or none.

        Raises BadRequest for a rerun request that cannot be followed: unknown parameters or tasks, inputs that are not
        there, or changed ones where that was not accepted; Forbidden for a locked parameter.
        """
        preview = self.look(source, wanted)
        for step in preview.plan.steps:
            self._require_known(step, source.steps[step.number])
        problems = [*preview.asked, *([] if wanted.accept_changed else preview.changed)]
        if problems:
            raise BadRequest("\n".join(map(str, problems)))
        made: dict[int, Job] = {}
        try:
            for step in preview.plan.steps:
                after = made[max(made)] if made else None
                made[step.number] = self._job(source, wanted, preview, step, made, after)
        except BaseException:
            self.job_service.discard_new(*made.values())
            raise
        return tuple(made.values())

    def run(self, jobs: Sequence[Job]) -> None:
        """Put the first of the jobs into the queue; the others follow. Where that is refused, nothing is left."""
        self.job_service.run_new(*jobs)

    # --- parts -------------------------------------------------------------------------------------------

    def _job(
        self, source: RerunSource, wanted: RerunRequest, preview: RerunPreview, step: PlannedStep, made: Mapping[int,
        Job], after: Job | None,
    ) -> Job:  # fmt: skip
        """Create the job of a step, PENDING, which waits for `after`."""
        installed, notes = self.installed(step)
        old = self._job_of(source.steps[step.number])
        self._require_room(preview, step)
        values = sources.values_of(self._with_secrets(step, old), installed.definition)
        job_inputs = JobInputs(self._services.spool, values, notes)
        try:
            for file in step.inputs:
                place = f"provenance[{step.number}].args[{file.index}]"
                spec = sources.spec_of(installed.definition, file.name, place)
                if file.given is not None:
                    job_inputs.values[spec.name] = [file.given]
                elif file.made_by is not None:
                    job_inputs.add(spec, self._of_sequence(made[file.made_by], file))
                else:
                    found = preview.found[step.number, file.index]
                    assert found is not None
                    job_inputs.add_found(spec, file, found, wanted.accept_changed)
            job_inputs.complete(installed.definition)
            parent, before = old.id if old else None, after.id if after else None
            origin = RerunOrigin(parent, before, job_inputs.tokens, job_inputs.placed, installed.revision)
            return self.job_service.create(step.task, Request(job_inputs.values, run_id=wanted.run_id, origin=origin))
        except InvalidParameters as error:
            if len(source.steps) == 1:
                raise
            numbered = [replace(one, parameter=f"{step.number}.{one.parameter}") for one in error.problems]
            raise InvalidParameters(numbered) from error
        finally:
            job_inputs.discard()

    def _require_room(self, preview: RerunPreview, step: PlannedStep) -> None:
        """Refuse files that do not fit into what the account may store, before they are copied."""
        found = (preview.found.get((step.number, file.index)) for file in step.inputs)
        copied = {one.path for one in found if one is not None and one.kind in ("job", "upload")}
        self.job_service.quotas.require_room(sum(path.stat().st_size for path in copied))

    def _with_secrets(self, step: PlannedStep, old: Job | None) -> PlannedStep:
        """Return a step with the parameters that no list records, from the job itself if it is the caller's own."""
        hidden = [name for name, value in step.values.items() if value == HIDDEN]
        own = old.parameters if old is not None and self.job_service.may_change(old) else {}
        for name in hidden:
            if name not in own:
                raise BadRequest(f"{step.number}.{name}: it is a secret, which no step list holds; give it")
        return replace(step, values={**step.values, **{name: own[name].text for name in hidden}})

    def _require_known(self, step: PlannedStep, recorded: Step) -> None:
        """Refuse a step whose task, or a parameter or unit of it, is not known here, before its files are asked for."""
        definition = self.installed(step)[0].definition
        for name in (*step.values, *(file.name for file in step.inputs)):
            sources.spec_of(definition, name, f"provenance[{step.number}]")
        for arg in recorded.args:
            if isinstance(arg, Parameter) and (name := name_of(arg)) in step.values and name not in step.changed:
                spec = sources.spec_of(definition, name, f"provenance[{step.number}]")
                if problem := units.problem(arg, spec):
                    raise BadRequest(f"{step.number}.{name}: {problem}")

    def installed(self, step: PlannedStep) -> tuple[Installed, list[str]]:
        """Return the definition for a step: the version it was made with where that is kept, else the live one, and
        notes.
        """
        try:
            live: Installed | None = self._services.library.get(step.task)
        except NotFound:
            live = None
        old = self.seen(step.job) if step.job else None
        if old is not None and old.definition == step.task and old.revision:
            try:
                return self._services.library.of(old), []
            except NotFound:
                pass
        if live is None:
            known = ", ".join(one.definition.name for one in self._services.library) or "none"
            raise BadRequest(
                f"provenance[{step.number}].task: {step.task[:80]!r} is no job definition of this server; "
                f"there are {known}"
            )
        now = live.definition.version
        if step.version and step.version != now:
            return live, [f"made with version {step.version} of {step.task}, run again with version {now}"]
        return live, []

    def _of_sequence(self, job: Job, file: PlannedInput) -> ParameterValue:
        """Return the file that an earlier job of the job sequence will leave. Raise BadRequest for a name outside its
        results.
        """
        parts = file.output.split("/")
        if not {"", ".", ".."}.isdisjoint(parts) or not file.output.isprintable() or len(file.output) > _LONGEST_NAME:
            raise BadRequest(f"{file.output[:80]!r}: an output of a step to be run is no name of a file among results")
        name = parts[-1]
        path = self._services.files.folder(job.id) / "results" / file.output
        url = f"{self._services.base_url}/rest/{job.definition}/{job.id}/results/{name}"
        return ParameterValue(url, str(path), "archive")

    def _completed(self, source: RerunSource) -> RerunSource:
        """Return a source whose steps name their parameters, offer those they lack, and lock what the definition
        locks.
        """
        args = sum(len(step.args) for step in source.steps)
        if len(source.steps) > _MOST_STEPS or args > _MOST_ARGS:
            raise BadRequest(
                f"provenance: {len(source.steps):,} steps with {args:,} arguments came; "
                f"{_MOST_STEPS:,} with {_MOST_ARGS:,} in all are looked at"
            )
        definitions = {one.definition.name: one.definition for one in self._services.library}
        completed = (sources.completed(step, definitions) for step in as_whole_jobs(source.steps, definitions))
        return replace(source, steps=tuple(self._in_units(step, definitions) for step in completed))

    def _in_units(self, step: Step, live: Mapping[str, Definition]) -> Step:
        """Return a step with its numbers in the units of the definition that it would be run again with."""
        definition = live.get(str(step.extra.get("task")))
        if definition is None or not units.differ(step, definition):
            return step
        job = self._job_of(step)
        with contextlib.suppress(NotFound):
            definition = self._services.library.of(job).definition if job and job.revision else definition
        return units.in_those_of(step, definition)

    def _job_of(self, step: Step) -> Job | None:
        job_id = step.extra.get("job")
        job = self.seen(job_id) if isinstance(job_id, str) and job_id else None
        return job if job is not None and job.definition == step.extra.get("task") else None


def translate_errors(make: Callable[[], Made]) -> Made:
    """Return the result of a call; raise errors of provenance as those of the server."""
    try:
        return make()
    except LockedError as error:
        raise Forbidden(str(error)) from error
    except ProvenanceError as error:
        raise BadRequest(str(error)) from error


def _require_few(files: int) -> None:
    if files > _MOST_FILES:
        raise BadRequest(f"{files:,} files are used by these steps; {_MOST_FILES:,} may be in one request")


def _is_same(found: Found | None) -> bool:
    return found is not None and found.same is not False
