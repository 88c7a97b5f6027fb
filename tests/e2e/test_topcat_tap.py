"""TOPCAT's own window asks our TAP: a person's clicks, made by a small program in the process of TOPCAT."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from checkout import ROOT
from obscorerows import fill, made_up
from serving import running_server
from uws_server.storage.jobstore import JobStore

pytestmark = pytest.mark.slow

JAR = Path("/usr/share/java/starlink-topcat.jar")


@pytest.fixture
def display() -> Iterator[str]:
    """A display of its own."""
    if not (JAR.exists() and shutil.which("Xvfb") and shutil.which("javac")):
        pytest.skip("no TOPCAT, Xvfb or javac: apt-get install topcat xvfb default-jdk-headless")
    reader, writer = os.pipe()
    quiet = subprocess.DEVNULL
    command = ["Xvfb", "-displayfd", str(writer), "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=(writer,), stdout=quiet, stderr=quiet) as process:
        os.close(writer)
        with os.fdopen(reader) as number:
            yield f":{number.readline().strip()}"
        process.send_signal(signal.SIGTERM)


def test_the_window_of_topcat_loads_the_rows_of_a_query(display: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    store = JobStore(f"sqlite:///{data / 'jobs.sqlite'}")
    fill(store.engine, 500)
    store.close()
    wanted = max((row for rows in made_up(500) for row in rows), key=lambda row: float(row["s_dec"]))
    query = "SELECT TOP 7 obs_id, s_dec, target_name FROM ivoa.obscore ORDER BY s_dec DESC"
    lock = tmp_path / "no-hub"
    environment = {**os.environ, "DISPLAY": display, "SAMP_HUB": f"std-lockurl:file://{lock}"}
    with running_server(data) as served:
        command = [
            "java",
            f"-Duser.home={tmp_path}",
            "-cp",
            str(JAR),
            str(ROOT / "tests" / "support" / "TapWindow.java"),
        ]
        done = subprocess.run(
            [*command, f"{served.url}/tap", query], env=environment, capture_output=True, text=True, timeout=600
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rows 7 columns 3\n" in done.stdout
    assert f"column s_dec {wanted['s_dec']}\n" in done.stdout
    assert f"column target_name {wanted['target_name']}\n" in done.stdout
