"""Attacks on STARTTLS and greetings, played to our doors: no credential in the clear, nothing injected believed.

The scripts are our own and, where it is there, the corpus'. A tap in front of the server keeps every byte the client
sent as it went over the wire: what is under TLS cannot be read there, so what can be read was said in the clear.
"""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.canaries import traces
from tests.wire.ron import Heard, NotRon, Play, is_imap, offered, read_script
from warmup.mail.answer import Accepted
from warmup.policy.mailbox import Endpoint, Security
from warmup.wire.errors import CredentialsRefused, Unreachable, Untrusted, WireError
from warmup.wire.imap import ImapSession, open_imap
from warmup.wire.login import Login, SignIn
from warmup.wire.network import Network
from warmup.wire.smtp import Envelope, open_smtp

OURS = Path(__file__).parents[1] / "corpus" / "starttls"
CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "starttls"
SCRIPTS = {path.stem: read_script(path.read_text()) for at in (OURS, CORPUS) for path in sorted(at.glob("*.ron"))}
SMTP = [name for name, script in SCRIPTS.items() if not is_imap(script)]
IMAP = [name for name, script in SCRIPTS.items() if is_imap(script)]

USER, PASSWORD, TOKEN = "ann@sender.test", 'sesam "open" pässwörd', "ya29.A0AfB_token-of-some-length"
LOGINS = [
    Login(username=USER, secret=PASSWORD),
    Login(username=USER, secret=TOKEN, sign_in=SignIn.XOAUTH2),
]
LETTER = Envelope(sender=USER, recipient="bob@seed.test", content=b"Subject: hello\r\n\r\nA line.\r\n")
IMPATIENT = 2.0

by_name = pytest.mark.parametrize("login", LOGINS, ids=["password", "token"])


@dataclass(slots=True)
class Tap:
    """A played script, and what went over the wire to it."""

    port: int = 0
    raw: bytearray = field(default_factory=bytearray)
    heard: Heard = field(default_factory=Heard)
    connections: int = 0

    def endpoint(self, security: Security) -> Endpoint:
        return Endpoint(host="127.0.0.1", port=self.port, security=security)

    def assert_no_credential_in_clear(self) -> None:
        clear = bytes(self.raw) + b"".join(self.heard.in_clear)
        for secret in (PASSWORD, TOKEN, *(login.plain for login in LOGINS), *(login.xoauth2 for login in LOGINS)):
            assert [trace for trace in traces(secret) if trace in clear] == []
        assert b64encode(USER.encode()) not in clear
        assert b"AUTH PLAIN" not in clear
        assert b"LOGIN" not in clear


