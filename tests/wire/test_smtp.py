"""One message to one server: what is said of it must be true."""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.mail.answer import Accepted, Deferred, Refused, Uncertain
from warmup.policy.mailbox import Endpoint, Security
from warmup.wire.errors import CredentialsRefused, ProtocolError, Unavailable, Unreachable, Untrusted
from warmup.wire.hints import hint_for
from warmup.wire.login import Login, SignIn
from warmup.wire.network import Network
from warmup.wire.smtp import Envelope, SmtpSession, open_smtp
from warmup.wire.smtp_line import dotted, wire_form

Start = Callable[..., Awaitable[Any]]

CONTENT = b"Subject: hello\r\n\r\nA line.\r\n.hidden dot\r\n"
LETTER_ENDPOINT = Endpoint(host="127.0.0.1", port=1, security=Security.TLS)
STARTTLS_EHLO = b"250-scripted\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"
GOOD = {"mail": b"250 ok\r\n", "rcpt": b"250 ok\r\n", "data": b"354 go on\r\n"}
LOGIN_STEPS = {
    b64encode(b"ann@sender.test").decode().lower(): b"334 UGFzc3dvcmQ6\r\n",
    b64encode(b"hunter2-Sesam").decode().lower(): b"235 in\r\n",
}
LETTER = Envelope(sender="ann@sender.test", recipient="bob@seed.test", content=CONTENT)


async def opened(server: Any, login: Login | None, network: Network) -> SmtpSession:
    return await open_smtp(server.endpoint(Security.STARTTLS), login, helo="sender.test", network=network)


async def test_a_real_server_takes_two_messages_over_one_connection(
    post_office: Any, login: Login, network: Network
) -> None:
    office, security = post_office
    endpoint = replace(LETTER_ENDPOINT, port=office.port, security=security)
    session = await open_smtp(endpoint, login, helo="sender.test", network=network)
    first = await session.submit(LETTER)
    second = await session.submit(LETTER)
    await session.close()

    assert isinstance(first, Accepted)
    assert (first.reply.code, first.reply.status, first.reply.text) == (250, "2.0.0", "taken")
    assert isinstance(second, Accepted)
    assert [envelope.content for envelope in office.desk.envelopes] == [CONTENT, CONTENT]
    assert office.desk.envelopes[0].rcpt_tos == ["bob@seed.test"]
    assert not session.usable


async def test_a_wrong_password_is_refused_and_said_without_the_password(
    post_office: Any, login: Login, network: Network
) -> None:
    office, security = post_office
    wrong = replace(login, secret="not-the-Password")
    endpoint = replace(LETTER_ENDPOINT, port=office.port, security=security)
    with pytest.raises(CredentialsRefused) as refusal:
        await open_smtp(endpoint, wrong, helo="sender.test", network=network)
    assert "not-the-Password" not in str(refusal.value)
    assert "ann@sender.test" in str(refusal.value)


async def test_a_message_larger_than_size_is_refused_before_it_is_offered(
    post_office: Any, login: Login, network: Network
) -> None:
    office, security = post_office
    endpoint = replace(LETTER_ENDPOINT, port=office.port, security=security)
    session = await open_smtp(endpoint, login, helo="sender.test", network=network)
    answer = await session.submit(replace(LETTER, content=b"Subject: big\r\n\r\n" + b"x" * 60 * 1000))
    after = await session.submit(LETTER)
    await session.close()
    assert isinstance(answer, Refused)
    assert (answer.reply.code, answer.reply.status) == (552, "5.3.4")
    assert "50000" in answer.reply.text
    assert isinstance(after, Accepted)
    assert len(office.desk.envelopes) == 1


async def test_a_certificate_of_a_stranger_is_not_believed(post_office: Any, login: Login) -> None:
    office, security = post_office
    endpoint = replace(LETTER_ENDPOINT, port=office.port, security=security)
    with pytest.raises(Untrusted, match="certificate"):
        await open_smtp(endpoint, login, helo="sender.test", network=Network(smtp_timeout=20))


async def test_stripped_starttls_is_refused_before_a_credential_is_said(
    scripted_smtp: Start, login: Login, network: Network
) -> None:
    server = await scripted_smtp()
    with pytest.raises(Untrusted, match="STARTTLS"):
        await opened(server, login, network)
    assert [line.split()[0] for line in server.said] == [b"EHLO"]


