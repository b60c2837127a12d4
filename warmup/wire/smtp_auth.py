"""Signing in to an SMTP server (RFC 4954): PLAIN, else LOGIN; XOAUTH2 with a token.

Whether a no is about the credentials is asked of policy/login: `CredentialsRefused` where it is, else `Unavailable`.
"""

from base64 import b64encode

from aiosmtplib.errors import SMTPException, SMTPResponseException
from aiosmtplib.response import SMTPResponse

from warmup.mail.status import reply_of
from warmup.policy.login import login_is_refused
from warmup.policy.mailbox import Endpoint
from warmup.wire.errors import CredentialsRefused, ProtocolError, Unavailable, quote
from warmup.wire.hints import about_token
from warmup.wire.login import Login, SignIn
from warmup.wire.smtp_line import SmtpLine, failure_of

# RFC 5321 4.2.3, RFC 4954 6: the command or the mechanism is not known here. Another mechanism may be.
_NOT_THIS_WAY = frozenset({500, 501, 502, 503, 504, 538})


async def sign_in(line: SmtpLine, login: Login, offered: frozenset[str], *, endpoint: Endpoint, timeout: float) -> None:
    """Log in, or raise WireError. `offered` are the mechanisms of the last EHLO, in lower case."""
    mechanisms = [name for name in _wanted(login) if name in offered]
    if not mechanisms:
        raise CredentialsRefused(
            f"{endpoint} offers no sign-in we can use ({_listed(offered)})", hint=_other_way(login, offered)
        )
    for name in mechanisms:
        response = await _tried(line, name, login, endpoint=endpoint, timeout=timeout)
        if response.code == 235:
            break
        if name == mechanisms[-1] or response.code not in _NOT_THIS_WAY:
            raise _refusal(response, login, endpoint)
    if line.desynchronised:
        raise ProtocolError(f"{endpoint} said more than it was asked")


async def _tried(line: SmtpLine, mechanism: str, login: Login, *, endpoint: Endpoint, timeout: float) -> SMTPResponse:
    steps = _dialogue(mechanism, login)
    try:
        response = await line.execute_command(*steps[0], timeout=timeout)
        for step in steps[1:]:
            if response.code != 334:
                return response
            response = await line.execute_command(*step, timeout=timeout)
        # XOAUTH2 says its error in one more challenge: an empty line, and the refusal comes.
        return await line.execute_command(b"", timeout=timeout) if response.code == 334 else response
    except SMTPResponseException as reason:
        raise ProtocolError(f"{endpoint}: {quote(reason.message)}") from None
    except (SMTPException, OSError) as reason:
        raise failure_of(reason, endpoint) from reason


def _dialogue(mechanism: str, login: Login) -> list[tuple[bytes, ...]]:
    match mechanism:
        case "plain":
            return [(b"AUTH", b"PLAIN", login.plain.encode())]
        case "xoauth2":
            return [(b"AUTH", b"XOAUTH2", login.xoauth2.encode())]
        case _:
            return [(b"AUTH", b"LOGIN"), (b64encode(login.username.encode()),), (b64encode(login.secret.encode()),)]


def _wanted(login: Login) -> tuple[str, ...]:
    return ("xoauth2",) if login.sign_in is SignIn.XOAUTH2 else ("plain", "login")


def _refusal(response: SMTPResponse, login: Login, endpoint: Endpoint) -> CredentialsRefused | Unavailable:
    said, reply = quote(f"{response.code} {response.message}"), reply_of(response.code, response.message)
    if not login_is_refused(reply) and (reply.is_transient or reply.is_permanent):
        return Unavailable(f"{endpoint} cannot check the login now: {said}")
    hint = about_token(login.username) if login.sign_in is SignIn.XOAUTH2 else ""
    return CredentialsRefused(f"{endpoint} refused the login of {login.username}: {said}", hint=hint)


def _listed(offered: frozenset[str]) -> str:
    return ", ".join(sorted(name.upper() for name in offered)) or "none at all"


def _other_way(login: Login, offered: frozenset[str]) -> str:
    if login.sign_in is SignIn.PASSWORD and offered & {"xoauth2", "oauthbearer"}:
        return "this server wants OAuth: enrol with --oauth"
    if login.sign_in is SignIn.XOAUTH2 and offered:
        return "this server takes no OAuth token (XOAUTH2): enrol with a password"
    return "" if offered else "many servers offer it only under TLS: use port 465 or 587 with starttls"
