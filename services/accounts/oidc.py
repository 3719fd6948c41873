"""Single sign-on by OpenID Connect: authorization code flow with PKCE, state and nonce (OpenID Connect Core 1.0)."""

import base64
import hashlib
import json
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from sqlalchemy import delete, func, insert, select

from services.accounts.errors import Refused, TooMany, Unavailable
from services.accounts.secrets import hash_of, new_token, same
from services.accounts.settings import AccountSettings, is_safe_address
from services.accounts.tables import LOGINS
from services.bus.clock import Clock
from services.sql import Database

_LOGIN_US = 10 * 60 * 1_000_000
_LOGINS_MAX = 10_000
_ANSWER_MAX = 1 << 20
_LEEWAY_S = 60
# Asymmetric only: a shared secret, or none, must not stand in for the provider's key.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
_KNOWN_S = 3600.0
# Unknown key ids are no way to make us ask the provider all the time.
_KEYS_AGAIN_S = 60.0
_FAILED = "The identity provider's answer does not hold: log in again."


@dataclass(frozen=True, slots=True)
class Start:
    """How a single sign-on begins.

    Attributes:
        address: where the browser goes.
        browser: what the browser keeps until it comes back: nobody else can end what it began.
    """

    address: str
    browser: str


@dataclass(frozen=True, slots=True)
class Shown:
    """Who somebody is, as the provider shows it.

    Attributes:
        subject: issuer and subject: the same for ever, and nobody else's.
        name: by which they are called; always with an @.
        person: whose account it is.
        groups: that they are in.
    """

    subject: str
    name: str
    person: str
    groups: frozenset[str]


