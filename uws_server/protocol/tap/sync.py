"""Queries that are answered at once, /tap/sync: the rows are sent as they are read. Imports the services and TAP."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bottle import Bottle, HTTPResponse, request

from uws_server.errors import BadRequest, ServerError
from uws_server.incoming import forms
from uws_server.incoming.callers import job_service_of
from uws_server.incoming.forms import Form
from uws_server.protocol import dali
from uws_server.services.context import Services
from uws_server.services.query_service import QueryService
from uws_server.tap.formats.answer import Answer
from uws_server.tap.formats.choice import Format
from uws_server.tap.jobs.running import fetched
from uws_server.tap.query.budget import Budget
from uws_server.tap.query.request import QueryRequest, read_request
from uws_server.tap.query.service import require_files
from uws_server.tap.upload.request import MOST_BYTES

LOG = logging.getLogger(__name__)
_TIME_S: Final = 60.0
"""Seconds for which the database works for one query."""
_SHORT: Final = 1 << 16
"""Bytes of an answer that is sent in one piece."""
_HINT: Final = "send a long one to /tap/async, or ask for less"


class Sync:
    """Queries over one set of services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def routes(self, app: Bottle) -> None:
        """Add the resource to the application."""
        app.route("/tap/sync", ["GET", "POST"], self.query)

    def query(self) -> HTTPResponse:
        """GET or POST: the rows that a query finds, or a VOTable that says what is wrong."""
        try:
            return self._answered()
        except ServerError as error:
            if error.status not in (400, 413):
                raise
            return HTTPResponse(dali.error_document(str(error)), error.status, {"Content-Type": dali.VOTABLE})

    def _answered(self) -> HTTPResponse:
        most = min(self.services.config.server.max_upload, MOST_BYTES)
        queries = QueryService(self.services, job_service_of(self.services, request.environ).caller)
        with forms.reading(request.environ, self.services.spool, most) as form:
            values: dict[str, list[str]] = {}
            for name, texts in form.values.items():
                values.setdefault(name.upper(), []).extend(texts)
            wanted = read_request(values)
            write = wanted.format.write()
            budget = Budget(_TIME_S, _HINT)
            with self._files(wanted, form) as files, queries.turn():
                answer = queries.answer(wanted, files, budget)
        return _sent(answer, write(answer), wanted.format)

    @contextmanager
    def _files(self, wanted: QueryRequest, form: Form) -> Iterator[dict[str, Path]]:
        """Yield the files of uploaded tables by their names; those at URLs are fetched, and gone afterwards."""
        twice = next((pair for pair in wanted.uploads if f"{pair.param.lower()}[2]" in form.uploads), None)
        if twice is not None:
            raise BadRequest(
                f"UPLOAD {twice.name}: several files came under the name {twice.param[:80]}; one is allowed"
            )
        files = {
            pair.name: form.uploads[pair.param.lower()].path
            for pair in wanted.uploads
            if pair.param and pair.param.lower() in form.uploads
        }
        if not any(pair.url for pair in wanted.uploads):
            require_files(wanted, files)
            yield files
            return
        with tempfile.TemporaryDirectory(prefix="uws-tap-") as folder:
            for pair in wanted.uploads:
                if pair.url:
                    files[pair.name] = fetched(pair, Path(folder), self.services.config)
            require_files(wanted, files)
            yield files


class _Pieces:
    """The pieces of an answer; whoever stops reading them gives back what the rows come from."""

    def __init__(self, answer: Answer, first: bytes, others: Iterator[bytes]) -> None:
        self._answer, self._first, self._others = answer, first, others

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        try:
            yield from self._others
        except ServerError:
            raise
        except RuntimeError as error:  # these formats have no place for it: the answer is cut off
            LOG.warning("the answer to a query was cut off: %s", error)
            raise

    def close(self) -> None:
        """Give back what the rows come from."""
        self._answer.close()


def _sent(answer: Answer, pieces: Iterator[bytes], chosen: Format) -> HTTPResponse:
    """Return the response: a short answer in one piece."""
    headers = {
        "Content-Type": chosen.mime,
        "Content-Disposition": f'inline; filename="result.{chosen.suffix}"',
        "Vary": "Authorization",
    }
    first = b""
    try:
        for piece in pieces:
            first += piece
            if len(first) > _SHORT:
                return HTTPResponse(_Pieces(answer, first, pieces), 200, headers)
    except RuntimeError as error:
        raise BadRequest(str(error)) from error
    except BaseException:
        answer.close()
        raise
    if answer.failed and not answer.overflowed and b"QUERY_STATUS" in first:
        return HTTPResponse(dali.error_document(answer.failed), 400, {"Content-Type": dali.VOTABLE})
    return HTTPResponse(first, 200, headers)
