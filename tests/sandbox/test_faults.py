"""Servers that spoil a message, as the client and as the record see it."""

import asyncio
import imaplib
import smtplib
from random import Random
from typing import Any

import pytest

from warmup.sandbox import Fault, FaultKind
from warmup.sandbox.faults import Faults

ANNA, BERT, CARL = "anna@one.test", "bert@two.test", "carl@two.test"
TAKEN, NOT_TAKEN = ("<1@one.test>",), ()


@pytest.mark.parametrize(
    ("kind", "received"),
    [
        (FaultKind.CUT_IN_DATA, NOT_TAKEN),
        (FaultKind.LOSE_AFTER_DOT, NOT_TAKEN),
        (FaultKind.CUT_AFTER_DOT, TAKEN),
    ],
)
async def test_a_line_that_is_cut_says_nothing_of_what_the_server_took(
    open_bench: Any, kind: FaultKind, received: tuple[str, ...]
) -> None:
    bench = await open_bench(faults=(Fault(kind=kind, account=ANNA),))
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        await bench.send(ANNA, BERT, "<1@one.test>")
    assert bench.sandbox.record.received == received
    # The fault is spent.
    assert (await bench.send(ANNA, BERT, "<2@one.test>"))[0] == 250
    assert bench.sandbox.record.received == (*received, "<2@one.test>")


async def test_a_silent_server_has_taken_the_message(open_bench: Any) -> None:
    bench = await open_bench(faults=(Fault(kind=FaultKind.SILENT_AFTER_DOT, recipient=BERT),))

    def talk() -> None:
        with bench.smtp(ANNA) as client:
            client.sock.settimeout(0.3)
            client.sendmail(ANNA, [BERT], "Message-ID: <1@one.test>\r\n\r\nHello.\r\n")

    with pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)):
        await asyncio.to_thread(talk)
    assert bench.sandbox.record.received == TAKEN


async def test_a_deferral_strikes_as_often_as_it_was_told_to(open_bench: Any) -> None:
    bench = await open_bench()
    bench.sandbox.inject(Fault(kind=FaultKind.DEFER, account=ANNA, times=2))
    answers = [await bench.send(ANNA, BERT, "<1@one.test>") for _ in range(3)]
    assert [code for code, _ in answers] == [451, 451, 250]
    assert bench.sandbox.record.duplicates() == ()


async def test_a_slow_server_is_slow_for_the_one_and_not_for_the_others(open_bench: Any) -> None:
    bench = await open_bench(faults=(Fault(kind=FaultKind.SLOW, recipient=CARL, seconds=0.2),))
    assert (await bench.send(ANNA, CARL, "<1@one.test>"))[0] == 250
    bench.sandbox.inject(Fault(kind=FaultKind.SLOW, recipient=CARL, seconds=600))
    slow = asyncio.create_task(bench.send(ANNA, CARL, "<2@one.test>"))
    assert (await bench.send(ANNA, BERT, "<3@one.test>"))[0] == 250
    assert bench.sandbox.record.received == ("<1@one.test>", "<3@one.test>")
    await bench.sandbox.__aexit__(None, None, None)
    # How the line breaks is chance: told by smtplib, by the socket, or by TLS; all are OSErrors.
    with pytest.raises(OSError):
        await slow


async def test_a_fault_waits_for_its_own_messages(open_bench: Any) -> None:
    bench = await open_bench(faults=(Fault(kind=FaultKind.DEFER, account=ANNA, recipient=CARL),))
    assert (await bench.send(ANNA, BERT, "<1@one.test>"))[0] == 250
    assert (await bench.send(BERT, CARL, "<2@two.test>"))[0] == 250
    assert (await bench.send(ANNA, CARL, "<3@one.test>"))[0] == 451


def test_a_fault_that_never_strikes_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least once"):
        Fault(kind=FaultKind.DEFER, times=0)


def test_chance_spoils_its_share_of_messages_the_same_way_for_the_same_seed() -> None:
    def struck(seed: int) -> list[FaultKind | None]:
        faults = Faults(rng=Random(seed))
        faults.leave_to_chance(0.2)
        found = [faults.strike(ANNA, BERT) for _ in range(500)]
        return [fault.kind if fault else None for fault in found]

    first = struck(1)
    assert 60 <= sum(kind is not None for kind in first) <= 140
    assert len(set(first)) == 7
    assert first == struck(1)
    assert first != struck(2)


def test_nothing_is_left_to_chance_unless_said() -> None:
    faults = Faults(rng=Random(1))
    assert {faults.strike(ANNA, BERT) for _ in range(200)} | {faults.stumble() for _ in range(200)} == {None}


def test_a_share_is_no_more_than_all() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Faults(rng=Random(1)).leave_to_chance(1.5)


async def test_imap_breaks_or_drags_by_chance(open_bench: Any) -> None:
    bench = await open_bench()
    bench.sandbox.leave_to_chance(1.0)

    async def look_often() -> None:
        for _ in range(5):
            await bench.look(BERT)

    # A login, and five looks of several commands: not one of these is spared, and not all of them only drag.
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        await look_often()
