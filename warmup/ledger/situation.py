"""What a claim must know, read inside the claim's own transaction, for `policy.quota` to judge.

The walls are counted the way a server may count them: from the claim until 24 hours and a margin after the outcome,
hours that have elapsed, whatever the wall clock was set to meanwhile (clock).
Every count is one range of an index. The statements are built once: building them costs more than running them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    Table,
    and_,
    bindparam,
    func,
    or_,
    select,
)

from warmup.clock import NO_LEAPS, Leaps
from warmup.ledger.columns import UtcDateTime
from warmup.ledger.enrolled import account_key, state_of
from warmup.ledger.installation import hold_of_restore
from warmup.ledger.prepared import Prepared, Row
from warmup.ledger.slots import Slot
from warmup.ledger.standings import Subject
from warmup.ledger.tables import (
    attempts,
    days,
    flights,
    holds,
    installation,
    kept_uses,
    lane_days,
    mailboxes,
    outcomes,
    own_messages,
    own_readings,
    slots,
    standing_heads,
    standings,
    suppressions,
)
from warmup.policy.brake import kept
from warmup.policy.fate import Outcome
from warmup.policy.mailbox import Mailbox, SlotId
from warmup.policy.quota import DAY, OWN_FRESH, LaneDay, LastAttempt, Pace, Rate, Situation, Wall, reserve
from warmup.policy.standing import Standing, worst

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
COUNTED = tuple(outcome.value for outcome in Outcome if outcome.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The configured part of a claim's situation.

    `domain_limit` is the domain's wall for its mailboxes together in 24 hours, None: none. `own_fresh` is how old a
    reading of the operator's own traffic may be. `paced` False: a late slot may go beside those of its hour.
    `per_minute` is what the account's provider takes in a minute, None: it does not say.
    `leaps` are those of the clock that says `now`.
    """

    grace: timedelta
    margin: timedelta
    own_reserve_ratio: float = 0.1
    own_fresh: timedelta = OWN_FRESH
    domain_limit: int | None = None
    paced: bool = True
    per_minute: int | None = None
    leaps: Leaps = NO_LEAPS


def read_situation(connection: Connection, slot: Slot, sender: Mailbox, *, now: datetime, rules: Rules) -> Situation:
    """Everything that decides whether the slot may go at `now`."""
    said = _FACTS.one(connection, _asked(slot, sender, now, rules))
    planned = _PLANNED.one(connection, {"slot": slot.id})
    return Situation(
        now=now,
        due_at=slot.due_at,
        grace=rules.grace,
        mailbox_state=sender.state,
        sender_verified=sender.verified_at is not None,
        recipient_state=state_of(planned),
        recipient_suppressed=planned["suppressed"] is not None,
        own_reading_at=said["own_reading_at"],
        own_fresh=rules.own_fresh,
        held_until=_held_until(connection, said, now, rules.leaps),
        lane=_lane(connection, planned, slot, sender, sent=said["lane_went"] + said["lane_flies"]),
        day_target=planned["day_target"] or 0,
        day_sent=said["day_went"] + said["day_flies"],
        account=_account_wall(connection, said, sender, now=now, rules=rules),
        domain=_domain_wall(connection, said, sender, now=now, rules=rules),
        pace=_pace(said, rules.leaps) if rules.paced else None,
        rate=_rate(said, rules.per_minute) if rules.per_minute is not None else None,
        last=None if said["tried"] is None else _last(connection, slot.id),
    )


