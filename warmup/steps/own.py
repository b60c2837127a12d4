"""The operator's own traffic: what is in Sent and does not carry our id, so that the limit holds for both together.

Counted by UID, date and id alone; the folder is opened read-only. A mailbox without a Sent folder has nothing to read,
and that is kept too: its own traffic cannot be seen. A reading that failed holds the mailbox after a while (promise 2).
"""

from datetime import datetime, timedelta

from warmup.ledger.cursors import Cursor
from warmup.ledger.own import OwnMessage
from warmup.mail import identity
from warmup.mail.address import domain_of
from warmup.mail.header import Header, parse_header_block
from warmup.policy.mailbox import Mailbox, Protocol
from warmup.steps.circle import Circle
from warmup.steps.trouble import door_opened, door_shut, is_left_alone
from warmup.wire.errors import WireError
from warmup.wire.imap import FolderState, ImapSession
from warmup.wire.imap_fetch import Header as FetchedHeader

FIELDS = ("Message-ID", "From")
WINDOW = timedelta(hours=24)


async def read_own_traffic(mailbox: Mailbox, circle: Circle, *, last: datetime | None) -> None:
    """Read Sent if the `last` good reading has lived half its life. Trouble is noted, never raised."""
    now = circle.clock.now()
    fresh = timedelta(minutes=circle.settings.limits.own_fresh_minutes)
    if last is not None and now - last < fresh / 2:
        return
    if mailbox.sent_folder is None:
        await circle.ledger.own.none_to_read(mailbox.id, now=now)
        return
    if await is_left_alone(mailbox, Protocol.IMAP, circle):
        return
    try:
        async with circle.doors.imap(mailbox) as session:
            await door_opened(mailbox, Protocol.IMAP, circle)
            await _read(mailbox, mailbox.sent_folder, session, circle)
    except WireError as error:
        await door_shut(mailbox, Protocol.IMAP, error, circle)
        await circle.ledger.own.failed(mailbox.id, str(error), now=now)


async def _read(mailbox: Mailbox, folder: str, session: ImapSession, circle: Circle) -> None:
    state = await session.examine(folder)
    known = await circle.ledger.own.cursor(mailbox.id, folder)
    last_uid = known.last_uid if known and known.uidvalidity == state.uidvalidity else _first_uid(mailbox, state)
    found: list[OwnMessage] = []
    header = circle.settings.identity.header
    if state.exists and (state.uidnext is None or state.uidnext > last_uid + 1):
        async for batch in session.headers_after(last_uid, (*FIELDS, header) if header else FIELDS):
            found += await _foreign(batch, mailbox, circle)
            last_uid = batch[-1].uid
    cursor = Cursor(folder=folder, uidvalidity=state.uidvalidity, last_uid=last_uid)
    await circle.ledger.own.record(mailbox.id, found, cursor=cursor, now=circle.clock.now())


def _first_uid(mailbox: Mailbox, state: FolderState) -> int:
    """Where to begin in a folder never read before: UIDs rise, and more than the limit was not sent in 24 hours."""
    return max(0, (state.uidnext or 1) - 1 - 2 * mailbox.daily_limit)


async def _foreign(batch: tuple[FetchedHeader, ...], mailbox: Mailbox, circle: Circle) -> list[OwnMessage]:
    """The last 24 hours' messages that are none of ours: what we cannot prove to have sent is the operator's."""
    now, name = circle.clock.now(), circle.settings.identity.header or None
    recent: list[tuple[OwnMessage, frozenset[str]]] = []
    for row in batch:
        at = _filed_at(row, now, circle)
        if at > now - WINDOW:
            ids = _claimed_ids(parse_header_block(row.header, identity_header=name), mailbox)
            recent.append((OwnMessage(uid=row.uid, at=at), ids))
    claimed = await circle.ledger.sightings.by_message_id({each for _, ids in recent for each in ids})
    ours = {message_id for message_id, slot in claimed.items() if slot.mailbox_id == mailbox.id}
    return [message for message, ids in recent if not ids & ours]


def _filed_at(row: FetchedHeader, now: datetime, circle: Circle) -> datetime:
    """When the message was filed in ledger time; now where the server does not say, or says a time to come."""
    return min(now, circle.clock.from_server(row.internaldate)) if row.internaldate else now


def _claimed_ids(header: Header, mailbox: Mailbox) -> frozenset[str]:
    """The message ids of ours that the header claims to bear."""
    tokens = (identity.read(said) for said in (header.identity, header.message_id) if said)
    return frozenset(identity.message_id(token, domain_of(mailbox.address)) for token in tokens if token)
