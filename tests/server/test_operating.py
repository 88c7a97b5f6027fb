"""What docs/operating.md gives an operator, tried: the unit of systemd, and nginx in front of a real server."""

from __future__ import annotations

import configparser
import hashlib
import http.client
import os
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import requests

from accounts import account
from ports import free_port
from postgres import Cluster
from processes import until
from proxying import EXAMPLES, Proxy, program, replaced, running_proxy, session_from
from serving import SANDBOX, require_read, running_server
from uws_server import config
from uws_server.protocol import control
from uwsjobs import define

UNIT = EXAMPLES / "uws-server.service"
BIN = Path(sys.executable).parent
ENDED = ("COMPLETED", "ERROR", "ABORTED")
MOST_UPLOAD = 30_000_000
UPLOADS = 120


@pytest.fixture(scope="module")
def unit() -> configparser.ConfigParser:
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[assignment, method-assign]
    read.read(UNIT, encoding="utf-8")
    return read


@dataclass(frozen=True)
class Site:
    """A server behind the proxy, and its own address, which clients do not use."""

    proxy: Proxy
    direct: str
    data: Path


@contextmanager
def running_site(folder: Path) -> Iterator[Site]:
    """Run a server, and the proxy in front of it."""
    if program() is None:
        pytest.skip("no nginx: install the Debian package nginx")
    backend, front = free_port(), free_port()
    definitions = folder / "definitions"
    shutil.copytree(EXAMPLES.parents[1] / "job_definitions" / "dummy", definitions / "dummy")
    table = [{"name": "table", "type": "file"}]
    define(definitions, "sums", 'mkdir -p results; sha256sum < "$table" > results/out.txt', parameters=table)
    settings = {
        "base_url": f"https://localhost:{front}",
        "proxies": "127.0.0.1",
        "definitions": definitions,
        "max_upload": MOST_UPLOAD,
        "anonymous": "listed",
    }
    with (
        running_proxy(folder / "nginx", backend, front) as proxy,
        running_server(folder / "data", "--port", str(backend), **settings),
    ):
        yield Site(proxy, f"http://127.0.0.1:{backend}", folder / "data")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running


def create(session: requests.Session, url: str, **form: str) -> str:
    answer = session.post(url, data=form, allow_redirects=False, timeout=300)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


# --- the proxy -----------------------------------------------------------------------------------------------


def test_plain_http_is_sent_to_https(site: Site) -> None:
    answer = requests.post(f"{site.proxy.plain_url}/rest/dummy?a=b", allow_redirects=False, timeout=300)
    assert (answer.status_code, answer.headers["Location"]) == (308, "https://localhost/rest/dummy?a=b")


def test_addresses_and_cookies_are_those_of_the_site(site: Site) -> None:
    with site.proxy.session() as session:
        job = create(session, f"{site.proxy.url}/rest/dummy")
        assert job.startswith(f"{site.proxy.url}/rest/dummy/")
        assert session.get(f"{job}/phase", timeout=300).text == "PENDING"
        answer = session.post(f"{site.proxy.url}/signin", data={"name": "nobody", "token": "wrong"}, timeout=300)
        assert answer.status_code != 502
        assert all(cookie.secure for cookie in session.cookies)
        page = session.get(f"{site.proxy.url}/new/dummy", timeout=300)
        assert page.status_code == 200
        assert site.direct not in page.text


def test_an_upload_that_nginx_would_refuse_passes_whole(site: Site) -> None:
    content = os.urandom(1_000_000) * 20
    with site.proxy.session() as session:
        answer = session.post(
            f"{site.proxy.url}/rest/sums",
            data={"PHASE": "RUN"},
            files={"table": content},
            allow_redirects=False,
            timeout=300,
        )
        assert answer.status_code == 303, answer.text
        job = answer.headers["Location"]
        until(lambda: session.get(f"{job}/phase", timeout=300).text in ENDED, what="the job has ended")
        assert session.get(f"{job}/results/out", timeout=300).text.split()[0] == hashlib.sha256(content).hexdigest()


def test_a_body_that_is_too_large_is_refused_before_it_comes(site: Site) -> None:
    """A proxy that keeps bodies until they are whole would wait for it."""
    address = urlsplit(site.proxy.url)
    trusted = ssl.create_default_context(cafile=str(site.proxy.certificate))
    connection = http.client.HTTPSConnection("localhost", address.port, context=trusted, timeout=300)
    connection.putrequest("POST", "/rest/sums")
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", str(10**10))
    connection.endheaders()
    connection.send(b"--x\r\n")
    answer = connection.getresponse()
    sentence = answer.read().decode()
    assert (answer.status, "max_upload" in sentence or "30" in sentence) == (413, True), sentence
    connection.close()