class Uses:
    """The uses of a limit, by the column that names whose it is: `account_id` or `domain`."""

    def __init__(self, column: str) -> None:
        self.column = column
        self.ours = and_(self._mine(outcomes, "since"), outcomes.c.outcome.in_(COUNTED))
        self.own = self._mine(own_messages, "own_since")
        # They were ours: the margin is theirs too.
        self.kept = self._mine(kept_uses, "since")
        self.flying = flights.c[column] == bindparam(column)

    def _mine(self, table: Table, since: str) -> ColumnElement[bool]:
        whose = table.c[self.column] == bindparam(self.column)
        return and_(whose, table.c.at > bindparam(since, type_=UtcDateTime()))

    def counts(self) -> tuple[ScalarSelect[int], ...]:
        """Outcomes, own messages, uses kept from purged mailboxes, and flights: their sum is what is used."""
        counted = ((outcomes, self.ours), (own_messages, self.own), (kept_uses, self.kept), (flights, self.flying))
        return tuple(_count(table, which) for table, which in counted)

    def used(
        self,
        connection: Connection,
        value: int | str,
        *,
        now: datetime,
        margin: timedelta,
        leaps: Leaps = NO_LEAPS,
    ) -> int:
        """What counts against the limit at `now`."""
        return sum(connection.execute(select(*self.counts()), self._bounds(value, now, margin, leaps)).one())

    def room_at(
        self, connection: Connection, value: int | str, surplus: int, *, now: datetime, rules: Rules
    ) -> datetime | None:
        """When the `surplus`-th of the counted messages leaves the window; None where that many never do."""
        leaps, lasting = rules.leaps, DAY + rules.margin
        bounds = self._bounds(value, now, rules.margin, leaps)

        def leaving(table: Table, which: ColumnElement[bool], lasts: timedelta) -> list[datetime]:
            query = select(table.c.at).where(which).order_by(table.c.at).limit(surplus)
            return [leaps.after(at, lasts) for at in connection.execute(query, bounds).scalars()]

        leave = merge(
            leaving(outcomes, self.ours, lasting),
            leaving(own_messages, self.own, DAY),
            leaving(kept_uses, self.kept, lasting),
        )
        return next(islice(leave, surplus - 1, None), None)

    def _bounds(self, value: int | str, now: datetime, margin: timedelta, leaps: Leaps) -> dict[str, Any]:
        return {self.column: value, "since": leaps.ago(now, DAY + margin), "own_since": leaps.ago(now, DAY)}


def _count(table: Table, which: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count()).select_from(table).where(which).scalar_subquery()


OF_ACCOUNT: Final = Uses("account_id")
OF_DOMAIN: Final = Uses("domain")


def _facts() -> Select[*tuple[Any, ...]]:
    """Every count and instant of a claim, in one row."""
    mailbox: Any = bindparam("mailbox")
    date: Any = bindparam("date")
    provider: Any = bindparam("provider")
    now, hour_ago = bindparam("now", type_=UtcDateTime()), bindparam("hour_ago", type_=UtcDateTime())
    hour_elapsed = bindparam("hour_elapsed", type_=UtcDateTime())
    # The few tests of the date, by the slots' unique key (ledger/tests): they are of no day and no lane.
    of_date = and_(slots.c.mailbox_id == mailbox, slots.c.date == date, slots.c.number < 0)
    tests = select(slots.c.id).where(of_date)
    went = and_(outcomes.c.mailbox_id == mailbox, outcomes.c.date == date, outcomes.c.outcome.in_(COUNTED))
    went &= outcomes.c.slot_id.not_in(tests)
    flies = and_(flights.c.mailbox_id == mailbox, flights.c.date == date, flights.c.slot_id.not_in(tests))
    recent = and_(
        outcomes.c.account_id == bindparam("account_id"), outcomes.c.at > hour_elapsed, outcomes.c.outcome.in_(COUNTED)
    )
    just_now = and_(recent, outcomes.c.at > bindparam("minute_ago", type_=UtcDateTime()))
    fell_due = and_(slots.c.mailbox_id == mailbox, slots.c.due_at > hour_ago, slots.c.due_at <= now)
    for_this = or_(holds.c.provider == "", holds.c.provider == provider)
    of_account = and_(holds.c.account_id == bindparam("account_id"), holds.c.domain == "", holds.c.server == "")
    for_us = or_(of_account, holds.c.domain == bindparam("domain"), holds.c.server == bindparam("server"))
    held = and_(holds.c.until > now, for_this, for_us)
    good = and_(own_readings.c.mailbox_id == mailbox, own_readings.c.ok)
    last_good = select(own_readings.c.at).where(good).order_by(own_readings.c.at.desc()).limit(1)
    tried = select(func.max(attempts.c.ordinal)).where(attempts.c.slot_id == bindparam("slot"))
    return select(
        *_named("account", OF_ACCOUNT.counts()),
        *_named("domain", OF_DOMAIN.counts()),
        _count(outcomes, went).label("day_went"),
        _count(flights, flies).label("day_flies"),
        _count(outcomes, and_(went, outcomes.c.provider == provider)).label("lane_went"),
        _count(flights, and_(flies, flights.c.provider == provider)).label("lane_flies"),
        _count(outcomes, recent).label("hour_went"),
        select(func.min(outcomes.c.at)).where(recent).scalar_subquery().label("hour_oldest"),
        _count(outcomes, just_now).label("minute_went"),
        select(func.min(outcomes.c.at)).where(just_now).scalar_subquery().label("minute_oldest"),
        _count(slots, fell_due).label("hour_due"),
        select(func.max(holds.c.until)).where(held).scalar_subquery().label("held_until"),
        select(installation.c.restored_at).where(installation.c.id == 1).scalar_subquery().label("restored_at"),
        last_good.scalar_subquery().label("own_reading_at"),
        tried.scalar_subquery().label("tried"),
    )