@asynccontextmanager
async def playing(name: str, tls: ssl.SSLContext, *, implicit: bool = False) -> AsyncIterator[Tap]:
    """The script on a free port, behind a tap; `implicit`: under TLS from the first byte."""
    tap, tasks = Tap(), set[asyncio.Task[Any]]()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await kept(
            Play(
                script=SCRIPTS[name], reader=reader, writer=writer, tls=tls, heard=tap.heard, under_tls=implicit
            ).run(),
            writer,
        )

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tap.connections += 1
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port_of(stage))
        await kept(
            asyncio.gather(copied(reader, far_writer, tap.raw), copied(far_reader, writer, bytearray())),
            writer,
            far_writer,
        )

    async def kept(work: Awaitable[Any], *writers: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await work
        except (ConnectionError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            for writer in writers:
                writer.transport.abort()

    stage = await asyncio.start_server(play, "127.0.0.1", 0, ssl=tls if implicit else None)
    front = await asyncio.start_server(relay, "127.0.0.1", 0)
    tap.port = port_of(front)
    try:
        yield tap
    finally:
        for server in (front, stage):
            server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


async def copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray) -> None:
    while data := await reader.read(65_536):
        kept += data
        writer.write(data)
        await writer.drain()
    writer.close()


@pytest.fixture
def hurried(ca_file: Path) -> Network:
    """Patient enough for a handshake on a busy machine; servers that never answer are part of the play."""
    return Network(ca_file=ca_file, smtp_timeout=IMPATIENT, imap_timeout=IMPATIENT)


def serves_smtp(script: dict[str, Any]) -> bool:
    """True where nothing of the script stands between us and TLS: greeting, EHLO and STARTTLS are as they should be."""
    odd = {key.lower() for key in script.get("override_response", {})}
    greeting = script.get("greeting", "220 x\r\n")
    return (
        greeting.startswith("220 ")
        and greeting.count("\n") == 1
        and not odd & {"ehlo", "starttls"}
        and any(each.name == "StartTLS" for each in script["capabilities"])
        and script.get("stls_response", "220 x\r\n").count("\n") == 1
        and script.get("stls_make_transition", True)
    )


def test_there_are_scripts_of_both_kinds() -> None:
    assert len(SMTP) >= 5
    assert any(serves_smtp(SCRIPTS[name]) for name in SMTP)
    assert len(IMAP) >= 3


def test_the_corpus_is_here() -> None:
    if not CORPUS.exists():
        pytest.skip("../shared/corpus is not here: only our own scripts were played")
    assert len(list(CORPUS.glob("*.ron"))) >= 44


@by_name
@pytest.mark.parametrize("name", SMTP)
async def test_smtp_by_starttls(name: str, login: Login, server_tls: ssl.SSLContext, hurried: Network) -> None:
    script = SCRIPTS[name]
    async with playing(name, server_tls) as tap:
        if serves_smtp(script) and login.sign_in is SignIn.PASSWORD:
            session = await open_smtp(tap.endpoint(Security.STARTTLS), login, helo="sender.test", network=hurried)
            # Of what was offered before TLS nothing is left.
            assert session.offered.auth == {"plain"}
            assert session.offered.size is None
            assert isinstance(await session.submit(LETTER), Accepted)
            await session.close()
            assert any(line.startswith(b"AUTH PLAIN") for line in tap.heard.under_tls)
        else:
            with pytest.raises(WireError) as refusal:
                await open_smtp(tap.endpoint(Security.STARTTLS), login, helo="sender.test", network=hurried)
            assert "\n" not in str(refusal.value)
            assert "AUTH" not in tap.heard.verbs
            if script.get("stls_response", "").startswith("220"):
                # It was TLS that was not to be believed, and it is told so.
                assert isinstance(refusal.value, Untrusted | Unreachable)
        assert tap.connections == 1
        assert {line.split()[0].upper() for line in tap.heard.in_clear if line.split()} <= {b"EHLO", b"STARTTLS"} or (
            b"\x16\x03" in tap.raw
        )
        tap.assert_no_credential_in_clear()


@by_name
@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_server_in_the_clear_is_not_spoken_to_where_tls_was_asked_for(
    name: str, login: Login, server_tls: ssl.SSLContext, hurried: Network
) -> None:
    async with playing(name, server_tls) as tap:
        endpoint = tap.endpoint(Security.TLS)
        smtp = open_smtp(endpoint, login, helo="sender.test", network=hurried) if name in SMTP else None
        with pytest.raises(WireError):
            await (smtp or open_imap(endpoint, login, network=hurried))
        # A handshake was offered, and nothing else said.
        assert bytes(tap.raw[:2]) in (b"\x16\x03", b"")
        tap.assert_no_credential_in_clear()


@by_name
@pytest.mark.parametrize("name", IMAP)
async def test_imap_by_starttls_is_refused_unconnected(
    name: str, login: Login, server_tls: ssl.SSLContext, hurried: Network
) -> None:
    async with playing(name, server_tls) as tap:
        with pytest.raises(Untrusted, match="TLS from the first byte") as refusal:
            await open_imap(tap.endpoint(Security.STARTTLS), login, network=hurried)
        assert "993" in refusal.value.hint
        assert tap.connections == 0
        tap.assert_no_credential_in_clear()


@by_name
@pytest.mark.parametrize("name", IMAP)
async def test_the_same_tricks_under_tls_are_not_believed_either(
    name: str, login: Login, server_tls: ssl.SSLContext, hurried: Network
) -> None:
    script = SCRIPTS[name]
    async with playing(name, server_tls, implicit=True) as tap:
        opening = open_imap(tap.endpoint(Security.TLS), login, network=hurried)
        if script["state"].name == "Authenticated":
            with pytest.raises(Untrusted, match="logged in already"):
                await opening
            assert tap.heard.verbs == []
        elif "greeting" not in script or "hook_login" in script:
            with pytest.raises(WireError):
                await opening
        elif login.sign_in is SignIn.XOAUTH2 and "AUTH=XOAUTH2" not in offered(script, "caps_tls"):
            with pytest.raises(CredentialsRefused, match="takes no OAuth token"):
                await opening
            assert not {"LOGIN", "AUTHENTICATE"} & set(tap.heard.verbs)
        else:
            await used(await opening, script)
        tap.assert_no_credential_in_clear()


async def used(session: ImapSession, script: dict[str, Any]) -> None:
    """Capabilities are those asked for after login, folders those of LIST's own answer."""
    assert session.capabilities == offered(script, "caps_tls_auth")
    assert [folder.name for folder in await session.folders()] == ["INBOX"]
    assert (await session.examine("INBOX")).exists == 0
    await session.close()


async def test_the_tap_would_show_a_credential_said_in_the_clear(server_tls: ssl.SSLContext, hurried: Network) -> None:
    async with playing("smtp-nothing-but-auth", server_tls) as tap:
        # Plain text is for loopback alone, and only where it was asked for: here it was.
        session = await open_smtp(tap.endpoint(Security.NONE), LOGINS[0], helo="sender.test", network=hurried)
        await session.close()
        with pytest.raises(AssertionError):
            tap.assert_no_credential_in_clear()


@pytest.mark.parametrize("text", ["", "(", "(a)", "(a: )", "(a: 1) b", "[1", '(a: "x)', "(a: %)", "7"])
def test_what_is_not_ron_is_told(text: str) -> None:
    with pytest.raises(NotRon):
        read_script(text)


def test_ron_is_read() -> None:
    script = read_script(
        '(a: Some("x\\r\\n\\"y\\""), // no: 1\n b: [C, D([E])], c: {"k": F(inner: G),}, d: -1, e: true)'
    )
    assert script["a"].values == ('x\r\n"y"',)
    assert [each.name for each in script["b"]] == ["C", "D"]
    assert script["c"]["k"].values[0]["inner"].name == "G"
    assert (script["d"], script["e"]) == (-1, True)
