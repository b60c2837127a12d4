"""An SMTP server that takes everything and keeps nothing: TLS, AUTH, and a delay before each reply where asked for.

smtp-sink knows neither TLS nor AUTH, and delays by whole seconds; aiosmtpd costs more than what is measured against it.
This one is a process of its own, on the other core. It says no more of SMTP than a well-behaved client needs.
"""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BACKLOG = 1024
_END = b"\r\n.\r\n"
_EHLO = b"250-sink.test\r\n250-SIZE 33554432\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n"
_REPLIES = {
    b"AUTH": b"235 2.7.0 in\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 2.0.0 bye\r\n",
}


class Sink(asyncio.Protocol):
    """One connection."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._in_data = False
        self._owed: deque[tuple[bytes, bool]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._reply(b"220 sink.test ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._take_message() if self._in_data else self._take_command():
            pass

    def _take_message(self) -> bool:
        at = self._buffer.find(_END)
        if at < 0:
            return False
        del self._buffer[: at + len(_END)]
        self._in_data = False
        self._reply(b"250 2.0.0 taken\r\n")
        return True

    def _take_command(self) -> bool:
        at = self._buffer.find(b"\r\n")
        if at < 0:
            return False
        verb = bytes(self._buffer[:4]).upper()
        del self._buffer[: at + 2]
        self._in_data = verb == b"DATA"
        self._reply(_EHLO if verb == b"EHLO" else _REPLIES.get(verb, b"250 2.0.0 fine\r\n"), last=verb == b"QUIT")
        return True

    def _reply(self, reply: bytes, *, last: bool = False) -> None:
        self._owed.append((reply, last))
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._pay)
        else:
            self._pay()

    def _pay(self) -> None:
        reply, last = self._owed.popleft()
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(reply)
        if last:
            self._transport.close()


async def _serve(port: int, chain: str, key: str, delay: float) -> None:
    context = None
    if chain:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(chain, key)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Sink(delay), "127.0.0.1", port, ssl=context, backlog=BACKLOG)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


@dataclass(frozen=True, slots=True)
class Tls:
    """The files of a sink's certificate for `localhost`, and of the CA that made it."""

    ca_file: Path
    chain: Path
    key: Path


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def sink(*, tls: Tls | None = None, delay_ms: float = 0.0) -> Iterator[int]:
    """A running sink's port."""
    port, (chain, key) = free_port(), (str(tls.chain), str(tls.key)) if tls else ("", "")
    command = [sys.executable, "-m", "tests.bench.sink", str(port), chain, key, str(delay_ms / 1000)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "ready", "the sink did not start"
            yield port
        finally:
            process.terminate()


@contextlib.contextmanager
def smtp_sink() -> Iterator[int]:
    """The port of a running smtp-sink, Postfix' own."""
    port = free_port()
    command = ["/usr/sbin/smtp-sink", "-u", "nobody", "-c", f"127.0.0.1:{port}", str(BACKLOG)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process)
            yield port
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
    raise RuntimeError("smtp-sink did not start")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])))
