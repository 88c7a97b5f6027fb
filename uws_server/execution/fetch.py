"""Fetches the files of a job's URLs, then becomes the job's script. Uses the standard library only.

    python -I -S fetch.py JOB_FOLDER -- COMMAND...

`fetch.json` in the job's folder is the list of URLs, made by `plan`. A URL may come from anybody, so that the server
never fetches one itself: scheme and host must be allowed, and the connection goes to the very address that was checked,
which is none of a private network unless the host may have such a one. The same holds for every redirection.
Imports nothing of this package when it runs, so that it starts in a few hundredths of a second.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import ipaddress
import json
import os
import re
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import SplitResult, quote, urljoin, urlsplit

if TYPE_CHECKING:
    from uws_server.config import Config
    from uws_server.jobs.job import Job

PLAN_FILE = "fetch.json"
"""The list of what is to be fetched, in the job's folder."""
RECORDED_FILE = "recorded.json"
"""By URL, the hashes that its file had before, in the folder of a rerun: `sha256` (several, of which one must match)
and `accept_changed`."""
NOTES_FILE = "notes.json"
"""The notes for the step of a job, made before its script ran, in its folder."""
PARAMETERS_FILE = "parameters.json"
_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*|[0-9a-f:]+(\.[0-9.]+)?")
_LONGEST = 2000
_MOST_REDIRECTIONS = 5
_REDIRECTIONS = frozenset({301, 302, 303, 307, 308})
_CONNECT_S, _READ_S, _REPORT_S = 20.0, 60.0, 5.0
_PIECE = 1 << 18
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST, _OF_DOCUMENTS = ipaddress.ip_network("2000::/3"), ipaddress.ip_network("3fff::/20")
_OF_PROTOCOLS = ipaddress.ip_network("192.0.0.0/24")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(ValueError):
    """Raised for a URL that may not or cannot be fetched."""


@dataclass(frozen=True)
class Rules:
    """The rules for URLs: allowed schemes, patterns of hosts, patterns of those that may have a private address.

    A pattern such as `*.esac.esa.int` is for the usual ports, `x.org:8443` for another one, `x.org:*` for any.
    """

    schemes: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    private: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Config) -> Rules:
        """Return the rules of a server's configuration."""
        remote = config.remote
        return cls(_lower(remote.url_schemes), _lower(remote.url_hosts), _lower(remote.url_private))

    def require(self, url: str) -> str:
        """Return the URL without its fragment. Raises Refused (a ValueError) if it is not allowed."""
        came = repr(url[:80] + ("…" if len(url) > 80 else ""))
        if not self.hosts:
            raise Refused(f"{came} came, but this server fetches no URL (its key `url_hosts` is empty)")
        if len(url) > _LONGEST:
            raise Refused(f"{came} has {len(url):,} characters; a URL may have {_LONGEST:,}")
        if not re.fullmatch(r"[!-~]+", url) or "\\" in url:
            raise Refused(f"{came} is not a URL: it has blanks, or characters that must be written as %XX")
        parts, port = _parts(url, came)
        if parts.scheme not in self.schemes or parts.scheme not in _PORTS:
            begins = " or ".join(f"{name}://" for name in self.schemes)
            raise Refused(f"{came}: a URL that begins with {begins} is allowed")
        if parts.username is not None or parts.password is not None:
            raise Refused(f"{came}: a URL with a user's name or password is not allowed")
        if not _allowed(self.hosts, _host(parts), port, parts.scheme):
            raise Refused(f"{came}: its host is not one of those allowed, {', '.join(self.hosts[:20])}")
        return parts._replace(fragment="").geturl()


def file_name(url: str) -> str:
    """Return the last part of a URL's path, not decoded."""
    return urlsplit(url).path.rpartition("/")[2]


def plan(job: Job, config: Config, folder: Path | None = None) -> list[dict[str, Any]]:
    """Return the content of `fetch.json` for a job (with that folder); empty if it has no URL to fetch."""
    rules = Rules.of(config)
    recorded = _object_in(folder / RECORDED_FILE) if folder else {}
    return [
        {"name": name, "url": part.text, "place": str(part.value), "most": config.remote.max_fetch, "schemes":
        rules.schemes,
         "hosts": rules.hosts, "private": rules.private, **recorded.get(part.text, {})}
        for name, value in job.parameters.items()
        for part in value.each
        if part.kind == "url"
    ]  # fmt: skip


