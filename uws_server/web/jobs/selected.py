"""What is done with several jobs of the list at once: it is said first, and done when that is confirmed.

Imports the services.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest
from uws_server.incoming import forms
from uws_server.jobs.job import LOG
from uws_server.services.bulk import Action, BulkJobs
from uws_server.services.context import Services
from uws_server.web.jobs.listview import decoded
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer

MOST_SELECTED = 200
MOST_RESULTS = 1000
_ACTIONS = ("abort", "delete")


class SelectedJobs(Page):
    """The form below the check boxes of the list, over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render

    def act(self) -> HTTPResponse:
        """POST the jobs that were chosen: ask whether that is meant, or do it and say what was done."""
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
            view = decoded(form.take("_list") or "")
            ids, action, confirmed = form.take_all("job"), form.take("action") or "", form.take("confirmed")
        if action not in _ACTIONS:
            raise BadRequest(f"action: {action[:40]!r} came; {' or '.join(_ACTIONS)} is allowed")
        _require_few(ids)
        bulk = BulkJobs(self.services, self.job_service)
        selection = bulk.selected(ids, cast(Action, action))
        if confirmed:
            selection = bulk.carry_out(selection, cast(Action, action))
        titles = {name: found.definition.title for name, found in self.job_service.definitions.by_name().items()}
        return self.render.page(
            "selected.html", action=action, selection=selection, view=view, is_done=bool(confirmed), titles=titles
        )

    def results(self) -> HTTPResponse:
        """GET the address of a table of the results of some jobs, as JSON; '' where they have none.

        Applications without an account can read it: it names the results by their own ids, the first thousand of them.
        """
        ids = request.query.getall("job")
        _require_few(ids)
        jobs = [self.job_service.bare(job_id) for job_id in dict.fromkeys(ids)]
        results = (result for job in jobs for result in self.job_service.results.page(job).results)
        named = [result.id for result in results if result.name != LOG][:MOST_RESULTS]
        found = {
            "url": self.render.link("store", "products.vot", ID=named) if named else "",
            "name": f"results-of-{len(jobs)}-jobs.vot",
        }
        return HTTPResponse(json.dumps(found), 200, {"Content-Type": "application/json", "Cache-Control": "no-store"})


def _require_few(ids: Sequence[str]) -> None:
    if len(ids) > MOST_SELECTED:
        raise BadRequest(f"job: {len(ids)} jobs came; at most {MOST_SELECTED} at once")
