"""Logging in over IMAP: LOGIN with quoted words, AUTHENTICATE PLAIN where those will not do, XOAUTH2 with a token.

A refusal that is not about the credentials is `Unavailable`, as RFC 5530 or else policy/login has it: it must not look
like a wrong one.
"""

from warmup.mail.answer import Reply
from warmup.mail.folder import quoted
from warmup.policy.login import login_is_refused
from warmup.wire.errors import CommandRefused, CredentialsRefused, Unavailable
from warmup.wire.hints import about_token
from warmup.wire.imap_line import ImapLine
from warmup.wire.imap_syntax import Response
from warmup.wire.login import Login, SignIn

_NOT_OURS = frozenset({"UNAVAILABLE", "SERVERBUG", "INUSE", "LIMIT", "OVERQUOTA"})


def takes(login: Login, capabilities: frozenset[str]) -> bool:
    """True where a server of these `capabilities` offers a way in for such a login."""
    return _mechanism(login, capabilities) is not None


async def sign_in(line: ImapLine, login: Login, capabilities: frozenset[str]) -> tuple[list[Response], bytes]:
    """Log in, or raise WireError; what the server said to it, as `ImapLine.run` gives it.

    `capabilities` are those before login, in upper case.
    """
    mechanism = _mechanism(login, capabilities)
    if mechanism is None:
        what = "OAuth token (XOAUTH2)" if login.sign_in is SignIn.XOAUTH2 else "password"
        raise CredentialsRefused(f"{line.endpoint} takes no {what}", hint=_other_way(login, capabilities))
    line.keep_to_ourselves(login)
    try:
        if mechanism == "LOGIN":
            return await line.run("LOGIN", quoted(login.username), quoted(login.secret))
        response = login.xoauth2 if mechanism == "XOAUTH2" else login.plain
        if "SASL-IR" in capabilities:
            return await line.run("AUTHENTICATE", mechanism, response)
        return await line.run("AUTHENTICATE", mechanism, to_say=(response,))
    except CommandRefused as refusal:
        if refusal.code in _NOT_OURS or not (refusal.code or login_is_refused(Reply(code=-1, text=refusal.summary))):
            raise Unavailable(refusal.summary) from None
        hint = about_token(login.username) if login.sign_in is SignIn.XOAUTH2 else ""
        raise CredentialsRefused(f"{refusal.summary} (user name {login.username})", hint=hint) from None


def _mechanism(login: Login, capabilities: frozenset[str]) -> str | None:
    if login.sign_in is SignIn.XOAUTH2:
        return "XOAUTH2" if "AUTH=XOAUTH2" in capabilities else None
    simple = login.username.isascii() and login.secret.isascii()
    if "AUTH=PLAIN" in capabilities and (not simple or "LOGINDISABLED" in capabilities):
        # RFC 3501 9: a quoted string holds no 8-bit; SASL carries UTF-8.
        return "PLAIN"
    return None if "LOGINDISABLED" in capabilities else "LOGIN"


def _other_way(login: Login, capabilities: frozenset[str]) -> str:
    if login.sign_in is SignIn.XOAUTH2:
        return "enrol with a password"
    oauth = capabilities & {"AUTH=XOAUTH2", "AUTH=OAUTHBEARER"}
    return "this server wants OAuth: enrol with --oauth" if oauth else "ask the provider how mail programs sign in"
