"""A mailbox's day as slots: so many as it is allowed, to whom, when, new thread or reply.

The same inputs give the same day. Nothing is due outside the sender's window, nor while the recipient's person sleeps.
There are as many slots as the allowance has, unless seeds, their sleep, time or the listening phase leave fewer; then
the allowance in the plan is the smaller one and says why, and nothing is made up for elsewhere. Planned late in a day,
only what a normal pace still fits is planned: the rest of the window is not fuller than usual.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from warmup.policy.allowance import Allowance, LaneAllowance
from warmup.policy.fate import Cap, Kind
from warmup.policy.mailbox import Hours, Mailbox, MailboxId, SlotId
from warmup.policy.pairing import Correspondent, Pairing, Past, Pool, pair
from warmup.policy.spacing import BUSTLE, due_times, fitting, share_left, trimmed, usual_gap
from warmup.policy.thread import Unanswered, replies
from warmup.policy.waking import Awake, Waking, is_awake
from warmup.policy.window import Span, spans

PAST: Final = timedelta(days=14)
"""How far back `Past` counts."""

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSlot:
    """One message to be. `number` counts from 1 in order of `due_at`; `provider` is the receiving one.

    `thread_id` is the answered message's own for a reply and a fresh one otherwise; `in_reply_to` is that message.
    """

    number: int
    recipient_id: MailboxId
    provider: str
    kind: Kind
    thread_id: str
    in_reply_to: SlotId | None
    due_at: datetime

    def __post_init__(self) -> None:
        if (self.kind is Kind.REPLY) != (self.in_reply_to is not None):
            raise ValueError("a reply names what it answers, and nothing else does")


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPlan:
    """One mailbox's date: `day` of its ramp, what it may send and the slots for it, in order of their due times.

    The allowance's target and its lanes' targets are the numbers of slots.
    """

    mailbox_id: MailboxId
    date: date
    day: int
    allowance: Allowance
    slots: tuple[PlannedSlot, ...]


def plan_for(
    mailbox: Mailbox,
    on: date,
    day: int,
    allowance: Allowance,
    *,
    seeds: Pool,
    past: Past,
    unanswered: Iterable[Unanswered],
    listening: bool,
    hours: Hours,
    now: datetime,
    grace: timedelta,
    rng: random.Random,
    per_minute: int | None = None,
    kin: bool = True,
    bustle: Sequence[float] = BUSTLE,
) -> DayPlan:
    """The plan of the mailbox's date `on`, whose slots all fall due after `now` and `grace` before the window closes.

    `past` counts the days up to `on`, `unanswered` is what was received before it. `per_minute` is what the sender's
    provider takes in a minute; `kin` False: nobody of one's own domain, since there are others; `bustle` is how busy
    the parts of the window are.
    """
    open_ = trimmed(spans(hours, mailbox.zone, on), grace)
    gap = usual_gap(allowance.target, open_, per_minute=per_minute)
    room = _shared(
        _fits(allowance.target, open_, now, gap=gap, bustle=bustle),
        {lane.provider: lane.target for lane in allowance.lanes},
    )
    # One stream for each purpose: what one of them draws does not move the others.
    threads, partners, times = (random.Random(rng.getrandbits(64)) for _ in range(3))
    answers = replies(unanswered, room, threads, on=on, listening=listening)
    awake = Awake(_after(open_, now))
    pairing = Pairing((), {})
    if not listening:
        pairing = _pairing(mailbox, room, answers, seeds, partners, past=past, awake=awake, kin=kin)

    letters = [_answer(message) for message in answers]
    letters += [_opening(recipient, threads) for recipient in pairing.recipients]
    times.shuffle(letters)
    due = due_times(len(letters), open_, times, not_before=now, minimum_gap=gap, bustle=bustle)
    slots = tuple(letter.slot(number, at) for number, (letter, at) in enumerate(_seated(letters, due, awake), start=1))
    shortage = _Shortage(closed=not open_, room=room, missing=pairing.missing, asleep=_unseated(letters, slots))
    return DayPlan(
        mailbox_id=mailbox.id,
        date=on,
        day=day,
        allowance=_honest(allowance, slots, shortage),
        slots=slots,
    )


def _fits(target: int, open_: Sequence[Span], now: datetime, *, gap: timedelta, bustle: Sequence[float]) -> int:
    """What a normal pace still fits into the rest of the open time."""
    return min(int(target * share_left(open_, now, bustle) + 0.5), fitting(open_, not_before=now, minimum_gap=gap))


def _shared(n: int, wanted: Mapping[str, int]) -> dict[str, int]:
    """`n` messages over the lanes, in proportion to what each wanted, the largest remainders first."""
    total = sum(wanted.values())
    if n >= total:
        return dict(wanted)
    whole = {provider: n * want // total for provider, want in wanted.items()}
    order = sorted(wanted, key=lambda provider: (-(n * wanted[provider] % total), provider))
    for provider in order[: n - sum(whole.values())]:
        whole[provider] += 1
    return whole


def _pairing(
    mailbox: Mailbox,
    room: Mapping[str, int],
    answers: Sequence[Unanswered],
    seeds: Pool,
    rng: random.Random,
    *,
    past: Past,
    awake: Awake,
    kin: bool,
) -> Pairing:
    answered = Counter(message.sender.provider for message in answers)
    taken = Counter(message.sender.id for message in answers)
    opened = {provider: n - answered[provider] for provider, n in room.items()}
    return pair(Correspondent.of(mailbox), opened, seeds, rng, past=past, taken=taken, awake=awake, kin=kin)


def _after(open_: Sequence[Span], now: datetime) -> tuple[Span, ...]:
    """What is left of the spans at `now`."""
    return tuple(Span(max(span.start, now), span.end) for span in open_ if span.end > now)


@dataclass(frozen=True, slots=True)
class _Letter:
    """A slot that has no number and no time yet."""

    recipient: Correspondent
    kind: Kind
    thread_id: str
    in_reply_to: SlotId | None

    def slot(self, number: int, due_at: datetime) -> PlannedSlot:
        return PlannedSlot(
            number=number,
            recipient_id=self.recipient.id,
            provider=self.recipient.provider,
            kind=self.kind,
            thread_id=self.thread_id,
            in_reply_to=self.in_reply_to,
            due_at=due_at,
        )


def _seated(letters: Sequence[_Letter], due: Sequence[datetime], awake: Awake) -> Iterator[tuple[_Letter, datetime]]:
    """Each instant with a letter whose recipient is awake then, the one with the soonest last chance first.

    What finds no instant is left out; between letters that may go at any time their order stays.
    """
    waiting: dict[Waking | None, list[_Letter]] = {}
    for letter in reversed(letters):
        who = letter.recipient.waking
        waiting.setdefault(None if awake.share(who) >= 1 else who, []).append(letter)
    if len(waiting) == 1 and None in waiting:
        yield from zip(letters, due, strict=True)
        return
    last = {who: max((span.end for span in awake.spans(who)), default=_NEVER) for who in waiting}
    for at in due:
        up = [who for who, left in waiting.items() if left and is_awake(awake.spans(who), at)]
        if up:
            yield waiting[min(up, key=lambda who: (last[who], -len(waiting[who]), str(who)))].pop(), at


def _unseated(letters: Sequence[_Letter], slots: Sequence[PlannedSlot]) -> Counter[str]:
    """How many letters of each lane found no instant."""
    return Counter(letter.recipient.provider for letter in letters) - Counter(slot.provider for slot in slots)


def _answer(message: Unanswered) -> _Letter:
    return _Letter(message.sender, Kind.REPLY, message.thread_id, message.slot_id)


def _opening(recipient: Correspondent, rng: random.Random) -> _Letter:
    return _Letter(recipient, Kind.NEW, f"{rng.getrandbits(96):024x}", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shortage:
    """What left fewer slots than were allowed: time (`room` is what fitted), seeds, their sleep, or listening."""

    closed: bool
    room: Mapping[str, int]
    missing: Mapping[str, int]
    asleep: Mapping[str, int]

    def cause(self, lane: LaneAllowance) -> tuple[Cap | None, str]:
        """What capped a lane that has fewer slots than its target."""
        if self.closed:
            return lane.capped_by, "the window is closed on this date"
        if missing := self.missing.get(lane.provider):
            return Cap.SEEDS, f"seeds are missing at {lane.provider} for {missing} messages"
        if asleep := self.asleep.get(lane.provider):
            return Cap.SEEDS, f"{asleep} messages to {lane.provider} would come in the recipients' night"
        if self.room[lane.provider] < lane.target:
            return lane.capped_by, "planned late: no more than a normal pace fits into the rest of the window"
        return Cap.RAMP, "a new mailbox only answers in its first days"


def _honest(allowance: Allowance, slots: Sequence[PlannedSlot], shortage: _Shortage) -> Allowance:
    """The allowance as it was really planned: targets are the slots there are, and a shortage names itself."""
    planned = Counter(slot.provider for slot in slots)
    lanes = tuple(_honest_lane(lane, planned[lane.provider], shortage) for lane in allowance.lanes)
    if len(slots) == allowance.target:
        return replace(allowance, lanes=lanes)
    short = max(zip(allowance.lanes, lanes, strict=True), key=lambda pair: pair[0].target - pair[1].target)[1]
    return replace(allowance, target=len(slots), capped_by=short.capped_by, reason=short.reason, lanes=lanes)


def _honest_lane(lane: LaneAllowance, planned: int, shortage: _Shortage) -> LaneAllowance:
    if planned >= lane.target:
        return lane
    cap, reason = shortage.cause(lane)
    # Tomorrow's growth starts from what went today, not from what might have gone.
    volume = min(lane.ceiling, planned / lane.factor) if lane.factor > 0 else lane.ceiling
    return replace(lane, target=planned, ceiling=volume, capped_by=cap, reason=reason)
