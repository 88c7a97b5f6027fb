"""Step lists as PROV: every document read back by the library prov and equal as a graph, in both flavours."""

from __future__ import annotations

import io
import json
import re
import shutil
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prov.model import ProvDocument

from provenance import graph, steps
from provenance.graph import export
from provenance.graph.records import VOPROV, Model, Options
from provenance.text.errors import ProvenanceError

JOB = "0123456789abcdef" * 2
FILTER = steps.Step(
    (
        steps.InputData(0, "Event list.", False, "0999990101", "PN.FITS", {"name": "eventlist", "sha256": "a" * 64}),
        steps.Parameter(1, "Radius.", True, 40.5, {"name": "radius", "unit": "arcsec"}),
        steps.Parameter(2, "Region.", True, 'circle(1,2,3") <&> "é"', {"name": "the region"}),
        steps.Parameter(3, "", True, (1, "b", None), {"name": "several"}),
        steps.Parameter(4, "", True, True, {"name": "flag"}),
        steps.OutputData(5, "Images.", False, "http://x.org/r", ("a.fits", "b.fits"), {"name": "images"}),
        steps.OutputData(6, "Events.", False, "http://x.org/r", "e.fits", {"name": "events", "sha256": "b" * 64}),
    ),
    {
        "task": "filter", "version": "1.0", "job": JOB, "started": "2026-11-20T12:00:00Z",
        "ended": "2026-11-20T12:00:05Z", "exit_status": 0, "software": {"numpy": "2.0"}, "host": "Linux x86_64",
        "calibration": [{"name": "ccf.cif", "from": "SAS_CCF"}],
    },
)  # fmt: skip
SPECTRUM = steps.Step(
    (
        steps.InputData(0, "Events.", False, "", "renamed.fits", {"name": "eventlist", "science_sha256": "b" * 64}),
        steps.OutputData(1, "Spectrum.", False, "http://x.org/s", "s.fits", {}),
    ),
    {"task": "spectrum of a region", "parent": JOB},
)
EVERYTHING = [
    Options(model, agents, descriptions, configuration, members, attributes)
    for model in Model
    for agents, descriptions, configuration, members, attributes in (
        (True, False, True, True, True), (False, True, True, True, True), (True, True, False, False, False))
]  # fmt: skip


def names(document: ProvDocument, kind: str) -> set[str]:
    """The local names of all records of a kind."""
    return {
        str(record.identifier.localpart) for record in document.get_records() if record.get_type().localpart == kind
    }


def relations(document: ProvDocument, kind: str) -> set[tuple[str, ...]]:
    """What the relations of a kind join, by local names."""
    found = [record for record in document.get_records() if record.get_type().localpart == kind]
    return {tuple(value.localpart for _, value in record.formal_attributes if value is not None) for record in found}


@pytest.mark.parametrize("options", EVERYTHING)
def test_every_format_is_read_back_as_the_same_graph(options: Options) -> None:
    document = export.document([FILTER, SPECTRUM], options, "https://x.org/provsap?ID=")
    texts: list[tuple[str, str | bytes]] = [
        ("json", export.prov_json([FILTER, SPECTRUM], options, "https://x.org/provsap?ID=")),
        ("provn", export.prov_n(document)),
        ("xml", export.prov_xml(document)),
    ]
    for kind, text in texts:
        assert ProvDocument.deserialize(content=text, format=kind) == document, kind
    assert document.get_records()


@pytest.mark.parametrize("options", EVERYTHING)
def test_our_json_is_what_prov_writes(options: Options) -> None:
    """The same records under the same names; prov numbers those without a name in an order of its own."""
    ours = json.loads(export.prov_json([FILTER, SPECTRUM], options))
    theirs = json.loads(export.document([FILTER, SPECTRUM], options).serialize(format="json"))
    assert ours.keys() == theirs.keys()
    assert ours["prefix"].items() <= theirs["prefix"].items() | ours["prefix"].items()
    for kind in ours.keys() - {"prefix"}:
        assert len(ours[kind]) == len(theirs[kind]), kind
        if kind in ("entity", "activity", "agent"):
            assert ours[kind].keys() == theirs[kind].keys()


