"""Step lists and addresses that somebody made up: nothing of the server's disk or of others' jobs is had by them."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from accounts import account
from growth import Work, processor_s, require_linear
from serving import running_server
from uws_server.execution import sandbox
from uwsjobs import create, listed, reached, write_definitions

SECRET = "nobody else may read this"


@dataclass(frozen=True)
class Place:
    """A server with a job of bob's, which nobody else may see, and a file of its machine outside its folders."""

    url: str
    folder: Path
    bob: tuple[str, str]
    job: str
    pid: int

    def ask(self, document: Any) -> requests.Response:
        """POST a step list."""
        return requests.post(f"{self.url}/reprocessing", json=document, allow_redirects=False, timeout=300)

    def incoming(self) -> list[str]:
        """What lies where uploads wait."""
        return [path.name for path in (self.folder / "data" / "incoming").iterdir()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "secret").write_text(SECRET)
    definitions = write_definitions(tmp_path_factory.mktemp("definitions"))
    with running_server(folder / "data", definitions=definitions) as served:
        name, token = account(folder / "data", "bob")
        form = {"text": SECRET, "PHASE": "RUN"}
        made = requests.post(
            f"{served.url}/rest/dummy", data=form, auth=(name, token), allow_redirects=False, timeout=300
        )
        job = made.headers["Location"]
        while requests.get(f"{job}/phase", auth=(name, token), timeout=300).text != "COMPLETED":
            time.sleep(0.05)
        yield Place(served.url, folder, (name, token), job, served.process.pid)


def argument(kind: str, **values: Any) -> dict[str, Any]:
    return {kind: {"description": "", "editable": True, **values}}


def step(task: str, *args: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"task": task, "args": [{"index": number, **each} for number, each in enumerate(args)], **more}


def made_by(output: str, *, count: int = 1) -> dict[str, Any]:
    """A list of two steps: the first makes a file that the second uses."""
    name = output.rpartition("/")[2]
    return {
        "provenance": [
            step("dummy", *[argument("outputdata", location="", path=output)] * count),
            step("files", *[argument("inputdata", location="", path=name, name="table")] * count),
        ],
        "from": 0,
    }


@pytest.mark.parametrize("output", ["{up}{secret}", "/{secret}", "x/../{up}{secret}", "./result.txt", "a//b", "a\n/b"])
def test_an_output_of_a_chain_leads_nowhere_but_among_results(place: Place, output: str) -> None:
    before = listed(place.url), listed(place.url, "", "files")
    path = output.format(up="../" * 40, secret=str(place.folder / "secret").lstrip("/"))
    answer = place.ask(made_by(path))
    assert (answer.status_code, "is no name of a file among results" in answer.text) == (400, True), answer.text
    assert (listed(place.url), listed(place.url, "", "files")) == before
    assert not place.incoming()


def test_a_link_among_the_results_of_a_job_is_not_what_the_next_one_gets(place: Place, tmp_path: Path) -> None:
    data = tmp_path / "data"
    definitions = write_definitions(tmp_path / "definitions")
    (definitions / "tree" / "run.sh").write_text(f"mkdir results; ln -s {place.folder}/secret results/secret\n")
    with running_server(data, definitions=definitions) as served:
        first, second = made_by("secret")["provenance"]
        document = {"provenance": [{**first, "task": "tree"}, second], "from": 0}
        answer = requests.post(f"{served.url}/reprocessing", json=document, allow_redirects=False, timeout=300)
        assert answer.status_code == 303, answer.text
        last = f"{served.url}/rest/files/{answer.headers['Location'][-32:]}"
        assert reached(last, "COMPLETED", "ERROR") == "ERROR"
        assert "left no secret" in requests.get(f"{last}/error", timeout=300).text


@pytest.mark.parametrize("form", ["{job}/results/result", "urn:uws-server:{id}:result.txt", "urn:uws-server:{id}:log"])
def test_the_id_of_a_job_does_not_give_those_of_its_results(place: Place, form: str) -> None:
    """Ids of jobs are told to who may not see these; who knows the id of a result may have it."""
    asked = {"ID": form.format(job=place.job, id=place.job[-32:])}
    for address in ("datalink", "provsap"):
        refused = requests.get(f"{place.url}/{address}", params=asked, timeout=300)
        assert "/store/" not in refused.text
        assert "result_" not in refused.text
        own = requests.get(f"{place.url}/{address}", params=asked, auth=place.bob, timeout=300)
        assert "/store/" in own.text or "result_" in own.text


