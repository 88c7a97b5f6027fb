"""Parameter files of FTOOLS, ctools and IRAF: their types, modes, ranges and quotes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from definitions import definitions
from uws_server.errors import DefinitionError
from uws_server.jobs.definition import Definition, Entry, ParameterSpec, ResultSpec
from uws_server.jobs.formats import Package, par
from uws_server.jobs.formats.detect import read_any

FILE = """\
#
# A tool that bins events
#
infile,s,a,"",,,"Name of FITS file and [ext#]"
evfile, fr, ql, events.fits,,, Event list
outfile,fw,h,out.fits,,,"Output file"
algorithm,s,q,"LOG",FILE|LIN|LOG,,"One of FILE, LIN, LOG"
ccd,i,h,1,"1|2|3",,"CCD"
emin, r, a, 0.1, 1e-3, 100., "Start value (""TeV"")
emax,r,a,INDEF,,INDEF,'It\\'s the end, "really"'
bins,i,hl,  20,1,,Number of bins
clobber,b,h,no,,,"Overwrite?"
quiet,B,l,Y

mode,s,h,"ql",,,"Mode of automatic parameters"
"""
WRITTEN = "the name of a file that is written"


def read(text: str, where: str = "evbin.par") -> Definition:
    return par.read(text.encode(), where).definition


def test_a_parameter_file_is_read() -> None:
    definition = read(FILE.replace('"Start value (""TeV"")', '"Start value"'))
    assert (definition.name, definition.title, definition.entry) == ("evbin", "evbin", Entry("shell", "run.sh"))
    assert definition.parameters == (
        ParameterSpec("infile", "string", "Name of FITS file and [ext#]", True, editable=True),
        ParameterSpec("evfile", "file", "Event list", True, "events.fits", editable=True),
        ParameterSpec(
            "outfile", "string", "Output file", False, "out.fits", annotation="the name of a file that is written"
        ),
        ParameterSpec("algorithm", "choice", "One of FILE, LIN, LOG", True, "LOG", options=("FILE", "LIN", "LOG")),
        ParameterSpec("ccd", "choice", "CCD", False, "1", options=("1", "2", "3")),
        ParameterSpec("emin", "float", "Start value", True, 0.1, 1e-3, 100.0, editable=True),
        ParameterSpec("emax", "float", 'It\'s the end, "really"', True, editable=True),
        ParameterSpec("bins", "integer", "Number of bins", False, 20, 1, editable=True),
        ParameterSpec("clobber", "boolean", "Overwrite?", False, False),
        ParameterSpec("quiet", "boolean", "", False, True, editable=True),
    )


def test_line_ends_of_windows_and_a_mark_at_the_beginning_do_no_harm() -> None:
    text = 'a,i,h,1,,,"A"\r\nb,s,h,x,,,"B"\r\n'
    definition = par.read(b"\xef\xbb\xbf" + text.encode(), "my tool (1).par").definition
    assert definition.name == "my_tool_1_"
    assert [(spec.name, spec.default) for spec in definition.parameters] == [("a", 1), ("b", "x")]


@pytest.mark.parametrize(("written", "value"), [("1d-3", 0.001), (".5", 0.5), ("+2", 2), ("3.", 3), ("-1E5", -1e5)])
def test_numbers_are_as_fortran_writes_them(written: str, value: float) -> None:
    assert read(f"a,r,h,{written}\n").parameters[0].default == value


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('path,s,h,"",,,"p"', "parameters[1].name: 'path' is reserved"),
        ('LD_PRELOAD,s,h,"",,,"p"', "parameters[1].name: 'LD_PRELOAD' is reserved"),
        ('a.b,s,h,"",,,"p"', "parameters[1].name: 'a.b' is not a letter"),
        (',s,h,"",,,"p"', "parameters[1].name: a name is needed"),
        ('FIRST,s,h,"",,,"p"', "parameters[1].name: 'FIRST' is there twice"),
        ('a,z,h,"",,,"p"', "parameters[1].type: 'z' is not one of b, i, r, d, s, f"),
        ('a,s,x,"",,,"p"', "parameters[1]: the mode 'x' is not a, h, l, q, hl or ql"),
        ("a,i,h,1,few,,p", "parameters[1].min: 'few' is no number"),
        ("a,i,h,1,1,1..5,p", "parameters[1].max: '1..5' is no number"),
        ("a,i,h,1,5,1,p", "parameters[1].min: min 5 is above max 1"),
        ("a,s,h,1,x|x,,p", "parameters[1].options[1]: 'x' is there twice"),
        ("a,s", "parameters[1]: 'a,s' is not name, type, mode"),
        ("nothing", "parameters[1]: 'nothing' is not name, type, mode"),
        ('a,s,h,"\x1b"', ""),
        ('a,s,h,"",,,"\x1b"', "parameters[1].description: the control character '\\x1b' came"),
    ],
)
def test_a_mistake_is_told_with_its_line(line: str, said: str) -> None:
    text = f"# a comment\nfirst,s,h,,,,\n\n{line}\n"
    if not said:  # whether a default fits is for the types
        assert read(text).parameters[1].default == "\x1b"
        return
    with pytest.raises(DefinitionError) as caught:
        read(text)
    assert str(caught.value).startswith(f"evbin.par line 4: {said}")


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        ("i", "+3", 3),
        ("i", "20.", 20),
        ("i", "1D3", 1000),
        ("r", "1.D0", 1.0),
        ("b", ".true.", True),
        ("b", ".F.", False),
    ],
)
def test_whole_numbers_and_truth_are_as_fortran_writes_them(kind: str, written: str, value: object) -> None:
    default = read(f"a,{kind},h,{written}\n").parameters[0].default
    assert (default, type(default)) == (value, type(value))


def test_a_value_that_is_that_of_another_parameter_is_followed() -> None:
    first, *others = read(
        'evtfile,f,a,"evt.fits",,,"Events"\nbkgfile,f,a,")evtfile",,,"Background"\nagain,f,a,)BKGFILE,,,\n'
        "low,r,h,1d-1,,,\nhigh,r,h,5,)low,)top,\ntop,r,h,12.,,,\n"
    ).parameters
    assert [spec.default for spec in (first, *others[:2])] == ["evt.fits"] * 3
    assert (others[3].min, others[3].max, others[3].annotation) == (0.1, 12, "")


@pytest.mark.parametrize("value", [")task.infile", ")absent", ")a", ")b"])
def test_a_value_that_this_file_does_not_have_is_no_default_and_is_named(value: str) -> None:
    spec = read(f"a,s,h,{value},,,\nb,s,h,)a,,,\n").parameters[0]
    assert spec.default is None
    assert spec.annotation.startswith("by default that of ")
    (number,) = read(f"c,r,h,1,{value},,\n").parameters
    assert (number.min, number.default) == (None, 1)


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(DefinitionError) as caught:
        read('a,z,h,1\nmode,s,h,"ql"\nb,i,h,1,few,,p\nnothing\nc,s,h,"",,,""\nd,s,x\n')
    assert [str(problem.line) + problem.parameter for problem in caught.value.problems] == [
        "1parameters[0].type",
        "3parameters[1].min",
        "4parameters[2]",
        "6parameters[4]",
    ]


@pytest.mark.parametrize(
    ("mode", "required", "editable"), [("ql", True, True), ("q", True, False), ("hl", False, True), ("h", False, False)]
)
def test_the_parameter_mode_says_what_is_automatic(mode: str, required: bool, editable: bool) -> None:
    (spec,) = read(f'a,s,a,"x"\nmode,s,h,"{mode}",,,""\n').parameters
    assert (spec.required, spec.editable) == (required, editable)


def test_a_quote_that_does_not_end_is_taken_as_it_is() -> None:
    assert read('a,s,h,,,,"no end\n').parameters[0].description == '"no end'


def test_what_it_holds_comes_back() -> None:
    definition = Definition(
        "evbin",
        "1.0",
        "evbin",
        Entry("shell", "run.sh"),
        parameters=(
            ParameterSpec("a", "string", 'says, "so"', True, "x, y", editable=True),
            ParameterSpec("b", "boolean", default=False),
            ParameterSpec("c", "integer", default=5, min=1, max=9, editable=True),
            ParameterSpec("d", "float", required=True, min=0.5),
            ParameterSpec("e", "choice", options=("one", "two, three"), default="one"),
            ParameterSpec("f", "file", "back\\slash", default="a.fits"),
        ),
    )
    document = par.write_package(Package(definition), "")
    assert read_any(document, "evbin.par") == Package(definition)


def test_what_it_does_not_hold_is_lost() -> None:
    definition = Definition(
        "x",
        "1",
        "X",
        Entry("python", "x.py"),
        parameters=(ParameterSpec("r", "region", "a\nb", unit="deg", default=("p", "q"), max_values=2),),
        results=(ResultSpec("o", "o.fits"),),
    )
    package = par.read(par.write_package(Package(definition, "print()", "# X"), ""), "x.par")
    assert package.definition.parameters == (ParameterSpec("r", "string", "a b", default="p"),)
    assert (package.script, package.readme, package.definition.results) == ("", "", ())


@given(definitions())
@settings(max_examples=40, deadline=None)
def test_any_definition_can_be_written(definition: Definition) -> None:
    lines = par.write_package(Package(definition), "").decode().splitlines()
    assert lines[-1].startswith("mode,")


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_line_is_read_or_refused(line: str) -> None:
    try:
        read(f"a,s,h,,,,\nb,{line}")
    except DefinitionError as error:
        assert str(error).startswith("evbin.par")
