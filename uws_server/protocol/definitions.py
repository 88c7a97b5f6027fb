"""The job definitions for programs, under /jdl: in every format, and as links that say how to run one. Imports the
services, the formats of a definition and the values.

    GET /jdl                     the live definitions, as JSON with the addresses of each
    GET /jdl/schema.json         the JSON Schema of a definition
    GET /jdl/{job}               DataLink: the service descriptors of its job list, and links to all the rest
    GET /jdl/{job}/{format}      json, wadl, votable, par; or script, readme: a file of its own
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from bottle import Bottle, HTTPResponse, request

from uws_server.errors import NotFound, ServerError
from uws_server.incoming import forms
from uws_server.incoming.callers import job_service_of
from uws_server.jobs.definition import Definition
from uws_server.jobs.formats import Package, native
from uws_server.jobs.formats.schema import schema
from uws_server.jobs.formats.written import FORMATS, WADL
from uws_server.protocol import dali, linktable
from uws_server.protocol.control import prefers_page
from uws_server.protocol.linktable import Link
from uws_server.protocol.sending import send
from uws_server.services.context import Services
from uws_server.services.definition_service import DefinitionService
from uws_server.services.job_service import JobService

JSON = "application/json"
_MARKDOWN = "text/markdown; charset=UTF-8"
_TAG = re.compile(r'"[^"]*"')


_FORMAT_NAMES: Mapping[str, str] = {
    "json": "json",
    JSON: "json",
    "wadl": "wadl",
    WADL: "wadl",
    "application/wadl+xml": "wadl",
    **dict.fromkeys(dali.VOTABLE_WORDS, "datalink"),
    "par": "par",
    "text/plain": "par",
}
"""What RESPONSEFORMAT and Accept may ask for, without its options."""


class JDL:
    """The job definitions for programs, over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @property
    def job_service(self) -> JobService:
        """The job service for the caller of the current request."""
        return job_service_of(self.services, request.environ)

    @property
    def definitions(self) -> DefinitionService:
        """The definitions, as the caller of the current request meets them."""
        return self.job_service.definitions

    def routes(self, app: Bottle) -> None:
        """Add every resource to the application."""
        for path, handler in (
            ("/jdl", self.all),
            ("/jdl/schema.json", self.schema),
            ("/jdl/<name>", self.links),
            ("/jdl/<name>/script", self.script),
            ("/jdl/<name>/readme", self.readme),
            ("/jdl/<name>/<form>", self.form),
        ):
            app.get(path, callback=self._for_callers(handler))

    def all(self) -> HTTPResponse:
        """GET the live definitions; a browser is sent to the page that shows them."""
        if _asked("json") == "page":
            return HTTPResponse("", 303, {"Location": f"{self.services.base_url}/definitions", "Vary": "Accept"})
        found = [
            {
                "name": installed.definition.name,
                "title": installed.definition.title,
                "version": installed.definition.version,
                "revision": installed.revision,
                "group": installed.definition.group,
                "description": installed.definition.description,
                "roles": list(installed.definition.roles),
                "links": self._addresses(installed.definition),
            }
            for installed in self.definitions
        ]
        return _answer(_json({"definitions": found}), JSON, "definitions.json")

    def schema(self) -> HTTPResponse:
        """GET the JSON Schema of a definition."""
        return _answer(_json(schema(self.services.base_url)), "application/schema+json", "schema.json")

    def links(self, name: str) -> HTTPResponse:
        """GET how a job of a definition is run, and what is known of the definition: as links, or as plain JSON."""
        definition = self.definitions.get(name).definition
        match _asked("datalink", *FORMATS):
            case "datalink" | "page":
                document = linktable.of_definition(definition, self.services.base_url, self._links(definition))
                return _answer(document, linktable.DATALINK, f"{name}_links.xml")
            case "json":
                described = {"definition": native.to_plain(definition), "links": self._addresses(definition)}
                return _answer(_json(described), JSON, f"{name}.json")
            case other:
                return self.form(name, other)

    def form(self, name: str, form: str) -> HTTPResponse:
        """GET the definition in a format, with its script and README."""
        package = self._package(name)
        chosen = FORMATS.get(form)
        if chosen is None:
            known = ", ".join((*FORMATS, "script", "readme"))
            raise NotFound(f"no format {form[:40]!r} of a definition; there are {known}")
        document = chosen.write(package, self.services.base_url)
        return _answer(document, chosen.media_type, f"{name}{chosen.ending}")

    def script(self, name: str) -> HTTPResponse:
        """GET the script."""
        return send(self.definitions.get(name).script, "text/plain")

    def readme(self, name: str) -> HTTPResponse:
        """GET the README."""
        text = self.definitions.get(name).readme()
        if not text:
            raise NotFound(f"the definition {name} has no README")
        return _answer(text.encode(), _MARKDOWN, f"{name}.md")

    def _for_callers(self, handler: Callable[..., HTTPResponse]) -> Callable[..., HTTPResponse]:
        """Return the handler, refusing callers who may not use the server at all."""

        def handle(**parts: str) -> HTTPResponse:
            self.job_service.require_entry()
            return handler(**parts)

        return handle

    def _package(self, name: str) -> Package:
        installed = self.definitions.get(name)
        try:
            script = installed.script.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ServerError(f"the script of {name} cannot be read: {error}") from error
        return Package(installed.definition, script, installed.readme())

    def _addresses(self, definition: Definition) -> dict[str, str]:
        """Return the addresses of a definition and its jobs, by name."""
        base, name = self.services.base_url, definition.name
        found = {"jobs": f"{base}/rest/{name}", "sync": f"{base}/rest/{name}/sync", "self": f"{base}/jdl/{name}"}
        found |= {form: f"{base}/jdl/{name}/{form}" for form in (*FORMATS, "script")}
        if self.definitions.get(name).readme():
            found["readme"] = f"{base}/jdl/{name}/readme"
        return found | ({"documentation": definition.documentation} if definition.documentation else {})

    def _links(self, definition: Definition) -> list[Link]:
        """Return the links to all but the services."""
        addresses = self._addresses(definition)
        known = [("readme", "#documentation", "What the job does, for scientists", "text/markdown"),
                 ("documentation", "#documentation", "More about it", "text/html")]  # fmt: skip
        known += [(key, "#auxiliary", form.says, dali.plain(form.media_type)) for key, form in FORMATS.items()]
        known.append(("script", "#auxiliary", "The script that runs", "text/plain"))
        return [
            Link(definition.name, addresses[key], semantics=semantics, description=says, content_type=kind)
            for key, semantics, says, kind in known
            if key in addresses
        ]


