"""A listener between the program and an IMAP server: what the program asked for, as it went over the wire.

TLS ends here and begins again. Nothing is changed; every command of the program's is kept with whose it was and which
folder was open.
"""

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import trustme

_COMMAND = re.compile(rb"\S+ (?P<words>.*)\r\n")
_LOGIN = re.compile(r'LOGIN "?([^" ]+)"?', re.IGNORECASE)
_OPEN = re.compile(r'(?:SELECT|EXAMINE) "?([^"]+?)"?$', re.IGNORECASE)
_UIDS = re.compile(r"UID (FETCH|STORE|MOVE|COPY|EXPUNGE) ([\d,:*]+) ?(.*)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One command about messages: `verb` is FETCH, STORE, MOVE, COPY or EXPUNGE, `about` the rest of its line."""

    account: str
    folder: str
    verb: str
    uids: frozenset[int]
    about: str


@dataclass(slots=True, kw_only=True)
class Listener:
    """What was heard; `strange` are commands about messages by number, whose UIDs nobody can tell."""

    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)

    def hear(self, account: str, folder: str, words: str) -> None:
        """Keep a command if it is about messages."""
        if match := _UIDS.match(words):
            verb, uids, about = match.groups()
            known = Asked(
                account=account, folder=folder, verb=verb.upper(), uids=frozenset(_numbers(uids)), about=about
            )
            self.asked.append(known)
        elif re.match(r"(STORE|MOVE|COPY|EXPUNGE|CLOSE)\b", words, re.IGNORECASE):
            self.strange.append(f"{account} {folder}: {words}")


@contextmanager
def listening(authority: trustme.CA, host: str, port: int, ca_file: str) -> Iterator[Listener]:
    """A listener on a free port of loopback in front of the IMAPS server at `host` and `port`."""
    listener = Listener()
    inside, outside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=ca_file)
    authority.issue_cert("127.0.0.1").configure_cert(inside)

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            with ExitStack() as stack, suppress(OSError):
                client = stack.enter_context(inside.wrap_socket(self.request, server_side=True))
                plain = stack.enter_context(socket.create_connection((host, port), timeout=30))
                plain.settimeout(None)
                server = stack.enter_context(outside.wrap_socket(plain, server_hostname=host))
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _listen(client, server, listener)
                server.shutdown(socket.SHUT_RDWR)
                back.join()

    class Server(ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A connection that was cut is nobody's news."""

    with Server(("127.0.0.1", 0), Handler) as server:
        listener.port = int(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield listener
        finally:
            server.shutdown()
            thread.join()


def bundle(path: Path, authority: trustme.CA, ca_file: str) -> Path:
    """A file with both certificates, so that listeners and other servers are believed."""
    path.write_bytes(Path(ca_file).read_bytes() + authority.cert_pem.bytes())
    return path


def _listen(client: ssl.SSLSocket, server: ssl.SSLSocket, listener: Listener) -> None:
    account, folder, pending = "", "", b""
    while data := client.recv(65536):
        server.sendall(data)
        *lines, pending = (pending + data).splitlines(keepends=True) if data else [pending]
        if pending.endswith(b"\r\n"):
            lines, pending = [*lines, pending], b""
        for line in lines:
            match = _COMMAND.fullmatch(line)
            words = match["words"].decode("utf-8", "replace") if match else ""
            if named := _LOGIN.match(words):
                account = named[1]
            elif opened := _OPEN.match(words):
                folder = opened[1]
            else:
                listener.hear(account, folder, words)


def _pump(source: ssl.SSLSocket, target: ssl.SSLSocket) -> None:
    with suppress(OSError, ValueError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)


def _numbers(uids: str) -> Iterator[int]:
    for span in uids.split(","):
        first, _, last = span.partition(":")
        # An open end is never asked for; if it were, it would be everything.
        yield from range(int(first), (10**6 if last == "*" else int(last or first)) + 1)
