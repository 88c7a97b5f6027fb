"""The page that explains the words of this server, with examples for programs that run as they stand. Imports the
services.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bottle import HTTPResponse

from uws_server.jobs.definition import Definition
from uws_server.jobs.phases import Phase
from uws_server.services.context import Services
from uws_server.web.shared.fields import has_all_defaults
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer

PHASES: Mapping[Phase, str] = {
    Phase.PENDING: "It is made and not started: look at it, change its parameters, then press Run.",
    Phase.HELD: "It is kept from starting until somebody runs it.",
    Phase.QUEUED: "It waits for its turn: a free place goes to whoever uses least; short jobs have some of their own.",
    Phase.EXECUTING: "Its script runs. You may close the page: the job goes on.",
    Phase.SUSPENDED: "Its script and its time limit stand still; RESUME lets it go on as soon as a place is free.",
    Phase.COMPLETED: "It has ended well, and its results are there.",
    Phase.ERROR: "It has ended without all it should make; its page says why, and what it made so far is kept.",
    Phase.ABORTED: "Somebody ended it, or its time limit did; what it made so far is kept.",
    Phase.ARCHIVED: "Its files are deleted; what it was and how its results were made is kept.",
    Phase.UNKNOWN: "The server lost sight of it, after a crash of the machine say, and finds out.",
}
"""What each phase means, in the order in which a job may go through them."""

_LONGEST_EXAMPLE = 40


@dataclass(frozen=True)
class Example:
    """The job of the examples: its definition, some values, and the parameters that have to be filled in."""

    definition: Definition
    values: Mapping[str, str]
    open: Sequence[str]


class HelpPage(Page):
    """The help over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render

    def page(self) -> HTTPResponse:
        """GET the page; everybody may read it."""
        jobs = self.services.config.jobs
        service = self.job_service
        definitions = [one.definition for one in service.definitions if service.definitions.may_run(one.definition)]
        return self.render.page(
            "help.html",
            server=self.services.base_url,
            phases=PHASES,
            example=_example(definitions),
            with_account=service.caller.name is not None or not definitions,
            keys=service.uses_keys(),
            longest_s=jobs.max_duration,
            keep_days=jobs.keep_days,
            keeps_record=jobs.destroyed == "record",
            shell=shlex.quote,
        )


def _example(definitions: Sequence[Definition]) -> Example | None:
    """Return the job of the examples: one that needs no data where there is one. Return None without definitions."""
    found = sorted(definitions, key=lambda definition: not has_all_defaults(definition))
    if not found:
        return None
    values: dict[str, str] = {}
    needed: list[str] = []
    for spec in found[0].parameters:
        if spec.required and not spec.defaults:
            needed.append(spec.name)
        elif spec.type == "string" and len(spec.defaults) == 1 and spec.default_texts[0].isalnum() and not values:
            values[spec.name] = spec.default_texts[0][:_LONGEST_EXAMPLE]
    return Example(found[0], values | dict.fromkeys(needed, "VALUE"), needed)
