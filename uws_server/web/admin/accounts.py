"""The pages for admins about accounts, roles and what was changed. Imports the services."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from bottle import HTTPResponse, request

from uws_server.errors import BadRequest, Conflict, NotFound, ServerError
from uws_server.incoming import forms
from uws_server.services.account_admin import Account, AccountAdmin, Limits
from uws_server.services.context import Services
from uws_server.services.quotas import amount
from uws_server.web.shared.page import Page
from uws_server.web.shared.render import Renderer
from uws_server.web.shared.texts import sentence

_SAID = {"changed": "The account is changed.", "rights": "Its rights are changed.", "door": "Done; it holds at once."}


@dataclass(frozen=True)
class Typed:
    """What somebody typed about an account."""

    name: str = ""
    roles: str = ""
    limits: Limits = field(default_factory=Limits)
    is_admin: bool = False


class AccountsPages(Page):
    """The pages over one set of services."""

    def __init__(self, services: Services, render: Renderer) -> None:
        super().__init__(services)
        self.render = render

    @property
    def admin(self) -> AccountAdmin:
        """Return what the reader may do with accounts."""
        return AccountAdmin(self.services, self.job_service.caller)

    def all(self) -> HTTPResponse:
        """GET the list of accounts, and the form for a new one."""
        return self._list()

    def create(self) -> HTTPResponse:
        """POST a new account: the list with its first token, which is shown this once."""
        self.admin.require_admin()
        typed = self._typed()
        try:
            token = self.admin.create(typed.name, typed.roles, typed.limits, typed.is_admin)
        except (BadRequest, Conflict) as error:
            return self._list(error, typed)
        return self._list(made=typed.name, new_token=token)

    def page(self, name: str) -> HTTPResponse:
        """GET one account."""
        return self._show(name)

    def change(self, name: str) -> HTTPResponse:
        """POST roles and limits: 303 to the page."""
        self.admin.require_admin()
        typed = self._typed()
        try:
            self.admin.change(name, typed.roles, typed.limits)
        except BadRequest as error:
            return self._show(name, error, typed)
        return self._go(name, "changed")

    def act(self, name: str, action: Literal["admin", "no-admin", "disable", "enable"]) -> HTTPResponse:
        """POST one of the buttons: 303 to the page."""
        self.admin.require_admin()
        self._typed()
        try:
            if action in ("admin", "no-admin"):
                self.admin.set_admin(name, action == "admin")
                return self._go(name, "rights")
            self.admin.set_disabled(name, action == "disable")
        except Conflict as error:
            return self._show(name, error)
        return self._go(name, "door")

    def renew(self, name: str) -> HTTPResponse:
        """POST: the page with a new token, which is shown this once; all others are void."""
        self.admin.require_admin()
        self._typed()
        return self._show(name, new_token=self.admin.renew(name))

    def roles(self) -> HTTPResponse:
        """GET which definitions ask for which roles, and who has them."""
        return self.render.page("admin_roles.html", roles=self.admin.roles())

    def changes(self) -> HTTPResponse:
        """GET what was done with accounts and announcements, the newest first."""
        number = page_of(request.query.get("page", ""))
        entries, more = self.admin.changes(number)
        return self.render.page("admin_changes.html", entries=entries, number=number, more=more)

    # --- parts -----------------------------------------------------------------------------------------

    def _list(
        self, problem: ServerError | None = None, typed: Typed | None = None, made: str = "", new_token: str = ""
    ) -> HTTPResponse:
        text, number = dict(forms.query(request.environ)).get("q", ""), page_of(request.query.get("page", ""))
        rows, more = self.admin.page(text, number)
        page = self.render.page(
            "admin_accounts.html",
            problem.status if problem else 200,
            rows=rows,
            more=more,
            number=number,
            text=text,
            typed=typed or Typed(),
            made=made,
            new_token=new_token,
            problem=sentence(str(problem)) if problem else "",
            amount=amount,
            accounts=self.services.config.accounts,
        )
        page.set_header("Cache-Control", "no-store")
        return page

    def _show(
        self, name: str, problem: ServerError | None = None, typed: Typed | None = None, new_token: str = ""
    ) -> HTTPResponse:
        details = self.admin.get(name)
        page = self.render.page(
            "admin_account.html",
            problem.status if problem else 200,
            details=details,
            account=details.row.account,
            typed=typed or _typed_of(details.row.account),
            problem=sentence(str(problem)) if problem else "",
            new_token=new_token,
            message=_SAID.get(request.query.get("said", ""), ""),
            amount=amount,
            accounts=self.services.config.accounts,
        )
        page.set_header("Cache-Control", "no-store")
        return page

    def _typed(self) -> Typed:
        """Return what a form says; refuse a form that is not of our pages."""
        with forms.reading(request.environ, self.services.spool, self.services.config.server.max_upload) as form:
            self.render.require_token(form)

            def text(name: str) -> str:
                return (form.take(name) or "").strip()

            limits = Limits(text("max_active"), text("max_running"), text("max_stored"))
            return Typed(text("name"), text("roles"), limits, text("admin") == "yes")

    def _go(self, name: str, said: str) -> HTTPResponse:
        return self.render.go(self.render.link("admin", "accounts", name, said=said))


def page_of(text: str) -> int:
    """Return the number of a page of a list, 1 where none is given. Raise NotFound for what is no number."""
    if not re.fullmatch(r"([1-9][0-9]{0,5})?", text):
        raise NotFound(f"there is no page {text[:10]!r} of the list")
    return int(text or 1)


def _typed_of(account: Account) -> Typed:
    """Return what the form of an account says at first."""

    def text(number: int | None) -> str:
        return "" if number is None else str(number)

    limits = Limits(text(account.max_active), text(account.max_running), text(account.max_bytes))
    return Typed(account.name, account.roles, limits, account.is_admin)
