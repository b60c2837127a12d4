"""What stands between a client and a server, and may do harm: a relay that is slow or leads elsewhere, and a cutter.

Both run in a thread of their own. A relay passes bytes on and knows nothing of them. A cutter ends TLS on both sides,
as a middlebox does, so that it sees where in a message it is; it cuts once and passes everything on afterwards.
"""

import asyncio
import ssl
import threading
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, unique

from tests.lab.certificates import certificate
from tests.lab.layout import Layout


@unique
class Cut(Enum):
    """Where a cutter cuts."""

    IN_DATA = "in data"
    AFTER_DOT = "after dot"


@dataclass(slots=True)
class Relay:
    """A way to the server at `target`; the server's first words are `late` by so many seconds."""

    target: int
    port: int = 0
    late: float = 0.0
    connections: int = 0

    async def converse(self, reader: Reader, writer: Writer) -> None:
        """Pass one connection on."""
        self.connections += 1
        await asyncio.sleep(self.late)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        await _both(_copy(reader, far_writer), _copy(far_reader, writer), far_writer)


@dataclass(slots=True)
class Cutter:
    """A way to implicit TLS submission that breaks one message."""

    layout: Layout
    cut: Cut
    port: int = 0
    cuts: int = 0
    armed: bool = field(default=False)

    async def converse(self, reader: Reader, writer: Writer) -> None:
        """Pass one session on, line by line; break off at the armed place."""
        trust = ssl.create_default_context(cafile=str(self.layout.ca_file))
        far_reader, far_writer = await asyncio.open_connection(
            "127.0.0.1", self.layout.ports.smtps, ssl=trust, server_hostname="localhost"
        )
        await _both(self._upwards(reader, far_writer, writer), _copy(far_reader, writer), far_writer)

    async def _upwards(self, reader: Reader, server: Writer, client: Writer) -> None:
        inside = False
        while line := await reader.readline():
            if inside and self.armed and (self.cut is Cut.IN_DATA or line == b".\r\n"):
                self.armed, self.cuts = False, self.cuts + 1
                # Nothing of the reply gets through any more; whether the dot does is what the two kinds differ in.
                client.transport.abort()
                if self.cut is Cut.AFTER_DOT:
                    server.write(line)
                    await server.drain()
                    await asyncio.sleep(1)
                server.transport.abort()
                return
            server.write(line)
            await server.drain()
            inside = (inside or line.upper() == b"DATA\r\n") and line != b".\r\n"


class Between:
    """Runs relays and cutters; use with `standing_between`."""

    def __init__(self, layout: Layout, loop: asyncio.AbstractEventLoop) -> None:
        self._layout = layout
        self._loop = loop

    def relay(self, target: int) -> Relay:
        """A relay to the port `target`, on a port of its own."""
        relay = Relay(target)
        relay.port = self._listen(relay.converse, None)
        return relay

    def cutter(self, cut: Cut) -> Cutter:
        """A cutter in front of implicit TLS submission; it cuts nothing until it is armed."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        good = certificate(self._layout.tls, "good")
        tls.load_cert_chain(good.chain, good.key)
        cutter = Cutter(self._layout, cut)
        cutter.port = self._listen(cutter.converse, tls)
        return cutter

    def _listen(self, converse: Callable[[Reader, Writer], Awaitable[None]], tls: ssl.SSLContext | None) -> int:
        async def guarded(reader: Reader, writer: Writer) -> None:
            try:
                await converse(reader, writer)
            except (OSError, asyncio.CancelledError):
                pass
            finally:
                writer.transport.abort()

        async def listen() -> int:
            server = await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=tls)
            return int(server.sockets[0].getsockname()[1])

        return asyncio.run_coroutine_threadsafe(listen(), self._loop).result(20)


@contextmanager
def standing_between(layout: Layout) -> Iterator[Between]:
    """Relays and cutters until the end, which ends all their connections."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="between")
    thread.start()
    try:
        yield Between(layout, loop)
    finally:
        asyncio.run_coroutine_threadsafe(_end(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


async def _copy(reader: Reader, writer: Writer) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()


async def _both(one: Awaitable[None], other: Awaitable[None], far: Writer) -> None:
    """Until either direction ends; then neither is of use."""
    tasks = [asyncio.ensure_future(one), asyncio.ensure_future(other)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        far.transport.abort()


async def _end() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
