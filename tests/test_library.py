"""The folder of job definitions: what is installed, and that a broken one harms no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from uws_server.errors import ConfigurationError, DefinitionError, NotFound
from uws_server.jobs.definition import Definition
from uws_server.jobs.library import Library
from uws_server.jobs.parameters import TYPES, check_defaults
from uws_server.resources import definitions_folder


def install(folder: Path, name: str, /, **changes: object) -> Path:
    place = folder / name
    place.mkdir(parents=True)
    document = {"name": name, "version": "1", "title": name, "entry": {"type": "shell", "script": "run.sh"}, **changes}
    (place / "job.json").write_text(json.dumps(document), encoding="utf-8")
    (place / "run.sh").write_text("true\n", encoding="utf-8")
    return place


def check(definition: Definition) -> None:
    check_defaults(definition, TYPES)


def test_definitions_are_found_by_name(tmp_path: Path) -> None:
    install(tmp_path, "b")
    place = install(tmp_path, "a")
    (place / "README.md").write_text("# Ä\n", encoding="utf-8")
    (tmp_path / "notes").mkdir()
    (tmp_path / "README.md").write_text("no definition", encoding="utf-8")
    library = Library(tmp_path, check)
    assert [installed.definition.name for installed in library] == ["a", "b"]
    assert list(library.by_name()) == ["a", "b"]
    assert library.get("a").script == place / "run.sh"
    assert (library.get("a").readme(), library.get("b").readme()) == ("# Ä\n", "")
    assert library.problems == {}


@pytest.mark.parametrize("name", ["c", "", "A", "../a", "x" * 5000])
def test_an_unknown_name_is_answered_with_those_there_are(tmp_path: Path, name: str) -> None:
    install(tmp_path, "a")
    with pytest.raises(NotFound, match="there are a") as caught:
        Library(tmp_path, check).get(name)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "other"}, "'other' is not the name of its folder, 'bad'"),
        ({"entry": {"type": "shell", "script": "gone.sh"}}, "there is no 'gone.sh' beside it"),
        ({"parameters": [{"name": "x_a", "type": "quark"}]}, "unknown type 'quark'; known are string"),
        ({"parameters": [{"name": "x_a", "type": "integer", "max": 3, "default": 4}]}, "its own default is refused"),
        ({"parameters": [{"name": "x_a", "type": "choice", "options": ["1"], "default": 2}]}, "its own default"),
        ({"parameters": [{"name": "x_a", "type": "string", "default": "\0"}]}, "its own default"),
        ({"version": None}, "version"),
    ],
)
def test_a_broken_definition_is_left_out_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, object], said: str
) -> None:
    install(tmp_path, "bad", **changes)
    install(tmp_path, "good")
    library = Library(tmp_path, check)
    assert list(library.by_name()) == ["good"]
    assert said in library.problems["bad"]
    assert said in caplog.text


@pytest.mark.parametrize("content", [b"\xff", b"{", b"[]", b"[" * 100_000])
def test_a_definition_that_cannot_be_read_is_left_out(tmp_path: Path, content: bytes) -> None:
    place = install(tmp_path, "bad")
    (place / "job.json").write_bytes(content)
    assert "bad/job.json" in Library(tmp_path, check).problems["bad"]


def test_a_required_parameter_needs_no_default(tmp_path: Path) -> None:
    install(tmp_path, "a", parameters=[{"name": "x_a", "type": "integer", "min": 5, "required": True}])
    assert Library(tmp_path, check).problems == {}


def test_a_check_that_finds_something_leaves_the_definition_out(tmp_path: Path) -> None:
    def refuse(definition: Definition) -> None:
        raise DefinitionError(f"{definition.name}: not here")

    install(tmp_path, "a")
    assert Library(tmp_path, refuse).problems == {"a": "a: not here"}


def test_a_folder_that_is_not_there_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no such folder"):
        Library(tmp_path / "none", check)


def test_scripts_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "definitions", "a")
    monkeypatch.chdir(tmp_path)
    library = Library(Path("definitions"), check)
    monkeypatch.chdir("/")
    assert library.get("a").script.is_file()


def test_what_comes_with_the_server_has_no_problem_but_types_of_the_services() -> None:
    def check_what_is_known_here(definition: Definition) -> None:
        known = {**TYPES, **dict.fromkeys(("region", "file", "eventlist"), TYPES["string"])}
        check_defaults(definition, known)

    library = Library(definitions_folder(), check_what_is_known_here)
    assert library.problems == {}
    assert "dummy" in library.by_name()
    assert all(installed.script.is_file() for installed in library)
