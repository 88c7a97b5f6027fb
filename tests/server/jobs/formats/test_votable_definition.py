"""A definition as VOTable: OPUS's own comes in, ours is valid and says how to run a job."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from astropy.io import votable as astropy_votable
from hypothesis import given, settings
from lxml import etree

from checkout import ROOT
from definitions import packages
from uws_server.errors import DefinitionError
from uws_server.jobs.checks import MOST_VALUES
from uws_server.jobs.definition import Contact, Definition, Duration, Entry, ParameterSpec, ResultSpec
from uws_server.jobs.formats import Package, native, votable

UCD = "meta.id;meta.main"
DEFINITION = Definition(
    "lightcurve",
    "2.1",
    "Light curve",
    Entry("shell", "run.sh"),
    "Counts <per> bin & second",
    documentation="https://example.org/",
    contact=Contact("Ann é", "ann@example.org"),
    group="timing",
    parameters=(
        ParameterSpec("bin", "float", "Width of a bin", True, 10.0, 0.1, 1000, unit="s", ucd="time.interval"),
        ParameterSpec("band", "choice", options=("soft", "hard"), default="soft"),
        ParameterSpec("events", "eventlist", "The events", True, media_type="application/fits", url="https://x/$ID"),
        ParameterSpec("count", "integer"),
        ParameterSpec("lightcurve", "boolean", default=True),
    ),
    results=(ResultSpec("curve", "curve.fits", "application/fits", "The curve", True),),
)


def real(shared: Path) -> bytes:
    return (shared / "real" / "opus_definition" / "test_activity_2_vot.xml").read_bytes()


def test_the_definition_that_opus_publishes_comes_in(shared: Path) -> None:
    package = votable.read(real(shared), "test_activity_2_vot.xml")
    definition = package.definition
    assert (definition.name, definition.version, definition.group) == ("test_activity_2", "1", "test")
    assert definition.description == "Job for tests, simply adds input text to a given file"
    assert definition.contact == Contact("opus-admin", "admin@opus")
    assert definition.control.duration == Duration(20, 86400)
    assert definition.entry == Entry("shell", "run.sh")
    assert definition.parameters == (
        ParameterSpec("text", "string", "Input text for test job 2", True, "!"),
        ParameterSpec("input", "file", "Input entity for test job 2", True, "input.txt", url="file://$ID"),
    )
    assert definition.results == (
        ResultSpec("output", "output.txt", "text/plain", "Output file that contains the input file and input text"),
    )
    assert package.script == "sleep 10\ncat $input > $output\necho $text >> $output\n"


def test_what_came_from_opus_goes_back_in_its_words(shared: Path) -> None:
    """What OPUS reads of its own file, it reads of ours."""

    def told(document: bytes) -> list[tuple[str, ...]]:
        root = etree.fromstring(document)
        resource = root.find("{*}RESOURCE[@utype='voprov:ActivityDescription']")
        assert resource is not None
        assert resource.get("ID") == resource.get("name") == "test_activity_2"
        found: list[tuple[str, ...]] = [("description", resource.findtext("{*}DESCRIPTION") or "")]
        for param in resource.iterfind("{*}PARAM"):
            if param.get("name") not in ("script", "subtype") and param.get("utype", "").startswith(("vo", "uws:")):
                found.append((param.get("name", ""), param.get("value", ""), param.get("utype", "")))
        for group in resource.iterfind("{*}GROUP"):
            for item in group:
                names = (group.get("name", ""), item.get("name", ""))
                if etree.QName(item).localname == "PARAM" and item.get("name") != "input":
                    found.append((*names, item.get("value", ""), item.get("datatype", "")))
                elif str(item.get("utype")).startswith("voprov:"):
                    inner = {param.get("name"): param.get("value") for param in item.iterfind("{*}PARAM")}
                    known = ("default", "content_type", "url", "role", "multiplicity")
                    text = repr({key: inner[key] for key in known if key in inner})
                    found.append((*names, item.findtext("{*}DESCRIPTION") or "", text))
        return sorted(found)

    document = real(shared)
    assert told(votable.write_package(votable.read(document, "x"), "")) == told(document)


def test_a_definition_of_opus_that_uses_no_file_comes_in(shared: Path) -> None:
    text = real(shared).decode()
    start, end = text.index('<GROUP name="Used">'), text.index('<GROUP name="Generated">')
    definition = votable.read((text[:start] + '<GROUP name="Used"/>' + text[end:]).encode(), "x").definition
    assert [spec.name for spec in definition.parameters] == ["text"]
    assert [result.name for result in definition.results] == ["output"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('ID="text" name="text"', 'ID="text" name="path"', "line 14: parameters[0].name: 'path' is reserved"),
        ('ID="text" name="text"', 'ID="text" name="input"', ""),
        ('GROUP name="input"', 'GROUP name="SECONDS"', "line 19: parameters[1].name: 'SECONDS' is reserved"),
        ('GROUP name="output"', 'GROUP name="text"', "line 29: results[0].name: 'text' is the name of a parameter"),
        ('GROUP name="output"', 'GROUP name="ld_preload"', "line 29: results[0].name: 'ld_preload' is reserved"),
        ('value="output.txt"', 'value="/etc/passwd"', "line 33: results[0].file: '/etc/passwd' is not a file name"),
        ('value="20"', 'value="-5"', "line 10: control.duration"),
        ('value="20"', 'value="long"', "line 10: control.duration.default: a whole number is expected"),
        ('datatype="char" value="!"', 'datatype="bit" value="!"', "line 14: parameters[0].type: the datatype 'bit'"),
        ("admin@opus", "admin", "line 9: contact.email: 'admin' is no mail address"),
        ('name="test_activity_2"', 'name="../dummy"', "line 2: name: '../dummy' is not a letter"),
        ('utype="voprov:ActivityDescription">', 'utype="x">', "there is no RESOURCE with the utype voprov"),
    ],
)
def test_what_ours_does_not_allow_is_told_with_its_line(shared: Path, old: str, new: str, said: str) -> None:
    text = real(shared).decode()
    assert old in text
    changed = text.replace(old, new, 1).encode()
    if not said:  # what is said of a file is of the parameter of its name
        assert [spec.type for spec in votable.read(changed, "x").definition.parameters] == ["file"]
        return
    with pytest.raises(DefinitionError) as caught:
        votable.read(changed, "opus.xml")
    assert str(caught.value).removeprefix("opus.xml").lstrip(": ").startswith(said)


@pytest.mark.parametrize(
    ("attributes", "values", "expected"),
    [
        ('datatype="double" value=""', '<MIN value="0.1"/><MAX value="1e3"/>',
         ParameterSpec("p", "float", min=0.1, max=1e3)),
        ('datatype="float" value="1" unit="keV"', "", ParameterSpec("p", "float", default=1, unit="keV")),
        ('datatype="int" value="7"', '<MAX value="9"/>', ParameterSpec("p", "integer", default=7, max=9)),
        ('datatype="long" value=""', "", ParameterSpec("p", "integer")),
        ('datatype="short" value=""', "", ParameterSpec("p", "integer", min=-32768, max=32767)),
        ('datatype="unsignedByte" value="3"', '<MIN value="1"/>',
         ParameterSpec("p", "integer", default=3, min=1, max=255)),
        ('datatype="boolean" value="T"', "", ParameterSpec("p", "boolean", default=True)),
        ('datatype="char" value="a"', '<OPTION value="a"/><OPTION value="b"/>',
         ParameterSpec("p", "choice", default="a", options=("a", "b"))),
        ('datatype="int" value="1"', '<OPTION value="1"/><OPTION value="2"/>',
         ParameterSpec("p", "choice", default="1", options=("1", "2"))),
        ('datatype="char" value="" xtype="application/octet-stream"', "", ParameterSpec("p", "file")),
        ('datatype="file" value=""', "", ParameterSpec("p", "file")),
        ('datatype="xs:anyURI" value=""', "", ParameterSpec("p", "url")),
        (f'datatype="char" value="x" ucd="{UCD}" utype="a:b"', "",
         ParameterSpec("p", "string", default="x", ucd=UCD, utype="a:b")),
    ],
)  # fmt: skip
def test_the_types_of_votable_are_ours(attributes: str, values: str, expected: ParameterSpec) -> None:
    text = f"""<VOTABLE><RESOURCE name="a" utype="voprov:ActivityDescription"><GROUP name="InputParams">
      <PARAM name="p" type="no_query" {attributes}><VALUES>{values}</VALUES></PARAM></GROUP></RESOURCE></VOTABLE>"""
    assert votable.read(text.encode(), "x").definition.parameters == (expected,)


@pytest.mark.parametrize(
    ("told", "most"), [("", 1), ("1", 1), ("3", 3), ("0..5", 5), ("*", MOST_VALUES), ("1..*", MOST_VALUES)]
)
def test_multiplicity_is_the_number_of_values(told: str, most: int) -> None:
    text = f"""<VOTABLE><RESOURCE name="a" utype="voprov:ActivityDescription"><GROUP name="Used"><GROUP name="p">
      <PARAM name="multiplicity" value="{told}" datatype="char"/></GROUP></GROUP></RESOURCE></VOTABLE>"""
    assert votable.read(text.encode(), "x").definition.parameters == (
        ParameterSpec("p", "file", "", True, max_values=most),
    )


def test_a_file_that_is_said_twice_is_refused(shared: Path) -> None:
    text = real(shared).decode()
    start, end = text.index('<GROUP name="input"'), text.index("</GROUP>", text.index('<GROUP name="input"')) + 8
    with pytest.raises(DefinitionError, match=r"parameters\[2\].name: 'input' is there twice"):
        votable.read((text[:end] + text[start:end] + text[end:]).encode(), "x")


# --- ours ------------------------------------------------------------------------------------------------


def schema(shared: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(shared / "schemas" / "VOTable1.4.xsd")))


@given(package=packages)
@settings(max_examples=30, deadline=None)
def test_any_definition_is_a_valid_votable_that_astropy_reads(shared: Path, package: Package) -> None:
    document = votable.write_package(package, "http://localhost")
    schema(shared).assertValid(etree.fromstring(document))
    table = astropy_votable.parse(io.BytesIO(document), verify="ignore")
    activity, sync, asynchronous = table.resources
    assert (activity.name, activity.utype) == (package.definition.name, "voprov:ActivityDescription")
    for service in (sync, asynchronous):
        assert service.utype == "adhoc:service"
        names = [param.name for param in service.groups[0].entries if param.name != "PHASE"]
        assert names == [spec.name for spec in package.definition.parameters]


def test_it_holds_the_words_of_opus_and_of_datalink() -> None:
    document = votable.write_package(Package(DEFINITION, "echo\r\n", "# é"), "https://uws.example.org")
    table = astropy_votable.parse(io.BytesIO(document), verify="exception")
    activity, sync, asynchronous = table.resources
    told = {param.name: (str(param.value), param.utype) for param in activity.params if "voprov:" in str(param.utype)}
    assert told == {
        "doculink": ("https://example.org/", "voprov:ActivityDescription.doculink"),
        "type": ("timing", "voprov:ActivityDescription.type"),
        "version": ("2.1", "voprov:ActivityDescription.version"),
        "contact_name": ("Ann é", "voprov:Agent.name"),
        "contact_email": ("ann@example.org", "voprov:Agent.email"),
    }
    assert [group.name for group in activity.groups] == ["InputParams", "Used", "Generated"]
    (used,) = activity.groups[1].entries
    assert (used.name, used.utype) == ("events", "voprov:UsedDescription")
    for service, url, standard in (
        (sync, "https://uws.example.org/rest/lightcurve/sync", {}),
        (asynchronous, "https://uws.example.org/rest/lightcurve", {"standardID": "ivo://ivoa.net/std/UWS#rest-1.1"}),
    ):
        params = {param.name: param.value for param in service.params}
        assert params == {"accessURL": url} | standard
        inputs = {param.name: param for param in service.groups[0].entries}
        assert (inputs["bin"].unit.to_string(), inputs["bin"].datatype) == ("s", "double")
        assert inputs["bin"].description == "Width of a bin Default: 10.0"
        assert (inputs["bin"].values.min, inputs["bin"].values.max) == (0.1, 1000)
        assert [value for _, value in inputs["band"].values.options] == ["soft", "hard"]
        assert inputs["lightcurve"].description == "Default: true"
        written = {each.get("name"): each.get("value") for each in etree.fromstring(document).iter("{*}PARAM")}
        assert (written["PHASE"], written["events"]) == ("RUN", ""), "only PHASE is fixed"


def test_a_file_that_stands_in_both_places_is_one_parameter() -> None:
    assert votable.read(votable.write_package(Package(DEFINITION), ""), "x").definition == DEFINITION


@pytest.mark.parametrize("name", ["dummy", "spectrum"])
def test_stilts_finds_nothing_wrong(name: str, tmp_path: Path) -> None:
    if shutil.which("stilts") is None:
        pytest.skip("no stilts: install the Debian package stilts")
    folder = ROOT / "job_definitions" / name
    definition = native.read((folder / "job.json").read_text(encoding="utf-8"), name)
    package = Package(definition, (folder / "run.py").read_text(), (folder / "README.md").read_text())
    path = tmp_path / "definition.xml"
    path.write_bytes(votable.write_package(package, "http://localhost"))
    done = subprocess.run(["stilts", "votlint", str(path)], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def document(param: str) -> bytes:
    resource = '<RESOURCE name="t" type="meta" utype="voprov:ActivityDescription">'
    group = f'<GROUP name="InputParams">{param}</GROUP>'
    return f'<VOTABLE version="1.4">{resource}{group}</RESOURCE></VOTABLE>'.encode()


def read_one(param: str) -> ParameterSpec:
    (spec,) = votable.read(document(param), "t.xml").definition.parameters
    return spec


@pytest.mark.parametrize(
    ("param", "kind", "most", "default"),
    [
        ('datatype="double" arraysize="2" xtype="interval" value="0.5 10"', "float", 2, (0.5, 10)),
        ('datatype="double" arraysize="3" xtype="circle" value="10 5 0.1"', "float", 3, (10, 5, 0.1)),
        ('datatype="double" arraysize="3" xtype="circle" value=""', "float", 3, None),
        ('datatype="int" arraysize="*" value="1 2 3"', "integer", MOST_VALUES, (1, 2, 3)),
        ('datatype="int" arraysize="5*" value="7"', "integer", 5, 7),
        ('datatype="short" arraysize="2x2" value="1 2 3 4"', "integer", 4, (1, 2, 3, 4)),
        ('datatype="boolean" arraysize="2" value="T F"', "boolean", 2, (True, False)),
        ('datatype="double" arraysize="1" value="2"', "float", 1, 2),
        ('datatype="char" arraysize="*" value="1 2 3"', "string", 1, "1 2 3"),
        ('datatype="char" arraysize="8" value="abc"', "string", 1, "abc"),
    ],
)
def test_an_array_of_numbers_has_several_values(param: str, kind: str, most: int, default: object) -> None:
    spec = read_one(f'<PARAM name="a" {param}/>')
    assert (spec.type, spec.max_values, spec.default) == (kind, most, default)
    definition = Definition("t", "1.0", "t", Entry("shell", "run.sh"), parameters=(spec,))
    again = votable.write_package(Package(definition), "")
    assert votable.read(again, "again.xml").definition == definition
    values = astropy_votable.parse(io.BytesIO(again)).resources[0].groups[0].entries[0].value
    if isinstance(default, tuple):  # astropy reads the array that we write as we do
        assert tuple(values) == default


@pytest.mark.parametrize(
    "param",
    [
        'datatype="boolean" value="?"',
        'datatype="boolean" value=" "',
        'datatype="double" value="NaN"',
        'datatype="float" arraysize="2" value="NaN 5"',
        'datatype="int" value="-99"><VALUES null="-99"/></PARAM><PARAM name="b" datatype="int" value="1"',
        'datatype="int" value=""',
    ],
)
def test_a_null_is_no_default(param: str) -> None:
    assert votable.read(document(f'<PARAM name="a" {param}/>'), "t.xml").definition.parameters[0].default is None


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ("two", "the arraysize 'two' is no size of VOTable"),
        ("2000", "the arraysize '2000' came; at most 1000 values are allowed"),
    ],
)
def test_a_size_that_is_none_is_refused(size: str, said: str) -> None:
    with pytest.raises(DefinitionError, match=f"t.xml line 1: parameters.0.: {said}"):
        read_one(f'<PARAM name="a" datatype="int" arraysize="{size}" value=""/>')


def test_an_array_of_texts_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"an array of texts \(arraysize '8x\*'\) is not read"):
        read_one('<PARAM name="a" datatype="char" arraysize="8x*" value=""/>')


def test_a_bound_that_is_a_shape_is_no_bound_of_each_number() -> None:
    spec = read_one(
        '<PARAM name="CIRCLE" datatype="double" arraysize="3" xtype="circle" value="">'
        '<VALUES><MAX value="12 5 0.5"/></VALUES></PARAM>'
    )
    assert (spec.max, spec.annotation) == (None, "max 12 5 0.5")
