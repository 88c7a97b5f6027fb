"""The UWS resources that every job list has, as WADL, with the ids that OPUS gives them. Imports the values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from uws_server.jobs.definition import Definition
from uws_server.jobs.formats import etree
from uws_server.jobs.phases import Phase

WADL = "http://wadl.dev.java.net/2009/02"
OWN = "urn:uws-server:definition"
"""The namespace of what WADL has no words for."""
PARAMETERS = ("create_job_parameters", "control_job_parameters", "set_job_parameters")
"""The ids of the requests that take the parameters of a job."""

_XS = "http://www.w3.org/2001/XMLSchema"
_UWS = "http://www.ivoa.net/xml/UWS/v1.0"
_SCHEMA = "http://www.ivoa.net/xml/UWS/v1.0/UWS-v1.1.xsd"
_FORM = "application/x-www-form-urlencoded"
_FILES = "multipart/form-data"
_PHASES = tuple(phase.value for phase in Phase)
_ATOMS = (
    ("executionduration", "The seconds a job may run", "xs:int", "EXECUTIONDURATION"),
    ("destruction", "The time at which a job is destroyed", "xs:dateTime", "DESTRUCTION"),
    ("quote", "The time at which a job is expected to end", "xs:dateTime", ""),
    ("error", "Why a job ended in ERROR, and the end of what it printed", "xs:string", ""),
    ("owner", "Whose a job is", "xs:string", ""),
    ("stdout", "What the script printed", "xs:string", ""),
    ("stderr", "What the script printed as errors", "xs:string", ""),
)
"""The properties of a job as plain text: path, description, type, and the parameter that changes it."""


def application(definition: Definition, base_url: str) -> tuple[etree._Element, etree._Element]:
    """Return the document without the parameters and results of the definition, and its resource `joblist`."""
    names = cast(dict[str, str], {None: WADL, "xs": _XS, "uws": _UWS, "d": OWN})  # the stubs know no default namespace
    root = etree.Element(f"{{{WADL}}}application", nsmap=names)
    add(root, "doc", {"title": definition.title}, "A job list of UWS 1.1")
    add(add(root, "grammars"), "include", {"href": _SCHEMA})
    resources = add(root, "resources", {"base": f"{base_url}/rest/"})
    resource = add(resources, "resource", {"id": "joblist", "path": definition.name})
    add(resource, "doc", text="The list of jobs")
    add(resource, "doc", {"title": "description"}, definition.description)
    _list_methods(resource)
    _sync(resource)
    job = add(resource, "resource", {"id": "job", "path": "{job-id}"})
    add(job, "doc", text="A job")
    add(job, "param", {"style": "template", "name": "job-id", "type": "xs:string", "required": "true"})
    _job_methods(job)
    _phase(job)
    _atoms(job, definition)
    _parameters(job)
    _results(job)
    _end(job)
    return root, resource


def add(
    parent: etree._Element, name: str, attributes: Mapping[str, str] | None = None, text: str = ""
) -> etree._Element:
    """Add an element of WADL below another and return it."""
    element = etree.SubElement(parent, f"{{{WADL}}}{name}", dict(attributes or {}))
    if text:
        element.text = text
    return element


def _list_methods(resource: etree._Element) -> None:
    request = _method(resource, "GET", "The jobs, newest first", "list_jobs", element="uws:jobs")
    _query(request, "PHASE", "xs:string", "Only jobs of this phase; may be given several times", _PHASES)
    _query(request, "AFTER", "xs:dateTime", "Only jobs created after this time")
    _query(request, "LAST", "xs:int", "Only so many, the newest")
    request = _method(resource, "POST", "Make a job: 303 to it", "create_job", status="303")
    form = _form(request, PARAMETERS[0])
    _query(form, "PHASE", "xs:string", "RUN runs it at once", ("RUN",))
    _query(form, "RUNID", "xs:string", "A name of your own for it")
    _query(form, "EXECUTIONDURATION", "xs:int", "Seconds it may run")
    _query(form, "DESTRUCTION", "xs:dateTime", "When it is to be destroyed")


def _sync(resource: etree._Element) -> None:
    sync = add(resource, "resource", {"id": "sync", "path": "sync"})
    add(sync, "doc", text="Runs a job and waits for its end; takes the same parameters as creating one")
    for name in ("GET", "POST"):
        request = _method(sync, name, "Run a job: 303 to where its end is waited for", status="303")
        add(request, "representation", {"href": f"#{PARAMETERS[0]}"})


def _job_methods(job: etree._Element) -> None:
    request = _method(job, "GET", "The job", element="uws:job")
    _query(request, "WAIT", "xs:int", "Answer when the phase changes, or after so many seconds")
    _query(request, "PHASE", "xs:string", "With WAIT: only if this is the phase", _PHASES)
    request = _method(job, "POST", "Change the job, run, abort or delete it: 303 to it", status="303")
    form = _form(request, PARAMETERS[1])
    _query(form, "PHASE", "xs:string", "What is to become of it", ("RUN", "ABORT"))
    _query(form, "ACTION", "xs:string", "DELETE deletes it", ("DELETE",))
    _method(job, "DELETE", "Delete the job: 303 to the list", status="303")


def _phase(job: etree._Element) -> None:
    phase = add(job, "resource", {"id": "job_phase", "path": "phase"})
    add(phase, "doc", text="The phase of a job")
    _method(phase, "GET", "The phase", media_type="text/plain")
    request = _method(phase, "POST", "Run or abort the job: 303 to it", status="303")
    _query(_form(request), "PHASE", "xs:string", "What is to become of it", ("RUN", "ABORT"))


def _atoms(job: etree._Element, definition: Definition) -> None:
    for path, says, kind, parameter in _ATOMS:
        resource = add(job, "resource", {"id": f"job_{path}", "path": path})
        add(resource, "doc", text=says)
        _method(resource, "GET", says, media_type="text/plain")
        if parameter:
            request = _method(resource, "POST", "Change it: 303 to the job", status="303")
            _query(_form(request), parameter, kind, says)
            if parameter == "EXECUTIONDURATION":
                request[-1][-1].set("default", str(definition.control.duration.default))


def _parameters(job: etree._Element) -> None:
    parameters = add(job, "resource", {"id": "job_parameters", "path": "parameters"})
    add(parameters, "doc", text="The parameters of a job")
    _method(parameters, "GET", "All of them", element="uws:parameters")
    request = _method(parameters, "POST", "Change some, before the job runs: 303 to it", status="303")
    _form(request, PARAMETERS[2])
    one = add(parameters, "resource", {"id": "job_parameter_name", "path": "{parameter-name}"})
    add(one, "doc", text="A parameter of a job")
    _template(one, "parameter-name")
    _method(one, "GET", "Its value, or the uploaded file itself", media_type="*/*")
    _method(one, "PUT", "Change it, before the job runs: 303 to the job", status="303")


def _results(job: etree._Element) -> None:
    results = add(job, "resource", {"id": "job_results", "path": "results"})
    add(results, "doc", text="The results of a job")
    _method(results, "GET", "All of them", element="uws:results")
    one = add(results, "resource", {"id": "job_result_name", "path": "{result-id}"})
    add(one, "doc", text="A result of a job")
    _template(one, "result-id")
    _method(one, "GET", "The file", media_type="*/*")


def _end(job: etree._Element) -> None:
    sync = add(job, "resource", {"id": "job_sync", "path": "sync"})
    add(sync, "doc", text="Where the end of a job is waited for")
    _method(sync, "GET", "303 to its main result", status="303")


def _method(
    resource: etree._Element,
    name: str,
    says: str,
    number: str = "",
    *,
    status: str = "200",
    element: str = "",
    media_type: str = "text/xml",
) -> etree._Element:
    """Add a method with its responses and return its request, still to be filled."""
    method = add(resource, "method", {"name": name} | ({"id": number} if number else {}))
    add(method, "doc", text=says)
    request = add(method, "request")
    answer = add(method, "response", {"status": status})
    if status == "200":
        add(answer, "representation", {"mediaType": media_type} | ({"element": element} if element else {}))
    problems = add(method, "response", {"status": "400 401 403 404 409 413 500"})
    add(problems, "doc", text="What is wrong, in a sentence")
    add(problems, "representation", {"mediaType": "text/plain"})
    return request


def _form(request: etree._Element, number: str = "") -> etree._Element:
    """Add the form that a request carries."""
    form = add(request, "representation", {"mediaType": _FORM} | ({"id": number} if number else {}))
    if number:
        add(add(request, "representation", {"mediaType": _FILES}), "doc", text="The same, with files as parts")
    return form


def _query(holder: etree._Element, name: str, kind: str, says: str, options: tuple[str, ...] = ()) -> None:
    param = add(holder, "param", {"style": "query", "name": name, "type": kind, "required": "false"})
    add(param, "doc", text=says)
    for option in options:
        add(param, "option", {"value": option})


def _template(resource: etree._Element, name: str) -> None:
    add(resource, "param", {"style": "template", "id": name, "name": name, "type": "xs:string", "required": "true"})