def test_a_wait_is_not_cut(site: Site, tmp_path: Path) -> None:
    """The proxy waits for as long as that line of its site says, and nothing else cuts a wait."""
    patient, hurried = "proxy_read_timeout 330s;", "proxy_read_timeout 2s;"
    backend, front = int(site.direct.rpartition(":")[2]), free_port()
    with (
        running_proxy(tmp_path / "nginx", backend, front, {patient: hurried}) as proxy,
        site.proxy.session() as session,
        proxy.session() as cut,
    ):
        job = create(session, f"{site.proxy.url}/rest/dummy")
        there = job.replace(site.proxy.url, proxy.url)
        short, long = (cut.get(f"{there}?WAIT={seconds}", timeout=300) for seconds in (1, 4))
        assert (short.status_code, long.status_code) == (200, 504)
        answer = session.get(f"{job}?WAIT=4", timeout=300)
    assert answer.status_code == 200, answer.text
    assert "<uws:phase>PENDING</uws:phase>" in answer.text


def test_the_proxy_waits_longer_than_any_request() -> None:
    (seconds,) = (
        int(line.split()[1].removesuffix("s;"))
        for line in (EXAMPLES / "nginx.conf").read_text(encoding="utf-8").splitlines()
        if line.strip().startswith("proxy_read_timeout")
    )
    assert seconds > control._LONGEST_WAIT_S


def test_who_waits_hears_of_the_end_of_a_job(site: Site) -> None:
    with site.proxy.session() as session, site.proxy.session() as waiter, ThreadPoolExecutor(1) as thread:
        job = create(session, f"{site.proxy.url}/rest/dummy")
        waiting = thread.submit(waiter.get, f"{job}?WAIT=300&PHASE=PENDING", timeout=600)
        session.post(f"{job}/phase", data={"PHASE": "RUN"}, timeout=300)
        assert "<uws:phase>PENDING</uws:phase>" not in waiting.result(600).text


def test_a_log_comes_while_the_job_runs(site: Site) -> None:
    with site.proxy.session() as session:
        job = create(session, f"{site.proxy.url}/rest/dummy", PHASE="RUN", seconds="50")
        answer = session.get(f"{job}/log?OFFSET=0&WAIT=40", timeout=300)
        assert (answer.headers["X-Phase"], bool(answer.content)) == ("EXECUTING", True)
        session.post(f"{job}/phase", data={"PHASE": "ABORT"}, timeout=300)


def wrong_token(session: requests.Session, url: str, **headers: str) -> int:
    return session.get(f"{url}/rest/dummy", auth=("nobody", "wrong"), headers=headers, timeout=300).status_code


def test_the_address_of_a_client_is_that_which_the_proxy_saw(site: Site) -> None:
    """Wrong tokens count by address: what a client says that its address were changes nothing."""
    with site.proxy.session("127.0.0.5") as guesser, site.proxy.session("127.0.0.6") as other:
        forged = ({"X-Forwarded-For": f"10.0.0.{number}"} for number in range(60))
        assert 429 in [wrong_token(guesser, site.proxy.url, **headers) for headers in forged]
        assert wrong_token(other, site.proxy.url) == 401
        assert wrong_token(other, site.proxy.url, **{"X-Forwarded-For": "127.0.0.5"}) == 401


def test_only_the_proxy_is_believed(site: Site) -> None:
    with session_from("127.0.0.7") as guesser:
        forged = ({"X-Forwarded-For": f"10.0.0.{number}"} for number in range(60))
        assert 429 in [wrong_token(guesser, site.direct, **headers) for headers in forged]


def test_figures_are_for_the_machine_and_health_for_all(site: Site) -> None:
    with site.proxy.session() as session:
        assert session.get(f"{site.proxy.url}/health/ready", timeout=300).status_code == 200
        assert session.get(f"{site.proxy.url}/metrics", timeout=300).status_code in (401, 403)
    assert requests.get(f"{site.direct}/metrics", timeout=300).status_code == 200


def test_an_account_comes_through_the_proxy(site: Site) -> None:
    name, token = account(site.data, "ann")
    with site.proxy.session() as session:
        session.auth = (name, token)
        job = create(session, f"{site.proxy.url}/rest/dummy")
        assert "<uws:ownerId>ann</uws:ownerId>" in session.get(job, timeout=300).text


