"""Requests to the application without a server around it: for what is counted, or must not take turns."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uws_server import app
from uws_server.config import Config
from uws_server.resources import definitions_folder
from uws_server.services.context import Services

BASE = "http://127.0.0.1"


@dataclass(frozen=True)
class Answer:
    """What came: the status, the headers with names in lower case, the body in the parts in which it was made."""

    status: int
    headers: dict[str, str]
    parts: tuple[bytes, ...]

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    @property
    def text(self) -> str:
        return self.body.decode()


class Asking:
    """An application over a data folder that nobody else uses; its scheduler does not run."""

    def __init__(self, data: Path, **settings: Any) -> None:
        config = Config.of(data=data, **settings)
        self.services = Services(config, BASE, config.folders.definitions or definitions_folder())
        self._application = app.build(self.services)

    def get(self, address: str, accept: str = "*/*") -> Answer:
        return self.ask("GET", address, accept=accept)

    def ask(self, method: str, address: str, form: str = "", accept: str = "*/*") -> Answer:
        path, _, query = address.removeprefix(BASE).partition("?")
        environ = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "127.0.0.1",
            "HTTP_ACCEPT": accept, "CONTENT_TYPE": "application/x-www-form-urlencoded",
            "CONTENT_LENGTH": str(len(form)), "wsgi.input": io.BytesIO(form.encode()), "wsgi.errors": sys.stderr,
            "wsgi.url_scheme": "http",
        }  # fmt: skip
        told: list[tuple[str, list[tuple[str, str]]]] = []
        pieces = self._application(environ, lambda status, headers, *_: told.append((status, headers)))
        try:
            parts = tuple(pieces)
        finally:
            getattr(pieces, "close", lambda: None)()
        (status, headers), *_ = told
        return Answer(int(status[:3]), {name.lower(): value for name, value in headers}, parts)

    def close(self) -> None:
        self.services.store.close()
