"""The fleet at a glance, and its totals: one pass over what is current, whatever the number of mailboxes."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, func, select

from warmup.ledger.authentications import read_shares
from warmup.ledger.believed import taken
from warmup.ledger.enrolled import account_key, account_name, mailbox_of
from warmup.ledger.situation import COUNTED
from warmup.ledger.slots import warms
from warmup.ledger.standings import Judged, read_all_standings
from warmup.ledger.store import Store
from warmup.ledger.tables import (
    accounts,
    days,
    flights,
    holds,
    kept_uses,
    mailboxes,
    outcomes,
    own_messages,
    suppressions,
)
from warmup.ledger.totals import Totals, read_totals
from warmup.policy.authentication import Method, Share
from warmup.policy.fate import Cap
from warmup.policy.mailbox import Mailbox
from warmup.policy.quota import DAY
from warmup.policy.standing import Standing, worst


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Nothing is sent until then, to anybody or to one receiving `provider`; `reason` is the server's word.

    `of` is the domain or the server whose mailboxes are all held, None: this one alone.
    """

    provider: str | None
    of: str | None = None
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """One mailbox now. Today is its own civil date; where that is not planned yet, target and sent are 0.

    `day` is the last planned day of its ramp, 0 of none. `sent_24h` counts accepted, uncertain and in flight of the
    account, `own_24h` the operator's own besides. `standing` is the worst of its lanes, itself and its domain.
    `suppressed` is why nobody writes to it, `holds` what holds its sending now, `authentication` how its messages fared
    lately, by receiving provider.
    """

    mailbox: Mailbox
    account: str
    day: int
    target_today: int
    sent_today: int
    capped_by: Cap | None
    reason: str
    sent_24h: int
    own_24h: int
    judged: Judged
    problem_at: datetime | None
    suppressed: str | None = None
    holds: tuple[Held, ...] = ()
    authentication: Mapping[str, Mapping[Method, Share]] = field(default_factory=dict)

    @property
    def standing(self) -> Standing | None:
        """The worst of what was judged; None where nothing was. Of whom nothing is known is no better than watched."""
        mine = [one.standing for one in (*self.judged.lanes.values(), self.judged.mailbox) if one]
        house = [self.judged.domain.standing] if self.judged.domain else []
        return worst((*mine, *house, *(() if mine else (Standing.WATCHED,)))) if mine or house else None


