"""/provsap and a job's provenance over HTTP, on a graph of two real spectrum jobs: formats, parameters, errors."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from lxml import etree
from prov.model import ProvDocument

from chained import Chained, chained_server, id_of
from serving import running_server
from uwsjobs import create, reached

TYPES = {
    "PROV-JSON": "application/json",
    "PROV-XML": "application/provenance+xml",
    "PROV-N": "text/provenance-notation; charset=UTF-8",
    "PROV-SVG": "image/svg+xml; charset=UTF-8",
    "PROV-PNG": "image/png",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chained]:
    with chained_server(tmp_path_factory.mktemp("provsap")) as chained:
        yield chained


def asked(made: Chained, method: str = "GET", **query: object) -> requests.Response:
    if method == "POST":
        return requests.post(f"{made.url}/provsap", data=query, timeout=300)
    return requests.get(f"{made.url}/provsap", params=query, timeout=300)  # type: ignore[arg-type]


def told(made: Chained, **query: object) -> ProvDocument:
    response = asked(made, **query)
    assert response.status_code == 200, response.text
    return ProvDocument.deserialize(content=response.text, format="json")


def names(document: ProvDocument, kind: str) -> set[str]:
    return {
        str(record.identifier.localpart) for record in document.get_records() if record.get_type().localpart == kind
    }


def files(document: ProvDocument) -> set[str]:
    return {name for name in names(document, "Entity") if name.startswith(("result_", "file_")) and "." not in name}


def store_id(made: Chained, result: str) -> str:
    """The id of a result of the second job, as its document of provenance names it."""
    document = requests.get(f"{made.second.url}/provjson", timeout=300).json()
    found = [name for name, about in document["entity"].items() if about.get("voprov:name") == result]
    return found[-1].removeprefix("this:result_")


@pytest.mark.parametrize(("word", "mime"), TYPES.items())
def test_every_format_has_its_media_type(made: Chained, word: str, mime: str) -> None:
    if word in ("PROV-SVG", "PROV-PNG") and not shutil.which("dot"):
        pytest.skip("no Graphviz: install the Debian package graphviz")
    response = asked(made, ID=id_of(made.second), RESPONSEFORMAT=word)
    assert (response.status_code, response.headers["Content-Type"]) == (200, mime)
    kinds = {"PROV-JSON": "json", "PROV-XML": "xml", "PROV-N": "provn"}
    if word in kinds:
        text = response.content.decode("utf-8")
        assert ProvDocument.deserialize(content=text, format=kinds[word]) == told(made, ID=id_of(made.second))
    else:
        assert response.content[:8] in (b"<?xml ve", b"\x89PNG\r\n\x1a\n")
        assert "sandbox" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "word", ["application/json", "prov-json", "Application/Provenance+XML", "image/svg+xml; a=b", "provn"]
)
def test_a_format_is_also_asked_for_by_its_media_type(made: Chained, word: str) -> None:
    if "svg" in word and not shutil.which("dot"):
        pytest.skip("no Graphviz: install the Debian package graphviz")
    assert asked(made, ID=id_of(made.first), RESPONSEFORMAT=word).status_code == 200


def test_back_is_the_whole_history_and_names_are_in_any_case(made: Chained) -> None:
    document = told(made, id=id_of(made.second), dEPTH="all", Direction="back", runid="mine")
    assert names(document, "Activity") == {f"job_{id_of(made.first)}", f"job_{id_of(made.second)}"}
    assert len(files(document)) == 2
    assert document == told(made, ID=id_of(made.second))


def test_depth_counts_relations(made: Chained) -> None:
    second = id_of(made.second)
    sizes = [(len(names(each, "Activity")), len(files(each))) for each in (
        told(made, ID=second, DEPTH=depth) for depth in range(4))]  # fmt: skip
    assert sizes == [(1, 0), (1, 1), (2, 1), (2, 2)]


def test_forward_is_what_came_of_it(made: Chained) -> None:
    document = told(made, ID=id_of(made.first), DIRECTION="FORWARD")
    assert names(document, "Activity") == {f"job_{id_of(made.first)}", f"job_{id_of(made.second)}"}
    assert len(files(document)) == 8  # what both made, without the logs


def test_several_things_are_told_in_one_document(made: Chained) -> None:
    both = told(made, ID=[id_of(made.first), store_id(made, "source_spectrum.fits")], DEPTH=1)
    assert names(both, "Activity") == {f"job_{id_of(made.first)}", f"job_{id_of(made.second)}"}


def test_a_result_is_found_by_its_address_and_its_publisher_did(made: Chained) -> None:
    name = f"result_{store_id(made, 'source_spectrum.fits')}"
    by_did = told(made, ID=f"{made.second.url}/results/source_spectrum.fits", DEPTH=0)
    by_address = told(made, ID=f"{made.url}/store/{name.removeprefix('result_')}/source_spectrum.fits", DEPTH=0)
    assert files(by_did) == files(by_address) == {name}


def test_what_is_not_wanted_is_left_out(made: Chained) -> None:
    whole, bare = (
        told(made, ID=id_of(made.second), CONFIGURATION=switch, ATTRIBUTES=switch, DESCRIPTIONS=switch)
        for switch in (1, 0)
    )
    second = f"job_{id_of(made.second)}"
    assert f"{second}.grouping" in names(whole, "Entity")
    assert "definition_spectrum" in " ".join(names(whole, "Entity"))
    assert f"{second}.grouping" not in names(bare, "Entity")
    w3c = asked(made, ID=id_of(made.second), MODEL="w3c").text
    assert '"voprov:' not in w3c
    assert '"prov:value": "none"' in w3c


def test_a_post_is_answered_as_a_get(made: Chained) -> None:
    response = asked(made, "POST", ID=id_of(made.second), RESPONSEFORMAT="PROV-N")
    assert response.text == asked(made, ID=id_of(made.second), RESPONSEFORMAT="PROV-N").text


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({}, "ID: nothing came; the id or the address of a job or a result is expected"),
        ({"ID": " "}, "ID: nothing came"),
        ({"DEPTH": "-1"}, "DEPTH: '-1' came; a number of relations from 0, or ALL, is allowed"),
        ({"DEPTH": "1.5"}, "DEPTH: '1.5' came"),
        ({"DEPTH": ["1", "2"]}, "DEPTH: 2 values came; one is allowed"),
        ({"DIRECTION": "UP"}, "DIRECTION: 'UP' came; BACK or FORWARD is allowed"),
        ({"MODEL": "OPM"}, "MODEL: 'OPM' came; IVOA or W3C is allowed"),
        ({"AGENTS": "maybe"}, "AGENTS: 'maybe' came; 1 or 0 is allowed"),
        ({"RESPONSEFORMAT": "PROV-VOTABLE"}, "RESPONSEFORMAT: 'PROV-VOTABLE' came; PROV-JSON, PROV-XML, PROV-N"),
    ],
)
def test_a_request_that_cannot_be_understood_is_told_why(
    made: Chained, query: dict[str, object], sentence: str
) -> None:
    given = {"ID": id_of(made.first)} | query if query and "ID" not in query else query
    response = asked(made, **given)
    assert response.status_code == 400
    assert sentence in response.text.replace("&#39;", "'")


def test_what_is_not_there_is_404(made: Chained) -> None:
    assert asked(made, ID="f" * 32).status_code == 404
    assert "ID: 'ivo://nobody/nothing' is no job, result or file" in asked(made, ID="ivo://nobody/nothing").text


def test_an_error_is_a_votable_where_one_is_asked_for(made: Chained) -> None:
    response = requests.get(f"{made.url}/provsap", headers={"Accept": "application/x-votable+xml"}, timeout=300)
    assert response.status_code == 400
    (info,) = etree.fromstring(response.content).iter("{*}INFO")
    assert info.get("value") == "ERROR"
    assert info.text == "ID: nothing came; the id or the address of a job or a result is expected"


def test_the_provenance_of_a_job_is_all_before_it_and_what_it_made(made: Chained) -> None:
    for word, kind in (("provjson", "json"), ("provxml", "xml"), ("provn", "provn")):
        response = requests.get(f"{made.second.url}/{word}", timeout=300)
        document = ProvDocument.deserialize(content=response.content.decode(), format=kind)
        assert names(document, "Activity") == {f"job_{id_of(made.first)}", f"job_{id_of(made.second)}"}
        assert len(files(document)) == 2 + 4
    assert requests.get(f"{made.url}/rest/dummy/{id_of(made.second)}/provjson", timeout=300).status_code == 404


def test_without_graphviz_a_picture_is_503(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    with running_server(tmp_path_factory.mktemp("bare")) as server:
        job = create(server.url, "dummy", PHASE="RUN", seconds="0")
        reached(job, "COMPLETED")
        response = requests.get(f"{job}/provsvg", timeout=300)
        assert (response.status_code, response.text) == (
            503,
            "no picture can be drawn: the program dot is not here; install the Debian package graphviz\n",
        )
        assert requests.get(f"{job}/provjson", timeout=300).status_code == 200
