"""Real servers on loopback (aiosmtpd, pymap) and scripted ones that misbehave, all under a throw-away CA."""

import asyncio
import socket
import ssl
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from proxyprotocol.reader import ProxyProtocolReader
from pymap.backend.dict import DictBackend
from pymap.imap import IMAPServer

from warmup.policy.mailbox import Endpoint, Security
from warmup.wire.login import Login
from warmup.wire.network import Network

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

SILENT = None
CUT = b""


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def network(ca_file: Path) -> Network:
    return Network(ca_file=ca_file, smtp_timeout=20, imap_timeout=20)


@pytest.fixture
def impatient(ca_file: Path) -> Network:
    """For servers that never answer: the time limit is what is tested."""
    return Network(ca_file=ca_file, smtp_timeout=0.3, imap_timeout=0.3)


@pytest.fixture
def login() -> Login:
    return Login(username="ann@sender.test", secret="hunter2-Sesam")


@dataclass
class Serving:
    """A server that runs: where it is, what it was told, and the messages it took."""

    port: int
    said: list[bytes] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    connections: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    def endpoint(self, security: Security = Security.TLS, host: str = "127.0.0.1") -> Endpoint:
        return Endpoint(host=host, port=self.port, security=security)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Serving]]]:
    """Run `handler(serving, reader, writer)` on a free port; implicit TLS where a context is given."""
    tasks: set[asyncio.Task[None]] = set()
    servers: list[asyncio.Server] = []

    async def start(handler: Callable[..., Awaitable[None]], tls: ssl.SSLContext | None = None) -> Serving:
        serving = Serving(0)

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            serving.connections += 1
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await handler(serving, reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                pass
            finally:
                tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
        servers.append(server)
        serving.port = server.sockets[0].getsockname()[1]
        return serving

    yield start
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for server in servers:
        server.close()


@pytest.fixture
def scripted_smtp(
    serve: Callable[..., Awaitable[Serving]], server_tls: ssl.SSLContext
) -> Callable[..., Awaitable[Serving]]:
    """An SMTP server that answers by script: `ehlo=b"…"`; CUT hangs up, SILENT says nothing; the rest goes well.

    A list of answers is used up one by one; its last stays.
    """
    usual: dict[str, Any] = {
        "greeting": b"220 scripted\r\n",
        "ehlo": b"250-scripted\r\n250-AUTH PLAIN LOGIN\r\n250-SIZE 100000\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
        "auth": b"235 2.7.0 welcome\r\n",
        "mail": b"250 2.1.0 ok\r\n",
        "rcpt": b"250 2.1.5 ok\r\n",
        "data": b"354 go on\r\n",
        "dot": b"250 2.0.0 queued\r\n",
        "rset": b"250 ok\r\n",
        "noop": b"250 ok\r\n",
        "quit": b"221 bye\r\n",
        "starttls": b"220 go ahead\r\n",
    }

    async def start(*, implicit: bool = False, **answers: Any) -> Serving:
        script = {**usual, **answers}

        async def answer(serving: Serving, stage: str, writer: asyncio.StreamWriter) -> bool:
            said = script.get(stage, b"500 what?\r\n")
            if isinstance(said, list):
                said = said.pop(0) if len(said) > 1 else said[0]
            if said is SILENT:
                serving.reached.set()
                await asyncio.Event().wait()
            writer.write(said)
            await writer.drain()
            return bool(said != CUT)

        async def handle(serving: Serving, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            alive = await answer(serving, "greeting", writer)
            while alive and (line := await reader.readline()):
                serving.said.append(line)
                verb = line.split()[0].lower().decode("ascii", "replace") if line.split() else ""
                alive = await answer(serving, verb, writer)
                if alive and verb == "starttls" and script["starttls"].startswith(b"220"):
                    await writer.start_tls(server_tls)
                if alive and verb == "data" and script["data"] == usual["data"]:
                    serving.messages.append(await reader.readuntil(b"\r\n.\r\n"))
                    alive = await answer(serving, "dot", writer)

        return await serve(handle, server_tls if implicit else None)

    return start


@pytest.fixture
def scripted_imap(serve: Callable[..., Awaitable[Serving]]) -> Callable[..., Awaitable[Serving]]:
    """An IMAP server that answers by script: `fetch=b"* …\\r\\nTAG OK done\\r\\n"` with TAG for the command's tag."""
    usual: dict[str, Any] = {
        "greeting": b"* OK scripted\r\n",
        "capability": b"* CAPABILITY IMAP4rev1 UIDPLUS MOVE\r\nTAG OK done\r\n",
        "login": b"TAG OK in\r\n",
        "select": b"* 2 EXISTS\r\n* OK [UIDVALIDITY 7] \r\n* OK [UIDNEXT 30] \r\nTAG OK [READ-WRITE] done\r\n",
        "examine": b"* 2 EXISTS\r\n* OK [UIDVALIDITY 7] \r\n* OK [UIDNEXT 30] \r\nTAG OK [READ-ONLY] done\r\n",
        "logout": b"* BYE\r\nTAG OK bye\r\n",
    }

    async def start(*, tls: ssl.SSLContext | None = None, **answers: Any) -> Serving:
        script = {**usual, **answers}

        async def handle(serving: Serving, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(script["greeting"])
            while line := await reader.readline():
                serving.said.append(line)
                tag, _, rest = line.partition(b" ")
                words = rest.lower().split()
                verb = (words[1] if words[0] == b"uid" else words[0]).decode()
                said = script.get(verb, b"TAG OK done\r\n")
                if said is SILENT:
                    serving.reached.set()
                    await asyncio.Event().wait()
                if said == CUT:
                    return
                writer.write(said.replace(b"TAG", tag))
                await writer.drain()

        return await serve(handle, tls)

    return start


class Desk:
    """What aiosmtpd hands its mail to."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return "250 2.0.0 taken"


@dataclass
class PostOffice:
    """An aiosmtpd that runs, and its desk."""

    port: int
    desk: Desk


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def unused_port() -> int:
    """A port nobody listens on."""
    return free_port()


@pytest.fixture(params=[Security.TLS, Security.STARTTLS], ids=["tls", "starttls"])
def post_office(
    request: pytest.FixtureRequest, server_tls: ssl.SSLContext, login: Login
) -> Iterator[tuple[PostOffice, Security]]:
    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        right = data.login.decode() == login.username and data.password.decode() == login.secret
        return AuthResult(success=right, handled=False)

    desk = Desk()
    port = free_port()
    under_tls = request.param is Security.TLS
    controller = Controller(
        desk,
        hostname="127.0.0.1",
        port=port,
        ssl_context=server_tls if under_tls else None,
        tls_context=None if under_tls else server_tls,
        require_starttls=not under_tls,
        authenticator=authenticate,
        # aiosmtpd knows implicit TLS not as TLS.
        auth_require_tls=not under_tls,
        auth_required=True,
        enable_SMTPUTF8=True,
        data_size_limit=50_000,
    )
    controller.start()
    yield PostOffice(port, desk), request.param
    controller.stop()


@pytest.fixture
async def pymap_server(server_tls: ssl.SSLContext, login: Login) -> AsyncIterator[Endpoint]:
    """A real IMAP server with pymap's demo mailbox, behind implicit TLS."""
    args = Namespace(
        debug=False, host=None, port=0, proxy_protocol=None, passlib_cfg=None, tls=False, cert=None, key=None
    )
    args = Namespace(**vars(args), demo_data=True, demo_user=login.username, demo_password=login.secret)
    backend, config = await DictBackend.init(args, invalid_user_sleep=0.0, secure_auth=False)
    config.apply_context()
    async with AsyncExitStack() as stack:
        await backend.start(stack)
        answer = ProxyProtocolReader(config.proxy_protocol).get_callback(IMAPServer(backend.login, config))
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_tls)
        port = server.sockets[0].getsockname()[1]
        yield Endpoint(host="127.0.0.1", port=port, security=Security.TLS)
        server.close()
