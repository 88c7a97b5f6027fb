"""The addresses of the pages: each is drawn by something, and none is loaded before it is asked for."""

from __future__ import annotations

import operator
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from uws_server.config import Config
from uws_server.resources import definitions_folder
from uws_server.services.context import Services
from uws_server.web.definitions.editor import NEW
from uws_server.web.site.addresses import BY_ACCEPT, PAGES
from uws_server.web.site.pages import Pages

LOADED = """
import sys
import uws_server.app
print(*sorted(name for name in sys.modules if name.startswith("uws_server.web.") and ".site" not in name))
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    services = Services(Config.of(data=tmp_path_factory.mktemp("data")), "http://localhost", definitions_folder())
    yield Pages(services)
    services.store.close()


@pytest.mark.parametrize("name", sorted({name for *_, name in PAGES + BY_ACCEPT}))
def test_every_address_has_a_handler(pages: Pages, name: str) -> None:
    assert callable(operator.attrgetter(name)(pages))


def test_a_new_definition_is_where_the_editor_has_it() -> None:
    address = f"/definitions/{NEW}"
    assert {("GET", address, "editor.new"), ("POST", address, "editor.send_new")} < set(PAGES)


def test_no_address_is_there_twice() -> None:
    addresses = [(method, path) for method, path, _ in PAGES + BY_ACCEPT]
    assert sorted(set(addresses)) == sorted(addresses)


def test_a_server_that_nobody_looks_at_has_loaded_no_page(tmp_path: Path) -> None:
    loaded = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert loaded.stdout.split() == []
