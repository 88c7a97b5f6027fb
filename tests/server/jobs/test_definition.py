"""Job definitions: what is read is what was written, and every mistake is told with its place."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout import ROOT
from definitions import definitions
from uws_server.errors import DefinitionError
from uws_server.jobs.checks import CONTROL_NAMES, MOST_PROBLEMS, RESERVED_NAMES, SHELL_NAMES, is_reserved
from uws_server.jobs.definition import Definition, Duration, ParameterSpec
from uws_server.jobs.formats import native
from uws_server.jobs.formats.native import read as from_json

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
    place[int(last) if last.isdigit() else last] = value
    return document


def test_a_definition_is_read() -> None:
    definition = read(PLAIN)
    assert (definition.name, definition.entry.script, definition.control.duration) == (
        "spectrum",
        "run.py",
        Duration(60, 600),
    )
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
    assert (definition.parameters, definition.results, definition.control.duration) == ((), (), Duration())


@pytest.mark.parametrize("name", sorted(path.parent.name for path in ROOT.glob("job_definitions/*/job.json")))
def test_the_definitions_that_come_with_the_server_can_be_read(name: str) -> None:
    text = (ROOT / "job_definitions" / name / "job.json").read_text(encoding="utf-8")
    assert from_json(text, name).name == name


@pytest.mark.parametrize(
    ("path", "value", "place", "said"),
    [
        ("name", "../x", "name", "'../x' is not a letter"),
        ("name", "a\n", "name", "'a\\n' is not a letter"),
        ("name", "a/b", "name", "is not a letter"),
        ("name", ".a", "name", "is not a letter"),
        ("name", "a" * 65, "name", "at most 64"),
        ("name", 5, "name", "text is expected, not 5"),
        ("nmae", "x", "nmae", "unknown key; known are name"),
        ("title", " ", "title", "a title is needed"),
        ("title", "a" * 201, "title", "201 characters came, at most 200 are allowed"),
        ("version", "", "version", "a version is needed"),
        ("version", "1" * 65, "version", "at most 64"),
        ("description", "\x1b[31m", "description", "the control character '\\x1b' came"),
        ("documentation", "javascript:alert(1)", "documentation", "is no http or https address"),
        ("documentation", "http://[", "", ""),
        ("documentation", "http://a b", "documentation", "is no http or https address"),
        ("contact", {"email": "ann"}, "contact.email", "'ann' is no mail address"),
        ("contact", {"email": "a\x01@b"}, "contact.email", "is no mail address"),
        ("contact", {"mail": "a@b"}, "contact.mail", "unknown key; known are name, email"),
        ("contact", {"name": "a\x00"}, "contact.name", "the control character"),
        ("roles", ["ok", "No"], "roles[1]", "'No' is not small letters"),
        ("roles", "author", "roles", "a list of texts is expected"),
        ("duration", {"default": 1, "max": 1}, "duration", "unknown key"),
        ("entry", None, "entry", "an object is expected, not null"),
        ("entry", {"type": "shell"}, "entry.script", "is missing"),
        ("entry.type", "perl", "entry.type", "neither 'python' nor 'shell'"),
        ("entry.type", ["python"], "entry.type", "text is expected"),
        ("entry.script", "../run.py", "entry.script", "name of a file"),
        ("entry.script", "*", "entry.script", "name of a file"),
        ("entry.script", "-rf", "entry.script", "name of a file"),
        ("entry.script", "Job.json", "entry.script", "name of a file"),
        ("entry.script", "README.md", "entry.script", "name of a file"),
        ("entry.function", "a.b", "entry.function", "is not the name of a function"),
        ("control.durations", {}, "control.durations", "unknown key"),
        ("control.duration.default", 601, "control.duration", "at most max"),
        ("control.duration.default", 0, "control.duration", "above 0"),
        ("control.duration.default", True, "control.duration.default", "a whole number is expected, not true"),
        ("control.duration.default", 1.5, "control.duration.default", "a whole number is expected, not 1.5"),
        ("control.duration.max", 2**63, "", "not JSON: the number 9223372036854775808 is too large"),
        ("control.destruction", {"default": 5, "max": 4}, "control.destruction", "default at most max"),
        ("control.destruction", {"default": -1}, "control.destruction", "days from 0 on"),
        ("control.memory", -1, "control.memory", "bytes from 0"),
        ("control.disk", 10**16, "control.disk", "bytes from 0"),
        ("control.cpus", 0, "control.cpus", "0 came; 1 to 1024 is allowed"),
        ("control.partition", "a b", "control.partition", "is no name of a partition"),
        ("control.statuses", [3], "control.statuses", "an object is expected, not [3]"),
        ("control.statuses", {"3": 4}, "control.statuses.3", "text is expected, not 4"),
        ("control.statuses", {"3": " "}, "control.statuses.3", "a sentence of 1 to 300 characters is needed"),
        ("control.statuses", {"3": "a\nb"}, "control.statuses.3", "a sentence of 1 to 300 characters is needed"),
        ("control.statuses", {"0": "well"}, "control.statuses.0", "'0' is no exit status from 1 to 125"),
        ("control.statuses", {"126": "no"}, "control.statuses.126", "'126' is no exit status from 1 to 125"),
        ("control.statuses", {"03": "no"}, "control.statuses.03", "'03' is no exit status from 1 to 125"),
        ("control.needs", {"SAS_DIR": 4}, "control.needs.SAS_DIR", "text is expected, not 4"),
        ("control.needs", {"SAS_DIR": ""}, "control.needs.SAS_DIR", "a sentence of 1 to 300 characters is needed"),
        ("control.needs", {"SAS DIR": "x"}, "control.needs.SAS DIR", "'SAS DIR' is no name of a variable"),
        ("control.statuses", {"-9": "killed"}, "control.statuses.-9", "'-9' is no exit status"),
        ("parameters", {}, "parameters", "a list is expected, not {}"),
        ("parameters.0", "radius", "parameters[0]", 'an object is expected, not "radius"'),
        ("parameters.0.name", "9x", "parameters[0].name", "letters, digits"),
        ("parameters.0.name", "a;rm -rf", "parameters[0].name", "letters, digits"),
        ("parameters.0.name", "a.b", "parameters[0].name", "letters, digits"),
        ("parameters.0.type", "number", "parameters[0].type", "unknown type 'number'; known are string, boolean"),
        ("parameters.0.required", "yes", "parameters[0].required", 'true or false is expected, not "yes"'),
        ("parameters.0.min", 6, "parameters[0].min", "min 6 is above max 5"),
        ("parameters.0.min", "0", "parameters[0].min", 'a number is expected, not "0"'),
        ("parameters.0.step", 0, "parameters[0].step", "0 is not above 0"),
        ("parameters.0.default", {"a": 1}, "parameters[0].default", "text, a number, true, false or a list"),
        ("parameters.0.default", [[1]], "parameters[0].default", "not a list with [1]"),
        ("parameters.0.default", [1, 2], "parameters[0].default", "2 values came, max_values allows 1"),
        ("parameters.0.options", [1, 2], "parameters[0].options", "a list of texts is expected"),
        ("parameters.0.options", ["a", "A"], "parameters[0].options[1]", "'A' is there twice"),
        ("parameters.0.options", ["a", " "], "parameters[0].options[1]", "is not printable text"),
        ("parameters.0.type", "choice", "parameters[0].options", "a choice needs options"),
        ("parameters.0.type", "string", "parameters[0].min", "a string has no min"),
        ("parameters.0.max_length", 0, "parameters[0].max_length", "0 came; 1 to 4,000,000 is allowed"),
        ("parameters.0.max_values", 1001, "parameters[0].max_values", "1001 came; 1 to 1000 is allowed"),
        ("parameters.0.media_type", "text/plain", "parameters[0].media_type", "is no file and has no media_type"),
        ("parameters.0.url", "http://x/$ID", "parameters[0].url", "is no file and has no url"),
        ("parameters.0.unit", "m" * 65, "parameters[0].unit", "at most 64"),
        ("parameters.0.annotation", "\ud800", "parameters[0].annotation", "the control character '\\ud800' came"),
        ("results.0.file", "../../etc/passwd", "results[0].file", "is not a file name, or a glob"),
        ("results.0.file", ".hidden", "results[0].file", "is not a file name, or a glob"),
        ("results.0.file", "a b", "results[0].file", "is not a file name, or a glob"),
        ("results.0.name", "a b", "results[0].name", "is not a letter, then letters, digits, '_', '-' and '.'"),
        ("results.0.name", "LOG", "results[0].name", "reserved"),
        ("results.0.name", "Radius", "results[0].name", "is the name of a parameter"),
        ("results.0.name", "path", "results[0].name", "'path' is reserved"),
        ("results.0.mime", "text/html\r\nSet-Cookie: a=b", "results[0].mime", "media type"),
        ("results.0.mime", "text", "results[0].mime", "media type"),
        ("test", {"nothing": "1"}, "test.nothing", "there is no parameter of that name"),
        ("test", {"radius": None}, "test.radius", "text or a list of texts is expected, not null"),
        ("test", ["radius"], "test", "an object is expected"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_place(path: str, value: Any, place: str, said: str) -> None:
    document = changed(path, value)
    if not said:  # an address that leads nowhere is an address
        assert read(document).documentation == value
        return
    text = json.dumps(document, indent=1)
    with pytest.raises(DefinitionError) as caught:
        from_json(text, "spectrum/job.json")
    message = str(caught.value).partition("\n")[0]
    begin = f"{place}: " if place else ""
    found = re.fullmatch(rf"spectrum/job\.json line (\d+): {re.escape(begin)}.*", message)
    assert found, message
    assert said in message
    key = path.rpartition(".")[2]
    stands = text.splitlines()[int(found[1]) - 1]
    if place == path.replace(".0", "[0]"):
        assert f'"{key}": ' in stands or key.isdigit()


def test_every_mistake_is_told_at_once_up_to_many() -> None:
    document = changed("name", "../x") | {"title": "", "results": [{"name": "log", "file": "/"}] * 500}
    with pytest.raises(DefinitionError) as caught:
        read(document)
    problems = caught.value.problems
    assert [problem.parameter for problem in problems[:3]] == ["name", "title", "results[1].name"]
    assert len(problems) == MOST_PROBLEMS
    assert all(problem.line for problem in problems)


@pytest.mark.parametrize("key", ["parameters", "results"])
def test_names_differ_in_more_than_case(key: str) -> None:
    twice = [PLAIN[key][0], {**PLAIN[key][0], "name": PLAIN[key][0]["name"].upper()}]
    with pytest.raises(DefinitionError, match=rf"{key}\[1\]\.name: '.*' is there twice"):
        read({**PLAIN, key: twice})


@pytest.mark.parametrize("key", ["parameters", "results"])
def test_there_are_not_too_many(key: str) -> None:
    many = [{**PLAIN[key][0], "name": f"a{i}"} for i in range(501)]
    assert len(getattr(read({**PLAIN, key: many[:500]}), key)) == 500
    with pytest.raises(DefinitionError, match=f"{key}: 501 came, at most 500 are allowed"):
        read({**PLAIN, key: many})


RESERVED = ["LD_PROFILE_OUTPUT", "BASH_FUNC_x", "PYTHONWARNINGS", "UWS_PARAM_a", "OMP_NUM_THREADS", "lc_all"]


@pytest.mark.parametrize("key", ["parameters", "results"])
@pytest.mark.parametrize("name", [*sorted(CONTROL_NAMES | RESERVED_NAMES), *RESERVED])
def test_nothing_has_a_name_that_something_acts_upon(key: str, name: str) -> None:
    for written in (name, name.upper()):
        with pytest.raises(DefinitionError, match=rf"{key}\[0\]\.name: '{written}' is reserved"):
            read(changed(f"{key}.0.name", written))


@pytest.mark.parametrize("name", sorted(SHELL_NAMES))
def test_what_bash_fills_is_reserved_in_capitals_only(name: str) -> None:
    with pytest.raises(DefinitionError, match="is reserved"):
        read(changed("parameters.0.name", name))
    assert read(changed("parameters.0.name", name.lower())).parameters[0].name == name.lower()


def test_what_bash_itself_sets_is_reserved() -> None:
    """The names that a bash has from the start, whatever its environment."""
    done = subprocess.run(
        ["/bin/bash", "--norc", "-c", "compgen -v"], capture_output=True, text=True, env={}, check=True
    )
    free = {"_", "BASH"}  # not a name that a parameter can have; begins like BASH_
    for name in set(done.stdout.split()) - free:
        assert is_reserved(name), name


@pytest.mark.parametrize("text", ["", "[]", "{", "nul", '{"a": NaN}', "[" * 100_000, '{"name": 1e999999}', "\ufeff{}"])
def test_what_is_no_definition_is_refused(text: str) -> None:
    with pytest.raises(DefinitionError, match=r"^here line 1: "):
        from_json(text, "here")


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
paths = ["name", "version", "title", "description", "documentation", "contact", "roles", "group", "test"]
paths += ["entry", "entry.type", "entry.script", "control", "control.duration", "control.duration.max", "control.cpus"]
paths += ["parameters", "results", "results.0", "results.0.mime", "results.0.file"]
paths += [f"parameters.0.{field.name}" for field in dataclasses.fields(ParameterSpec)]


@settings(max_examples=300, deadline=None)
@given(path=st.sampled_from(paths), value=values)
def test_any_json_is_read_or_refused_with_a_reason(path: str, value: Any) -> None:
    try:
        definition = read(changed(path, value))
    except DefinitionError as error:
        assert str(error).startswith("spectrum/job.json line ")
        assert all(problem.line for problem in error.problems)
    else:
        assert read(json.loads(native.write(definition))) == definition


@settings(max_examples=60, deadline=None)
@given(definitions())
def test_every_key_comes_back(definition: Definition) -> None:
    text = native.write(definition)
    assert from_json(text, "x") == definition
    assert native.write(from_json(text, "x")) == text
    for spec, written in zip(definition.parameters, json.loads(text).get("parameters", []), strict=True):
        for key, value in written.items():
            own = getattr(spec, key)
            assert (list(own) if isinstance(own, tuple) else own) == value


def test_a_whole_number_may_be_written_as_json_likes() -> None:
    assert read(changed("control.duration.max", 1e3)).control.duration.max == 1000


_FILES = {"name": "files", "type": "file", "max_values": 9, "required": True, "spread": True}


@pytest.mark.parametrize(
    ("more", "place", "said"),
    [
        ({"parameters": [_FILES, {**_FILES, "name": "more"}]}, "parameters[1].spread", "one parameter only"),
        ({"parameters": [{**_FILES, "max_values": 1}]}, "parameters[0].spread", "max_values above 1"),
        ({"parameters": [{**_FILES, "required": False}]}, "parameters[0].spread", "must be required"),
        ({"parameters": [{**_FILES, "spread": False}], "gather": "merge.py"}, "gather", "nothing to gather"),
        ({"parameters": [_FILES], "gather": "run.sh"}, "gather", "ends with .py or .sh"),
        ({"parameters": [_FILES], "gather": "below/merge.py"}, "gather", "ends with .py or .sh"),
        ({"parameters": [{**_FILES, "name": "parts"}], "gather": "merge.py"}, "gather", "is called 'parts'"),
        (
            {"parameters": [_FILES], "results": [{"name": "a", "file": "a", "gathered": True}]},
            "results[0].gathered",
            "no script that gathers",
        ),
    ],
)
def test_what_a_job_cannot_be_spread_over_is_told(more: dict[str, Any], place: str, said: str) -> None:
    entry = {"type": "shell", "script": "run.sh"}
    text = json.dumps({"name": "a", "version": "1", "title": "a", "entry": entry, **more})
    with pytest.raises(DefinitionError) as raised:
        native.read(text, "job.json")
    assert [problem.parameter for problem in raised.value.problems] == [place]
    assert said in str(raised.value)


def test_a_definition_knows_what_it_is_spread_over_and_which_files_run() -> None:
    document = {"name": "a", "version": "1", "title": "a", "entry": {"type": "shell", "script": "run.sh"}}
    made = native.read(json.dumps(document | {"parameters": [_FILES], "gather": "merge.py"}), "job.json")
    assert made.spread is made.parameter("files")
    assert made.scripts == {"run.sh": "shell", "merge.py": "python"}
    observation = {"name": "seen", "type": "observation", "required": True, "spread": True}  # has many files itself
    assert native.read(json.dumps(document | {"parameters": [observation]}), "job.json").spread is not None
