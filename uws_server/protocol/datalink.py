"""DataLink 1.1 for results and jobs, /datalink?ID=, and the service it describes, which runs a job again.

ID may come several times: the id of a result or a job, an address of one or of a file of the archive, a publisher DID.
What cannot be linked is a row with an error, as the standard says. MAXREC (DALI) asks for so many rows; without it a
job of very many results has rows for the first hundred and one for the list of all, and the table says OVERFLOW.
Imports the services, provenance and the documents (`linktable`).

    GET /rest/{job}/{id}/rerun/sync?key=value      runs the job again with other values: 303 to the end of the new job
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from bottle import Bottle, HTTPResponse, request

from provenance.fits import hdus
from provenance.graph.model import ProvenanceGraph
from provenance.graph.traversal import Direction
from provenance.steps import recording
from provenance.text.errors import ProvenanceError
from uws_server.errors import NotFound, ServerError
from uws_server.incoming import forms
from uws_server.incoming.callers import job_service_of
from uws_server.incoming.rerun_forms import read_rerun_request
from uws_server.jobs.job import LOG, Job, ParameterValue, Result
from uws_server.jobs.phases import ENDED, Phase
from uws_server.protocol import dali, linktable
from uws_server.protocol.linktable import Link, Service
from uws_server.protocol.soda import cutout_service
from uws_server.reruns.service import Reruns
from uws_server.services import job_keys
from uws_server.services.archive_files import IndexedFile, archive_address
from uws_server.services.context import Services
from uws_server.services.cutouts import Cutouts, CutProduct
from uws_server.services.job_results import MOST_SHOWN, ResultPage, store_address
from uws_server.services.job_service import JobService
from uws_server.services.provenance import ProvenanceReader, Start

_MOST_IDS = 100
_MOST_ROWS = 10_000
"""Rows that MAXREC may ask for."""
_MOST_DERIVED = 200
_FORMATS = dict.fromkeys((*dali.VOTABLE_WORDS, "votable/td", "datalink"), linktable.DATALINK)
_NAMED = {"RESPFILE": "#calibration", "ANCRFILE": "#calibration", "BACKFILE": "#auxiliary", "CORRFILE": "#auxiliary"}
"""Keywords of a product that name another one, and what that is to it."""
_PLOTTED = frozenset({"spectrum", "sed", "timeseries"})
_DRAWN = frozenset({"image", "event"})


class DataLink:
    """The links over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def routes(self, app: Bottle) -> None:
        """Add every resource to the application."""
        app.route("/datalink", ["GET", "POST"], self.links)
        address = f"/rest/<name>/<job_id:re:{job_keys.ADDRESS}>/rerun/sync"
        app.route(address, ["GET", "POST"], self.rerun)
        app.route(address, "HEAD", self.refuse_head)

    def links(self) -> HTTPResponse:
        """GET or POST: the links of some things."""
        job_service = job_service_of(self.services, request.environ)
        job_service.require_entry()
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            wanted = [text.strip() for text in form.take_all("ID") if text.strip()]
            asked = form.take(dali.RESPONSEFORMAT)
            most = _most_rows(form.take("MAXREC"))
        media_type = dali.format_of(asked or "votable", _FORMATS, "votable is allowed")
        plain = [(identifier, job_service.open(identifier)) for identifier in wanted[:_MOST_IDS]]
        finder = _Finder(self.services, job_service, most)
        found = (link for identifier, named in plain for link in finder.links(identifier, named))
        links = list(itertools.islice(found, most))
        is_cut = len(wanted) > _MOST_IDS or finder.left_out or next(found, None) is not None
        document = linktable.document(links, finder.services_used(), f"{self.services.base_url}/datalink", is_cut)
        return HTTPResponse(document, 200, {"Content-Type": media_type, "Cache-Control": "private, no-cache"})

    def rerun(self, name: str, job_id: str) -> HTTPResponse:
        """GET or POST changes: a job like this one, run at once; 303 to the address that waits for its end."""
        reruns = Reruns(self.services, job_service_of(self.services, request.environ))
        job = reruns.job_service.job(job_id, name)
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            for word in ("PHASE", dali.RESPONSEFORMAT, "RUNID"):
                form.take(word)
            made = reruns.make(reruns.of_job(job), read_rerun_request(form))
        reruns.run(made)
        last = reruns.job_service.address(made[-1].id)
        address = f"{self.services.base_url}/rest/{made[-1].definition}/{last}/sync"
        return HTTPResponse("", 303, {"Location": address})

    def refuse_head(self, name: str, job_id: str) -> HTTPResponse:
        """Refuse HEAD, which would make a job."""
        text = f"HEAD is not possible at /rest/{name[:64]}/{job_id}/rerun/sync\n"
        return HTTPResponse(text, 405, {"Allow": "GET, POST", "Content-Type": "text/plain; charset=UTF-8"})


