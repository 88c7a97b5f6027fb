"""What a configuration of a provider may be, and what of a person names an account."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from uws_server.config import Config
from uws_server.errors import ConfigurationError
from uws_server.oidc.person import account_name, person_of
from uws_server.oidc.provider import Provider

RIGHT = {"issuer": "https://login.x.org/realm", "client_id": "uws"}


def provider(**settings: Any) -> Provider:
    return Provider(Config.of(**RIGHT | settings).oidc, "https://x.org/login/oidc/callback")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"client_id": ""}, "client_id is missing"),
        ({"issuer": "http://login.x.org"}, "https is expected"),
        ({"issuer": "login.x.org"}, "an address such as"),
        ({"client_secret": "a", "client_secret_file": "/b"}, "both given"),
        ({"group_roles": "xmm-team=xmm"}, "groups_claim is missing"),
        ({"entry_groups": "xmm-team"}, "groups_claim is missing"),
        ({"groups_claim": "groups", "group_roles": "staff=admin"}, "role other than admin"),
        ({"groups_claim": "groups", "group_roles": "staff"}, "a group, '=' and a role"),
        ({"client_secret_file": "/nowhere/secret"}, "cannot be read"),
    ],
)
def test_what_nobody_could_sign_in_with_is_told_at_the_start(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        provider(**settings)


def test_the_secret_may_stand_in_a_file_that_only_the_server_reads(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret\n", encoding="utf-8")
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="everybody may read"):
        provider(client_secret_file=file)
    file.chmod(0o640)
    assert provider(client_secret_file=file)._secret == "s3cret"


def test_a_server_without_provider_imports_nothing_of_it() -> None:
    """Also one that has a provider does so only when somebody signs in."""
    program = (
        "import sys; from uws_server import server; from uws_server.oidc.provider import Provider; "
        "from uws_server.config import Config; "
        f"Provider(Config.of(**{RIGHT!r}).oidc, 'https://x.org'); "
        "print([name for name in sys.modules if name.partition('.')[0] in ('authlib', 'joserfc')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ann", "ann"), ("Ann Été", "Ann_Ete"), ("ann@x.org", "ann@x.org"), ("../../etc", "etc"), ("a" * 90, "a" * 48),
        ("名前", ""), ("", ""), ("x.", "x"), ("a<b>&c", "a_b_c"), ("-", ""),
    ],
)  # fmt: skip
def test_an_account_is_named_after_a_person(text: str, name: str) -> None:
    assert account_name(text) == name


@pytest.mark.parametrize(
    ("claims", "wish", "email"),
    [
        ({"email": "root@x.org", "email_verified": True}, "root@x.org", "root@x.org"),
        ({"email": "root@x.org", "email_verified": "true"}, "user", ""),
        ({"email": "root@x.org"}, "user", ""),
        ({"preferred_username": 7, "name": "Ann\n\x00B"}, "AnnB", ""),
    ],
)
def test_only_what_is_verified_is_believed(claims: dict[str, Any], wish: str, email: str) -> None:
    for name_claim in ("email", "preferred_username"):
        person = person_of({"iss": "i", "sub": "s", **claims}, name_claim, "")
        assert (person.wish, person.email) == (wish, email)


@pytest.mark.parametrize("groups", [["a", "b", 7], "a b"])
def test_groups_come_as_a_list_or_as_words(groups: object) -> None:
    person = person_of({"iss": "i", "sub": "s", "memberOf": groups}, "name", "memberOf")
    assert person.groups == {"a", "b"}
    assert person_of({"iss": "i", "sub": "s", "groups": groups}, "name", "").groups == frozenset()
