"""The configuration: where a value comes from, what a size means, which mistakes are told."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from uws_server.commands.logformat import OneLine
from uws_server.config import PREFIX, Config, Names, load, settings
from uws_server.errors import ConfigurationError


def value_of(config: Config, name: str) -> Any:
    return getattr(getattr(config, settings()[name].group), name)


def test_defaults_are_a_server_for_oneself() -> None:
    config = load(None, {})
    folders = config.folders
    assert (config.server.host, config.server.port) == ("127.0.0.1", 8080)
    assert (folders.archive, folders.database) == (None, "")
    assert config.jobs.max_running >= 1
    assert folders.data == Path.cwd() / "uws-data"


def test_environment_wins_over_file_and_command_line_over_both(tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    file.write_text('port = 1001\nhost = "10.0.0.1"\nkeep_days = 3\n', encoding="utf-8")
    environment = {"UWS_SERVER_PORT": "1002", "UWS_SERVER_HOST": "10.0.0.2", "PORT": "9"}
    config = load(file, environment, port=1003, host=None)
    assert (config.server.port, config.server.host, config.jobs.keep_days) == (1003, "10.0.0.2", 3)


@pytest.mark.parametrize("name", settings())
def test_every_key_can_be_set_by_its_variable(name: str, tmp_path: Path) -> None:
    chosen = {"destroyed": "record", "metrics": "admins", "log_format": "json", "execution": "slurm",
              "contact_email": "help@x.org", "registered": "2026-11-29"}  # fmt: skip
    text = chosen.get(name, "http://x.org")
    listed = ("10.0.0.1, ::1", ("10.0.0.1", "::1"))
    if name == "group_roles":
        listed = ("a=b, c d=e", ("a=b", "c d=e"))
    if name == "surveys":
        listed = ("DSS2 red https://x.org/a/, b http://y.org:81", ("DSS2 red https://x.org/a/", "b http://y.org:81"))
    kinds = {bool: ("false", False), int: ("7", 7), str: (text, text), Names: listed}
    given, expected = kinds.get(settings()[name].kind, (str(tmp_path), tmp_path))
    config = load(None, {PREFIX + name.upper(): given})
    assert value_of(config, name) == expected
    others = settings().keys() - {name}
    assert all(value_of(config, other) == value_of(load(None, {}), other) for other in others)


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
    assert load(None, {}, max_upload=text).server.max_upload == size


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
        ("keep_days", -1, "a whole number is expected, 1 to 36500"),
        ("max_duration", "2 GB", "a whole number is expected, 1 to"),
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
        ("proxies", ["127.0.0.1", "10.0.0.0/8"], "IP addresses with commas"),
        ("url_hosts", ["x.org", 5], "a list of texts"),
        ("url_hosts", 5, "a list of texts"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(name: str, value: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(None, {}, **{name: value})
    assert str(caught.value).startswith(f"{name} = ")
    assert said in str(caught.value)


def test_keys_stand_in_tables_or_as_in_version_0_1_0_in_none(tmp_path: Path) -> None:
    today = """[server]\nport = 1001\nproxies = ["127.0.0.1", "::1"]\n[remote]\nurl_hosts = ["*.x.org", "y.org:8443"]\n
               [jobs]\nkeep_days = 3\nenvironment = []\n"""
    then = (
        'port = 1001\nproxies = "127.0.0.1, ::1"\nurl_hosts = "*.x.org, y.org:8443"\nkeep_days = 3\nenvironment = ""\n'
    )
    read = []
    for name, text in (("today.toml", today), ("then.toml", then)):
        (tmp_path / name).write_text(text, encoding="utf-8")
        read.append(load(tmp_path / name, {}))
    assert read[0] == read[1]
    assert (read[0].server.proxies, read[0].remote.url_hosts) == (("127.0.0.1", "::1"), ("*.x.org", "y.org:8443"))
    assert (read[0].jobs.keep_days, read[0].jobs.environment) == (3, ())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[jobs]\nport = 1\n", r"port stands in \[jobs\]; its table is \[server\]"),
        ("port = 1\n[server]\nport = 1\n", r"port is set twice, once in \[server\] and once in no table"),
        ("[server]\nprot = 1\n", r"unknown key 'prot'; did you mean port\? the keys of \[server\] are host, port, "),
        ("[server]\nkeep_dys = 1\n", r"unknown key 'keep_dys'; did you mean keep_days in \[jobs\]\? the keys of"),
        ("max-running = 1\n", r"unknown key 'max-running'; did you mean max_running in \[jobs\]\? the keys are host, "),
        ("[jobs.deep]\na = 1\n", r"unknown key 'deep'; the keys of \[jobs\] are max_running, "),
        ("[sever]\nport = 1\n", r"unknown table \[sever\]; did you mean \[server\]\? the tables are server, folders, "),
        ("[Jobs]\nport = 1\n", r"unknown table \[Jobs\]; did you mean \[jobs\]\?"),
        ("server = 1\n", r"server is a table: write \[server\], once, and its keys below it"),
        ("[[server]]\nport = 1\n", r"server is a table: write \[server\], once"),
        ("[server.port]\na = 1\n", "port = {'a': 1}: a whole number"),
    ],
)
def test_a_key_in_the_wrong_place_is_told(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "server.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=problem):
        load(tmp_path / "server.toml", {})


def test_a_wrong_value_is_told_with_the_place_it_came_from(tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    file.write_text("[server]\nport = 'x'\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=f"^{file}: port = 'x': a whole number is expected"):
        load(file, {})
    with pytest.raises(ConfigurationError, match=r"^UWS_SERVER_PORT = 'y': a whole number is expected"):
        load(file, {"UWS_SERVER_PORT": "y"})
    assert load(file, {"UWS_SERVER_PORT": "y"}, port=1).server.port == 1


def test_a_variable_that_sets_nothing_is_told_and_hinders_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert load(None, {"UWS_SERVER_KEEP_DYS": "3", "UWS_SERVER_Q": "", "UWS_TOKEN": "t"}) == load(None, {})
    assert caplog.messages == [
        "UWS_SERVER_KEEP_DYS sets nothing; did you mean UWS_SERVER_KEEP_DAYS?", "UWS_SERVER_Q sets nothing",
    ]  # fmt: skip


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
    assert (config.folders.data, config.folders.archive) == (tmp_path / "here", tmp_path / "home/lists")
    assert config.folders.definitions is None


@pytest.mark.parametrize("name", ["plain", "with blank", "é#%20@:&=", "what?mode=memory"])
def test_the_database_lies_in_the_data_folder_whatever_its_name(tmp_path: Path, name: str) -> None:
    config = load(None, {}, data=tmp_path / name)
    assert make_url(config.database_url()).database == str(tmp_path / name / "jobs.sqlite")
    assert load(None, {}, database="postgresql://h/d").database_url() == "postgresql://h/d"


def test_no_text_of_a_client_looks_like_a_line_of_the_log() -> None:
    path = "/a\n2026-11-20 INFO forged\x1b[2J é"
    record = logging.LogRecord("uws", logging.ERROR, "", 1, "error at %s", (path,), None)
    line = OneLine("%(levelname)s: %(message)s").format(record)
    assert line == r"ERROR: error at /a\n2026-11-20 INFO forged\x1b[2J é"


@pytest.mark.parametrize(
    "text", ["https://x.org/a", "DSS2", "a ftp://x.org", "a https://x.org/'; script-src *", "a //x.org"]
)
def test_a_survey_is_a_name_and_an_address(text: str) -> None:
    """What stands in a policy is checked: an address must not end it and begin another rule."""
    with pytest.raises(ConfigurationError, match="a name and an address"):
        load(None, {f"{PREFIX}SURVEYS": text})
