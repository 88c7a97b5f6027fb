"""Renders templates: the common parts of every page, its headers, the token of its forms. Imports the services."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from bottle import HTTPResponse, SimpleTemplate, html_escape, request

from uws_server.errors import Forbidden
from uws_server.incoming.callers import (
    JOBS_COOKIE,
    SHARE,
    WORK_COOKIE,
    cookie_of,
    job_service_of,
    keep_cookie,
    known_job_service,
)
from uws_server.incoming.forms import Form
from uws_server.services.announcements import Announcement, Announcements
from uws_server.services.anonymous_work import AnonymousWork, Offer, Remembered
from uws_server.services.context import Services
from uws_server.services.job_service import JobService
from uws_server.services.rights import Caller
from uws_server.version import VERSION
from uws_server.web.shared import listing, texts
from uws_server.web.shared.assets import Assets
from uws_server.web.shared.tokens import COOKIE, Tokens

PUT_AWAY = "uws_seen"
"""The cookie in which a browser keeps the ids of the announcements that its reader has put away."""
_ANNOUNCEMENT = re.compile("[0-9a-f]{16}")

POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "connect-src 'self' http://localhost:21012",
        "img-src 'self' data:",
        "style-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy of every page; port 21012 is the SAMP hub on the reader's own machine."""

_LONGEST_COOKIE_S = 30 * 86400
PUT_OFF = "uws_later"
"""The cookie of a browser whose reader does not want to keep work in an account that was made without one."""


