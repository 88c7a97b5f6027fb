"""Reruns over HTTP and by the command, on a real server: the same bytes again, chains, locks, inputs, bad lists."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkstemp
from typing import Any

import pytest
import requests
from astropy.io import fits

import labs
from checkout import ROOT, TRIED
from growth import Work, processor_s, require_linear
from pagereader import visit
from processes import carrying, until
from provenance import obscore, steps, votags
from provenance.steps import InputData, OutputData, Parameter, Step
from provenance.steps.rerun import PlannedInput, PlannedStep
from reduction.simulate import simulate, small
from serving import run_command, running_server, start_server
from uws_server import client
from uws_server.client import JobState
from uws_server.config import Config
from uws_server.execution import following
from uws_server.jobs.formats import native
from uws_server.jobs.job import Job, ParameterValue, new_id, utcnow
from uws_server.jobs.phases import Phase
from uws_server.reruns import inputs, sources
from uws_server.services.context import Services
from uws_server.services.job_service import JobService
from uws_server.services.rights import Caller
from uws_server.services.trials import request_of
from uws_server.storage import migrate
from uws_server.storage.files import JobFiles
from uws_server.storage.jobstore import JobStore
from uwsjobs import define

SOURCE = small().sources[0]
CIRCLE = f'icrs; circle({SOURCE.ra}, {SOURCE.dec}, 40")'

COPY = """\
import json, sys, time
from pathlib import Path
given = json.loads(Path("parameters.json").read_text())["parameters"]
time.sleep(given["seconds"]["value"])
if given["fail"]["value"]:
    sys.exit("[ERROR] fail: asked to fail")
content = Path(given["table"]["value"]).read_bytes()
Path("results").mkdir(exist_ok=True)
Path("results/copy.txt").write_bytes(content + given["text"]["value"].encode() + b"\\n")
"""
DEFINITION = {
    "name": "append", "version": "1", "title": "Append a line", "entry": {"type": "python", "script": "run.py"},
    "parameters": [
        {"name": "table", "type": "file", "required": True, "description": "what is appended to"},
        {"name": "text", "type": "string", "default": "line", "editable": True, "description": "the line"},
        {"name": "seconds", "type": "float", "default": 0, "editable": True, "description": "time taken"},
        {"name": "fail", "type": "boolean", "default": False, "editable": True, "description": "fail"},
        {"name": "mode", "type": "string", "default": "plain", "description": "locked"},
    ],
    "results": [{"name": "copy", "file": "copy.txt", "mime": "text/plain"}],
}  # fmt: skip


JOIN = """\
import json
from pathlib import Path
given = json.loads(Path("parameters.json").read_text())["parameters"]
Path("results").mkdir(exist_ok=True)
content = b"".join(Path(one).read_bytes() for one in given["tables"]["value"])
Path("results/copy.txt").write_bytes(content + " ".join(given["words"]["value"]).encode())
"""
MANY = {
    "name": "join", "version": "1", "title": "Join files", "entry": {"type": "python", "script": "run.py"},
    "parameters": [
        {"name": "tables", "type": "file", "required": True, "max_values": 5, "description": "what is joined"},
        {"name": "words", "type": "string", "max_values": 5, "default": "a", "editable": True, "description": "end"},
        {"name": "token", "type": "string", "default": "none", "editable": True, "description": "a secret"},
    ],
    "results": [{"name": "copy", "file": "copy.txt", "mime": "text/plain"}],
}  # fmt: skip


SLIDES: dict[str, Any] = {
    "parameters": [
        {"name": "table", "type": "file", "required": True, "description": "input dummy arg"},
        {"name": "first", "type": "string", "description": "1st param"},
        {"name": "second", "type": "string", "editable": True, "description": "2nd param"},
    ],
    "results": [{"name": "copy", "file": "out.txt", "mime": "text/plain"}],
}  # fmt: skip


def definitions(folder: Path) -> Path:
    """The definitions that come with the server, one that makes chains without FITS, and one of several values."""
    shutil.copytree(ROOT / "job_definitions", folder)
    for definition, script in ((DEFINITION, COPY), (MANY, JOIN)):
        define(folder, str(definition["name"]), script, "python", **definition)
    define(folder, "slides", '{ cat "$table"; echo "$first $second"; } > out.txt\n', **SLIDES)
    return folder


class Lab(labs.Lab):
    """A server with an archive: one simulated observation."""

    def count(self) -> int:
        lists = (requests.get(f"{self.url}/rest/{name}", timeout=300).text for name in ("append", "spectrum", "dummy"))
        return sum(text.count("jobref ") for text in lists)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("reruns")
    simulate(small(), folder / "archive" / "0999990101")
    settings = {"definitions": definitions(folder / "definitions")}
    with running_server(folder / "data", "--archive", str(folder / "archive"), **settings) as served:
        yield Lab(served, folder)


@pytest.fixture(scope="module")
def spectrum(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[JobState, dict[str, Path]]:
    """A spectrum of the archive's pn list, and its products."""
    name = next((lab.archive / "0999990101").glob("*PN*")).name.partition(".")[0]
    job = lab.run("spectrum", {"eventlist": name, "source_region": CIRCLE})
    return job, lab.products(job, tmp_path_factory.mktemp("spectrum"))


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "note.txt"
    path.write_text(f"first line of {tmp_path.name}\n")
    return path