def _named(whose: str, counts: tuple[ScalarSelect[int], ...]) -> list[ColumnElement[int]]:
    return [
        count.label(f"{whose}_{name}") for name, count in zip(("ours", "own", "kept", "flies"), counts, strict=True)
    ]


def _planned() -> Select[*tuple[Any, ...]]:
    """What was planned for a slot's date and lane, and its recipient's state."""
    on = and_(days.c.mailbox_id == slots.c.mailbox_id, days.c.date == slots.c.date)
    lane = and_(
        lane_days.c.mailbox_id == slots.c.mailbox_id,
        lane_days.c.date == slots.c.date,
        lane_days.c.provider == slots.c.provider,
    )
    return (
        select(
            mailboxes.c.removed_at,
            mailboxes.c.paused_by,
            mailboxes.c.verified_at,
            days.c.target.label("day_target"),
            lane_days.c.target,
            lane_days.c.standing,
            suppressions.c.address.label("suppressed"),
        )
        .select_from(slots)
        .join(mailboxes, mailboxes.c.id == slots.c.recipient_id)
        .outerjoin(suppressions, suppressions.c.address == mailboxes.c.address_key)
        .outerjoin(days, on)
        .outerjoin(lane_days, lane)
        .where(slots.c.id == bindparam("slot"))
    )


def _judged() -> Select[str, float]:
    """The last judgements of a lane, its mailbox and its domain."""

    def head(kind: Subject, subject: str, provider: Any) -> ColumnElement[bool]:
        return and_(
            standing_heads.c.subject_kind == kind.value,
            standing_heads.c.subject == bindparam(subject),
            standing_heads.c.provider == provider,
        )

    lane: Any = bindparam("provider")
    heads = or_(
        head(Subject.LANE, "address", lane),
        head(Subject.MAILBOX, "address", ""),
        head(Subject.DOMAIN, "domain", ""),
        head(Subject.DOMAIN, "domain", lane),
    )
    last = standings.c.id == standing_heads.c.standing_id
    return select(standings.c.standing, standings.c.factor).join(standing_heads, last).where(heads)


_FACTS: Final = Prepared(_facts())
_PLANNED: Final = Prepared(_planned())
_JUDGED: Final = Prepared(_judged())
CLAIM_QUERIES: Final = (_facts(), _planned(), _judged())


def _asked(slot: Slot, sender: Mailbox, now: datetime, rules: Rules) -> dict[str, Any]:
    return {
        "slot": slot.id,
        "mailbox": slot.mailbox_id,
        "account_id": sender.account_id,
        "domain": sender.domain,
        "server": account_key(sender.smtp.host, sender.username)[0],
        "date": slot.date,
        "provider": slot.provider,
        "now": now,
        # What fell due in the last hour of the clock, which is a normal one, and what went in the hour that elapsed.
        "hour_ago": now - HOUR,
        "minute_ago": rules.leaps.ago(now, MINUTE),
        "hour_elapsed": rules.leaps.ago(now, HOUR),
        "since": rules.leaps.ago(now, DAY + rules.margin),
        "own_since": rules.leaps.ago(now, DAY),
    }


