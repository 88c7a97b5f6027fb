"""The log as JSON: every line an object, whatever it says, with the id of the job that it is about."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import requests

from joblab import Lab
from uws_server.cli import main
from uws_server.commands.logformat import JsonLine

ID = "0123456789abcdef0123456789abcdef"


def line(message: str, *arguments: object, exception: BaseException | None = None) -> dict[str, str]:
    about = (type(exception), exception, exception.__traceback__) if exception else None
    record = logging.LogRecord("uws.x", logging.ERROR, "", 1, message, arguments, about)
    text = JsonLine().format(record)
    assert "\n" not in text
    told: dict[str, str] = json.loads(text)
    return told


def test_a_line_has_time_level_logger_and_message() -> None:
    told = line("so much: %d", 3)
    assert told.pop("time").endswith("Z")
    assert told == {"level": "ERROR", "logger": "uws.x", "message": "so much: 3"}


@pytest.mark.parametrize(
    ("message", "arguments", "job"),
    [
        ("job %s: %s", (ID, "x"), ID),
        ("job %s %s: %s", ("dummy", ID, "ABORTED"), ID),
        ("%s %s", ("GET", f"/rest/a/{ID}/phase"), ID),
        ("%s", (f"/jobs/{ID}-{ID}/state",), ID),
        ("%s", (f"/store/{ID}/x.fits",), None),
        ("nothing", (), None),
        ("%s", (ID[:31],), None),
        ("%(a)s", ({"a": ID},), None),
    ],
)
def test_the_job_is_that_which_the_line_names(message: str, arguments: tuple[object, ...], job: str | None) -> None:
    assert line(message, *arguments).get("job") == job


def test_a_traceback_and_the_text_of_a_client_stay_in_the_line() -> None:
    try:
        raise ValueError("a\nb")
    except ValueError as error:
        told = line("failed at %s", '/x\n{"level": "INFO"}\x1b', exception=error)
    assert told["message"] == 'failed at /x\n{"level": "INFO"}\x1b'
    assert told["exception"].startswith("Traceback (most recent call last)")


def test_a_server_logs_nothing_but_objects(tmp_path: Path) -> None:
    lab = Lab(tmp_path, "")
    try:
        with lab.serving(log_format="json", logformat="x") as served:  # the second sets nothing, which the log says
            job = lab.run("fails")
            assert job.ended() == "ERROR"
            requests.get(f"{served.url}/rest/nothing", timeout=300)
        lines = [json.loads(text) for text in served.log.read_text(encoding="utf-8").splitlines()]
    finally:
        lab.close()
    assert {"INFO", "WARNING"} <= {told["level"] for told in lines}
    assert [told["message"].partition(": ")[0] for told in lines if told.get("job") == job.id] == [
        f"job fails {job.id}"
    ]


def test_a_wrong_format_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UWS_SERVER_LOG_FORMAT", "xml")
    assert main(["serve", "--data", str(tmp_path)]) == 2
    assert "text or json is expected" in capsys.readouterr().err
