"""What `--engage` allows on our own warmup messages: read them, rescue them from junk, file them, expire them.

The sighting was committed before; every action is an intent row first, then done, then ended. After a crash an intent
is done again, which changes nothing where its end state is there: a UID never comes to mean another message under one
UIDVALIDITY, and a message looked for by its id is believed only by its signature, sender and recipient, as any sighting
is. Control seeds are never engaged with. Foreign mail is never flagged, moved or deleted.
"""

from datetime import datetime, timedelta
from typing import assert_never

import structlog

from warmup.ledger.engagements import Held, Intent, Place, Result
from warmup.mail import identity
from warmup.mail.header import parse_header_block
from warmup.policy.fate import Action, Placement
from warmup.policy.mailbox import Mailbox, Role
from warmup.steps.circle import Circle
from warmup.wire.errors import CommandRefused
from warmup.wire.imap import ImapSession

log = structlog.get_logger("engage")

FRESH = timedelta(hours=48)
"""How long after its sighting a message is still read or rescued."""

SWEPT_EVERY = timedelta(hours=6)

LONGEST_EXPIRY = timedelta(days=30)
"""How far behind its expiry a message is still looked for."""


async def engage(mailbox: Mailbox, session: ImapSession, circle: Circle, *, news: bool) -> None:
    """Mean what is to be done now, and do what is meant. Raises WireError where the session broke.

    Without `news` only what time alone brings about is looked for, every `SWEPT_EVERY`, and what a crash left undone.
    """
    now = circle.clock.now()
    last = circle.swept.get(mailbox.id)
    sweep = last is None or now - last > SWEPT_EVERY
    if mailbox.role is Role.CONTROL or not (news or sweep):
        return
    todo = await _fresh(mailbox, now, circle) + (await _aged(mailbox, now, circle) if sweep else [])
    circle.swept[mailbox.id] = now
    for action, held in todo:
        await circle.ledger.engagements.intend(held.slot.id, action, mailbox_id=mailbox.id, now=now)
    for intent in await circle.ledger.engagements.pending(mailbox.id):
        try:
            result = await _do(intent, mailbox, session, circle)
        except CommandRefused as refusal:
            log.warning("refused", mailbox=mailbox.id, action=intent.action.value, error=str(refusal))
            result = Result.FAILED
        await circle.ledger.engagements.end(intent.id, result, now=circle.clock.now())
        log.info("engaged", slot=intent.slot.id, mailbox=mailbox.id, action=intent.action.value, result=result.value)


async def _fresh(mailbox: Mailbox, now: datetime, circle: Circle) -> list[tuple[Action, Held]]:
    """What came in: to be read where it lies in the inbox, to be rescued where it lies in junk."""
    lacking, soon = circle.ledger.engagements.lacking, now + timedelta(microseconds=1)
    seen = await lacking(mailbox.id, Action.SEEN, since=now - FRESH, until=soon)
    junk = await lacking(mailbox.id, Action.RESCUE, since=now - FRESH, until=soon)
    todo = [(Action.SEEN, held) for held in seen if held.placement is not Placement.SPAM]
    return todo + [(Action.RESCUE, held) for held in junk if held.placement is Placement.SPAM]


async def _aged(mailbox: Mailbox, now: datetime, circle: Circle) -> list[tuple[Action, Held]]:
    """What has lain long enough to be filed, or to be deleted."""
    settings, lacking = circle.settings.engage, circle.ledger.engagements.lacking
    todo: list[tuple[Action, Held]] = []
    if settings.folder:
        until = now - timedelta(hours=settings.file_after_hours)
        todo += [
            (Action.FILE, held) for held in await lacking(mailbox.id, Action.FILE, since=until - FRESH, until=until)
        ]
    until = now - timedelta(days=settings.expire_after_days)
    expired = await lacking(mailbox.id, Action.EXPIRE, since=until - LONGEST_EXPIRY, until=until)
    return todo + [(Action.EXPIRE, held) for held in expired]


async def _do(intent: Intent, mailbox: Mailbox, session: ImapSession, circle: Circle) -> Result:
    """Bring about the intent's end state; GONE where the message is not to be found."""
    folder = circle.settings.engage.folder
    inbox, junk = "INBOX", mailbox.junk_folder
    match intent.action:
        case Action.SEEN:
            uid = await _find(intent, inbox, session, circle)
            if uid is not None:
                await session.mark_seen((uid,))
        case Action.RESCUE:
            uid = await _find(intent, junk, session, circle) if junk else None
            if uid is not None:
                await session.move((uid,), inbox)
            elif await _find(intent, inbox, session, circle) is not None:
                return Result.DONE
        case Action.FILE:
            uid = await _find(intent, inbox, session, circle)
            if uid is not None:
                await _make(folder, session)
                await session.select(inbox)
                await session.move((uid,), folder)
        case Action.EXPIRE:
            uid = await _expire(intent, mailbox, session, circle)
        case _:
            assert_never(intent.action)
    return Result.DONE if uid is not None else Result.GONE


async def _expire(intent: Intent, mailbox: Mailbox, session: ImapSession, circle: Circle) -> int | None:
    places = [name for name in (circle.settings.engage.folder, "INBOX", mailbox.junk_folder) if name]
    for place in places:
        uid = await _find(intent, place, session, circle)
        if uid is not None:
            await session.delete((uid,), mailbox.trash_folder)
            return uid
    return None


async def _make(folder: str, session: ImapSession) -> None:
    if not any(known.name == folder for known in await session.folders()):
        await session.create(folder)


async def _find(intent: Intent, folder: str, session: ImapSession, circle: Circle) -> int | None:
    """The message's UID in `folder`, which is then selected; None where it does not lie there, or no such folder is."""
    try:
        state = await session.select(folder)
    except CommandRefused:
        return None
    if _is_there(intent.place, folder, state.uidvalidity):
        assert intent.place is not None
        return intent.place.uid  # it was believed when it was sighted there, and a UID keeps its message
    for name, said in _searched(intent, circle):
        for uid in await session.search_header(name, said):
            if await _is_ours(uid, intent, session, circle):
                return uid
    return None


def _searched(intent: Intent, circle: Circle) -> list[tuple[str, str]]:
    """The fields the message is looked for by: its id, and the identity header where a server rewrote that."""
    name, token = circle.settings.identity.header, identity.read(intent.slot.message_id)
    by_id = [("Message-ID", intent.slot.message_id)]
    return [*by_id, (name, token)] if name and token else by_id


def _is_there(place: Place | None, folder: str, uidvalidity: int) -> bool:
    return place is not None and place.folder == folder and place.uidvalidity == uidvalidity


async def _is_ours(uid: int, intent: Intent, session: ImapSession, circle: Circle) -> bool:
    """True where the message at `uid` bears the slot's own signed id and comes from its sender."""
    sender = await circle.mailbox(intent.slot.mailbox_id)
    name = circle.settings.identity.header
    async for batch in session.headers_after(uid - 1, ("Message-ID", "From", *([name] if name else [])), batch=1):
        row = batch[0]
        header = parse_header_block(row.header, identity_header=name or None)
        tokens = {identity.read(said) for said in (header.identity, header.message_id) if said}
        known = identity.read(intent.slot.message_id)
        signed = known is not None and known in tokens
        return row.uid == uid and signed and header.from_address == sender.address.lower()
    return False
