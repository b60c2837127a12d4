"""Where mail goes, when it is seen, and what the world learns from what its recipient does."""

import asyncio
import imaplib
from datetime import timedelta
from typing import Any

import pytest

ANNA, BERT = "anna@one.test", "bert@two.test"
HOSTILE = {"base_spam": 1 - 1e-12, "delay_minutes": 0.0}


@pytest.mark.parametrize(
    ("figures", "folder"), [({}, "INBOX"), ({"base_spam": 1 - 1e-12}, "Junk"), ({"missing": 1.0}, None)]
)
async def test_mail_lies_where_the_world_puts_it(open_bench: Any, figures: Any, folder: str | None) -> None:
    bench = await open_bench(**figures)
    assert await bench.send(ANNA, BERT, "<1@one.test>") == (250, "")
    bench.clock.raise_to(bench.clock.now() + timedelta(days=2))
    for name in ("INBOX", "Junk"):
        found = [seen.message_id for seen in await bench.look(BERT, name)]
        assert found == (["<1@one.test>"] if name == folder else [])
    (receipt,) = bench.sandbox.record.receipts
    assert receipt.placement == {"INBOX": "inbox", "Junk": "spam", None: "missing"}[folder]


async def test_a_message_is_seen_when_its_delay_has_passed_and_not_before(open_bench: Any) -> None:
    bench = await open_bench(delay_minutes=20.0)
    await bench.send(ANNA, BERT, "<1@one.test>")
    arrival = bench.sandbox.next_event()
    assert arrival > bench.clock.now()

    bench.clock.raise_to(arrival - timedelta(microseconds=1))
    assert await bench.look(BERT) == []
    bench.clock.raise_to(arrival)
    (seen,) = await bench.look(BERT)
    assert seen.message_id == "<1@one.test>"
    assert bench.sandbox.next_event() is None


async def test_looking_late_shows_the_same_dates_and_uids_as_looking_on_time(open_bench: Any) -> None:
    async def story(*, late: bool) -> Any:
        bench = await open_bench(delay_minutes=600.0)
        for number in range(6):
            await bench.send(ANNA, BERT, f"<{number}@one.test>")
            bench.clock.raise_to(bench.clock.now() + timedelta(hours=1))
        while not late and (instant := bench.sandbox.next_event()):
            bench.clock.raise_to(instant)
            await bench.look(BERT)
        bench.clock.raise_to(bench.clock.now() + timedelta(days=30))
        return await bench.look(BERT)

    late = await story(late=True)
    assert late == await story(late=False)
    assert [seen.uid for seen in late] == sorted(seen.uid for seen in late)
    assert [seen.message_id for seen in late] != [f"<{number}@one.test>" for number in range(6)]


@pytest.mark.parametrize(("seed", "same"), [("seed", True), ("other seed", False)])
async def test_the_same_seed_gives_the_same_folders(open_bench: Any, seed: str, same: bool) -> None:
    async def folders(seed: str) -> Any:
        bench = await open_bench(seed=seed, base_spam=0.4, missing=0.2, delay_minutes=30.0)
        for number in range(12):
            await bench.send(ANNA, BERT, f"<{number}@one.test>")
        bench.clock.raise_to(bench.clock.now() + timedelta(days=3))
        validity = await bench.on_imap(BERT, lambda client: client.status("INBOX", "(UIDVALIDITY)")[1])
        return validity, await bench.look(BERT), await bench.look(BERT, "Junk")

    assert (await folders("seed") == await folders(seed)) is same


async def test_a_message_that_is_sorted_again_moves_to_junk_by_itself(open_bench: Any) -> None:
    bench = await open_bench(resort=1.0)
    await bench.send(ANNA, BERT, "<1@one.test>")
    bench.clock.raise_to(bench.sandbox.next_event())
    (before,) = await bench.look(BERT)
    bench.clock.raise_to(bench.sandbox.next_event())
    (after,) = await bench.look(BERT, "Junk")
    assert await bench.look(BERT) == []
    assert (after.message_id, after.internaldate) == (before.message_id, before.internaldate)


async def test_a_message_that_was_filed_away_is_not_sorted_again(open_bench: Any) -> None:
    bench = await open_bench(resort=1.0)
    await bench.send(ANNA, BERT, "<1@one.test>")
    bench.clock.raise_to(bench.sandbox.next_event())

    def file_away(client: imaplib.IMAP4) -> None:
        client.create("Warm")
        client.select("INBOX")
        client.uid("MOVE", "1:*", "Warm")

    await bench.on_imap(BERT, file_away)
    bench.clock.raise_to(bench.clock.now() + timedelta(days=3))
    assert [seen.message_id for seen in await bench.look(BERT, "Warm")] == ["<1@one.test>"]
    assert await bench.look(BERT, "Junk") == []


