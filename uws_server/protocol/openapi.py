"""The job lists as an OpenAPI 3.1 document, /openapi.json: made of the definitions of the moment. Imports the services.

GET /openapi.json     every job list: its parameters as schemas, the resources of UWS 1.1, how to sign in

UWS has no such document of its own; those that the IVOA's members try out (see `_ABOUT`) describe the same resources.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from bottle import Bottle, HTTPResponse, request

from uws_server.incoming.callers import job_service_of
from uws_server.jobs.definition import PARAMETER_TYPES, Definition, ParameterSpec
from uws_server.jobs.phases import Phase
from uws_server.protocol import soda_jobs
from uws_server.protocol.uws_json import JSON
from uws_server.services.context import Services
from uws_server.services.cutouts import DEFINITIONS
from uws_server.services.job_service import JobService
from uws_server.services.rights import Caller
from uws_server.version import VERSION

Plain = dict[str, Any]
"""An object of JSON."""

_ABOUT: Final = (
    "Each job list follows the Universal Worker Service 1.1 of the IVOA: XML is the default, JSON comes for `Accept: "
    "application/json`, and a job is made by a form, a multipart form with files, or a JSON object. UWS 1.1 has no "
    "OpenAPI document and no JSON of its own; this one stands beside the IVOA's experiments with them: vo-openapi "
    "(github.com/spacetelescope/vo-openapi), the draft framework of SQR-091 (sqr-091.lsst.io), and the working draft "
    "of VOSI 1.2. Names of parameters are taken in any case."
)
_JOB: Final = "/rest/{list}/{job}"
_TEXT: Final = {"text/plain": {"schema": {"type": "string"}}}
_TIME: Final = {"type": ["string", "null"], "format": "date-time"}
_WORD: Final = {"type": ["string", "null"]}
_CONTROL: Final[Mapping[str, Plain]] = {
    "PHASE": {"type": "string", "enum": ["RUN"], "description": "RUN has the job begin at once"},
    "RUNID": {"type": "string", "description": "A name of the client's own for the job"},
    "EXECUTIONDURATION": {"type": "integer", "minimum": 0, "description": "Time limit in seconds, 0 for none"},
    "DESTRUCTION": {"type": "string", "format": "date-time", "description": "When the job is to be deleted"},
}
_SIGNING_IN: Final = {
    "basic": {"type": "http", "scheme": "basic", "description": "Name and token of an account"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "name.token"},
}
_COMMANDS: Final = ["RUN", "ABORT", "HOLD", "SUSPEND", "RESUME"]


class OpenAPI:
    """The document over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def routes(self, app: Bottle) -> None:
        """Add the resource to the application."""
        app.get("/openapi.json", callback=self.document)

    def document(self) -> HTTPResponse:
        """GET the document of all job lists."""
        job_service = job_service_of(self.services, request.environ)
        job_service.require_entry()
        definitions = [installed.definition for installed in job_service.definitions]
        is_open = JobService(self.services, Caller()).may_enter()
        made = document(definitions, self.services.base_url, is_open)
        return HTTPResponse(f"{json.dumps(made, indent=1)}\n".encode(), 200, {"Content-Type": JSON})


def document(definitions: Iterable[Definition], base_url: str, is_open: bool) -> Plain:
    """Return the document; `is_open` says that callers without an account may come in."""
    known = list(definitions)
    schemas = _schemas() | {_schema_name(each): _creation(each) for each in known}
    paths: Plain = {}
    for each in known:
        paths[f"/rest/{each.name}"] = _of_list(each)
        paths[f"/rest/{each.name}/sync"] = _of_sync(each)
    if known:
        paths |= _of_jobs([each.name for each in known])
    if {each.name for each in known} & {*DEFINITIONS}:
        paths[soda_jobs.ADDRESS] = _of_cutouts()
    return {
        "openapi": "3.1.0",
        "info": {"title": "uws-server", "version": VERSION, "description": _ABOUT},
        "servers": [{"url": base_url}],
        "security": [*([{}] if is_open else []), {"basic": []}, {"bearer": []}],
        "tags": [{"name": each.name, "description": each.title} for each in known],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _SIGNING_IN, "responses": _responses()},
    }


