"""To whom a day's messages go."""

import random
from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.mailbox import AccountId, MailboxId
from warmup.policy.pairing import SEED_DAILY, Correspondent, Pairing, Past, capacity, pair, pool

NOTHING = Past()


def one(
    number: int, *, domain: str = "", provider: str = "gmail", account: int = 0, control: bool = False
) -> Correspondent:
    return Correspondent(
        id=MailboxId(number),
        account_id=AccountId(account or number),
        domain=domain or f"d{number}.test",
        provider=provider,
        is_control=control,
    )


SENDER = one(1, domain="own.test")


def paired(
    seeds: list[Correspondent],
    wanted: dict[str, int],
    *,
    sender: Correspondent = SENDER,
    past: Past = NOTHING,
    taken: dict[MailboxId, int] | None = None,
    seed: int = 1,
) -> Pairing:
    return pair(sender, wanted, pool(seeds), random.Random(seed), past=past, taken=taken or {})


def ids(pairing: Pairing) -> Counter[int]:
    return Counter(recipient.id for recipient in pairing.recipients)


correspondents = st.lists(
    st.builds(
        one,
        st.integers(1, 400),
        domain=st.sampled_from(["own.test", "a.test", "b.test", "c.test"]),
        provider=st.sampled_from(["gmail", "outlook", "yahoo"]),
        account=st.integers(1, 400),
        control=st.booleans(),
    ),
    max_size=150,
    unique_by=lambda seed: seed.id,
)
wants = st.dictionaries(st.sampled_from(["gmail", "outlook", "yahoo", "icloud"]), st.integers(0, 120))
pasts = st.builds(
    Past,
    contacts=st.dictionaries(st.integers(1, 400).map(MailboxId), st.integers(0, 9)),
    inbound=st.dictionaries(st.integers(1, 400).map(MailboxId), st.integers(0, 500)),
)
takens = st.dictionaries(st.integers(1, 400).map(MailboxId), st.integers(0, SEED_DAILY + 1), max_size=20)


@given(correspondents, wants, pasts, takens, st.integers())
def test_every_message_has_a_recipient_of_its_lane_or_is_reported_missing(
    seeds: list[Correspondent], wanted: dict[str, int], past: Past, taken: dict[MailboxId, int], seed: int
) -> None:
    found = paired(seeds, wanted, past=past, taken=taken, seed=seed)
    by_lane = Counter(recipient.provider for recipient in found.recipients)
    assert all(by_lane[provider] + found.missing.get(provider, 0) == n for provider, n in wanted.items())
    assert set(found.recipients) <= set(seeds)
    room = dict.fromkeys(wanted, 0)
    for each in seeds:
        if each.account_id != SENDER.account_id and each.provider in room:
            room[each.provider] += max(0, SEED_DAILY - taken.get(each.id, 0))
    assert all(by_lane[provider] == min(n, room[provider]) for provider, n in wanted.items())


@given(correspondents, wants, pasts, takens, st.integers())
def test_nobody_writes_to_itself_to_its_own_account_or_too_often_to_one_seed(
    seeds: list[Correspondent], wanted: dict[str, int], past: Past, taken: dict[MailboxId, int], seed: int
) -> None:
    found = paired([*seeds, SENDER], wanted, past=past, taken=taken, seed=seed)
    assert all(recipient.account_id != SENDER.account_id for recipient in found.recipients)
    assert all(n + taken.get(MailboxId(to), 0) <= SEED_DAILY for to, n in ids(found).items())


@given(correspondents, wants, st.integers())
def test_the_own_domain_is_written_to_only_when_no_stranger_of_the_lane_has_room(
    seeds: list[Correspondent], wanted: dict[str, int], seed: int
) -> None:
    found = paired(seeds, wanted, seed=seed)
    kin = {recipient.provider for recipient in found.recipients if recipient.domain == SENDER.domain}
    for each in seeds:
        if each.provider in kin and each.domain != SENDER.domain and each.account_id != SENDER.account_id:
            assert ids(found)[each.id] == SEED_DAILY


@given(correspondents, wants, pasts, st.integers())
def test_the_same_seeds_in_any_order_give_the_same_pairing(
    seeds: list[Correspondent], wanted: dict[str, int], past: Past, seed: int
) -> None:
    mixed = random.Random(seed).sample(seeds, len(seeds))
    turned = dict(reversed(wanted.items()))
    assert paired(seeds, wanted, past=past, seed=seed) == paired(mixed, turned, past=past, seed=seed)


def test_the_order_in_which_seeds_were_enrolled_changes_nothing() -> None:
    seeds = [one(number, control=number % 7 == 0) for number in range(2, 60)]
    assert paired(seeds, {"gmail": 9}) == paired(seeds[::-1], {"gmail": 9})