def science(path: Path) -> dict[str, bytes]:
    """The bytes of each HDU but VO-TAGS, as astropy finds them."""
    with fits.open(path) as hdus:
        content = path.read_bytes()
        places = [(hdu.name, hdu.fileinfo()) for hdu in hdus]
    return {f"{i} {name}": content[at["hdrLoc"] : at["datLoc"] + at["datSpan"]]
            for i, (name, at) in enumerate(places) if name != "VO-TAGS"}  # fmt: skip


def test_the_format_of_an_error_is_no_change(lab: Lab, note: Path) -> None:
    job = lab.run("append", {"text": "x"}, {"table": note})
    assert lab.rerun(job.url, RESPONSEFORMAT="votable").status_code == 303
    refused = lab.rerun(job.url, RESPONSEFORMAT="votable", mode="other")
    assert (refused.status_code, refused.headers["Content-Type"]) == (403, "application/x-votable+xml")


# --- the same again ------------------------------------------------------------------------------------------


# a bench writes how long it took, and its recipe is no file that an archive has
@pytest.mark.parametrize("name", [name for name in TRIED if name != "bench"])
def test_every_definition_makes_the_same_bytes_again_from_its_product_alone(
    lab: Lab, name: str, tmp_path: Path
) -> None:
    """With its own test values, on another server whose archive has the inputs (under other names: they are found by
    their hashes), from the FITS file and nothing else; where there is none, from the step list."""
    folder = ROOT / "job_definitions" / name
    definition = native.read((folder / "job.json").read_text(encoding="utf-8"), name)

    def spool() -> Path:
        descriptor, place = mkstemp(dir=tmp_path)
        os.close(descriptor)
        return Path(place)

    asked = request_of(definition, folder, spool)
    files = {part: upload.path.rename(tmp_path / upload.filename) for part, upload in asked.uploads.items()}
    job = lab.run(name, asked.values, files)
    before = lab.products(job, tmp_path / "before")
    tagged = [path for path in before.values() if path.suffix in (".fits", ".rmf", ".arf")]
    source = tagged[0] if tagged else tmp_path / "steps.json"
    if not tagged:
        source.write_text(json.dumps({"provenance": steps_of(lab, job)}))
    (tmp_path / "archive").mkdir()
    for number, path in enumerate(files.values()):
        shutil.copyfile(path, tmp_path / "archive" / f"renamed{number}{''.join(path.suffixes)}")
    with running_server(tmp_path / "other", "--archive", str(tmp_path / "archive")) as other:
        made = run_command("rerun", str(source), "--server", other.url, "--download", str(tmp_path / "after"))
        assert made.returncode == 0, made.stderr
    assert before
    for path in before.values():
        after = tmp_path / "after" / path.name
        if path in tagged:
            assert science(after) == science(path), f"{path.name} differs"
        elif path.name != "job.log":
            assert after.read_bytes() == path.read_bytes(), f"{path.name} differs"


def test_a_parameter_is_changed_and_the_rest_kept(
    lab: Lab, spectrum: tuple[JobState, dict[str, Path]], tmp_path: Path
) -> None:
    job, before = spectrum
    again = lab.again(job.url, energy="1 5")
    after = lab.products(again, tmp_path / "after")
    tags = votags.read(after["source_spectrum"])
    assert tags is not None
    values = {arg.extra["name"]: arg.value for arg in tags.steps[-1].args if isinstance(arg, Parameter)}
    assert values["source_region"] == CIRCLE
    assert values["energy"] == "1 5" or values["energy"] == "1.0 5.0"
    assert tags.steps[-1].extra["parent"] == job.url.rpartition("/")[2]
    with fits.open(before["events"]) as old, fits.open(after["events"]) as new:
        kept = (old["EVENTS"].data["PI"] >= 1000) & (old["EVENTS"].data["PI"] <= 5000)
        assert abs(len(new["EVENTS"].data) - kept.sum()) <= 5
    keys = [one.url.rpartition("/")[2] for one in (job, again)]
    for key, other in (keys, reversed(keys)):
        assert f"/jobs/{other}" in requests.get(f"{lab.url}/jobs/{key}", timeout=300).text


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"eventlist": "other"}, 403, "the input eventlist is locked"),
        ({"enrgy": "1 2"}, 400, "enrgy: no such parameter of step 1 (spectrum)"),
        ({"energy": "12 1"}, 400, "energy: "),
        ({"from": "3"}, 400, "provenance[3]: there is no such step; the list has 1"),
        ({"from": "x"}, 400, "from: 'x' came"),
        ({"target": "nothing.fits"}, 400, "target: 'nothing.fits' is neither the number of a step"),
        ({"accept_changed": "perhaps"}, 400, "accept_changed: 'perhaps' came; yes or no"),
        ({"PHASE": "ABORT"}, 400, "PHASE"),
    ],
)
def test_what_cannot_be_done_is_told_and_makes_no_job(
    lab: Lab, spectrum: tuple[JobState, dict[str, Path]], change: dict[str, str], status: int, words: str
) -> None:
    before = lab.count()
    answer = lab.rerun(spectrum[0].url, **change)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert len(answer.text.splitlines()) == 1
    assert lab.count() == before


# --- chains --------------------------------------------------------------------------------------------------


def chain(lab: Lab, note: Path, tmp_path: Path) -> tuple[JobState, JobState]:
    """Two jobs, of which the second used what the first made; the list of both, as the second one's product has it."""
    first = lab.run("append", {"text": "one"}, {"table": note})
    made = lab.products(first, tmp_path / "made")["copy"]
    return first, lab.run("append", {"text": "two"}, {"table": made})


