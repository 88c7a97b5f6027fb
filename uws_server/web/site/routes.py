"""Every page and where it is. Imports the services and the other modules of the people's door."""

from __future__ import annotations

from bottle import Bottle, HTTPResponse, request

from uws_server.errors import Unauthorized
from uws_server.resources import templates_folder
from uws_server.services import job_keys
from uws_server.services.context import Services
from uws_server.web.account.pages import AccountPages
from uws_server.web.admin.pages import AdminPage
from uws_server.web.definitions.editor import NEW, Editor
from uws_server.web.definitions.pages import Definitions
from uws_server.web.jobs.help import HelpPage
from uws_server.web.jobs.job import JobPage
from uws_server.web.jobs.joblist import JobList
from uws_server.web.jobs.newjob import NewJob
from uws_server.web.jobs.pictures import Pictures
from uws_server.web.jobs.provenance import ProvenancePage
from uws_server.web.jobs.rerun import RerunPage
from uws_server.web.shared import texts
from uws_server.web.shared.render import Renderer

_ID = f"<job_id:re:{job_keys.ADDRESS}>"
_OLD_ID = f"<old_id:re:{job_keys.ADDRESS}>"
_TITLES = {
    400: "The request cannot be understood",
    401: "Please sign in",
    403: "Not allowed",
    404: "Nothing here",
    409: "Changed meanwhile",
    413: "Too large",
}


class Pages:
    """Every page over one set of services."""

    def __init__(self, services: Services) -> None:
        self.render = Renderer(services, templates_folder())
        self.pictures = Pictures(services)
        self.help = HelpPage(services, self.render)
        self.list = JobList(services, self.render)
        self.job = JobPage(services, self.render, self.pictures)
        self.provenance = ProvenancePage(services, self.render)
        self.new = NewJob(services, self.render)
        self.rerun = RerunPage(services, self.render, self.pictures)
        self.definitions = Definitions(services, self.render)
        self.editor = Editor(services, self.render)
        self.account = AccountPages(services, self.render)
        self.admin = AdminPage(services, self.render)

    def routes(self, app: Bottle) -> None:
        """Add every page to the application."""
        for method, path, handler in (
            ("GET", "/", self.list.page),
            ("GET", "/jobs", self.list.page),
            ("GET", "/jobs/state", self.list.state),
            ("GET", "/new", self.new.choose),
            ("GET", "/new/<name>", self.new.page),
            ("POST", "/new/<name>", self.new.create),
            ("POST", "/new/<name>/test", self.list.create_test),
            ("GET", f"/jobs/{_ID}", self.job.page),
            ("GET", f"/jobs/{_ID}/state", self.job.state),
            ("GET", f"/jobs/{_ID}/provenance", self.provenance.page),
            ("POST", f"/jobs/{_ID}/<action:re:run|abort|delete|share|unshare>", self.job.act),
            ("POST", f"/jobs/{_ID}/parts/rerun", self.job.rerun_failed),
            ("POST", f"/jobs/{_ID}/<which:re:duration|destruction>", self.job.limit),
            ("GET", f"/jobs/{_ID}/all.<suffix:re:tar|zip>", self.pictures.archive),
            ("GET", f"/jobs/{_ID}/preview/<name>.<suffix:re:svg|png|json>", self.pictures.preview),
            ("GET", f"/jobs/{_ID}/thumbnail/<name>.svg", self.pictures.thumbnail),
            ("GET", "/definitions", self.definitions.all),
            ("GET", f"/definitions/{NEW}", self.editor.new),
            ("POST", f"/definitions/{NEW}", lambda: self.editor.send(NEW)),
            ("GET", "/definitions/<name>", self.definitions.page),
            ("GET", "/definitions/<name>/edit", self.editor.page),
            ("POST", "/definitions/<name>/edit", self.editor.send),
            ("POST", "/definitions/<name>/preview", self.editor.preview),
            ("POST", "/definitions/<name>/<action:re:draft|restore|remove>", self.definitions.act),
            ("GET", "/definitions/<name>/draft/<kind:re:json|wadl|votable>", self.definitions.export),
            ("GET", "/definitions/<name>/draft/files/<file:path>", self.editor.file),
            ("GET", "/definitions/<name>/versions/<revision:re:[0-9a-f]{64}>", self.definitions.version),
            ("GET", "/definitions/<name>/diff", self.definitions.difference),
            ("GET", "/rerun", self.rerun.page),
            ("POST", "/rerun", self.rerun.send),
            ("GET", f"/jobs/{_ID}/compare/{_OLD_ID}", self.rerun.compare),
            ("GET", f"/jobs/{_ID}/compare/{_OLD_ID}/<name>.<suffix:re:svg|json>", self.rerun.picture),
            ("GET", "/login", self.account.login),
            ("POST", "/login", self.account.sign_in),
            ("POST", "/logout", self.account.sign_out),
            ("GET", "/account", self.account.account),
            ("POST", "/account/tokens", self.account.make_token),
            ("POST", "/account/secrets", self.account.set_secret),
            ("POST", "/account/secrets/<name:re:[A-Za-z0-9_]{1,64}>/delete", self.account.delete_secret),
            ("POST", "/account/tokens/<token_id:re:[0-9a-f]{16}>/revoke", self.account.revoke),
            ("GET", "/admin", self.admin.page),
            ("POST", "/admin/<action:re:drain|undrain>", self.admin.drain),
            ("POST", f"/admin/jobs/{_ID}/<action:re:abort|hold>", self.admin.act),
            ("GET", "/help", self.help.page),
            ("GET", "/static/<name:path>", self.render.assets.send),
        ):
            app.route(path, method, handler)

    def error(self, status: int, sentence: str) -> HTTPResponse:
        """Return a page that states an error; where the reader has to sign in, with the form for it."""
        title = _TITLES.get(status, "The server failed" if status >= 500 else "It did not work")
        return self.render.page(
            "error.html", status, title=title, text=texts.sentence(sentence), sign_in=status == Unauthorized.status,
            failed=status >= 500, next=self.account.place(self._asked()),
        )  # fmt: skip

    def refused(self, status: int, sentence: str) -> HTTPResponse:
        """Return a page that states why a request of another site was refused, and tells nothing of the reader."""
        return self.render.bare(
            "refused.html", status, text=texts.sentence(sentence), home=f"{self.render.services.base_url}/"
        )

    def _asked(self) -> str:
        """Return the address that was asked for; '' for what was sent, which a browser does not send again."""
        if request.method != "GET":
            return ""
        query = request.query_string
        return f"{self.render.root}{request.path}{query and f'?{query}'}"
