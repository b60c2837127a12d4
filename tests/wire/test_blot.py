"""A server that repeats our login, in whatever way, does not get it into our words."""

import json
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote as percent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.canaries import CANARIES, found, traces
from warmup.mail.answer import Accepted, Deferred, Refused, Uncertain
from warmup.policy.mailbox import Security
from warmup.wire.blot import NO_BLOT, WITHHELD, Blot
from warmup.wire.errors import CommandRefused, CredentialsRefused, WireError
from warmup.wire.imap import open_imap
from warmup.wire.login import Login, SignIn
from warmup.wire.network import Network
from warmup.wire.smtp import Envelope, open_smtp

Start = Callable[..., Awaitable[Any]]

USER = "ann@sender.test"
LETTER = Envelope(sender=USER, recipient="bob@seed.test", content=b"Subject: hello\r\n\r\nA line.\r\n")
SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=8, max_size=60)
WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


def login(secret: str) -> Login:
    return Login(username=USER, secret=secret)


def is_seen(secret: str, text: str) -> bool:
    return bool(found([secret], {"text": text.encode("utf-8", "surrogateescape")}))


@given(secret=SECRETS, before=WORDS, behind=WORDS, data=st.data())
def test_no_spelling_of_a_secret_is_left_in_words(secret: str, before: str, behind: str, data: st.DataObject) -> None:
    spelled = data.draw(st.sampled_from(sorted(trace.decode() for trace in traces(secret))))
    said = Blot(login(secret)).words(f"{before}{spelled}{behind}")
    assert said.endswith(WITHHELD) or not is_seen(secret, said)


@pytest.mark.parametrize("secret", CANARIES, ids=range(len(CANARIES)))
def test_an_echo_is_withheld_also_where_it_is_wrapped_or_cut_off(secret: str) -> None:
    known = login(secret)
    blot = Blot(known)
    line = f"AUTH PLAIN {known.plain}"
    for said in (
        f"5.5.2 syntax error in {line}",
        f"5.5.2 syntax error in {line.lower()}",
        f"5.5.2 {line[: len(line) * 2 // 3]}",
        "5.5.2 " + " ".join(line[at : at + 7] for at in range(0, len(line), 7)),
        f"5.5.2 what is {json.dumps(secret)}?",
        f"5.5.2 what is {percent(secret, safe='')}?",
        f"5.5.2 {b64encode(b'x' + secret.encode()).decode()}",
    ):
        assert blot.words(said) == f"5.5.2 {WITHHELD}", said


@pytest.mark.parametrize(
    "said",
    ["535 5.7.8 Error: authentication failed", "Username and Password not accepted", "2.0.0 Ok: queued as 4bQz1x2y"],
)
@pytest.mark.parametrize("secret", CANARIES, ids=range(len(CANARIES)))
def test_innocent_words_are_left_as_they_are(secret: str, said: str) -> None:
    assert Blot(login(secret)).words(said) == said
    assert NO_BLOT.words(said) == said


def test_a_short_secret_is_taken_out_and_the_words_are_left() -> None:
    assert Blot(login("sesam")).words("535 no such word: sesam, Ann") == "535 no such word: …, Ann"
    assert Blot(login("no")).words("535 no") == "535 no"


def test_data_keeps_its_length_and_loses_the_echo() -> None:
    secret = 'pä"ss-wörd'
    raw = f'LIST () "/" "x{secret}y"'.encode()
    starred = Blot(login(secret)).data(raw)
    assert len(starred) == len(raw)
    assert not is_seen(secret, starred.decode())
    assert Blot(login(secret)).data(b"\xff\xfe(other)") == b"\xff\xfe(other)"


