"""Every format gives back what it was given, tells what it does not read, and does both quickly."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout import ROOT
from definitions import packages, values
from growth import Work, require_linear
from uws_server.errors import DefinitionError
from uws_server.jobs import parameters
from uws_server.jobs.checks import MOST_PARAMETERS, MOST_PROBLEMS
from uws_server.jobs.definition import Definition, Entry, ParameterSpec, ResultSpec
from uws_server.jobs.formats import Package, native, par, votable, wadl
from uws_server.jobs.formats.content import MOST_BYTES
from uws_server.jobs.formats.detect import read_any
from uws_server.jobs.formats.schema import schema

FORMATS: dict[str, Callable[[Package, str], bytes]] = {
    "json": native.write_package,
    "wadl": wadl.write_package,
    "votable": votable.write_package,
}
SCHEMA = jsonschema.Draft202012Validator(schema("http://localhost"))


def installed(name: str) -> Package:
    folder = ROOT / "job_definitions" / name
    definition = native.read((folder / "job.json").read_text(encoding="utf-8"), name)
    return Package(definition, (folder / definition.entry.script).read_text(), (folder / "README.md").read_text())


def exactly(package: Package) -> str:
    """A package as text: 1, 1.0 and true are the same to Python, and are not here."""
    return native.write_package(package).decode()


# --- round trip ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@given(package=packages)
@settings(max_examples=40, deadline=None)
def test_a_package_comes_back_as_it_was(form: str, package: Package) -> None:
    document = FORMATS[form](package, "http://localhost:8080")
    read = read_any(document, "x")
    assert read == package
    assert exactly(read) == exactly(package)
    assert FORMATS[form](read, "http://localhost:8080") == document


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", sorted(path.parent.name for path in ROOT.glob("job_definitions/*/job.json")))
def test_the_definitions_that_come_with_the_server_come_back(form: str, name: str) -> None:
    package = installed(name)
    assert read_any(FORMATS[form](package, "http://localhost"), "x") == package


def test_through_all_formats_one_after_the_other() -> None:
    package = start = installed("spectrum")
    for write in (*FORMATS.values(), *FORMATS.values()):
        package = read_any(write(package, "http://localhost"), "x")
    assert exactly(package) == exactly(start)


# --- schema ----------------------------------------------------------------------------------------------


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA.schema)


@given(packages)
@settings(max_examples=25, deadline=None)
def test_what_is_read_is_valid(package: Package) -> None:
    SCHEMA.validate(json.loads(native.write_package(package)))


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every value in a JSON document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in places(item, (*path, key)))]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_what_is_of_a_wrong_type_is_refused_by_the_schema_and_by_us(data: st.DataObject) -> None:
    document = json.loads(native.write_package(data.draw(packages)))
    *holders, last = data.draw(st.sampled_from([path for path in places(document) if path]))
    holder: Any = document
    for key in holders:
        holder = holder[key]
    holder[last] = data.draw(values | st.none() | st.just([]) | st.just({"a": 1}) | st.just([{}]) | st.just([[1]]))
    try:
        native.from_plain({key: value for key, value in document.items() if key not in native.TEXTS})
        ours = all(isinstance(document.get(key, ""), str) for key in native.TEXTS)
    except native.Misfit:
        ours = False
    refused = [error for error in SCHEMA.iter_errors(document) if error.validator != "enum"]
    assert ours is not bool(refused), refused


@pytest.mark.parametrize(("key", "value"), [("nmae", "x"), ("script", 1), ("entry", {"type": "perl", "script": "x"})])
def test_the_schema_knows_keys_and_words(key: str, value: Any) -> None:
    document = {"name": "a", "version": "1", "title": "A", "entry": {"type": "shell", "script": "a"}}
    SCHEMA.validate(document)
    with pytest.raises(jsonschema.ValidationError):
        SCHEMA.validate({**document, key: value})
    with pytest.raises(DefinitionError):
        native.read_package(json.dumps({**document, key: value}).encode(), "x")


# --- lines -----------------------------------------------------------------------------------------------

WRONG = """{
  "name": "spectrum", "version": "1.0", "title": "Spectrum",
  "entry": {"type": "python", "script": "run.py"},
  "parameters": [
    {"name": "a", "type": "float", "description": "brackets ] } and \\" quotes"},
    {
      "name": "b",
      "type": "float",
      "min": %s,
      "max": 5
    }
  ]
}"""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("6", "line 9: parameters[1].min: min 6 is above max 5"),
        ('"6"', 'line 9: parameters[1].min: a number is expected, not "6"'),
        ("6,,", "line 9: not JSON: "),
        ("NaN", "line 9: not JSON: NaN is no number"),
        ("1e999", "line 9: not JSON: the number 1e999 is too large"),
        ("9" * 400, "line 9: not JSON: the number 999"),
        ('1, "max": 2', "line 10: not JSON: the key 'max' is there twice"),
        ("[" * 10**5, "line 9: nested too deeply"),
        ("[" * 900 + "]" * 900, "line 9: parameters[1].min: a number is expected"),
    ],
)
def test_a_mistake_in_json_is_told_with_its_line(value: str, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        native.read_package((WRONG % value).encode(), "spectrum/job.json")
    assert str(caught.value).startswith(f"spectrum/job.json {said}")
    with pytest.raises(DefinitionError) as again:
        native.read(WRONG % value, "spectrum/job.json")
    assert str(again.value) == str(caught.value)


def test_every_problem_has_its_line() -> None:
    text = WRONG.replace('"name": "a"', '"name": "path"').replace('"title": "Spectrum"', '"title": ""') % 6
    with pytest.raises(DefinitionError) as caught:
        native.read(text, "x")
    assert [(problem.parameter, problem.line) for problem in caught.value.problems] == [
        ("title", 2),
        ("parameters[0].name", 5),
        ("parameters[1].min", 9),
    ]


def test_every_misfit_is_told_at_once_from_the_top_on() -> None:
    document = """{
  "name": "all", "version": 1, "title": "All",
  "entry": {"type": "shell", "script": "run.sh", "funktion": "main"},
  "parameters": [
    {"name": "a", "type": "string", "requird": true},
    {"name": "b", "type": "float", "min": "0", "max": "1"},
    {"description": "no name"}
  ],
  "control": {"duration": {"default": "long"}, "cpus": 1.5},
  "test": {"a": [null]},
  "parametres": []
}"""
    with pytest.raises(DefinitionError) as refused:
        native.read(document, "x")
    said = [re.sub("known are .*; did", "did", line) for line in str(refused.value).splitlines()]
    assert said == [
        "x line 2: version: text is expected, not 1",
        "x line 3: entry.funktion: unknown key; did you mean function?",
        "x line 5: parameters[0].requird: unknown key; did you mean required?",
        'x line 6: parameters[1].min: a number is expected, not "0"',
        'x line 6: parameters[1].max: a number is expected, not "1"',
        "x line 7: parameters[2].name: is missing",
        "x line 7: parameters[2].type: is missing",
        'x line 9: control.duration.default: a whole number is expected, not "long"',
        "x line 9: control.cpus: a whole number is expected, not 1.5",
        "x line 10: test.a: text or a list of texts is expected, not null",
        "x line 11: parametres: unknown key; did you mean parameters?",
    ]


def test_no_more_than_the_first_misfits_are_told() -> None:
    document = json.dumps({"parameters": [{f"k{i}": 1 for i in range(1000)}] * 500})
    with pytest.raises(DefinitionError) as refused:
        native.read(document, "x")
    assert len(refused.value.problems) <= MOST_PROBLEMS + len(native.NEEDED)


def test_what_is_missing_is_told_where_it_is_missed() -> None:
    with pytest.raises(DefinitionError, match=r"^x line 6: parameters\[1\]\.name: is missing$"):
        native.read(WRONG.replace('"name": "b",', "") % 1, "x")


# --- what is no document ---------------------------------------------------------------------------------


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("votable.xml", "<VOTABLE/>")
    return stream.getvalue()


@pytest.mark.parametrize("read", [read_any, native.read_package, wadl.read, votable.read])
@pytest.mark.parametrize(
    ("document", "said"),
    [
        (zipped(), "a zip archive"),
        (gzip.compress(b"<VOTABLE/>", mtime=0), "compressed by gzip"),
        (b"SIMPLE  =                    T", "a FITS file"),
        (b'{"name": "a",\n "title": "caf\xe9"}', "line 2: not UTF-8: the byte 0xe9"),
        ('<?xml version="1.0" encoding="UTF-16"?><VOTABLE/>'.encode("utf-16")[:-1], "not UTF-16"),
        (b'<?xml version="1.0" encoding="Windows-1252"?>\n<a>\x81</a>', "line 2: not CP1252: the byte 0x81"),
        (b" " * (MOST_BYTES + 1), "at most 4,000,000 are read"),
    ],
)
def test_what_is_no_text_is_refused_by_how_it_begins(
    read: Callable[[bytes, str], Package], document: bytes, said: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        read(document, "x.xml")
    assert str(caught.value).startswith("x.xml")
    assert said in str(caught.value)


@pytest.mark.parametrize("declared", ["UTF-8", "UTF-16", "ISO-8859-1", "ISO-8859-15", "windows-1252", "US-ASCII"])
@pytest.mark.parametrize("write", [wadl.write_package, votable.write_package])
def test_the_encoding_that_a_document_declares_is_read(write: Callable[[Package, str], bytes], declared: str) -> None:
    package = Package(replace(installed("dummy").definition, title="Étude à 3 µm"), script="echo é\n")
    text = write(package, "").decode()
    head, _, rest = text.partition("?>")
    assert "encoding" in head
    document = f'<?xml version="1.0" encoding="{declared}"?>{rest}'.encode(declared, "xmlcharrefreplace")
    assert read_any(document, "x.xml") == package


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_known_by_how_a_document_begins(encoding: str) -> None:
    text = wadl.write_package(installed("dummy"), "").decode().replace("UTF-8", "UTF-16")
    assert read_any(text.encode(encoding), "x.xml") == installed("dummy")
    if encoding == "utf-16":
        assert read_any(native.write_package(installed("dummy"), "").decode().encode(encoding), "x") == installed(
            "dummy"
        )


def test_a_document_that_was_converted_since_it_was_declared_is_read() -> None:
    text = wadl.write_package(installed("dummy"), "").decode().replace("UTF-8", "UTF-16")
    assert read_any(text.encode(), "x.xml") == installed("dummy")


@pytest.mark.parametrize("document", [b"", b"hello", b"[1]", b"<html/>", b"\x00\x00", b"a,b\n1,2\n", b"# nothing\n"])
def test_what_is_no_definition_is_refused(document: bytes) -> None:
    with pytest.raises(DefinitionError, match=r"^x"):
        read_any(document, "x")


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_read_or_refused(document: bytes) -> None:
    for beginning in (b"", b"{", b"<", b"a,s,h,", b'<VOTABLE><RESOURCE utype="voprov:ActivityDescription">'):
        with pytest.raises(DefinitionError, match=r"^where"):
            read_any(beginning + document + b"\n}>", "where")


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_document_is_read_or_refused(data: st.DataObject) -> None:
    package = Package(Definition("a", "1", "A", Entry("shell", "a.sh"), parameters=(ParameterSpec("b", "float"),)), "x")
    document = bytearray(FORMATS[data.draw(st.sampled_from(sorted(FORMATS)))](package, ""))
    start = data.draw(st.integers(0, len(document) - 1))
    document[start : start + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=5))
    try:
        read_any(bytes(document), "where")
    except DefinitionError as error:
        assert str(error).startswith("where")


# --- too much --------------------------------------------------------------------------------------------


def many_parameters(form: str, count: int) -> bytes:
    """A document of parameters a0, a1 and so on."""
    if form == "json":
        items = ",".join(f'{{"name":"a{i}","type":"string"}}' for i in range(count))
        return b'{"name":"x","version":"1","title":"x","entry":{"type":"shell","script":"x"},"parameters":[%s]}' % (
            items.encode()
        )
    if form == "par":
        return "".join(f"a{i},s,h,,,,\n" for i in range(count)).encode()
    package = Package(Definition("x", "1", "X", Entry("shell", "x"), parameters=(ParameterSpec("text", "string"),)))
    document = FORMATS[form](package, "").decode()
    if form == "wadl":
        params = "".join(f'<param name="a{i}" style="query"/>' for i in range(count))
        return document.replace(
            '<param style="query" name="text"', f'{params}<param style="query" name="text"'
        ).encode()
    params = "".join(f'<PARAM name="a{i}" value=""/>' for i in range(count))
    return document.replace('<GROUP name="InputParams">', f'<GROUP name="InputParams">{params}').encode()


def refusing(document: bytes) -> Work:
    """Refuse a document."""

    def refuse() -> None:
        with pytest.raises(DefinitionError):
            read_any(document, "x")

    return refuse


@pytest.mark.parametrize("form", [*FORMATS, "par"])
@pytest.mark.parametrize("count", [MOST_PARAMETERS + 2, 33_000, 100_000])
def test_too_many_parameters_are_refused(form: str, count: int) -> None:
    document = many_parameters(form, count)
    with pytest.raises(DefinitionError) as caught:
        read_any(document, "x")
    assert "are allowed" in str(caught.value) or "are read" in str(caught.value)
    assert "parameters" in str(caught.value) or len(document) > MOST_BYTES


@pytest.mark.parametrize("form", [*FORMATS, "par"])
def test_too_many_parameters_cost_no_more_each_than_a_few(form: str) -> None:
    require_linear(lambda count: refusing(many_parameters(form, count)), 4_000)


def many_problems(count: int) -> bytes:
    """A document with a thousand problems in each of so many parameters."""
    options = b",".join([b'""'] * 990)
    items = b",".join(b'{"name":"%d","type":"x","options":[%s]}' % (i, options) for i in range(count))
    head = b'{"name":"x","version":"1","title":"x","entry":{"type":"shell","script":"x"},"parameters":['
    return head + items + b"]}"


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda n: b"{" + b'"a":1,' * n + b'"a":1}', 600_000),
        (lambda n: b"{" + b",".join(b'"%d":1' % i for i in range(n)) + b',"1":1}', 300_000),
        (lambda n: b'{"parameters":[' + b"[" * n, 1_900_000),
        (lambda n: b'{"a":"' + b"\\" * n, 3_000_000),
        (lambda n: b'{"parameters":[{"name":"a","type":"choice","options":[' + b'"",' * n + b'""]}]}', 1_000_000),
        (many_problems, 488),
        (lambda n: b"<" + b"a" * n, 3_900_000),
        (lambda n: b"<a>" * n, 900_000),
        (lambda n: b"<VOTABLE " + b" ".join(b'a%d=""' % i for i in range(n)) + b"/>", 250_000),
        (lambda n: b"<VOTABLE>" + b"&amp;" * n + b"</VOTABLE>", 700_000),
        (lambda n: b"a,s,h," + b'"' * n, 3_900_000),
        (lambda n: b"a,s,h," + b"\\" * n + b"\n", 3_900_000),
        (lambda n: b"a,s,h,\n" * 500 + b"'\\" * n, 1_500_000),
        (lambda n: b"<!--" * n, 900_000),
        (lambda n: b"<?xml " + b"encoding=" * n, 400_000),
    ],
    ids=[
        "one key", "keys", "brackets", "backslashes", "options", "problems", "name", "tags", "attributes", "entities",
        "quotes", "escapes", "quotes and escapes", "comments", "encodings",
    ],
)  # fmt: skip
def test_what_is_made_to_take_long_does_not(make: Callable[[int], bytes], count: int) -> None:
    with pytest.raises(DefinitionError) as caught:
        read_any(make(count), "x")
    assert len(str(caught.value)) < 100_000
    require_linear(lambda n: refusing(make(n)), count // 8)


@pytest.mark.parametrize("form", FORMATS)
def test_a_large_definition_comes_back_at_no_more_each_than_a_small_one(form: str) -> None:
    def round_trip(count: int) -> Work:
        definition = Definition(
            "x",
            "1",
            "X",
            Entry("shell", "x"),
            parameters=tuple(ParameterSpec(f"a{i}", "file", "what it is", editable=True) for i in range(count)),
            results=tuple(ResultSpec(f"b{i}", f"{i}.fits") for i in range(count)),
        )

        def there_and_back() -> None:
            assert read_any(FORMATS[form](Package(definition), ""), "x").definition == definition

        return there_and_back

    round_trip(500)()
    require_linear(round_trip, 62)


def test_an_unsound_definition_is_not_written_as_xml() -> None:
    definition = Definition("../x", "1", "X", Entry("shell", "x"))
    for write in (wadl.write_package, votable.write_package):
        with pytest.raises(DefinitionError, match="name"):
            write(Package(definition), "")


@pytest.mark.parametrize("form", [*FORMATS, "par"])
def test_a_default_outside_its_own_range_is_told(form: str) -> None:
    spec = ParameterSpec("bins", "integer", default=20, min=1, max=10)
    write = FORMATS.get(form, par.write_package)
    read = read_any(write(Package(Definition("x", "1", "X", Entry("shell", "x"), parameters=(spec,))), ""), "x.par")
    (problem,) = parameters.check_values(read.definition, parameters.TYPES)
    assert problem.parameter == "parameters[0].default"
    assert "20" in problem.message
