"""What an authorisation server's no means, and whose move it is: the person's, the operator's or nobody's but time's.

RFC 6749 5.2 and RFC 8628 3.5 name a handful of errors, and `invalid_grant` covers half the trouble there is. Google
says the rest in `error_subtype`, Microsoft in the numbers of its AADSTS codes; those are read before the plain word.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from warmup.policy.authority import Authority, AuthorityName
from warmup.wire.errors import GrantRefused, ProtocolError, Unavailable, Why, WireError, quote
from warmup.wire.form import endpoint_of
from warmup.wire.http import HttpAnswer

PENDING = "authorization_pending"
SLOW_DOWN = "slow_down"

_AGAIN = "sign in again: warmup oauth login {address}"
_CONSENT = (
    "grant every access that is asked for: warmup oauth login {address}; in an organisation its admin may have to"
)
_CLIENT = "check oauth.{name}.client_id and client_secret_file against the authority's console"
_PUBLIC = 'set "Allow public client flows" to Yes in the app\'s registration (Authentication)'
_TENANT = "put the tenant's id (or consumers, or organizations) for common into both endpoints of [oauth.microsoft]"
_ADMIN = "the organisation's policy wants more than this sign-in: ask its admin, then warmup oauth login {address}"
_TESTING = (
    "sign in again: warmup oauth login {address}; if it is lost every 7 days, the app is still in Testing: publish it"
)

_MEANINGS: dict[str, tuple[Why, str]] = {
    # RFC 6749 5.2, 4.1.2.1
    "invalid_grant": (Why.LOST, _AGAIN),
    "invalid_client": (Why.CLIENT, _CLIENT),
    "unauthorized_client": (Why.CLIENT, _CLIENT),
    "unsupported_grant_type": (Why.CLIENT, _CLIENT),
    "invalid_request": (Why.CLIENT, _CLIENT),
    "invalid_scope": (Why.SCOPE, "check oauth.{name}.scopes, and which APIs the client may use"),
    "access_denied": (Why.DENIED, "say yes next time: warmup oauth login {address}"),
    # RFC 8628 3.5, and Microsoft's word for access_denied
    "expired_token": (Why.DENIED, "nobody signed in while the code was good: begin again"),
    "authorization_declined": (Why.DENIED, "say yes next time: warmup oauth login {address}"),
    # OpenID Connect Core 3.1.2.6, used by Microsoft's token endpoint
    "interaction_required": (Why.LOST, _AGAIN),
    "login_required": (Why.LOST, _AGAIN),
    "consent_required": (Why.SCOPE, _CONSENT),
    # Google, "Using OAuth 2.0 for installed applications", "Errors"
    "invalid_rapt": (Why.LOST, "the organisation lets sessions end (Google Cloud session control): " + _AGAIN),
    "admin_policy_enforced": (Why.SCOPE, _ADMIN),
    "org_internal": (Why.CLIENT, "the client is for its own organisation alone: make it External, or use another"),
    "redirect_uri_mismatch": (Why.CLIENT, 'the client must be of type "Desktop app"'),
    "deleted_client": (Why.CLIENT, _CLIENT),
    "disabled_client": (Why.CLIENT, _CLIENT),
}
# Microsoft Learn, "Microsoft Entra authentication and authorization error codes".
_AADSTS: dict[int, tuple[Why, str]] = {
    50173: (Why.LOST, "the password was changed or sessions were ended: " + _AGAIN),
    700082: (Why.LOST, "it was not used for 90 days: " + _AGAIN),
    50076: (Why.LOST, "it wants two factors now: " + _AGAIN),
    50079: (Why.LOST, "it wants two factors now: " + _AGAIN),
    50078: (Why.LOST, "its two factors were too long ago: " + _AGAIN),
    50057: (Why.LOST, "the account is disabled: ask its admin"),
    53000: (Why.LOST, _ADMIN),
    53001: (Why.LOST, _ADMIN),
    53003: (Why.LOST, _ADMIN),
    530036: (Why.LOST, _ADMIN),
    65001: (Why.SCOPE, _CONSENT),
    65004: (Why.DENIED, "say yes next time: warmup oauth login {address}"),
    90094: (Why.SCOPE, _CONSENT),
    90095: (Why.SCOPE, _CONSENT),
    70011: (Why.SCOPE, "check oauth.{name}.scopes, and which APIs the client may use"),
    70002: (Why.CLIENT, _PUBLIC),
    7000218: (Why.CLIENT, _PUBLIC),
    7000215: (Why.CLIENT, _CLIENT),
    7000222: (Why.CLIENT, "the client secret has expired: make another and put it into client_secret_file"),
    700016: (Why.CLIENT, _CLIENT),
    50194: (Why.CLIENT, _TENANT),
    50020: (Why.CLIENT, _TENANT),
    50059: (Why.CLIENT, _TENANT),
    90002: (Why.CLIENT, _TENANT),
    9002346: (Why.CLIENT, _TENANT),
}
_LATER = frozenset({"temporarily_unavailable", "server_error", "rate_limit_exceeded", "quota_exceeded", SLOW_DOWN})
_NUMBER = re.compile(r"AADSTS(\d{4,8})\b")
# What Microsoft hangs on to every sentence is for its support, not for people.
_TRAILER = re.compile(r"\s*(Trace ID|Correlation ID|Timestamp):.*", re.DOTALL)
_SECRET_MISSING = re.compile(r"client_secret is missing", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error as the server said it: the RFC's word, the finer words and numbers, and its sentence."""

    status: int
    error: str
    finer: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    sentence: str = ""


