"""The page of a job's provenance: as a picture with links, and as a list. Imports the provenance graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bottle import HTTPResponse

from provenance.graph.model import Activity, File, Link, ProvenanceGraph
from provenance.graph.records import attribute_of
from uws_server.services.context import Services
from uws_server.services.job_results import MOST_SHOWN
from uws_server.services.provenance import ProvenanceReader
from uws_server.web.jobs.graphpicture import HEIGHT, WIDTH, picture
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer

_BEHIND = 3
"""The distance of the jobs and files that are shown upstream of a job, in relations."""
_FORMATS = (
    ("PROV-JSON", "provjson"),
    ("PROV-XML", "provxml"),
    ("PROV-N", "provn"),
    ("SVG", "provsvg"),
    ("PNG", "provpng"),
)


@dataclass(frozen=True)
class FileRow:
    """A file in the list: its name, its address ('' where it cannot be had), its role."""

    name: str
    url: str
    role: str
    about: str
    sha256: str


@dataclass(frozen=True)
class StepRow:
    """An activity in the list."""

    activity: Activity
    title: str
    page: str
    log: str
    current: bool
    values: tuple[tuple[str, str, str], ...]
    facts: tuple[tuple[str, str], ...]
    used: tuple[FileRow, ...]
    made: tuple[FileRow, ...]
    again: tuple[tuple[str, str], ...]


class ProvenancePage(Page):
    """The page of a job's provenance over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render

    def page(self, job_id: str) -> HTTPResponse:
        """GET the page."""
        job = self.job_service.bare(job_id)
        graph = ProvenanceReader(self.services, self.job_service.caller, MOST_SHOWN).around(job, _BEHIND)
        key = f"job_{job.id}"
        about = next(each for each in graph.activities if each.key == key)
        drawing = picture(graph, key)
        return self.render.page(
            "provenance.html",
            job=job,
            title=about.title or job.definition,
            drawing=drawing,
            node_width=WIDTH,
            node_height=HEIGHT,
            addresses=self.addresses(graph),
            rows=[self.row(each, graph, key) for each in graph.activities],
            formats=[(name, self.render.link("rest", job.definition, job.id, word)) for name, word in _FORMATS],
            links=self.render.link("datalink", ID=job.id),
        )

    def addresses(self, graph: ProvenanceGraph) -> Mapping[str, str]:
        """Return the address of each node; '' for one that cannot be opened."""
        found = {key: _openable(file) for key, file in graph.files.items()}
        return found | {each.key: self._page_of(each) for each in graph.activities}

    def row(self, activity: Activity, graph: ProvenanceGraph, current: str) -> StepRow:
        """Return an activity as a row of the list."""
        ours = "phase" in activity.facts
        job_id = activity.key.removeprefix("job_")
        names = {each.key: each.title or each.name for each in graph.activities}
        facts = {name: value for name, value in activity.facts.items() if name != "phase"}
        has_log = ours and activity.facts["phase"] != "ARCHIVED"
        return StepRow(
            activity,
            "A job of somebody else" if activity.hidden else activity.title or activity.name,
            self._page_of(activity),
            self.render.link("rest", activity.name, job_id, "stdout") if has_log else "",
            activity.key == current,
            tuple((each.name, _text(each.value), each.unit) for each in activity.parameters),
            tuple((_WORDS.get(name, name), _fact(name, value)) for name, value in facts.items()),
            tuple(_file_row(link, graph.files[link.key]) for link in activity.used),
            tuple(_file_row(link, file) for link in activity.made if not (file := graph.files[link.key]).members),
            tuple(
                (names.get(key, key), self.render.link("jobs", key.removeprefix("job_")))
                for key in activity.informed_by
            ),
        )

    def _page_of(self, activity: Activity) -> str:
        if activity.hidden or "phase" not in activity.facts:
            return ""
        return self.render.link("jobs", activity.key.removeprefix("job_"))


_WORDS = {
    "exit_status": "Exit status",
    "warning": "Warning",
    "software": "Software",
    "host": "Host",
    "calibration": "Calibration",
}


def _file_row(link: Link, file: File) -> FileRow:
    return FileRow(file.name, _openable(file), link.role, link.description or file.description, file.sha256)


def _openable(file: File) -> str:
    """Return the address of a file; '' where there is none that a browser should open."""
    return file.location if file.location.startswith(("http://", "https://")) else ""


def _fact(name: str, value: Any) -> str:
    if name == "calibration" and isinstance(value, list):
        return ", ".join(f"{each.get('name')} ({each.get('from')})" for each in value if isinstance(each, dict))
    return str(attribute_of(value))


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