def steps_of(lab: Lab, *jobs: JobState) -> list[Any]:
    found: list[Any] = []
    for job in jobs:
        key = job.url.rpartition("/")[2]
        found += json.loads((lab.folder / "data" / "jobs" / key[:2] / key / "steps.json").read_text())["provenance"]
    return found


def status(lab: Lab, address: str, *wanted: str) -> dict[str, Any]:
    state: dict[str, Any] = {}

    def is_there() -> bool:
        state.update(requests.get(f"{address}/status", timeout=300).json())
        return state["phase"] in wanted

    until(is_there, what=f"{address} is {' or '.join(wanted)}", every=0.05)
    return state


def text_of(lab: Lab, address: str) -> list[str]:
    outputs = requests.get(f"{address}/preview", timeout=300).json()["outputs"]
    return [requests.get(output["url"], timeout=300).text for output in outputs if output["name"] == "copy"]


def test_a_chain_is_run_again_in_order_as_linked_jobs(lab: Lab, note: Path, tmp_path: Path) -> None:
    first, second = chain(lab, note, tmp_path)
    listed = steps_of(lab, first, second)
    answer = lab.reprocess(listed, parameters={"0.text": "uno", "1.text": "due", "0.seconds": 0.3})
    assert answer.status_code == 303, answer.text
    address = answer.headers["Location"]
    state = status(lab, address, "COMPLETED")
    assert [job["phase"] for job in state["jobs"]] == ["COMPLETED", "COMPLETED"]
    one, two = state["jobs"]
    assert (two["after"], one["after"]) == (one["id"], None)
    assert [job["parent"] for job in (one, two)] == [job.url.rpartition("/")[2] for job in (first, second)]
    assert text_of(lab, address) == [note.read_text() + "uno\n", note.read_text() + "uno\ndue\n"]
    link = steps_of(lab, JobState(two["url"], "", "", 0, 0, None, ()))[-1]["args"][0]["inputdata"]
    assert (link["location"], link["path"]) == (f"{one['url']}/results", "copy.txt")


def test_only_what_is_needed_is_run(lab: Lab, note: Path, tmp_path: Path) -> None:
    listed = steps_of(lab, *chain(lab, note, tmp_path))
    assert len(status(lab, lab.reprocess(listed).headers["Location"], "COMPLETED")["jobs"]) == 1
    assert len(status(lab, lab.reprocess(listed, target="0").headers["Location"], "COMPLETED")["jobs"]) == 1
    all_again = lab.reprocess(listed, **{"from": 0}).headers["Location"]
    assert len(status(lab, all_again, "COMPLETED")["jobs"]) == 2
    assert text_of(lab, all_again)[-1] == note.read_text() + "one\ntwo\n"


def test_what_failed_ends_those_that_wait_for_it(lab: Lab, note: Path, tmp_path: Path) -> None:
    listed = steps_of(lab, *chain(lab, note, tmp_path))
    address = lab.reprocess(listed, parameters={"0.fail": True}).headers["Location"]
    state = status(lab, address, "ERROR")
    until(lambda: status(lab, address, "ERROR")["jobs"][1]["phase"] != "PENDING", every=0.05)
    second = status(lab, address, "ERROR")["jobs"][1]
    assert (second["phase"], second["error"]) == (
        "ERROR", f"job {state['jobs'][0]['id']}, which this one waits for, ended in ERROR; run the chain again",
    )  # fmt: skip


@pytest.mark.parametrize(("how", "words"), [("abort", "ended in ABORTED"), ("delete", "which this one waits for")])
def test_a_job_that_is_taken_away_ends_those_that_wait_for_it(
    lab: Lab, note: Path, tmp_path: Path, how: str, words: str
) -> None:
    listed = steps_of(lab, *chain(lab, note, tmp_path))
    address = lab.reprocess(listed, parameters={"0.seconds": 30}).headers["Location"]
    jobs = status(lab, address, "EXECUTING", "QUEUED")["jobs"]
    refused = requests.post(f"{jobs[1]['url']}/phase", data={"PHASE": "RUN"}, allow_redirects=False, timeout=300)
    assert (refused.status_code, "waits for job" in refused.text) == (403, True)
    if how == "abort":
        requests.post(f"{jobs[0]['url']}/phase", data={"PHASE": "ABORT"}, timeout=300)
    else:
        requests.delete(jobs[0]["url"], timeout=300)
    last = client.follow(jobs[1]["url"], lambda state: None)
    assert last.phase == "ERROR"
    assert last.error is not None
    assert words in last.error


@pytest.mark.parametrize("how", ["abort", "delete"])
def test_what_waits_for_a_job_that_never_ran_ends_with_it(lab: Lab, note: Path, tmp_path: Path, how: str) -> None:
    """At once, not when the servers next look after their jobs: a chain of jobs, all of them PENDING."""
    listed = steps_of(lab, *chain(lab, note, tmp_path))
    jobs = status(lab, lab.reprocess(listed, PHASE="PENDING", **{"from": 0}).headers["Location"], "PENDING")["jobs"]
    assert [job["phase"] for job in jobs] == ["PENDING", "PENDING"]
    if how == "abort":
        requests.post(f"{jobs[0]['url']}/phase", data={"PHASE": "ABORT"}, timeout=300)
    else:
        requests.delete(jobs[0]["url"], timeout=300)
    last = client.state(jobs[1]["url"])
    assert (last.phase, "which this one waits for" in (last.error or "")) == ("ERROR", True)