@pytest.mark.parametrize("refusal", [b"454 not now\r\n", b"502 what?\r\n", b"530 Must issue STARTTLS first\r\n"])
async def test_starttls_that_is_refused_ends_the_session_before_a_credential_is_said(
    scripted_smtp: Start, login: Login, network: Network, refusal: bytes
) -> None:
    server = await scripted_smtp(ehlo=STARTTLS_EHLO, starttls=refusal)
    with pytest.raises(Untrusted):
        await opened(server, login, network)
    assert [line.split()[0] for line in server.said] == [b"EHLO", b"STARTTLS"]


async def test_words_slipped_in_before_tls_are_not_believed(
    scripted_smtp: Start, login: Login, network: Network
) -> None:
    injected = b"220 go ahead\r\n250-evil\r\n250 AUTH PLAIN\r\n"
    server = await scripted_smtp(ehlo=STARTTLS_EHLO, starttls=injected)
    with pytest.raises(Untrusted):
        await opened(server, login, network)
    assert not any(line.upper().startswith(b"AUTH") for line in server.said)


async def test_what_was_offered_before_tls_is_forgotten_behind_it(
    scripted_smtp: Start, login: Login, network: Network
) -> None:
    behind = b"250-scripted\r\n250 AUTH PLAIN\r\n"
    server = await scripted_smtp(ehlo=[b"250-scripted\r\n250-SIZE 5\r\n250 STARTTLS\r\n", behind])
    session = await opened(server, login, network)
    assert session.offered.size is None
    assert isinstance(await session.submit(LETTER), Accepted)
    await session.close()


async def test_plain_text_is_for_loopback_alone(network: Network) -> None:
    async def elsewhere(_host: str, _port: int) -> list[str]:
        return ["198.51.100.7"]

    endpoint = replace(LETTER_ENDPOINT, host="mail.test", security=Security.NONE)
    with pytest.raises(Untrusted, match="loopback"):
        await open_smtp(
            endpoint, None, helo="sender.test", network=replace(network, resolve=elsewhere, allow_private_hosts=True)
        )


@pytest.mark.parametrize(
    ("stage", "reply"),
    [("mail", b"451 4.3.0 later\r\n"), ("rcpt", b"450 4.2.1 later\r\n"), ("data", b"452 4.3.1 full\r\n")],
)
async def test_a_temporary_no_before_the_dot_is_deferred_and_the_session_goes_on(
    scripted_smtp: Start, network: Network, stage: str, reply: bytes
) -> None:
    server = await scripted_smtp(**{stage: [reply, GOOD[stage]]})
    session = await plain(server, network)
    answer = await session.submit(LETTER)
    assert isinstance(answer, Deferred)
    assert answer.reply is not None
    assert answer.reply.is_transient
    assert session.usable
    await session.refresh()
    assert server.said[-1] == b"RSET\r\n"


async def test_a_refused_message_is_followed_by_a_clean_slate(scripted_smtp: Start, network: Network) -> None:
    server = await scripted_smtp(rcpt=[b"550-5.1.1 no such\r\n550 5.1.1 user here\r\n", b"250 ok\r\n"])
    session = await plain(server, network)
    first = await session.submit(LETTER)
    second = await session.submit(LETTER)
    assert isinstance(first, Refused)
    assert (first.reply.code, first.reply.status, first.reply.text) == (550, "5.1.1", "no such user here")
    assert isinstance(second, Accepted)
    assert [line.split()[0] for line in server.said] == [b"EHLO", b"MAIL", b"RCPT", b"RSET", b"MAIL", b"RCPT", b"DATA"]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"250 2.0.0 queued\r\n", Accepted),
        (b"451 4.7.1 greylisted\r\n", Deferred),
        (b"554 5.7.1 spam\r\n", Refused),
        (b"354 more?\r\n", Uncertain),
        (b"garbage\r\n", Uncertain),
        (b"99 ok\r\n", Uncertain),
        (b"+250 ok\r\n", Uncertain),
        (b"\xff\xfe\r\n", Uncertain),
        (b"25", Uncertain),
        (b"250-half\r\n", Uncertain),
        (b"", Uncertain),
    ],
)
async def test_after_the_final_dot_only_a_believable_reply_tells(
    scripted_smtp: Start, impatient: Network, reply: bytes, kind: type
) -> None:
    server = await scripted_smtp(dot=reply)
    session = await plain(server, impatient)
    answer = await session.submit(LETTER)
    assert isinstance(answer, kind)
    assert len(server.messages) == 1
    assert session.usable is not isinstance(answer, Uncertain)