def test_the_hash_of_a_file_does_not_give_the_file(place: Place) -> None:
    listing = requests.get(f"{place.url}/rest/dummy/{place.job[-32:]}/provjson", auth=place.bob, timeout=300).json()
    hashes = {about["schema:sha256"] for about in listing["entity"].values() if "schema:sha256" in about}
    assert hashes
    for each in hashes:
        for address in ("datalink", "provsap"):
            refused = requests.get(f"{place.url}/{address}", params={"ID": each}, timeout=300)
            assert "/store/" not in refused.text
            assert "result_" not in refused.text
            assert place.job[-32:] not in refused.text


@pytest.mark.parametrize("behind", ["", "%0a"])
def test_a_page_of_another_site_makes_no_job_by_a_get(place: Place, behind: str) -> None:
    nobodys = create(place.url, text="x", PHASE="RUN")
    reached(nobodys, "COMPLETED")
    before = listed(place.url)
    for address in (f"{place.url}/rest/dummy/sync", f"{nobodys}/rerun/sync"):
        for site in ("cross-site", "same-site"):
            answer = requests.get(
                f"{address}{behind}", headers={"Sec-Fetch-Site": site}, allow_redirects=False, timeout=300
            )
            assert answer.status_code == 403
    assert listed(place.url) == before


def of_one_name(count: int) -> dict[str, Any]:
    return made_by("a", count=count)


def changes(count: int) -> dict[str, Any]:
    args = [argument("parameter", name=f"p{n}", value=n) for n in range(2 * count - 1)]
    return {"provenance": [step("dummy", *args)], "parameters": {f"p{n}": 1 for n in range(count)}}


def too_many_changes(count: int) -> dict[str, Any]:
    listed = [step("dummy", argument("parameter", name="text", value=1))]
    return {"provenance": listed, "parameters": {f"p{n}": 1 for n in range(count)}}


def steps(count: int) -> dict[str, Any]:
    return {"provenance": [step("dummy", n=n) for n in range(count)]}


def files(count: int) -> dict[str, Any]:
    args = [argument("inputdata", location=f"x{n % 9}", path=f"b{n}", name="table", sha256=f"{n:064x}")
            for n in range(count)]  # fmt: skip
    return {"provenance": [step("files", *args)]}