def test_nobody_is_written_to_twice_before_everybody_was_once() -> None:
    seeds = [one(number) for number in range(2, 12)]
    assert set(ids(paired(seeds, {"gmail": 10})).values()) == {1}
    assert sorted(ids(paired(seeds, {"gmail": 13})).values()) == [1] * 7 + [2] * 3


def test_what_is_settled_already_counts_as_a_turn() -> None:
    seeds = [one(2), one(3)]
    assert ids(paired(seeds, {"gmail": 2}, taken={MailboxId(2): 2})) == {3: 2}


def test_whom_this_sender_wrote_to_least_comes_first() -> None:
    seeds = [one(number) for number in range(2, 22)]
    past = Past(contacts={MailboxId(number): 3 for number in range(2, 17)})
    assert set(ids(paired(seeds, {"gmail": 5}, past=past))) == set(range(17, 22))


def test_who_was_given_less_to_receive_is_likelier() -> None:
    seeds = [one(number) for number in range(2, 22)]
    past = Past(inbound={MailboxId(number): 50 for number in range(2, 12)})
    chosen = Counter[int]()
    for seed in range(100):
        chosen += ids(paired(seeds, {"gmail": 3}, past=past, seed=seed))
    assert sum(chosen[number] for number in range(12, 22)) > 5 * sum(chosen[number] for number in range(2, 12))


def test_a_share_goes_to_controls_and_either_kind_fills_up_for_the_other() -> None:
    seeds = [one(number, control=number < 6) for number in range(2, 40)]
    days = [paired(seeds, {"gmail": 5}, seed=seed) for seed in range(400)]
    controls = sum(recipient.is_control for day in days for recipient in day.recipients)
    assert 0.17 < controls / (400 * 5) < 0.23
    only_controls = [one(number, control=True) for number in range(2, 4)]
    assert len(paired(only_controls, {"gmail": 8}).recipients) == 8
    one_control = [one(2, control=True), *(one(number) for number in range(3, 40))]
    assert len(paired(one_control, {"gmail": 50}).recipients) == 50


def test_one_lane_does_not_fill_up_another() -> None:
    seeds = [one(2), one(3, provider="outlook")]
    found = paired(seeds, {"gmail": 9, "outlook": 1})
    assert found.missing == {"gmail": 9 - SEED_DAILY}
    assert ids(found)[3] == 1


def test_a_new_seed_of_a_large_fleet_is_not_heaped_upon() -> None:
    seeds = [one(number) for number in range(2, 1002)]
    newest = MailboxId(1001)
    known = {seed.id: 4 for seed in seeds if seed.id != newest}
    inbound = Counter[int]()
    for sender in range(2, 1002):
        found = pair(
            one(sender),
            {"gmail": 10},
            pool(seeds),
            random.Random(sender),
            past=Past(contacts=known, inbound={**known}),
            taken={},
        )
        inbound += ids(found)
    assert 10 < inbound[newest] < 80
    assert max(inbound.values()) < 80


def test_the_capacity_of_a_lane_leaves_out_the_own_account() -> None:
    seeds = [SENDER, one(2), one(3, control=True), one(4, account=1), one(5, provider="outlook", account=1)]
    assert capacity(SENDER, pool(seeds)) == {"gmail": 2 * SEED_DAILY}


def test_what_a_mailbox_receives_follows_what_it_sends() -> None:
    volumes = {MailboxId(number): (6, 12, 24)[number % 3] for number in range(1, 31)}
    fleet = [replace(one(number), sends=True) for number in volumes]
    seeds, contacts = pool(fleet), {mailbox: Counter[MailboxId]() for mailbox in volumes}
    for day in range(30):
        # Everybody looks at the days before alone: the order of work changes nothing.
        inbound = sum(contacts.values(), Counter[MailboxId]())
        outbound = {mailbox: n * day for mailbox, n in volumes.items()}
        usual = sum(outbound.values()) / len(outbound)
        found = {}
        for sender in fleet:
            past = Past(contacts=contacts[sender.id], inbound=inbound, outbound=outbound, usual=usual)
            wanted = {"gmail": volumes[sender.id]}
            found[sender.id] = pair(sender, wanted, seeds, random.Random(f"{sender.id} {day}"), past=past, taken={})
        for sender_id, pairing in found.items():
            contacts[sender_id].update(recipient.id for recipient in pairing.recipients)
    received = sum(contacts.values(), Counter[MailboxId]())
    ratios = [received[mailbox] / (30 * n) for mailbox, n in volumes.items()]
    assert sum(received.values()) == 30 * sum(volumes.values())
    assert 0.6 < min(ratios) <= max(ratios) < 1.7