@pytest.mark.parametrize("options", EVERYTHING)
@pytest.mark.parametrize("at_once", [1, 3, 200])
def test_a_document_in_parts_is_the_whole(options: Options, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_AT_ONCE", at_once)
    base = "https://x.org/provsap?ID="
    whole = export.document([FILTER, SPECTRUM], options, base)
    xml, n = (list(write([FILTER, SPECTRUM], options, base)) for write in (export.prov_xml_parts, export.prov_n_parts))
    assert b"".join(xml) == export.prov_xml(whole)
    assert b"".join(n).decode() == export.prov_n(whole)
    count = len(list(whole.get_records()))
    assert len(xml) == len(n) == -(-count // at_once) + 2


def test_a_document_of_nothing_is_one() -> None:
    assert len(ET.fromstring(b"".join(export.prov_xml_parts([])))) == 0
    assert b"".join(export.prov_n_parts([])).decode() == export.prov_n(export.document([]))


def test_what_a_list_tells_becomes_activities_and_files() -> None:
    document = export.document([FILTER, SPECTRUM], Options(configuration=False))
    (second,) = names(document, "Activity") - {f"job_{JOB}"}
    events, spectrum = f"job_{JOB}.made.{graph.safe('e.fits')}", f"{second}.made.{graph.safe('s.fits')}"
    assert relations(document, "Usage") == {(f"job_{JOB}", "file_" + "a" * 64), (second, events)}
    assert (spectrum, second) in relations(document, "Generation")
    assert relations(document, "Communication") == {(second, f"job_{JOB}")}
    collection = f"job_{JOB}.collection.images"
    members = {f"job_{JOB}.made.{graph.safe(name)}" for name in ("a.fits", "b.fits")}
    assert relations(document, "Membership") == {(collection, member) for member in members}


def test_an_input_without_hash_is_the_latest_file_of_its_name() -> None:
    first = steps.Step((steps.OutputData(0, "", False, "", "a.fits"),), {"task": "one"})
    second = steps.Step((steps.InputData(0, "", False, "/tmp", "a.fits"), steps.OutputData(1, "", False, "", "a.fits")),
                        {"task": "two"})  # fmt: skip
    third = steps.Step((steps.InputData(0, "", False, "", "a.fits"),), {"task": "three"})
    told = graph.of_steps([first, second, third])
    assert [each.used[0].key for each in told.activities[1:]] == [each.made[0].key for each in told.activities[:2]]


def test_an_input_with_another_hash_is_another_file() -> None:
    first = steps.Step((steps.OutputData(0, "", False, "", "a.fits", {"sha256": "1" * 64}),), {"task": "one"})
    second = steps.Step((steps.InputData(0, "", False, "", "a.fits", {"sha256": "2" * 64}),), {"task": "two"})
    told = graph.of_steps([first, second])
    assert told.activities[1].used[0].key == "file_" + "2" * 64


def test_a_file_of_the_same_name_at_another_place_is_another_file() -> None:
    first = steps.Step((steps.OutputData(0, "", False, "/night1", "a.fits"),), {"task": "one"})
    second = steps.Step((steps.InputData(0, "", False, "/night2", "a.fits"),), {"task": "two"})
    told = graph.of_steps([first, second])
    assert told.files[told.activities[1].used[0].key].location == "/night2/a.fits"


def test_steps_out_of_order_are_shown_all_the_same() -> None:
    use = steps.Step((steps.InputData(0, "", False, "/night1", "a.fits"),), {"task": "use"})
    make = steps.Step((steps.OutputData(0, "", False, "/night1", "a.fits"),), {"task": "make"})
    told = graph.of_steps([use, make])
    assert [each.name for each in told.activities] == ["use", "make"]
    assert told.activities[0].used[0].key != told.activities[1].made[0].key


def test_the_ivoa_flavour_uses_the_terms_of_its_model() -> None:
    document = json.loads(export.prov_json([FILTER], Options(descriptions=True)))
    assert document["prefix"]["voprov"] == VOPROV == "http://www.ivoa.net/documents/ProvenanceDM/index.html#"
    types: dict[str, list[Any]] = {}
    for name, entity in document["entity"].items():
        kinds = entity["prov:type"] if isinstance(entity["prov:type"], list) else [entity["prov:type"]]
        for kind in kinds:
            types.setdefault(kind["$"], []).append(name)
    assert {"voprov:ActivityDescription", "voprov:Parameter", "voprov:ParameterDescription", "voprov:UsageDescription",
            "voprov:GenerationDescription", "voprov:DatasetEntity", "voprov:Collection"} <= types.keys()  # fmt: skip
    radius = document["entity"][f"this:job_{JOB}.radius"]
    assert (radius["voprov:name"], radius["prov:value"]) == ("radius", 40.5)
    about = document["entity"][f"this:definition_filter_{graph.safe('1.0')}.radius"]
    assert (about["voprov:unit"], about["uws:editable"]) == ("arcsec", True)
    activity = document["activity"][f"this:job_{JOB}"]
    assert activity["uws:software"] == "numpy 2.0"
    assert activity["prov:startTime"] == "2026-11-20T12:00:00+00:00"
    influences = {each["prov:type"]["$"] for each in document["wasInfluencedBy"].values()}
    assert influences == {"voprov:IsDescribedBy", "voprov:WasConfiguredBy", "voprov:IsPartOf"}


def test_the_w3c_flavour_uses_none_of_them() -> None:
    text = export.prov_json([FILTER, SPECTRUM], Options(Model.W3C, descriptions=True))
    assert "voprov:" not in text.replace('"voprov": ', "")
    document = json.loads(text)
    assert {"prov:type": {"$": "prov:Plan", "type": "prov:QUALIFIED_NAME"}}.items() <= document["entity"][
        f"this:definition_filter_{graph.safe('1.0')}"
    ].items()


def test_what_is_not_wanted_is_left_out() -> None:
    bare = Options(agents=False, configuration=False, members=False, attributes=False)
    document = json.loads(export.prov_json([FILTER, SPECTRUM], bare))
    assert not any(key.endswith(".radius") for key in document["entity"])
    assert not any(".made.a_fits" in key for key in document["entity"])
    assert all(entity.keys() <= {"prov:type"} for entity in document["entity"].values())


value = st.one_of(st.text(max_size=20), st.integers(-(10**9), 10**9), st.booleans(), st.none(),
                  st.floats(allow_nan=False, allow_infinity=False))  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=12), value, max_size=5), st.sampled_from(Model))