async def test_silence_after_the_final_dot_is_uncertain(scripted_smtp: Start, impatient: Network) -> None:
    server = await scripted_smtp(dot=None)
    session = await plain(server, impatient)
    assert isinstance(await session.submit(LETTER), Uncertain)
    assert not session.usable
    assert server.messages == [CONTENT.replace(b"\r\n.", b"\r\n..") + b".\r\n"]


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
@pytest.mark.parametrize("reply", [b"", None, b"garbage\r\n", b"354 early\r\n", b"100 x\r\n"])
async def test_whatever_breaks_before_the_dot_is_deferred(
    scripted_smtp: Start, impatient: Network, stage: str, reply: bytes | None
) -> None:
    if (stage, reply) == ("data", b"354 early\r\n"):
        reply = b"250 no data\r\n"
    server = await scripted_smtp(**{stage: reply})
    session = await plain(server, impatient)
    answer = await session.submit(LETTER)
    assert isinstance(answer, Deferred)
    assert answer.reply is None
    assert answer.reason
    assert not session.usable
    assert server.messages == []


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
async def test_421_is_deferred_and_ends_the_session(scripted_smtp: Start, network: Network, stage: str) -> None:
    server = await scripted_smtp(**{stage: b"421 4.3.2 shutting down\r\n"})
    session = await plain(server, network)
    answer = await session.submit(LETTER)
    assert isinstance(answer, Deferred)
    assert answer.reply is not None
    assert answer.reply.code == 421
    assert not session.usable
    assert isinstance(await session.submit(LETTER), Deferred)
    assert len(server.messages) == (1 if stage == "dot" else 0)


