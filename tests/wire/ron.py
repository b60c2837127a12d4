"""Scripts of attacks on STARTTLS and on greetings, played as a server: `read_script` one, `play` it to a connection.

The scripts are in RON, Rust's object notation, in the dialect of the fake mail servers of "Why TLS is better without
STARTTLS": what is offered before TLS, behind it and after login, and which answers are other than they should be.
"""

import asyncio
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r"""\s* (?: //[^\n]* | (?P<text>"(?:[^"\\]|\\.)*") | (?P<word>[A-Za-z_]\w*) | (?P<number>-?\d+)
              | (?P<mark>[()\[\]{}:,]) )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}


@dataclass(frozen=True, slots=True)
class Named:
    """`Name`, `Name(value, …)` or `Name(key: value)`."""

    name: str
    values: tuple[Any, ...] = ()


class NotRon(ValueError):
    """The text is not in RON, or in more of it than is read here."""


class _Reader:
    """A recursive-descent reader of the part of RON the scripts use."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    def value(self) -> Any:
        kind, text = self._next()
        match kind, text:
            case "text", _:
                return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), text[1:-1])
            case "number", _:
                return int(text)
            case "word", "true" | "false":
                return text == "true"
            case "word", _:
                return Named(text, self._values()) if self._peek() == "(" else Named(text)
            case "mark", "(":
                self._at -= 1
                return self._fields()
            case "mark", "[":
                return list(self._until("]"))
            case "mark", "{":
                return dict(self._pairs())
        raise NotRon(f"unexpected {text!r}")

    def end(self) -> None:
        if self._at != len(self._tokens):
            raise NotRon(f"something follows: {self._next()[1]!r}")

    def _values(self) -> tuple[Any, ...]:
        if self._tokens[self._at + 2 : self._at + 3] == [("mark", ":")]:
            return (self._fields(),)
        self._expect("(")
        return tuple(self._until(")"))

    def _fields(self) -> dict[str, Any]:
        self._expect("(")
        found: dict[str, Any] = {}
        while self._peek() != ")":
            _, key = self._next()
            self._expect(":")
            found[key] = self.value()
            self._comma()
        self._expect(")")
        return found

    def _until(self, mark: str) -> Iterator[Any]:
        while self._peek() != mark:
            yield self.value()
            self._comma()
        self._expect(mark)

    def _pairs(self) -> Iterator[tuple[Any, Any]]:
        while self._peek() != "}":
            key = self.value()
            self._expect(":")
            yield key, self.value()
            self._comma()
        self._expect("}")

    def _comma(self) -> None:
        if self._peek() == ",":
            self._at += 1

    def _peek(self) -> str:
        if self._at == len(self._tokens):
            raise NotRon("it ends too early")
        return self._tokens[self._at][1]

    def _next(self) -> tuple[str, str]:
        self._peek()
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, mark: str) -> None:
        if self._next()[1] != mark:
            raise NotRon(f"{mark!r} is missing")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    text = text.rstrip()
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise NotRon(f"cannot be read: {text[at : at + 20]!r}")
        at = found.end()
        if found.lastgroup:
            yield found.lastgroup, found[found.lastgroup]


def read_script(text: str) -> dict[str, Any]:
    """The script's fields; raises NotRon."""
    reader = _Reader(text)
    script = reader.value()
    reader.end()
    if not isinstance(script, dict):
        raise NotRon("a script has fields")
    return script


def is_imap(script: Mapping[str, Any]) -> bool:
    """True for a script of an IMAP server; SMTP's has capabilities instead of a state."""
    return "state" in script


@dataclass(slots=True)
class Heard:
    """What the server was told, in the clear and under TLS, line by line."""

    in_clear: list[bytes] = field(default_factory=list)
    under_tls: list[bytes] = field(default_factory=list)

    @property
    def verbs(self) -> list[str]:
        """The first word of every line, or the second where the first is an IMAP tag."""
        words = [line.decode("latin-1").upper().split() for line in (*self.in_clear, *self.under_tls)]
        return [word for line in words for word in line[:2]]


