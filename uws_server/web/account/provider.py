"""The way to the provider of OpenID Connect and back, and what a browser reads where it ends. Imports the services.

The way there is a link: a form that led to another server would be stopped by the policy of our pages.
"""

from __future__ import annotations

from bottle import HTTPResponse, request

from uws_server.errors import Conflict, Forbidden, ServerError, Unauthorized, Unavailable
from uws_server.incoming import forms
from uws_server.incoming.callers import SESSION_COOKIE, cookie_of
from uws_server.oidc.attempt import LIFETIME_S
from uws_server.services.context import Services
from uws_server.services.own_account import OwnAccount
from uws_server.services.provider_sign_in import Begun, ProviderSignIn
from uws_server.services.sessions import LIFETIME
from uws_server.web.shared.page import Page
from uws_server.web.shared.places import place_within
from uws_server.web.shared.render import Renderer
from uws_server.web.shared.texts import sentence

COOKIE = "uws_oidc"
"""The cookie of a browser that is on its way."""


class ProviderPages(Page):
    """The pages over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render

    @property
    def sign_in(self) -> ProviderSignIn:
        """Return what the reader does at the provider."""
        return ProviderSignIn(self.services, self.job_service.caller)

    def go(self) -> HTTPResponse:
        """GET: 303 to the provider."""
        place = place_within(self.render, request.query.get("next", ""))
        try:
            begun = self.sign_in.begin(place)
        except Unavailable as error:
            return self._told(error, place)
        return self._on_the_way(self.render.go(begun.address), begun)

    def come_back(self) -> HTTPResponse:
        """GET: 303 to where the reader wanted to go, with the cookie of a session; else the page of the sign-in."""
        cookie = cookie_of(request.environ, COOKIE)
        sign_in = self.sign_in
        try:
            entered = sign_in.finish(cookie, dict(forms.query(request.environ)))
        except (Unauthorized, Forbidden, Conflict, Unavailable) as error:
            return self._off_the_way(self._told(error, place_within(self.render, sign_in.place(cookie))))
        OwnAccount(self.services, self.job_service.caller).sign_out(cookie_of(request.environ, SESSION_COOKIE))
        response = self.render.go(place_within(self.render, entered.place))
        self.render.set_cookie(response, SESSION_COOKIE, entered.secret, int(LIFETIME.total_seconds()))
        return self._off_the_way(response)

    def connect(self) -> HTTPResponse:
        """POST: a page with the link that connects the reader's account with the provider."""
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
        begun = self.sign_in.begin_to_connect(self.render.link("account"))
        page = self.render.page("connect.html", address=begun.address)
        page.set_header("Cache-Control", "no-store")
        return self._on_the_way(page, begun)

    def _on_the_way(self, response: HTTPResponse, begun: Begun) -> HTTPResponse:
        self.render.set_cookie(response, COOKIE, begun.cookie, LIFETIME_S)
        response.set_header("Cache-Control", "no-store")
        return response

    def _off_the_way(self, response: HTTPResponse) -> HTTPResponse:
        self.render.set_cookie(response, COOKIE, "", 0)
        response.set_header("Cache-Control", "no-store")
        return response

    def _told(self, error: ServerError, place: str) -> HTTPResponse:
        return self.render.page("login.html", error.status, problem=sentence(str(error)), name="", next=place)
