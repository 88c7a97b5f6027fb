"""The pages of accounts: the form that signs a browser in, and one's own account with its tokens. Imports the services.

A browser that is signed in has a cookie with the secret of its session, which no script can read.
"""

from __future__ import annotations

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest, Conflict, ServerError, TooMany, Unauthorized
from uws_server.incoming import forms
from uws_server.incoming.callers import SESSION_COOKIE, cookie_of
from uws_server.services.context import Services
from uws_server.services.own_account import OwnAccount
from uws_server.services.provider_sign_in import ProviderSignIn
from uws_server.services.quotas import amount
from uws_server.services.sessions import LIFETIME
from uws_server.web.shared.page import Page
from uws_server.web.shared.places import place_within
from uws_server.web.shared.render import Renderer
from uws_server.web.shared.texts import sentence


class AccountPages(Page):
    """The pages of accounts over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render

    @property
    def own(self) -> OwnAccount:
        """Return the account of the reader."""
        return OwnAccount(self.services, self.job_service.caller)

    def login(self) -> HTTPResponse:
        """GET the form that asks for name and token; 303 for somebody who is signed in."""
        place = place_within(self.render, request.query.get("next", ""))
        if self.job_service.caller.name is not None:
            return self.render.go(place)
        signs_out = "out" in request.query and ProviderSignIn(self.services, self.job_service.caller).logout_address()
        return self.render.page("login.html", problem="", name="", next=place, elsewhere=signs_out or "")

    def sign_in(self) -> HTTPResponse:
        """POST name and token: 303 to where the reader wanted to go, with the cookie of a session; else the form."""
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
            name, token = form.take("name") or "", form.take("token") or ""
            place = place_within(self.render, form.take("next") or "")
        try:
            secret = self.own.sign_in(name, token)
        except (Unauthorized, TooMany) as error:
            problem = sentence(str(error))
            return self.render.page("login.html", error.status, problem=problem, name=name[:64], next=place)
        self.own.sign_out(cookie_of(request.environ, SESSION_COOKIE))  # nobody could end it any more
        response = self.render.go(place)
        self.render.set_cookie(response, SESSION_COOKIE, secret, int(LIFETIME.total_seconds()))
        return response

    def sign_out(self) -> HTTPResponse:
        """POST: end the session; 303 to the first page, or to one that leads on to where else to sign out."""
        self._read()
        by_provider = self.own.sign_out(cookie_of(request.environ, SESSION_COOKIE))
        response = self.render.go(self.render.link("login", out="1") if by_provider else self.render.link())
        self.render.set_cookie(response, SESSION_COOKIE, "", 0)
        return response

    def account(self) -> HTTPResponse:
        """GET the reader's own account."""
        return self.show()

    def make_token(self) -> HTTPResponse:
        """POST a name: the page with a new token, which is shown this once."""
        label = self._read("name").strip()
        try:
            token = self.own.make_token(label)
        except BadRequest as error:
            return self.show(problem=error, label=label)
        return self.show(made=label, new_token=token)

    def revoke(self, token_id: str) -> HTTPResponse:
        """POST: make a token void; 303 to the page."""
        self._read()
        try:
            self.own.revoke(token_id)
        except BadRequest as error:
            return self.show(problem=error)
        return self.render.go(self.render.link("account"))

    def disconnect(self, identity_id: str) -> HTTPResponse:
        """POST: take an identity of the provider away; 303 to the page."""
        self._read()
        try:
            self.own.disconnect(identity_id)
        except BadRequest as error:
            return self.show(problem=error)
        return self.render.go(self.render.link("account"))

    def set_person(self) -> HTTPResponse:
        """POST name and mail address of the person: 303 to the page."""
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
            person = (form.take("full_name") or "").strip(), (form.take("email") or "").strip()
        try:
            self.own.set_person(*person)
        except BadRequest as error:
            return self.show(problem=error, person=person)
        return self.render.go(self.render.link("account"))

    def set_secret(self) -> HTTPResponse:
        """POST name and value of a secret: 303 to the page, which does not show the value."""
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
            name, value = (form.take("name") or "").strip(), (form.take("value") or "").strip()
        try:
            self.own.set_secret(name, value)
        except (BadRequest, Conflict) as error:
            return self.show(problem=error, secret_name=name)
        return self.render.go(self.render.link("account"))

    def delete_secret(self, name: str) -> HTTPResponse:
        """POST: delete a secret; 303 to the page."""
        self._read()
        self.own.delete_secret(name)
        return self.render.go(self.render.link("account"))

    def show(
        self,
        made: str = "",
        new_token: str = "",
        label: str = "",
        problem: ServerError | None = None,
        secret_name: str = "",
        person: tuple[str, str] | None = None,
    ) -> HTTPResponse:
        """Return the page of the account, with a token that was just made, or what is wrong with a request."""
        own = self.own
        response = self.render.page(
            "account.html",
            problem.status if problem else 200,
            account=own.caller,
            overview=own.overview(),
            person=own.person() if person is None else person,
            amount=amount,
            current=own.token_of_session(cookie_of(request.environ, SESSION_COOKIE)),
            made=made,
            new_token=new_token,
            label=label,
            secret_name=secret_name,
            problem=sentence(str(problem)) if problem else "",
        )
        response.set_header("Cache-Control", "no-store")
        return response

    def _read(self, name: str = "") -> str:
        """Return a text of the form that was sent, '' if none came; refuse a form that is not of our pages."""
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)
            return (form.take(name) or "") if name else ""
