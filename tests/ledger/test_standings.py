"""Judgements: the last of each subject is told, to the mailbox and to its domain, and evidence is judged once."""

from dataclasses import replace
from typing import Any

from tests.ledger.conftest import HOUR, NOW, World, new_mailbox
from warmup.ledger.standings import Fresh, Judged, Judgement, Subject
from warmup.policy.mailbox import Mailbox
from warmup.policy.standing import Standing


def judgement(kind: Subject, subject: str, standing: Standing, **changes: Any) -> Judgement:
    fields: dict[str, Any] = {"thin": False, "since": NOW, "reason": "said", "n": 9.0, "factor": 0.5, **changes}
    return Judgement(kind=kind, subject=subject, standing=standing, **fields)


def of(mailbox: Mailbox, standing: Standing, provider: str | None = None) -> Judgement:
    kind = Subject.MAILBOX if provider is None else Subject.LANE
    return judgement(kind, mailbox.address, standing, mailbox_id=mailbox.id, provider=provider)


async def test_each_mailbox_is_told_its_own_and_its_domains_last_judgements(world: World) -> None:
    standings, ann, bob = world.ledger.standings, world.sender, world.seeds[0]
    lane, whole = of(ann, Standing.WATCHED, "one.test"), of(ann, Standing.SOUND)
    others = of(bob, Standing.HALTED), of(bob, Standing.SLOWED, "one.test")
    domain = judgement(Subject.DOMAIN, "send.test", Standing.SLOWED)
    domain_lane = judgement(Subject.DOMAIN, "send.test", Standing.WATCHED, provider="two.test")
    elsewhere = judgement(Subject.DOMAIN, "one.test", Standing.HALTED)
    first = replace(lane, standing=Standing.SLOWED)
    assert await standings.append([first], now=NOW) == 1
    assert await standings.append([lane, whole, *others, domain, domain_lane, elsewhere], now=NOW + HOUR) == 7

    mine = Judged(lanes={"one.test": lane}, mailbox=whole, domain=domain, domain_lanes={"two.test": domain_lane})
    house = Judged(domain=domain, domain_lanes={"two.test": domain_lane})
    assert await standings.of(ann.id) == mine
    assert await standings.of_domain("send.test") == house
    many = await standings.of_many([ann.id], ["send.test"])
    assert (set(many.mailboxes), set(many.domains)) == ({ann.id}, {"send.test"})
    assert many.of(ann.id, "send.test") == mine
    assert many.of(bob.id, "nowhere.test") == Judged()
    # A mailbox of a domain's name is no domain.
    namesake = judgement(Subject.MAILBOX, "send.test", Standing.HALTED, mailbox_id=bob.id)
    await standings.append([namesake], now=NOW)
    assert await standings.of_domain("send.test") == house
    assert set((await standings.of_many([], ["send.test"])).mailboxes) == set()
    assert await standings.history(Subject.LANE, ann.address, "one.test") == (first, lane)
    assert await standings.history(Subject.MAILBOX, ann.address) == (whole,)
    assert await standings.history(Subject.DOMAIN, ann.address) == ()


async def test_what_a_judgement_says_comes_back_rounded(world: World) -> None:
    said = judgement(
        Subject.LANE, "ann@send.test", Standing.WATCHED, mailbox_id=world.sender.id, provider="one.test", thin=True,
        inbox_ratio=0.875, lower_ratio=0.5, upper_ratio=0.9375, growth=1.25, factor=0.75, n=12.5,
    )  # fmt: skip
    await world.ledger.standings.append([said], now=NOW)
    assert (await world.ledger.standings.of(world.sender.id)).lanes == {"one.test": said}
    close = replace(said, n=12.5 + 1e-9, factor=0.75 + 1e-9, growth=1.25 + 1e-9, lower_ratio=0.5 + 1e-9)
    assert await world.ledger.standings.append([close], now=NOW + HOUR) == 0
    for change in ({"thin": False}, {"reason": "more"}, {"since": NOW + HOUR}, {"growth": None}, {"upper_ratio": 1.0}):
        said = replace(said, **change)
        assert await world.ledger.standings.append([said], now=NOW + HOUR) == 1


async def test_evidence_is_due_until_it_was_judged_and_again_when_it_has_aged(world: World) -> None:
    standings, ann, bob = world.ledger.standings, world.sender.id, world.seeds[0].id
    removed = await world.ledger.mailboxes.add(new_mailbox("old@send.test"))
    for mailbox in (bob, removed.id):
        await standings.judged(mailbox, marks=0, now=NOW)
    await world.ledger.mailboxes.remove(removed.id, now=NOW)
    assert await standings.due(now=NOW + HOUR, every=2 * HOUR) == ()
    assert await standings.due(now=NOW + HOUR, every=HOUR) == (Fresh(mailbox_id=bob, marks=0),)
    assert await standings.marks(ann) == 0
