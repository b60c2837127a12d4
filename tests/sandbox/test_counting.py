"""The servers' own books: limits, duplicates, own traffic."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from warmup.sandbox import Receipt, Record

ANNA, BERT = "anna@one.test", "bert@two.test"
START = datetime(2026, 11, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def receipt(at: datetime, *, key: str = "<1@one.test>", code: int = 250, own: bool = False) -> Receipt:
    return Receipt(at=at, account=ANNA, recipient=BERT, message_id=key, code=code, status="", own=own)


async def test_the_enforced_limit_holds_in_every_24_hours_and_frees_up_message_by_message(open_bench: Any) -> None:
    bench = await open_bench(enforced_limit=3)
    for number in range(3):
        assert (await bench.send(ANNA, BERT, f"<{number}@one.test>"))[0] == 250
        bench.clock.raise_to(bench.clock.now() + HOUR)
    assert await bench.send(ANNA, BERT, "<3@one.test>") == (550, "5.4.5 Daily user sending limit exceeded")

    bench.clock.raise_to(bench.clock.now() + 21 * HOUR)
    assert (await bench.send(ANNA, BERT, "<4@one.test>"))[0] == 250
    assert (await bench.send(ANNA, BERT, "<5@one.test>"))[0] == 550
    record = bench.sandbox.record
    assert record.limit_refusals(ANNA) == 2
    assert record.most_in_24h(ANNA) == 3
    assert record.received == ("<0@one.test>", "<1@one.test>", "<2@one.test>", "<4@one.test>")


async def test_the_limit_of_one_provider_is_none_of_the_others(open_bench: Any) -> None:
    bench = await open_bench(enforced_limit=1)
    for number in range(3):
        assert (await bench.send(BERT, ANNA, f"<{number}@two.test>"))[0] == 250


async def test_own_traffic_lies_in_sent_at_its_instant_and_counts(open_bench: Any) -> None:
    bench = await open_bench(enforced_limit=2)
    bench.sandbox.send_own(ANNA, at=bench.clock.now() + HOUR)
    assert await bench.look(ANNA, "Sent") == []
    bench.clock.raise_to(bench.clock.now() + 2 * HOUR)
    (own,) = await bench.look(ANNA, "Sent")
    assert own.internaldate == "02-Nov-2026 09:00:00 +0000"
    assert "\\Seen" in own.flags

    assert (await bench.send(ANNA, BERT, "<1@one.test>"))[0] == 250
    assert (await bench.send(ANNA, BERT, "<2@one.test>"))[0] == 550
    assert bench.sandbox.record.received == ("<1@one.test>",)
    assert [excess.count for excess in bench.sandbox.record.over_limit({ANNA: 1})] == [2]


async def test_own_traffic_past_the_limit_is_refused_like_any_other(open_bench: Any) -> None:
    bench = await open_bench(enforced_limit=1)
    await bench.send(ANNA, BERT, "<1@one.test>")
    bench.sandbox.send_own(ANNA, at=bench.clock.now())
    assert await bench.look(ANNA, "Sent") == []
    assert [(each.own, each.code) for each in bench.sandbox.record.receipts] == [(False, 250), (True, 550)]
    assert bench.sandbox.record.limit_refusals(ANNA) == 0


async def test_a_provider_that_files_what_was_sent_does_so_at_once(open_bench: Any) -> None:
    bench = await open_bench(files_sent=True)
    await bench.send(ANNA, BERT, "<1@one.test>")
    await bench.send(BERT, ANNA, "<2@two.test>")
    assert [seen.message_id for seen in await bench.look(ANNA, "Sent")] == ["<1@one.test>"]
    assert await bench.look(BERT, "Sent") == []


async def test_a_message_taken_twice_is_a_duplicate(open_bench: Any) -> None:
    bench = await open_bench()
    for key in ("<1@one.test>", "<2@one.test>", "<1@one.test>"):
        await bench.send(ANNA, BERT, key)
    assert bench.sandbox.record.duplicates() == ("<1@one.test>",)


async def test_what_was_refused_is_no_duplicate(open_bench: Any) -> None:
    bench = await open_bench(greylist_minutes=10.0)
    await bench.send(ANNA, BERT, "<1@one.test>")
    bench.clock.raise_to(bench.clock.now() + HOUR)
    await bench.send(ANNA, BERT, "<1@one.test>")
    assert bench.sandbox.record.duplicates() == ()
    assert len(bench.sandbox.record.receipts) == 2


async def test_every_message_taken_is_in_the_journal_before_its_answer(open_bench: Any, tmp_path: Path) -> None:
    bench = await open_bench()
    await bench.send(ANNA, BERT, "<1@one.test>")
    (line,) = (tmp_path / "received.jsonl").read_text().splitlines()
    told = json.loads(line)
    assert (told["message_id"], told["account"], told["at"]) == ("<1@one.test>", ANNA, "2026-11-02T08:00:00Z")


@given(minutes=st.lists(st.integers(0, 6 * 24 * 60), max_size=40).map(sorted), limit=st.integers(1, 6))
def test_windows_are_counted_as_by_hand(minutes: list[int], limit: int) -> None:
    record = Record()
    taken = [START + timedelta(minutes=minute) for minute in minutes]
    for at in taken:
        record.add(receipt(at))
    by_hand = [sum(at - timedelta(days=1) < other <= at for other in taken[: n + 1]) for n, at in enumerate(taken)]
    assert [excess.count for excess in record.over_limit({ANNA: limit})] == [n for n in by_hand if n > limit]
    assert record.most_in_24h(ANNA) == max(by_hand, default=0)


def test_a_message_leaves_the_window_after_exactly_24_hours() -> None:
    record = Record()
    record.add(receipt(START))
    assert record.in_24h(ANNA, START + timedelta(hours=24, microseconds=-1)) == 1
    assert record.in_24h(ANNA, START + timedelta(hours=24)) == 0