def _most_rows(text: str | None) -> int | None:
    """Return how many rows a request asks for, no more than there may be; None if it does not say."""
    most = dali.most_rows(text)
    return None if most is None else min(most, _MOST_ROWS)


class _Finder:
    """Finds what belongs to the things that one request names."""

    def __init__(self, services: Services, job_service: JobService, most: int | None) -> None:
        self.left_out = False
        """Whether results of a job were left out."""
        self._most = MOST_SHOWN if most is None else most
        self._jobs = job_service
        self._base, self._publisher = services.base_url, services.config.products.publisher
        self._provenance = ProvenanceReader(services, job_service.caller, MOST_SHOWN)
        self._described: dict[str, Service] = {}
        self._cutouts = Cutouts(services, job_service)

    def services_used(self) -> list[Service]:
        """Return the services that rows refer to."""
        return list(self._described.values())

    def links(self, identifier: str, named: str) -> Iterator[Link]:
        """Yield the links of one thing, which `named` names without a key, or a row with what is wrong with it."""
        try:
            source = self._jobs.archive_files.source_of(identifier, self._base, self._publisher)
            if source is not None:
                yield from self._of_archive(identifier, source)
                return
            start = self._provenance.find(named)
            of_result = start.key.startswith("result_")
            yield from self._of_result(identifier, start) if of_result else self._of_job(identifier, start)
        except NotFound as error:
            yield Link(identifier, error=f"NotFoundFault: {error}")
        except ServerError as error:
            yield Link(identifier, error=f"DefaultFault: {error}")

    # --- a job, a result -------------------------------------------------------------------------------

    def _of_job(self, identifier: str, start: Start) -> Iterator[Link]:
        """Yield the links of a job: all its files and what belongs to it."""
        if not start.key.startswith("job_"):
            raise NotFound(f"ID: {identifier[:80]!r} is a file that jobs used; no address of it is known")
        job = self._jobs.bare(start.jobs[0])
        page = self._page(job)
        for result in page.results:
            yield self._stored(identifier, "#documentation" if result.name == LOG else "#this", result)
        yield from self._all_results(identifier, job, page)
        if job.phase is Phase.ARCHIVED or not page.results:
            yield Link(identifier, error=f"NotFoundFault: job {job.id} is {job.phase}: it has no files")
        yield from self._progenitors(identifier, job)
        yield from self._derived(identifier, start, 4, set())
        yield from self._about(identifier, job, page)

    def _of_result(self, identifier: str, start: Start) -> Iterator[Link]:
        """Yield a result and what belongs to it.

        Its id alone gives access to the file, even if the job may not be seen.
        """
        result = self._jobs.result(start.key.removeprefix("result_"))
        yield self._stored(identifier, "#this", result)
        yield from self._cutout(identifier, self._cutouts.of_result(result.id, Path(result.file_name)))
        job = self._jobs.seen(start.jobs[0])
        if job is None:
            return
        kind, named = self._headers_of(job, result)
        page = self._page(job)
        far = (self._jobs.results.of_file(job, name) for name in named) if page.following else ()
        for other in dict.fromkeys([*(found for found in far if found), *page.results]):
            if other.id != result.id:
                usual = "#documentation" if other.name == LOG else "#auxiliary"
                yield self._stored(identifier, named.get(other.file_name, usual), other)
        yield from self._all_results(identifier, job, page)
        yield from self._progenitors(identifier, job)
        yield from self._derived(identifier, start, 2, {start.key})
        yield from self._previews(identifier, job, result, kind)
        yield from self._about(identifier, job, page)

    def _of_archive(self, identifier: str, source: str) -> Iterator[Link]:
        """Yield a file of the archive, and the sky that it sees."""
        file = self._jobs.archive_files.file(source)
        yield self._indexed(identifier, "#this", file)
        yield from self._cutout(identifier, self._cutouts.of_archive(source))
        if file.has_footprint:
            address = f"{self._base}/archive/footprint?ID={quote(source, safe='')}"
            yield Link(identifier, address, semantics="#auxiliary", description="The sky that it sees, as a MOC",
                       content_type="application/fits")  # fmt: skip

    def _indexed(self, identifier: str, semantics: str, file: IndexedFile) -> Link:
        """Return the link of a file of the archive."""
        return Link(identifier, archive_address(self._base, file.source), semantics=semantics, content_type=file.mime,
                    description=file.path.name, content_length=file.path.stat().st_size)  # fmt: skip

    # --- parts -----------------------------------------------------------------------------------------

    def _page(self, job: Job) -> ResultPage:
        """Return the results of a job that rows are made of: the first ones."""
        page = self._jobs.results.page(job, most=max(1, min(self._most, _MOST_ROWS)))
        self.left_out = self.left_out or page.following is not None
        return page

    def _all_results(self, identifier: str, job: Job, page: ResultPage) -> Iterator[Link]:
        """Yield the link to the list of all results of a job, where not each of them has a row."""
        if page.following is not None:
            address = f"{self._base}/rest/{job.definition}/{self._jobs.address(job.id)}/results"
            yield Link(identifier, address, semantics="#documentation", content_type="text/xml",
                       description=f"List of all {page.total:,} results")  # fmt: skip

    def _stored(self, identifier: str, semantics: str, result: Result) -> Link:
        """Return the link of a result by its own address."""
        name = result.file_name
        return Link(
            identifier, store_address(self._base, result.id, name), semantics=semantics,
            description=f"{name}: {result.description}" if result.description else name,
            content_type=result.mime, content_length=result.size, local_semantics=result.name,
        )  # fmt: skip

    def _headers_of(self, job: Job, result: Result) -> tuple[str, dict[str, str]]:
        """Return what a product's headers say: its ObsCore type, and the other products it names."""
        try:
            path = self._jobs.result_path(job, result)
            headers = hdus.headers(path) if result.mime == "application/fits" else ()
        except (OSError, ProvenanceError, NotFound):
            return "", {}
        named = {}
        for header in headers:
            for keyword, semantics in _NAMED.items():
                if isinstance(value := header.get(keyword), str):
                    named[Path(value.strip()).name] = semantics
        kinds = [str(header.get("DP_TYPE")) for header in headers if header.get("EXTNAME") == "VO-TAGS"]
        return (kinds[0].lower() if kinds else ""), named

    def _progenitors(self, identifier: str, job: Job) -> Iterator[Link]:
        """Yield the links of the files that a job used."""
        for name, value, result_id in self._provenance.inputs(job):
            yield self._progenitor(identifier, job, name, value, result_id)

    def _progenitor(self, identifier: str, job: Job, name: str, value: ParameterValue, result_id: str | None) -> Link:
        if result_id is not None:
            try:
                result = self._jobs.result(result_id)
                return self._stored(identifier, "#progenitor", result)
            except NotFound:
                pass  # deleted since: it may still be there as it was uploaded
        redacted = recording.redacted(value.text)
        about, address = f"{redacted}, given for {name}", ""
        if value.kind == "upload":
            address = f"{self._base}/rest/{job.definition}/{self._jobs.address(job.id)}/parameters/{name}"
        elif value.kind == "url" and re.match(r"(?:https?|ftp)://", redacted) and recording.HIDDEN not in redacted:
            address = redacted
        if not address:
            with contextlib.suppress(NotFound):
                return self._indexed(identifier, "#progenitor", self._jobs.archive_files.file(value.text))
            error = f"NotFoundFault: {redacted} is of the archive, which this server does not serve"
            return Link(identifier, semantics="#progenitor", description=about, error=error)
        return Link(identifier, address, semantics="#progenitor", description=about,
                    local_semantics=name.partition("/")[0], content_type="application/octet-stream")  # fmt: skip

    def _derived(self, identifier: str, start: Start, depth: int, mine: set[str]) -> Iterator[Link]:
        """Yield the links of what jobs that the caller may see made of it."""
        graph: ProvenanceGraph = self._provenance.graph([start], Direction.FORWARD, depth)
        jobs = [job for job in graph.activities if not job.hidden and job.key != start.key]
        made = dict.fromkeys(link.key for job in jobs for link in job.made if link.key.startswith("result_"))
        for key in [key for key in made if key not in mine][:_MOST_DERIVED]:
            try:
                result = self._jobs.result(key.removeprefix("result_"))
            except NotFound:
                continue
            yield self._stored(identifier, "#derivation", result)

    def _previews(self, identifier: str, job: Job, result: Result, kind: str) -> Iterator[Link]:
        """Yield the links of the pictures of a product."""
        page = f"{self._base}/jobs/{self._jobs.address(job.id)}"
        if kind in _PLOTTED:
            yield Link(identifier, f"{page}/preview/{result.name}.svg", semantics="#preview-plot",
                       description="Plot", content_type="image/svg+xml")  # fmt: skip
            yield Link(identifier, f"{page}/thumbnail/{result.name}.svg", semantics="#preview",
                       description="Small plot", content_type="image/svg+xml")  # fmt: skip
        elif kind in _DRAWN:
            yield Link(identifier, f"{page}/preview/{result.name}.svg", semantics="#preview-plot",
                       description="The sky with its coordinates", content_type="image/svg+xml")  # fmt: skip
            yield Link(identifier, f"{page}/preview/{result.name}.png", semantics="#preview",
                       description="Picture of the sky", content_type="image/png")  # fmt: skip

    def _about(self, identifier: str, job: Job, page: ResultPage) -> Iterator[Link]:
        """Yield the links that describe a job: provenance, documentation, all its files, the service for a rerun."""
        address = self._jobs.address(job.id)
        pages, resource = f"{self._base}/jobs/{address}", f"{self._base}/rest/{job.definition}/{address}"
        yield Link(identifier, f"{pages}/provenance", semantics="#documentation",
                   description="How it was made, as a page", content_type="text/html")  # fmt: skip
        yield Link(identifier, f"{resource}/provjson", semantics="#documentation",
                   description="How it was made, as PROV-JSON", content_type="application/json")  # fmt: skip
        about = self._provenance.definition(job)
        if about.documentation:
            yield Link(identifier, about.documentation, semantics="#documentation",
                       description=f"About {about.title}", content_type="text/html")  # fmt: skip
        if page.results:
            for suffix, mime in (("tar", "application/x-tar"), ("zip", "application/zip")):
                yield Link(identifier, f"{pages}/all.{suffix}", semantics="#package",
                           description=f"All files of the job, {suffix}", content_type=mime)  # fmt: skip
        service = self._service(job, page)
        if service is not None:
            yield Link(identifier, semantics="#proc", description=f"Run again: {about.title}", service=service.id)

    def _cutout(self, identifier: str, product: CutProduct | None) -> Iterator[Link]:
        """Yield the link to the service that makes cutouts of a product, where there is one."""
        if product is not None:
            service = cutout_service(f"soda_{len(self._described)}", identifier, product, self._base)
            self._described[service.id] = service
            yield Link(identifier, semantics="#cutout", service=service.id, description=service.description,
                       content_type=service.content_type)  # fmt: skip

    def _service(self, job: Job, page: ResultPage) -> Service | None:
        """Return the service that runs a job again. Return None if nothing of it may be changed."""
        name = f"rerun_{job.id}"
        if name not in self._described:
            specs = [spec for spec in self._provenance.definition(job).parameters.values() if spec.editable]
            values = {key.lower(): value for key, value in job.parameters.items()}
            inputs = tuple(linktable.input_of(spec, values.get(spec.name.lower())) for spec in specs)
            if not inputs or job.phase not in ENDED:
                return None
            main = next((result.mime for result in page.results if result.name != LOG), "")
            address = f"{self._base}/rest/{job.definition}/{self._jobs.address(job.id)}/rerun/sync"
            self._described[name] = Service(name, address, self._provenance.definition(job).title, main, inputs)
        return self._described[name]
