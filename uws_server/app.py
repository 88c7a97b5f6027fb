"""Builds the WSGI application from the services; turns errors into responses. Imports both doors."""

from __future__ import annotations

import contextlib
import logging
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from bottle import Bottle, HTTPError, HTTPResponse, Router, request

from uws_server.asgi.shortcut import Answer
from uws_server.asgi.types import Scope
from uws_server.errors import DiskFull, ServerError, TooMany, Unavailable
from uws_server.incoming.callers import BASIC, BEARER, known_job_service
from uws_server.incoming.sites import SAFE_METHODS, require_own
from uws_server.protocol import cors, dali
from uws_server.protocol.contents import Contents
from uws_server.protocol.control import prefers_page
from uws_server.protocol.door import ProductsDoor
from uws_server.protocol.parts import Parts
from uws_server.protocol.quick import QuickUWS, whole_answer
from uws_server.protocol.resource import TEXT
from uws_server.protocol.sessions import SessionResources
from uws_server.protocol.tap.door import TapDoor
from uws_server.protocol.uws import UWS
from uws_server.protocol.vosi import VOSI
from uws_server.protocol.watching import Watching
from uws_server.services.context import Services
from uws_server.services.job_keys import without_keys
from uws_server.services.rights import is_loopback
from uws_server.storage.failures import meaning_of
from uws_server.web.site.routes import PeoplesDoor

if TYPE_CHECKING:
    from uws_server.protocol.quick_archive import QuickArchive