def test_a_chain_goes_on_after_its_server_was_killed(tmp_path: Path, note: Path) -> None:
    settings = {"definitions": definitions(tmp_path / "definitions")}
    served = start_server(tmp_path / "data", **settings)
    lab = Lab(served, tmp_path)
    listed = steps_of(lab, *chain(lab, note, tmp_path))
    address = lab.reprocess(listed, parameters={"0.seconds": 1.5}).headers["Location"]
    key = status(lab, address, "EXECUTING")["jobs"][0]["id"]
    ended = tmp_path / "data" / "jobs" / key[:2] / key / "status.json"
    until(lambda: carrying("UWS_JOB_ID", key) or ended.exists(), what="its script runs")
    served.kill()
    assert served.process.stdout is not None
    served.process.stdout.close()
    until(ended.exists, what="the first job ends while nobody looks")
    with running_server(tmp_path / "data", **settings) as restarted:
        path = address.partition("/reprocessing")[2]
        state = status(lab, f"{restarted.url}/reprocessing{path}", "COMPLETED")
        assert [job["phase"] for job in state["jobs"]] == ["COMPLETED", "COMPLETED"]


def test_of_several_servers_one_lets_a_job_go_on(database_url: str, tmp_path: Path) -> None:
    migrate.upgrade(database_url)
    stores = [JobStore(database_url) for _ in range(3)]
    files = JobFiles(tmp_path)
    now = datetime.now(UTC)
    first = Job("1" * 32, "dummy", "1", Phase.PENDING, now, 60)
    ids = [f"{number:032x}" for number in range(20, 30)]
    followers = [Job(each, "dummy", "1", Phase.PENDING, now, 60, after=first.id) for each in ids]
    for job in (first, *followers):
        stores[0].add(job)
    assert not following.release(stores[1], files, lambda job: None)
    for phase in (Phase.QUEUED, Phase.EXECUTING, Phase.COMPLETED):
        stores[0].move(first.id, list(Phase), phase)
    told: list[str] = []
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: following.release(stores[number % 3], files, told.append), range(12)))
    assert sorted(told) == sorted(job.id for job in followers)
    assert {stores[2].get(job.id).phase for job in followers} == {Phase.QUEUED}
    for store in stores:
        store.close()


def test_a_job_that_goes_while_others_are_let_on_holds_none_of_them_up(database_url: str, tmp_path: Path) -> None:
    migrate.upgrade(database_url)
    store = JobStore(database_url)
    now = datetime.now(UTC)
    first, *followers = [
        Job(f"{number:032x}", "dummy", "1", Phase.PENDING, now, 60, after=None if number == 1 else f"{1:032x}")
        for number in range(1, 5)
    ]
    for job in (first, *followers):
        store.add(job)
    for phase in (Phase.QUEUED, Phase.EXECUTING, Phase.COMPLETED):
        store.move(first.id, list(Phase), phase)
    told: list[str] = []

    def announce(job_id: str) -> None:
        told.append(job_id)
        if len(told) == 1:  # a client deletes another one meanwhile
            store.delete(next(job.id for job in followers if job.id != job_id))

    assert following.release(store, JobFiles(tmp_path), announce)
    assert len(told) == 2
    assert {store.get(job_id).phase for job_id in told} == {Phase.QUEUED}
    store.close()


# --- inputs --------------------------------------------------------------------------------------------------


def test_files_that_were_read_before_take_nothing_of_what_may_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "_MOST_BYTES", 8000)
    monkeypatch.setattr(inputs, "_SMALL", 0)  # the archive is too large to be looked through
    for place in ("a", "b"):
        (tmp_path / "archive" / place).mkdir(parents=True)
        (tmp_path / "archive" / place / "x.fits").write_bytes(place.encode() * 5000)
    settings = Config.of(data=tmp_path / "data", archive=tmp_path / "archive")
    services = Services(settings, "http://x.org", definitions(tmp_path / "definitions"))
    services.hashes.of(tmp_path / "archive/a/x.fits")
    file = PlannedInput(0, "table", "", "", "x.fits", (hashlib.sha256(b"b" * 5000).hexdigest(),))
    step = PlannedStep(0, "append", "", "", {}, (file,), ())
    found = inputs.Finder(services, JobService(services, Caller()), {}).find(step, file)
    assert found is not None
    assert (found.path, found.same) == (tmp_path / "archive/b/x.fits", True)
    services.store.close()


def test_an_input_is_found_by_hash_whatever_its_name(lab: Lab, tmp_path: Path) -> None:
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(name="X")]).writeto(lab.archive / "original.fits")
    job = lab.run("append", {"table": "original.fits"})
    listed = [{**one, "job": "0" * 32} for one in steps_of(lab, job)]  # as if it was made elsewhere
    (lab.archive / "original.fits").rename(lab.archive / "renamed.fits")
    time.sleep(1.1)  # the folder is read once a second
    answer = lab.reprocess(listed)
    assert answer.status_code == 303, answer.text
    status(lab, answer.headers["Location"], "COMPLETED")
    last = answer.headers["Location"].rpartition("/")[2]
    assert requests.get(f"{lab.url}/rest/append/{last}/parameters/table", timeout=300).text == "renamed.fits"
    (lab.archive / "renamed.fits").rename(tmp_path / "gone.fits")


