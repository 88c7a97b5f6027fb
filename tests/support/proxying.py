"""The reverse proxy of docs/operating.md as a test tries it: nginx, with a certificate that is made here."""

from __future__ import annotations

import datetime
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from requests.adapters import HTTPAdapter

from checkout import ROOT
from ports import free_port
from processes import until

EXAMPLES = ROOT / "examples" / "operating"
NAME = "localhost"
"""What the host is called in a test."""


@dataclass(frozen=True)
class Proxy:
    """A running proxy: its addresses, and the certificate that its clients trust."""

    url: str
    plain_url: str
    certificate: Path

    def session(self, address: str = "127.0.0.1") -> requests.Session:
        """A client at an address of this machine."""
        session = requests.Session()
        session.trust_env = False  # a variable with certificates would win over the one below
        session.verify = str(self.certificate)
        for scheme in ("https://", "http://"):
            session.mount(scheme, _From(address))
        return session


class _From(HTTPAdapter):
    """Connections from one address."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, source_address=(self._address, 0), **options)  # type: ignore[no-untyped-call]


def session_from(address: str) -> requests.Session:
    """A client at an address of this machine that comes without the proxy."""
    session = requests.Session()
    session.mount("http://", _From(address))
    return session


def program() -> str | None:
    """The nginx of this machine, which is on no ordinary user's PATH."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """A file of the project with what a test must have otherwise; each of that stands in it."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@contextmanager
def running_proxy(
    folder: Path, backend: int, port: int, changes: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Proxy]:
    """Run nginx with the site of the project, with `changes` to its text, before the server on the port `backend`."""
    folder.mkdir()
    certificate, key, plain = folder / "certificate.pem", folder / "key.pem", free_port()
    _make_certificate(certificate, key)
    site = replaced(
        (EXAMPLES / "nginx.conf").read_text(encoding="utf-8"),
        {
            "/etc/ssl/certs/uws.example.org.pem": str(certificate),
            "/etc/ssl/private/uws.example.org.key": str(key),
            "uws.example.org": NAME,
            "listen [::]:80;": "",
            "listen [::]:443 ssl http2;": "",
            "listen 80;": f"listen 127.0.0.1:{plain};",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
            "127.0.0.1:8080": f"127.0.0.1:{backend}",
            **changes,
        },
    )
    (folder / "site.conf").write_text(site, encoding="utf-8")
    (folder / "nginx.conf").write_text(_around(folder), encoding="utf-8")
    command = [program() or "nginx", "-p", str(folder), "-c", "nginx.conf"]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        until(lambda: process.poll() is not None or _answers(port), what="nginx listens")
        assert process.poll() is None, (folder / "output").read_text() + (folder / "error.log").read_text()
        yield Proxy(f"https://{NAME}:{port}", f"http://{NAME}:{plain}", certificate)
    finally:
        process.terminate()
        process.wait(300)


def _around(folder: Path) -> str:
    """What stands around a site in Debian's nginx.conf, with every file below a folder."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""
    return (
        f"{user} daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; events {{}}\n"
        f"http {{ access_log {folder}/access.log; {places} include site.conf; }}\n"
    )


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


def _make_certificate(certificate: Path, key: Path) -> None:
    """Make a certificate that signs itself, for this machine and a day."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
