"""Tokens from an authorisation server: by a code (RFC 6749 4.1 with PKCE), a device (RFC 8628) or a refresh token.

An access token lives in memory and in the one command that shows it to a mail server. Nothing here is printed, and
what a server says in a refusal is quoted without the secrets we said to it, in whatever form it gives them back.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard
from urllib.parse import urlencode, urlsplit

from warmup.policy.authority import Authority
from warmup.wire.errors import GrantRefused, ProtocolError, Unreachable, Why, quote
from warmup.wire.form import forms_of, post_form
from warmup.wire.http import HttpAnswer
from warmup.wire.network import Network
from warmup.wire.oauth_refusal import PENDING, SLOW_DOWN, failure_of, json_of, refusal_in

__all__ = [
    "DeviceCode",
    "GrantRefused",
    "Tokens",
    "begin_device",
    "browser_url",
    "challenge",
    "poll",
    "redeem",
    "refresh",
]

Pause = Callable[[float], Awaitable[None]]

_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
# RFC 6749 5.1: where expires_in is missing, the server ought to have told us otherwise; it did not.
_UNSAID_LIFETIME = 600.0
_LONGEST_LIFETIME = 30 * 86_400.0
_DEVICE_LIFETIME = 900.0
# RFC 8628 3.2 and 3.5: 5 seconds where nothing is said, 5 more at every slow_down.
_INTERVAL = 5.0
_LONGEST_INTERVAL = 300.0
_SECRET_FIELDS = frozenset({"client_secret", "code", "code_verifier", "device_code", "refresh_token"})
# Scopes that open nothing: what is granted besides them is what counts.
_NO_ACCESS = frozenset({"offline_access", "openid", "profile", "email"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What was granted. `refresh` None: the one in hand stays good. `lifetime` of the access token is in seconds."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    lifetime: float
    scope: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """A sign-in that waits for its person: they open `uri` and type `user_code`, within `lifetime` seconds."""

    device_code: str = field(repr=False)
    user_code: str
    uri: str
    lifetime: float
    interval: float


def challenge(verifier: str) -> str:
    """The S256 code challenge of a verifier (RFC 7636 4.2)."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode("ascii")


def browser_url(authority: Authority, *, redirect_uri: str, state: str, verifier: str, address: str) -> str:
    """Where the browser is sent. `verifier` stays here: only its challenge goes along."""
    asked = {
        "response_type": "code",
        "client_id": authority.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(authority.scopes),
        "state": state,
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
        # Google's own: a refresh token, also to somebody who granted it before, and the right account beforehand.
        "access_type": "offline",
        "prompt": "consent",
        "login_hint": address,
    }
    joint = "&" if urlsplit(authority.sign_in_endpoint).query else "?"
    return f"{authority.sign_in_endpoint}{joint}{urlencode(asked)}"


async def redeem(
    authority: Authority, code: str, *, verifier: str, redirect_uri: str, address: str, network: Network
) -> Tokens:
    """The tokens an authorization code stands for. Raises WireError; GrantRefused also where the mail was left out."""
    asked = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier, "redirect_uri": redirect_uri}
    return lasting(await _tokens(authority, asked, address=address, network=network), authority, address=address)


async def refresh(authority: Authority, refresh_token: str, *, address: str, network: Network) -> Tokens:
    """A new access token, and a new refresh token where the server rotates them. Raises WireError."""
    asked = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return await _tokens(authority, asked, address=address, network=network)


async def begin_device(authority: Authority, *, address: str, network: Network) -> DeviceCode:
    """Ask for a device code. Raises WireError."""
    asked = {"scope": " ".join(authority.scopes)}
    answer, secrets = await _posted(authority, authority.sign_in_endpoint, asked, network)
    told = json_of(answer) or {}
    # Google spells it verification_url.
    uri = told.get("verification_uri") or told.get("verification_url")
    code, user_code = told.get("device_code"), told.get("user_code")
    if answer.status != 200 or not (isinstance(code, str) and isinstance(user_code, str) and isinstance(uri, str)):
        raise failure_of(answer, authority, url=authority.sign_in_endpoint, address=address, secrets=secrets)
    return DeviceCode(
        device_code=code,
        user_code=quote(user_code),
        uri=quote(uri),
        lifetime=_seconds(told.get("expires_in"), _DEVICE_LIFETIME),
        interval=min(_LONGEST_INTERVAL, _seconds(told.get("interval"), _INTERVAL)),
    )


