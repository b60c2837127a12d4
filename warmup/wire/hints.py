"""What a person can do about a server that would not have us: one sentence, or none where we know nothing better."""

from warmup.policy.mailbox import Endpoint, Security
from warmup.wire.errors import CredentialsRefused, Unavailable, Unreachable, Untrusted, WireError

_SUBMISSION_PORTS = {
    587: "many networks block port 587: try 465 with tls, then 2525 with starttls",
    465: "if port 465 is blocked here, try 587 with starttls, then 2525 with starttls",
    25: "many networks block port 25, and it is for relaying: try 587 with starttls, then 465 with tls",
    2525: "try 587 with starttls, then 465 with tls",
    143: "IMAP is spoken under TLS: use port 993 with tls",
}
_IMPLICIT_TLS = frozenset({465, 993, 995})
_APP_ADVICE = (
    "with two-factor sign-in the account's own password does not do: make an app password (without its spaces), "
    "or enrol with --oauth"
)


def hint_for(error: WireError, endpoint: Endpoint, *, username: str = "") -> str:
    """One sentence of advice about `error` at `endpoint`; empty where there is none to give."""
    match error:
        case CredentialsRefused():
            return error.hint or _about_login(endpoint, username)
        case Untrusted():
            return _about_security(endpoint) or error.hint
        case Unavailable():
            return error.hint or "wait a while; nothing needs to be changed"
        case Unreachable():
            return error.hint or _SUBMISSION_PORTS.get(endpoint.port, "check host and port")
        case _:
            return error.hint or _about_security(endpoint)


def about_token(username: str) -> str:
    """What to do where a mail server takes the sign-in, but not this account's token."""
    return (
        f"sign in again as {username} itself (warmup oauth login ADDRESS); in an organisation its admin may have to "
        "allow IMAP and authenticated SMTP"
    )


def _about_login(endpoint: Endpoint, username: str) -> str:
    local, at, _ = username.partition("@")
    if at and _wants_bare_name(endpoint):
        return f"this server may want the user name without its domain ({local}); otherwise {_APP_ADVICE}"
    if username and not at:
        return f"some servers want the whole address as user name; otherwise {_APP_ADVICE}"
    return f"{_APP_ADVICE}; some servers want the user name without its domain" if at else _APP_ADVICE


def _wants_bare_name(endpoint: Endpoint) -> bool:
    # Apple: imap.mail.me.com wants the name alone, smtp.mail.me.com the whole address.
    return endpoint.host.lower().endswith("imap.mail.me.com")


def _about_security(endpoint: Endpoint) -> str:
    if endpoint.port in _IMPLICIT_TLS and endpoint.security is not Security.TLS:
        return f"port {endpoint.port} is for security tls"
    if endpoint.port in (587, 2525, 25) and endpoint.security is Security.TLS:
        return f"port {endpoint.port} is for security starttls; 465 is for tls"
    return ""
