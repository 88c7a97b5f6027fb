"""The step list: the slides' example, the round trip, and what is refused with the place it stands at."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from growth import counted_calls, require_linear
from provenance.steps import Arg, InputData, OutputData, Parameter, Step, digest, dump, merge, parse, read
from provenance.text.errors import ProvenanceError, StepsError
from provenance.text.jsontext import MAX_BYTES

relaxed = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

SLIDE = """
{"provenance": [{"args": [
  {"index": 0, "inputdata":
     {"description": "input dummy arg", "editable": false, "location": "/tmp", "path": "DummyJob.py"}},
  {"index": 1, "parameter": {"description": "1st param", "editable": false, "value": "param0"}},
  {"index": 2, "parameter": {"description": "2nd param", "editable": true, "value": "2"}},
  {"index": 3, "outputdata":
     {"description": "output file", "editable": false, "location": "/tmp", "path": "out.fits"}}]}]}
"""

finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | finite | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)
KNOWN = {
    "index",
    "inputdata",
    "parameter",
    "outputdata",
    "description",
    "editable",
    "location",
    "path",
    "value",
    "args",
}
extras = st.dictionaries(st.text().filter(lambda key: key not in KNOWN), values, max_size=3)
paths = st.text() | st.lists(st.text(), max_size=3).map(tuple)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    kinds = draw(st.lists(st.sampled_from([InputData, Parameter, OutputData]), max_size=4))
    args: list[Arg] = []
    for index, kind in enumerate(kinds):
        head: dict[str, Any] = {
            "index": index,
            "description": draw(st.text()),
            "editable": draw(st.booleans()),
            "extra": draw(extras),
            "beside": draw(extras),
        }
        if kind is Parameter:
            args.append(Parameter(value=draw(scalars | st.lists(scalars, max_size=3).map(tuple)), **head))
        elif kind is InputData:
            args.append(InputData(location=draw(st.text()), path=draw(st.text()), **head))
        else:
            args.append(OutputData(location=draw(st.text()), path=draw(paths), **head))
    return Step(tuple(args), draw(extras))


def document(**changes: object) -> str:
    """One step with one parameter, some of its keys changed (None takes one away)."""
    inner = {"description": "radius", "editable": True, "value": 40, **changes}
    inner = {key: value for key, value in inner.items() if value is not ...}
    return json.dumps({"provenance": [{"args": [{"index": 0, "parameter": inner}]}]})


def test_the_slides_example_is_read_and_written_back() -> None:
    (step,) = parse(SLIDE)
    assert step.args == (
        InputData(0, "input dummy arg", False, "/tmp", "DummyJob.py"),
        Parameter(1, "1st param", False, "param0"),
        Parameter(2, "2nd param", True, "2"),
        OutputData(3, "output file", False, "/tmp", "out.fits"),
    )
    assert json.loads(dump([step])) == json.loads(SLIDE)


def test_the_keys_of_the_seed_text(shared: Path) -> None:
    """What the slides print (cut off in the middle of the list) are the keys that are written."""
    seed = next(iter(shared.glob("seeds/001_*.txt"))).read_text()
    listing = seed[seed.index('"provenance": [') :].split("```")[0]
    cut = listing.rstrip().rstrip(",")
    completed = json.loads("{" + cut + ', "editable": false, "location": "/tmp", "path": "o"}}]}]}')
    assert json.loads(dump(parse(json.dumps(completed)))) == completed


def test_unknown_keys_stay_where_they_stood() -> None:
    text = json.dumps(
        {
            "provenance": [
                {
                    "task": "spectrum",
                    "software": {"name": "reduction", "version": "1.0"},
                    "exit_status": 0,
                    "args": [
                        {
                            "index": 0,
                            "note": "beside",
                            "inputdata": {
                                "description": "events",
                                "editable": True,
                                "location": "/data",
                                "path": "e.fits",
                                "sha256": "ab",
                                "size": 7,
                            },
                        }
                    ],
                }
            ]
        }
    )
    (step,) = parse(text)
    assert step.extra["software"] == {"name": "reduction", "version": "1.0"}
    assert step.args[0].extra == {"sha256": "ab", "size": 7}
    assert step.args[0].beside == {"note": "beside"}
    assert json.loads(dump([step])) == json.loads(text)


def test_equal_steps_are_one_in_a_set() -> None:
    made = [Step([Parameter(0, "", True, 1, {"name": "bin"})], {"task": "a"}) for _ in range(2)]  # type: ignore[arg-type]
    assert made[0].args == (Parameter(0, "", True, 1, {"name": "bin"}),)
    assert len(set(made)) == 1
    assert len({InputData(0, "", False, "", "f", {"sha256": "a"}), InputData(0, "", False, "", "f", {})}) == 2


def test_a_collection_of_outputs() -> None:
    step = Step((OutputData(0, "light curves", False, "results", ("a.fits", "b.fits")),))
    assert json.loads(dump([step]))["provenance"][0]["args"][0]["outputdata"]["path"] == ["a.fits", "b.fits"]
    assert parse(dump([step])) == (step,)


@relaxed
@given(st.lists(steps(), max_size=4))
def test_round_trip_through_printable_ascii(made: list[Step]) -> None:
    text = dump(made)
    assert all(" " <= letter <= "~" for letter in text)
    assert parse(text) == tuple(made)
    assert parse(text.encode()) == tuple(made)
    assert [digest(step) for step in parse(text)] == [digest(step) for step in made]


@relaxed
@given(st.text() | st.binary() | values.map(json.dumps))
def test_anything_is_steps_or_a_steps_error(text: str | bytes) -> None:
    try:
        made = parse(text)
    except StepsError:
        return
    assert all(isinstance(step, Step) for step in made)


@relaxed
@given(st.integers(0, len(SLIDE.strip()) - 1))
def test_json_cut_short_anywhere(length: int) -> None:
    with pytest.raises(StepsError):
        parse(SLIDE.strip()[:length])


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (document(value={"a": 1}), "provenance[0].args[0].parameter.value", "text, a number"),
        (document(value=[1, [2]]), "provenance[0].args[0].parameter.value[1]", "text, a number"),
        (document(editable="false"), "provenance[0].args[0].parameter.editable", "true or false"),
        (document(editable=0), "provenance[0].args[0].parameter.editable", "true or false"),
        (document(description=None), "provenance[0].args[0].parameter.description", "text is expected"),
        (document(value=...), "provenance[0].args[0].parameter.value", "missing"),
        (SLIDE.replace('"index": 2', '"index": 3'), "provenance[0].args[2].index", "2 is expected, not 3"),
        (SLIDE.replace('"index": 0', '"index": true'), "provenance[0].args[0].index", "whole number"),
        (SLIDE.replace('"index": 0,', ""), "provenance[0].args[0].index", "missing"),
        (SLIDE.replace('"path": "DummyJob.py"', '"path": ["a"]'), "provenance[0].args[0].inputdata.path", "text"),
        (
            SLIDE.replace('"description": "output file"', '"description": 1'),
            "provenance[0].args[3].outputdata.description",
            "text",
        ),
        (
            SLIDE.replace('"description": "input dummy arg"', '"description": 1'),
            "provenance[0].args[0].inputdata.description",
            "text",
        ),
        (SLIDE.replace('"path": "out.fits"', '"path": ["a", 1]'), "provenance[0].args[3].outputdata.path[1]", "text"),
        (SLIDE.replace('"parameter"', '"option"'), "provenance[0].args[1]", "exactly one of"),
        (SLIDE.replace('"index": 1,', '"index": 1, "inputdata": {},'), "provenance[0].args[1]", "not 2"),
        (SLIDE.replace('"value": "2"', '"value": 1e999'), "provenance[0].args[2].parameter.value", "no JSON number"),
        (
            SLIDE.replace('"path": "out.fits"', '"path": "out.fits", "size": 1e999'),
            "provenance[0].args[3].outputdata.extra.size",
            "no JSON number",
        ),
        (
            SLIDE.replace('"path": "out.fits"', '"path": "out.fits", "of": [{"a": 1e999}]'),
            "provenance[0].args[3].outputdata.extra.of[0].a",
            "no JSON number",
        ),
        (SLIDE.replace('"value": "2"', '"value": NaN'), "the document", "NaN"),
        (SLIDE.replace('"editable": true', '"editable": true, "editable": false'), "the document", "twice"),
        ('{"provenance": {}}', "provenance", "list of steps"),
        ('{"provenance": [[]]}', "provenance[0]", "object"),
        ('{"provenance": [{}]}', "provenance[0].args", "not nothing"),
        ('{"provenance": [{"args": [7]}]}', "provenance[0].args[0]", "object"),
        ("[]", "the document", "object"),
        ("{}", "the document", "provenance"),
        ("", "the document", "not JSON"),
        ('["', "the document", "Unterminated string starting at character 1 of 2"),
        (b"\xff\xfe", "the document", "UTF-8"),
        ("[" * 100_000, "the document", "nested too deep"),
        (
            '{"provenance": [{"args": [], "x": ' + "[" * 500 + "]" * 500 + "}]}",
            "provenance[0].extra.x",
            "nested too deep",
        ),
        ('{"provenance": [' + "9" * 5000 + "]}", "the document", "number"),
    ],
)
def test_refused_with_the_place(text: str | bytes, place: str, words: str) -> None:
    with pytest.raises(StepsError) as caught:
        parse(text)
    assert caught.value.place.startswith(place)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400
    assert isinstance(caught.value, ProvenanceError)


def test_a_document_too_long_is_not_read() -> None:
    with pytest.raises(StepsError, match=f"at most {MAX_BYTES}"):
        parse(b" " * (MAX_BYTES + 1))
    with pytest.raises(StepsError, match=f"at most {MAX_BYTES}"):
        dump([Step((Parameter(0, "x" * MAX_BYTES, False, 1),))])


def test_a_file_is_read_as_far_as_a_list_may_go(tmp_path: Path) -> None:
    path = tmp_path / "steps.json"
    listed = (Step((Parameter(0, "radius", True, 40.5),), {"task": "filter"}),)
    path.write_text(dump(listed))
    assert read(path) == listed
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(StepsError, match=f"at most {MAX_BYTES}"):
        read(path)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "another.json")


def test_values_check_themselves() -> None:
    with pytest.raises(StepsError, match=r"^value: "):
        Parameter(0, "radius", True, object())  # type: ignore[arg-type]
    with pytest.raises(StepsError, match=r"args\[0\]\.index: 0 is expected, not 1"):
        Step((Parameter(1, "radius", True, 1),))
    with pytest.raises(StepsError, match="place of its own"):
        Step((), {"args": []})
    with pytest.raises(StepsError, match="keys are text"):
        Step((), {"times": {1: 2}})


def test_a_step_keeps_its_own_copy() -> None:
    software = {"name": "reduction"}
    step = Step((), {"software": software})
    software["name"] = "other"
    assert step.extra == {"software": {"name": "reduction"}}
    assert pickle.loads(pickle.dumps(step)) == step


@relaxed
@given(st.lists(st.lists(steps(), max_size=3), max_size=3))
def test_merge_keeps_the_order_and_no_repeats(lists: list[list[Step]]) -> None:
    merged = [digest(step) for step in merge(*lists)]
    everything = [digest(step) for one in lists for step in one]
    assert merged == sorted(set(everything), key=everything.index)
    assert merge(merge(*lists), *lists) == merge(*lists)


def test_the_digest_is_of_the_content_not_of_the_writing() -> None:
    (step,) = parse(SLIDE)
    (same,) = parse(json.dumps(json.loads(SLIDE), sort_keys=True, indent=3))
    assert digest(step) == digest(same)
    assert digest(step) != digest(replace(step, extra={"task": "other"}))
    assert len(digest(step)) == 64


@relaxed
@given(st.lists(steps(), max_size=4))
def test_what_is_read_would_pass_the_checks_of_its_values(made: list[Step]) -> None:
    """Most arguments are made past them: made again with them, they are the same, of the same types."""
    for step in parse(dump(made)):
        again = [replace(arg) for arg in step.args]
        assert [repr(arg) for arg in again] == [repr(arg) for arg in step.args]
        assert replace(step, args=tuple(again)) == step
        assert pickle.loads(pickle.dumps(step)) == step


def thousand(more: int) -> list[Step]:
    """A thousand steps of four arguments like those of a job, and so many parameters more."""
    args = (
        InputData(0, "event list", True, "/data", "events.fits", {"sha256": "0" * 64, "size": 10**8}),
        Parameter(1, "radius in arcsec", True, 40.0),
        Parameter(2, "pattern", False, 4),
        OutputData(3, "spectrum", False, "results", ("spectrum.fits", "background.fits")),
        *(Parameter(4 + number, f"parameter {number}", True, number, {"name": "p"}) for number in range(more)),
    )
    return [Step(args, {"task": f"spectrum {number}", "version": "1.0", "exit_status": 0}) for number in range(1000)]


def test_a_thousand_steps_cost_no_more_each_than_a_few() -> None:
    made = thousand(0)
    assert parse(dump(made)) == tuple(made)
    require_linear(lambda count: lambda: parse(dump(made[:count])), 125)


def test_the_checks_cost_little_more_than_json_alone() -> None:
    """Of a thousand steps of eight arguments: 28 calls of functions for each argument, where json makes none."""
    made = thousand(4)
    with counted_calls() as calls:
        parse(dump(made))
    assert calls.total() < 36 * 8 * 1000
