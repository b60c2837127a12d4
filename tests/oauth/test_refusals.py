"""What Google and Microsoft say when they give no token: whose move it is, and the fix."""

import json
from typing import Any

import pytest

from warmup.policy.authority import Authority, AuthorityName
from warmup.wire.errors import GrantRefused, ProtocolError, Unavailable, Why
from warmup.wire.http import HttpAnswer
from warmup.wire.oauth_refusal import failure_of

URL = "https://login.mail.test/token"


def authority(name: AuthorityName) -> Authority:
    return Authority(name=name, client_id="us", sign_in_endpoint=URL, token_endpoint=URL, scopes=("mail",))


def failure(name: str, body: Any, *, status: int = 400, secrets: tuple[str, ...] = ()) -> Exception:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = HttpAnswer(status=status, body=text)
    return failure_of(answer, authority(AuthorityName(name)), url=URL, address="ann@mail.test", secrets=secrets)


def entra(number: int, said: str, *, error: str = "invalid_grant") -> dict[str, Any]:
    """An answer in Microsoft's shape."""
    trailer = "Trace ID: 0f1d Correlation ID: 9c2e Timestamp: 2026-01-05 08:00:00Z"
    return {"error": error, "error_description": f"AADSTS{number}: {said} {trailer}", "error_codes": [number]}


GOOGLE = [
    ({"error": "invalid_grant", "error_description": "Token has been expired or revoked."}, Why.LOST, "Testing"),
    ({"error": "invalid_grant", "error_description": "Bad Request"}, Why.LOST, "warmup oauth login ann@mail.test"),
    ({"error": "invalid_grant", "error_subtype": "invalid_rapt"}, Why.LOST, "session control"),
    ({"error": "invalid_client", "error_description": "The OAuth client was not found."}, Why.CLIENT, "oauth.google"),
    ({"error": "unauthorized_client", "error_description": "Unauthorized"}, Why.CLIENT, "oauth.google.client_id"),
    ({"error": "invalid_request", "error_description": "client_secret is missing."}, Why.CLIENT, "client_secret_file"),
    ({"error": "deleted_client", "error_description": "The OAuth client was deleted."}, Why.CLIENT, "client_id"),
    ({"error": "redirect_uri_mismatch"}, Why.CLIENT, "Desktop app"),
    ({"error": "org_internal"}, Why.CLIENT, "External"),
    ({"error": "admin_policy_enforced"}, Why.SCOPE, "ask its admin"),
    ({"error": "invalid_scope"}, Why.SCOPE, "oauth.google.scopes"),
    ({"error": "access_denied"}, Why.DENIED, "say yes"),
    ({"error": "something_new"}, Why.CLIENT, "oauth.google.client_id"),
]
MICROSOFT = [
    (entra(700082, "The refresh token has expired due to inactivity."), Why.LOST, "90 days"),
    (entra(70000, "The provided grant is invalid, expired or revoked."), Why.LOST, "warmup oauth login ann@mail.test"),
    (entra(50173, "The provided grant has expired due to it being revoked."), Why.LOST, "password was changed"),
    (entra(50076, "You must use multi-factor authentication.", error="interaction_required"), Why.LOST, "two factors"),
    (entra(53003, "Access has been blocked by Conditional Access policies."), Why.LOST, "ask its admin"),
    (entra(16000, "Interaction is required.", error="interaction_required"), Why.LOST, "warmup oauth login"),
    (entra(65001, "The user or administrator has not consented."), Why.SCOPE, "grant every access"),
    ({"error": "invalid_grant", "suberror": "consent_required"}, Why.SCOPE, "grant every access"),
    (
        entra(70011, "The provided value for the input parameter 'scope' is not valid."),
        Why.SCOPE,
        "oauth.microsoft.scopes",
    ),
    (entra(700016, "Application was not found.", error="unauthorized_client"), Why.CLIENT, "oauth.microsoft.client_id"),
    (entra(7000215, "Invalid client secret provided.", error="invalid_client"), Why.CLIENT, "client_secret_file"),
    (
        entra(7000218, "The request body must contain client_secret.", error="invalid_client"),
        Why.CLIENT,
        "public client",
    ),
    (entra(50194, "Application is not configured as a multi-tenant application."), Why.CLIENT, "tenant's id"),
    (entra(9002346, "Use the /consumers endpoint.", error="unauthorized_client"), Why.CLIENT, "consumers"),
    ({"error": "authorization_declined"}, Why.DENIED, "say yes"),
    ({"error": "expired_token"}, Why.DENIED, "begin again"),
    ({"error": "invalid_grant", "error_description": "AADSTS50173: only in the sentence"}, Why.LOST, "password was"),
]


@pytest.mark.parametrize(("body", "why", "fix"), GOOGLE)
def test_google_is_understood(body: dict[str, Any], why: Why, fix: str) -> None:
    refusal = failure("google", body)
    assert isinstance(refusal, GrantRefused)
    assert (refusal.why, fix in refusal.hint) == (why, True), refusal.hint
    assert "{" not in refusal.hint


@pytest.mark.parametrize(("body", "why", "fix"), MICROSOFT)
def test_microsoft_is_understood(body: dict[str, Any], why: Why, fix: str) -> None:
    refusal = failure("microsoft", body)
    assert isinstance(refusal, GrantRefused)
    assert (refusal.why, fix in refusal.hint) == (why, True), refusal.hint
    assert "Trace ID" not in str(refusal)
    assert "Testing" not in refusal.hint


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, {"error": "temporarily_unavailable"}),
        (400, {"error": "temporarily_unavailable"}),
        (429, {"error": "invalid_grant"}),
        (500, b"<html>"),
        (400, {"error": "slow_down"}),
    ],
)
def test_what_passes_by_itself_is_no_refusal(status: int, body: Any) -> None:
    refusal = failure("google", body, status=status)
    assert isinstance(refusal, Unavailable)
    assert not isinstance(refusal, GrantRefused)


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[1]", b"\xff\xfe", b"[" * 50_000, b'{"error": 7}', b'{"error": {}}', b"{}"]
)
def test_what_is_no_answer_is_outside_the_protocol(body: bytes) -> None:
    refusal = failure("microsoft", body)
    assert isinstance(refusal, ProtocolError)
    assert "[oauth.microsoft]" in refusal.hint


def test_a_sentence_stays_on_its_line_and_keeps_no_secret() -> None:
    said = "no\r\nerror: forged\x1b[2J hunter2-token\u2028 " + "x" * 5_000
    refusal = failure("google", {"error": "invalid_grant", "error_description": said}, secrets=("hunter2-token",))
    assert "hunter2-token" not in str(refusal)
    assert str(refusal).isprintable()
    assert len(str(refusal)) < 400
