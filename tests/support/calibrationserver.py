"""A real HTTP server that answers as a calibration service: it lists files, and wants a token where it has one."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Service:
    """What the server holds, and what it was asked: each request's path, query and headers."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    token: str = ""
    fails: int = 0
    """How many requests are answered with 503 before one is answered well."""
    elsewhere: str = ""
    """Address to which files are redirected."""
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        if path == "/search":
            rows = [
                row
                for row in self.rows
                if all(row.get(key) in (None, query.get(key)) for key in ("instrument", "type"))
            ]
            return 200, json.dumps(rows).encode()
        return (200, self.files[path]) if path in self.files else (404, b"no such file")


@contextmanager
def running_service(**parts: Any) -> Iterator[Service]:
    """Run a service on a free port of this machine."""
    service = Service(**parts)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(address.query))
            service.asked.append((address.path, query, dict(self.headers.items())))
            status, body, location = 200, b"", ""
            if service.fails:
                service.fails -= 1
                status = 503
            elif service.token and self.headers.get("Authorization") != f"Bearer {service.token}":
                status = 401
            elif service.elsewhere and address.path in service.files:
                status, location = 302, service.elsewhere + address.path
            else:
                status, body = service.answer(address.path, query)
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