class Provider:
    """The identity provider of a house. Safe to share between threads; every call ends in time.

    Args:
        settings: VEIL_ACCOUNTS_OIDC_…, with an issuer.
        database: of accounts; single sign-ons under way are in it, so that replicas share them.
        clock: microseconds since 1970.

    Raises Unavailable where the client's secret, or the certificate to trust, can't be read.
    """

    def __init__(self, settings: AccountSettings, database: Database, clock: Clock) -> None:
        self._settings, self._database, self._clock = settings, database, clock
        try:
            self._secret = settings.oidc_secret()
        except OSError as error:
            raise Unavailable(f"{settings.oidc_secret_file}: can't be read ({error.strerror}).") from None
        try:
            self._trust = ssl.create_default_context(cafile=settings.oidc_ca_file)
        except OSError as error:
            raise Unavailable(f"{settings.oidc_ca_file}: is no certificate ({error.strerror}).") from None
        self._lock = threading.Lock()
        self._known: tuple[float, Mapping[str, str]] | None = None
        self._keys: tuple[float, KeySet] | None = None

    def begin(self) -> Start:
        """Sends a browser to the provider. Raises Unavailable, TooMany."""
        endpoint = self._endpoint("authorization_endpoint")
        state, nonce, verifier, browser = (new_token() for _ in range(4))
        now_us = self._clock()
        with self._database.write() as connection:
            connection.execute(delete(LOGINS).where(LOGINS.c.made_us < now_us - _LOGIN_US))
            if (connection.execute(select(func.count()).select_from(LOGINS)).scalar() or 0) >= _LOGINS_MAX:
                raise TooMany("Too many log in at once: wait a minute.", 60)
            connection.execute(
                insert(LOGINS).values(
                    hash=hash_of(state), browser=hash_of(browser), nonce=nonce, verifier=verifier, made_us=now_us
                )
            )
        query = {
            "response_type": "code",
            "client_id": self._settings.oidc_client,
            "redirect_uri": self._settings.oidc_redirect,
            "scope": self._settings.oidc_scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        return Start(f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}", browser)

    def finish(self, code: str, state: str, browser: str, issuer: str = "") -> Shown:
        """Who came back from the provider. A state counts once.

        Args:
            code: of the address that the browser came back to.
            state: likewise.
            browser: what it kept.
            issuer: `iss` of that address, where there is one (RFC 9207).

        Raises Refused, Unavailable.
        """
        login = LOGINS.c.hash == hash_of(state)
        with self._database.write() as connection:
            row = connection.execute(select(LOGINS).where(login).with_for_update()).mappings().first()
            connection.execute(delete(LOGINS).where(login))
        if row is None or row["made_us"] < self._clock() - _LOGIN_US or not same(row["browser"], hash_of(browser)):
            raise Refused("That login was not begun here, or took too long: log in again.")
        if issuer and not same(issuer, self._settings.oidc_issuer):
            raise Refused(_FAILED)
        answer = self._exchange(code, row["verifier"])
        claims = self._claims(str(answer.get("id_token", "")), row["nonce"])
        return self._shown(claims)

    def _shown(self, claims: Mapping[str, Any]) -> Shown:
        settings = self._settings
        person = claims.get(settings.oidc_person)
        # An address that nobody has checked could be anybody's.
        if not isinstance(person, str) or not person or (settings.oidc_person == "email" and _unverified(claims)):
            raise Refused(f"The identity provider does not say who you are (claim {settings.oidc_person}).")
        groups = claims.get(settings.oidc_groups, ())
        groups = [groups] if isinstance(groups, str) else groups
        if not isinstance(groups, list | tuple):
            raise Refused(_FAILED)
        name = str(claims.get("preferred_username") or person)
        host = urlsplit(settings.oidc_issuer).hostname or "sso"
        return Shown(
            subject=f"{settings.oidc_issuer} {claims['sub']}",
            name=name if "@" in name else f"{name}@{host}",
            person=person,
            groups=frozenset(str(each) for each in groups),
        )

    def _exchange(self, code: str, verifier: str) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.oidc_redirect,
            "code_verifier": verifier,
        }
        auth = None
        if self._secret is None:
            form["client_id"] = self._settings.oidc_client
        else:
            auth = httpx.BasicAuth(self._settings.oidc_client, self._secret.get_secret_value())
        return self._fetch("POST", self._endpoint("token_endpoint"), form, auth)

    def _claims(self, id_token: str, nonce: str) -> Mapping[str, Any]:
        """The claims of an ID token that is the provider's, for us, for this login, and of now. Raises Refused."""
        settings = self._settings
        registry = jwt.JWTClaimsRegistry(
            now=self._clock() // 1_000_000,
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": settings.oidc_issuer},
            sub={"essential": True},
            aud={"essential": True, "value": settings.oidc_client},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            try:
                token = jwt.decode(id_token, self._key_set(), algorithms=_ALGORITHMS)
            except InvalidKeyIdError:
                token = jwt.decode(id_token, self._key_set(anew=True), algorithms=_ALGORITHMS)
            claims: Mapping[str, Any] = token.claims
            registry.validate(token.claims)
        except (JoseError, ValueError, TypeError):
            raise Refused(_FAILED) from None
        # Of several audiences, the one that it was made for has to be us (OpenID Connect Core 1.0, 3.1.3.7).
        party = claims.get("azp", settings.oidc_client if isinstance(claims["aud"], str) else None)
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or "azp" in claims) and party != settings.oidc_client:
            raise Refused(_FAILED)
        return claims

    def _key_set(self, *, anew: bool = False) -> KeySet:
        with self._lock:
            age_s = _KNOWN_S if self._keys is None else time.monotonic() - self._keys[0]
            if self._keys is not None and age_s < (_KEYS_AGAIN_S if anew else _KNOWN_S):
                return self._keys[1]
        raw = self._fetch("GET", self._endpoint("jwks_uri"))
        try:
            keys = KeySet.import_key_set({"keys": list(raw["keys"])})
        except (JoseError, KeyError, TypeError, ValueError):
            raise Unavailable("The identity provider's keys can't be read.") from None
        with self._lock:
            self._keys = time.monotonic(), keys
        return keys

    def _endpoint(self, name: str) -> str:
        """An address of the provider's, as it describes itself. Raises Unavailable."""
        with self._lock:
            known = self._known
        if known is None or time.monotonic() - known[0] > _KNOWN_S:
            issuer = self._settings.oidc_issuer
            found = self._fetch("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != issuer:
                raise Unavailable("The identity provider calls itself by another name than VEIL_ACCOUNTS_OIDC_ISSUER.")
            known = time.monotonic(), {key: each for key, each in found.items() if isinstance(each, str)}
            with self._lock:
                self._known = known
        address = known[1].get(name, "")
        if not is_safe_address(address):
            raise Unavailable(f"The identity provider has no safe {name}.")
        return address

    def _fetch(
        self, method: str, address: str, form: Mapping[str, str] | None = None, auth: httpx.BasicAuth | None = None
    ) -> Mapping[str, Any]:
        """One JSON object of the provider's, of a bounded size and in bounded time. Raises Unavailable, Refused."""
        limit_s = self._settings.oidc_timeout_s
        until = time.monotonic() + limit_s
        body = bytearray()
        try:
            with (
                httpx.Client(verify=self._trust, timeout=limit_s, trust_env=False) as client,
                client.stream(method, address, data=form, auth=auth, headers={"Accept": "application/json"}) as answer,
            ):
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > _ANSWER_MAX or time.monotonic() > until:
                        raise Unavailable("The identity provider answers too much, or too slowly.")
        except httpx.HTTPError as error:
            raise Unavailable(f"The identity provider can't be reached ({type(error).__name__}).") from None
        if method == "POST" and answer.status_code in (400, 401, 403):
            raise Refused("The identity provider does not confirm the login: log in again.")
        try:
            found = json.loads(body) if answer.status_code == 200 else None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Unavailable(f"The identity provider answers what can't be read (status {answer.status_code}).")
        return found


def _challenge(verifier: str) -> str:
    """RFC 7636, S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _unverified(claims: Mapping[str, Any]) -> bool:
    return "email_verified" in claims and claims["email_verified"] not in (True, "true")