def _asked(*served: str) -> str:
    """Return which of the formats the request asks for, by RESPONSEFORMAT or else by Accept; `page` for a browser.

    The first one is the default if Accept names none of them. Raise BadRequest if RESPONSEFORMAT names none of them.
    """
    wanted = dali.response_format(dict(forms.query(request.environ)))
    if wanted is not None:
        offered = ", ".join("votable" if form == "datalink" else form for form in served)
        words = {word: form for word, form in _FORMAT_NAMES.items() if form in served}
        return dali.format_of(wanted, words, f"{offered} is served here")
    accept = request.get_header("Accept", "")
    if prefers_page(accept):
        return "page"
    found_ones = (_FORMAT_NAMES.get(dali.plain(kind), "") for kind in accept.split(","))
    return next((form for form in found_ones if form in served), served[0])


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _answer(document: bytes, media_type: str, file_name: str) -> HTTPResponse:
    """Return a document under a file name of its own; status 304 if the client has it already."""
    tag = f'"{hashlib.sha256(document).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Vary": "Accept"}
    known = request.get_header("If-None-Match", "")
    if known.strip() == "*" or tag in _TAG.findall(known):
        return HTTPResponse("", 304, headers)
    headers |= {
        "Content-Type": media_type,
        "Content-Disposition": f'inline; filename="{file_name}"',
        "Content-Security-Policy": "sandbox",
    }
    return HTTPResponse(document, 200, headers)