@pytest.mark.parametrize(
    ("figures", "answers"),
    [
        ({"greylist_minutes": 10.0}, [(451, "4.7.1"), (250, "")]),
        ({"refuse_below": 1.0}, [(550, "5.7.1"), (250, "")]),
        ({"quiet_volume": 0.01, "defer_at": 1.01, "tolerance": 1.0}, [(421, "4.7.0"), (250, "")]),
    ],
)
async def test_the_receivers_answer_is_the_answer_to_the_last_dot(
    open_bench: Any, figures: Any, answers: list[tuple[int, str]]
) -> None:
    bench = await open_bench(**figures)
    drawn = set()
    for number in range(8):
        code, text = await bench.send(ANNA, BERT, f"<{number}@one.test>")
        drawn.add((code, text.partition(" ")[0]))
        bench.clock.raise_to(bench.clock.now() + timedelta(minutes=10))
    assert drawn == set(answers)
    assert {receipt.code for receipt in bench.sandbox.record.receipts} == {code for code, _ in answers}


async def test_a_rescue_tells_the_world_who_is_no_stranger(open_bench: Any) -> None:
    bench = await open_bench(**HOSTILE, known_inbox=1.0)
    await bench.send(ANNA, BERT, "<1@one.test>")
    await bench.send(ANNA, BERT, "<2@one.test>")
    assert [seen.message_id for seen in await bench.look(BERT, "Junk")] == ["<1@one.test>", "<2@one.test>"]

    def rescue(client: imaplib.IMAP4) -> None:
        client.select("Junk")
        (uid, *_) = client.uid("SEARCH", "ALL")[1][0].split()
        assert client.uid("MOVE", uid.decode(), "INBOX")[0] == "OK"

    await bench.on_imap(BERT, rescue)
    await bench.send(ANNA, BERT, "<3@one.test>")
    assert [seen.message_id for seen in await bench.look(BERT)] == ["<1@one.test>", "<3@one.test>"]


async def test_what_is_thrown_away_from_junk_is_no_rescue(open_bench: Any) -> None:
    bench = await open_bench(**HOSTILE, known_inbox=1.0)
    await bench.send(ANNA, BERT, "<1@one.test>")

    def discard(client: imaplib.IMAP4) -> None:
        client.select("Junk")
        client.uid("MOVE", "1:*", "Trash")

    await bench.on_imap(BERT, discard)
    await bench.send(ANNA, BERT, "<2@one.test>")
    assert await bench.look(BERT) == []


@pytest.mark.parametrize(("reply_to", "folder"), [("<1@one.test>", "INBOX"), ("<9@one.test>", "Junk"), ("", "Junk")])
async def test_only_an_answer_to_a_message_makes_its_sender_known(open_bench: Any, reply_to: str, folder: str) -> None:
    bench = await open_bench(**HOSTILE, known_inbox=1.0)
    await bench.send(ANNA, BERT, "<1@one.test>")
    await bench.send(BERT, ANNA, "<2@two.test>", reply_to=reply_to)
    await bench.send(ANNA, BERT, "<3@one.test>")
    assert [seen.message_id for seen in await bench.look(BERT, folder)][-1] == "<3@one.test>"


async def test_a_client_in_idle_hears_of_a_delivery_when_the_clock_goes_on(open_bench: Any) -> None:
    bench = await open_bench()
    await bench.send(ANNA, BERT, "<1@one.test>")
    doors = bench.sandbox.doors(BERT)
    reader, writer = await asyncio.open_connection(
        doors.host, doors.imaps_port, ssl=bench.tls, server_hostname="localhost"
    )
    writer.write(f'1 LOGIN {doors.username} "{doors.password}"\r\n2 EXAMINE INBOX\r\n3 IDLE\r\n'.encode())
    await reader.readuntil(b"+ Idling.\r\n")
    bench.clock.raise_to(bench.sandbox.next_event())
    bench.sandbox.advance()
    assert b"* 1 EXISTS" in await asyncio.wait_for(reader.readuntil(b"EXISTS\r\n"), 5)
    writer.close()


async def test_an_append_without_a_date_is_dated_by_the_sandbox(open_bench: Any) -> None:
    bench = await open_bench()
    message = b"Message-ID: <1@two.test>\r\n\r\nNote to self.\r\n"
    await bench.on_imap(BERT, lambda client: client.append("Sent", None, None, message))
    (seen,) = await bench.look(BERT, "Sent")
    assert seen.internaldate == "02-Nov-2026 08:00:00 +0000"
