"""Who sent a request: reads Authorization, cookies, the share token and the address. Imports the services.

Both doors use it. Accounts send HTTP Basic with name and token, or `Bearer name.token`; a browser that signed in sends
the cookie of its session. An empty name stands for no account, not for a wrong one. The client's address is taken from
X-Forwarded-For only if the request came from a configured proxy.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bottle import HTTPResponse

from uws_server.config import Config
from uws_server.errors import BadRequest, Unauthorized
from uws_server.services.context import Services
from uws_server.services.job_service import JobService
from uws_server.services.rights import Caller
from uws_server.services.work_sessions import WorkSessions

_ENVIRON_KEY = "uws_server.services.job_service"
"""Where the job service of a request is kept while the request lasts."""

SHARE = "share"
"""The query parameter that carries the token of a share link."""


JOBS_COOKIE = "uws_jobs"
"""The cookie in which a browser remembers the jobs that it made without an account."""


WORK_COOKIE = "uws_work"
"""The cookie in which a browser remembers the sessions that it made without an account: no browser's own session."""


SESSION_COOKIE = "uws_session"
"""The cookie of a browser that is signed in."""

BASIC = 'Basic realm="uws-server", charset="UTF-8"'
BEARER = 'Bearer realm="uws-server"'
"""What an answer with status 401 says of how to sign in, the usual way first."""

_SESSION_SHARE = re.compile("([0-9a-f]{32})-([0-9a-f]{32})")
"""The token of the share link of a session: its id and the key of the link."""


def job_service_of(services: Services, environ: dict[str, Any]) -> JobService:
    """Return the job service for the caller of a request. Raise Unauthorized for a wrong name or token."""
    known = known_job_service(environ)
    if known is not None:
        return known
    address = address_of(services.config, environ)
    caller = _account(services, environ, address)
    query = environ.get("QUERY_STRING", "")
    share = parse_qs(query).get(SHARE, [""])[-1] if SHARE in query else ""
    job_service = JobService(services, replace(caller, share=share or None, address=address))
    job_service.recall(cookie_of(environ, JOBS_COOKIE))
    if of_session := _SESSION_SHARE.fullmatch(share):
        job_service.follow(*of_session.groups())
    environ[_ENVIRON_KEY] = job_service
    return job_service


def work_sessions_of(services: Services, environ: dict[str, Any]) -> WorkSessions:
    """Return the sessions in which work is kept, for the caller of a request. Raise what `job_service_of` does."""
    sessions = WorkSessions(services, job_service_of(services, environ))
    sessions.recall(cookie_of(environ, WORK_COOKIE))
    return sessions


def known_job_service(environ: Mapping[str, Any]) -> JobService | None:
    """Return the job service of a request if it was made before. Return None if it was not, or could not be."""
    known = environ.get(_ENVIRON_KEY)
    return known if isinstance(known, JobService) else None


def cookie_of(environ: Mapping[str, Any], name: str) -> str:
    """Return the value of a cookie; '' if none of that name came.

    A browser sends the cookies of all servers of a machine, whatever their port: those that are written otherwise than
    the standard has it must not hide ours. Of several of one name the browser sends that of the longest path first.
    """
    beginning = f"{name}="
    for part in str(environ.get("HTTP_COOKIE", "")).split(";"):
        if (cookie := part.strip()).startswith(beginning):
            return cookie.removeprefix(beginning).strip().strip('"')
    return ""


def keep_cookie(services: Services, response: HTTPResponse, name: str, value: str, seconds: int) -> None:
    """Have the browser keep a cookie for this server, which no script can read; 0 seconds remove it."""
    address = urlsplit(services.base_url)
    path, is_secure = address.path.rstrip("/") or "/", address.scheme == "https"
    response.set_cookie(name, value, path=path, httponly=True, samesite="lax", secure=is_secure, max_age=seconds)


def address_of(config: Config, environ: Mapping[str, Any]) -> str:
    """Return the client's address: the last one that is not that of a configured proxy."""
    address = str(environ.get("REMOTE_ADDR", ""))
    proxies = config.server.proxies
    if not proxies:
        return address
    forwarded = [part.strip() for part in environ.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    while address in proxies and forwarded:
        address = forwarded.pop()
    return address


def _account(services: Services, environ: Mapping[str, Any], address: str) -> Caller:
    scheme, _, credentials = str(environ.get("HTTP_AUTHORIZATION", "")).strip().partition(" ")
    match scheme.lower():
        case "":
            signed_in = services.sessions.find(cookie_of(environ, SESSION_COOKIE))
            return signed_in.caller if signed_in else Caller()
        case "basic":
            name, _, token = _decoded(credentials).partition(":")
        case "bearer":
            name, _, token = credentials.strip().rpartition(".")  # the name may be a mail address
        case _:
            raise Unauthorized(f"Authorization: {scheme[:40]!r} came; Basic and Bearer are understood")
    return services.accounts.check(name, token, address).caller if name else Caller()


def _decoded(credentials: str) -> str:
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise BadRequest("Authorization: what follows Basic is not base64 of name:token in UTF-8") from error
