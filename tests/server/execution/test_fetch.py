"""URLs that jobs name: which are allowed, and that fetching keeps to it whatever a server or a name says.

The servers are real ones on this machine, at an address that only `private` opens.
"""

from __future__ import annotations

import http.server
import ipaddress
import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from serving import running_server
from uws_server.config import Config
from uws_server.execution import fetch
from uws_server.execution.fetch import Refused, Rules, is_public
from uws_server.jobs.job import Job, ParameterValue, new_id, utcnow
from uws_server.jobs.phases import Phase
from uwsjobs import change, create, define, reached

CONTENT = bytes(range(256)) * 4000
RULES = Rules(("https",), ("*.esac.esa.int", "x.org:8443", "any.org:*", "[2001:db8::1]"))


class Answers(http.server.BaseHTTPRequestHandler):
    """Files, redirections, and answers that are wrong in one way each."""

    def do_GET(self) -> None:
        name, _, rest = self.path.removeprefix("/").partition("/")
        match name:
            case "file":
                self.answer(200, CONTENT, {"Content-Length": str(len(CONTENT))})
            case "unannounced":
                self.answer(200, CONTENT, {})
            case "short":
                self.answer(200, b"begin", {"Content-Length": "500"})
            case "to":
                self.answer(302, b"", {"Location": rest})
            case "ring":
                self.answer(307, b"", {"Location": "/ring"})
            case "echo":
                sent = f"{self.requestline}\n{self.headers}".encode()
                self.answer(200, sent, {"Content-Length": str(len(sent))})
            case "nonsense":
                self.wfile.write(b"no HTTP\r\n\r\n")
            case _:
                self.answer(404, b"", {})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Tests print nothing."""


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server on 127.0.0.1 that answers as above."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as found:
        yield found


def item(url: str, **other: Any) -> dict[str, Any]:
    rules = {"schemes": ["http", "https"], "hosts": ["localhost:*", "127.0.0.1:*"], "private": ["localhost:*"]}
    return {"name": "table", "url": url, "place": "inputs/table-a.fits", "most": 10**9, **rules, **other}


def refusal(folder: Path, url: str, **other: Any) -> str:
    """Why a URL is not fetched; nothing of it is left."""
    with pytest.raises(Refused) as caught:
        fetch.fetch(item(url, **other), folder)
    assert not [path for path in folder.rglob("*") if path.is_file()]
    return str(caught.value)


# --- what is allowed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://nxsa.esac.esa.int/a.FTZ?x=1&y=%20", None),
        ("HTTPS://NXSA.ESAC.ESA.INT/a", "https://NXSA.ESAC.ESA.INT/a"),
        ("https://a.b.esac.esa.int:443/", None),
        ("https://x.org:8443/a#part", "https://x.org:8443/a"),
        ("https://any.org:1/a", None),
        ("https://any.org", None),
        ("https://[2001:db8::1]/a", None),
    ],
)
def test_allowed_urls(url: str, plain: str | None) -> None:
    assert RULES.require(url) == (plain or url)
    assert RULES.require(plain or url) == (plain or url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://nxsa.esac.esa.int/a", "a URL that begins with https:// is allowed"),
        ("file:///etc/passwd", "is not a URL such as"),
        ("file://nxsa.esac.esa.int/etc/passwd", "a URL that begins with https:// is allowed"),
        ("gopher://any.org:70/", "a URL that begins with https:// is allowed"),
        ("https://esac.esa.int/a", "its host is not one of those allowed, *.esac.esa.int, x.org:8443"),
        ("https://evil.org/x.esac.esa.int", "its host is not one of those allowed"),
        ("https://nxsa.esac.esa.int.evil.org/", "its host is not one of those allowed"),
        ("https://nxsa.esac.esa.int:8443/", "its host is not one of those allowed"),
        ("https://x.org/a", "its host is not one of those allowed"),
        ("https://[2001:db8::2]/a", "its host is not one of those allowed"),
        ("https://nxsa.esac.esa.int@evil.org/", "with a user's name or password is not allowed"),
        ("https://me:secret@nxsa.esac.esa.int/", "with a user's name or password is not allowed"),
        ("https://nxsa.esac.esa.int\\@evil.org/", "is not a URL"),
        ("https://nxsa.esac.esa.int /a", "has blanks, or characters that must be written as %XX"),
        ("https://nxsa.esac.esa.int/é", "has blanks, or characters that must be written as %XX"),
        ("https://nxsa.esac.esa.int/a\r\nHost: x", "has blanks, or characters"),
        ("https://evil.org#.esac.esa.int/", "its host is not one of those allowed"),
        ("https://evil.org?.esac.esa.int/", "its host is not one of those allowed"),
        ("https://any.org:99999/", "is not a URL: Port out of range"),
        ("https://any.org:x/", "is not a URL: Port could not be cast"),
        ("https://[::1/", "is not a URL"),
        ("https:///a", "is not a URL such as"),
        ("a.fits", "is not a URL such as"),
        ("", "is not a URL"),
        ("https://any.org/" + "a" * 2000, "has 2,016 characters; a URL may have 2,000"),
    ],
)
def test_other_urls_are_refused_with_the_reason(url: str, said: str) -> None:
    with pytest.raises(Refused) as caught:
        RULES.require(url)
    assert said in str(caught.value)
    assert repr(url[:80])[:-1] in str(caught.value)


def test_without_hosts_no_url_is_allowed() -> None:
    with pytest.raises(Refused, match=r"this server fetches no URL \(its key `url_hosts` is empty\)"):
        Rules.of(Config.of()).require("https://x.org/a")


@given(st.text() | st.text("https://esac.int:@[]#?%\\", max_size=60))
def test_any_text_is_a_url_of_an_allowed_host_or_refused(text: str) -> None:
    try:
        url = RULES.require(text)
    except Refused as error:
        assert str(error).isprintable()
    else:
        assert RULES.require(url) == url
        host = url.split("/")[2].rpartition(":")[0] or url.split("/")[2]
        assert host.lower().rstrip(".").endswith((".esac.esa.int", "x.org", "any.org", "[2001:db8::1]"))


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",
     "224.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1", "192.0.0.8", "::1", "::", "::127.0.0.1",
     "64:ff9b:1::7f00:1", "3fff::1", "fe80::1", "fc00::1", "fec0::1", "ff02::1",
     "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:db8::1",
     "2001:0:7f00:1::", "240.0.0.1"],
)  # fmt: skip
def test_addresses_that_are_not_of_the_open_internet(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["193.147.152.1", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_of_the_open_internet(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses())
@example(ipaddress.ip_address("192.88.99.1"))
def test_what_python_calls_private_is_never_public(address: fetch.Address) -> None:
    if address.is_private or (address.is_reserved and address.version == 4) or address.is_link_local:
        assert not is_public(address) or getattr(address, "ipv4_mapped", None) is not None


# --- fetching ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["file", "unannounced", "to/file", "to//to//to//to//to//file"])
def test_a_file_comes_whole(tmp_path: Path, port: int, path: str) -> None:
    path = path.replace("to/file", "to//file") if path == "to/file" else path
    assert fetch.fetch(item(f"http://localhost:{port}/{path}"), tmp_path) == len(CONTENT)
    assert (tmp_path / "inputs/table-a.fits").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "inputs").iterdir()] == ["table-a.fits"]


def test_the_request_names_the_host_and_nothing_of_ours(tmp_path: Path, port: int) -> None:
    fetch.fetch(item(f"http://localhost:{port}/echo/a%20b/%C3%A9?q=%26&r"), tmp_path)
    lines = (tmp_path / "inputs/table-a.fits").read_text().split()
    assert lines[:3] == ["GET", "/echo/a%20b/%C3%A9?q=%26&r", "HTTP/1.1"]
    assert f"localhost:{port}" in lines
    assert "Cookie:" not in lines
    assert "Authorization:" not in lines


def test_a_private_address_is_refused_unless_its_host_may_lie_there(tmp_path: Path, port: int) -> None:
    said = refusal(tmp_path, f"http://127.0.0.1:{port}/file")
    assert said == "the host 127.0.0.1 lies at 127.0.0.1, which is no address of the open Internet"
    assert "no address of the open Internet" in refusal(tmp_path, f"http://localhost:{port}/file", private=[])


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1"])
def test_a_number_that_stands_for_this_machine_is_refused(tmp_path: Path, port: int, host: str) -> None:
    said = refusal(tmp_path, f"http://{host}:{port}/file", hosts=["*:*"], private=[])
    assert "no address of the open Internet" in said or "is not found" in said


def test_a_redirection_is_held_to_the_rules(tmp_path: Path, port: int) -> None:
    begin = f"http://localhost:{port}/to/"
    assert "no address of the open Internet" in refusal(tmp_path, f"{begin}http://127.0.0.1:{port}/file")
    assert "its host is not one of those allowed" in refusal(tmp_path, f"{begin}http://169.254.169.254/latest")
    assert "is not a URL such as" in refusal(tmp_path, f"{begin}file:///etc/passwd")
    assert "more than 5 redirections" in refusal(tmp_path, f"http://localhost:{port}/ring")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("none", "the answer is 404 Not Found"),
        ("short", "the answer ended after 5 of 500 bytes"),
        ("nonsense", "no HTTP"),
    ],
)
def test_an_answer_that_is_no_file_is_told(tmp_path: Path, port: int, path: str, said: str) -> None:
    assert said in refusal(tmp_path, f"http://localhost:{port}/{path}")


@pytest.mark.parametrize("path", ["file", "unannounced"])
def test_a_file_larger_than_allowed_is_refused(tmp_path: Path, port: int, path: str) -> None:
    said = refusal(tmp_path, f"http://localhost:{port}/{path}", most=1_000_000)
    assert "1.0 MB" in said
    assert fetch.fetch(item(f"http://localhost:{port}/{path}", most=len(CONTENT)), tmp_path) == len(CONTENT)


def test_a_host_that_is_not_there_is_told(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert "refused" in refusal(tmp_path, f"http://localhost:{closed.getsockname()[1]}/file")
    assert "is not found" in refusal(tmp_path, "http://x.invalid/a", hosts=["*"])


def test_a_name_is_asked_for_once(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns the name may answer otherwise the next time: the connection goes to the address looked at."""
    asked = []
    answer = socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)
    real = socket.getaddrinfo

    def names(host: str, *rest: Any, **others: Any) -> Any:
        asked.append(host)
        return answer if host == "rebound.org" else real(host, *rest, **others)

    monkeypatch.setattr(socket, "getaddrinfo", names)
    opened = {"hosts": ["rebound.org:*"], "private": ["rebound.org:*"]}
    assert fetch.fetch(item(f"http://rebound.org:{port}/file", **opened), tmp_path) == len(CONTENT)
    assert asked.count("rebound.org") == 1


