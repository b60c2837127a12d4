"""The IMAP door against servers that misbehave: every failure is a WireError, soon, and nothing is said too early."""

import asyncio
import logging
from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from warmup.policy.mailbox import Security
from warmup.wire.errors import (
    CommandRefused,
    CredentialsRefused,
    ProtocolError,
    TooLarge,
    Unavailable,
    Unreachable,
    Untrusted,
    WireError,
)
from warmup.wire.imap import ImapSession, open_imap
from warmup.wire.login import Login, SignIn
from warmup.wire.network import Network

Start = Callable[..., Awaitable[Any]]

NO_UIDPLUS = b"* CAPABILITY IMAP4rev1\r\nTAG OK done\r\n"
UIDPLUS = b"* CAPABILITY IMAP4rev1 UIDPLUS\r\nTAG OK done\r\n"


async def opened(server: Any, login: Login, network: Network) -> ImapSession:
    return await open_imap(server.endpoint(Security.NONE), login, network=network)


def verbs(server: Any) -> list[bytes]:
    return [line.split(b" ", 1)[1].strip() for line in server.said]


async def test_preauth_is_not_believed(scripted_imap: Start, login: Login, network: Network) -> None:
    server = await scripted_imap(greeting=b"* PREAUTH welcome, whoever you are\r\n")
    with pytest.raises(Untrusted, match="logged in already"):
        await opened(server, login, network)
    assert server.said == []


@pytest.mark.parametrize(
    ("greeting", "error"),
    [
        (b"* BYE too many connections\r\n", Unavailable),
        (b"220 mail.test ESMTP\r\n", ProtocolError),
        (b"\x16\x03\x01\x02\r\n", ProtocolError),
        (b"", Unreachable),
    ],
)
async def test_a_greeting_that_is_none_is_told_in_our_words(
    scripted_imap: Start, login: Login, impatient: Network, greeting: bytes, error: type[Exception]
) -> None:
    server = await scripted_imap(greeting=greeting)
    with pytest.raises(error):
        await opened(server, login, impatient)
    assert not any(b"LOGIN" in line for line in server.said)


async def test_imap_by_starttls_is_not_attempted(scripted_imap: Start, login: Login, network: Network) -> None:
    server = await scripted_imap()
    with pytest.raises(Untrusted):
        await open_imap(server.endpoint(Security.STARTTLS), login, network=network)
    assert server.connections == 0


async def test_plain_imap_on_a_tls_port_is_told_so(scripted_imap: Start, login: Login, network: Network) -> None:
    server = await scripted_imap()
    with pytest.raises((Untrusted, Unreachable)):
        await open_imap(server.endpoint(Security.TLS), login, network=network)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"TAG NO [AUTHENTICATIONFAILED] no\r\n", CredentialsRefused),
        (b"TAG NO [UNAVAILABLE] backend is down\r\n", Unavailable),
        (b"TAG NO Too many simultaneous connections\r\n", Unavailable),
        (b"TAG NO Temporary authentication failure\r\n", Unavailable),
        (b"TAG NO Invalid user name or password, please try again\r\n", CredentialsRefused),
        (b"TAG BAD what\r\n", CredentialsRefused),
        (b"* BYE going down\r\n", Unavailable),
        (b"OTHER1 OK in\r\n", ProtocolError),
        (b"", Unreachable),
    ],
)
async def test_only_a_no_about_the_login_blames_the_credentials(
    scripted_imap: Start, login: Login, network: Network, reply: bytes, error: type[Exception]
) -> None:
    server = await scripted_imap(login=reply)
    with pytest.raises(error) as raised:
        await opened(server, login, network)
    assert type(raised.value) is error
    assert login.secret not in str(raised.value)


async def test_an_echoed_password_is_blotted(scripted_imap: Start, login: Login, network: Network) -> None:
    server = await scripted_imap(login=b"TAG NO you said " + login.secret.encode() + b"\r\n")
    with pytest.raises(CredentialsRefused) as refusal:
        await opened(server, login, network)
    assert login.secret not in str(refusal.value)