@dataclass(slots=True, kw_only=True)
class Play:
    """One connection served by script. `under_tls`: it is TLS already."""

    script: Mapping[str, Any]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    tls: ssl.SSLContext
    heard: Heard
    under_tls: bool = False
    logged_in: bool = False

    async def run(self) -> None:
        """Serve to the end of the connection."""
        await (self._imap() if is_imap(self.script) else self._smtp())

    async def _line(self) -> bytes:
        line = await self.reader.readline()
        (self.heard.under_tls if self.under_tls else self.heard.in_clear).append(line)
        return line

    def _say(self, text: str) -> None:
        self.writer.write(text.encode())

    async def _turn_to_tls(self) -> None:
        await self.writer.drain()
        await self.writer.start_tls(self.tls)
        self.under_tls = True

    def _odd(self, stage: str) -> str | None:
        answers = {key.lower(): said for key, said in self.script.get("override_response", {}).items()}
        said = answers.get(stage)
        return str(said) if said is not None else None

    async def _smtp(self) -> None:
        self._say(self.script.get("greeting", "220 fake.example.org ESMTP\r\n"))
        while line := await self._line():
            verb = line.split()[0].decode("latin-1").lower() if line.split() else ""
            if (odd := self._odd(verb)) is not None:
                self._say(odd)
            elif verb == "starttls":
                self._say(self.script.get("stls_response", "220 2.0.0 ready to start TLS\r\n"))
                if self.script.get("stls_make_transition", True):
                    await self._turn_to_tls()
            elif verb == "data":
                self._say("354 go on\r\n")
                while (await self._line()) not in (b".\r\n", b""):
                    pass
                self._say("250 2.0.0 queued\r\n")
            else:
                self._say(self._smtp_answer(verb))
            await self.writer.drain()

    def _smtp_answer(self, verb: str) -> str:
        if verb in ("ehlo", "helo"):
            offered = self.script["capabilities_tls" if self.under_tls else "capabilities"]
            words = ["fake.example.org", *map(_smtp_word, offered)] if verb == "ehlo" else ["fake.example.org"]
            return "".join(f"250-{word}\r\n" for word in words[:-1]) + f"250 {words[-1]}\r\n"
        return {"auth": "235 2.7.0 welcome\r\n", "quit": "221 bye\r\n"}.get(verb, "250 2.0.0 ok\r\n")

    async def _imap(self) -> None:
        self._say(self._odd("greeting") or _imap_greeting(self.script["greeting"]))
        self._say(_some(self.script.get("response_after_greeting")) or "")
        self.logged_in = self.script["state"] == Named("Authenticated")
        hidden = [verb.lower() for verb in self.script.get("hide_commands", ())]
        while line := await self._line():
            tag, _, rest = line.decode("latin-1").partition(" ")
            verb = rest.split()[0].lower() if rest.split() else ""
            if isinstance(self.script.get(f"hook_{verb}"), Named):
                return
            if verb == "starttls" and verb not in hidden:
                await self._imap_starttls(tag)
            else:
                self._say(
                    self._imap_answer(verb).replace("<tag>", tag) if verb not in hidden else f"{tag} BAD what?\r\n"
                )
            await self.writer.drain()

    async def _imap_starttls(self, tag: str) -> None:
        said = _some(self.script.get("starttls_response")) or "<tag> OK begin TLS\r\n"
        self._say(said.replace("<tag>", tag))
        if self.script.get("starttls_transition", True):
            await self._turn_to_tls()

    def _imap_answer(self, verb: str) -> str:
        if verb in ("login", "authenticate"):
            self.logged_in = True
        name = "caps" + ("_tls" if self.under_tls else "") + ("_auth" if self.logged_in and verb != "login" else "")
        lines = {
            "capability": f"* CAPABILITY {' '.join(map(_imap_word, self.script[name]))}\r\n",
            "list": '* LIST (\\HasNoChildren) "/" INBOX\r\n',
            "examine": "* 0 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 1] ok\r\n",
            "logout": "* BYE\r\n",
        }
        return f"{lines.get(verb, '')}<tag> OK done\r\n"


def offered(script: Mapping[str, Any], stage: str) -> frozenset[str]:
    """The capabilities of an IMAP stage (`caps_tls_auth`) in upper case."""
    return frozenset(_imap_word(each) for each in script[stage])


def _some(value: Any) -> str | None:
    return str(value.values[0]) if isinstance(value, Named) and value.name == "Some" else None


def _imap_greeting(greeting: Mapping[str, Any]) -> str:
    code = greeting["code"]
    said = f"[{_imap_code(code.values[0])}] " if code.name == "Some" else ""
    return f"* {greeting['kind'].name.upper()} {said}{greeting['text'].values[0]}\r\n"


def _imap_code(code: Named) -> str:
    if code.name != "Capability":
        return code.name.upper()
    (some,) = code.values
    return "CAPABILITY " + " ".join(map(_imap_word, some.values[0]))


def _imap_word(capability: Named) -> str:
    if capability.name == "Auth":
        return f"AUTH={_atom(capability.values[0]).upper()}"
    known = {"MailboxReferrals": "MAILBOX-REFERRALS", "LoginReferrals": "LOGIN-REFERRALS"}
    return known.get(capability.name, _atom(capability).upper())


def _atom(value: Any) -> str:
    """The innermost word of `Other(CapabilityOther(inner: Atom("IMAP4")))`, or the name itself."""
    while isinstance(value, Named) and value.values:
        value = value.values[0]
        value = value["inner"] if isinstance(value, dict) else value
    return value.name if isinstance(value, Named) else str(value)


def _smtp_word(capability: Named) -> str:
    if capability.name == "Auth":
        return "AUTH " + " ".join(_atom(each).upper() for each in capability.values[0])
    return _atom(capability).upper()
