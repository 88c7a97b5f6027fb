"""Parameter files of XMM-SAS tasks, in XML as the SAS package `param` documents them."""

from __future__ import annotations

import pytest

from uws_server.errors import DefinitionError
from uws_server.jobs.checks import MOST_PARAMETERS, MOST_VALUES
from uws_server.jobs.definition import Entry, ParameterSpec
from uws_server.jobs.formats.detect import read_any

FILE = """\
<?xml version="1.0" encoding="UTF-8"?>
<!-- a task like evselect -->
<FILE>
 <CONFIG>
  <PARAM id="table" type="table" default="events.fits:EVENTS" mandatory="yes">
    <DESCRIPTION>Name of the input event table</DESCRIPTION>
  </PARAM>
  <PARAM id="filtertype" type="string" default="expression">
    <DESCRIPTION>
      How to
      select
    </DESCRIPTION>
    <CASE>
      <ITEM value="dataSubspace"><PARAM id="dssblock" type="block" mandatory="yes"/></ITEM>
      <ITEM value="expression"><PARAM id="expression" type="string" default="(PI &gt; 200)"/></ITEM>
    </CASE>
  </PARAM>
  <PARAM id="withspectrumset" type="bool" default="no">
    <CASE>
      <ITEM value="yes">
        <PARAM id="spectralbinsize" type="int" default="5"><CONSTRAINTS> 1 &lt;= spectralbinsize </CONSTRAINTS></PARAM>
      </ITEM>
      <ITEM value="no"/>
    </CASE>
  </PARAM>
  <PARAM id="color" type="string"><CASE><ITEM value="red"/><ITEM value="blue"/></CASE></PARAM>
  <PARAM id="timebin" type="real" default="1e-1"/>
  <PARAM id="ccds" type="int" list="yes" default="1 2 3"/>
  <PARAM id="names" type="liststring" default='"one two" three'/>
  <PARAM id="attitude" type="real"/>
 </CONFIG>
</FILE>
"""


def test_a_parameter_file_of_a_task_is_read() -> None:
    definition = read_any(FILE.encode(), "evselect.par").definition
    assert (definition.name, definition.title, definition.entry) == ("evselect", "evselect", Entry("shell", "run.sh"))
    assert definition.parameters == (
        ParameterSpec("table", "file", "Name of the input event table", True, "events.fits:EVENTS"),
        ParameterSpec(
            "filtertype", "choice", "How to select", default="expression", options=("dataSubspace", "expression")
        ),
        ParameterSpec("dssblock", "file", group="filtertype"),
        ParameterSpec("expression", "string", default="(PI > 200)", group="filtertype"),
        ParameterSpec("withspectrumset", "boolean", default=False),
        ParameterSpec("spectralbinsize", "integer", "(1 <= spectralbinsize)", default=5, group="withspectrumset"),
        ParameterSpec("color", "choice", default="blue", options=("red", "blue")),
        ParameterSpec("timebin", "float", default=0.1),
        ParameterSpec("ccds", "integer", default=(1, 2, 3), max_values=MOST_VALUES),
        ParameterSpec("names", "string", default=("one two", "three"), max_values=MOST_VALUES),
        ParameterSpec("attitude", "float"),
    )


def test_config_may_be_the_root() -> None:
    document = '<CONFIG><PARAM id="a" type="int" default="3"/></CONFIG>'
    assert read_any(document.encode(), "x.par").definition.parameters == (ParameterSpec("a", "integer", default=3),)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("<FILE>\n<OTHER/></FILE>", "x.par: there is no CONFIG in it"),
        ('<CONFIG>\n<PARAM id="a" type="complex"/></CONFIG>', "x.par line 2: parameters[0].type: 'complex' is not one"),
        ('<CONFIG>\n<PARAM type="int"/></CONFIG>', "x.par line 2: parameters[0].name: a name is needed"),
        ('<CONFIG>\n<PARAM id="PATH"/></CONFIG>', "x.par line 2: parameters[0].name: 'PATH' is reserved"),
        ('<CONFIG><PARAM id="a"/>\n<PARAM id="A"/></CONFIG>', "x.par line 2: parameters[1].name: 'A' is there twice"),
        ('<!DOCTYPE CONFIG SYSTEM "param.dtd">\n<CONFIG/>', "x.par line 1: a document type (<!DOCTYPE>) is not read"),
        ("<CONFIG>" + "<PARAM/>" * (MOST_PARAMETERS + 1) + "</CONFIG>", "x.par line 1: parameters: 501 came"),
    ],
)
def test_a_mistake_is_told_with_its_line(document: str, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read_any(document.encode(), "x.par")
    assert str(caught.value).startswith(said)


def test_every_mistake_is_told_at_once() -> None:
    document = '<CONFIG>\n<PARAM id="a" type="x"/>\n<PARAM id="b"/>\n<PARAM id="c" type="y"/>\n</CONFIG>'
    with pytest.raises(DefinitionError) as caught:
        read_any(document.encode(), "x.par")
    assert [problem.line for problem in caught.value.problems] == [2, 4]