def test_an_input_that_is_nowhere_is_asked_for_and_may_be_uploaded(lab: Lab, note: Path) -> None:
    job = lab.run("append", {}, {"table": note})
    listed = [{**one, "job": "0" * 32} for one in steps_of(lab, job)]
    requests.delete(job.url, timeout=300)
    answer = lab.reprocess(listed)
    assert answer.status_code == 400
    assert answer.text.startswith("0.table: the file note.txt (SHA-256 ")
    assert "upload it" in answer.text
    for name, there in (("table", True), ("any", True), ("table", False)):
        content = note.read_bytes() if there else b"something else"
        files = {name: ("any name.txt", content), "provenance": ("p.json", json.dumps({"provenance": listed}))}
        answer = requests.post(f"{lab.url}/reprocessing", files=files, allow_redirects=False, timeout=300)
        assert answer.status_code == (303 if there else 400), answer.text
    assert "is not the file that was used" in answer.text
    assert "; accept_changed=yes (in the command --accept-changed-input) runs" in answer.text


def test_a_changed_input_is_refused_or_run_with_a_word_and_noted(lab: Lab) -> None:
    path = lab.archive / "changing.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(name="X")]).writeto(path)
    job = lab.run("append", {"table": "changing.fits"})
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(name="CHANGED")]).writeto(path, overwrite=True)
    answer = lab.rerun(job.url)
    assert answer.status_code == 400
    assert answer.text.startswith("0.table: changing.fits (as job ")
    assert "is not the file that was used" in answer.text
    again = lab.again(job.url, accept_changed="yes")
    assert again.phase == "COMPLETED"
    note = steps_of(lab, again)[-1]["note"]
    assert note[0].startswith("table: changing.fits (as job ")
    assert "is not the file that was used" in note[0]
    path.unlink()


def test_tags_written_onto_an_input_do_not_change_it(lab: Lab) -> None:
    path = lab.archive / "tagged.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(name="X")]).writeto(path)
    job = lab.run("append", {"table": "tagged.fits"})
    votags.write(path, obscore.ObsCoreRow(calib_level=2), [Step((), {"task": "x"})])
    assert lab.rerun(job.url).status_code == 303
    path.unlink()


def test_several_files_and_values_of_one_parameter_come_again_in_order(lab: Lab, tmp_path: Path) -> None:
    files = []
    for number in range(3):  # of one name, so that only the hashes tell them apart
        (tmp_path / str(number)).mkdir()
        files.append(tmp_path / str(number) / "same.txt")
        files[-1].write_text(f"file {number}\n")
    content = [("tables", (path.name, path.read_bytes())) for path in files]
    data = [("words", "x"), ("words", "y"), ("token", "hush"), ("PHASE", "RUN")]
    answer = requests.post(f"{lab.url}/rest/join", data=data, files=content, allow_redirects=False, timeout=300)
    assert answer.status_code == 303, answer.text
    job = client.follow(answer.headers["Location"], lambda state: None)
    expected = "file 0\nfile 1\nfile 2\n"
    assert (made := lab.products(job, tmp_path / "made")["copy"].read_text()) == expected + "x y", made
    assert "hush" not in json.dumps(steps_of(lab, job))
    again = lab.again(job.url)
    assert lab.products(again, tmp_path / "again")["copy"].read_text() == expected + "x y"
    assert requests.get(f"{again.url}/parameters/token", timeout=300).text == "hush"
    other = requests.post(f"{job.url}/rerun", data=[("words", "p"), ("words", "q r"), ("PHASE", "RUN")],
                          allow_redirects=False, timeout=300)  # fmt: skip
    final = client.follow(other.headers["Location"], lambda state: None)
    assert lab.products(final, tmp_path / "other")["copy"].read_text() == expected + "p q r"
    listed = json.dumps({"provenance": [{**one, "job": "0" * 32} for one in steps_of(lab, job)]})
    sent = {f"f{number}": (f"{number}.txt", path.read_bytes()) for number, path in enumerate(files)}
    sent["provenance"] = ("p.json", listed.encode())
    for token, status_code in (({}, 400), ({"token": "new"}, 303)):
        address = f"{lab.url}/reprocessing"
        elsewhere = requests.post(address, data=token, files=sent, allow_redirects=False, timeout=300)
        assert elsewhere.status_code == status_code, elsewhere.text
        assert status_code == 303 or "0.token: it is a secret" in elsewhere.text
    status(lab, elsewhere.headers["Location"], "COMPLETED")
    assert text_of(lab, elsewhere.headers["Location"]) == [expected + "x y"]


