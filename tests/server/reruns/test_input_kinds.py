"""Inputs from URLs, several files, observations, and values with units: what a job tells of them, and running it again.

The URLs are of a real server on this machine, whose file changes when a test says so.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import prov.model
import pytest
import requests
from astropy.io import fits
from pyvo.dal.adhoc import DatalinkResults

import labs
from pagereader import visit
from provenance import steps
from provenance.steps import InputData, OutputData, Parameter, Step
from serving import running_server
from uws_server import client
from uws_server.client import JobState
from uwsjobs import define

OBSERVATION = "0123456701"
CAMERAS = ("P0123456701PNS003PIEVLI0000", "P0123456701M1S001MIEVLI0000", "P0123456701M2S002MIEVLI0000")
WITH_TASK = """\
from pathlib import Path
from reduction import task

def main(job: task.Task) -> None:
    content = b"".join(path.read_bytes() for name in ("web", "tables") for path in job.paths(name))
    words = " ".join(job.values("words"))
    for name in ("one", "two"):
        job.output(f"part_{name}.txt", "A part").write_bytes(content + f"{words} {job.value('radius')} {name}".encode())
    job.output("sum.txt", "All").write_bytes(content)

task.run(main, stages=1)
"""
PLAIN = """\
import json
from pathlib import Path
given = json.loads(Path("parameters.json").read_text())["parameters"]
value = lambda name: given[name]["value"] if name in given else []
content = b"".join(Path(one).read_bytes() for one in [*value("web"), *value("tables")])
Path("results").mkdir(exist_ok=True)
for name in ("one", "two"):
    said = f"{' '.join(value('words'))} {value('radius')} {name}"
    Path(f"results/part_{name}.txt").write_bytes(content + said.encode())
Path("results/sum.txt").write_bytes(content)
"""
PARAMETERS = [
    {"name": "web", "type": "url", "max_values": 3, "description": "files of the web"},
    {"name": "tables", "type": "file", "max_values": 3, "description": "files"},
    {"name": "words", "type": "string", "max_values": 5, "default": ["a", "b"], "editable": True, "description": "end"},
    {"name": "radius", "type": "float", "unit": "arcmin", "max": 10, "default": 1, "editable": True,
     "description": "size"},
    {"name": "energy", "type": "energy_range", "unit": "keV", "default": "0.2 12", "description": "energies"},
    {"name": "bins", "type": "integer", "unit": "s", "default": 60, "description": "bins"},
]  # fmt: skip
RESULTS = [{"name": "parts", "file": "part_*.txt", "mime": "text/plain", "description": "The parts."},
           {"name": "sum", "file": "sum.txt", "mime": "text/plain"}]  # fmt: skip
LOOK = """\
import json
from pathlib import Path
given = json.loads(Path("parameters.json").read_text())["parameters"]
Path("results").mkdir(exist_ok=True)
Path("results/names.txt").write_text("\\n".join(Path(one).name for one in given["observation"]["value"]))
"""


def definitions(folder: Path) -> Path:
    watch = [{"name": "observation", "type": "observation", "editable": True, "description": "what is looked at"}]
    names = [{"name": "names", "file": "names.txt", "mime": "text/plain"}]
    for name, script, parameters, results in (
        ("tasked", WITH_TASK, PARAMETERS, RESULTS),
        ("plain", PLAIN, PARAMETERS, RESULTS),
        ("look", LOOK, watch, names),
    ):
        define(folder, name, script, "python", parameters=parameters, results=results)
    return folder


@dataclass
class Web:
    """Files on the web: what each path answers, and how often it was asked for."""

    port: int
    files: dict[str, bytes]
    asked: dict[str, int]

    def url(self, name: str) -> str:
        return f"http://localhost:{self.port}/data/{name}"


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    found = Web(0, {}, {})

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            content = found.files.get(name)
            found.asked[name] = found.asked.get(name, 0) + 1
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: Any) -> None:
            """Tests print nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    found.port = server.server_port
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


class Lab(labs.Lab):
    """A server with an archive of one observation, which may fetch from this machine."""

    def run(self, name: str, values: Mapping[str, Any], files: Mapping[str, Any] | None = None) -> JobState:
        job = super().run(name, values, files)
        assert job.phase == "COMPLETED", job.error
        return job

    def steps(self, job: JobState) -> list[dict[str, Any]]:
        key = id_of(job)
        text = (self.folder / "data" / "jobs" / key[:2] / key / "steps.json").read_text()
        return list(json.loads(text)["provenance"])

    def elsewhere(self, listed: list[dict[str, Any]], **more: Any) -> requests.Response:
        """A list as if its jobs were of another server."""
        return self.reprocess([{**one, "job": "0" * 32} for one in listed], **more)

    def end_of(self, answer: requests.Response) -> JobState:
        assert answer.status_code == 303, answer.text
        (job,) = requests.get(f"{answer.headers['Location']}/status", timeout=300).json()["jobs"]
        return client.follow(job["url"], lambda state: None)

    def text(self, job: JobState, name: str) -> str:
        assert job.phase == "COMPLETED", job.error
        return requests.get(f"{job.url}/results/{name}", timeout=300).text


