"""A mail server that repeats what it was told in confidence: the login, in every spelling, wherever a server may speak.

STARTTLS on one port and IMAPS on another, in a thread of its own. Where it repeats is steered by account.
"""

import asyncio
import html
import json
import re
import ssl
import threading
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import trustme

_IMAP_LOGIN = re.compile(rb'\S+ LOGIN "((?:[^"\\]|\\.)*)" ', re.IGNORECASE)
_CODES = {"auth": "535 5.7.8", "mail": "550 5.7.1", "rcpt": "450 4.2.1", "data": "451 4.3.0", "dot": "554 5.7.1"}


@dataclass(slots=True)
class Parrot:
    """`stages` says by account where it repeats ("auth", "rcpt", "imap-list", …); elsewhere it is a good server."""

    smtp_port: int = 0
    imap_port: int = 0
    ca_file: Path = field(default_factory=Path)
    secrets: dict[str, str] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict)
    repeated: list[bytes] = field(default_factory=list)

    def echo(self, user: str, line: bytes) -> Iterator[str]:
        """The login of `user` as it came, and spelled otherwise; each a line of a reply."""
        secret = self.secrets[user]
        told = [
            line.decode().strip(),
            secret,
            repr(secret),
            json.dumps(secret),
            quote(secret, safe=""),
            html.escape(secret),
        ]
        told += [b64encode(before + secret.encode()).decode() for before in (b"", b"x", b"xy")]
        told = [text.replace("\r", " ").replace("\n", " ") for text in told]
        # A long token in all spellings is more than a client reads of one reply.
        some = told if len(secret) < 500 else [told[len(self.repeated) % len(told)]]
        self.repeated.append(" ".join(some).encode())
        yield from some

    async def smtp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: ssl.SSLContext) -> None:
        """Serve one SMTP connection."""
        writer.write(b"220 parrot\r\n")
        user, login, secure = "", b"", False
        while line := await reader.readline():
            verb = line.split()[0].lower().decode("ascii", "replace") if line.split() else ""
            if verb == "starttls":
                writer.write(b"220 go\r\n")
                await writer.drain()
                await writer.start_tls(tls)
                secure = True
                continue
            if verb == "auth":
                login = line
                user = b64decode(line.split()[2]).split(b"\0")[1].decode()
            writer.write(self._smtp_answer(verb, user, login, secure=secure))
            if verb == "data" and self.stages.get(user) != "data":
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(self._smtp_answer("dot", user, login, secure=secure))
            await writer.drain()

    def _smtp_answer(self, verb: str, user: str, login: bytes, *, secure: bool) -> bytes:
        stage = self.stages.get(user, "")
        if stage == "garbage" and verb == "auth":
            return " ".join(self.echo(user, login)).encode() + b"\r\n"
        if stage == verb and verb in _CODES:
            code, _, status = _CODES[verb].partition(" ")
            lines = list(self.echo(user, login))
            return (
                "".join(f"{code}-{status} {line}\r\n" for line in lines).encode() + f"{code} {status} so\r\n".encode()
            )
        usual = {
            "ehlo": b"250-parrot\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n"
            if secure
            else b"250-parrot\r\n250 STARTTLS\r\n",
            "auth": b"235 2.7.0 in\r\n",
            "data": b"354 go\r\n",
            "quit": b"221 bye\r\n",
        }
        return usual.get(verb, b"250 2.0.0 ok\r\n")

    async def imap(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one IMAP connection."""
        writer.write(b"* OK parrot\r\n")
        user, login = "", b""
        while line := await reader.readline():
            tag, *words = line.split()
            verb = (words[1] if words[0].upper() == b"UID" else words[0]).lower().decode()
            if verb in ("login", "authenticate"):
                login, found = line, _IMAP_LOGIN.match(line)
                user = found[1].decode() if found else b64decode(words[2]).split(b"\0")[1].decode()
            writer.write(self._imap_answer(verb, user, login).replace(b"TAG", tag))
            await writer.drain()

    def _imap_answer(self, verb: str, user: str, login: bytes) -> bytes:
        stage = self.stages.get(user, "")
        if (stage, verb) in (("imap-no", "login"), ("imap-no", "authenticate"), ("imap-examine", "examine")):
            return f"TAG NO [AUTHENTICATIONFAILED] {' '.join(self.echo(user, login))}\r\n".encode()
        if (stage, verb) in (("imap-bye", "login"), ("imap-bye", "authenticate"), ("imap-search", "search")):
            return f"* BYE {' '.join(self.echo(user, login))}\r\n".encode()
        if (stage, verb) == ("imap-list", "list"):
            escaped = self.secrets[user].replace("\\", "\\\\").replace('"', '\\"')
            self.repeated.append(escaped.encode())
            return f'* LIST (\\Junk) "/" "{escaped}"\r\n* LIST (\\Sent) "/" "x{escaped}y"\r\nTAG OK done\r\n'.encode()
        usual = {
            "capability": b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN SPECIAL-USE\r\nTAG OK done\r\n",
            "list": b'* LIST (\\Junk) "/" Junk\r\n* LIST (\\Sent) "/" Sent\r\nTAG OK done\r\n',
            "examine": b"* 0 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 1] x\r\nTAG OK done\r\n",
            "search": b"* SEARCH\r\nTAG OK done\r\n",
        }
        return usual.get(verb, b"TAG OK done\r\n")


@contextmanager
def parrot(folder: Path) -> Iterator[Parrot]:
    """One that listens, until the end."""
    told, ca = Parrot(), trustme.CA()
    told.ca_file = folder / "parrot-ca.pem"
    ca.cert_pem.write_to_path(str(told.ca_file))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(tls)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="parrot")
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(_listen(told, tls), loop).result(20)
        yield told
    finally:
        asyncio.run_coroutine_threadsafe(_hang_up(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


async def _listen(told: Parrot, tls: ssl.SSLContext) -> None:
    async def smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _kept(told.smtp(reader, writer, tls), writer)

    async def imap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _kept(told.imap(reader, writer), writer)

    for name, server in (
        ("smtp_port", await asyncio.start_server(smtp, "127.0.0.1", 0)),
        ("imap_port", await asyncio.start_server(imap, "127.0.0.1", 0, ssl=tls)),
    ):
        setattr(told, name, server.sockets[0].getsockname()[1])


async def _kept(conversation: Awaitable[None], writer: asyncio.StreamWriter) -> None:
    try:
        await conversation
    except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
        pass
    finally:
        writer.close()


async def _hang_up() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
