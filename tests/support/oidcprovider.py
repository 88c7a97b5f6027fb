"""A real provider of OpenID Connect for tests, npm's oidc-provider, and a server whose people sign in there."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from joserfc.jwk import RSAKey

from checkout import ROOT
from pagereader import AS_BROWSER, TIMEOUT_S, Page
from ports import free_port
from serving import Served, running_server

SCRIPT = Path(__file__).with_suffix(".mjs")
CLIENT, SECRET = "uws", "the secret of this client"
PEOPLE: Mapping[str, Mapping[str, Any]] = {
    "1001": {"preferred_username": "Ann Été", "name": "Ann Été", "email": "ann@x.org", "email_verified": True,
             "groups": ["xmm-team", "staff"]},
    "1002": {"preferred_username": "ann_ete", "name": "Another Ann", "groups": ["guests"]},
    "1003": {"email": "root@x.org", "email_verified": False},
}  # fmt: skip
"""Who the provider knows: two whose names become the same, and one with a mail address that nobody verified."""


def node() -> str:
    """The program that runs the provider; the test is skipped where it or the provider is missing."""
    found = shutil.which("node") or shutil.which("node", path=str(Path(sys.prefix) / "bin"))
    if found is None:
        pytest.skip("no node: apt-get install nodejs")
    if not (ROOT / "node_modules" / "oidc-provider").is_dir():
        pytest.skip("no oidc-provider: make front-end")
    return found


@functools.cache
def signing_key(name: str) -> dict[str, Any]:
    """The key of that name (its kid), the same whenever the provider is started."""
    options = {"kid": name, "use": "sig", "alg": "RS256"}
    return dict(RSAKey.generate_key(2048, options).as_dict(private=True))


@dataclass
class Provider:
    """The provider; it can be started again with other keys, or with a clock that is ahead."""

    port: int
    redirect_uri: str = ""
    people: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: PEOPLE)
    key: str = "first"
    process: subprocess.Popen[str] | None = None

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, ahead: int = 0) -> None:
        """Start the provider, in place of one that runs, and return when it listens."""
        self.stop()
        client = {"client_id": CLIENT, "client_secret": SECRET, "redirect_uris": [self.redirect_uri]}
        given = {"port": self.port, "clients": [client], "people": self.people, "ahead": ahead}
        given["key"] = signing_key(self.key)
        self.process = subprocess.Popen([node(), str(SCRIPT), json.dumps(given)], stdout=subprocess.PIPE, text=True)
        watchdog = threading.Timer(TIMEOUT_S, self.process.kill)
        watchdog.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        watchdog.cancel()
        assert line == "ready\n", line

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


@dataclass(frozen=True)
class Entrance:
    """A server with the provider at which its people sign in."""

    served: Served
    provider: Provider
    data: Path

    def begin(self, path: str = "/login/oidc", session: requests.Session | None = None) -> Page:
        """What a browser comes to that asks for the provider."""
        session = session or requests.Session()
        return Page(session, session.get(f"{self.served.url}{path}", headers=AS_BROWSER, timeout=TIMEOUT_S))

    def enter(self, login: str, path: str = "/login/oidc", session: requests.Session | None = None) -> Page:
        """The page that somebody comes to who says at the provider who it is."""
        return self.say(self.begin(path, session), login=login)

    def say(self, page: Page, **said: str) -> Page:
        """The page that the form of the provider leads to."""
        sent = page.session.post(page.url, said, headers={"Accept": "text/html"}, timeout=TIMEOUT_S)
        return Page(page.session, sent)


@contextmanager
def entrance(data: Path, **settings: object) -> Iterator[Entrance]:
    """A server and the provider, for as long as the block lasts."""
    node()
    provider = Provider(free_port())
    told = {"issuer": provider.issuer, "provider_name": "Observatory login", "client_id": CLIENT}
    told |= {"client_secret": SECRET, "anonymous": "refused"} | settings
    with running_server(data, **told) as served:
        provider.redirect_uri = f"{served.url}/login/oidc/callback"
        try:
            provider.start()
            yield Entrance(served, provider, data)
        finally:
            provider.stop()