LOG = logging.getLogger(__name__)
_HEADERS = (("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "same-origin"))
_PRIVATE = ("Cache-Control", "private, no-cache")
"""For what depends on who asks: a cookie, unlike Authorization, keeps no cache from sharing an answer."""
_SEARCH: Final = "uws_server.protocol.archive"
"""The module of the searches of the archive, which is loaded by the first request for one."""
_PUBLIC = ("/store/", "/jdl")
"""Beginnings of the addresses whose answers are the same for everybody who has the address."""


_Handler = Callable[..., HTTPResponse]
_Route = tuple[str, str, _Handler]

Application = Callable[[Any, Any], Iterable[bytes]]
"""A WSGI application."""


def build(services: Services) -> Application:
    """Return the application: the programs' door under /rest and /store, the people's door everywhere else."""
    app = Bottle()
    people = PeoplesDoor(services)
    parts = (UWS, Contents, Parts, VOSI, Watching, ProductsDoor, TapDoor)
    with _compiled_once(app.router):
        for part in parts:
            part(services).routes(app)
        _both_doors(app, SessionResources(services).routes_by_accept, people.by_accept)
        people.routes(app)
    app.add_hook("before_request", lambda: _require_own(services, people))
    app.install(_Errors(people))
    app.default_error_handler = lambda error: _of_bottle(people, error)
    return _with_headers(app, not is_loopback(services.config.server.host))


def _both_doors(app: Bottle, programs: Iterable[_Route], people: Iterable[_Route]) -> None:
    """Add resources and pages of the same addresses: a browser gets the page, who asks otherwise the resource."""
    pages = {(method, path): handler for method, path, handler in people}
    for method, path, handler in programs:
        page = pages.pop((method, path), None)
        app.route(path, method, handler if page is None else _by_accept(handler, page))
    for (method, path), handler in pages.items():
        app.route(path, method, handler)


def _by_accept(resource: _Handler, page: _Handler) -> _Handler:
    """Return the handler of an address at which there are a resource and a page."""

    def handle(**parts: str) -> HTTPResponse:
        response = (page if prefers_page(request.get_header("Accept", "")) else resource)(**parts)
        response.set_header("Vary", "Accept")
        return response

    return handle


@contextlib.contextmanager
def _compiled_once(router: Router) -> Iterator[None]:
    """Compile the routes when all are added: bottle compiles those there are anew for each one that is added."""
    methods: set[str] = set()
    router._compile = methods.add
    yield
    del router._compile
    for method in methods:
        router._compile(method)


def at_once(services: Services) -> Callable[[Scope], Answer | None]:
    """Return the function that answers some requests in the event loop, with what the application would send.

    Where the database has to be waited for, these are searches of the archive by a cone only.
    """
    quick = services.at_hand()
    jobs, archive = None if quick is None else QuickUWS(quick), _QuickSearch(services)

    def answer(scope: Scope) -> Answer | None:
        try:
            response = archive.answer(scope) or (jobs.answer(scope) if jobs is not None else None)
        except ServerError as error:
            response = _refusal(error.status, str(error)) if error.status < 500 else None  # the application logs it
        return None if response is None else whole_answer(response, (_PRIVATE, *_HEADERS))

    return answer


class _QuickSearch:
    """The search by a cone in the event loop, from the time on when a thread has loaded what it is made of."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def answer(self, scope: Scope) -> HTTPResponse | None:
        """Return the answer to a request. Return None if it is not had at once."""
        return self._quick.answer(scope) if _SEARCH in sys.modules else None

    @cached_property
    def _quick(self) -> QuickArchive:
        from uws_server.protocol.quick_archive import QuickArchive

        return QuickArchive(self._services)


def _with_headers(app: Bottle, is_public: bool) -> Application:
    """Return the application with headers that pin the type of each response and keep its address from other sites.

    `X-VO-Authenticated` tells a program as whom it was let in.
    """

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        shared = cors.headers(environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""), is_public)

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            job_service = known_job_service(environ)
            name = job_service.caller.name if job_service else None
            told = [("X-VO-Authenticated", name)] if name else []
            kept = [] if _says_who_keeps_it(environ, headers) else [_PRIVATE]
            return start_response(status, [*headers, *kept, *_HEADERS, *shared, *told], *rest)

        answer: Iterable[bytes] = app(environ, start)
        return answer

    return application


def _says_who_keeps_it(environ: dict[str, Any], headers: Iterable[tuple[str, str]]) -> bool:
    """Check whether an answer says how long it may be kept, or is the same for everybody."""
    return environ.get("PATH_INFO", "").startswith(_PUBLIC) or any(name == _PRIVATE[0] for name, _ in headers)


class _Errors:
    """Bottle plugin that makes a response of one sentence of an error that a handler raises."""

    name = "errors"
    api = 2

    def __init__(self, people: PeoplesDoor) -> None:
        self.people = people

    def apply(self, callback: Any, _route: Any) -> Any:
        def handle(*args: Any, **kwargs: Any) -> Any:
            try:
                return callback(*args, **kwargs)
            except HTTPResponse:
                raise
            except ServerError as error:
                if error.status >= 500 and not isinstance(error, Unavailable | DiskFull):
                    return _failed(self.people, error)
                return _told(self.people, error)
            except Exception as error:  # noqa: BLE001 - whatever it is, the client gets a number, the log the rest
                return _failed(self.people, error)

        return handle


def _failed(people: PeoplesDoor, error: Exception | None) -> HTTPResponse:
    """Return the response to a failure of the server: a number, under which the log has the details.

    A full disk and a database that does not answer are told as what they are, with one line of log.
    """
    path = without_keys(request.path)
    if known := meaning_of(error):
        LOG.error("%s %s: %s (%s)", request.method, path, known, str(error).partition("\n")[0][:300])
        return _told(people, known)
    number = secrets.token_hex(4)
    LOG.error("error %s at %s %s", number, request.method, path, exc_info=error)
    return _answer(people, 500, f"the server failed; its log tells more under the number {number}")


def _told(people: PeoplesDoor, error: ServerError) -> HTTPResponse:
    """Return the response to an error that was raised on purpose."""
    answer = _answer(people, error.status, str(error))
    if isinstance(error, Unavailable):
        answer.set_header("Retry-After", str(error.retry_after))
    return answer


def _answer(people: PeoplesDoor, status: int, sentence: str) -> HTTPResponse:
    """Return the sentence as a page for a browser that looks at pages, as VOTable or text for everyone else."""
    if _is_of_reader():
        page = people.pages.error(status, sentence.encode("utf-8", "replace").decode())
        # of Basic a browser would show a window of its own in place of the page, which has the form
        return _with_hints(page, status, BEARER)
    return _refusal(status, sentence)


def _is_of_reader() -> bool:
    """Check whether a browser asks for what would be a page."""
    is_program = request.path.startswith(("/rest/", "/store/", "/jdl", "/tap"))
    return not is_program and "text/html" in request.get_header("Accept", "")


def _refusal(status: int, sentence: str) -> HTTPResponse:
    """Return the sentence for a program, as VOTable or text."""
    sentence = sentence.encode("utf-8", "replace").decode()  # JSON can bring halves of characters
    if request.path.startswith("/tap/sync") or dali.wants_votable(request.query, request.get_header("Accept", "")):
        response = HTTPResponse(dali.error_document(sentence), status, {"Content-Type": dali.VOTABLE})
    else:
        response = HTTPResponse(sentence + "\n", status, {"Content-Type": TEXT})
    return _with_hints(response, status, BASIC, BEARER)


def _with_hints(response: HTTPResponse, status: int, *challenges: str) -> HTTPResponse:
    """Return the response with the headers that tell a client what to do about the status."""
    if status == TooMany.status:
        response.set_header("Retry-After", "60")
    if status == 401:
        for challenge in challenges:
            response.add_header("WWW-Authenticate", challenge)
    return response


def _of_bottle(people: PeoplesDoor, error: HTTPError) -> HTTPResponse:
    """Return the response to an error of bottle: to a request that no handler takes, or a failure after its handler.

    A list is made while it is sent.
    """
    if error.status_code == 500:
        return _failed(people, error.exception)
    if "Allow" not in error.headers:
        return _answer(people, error.status_code, _sentence(error))
    allowed = set(error.headers["Allow"].split(","))
    allowed |= {"HEAD"} if "GET" in allowed else set()
    is_asked = request.method == "OPTIONS"
    response = HTTPResponse("", 204) if is_asked else _answer(people, error.status_code, _sentence(error))
    response.set_header("Allow", ", ".join(sorted(allowed)))
    return response


def _sentence(error: HTTPError) -> str:
    """Return what is wrong with a request that no handler takes, with a hint."""
    if error.status_code == 404:
        hint = ": no address of this server ends with a slash" if request.path.endswith("/") else ""
        return f"there is nothing at {request.path[:200]}{hint}"
    if error.status_code == 405:
        is_lost = request.method == "POST" and not request.path.startswith("/rest/")
        hint = ": jobs are made at /rest/NAME, NAME that of a job definition" if is_lost else ""
        return f"{request.method} is not possible at {request.path[:200]}{hint}"
    return str(error.body)


def _require_own(services: Services, people: PeoplesDoor) -> None:
    """Refuse pages of other sites, with no page that would show them more than they may know.

    Whose form was sent sees a page without menu; what is looked at under a foreign name gets no style sheet either.
    """
    try:
        require_own(services, request.environ)
    except ServerError as error:
        if request.method not in SAFE_METHODS and _is_of_reader():
            raise people.pages.refused(error.status, str(error)) from error
        raise HTTPResponse(f"{error}\n", error.status, {"Content-Type": TEXT}) from error