async def test_a_line_cut_inside_the_message_is_uncertain_once_all_of_it_was_written(
    serve: Start, network: Network
) -> None:
    async def handle(_serving: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        for reply in (b"250 scripted\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            await reader.readline()
            writer.write(reply)
        await reader.readexactly(10)

    session = await plain(await serve(handle), network)
    assert isinstance(await session.submit(LETTER), Uncertain)


async def test_a_second_reply_to_one_command_is_never_taken_for_the_next_answer(
    scripted_smtp: Start, network: Network
) -> None:
    server = await scripted_smtp(data=b"354 go\r\n250 2.0.0 queued\r\n")
    session = await plain(server, network)
    answer = await session.submit(LETTER)
    assert isinstance(answer, Deferred)
    assert not session.usable


@pytest.mark.parametrize(("stage", "said_last"), [("mail", b"MAIL"), ("rcpt", b"RCPT"), ("data", b"DATA")])
async def test_after_a_reply_too_many_nothing_more_is_said(
    scripted_smtp: Start, network: Network, stage: str, said_last: bytes
) -> None:
    server = await scripted_smtp(**{stage: GOOD[stage] + b"250 2.0.0 one more\r\n"})
    session = await plain(server, network)
    assert isinstance(await session.submit(LETTER), Deferred)
    await session.close()
    assert server.said[-1].startswith(said_last)


async def test_a_goodbye_behind_the_answer_does_not_spoil_it(scripted_smtp: Start, network: Network) -> None:
    server = await scripted_smtp(dot=b"250 2.0.0 queued\r\n421 and goodbye\r\n")
    session = await plain(server, network)
    assert isinstance(await session.submit(LETTER), Accepted)
    assert not session.usable


async def test_a_submission_cancelled_after_the_dot_says_that_it_was_handed_over(
    scripted_smtp: Start, network: Network
) -> None:
    server = await scripted_smtp(dot=None)
    session = await plain(server, network)
    submission = asyncio.create_task(session.submit(LETTER))
    await server.reached.wait()
    submission.cancel()
    with pytest.raises(asyncio.CancelledError):
        await submission
    assert session.handed_over
    assert not session.usable


async def test_a_submission_cancelled_before_the_dot_says_that_it_was_not(
    scripted_smtp: Start, network: Network
) -> None:
    server = await scripted_smtp(rcpt=None)
    session = await plain(server, network)
    submission = asyncio.create_task(session.submit(LETTER))
    await server.reached.wait()
    submission.cancel()
    with pytest.raises(asyncio.CancelledError):
        await submission
    assert not session.handed_over
    assert not session.usable


async def test_smtputf8_is_used_only_where_it_is_needed_and_offered(scripted_smtp: Start, network: Network) -> None:
    server = await scripted_smtp()
    session = await plain(server, network)
    assert isinstance(await session.submit(replace(LETTER, recipient="jörg@seed.test")), Accepted)
    assert isinstance(await session.submit(LETTER), Accepted)
    mails = [line for line in server.said if line.startswith(b"MAIL")]
    assert b"SMTPUTF8" in mails[0]
    assert b"SMTPUTF8" not in mails[1]
    assert "RCPT TO:<jörg@seed.test>\r\n".encode() in server.said


async def test_where_smtputf8_is_not_offered_only_a_domain_can_be_translated(
    scripted_smtp: Start, network: Network
) -> None:
    server = await scripted_smtp(ehlo=b"250 scripted\r\n")
    session = await plain(server, network)
    local = await session.submit(replace(LETTER, recipient="jörg@seed.test"))
    domain = await session.submit(replace(LETTER, recipient="joerg@süd.test"))
    assert isinstance(local, Refused)
    assert local.reply.status == "5.6.7"
    assert isinstance(domain, Accepted)
    assert b"RCPT TO:<joerg@xn--sd-xka.test>\r\n" in server.said


async def test_8_bit_content_is_not_sent_to_a_7_bit_server(scripted_smtp: Start, network: Network) -> None:
    content = "Subject: x\r\n\r\ngrüße\r\n".encode()
    narrow = await plain(await scripted_smtp(ehlo=b"250 scripted\r\n"), network)
    wide_server = await scripted_smtp()
    wide = await plain(wide_server, network)
    refused = await narrow.submit(replace(LETTER, content=content))
    assert isinstance(refused, Refused)
    assert refused.reply.status == "5.6.3"
    assert isinstance(await wide.submit(replace(LETTER, content=content)), Accepted)
    assert any(b"BODY=8BITMIME" in line for line in wide_server.said)


@pytest.mark.parametrize(
    ("greeting", "error"),
    [
        (b"421 too busy\r\n", Unavailable),
        (b"554 no service for you\r\n", ProtocolError),
        (b"* OK IMAP4rev1 here\r\n", ProtocolError),
        (b"99 bottles\r\n", ProtocolError),
        (b"220 a\r\n220 b\r\n", ProtocolError),
        (b"", Unreachable),
        (b"220-never\r\n" * 20000, ProtocolError),
    ],
)
async def test_a_greeting_that_is_none_is_told_in_our_words(
    scripted_smtp: Start, impatient: Network, greeting: bytes, error: type[Exception]
) -> None:
    server = await scripted_smtp(greeting=greeting)
    with pytest.raises(error):
        await plain(server, impatient)


@pytest.mark.parametrize("believed", [True, False])
async def test_a_port_that_speaks_tls_from_the_start_is_told_apart_from_a_silent_one(
    scripted_smtp: Start, network: Network, login: Login, *, believed: bool
) -> None:
    server = await scripted_smtp(implicit=True)
    patient = replace(network, smtp_timeout=60.0) if believed else Network(smtp_timeout=60.0)
    began = asyncio.get_running_loop().time()
    with pytest.raises(Unreachable, match="speaks TLS from the start") as found:
        await open_smtp(server.endpoint(Security.STARTTLS), login, helo="sender.test", network=patient)
    assert asyncio.get_running_loop().time() - began < 30
    assert "security tls" in hint_for(found.value, server.endpoint(Security.STARTTLS))


async def test_a_slow_greeting_is_waited_for(serve: Start, network: Network) -> None:
    asked_for_tls = asyncio.Event()

    async def handler(serving: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if serving.connections > 1:
            await reader.read(1)
            asked_for_tls.set()
            return
        await asked_for_tls.wait()
        writer.write(b"220 slow.test\r\n")
        while await reader.readline():
            writer.write(b"250 slow.test\r\n")

    server = await serve(handler)
    session = await open_smtp(server.endpoint(Security.NONE), None, helo="sender.test", network=network)
    assert session.usable
    assert asked_for_tls.is_set()
    await session.close()


async def test_a_server_that_never_greets_is_given_up(scripted_smtp: Start, impatient: Network) -> None:
    server = await scripted_smtp(greeting=None)
    with pytest.raises(Unreachable, match="silent"):
        await plain(server, impatient)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"535 5.7.8 bad credentials\r\n", CredentialsRefused),
        (b"550 5.7.30 basic authentication is off\r\n", CredentialsRefused),
        (b"432 4.7.12 A password transition is needed\r\n", CredentialsRefused),
        (b"454 4.7.8 Authentication failed: wrong password\r\n", CredentialsRefused),
        (b"454 4.7.0 too many login attempts\r\n", Unavailable),
        (b"454 4.7.0 Temporary authentication failure: Connection lost to authentication server\r\n", Unavailable),
        (b"535 5.7.8 Error: authentication failed: Connection lost to authentication server\r\n", Unavailable),
        (b"421 4.7.0 try again later\r\n", Unavailable),
        (b"", Unreachable),
        (b"nonsense\r\n", ProtocolError),
        (b"99 bottles\r\n", ProtocolError),
    ],
)
async def test_only_a_no_to_the_credentials_blames_them(
    scripted_smtp: Start, login: Login, network: Network, reply: bytes, error: type[Exception]
) -> None:
    server = await scripted_smtp(auth=reply)
    with pytest.raises(error) as raised:
        await open_smtp(server.endpoint(Security.NONE), login, helo="sender.test", network=network)
    assert type(raised.value) is error