def json_of(answer: HttpAnswer) -> dict[str, Any] | None:
    """The JSON object an answer holds; None where it is something else."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def refusal_in(answer: HttpAnswer) -> Refusal | None:
    """The error an answer states, None: it states none."""
    told = json_of(answer) or {}
    error = told.get("error")
    if not isinstance(error, str) or not error:
        return None
    sentence = told.get("error_description")
    sentence = _TRAILER.sub("", sentence) if isinstance(sentence, str) else ""
    numbers = told.get("error_codes")
    said = [number for number in numbers if isinstance(number, int)] if isinstance(numbers, list) else []
    finer = [told.get("error_subtype"), told.get("suberror")]
    return Refusal(
        status=answer.status,
        error=error,
        finer=tuple(word for word in finer if isinstance(word, str)),
        numbers=tuple(said) + tuple(int(number) for number in _NUMBER.findall(sentence)),
        sentence=sentence,
    )


def failure_of(
    answer: HttpAnswer, authority: Authority, *, url: str, address: str, secrets: tuple[str, ...]
) -> WireError:
    """Our word for an answer that is no token. `secrets` are blotted out of what is quoted."""
    refusal = refusal_in(answer)
    if answer.status == 429 or answer.status >= 500 or (refusal is not None and refusal.error in _LATER):
        said = f": {_quoted(refusal.error, secrets)}" if refusal is not None else ""
        return Unavailable(f"{endpoint_of(url)} asks to come back later (HTTP {answer.status}{said})")
    if refusal is not None:
        return refused(refusal, authority, address=address, secrets=secrets)
    return ProtocolError(
        f"{endpoint_of(url)} answered HTTP {answer.status} and no token",
        hint=f"check the endpoints of [oauth.{authority.name}]",
    )


def _quoted(said: str, secrets: tuple[str, ...]) -> str:
    """What the authorisation server said, without what it was told in confidence."""
    for secret in secrets:
        # One or two letters would shred the text and hide nothing.
        if len(secret) > 2:
            said = said.replace(secret, "…")
    return quote(said)


def refused(refusal: Refusal, authority: Authority, *, address: str, secrets: tuple[str, ...] = ()) -> GrantRefused:
    """The refusal with its fix."""
    why, fix = _meaning(refusal, authority)
    said = _quoted(f"{refusal.error}: {refusal.sentence}" if refusal.sentence else refusal.error, secrets)
    return GrantRefused(
        f"{authority.name.company} refused the sign-in of {address}: {said.rstrip('.')}",
        hint=fix.format(address=address, name=authority.name),
        why=why,
    )


def _meaning(refusal: Refusal, authority: Authority) -> tuple[Why, str]:
    for number in refusal.numbers:
        if number in _AADSTS:
            return _AADSTS[number]
    if _SECRET_MISSING.search(refusal.sentence):
        # Google demands the secret of a Desktop app, which RFC 8252 calls no secret.
        return Why.CLIENT, "this client has a secret: name its file in oauth.{name}.client_secret_file"
    if refusal.error == "invalid_grant" and not refusal.finer and authority.name is AuthorityName.GOOGLE:
        return Why.LOST, _TESTING
    words = (*refusal.finer, refusal.error)
    # A word nobody documented: it is about the request, and the request is made from our registration.
    return next((_MEANINGS[word] for word in words if word in _MEANINGS), (Why.CLIENT, _CLIENT))
