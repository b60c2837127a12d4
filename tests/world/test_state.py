"""The engine is a plain reading of MODEL.md."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import exp, log

import pytest

from warmup.world import Deferred, Event, Folder, Placed, Receiver, Refused, Verdict, World, WorldState
from warmup.world.lane import DAY

PLAIN = Receiver(
    name="r",
    base_spam=0.02,
    quiet_volume=8,
    tolerance=1.5,
    pressure=2,
    distrust=3,
    trust=0.6,
    trust_gain=0.012,
    trust_loss=0.03,
    memory_days=5,
    defer_at=3,
    missing=0.0,
)
NOON = 720.0


def state_of(receiver: Receiver, *events: Event, seed: int = 1, mailboxes: tuple[str, ...] = ("a@x",)) -> WorldState:
    return WorldState(World(name="w", receivers=(receiver,), events=events), seed=seed, mailboxes=mailboxes)


def send(
    state: WorldState, count: int, *, now: float = NOON, sender: str = "a@x", engages: bool = False
) -> list[Verdict]:
    return [state.deliver(sender, f"s{i % 20}", "r", now=now, engages=engages) for i in range(count)]


def placed(verdict: Verdict) -> Placed:
    assert isinstance(verdict, Placed)
    return verdict


def test_the_spam_probability_is_the_models_formula() -> None:
    state = state_of(replace(PLAIN, domain_share=0.5, domain_quiet=2.0, defer_at=1e9))
    send(state, 23)
    trust = state._lanes["a@x", "r"].trust
    over, overd = log(24 / (1.5 * 8)), log(24 / (1.5 * 2))
    z = log(0.02 / 0.98) + 2 * (over + 0.5 * overd) + 2 * 3 * (0.5 - trust) + 0.3
    assert state.true_spam("a@x", "r", now=NOON, content=0.3) == pytest.approx(1 / (1 + exp(-z)))


def test_as_much_lands_in_spam_as_the_probability_says() -> None:
    state = state_of(replace(PLAIN, base_spam=0.3, distrust=0, trust_loss=0))
    folders = Counter(placed(verdict).folder for day in range(300) for verdict in send(state, 8, now=NOON + day * DAY))
    assert folders[Folder.SPAM] / 2400 == pytest.approx(0.3, abs=0.03)


def test_one_senders_luck_does_not_depend_on_when_others_write() -> None:
    alone, together = state_of(PLAIN, mailboxes=("a@x", "b@y")), state_of(PLAIN, mailboxes=("a@x", "b@y"))
    expected = send(alone, 30, engages=True)
    send(together, 7, sender="b@y")
    assert send(together, 30, engages=True) == expected


def test_another_seed_is_another_luck() -> None:
    assert send(state_of(PLAIN, seed=1), 30) != send(state_of(PLAIN, seed=2), 30)


def test_volume_becomes_habit_by_half_in_memory_days() -> None:
    state = state_of(PLAIN)
    for day in range(5):
        send(state, 10, now=day * DAY + NOON)
    state.end_of_day(now=5 * DAY)
    assert state._lanes["a@x", "r"].volume.k == pytest.approx(5.0)


def test_an_idle_week_is_forgotten_as_days_of_nothing() -> None:
    state = state_of(replace(PLAIN, domain_volume=80.0))
    state.true_spam("a@x", "r", now=5 * DAY)
    assert state._lanes["a@x", "r"].domain.volume.k == pytest.approx(40.0)


def test_the_count_is_of_the_last_24_hours_not_of_the_date() -> None:
    state = state_of(PLAIN)
    send(state, 10, now=DAY - 60)
    lane = state._lanes["a@x", "r"]
    assert lane.volume.count(DAY + 60) == 10
    assert lane.volume.count(2 * DAY - 59) == 0


def test_a_day_given_at_one_instant_counts_from_one_again_on_the_next() -> None:
    state = state_of(PLAIN)
    send(state, 10, now=NOON)
    assert state._lanes["a@x", "r"].volume.count(NOON + DAY) == 0


def test_excess_is_deferred_four_times_in_five_and_not_counted() -> None:
    verdicts = send(state_of(PLAIN), 2000)
    # 8 · 1.5 · 3 = 36 pass the door; the 37th is the first that may be put off.
    assert all(isinstance(verdict, Placed) for verdict in verdicts[:36])
    assert Counter(isinstance(verdict, Deferred) for verdict in verdicts[36:])[True] / 1964 == pytest.approx(
        0.8, abs=0.05
    )


def test_the_third_deferral_of_a_day_blocks_the_lane() -> None:
    state = state_of(replace(PLAIN, block_days=2.0))
    verdicts = send(state, 400)
    third = [number for number, verdict in enumerate(verdicts) if isinstance(verdict, Deferred)][2]
    assert all(isinstance(verdict, Deferred) for verdict in verdicts[third:])
    assert isinstance(send(state, 1, now=NOON + 2 * DAY - 1)[0], Deferred)
    assert isinstance(send(state, 1, now=NOON + 2 * DAY)[0], Placed)


def test_a_distrusted_sender_is_refused_half_the_time() -> None:
    verdicts = send(state_of(replace(PLAIN, refuse_below=0.9, defer_at=1e9)), 1000)
    refused = [verdict for verdict in verdicts if isinstance(verdict, Refused)]
    assert len(refused) == pytest.approx(500, abs=60)
    assert {(verdict.code, verdict.status) for verdict in refused} == {(550, "5.7.1")}


def test_first_contact_is_greylisted_until_its_minutes_have_passed() -> None:
    state = state_of(replace(PLAIN, greylist_minutes=10.0))
    assert send(state, 1, now=NOON) == [Deferred(code=451, status="4.7.1", text="Greylisted, try again later")]
    assert isinstance(send(state, 1, now=NOON + 9.9)[0], Deferred)
    assert isinstance(send(state, 1, now=NOON + 10)[0], Placed)


def test_missing_is_accepted_and_counts() -> None:
    state = state_of(replace(PLAIN, missing=1.0))
    assert {placed(verdict).folder for verdict in send(state, 5)} == {Folder.MISSING}
    assert state._lanes["a@x", "r"].volume.count(NOON) == 5


def test_whoever_answered_is_no_stranger_any_more() -> None:
    state = state_of(replace(PLAIN, base_spam=0.98, distrust=0, known_inbox=1.0))
    assert placed(state.deliver("a@x", "s1", "r", now=NOON)).folder is Folder.SPAM
    state.rescued("a@x", "s1", "r", now=NOON)
    verdict = placed(state.deliver("a@x", "s1", "r", now=NOON))
    assert (verdict.folder, verdict.known, verdict.spam_probability) == (Folder.INBOX, True, 0.0)
    assert not placed(state.deliver("a@x", "s2", "r", now=NOON)).known


def test_answers_earn_trust_and_spam_costs_it() -> None:
    state = state_of(PLAIN)
    state.answered("a@x", "s1", "r", now=NOON)
    lane = state._lanes["a@x", "r"]
    assert lane.trust == pytest.approx(0.6 + 0.012 * 0.4)
    spammed = state_of(replace(PLAIN, base_spam=0.999, distrust=0))
    send(spammed, 1)
    assert spammed._lanes["a@x", "r"].trust == pytest.approx(0.6 * 0.97)
    complained = state_of(replace(PLAIN, base_spam=1e-9, complaint=1.0))
    assert placed(send(complained, 1)[0]).complaint
    assert complained._lanes["a@x", "r"].trust == pytest.approx(0.6 * 0.9)


def test_a_control_seed_never_engages() -> None:
    state = state_of(replace(PLAIN, engagement=1.0, base_spam=1e-9))
    assert not any(placed(verdict).engaged for verdict in send(state, 20, engages=False))
    assert all(placed(verdict).engaged for verdict in send(state, 10, engages=True))


def test_a_domain_shares_its_trust() -> None:
    state = state_of(replace(PLAIN, domain_share=0.6), mailboxes=("a@x", "b@x"))
    state.true_spam("b@x", "r", now=NOON)
    lane = state._lanes["b@x", "r"]
    lane.lose(0.5)
    state.true_spam("a@x", "r", now=NOON)
    assert state._lanes["a@x", "r"].pooled_trust(0.6) == pytest.approx(0.4 * 0.6 + 0.6 * 0.45)


def test_an_event_shocks_its_days_and_nobody_else() -> None:
    event = Event(day=3, days=2, shock=3.0, share=0.5)
    state = state_of(PLAIN, event, mailboxes=("a@x", "b@y"))
    quiet = state.true_spam("a@x", "r", now=DAY)
    assert [state.true_spam("a@x", "r", now=day * DAY) > 5 * quiet for day in range(1, 5)] == [False, True, True, False]
    assert state.true_spam("b@y", "r", now=2 * DAY) == pytest.approx(quiet)


def test_placements_are_seen_late_and_may_move_within_48_hours() -> None:
    verdicts = [
        placed(verdict)
        for verdict in send(state_of(replace(PLAIN, resort=0.5, defer_at=1e9, pressure=0, trust_loss=0)), 2000)
    ]
    assert sum(verdict.visible_after for verdict in verdicts) / 2000 == pytest.approx(20, rel=0.1)
    moved = [verdict.resorted_after for verdict in verdicts if verdict.resorted_after is not None]
    assert len(moved) == pytest.approx(980, abs=100)
    assert min(moved) > 0
    assert max(moved) <= 48 * 60


def test_a_grammars_content_is_drawn_once_and_spread_as_said() -> None:
    state = state_of(replace(PLAIN, content_spread=0.5))
    draws = [state.content_of(f"g{number}", "r") for number in range(1000)]
    assert draws[0] == state.content_of("g0", "r")
    assert (sum(draw**2 for draw in draws) / 1000) ** 0.5 == pytest.approx(0.5, rel=0.1)
    assert state_of(PLAIN).content_of("g0", "r") == 0


def test_instants_may_be_datetimes_where_the_start_is_said() -> None:
    start = datetime(2026, 1, 5, tzinfo=UTC)
    world = World(name="w", receivers=(PLAIN,))
    by_date = WorldState(world, seed=1, mailboxes=("a@x",), start=start)
    by_minute = state_of(PLAIN)
    at = start + timedelta(days=2, minutes=30)
    assert by_date.day_of(at) == 3
    assert by_date.deliver("a@x", "s", "r", now=at) == by_minute.deliver("a@x", "s", "r", now=2 * DAY + 30)
    with pytest.raises(ValueError, match="start"):
        by_minute.day_of(at)
