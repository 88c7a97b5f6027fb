"""What a provider says of a person, and what of it is believed. Imports the errors only."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_LONGEST = 200
_OTHER = re.compile(r"[^A-Za-z0-9_.@+-]+")


@dataclass(frozen=True)
class Person:
    """Somebody whom a provider knows: `subject` is who it is; the rest may change and names nobody.

    `wish` is what an account could be called, `email` '' where the provider has not verified it.
    """

    issuer: str
    subject: str
    wish: str
    full_name: str
    email: str
    groups: frozenset[str]

    @property
    def label(self) -> str:
        """Return what to call the person, for people."""
        told = " ".join(filter(None, (self.full_name, f"<{self.email}>" if self.email else "")))
        return told or self.wish


def person_of(claims: Mapping[str, Any], name_claim: str, groups_claim: str) -> Person:
    """Return the person of verified claims, in which `iss` and `sub` stand."""
    email = _text(claims, "email") if claims.get("email_verified") is True else ""
    wishes = (email if name == "email" else _text(claims, name) for name in (name_claim, "preferred_username", "name"))
    wish = next((name for text in (*wishes, email) if (name := account_name(text))), "user")
    groups = claims.get(groups_claim) if groups_claim else None
    listed = groups.split() if isinstance(groups, str) else groups if isinstance(groups, list) else []
    return Person(
        str(claims["iss"]), str(claims["sub"]), wish, _text(claims, "name"), email,
        frozenset(each for each in listed if isinstance(each, str)),
    )  # fmt: skip


def account_name(text: str) -> str:
    """Return the name of an account that comes nearest to a text; '' if nothing of it is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return _OTHER.sub("_", plain.strip()).lstrip("_.@+-")[:48].rstrip("._-")


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return " ".join("".join(filter(str.isprintable, value)).split())[:_LONGEST] if isinstance(value, str) else ""
