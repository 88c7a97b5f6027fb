"""The WADL of a definition: valid, with OPUS's ids, and read as far as somebody else's tells."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from lxml import etree

from definitions import packages
from uws_server.errors import DefinitionError
from uws_server.jobs.definition import Definition, Duration, Entry, ParameterSpec, ResultSpec
from uws_server.jobs.formats import Package, wadl

NAMES = {"w": "http://wadl.dev.java.net/2009/02", "d": "urn:uws-server:definition"}
DEFINITION = Definition(
    "lightcurve",
    "2.1",
    "Light curve",
    Entry("shell", "run.sh"),
    "Counts <per> bin\n& second",
    parameters=(
        ParameterSpec("bin", "float", "Width of a bin", True, 10, 0.1, 1000, unit="s"),
        ParameterSpec("band", "choice", options=("soft", "hard"), default="soft", max_values=2),
        ParameterSpec("events", "eventlist", media_type="application/fits"),
    ),
    results=(ResultSpec("curve", "curve.fits", "application/fits", "The curve", True),),
)
OF_OPUS = """<?xml version="1.0" standalone="yes"?>
<application xmlns="http://wadl.dev.java.net/2009/02" xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <resources base="http://localhost/rest/">
    <resource id="joblist" path="map" doculink="http://example.org/map" contact_name="Ann" contact_email="ann@x.org">
      <doc>This resource contains the whole list of job</doc>
      <doc title="description"> Counts map </doc>
      <method id="create_job" name="POST">
        <request id="create_job_parameters">
          <param style="query" name="PHASE" type="xs:string" required="false" fixed="RUN"/>
          <param style="query" name="evfile" type="xs:anyURI" required="true" default="events.fits">
            <doc>Event list</doc>
          </param>
          <param style="query" name="frame" type="xs:string" required="1" default="CEL" choices="CEL|GAL"><doc/></param>
          <param style="query" name="emin" type="xs:double" required="true" default="0.1" min="0" max="10"/>
          <param style="query" name="chatter" type="xs:unsignedByte" required="false" default="2"/>
          <param style="query" name="clobber" type="xs:boolean" required="false" default="yes"/>
          <param style="query" name="mask" type="file" required="false" default=""/>
        </request>
      </method>
      <resource id="job_executionduration" path="{job-id}/executionduration">
        <method name="POST"><request>
          <param style="query" name="EXECUTIONDURATION" type="xs:int" required="false" default="60"/>
        </request></method>
      </resource>
      <resource id="job_result_name" path="{job-id}/results/{result-id}">
        <method name="GET"><request>
          <param style="template" name="job-id" type="xs:string" required="true"/>
          <param style="template" name="result-id" type="xs:string" required="true">
            <option value="outfile" content_type="image/fits" default="map.fits"><doc>The map</doc></option>
            <option value="logfile" mediaType="text/plain"/>
          </param>
        </request></method>
      </resource>
    </resource>
  </resources>
