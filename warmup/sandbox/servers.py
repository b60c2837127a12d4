"""One provider's three servers on loopback: opened, closed, and opened again at the same ports."""

import asyncio
import socket
import ssl
from dataclasses import dataclass

from warmup.sandbox.accounts import LOOPBACK
from warmup.sandbox.imap import ImapDoor
from warmup.sandbox.smtp import SmtpDoor


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where they listen; 0: wherever there is room."""

    smtp: int = 0
    smtps: int = 0
    imaps: int = 0


class Servers:
    """The doors of one provider. `ports` holds while they are open, and is kept over a restart."""

    def __init__(self, smtp: SmtpDoor, imap: ImapDoor, tls: ssl.SSLContext) -> None:
        self._smtp, self._imap, self._tls = smtp, imap, tls
        self._servers: tuple[asyncio.Server, ...] = ()
        self.ports = Ports()

    async def open(self) -> None:
        """Listen, at the ports of before where there are any. Raises OSError where one is taken meanwhile."""
        loop, ports = asyncio.get_running_loop(), self.ports
        self._servers = (
            await loop.create_server(lambda: self._smtp.protocol(self._tls), sock=_listener(ports.smtp)),
            await loop.create_server(lambda: self._smtp.protocol(None), sock=_listener(ports.smtps), ssl=self._tls),
            await asyncio.start_server(self._imap, sock=_listener(ports.imaps), ssl=self._tls),
        )
        smtp, smtps, imaps = (server.sockets[0].getsockname()[1] for server in self._servers)
        self.ports = Ports(smtp=smtp, smtps=smtps, imaps=imaps)

    async def close(self) -> None:
        """Listen no more, and end every connection at once, as a server that goes down does."""
        for server in self._servers:
            server.close()
        self._smtp.close()
        await self._imap.close()


def _listener(port: int) -> socket.socket:
    # With the protocol left at 0 asyncio would leave Nagle's algorithm on, at 40 ms an answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((LOOPBACK, port))
    return listener