def _responses() -> Plain:
    """Return the responses that several resources have."""
    location = {"Location": {"schema": {"type": "string", "format": "uri"}}}
    return {
        "Refused": {"description": "What is wrong, in one sentence for each parameter", "content": _TEXT},
        "SeeOther": {"description": "Go on at the address in Location", "headers": location},
        "Text": {"description": "The value as text", "content": _TEXT},
        "Job": _both("The job", "Job"),
    }


# --- the values ------------------------------------------------------------------------------------------


def _schema_name(definition: Definition) -> str:
    return f"Parameters.{definition.name}"


def _creation(definition: Definition) -> Plain:
    """Return the schema of what makes a job: its parameters, and the control parameters that no parameter hides."""
    own = {spec.name: _parameter(spec) for spec in definition.parameters}
    hidden = {name.upper() for name in own}
    control = {name: schema for name, schema in _CONTROL.items() if name not in hidden}
    required = [spec.name for spec in definition.parameters if spec.required and not spec.defaults]
    found: Plain = {"type": "object", "title": definition.title, "properties": {**own, **control}}
    return found | ({"required": required} if required else {})


def _parameter(spec: ParameterSpec) -> Plain:
    """Return the schema of a parameter: of one value, or of one or several."""
    value = _value(spec)
    if spec.max_values > 1:
        value = {"anyOf": [value, {"type": "array", "items": value, "maxItems": spec.max_values}]}
    about = [spec.description or PARAMETER_TYPES[spec.type], f"Unit: {spec.unit}" if spec.unit else ""]
    value["description"] = ". ".join(text.rstrip(".") for text in about if text)
    if spec.defaults:
        value["default"] = list(spec.defaults) if len(spec.defaults) > 1 else spec.defaults[0]
    return value


def _value(spec: ParameterSpec) -> Plain:
    """Return the schema of one value; a number may be text as well where a unit may follow it."""
    bounds = {"minimum": spec.min, "maximum": spec.max} if spec.type in ("integer", "float") else {}
    told = {key: bound for key, bound in bounds.items() if bound is not None}
    match spec.type:
        case "boolean":
            return {"type": "boolean"}
        case "integer":
            return {"type": "integer", **told}
        case "float":
            return {"type": ["number", "string"] if spec.unit else "number", **told}
        case "choice":
            return {"type": "string", "enum": list(spec.options)}
        case "region":
            return {"type": ["string", "object"]}
        case "string":
            return {"type": "string", "maxLength": spec.max_length}
    return {"type": "string"}


def _schemas() -> Plain:
    """Return the schemas of what the resources of UWS answer as JSON."""
    phase = {"type": "string", "enum": [each.value for each in Phase]}
    listed = {"type": "array"}
    reference = {"id": {"type": "string"}, "href": {"type": "string", "format": "uri"}, "phase": _schema("Phase"),
                 "runId": _WORD, "ownerId": _WORD, "creationTime": _TIME}  # fmt: skip
    parameter = {"id": {"type": "string"}, "byReference": {"type": "boolean"}, "value": {"type": "string"}}
    result = {"id": {"type": "string"}, "href": {"type": "string", "format": "uri"}, "size": {"type": "integer"},
              "mimeType": {"type": "string"}}  # fmt: skip
    job = {
        "version": {"type": "string"}, "jobId": {"type": "string"}, "runId": _WORD, "ownerId": _WORD,
        "phase": _schema("Phase"), "quote": _TIME, "creationTime": _TIME, "startTime": _TIME, "endTime": _TIME,
        "executionDuration": {"type": "integer"}, "destruction": _TIME,
        "parameters": listed | {"items": _schema("Parameter")}, "results": listed | {"items": _schema("Result")},
        "errorSummary": {"type": ["object", "null"],
                         "properties": {"type": {"enum": ["transient", "fatal"]}, "message": {"type": "string"}}},
        "jobInfo": {"type": "object", "description": "Place in the queue, progress, warning, parts, usage"},
    }  # fmt: skip
    jobs = {"version": {"type": "string"}, "jobs": listed | {"items": _schema("JobReference")}}
    return {
        "Phase": phase,
        "JobReference": _object(reference),
        "Jobs": _object(jobs),
        "Parameter": _object(parameter),
        "Parameters": _object({"parameters": listed | {"items": _schema("Parameter")}}),
        "Result": _object(result),
        "Results": _object({"results": listed | {"items": _schema("Result")}}),
        "Job": _object(job),
    }


