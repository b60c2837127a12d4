"""One mailbox in depth, from outside: what was seen, what it comes to, and what to do."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.cli.conftest import Desk
from tests.cli.story import DAY, MONDAY, founded, judgement, opened, stand_still
from tests.ledger.conftest import MINUTE, World, new_mailbox
from warmup.ledger.slots import NewDay, NewLaneDay
from warmup.ledger.standings import Subject
from warmup.policy.attribution import Suspect
from warmup.policy.fate import Placement
from warmup.policy.mailbox import Mailbox, Role
from warmup.policy.retirement import Candidate, Decision
from warmup.policy.standing import Standing

ANN = "ann@send.test"
FRIDAY = MONDAY + 11 * DAY


async def a_turn_lived_through(world: World) -> None:
    """Two weeks of four a day to either receiver, treated and control; from the second Wednesday one.test spams all."""
    ledger = world.ledger
    control = await ledger.mailboxes.add(new_mailbox("control@one.test", role=Role.CONTROL))
    kim = await ledger.mailboxes.add(new_mailbox("kim@mail.test", role=Role.SENDER))
    bob, eve = world.seeds
    for n in (0, 1, 2, 3, 4, 7, 8, 9, 10, 11):
        at = MONDAY + n * DAY
        for sender in (world.sender, kim):
            await world.read_own(at, sender)
            await a_day(world, sender, n, [bob, bob, bob, control, eve, eve, eve, eve])
        standing = Standing.HALTED if n >= 11 else Standing.SOUND
        lane = judgement(Subject.LANE, ANN, at=at, mailbox_id=world.sender.id, provider="one.test", standing=standing)
        await ledger.standings.append([lane], now=at + 60 * MINUTE)
    await stand_still(ledger, FRIDAY + 60 * MINUTE)


async def a_day(world: World, sender: Mailbox, n: int, recipients: list[Mailbox]) -> None:
    at = MONDAY + n * DAY
    lanes = tuple(
        NewLaneDay(provider=name, level=n, ceiling=4, factor=1.0, target=4, standing=Standing.SOUND)
        for name in ("one.test", "two.test")
    )
    slots = [world.new_slot(i + 1, at + i * MINUTE, who) for i, who in enumerate(recipients)]
    await world.ledger.slots.record(
        sender.id, NewDay(date=at.date(), day=n + 1, ceiling=8, target=8, lanes=lanes), slots, now=at
    )
    for slot in (await world.ledger.turns.to_send(sender.id, at + 30 * MINUTE)).due:
        await world.send(slot)
        spam = slot.provider == "one.test" and n >= 9
        await world.see(slot, Placement.SPAM if spam else Placement.INBOX, slot.due_at + MINUTE)


@pytest.fixture
async def turned(ready: Desk) -> Desk:
    async with founded(ready) as world:
        await a_turn_lived_through(world)
    return ready


def told(desk: Desk, *options: str) -> dict[str, Any]:
    ended = desk.warmup("report", ANN, "--json", *options)
    assert ended.code == 0, ended
    document: dict[str, Any] = ended.document
    return document


async def test_the_document_counts_what_was_sent_and_where_it_landed(turned: Desk) -> None:
    document = told(turned)
    one, two = document["lanes"]
    assert (one["provider"], one["target"], one["sent"], one["inbox"], one["spam"]) == ("one.test", 40, 40, 28, 12)
    assert (two["provider"], two["inbox"], two["spam"], two["missing"], two["objections"]) == ("two.test", 40, 0, 0, 0)
    assert [(day["date"], day["spam"]) for day in one["days"]][-4:] == [
        ("2031-03-11", 0), ("2031-03-12", 4), ("2031-03-13", 4), ("2031-03-14", 4),
    ]  # fmt: skip
    for day in (*one["days"], *two["days"]):
        assert 0 < day["lower_ratio"] <= day["inbox_ratio"] <= day["upper_ratio"] <= 1 or day["spam"] == 4
    assert one["treated"]["n"] == 30
    assert one["control"]["n"] == 10
    assert one["gap"]["lower_ratio"] <= one["gap"]["ratio"] <= one["gap"]["upper_ratio"]
    assert (two["control"], two["gap"]) == (None, None)


async def test_it_says_what_is_to_blame_what_moved_and_what_to_do(turned: Desk) -> None:
    document = told(turned)
    (cause,) = document["causes"]
    assert (cause["kind"], cause["name"], cause["since"], cause["until"]) == (
        "receiver",
        "one.test",
        "2031-03-12",
        None,
    )
    assert (cause["wrong"], cause["messages"], cause["rest_wrong"]) == (24, 24, 0)
    assert cause["probability"] > 0.9
    reputation = document["reputation"]
    assert reputation["lower_score"] < reputation["score"] < reputation["upper_score"]
    assert reputation["score"] + 20 < reputation["week_ago_score"]
    assert reputation["reasons"][0].startswith("one.test: 12 of 12 in spam since Wednesday (-")
    assert any(advice.startswith("wait: one.test treats all your mailboxes alike") for advice in document["advice"])
    one, two = document["lanes"]
    assert [change["standing"] for change in one["standings"]] == ["sound", "halted"]
    assert any("brake" in advice for advice in one["advice"])
    assert two["advice"] == [
        "enrol 1 more seed at two.test: with 1 its full volume would always go to the same few",
        "enrol a control at two.test (`--role control`): seeds that answer may read too high",
    ]


async def test_fewer_days_tell_less_and_judge_the_same(turned: Desk) -> None:
    whole, week = told(turned), told(turned, "--days", "5")
    assert week["since"] == "2031-03-10"
    assert [len(lane["days"]) for lane in week["lanes"]] == [5, 5]
    assert week["lanes"][0]["sent"] == 20
    assert (week["reputation"], week["causes"]) == (whole["reputation"], whole["causes"])


async def test_people_get_bars_and_sentences(turned: Desk) -> None:
    text = turned.warmup("report", ANN).out
    lines = text.splitlines()
    assert lines[0] == "ann@send.test  custom  active  30 dates to 2031-03-14"
    assert lines[1].startswith("reputation  ")
    day = next(line for line in lines if "2031-03-03 Mon" in line)
    assert "█" in day
    assert "4 of 4" in day
    assert "%" in day
    bad = next(line for line in lines if "2031-03-12 Wed" in line)
    assert "0 of 4" in bad
    assert bad.count("█") < day.count("█")
    assert "receiver one.test since Wednesday" in text
    assert "gap " in text
    assert "what to do" in text
    # Two months of bars share fourteen lines a lane.
    assert len(turned.warmup("report", ANN, "--days", "60").out.splitlines()) < 60


async def test_who_is_left_out_stands_in_report_and_status(ready: Desk) -> None:
    async with founded(ready) as world:
        out = Decision(candidate=Candidate(Suspect.GRAMMAR, "en-garden"), retired=True, reason="5 of 6 went wrong")
        await world.ledger.retirements.append([out], now=MONDAY)
    expected = [
        {"kind": "grammar", "name": "en-garden", "since": "2031-03-03T09:00:00Z", "reason": "5 of 6 went wrong"}
    ]
    assert told(ready)["retired"] == expected
    assert ready.warmup("status", "--json").document["retired"] == expected
    lines = ready.warmup("status").out.splitlines()
    assert "left out for now: grammar en-garden" in lines
    assert "seeds to add: 1 more at one.test, 1 more at send.test, 1 more at two.test" in lines
    assert "grammar en-garden since 2031-03-03: 5 of 6 went wrong" in ready.warmup("report", ANN).out


async def test_a_mailbox_of_which_nothing_is_known_says_so(ready: Desk) -> None:
    async with opened(ready) as ledger:
        await ledger.mailboxes.add(new_mailbox(ANN, verified_at=None))
        await stand_still(ledger, MONDAY)
    document = told(ready)
    assert (document["reputation"], document["lanes"], document["causes"]) == (None, [], [])
    assert document["advice"] == [f"log in: `warmup mailbox check {ANN}`; until then nothing is sent"]
    assert "not known yet" in ready.warmup("report", ANN).out


async def test_a_mailbox_whose_own_mail_cannot_be_seen_says_so(ready: Desk) -> None:
    async with opened(ready) as ledger:
        await ledger.mailboxes.add(new_mailbox(ANN))
        await stand_still(ledger, MONDAY)
    assert [advice for advice in told(ready)["advice"] if "no Sent folder" in advice]
    async with opened(ready) as ledger:
        await ledger.mailboxes.save(replace(await ledger.mailboxes.get(ANN), sent_folder="Sent"))
    assert not [advice for advice in told(ready)["advice"] if "no Sent folder" in advice]


async def test_what_a_server_said_cannot_speak_to_the_terminal(ready: Desk) -> None:
    async with founded(ready) as world:
        await world.ledger.mailboxes.note_problem(world.sender.id, "no\x1b[31m way", now=MONDAY)
    assert "\x1b" not in ready.warmup("report", ANN).out
    assert "mend this first: no" in ready.warmup("report", ANN).out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("nobody@one.test",), 65), (("control@one.test",), 65), ((ANN, "--days", "0"), 2), ((), 2)],
)
async def test_what_is_not_warmed_is_one_line(ready: Desk, arguments: tuple[str, ...], code: int) -> None:
    async with opened(ready) as ledger:
        await ledger.mailboxes.add(new_mailbox("control@one.test", role=Role.CONTROL))
        await stand_still(ledger, MONDAY + timedelta(0))
    ended = ready.warmup("report", *arguments)
    assert (ended.code, len(ended.errors), ended.out) == (code, 1, "")
