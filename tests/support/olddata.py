"""What a user of a server notices of its jobs, read over HTTP in plain values that can be kept as JSON and compared.

The maker of an old data folder keeps what the old server answered; the test asks a server of this build the same.
Addresses are told without the part that says where the server is.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import sqlite3
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import requests
from astropy.io.votable import parse
from lxml import etree

from uwsjobs import UWS, XLINK

DATA = Path(__file__).resolve().parents[1] / "data"
NAME = "data-folder-0.1.0"
ARCHIVE, RECORD = DATA / f"{NAME}.tar.gz", DATA / f"{NAME}.json"
PLACE = "/srv/uws"
"""Where the old server had its folder: the database and some files name places below it."""
HOST = "old.example.org"
"""The machine that it ran on."""
TIMEOUT_S = 60

Who = tuple[str, str] | None


class Seen:
    """A server as one caller sees it."""

    def __init__(self, url: str, who: Who = None) -> None:
        self.url, self.session = url, requests.Session()
        self.session.auth = who

    def get(self, path: str, **query: Any) -> requests.Response:
        """The answer to a GET of an address at the server."""
        address = path if path.startswith("http") else self.url + path
        return self.session.get(address, params=query, timeout=TIMEOUT_S, allow_redirects=False)

    def content(self, path: str, **query: Any) -> bytes:
        """What is at an address, where there is something."""
        answer = self.get(path, **query)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:2000])
        return answer.content

    def plain(self, text: str | None) -> str | None:
        """A text without the address of the server."""
        return None if text is None else text.replace(self.url, "")

    # --- a job -----------------------------------------------------------------------------------------

    def document(self, path: str) -> dict[str, Any]:
        """What the document of a job says."""
        root = etree.fromstring(self.content(path))
        words = ("jobId", "runId", "ownerId", "phase", "quote", "creationTime", "startTime", "endTime")
        told: dict[str, Any] = {word: root.findtext(f"{UWS}{word}") for word in words}
        told |= {word: root.findtext(f"{UWS}{word}") for word in ("executionDuration", "destruction")}
        told["parameters"] = [
            [each.get("id"), self.plain(each.text) if each.get("byReference") else each.text, each.get("byReference")]
            for each in root.iterfind(f"{UWS}parameters/{UWS}parameter")
        ]
        told["results"] = [
            [each.get("id"), self.plain(each.get(f"{XLINK}href")), each.get("size"), each.get("mime-type")]
            for each in root.iterfind(f"{UWS}results/{UWS}result")
        ]
        error = root.find(f"{UWS}errorSummary")
        told["error"] = None if error is None else [error.get("type"), error.findtext(f"{UWS}message")]
        return told

    def job(self, path: str) -> dict[str, Any]:
        """Everything of a job: its document, its files by their hashes, its links, its provenance."""
        document = self.document(path)
        by_reference = [text for _, text, reference in document["parameters"] if reference]
        return {
            "document": document,
            "files": {name: sha256(self.content(address)) for name, address, *_ in document["results"]},
            "inputs": {address: sha256(self.content(address)) for address in by_reference},
            "links": self.links(document["jobId"]),
            "provenance": self.provenance(document["jobId"]),
        }

    def links(self, job_id: str) -> list[list[str]]:
        """The rows of DataLink: where each leads, what it is, its type and size, or what is wrong."""
        names = ("access_url", "semantics", "content_type", "content_length", "local_semantics", "error_message")
        rows = rows_of(self.content("/datalink", ID=job_id))
        return sorted([str(self.plain(row.get(name, ""))) for name in names] for row in rows)

    def provenance(self, job_id: str) -> dict[str, list[str]]:
        """The files and the activities before and behind a job, and which of them used which."""
        found: dict[str, list[str]] = {"entity": [], "activity": [], "used": [], "wasGeneratedBy": []}
        for direction in ("BACK", "FORWARD"):
            answer = self.get("/provsap", ID=job_id, DIRECTION=direction, RESPONSEFORMAT="PROV-JSON")
            assert answer.status_code == 200, answer.text
            document = answer.json()
            for kind in ("entity", "activity"):
                found[kind] += document.get(kind, {}).keys()
            for kind in ("used", "wasGeneratedBy"):
                pairs = document.get(kind, {}).values()
                found[kind] += [f"{each.get('prov:activity')} {each.get('prov:entity')}" for each in pairs]
        return {kind: sorted(set(names)) for kind, names in found.items()}

    # --- many jobs -------------------------------------------------------------------------------------

    def listed(self, definition: str, **query: str) -> list[list[str | None]]:
        """The job list: address, phase, run id, owner and time of each, in its order."""
        root = etree.fromstring(self.content(f"/rest/{definition}", **query))
        words = ("phase", "runId", "ownerId", "creationTime")
        return [
            [self.plain(each.get(f"{XLINK}href")), *(each.findtext(f"{UWS}{word}") for word in words)]
            for each in root.iterfind(f"{UWS}jobref")
        ]

    def obscore(self) -> dict[str, dict[str, str]]:
        """The rows of /obscore by their addresses: every column that is not empty, as text."""
        rows = rows_of(self.content("/obscore"))
        return {str(self.plain(row["access_url"])): row | {"access_url": ""} for row in rows}

    def definitions(self) -> dict[str, list[str]]:
        """The live definitions: version and revision of each."""
        found = self.get("/jdl").json()["definitions"]
        return {each["name"]: [each["version"], each["revision"]] for each in found}


def rows_of(document: bytes) -> list[dict[str, str]]:
    """The rows of the first table of a VOTable, without what is empty."""
    table = parse(io.BytesIO(document), verify="ignore").get_first_table()
    return [
        {name: str(row[name]) for name in table.array.dtype.names if row[name] is not None and not _is_empty(row[name])}
        for row in table.array
    ]


def _is_empty(value: Any) -> bool:
    return str(value) in ("", "--", "nan")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def pack(folder: Path, target: Path) -> None:
    """A folder as a tar.gz file that depends on names, contents, rights and times of change alone."""
    with (
        target.open("wb") as stream,
        gzip.GzipFile("", "wb", 9, stream, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(folder.rglob("*")):
            about = tar.gettarinfo(str(path), path.relative_to(folder).as_posix())
            about.uid = about.gid = 0
            about.uname = about.gname = ""
            about.mtime = int(about.mtime)
            tar.addfile(about, io.BytesIO(path.read_bytes()) if about.isreg() else None)


def unpack(folder: Path) -> Path:
    """Unpack the old folder, with times and rights as they were; returns where it is."""
    with tarfile.open(ARCHIVE) as tar:
        tar.extractall(folder, filter="tar")
    return folder


def settle(folder: Path) -> Path:
    """Have the database name the places of files where they are now: a server is upgraded where it is, not moved.

    It names files of the archive, and what a job of a chain is to use of the one before.
    """
    database = sqlite3.connect(folder / "data" / "jobs.sqlite", isolation_level=None)
    database.execute("UPDATE jobs SET parameters = replace(parameters, ?, ?)", (f"{PLACE}/", f"{folder}/"))
    database.close()
    return folder


def missing(before: Iterable[Any], after: Iterable[Any]) -> list[Any]:
    """What was there before and is not any more."""
    left = list(after)
    return [each for each in before if each not in left]


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What was told before and is told otherwise now; what is new does not count."""
    return {key: (value, after.get(key)) for key, value in before.items() if after.get(key) != value}