def test_any_names_and_values_make_the_same_document(values: dict[str, Any], model: Model) -> None:
    args = [
        steps.Parameter(number, name, True, one, {"name": name}) for number, (name, one) in enumerate(values.items())
    ]
    step = steps.Step(tuple(args), {"task": "".join(values) or "t"})
    options = Options(model, descriptions=True)
    document = export.document([step], options)
    assert ProvDocument.deserialize(content=export.prov_json([step], options), format="json") == document


def test_what_xml_cannot_hold_is_replaced() -> None:
    step = steps.Step(
        (steps.Parameter(0, "a\x01", True, "b\x00c", {"name": "\x02"}),), {"task": "t\x03", "host": "\x04"}
    )
    for model in Model:
        document = export.document([step], Options(model, descriptions=True))
        assert ProvDocument.deserialize(content=export.prov_xml(document), format="xml") == document
        assert "b\N{REPLACEMENT CHARACTER}c" in export.prov_n(document)


def test_pictures_show_the_names_and_run_nothing() -> None:
    if not shutil.which("dot"):
        pytest.skip("no Graphviz: install the Debian package graphviz")
    evil = steps.Step((steps.InputData(0, "", False, "", '"];x[image="/etc/passwd" <script>alert(1)</script>'),),
                      {"task": "<b>t</b>"})  # fmt: skip
    document = export.document([FILTER, evil], Options(configuration=False))
    for attributes in (False, True):
        picture = export.svg(document, attributes)
        tags = {element.tag.rpartition("}")[2] for element in ET.parse(io.BytesIO(picture)).iter()}
        assert tags <= {"svg", "g", "title", "polygon", "polyline", "path", "text", "ellipse", "a"}
        assert "e.fits" in picture.decode()
    assert export.png(document).startswith(b"\x89PNG\r\n")


def test_without_graphviz_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ProvenanceError, match="install the Debian package graphviz"):
        export.svg(export.document([FILTER]))


def test_every_identifier_is_a_name_that_xml_allows() -> None:
    document = export.document([FILTER, SPECTRUM], Options(descriptions=True))
    for record in document.get_records():
        if record.identifier is not None:
            assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", record.identifier.localpart), record.identifier


def test_a_hash_that_is_none_stands_in_no_identifier() -> None:
    """A step list comes from anywhere: what it calls a hash must not end the text that it would be put into."""
    odd = 'z"}, "evil": {"<script>'
    used = steps.InputData(0, odd, True, odd, odd, {"name": odd, "sha256": odd})
    made = steps.OutputData(1, odd, True, odd, (odd, "b"), {"name": odd, "sha256": [odd, odd]})
    listed = [steps.Step((used, made), {"task": odd, "version": odd, "job": odd, "parent": odd, "host": odd})]
    wanted = Options(descriptions=True)
    document = json.loads(export.prov_json(listed, wanted))
    assert "evil" not in document
    names = {name for records in document.values() for name in records}
    assert all(re.fullmatch(r"this:[A-Za-z0-9_.-]+|_:id[0-9]+|[a-z]+", name) for name in names), names
    assert b"<script" not in export.prov_xml(export.document(listed, wanted))


def test_a_picture_of_too_many_things_is_refused_at_once() -> None:
    listed = [steps.Step((), {"task": str(number), "n": number}) for number in range(3100)]
    with pytest.raises(export.PictureError, match="ask for less"):
        export.svg(export.document(listed))