class Renderer:
    """Renders the templates of a folder for one set of services."""

    def __init__(self, services: Services, folder: Path) -> None:
        self.services = services
        address = urlsplit(services.base_url)
        self.root = address.path.rstrip("/")
        """The beginning of every address within the server: '' or the prefix of the base URL."""
        self.assets = Assets(folder / "static", self.root)
        self._tokens = Tokens(services.config.folders.data)
        self._folder = folder
        self._templates = {
            path.name: SimpleTemplate(name=path.name, lookup=[str(folder)], encoding="utf8")
            for path in sorted(folder.glob("*.html"))
        }

    def page(self, template: str, status: int = 200, **values: Any) -> HTTPResponse:
        """Return a page; its template also knows the names below."""
        cookie = self._tokens.cookie(cookie_of(request.environ, COOKIE))
        caller = self._caller()
        definitions = JobService(self.services, caller or Caller()).definitions
        text = self._templates[template].render(
            root=self.root,
            asset=self.assets.url,
            installed_part=self.assets.has,
            link=self.link,
            name_of=self.name_of,
            quote=quote,
            installed=definitions,
            offered=[one.definition for one in definitions if caller and definitions.may_run(one.definition)],
            sections=listing.sections,
            token=self._tokens.token(cookie),
            version=VERSION,
            reader=caller.name if caller else None,
            is_admin=caller is not None and caller.is_admin,
            by_session=caller is not None and caller.by_session,
            provider=self.services.config.oidc.issuer and self.services.config.oidc.provider_name,
            announcements=self._announcements(),
            here_again=self.here_again(),
            keepable=self._keepable(caller),
            may_run=lambda definition: caller is not None and definitions.may_run(definition),
            when=texts.when,
            iso=texts.iso,
            span=texts.span,
            size=texts.size,
            cpu=texts.cpu,
            sentence=texts.sentence,
            scrolling=_scrolling,
            narrow=_narrow,
            **values,
        )
        response = HTTPResponse(
            text.encode("utf-8", "replace"),  # JSON in a form can bring halves of characters
            status,
            {
                "Content-Type": "text/html; charset=UTF-8",
                "Content-Security-Policy": POLICY,
                "Cache-Control": "private, no-cache",
            },
        )
        self.set_cookie(response, COOKIE, cookie, _LONGEST_COOKIE_S)
        return response

    def bare(self, template: str, status: int, **values: Any) -> HTTPResponse:
        """Return a page that knows nothing of its reader and leaves no cookie."""
        text = self._templates[template].render(asset=self.assets.url, **values)
        headers = {"Content-Type": "text/html; charset=UTF-8", "Content-Security-Policy": POLICY}
        return HTTPResponse(text.encode("utf-8", "replace"), status, headers)

    def set_cookie(self, response: HTTPResponse, name: str, value: str, seconds: int) -> None:
        """Have the browser keep a cookie for this server, which no script can read; 0 seconds remove it."""
        keep_cookie(self.services, response, name, value, seconds)

    def _caller(self) -> Caller | None:
        """Return the reader of the page; nobody on the page of a wrong token, or of a failure of the server."""
        try:
            return job_service_of(self.services, request.environ).caller
        except Exception:  # noqa: BLE001 - the page reports what failed; drawing it must not fail again
            return None

    def _announcements(self) -> list[Announcement]:
        """Return what the reader is told on each page."""
        told = Announcements(self.services, Caller()).now()
        return [one for one in told if one.id not in put_away(request.environ)]

    def here_again(self) -> str:
        """Return the address of the page, for coming back to it; that of the first page where it was not a GET."""
        query = request.query_string
        return f"{self.root}{request.path}{query and f'?{query}'}" if request.method == "GET" else self.link()

    def _keepable(self, caller: Caller | None) -> Offer:
        """Return what the browser made without an account, for a reader with one who has not put that off."""
        if caller is None or caller.name is None or cookie_of(request.environ, PUT_OFF):
            return Offer()
        known = remembered()
        if known == Remembered():
            return Offer()
        try:
            return AnonymousWork(self.services, caller).offered(known)
        except Exception:  # noqa: BLE001 - as above
            return Offer()

    def link(self, *parts: str, **query: object) -> str:
        """Return an address within the server; every part is quoted, empty query values are left out.

        Of a list each value stands there. Within a job the token of a share link goes along, and beside its id the key
        of a job, if the reader has it.
        """
        path = "".join(f"/{quote(self.name_of(part), safe='')}" for part in parts) or "/"
        shared = request.query.get(SHARE) if parts[:1] == ("jobs",) and len(parts) > 1 else None
        given = {name: value for name, value in {SHARE: shared, **query}.items() if value}
        listed = {name: value if isinstance(value, list) else [value] for name, value in given.items()}
        pairs = [(name, self.name_of(str(one))) for name, values in listed.items() for one in values]
        asked = urlencode(pairs, safe="/")
        return self.root + path + (f"?{asked}" if asked else "")

    def name_of(self, text: str) -> str:
        """Return what names a job in addresses and forms, for its id; any other text as it is."""
        job_service = known_job_service(request.environ)
        return text if job_service is None else job_service.address(text)

    def remember_made(self, response: HTTPResponse, job_id: str) -> None:
        """Have the browser of a reader without an account remember a job that it has just made."""
        job_service = job_service_of(self.services, request.environ)
        if job_service.caller.name is None:
            text = job_service.remembering_made(cookie_of(request.environ, JOBS_COOKIE), job_id)
            self.set_cookie(response, JOBS_COOKIE, text, self.services.config.jobs.keep_days * 86400)

    def remember(self, response: HTTPResponse, job_id: str) -> None:
        """Have the browser remember a job whose key came; the response is the page of that job."""
        text = job_service_of(self.services, request.environ).remembering(
            cookie_of(request.environ, JOBS_COOKIE), job_id
        )
        if text is not None:
            self.set_cookie(response, JOBS_COOKIE, text, self.services.config.jobs.keep_days * 86400)

    def go(self, address: str) -> HTTPResponse:
        """Return a 303 to another page."""
        return HTTPResponse("", 303, {"Location": address})

    def require_token(self, form: Form) -> None:
        """Refuse a form without the token of one of our pages; the token is removed from the form."""
        if not self._tokens.valid(cookie_of(request.environ, COOKIE), form.take("_token")):
            raise Forbidden(
                "this form was not sent from a page of this server, or the browser did not send its cookie: "
                "go back, reload the page and send it again (programs use /rest, which needs no form)"
            )


def put_away(environ: Mapping[str, Any]) -> list[str]:
    """Return the ids of the announcements that a browser shows no more."""
    return _ANNOUNCEMENT.findall(cookie_of(environ, PUT_AWAY)[:4096])


def remembered() -> Remembered:
    """Return what the browser that sent the current request remembers of what it made without an account."""
    return Remembered(cookie_of(request.environ, JOBS_COOKIE), cookie_of(request.environ, WORK_COOKIE))


def _narrow(address: str) -> str:
    """Return the address of a drawing for a narrow window."""
    return f"{address}{'&' if '?' in address else '?'}size=narrow"


def _scrolling(text: str | None, name: str) -> str:
    """Return the attributes of the box of a value: one that is long gets a height, and the keyboard can scroll it."""
    if not texts.is_long(text or ""):
        return ""
    return f' tabindex="0" role="region" aria-label="Value of {html_escape(name)}"'
