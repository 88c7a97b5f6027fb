"""What a server does not load before somebody asks for it: it starts in half the time, and rests in less memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, sys
from io import BytesIO
from pathlib import Path
from uws_server import app, server
from uws_server.config import Config
from uws_server.resources import definitions_folder
from uws_server.services.context import Services

services = Services(Config.of(data=Path(sys.argv[1])), "http://localhost", definitions_folder())
application = app.build(services)
app.at_once(services)
environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/availability", "SERVER_NAME": "localhost", "SERVER_PORT": "80",
           "wsgi.input": BytesIO(), "wsgi.errors": sys.stderr, "wsgi.url_scheme": "http", "REMOTE_ADDR": "127.0.0.1"}
answer = b"".join(application(environ, lambda *_: None)).decode()
services.store.close()
print(json.dumps([answer, sorted(sys.modules)]))
"""

LATER = (
    # with the first XML document that is more than a few lines, PostgreSQL, the first query, the first picture, ...
    "lxml", "sqlalchemy.dialects.postgresql", "psycopg", "alembic", "sqlglot", "lark", "cryptography", "requests",
    "numpy", "astropy", "mocpy", "regions", "matplotlib", "jsonschema", "prov", "pyvo", "markdown_it",
    # with the first estimate
    "statistics",
    # with the first request for products, definitions or reruns, and the first search of the archive
    "uws_server.protocol.datalink", "uws_server.protocol.definitions", "uws_server.protocol.obscore",
    "uws_server.protocol.provenance", "uws_server.protocol.registry", "uws_server.protocol.reruns",
    "uws_server.protocol.sia2", "uws_server.protocol.soda", "uws_server.discovery", "uws_server.reruns.service",
    "uws_server.services.archive_search", "uws_server.services.exposures", "uws_server.archive.query",
    "provenance.graph", "reduction.regions",
)  # fmt: skip


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    """The first answer of a server, and what is loaded by then."""
    command = [sys.executable, "-c", PROGRAM, str(tmp_path_factory.mktemp("data"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(command[-1]))
    answer, modules = json.loads(done.stdout)
    return answer, modules


def test_the_first_answer_says_that_the_server_is_up(started: tuple[str, list[str]]) -> None:
    assert "available>true<" in started[0]


@pytest.mark.parametrize("name", LATER)
def test_is_not_loaded_at_the_start(started: tuple[str, list[str]], name: str) -> None:
    assert [found for found in started[1] if found == name or found.startswith(f"{name}.")] == []