def id_of(job: JobState) -> str:
    return job.url.rpartition("/")[2]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, web: Web) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("kinds")
    for number, name in enumerate(CAMERAS):
        place = folder / "archive" / OBSERVATION
        place.mkdir(parents=True, exist_ok=True)
        fits.PrimaryHDU(header=fits.Header({"CAMERA": number})).writeto(place / f"{name}.FTZ.fits")
    settings = {"definitions": definitions(folder / "definitions"), "url_schemes": "http", "url_hosts": "localhost:*",
                "url_private": "localhost:*", "archive": folder / "archive"}  # fmt: skip
    with running_server(folder / "data", **settings) as served:
        yield Lab(served, folder)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    made = []
    for number in range(2):
        made.append(tmp_path / f"table{number}.txt")
        made[-1].write_text(f"table {number} of {tmp_path.name}\n")
    return made


def made(lab: Lab, web: Web, name: str, files: list[Path], tag: str) -> JobState:
    """A job with two URLs, two files and two words."""
    web.files |= {f"{tag}-{n}.txt": f"{tag} {n}\n".encode() for n in range(2)}
    urls = [web.url(f"{tag}-{n}.txt") for n in range(2)]
    return lab.run(name, {"web": urls, "words": ["x", "y z"], "radius": "90 arcsec"}, {"tables": files})


# --- what is told ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tasked", "plain"])
def test_every_kind_of_input_is_told_everywhere(lab: Lab, web: Web, files: list[Path], name: str) -> None:
    """Whether the script tells its step or the server does: steps, what was used, DataLink, PROV, the page."""
    job = made(lab, web, name, files, f"told-{name}")
    (step,) = steps.parse(json.dumps({"provenance": lab.steps(job)}))
    inputs = [arg for arg in step.args if isinstance(arg, InputData)]
    contents = [*(web.files[f"told-{name}-{n}.txt"] for n in range(2)), *(path.read_bytes() for path in files)]
    assert [(arg.extra["name"], arg.location, arg.path) for arg in inputs] == [
        *(("web", web.url("").rstrip("/"), f"told-{name}-{n}.txt") for n in range(2)),
        *(("tables", "", path.name) for path in files),
    ]  # fmt: skip
    assert [arg.extra["sha256"] for arg in inputs] == [hashlib.sha256(content).hexdigest() for content in contents]
    values = {arg.extra["name"]: (arg.value, arg.extra.get("unit")) for arg in step.args if isinstance(arg, Parameter)}
    assert values == {"words": (("x", "y z"), None), "radius": (1.5, "arcmin"), "energy": ("0.2 12", "keV"),
                      "bins": (60, "s")}  # fmt: skip
    outputs = {arg.path: arg for arg in step.args if isinstance(arg, OutputData)}
    assert set(outputs) == {("part_one.txt", "part_two.txt"), "sum.txt"}
    hashes = [hashlib.sha256(lab.text(job, f"part_{n}.txt").encode()).hexdigest() for n in ("one", "two")]
    assert outputs["part_one.txt", "part_two.txt"].extra["sha256"] == hashes

    links = list(DatalinkResults.from_result_url(f"{lab.url}/datalink?ID={id_of(job)}"))
    used = [link for link in links if link["semantics"] == "#progenitor"]
    assert [requests.get(link["access_url"], timeout=300).content for link in used] == contents
    assert [link["access_url"] for link in used[:2]] == [web.url(f"told-{name}-{n}.txt") for n in range(2)]

    document = prov.model.ProvDocument.deserialize(content=requests.get(f"{job.url}/provjson", timeout=300).text)
    document = document.flattened()
    assert len(list(document.get_records(prov.model.ProvUsage))) == 4
    told = json.dumps([str(value) for entity in document.get_records(prov.model.ProvEntity)
                       for _, value in entity.attributes])  # fmt: skip
    for content in contents:
        assert hashlib.sha256(content).hexdigest() in told
    assert len(list(document.get_records(prov.model.ProvMembership))) == 2

    page = visit(f"{lab.url}/jobs/{id_of(job)}/provenance").text()
    for word in (f"told-{name}-0.txt", f"told-{name}-1.txt", files[0].name, files[1].name, "part_one.txt"):
        assert word in page, word


