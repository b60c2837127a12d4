"""What is handed to a server is one message for one recipient, whatever stands in it and however lax the server is."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiosmtpd.smtp import SMTP
from aiosmtpd.smtp import Envelope as Received
from hypothesis import example, given
from hypothesis import strategies as st

from tests.wire.conftest import Desk
from warmup.mail.answer import Accepted, Answer, Refused
from warmup.policy.mailbox import Endpoint, Security
from warmup.wire.network import Network
from warmup.wire.smtp import Envelope, open_smtp
from warmup.wire.smtp_line import wire_form

ANN, BOB = "ann@sender.test", "bob@seed.test"
# Where lax servers see a line end, and with it the end of the data (SMTP smuggling, 2023): each of these around a dot.
ENDS = [b"\n", b"\r", b"\r\n", b"\r\r\n", b"\n\r", b"\0\r\n", b"\x85", b"\xe2\x80\xa8", b"\x0b", b"\x0c"]
SMUGGLED = (
    b"MAIL FROM:<evil@sender.test>" + b"\r\n" + b"RCPT TO:<victim@seed.test>\r\nDATA\r\nSubject: evil\r\n\r\nx\r\n.\r\n"
)
TRICKS = [b"Subject: x\r\n\r\nhello" + one + b"." + two + SMUGGLED for one in ENDS for two in ENDS]
PIECES = st.sampled_from([*ENDS, b".", b"..", b"a", b" ", b"QUIT", b"RSET\r\n", b"MAIL FROM:<e@x.test>\r\n", SMUGGLED])
CONTENT = st.binary(max_size=400) | st.lists(PIECES | st.binary(max_size=5), max_size=40).map(b"".join)


class Tapped(SMTP):
    """aiosmtpd, with what came over the wire kept."""

    raw: list[bytes]

    def data_received(self, data: bytes) -> None:
        self.raw.append(data)
        super().data_received(data)


class Receiver:
    """A real server, and one client's way of speaking to it, in a loop of their own."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.desk = Desk()
        self.raw: list[bytes] = []
        self._runner = runner
        self._server = runner.run(self._listening())
        port = self._server.sockets[0].getsockname()[1]
        self._endpoint = Endpoint(host="127.0.0.1", port=port, security=Security.NONE)

    async def _listening(self) -> asyncio.Server:
        def tapped() -> Tapped:
            served = Tapped(self.desk, enable_SMTPUTF8=True, loop=asyncio.get_running_loop(), data_size_limit=None)
            served.raw = self.raw
            return served

        return await asyncio.get_running_loop().create_server(tapped, "127.0.0.1", 0)

    def take(self, *envelopes: Envelope) -> list[Answer]:
        """The answers to messages handed over on one connection."""

        async def hand_over() -> list[Answer]:
            session = await open_smtp(self._endpoint, None, helo="sender.test", network=Network())
            answers = [await session.submit(envelope) for envelope in envelopes]
            await session.close()
            return answers

        self.desk.envelopes.clear()
        self.raw.clear()
        return self._runner.run(hand_over())

    @property
    def received(self) -> list[Received]:
        return self.desk.envelopes


@contextmanager
def receiving() -> Iterator[Receiver]:
    with asyncio.Runner() as runner:
        yield Receiver(runner)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def as_lax_servers_read(raw: bytes) -> list[bytes]:
    """The lines of a session for a server that takes a CR, an LF and each pair of them for a line end."""
    return re.split(rb"\r\n|\r|\n", raw)


def letter(content: bytes, *, sender: str = ANN, recipient: str = BOB) -> Envelope:
    return Envelope(sender=sender, recipient=recipient, content=content)


