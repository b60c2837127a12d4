"""A DNS server on loopback that says what a test wrote into it, and a web server under TLS that does likewise.

Both run in threads of their own, so that the installed command may ask them as well as a coroutine of the test.
"""

import ssl
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler, ThreadingUDPServer
from typing import Any

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset


class Zone:
    """What is in DNS: record texts by name and type. A list of lists is answered one after another, the last for good.

    A name that has no record is NXDOMAIN; `silent` names are not answered at all.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.silent: set[str] = set()
        self._records: dict[tuple[str, str], list[list[str]]] = {}
        self._turns: dict[tuple[str, str], int] = defaultdict(int)
        self.port = 0

    @property
    def address(self) -> str:
        """What network.resolver is set to."""
        return f"127.0.0.1:{self.port}"

    def say(self, name: str, kind: str, *records: str) -> None:
        """Answer `records` from now on."""
        self.say_in_turn(name, kind, records)

    def say_in_turn(self, name: str, kind: str, *answers: Sequence[str]) -> None:
        """Answer another thing every time."""
        self._records[name, kind] = [list(answer) for answer in answers]

    def answer(self, wire: bytes) -> bytes | None:
        """The reply to a query; None for silence."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if name in self.silent:
            return None
        reply = dns.message.make_response(query)
        answers = self._records.get((name, kind))
        if answers:
            turn = min(self._turns[name, kind], len(answers) - 1)
            self._turns[name, kind] += 1
            if answers[turn]:
                reply.answer.append(dns.rrset.from_text_list(question.name, 1, "IN", kind, answers[turn]))
        elif not any(known == name for known, _ in self._records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply.to_wire()


@contextmanager
def dns_server() -> Iterator[Zone]:
    """A zone that is asked on a free port of 127.0.0.1."""
    zone = Zone()

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            data, sock = self.request
            reply = zone.answer(data)
            if reply is not None:
                sock.sendto(reply, self.client_address)

    with ThreadingUDPServer(("127.0.0.1", 0), Handler) as server:
        zone.port = int(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield zone
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Site:
    """What a web server has: (status, headers, body) by host and path; all else is 404."""

    port: int = 0
    asked: list[str] = field(default_factory=list)
    pages: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)

    def put(self, at: str, body: bytes, *, status: int = 200, **headers: str) -> None:
        """Serve `body` at "host/path"."""
        self.pages[at] = (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)

    def redirect(self, at: str, to: str) -> None:
        """Send whoever asks at "host/path" on."""
        self.put(at, b"", status=302, Location=to)


@contextmanager
def web_server(tls: ssl.SSLContext, at: tuple[str, int] = ("127.0.0.1", 0)) -> Iterator[Site]:
    """A site under TLS; raises PermissionError where the port is not for us."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = self.headers["Host"].partition(":")[0] + self.path
            site.asked.append(where)
            status, headers, body = site.pages.get(where, (404, {}, b"nothing here"))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        def get_request(self) -> tuple[Any, Any]:
            sock, address = super().get_request()
            # The handshake is the handler thread's: a client that gives up on it must not hold the others up.
            return tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), address

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    with Server(at, Handler) as server:
        site.port = int(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