def test_a_later_job_knows_which_of_the_files_it_used(lab: Lab, web: Web, files: list[Path], tmp_path: Path) -> None:
    first = made(lab, web, "plain", files, "later")
    parts = [tmp_path / f"part_{n}.txt" for n in ("one", "two")]
    for path in parts:
        path.write_bytes(requests.get(f"{first.url}/results/{path.name}", timeout=300).content)
    second = lab.run("plain", {}, {"tables": parts})
    rows = list(DatalinkResults.from_result_url(f"{lab.url}/datalink?ID={id_of(second)}"))
    used = [row["access_url"] for row in rows if row["semantics"] == "#progenitor"]
    assert [url.rpartition("/")[2] for url in used] == ["part_one.txt", "part_two.txt"]
    assert all("/store/" in url for url in used), "they are results of the first job"
    chain = requests.get(f"{lab.url}/provsap?ID={id_of(second)}&DEPTH=ALL&RESPONSEFORMAT=PROV-JSON", timeout=300).text
    assert id_of(first) in chain


# --- URLs again --------------------------------------------------------------------------------------------


def test_a_url_is_fetched_again_where_its_file_is_not_here(lab: Lab, web: Web, files: list[Path]) -> None:
    job = made(lab, web, "tasked", files, "again")
    listed = lab.steps(job)
    before = lab.text(job, "part_one.txt")
    asked = dict(web.asked)
    assert lab.text(lab.again(job.url), "part_one.txt") == before
    assert web.asked == asked, "the earlier job's own copies are taken"
    requests.delete(job.url, timeout=300)  # its record stays, for the second refers to it; its files are gone
    for key in ("again-0.txt", "again-1.txt"):
        assert key in web.files
    sent = {f"t{n}": (path.name, path.read_bytes()) for n, path in enumerate(files)}
    for found in requests.get(f"{lab.url}/rest/tasked", timeout=300).text.split('jobref id="')[1:]:
        requests.delete(f"{lab.url}/rest/tasked/{found.partition(chr(34))[0]}", timeout=300)
    sent["provenance"] = ("p.json", json.dumps({"provenance": [{**one, "job": "0" * 32} for one in listed]}).encode())
    answer = requests.post(f"{lab.url}/reprocessing", files=sent, allow_redirects=False, timeout=300)
    again = lab.end_of(answer)
    assert lab.text(again, "part_one.txt") == before
    assert web.asked["again-0.txt"] == asked["again-0.txt"] + 1
    assert "note" not in lab.steps(again)[-1]


@pytest.mark.parametrize("name", ["tasked", "plain"])
def test_what_changed_at_its_url_is_refused_or_taken_with_a_word_and_noted(lab: Lab, web: Web, name: str) -> None:
    tag = f"changed-{name}.txt"
    web.files[tag] = b"as it was\n"
    job = lab.run(name, {"web": web.url(tag)})
    listed = lab.steps(job)
    requests.delete(job.url, timeout=300)
    web.files[tag] = b"something else\n"
    refused = lab.end_of(lab.elsewhere(listed))
    assert refused.phase == "ERROR"
    new, old = (hashlib.sha256(text).hexdigest() for text in (b"something else\n", b"as it was\n"))
    said = (f"web: {tag} (fetched from {web.url(tag)}) is not the file that was used: its SHA-256 is {new}, "
            f"{old} is recorded")  # fmt: skip
    assert refused.error is not None
    assert refused.error.strip() == f"{said}; run it again with accept_changed=yes to take it as it is"
    taken = lab.end_of(lab.elsewhere(listed, accept_changed="yes"))
    assert lab.text(taken, "sum.txt") == "something else\n"
    assert lab.steps(taken)[-1]["note"] == [said]


def test_a_url_that_may_not_be_fetched_is_asked_for(lab: Lab, web: Web) -> None:
    web.files["allowed.txt"] = b"content\n"
    listed = lab.steps(job := lab.run("plain", {"web": web.url("allowed.txt")}))
    requests.delete(job.url, timeout=300)
    for arg in listed[0]["args"]:
        if "inputdata" in arg:
            arg["inputdata"]["location"] = arg["inputdata"]["location"].replace("localhost", "127.0.0.1")
    answer = lab.elsewhere(listed)
    assert (answer.status_code, answer.text.partition(" (")[0]) == (
        400, f"0.web: the file http://127.0.0.1:{web.port}/data/allowed.txt",
    )  # fmt: skip
    assert "upload it" in answer.text


def test_without_a_hash_the_url_is_fetched_and_that_is_noted(lab: Lab, web: Web) -> None:
    web.files["unknown.txt"] = b"any\n"
    step = Step((InputData(0, "", False, web.url("").rstrip("/"), "unknown.txt", {"name": "web"}),), {"task": "plain"})
    job = lab.end_of(lab.elsewhere(json.loads(steps.dump([step]))["provenance"]))
    assert lab.text(job, "sum.txt") == "any\n"
    (note,) = lab.steps(job)[-1]["note"]
    assert note == f"web: {web.url('unknown.txt')} was fetched again; no SHA-256 of what it was is recorded"


