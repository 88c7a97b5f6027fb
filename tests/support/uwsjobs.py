"""Jobs of a real server over HTTP: made, awaited, read; and the definitions that only tests need."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import requests
from lxml import etree

from checkout import ROOT

UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
XLINK = "{http://www.w3.org/1999/xlink}"
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
ENDED = ("COMPLETED", "ERROR", "ABORTED")

FIELD = '<FIELD name="n" datatype="int"/><DATA><TABLEDATA><TR><TD>42</TD></TR></TABLEDATA></DATA>'
STATUS = '<INFO name="QUERY_STATUS" value="OK"/>'
VOTABLE = (
    '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
    f'<RESOURCE type="results">{STATUS}<TABLE>{FIELD}</TABLE></RESOURCE></VOTABLE>'
)

TEXT = {"name": "text", "type": "string", "default": "hello"}
DEFINITIONS: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    # its result is a table: what TAP clients expect
    "table": (
        [{"name": "QUERY", "type": "string", "default": ""}, {"name": "seconds", "type": "float", "default": 0.3}],
        f"sleep $UWS_PARAM_seconds; mkdir -p results; echo '{VOTABLE}' > results/result",
        "application/x-votable+xml",
    ),
    # takes a file, and gives it back
    "files": (
        [{"name": "table", "type": "file"}, {"name": "Note", "type": "string", "default": ""}],
        'mkdir -p results; if [ -n "$UWS_PARAM_table" ]; then cat "$UWS_PARAM_table"; fi > results/result',
        "application/octet-stream",
    ),
    # a tree of processes, one of them in a session of its own
    "tree": ([TEXT], "(sleep 61 & sleep 62) & setsid sleep 63 & sleep 64", "text/plain"),
    # prints more than a server should hold, and what no XML may hold
    "loud": (
        [TEXT],
        "for i in $(seq 60000); do echo \"$i 0123456789012345678901234567890123456789\"; done; "
        "printf '[STAGE 1/2] \\001\\033[1mbold\\033[0m <&>\\n[ERROR] \\002 \\xff <not> & ]]> allowed\\n' >&2; exit 3",
        "text/plain",
    ),
}  # fmt: skip
"""Definitions for tests, each a shell script: parameters, script, media type of its result."""


def write_definitions(folder: Path) -> Path:
    """Put the test job and the definitions above into a folder, for the setting `definitions`."""
    for name in ("dummy", "spectrum"):
        shutil.copytree(ROOT / "job_definitions" / name, folder / name)
    for name, (parameters, script, mime) in DEFINITIONS.items():
        results = [{"name": "result", "file": "result", "mime": mime, "optional": True}]
        control = {"duration": {"default": 60, "max": 600}}
        define(folder, name, f"{script}\n", control=control, parameters=parameters, results=results)
    return folder


def define(folder: Path, name: str, script: str, kind: str = "shell", /, **more: Any) -> Path:
    """Write a definition, `more` over what every one has, into a folder of definitions; returns its own folder."""
    entry = {"type": kind, "script": {"shell": "run.sh", "python": "run.py"}[kind]}
    document = {"name": name, "version": "1", "title": name, "entry": entry, **more}
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "job.json").write_text(json.dumps(document), encoding="utf-8")
    (place / entry["script"]).write_text(script, encoding="utf-8")
    return place


def create(server: str, name: str = "dummy", **values: str) -> str:
    """Make a job; returns its address."""
    response = requests.post(f"{server}/rest/{name}", data=values, allow_redirects=False, timeout=300)
    assert response.status_code == 303, response.text
    return response.headers["Location"]


def change(address: str, **values: str) -> requests.Response:
    """POST a form, and do not follow."""
    return requests.post(address, data=values, allow_redirects=False, timeout=300)


def phase(job: str) -> str:
    return requests.get(f"{job}/phase", timeout=300).text


def reached(job: str, *wanted: str, seconds: float = 300) -> str:
    """The phase of a job, once it is one of those."""
    deadline = time.monotonic() + seconds
    while (now := phase(job)) not in wanted:
        assert time.monotonic() < deadline, f"{job} is {now}, not {' or '.join(wanted)}"
        time.sleep(0.03)
    return now


def document(address: str, **query: str) -> etree._Element:
    """The XML document at an address."""
    response = requests.get(address, params=query, timeout=300)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "text/xml; charset=UTF-8"
    return etree.fromstring(response.content)


def listed(server: str, query: str = "", name: str = "dummy") -> list[str]:
    """The addresses in a job list, in its order."""
    response = requests.get(f"{server}/rest/{name}?{query}", timeout=300)
    assert response.status_code == 200, response.text
    return [str(ref.get(f"{XLINK}href")) for ref in etree.fromstring(response.content).iterfind(f"{UWS}jobref")]


def read_schema(folder: Path, name: str) -> etree.XMLSchema:
    """A schema of the folder of schemas; what it imports is taken from there too."""

    class Offline(etree.Resolver):
        def resolve(self, url: str, _public: str, context: object) -> object:
            asked = url.rpartition("/")[2]
            return self.resolve_filename(str(folder / {"xml.xsd": "xmlnamespace.xsd"}.get(asked, asked)), context)

    parser = etree.XMLParser()
    parser.resolvers.add(Offline())
    return etree.XMLSchema(etree.parse(str(folder / name), parser))
