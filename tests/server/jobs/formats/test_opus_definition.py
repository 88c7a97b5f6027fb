"""Definitions as OPUS writes them, imported into a real server: their scripts run as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import requests
from lxml import etree

from serving import running_server
from uws_server import client
from uws_server.jobs.formats import detect, native

# in the manner of OPUS: a script with the line ends of a browser that leaves its file where it runs
MANNER_OF_OPUS = """<?xml version="1.0"?>
<VOTABLE xmlns="http://www.ivoa.net/xml/VOTable/v1.3" version="1.3">
  <RESOURCE ID="count_lines" name="count_lines" type="meta" utype="voprov:ActivityDescription">
    <DESCRIPTION>Repeats a text and counts the lines of a table</DESCRIPTION>
    <PARAM name="version" value="2.1" arraysize="*" datatype="char" utype="voprov:ActivityDescription.version"/>
    <PARAM name="contact_name" value="A. Nobody" arraysize="*" datatype="char" utype="voprov:Agent.name"/>
    <PARAM name="executionDuration" value="60" datatype="int" utype="uws:Job.executionDuration"/>
    <PARAM name="quote" value="10" datatype="int" utype="uws:Job.quote"/>
    <PARAM name="script" value="{script}" arraysize="*" datatype="char"/>
    <GROUP name="InputParams">
      <PARAM ID="text" name="text" datatype="char" value="hello" arraysize="*"/>
      <PARAM ID="times" name="times" datatype="int" value="2"><VALUES><MIN value="1"/><MAX value="9"/></VALUES></PARAM>
      <PARAM ID="scale" name="scale" datatype="double" value="0.5"/>
      <PARAM ID="loud" name="loud" datatype="boolean" value="false"/>
      <PARAM ID="mode" name="mode" datatype="char" arraysize="*" value="fast">
        <VALUES><OPTION value="fast"/><OPTION value="slow"/></VALUES>
      </PARAM>
    </GROUP>
    <GROUP name="Used">
      <GROUP name="table" utype="voprov:UsedDescription">
        <PARAM name="default" value="table.csv" arraysize="*" datatype="char" utype="voprov:Entity.id"/>
        <PARAM name="content_type" value="text/csv" arraysize="*" datatype="char"
               utype="voprov:EntityDescription.content_type"/>
      </GROUP>
    </GROUP>
    <GROUP name="Generated">
      <GROUP name="output" utype="voprov:WasGeneratedBy">
        <PARAM name="default" value="output.txt" arraysize="*" datatype="char" utype="voprov:Entity.id"/>
        <PARAM name="content_type" value="text/plain" arraysize="*" datatype="char"
               utype="voprov:EntityDescription.content_type"/>
      </GROUP>
      <GROUP name="parts" utype="voprov:WasGeneratedBy">
        <PARAM name="default" value="part_*.txt" arraysize="*" datatype="char" utype="voprov:Entity.id"/>
        <PARAM name="content_type" value="text/plain" arraysize="*" datatype="char"
               utype="voprov:EntityDescription.content_type"/>
      </GROUP>
    </GROUP>
  </RESOURCE>
</VOTABLE>
"""
SCRIPT = """for i in $(seq $times); do
  echo "$text $scale $loud $mode"
done > output.txt
wc -l < $table >> output.txt
echo 1 > part_1.txt
echo 2 > part_2.txt
"""


def with_line_ends(script: str) -> str:
    """A script as it stands in the attribute of an XML document that a browser made."""
    escaped = script.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return escaped.replace("\n", "&#13;&#10;")


@contextmanager
def serving(document: bytes, root: Path) -> Iterator[str]:
    """The address of the job list of an imported definition, whose script is byte for byte that of the document."""
    package = detect.read_any(document, "imported.xml")
    place = root / "definitions" / package.definition.name
    place.mkdir(parents=True)
    (place / "job.json").write_text(native.write(package.definition), encoding="utf-8")
    (script,) = etree.fromstring(document).xpath('//*[local-name()="PARAM"][@name="script"]/@value')
    assert "\r\n" in script
    (place / package.definition.entry.script).write_bytes(str(script).encode())
    with running_server(root / "data", definitions=root / "definitions") as server:
        yield f"{server.url}/rest/{package.definition.name}"


def run(job_list: str, values: dict[str, str], file: tuple[str, Path], folder: Path) -> dict[str, str]:
    """Run a job to its end; the texts of its results."""
    name, path = file
    final = client.follow(client.create(job_list, values, {name: path}), lambda state: None)
    assert final.phase == "COMPLETED", (final.error, requests.get(f"{final.url}/results/log", timeout=300).text)
    return {each.name: client.download(each, folder).read_text(encoding="utf-8") for each in final.results}


@pytest.mark.slow
def test_the_definition_that_opus_publishes_runs_as_it_is(shared: Path, tmp_path: Path) -> None:
    document = (shared / "real/opus_definition/test_activity_2_vot.xml").read_bytes()
    given = tmp_path / "input.txt"
    given.write_text("the input\n", encoding="utf-8")
    with serving(document, tmp_path) as job_list:
        results = run(job_list, {"text": "and * $(a text)"}, ("input", given), tmp_path)
    # the script does not quote $text: bash makes words of it, but never a command
    assert results["output"].startswith("the input\nand ")
    assert results["output"].endswith(" $(a text)\n")


def test_a_script_in_the_manner_of_opus_runs_as_it_is(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a\nb\nc\n", encoding="utf-8")
    document = MANNER_OF_OPUS.format(script=with_line_ends(SCRIPT)).encode()
    with serving(document, tmp_path) as job_list:
        values = {"text": "it's  <b>", "times": "3", "mode": "slow"}
        results = run(job_list, values, ("table", table), tmp_path)
        assert results["output"] == "it's  <b> 0.5 false slow\n" * 3 + "3\n"
        assert (results["parts"], results["parts_2"]) == ("1\n", "2\n")
        finished = requests.get(job_list, params={"LAST": "1"}, timeout=300)
        address = etree.fromstring(finished.content).find("{*}jobref").get("{http://www.w3.org/1999/xlink}href")
        job = etree.fromstring(requests.get(address, timeout=300).content)
        created, ended = (datetime.fromisoformat(job.findtext(f"{{*}}{name}")) for name in ("creationTime", "endTime"))
        quote = datetime.fromisoformat(requests.get(f"{address}/quote", timeout=300).text)
        assert created <= quote - timedelta(seconds=10) <= ended, "ten seconds after it was queued"
        refused = requests.post(job_list, data={"times": "10", "mode": "odd"}, timeout=300)
        assert refused.status_code == 400
        assert "times" in refused.text
        assert "mode" in refused.text