def _held_until(connection: Connection, said: Row, now: datetime, leaps: Leaps) -> datetime | None:
    restore = hold_of_restore(connection, now=now, leaps=leaps) if said["restored_at"] is not None else None
    found = [said["held_until"], restore.until if restore else None]
    return max((until for until in found if until is not None), default=None)


def _lane(connection: Connection, planned: Row, slot: Slot, sender: Mailbox, *, sent: int) -> LaneDay:
    if planned["standing"] is None:
        # A lane that was never planned has no room: doubt brakes.
        standing, factor, target = Standing.HALTED, 0.0, 0
    else:
        standing, target = Standing(planned["standing"]), planned["target"]
        # The recorded factor holds the day's growth too; what a brake since then takes goes by the standings alone.
        factor = kept(standing)
    whose = {"address": sender.address, "domain": sender.domain, "provider": slot.provider}
    judged = _JUDGED.all(connection, whose)
    return LaneDay(
        standing_planned=standing,
        factor_planned=factor,
        target=target,
        # The worst of the three holds; nothing judged, it stands as it was planned.
        standing_now=worst(Standing(row["standing"]) for row in judged) if judged else standing,
        factor_now=min((row["factor"] for row in judged), default=factor),
        sent=sent,
    )


def _account_wall(connection: Connection, said: Row, sender: Mailbox, *, now: datetime, rules: Rules) -> Wall:
    used = said["account_ours"] + said["account_own"] + said["account_kept"] + said["account_flies"]
    kept = reserve(sender.daily_limit, rules.own_reserve_ratio)
    wall = Wall(used=used, limit=sender.daily_limit, reserve=kept)
    if not wall.is_full or said["account_flies"]:
        return wall
    surplus = used + kept - sender.daily_limit + 1
    room_at = OF_ACCOUNT.room_at(connection, sender.account_id, surplus, now=now, rules=rules)
    return Wall(used=used, limit=sender.daily_limit, reserve=kept, room_at=room_at)


def _domain_wall(connection: Connection, said: Row, sender: Mailbox, *, now: datetime, rules: Rules) -> Wall | None:
    if rules.domain_limit is None:
        return None
    used = said["domain_ours"] + said["domain_own"] + said["domain_kept"] + said["domain_flies"]
    wall = Wall(used=used, limit=rules.domain_limit)
    if not wall.is_full or said["domain_flies"]:
        return wall
    surplus = used - rules.domain_limit + 1
    room_at = OF_DOMAIN.room_at(connection, sender.domain, surplus, now=now, rules=rules)
    return Wall(used=used, limit=rules.domain_limit, room_at=room_at)


def _pace(said: Row, leaps: Leaps) -> Pace:
    oldest = said["hour_oldest"]
    return Pace(
        sent=said["hour_went"] + said["account_flies"],
        due=said["hour_due"],
        room_at=None if oldest is None else leaps.after(oldest, HOUR),
    )


def _rate(said: Row, limit: int) -> Rate:
    oldest = said["minute_oldest"]
    return Rate(
        sent=said["minute_went"] + said["account_flies"],
        limit=limit,
        room_at=None if oldest is None else oldest + MINUTE,
    )


def _last(connection: Connection, slot_id: SlotId) -> LastAttempt | None:
    query = (
        select(attempts.c.ordinal, outcomes.c.outcome, outcomes.c.retry_at)
        .outerjoin(outcomes, outcomes.c.attempt_id == attempts.c.id)
        .where(attempts.c.slot_id == slot_id)
        .order_by(attempts.c.ordinal.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    outcome = None if row.outcome is None else Outcome(row.outcome)
    return LastAttempt(ordinal=row.ordinal, outcome=outcome, retry_at=row.retry_at)