def test_the_list_of_the_slides_is_run_by_the_definition_that_its_descriptions_fit(lab: Lab, note: Path) -> None:
    """The slides name neither the task nor the parameters, and no SHA-256."""
    args = [
        {"index": 0, "inputdata": {"description": "input dummy arg", "editable": False, "location": "/tmp",
                                   "path": "DummyJob.py"}},
        {"index": 1, "parameter": {"description": "1st param", "editable": False, "value": "param0"}},
        {"index": 2, "parameter": {"description": "2nd param", "editable": True, "value": "2"}},
        {"index": 3, "outputdata": {"description": "output file", "editable": False, "location": "/tmp",
                                    "path": "out.txt"}},
    ]  # fmt: skip
    told: dict[str, Any] = {"provenance": [{"args": args}], "target": "out.txt"}
    address = f"{lab.url}/reprocessing"
    alone = requests.post(address, json=told, timeout=300)
    assert alone.status_code == 400
    assert "DummyJob.py is neither in the archive nor a result that you may see; upload it" in alone.text
    assert alone.text.startswith("0.table: the file ")
    sent = {"table": ("DummyJob.py", note.read_bytes())}
    form = {"provenance": json.dumps(told), "target": "out.txt"}
    refused = requests.post(address, data={**form, "first": "other"}, files=sent, timeout=300)
    assert refused.status_code == 403, refused.text
    made = requests.post(address, data={**form, "second": "x"}, files=sent, allow_redirects=False, timeout=300)
    assert made.status_code == 303, made.text
    status(lab, made.headers["Location"], "COMPLETED")
    assert text_of(lab, made.headers["Location"]) == [f"{note.read_text()}param0 x\n"]
    told["provenance"][0]["args"][1]["parameter"]["description"] = "another"
    unknown = requests.post(address, data={"provenance": json.dumps(told)}, files=sent, timeout=300)
    assert unknown.status_code == 400
    assert "write it into the list" in unknown.text


# --- bad lists -----------------------------------------------------------------------------------------------


def good() -> dict[str, Any]:
    table = InputData(0, "", False, "", "nowhere.txt", {"name": "table"})
    step = Step((table, Parameter(1, "", True, "x", {"name": "text"})), {"task": "append", "version": "1"})
    return dict(json.loads(steps.dump([step])))


AS_JSON = {"Content-Type": "application/json"}


def jumping(document: dict[str, Any]) -> str:
    document["provenance"][0]["args"][1]["index"] = 5
    return json.dumps(document)


def cyclic(_document: dict[str, Any]) -> str:
    places = (("http://x/1", "a"), ("http://x/2", "b"))
    pairs = (places, tuple(reversed(places)))
    return steps.dump([
        Step((InputData(0, "", False, *used, {}), OutputData(1, "", False, *made)), {"task": "append"})
        for made, used in pairs
    ])  # fmt: skip


def unknown(document: dict[str, Any]) -> str:
    document["provenance"][0]["task"] = "é\N{GREEK SMALL LETTER ALPHA} no such task"
    return json.dumps(document)


def nameless(document: dict[str, Any]) -> str:
    del document["provenance"][0]["args"][1]["parameter"]["name"]
    return json.dumps(document)


def ten_megabytes(document: dict[str, Any], count: int = 40_000) -> str:
    (step,) = document["provenance"]
    return json.dumps({"provenance": [{**step, "job": f"{number:032x}"} for number in range(count)]})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda document: json.dumps(document)[:-40], "the document: is not JSON"),
        (lambda _: "[]", 'an object with the key "provenance" is expected'),
        (lambda _: '{"provenance": []}', "provenance: the list is empty"),
        (jumping, "provenance[0].args[1].index: 1 is expected, not 5"),
        (cyclic, "out of order or form a cycle"),
        (unknown, "provenance[0].task: 'éα no such task' is no job definition of this server; there are"),
        (nameless, "which parameter of append it is cannot be told"),
        (ten_megabytes, "table: the file nowhere.txt"),
        (lambda document: json.dumps({**document, "parameters": [1]}), "parameters: an object of values by name"),
        (lambda document: json.dumps({**document, "target": {}}), "target: text is expected"),
        (lambda document: json.dumps({**document, "parameters": {"text": {"a": 1}}}), "parameters.text: "),
        (lambda _: "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "the document: "),
    ],
)  # fmt: skip
def test_bad_lists_get_one_sentence(lab: Lab, make: Any, words: str) -> None:
    before = lab.count()
    body = make(good()).encode()
    answer = requests.post(f"{lab.url}/reprocessing", data=body, headers=AS_JSON, timeout=300)
    assert answer.status_code == 400, answer.text[:500]
    assert words in answer.text, answer.text[:500]
    assert len(answer.text) < 1000
    assert lab.count() == before


def test_a_bad_list_of_ten_megabytes_costs_no_more_for_each_step_than_a_short_one(lab: Lab) -> None:
    def asking(count: int) -> Work:
        body = ten_megabytes(good(), count).encode()

        def ask() -> None:
            answer = requests.post(f"{lab.url}/reprocessing", data=body, headers=AS_JSON, timeout=300)
            assert answer.status_code == 400

        return ask

    require_linear(asking, 5000, runs=3, clock=lambda: processor_s(lab.served.process.pid))


def test_files_without_sound_tags_get_one_sentence(
    lab: Lab, spectrum: tuple[JobState, dict[str, Path]], tmp_path: Path
) -> None:
    plain, twice, broken, text = (tmp_path / name for name in ("été.fits", "twice.fits", "broken.fits", "text.fits"))
    fits.PrimaryHDU().writeto(plain)
    product = spectrum[1]["source_spectrum"]
    tagged = votags.read(product)
    assert tagged is not None
    with fits.open(product) as hdus:
        fits.HDUList([hdus[0].copy(), *(hdu.copy() for hdu in hdus[1:]), hdus["VO-TAGS"].copy()]).writeto(twice)
    content = product.read_bytes()
    broken.write_bytes(content.replace(b'{"provenance"', b'{"provenanc!"'))
    text.write_text("no FITS at all\n")
    for path, words in ((plain, "carries no VO-TAGS"), (twice, "has 2 extensions VO-TAGS"), (broken, "VO-TAGS: "),
                        (text, "no FITS file")):  # fmt: skip
        with path.open("rb") as stream:
            answer = requests.post(f"{lab.url}/reprocessing", files={"file": stream}, timeout=300)
        assert (answer.status_code, words in answer.text) == (400, True), answer.text
        assert "incoming" not in answer.text
        assert str(lab.folder) not in answer.text
        made = run_command("rerun", str(path), "--server", lab.url)
        assert (made.returncode, words in made.stderr) == (2, True), made.stderr
    assert requests.post(f"{lab.url}/reprocessing", data={"x": "y"}, timeout=300).status_code == 400