def test_the_page_says_that_a_url_is_fetched_again(lab: Lab, web: Web, tmp_path: Path) -> None:
    web.files["page.txt"] = b"page\n"
    job = lab.run("plain", {"web": web.url("page.txt")})
    listed = [{**one, "job": "0" * 32} for one in lab.steps(job)]
    requests.delete(job.url, timeout=300)
    (tmp_path / "p.json").write_text(json.dumps({"provenance": listed}))
    page = visit(f"{lab.url}/rerun").send("/rerun", files={"file": tmp_path / "p.json"})
    assert "It is fetched again" in page.text()
    done = page.send("/rerun", {"_do": "run"})
    assert "as given" not in done.text()
    assert web.url("page.txt") in done.text()


# --- observations ------------------------------------------------------------------------------------------


def test_an_observation_comes_again_with_all_its_event_lists(lab: Lab) -> None:
    job = lab.run("look", {"observation": OBSERVATION})
    names = lab.text(job, "names.txt")
    assert len(names.splitlines()) == 3
    (step,) = steps.parse(json.dumps({"provenance": lab.steps(job)}))
    assert [arg.extra["name"] for arg in step.args if isinstance(arg, InputData)] == ["observation"] * 3
    assert lab.text(lab.again(job.url), "names.txt") == names
    assert lab.text(lab.end_of(lab.elsewhere(lab.steps(job))), "names.txt") == names
    one = lab.again(job.url, observation=f"{OBSERVATION}/{CAMERAS[0]}.FTZ.fits")
    assert lab.text(one, "names.txt") == f"{CAMERAS[0]}.FTZ.fits"
    assert lab.text(lab.again(one.url, observation=OBSERVATION), "names.txt") == names
    assert lab.text(lab.again(one.url), "names.txt") == f"{CAMERAS[0]}.FTZ.fits"


# --- units -------------------------------------------------------------------------------------------------


def with_units(lab: Lab, name: str, value: Any, unit: str) -> list[dict[str, Any]]:
    listed = [Parameter(0, "", True, value, {"name": name, "unit": unit})]
    step = Step(tuple(listed), {"task": "plain", "version": "1"})
    return list(json.loads(steps.dump([step]))["provenance"])


@pytest.mark.parametrize(
    ("name", "value", "unit", "now"),
    [
        ("radius", 90, "arcsec", 1.5),
        ("radius", "90.0", "arcsec", 1.5),
        ("radius", 0.01, "deg", 0.6),
        ("radius", 2, "arcmin", 2),
        ("radius", 2, "", 2),
        ("energy", "200 12000", "eV", "0.2 12"),
        ("energy", "1 2", "keV", "1 2"),
        ("bins", 2, "min", 120),
    ],
)
def test_numbers_recorded_in_other_units_are_converted(lab: Lab, name: str, value: Any, unit: str, now: Any) -> None:
    job = lab.end_of(lab.elsewhere(with_units(lab, name, value, unit)))
    assert job.phase == "COMPLETED", job.error
    args = {arg["parameter"]["name"]: arg["parameter"] for arg in lab.steps(job)[-1]["args"] if "parameter" in arg}
    assert args[name]["value"] == now
    assert args[name]["unit"] == {"radius": "arcmin", "energy": "keV", "bins": "s"}[name]


@pytest.mark.parametrize(
    ("name", "value", "unit", "words"),
    [
        ("radius", 5, "keV", "0.radius: '5' is recorded in 'keV', which does not become a number in arcmin: give the"),
        ("radius", 5, "10**999999 m", "0.radius: '5' is recorded in '10**999999 m', which does not become"),
        ("bins", 2, "ms", "0.bins: '2' is recorded in 'ms', which does not become a number in s, and it is locked"),
        ("radius", 60, "deg", "radius: '3600.0' is out of range; allowed is 10 arcmin or less"),
    ],
)
def test_what_does_not_convert_is_refused_with_a_sentence_and_may_be_given(
    lab: Lab, name: str, value: Any, unit: str, words: str
) -> None:
    listed = with_units(lab, name, value, unit)
    answer = lab.elsewhere(listed)
    assert (answer.status_code, answer.text.startswith(words)) == (400, True), answer.text
    if name == "radius":
        assert lab.end_of(lab.elsewhere(listed, parameters={name: 3})).phase == "COMPLETED"


def test_a_change_is_in_the_unit_of_the_definition(lab: Lab) -> None:
    """The page shows the converted number, with that unit; what is typed there means it."""
    listed = with_units(lab, "radius", 90, "arcsec")
    job = lab.end_of(lab.elsewhere(listed, parameters={"radius": 2}))
    assert requests.get(f"{job.url}/parameters/radius", timeout=300).text == "2"
