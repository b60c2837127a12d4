"""The reading door: pymap's IMAP server on our accounts, clock and folders.

Before every command the sandbox does what is due, so a client sees exactly what has been delivered by then. Offered:
SPECIAL-USE in LIST, MOVE, IDLE, UIDPLUS; TLS is from the first byte, so there is no STARTTLS.
"""

import asyncio
from argparse import Namespace
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, closing, suppress
from io import BytesIO

from proxyprotocol.sock import SocketInfoLocal
from pymap.backend.dict import Config, Login
from pymap.backend.dict.filter import FilterSet
from pymap.concurrent import Subsystem
from pymap.config import BackendCapability
from pymap.context import connection_exit
from pymap.imap import IMAPConnection
from pymap.imap.state import ConnectionState
from pymap.parsing.command import Command
from pymap.parsing.commands import Commands
from pymap.parsing.response import CommandResponse, Response
from pymap.user import UserMetadata
from pysasl import SASLAuth
from pysasl.hashing import Cleartext

from warmup.clock import pause
from warmup.sandbox.accounts import LOOPBACK
from warmup.sandbox.faults import SLOW_SECONDS, Faults, Stumble
from warmup.sandbox.folders import Cabinet

_MECHANISMS = SASLAuth.defaults()
_COMMANDS = Commands()


class _Config(Config):
    """pymap's in-memory backend with our folders, without threads and without asking DNS for a name."""

    def __init__(self, cabinets: Mapping[str, Cabinet]) -> None:
        super().__init__(
            Namespace(passlib_cfg=None, proxy_protocol=None),
            host=LOOPBACK,
            port=0,
            demo_data=False,
            demo_user="",
            demo_password="",
            tls_enabled=False,
            hash_context=Cleartext(),
            cpu_subsystem=Subsystem.for_asyncio(),
            invalid_user_sleep=0,
            reject_dnsbl=False,
        )
        self.set_cache.update({address: (cabinet, FilterSet()) for address, cabinet in cabinets.items()})

    @property
    def backend_capability(self) -> BackendCapability:
        return BackendCapability(idle=True, object_id=True, multi_append=True, custom=[b"SPECIAL-USE"])

    @property
    def tls_auth(self) -> SASLAuth:
        # pymap looks its mechanisms up among all installed packages, for every connection.
        return _MECHANISMS

    @property
    def greeting(self) -> bytes:
        return b"sandbox ready"


class _State(ConnectionState):
    """A connection that does what is due before each command."""

    def __init__(
        self, login: Login, config: Config, catch_up: Callable[[], None], stumble: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(login, config)
        self._catch_up = catch_up
        self._stumble = stumble

    async def do_command(self, cmd: Command) -> CommandResponse:
        self._catch_up()
        await self._stumble()
        return await super().do_command(cmd)


class _Connection(IMAPConnection):
    """A connection that sends each response in one piece."""

    async def write_response(self, resp: Response) -> None:
        # pymap writes word by word, a TLS record each, and spells the whole again for a log: a third of a look's cost.
        piece = BytesIO()
        await resp.async_write(piece)
        with suppress(ConnectionError):
            self.writer.write(piece.getvalue())
            await self.writer.drain()


class ImapDoor:
    """Serves the IMAP connections of one provider; give the instance to `asyncio.start_server`."""

    def __init__(
        self,
        passwords: Mapping[str, str],
        cabinets: Mapping[str, Cabinet],
        catch_up: Callable[[], None],
        faults: Faults,
    ) -> None:
        self._config = _Config(cabinets)
        self._login = Login(self._config)
        self._login.users_dict.update(
            {address: UserMetadata(self._config, address, password=secret) for address, secret in passwords.items()}
        )
        self._catch_up = catch_up
        self._faults = faults
        self._connections: dict[asyncio.Task[None], StreamWriter] = {}

    async def __call__(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer

        async def stumble() -> None:
            match self._faults.stumble():
                case Stumble.CUT:
                    writer.transport.abort()
                case Stumble.SLOW:
                    await pause(SLOW_SECONDS)

        connection = _Connection(_COMMANDS, self._config, reader, writer, SocketInfoLocal(writer.transport))
        try:
            async with AsyncExitStack() as stack:
                connection_exit.set(stack)
                stack.enter_context(closing(connection))
                state = _State(self._login, self._config, self._catch_up, stumble)
                await connection.run(state)
        finally:
            del self._connections[task]

    async def close(self) -> None:
        """End every connection at once, as a server that goes down does."""
        connections = dict(self._connections)
        for task, writer in connections.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*connections, return_exceptions=True)
