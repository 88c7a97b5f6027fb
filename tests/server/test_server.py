"""The process of the server: what it says when it cannot listen."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from uws_server.cli import main


def refusal(folder: Path, capsys: pytest.CaptureFixture[str], host: str, port: int) -> str:
    """Return what `serve` says where it cannot listen."""
    assert main(["serve", "--data", str(folder), "--host", host, "--port", str(port)]) == 2
    return capsys.readouterr().err


def test_a_port_in_use_and_an_address_of_another_machine_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refusal(tmp_path, capsys, "127.0.0.1", port) == (
            f"uws-server: cannot listen on 127.0.0.1:{port}: Address already in use; --port 0 takes a free one\n"
        )
    elsewhere = refusal(tmp_path, capsys, "192.0.2.1", 0)  # RFC 5737: of no machine
    assert elsewhere.endswith("; --host is an address of this machine, or 0.0.0.0 for all\n")
