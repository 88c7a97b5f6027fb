"""The provider of OpenID Connect: where its parts are, the way there and back. Imports its neighbours.

authlib and joserfc are imported when somebody signs in: a server without a provider has neither.
"""

from __future__ import annotations

import hmac
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

import requests

from uws_server.config import Oidc
from uws_server.errors import Unauthorized, Unavailable
from uws_server.oidc.attempt import Attempt
from uws_server.oidc.keys import Keys
from uws_server.oidc.person import Person, person_of
from uws_server.oidc.settings import client_secret, require

LOG = logging.getLogger(__name__)
_TIMEOUT_S = (5.0, 10.0)
_KEPT_S = 3600.0
_TURN_S = 2.0
_MOST_AT_ONCE = 4
"""People who are signed in at a time: each occupies a thread of the server while the provider is asked."""
Result = TypeVar("Result")
_ASIDE = "sign in with a token, or try again later"


class Provider:
    """One provider, as the configuration names it; `redirect_uri` is where it sends people back to."""

    def __init__(self, settings: Oidc, redirect_uri: str) -> None:
        require(settings)
        self.name = settings.provider_name
        self._settings, self._redirect_uri = settings, redirect_uri
        self._secret = client_secret(settings)
        self._keys = Keys(lambda: self._get(self._metadata()["jwks_uri"]))
        self._turns = threading.BoundedSemaphore(_MOST_AT_ONCE)
        self._lock = threading.Lock()
        self._known: Mapping[str, Any] = {}
        self._known_until = float("-inf")

    def address(self, attempt: Attempt) -> str:
        """Return where a browser signs in. Raise Unavailable if the provider does not answer."""
        return self._in_turn(lambda: self._address(attempt))

    def person(self, attempt: Attempt, answer: Mapping[str, str]) -> Person:
        """Return who came back with the answer (its query) to a try.

        Raise Unauthorized if the provider let nobody in or its answer is not right, Unavailable if it is not there.
        """
        return self._in_turn(lambda: self._person(attempt, answer))

    def logout_address(self) -> str:
        """Return where somebody signs out of the provider; '' if it has no such page, or does not answer."""
        try:
            address = str(self._in_turn(self._metadata).get("end_session_endpoint", ""))
        except Unavailable:
            return ""
        return f"{address}?{urlencode({'client_id': self._settings.client_id})}" if address else ""

    # --- parts -----------------------------------------------------------------------------------------

    def _address(self, attempt: Attempt) -> str:
        metadata = self._metadata()
        with self._client() as client:
            address, _ = client.create_authorization_url(
                metadata["authorization_endpoint"],
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
            )
        return str(address)

    def _person(self, attempt: Attempt, answer: Mapping[str, str]) -> Person:
        _require_answer(attempt, answer, self._settings.issuer, self.name)
        metadata = self._metadata()
        with self._client() as client:
            token = self._token(client, metadata["token_endpoint"], answer["code"], attempt)
            claims = self._claims(token, attempt)
            if address := metadata.get("userinfo_endpoint"):
                claims |= self._more(client, address, claims["sub"])
        return person_of(claims, self._settings.name_claim, self._settings.groups_claim)

    def _token(self, client: Any, address: str, code: str, attempt: Attempt) -> Mapping[str, Any]:
        from authlib.common.errors import AuthlibBaseError

        try:
            token: Mapping[str, Any] = client.fetch_token(
                address, code=code, code_verifier=attempt.verifier, timeout=_TIMEOUT_S
            )
        except AuthlibBaseError as error:
            LOG.warning("%s gives no token: %s", self._settings.issuer, error)
            raise Unauthorized(
                f"{self.name} did not take what it had sent with you, which holds for one sign-in and a short time: "
                "begin again"
            ) from error
        return token

    def _claims(self, token: Mapping[str, Any], attempt: Attempt) -> dict[str, Any]:
        algorithms = self._metadata().get("id_token_signing_alg_values_supported", ["RS256"])
        expected = {"iss": self._settings.issuer, "aud": self._settings.client_id, "nonce": attempt.nonce}
        try:
            return self._keys.claims(str(token.get("id_token", "")), algorithms, expected)
        except Unauthorized as error:
            LOG.warning("%s: %s (%s)", self._settings.issuer, error, error.__cause__)
            raise Unauthorized(f"{self.name} did not sign you in: {error}; {_ASIDE}") from error

    def _more(self, client: Any, address: str, subject: str) -> dict[str, Any]:
        """Return what else the provider tells of somebody, such as groups; nothing of it changes who it is."""
        answer = client.get(address, timeout=_TIMEOUT_S)
        answer.raise_for_status()
        told = answer.json()
        if told.get("sub") != subject:  # OpenID Connect Core, section 5.3.2
            raise Unauthorized(f"{self.name} did not sign you in: it told of somebody else; {_ASIDE}")
        return {name: value for name, value in told.items() if name not in ("iss", "sub", "aud")}

    def _client(self) -> Any:
        from authlib.integrations.requests_client import OAuth2Session

        supported = self._metadata().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        with_secret = "client_secret_basic" if "client_secret_basic" in supported else "client_secret_post"
        return OAuth2Session(
            self._settings.client_id,
            self._secret or None,
            token_endpoint_auth_method=with_secret if self._secret else "none",
            scope=" ".join(("openid", *(scope for scope in self._settings.scopes if scope != "openid"))),
            redirect_uri=self._redirect_uri,
            code_challenge_method="S256",
        )

    def _metadata(self) -> Mapping[str, Any]:
        """Return where the parts of the provider are, as it says itself."""
        with self._lock:
            if time.monotonic() > self._known_until:
                issuer = self._settings.issuer
                told = self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
                if told.get("issuer") != issuer:
                    LOG.error("issuer = %s: the provider calls itself %.200r", issuer, told.get("issuer"))
                    raise ValueError("another issuer")
                self._known, self._known_until = told, time.monotonic() + _KEPT_S
            return self._known

    def _get(self, address: str) -> dict[str, Any]:
        answer = requests.get(address, timeout=_TIMEOUT_S)
        answer.raise_for_status()
        told = answer.json()
        if not isinstance(told, dict):
            raise ValueError("no JSON object")
        return told

    def _in_turn(self, ask: Callable[[], Result]) -> Result:
        """Return what the provider is asked for, with every way in which it can fail as a sentence."""
        if not self._turns.acquire(timeout=_TURN_S):
            raise Unavailable(f"many people sign in with {self.name} just now: try again in a moment")
        try:
            return ask()
        except (requests.RequestException, KeyError, ValueError) as error:
            LOG.warning("%s does not answer as a provider does: %r", self._settings.issuer, error)
            raise Unavailable(f"{self.name} does not answer as it should: {_ASIDE}") from error
        finally:
            self._turns.release()


def _require_answer(attempt: Attempt, answer: Mapping[str, str], issuer: str, name: str) -> None:
    """Raise Unauthorized unless an answer belongs to a try and lets somebody in."""
    if not hmac.compare_digest(attempt.state.encode(), answer.get("state", "").encode()):
        raise Unauthorized("the sign-in was begun anew meanwhile, perhaps in another window: begin again")
    if answer.get("iss", issuer) != issuer:  # RFC 9207
        raise Unauthorized(f"the answer is not one of {name}: begin again")
    if answer.get("error") == "access_denied":
        raise Unauthorized(f"the sign-in was refused at {name}: begin again if you want to allow it")
    if error := answer.get("error"):
        LOG.warning("%s refuses: %.200r %.500r", issuer, error, answer.get("error_description", ""))
        raise Unauthorized(f"{name} did not sign you in ({error[:80]}): {_ASIDE}")
    if not answer.get("code"):
        raise Unauthorized(f"{name} sent no code with you: begin again")
