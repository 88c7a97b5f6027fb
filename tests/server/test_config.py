"""The configuration: where a value comes from, what a size means, which mistakes are told."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from sqlalchemy import make_url

from uws_server.cli import _OneLine
from uws_server.config import PREFIX, Config, load
from uws_server.errors import ConfigurationError


def test_defaults_are_a_server_for_oneself() -> None:
    config = load(None, {})
    assert (config.host, config.port, config.archive, config.database) == ("127.0.0.1", 8080, None, "")
    assert config.max_running >= 1
    assert config.data == Path.cwd() / "uws-data"


def test_environment_wins_over_file_and_command_line_over_both(tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    file.write_text('port = 1001\nhost = "10.0.0.1"\nkeep_days = 3\n', encoding="utf-8")
    environment = {"UWS_SERVER_PORT": "1002", "UWS_SERVER_HOST": "10.0.0.2", "PORT": "9"}
    config = load(file, environment, port=1003, host=None)
    assert (config.port, config.host, config.keep_days) == (1003, "10.0.0.2", 3)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Config)])
def test_every_key_can_be_set_by_its_variable(name: str, tmp_path: Path) -> None:
    kind = get_type_hints(Config)[name]
    text = {"destroyed": "record", "proxies": "10.0.0.1, ::1"}.get(name, "http://x.org")
    given, expected = {int: ("7", 7), str: (text, text)}.get(kind, (str(tmp_path), tmp_path))
    config = load(None, {PREFIX + name.upper(): given})
    assert getattr(config, name) == expected
    others = {field.name for field in dataclasses.fields(Config)} - {name}
    assert all(getattr(config, other) == getattr(load(None, {}), other) for other in others)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2000", 2000),
        (2000, 2000),
        (" 2 GB ", 2_000_000_000),
        ("2G", 2_000_000_000),
        ("1.5 MB", 1_500_000),
        ("64 kB", 64_000),
        ("64 KB", 64_000),
        ("2 GiB", 2 * 1024**3),
        ("1 TiB", 1024**4),
        ("500 B", 500),
        ("123456789012345", 123456789012345),
    ],
)
def test_sizes(text: object, size: int) -> None:
    assert load(None, {}, max_upload=text).max_upload == size


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("max_upload", "lots", "a whole number or a size such as '2 GB'"),
        ("max_upload", "-1", "a whole number"),
        ("max_upload", "9" * 400, "a whole number"),
        ("max_upload", "9" * 18 + " TB", "1 to 1000000000000000 is allowed"),
        ("max_upload", True, "a whole number"),
        ("max_upload", "1e9", "a whole number"),
        ("max_upload", "٣", "a whole number"),
        ("port", "80.5", "a whole number"),
        ("port", 65536, "0 to 65535"),
        ("max_running", 0, "1 to"),
        ("max_duration", 0, "1 to"),
        ("keep_days", 10**6, "1 to 36500"),
        ("data", "", "the path of a folder is expected"),
        ("data", 5, "text is expected"),
        ("archive", ["a"], "text is expected"),
        ("host", {"a": 1}, "text is expected"),
        ("base_url", "x.org/uws", "an address such as https://x.org/uws is expected"),
        ("base_url", "https://", "an address such as"),
        ("base_url", "https://x.org/uws?a=b", "an address such as"),
        ("base_url", "https://x.org/uws\n", "an address such as"),
        ("destroyed", "recrod", "nothing or record is expected"),
        ("destroyed", "", "nothing or record is expected"),
        ("proxies", "proxy.x.org", "IP addresses with commas"),
        ("proxies", "127.0.0.1 ::1", "IP addresses with commas"),
        ("proxies", "10.0.0.0/8", "IP addresses with commas"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(name: str, value: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(None, {}, **{name: value})
    assert str(caught.value).startswith(f"{name} = ")
    assert said in str(caught.value)


def test_an_unknown_key_is_told_with_those_there_are(tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    file.write_text("max_uplaod = 5\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"unknown key 'max_uplaod'.*max_upload"):
        load(file, {})


@pytest.mark.parametrize("content", [b"port = ", b"\xff\xfe", b"port = 1\nport = 2\n"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "server.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is not TOML"):
        load(file, {})


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigurationError, match="cannot read the configuration"):
            load(path, {})


def test_paths_do_not_depend_on_where_a_job_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    config = load(None, {}, data="here", archive="~/lists", definitions="")
    assert (config.data, config.archive) == (tmp_path / "here", tmp_path / "home/lists")
    assert config.definitions is None


@pytest.mark.parametrize("name", ["plain", "with blank", "é#%20@:&=", "what?mode=memory"])
def test_the_database_lies_in_the_data_folder_whatever_its_name(tmp_path: Path, name: str) -> None:
    config = load(None, {}, data=tmp_path / name)
    assert make_url(config.database_url()).database == str(tmp_path / name / "jobs.sqlite")
    assert load(None, {}, database="postgresql://h/d").database_url() == "postgresql://h/d"


def test_no_text_of_a_client_looks_like_a_line_of_the_log() -> None:
    path = "/a\n2026-11-20 INFO forged\x1b[2J é"
    record = logging.LogRecord("uws", logging.ERROR, "", 1, "error at %s", (path,), None)
    line = _OneLine("%(levelname)s: %(message)s").format(record)
    assert line == r"ERROR: error at /a\n2026-11-20 INFO forged\x1b[2J é"
