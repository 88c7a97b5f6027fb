"""Files that hold a secret of the server, made where they are missing. Imports nothing of ours."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def read_secret(path: Path) -> bytes:
    """Return the secret in a file; of several processes that create one at the same time the first wins."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(secrets.token_bytes(32))
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(beside, path)
        beside.unlink()
    return path.read_bytes()
