"""The keys of a provider and the ID tokens that they sign. Imports the errors, and joserfc not before one is read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from uws_server.errors import Unauthorized

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

_LEEWAY_S = 60
"""How far the clocks of provider and server may be apart."""
_FETCH_AGAIN_S = 10.0
_ALGORITHMS = frozenset(f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512))
"""Signatures that only the provider can make: none without a signature, nor one with the secret of the client."""
_KINDS = ("RSA", "EC")
_OFTEN = "its ID token is signed with a key that it did not publish a moment ago: try again in ten seconds"


class Keys:
    """The keys of a provider, as `fetch` gives them: kept, and fetched once more for a token of an unknown one."""

    def __init__(self, fetch: Callable[[], Mapping[str, Any]]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._kept: KeySet | None = None
        self._fetched = float("-inf")

    def claims(self, id_token: str, algorithms: Sequence[str], expected: Mapping[str, str]) -> dict[str, Any]:
        """Return the claims of an ID token, whose signature, times and `expected` claims are checked.

        Raise Unauthorized, which says what does not fit.
        """
        from joserfc import errors, jwt

        allowed = sorted(_ALGORITHMS.intersection(algorithms))
        try:
            try:
                token = jwt.decode(id_token, self._keys(), algorithms=allowed)
            except (errors.InvalidKeyIdError, errors.BadSignatureError):  # perhaps of a key that is new
                token = jwt.decode(id_token, self._fresh_keys(), algorithms=allowed)
            rules = jwt.JWTClaimsRegistry(leeway=_LEEWAY_S, **_rules(expected))
            rules.validate(token.claims)
        except errors.JoseError as error:
            raise Unauthorized(_sentence(error)) from error
        except ValueError as error:
            raise Unauthorized("it sent no ID token that can be read") from error
        _require_party(token.claims, expected["aud"])
        return token.claims

    def _keys(self) -> KeySet:
        with self._lock:
            return self._kept or self._renewed()

    def _fresh_keys(self) -> KeySet:
        """Return keys that were fetched now. Raise Unauthorized if that was done within the last seconds already."""
        with self._lock:
            if time.monotonic() - self._fetched < _FETCH_AGAIN_S:
                raise Unauthorized(_OFTEN)
            return self._renewed()

    def _renewed(self) -> KeySet:
        from joserfc.jwk import KeySet

        self._fetched = time.monotonic()
        told = self._fetch().get("keys", [])
        kept = [key for key in told if key.get("kty") in _KINDS and key.get("use", "sig") == "sig"]
        self._kept = KeySet.import_key_set({"keys": kept})
        return self._kept


def _rules(expected: Mapping[str, str]) -> dict[str, Any]:
    essential = {name: {"essential": True} for name in ("exp", "iat", "sub")}
    return essential | {name: {"essential": True, "value": value} for name, value in expected.items()}


def _require_party(claims: Mapping[str, Any], client: str) -> None:
    """Raise Unauthorized for a token of several clients that was issued to another one."""
    if claims.get("azp", client) != client:
        raise Unauthorized("its ID token is for another client")


def _sentence(error: Exception) -> str:
    """Return what is wrong with an ID token, in words that tell an operator where to look."""
    from joserfc import errors

    claim = getattr(error, "claim", "")
    if isinstance(error, errors.ExpiredTokenError) or claim in ("exp", "iat", "nbf"):
        return f"by the clock of this server its ID token is not valid now: the two clocks are over {_LEEWAY_S} s apart"
    if claim:
        return f"the claim {claim!r} of its ID token is not what this server asked for"
    if isinstance(error, errors.InvalidKeyIdError):
        return "its ID token is signed with a key that it does not publish"
    return "the signature of its ID token is not right"