</application>
"""


@pytest.fixture(scope="module")
def schema(shared: Path) -> etree.XMLSchema:
    class Offline(etree.Resolver):
        def resolve(self, url: str, _public: str, context: object) -> object:
            name = "xmlnamespace.xsd" if url.endswith("xml.xsd") else url
            return self.resolve_filename(str(shared / "schemas" / name), context)

    parser = etree.XMLParser()
    parser.resolvers.add(Offline())
    return etree.XMLSchema(etree.parse(str(shared / "schemas" / "wadl.xsd"), parser))


def document(package: Package) -> etree._Element:
    return etree.fromstring(wadl.write_package(package, "https://uws.example.org"))


@given(package=packages)
@settings(max_examples=30, deadline=None)
def test_any_definition_is_valid_wadl(schema: etree.XMLSchema, package: Package) -> None:
    schema.assertValid(document(package))


def test_it_describes_the_whole_interface() -> None:
    root = document(Package(DEFINITION))
    assert root.find(".//w:resources", NAMES).get("base") == "https://uws.example.org/rest/"  # type: ignore[union-attr]

    def paths(resource: etree._Element, above: str) -> list[tuple[str, str]]:
        path = f"{above}/{resource.get('path')}"
        own = [(str(method.get("name")), path) for method in resource.iterfind("w:method", NAMES)]
        return own + [found for inner in resource.iterfind("w:resource", NAMES) for found in paths(inner, path)]

    joblist = root.find(".//w:resource[@id='joblist']", NAMES)
    assert joblist is not None
    job = "/lightcurve/{job-id}"
    assert set(paths(joblist, "")) == {
        *[(name, "/lightcurve") for name in ("GET", "POST")],
        *[(name, "/lightcurve/sync") for name in ("GET", "POST")],
        *[(name, job) for name in ("GET", "POST", "DELETE")],
        *[
            (name, f"{job}/{path}")
            for name in ("GET", "POST")
            for path in ("phase", "executionduration", "destruction")
        ],
        *[("GET", f"{job}/{path}") for path in ("quote", "error", "owner", "stdout", "stderr", "sync")],
        *[(name, f"{job}/parameters") for name in ("GET", "POST")],
        *[(name, f"{job}/parameters/{{parameter-name}}") for name in ("GET", "PUT")],
        ("GET", f"{job}/results"),
        ("GET", f"{job}/results/{{result-id}}"),
    }


def test_the_ids_of_opus_hold_the_parameters_and_results() -> None:
    root = document(Package(DEFINITION))
    for number in ("create_job_parameters", "control_job_parameters", "set_job_parameters"):
        held = root.xpath(f"//w:*[@id='{number}']/w:param/@name", namespaces=NAMES)
        assert [name for name in held if not name.isupper()] == ["bin", "band", "events"]  # type: ignore[union-attr]
    for number, names in (("parameter-name", ["bin", "band", "events"]), ("result-id", ["curve"])):
        assert root.xpath(f"//w:param[@id='{number}']/w:option/@value", namespaces=NAMES) == names
    bins, bands, events = root.xpath("//w:*[@id='create_job_parameters']/w:param[position() > 4]", namespaces=NAMES)
    assert {key: bins.get(key) for key in ("type", "default", "required")} == {
        "type": "xs:double",
        "default": "10",
        "required": "true",
    }
    assert bins.findtext("w:doc", namespaces=NAMES) == "Width of a bin"
    assert (bins.get(f"{{{NAMES['d']}}}max"), bins.get(f"{{{NAMES['d']}}}unit")) == ("1000", "s")
    assert bands.get("repeating") == "true"
    assert [option.get("value") for option in bands.iterfind("w:option", NAMES)] == ["soft", "hard"]
    assert (events.get("type"), events.get(f"{{{NAMES['d']}}}type")) == ("xs:anyURI", "eventlist")


def test_a_change_by_hand_counts() -> None:
    text = wadl.write_package(Package(DEFINITION), "").decode()
    changed = text.replace('default="10"', 'default="20"').replace("Width of a bin", "The width")
    read = wadl.read(changed.encode(), "x").definition.parameters[0]
    assert (read.default, read.description, read.unit, read.max) == (20, "The width", "s", 1000)


def test_one_of_opus_is_read_as_far_as_it_tells() -> None:
    package = wadl.read(OF_OPUS.encode(), "map.wadl")
    definition = package.definition
    assert (definition.name, definition.title, definition.description) == ("map", "map", "Counts map")
    assert (definition.documentation, definition.contact.name) == ("http://example.org/map", "Ann")
    assert definition.control.duration == Duration(60, 86400)
    assert definition.entry == Entry("shell", "run.sh")
    assert definition.parameters == (
        ParameterSpec("evfile", "file", "Event list", True, "events.fits"),
        ParameterSpec("frame", "choice", "", True, "CEL", options=("CEL", "GAL")),
        ParameterSpec("emin", "float", "", True, 0.1, 0, 10),
        ParameterSpec("chatter", "integer", "", False, 2, 0, 255),
        ParameterSpec("clobber", "boolean", "", False, True),
        ParameterSpec("mask", "file"),
    )
    assert definition.results == (
        ResultSpec("outfile", "map.fits", "image/fits", "The map"),
        ResultSpec("logfile", "logfile", "text/plain"),
    )
    assert wadl.read(wadl.write_package(package, ""), "x") == package


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name="emin"', 'name="path"', ": parameters[2].name: 'path' is reserved"),
        ('name="emin"', 'name="evfile"', ": parameters[2].name: 'evfile' is there twice"),
        ('name="emin"', 'name="e.min"', ": parameters[2].name: 'e.min' is not a letter"),
        ('min="0"', 'min="few"', ": parameters[2].min: 'few' is no number"),
        ('min="0"', 'min="11"', ": parameters[2].min: min 11 is above max 10"),
        ("xs:boolean", "xs:gYear", ": parameters[4].type: the type 'gYear' is not known"),
        ('default="60"', 'default="0"', ": control.duration: "),
        ('default="60"', 'default="soon"', ": control.duration.default: a whole number is expected"),
        ('default="map.fits"', 'default="../map.fits"', ": results[0].file: "),
        ('path="map"', 'path="../map"', ": name: '../map' is not a letter"),
        ('id="joblist"', 'id="jobs"', ": there is no resource with the id joblist"),
        ("</application>", "", ": not XML that is read: "),
    ],
)
def test_a_mistake_is_told_with_its_line(old: str, new: str, said: str) -> None:
    changed = OF_OPUS.replace(old, new, 1)
    line = changed.count("\n", 0, OF_OPUS.index(old) if new else None) + 1
    with pytest.raises(DefinitionError) as caught:
        wadl.read(changed.encode(), "map.wadl")
    assert str(caught.value).startswith(f"map.wadl{said}" if "there is no" in said else f"map.wadl line {line}{said}")


def attributes(key: str, value: str) -> bytes:
    text = wadl.write_package(Package(DEFINITION), "").decode()
    return text.replace('d:unit="s"', f'd:{key}="{value}"').encode()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("color", "red", "parameters[0].color: unknown field"),
        ("name", "other", "parameters[0].name: unknown field"),
        ("control.cpus", "1", "parameters[0].control.cpus: unknown field"),
        ("editable", "maybe", "parameters[0].editable: 'maybe' is not JSON"),
        ("editable", "1", "parameters[0].editable: true or false is expected, not 1"),
        ("step", "[1", "parameters[0].step: '[1' is not JSON"),
        ("step", "1e999", "parameters[0].step: '1e999' is not JSON"),
    ],
)
def test_a_wrong_field_of_ours_is_told(key: str, value: str, said: str) -> None:
    with pytest.raises(DefinitionError, match=r"^x line \d+: ") as caught:
        wadl.read(attributes(key, value), "x")
    assert said in str(caught.value)


ENTITIES = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))


@pytest.mark.parametrize(
    ("begin", "text", "said"),
    [
        (f'<!DOCTYPE application [<!ENTITY a0 "ha">{ENTITIES}]>', "&a9;", "x line 2: a document type (<!DOCTYPE>)"),
        ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>', "&b;", "x line 2: a document type (<!DOCTYPE>)"),
        ('<!-- <a> -->\n<?b <c>?>\n<!DOCTYPE a SYSTEM "http://localhost/a.dtd">', "", "x line 4: a document type"),
        ("", "&b;", "x line 14: not XML that is read: Entity 'b' not defined"),
        ("", "<a>" * 300 + "</a>" * 300, "x line 14: not XML that is read: nested too deeply"),
        ("", "\x01", "x line 14: not XML that is read: "),
    ],
)
def test_what_a_parser_must_not_do_is_refused(begin: str, text: str, said: str) -> None:
    hostile = OF_OPUS.replace('standalone="yes"?>', f'standalone="yes"?>\n{begin}')
    hostile = hostile.replace("<doc/>", f"<doc>{text}</doc>")
    with pytest.raises(DefinitionError) as caught:
        wadl.read(hostile.encode(), "x")
    assert str(caught.value).startswith(said)
    assert "passwd" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-7", "EBCDIC-CP-FR", "cp037", "base64"])
def test_an_encoding_that_is_not_read_is_refused(encoding: str) -> None:
    with pytest.raises(DefinitionError, match=f"line 1: the encoding {encoding} is declared; UTF-8, UTF-16, ISO"):
        wadl.read(OF_OPUS.replace("standalone", f'encoding="{encoding}" standalone').encode(), "x")


@pytest.mark.parametrize(("text", "said"), [("/w==", "script: not UTF-8"), ("YQ", "script: not base64")])
def test_a_script_that_is_no_text_is_refused(text: str, said: str) -> None:
    document = wadl.write_package(Package(DEFINITION, script="\x1b"), "").decode()
    assert ">Gw==<" in document
    with pytest.raises(DefinitionError, match=rf"^x line \d+: {said}"):
        wadl.read(document.replace(">Gw==<", f">{text}<").encode(), "x")