async def test_a_server_that_echoes_the_secret_does_not_get_it_into_our_words(
    scripted_smtp: Start, login: Login, network: Network
) -> None:
    echo = f"535 wrong: AUTH PLAIN {login.plain} that is {login.secret}\r\n".encode()
    server = await scripted_smtp(auth=echo)
    with pytest.raises(CredentialsRefused) as refusal:
        await open_smtp(server.endpoint(Security.NONE), login, helo="sender.test", network=network)
    told = f"{refusal.value!s} {refusal.value!r} {refusal.value.hint}"
    assert login.secret not in told
    assert login.plain not in told


async def test_login_is_used_where_plain_is_not_known(scripted_smtp: Start, login: Login, network: Network) -> None:
    server = await scripted_smtp(auth=[b"504 5.5.4 no\r\n", b"334 VXNlcm5hbWU6\r\n"], **LOGIN_STEPS)
    session = await open_smtp(server.endpoint(Security.NONE), login, helo="sender.test", network=network)
    assert session.usable
    assert server.said[1].startswith(b"AUTH PLAIN")
    assert server.said[2] == b"AUTH LOGIN\r\n"


async def test_a_token_is_not_offered_where_only_passwords_are_taken(
    scripted_smtp: Start, login: Login, network: Network
) -> None:
    server = await scripted_smtp()
    with pytest.raises(CredentialsRefused, match="PLAIN"):
        await open_smtp(
            server.endpoint(Security.NONE),
            replace(login, sign_in=SignIn.XOAUTH2),
            helo="sender.test",
            network=network,
        )
    assert [line.split()[0] for line in server.said] == [b"EHLO"]


async def test_a_refused_token_is_told_once_the_server_has_explained_itself(
    scripted_smtp: Start, login: Login, network: Network
) -> None:
    refusal = {"auth": b"334 eyJzdGF0dXMiOiI0MDAifQ==\r\n", "": b"535 5.7.8 token expired\r\n"}
    server = await scripted_smtp(ehlo=b"250-scripted\r\n250 AUTH XOAUTH2\r\n", **refusal)
    token = replace(login, sign_in=SignIn.XOAUTH2)
    with pytest.raises(CredentialsRefused, match="token expired"):
        await open_smtp(server.endpoint(Security.NONE), token, helo="sender.test", network=network)
    assert server.said[-1] == b"\r\n"


async def test_closing_never_raises_and_never_waits_long(scripted_smtp: Start, impatient: Network) -> None:
    for reply in (b"221 bye\r\n", b"", None, b"rubbish\r\n"):
        session = await plain(await scripted_smtp(quit=reply), impatient)
        await session.close()
        assert not session.usable
        await session.close()


@given(st.binary(max_size=300) | st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\r\n"])).map(b"".join))
def test_no_content_ends_the_message_early(content: bytes) -> None:
    wire = dotted(wire_form(content))
    assert wire.endswith(b"\r\n.\r\n") or wire == b".\r\n"
    body = wire[: -len(b".\r\n")]
    for ending in (b"\n.\n", b"\n.\r", b"\r.\n", b"\r.\r", b"\r\n.\r\n"):
        assert ending not in body.replace(b"\r\n..", b"\r\n__")
    assert b"\r" not in body.replace(b"\r\n", b"")
    assert b"\n" not in body.replace(b"\r\n", b"")
    lines = [line.removeprefix(b".") if line.startswith(b"..") else line for line in body.split(b"\r\n")]
    assert b"\r\n".join(lines) == wire_form(content)


async def plain(server: Any, network: Network) -> SmtpSession:
    return await open_smtp(server.endpoint(Security.NONE), None, helo="sender.test", network=network)
