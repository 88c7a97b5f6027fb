"""Refuses requests that pages of other sites made a browser send. Imports the services and the rights.

A browser sends the credentials that it keeps for a server (name and token of HTTP Basic, a cookie) whatever page makes
it ask, and reaches servers of its own machine for any page. Programs send none of the headers that are read here.
"""

from __future__ import annotations

import functools
import ipaddress
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from uws_server.errors import Forbidden
from uws_server.services.context import Services
from uws_server.services.rights import is_loopback

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that only look (RFC 9110, section 9.2.1)."""
_PORTS = {"http": 80, "https": 443}
_OF_THIS_MACHINE = (".localhost", ".localdomain", ".local", ".internal", ".test", ".home.arpa")
"""Ends of names that no host on the internet can have."""


def require_own(services: Services, environ: Mapping[str, Any]) -> None:
    """Raise Forbidden for a request by a page of another site that would change something or impersonates our pages.

    The message says what to do if a proxy makes our own pages look like those of another site.
    """
    if (host := _rebound(services, environ)) is not None:
        raise Forbidden(
            f"this server does not know that it is called {host[:100]!r}: open it at {services.base_url}, or have its "
            "operator set base_url to the address that clients use"
        )
    path = str(environ.get("PATH_INFO", ""))
    # a GET at .../sync makes a job; a line end behind it would not keep its route from matching
    changes = environ["REQUEST_METHOD"] not in SAFE_METHODS or path.rstrip("\n").endswith("/sync")
    if changes and _is_of_other_site(services, environ):
        raise Forbidden(
            "requests from pages of other sites are refused; if the page was one of this server, its operator has to "
            "set base_url to the address that clients use"
        )


def _is_of_other_site(services: Services, environ: Mapping[str, Any]) -> bool:
    """Check whether a browser says that the page which sent a request is of another site.

    Sec-Fetch-Site says it best, but is sent over https and to loopback addresses only; Origin is sent with each POST.
    """
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site not in ("same-origin", "none")
    sender = environ.get("HTTP_ORIGIN", environ.get("HTTP_REFERER"))  # a GET has no Origin
    if sender is None:
        return False
    page = _origin_of(str(sender))
    if page is None:  # null: a page without an origin of its own
        return True
    return page not in (_origin_of(services.base_url), _origin_of(f"{page[0]}://{environ.get('HTTP_HOST', '')}"))


def _rebound(services: Services, environ: Mapping[str, Any]) -> str | None:
    """Return the foreign name by which a server on a loopback address was reached. Return None if there is none.

    A page may have its own name lead to 127.0.0.1 once it is loaded: its browser then takes the server for the page's
    own site, and shows it everything. Such a request names the very port that is listened on; one that came through a
    proxy seldom does.
    """
    name = _foreign_name(str(environ.get("HTTP_HOST", "")), str(environ.get("SERVER_PORT", "")))
    if name is None or services.config.server.base_url or not is_loopback(services.config.server.host):
        return None
    return name


@functools.lru_cache(256)
def _foreign_name(host: str, port: str) -> str | None:
    """Return the name in a Host header with this very port that cannot be one of this machine.

    Return None if it can.
    """
    origin = _origin_of(f"http://{host}")
    if origin is None or str(origin[2]) != port:
        return None
    name = origin[1].rstrip(".")
    is_own = "." not in name or _is_number(name) or name.endswith(_OF_THIS_MACHINE) or name in _own_names()
    return None if is_own else name


def _origin_of(url: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port of an address. Return None if it has none."""
    try:
        parts = urlsplit(url)
        return (parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]) if parts.hostname else None
    except (ValueError, KeyError):
        return None


def _is_number(name: str) -> bool:
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False


@functools.cache
def _own_names() -> frozenset[str]:
    return frozenset({socket.gethostname().lower(), socket.getfqdn().lower()})
