"""Looks up the name of an object at a service such as Sesame of the CDS. Imports the errors only.

The address is the operator's: its answer is text in which `%J ra dec` (Sesame's -oI) or the elements jradeg and
jdedeg (its -ox) stand.
"""

from __future__ import annotations

import http.client
import re
import threading
import time
import urllib.request
from collections import OrderedDict
from urllib.parse import quote

from uws_server.errors import ConfigurationError

_NUMBER = r"\s*([-+]?\d{1,3}(?:\.\d{0,20})?)\s*"
_PLAIN = re.compile(rf"^%J{_NUMBER}\s{_NUMBER}(?:=|$)", re.MULTILINE | re.ASCII)
_XML = re.compile(rf"<jradeg>{_NUMBER}</jradeg>\s*<jdedeg>{_NUMBER}</jdedeg>", re.ASCII)
_WAIT_S = 10.0
_MOST_BYTES = 1_000_000
_KEPT, _KEPT_S = 1000, 86400.0
_MOST_AT_ONCE = 4
"""Names that are looked up at a time: each occupies a thread of the server, and the service must not be flooded."""


class Resolver:
    """Names to positions, by the service whose address has `{name}` in it; an answer is remembered for a day."""

    def __init__(self, address: str) -> None:
        if not address.startswith(("http://", "https://")) or "{name}" not in address:
            raise ConfigurationError(f"resolver = {address!r}: an http or https URL with {{name}} in it is expected")
        self._address = address
        self._turns = threading.BoundedSemaphore(_MOST_AT_ONCE)
        self._known: OrderedDict[str, tuple[float, tuple[float, float]]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, name: str) -> tuple[float, float]:
        """Return right ascension and declination in degrees, ICRS. Raise ValueError if the name is not known."""
        plain = " ".join(name.split())
        key = plain.lower()
        with self._lock:
            when, found = self._known.get(key, (float("-inf"), (0.0, 0.0)))
        if time.monotonic() - when < _KEPT_S:
            return found
        if not self._turns.acquire(blocking=False):
            raise ValueError(f"{name!r} cannot be looked up now: many names are being looked up; try again")
        try:
            found = self._ask(plain)
        finally:
            self._turns.release()
        with self._lock:
            self._known[key] = time.monotonic(), found
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return found

    def _ask(self, name: str) -> tuple[float, float]:
        address = self._address.replace("{name}", quote(name, safe=""))
        try:
            with urllib.request.urlopen(address, timeout=_WAIT_S) as answer:
                text = answer.read(_MOST_BYTES).decode("utf-8", "replace")
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise ValueError(f"{name!r} cannot be looked up now: the service does not answer") from error
        match = _PLAIN.search(text) or _XML.search(text)
        if match is None:
            raise ValueError(f"{name!r} is not a position, nor the name of an object that the service knows")
        return float(match[1]), float(match[2])