# --- rights --------------------------------------------------------------------------------------------------


def test_only_what_may_be_seen_is_run_again_and_the_new_jobs_are_the_callers(tmp_path: Path, note: Path) -> None:
    settings = {"definitions": definitions(tmp_path / "definitions"), "anonymous": "refused"}
    with running_server(tmp_path / "data", **settings) as served:
        tokens = {}
        for name in ("ann", "bob"):
            said = run_command("accounts", "add", name, "--data", str(tmp_path / "data"))
            tokens[name] = (name, said.stdout.split()[1])
        job = client.create(f"{served.url}/rest/append", {"text": "a"}, {"table": note}, tokens["ann"])
        client.follow(job, lambda state: None, who=tokens["ann"])
        assert requests.post(f"{job}/rerun", timeout=300).status_code == 401
        assert requests.post(f"{job}/rerun", auth=tokens["bob"], timeout=300).status_code == 403
        lab = Lab(served, tmp_path)
        listed = {"provenance": steps_of(lab, JobState(job, "", "", 0, 0, None, ()))}
        assert requests.post(f"{served.url}/reprocessing", json=listed, timeout=300).status_code == 401
        refused = requests.post(f"{served.url}/reprocessing", json=listed, auth=tokens["bob"], timeout=300)
        assert (refused.status_code, "upload it" in refused.text) == (400, True)  # ann's upload is not his to use
        made = requests.post(f"{job}/rerun", auth=tokens["ann"], allow_redirects=False, timeout=300)
        again = made.headers["Location"]
        assert requests.get(f"{again}/owner", auth=tokens["ann"], timeout=300).text == "ann"


# --- the command and the pages -------------------------------------------------------------------------------


def test_the_command_lists_what_may_be_changed(spectrum: tuple[JobState, dict[str, Path]]) -> None:
    said = run_command("rerun", str(spectrum[1]["source_spectrum"]), "--list").stdout
    assert said.startswith("step 1: spectrum 1.0\n")
    assert "  input eventlist = " in said
    assert " (locked)\n" in said
    assert "        energy = '0.2 12" in said.replace("       energy", "        energy")


def test_the_command_changes_and_refuses(lab: Lab, spectrum: tuple[JobState, dict[str, Path]], tmp_path: Path) -> None:
    product = str(spectrum[1]["source_spectrum"])
    made = run_command("rerun", product, "energy=1 5", "--server", lab.url, "--download", str(tmp_path / "new"))
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "new" / "source_spectrum.fits").is_file()
    nowhere = run_command("rerun", product, "--server", lab.url.removeprefix("http://"))
    assert (nowhere.returncode, nowhere.stdout) == (2, "")
    assert nowhere.stderr.endswith(f"is no http or https address; did you mean {lab.url}?\n")
    unplaced = run_command("rerun", product, "--server", lab.url, "--download", product)
    assert (unplaced.returncode, unplaced.stdout) == (2, "")  # told before anything is run
    assert unplaced.stderr.endswith("this is a file; a folder is expected\n")
    refused = run_command("rerun", product, "eventlist=x", "--server", lab.url)
    assert (refused.returncode, "the input eventlist is locked" in refused.stderr) == (2, True)
    other = run_command("rerun", product, f"eventlist=@{product}", "--server", lab.url)
    assert (other.returncode, "(uploaded) is not the file that was used" in other.stderr) == (2, True)


def test_people_count_steps_from_one(lab: Lab, note: Path, tmp_path: Path) -> None:
    listed = steps_of(lab, *chain(lab, note, tmp_path))
    made_again = run_command("rerun", *written(tmp_path, listed), "1.text=other", "--from", "1", "--server", lab.url,
                             "--download", str(tmp_path / "new"))  # fmt: skip
    assert made_again.returncode == 0, made_again.stderr
    assert (tmp_path / "new" / "copy.txt").read_text() == note.read_text() + "other\ntwo\n"
    assert [path.name[:2] for path in (tmp_path / "new").iterdir() if path.is_dir()] == ["1-"]
    shown = run_command("rerun", *written(tmp_path, listed), "--list").stdout
    assert [line for line in shown.splitlines() if line.startswith("step")] == ["step 1: append 1", "step 2: append 1"]
    for more, sentence in (
        (["0.text=x"], "there is no step 0; the list has 2, counted from 1"),
        (["--from", "3"], "there is no step 3; the list has 2, counted from 1"),
        (["--target", "0"], "there is no step 0"),
        (["text=x", "--from", "1"], "several steps have it: write 1.text or 2.text"),
        (["1.texd=x", "--from", "1"], "no such parameter of step 1 (append)"),
        (["2.mode=x"], "the parameter mode is locked"),
    ):
        refused = run_command("rerun", *written(tmp_path, listed), *more, "--server", lab.url)
        assert (refused.returncode, sentence in refused.stderr) == (2, True), (more, refused.stderr)
    page = visit(f"{lab.url}/rerun").send("/rerun", files={"provenance": Path(written(tmp_path, listed)[0]),
                                                           "file": Path(written(tmp_path, listed)[0])})  # fmt: skip
    assert [legend.text_content().split(":")[0] for legend in page.all("//ol//legend")] == ["Step 1", "Step 2"]
    assert page.all("//select[@id='from']/option[@value='0']")[0].text_content().startswith("step 1 (append)")
    wrong = page.send("/rerun", {"0.fail": "perhaps", "from": "0", "_do": "run"})
    assert "1.fail" in wrong.text("//*[@id='summary']")
    assert "0.fail" not in wrong.text()


