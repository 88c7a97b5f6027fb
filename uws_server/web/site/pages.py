"""Every page over one set of services. Imports the other modules of the people's door."""

from __future__ import annotations

from bottle import HTTPResponse

from uws_server.errors import Unauthorized
from uws_server.resources import templates_folder
from uws_server.services.context import Services
from uws_server.web.account.pages import AccountPages
from uws_server.web.account.provider import ProviderPages
from uws_server.web.admin.accounts import AccountsPages
from uws_server.web.admin.announcements import AnnouncementPages
from uws_server.web.admin.pages import AdminPage
from uws_server.web.admin.validation import ValidationPage
from uws_server.web.archive.pages import ArchivePages
from uws_server.web.definitions.editor import Editor
from uws_server.web.definitions.pages import Definitions
from uws_server.web.jobs.help import HelpPage
from uws_server.web.jobs.imageview import ImagePage
from uws_server.web.jobs.job import JobPage
from uws_server.web.jobs.joblist import JobList
from uws_server.web.jobs.newjob import NewJob
from uws_server.web.jobs.overlays import Overlays
from uws_server.web.jobs.pictures import Pictures
from uws_server.web.jobs.provenance import ProvenancePage
from uws_server.web.jobs.rerun import RerunPage
from uws_server.web.jobs.selected import SelectedJobs
from uws_server.web.jobs.sources import SourcesPage
from uws_server.web.search.pages import SearchPages
from uws_server.web.sessions.keeping import KeepingPage
from uws_server.web.sessions.pages import SessionPages
from uws_server.web.shared import texts
from uws_server.web.shared.places import place_within
from uws_server.web.shared.render import Renderer
from uws_server.web.sky.pages import SkyPage

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
        self.selected = SelectedJobs(services, self.render)
        self.job = JobPage(services, self.render, self.pictures)
        self.image = ImagePage(services, self.render, self.pictures)
        self.sources = SourcesPage(services, self.render, self.pictures)
        self.overlays = Overlays(services, self.render, self.pictures)
        self.provenance = ProvenancePage(services, self.render)
        self.new = NewJob(services, self.render)
        self.rerun = RerunPage(services, self.render, self.pictures)
        self.definitions = Definitions(services, self.render)
        self.editor = Editor(services, self.render)
        self.archive = ArchivePages(services, self.render)
        self.search = SearchPages(services, self.render)
        self.account = AccountPages(services, self.render)
        self.provider = ProviderPages(services, self.render)
        self.accounts = AccountsPages(services, self.render)
        self.validation = ValidationPage(services, self.render)
        self.announcements = AnnouncementPages(services, self.render)
        self.admin = AdminPage(services, self.render)
        self.sky = SkyPage(services, self.render)
        self.sessions = SessionPages(services, self.render, self.pictures)
        self.keeping = KeepingPage(services, self.render)

    def error(self, status: int, sentence: str) -> HTTPResponse:
        """Return a page that states an error; where the reader has to sign in, with the form for it."""
        title = _TITLES.get(status, "The server failed" if status >= 500 else "It did not work")
        return self.render.page(
            "error.html", status, title=title, text=texts.sentence(sentence), sign_in=status == Unauthorized.status,
            failed=status >= 500, next=place_within(self.render, self.render.here_again()),
        )  # fmt: skip

    def refused(self, status: int, sentence: str) -> HTTPResponse:
        """Return a page that states why a request of another site was refused, and tells nothing of the reader."""
        return self.render.bare(
            "refused.html", status, text=texts.sentence(sentence), home=f"{self.render.services.base_url}/"
        )
