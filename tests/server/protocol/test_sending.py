"""What is sent of a file that a running script may change at any moment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bottle import LocalRequest, request

from uws_server.errors import Forbidden, NotFound
from uws_server.protocol.sending import send


@pytest.fixture
def asked() -> LocalRequest:
    """A GET without conditions."""
    request.bind({"REQUEST_METHOD": "GET"})
    return request


@pytest.mark.usefixtures("asked")
def test_links_and_pipes_are_not_sent(tmp_path: Path) -> None:
    """Nor waited for: whoever looked a moment ago whether it is a plain file may be wrong by now."""
    (tmp_path / "plain.txt").write_text("x")
    (tmp_path / "link.txt").symlink_to("plain.txt")
    os.mkfifo(tmp_path / "pipe.txt")
    for name in ("link.txt", "pipe.txt", "."):
        with pytest.raises(Forbidden):
            send(tmp_path / name, "text/plain")
    with pytest.raises(NotFound):
        send(tmp_path / "nothing", "text/plain")
    answer = send(tmp_path / "plain.txt", "text/html")
    assert b"".join(answer.body) == b"x"
    answer.body.close()
    assert answer.headers["Content-Security-Policy"] == "sandbox"
