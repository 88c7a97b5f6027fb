"""What the configuration must say of a provider, and the secret of the client. Imports the configuration only."""

from __future__ import annotations

import stat
from urllib.parse import urlsplit

from uws_server.config import Oidc
from uws_server.errors import ConfigurationError

_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")


def require(settings: Oidc) -> None:
    """Raise ConfigurationError for a provider that nobody could sign in with, or not safely."""
    if not settings.client_id:
        raise ConfigurationError("client_id is missing: the provider's name for this server, beside issuer")
    address = urlsplit(settings.issuer)
    if address.scheme != "https" and address.hostname not in _THIS_MACHINE:
        raise ConfigurationError(
            f"issuer = {settings.issuer!r}: https is expected; what comes over http anybody can write"
        )
    if settings.client_secret and settings.client_secret_file:
        raise ConfigurationError("client_secret and client_secret_file are both given: one of them is expected")
    if (settings.group_roles or settings.entry_groups) and not settings.groups_claim:
        raise ConfigurationError("groups_claim is missing: the claim in which the groups of a person stand")


def client_secret(settings: Oidc) -> str:
    """Return the secret of the client; '' for a public one. Raise ConfigurationError if its file cannot be used."""
    path = settings.client_secret_file
    if path is None:
        return settings.client_secret
    try:
        if path.stat().st_mode & stat.S_IRWXO:
            raise ConfigurationError(f"client_secret_file: everybody may read {path}; chmod 600 {path}")
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"client_secret_file: {path} cannot be read: {error}") from error


def roles_of_groups(settings: Oidc) -> dict[str, str]:
    """Return the role that each group gives, by the name of the group."""
    return {group: role for group, _, role in (each.rpartition("=") for each in settings.group_roles)}