def test_a_link_in_its_place_is_replaced_not_followed(tmp_path: Path, port: int) -> None:
    (tmp_path / "inputs").mkdir()
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "inputs/table-a.fits").symlink_to("../target")
    fetch.fetch(item(f"http://localhost:{port}/file"), tmp_path)
    assert (tmp_path / "target").read_bytes() == b"old"
    assert not (tmp_path / "inputs/table-a.fits").is_symlink()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that nobody signed but itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate")
    folder = tmp_path_factory.mktemp("certificate")
    made, key = folder / "made.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", key, "-out", made, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    return made, key


def test_a_certificate_is_held_against_the_hosts_name(
    tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with serving(context) as port:
        assert "its certificate is not accepted: self-signed" in refusal(tmp_path, f"https://localhost:{port}/file")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        said = refusal(tmp_path, f"https://127.0.0.1:{port}/file", private=["127.0.0.1:*"])
        assert "its certificate is not accepted: IP address mismatch" in said
        assert fetch.fetch(item(f"https://localhost:{port}/file"), tmp_path) == len(CONTENT)


# --- the process -------------------------------------------------------------------------------------------


def url_job(port: int, *paths: str) -> Job:
    parts = [
        ParameterValue(f"http://localhost:{port}/{path}", f"inputs/table-{number}", "url")
        for number, path in enumerate(paths)
    ]
    values = {"table": ParameterValue.several(parts), "note": ParameterValue("x", "x")}
    return Job(new_id(), "d", "1", Phase.PENDING, utcnow(), 60, parameters=values)


def start(folder: Path, job: Job, *script: str) -> subprocess.CompletedProcess[str]:
    config = Config.of(url_schemes="http", url_hosts="localhost:*", url_private="localhost:*")
    (folder / fetch.PLAN_FILE).write_text(json.dumps(fetch.plan(job, config)), encoding="utf-8")
    return subprocess.run(fetch.command(folder, script), cwd=folder, capture_output=True, text=True, timeout=300)


def test_the_script_follows_when_all_is_there(tmp_path: Path, port: int) -> None:
    done = start(
        tmp_path, url_job(port, "file", "echo"), "/bin/sh", "-c", 'echo "[STAGE] $0"; ls inputs; exit 7', "$(x)"
    )
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout.splitlines() == [
        f"[STAGE] Fetching http://localhost:{port}/file",
        f"inputs/table-0: {len(CONTENT):,} bytes",
        f"[STAGE] Fetching http://localhost:{port}/echo",
        f"inputs/table-1: {(tmp_path / 'inputs/table-1').stat().st_size:,} bytes",
        "[STAGE] $(x)",
        "table-0",
        "table-1",
    ]


def test_the_script_does_not_follow_an_error(tmp_path: Path, port: int) -> None:
    done = start(tmp_path, url_job(port, "file", "none"), "/bin/sh", "-c", "echo ran > ran")
    assert done.returncode == 1
    assert done.stderr == f"[ERROR] table: http://localhost:{port}/none: the answer is 404 Not Found\n"
    assert not (tmp_path / "ran").exists()


def test_a_job_without_urls_has_nothing_to_fetch() -> None:
    value = ParameterValue("https://x.org", "https://x.org")
    assert fetch.plan(Job(new_id(), "d", "1", Phase.PENDING, utcnow(), 60, parameters={"a": value}), Config.of()) == []


def test_a_job_of_a_server_fetches_before_its_script(tmp_path: Path, port: int) -> None:
    parameters = [{"name": "table", "type": "url", "required": True}]
    results = [{"name": "result", "file": "result"}]
    script = 'mkdir -p results; cp "$table" results/result\n'
    folder = define(tmp_path / "definitions", "take", script, parameters=parameters, results=results)
    opened = {"url_schemes": "http", "url_hosts": "localhost:*", "url_private": "localhost:*"}
    with running_server(tmp_path / "data", definitions=folder.parent, **opened) as served:
        job = create(served.url, "take", table=f"http://localhost:{port}/file")
        assert requests.get(f"{job}/parameters/table", timeout=300).text == f"http://localhost:{port}/file"
        change(f"{job}/phase", PHASE="RUN")
        assert reached(job, "COMPLETED", "ERROR") == "COMPLETED"
        assert requests.get(f"{job}/results/result", timeout=300).content == CONTENT
        assert f"[STAGE] Fetching http://localhost:{port}/file" in requests.get(f"{job}/stdout", timeout=300).text
        lost = create(served.url, "take", table=f"http://localhost:{port}/none", PHASE="RUN")
        assert reached(lost, "COMPLETED", "ERROR") == "ERROR"
        assert (
            f"table: http://localhost:{port}/none: the answer is 404" in requests.get(f"{lost}/error", timeout=300).text
        )
        refused = change(f"{served.url}/rest/take", table=f"http://127.0.0.1:{port}/file")
        assert refused.status_code == 400
        assert refused.text.startswith("table: 'http://127.0.0.1:")


def test_it_loads_little_and_starts_as_a_module_too(tmp_path: Path) -> None:
    (tmp_path / fetch.PLAN_FILE).write_text("[]")
    python, *rest = fetch.command(tmp_path, ["/bin/true"])
    done = subprocess.run([python, "-X", "importtime", *rest], check=True, capture_output=True, text=True, timeout=300)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()[1:]}
    assert "http.client" in loaded
    of_jython = {"org"}  # copy asks for it, wherever it runs
    assert {name.partition(".")[0] for name in loaded} <= sys.stdlib_module_names | of_jython
    assert len(loaded) < 150
    run = [sys.executable, "-m", "uws_server.execution.fetch", str(tmp_path), "--", "/bin/echo", "as a module"]
    assert subprocess.run(run, check=True, capture_output=True, timeout=300).stdout == b"as a module\n"
    assert subprocess.run(run[:4], capture_output=True, timeout=300).returncode != 0