# --- the unit ------------------------------------------------------------------------------------------------


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze: install the Debian package systemd")
    text = UNIT.read_text(encoding="utf-8")
    here = {"/opt/uws-server/bin/": f"{BIN}/", "User=uws": "User=daemon", "Group=uws": "Group=daemon"}
    copy = tmp_path / "uws-server.service"
    copy.write_text(replaced(text, here), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    copy.write_text(replaced(text, here | {"KillMode=process": "KillMod=process"}), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    assert "KillMod" in done.stderr, "it would have told a mistake"


def test_the_configuration_is_one(unit: configparser.ConfigParser) -> None:
    settings = config.load(EXAMPLES / "uws-server.toml", {})
    assert settings.server.base_url == "https://uws.example.org"
    assert f"/var/lib/{unit['Service']['StateDirectory']}" == str(settings.folders.data)
    assert unit["Service"]["WorkingDirectory"] == str(settings.folders.data)


@contextmanager
def unit_started(unit: configparser.ConfigParser, folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """Start what the unit starts, with the configuration of the project but for places of this machine."""
    command = shlex.split(unit["Service"]["ExecStart"])
    assert Path(command[0]).name == "uws-server"
    assert command[-2:] == ["--config", "/etc/uws-server/uws-server.toml"]
    changed = {
        "data": folder / "data", "database": "", "archive": "", "port": port, "reserve": 0, "sandbox": SANDBOX,
        "base_url": f"http://127.0.0.1:{port}", "anonymous": "listed", "definitions": folder / "definitions",
    }  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UWS_SERVER_")}
    environment |= {f"UWS_SERVER_{key.upper()}": str(value) for key, value in changed.items()}
    process = subprocess.Popen(
        [str(BIN / "uws-server"), *command[1:-1], str(EXAMPLES / "uws-server.toml")],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        umask=int(unit["Service"]["UMask"], 8),
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Listening on ")
        yield process
    finally:
        process.terminate()
        process.wait(int(unit["Service"]["TimeoutStopSec"]))
        process.stdout.close()


def test_a_restart_of_the_unit_costs_no_job(unit: configparser.ConfigParser, tmp_path: Path) -> None:
    """systemd ends one process of the unit (KillMode): those of its jobs go on, and the next start finds them."""
    assert unit["Service"]["KillMode"] == "process"
    port, gate = free_port(), tmp_path / "gate"
    script = 'while [ ! -e "$gate" ]; do sleep 0.05; done; mkdir -p results'
    define(tmp_path / "definitions", "waits", script, parameters=[{"name": "gate", "type": "string"}])
    url = f"http://127.0.0.1:{port}"
    with requests.Session() as session:
        with unit_started(unit, tmp_path, port):
            running = create(session, f"{url}/rest/waits", PHASE="RUN", gate=str(gate))
            until(lambda: session.get(f"{running}/phase", timeout=300).text == "EXECUTING", what="it runs")
            drain = [str(BIN / "uws-server"), "jobs", "drain", "--why", "an upgrade", "--data", str(tmp_path / "data")]
            subprocess.run(drain, check=True, capture_output=True)
            queued = create(session, f"{url}/rest/waits", PHASE="RUN", gate=str(gate))
        session.close()
        with unit_started(unit, tmp_path, port):
            assert session.get(f"{running}/phase", timeout=300).text == "EXECUTING"
            assert session.get(f"{queued}/phase", timeout=300).text == "QUEUED"
            undrain = [str(BIN / "uws-server"), "jobs", "undrain", "--data", str(tmp_path / "data")]
            subprocess.run(undrain, check=True, capture_output=True)
            gate.touch()
            for job in (running, queued):
                until(lambda job=job: session.get(f"{job}/phase", timeout=300).text in ENDED, what="ended")  # type: ignore[misc]
                assert session.get(f"{job}/phase", timeout=300).text == "COMPLETED"
    assert [path for path in (tmp_path / "data").iterdir() if path.stat().st_mode & 0o077] == []


# --- the database --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_server_has_no_more_connections_than_the_page_says(postgres: Cluster, tmp_path: Path) -> None:
    """Not even when every thread that it has for uploads has read from the database."""
    page = (EXAMPLES.parents[1] / "docs" / "operating.md").read_text(encoding="utf-8")
    (most,) = (int(line.split("**")[1]) for line in page.splitlines() if "connections of one server" in line)
    with (
        postgres.lent_database() as url,
        running_server(tmp_path, database=url, max_running=4, anonymous="listed") as served,
    ):
        job = create(requests.Session(), f"{served.url}/rest/dummy")
        uploads = [begun_upload(job, f"127.0.1.{1 + number // 8}") for number in range(UPLOADS)]
        require_read(served.url)
        for upload in uploads:
            upload.sendall(bytes(100_000))
        assert {upload.recv(12) for upload in uploads} == {b"HTTP/1.1 400"}
        for upload in uploads:
            upload.close()
        with psycopg.connect(url) as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            (count,) = connection.execute(query).fetchone() or (0,)
    assert 50 < count - 1 <= most


def begun_upload(job: str, address: str) -> socket.socket:
    """A connection over which half of an upload for a job came: a parameter that it does not have."""
    server = urlsplit(job)
    upload = socket.create_connection((str(server.hostname), int(server.port or 80)), 300, (address, 0))
    body = b'--x\r\nContent-Disposition: form-data; name="none"; filename="a"\r\n\r\n' + bytes(100_000)
    head = f"POST {server.path} HTTP/1.1\r\nHost: {server.netloc}\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    upload.sendall(f"{head}Content-Length: {len(body) + 100_000}\r\n\r\n".encode() + body)
    return upload


def test_a_database_on_a_socket_is_found(postgres: Cluster) -> None:
    with postgres.lent_database() as url, socket.socket(socket.AF_UNIX) as probe:
        name = url.rpartition("/")[2]
        probe.connect(f"{postgres.folder}/.s.PGSQL.{postgres.port}")
        done = subprocess.run(
            [str(BIN / "uws-server"), "db", "upgrade"],
            env=os.environ
            | {"UWS_SERVER_DATABASE": f"postgresql://uws@/{name}?host={postgres.folder}&port={postgres.port}"},
            capture_output=True,
            text=True,
            check=False,
            cwd=postgres.folder,
        )
    assert done.returncode == 0, done.stderr