class StatusReader:
    """Reads the fleet as it stands."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def fleet(self, *, now: datetime) -> tuple[Overview, ...]:
        """Every enrolled mailbox, by address."""
        return await self._store.read(_fleet, now=now)

    async def totals(self) -> Totals:
        """Counts over the whole history."""
        return await self._store.read(read_totals)


def _fleet(connection: Connection, *, now: datetime) -> tuple[Overview, ...]:
    uses = _Uses.read(connection, now)
    judged = read_all_standings(connection)
    sent = _sent_by_date(connection, now)
    held = connection.execute(select(holds).where(holds.c.until > now).order_by(holds.c.until)).mappings().all()
    vouched: defaultdict[int, dict[str, Mapping[Method, Share]]] = defaultdict(dict)
    for (mailbox_id, provider), found_shares in read_shares(connection, now).items():
        vouched[mailbox_id][provider] = found_shares
    found = []
    for row in connection.execute(fleet_query(now)).mappings():
        mailbox = mailbox_of(row)
        today = now.astimezone(mailbox.zone).date()
        is_today = row["plan_date"] == today
        found.append(
            Overview(
                mailbox=mailbox,
                account=account_name(row["account_host"], row["account_user"]),
                day=row["plan_day"] or 0,
                target_today=row["plan_target"] if is_today else 0,
                sent_today=sent[mailbox.id, today],
                capped_by=Cap(row["capped_by"]) if is_today and row["capped_by"] else None,
                reason=row["plan_reason"] if is_today else "",
                sent_24h=uses.ours[mailbox.account_id],
                own_24h=uses.own[mailbox.account_id],
                judged=judged.of(mailbox.id, mailbox.domain),
                problem_at=row["problem_at"],
                suppressed=row["suppressed"],
                holds=_holds(held, mailbox),
                authentication=vouched[mailbox.id],
            )
        )
    return tuple(sorted(found, key=lambda overview: overview.mailbox.address))


def fleet_query(now: datetime) -> Select[*tuple[Any, ...]]:
    """Enrolled mailboxes with their last planned day."""
    # No zone is more than a day ahead of UTC.
    planned = days.alias("planned")
    last = (
        select(func.max(planned.c.date))
        .where(planned.c.mailbox_id == mailboxes.c.id, planned.c.date <= (now + timedelta(days=1)).date())
        .scalar_subquery()
    )
    return (
        select(
            mailboxes,
            accounts.c.smtp_host.label("account_host"),
            accounts.c.username.label("account_user"),
            days.c.date.label("plan_date"),
            days.c.day.label("plan_day"),
            days.c.target.label("plan_target"),
            days.c.capped_by,
            days.c.reason.label("plan_reason"),
            suppressions.c.reason.label("suppressed"),
        )
        .join(accounts, accounts.c.id == mailboxes.c.account_id)
        .outerjoin(days, and_(days.c.mailbox_id == mailboxes.c.id, days.c.date == last))
        .outerjoin(suppressions, suppressions.c.address == mailboxes.c.address_key)
        .where(mailboxes.c.removed_at.is_(None))
    )


def _holds(held: Sequence[RowMapping], mailbox: Mailbox) -> tuple[Held, ...]:
    """The longest hold on all its sending and on each of its lanes; the few of the fleet are `held`, by their ends."""
    server, _ = account_key(mailbox.smtp.host, mailbox.username)
    found = {}
    for row in held:
        is_of_account = row["account_id"] == mailbox.account_id and not row["domain"] and not row["server"]
        if is_of_account or row["domain"] == mailbox.domain or row["server"] == server:
            of = row["domain"] or row["server"] or None
            found[row["provider"]] = Held(
                provider=row["provider"] or None, of=of, until=row["until"], reason=row["reason"]
            )
    return tuple(found[lane] for lane in sorted(found))


def _sent_by_date(connection: Connection, now: datetime) -> Counter[tuple[int, date]]:
    """Messages believed accepted of the dates that are today somewhere, by mailbox and date."""
    around = [(now + timedelta(days=shift)).date() for shift in (-1, 0, 1)]
    query = (
        select(outcomes.c.mailbox_id, outcomes.c.date, func.count(outcomes.c.slot_id.distinct()).label("n"))
        .where(outcomes.c.date.in_(around), taken(), warms(outcomes.c.slot_id))
        .group_by(outcomes.c.mailbox_id, outcomes.c.date)
    )
    return Counter({(row.mailbox_id, row.date): row.n for row in connection.execute(query)})


@dataclass(frozen=True, slots=True)
class _Uses:
    """What every account used in the last 24 hours."""

    ours: Counter[int]
    own: Counter[int]

    @classmethod
    def read(cls, connection: Connection, now: datetime) -> "_Uses":
        counted = and_(outcomes.c.at > now - DAY, outcomes.c.outcome.in_(COUNTED))
        ours = _by_account(connection, outcomes.c.account_id, counted)
        ours += _by_account(connection, flights.c.account_id, None)
        ours += _by_account(connection, kept_uses.c.account_id, kept_uses.c.at > now - DAY)
        return cls(ours, _by_account(connection, own_messages.c.account_id, own_messages.c.at > now - DAY))


def _by_account(connection: Connection, account: Any, which: ColumnElement[bool] | None) -> Counter[int]:
    query = select(account.label("account"), func.count().label("n")).group_by(account)
    rows = connection.execute(query if which is None else query.where(which))
    return Counter({row.account: row.n for row in rows})
