"""An authorisation server and the SMTP and IMAP servers that take its tokens, in a thread of their own, under TLS."""

import asyncio
import json
import socket
import ssl
import threading
from argparse import Namespace
from base64 import b64decode
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import trustme
import uvicorn
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from proxyprotocol.reader import ProxyProtocolReader
from pymap.backend.dict import Config, DictBackend, Login
from pymap.exceptions import InvalidAuth
from pymap.imap import IMAPServer
from pysasl import SASLAuth
from pysasl.creds.external import ExternalVerificationRequired
from pysasl.mechanism.oauth import OAuth2Mechanism

from tests.oauth.authority import Authority

Owner = Callable[[str], str | None]


class _Desk:
    """aiosmtpd's handler: XOAUTH2 as Google and Microsoft speak it, the error in one more challenge."""

    def __init__(self, owner: Owner) -> None:
        self.messages: list[bytes] = []
        self._owner = owner

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802 (aiosmtpd's name)
        said = b64decode(args[1])
        user, _, rest = said.decode().removeprefix("user=").partition("\1auth=Bearer ")
        if self._owner(rest.removesuffix("\1\1")) == user:
            return AuthResult(success=True)
        await server.challenge_auth(json.dumps({"status": "400", "schemes": "Bearer", "scope": "https://mail.test/"}))
        return AuthResult(success=False, handled=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.messages.append(envelope.original_content or b"")
        return "250 2.0.0 taken"


class _TokenConfig(Config):
    @property
    def tls_auth(self) -> SASLAuth:
        return SASLAuth([OAuth2Mechanism()])


class _TokenLogin(Login):
    def __init__(self, config: Any, owner: Owner) -> None:
        super().__init__(config)
        self._owner = owner

    async def authenticate(self, credentials: Any) -> Any:
        try:
            credentials.verify(None)
        except ExternalVerificationRequired as shown:
            if self._owner(shown.token or "") == credentials.authzid:
                return self.demo_user_identity
        raise InvalidAuth


class World:
    """All of it; `user` is the one account. Start it with `with`."""

    def __init__(self, folder: Path, user: str = "ann@mail.test") -> None:
        self.user = user
        self.authority = Authority()
        self.ca_file = folder / "ca.pem"
        self.smtp_port = self.imap_port = self.https_port = self.http_port = 0
        self._desk = _Desk(self.authority.owner)
        ca = trustme.CA()
        ca.cert_pem.write_to_path(self.ca_file)
        self._certificate = folder / "server.pem"
        issued = ca.issue_cert("127.0.0.1", "localhost")
        issued.private_key_and_cert_chain_pem.write_to_path(self._certificate)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(self._tls)
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None

    def url(self, path: str, *, scheme: str = "https") -> str:
        """The address of an endpoint of the authorisation server."""
        return f"{scheme}://127.0.0.1:{self.https_port if scheme == 'https' else self.http_port}{path}"

    def __enter__(self) -> "World":
        self._thread.start()
        assert self._ready.wait(30)
        assert self._failure is None, self._failure
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._over is not None
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:  # noqa: BLE001 (told to the test)
            self._failure = failure
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        async with AsyncExitStack() as stack:
            secure, plain = (self._web(secured) for secured in (True, False))
            sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
            self.https_port, self.http_port = (sock.getsockname()[1] for sock in sockets)
            running = [
                asyncio.ensure_future(server.serve(sockets=[sock]))
                for server, sock in zip((secure, plain), sockets, strict=True)
            ]
            for mail in (await self._smtp(), await self._imap(stack)):
                stack.callback(mail.close)
            while not (secure.started and plain.started):
                await asyncio.sleep(0.01)
            self._ready.set()
            await self._over.wait()
            secure.should_exit = plain.should_exit = True
            secure.force_exit = plain.force_exit = True
            await asyncio.gather(*running)

    def _web(self, secured: bool) -> uvicorn.Server:
        pem = str(self._certificate) if secured else None
        config = uvicorn.Config(
            self.authority.app(), log_level="warning", lifespan="off", ssl_certfile=pem, ssl_keyfile=pem
        )
        return uvicorn.Server(config)

    async def _smtp(self) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(
                self._desk,
                hostname="mail.test",
                auth_required=True,
                auth_require_tls=False,
                auth_exclude_mechanism=["PLAIN", "LOGIN"],
                loop=loop,
            ),
            "127.0.0.1",
            0,
            ssl=self._tls,
        )
        self.smtp_port = server.sockets[0].getsockname()[1]
        return server

    async def _imap(self, stack: AsyncExitStack) -> asyncio.Server:
        args = Namespace(
            debug=False, host=None, port=0, proxy_protocol=None, passlib_cfg=None, tls=False, cert=None, key=None,
            demo_data=True, demo_user=self.user, demo_password="nobody knows it",
        )  # fmt: skip
        config = _TokenConfig.from_args(args, invalid_user_sleep=0.0, secure_auth=False)
        config.apply_context()
        login = _TokenLogin(config, self.authority.owner)
        await DictBackend._add_demo_user(config, login)
        async with login.demo_user_identity.new_session() as session:
            await session.create_mailbox("Junk")
        backend = DictBackend(login, config)
        await backend.start(stack)
        answer = ProxyProtocolReader(config.proxy_protocol).get_callback(IMAPServer(backend.login, config))
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=self._tls)
        self.imap_port = server.sockets[0].getsockname()[1]
        return server