async def poll(authority: Authority, device: DeviceCode, *, address: str, network: Network, pause: Pause) -> Tokens:
    """The tokens, once the person has said yes. Raises WireError; GrantRefused for a no, or when the code ran out.

    `pause` waits real seconds. The server ends it: it says expired_token, and who calls sets a time limit besides.
    """
    asked = {"grant_type": _DEVICE_GRANT, "device_code": device.device_code}
    interval, waited = device.interval, 0.0
    while waited <= device.lifetime:
        await pause(interval)
        waited += interval
        try:
            answer, secrets = await _posted(authority, authority.token_endpoint, asked, network)
        except Unreachable:
            # RFC 8628 3.5: no answer is answered by asking less often.
            interval = min(_LONGEST_INTERVAL, interval * 2)
            continue
        refusal = refusal_in(answer)
        if refusal is not None and refusal.error in (PENDING, SLOW_DOWN):
            interval += 5.0 if refusal.error == SLOW_DOWN else 0.0
            continue
        tokens = _granted(answer, authority, address=address, secrets=secrets)
        return lasting(tokens, authority, address=address)
    raise GrantRefused(
        f"nobody signed in at {authority.name.company} while the code was good", hint="begin again", why=Why.DENIED
    )


def lasting(tokens: Tokens, authority: Authority, *, address: str) -> Tokens:
    """`tokens`, found to hold a refresh token and every scope that was asked for; GrantRefused."""
    # RFC 6749 5.1: without `scope` it is the one asked for.
    granted = {_word(scope) for scope in (tokens.scope or "").split()}
    missing = [scope for scope in authority.scopes if _word(scope) not in granted | _NO_ACCESS]
    if tokens.scope is not None and missing:
        raise GrantRefused(
            f"{authority.name.company} granted {address} without {quote(' '.join(missing))}",
            hint=f"tick every access that is asked for: warmup oauth login {address}",
            why=Why.SCOPE,
        )
    if tokens.refresh is None:
        raise GrantRefused(
            f"{authority.name.company} gave {address} no refresh token, so it would end within the hour",
            hint=f"check oauth.{authority.name}.scopes and the type of the client",
            why=Why.SCOPE,
        )
    return tokens


async def _tokens(authority: Authority, asked: Mapping[str, str], *, address: str, network: Network) -> Tokens:
    answer, secrets = await _posted(authority, authority.token_endpoint, asked, network)
    return _granted(answer, authority, address=address, secrets=secrets)


async def _posted(
    authority: Authority, url: str, asked: Mapping[str, str], network: Network
) -> tuple[HttpAnswer, tuple[str, ...]]:
    """The answer, and the secrets it may echo."""
    fields = {"client_id": authority.client_id, **asked}
    if authority.client_secret:
        fields["client_secret"] = authority.client_secret
    secrets = tuple(form for name, value in fields.items() if name in _SECRET_FIELDS for form in forms_of(value))
    return await post_form(url, fields, network=network), secrets


def _granted(answer: HttpAnswer, authority: Authority, *, address: str, secrets: tuple[str, ...]) -> Tokens:
    told = json_of(answer) or {}
    access, renewed, scope = told.get("access_token"), told.get("refresh_token"), told.get("scope")
    if answer.status != 200 or not _is_token(access):
        raise failure_of(answer, authority, url=authority.token_endpoint, address=address, secrets=secrets)
    kind = told.get("token_type")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise ProtocolError(f"{authority.name.company} gave a token that is no Bearer token")
    return Tokens(
        access=access,
        refresh=renewed if _is_token(renewed) else None,
        lifetime=_seconds(told.get("expires_in"), _UNSAID_LIFETIME),
        scope=scope if isinstance(scope, str) else None,
    )


def _is_token(value: Any) -> TypeGuard[str]:
    # RFC 6749 A.12, A.17: printable ASCII. Anything else would break out of the SASL response.
    return isinstance(value, str) and value.isascii() and value.isprintable() and bool(value)


def _seconds(value: Any, unsaid: float) -> float:
    # Some servers say a number as text.
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return unsaid
    return min(seconds, _LONGEST_LIFETIME) if seconds >= 0 else unsaid


def _word(scope: str) -> str:
    # Microsoft gives a scope back under another spelling of the resource's host.
    return scope.rstrip("/").rpartition("/")[2].casefold()
