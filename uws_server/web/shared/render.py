"""Renders templates: the common parts of every page, its headers, the token of its forms. Imports the services."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from bottle import HTTPResponse, SimpleTemplate, html_escape, request

from uws_server.errors import Forbidden
from uws_server.incoming.callers import JOBS_COOKIE, SHARE, cookie_of, job_service_of, known_job_service
from uws_server.incoming.forms import Form
from uws_server.services.context import Services
from uws_server.services.job_service import JobService
from uws_server.services.rights import Caller
from uws_server.version import VERSION
from uws_server.web.shared import listing, texts
from uws_server.web.shared.assets import Assets
from uws_server.web.shared.tokens import COOKIE, Tokens

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


class Renderer:
    """Renders the templates of a folder for one set of services."""

    def __init__(self, services: Services, folder: Path) -> None:
        self.services = services
        address = urlsplit(services.base_url)
        self.root = address.path.rstrip("/")
        """The beginning of every address within the server: '' or the prefix of the base URL."""
        self.assets = Assets(folder / "static", self.root)
        self._secure = address.scheme == "https"
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
            may_run=lambda definition: caller is not None and definitions.may_run(definition),
            when=texts.when,
            iso=texts.iso,
            span=texts.span,
            size=texts.size,
            cpu=texts.cpu,
            sentence=texts.sentence,
            scrolling=_scrolling,
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
        path = self.root or "/"
        response.set_cookie(name, value, path=path, httponly=True, samesite="lax", secure=self._secure, max_age=seconds)

    def _caller(self) -> Caller | None:
        """Return the reader of the page; nobody on the page of a wrong token, or of a failure of the server."""
        try:
            return job_service_of(self.services, request.environ).caller
        except Exception:  # noqa: BLE001 - the page reports what failed; drawing it must not fail again
            return None

    def link(self, *parts: str, **query: object) -> str:
        """Return an address within the server; every part is quoted, empty query values are left out.

        Within a job the token of a share link goes along, and the key of a job beside its id, if the reader has it.
        """
        path = "".join(f"/{quote(self.name_of(part), safe='')}" for part in parts) or "/"
        shared = request.query.get(SHARE) if parts[:1] == ("jobs",) and len(parts) > 1 else None
        given = {name: value for name, value in {**query, SHARE: shared}.items() if value}
        asked = urlencode({name: self.name_of(str(value)) for name, value in given.items()})
        return self.root + path + (f"?{asked}" if asked else "")

    def name_of(self, text: str) -> str:
        """Return what names a job in addresses and forms, for its id; any other text as it is."""
        job_service = known_job_service(request.environ)
        return text if job_service is None else job_service.address(text)

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


def _scrolling(text: str | None, name: str) -> str:
    """Return the attributes of the box of a value: one that is long gets a height, and the keyboard can scroll it."""
    if not texts.is_long(text or ""):
        return ""
    return f' tabindex="0" role="region" aria-label="Value of {html_escape(name)}"'