def written(folder: Path, listed: list[Any]) -> list[str]:
    """The file of a step list, as the arguments of a command begin."""
    path = folder / "list.json"
    path.write_text(json.dumps({"provenance": listed}))
    return [str(path)]


def test_the_comparison_shows_what_differs_and_what_does_not(
    lab: Lab, spectrum: tuple[JobState, dict[str, Path]]
) -> None:
    job, _ = spectrum
    keys = [one.url.rpartition("/")[2] for one in (job, lab.again(job.url), lab.again(job.url, energy="1 5"))]
    same = requests.get(f"{lab.url}/jobs/{keys[1]}/compare/{keys[0]}", timeout=300).text
    assert "No parameter differs." in same
    assert same.count("identical science HDUs: only the VO-TAGS differ") == 3, "two spectra, and the patterns"
    assert "identical, byte for byte" in same
    other = requests.get(f"{lab.url}/jobs/{keys[2]}/compare/{keys[0]}", timeout=300).text
    assert "One parameter differs: energy." in other
    plot = requests.get(f"{lab.url}/jobs/{keys[2]}/compare/{keys[0]}/source_spectrum.json", timeout=300).json()
    assert [series["label"] for series in plot["series"]] == ["This job", "Earlier job"]
    picture = requests.get(f"{lab.url}/jobs/{keys[2]}/compare/{keys[0]}/source_spectrum.svg", timeout=300)
    assert picture.headers["Content-Type"].startswith("image/svg+xml")


def test_the_comparison_tells_inputs_of_one_name_apart_by_what_they_hold(lab: Lab, note: Path, tmp_path: Path) -> None:
    first, second = chain(lab, note, tmp_path)
    listed = steps_of(lab, first, second)
    old = second.url.rpartition("/")[2]
    for change, sentence in (({"0.text": "other"}, "One parameter differs: table."), ({}, "No parameter differs.")):
        made = lab.reprocess(listed, parameters=change, **{"from": 0}).headers["Location"]
        status(lab, made, "COMPLETED")
        page = requests.get(f"{lab.url}/jobs/{made.rpartition('/')[2]}/compare/{old}", timeout=300).text
        assert sentence in page
        assert page.count("copy.txt (SHA-256 ") == (2 if change else 0)


def test_the_page_shows_locks_and_runs_a_file_again_with_changes(
    lab: Lab, spectrum: tuple[JobState, dict[str, Path]]
) -> None:
    asked = visit(f"{lab.url}/rerun").send("/rerun", files={"file": spectrum[1]["source_spectrum"]})
    assert asked.status == 200
    assert "the same by SHA-256" in asked.text()
    assert asked.field("0.energy").get("value") == "0.2 12"
    assert asked.all("//*[@name='0.eventlist']") == []
    wrong = asked.send("/rerun", {"0.energy": "12 1", "_do": "run"})
    assert wrong.status == 400
    assert wrong.field("0.energy").get("value") == "12 1"
    assert "energy" in wrong.text("//*[@id='summary']")
    page = wrong.send("/rerun", {"0.energy": "1 5", "_do": "create"})
    assert f"Runs job {spectrum[0].url.rpartition('/')[2][:8]} again" in page.text()
    assert "1 5" in page.text("//*[@id='parameters']")


def test_the_page_refuses_a_locked_field_and_a_form_of_elsewhere(lab: Lab, note: Path) -> None:
    job = lab.run("append", {"text": "x"}, {"table": note})
    page = visit(f"{lab.url}/rerun?job={job.url.rpartition('/')[2]}")
    assert page.all("//*[@name='0.mode']") == []
    refused = page.send("/rerun", {"0.mode": "other", "_do": "run"})
    assert (refused.status, "the parameter mode is locked" in refused.text()) == (403, True)
    assert page.send("/rerun", {"_token": "wrong", "_do": "run"}).status == 403
    assert visit(f"{lab.url}/rerun").send("/rerun", files={"file": note}).status == 400


def test_a_job_whose_definition_is_gone_still_tells_its_step(tmp_path: Path) -> None:
    services = Services(Config.of(data=tmp_path), "http://x.org", ROOT / "job_definitions")
    given = {"text": ParameterValue("x", "x")}
    gone = Job(new_id(), "gone", "1", Phase.COMPLETED, utcnow(), 60, parameters=given, revision="0" * 64)
    (step,) = sources.of_job(services, gone).steps
    assert step.extra == {"task": "gone", "version": "1", "job": gone.id}
    assert isinstance(step.args[0], Parameter)
    assert (step.args[0].extra["name"], step.args[0].value) == ("text", "x")
    services.store.close()