def assert_one_message_each(receiver: Receiver, *contents: bytes) -> None:
    assert [envelope.rcpt_tos for envelope in receiver.received] == [[BOB]] * len(contents)
    assert [envelope.mail_from for envelope in receiver.received] == [ANN] * len(contents)
    assert [envelope.original_content for envelope in receiver.received] == [wire_form(each) for each in contents]
    lines = as_lax_servers_read(b"".join(receiver.raw))
    assert lines.count(b".") == len(contents)
    # Between DATA and its dot nothing is a command, so what is not between them is all that was ever commanded.
    commands, inside = [], False
    for line in lines:
        if not inside:
            commands.append(line)
        inside = line == b"DATA" if not inside else line != b"."
    assert [word.split()[0] for word in commands if word] == [
        b"EHLO",
        *[b"MAIL", b"RCPT", b"DATA"] * len(contents),
        b"QUIT",
    ]


@given(first=CONTENT, second=CONTENT)
def test_two_messages_of_any_bytes_are_two_messages(receiver: Receiver, first: bytes, second: bytes) -> None:
    answers = receiver.take(letter(first), letter(second))
    assert [type(answer) for answer in answers] == [Accepted, Accepted]
    assert_one_message_each(receiver, first, second)


@pytest.mark.parametrize("content", TRICKS, ids=range(len(TRICKS)))
def test_a_message_in_a_message_stays_there(receiver: Receiver, content: bytes) -> None:
    (answer,) = receiver.take(letter(content))
    assert isinstance(answer, Accepted)
    assert_one_message_each(receiver, content)


TAILS = [
    ">",
    "> SIZE=1",
    ">\r\nRCPT TO:<victim@seed.test>",
    "\r",
    "\n",
    "\0",
    " ",
    "\t",
    "\x85",
    "\u2028",
    "\u2029",
    '"',
]


@given(before=st.text(max_size=5), tail=st.sampled_from(TAILS), after=st.text(max_size=5), at_sender=st.booleans())
@example(before="", tail=">\r\nRCPT TO:<victim@seed.test>", after="", at_sender=False)
def test_an_address_is_one_word_of_its_command(
    receiver: Receiver, before: str, tail: str, after: str, at_sender: bool
) -> None:
    for address in (f"{before}{tail}{after}@seed.test", f"{before}bob@{tail}{after}"):
        envelope = letter(b"Subject: x\r\n\r\nx\r\n", **{"sender" if at_sender else "recipient": address})
        (answer,) = receiver.take(envelope)
        if isinstance(answer, Refused) and answer.reply.text.startswith("not sent"):
            assert receiver.received == []
            assert b"MAIL" not in b"".join(receiver.raw)
        else:
            # Quotes may hold nearly anything; still it is one path, and the one that was meant.
            assert tail == '"' or before[:1] == '"'
            assert b"".join(receiver.raw).count(b"\r\n") <= 5


@pytest.mark.parametrize("tail", TAILS)
def test_a_tail_that_ends_a_path_is_never_said(receiver: Receiver, tail: str) -> None:
    for envelope in (
        letter(b"x", recipient=f"bob{tail}@seed.test"),
        letter(b"x", recipient=f"bob@seed.test{tail}"),
        letter(b"x", sender=f"ann{tail}@sender.test"),
    ):
        (answer,) = receiver.take(envelope)
        assert isinstance(answer, Refused)
        assert answer.reply.status in ("5.1.3", "5.6.7")
        assert b"MAIL" not in b"".join(receiver.raw)


@pytest.mark.parametrize("address", ['"a b"@seed.test', '"a\\"b>"@seed.test', "o'neil+x@seed.test", "jörg@seed.test"])
def test_an_odd_address_that_is_one_is_said_as_it_is(receiver: Receiver, address: str) -> None:
    (answer,) = receiver.take(letter(b"Subject: x\r\n\r\nx\r\n", recipient=address))
    assert isinstance(answer, Accepted)
    assert receiver.received[0].rcpt_tos == [address]


def test_the_receiver_would_see_a_smuggled_message(receiver: Receiver) -> None:
    """The test's own eyes: where the bytes are not made safe, the lax reading finds another message."""
    lines = as_lax_servers_read(b"DATA\r\n" + TRICKS[0] + b"\r\n.\r\n")
    assert lines.count(b".") > 1
