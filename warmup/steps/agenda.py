"""What is due now, and when something is due next. Asks the ledger, decides nothing else.

Sends and looks are read from the ledger's indexes, so that asking costs what is due. Plans and judgements go by the
fleet, which is small and changes rarely: it is read again every `REFRESH_SECONDS` of real time, or when asked to.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from warmup.policy.mailbox import Mailbox, MailboxId
from warmup.policy.window import date_of
from warmup.steps.circle import Circle
from warmup.steps.step import Step

REFRESH_SECONDS = 30.0

JUDGED_EVERY = timedelta(hours=6)
"""Evidence ages without anything happening: this often a mailbox is judged again all the same."""

JUDGED_APART = timedelta(hours=1)
"""News comes message by message; a judgement weighs weeks, and need not be made anew for each."""


WEIGHED_EVERY = timedelta(hours=6)
"""How often the whole fleet is asked what is to blame, for seeds and grammars to be retired before the next date."""

PRUNED_EVERY = timedelta(hours=24)

_NOBODY = MailboxId(0)
"""In whose name the fleet's own work is done."""


class Agenda:
    """What the circle has to do next."""

    def __init__(self, circle: Circle) -> None:
        self._circle = circle
        self._senders: tuple[Mailbox, ...] = ()
        self._planned: dict[MailboxId, date] = {}
        self._judged: dict[MailboxId, datetime] = {}
        self._weighed_at: datetime | None = None
        self._pruned_at: datetime | None = None
        self._read_at: float | None = None

    async def due(self) -> list[tuple[Step, MailboxId]]:
        """What is due at this instant: judgements, retirements, plans, sends, looks, and upkeep last."""
        circle, now = self._circle, self._circle.clock.now()
        await self._refresh()
        judged = await self._to_judge(now)
        lacking = [mailbox for mailbox in self._senders if self._lacks_plan(mailbox, now)]
        for mailbox in lacking:
            self._planned[mailbox.id] = date_of(now, mailbox.zone)
        sends = await circle.ledger.slots.due(now)
        looks = await circle.ledger.sightings.due(now)
        by_step = (
            (Step.JUDGE, judged),
            (Step.RETIRE, self._to_weigh(now)),
            # One pass plans them all, in the name of the first.
            (Step.PLAN, [mailbox.id for mailbox in lacking[:1]]),
            (Step.SEND, sends),
            (Step.OBSERVE, looks),
            (Step.PRUNE, self._to_prune(now)),
        )
        return [(step, mailbox) for step, mailboxes in by_step for mailbox in mailboxes]

    async def next(self) -> datetime | None:
        """The next instant at which a slot, a look or a plan falls due; None where there is nothing to come."""
        now = self._circle.clock.now()
        midnights = [_midnight_after(now, mailbox) for mailbox in self._senders]
        slot = await self._circle.ledger.slots.next_due()
        look = await self._circle.ledger.sightings.next_look()
        return min((instant for instant in (slot, look, *midnights) if instant is not None), default=None)

    def forget(self) -> None:
        """Read the fleet again at the next tick: it was changed, or the configuration was."""
        self._read_at = None

    def put_off(self, work: Iterable[tuple[Step, MailboxId]]) -> None:
        """Ask again for what nobody could take yet: what was given as due counts as done here."""
        for step, mailbox in work:
            if step is Step.JUDGE:
                self._judged.pop(mailbox, None)

    async def _to_judge(self, now: datetime) -> list[MailboxId]:
        """Who has new evidence, or old evidence that has aged; nobody twice within `JUDGED_APART`."""
        due = [fresh.mailbox_id for fresh in await self._circle.ledger.standings.due(now=now, every=JUDGED_EVERY)]
        long_ago = now - JUDGED_APART
        chosen = [each for each in due if each not in self._judged or self._judged[each] <= long_ago]
        self._judged.update(dict.fromkeys(chosen, now))
        return chosen

    def _to_weigh(self, now: datetime) -> list[MailboxId]:
        """The fleet's oldest sender, in the name of all, where the fleet was not asked for a while."""
        if not self._senders or (self._weighed_at is not None and now < self._weighed_at + WEIGHED_EVERY):
            return []
        self._weighed_at = now
        return [min(mailbox.id for mailbox in self._senders)]

    def _to_prune(self, now: datetime) -> list[MailboxId]:
        """Nobody, in the name of all, once a day; soon after a start too, for a daemon that never lives for a day."""
        if self._pruned_at is not None and now < self._pruned_at + PRUNED_EVERY:
            return []
        self._pruned_at = now
        return [_NOBODY]

    async def _refresh(self) -> None:
        elapsed = self._circle.clock.elapsed()
        if self._read_at is not None and elapsed - self._read_at < REFRESH_SECONDS:
            return
        fleet = await self._circle.ledger.mailboxes.list()
        self._senders = tuple(mailbox for mailbox in fleet if mailbox.role.sends)
        self._planned = await self._circle.ledger.history.last_planned()
        self._read_at = elapsed

    def _lacks_plan(self, mailbox: Mailbox, now: datetime) -> bool:
        # A zone that was changed westwards may have today planned already: then the first unplanned date comes next.
        last = self._planned.get(mailbox.id)
        return last is None or last < date_of(now, mailbox.zone)


def _midnight_after(now: datetime, mailbox: Mailbox) -> datetime:
    """When the mailbox's next civil date begins."""
    tomorrow = date_of(now, mailbox.zone) + timedelta(days=1)
    return datetime.combine(tomorrow, time(), tzinfo=mailbox.zone).astimezone(UTC)
