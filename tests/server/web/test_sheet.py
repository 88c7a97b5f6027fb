"""What is typed in the editor: it makes the definition it was made from; a text that is no value stays what it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout import ROOT
from definitions import packages
from uws_server.errors import BadRequest
from uws_server.jobs.formats import Package, detect, native
from uws_server.web.definitions import sheet, sheetreader

INSTALLED = sorted((ROOT / "job_definitions").glob("*/job.json"))


def as_form(typed: sheet.Sheet) -> dict[str, list[str]]:
    """What a browser sends of a sheet: line ends as on the wire, a box that is not ticked not at all."""
    form = dict(typed.texts)
    for kind, rows in (("parameters", typed.parameters), ("results", typed.results)):
        for i, row in enumerate(rows):
            boxes = ("required", "editable", "optional", "empty_default", "empty_test")
            ticked = {name: text for name, text in row.items() if text or name not in boxes}
            form |= {f"{kind}[{i}].{name}": text for name, text in ticked.items()}
    return {name: [text.replace("\n", "\r\n")] for name, text in form.items()}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "job_definitions").glob("*/job.json")), ids=lambda path: path.parent.name
)
def test_an_installed_definition_goes_through_the_editor_unchanged(path: Path) -> None:
    definition = native.read(path.read_text(encoding="utf-8"), path.name)
    script = (path.parent / definition.entry.script).read_text(encoding="utf-8")
    reading = sheetreader.read(sheet.of_form(as_form(sheet.of_package(Package(definition, script, "# Read me\n")))))
    assert reading.definition == definition
    assert reading.problems == []
    assert reading.files == {"job.json": native.write(definition), definition.entry.script: script,
                             "README.md": "# Read me\n"}  # fmt: skip


def test_a_definition_of_opus_goes_through_the_editor_unchanged(shared: Path) -> None:
    documents = sorted((shared / "real" / "opus_definition").glob("*.xml"))
    assert documents
    for path in documents:
        package = detect.read_any(path.read_bytes(), path.name)
        reading = sheetreader.read(sheet.of_form(as_form(sheet.of_package(package))))
        assert reading.definition == package.definition, path


@given(packages)
@settings(max_examples=60, deadline=None)
def test_what_the_editor_made_it_makes_again(package: Package) -> None:
    """White space around texts may go the first time a definition is saved; after that nothing changes any more."""
    first = sheetreader.read(sheet.of_form(as_form(sheet.of_package(package))))
    again = sheet.of_files(first.files)
    second = sheetreader.read(sheet.of_form(as_form(again)))
    assert second.definition == first.definition
    assert [spec.name for spec in first.definition.parameters] == [spec.name for spec in package.definition.parameters]
    assert [spec.type for spec in first.definition.parameters] == [spec.type for spec in package.definition.parameters]
    assert [spec.min for spec in first.definition.parameters] == [spec.min for spec in package.definition.parameters]


@given(st.integers(0, 10**15))
def test_a_size_is_written_exactly(count: int) -> None:
    typed = sheet.blank()
    typed.texts["control.memory"] = sheet._size_text(count)
    reading = sheetreader.read(typed)
    assert (reading.definition.control.memory, reading.problems) == (count, [])


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("2 GiB", 2 << 30),
        ("500MB", 500_000_000),
        ("1 kB", 1000),
        ("1 KiB", 1024),
        ("7", 7),
        ("", 0),
        ("3 TB", 3 * 10**12),
    ],
)
def test_sizes_have_units(text: str, count: int) -> None:
    typed = sheet.blank()
    typed.texts["control.disk"] = text
    assert sheetreader.read(typed).definition.control.disk == count


def test_exit_statuses_that_are_no_failure_are_typed_one_a_line() -> None:
    typed = sheet.blank()
    typed.texts["control.statuses"] = "3 no counts in the region\n 7: too short \n\n"
    reading = sheetreader.read(typed)
    assert reading.problems == []
    assert reading.definition.control.statuses == {"3": "no counts in the region", "7": "too short"}
    shown = sheet.of_files(reading.files).texts["control.statuses"]
    assert shown == "3 no counts in the region\n7 too short"
    typed.texts["control.statuses"] = "3 one\n3 another"
    (problem,) = sheetreader.read(typed).problems
    assert str(problem) == "control.statuses: '3' is there twice"
    assert typed.control("control.statuses.300") == "control.statuses"


def test_what_a_definition_needs_is_typed_one_a_line() -> None:
    typed = sheet.blank()
    typed.texts["control.needs"] = "SAS_DIR The SAS is not installed.\nCALDB: There is no CALDB."
    reading = sheetreader.read(typed)
    assert reading.problems == []
    assert reading.definition.control.needs == {"SAS_DIR": "The SAS is not installed.", "CALDB": "There is no CALDB."}
    assert sheet.of_files(reading.files).texts["control.needs"].startswith("SAS_DIR The SAS is not")
    assert typed.control("control.needs.CALDB") == "control.needs"


@pytest.mark.parametrize(("kind", "text", "value"), [
    ("float", "100", 100), ("float", "1e3", 1000.0), ("float", "10 arcmin", "10 arcmin"), ("integer", "x", "x"),
    ("boolean", "true", True), ("boolean", "maybe", "maybe"), ("string", "12", "12"),
    ("string", " spaced ", " spaced "),
    ("float", "nan", "nan"), ("float", "1_000", "1_000"), ("choice", "strict\n", "strict"), ("string", "", None),
])  # fmt: skip
def test_a_default_has_the_type_of_its_parameter(kind: str, text: str, value: object) -> None:
    typed = sheet.Sheet(sheet.blank().texts, [{"name": "p", "type": kind, "default": text}])
    (spec,) = sheetreader.read(typed).definition.parameters
    assert (spec.default, type(spec.default)) == (value, type(value))


def test_several_values_stand_one_a_line() -> None:
    row = {"name": "p", "type": "float", "max_values": "3", "default": "1\n2.5\n", "test": "7 s\n8 s\n"}
    definition = sheetreader.read(sheet.Sheet(sheet.blank().texts, [row])).definition
    assert definition.parameters[0].default == (1, 2.5)
    assert definition.test == {"p": ("7 s", "8 s")}


@given(st.text(max_size=40) | st.from_regex(r"(parameters|results|test|control|script)[\[.:].{0,30}", fullmatch=True))
def test_any_place_has_a_control(place: str) -> None:
    typed = sheet.Sheet(sheet.blank().texts, [{"name": "p"}])
    assert isinstance(typed.control(place), str)


def test_rows_keep_the_order_of_their_numbers() -> None:
    typed = sheet.of_form({"parameters[10].name": ["c"], "parameters[2].name": ["b"], "parameters[0].name": ["a"]})
    assert [row["name"] for row in typed.parameters] == ["a", "b", "c"]
    with pytest.raises(BadRequest, match="501 came, at most 500 are allowed"):
        sheet.of_form({f"results[{i}].name": ["x"] for i in range(501)})
