"""What real servers were heard to say is read by our doors without an error: the corpus' recordings, played back.

The recordings have bare LF; their literals were counted with CRLF, as they came over the wire.
"""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from warmup.mail.answer import Accepted, Answer, Deferred, Refused, Uncertain
from warmup.mail.status import read_reply
from warmup.policy.mailbox import Security
from warmup.wire.errors import CommandRefused, CredentialsRefused, ProtocolError, Untrusted, WireError
from warmup.wire.imap import ImapSession, open_imap
from warmup.wire.imap_fetch import fetched, folders
from warmup.wire.imap_syntax import LITERAL_KEPT, Response, ResponseReader
from warmup.wire.login import Login
from warmup.wire.network import Network
from warmup.wire.smtp import Envelope, open_smtp

Start = Callable[..., Awaitable[Any]]

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "imap"
TAG = b"A########"
HEARD = {path.stem: path.read_bytes().replace(b"\n", b"\r\n") for path in sorted(CORPUS.glob("*.txt"))}
SMTP = {name: said for name, said in HEARD.items() if re.match(rb"\d{3}[ -]", said)}
IMAP = {name: said for name, said in HEARD.items() if name not in SMTP}
ANSWERS = {name: said for name, said in IMAP.items() if TAG in said}
GREETINGS = {name: said for name, said in IMAP.items() if name not in ANSWERS}
LETTER = Envelope(sender="ann@sender.test", recipient="bob@seed.test", content=b"Subject: hello\r\n\r\nA line.\r\n")

pytestmark = pytest.mark.skipif(not HEARD, reason="../shared/corpus is not here: no recording was played")


def test_the_recordings_are_here() -> None:
    assert len(HEARD) >= 110
    assert len(SMTP) >= 13
    assert len(GREETINGS) >= 4


async def opened(server: Any, login: Login, network: Network) -> ImapSession:
    return await open_imap(server.endpoint(Security.NONE), login, network=network)


def scripted(said: bytes) -> bytes:
    return said.replace(TAG, b"TAG")


def responses(said: bytes) -> list[Response]:
    return ResponseReader().feed(said)


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_ends_its_command_and_the_session_goes_on(
    scripted_imap: Start, login: Login, network: Network, name: str
) -> None:
    said = ANSWERS[name]
    server = await scripted_imap(noop=scripted(said), logout=scripted(said) if b"* BYE" in said else b"TAG OK bye\r\n")
    session = await opened(server, login, network)
    if b"* BYE" in said:
        await session.close()
        return
    if TAG + b" NO" in said:
        with pytest.raises(CommandRefused):
            await session.noop()
    else:
        await session.noop()
    assert session.usable
    assert await session.folders() == ()


@pytest.mark.parametrize("name", [name for name, said in ANSWERS.items() if b"* BYE" not in said])
async def test_an_answer_to_the_wrong_question_is_read_all_the_same(
    scripted_imap: Start, login: Login, network: Network, name: str
) -> None:
    said = scripted(ANSWERS[name])
    server = await scripted_imap(**dict.fromkeys(("list", "search", "fetch", "select"), said))
    session = await opened(server, login, network)
    await session.examine("INBOX")
    questions = (
        session.folders,
        lambda: session.uids_after(0),
        lambda: session.start_of(1),
        lambda: session.select("x"),
    )
    told = [await refusal_of(ask()) for ask in questions]
    assert set(map(type, told)) <= {type(None), *([CommandRefused] if b"TAG NO" in said else [ProtocolError])}
    # Only an opened folder has to tell of lasting UIDs.
    assert all(no is None or b"TAG NO" in said or "UIDs" in str(no) for no in told)
    assert session.usable


async def refusal_of(asked: Awaitable[Any]) -> WireError | None:
    try:
        await asked
    except WireError as refusal:
        return refusal
    return None


@pytest.mark.parametrize("name", [name for name, said in ANSWERS.items() if b"* LIST " in said.upper()])
def test_every_listed_folder_is_found(name: str) -> None:
    listed = re.findall(
        rb'(?mi)^\* LIST \([^)]*\) (?:"(?:\\.|[^"])*"|NIL) (.+?)(?: \("CHILDINFO.*)?\r\n', ANSWERS[name]
    )
    names = {each.strip(b'"') for each in listed if each != b'""'}
    assert len(folders(responses(ANSWERS[name]))) == len(names)


@pytest.mark.parametrize("name", [name for name, said in ANSWERS.items() if b" FETCH (" in said])
def test_every_fetched_message_has_its_attributes(name: str) -> None:
    said = ANSWERS[name]
    found = list(fetched(responses(said)))
    assert len(found) >= len(re.findall(rb"(?m)^\* \d+ FETCH \(", said)) >= 1
    sizes = [int(size) for size in re.findall(rb"BODY\[\] \{(\d+)\}", said)]
    bodies = [body for each in found if isinstance(body := each.get("BODY"), bytes)]
    assert [len(body) for body in bodies][: len(sizes)] == [min(size, LITERAL_KEPT) for size in sizes]


@pytest.mark.parametrize("name", GREETINGS)
async def test_a_greeting_is_believed_unless_it_says_we_are_logged_in(
    scripted_imap: Start, login: Login, network: Network, name: str
) -> None:
    server = await scripted_imap(greeting=GREETINGS[name])
    if b"PREAUTH" in GREETINGS[name]:
        with pytest.raises(Untrusted):
            await opened(server, login, network)
        assert server.said == []
    else:
        assert (await opened(server, login, network)).usable


@pytest.mark.parametrize("name", SMTP)
def test_a_reply_has_its_code(name: str) -> None:
    assert read_reply(SMTP[name]).code == int(SMTP[name][:3])


@pytest.mark.parametrize("name", SMTP)
@pytest.mark.parametrize("stage", ["greeting", "ehlo", "auth", "mail", "rcpt", "data", "dot", "quit"])
async def test_a_reply_at_any_stage_is_told_in_our_words(
    scripted_smtp: Start, login: Login, network: Network, name: str, stage: str
) -> None:
    said, code = SMTP[name], int(SMTP[name][:3])
    server = await scripted_smtp(**{stage: said})
    opening = open_smtp(server.endpoint(Security.NONE), login, helo="sender.test", network=network)
    if refuses(stage, said):
        with pytest.raises(CredentialsRefused if stage == "auth" and code >= 500 else WireError):
            await opening
        return
    session = await opening
    answer: Answer = await session.submit(LETTER)
    await session.close()
    expected: tuple[type, ...] = (Accepted,)
    if stage in ("mail", "rcpt", "data", "dot"):
        expected = (Refused,) if code >= 500 else (Accepted, Deferred, Uncertain)
    assert isinstance(answer, expected)


def refuses(stage: str, said: bytes) -> bool:
    """True where `said` at `stage` does not let us in."""
    match stage:
        case "greeting":
            return not said.startswith(b"220")
        case "ehlo":
            return not said.startswith(b"250") or b"AUTH" not in said or said.count(b"\n250 ") > 1
        case "auth":
            return True
        case _:
            return False