async def test_a_user_name_and_password_of_any_kind_arrive_as_they_are(scripted_imap: Start, network: Network) -> None:
    server = await scripted_imap()
    await opened(server, Login(username='a "b" \\c', secret='x" y\\'), network)
    assert verbs(server)[1] == b'LOGIN "a \\"b\\" \\\\c" "x\\" y\\\\"'


@pytest.mark.parametrize(
    ("capability", "secret"),
    [(b"LOGINDISABLED AUTH=PLAIN", "simple"), (b"AUTH=PLAIN", "pässwörd"), (b"AUTH=PLAIN SASL-IR", "pässwörd")],
)
async def test_where_login_will_not_do_sasl_is_used(
    serve: Start, network: Network, capability: bytes, secret: str
) -> None:
    async def handle(serving: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK here\r\n")
        while line := await reader.readline():
            tag, *words = line.split()
            if words[0] == b"AUTHENTICATE":
                if len(words) == 2:
                    writer.write(b"+ \r\n")
                    words += (await reader.readline()).split()
                serving.said.append(b64decode(words[2]))
            writer.write(b"* CAPABILITY IMAP4rev1 " + capability + b"\r\n" + tag + b" OK done\r\n")

    server = await serve(handle)
    session = await opened(server, Login(username="ann@sender.test", secret=secret), network)
    assert session.usable
    assert server.said == [f"\0ann@sender.test\0{secret}".encode()]


@pytest.mark.parametrize(
    ("greeting", "login_answer", "asked"),
    [
        (b"* OK [CAPABILITY IMAP4rev1 X-BEFORE] hi\r\n", b"TAG OK [CAPABILITY IMAP4rev1 MOVE] in\r\n", 0),
        (b"* OK [CAPABILITY IMAP4rev1] hi\r\n", b"* CAPABILITY IMAP4rev2 MOVE\r\nTAG OK in\r\n", 0),
        (b"* OK hi\r\n", b"TAG OK [CAPABILITY IMAP4rev1 MOVE] in\r\n", 1),
        (b"* OK [CAPABILITY IMAP4rev1 MOVE] hi\r\n", b"TAG OK in\r\n", 1),
        # What a server offers to nobody under TLS is not its last word.
        (b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi\r\n", b"TAG OK in\r\n", 2),
        # No server of IMAP: a list that is none.
        (b"* OK [CAPABILITY X] hi\r\n", b"TAG OK [CAPABILITY] in\r\n", 2),
    ],
)
async def test_what_a_server_can_do_is_asked_only_where_it_did_not_say_so(
    scripted_imap: Start, login: Login, network: Network, greeting: bytes, login_answer: bytes, asked: int
) -> None:
    server = await scripted_imap(
        greeting=greeting, login=login_answer, capability=b"* CAPABILITY IMAP4rev1 MOVE\r\nTAG OK done\r\n"
    )
    session = await opened(server, login, network)
    assert "MOVE" in session.capabilities
    assert "X-BEFORE" not in session.capabilities
    assert sum(b"CAPABILITY" in line for line in server.said) == asked


async def test_a_refused_token_does_not_hang(serve: Start, login: Login, network: Network) -> None:
    async def handle(serving: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK here\r\n")
        tag = (await reader.readline()).split()[0]
        writer.write(b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2\r\n" + tag + b" OK done\r\n")
        tag = (await reader.readline()).split()[0]
        writer.write(b"+ eyJzdGF0dXMiOiI0MDAifQ==\r\n")
        serving.said.append(await reader.readline())
        writer.write(tag + b" NO AUTHENTICATE failed\r\n")
        await reader.read()

    server = await serve(handle)
    token = Login(username=login.username, secret="ya29.token", sign_in=SignIn.XOAUTH2)
    with pytest.raises(CredentialsRefused):
        await opened(server, token, network)
    assert server.said == [b"\r\n"]


async def test_a_server_without_password_login_is_told_so(scripted_imap: Start, login: Login, network: Network) -> None:
    server = await scripted_imap(capability=b"* CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2\r\nTAG OK done\r\n")
    with pytest.raises(CredentialsRefused) as refusal:
        await opened(server, login, network)
    assert "OAuth" in refusal.value.hint
    assert login.secret.encode() not in b"".join(server.said)


@pytest.mark.parametrize("command", ["capability", "login", "select", "search", "fetch", "list", "noop"])
@pytest.mark.parametrize("answer", [None, b"", b"* BYE bye\r\n", b"* garbage {5"])
async def test_every_command_ends_whatever_the_server_does(
    scripted_imap: Start, login: Login, impatient: Network, command: str, answer: bytes | None
) -> None:
    server = await scripted_imap(
        **{"search": b"* SEARCH 1 2\r\nTAG OK done\r\n", "list": b"TAG OK done\r\n", command: answer}
    )
    with pytest.raises((Unreachable, ProtocolError)):
        await use_everything(await opened(server, login, impatient))


async def use_everything(session: ImapSession) -> None:
    await session.folders()
    await session.noop()
    await session.select("INBOX")
    async for _ in session.headers_after(0, ("Subject",)):
        pass


async def test_a_lost_connection_fails_the_pending_command_at_once(
    scripted_imap: Start, login: Login, network: Network
) -> None:
    server = await scripted_imap(noop=b"")
    session = await opened(server, login, network)
    async with asyncio.timeout(10):
        with pytest.raises(Unreachable):
            await session.noop()
    assert not session.usable
    with pytest.raises(Unreachable):
        await session.noop()


@pytest.mark.parametrize("answer", [b"TAG NO [NONEXISTENT] none\r\n", b"TAG BAD none\r\n"])
async def test_no_and_bad_are_errors_and_the_session_goes_on(
    scripted_imap: Start, login: Login, network: Network, answer: bytes
) -> None:
    session = await opened(await scripted_imap(select=answer), login, network)
    with pytest.raises(CommandRefused):
        await session.select("nowhere")
    assert session.opened is None
    assert session.usable
    await session.noop()


async def test_ten_thousand_untagged_lines_at_once_are_read(
    scripted_imap: Start, login: Login, network: Network
) -> None:
    lines = b"".join(b"* %d EXPUNGE\r\n* %d EXISTS\r\n" % (n + 1, n) for n in range(10_000, 0, -1))
    session = await opened(await scripted_imap(noop=lines + b"TAG OK done\r\n"), login, network)
    await session.noop()
    assert session.usable


async def test_a_flood_of_untagged_lines_is_too_large(scripted_imap: Start, login: Login, network: Network) -> None:
    server = await scripted_imap(noop=b"* 1 EXISTS\r\n" * 150_000)
    session = await opened(server, login, network)
    with pytest.raises(TooLarge):
        await session.noop()
    assert not session.usable


async def test_a_literal_of_a_terabyte_is_refused_unread(scripted_imap: Start, login: Login, network: Network) -> None:
    server = await scripted_imap(
        search=b"* SEARCH 1\r\nTAG OK done\r\n", fetch=b"* 1 FETCH (UID 1 BODY[] {1099511627776}\r\nxx"
    )
    session = await opened(server, login, network)
    await session.select("INBOX")
    with pytest.raises(TooLarge):
        await session.start_of(1)


async def test_a_server_that_ignores_our_limit_is_cut_short(
    scripted_imap: Start, login: Login, network: Network
) -> None:
    body = b"x" * 300_000
    fetch = b"* 1 FETCH (UID 1 BODY[]<0> {%d}\r\n%b FLAGS ())\r\nTAG OK done\r\n" % (len(body), body)
    session = await opened(await scripted_imap(fetch=fetch), login, network)
    await session.select("INBOX")
    assert len(await session.start_of(1)) == 65_536
    assert session.usable


async def test_fetch_answers_in_any_shape_are_read(scripted_imap: Start, login: Login, network: Network) -> None:
    fetch = (
        b"* 1 FETCH (FLAGS (\\Seen) BODY[HEADER.FIELDS (SUBJECT)]<0> {14}\r\nSubject: * :(\n UID 11"
        b' INTERNALDATE " 1-Feb-2026 03:04:05 -0330")\r\n'
        b'* 2 FETCH (BODY[HEADER.FIELDS ("Subject")] "Subject: \\"q\\" (" UID 12 INTERNALDATE "never"'
        b" RFC822.SIZE 7)\r\n"
        b"* 3 FETCH (UID 13 FLAGS (\\Answered))\r\n"
        b"* 9 FETCH (FLAGS (\\Seen))\r\n"
        b"* 8 FETCH (UID 99 BODY[HEADER.FIELDS (SUBJECT)] {2}\r\nno)\r\n"
        b"* 1 FETCH (UID 11 FLAGS (\\Seen \\Flagged))\r\n"
        b"* 4 FETCH (UID 14 BODY[HEADER.FIELDS (SUBJECT)] NIL)\r\n"
        b"TAG OK done\r\n"
    )
    server = await scripted_imap(search=b"* SEARCH 14 11 12 13 5\r\nTAG OK done\r\n", fetch=fetch)
    session = await opened(server, login, network)
    await session.select("INBOX")
    (batch,) = [batch async for batch in session.headers_after(10, ("Subject",))]
    assert [header.uid for header in batch] == [11, 12, 14]
    assert batch[0].header == b"Subject: * :(\n"
    assert batch[0].internaldate is not None
    assert batch[0].internaldate.isoformat() == "2026-02-01T06:34:05+00:00"
    assert batch[0].flags == {"\\seen", "\\flagged"}
    assert batch[1].header == b'Subject: "q" ('
    assert (batch[1].internaldate, batch[1].size) == (None, 7)
    assert batch[2].header == b""
    assert b"UID FETCH 11:14 (UID INTERNALDATE FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (Subject)]<0.65536>)" in verbs(
        server
    )


async def test_no_more_than_two_hundred_messages_are_asked_for_at_once(
    scripted_imap: Start, login: Login, network: Network
) -> None:
    uids = b" ".join(b"%d" % uid for uid in range(1, 1002, 2))
    server = await scripted_imap(search=b"* SEARCH " + uids + b"\r\nTAG OK done\r\n")
    session = await opened(server, login, network)
    await session.select("INBOX")
    async for _ in session.headers_after(0, ("Subject",)):
        pass
    asked = [verb for verb in verbs(server) if verb.startswith(b"UID FETCH")]
    assert [verb.split()[2].count(b",") + 1 for verb in asked] == [200, 200, 101]


async def test_without_uidplus_nothing_is_expunged(scripted_imap: Start, login: Login, network: Network) -> None:
    server = await scripted_imap(capability=NO_UIDPLUS)
    session = await opened(server, login, network)
    await session.select("INBOX")
    with pytest.raises(ProtocolError, match="trash"):
        await session.delete([5], None)
    await session.delete([5], "Papierkörbe")
    assert verbs(server)[-2:] == [
        b'UID COPY 5 "Papierk&APY-rbe"',
        b"UID STORE 5 +FLAGS.SILENT (\\Deleted)",
    ]
    assert not any(b"EXPUNGE" in verb for verb in verbs(server))


async def test_without_move_a_message_is_copied_and_taken_away_by_uid(
    scripted_imap: Start, login: Login, network: Network
) -> None:
    server = await scripted_imap(capability=UIDPLUS)
    session = await opened(server, login, network)
    await session.select("Spam")
    await session.move([5, 6, 9], "INBOX")
    assert verbs(server)[-3:] == [
        b'UID COPY 5:6,9 "INBOX"',
        b"UID STORE 5:6,9 +FLAGS.SILENT (\\Deleted)",
        b"UID EXPUNGE 5:6,9",
    ]


async def test_a_copy_that_fails_takes_nothing_away(scripted_imap: Start, login: Login, network: Network) -> None:
    server = await scripted_imap(capability=UIDPLUS, copy=b"TAG NO [TRYCREATE] none\r\n")
    session = await opened(server, login, network)
    await session.select("Spam")
    with pytest.raises(CommandRefused) as refusal:
        await session.move([5], "Nowhere")
    assert refusal.value.code == "TRYCREATE"
    assert not any(b"STORE" in verb or b"EXPUNGE" in verb for verb in verbs(server))


async def test_on_gmail_deleting_means_the_trash(scripted_imap: Start, login: Login, network: Network) -> None:
    gmail = b"* CAPABILITY IMAP4rev1 UIDPLUS MOVE X-GM-EXT-1\r\nTAG OK done\r\n"
    server = await scripted_imap(capability=gmail, search=b"* SEARCH 6\r\nTAG OK done\r\n")
    session = await opened(server, login, network)
    await session.select("INBOX")
    await session.delete([5], "[Gmail]/Trash")
    assert verbs(server)[-1] == b'UID MOVE 5 "[Gmail]/Trash"'
    assert await session.in_promotions([5, 6]) == frozenset({6})
    assert verbs(server)[-1] == b'UID SEARCH UID 5:6 X-GM-RAW "category:promotions"'


async def test_a_server_without_uidvalidity_is_of_no_use(scripted_imap: Start, login: Login, network: Network) -> None:
    session = await opened(await scripted_imap(select=b"* 1 EXISTS\r\nTAG OK done\r\n"), login, network)
    with pytest.raises(ProtocolError, match="UID"):
        await session.select("INBOX")


async def test_a_server_that_does_not_say_uidnext_is_asked_for_the_last_uid(
    scripted_imap: Start, login: Login, network: Network
) -> None:
    server = await scripted_imap(
        select=b"* 3 EXISTS\r\n* OK [UIDVALIDITY 9] x\r\nTAG OK done\r\n", fetch=b"* 3 FETCH (UID 41)\r\nTAG OK x\r\n"
    )
    state = await (await opened(server, login, network)).select("INBOX")
    assert (state.uidnext, state.uidvalidity, state.exists, state.writable) == (42, 9, 3, True)


async def test_a_cancelled_command_leaves_no_answer_for_the_next(
    scripted_imap: Start, login: Login, network: Network
) -> None:
    server = await scripted_imap(noop=None)
    session = await opened(server, login, network)
    waiting = asyncio.create_task(session.noop())
    await server.reached.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not session.usable


async def test_nothing_of_a_session_is_logged(
    scripted_imap: Start, login: Login, network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        session = await opened(await scripted_imap(), login, network)
        await session.noop()
        await session.close()
    assert [record for record in caplog.records if record.name.startswith("aioimaplib")] == []


async def test_what_cannot_be_said_in_imap_is_a_mistake_of_ours(
    scripted_imap: Start, login: Login, network: Network
) -> None:
    server = await scripted_imap()
    session = await opened(server, login, network)
    await session.select("INBOX")
    said = len(server.said)
    for name in ("Sub ject", "X)", "", "A\r\nB", "\u00e4"):
        with pytest.raises(ValueError):
            await session.search_header(name, "x")
    with pytest.raises(ValueError):
        await session.search_header("Subject", "x\r\nA1 LOGOUT")
    with pytest.raises(ValueError):
        Login(username="a\r\nb", secret="c")
    assert len(server.said) == said
    # A line break in a folder's name travels as modified UTF-7.
    with pytest.raises(WireError):
        await (await opened(await scripted_imap(create=b"TAG NO bad name\r\n"), login, network)).create("a\r\nb")