def hashes(count: int) -> dict[str, Any]:
    makers = [
        step("dummy", *[argument("outputdata", location="x", path="a", sha256=f"{n:064x}{m}") for m in range(9)])
        for n in range(count // 10)
    ]
    used = [argument("inputdata", location="x", path="a", sha256=f"{n}") for n in range(count)]
    return {"provenance": [*makers, step("files", *used)]}


def ladder(count: int) -> dict[str, Any]:
    made = [argument("outputdata", location="", path="a")] * 5
    used = [argument("inputdata", location="", path="a", name="table")] * 5
    return {"provenance": [step("files", *made, *used, n=n) for n in range(count)]}


@pytest.mark.parametrize(
    ("make", "count"),
    [(of_one_name, 10_000), (of_one_name, 100_000), (changes, 1000), (too_many_changes, 100_000), (steps, 100_000),
     (files, 20_000), (hashes, 10_000), (ladder, 1999)],
    ids=["of one name", "too many", "changes", "too many changes", "steps", "files", "hashes", "ladder"],
)  # fmt: skip
def test_a_long_list_costs_no_more_for_each_step_than_a_short_one(
    place: Place, make: Callable[[int], dict[str, Any]], count: int
) -> None:
    def asking(many: int) -> Work:
        document = make(many)

        def ask() -> None:
            answer = place.ask(document)
            assert answer.status_code in (303, 400), answer.text[:300]

        return ask

    require_linear(asking, count // 8, runs=3, clock=lambda: processor_s(place.pid))
    assert not place.incoming()


def test_a_list_of_very_many_steps_is_refused_before_it_is_read(place: Place) -> None:
    """Measured: what the server spends on it is no more than on a list of few steps that is as long."""

    def spent(document: dict[str, Any]) -> float:
        before = processor_s(place.pid)
        answer = place.ask(document)
        assert answer.status_code == 400
        assert "steps came; 50,000 are looked at" in answer.text or "is no job definition" in answer.text, answer.text
        return processor_s(place.pid) - before

    many = steps(100_000)
    few = {"provenance": [step("nothing", text="x" * len(json.dumps(many)))]}
    assert min(spent(many) for _ in range(3)) < 5 * min(spent(few) for _ in range(3))


ODD = ["\ud800", "\0", "\x1b", "x" * 5000, "../..", "%", "é", "{name}", "0" * 32, "param:x", "-1", "\n"]


@pytest.mark.parametrize("odd", ODD, ids=ascii)
def test_odd_words_anywhere_in_a_list_are_refused_with_a_sentence(place: Place, odd: str) -> None:
    good = [
        step("dummy", argument("parameter", name="text", value="x"), argument("outputdata", location="x", path="a")),
        step("files", argument("inputdata", location="x", path="a", name="table", sha256="y"), job="1", version="2"),
    ]
    text = json.dumps({"provenance": good, "parameters": {"Note": "n"}, "target": "1", "RUNID": "r"})
    told = json.dumps(odd)
    for word in ('"dummy"', '"files"', '"text"', '"x"', '"a"', '"table"', '"y"', '"1"', '"2"', '"Note"', '"n"', '"r"'):
        answer = requests.post(
            f"{place.url}/reprocessing",
            data=text.replace(word, told),
            headers={"Content-Type": "application/json"},
            allow_redirects=False,
            timeout=300,
        )
        assert answer.status_code in (303, 400, 403, 404), f"{word} {answer.text[:300]}"
    assert not place.incoming()


@pytest.mark.skipif(bool(sandbox.obstacle()), reason=f"no sandbox here: {sandbox.obstacle()}")
def test_a_job_in_a_sandbox_sees_what_an_earlier_one_of_its_chain_made(tmp_path: Path) -> None:
    definitions = write_definitions(tmp_path / "definitions")
    document = made_by("result.txt")
    document["provenance"][0]["args"].append({"index": 1, **argument("parameter", name="text", value="seen")})
    with running_server(tmp_path / "data", definitions=definitions, sandbox="all") as served:
        answer = requests.post(f"{served.url}/reprocessing", json=document, allow_redirects=False, timeout=300)
        last = f"{served.url}/rest/files/{answer.headers['Location'][-32:]}"
        assert reached(last, "COMPLETED", "ERROR") == "COMPLETED"
        assert requests.get(f"{last}/results/result", timeout=300).text == "seen\n"


def test_a_pipe_in_the_place_of_the_steps_holds_nobody_up(tmp_path: Path) -> None:
    """A script still runs when somebody asks for its provenance, and may have put anything into its folder."""
    definitions = write_definitions(tmp_path / "definitions")
    script = "mkfifo steps.json; mkdir results; echo x > 'results/..\\..\\x.txt'; echo ready\n"
    script += "until [ -e go ]; do sleep 0.05; done\n"
    (definitions / "tree" / "run.sh").write_text(script)
    with running_server(tmp_path / "data", definitions=definitions) as served:
        job = create(served.url, "tree", PHASE="RUN")
        while "ready" not in requests.get(f"{job}/stdout", timeout=300).text:
            time.sleep(0.05)
        page = f"{served.url}/jobs/{job[-32:]}"
        for address in (f"{job}/provjson", f"{page}/provenance", f"{served.url}/rerun?job={job[-32:]}"):
            assert requests.get(address, timeout=300).status_code == 200
        (tmp_path / "data" / "jobs" / job[-32:-30] / job[-32:] / "go").touch()
        assert reached(job, "COMPLETED", "ERROR") == "COMPLETED"
        packed = zipfile.ZipFile(io.BytesIO(requests.get(f"{page}/all.zip", timeout=300).content))
        assert f"tree-{job[-32:-24]}/.._.._x.txt" in packed.namelist()
