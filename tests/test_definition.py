"""Job definitions: what is read is what was written, and every mistake is told with its place."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout import ROOT
from uws_server.errors import DefinitionError
from uws_server.jobs.definition import CONTROL_NAMES, RESERVED_NAMES, Definition, Duration, from_json

PLAIN: dict[str, Any] = {
    "name": "spectrum",
    "version": "1.0",
    "title": "Spectrum",
    "entry": {"type": "python", "script": "run.py"},
    "control": {"duration": {"default": 60, "max": 600}},
    "parameters": [{"name": "radius", "type": "float", "min": 0, "max": 5, "unit": "arcmin", "default": 1}],
    "results": [{"name": "spectrum", "file": "spectrum.fits", "mime": "application/fits"}],
}


def read(document: Any) -> Definition:
    return from_json(json.dumps(document), "spectrum/job.json")


def changed(path: str, value: Any) -> dict[str, Any]:
    """PLAIN with the value at `a.0.b` replaced."""
    document = copy.deepcopy(PLAIN)
    *parents, last = path.split(".")
    place: Any = document
    for key in parents:
        place = place[int(key) if key.isdigit() else key]
    place[last] = value
    return document


def test_a_definition_is_read() -> None:
    definition = read(PLAIN)
    assert (definition.name, definition.entry.script, definition.duration) == ("spectrum", "run.py", Duration(60, 600))
    radius = definition.parameter("RADIUS")
    assert radius is not None
    assert (radius.name, radius.max, radius.unit, radius.required, radius.editable) == (
        "radius",
        5,
        "arcmin",
        False,
        False,
    )
    assert definition.parameter("radius ") is None
    assert definition.results[0].optional is False


def test_what_may_be_left_out_may_be_left_out() -> None:
    definition = read({key: PLAIN[key] for key in ("name", "version", "title", "entry")})
    assert (definition.parameters, definition.results, definition.duration) == ((), (), Duration())


@pytest.mark.parametrize("name", sorted(path.parent.name for path in ROOT.glob("job_definitions/*/job.json")))
def test_the_definitions_that_come_with_the_server_can_be_read(name: str) -> None:
    text = (ROOT / "job_definitions" / name / "job.json").read_text(encoding="utf-8")
    assert from_json(text, name).name == name


@pytest.mark.parametrize(
    ("path", "value", "place", "said"),
    [
        ("name", "../x", "name", "'../x'"),
        ("name", "a\n", "name", "letters"),
        ("name", 5, "definition.name", "5 is not str"),
        ("nmae", "x", "definition.nmae", "unknown key; known are name"),
        ("version", "1" * 65, "version", "at most 64"),
        ("duration", {"default": 1, "max": 1}, "duration", "it stands in control"),
        ("entry", None, "entry", "an object is expected, not NoneType"),
        ("entry.type", "perl", "entry.type", "neither 'python' nor 'shell'"),
        ("entry.type", ["python"], "entry.type", "neither"),
        ("entry.script", "../run.py", "entry.script", "name of a file"),
        ("entry.script", "*", "entry.script", "name of a file"),
        ("control.durations", {}, "control.durations", "unknown key"),
        ("control.duration.default", 601, "control.duration", "at most max"),
        ("control.duration.default", 0, "control.duration", "above 0"),
        ("control.duration.default", True, "control.duration.default", "True is not int"),
        ("parameters", {}, "parameters", "a list is expected, not dict"),
        ("parameters.0.name", "9x", "parameters[0]", "letters, digits"),
        ("parameters.0.name", "a;rm -rf", "parameters[0]", "letters, digits"),
        ("parameters.0.required", "yes", "parameters[0].required", "'yes' is not bool"),
        ("parameters.0.min", 6, "parameters[0]", "min 6 is above max 5"),
        ("parameters.0.min", "0", "parameters[0].min", "'0' is not float"),
        ("parameters.0.default", {"a": 1}, "parameters[0].default", "is not text, a number"),
        ("parameters.0.options", [1, 2], "parameters[0].options", "is not a list of texts"),
        ("parameters.0.type", "choice", "parameters[0].options", "a choice needs options"),
        ("parameters.0.pattern", "(", "parameters[0].pattern", "not a regular expression"),
        ("parameters.0.pattern", "a{99999999999999}", "parameters[0].pattern", "not a regular expression"),
        ("parameters.0.pattern", "(" * 5000, "parameters[0].pattern", "not a regular expression"),
        ("results.0.file", "../../etc/passwd", "results[0]", "not a name and a file name"),
        ("results.0.file", ".hidden", "results[0]", "not a name and a file name"),
        ("results.0.name", "LOG", "results[0]", "reserved"),
        ("results.0.mime", "text/html\r\nSet-Cookie: a=b", "results[0].mime", "media type"),
        ("results.0.mime", "text", "results[0].mime", "media type"),
    ],
)
def test_a_mistake_is_told_with_file_and_place(path: str, value: Any, place: str, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read(changed(path, value))
    assert str(caught.value).startswith(f"spectrum/job.json: {place}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize("key", ["parameters", "results"])
def test_names_differ_in_more_than_case(key: str) -> None:
    twice = [PLAIN[key][0], {**PLAIN[key][0], "name": PLAIN[key][0]["name"].upper()}]
    with pytest.raises(DefinitionError, match="there twice"):
        read({**PLAIN, key: twice})


@pytest.mark.parametrize(
    "name",
    [*sorted(CONTROL_NAMES | RESERVED_NAMES), "LD_PROFILE_OUTPUT", "BASH_FUNC_x", "PYTHONWARNINGS", "UWS_PARAM_a"],
)
def test_no_parameter_has_a_name_that_something_acts_upon(name: str) -> None:
    for written in (name, name.upper()):
        with pytest.raises(DefinitionError, match="reserved"):
            read(changed("parameters.0.name", written))


@pytest.mark.parametrize("text", ["", "[]", "{", "nul", '{"a": NaN}', "[" * 100_000, '{"name": 1e999999}', "\ufeff{}"])
def test_what_is_no_definition_is_refused(text: str) -> None:
    with pytest.raises(DefinitionError, match=r"^here: "):
        from_json(text, "here")


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
paths = [
    "name",
    "version",
    "entry",
    "entry.type",
    "entry.script",
    "control",
    "control.duration",
    "control.duration.max",
]
paths += ["parameters", "results", "results.0", "results.0.mime"]
paths += [f"parameters.0.{key}" for key in ("name", "type", "min", "options", "pattern", "default", "max_length")]


@settings(max_examples=200)
@given(path=st.sampled_from([path for path in paths if path != "results.0"]), value=values)
def test_any_json_is_read_or_refused_with_a_reason(path: str, value: Any) -> None:
    try:
        definition = read(changed(path, value))
    except DefinitionError as error:
        assert str(error).startswith("spectrum/job.json: ")
    else:
        assert definition.duration.default <= definition.duration.max


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.from_regex(r"x_[A-Za-z0-9_]{0,20}", fullmatch=True)
optional = {
    "description": words,
    "required": st.booleans(),
    "default": st.none() | words | st.booleans() | st.integers(),
    "min": st.integers(-9, 0) | st.floats(-9, 0),
    "max": st.integers(1, 9),
    "unit": words,
    "options": st.lists(words, min_size=1, max_size=3),
    "max_length": st.integers(0, 10**6),
    "annotation": words,
    "group": words,
    "editable": st.booleans(),
}
specs = st.fixed_dictionaries({"name": names, "type": words}, optional=optional)


@settings(max_examples=100)
@given(st.lists(specs, max_size=4, unique_by=lambda spec: str(spec["name"]).lower()))
def test_every_key_of_a_parameter_comes_back(written: list[dict[str, Any]]) -> None:
    read_back = read({**PLAIN, "parameters": written}).parameters
    for spec, given_keys in zip(read_back, written, strict=True):
        for key, value in given_keys.items():
            assert getattr(spec, key) == (tuple(value) if key == "options" else value)
