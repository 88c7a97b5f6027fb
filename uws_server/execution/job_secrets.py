"""Which secrets a job gets, such as a token for an archive: its owner's own, else the operator's. Imports storage.

The operator's are for definitions that are live, and a job made when its revision was: whoever writes a draft would
else read them by a trial. An owner's own are for whatever the owner runs, but for a trial that is not shut in.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from uws_server.config import Config
from uws_server.errors import ConfigurationError, Forbidden
from uws_server.jobs.definition import Definition
from uws_server.storage.definitions import DefinitionStore
from uws_server.storage.jobstore import JobStore
from uws_server.storage.secrets import SecretStore

LOG = logging.getLogger(__name__)
LEAST, MOST = 8, 8192
"""Bytes of a secret: a shorter one could not be told in a log from what is none."""


class Asking(NamedTuple):
    """A job that needs secrets, or would: its definition, its owner, when it was made."""

    definition: Definition
    revision: str
    owner: str | None
    is_trial: bool
    made: datetime


def require(config: Config) -> None:
    """Raise ConfigurationError if the operator's secrets are not there, or others may read them."""
    folder = config.jobs.secrets
    if folder is None:
        return
    if not folder.is_dir():
        raise ConfigurationError(f"secrets = {str(folder)!r}: there is no such folder")
    for path in (folder, *folder.iterdir()):
        if path.is_file() and path.stat().st_mode & stat.S_IRWXO:
            raise ConfigurationError(f"secrets: everybody may read {path}; chmod 600 {path}")


def length_problem(value: bytes) -> str:
    """Return why a text cannot be a secret; '' where it can."""
    if LEAST <= len(value) <= MOST:
        return ""
    return f"{len(value):,} bytes came; {LEAST} to {MOST:,} are allowed"


class JobSecrets:
    """The secrets of accounts and of the operator, as jobs may have them."""

    def __init__(self, config: Config, store: SecretStore, definitions: DefinitionStore) -> None:
        self._folder, self._trials_are_shut_in = config.jobs.secrets, config.jobs.sandbox != "none"
        self.store, self._definitions = store, definitions

    def of(self, asking: Asking) -> dict[str, bytes]:
        """Return the secrets that a job gets, by name. Raise Forbidden, which names those that are not set."""
        names = asking.definition.control.secrets
        if not names:
            return {}
        is_own = asking.owner is not None and (not asking.is_trial or self._trials_are_shut_in)
        is_operators = not asking.is_trial and self._definitions.was_live_at(
            asking.definition.name, asking.revision, asking.made
        )
        found: dict[str, bytes] = {}
        for name in names:
            value = self.store.value(str(asking.owner), name) if is_own else None
            if value is None and is_operators:
                value = self._of_operator(name)
            if value is not None:
                found[name] = value
        if missing := [name for name in names if name not in found]:
            raise Forbidden(self._sentence(asking, missing, is_operators))
        return found

    def _of_operator(self, name: str) -> bytes | None:
        """Return a secret of the operator; None where there is none, or none that can be used: the log says why."""
        if self._folder is None:
            return None
        path = self._folder / name
        try:
            value, mode = _read(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            LOG.error("the secret %s cannot be read: %s", path, error.strerror)
            return None
        problem = "everybody may read it; chmod 600 it" if mode & stat.S_IRWXO else length_problem(value)
        if problem:
            LOG.error("the secret %s cannot be used: %s", path, problem)
        return None if problem else value

    def _sentence(self, asking: Asking, missing: Sequence[str], is_operators: bool) -> str:
        named = ", ".join(missing)
        where = (
            "set it on the page of your account" if asking.owner else "sign in, and set it on the page of your account"
        )
        if asking.is_trial and not self._trials_are_shut_in:
            return f"secrets: {named} is needed, which no trial gets that is not shut in (sandbox = 'none')"
        if not is_operators:
            return f"secrets: {named} is needed: {where}; those of the server are for definitions that are live"
        return f"secrets: {named} is needed and not set: {where}, or ask who runs the server"


def job_secrets(config: Config, store: JobStore) -> JobSecrets:
    """Return the secrets of a server with that configuration and that database."""
    key = config.folders.secrets_key or config.folders.data / "secrets.key"
    return JobSecrets(config, SecretStore(store.engine, key), DefinitionStore(store.engine))


def _read(path: Path) -> tuple[bytes, int]:
    """Return what a file holds, without the end of its last line, and its mode."""
    with path.open("rb") as stream:
        return stream.read(MOST + 2).rstrip(b"\r\n"), os.fstat(stream.fileno()).st_mode
