"""Client of a calibration service: searches by the keys of a file over HTTP, and keeps what it fetched.

The service answers ``GET URL/search?telescope=..&instrument=..&type=..&filter=..&pattern=..&date=..`` with a list in
JSON, an object for each file: `name`, `url` (absolute, or relative to the answer), and as far as it knows them
`telescope`, `instrument`, `type`, `filter`, `pattern`, `since`, `until`, `issue`, `good`, `sha256`. The token goes to
that service alone, in the header Authorization, never to another host nor into a message.
"""

from __future__ import annotations

import hashlib
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

from provenance.fits.atomic import write_bytes
from reduction.calibration.keys import Entry, Keys, choose, parse_date
from reduction.errors import ReductionError

MOST_BYTES = 500_000_000
"""Largest file that is fetched."""

_ANSWER_BYTES = 10_000_000
_NAME_BYTES = 200
_TIMEOUT_S = 60.0
_PAUSE_S = 1.0
_SCHEMES = ("http", "https")
_PASSING = (408, 425, 429, 500, 502, 503, 504)
"""HTTP statuses after which it is worth to ask again."""

_BOUNDS = ("since", "until")
_WORDS = {"telescope": "telescope", "instrument": "instrument", "kind": "type", "filter": "filter",
          "pattern": "pattern"}  # fmt: skip
"""What an entry calls a key -> what the service calls it."""


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follow redirects, leaving the token behind where they lead to another host."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Return the request that follows a redirect."""
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and _origin(newurl) != _origin(req.full_url):
            following.remove_header("Authorization")
        return following


@dataclass(frozen=True)
class CalibrationService:
    """A calibration service.

    `cache` is the folder in which fetched files are kept, `token` what the service knows the caller by, `tries` how
    often a request is made before it is given up; `pause` waits between two of them.
    """

    url: str
    cache: Path
    token: str = field(default="", repr=False)
    tries: int = 5
    parameter: str = "calibration"
    pause: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        if urllib.parse.urlsplit(self.url).scheme not in _SCHEMES:
            raise ReductionError(f"{self.url[:80]!r} is no address of a calibration service; it begins with http:// or "
                                 "https://", self.parameter)  # fmt: skip

    @property
    def name(self) -> str:
        """What the service is called in messages: its host."""
        return f"the calibration service {urllib.parse.urlsplit(self.url).hostname}"

    def find(self, keys: Keys) -> Path:
        """Return the file that answers, from the cache where it is there already.

        Parameters
        ----------
        keys
            What is asked for.

        Returns
        -------
        Path
            A file of the cache, under its own name.

        Raises
        ------
        ReductionError
            No file answers, the service cannot be reached, refuses the token, or sends something else than it said.
        """
        asked = {"telescope": keys.telescope, "instrument": keys.instrument, "type": keys.kind, "filter": keys.filter,
                 "pattern": keys.pattern, "date": f"{keys.date:%Y-%m-%dT%H:%M:%S}" if keys.date else ""}  # fmt: skip
        query = urllib.parse.urlencode({name: value for name, value in asked.items() if value})
        address = f"{self.url.rstrip('/')}/search?{query}"
        rows = self._listed(self._fetch(address, _ANSWER_BYTES))
        entries = {self._entry(row, keys): row for row in rows}
        row = entries[choose(entries, keys, self.name, self.parameter)]
        try:
            url = urllib.parse.urljoin(address, str(row["url"]))
        except ValueError as error:
            raise self._no_address(str(row["url"])) from error
        return self._kept(url, str(row["name"]), str(row.get("sha256") or ""))

    def _listed(self, answer: bytes) -> list[Mapping[str, Any]]:
        try:
            rows = json.loads(answer)
        except (ValueError, RecursionError) as error:
            raise ReductionError(f"{self.name} answered something else than JSON", self.parameter) from error
        sound = isinstance(rows, list) and all(
            isinstance(row, dict) and row.get("name") and row.get("url") for row in rows
        )
        if not sound:
            raise ReductionError(f"{self.name} answered no list of files with name and url", self.parameter)
        return list(rows)

    def _entry(self, row: Mapping[str, Any], keys: Keys) -> Entry:
        """A file of the answer; what the service does not say of it is what it was asked for."""
        since, until = (parse_date(str(row[name]), self.parameter) if row.get(name) else None for name in _BOUNDS)
        try:
            issue = float(row.get("issue") or 0)
        except (TypeError, ValueError) as error:
            raise ReductionError(f"{self.name} answered an issue that is no number", self.parameter) from error
        entry = Entry(Path(str(row["name"])), keys.telescope, keys.instrument, keys.kind, since=since, until=until,
                      issue=issue, is_good=bool(row.get("good", True)))  # fmt: skip
        known = {own: str(row[name]) for own, name in _WORDS.items() if row.get(name)}
        return replace(entry, **known)  # type: ignore[arg-type]

    def _kept(self, url: str, name: str, sha256: str) -> Path:
        """The file at an address, fetched once: two versions of one name have different addresses or sums."""
        if (
            Path(name).name != name
            or name.startswith(".")
            or not name.isprintable()
            or len(name.encode()) > _NAME_BYTES
        ):
            raise ReductionError(f"{self.name} named a file {name[:60]!r}, which is no plain name", self.parameter)
        path = self.cache / hashlib.sha256(f"{url} {sha256}".encode()).hexdigest()[:16] / name
        if path.is_file():
            return path
        data = self._fetch(url, MOST_BYTES)
        if sha256 and hashlib.sha256(data).hexdigest() != sha256.lower():
            raise ReductionError(f"{self.name} sent a {name} of another SHA-256 than it told", self.parameter)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, data)
        return path

    def _fetch(self, url: str, most: int) -> bytes:
        """Return what an address has. Faults that pass are tried again, ever later."""
        if urllib.parse.urlsplit(url).scheme not in _SCHEMES:
            raise self._no_address(url)
        request = urllib.request.Request(url, headers={"Accept": "*/*"})
        if self.token and _origin(url) == _origin(self.url):
            request.add_header("Authorization", f"Bearer {self.token}")
        trouble = ""
        for attempt in range(self.tries):
            if attempt:
                self.pause(_PAUSE_S * 2 ** (attempt - 1))
            try:
                with urllib.request.build_opener(_SameHost).open(request, timeout=_TIMEOUT_S) as answer:
                    data: bytes = answer.read(most + 1)
            except urllib.error.HTTPError as error:
                error.close()
                trouble = self._refusal(error.code)
                continue
            except (OSError, HTTPException) as error:
                trouble = f"cannot be reached: {getattr(error, 'reason', error)}"
                continue
            except ValueError as error:  # a letter that no address has, a host that no name server knows how to ask for
                raise self._no_address(url) from error
            if len(data) > most:
                raise ReductionError(f"{self.name} sent more than {most} bytes", self.parameter)
            return data
        raise ReductionError(f"{self.name} {trouble}, {self.tries} times", self.parameter)

    def _no_address(self, url: str) -> ReductionError:
        return ReductionError(f"{self.name} named the address {url[:80]!r}, which is none of the web", self.parameter)

    def _refusal(self, status: int) -> str:
        """In words why a request failed. Raise ReductionError where another try would fail as well."""
        if status in _PASSING:
            return f"answered with HTTP status {status}"
        if status in (401, 403):
            given = "refused the token" if self.token else "wants a token, and none is set"
            raise ReductionError(f"{self.name} {given} (HTTP status {status})", self.parameter)
        raise ReductionError(f"{self.name} answered with HTTP status {status}", self.parameter)


def _origin(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc
