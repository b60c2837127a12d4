"""Tries to hand a slot over, and how each ended: two rows, the first durable before MAIL FROM.

A claim is one transaction that reads the situation, asks `policy.quota` and inserts the attempt; nothing else may
write one. An attempt whose end nobody saw becomes *uncertain* and is never made again. The order of belief is
sighting, SMTP, recovery.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, assert_never

from sqlalchemy import Connection, Select, bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from warmup.ledger.enrolled import mailbox_of
from warmup.ledger.errors import LedgerFailed
from warmup.ledger.highwater import HighWater, Mark
from warmup.ledger.prepared import Prepared
from warmup.ledger.situation import OF_ACCOUNT, OF_DOMAIN, Rules, read_situation
from warmup.ledger.slots import Slot, lapse_slot, slot_of
from warmup.ledger.standings import mark_fresh
from warmup.ledger.store import Store
from warmup.ledger.tables import (
    attempts,
    due_slots,
    flights,
    installation,
    mailboxes,
    outcomes,
    sightings,
    slots,
    watches,
)
from warmup.ledger.tables_said import listens
from warmup.mail.answer import Accepted, Answer, Deferred, Refused, Reply, Uncertain
from warmup.policy.attention import LISTEN_FIRST, LISTEN_FOR
from warmup.policy.fate import Outcome, Source
from warmup.policy.mailbox import AttemptId, Mailbox, SlotId
from warmup.policy.quota import Go, Hindrance, Lapse, Situation, Wait, may_go

LONGEST_REPLY = 1000

Judge = Callable[[Situation], Go | Wait | Lapse]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """The slot may be handed over now, once, as attempt `id`. Its outcome has to follow."""

    id: AttemptId
    ordinal: int
    slot: Slot


class Unmarked(LedgerFailed):
    """The attempt `claimed` is recorded, but not its high-water mark: it must not be handed over, and has to end."""

    def __init__(self, claimed: Claimed, why: LedgerFailed) -> None:
        super().__init__(str(why))
        self.claimed = claimed


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an attempt ended, as it is recorded. `reply` is None where no reply came; `text` says then what happened."""

    outcome: Outcome
    reply: Reply | None
    text: str


