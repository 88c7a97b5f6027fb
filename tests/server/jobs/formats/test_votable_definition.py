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
            if param.get("name") not in ("script", "subtype", "quote") and param.get("utype", "").startswith(
                ("vo", "uws:")
            ):
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
        (sync, "https://uws.example.org/rest/lightcurve/sync", "ivo://ivoa.net/std/UWS#sync-1.1"),
        (asynchronous, "https://uws.example.org/rest/lightcurve", "ivo://ivoa.net/std/UWS#async-1.1"),
    ):
        params = {param.name: param.value for param in service.params}
        assert params == {"accessURL": url, "standardID": standard}
        inputs = {param.name: param for param in service.groups[0].entries}
        assert (inputs["bin"].value, inputs["bin"].unit.to_string(), inputs["bin"].datatype) == (10, "s", "double")
        assert (inputs["bin"].values.min, inputs["bin"].values.max) == (0.1, 1000)
        assert [value for _, value in inputs["band"].values.options] == ["soft", "hard"]
        assert inputs["lightcurve"].value


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
