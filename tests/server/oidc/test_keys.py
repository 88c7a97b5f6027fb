"""ID tokens that a provider would not sign, or not for this server: each is refused with its reason."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from oidcprovider import signing_key
from uws_server.errors import Unauthorized
from uws_server.oidc.keys import Keys

EXPECTED = {"iss": "https://login.x.org", "aud": "uws", "nonce": "n"}
ALGORITHMS = ["RS256", "HS256", "none"]


def token(key: Any = None, algorithm: str = "RS256", kid: str = "a", **claims: Any) -> str:
    now = int(time.time())
    said = {**EXPECTED, "sub": "1", "iat": now, "exp": now + 300, **claims}
    kept = {name: value for name, value in said.items() if value is not None}
    key = key or RSAKey.import_key(signing_key(kid))
    return jwt.encode({"alg": algorithm, "kid": kid}, kept, key, algorithms=[algorithm])


def published(*names: str) -> Mapping[str, Any]:
    keys = [RSAKey.import_key(signing_key(name)).as_dict(private=False) for name in names]
    return {"keys": [{"kty": "OKP", "crv": "X25519", "x": "of no use"}, *keys]}


def keys(*names: str) -> Keys:
    return Keys(lambda: published(*names or ("a",)))


def test_a_right_one_gives_its_claims() -> None:
    assert keys().claims(token(), ALGORITHMS, EXPECTED)["sub"] == "1"
    assert keys("a", "b").claims(token(kid="b", aud=["uws"]), ALGORITHMS, EXPECTED)["aud"] == ["uws"]


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://evil.org"}, "'iss'"),
        ({"aud": "another"}, "'aud'"),
        ({"nonce": "m"}, "'nonce'"),
        ({"nonce": None}, "'nonce'"),
        ({"sub": None}, "'sub'"),
        ({"azp": "another"}, "another client"),
        ({"exp": None}, "clocks"),
        ({"exp": int(time.time()) - 70}, "clocks are over 60 s apart"),
        ({"iat": int(time.time()) + 10_000_000}, "clocks are over 60 s apart"),
        ({"nbf": int(time.time()) + 10_000_000}, "clocks are over 60 s apart"),
    ],
)
def test_a_claim_that_does_not_fit_is_named(claims: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unauthorized, match=reason):
        keys().claims(token(**claims), ALGORITHMS, EXPECTED)


@pytest.mark.parametrize("seconds", [-50, 50])
def test_a_clock_may_be_off_by_less_than_a_minute(seconds: int) -> None:
    now = int(time.time())
    off = token(iat=now + seconds, exp=now + 55 + seconds)
    assert keys().claims(off, ALGORITHMS, EXPECTED)


def test_the_secret_of_the_client_signs_nothing() -> None:
    with pytest.raises(Unauthorized, match="signature"):
        keys().claims(token(OctKey.import_key("the secret of this client, long"), "HS256"), ALGORITHMS, EXPECTED)
    with pytest.raises(Unauthorized, match="did not publish"):
        keys().claims(token().rpartition(".")[0] + ".", ALGORITHMS, EXPECTED)


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "é.é.é", "{}"])
def test_what_is_no_token_is_told(text: str) -> None:
    with pytest.raises(Unauthorized):
        keys().claims(text, ALGORITHMS, EXPECTED)


def test_a_key_of_another_with_a_known_name_signs_nothing() -> None:
    with pytest.raises(Unauthorized, match="did not publish a moment ago"):
        keys().claims(token(RSAKey.import_key(signing_key("other"))), ALGORITHMS, EXPECTED)


def test_unknown_keys_are_fetched_once_more_and_not_for_everybody() -> None:
    fetched: list[int] = []
    now_published = ["a"]

    def fetch() -> Mapping[str, Any]:
        fetched.append(1)
        return published(*now_published)

    held = Keys(fetch)
    assert held.claims(token(), ALGORITHMS, EXPECTED)
    now_published.append("b")
    for _ in range(5):
        with pytest.raises(Unauthorized, match="did not publish a moment ago"):
            held.claims(token(kid="b"), ALGORITHMS, EXPECTED)
    assert len(fetched) == 1, "somebody who sends wrong tokens floods no provider"
    held._fetched -= 11
    assert held.claims(token(kid="b"), ALGORITHMS, EXPECTED)
    assert held.claims(token(), ALGORITHMS, EXPECTED)
    assert len(fetched) == 2
