"""The command `uws-server run`, as a person or a script types it: against a real server, and against a foreign UWS."""

from __future__ import annotations

import contextlib
import http.server
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests

from checkout import ROOT
from processes import until
from reduction.simulate import simulate, small
from serving import COMMAND, Served, running_server
from uws_server import client
from uws_server.commands.run import interruptible
from uwsjobs import phase, reached, write_definitions

TOGETHER = """
{"name": "together", "version": "1", "title": "Together", "entry": {"type": "shell", "script": "run.sh"},
 "parameters": [{"name": "word", "type": "string", "max_values": 5}, {"name": "part", "type": "file", "max_values": 5}],
 "results": [{"name": "all", "file": "all.txt", "mime": "text/plain"}]}
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("run")
    (root / "definitions").mkdir()
    definitions = write_definitions(root / "definitions")
    (definitions / "together").mkdir()
    (definitions / "together/job.json").write_text(TOGETHER)
    script = 'echo "$word" > $all\nwhile read -r f; do cat "$f" >> $all; done <<< "$part"\n'
    (definitions / "together/run.sh").write_text(script)
    with running_server(root / "data", definitions=definitions) as server:
        yield server


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = os.environ | {"PYTHONPATH": ":".join(sys.path)} | environment
    return subprocess.run(
        [*COMMAND, "run", *arguments], capture_output=True, text=True, env=given, check=False, timeout=300
    )


def test_without_waiting_the_address_of_the_job_is_printed(served: Served) -> None:
    done = run("dummy", "text=some words", "RUNID=mine", "--server", f"{served.url}/")
    assert (done.returncode, done.stderr) == (0, "")
    address = done.stdout.strip()
    assert address.startswith(f"{served.url}/rest/dummy/")
    assert reached(address, "COMPLETED") == "COMPLETED"
    assert requests.get(f"{address}/results/result", timeout=300).text == "some words\n"
    assert "<uws:runId>mine</uws:runId>" in requests.get(address, timeout=300).text


def test_results_are_downloaded_and_progress_goes_to_the_errors(served: Served, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "products"
    done = run(f"{served.url}/rest/dummy", "seconds=6", "--download", str(folder))
    assert done.returncode == 0, done.stderr
    assert (folder / "result.txt").read_text() == "hello\n"
    assert sorted(path.name for path in folder.iterdir()) == ["job.log", "result.txt"]
    assert f"{folder / 'result.txt'}  6 bytes" in done.stdout.splitlines()
    assert re.search(r"^\[#+\.+\] [1-4]/5 +Working$", done.stderr, re.MULTILINE)
    assert re.search(r"^COMPLETED after \d", done.stderr, re.MULTILINE)


def test_the_command_that_readme_shows(served: Served, tmp_path: Path) -> None:
    found = re.search(r"^    uws-server run (spectrum .*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert found is not None, "README shows no `uws-server run spectrum ...`"
    simulate(small(), tmp_path, cameras=("EPN",))
    command = [*COMMAND, "run", *shlex.split(found[1]), "--server", served.url]
    environment = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=300)
    assert (tmp_path / "products/source_spectrum.fits").read_bytes().startswith(b"SIMPLE")


def test_values_may_come_after_options(served: Served) -> None:
    done = run("dummy", "--server", served.url, "text=late", "--wait", "RUNID=after")
    assert done.returncode == 0, done.stderr
    assert requests.get(f"{done.stdout.split()[0]}/parameters/text", timeout=300).text == "late"
    refused = run("dummy", "--wait", "text=late", "--nothing")
    assert (refused.returncode, "unrecognized arguments: text=late --nothing" in refused.stderr) == (2, True)


def test_several_values_and_files_of_one_parameter(served: Served, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"in {name}\n")
    done = run("together", "word=first", "word=@@second", f"part=@{tmp_path}/one", "--upload", f"part={tmp_path}/two",
               "--server", served.url, "--download", str(tmp_path / "out"))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/all.txt").read_text() == "first\n@second\nin one\nin two\n"


def test_a_job_that_fails_is_the_exit_status_and_the_message(served: Served, tmp_path: Path) -> None:
    done = run("dummy", "fail=yes", "--server", served.url, "--download", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "uws-server: the job ended in ERROR: fail: the job was asked to fail"
    assert (tmp_path / "job.log").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["dummy", "seconds=many"], "seconds: 'many' is not a number"),
        (["nothing"], "no job definition 'nothing'"),
        (["dummy", "text"], "'text' came; KEY=VALUE is expected"),
        (["dummy", "text=@/nowhere/at/all"], "text: there is no file /nowhere/at/all"),
        (["dummy", "--account", "ann"], "--account came without a token"),
        (["dummy", "--token-file", "x"], "--token-file came without --account"),
        (["ftp://x.org/rest/dummy"], "is no http or https address"),
        (["dummy", "text=x", "--download", __file__], f"--download {__file__}: this is a file; a folder is expected"),
        (["together", f"part={__file__}"], f"part={__file__} names a file that is here: part=@{__file__} uploads it"),
    ],
)
def test_what_cannot_be_asked_is_told(served: Served, arguments: list[str], sentence: str) -> None:
    done = run(*arguments, "--server", served.url, UWS_TOKEN="")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_may_be_named_by_the_address_above_its_job_lists(served: Served) -> None:
    done = run("dummy", "text=x", "--server", f"{served.url}/rest/")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{served.url}/rest/dummy/")


def test_an_address_without_http_is_told_with_it() -> None:
    done = run("dummy", "--server", "127.0.0.1:9")
    assert done.returncode == 2
    assert done.stderr == "uws-server: '127.0.0.1:9' is no http or https address; did you mean http://127.0.0.1:9?\n"


def test_a_server_that_is_not_there() -> None:
    done = run("dummy", "--server", "http://127.0.0.1:9")
    assert done.returncode == 2
    assert done.stderr == "uws-server: no answer from http://127.0.0.1:9/rest/dummy: Connection refused\n"


def test_help_tells_of_files_and_exit_statuses() -> None:
    done = run("--help")
    assert done.returncode == 0
    for word in ("KEY=@FILE", "exit status", "UWS_TOKEN", "--download DIR"):
        assert word in done.stdout


def test_an_account_shows_its_token(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made = subprocess.run(
        [*COMMAND, "accounts", "add", "ann", "--data", str(data)], capture_output=True, text=True, check=True
    )
    name, token = made.stdout.split()
    (tmp_path / "token").write_text(f"{token}\n")
    with running_server(data, anonymous="refused") as server:
        refused = run("dummy", "--server", server.url)
        assert (refused.returncode, "this server is for accounts" in refused.stderr) == (2, True)
        wrong = run("dummy", "--server", server.url, "--account", name, UWS_TOKEN="x" * 20)
        assert wrong.returncode == 2
        for given in ({"UWS_TOKEN": token}, {}):
            file = [] if given else ["--token-file", str(tmp_path / "token")]
            out = tmp_path / f"out{len(given)}"
            done = run("dummy", "--server", server.url, "--account", name, *file, "--download", str(out), **given)
            assert done.returncode == 0, done.stderr
            assert (out / "result.txt").read_text() == "hello\n"


# --- Ctrl-C --------------------------------------------------------------------------------------------


def test_after_ctrl_c_a_script_is_told_how_to_end_the_job(served: Served) -> None:
    process = subprocess.Popen(
        [*COMMAND, "run", "dummy", "seconds=600", "EXECUTIONDURATION=0", "--wait", "--server", served.url],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    reached(address, "EXECUTING")
    assert process.stderr is not None and process.stderr.readline(), "it follows the job"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == f"The job goes on. To end it: curl -d PHASE=ABORT {address}/phase"
    assert phase(address) == "EXECUTING"
    client.set_phase(address, "ABORT")
    reached(address, "ABORTED")


@pytest.mark.parametrize(("answer", "ended"), [("y", True), ("", False)])
def test_after_ctrl_c_a_person_is_asked(served: Served, answer: str, ended: bool) -> None:
    here, there = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "run", "dummy", "seconds=600", "EXECUTIONDURATION=0", "--wait", "--server", served.url],
        stdin=there, stdout=there, stderr=there, start_new_session=True,
    )  # fmt: skip
    os.close(there)
    seen = bytearray()
    threading.Thread(target=_copy, args=(here, seen), daemon=True).start()
    until(lambda: b"1/5" in seen, what="the bar shows a stage")
    assert re.search(rb"\r\[#+\.+\] \d:\d\d 1/5 +Working", bytes(seen))
    address = seen.split()[0].decode()
    process.send_signal(signal.SIGINT)
    until(lambda: b"[y/N]" in seen, what="it asks")
    os.write(here, f"{answer}\n".encode())
    assert process.wait(300) == 130
    until(lambda: (b"The job was aborted" if ended else b"The job goes on") in seen)
    if ended:
        reached(address, "ABORTED")
    else:
        assert phase(address) == "EXECUTING"
        client.set_phase(address, "ABORT")
    os.close(here)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_while_python_runs_a_finalizer_is_not_lost() -> None:
    class Finalized:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)  # where the signal is handled

    with interruptible() as check:
        check()
        Finalized()
        with pytest.raises(KeyboardInterrupt):
            check()


def _copy(descriptor: int, into: bytearray) -> None:
    with contextlib.suppress(OSError):  # the other side was closed
        while piece := os.read(descriptor, 4096):
            into += piece


# --- another server ------------------------------------------------------------------------------------


class _Foreign(http.server.BaseHTTPRequestHandler):
    """A UWS 1.0 in other clothes: ignores PHASE in the first request and WAIT, addresses are relative, names odd."""

    def do_POST(self) -> None:
        sent = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        log: list[Any] = self.server.log  # type: ignore[attr-defined]
        log.append((self.path, sent))
        self.send_response(303)
        self.send_header("Location", "/uws/jobs/7")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        log: list[Any] = self.server.log  # type: ignore[attr-defined]
        started = any(path.endswith("/phase") for path, _ in log)
        log.append((self.path, None))
        if self.path.startswith("/files/"):
            self.answer(f"content of {self.path}".encode(), self.path.rpartition("/")[2])
            return
        polls = sum(path.startswith("/uws/jobs/7") for path, _ in log)
        now = "PENDING" if not started else "EXECUTING" if polls < 5 else "COMPLETED"
        links = "".join(f'<uws:result id="{name}" xlink:href="/files/{name}"/>' for name in ("a", "b", "c"))
        self.answer(
            '<uws:job xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0" xmlns:xlink="http://www.w3.org/1999/xlink">'
            f"<uws:jobId>7</uws:jobId><uws:phase>{now}</uws:phase><uws:results>{links}</uws:results></uws:job>".encode()
        )

    def answer(self, content: bytes, name: str = "") -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        if name:
            odd = {"a": "../../up.txt", "b": "..\\..\\.hidden", "c": "../../up.txt"}[name]
            self.send_header("Content-Disposition", f'attachment; filename="{odd}"')
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def foreign() -> Iterator[tuple[str, list[Any]]]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Foreign) as server:
        server.log = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/uws/jobs", server.log  # type: ignore[attr-defined]
        server.shutdown()


def test_any_uws_will_do_and_files_stay_in_the_folder(foreign: tuple[str, list[Any]], tmp_path: Path) -> None:
    url, log = foreign
    folder = tmp_path / "deep" / "down"
    done = run(url, "LANG=ADQL", "x=1", "x=2", "--download", str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"{url}/7"
    posted = [(path, sent) for path, sent in log if sent is not None]
    assert posted == [
        ("/uws/jobs", {"LANG": ["ADQL"], "x": ["1", "2"], "PHASE": ["RUN"]}),
        ("/uws/jobs/7/phase", {"PHASE": ["RUN"]}),
    ]
    texts = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert sorted(texts.values()) == [f"content of /files/{name}" for name in "abc"]
    assert all(re.fullmatch(r"deep/down/[A-Za-z_][\w.]*", name) for name in texts), texts


def test_an_address_that_is_no_job_list(foreign: tuple[str, list[Any]]) -> None:
    url, _ = foreign
    done = run(url.replace("/uws/jobs", "/files/a"), "--wait")
    assert done.returncode == 2 or "Traceback" not in done.stderr
    with pytest.raises(client.ClientError, match="is no job of a UWS"):
        client.state(url.replace("/uws/jobs", "/files/a"))


def test_a_download_that_breaks_off_leaves_no_half_file(tmp_path: Path) -> None:
    class Short(_Foreign):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Short) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        result = client.RemoteResult("a", f"http://127.0.0.1:{server.server_address[1]}/files/a", None)
        with pytest.raises(client.ClientError, match="could not be fetched"):
            client.download(result, tmp_path)
        server.shutdown()
    assert list(tmp_path.iterdir()) == []
