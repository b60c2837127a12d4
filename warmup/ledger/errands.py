"""Messages that a person asks for, to see where they land: slots of kind `test`, recorded and claimed in one step.

A test never waits: its slot, its claim and its attempt are one transaction, or none of them is. So no daemon ever finds
one due, and a verb may send one beside a running daemon: both count in the same ledger, under the same walls. Tests are
numbered downwards from -1, where no plan numbers its slots.
"""

from dataclasses import replace
from datetime import date, datetime

from sqlalchemy import Connection, func, select

from warmup.ledger.attempts import Claimed, Unmarked, claim_one
from warmup.ledger.believed import Landing, Seen, landing
from warmup.ledger.errors import LedgerFailed, LedgerUnsettled
from warmup.ledger.highwater import HighWater, Mark
from warmup.ledger.installation import is_behind, is_shared, read_installation
from warmup.ledger.sightings import Stage
from warmup.ledger.situation import Rules
from warmup.ledger.slots import NewSlot, insert_one
from warmup.ledger.store import Store
from warmup.ledger.tables import mailboxes, sightings, slots
from warmup.policy.fate import Placement
from warmup.policy.mailbox import MailboxId, SlotId
from warmup.policy.quota import Lapse, Wait, may_test


class _NotNow(Exception):
    def __init__(self, answer: Wait | Lapse) -> None:
        super().__init__(answer.reason)
        self.answer = answer


class ErrandWriter:
    """Records tests, through the writers of slots and attempts, and reads where they landed."""

    def __init__(self, store: Store, high_water: HighWater) -> None:
        self._store = store
        self._high_water = high_water

    async def claim(
        self, mailbox_id: MailboxId, new: NewSlot, *, date: date, now: datetime, rules: Rules, node: str
    ) -> Claimed | Wait | Lapse:
        """Record a test with its one attempt, durably, or say why not: then nothing was recorded.

        Its number is chosen here. Raises LedgerUnsettled, LedgerFailed where nothing could be made durable, and
        Unmarked where all but the mark was.
        """
        mark = await self._store.aside(self._high_water.read)
        try:
            claimed, raised = await self._store.write(
                _claim, mailbox_id, new, mark, date=date, now=now, rules=rules, node=node
            )
        except _NotNow as refusal:
            return refusal.answer
        try:
            await self._store.aside(self._high_water.raise_to, raised)
        except LedgerFailed as failure:
            raise Unmarked(claimed, failure) from failure
        return claimed

    async def landed(self, slot_id: SlotId) -> Landing | None:
        """Where its message was seen, by whoever looked; None as long as nobody saw it."""
        return await self._store.read(_landed, slot_id)


def _claim(
    connection: Connection,
    mailbox_id: MailboxId,
    new: NewSlot,
    mark: Mark | None,
    *,
    date: date,
    now: datetime,
    rules: Rules,
    node: str,
) -> tuple[Claimed, Mark]:
    # The mark was read before this transaction began, and its attempts were durable before it: it is never ahead.
    if not is_behind(mark, read_installation(connection), shared=is_shared(connection)):
        raise LedgerUnsettled
    account = connection.execute(select(mailboxes.c.account_id).where(mailboxes.c.id == mailbox_id)).scalar_one()
    of_date = (slots.c.mailbox_id == mailbox_id) & (slots.c.date == date)
    lowest = connection.execute(select(func.min(slots.c.number)).where(of_date)).scalar() or 0
    fixed = {"mailbox_id": mailbox_id, "account_id": account, "date": date, "planned_at": now}
    slot_id = insert_one(connection, replace(new, number=min(lowest, 0) - 1), fixed)
    answer = claim_one(connection, slot_id, now=now, rules=rules, node=node, judge=may_test)
    match answer:
        case Wait() | Lapse():
            raise _NotNow(answer)
        case _:
            return answer


def _landed(connection: Connection, slot_id: SlotId) -> Landing | None:
    query = select(sightings).where(sightings.c.slot_id == slot_id).order_by(sightings.c.id)
    return landing(
        [
            Seen(stage=Stage(row.stage), placement=Placement(row.placement), at=row.at, folder=row.folder)
            for row in connection.execute(query)
        ]
    )