def _object(properties: Plain) -> Plain:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _schema(name: str) -> Plain:
    return {"$ref": f"#/components/schemas/{name}"}


def _response(name: str) -> Plain:
    return {"$ref": f"#/components/responses/{name}"}


def _both(description: str, schema: str) -> Plain:
    """Return a response that comes as XML, and as JSON if that is asked for."""
    return {"description": description, "content": {"text/xml": {}, JSON: {"schema": _schema(schema)}}}


# --- the resources ---------------------------------------------------------------------------------------


def _query(name: str, schema: Plain, description: str) -> Plain:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _operation(name: str, tags: list[str], summary: str, responses: Plain, **more: Any) -> Plain:
    refused = {"400": _response("Refused"), "401": _response("Refused"), "403": _response("Refused")}
    return {"operationId": name, "tags": tags, "summary": summary, "responses": responses | refused, **more}


def _form(schema: Plain) -> Plain:
    """Return a body: a form, a form with files, or a JSON object."""
    kinds = ("application/x-www-form-urlencoded", "multipart/form-data", JSON)
    return {"content": {kind: {"schema": schema} for kind in kinds}}


def _of_list(definition: Definition) -> Plain:
    """Return the operations of a job list."""
    name, phases = definition.name, {"type": "array", "items": _schema("Phase")}
    filters = [
        _query("PHASE", phases, "Jobs in these phases"),
        _query("AFTER", {"type": "string"}, "Jobs made after this time, ISO 8601 in UTC"),
        _query("LAST", {"type": "integer", "minimum": 1}, "The newest so many jobs"),
    ]
    listed = {"200": _both("The list", "Jobs")}
    return {
        "get": _operation(f"list.{name}", [name], f"Jobs of {name}", listed, parameters=filters),
        "post": _operation(f"create.{name}", [name], f"Make a job: {definition.title}",
                           {"303": _response("SeeOther")}, description=definition.description,
                           requestBody=_form(_schema(_schema_name(definition)))),
    }  # fmt: skip


def _of_sync(definition: Definition) -> Plain:
    """Return the operation that runs a job and leads to its main result."""
    name = definition.name
    answer = {"303": _response("SeeOther")}
    return {
        "post": _operation(f"sync.{name}", [name], f"Run a job and wait for its main result: {definition.title}",
                           answer, requestBody=_form(_schema(_schema_name(definition)))),
    }  # fmt: skip