def test_a_token_of_any_length_is_recognised_by_a_part_of_it() -> None:
    token = "".join(chr(ord("a") + (n * n + n // 7) % 26) for n in range(3000))
    for at in (0, 1, 777, 2970):
        assert Blot(login(token)).words(f"bad token {token[at : at + 25]}") == WITHHELD


@pytest.mark.parametrize("secret", CANARIES, ids=range(len(CANARIES)))
@pytest.mark.parametrize("stage", ["auth", "mail", "rcpt", "data", "dot", "rset", "noop"])
async def test_no_smtp_reply_of_a_session_repeats_the_login(
    scripted_smtp: Start, network: Network, secret: str, stage: str
) -> None:
    known = login(secret)
    echo = f"you said AUTH PLAIN {known.plain}, that is {secret}".encode().replace(b"\n", b" ")
    for reply in (
        b"550 5.7.1 " + echo,
        b"451-4.7.1 " + echo[:30] + b"\r\n451 4.7.1 " + echo[30:],
        echo,
        b"334 " + echo,
    ):
        server = await scripted_smtp(**{stage: reply + b"\r\n"})
        told = ""
        try:
            session = await open_smtp(server.endpoint(Security.NONE), known, helo="sender.test", network=network)
            answer = await session.submit(LETTER)
            assert isinstance(answer, Refused | Deferred | Uncertain | Accepted)
            told += repr(answer)
            if session.usable:
                await session.refresh()
        except WireError as error:
            told += f"{error!r} {error} {error.hint} {error.__cause__!r}"
        assert not is_seen(secret, told), told


@pytest.mark.parametrize("secret", CANARIES, ids=range(len(CANARIES)))
async def test_nothing_an_imap_server_says_repeats_the_login(
    scripted_imap: Start, network: Network, secret: str
) -> None:
    known = login(secret)
    echo = f"{secret} {known.plain}".encode()
    named = b'* LIST (\\Junk) "/" "' + secret.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"\r\n'
    for script in (
        {"login": b"TAG NO you said " + echo + b"\r\n", "authenticate": b"TAG NO you said " + echo + b"\r\n"},
        {"login": b"* BYE " + echo + b"\r\n", "authenticate": b"* BYE " + echo + b"\r\n"},
        {"list": named + b"TAG OK done\r\n", "examine": b"TAG NO no " + echo + b"\r\n"},
    ):
        capability = b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\nTAG OK done\r\n"
        server = await scripted_imap(capability=capability, **script)
        told = ""
        try:
            session = await open_imap(server.endpoint(Security.NONE), known, network=network)
            told += repr(await session.folders())
            await session.examine("INBOX")
        except WireError as error:
            told += f"{error!r} {error} {error.hint} {error.__cause__!r} {error.__context__!r}"
        assert told
        assert not is_seen(secret, told), told


async def test_what_is_left_of_a_reply_still_says_what_it_means(scripted_smtp: Start, network: Network) -> None:
    known = login("hunter2-Sesam")
    server = await scripted_smtp(auth=f"535 5.7.8 not {known.plain}\r\n".encode())
    with pytest.raises(CredentialsRefused, match=r"535 5\.7\.8 \(the server repeated our login"):
        await open_smtp(server.endpoint(Security.NONE), known, helo="sender.test", network=network)
    server = await scripted_smtp(rcpt=f"550-5.1.1 not {known.secret}\r\n550 5.1.1 no\r\n".encode())
    session = await open_smtp(server.endpoint(Security.NONE), known, helo="sender.test", network=network)
    answer = await session.submit(LETTER)
    assert isinstance(answer, Refused)
    assert (answer.reply.code, answer.reply.status, answer.reply.text) == (550, "5.1.1", WITHHELD)


async def test_a_token_that_is_repeated_is_withheld_too(scripted_smtp: Start, network: Network) -> None:
    token = replace(login("ya29.Canary_token-of-some-length"), sign_in=SignIn.XOAUTH2)
    refusal = {"auth": b"334 eyJ9\r\n", "": f"535 5.7.8 {token.xoauth2}\r\n".encode()}
    server = await scripted_smtp(ehlo=b"250-scripted\r\n250 AUTH XOAUTH2\r\n", **refusal)
    with pytest.raises(CredentialsRefused) as refused:
        await open_smtp(server.endpoint(Security.NONE), token, helo="sender.test", network=network)
    assert token.xoauth2[:20] not in str(refused.value)


async def test_a_folder_named_after_the_secret_is_not_taken_for_the_junk_folder(
    scripted_imap: Start, network: Network
) -> None:
    named = b'* LIST (\\Junk) "/" "my p&AOQ-sswort"\r\n* LIST () "/" INBOX\r\nTAG OK done\r\n'
    session = await open_imap(
        (await scripted_imap(list=named, examine="TAG NO pässwort\r\n".encode())).endpoint(Security.NONE),
        login("pässwort"),
        network=network,
    )
    assert [folder.name for folder in await session.folders()] == ["INBOX"]
    with pytest.raises(CommandRefused) as refused:
        await session.examine("INBOX")
    assert "pässwort" not in str(refused.value)
