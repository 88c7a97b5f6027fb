"""An image, or an event list, of a job in a page of its own: its look, the regions on it, and what follows from them.

What is shown stands in the address: `scale`, `colours` and the like as for previews, `source` and `background` are
texts of regions. Regions that the address does not have are those of the job. Imports the services and the previews.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest, NotFound
from uws_server.jobs.definition import Definition, ParameterSpec
from uws_server.jobs.job import Job, Result
from uws_server.previews.extent import Extent
from uws_server.previews.look import COLOURS, PERCENTS, SCALES
from uws_server.previews.preview import Preview, ResultFile
from uws_server.services.context import Services
from uws_server.services.job_service import JobService
from uws_server.version import VERSION
from uws_server.web.jobs.pictures import DRAWING_POLICY, Pictures, asked_extent, asked_look, sent
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer

if TYPE_CHECKING:
    from uws_server.previews.marks import Role
    from uws_server.previews.regionshapes import ShownRegion

    Shown = dict[Role, ShownRegion]

Part = Literal["about.json", "values.bin", "picture.svg", "regions.json"]
ROLES: Final[tuple[Literal["source", "background"], ...]] = ("source", "background")
_IN_PART = re.compile(r"parts/([0-9]+)/")


@dataclass(frozen=True)
class Target:
    """A definition that takes an event list and regions, with the names of its parameters; '' for none."""

    name: str
    title: str
    eventlist: str
    source: str
    background: str


class ImagePage(Page):
    """The page of an image over one set of services."""

    def __init__(self, services: Services, render: Renderer, pictures: Pictures) -> None:
        super().__init__(services)
        self.render = render
        self.pictures = pictures

    def page(self, job_id: str, name: str) -> HTTPResponse:
        """GET the page; `to` in the query asks for the form of a definition instead, `open=sky` for the sky page.

        303 to there with the event lists and the regions, or status 400 with what is wrong with them.
        """
        look, extent = asked_look(), asked_extent()
        job, result, file = self._file(job_id, name)
        shown = self._regions(job, file)
        wrong = any(region.problem for region in shown.values())
        if not wrong and (request.query.get("to") or request.query.get("open")):
            return self.render.go(self._address(job, result, shown))
        preview = self.pictures.previews.look(file) if file else Preview("other", reason="the file is gone")
        asked = {key: text for key, text in request.query.items() if key not in ("to", "open", "share") and text}
        return self.render.page(
            "image.html",
            400 if wrong else 200,
            job=job,
            result=result,
            title=result.place,
            is_image=preview.kind in ("image", "events"),
            reason=preview.reason,
            look=look,
            percent=f"{look.percent:g}" if look.percent is not None else "",
            ends=extent.query(),
            scales=SCALES,
            colours=COLOURS,
            percents=PERCENTS,
            regions=shown,
            roles=ROLES,
            targets=self._targets(),
            lists=archive_lists(self.job_service, job, result),
            stored=self.render.link("store", result.id, result.file_name),
            picture={**asked, **{role: region.text for role, region in shown.items()}},
        )

    def part(self, job_id: str, name: str, part: Part) -> HTTPResponse:
        """GET what the page is made of.

        ``about.json`` describes the array of the image, ``values.bin`` are its values, ``picture.svg`` is drawn by the
        server, with the regions of the query, and ``regions.json`` has the shapes of the regions.
        """
        look, extent = asked_look(), asked_extent()
        job, _, file = self._file(job_id, name)
        if part == "regions.json":
            found = {role: region.described() for role, region in self._regions(job, file).items()}
            return _json(json.dumps(found), {"Cache-Control": "no-store"})
        if file is None:
            raise NotFound(f"the file of result {name[:64]!r} of job {job.id} is gone")
        if part == "picture.svg":
            shown = self._regions(job, file)
            drawn = [(role, region.found) for role, region in shown.items() if region.found is not None]
            what = "".join(f"{role} {region.text}" for role, region in shown.items())
            draw = self.pictures.previews.picture_with
            draw = self.pictures.previews.picture_with
            return _once(file, f"{part} {look.key} {extent.key} {what}",
                         lambda headers: sent(draw(file, look, extent, drawn), headers))  # fmt: skip
        return _once(file, f"{part} {extent.key}", lambda headers: self._array(file, extent, part, headers))

    def _array(self, file: ResultFile, extent: Extent, part: Part, headers: Mapping[str, str]) -> HTTPResponse:
        found = self.pictures.previews.array(file, extent)
        if found.reason:
            return _json(json.dumps({"reason": found.reason}), {"Cache-Control": "no-store"})
        if part == "about.json":
            return _json(found.about, headers)
        kind = {**headers, "Content-Type": "application/octet-stream", "Vary": "Accept-Encoding"}
        if "gzip" in request.get_header("Accept-Encoding", ""):
            return HTTPResponse(found.values, 200, {**kind, "Content-Encoding": "gzip"})
        return HTTPResponse(gzip.decompress(found.values), 200, kind)

    def _file(self, job_id: str, name: str) -> tuple[Job, Result, ResultFile | None]:
        """Return a job, its result of that name and the file of it, None if that is gone. Raise NotFound."""
        job = self.job_service.bare(job_id)
        result = self.job_service.results.named(job, name)
        if result is None or result.name != name:
            raise NotFound(f"job {job.id} has no result {name[:64]!r}")
        return job, result, self.pictures.file(job, result)

    def _regions(self, job: Job, file: ResultFile | None) -> Shown:
        """Return the regions of the query; where it has none those of the job, else those that lie beside the file."""
        from uws_server.previews import regionshapes  # not before there are any: it takes half a second and 30 MiB

        found: Shown = dict.fromkeys(ROLES, regionshapes.NO_REGION)
        if any(role in request.query for role in ROLES):
            texts = [(role, request.query.getunicode(role, "")) for role in ROLES]
        else:
            texts = self._of_job(job)
        for role, text in texts:
            if text.strip():
                found.update(regionshapes.read(text, role))
        if not texts and file is not None:
            found.update(regionshapes.beside(file))
        return found

    def _of_job(self, job: Job) -> list[tuple[Literal["source", "background"], str]]:
        """Return the regions among the parameters of a job, that of the source first."""
        definition = self._definition(job)
        specs = [spec for spec in definition.parameters if spec.type == "region"] if definition else []
        texts = {_role_of(spec): job.parameters[spec.name].text for spec in specs
                 if spec.name in job.parameters and job.parameters[spec.name].text.strip()}  # fmt: skip
        return [(role, texts[role]) for role in ROLES if role in texts]

    def _definition(self, job: Job) -> Definition | None:
        return _definition_of(self.job_service, job)

    def _targets(self) -> list[Target]:
        """Return the definitions that the reader may run on an event list with a region."""
        definitions = self.job_service.definitions
        found = [_target(one.definition) for one in definitions if definitions.may_run(one.definition)]
        return [target for target in found if target is not None]

    def _address(self, job: Job, result: Result, shown: Shown) -> str:
        """Return where the buttons of the page lead. Raise BadRequest for a definition that is none of them."""
        texts = {role: region.text for role, region in shown.items()}
        lists, name = archive_lists(self.job_service, job, result), request.query.get("to", "")
        if not name:
            return self.render.link("sky", **texts, exposure=lists)
        target = next((target for target in self._targets() if target.name == name), None)
        if target is None:
            raise BadRequest(f"to: {name[:64]!r} came; a definition with an event list and a region is allowed")
        named = {target.eventlist: lists, target.source: texts["source"], target.background: texts["background"]}
        return self.render.link("new", target.name, **{key: value for key, value in named.items() if key})


def archive_lists(job_service: JobService, job: Job, result: Result) -> list[str]:
    """Return the event lists of the archive that a job had: of a result of a part the one of that part."""
    definition = _definition_of(job_service, job)
    part = _IN_PART.match(result.file)
    found = []
    for spec in definition.parameters if definition else ():
        if spec.type != "eventlist" or spec.name not in job.parameters:
            continue
        each = job.parameters[spec.name].each
        if part and spec.spread:
            each = each[int(part[1]) - 1 : int(part[1])]
        found += [value.text for value in each if value.kind == "archive" and "://" not in value.text]
    return found


def _definition_of(job_service: JobService, job: Job) -> Definition | None:
    try:
        return job_service.definitions.of(job).definition
    except NotFound:
        return None


def _role_of(spec: ParameterSpec) -> Literal["source", "background"]:
    return "background" if "background" in spec.name.lower() else "source"


def _target(definition: Definition) -> Target | None:
    """Return what a definition calls its event list and its regions; None if it has no list or no source region."""
    lists = [spec.name for spec in definition.parameters if spec.type == "eventlist"]
    regions = {_role_of(spec): spec.name for spec in reversed(definition.parameters) if spec.type == "region"}
    if not lists or "source" not in regions:
        return None
    return Target(definition.name, definition.title, lists[0], regions["source"], regions.get("background", ""))


def _once(file: ResultFile, what: str, make: Callable[[Mapping[str, str]], HTTPResponse]) -> HTTPResponse:
    """Return what is made, with its ETag; 304 if the browser has it."""
    tag = f'"{file.key}-{hashlib.sha256(what.encode()).hexdigest()[:16]}-{VERSION}"'
    headers = {"ETag": tag, "Cache-Control": "private, max-age=3600", "Content-Security-Policy": DRAWING_POLICY}
    if tag in request.get_header("If-None-Match", ""):
        return HTTPResponse("", 304, headers)
    return make(headers)


def _json(body: str | bytes, headers: Mapping[str, str]) -> HTTPResponse:
    return HTTPResponse(body, 200, {"Content-Type": "application/json", **headers})