def command(folder: Path, script: Sequence[str]) -> list[str]:
    """Return the command that fetches, then becomes the script's; it needs the network, the script may not."""
    return [sys.executable, "-I", "-S", __file__, str(folder), "--", *script]


# --- what is allowed ---------------------------------------------------------------------------------------


def _lower(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names)


def _parts(url: str, came: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise Refused(f"{came} is not a URL: {error}") from error
    if not parts.scheme or not parts.hostname or not _HOST.fullmatch(_host(parts)):
        raise Refused(f"{came} is not a URL such as https://x.org/events.fits")
    return parts, port


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").lower().rstrip(".")


def _allowed(patterns: Sequence[str], host: str, port: int, scheme: str) -> bool:
    """Whether a host and port are among the patterns."""
    name = f"[{host}]" if ":" in host else host
    for pattern in patterns:
        match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::([0-9*]+))?", pattern)
        if match is None or not _like(name, match[1]):
            continue
        if match[2] in ("*", str(port)) or (match[2] is None and port == _PORTS[scheme]):
            return True
    return False


def _like(text: str, pattern: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None


def is_public(address: Address) -> bool:
    """Return whether an address, and any that is embedded in it, is one of the open Internet."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if any(embedded is not None and not is_public(embedded) for embedded in inner):
            return False
        if address.ipv4_mapped is None and address not in _NAT64 and not _is_unicast(address):
            return False
    elif not address.is_global or address in _OF_PROTOCOLS:
        return False
    return not (address.is_multicast or address.is_loopback or address.is_link_local or address.is_unspecified)


def _is_unicast(address: ipaddress.IPv6Address) -> bool:
    """Whether an address is in the one block for global use (RFC 4291), and not for documentation (RFC 9637)."""
    return address in _UNICAST and address not in _OF_DOCUMENTS and address.is_global


def addresses(host: str, port: int, may_be_private: bool) -> list[str]:
    """Return the addresses of a host. Raises Refused if it has none, or one is private and must not be.

    Parameters
    ----------
    host, port
        The host and the port.
    may_be_private
        Whether an address of a private network is allowed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Refused(f"the host {host} is not found: {getattr(error, 'strerror', None) or error}") from error
    texts = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for text in texts:
        if not may_be_private and not is_public(ipaddress.ip_address(text)):
            raise Refused(f"the host {host} lies at {text}, which is no address of the open Internet")
    return texts


# --- fetching ----------------------------------------------------------------------------------------------


class _Connection(http.client.HTTPConnection):
    """A connection to one of the addresses that were checked, whatever the name resolves to meanwhile."""

    def __init__(self, parts: SplitResult, port: int, at: Sequence[str], context: ssl.SSLContext | None) -> None:
        super().__init__(_host(parts), port, timeout=_READ_S)
        self._at, self._context = at, context

    def connect(self) -> None:
        """Connect to the first address that answers."""
        failed: OSError = OSError("no address")
        for address in self._at:
            try:
                plain = socket.create_connection((address, self.port), _CONNECT_S)
            except OSError as error:
                failed = error
                continue
            plain.settimeout(_READ_S)
            self.sock = plain if self._context is None else self._context.wrap_socket(plain, server_hostname=self.host)
            return
        raise failed


def fetch(item: dict[str, Any], folder: Path) -> int:
    """Fetch one file of the plan. Return the number of its bytes. Raises Refused if it cannot be fetched."""
    rules = Rules(tuple(item["schemes"]), tuple(item["hosts"]), tuple(item["private"]))
    url = rules.require(item["url"])
    try:
        for _ in range(_MOST_REDIRECTIONS + 1):
            with contextlib.closing(_connect(url, rules)) as connection, _ask(connection, url) as response:
                if response.status not in _REDIRECTIONS:
                    return _keep(response, url, item["most"], folder / item["place"])
                url = rules.require(urljoin(url, response.getheader("Location") or ""))
    except ssl.SSLCertVerificationError as error:
        raise Refused(f"{url}: its certificate is not accepted: {error.verify_message}") from error
    except TimeoutError as error:
        raise Refused(f"{url}: no answer for {_READ_S:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise Refused(f"{url}: {getattr(error, 'strerror', None) or error or type(error).__name__}") from error
    raise Refused(f"{item['url']}: more than {_MOST_REDIRECTIONS} redirections")


def _connect(url: str, rules: Rules) -> _Connection:
    parts, port = _parts(url, repr(url[:80]))
    may_be_private = _allowed(rules.private, _host(parts), port, parts.scheme)
    found = addresses(_host(parts), port, may_be_private)
    return _Connection(parts, port, found, ssl.create_default_context() if parts.scheme == "https" else None)


def _ask(connection: _Connection, url: str) -> http.client.HTTPResponse:
    parts = urlsplit(url)
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (f"?{parts.query}" if parts.query else "")
    connection.request("GET", target, headers={"Accept-Encoding": "identity", "User-Agent": "uws-server"})
    return connection.getresponse()


def _keep(response: http.client.HTTPResponse, url: str, most: int, place: Path) -> int:
    """Write the body of an answer to a file next to `place`, then rename it, so that no part is taken for the whole."""
    if response.status != 200:
        raise Refused(f"{url}: the answer is {response.status} {response.reason[:80]}")
    announced = response.length
    if announced is not None and announced > most:
        raise Refused(f"{url}: {announced / 1e6:,.1f} MB would come; {most / 1e6:,.1f} MB are allowed")
    place.parent.mkdir(exist_ok=True)
    part = place.with_name(f".{place.name[:200]}.part")
    count, reported = 0, time.monotonic()
    try:
        with part.open("xb") as stream:
            while piece := response.read1(_PIECE):
                count += len(piece)
                if count > most:
                    raise Refused(f"{url}: more than the {most / 1e6:,.1f} MB that are allowed came")
                stream.write(piece)
                if time.monotonic() - reported > _REPORT_S:
                    reported = time.monotonic()
                    of = f" of {announced / 1e6:,.1f}" if announced else ""
                    print(f"{count / 1e6:,.1f}{of} MB", flush=True)
            stream.flush()
            os.fsync(stream.fileno())
        if announced is not None and count < announced:
            raise Refused(f"{url}: the answer ended after {count:,} of {announced:,} bytes")
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)
    return count


# --- what it was before --------------------------------------------------------------------------------------


def difference(item: dict[str, Any], folder: Path) -> str:
    """Return how a fetched file differs from the recorded one, in a sentence; empty if it is the same."""
    recorded = item.get("sha256")
    if not recorded:
        return ""
    with (folder / item["place"]).open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found in recorded:
        return ""
    return (
        f"{file_name(item['url']) or item['url']} (fetched from {item['url']}) is not the file that was used: "
        f"its SHA-256 is {found}, {recorded[-1]} is recorded"
    )


def note(folder: Path, text: str) -> None:
    """Add a note to the step of the job, whether its script or the server makes that."""
    try:
        notes = json.loads((folder / NOTES_FILE).read_bytes())
    except FileNotFoundError:
        notes = []
    notes += [text] if text not in notes else []  # a job may be started a second time
    _replace(folder / NOTES_FILE, notes)
    document = _object_in(folder / PARAMETERS_FILE)
    if document:
        document["job"]["notes"] = notes
        _replace(folder / PARAMETERS_FILE, document)


def _object_in(path: Path) -> dict[str, Any]:
    """The JSON object in a file of the server; empty where there is none."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    return content if isinstance(content, dict) else {}


def _replace(path: Path, content: Any) -> None:
    new = path.with_name(f"{path.name}.new")
    with new.open("w", encoding="utf-8") as stream:
        json.dump(content, stream)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(path)


def main(arguments: Sequence[str]) -> NoReturn:
    """Fetch all files of the plan, then become the command."""
    folder, dashes, *script = arguments
    if dashes != "--" or not script:
        sys.exit("usage: fetch.py JOB_FOLDER -- COMMAND...")
    items = json.loads((Path(folder) / PLAN_FILE).read_text(encoding="utf-8"))
    for item in items:
        print(f"[STAGE] Fetching {item['url']}", flush=True)
        try:
            count = fetch(item, Path(folder))
        except Refused as error:
            print(f"[ERROR] {item['name']}: {error}", file=sys.stderr, flush=True)
            sys.exit(1)
        print(f"{item['place']}: {count:,} bytes", flush=True)
        if sentence := difference(item, Path(folder)):
            if not item.get("accept_changed"):
                text = f"[ERROR] {item['name']}: {sentence}; run it again with accept_changed=yes to take it as it is"
                print(text, file=sys.stderr, flush=True)
                sys.exit(1)
            print(f"[WARNING] {item['name']}: {sentence}", flush=True)
            note(Path(folder), f"{item['name']}: {sentence}")
    os.execvp(script[0], script)


if __name__ == "__main__":
    main(sys.argv[1:])