class AttemptWriter:
    """Writes `attempts`, `outcomes` and `flights`; begins the watch for what was sent, and the listening."""

    def __init__(self, store: Store, high_water: HighWater) -> None:
        self._store = store
        self._high_water = high_water

    async def claim(
        self, slot_id: SlotId, *, now: datetime, rules: Rules, node: str, judge: Judge = may_go
    ) -> Claimed | Wait | Lapse:
        """Claim a slot for one attempt, durably, or say why not.

        On Lapse the slot has lapsed already; on Wait with an instant it is due again at that instant. A slot that
        does not wait to go (it went, it lapsed, another claimed it) is a Wait without an instant. Raises LedgerFailed
        where nothing could be made durable, Unmarked where all but the mark was: then nothing may be sent.
        """
        answer = await self._store.write_together(
            lambda connection: claim_one(connection, slot_id, now=now, rules=rules, node=node, judge=judge),
            then=self._mark,
        )
        return _told(answer)

    async def outcome_and_claim(
        self,
        attempt_id: AttemptId,
        answer: Answer,
        following: SlotId,
        *,
        now: datetime,
        look_at: datetime,
        deadline_at: datetime,
        rules: Rules,
        node: str,
        judge: Judge = may_go,
    ) -> Claimed | Wait | Lapse:
        """Record how an attempt ended, and behind it claim the next slot: both in one transaction, or neither.

        Raises and answers as `claim` does; Unmarked: what ended is recorded, and all of the claim but its mark.
        """
        watch = _Watch(look_at=look_at, deadline_at=deadline_at)

        def work(connection: Connection) -> tuple[Claimed, Mark] | Wait | Lapse:
            _end(connection, attempt_id, ended(answer), Source.SMTP, now, None, watch)
            return claim_one(connection, following, now=now, rules=rules, node=node, judge=judge)

        return _told(await self._store.write_together(work, then=self._mark))

    def _mark(self, answer: "tuple[Claimed, Mark] | Wait | Lapse") -> None:
        """After the claim is durable, and before anybody is told."""
        match answer:
            case (claimed, mark):
                try:
                    self._high_water.raise_to(mark)
                except LedgerFailed as failure:
                    raise Unmarked(claimed, failure) from failure

    async def outcome(
        self,
        attempt_id: AttemptId,
        answer: Answer,
        *,
        now: datetime,
        retry_at: datetime | None = None,
        look_at: datetime,
        deadline_at: datetime,
    ) -> bool:
        """Record how an attempt ended, durably; False, and no change, where its end is recorded already.

        Who saw the end is believed over a recovery that gave the attempt up, but it is not made again for that.
        A deferred slot is due again at `retry_at`; None gives it up. What the server may have taken is watched for:
        first at `look_at`, missing after `deadline_at`.
        """
        watch = _Watch(look_at=look_at, deadline_at=deadline_at)
        return await self._store.write_together(
            lambda connection: _end(connection, attempt_id, ended(answer), Source.SMTP, now, retry_at, watch)
        )

    async def recover(
        self,
        *,
        now: datetime,
        look_at: datetime,
        deadline_at: datetime,
        alive: str | None = None,
        claimed_by: datetime | None = None,
    ) -> tuple[AttemptId, ...]:
        """Close every attempt in flight as uncertain; those closed. Asked at start, once the daemon's lock is held.

        The node that is `alive`, if any, knows better how its own attempts end. Where others may be at work, only what
        was `claimed_by` an instant so long ago that no session lasts until now.
        """
        watch = _Watch(look_at=look_at, deadline_at=deadline_at)
        return await self._store.write(_recover, now, watch, alive, claimed_by)

    async def overdue(self, *, alive: str, claimed_by: datetime) -> bool:
        """True where there is something for such a `recover` to close: a look that writes nothing."""
        return await self._store.read(_overdue, alive, claimed_by)

    async def claimed(self, slot_id: SlotId, *, node: str) -> Claimed | None:
        """The attempt that `node` has in flight for a slot. Asked after a claim of which nobody knows whether it stood.

        It waits for whatever transaction is still at work.
        """
        return await self._store.write(_claimed, slot_id, node)

    async def used(self, mailbox: Mailbox, *, now: datetime, margin: timedelta) -> int:
        """What counts against the account's limit at `now`, in flight, own traffic and kept uses included."""
        return await self._store.read(OF_ACCOUNT.used, mailbox.account_id, now=now, margin=margin)

    async def used_by_domain(self, domain: str, *, now: datetime, margin: timedelta) -> int:
        """The same for all mailboxes of a domain together."""
        return await self._store.read(OF_DOMAIN.used, domain, now=now, margin=margin)


def _told(answer: "tuple[Claimed, Mark] | Wait | Lapse") -> Claimed | Wait | Lapse:
    match answer:
        case (claimed, _):
            return claimed
        case _:
            return answer


