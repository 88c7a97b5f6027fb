"""The process of the server: what it says when it starts, and when it cannot listen."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import requests

from serving import NEW, PROGRAM, running_server
from uws_server.cli import main
from uws_server.storage.files import JobFiles
from uwsjobs import create

STARTING = "Starting: the first start takes some seconds\n"


def refusal(folder: Path, capsys: pytest.CaptureFixture[str], host: str, port: int) -> str:
    """Return what `serve` says where it cannot listen."""
    assert main(["serve", "--data", str(folder), "--host", host, "--port", str(port)]) == 2
    return capsys.readouterr().err.removeprefix(STARTING)


def test_a_port_in_use_and_an_address_of_another_machine_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refusal(tmp_path, capsys, "127.0.0.1", port) == (
            f"uws-server: cannot listen on 127.0.0.1:{port}: Address already in use; --port 0 takes a free one\n"
        )
    elsewhere = refusal(tmp_path, capsys, "192.0.2.1", 0)  # RFC 5737: of no machine
    assert elsewhere.endswith("; --host is an address of this machine, or 0.0.0.0 for all\n")


def test_a_start_says_so_before_anything_that_takes_long(tmp_path: Path) -> None:
    """The line comes before the modules of the server are loaded: a process that cannot load them says it, too."""
    program = f"import sys; sys.modules['uws_server.server'] = None; {PROGRAM}"
    arguments = [sys.executable, "-c", program, "serve", "--data", str(tmp_path)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(STARTING)
    assert done.stdout == "", "the first line there is the address"


@pytest.mark.parametrize(("host", "base_url", "is_told"), [
    ("0.0.0.0", "", True), ("::", "", True), ("0.0.0.0", "https://x.org/uws", False), ("127.0.0.1", "", False),
])  # fmt: skip
def test_who_listens_everywhere_is_told_to_set_the_address(
    tmp_path: Path, host: str, base_url: str, is_told: bool
) -> None:
    with running_server(tmp_path, host=host, base_url=base_url) as served:
        log = served.log.read_text(encoding="utf-8")
    assert ("set base_url" in log) is is_told
    assert not is_told or served.url in log


def test_a_server_listens_before_it_has_found_the_jobs_that_were_running(tmp_path: Path) -> None:
    """Three jobs whose supervisors do not come: a server that waited for them first would not be there in time."""
    with running_server(tmp_path, loaded=NEW) as served:
        ids = [create(served.url)[-32:] for _ in range(3)]
        served.kill()
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as database, database:
        database.execute("update jobs set phase = 'EXECUTING', started = created, server = 'gone'")
    for job_id in ids:
        folder = JobFiles(tmp_path).folder(job_id)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "launch.json").write_text("{}", encoding="utf-8")
    patient = f"from uws_server.execution import adopting; adopting._CLAIM_WAIT_S = 600; {PROGRAM}"
    with running_server(tmp_path, program=patient, loaded=NEW) as served:
        for job_id in ids:
            assert requests.get(f"{served.url}/rest/dummy/{job_id}/phase", timeout=300).text == "EXECUTING"
        served.kill()