def _of_cutouts() -> Plain:
    """Return the operations of the job list of cutouts, which has all that other lists have below each of its jobs."""
    words = {
        "ID": "The product: its obs_publisher_did or address", "CIRCLE": "ra dec radius, degrees",
        "POLYGON": "ra dec ra dec ra dec ..., degrees", "POS": "CIRCLE, RANGE or POLYGON with its numbers",
        "BAND": "Wavelengths in m: two numbers", "TIME": "MJD (TT): two numbers",
    }  # fmt: skip
    own = {name: {"type": "string", "description": text} for name, text in words.items()}
    schema = {"type": "object", "properties": {**own, **_CONTROL}, "required": ["ID"]}
    listed, made = {"200": _both("The list", "Jobs")}, {"303": _response("SeeOther")}
    about = (
        f"SODA 1.0. The job is one of {' or '.join(DEFINITIONS)}, and has below {soda_jobs.ADDRESS}/{{job}} the "
        "resources that it has below its own list."
    )
    return {
        "get": _operation("list.soda", ["soda"], "Jobs that make cutouts", listed),
        "post": _operation("create.soda", ["soda"], "Make a job: a cutout of an event list or image", made,
                           description=about, requestBody=_form(schema)),
    }  # fmt: skip


def _of_jobs(names: list[str]) -> Plain:
    """Return the operations of jobs, which are those of every list."""
    here = [_in_path("list", {"type": "string", "enum": names}, "Name of the job list"),
            _in_path("job", {"type": "string"}, "Id of the job")]  # fmt: skip
    waiting = [
        _query("WAIT", {"type": "integer", "minimum": -1}, "Answer when the phase changes, at latest after so many s"),
        _query("PHASE", _schema("Phase"), "Wait only while the job is in this phase"),
    ]
    go_on, tags = {"303": _response("SeeOther")}, ["jobs"]
    phase = {"type": "object", "properties": {"PHASE": {"type": "string", "enum": _COMMANDS}}, "required": ["PHASE"]}
    change = {"type": "object", "description": "Parameters and control parameters, while the job is PENDING"}
    found: Plain = {
        _JOB: {
            "get": _operation("job", tags, "A job", {"200": _response("Job")}, parameters=waiting),
            "post": _operation("change", tags, "Change a job", go_on, requestBody=_form(change)),
            "delete": _operation("delete", tags, "Delete a job with its files", go_on),
        },
        f"{_JOB}/phase": {
            "get": _operation("phase", tags, "The phase", {"200": _response("Text")}),
            "post": _operation("command", tags, "Run, abort, hold or suspend", go_on, requestBody=_form(phase)),
        },
        f"{_JOB}/parameters": {
            "get": _operation("parameters", tags, "The parameters", {"200": _both("The parameters", "Parameters")}),
        },
        f"{_JOB}/results": {
            "get": _operation("results", tags, "The results", {"200": _both("The results", "Results")}),
        },
        f"{_JOB}/results/{{result}}": {
            "parameters": [_in_path("result", {"type": "string"}, "Name of the result")],
            "get": _operation("result", tags, "The file of a result",
                              {"200": {"description": "The file", "content": {"*/*": {}}}}),
        },
        f"{_JOB}/error": {"get": _operation("error", tags, "Why a job failed", {"200": _response("Text")})},
    }  # fmt: skip
    found |= _of_atoms(tags)
    for path, operations in found.items():
        found[path] = {**operations, "parameters": [*here, *operations.get("parameters", [])]}
    return found


def _of_atoms(tags: list[str]) -> Plain:
    """Return the operations of what is one value of a job."""
    found: Plain = {}
    for atom in ("executionduration", "destruction"):
        schema = {"type": "object", "properties": {atom.upper(): _CONTROL[atom.upper()]}, "required": [atom.upper()]}
        found[f"{_JOB}/{atom}"] = {
            "get": _operation(atom, tags, f"The {atom}", {"200": _response("Text")}),
            "post": _operation(f"set.{atom}", tags, f"Set the {atom}", {"303": _response("SeeOther")},
                               requestBody=_form(schema)),
        }  # fmt: skip
    for atom in ("quote", "owner"):
        found[f"{_JOB}/{atom}"] = {"get": _operation(atom, tags, f"The {atom}", {"200": _response("Text")})}
    return found


def _in_path(name: str, schema: Plain, description: str) -> Plain:
    return {"name": name, "in": "path", "required": True, "schema": schema, "description": description}