def ended(answer: Answer) -> Ended:
    """A server's answer as the outcome it is recorded as."""
    match answer:
        case Accepted(reply=reply):
            return Ended(outcome=Outcome.ACCEPTED, reply=reply, text=reply.text)
        case Refused(reply=reply):
            return Ended(outcome=Outcome.REFUSED, reply=reply, text=reply.text)
        case Deferred(reply=maybe, reason=reason):
            return Ended(outcome=Outcome.DEFERRED, reply=maybe, text=maybe.text if maybe else reason)
        case Uncertain(reason=reason):
            return Ended(outcome=Outcome.UNCERTAIN, reply=None, text=reason)
        case _:
            assert_never(answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watch:
    look_at: datetime
    deadline_at: datetime


_SLOT: Any = bindparam("slot")
_ATTEMPT_ID: Any = bindparam("attempt")
_WAITING = Prepared(select(slots).join(due_slots, due_slots.c.slot_id == slots.c.id).where(slots.c.id == _SLOT))
_SENDER = Prepared(select(mailboxes).where(mailboxes.c.id == bindparam("mailbox")))
_INCARNATION = Prepared(select(installation.c.incarnation))
_FLIGHT = select(flights, slots.c.recipient_id).join(slots, slots.c.id == flights.c.slot_id)
_FLIGHT_OF = Prepared(_FLIGHT.where(flights.c.attempt_id == _ATTEMPT_ID))
_WHO = ("slot_id", "account_id", "domain")
_ATTEMPT = Prepared(insert(attempts), (*_WHO, "ordinal", "claimed_at", "node"))
_LANE = ("mailbox_id", "date", "provider")
_TAKE_OFF = Prepared(insert(flights), (*_WHO, *_LANE, "attempt_id"))
_SAID = ("at", "outcome", "source", "reply_code", "status", "reply", "retry_at")
_OUTCOME = Prepared(insert(outcomes), (*_WHO, *_LANE, "attempt_id", *_SAID))
_AWAIT = Prepared(insert(watches), ("slot_id", "recipient_id", "stage", "since", "look_at", "deadline_at"))
_SEEN = Prepared(select(sightings.c.id).where(sightings.c.slot_id == _SLOT).limit(1))
_LAND = Prepared(delete(flights).where(flights.c.attempt_id == _ATTEMPT_ID))
_NOT_DUE = Prepared(delete(due_slots).where(due_slots.c.slot_id == _SLOT))
_HEARD = upsert(listens)
_HEARD = _HEARD.on_conflict_do_update(index_elements=["mailbox_id"], set_={"until": _HEARD.excluded.until})
_LISTEN = Prepared(_HEARD, ("mailbox_id", "look_at", "until"))
_REMEMBER = Prepared(update(installation).values(last_attempt=_ATTEMPT_ID))


def claim_one(
    connection: Connection, slot_id: SlotId, *, now: datetime, rules: Rules, node: str, judge: Judge
) -> tuple[Claimed, Mark] | Wait | Lapse:
    """See `AttemptWriter.claim`; a test's claim is in the transaction that records its slot."""
    row = _WAITING.first(connection, {"slot": slot_id})
    if row is None:
        return _why_not_waiting(connection, slot_id)
    slot = slot_of(row)
    sender = mailbox_of(_SENDER.one(connection, {"mailbox": slot.mailbox_id}))
    decision = judge(read_situation(connection, slot, sender, now=now, rules=rules))
    match decision:
        case Go(ordinal=ordinal):
            return _go(connection, slot, sender, ordinal, now=now, node=node)
        case Wait(until=until):
            if until is not None:
                connection.execute(update(due_slots).where(due_slots.c.slot_id == slot_id).values(due_at=until))
            return decision
        case Lapse(reason=reason):
            lapse_slot(connection, slot_id, now=now, reason=reason.value)
            return decision
        case _:
            assert_never(decision)


def _why_not_waiting(connection: Connection, slot_id: SlotId) -> Wait:
    flying = connection.execute(select(flights.c.attempt_id).where(flights.c.slot_id == slot_id)).first()
    return Wait(until=None, reason=Hindrance.IN_FLIGHT if flying else Hindrance.ENDED)


def _go(
    connection: Connection, slot: Slot, sender: Mailbox, ordinal: int, *, now: datetime, node: str
) -> tuple[Claimed, Mark]:
    who = {"slot_id": slot.id, "account_id": sender.account_id, "domain": sender.domain}
    # The unique key (slot, ordinal) is the last word: were all else wrong, this insert fails and nothing is sent.
    attempt_id = _ATTEMPT.added(connection, {"ordinal": ordinal, "claimed_at": now, "node": node, **who})
    lane = {"mailbox_id": slot.mailbox_id, "date": slot.date, "provider": slot.provider}
    _TAKE_OFF.run(connection, {"attempt_id": attempt_id, **lane, **who})
    _NOT_DUE.run(connection, {"slot": slot.id})
    _REMEMBER.run(connection, {"attempt": attempt_id})
    incarnation = _INCARNATION.one(connection, {})["incarnation"]
    return Claimed(id=AttemptId(attempt_id), ordinal=ordinal, slot=slot), Mark(incarnation, attempt_id)


def _end(
    connection: Connection,
    attempt_id: AttemptId,
    ended: Ended,
    source: Source,
    now: datetime,
    retry_at: datetime | None,
    watch: _Watch,
) -> bool:
    row = _FLIGHT_OF.first(connection, {"attempt": attempt_id})
    if row is None:
        return source is Source.SMTP and _end_after_all(connection, attempt_id, ended)
    flight = dict(row)
    recipient_id = flight.pop("recipient_id")
    again = retry_at if ended.outcome is Outcome.DEFERRED else None
    _OUTCOME.run(connection, {**flight, **_said(ended, source), "at": now, "retry_at": again})
    _LAND.run(connection, {"attempt": attempt_id})
    if again is not None:
        _wait_again(connection, flight, again)
    if ended.outcome.counts:
        _watch_for(connection, flight["slot_id"], recipient_id, now, watch)
        until = {"mailbox_id": flight["mailbox_id"], "look_at": now + LISTEN_FIRST, "until": now + LISTEN_FOR}
        _LISTEN.run(connection, until)
    else:
        mark_fresh(connection, flight["mailbox_id"])
    return True


def _said(ended: Ended, source: Source) -> dict[str, Any]:
    return {
        "outcome": ended.outcome.value,
        "source": source.value,
        "reply_code": ended.reply.code if ended.reply else None,
        "status": ended.reply.status if ended.reply else None,
        "reply": ended.text[:LONGEST_REPLY],
    }


def _end_after_all(connection: Connection, attempt_id: AttemptId, ended: Ended) -> bool:
    """The end of an attempt that recovery gave up, by the node that saw it; the instant stays, which ages it least."""
    given_up = (outcomes.c.attempt_id == attempt_id) & (outcomes.c.source == Source.RECOVERY.value)
    known = connection.execute(select(outcomes.c.slot_id, outcomes.c.mailbox_id).where(given_up)).one_or_none()
    if known is None:
        return False
    connection.execute(update(outcomes).where(given_up).values(**_said(ended, Source.SMTP)))
    if not ended.outcome.counts:
        # Nothing of it will land anywhere.
        connection.execute(delete(watches).where(watches.c.slot_id == known.slot_id))
        mark_fresh(connection, known.mailbox_id)
    return True


def _wait_again(connection: Connection, flight: dict[str, Any], retry_at: datetime) -> None:
    # What was sighted has arrived, whatever the server said: it must not go again.
    seen = connection.execute(select(sightings.c.id).where(sightings.c.slot_id == flight["slot_id"])).first()
    if seen is None:
        waiting = {"slot_id": flight["slot_id"], "mailbox_id": flight["mailbox_id"], "due_at": retry_at}
        connection.execute(insert(due_slots).values(**waiting))


def _watch_for(connection: Connection, slot_id: int, recipient_id: int, since: datetime, watch: _Watch) -> None:
    when = {"since": since, "look_at": watch.look_at, "deadline_at": watch.deadline_at}
    # It may have been seen while it was in flight: then only the second look is left.
    seen = _SEEN.first(connection, {"slot": slot_id}) is not None
    stage = "second" if seen else "first"
    _AWAIT.run(connection, {"slot_id": slot_id, "recipient_id": recipient_id, "stage": stage, **when})


def _claimed(connection: Connection, slot_id: SlotId, node: str) -> Claimed | None:
    query = (
        select(slots, attempts.c.id.label("attempt_id"), attempts.c.ordinal)
        .join(flights, flights.c.slot_id == slots.c.id)
        .join(attempts, attempts.c.id == flights.c.attempt_id)
        .where(slots.c.id == slot_id, attempts.c.node == node)
    )
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else Claimed(id=AttemptId(row["attempt_id"]), ordinal=row["ordinal"], slot=slot_of(row))


def _flying(alive: str | None, claimed_by: datetime | None) -> Select[int]:
    flying = select(flights.c.attempt_id).join(attempts, attempts.c.id == flights.c.attempt_id)
    if alive is not None:
        flying = flying.where(attempts.c.node != alive)
    if claimed_by is not None:
        flying = flying.where(attempts.c.claimed_at <= claimed_by)
    return flying


def _overdue(connection: Connection, alive: str, claimed_by: datetime) -> bool:
    return connection.execute(_flying(alive, claimed_by).limit(1)).first() is not None


def _recover(
    connection: Connection, now: datetime, watch: _Watch, alive: str | None, claimed_by: datetime | None
) -> tuple[AttemptId, ...]:
    flying = _flying(alive, claimed_by)
    cut_off = [AttemptId(attempt_id) for attempt_id in connection.execute(flying).scalars()]
    lost = Ended(outcome=Outcome.UNCERTAIN, reply=None, text="the program ended before the outcome was known")
    for attempt_id in cut_off:
        _end(connection, attempt_id, lost, Source.RECOVERY, now, None, watch)
    return tuple(cut_off)
