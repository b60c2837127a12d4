"""Where did it land? One look at a mailbox's folders for the messages that are awaited there.

Gather: what is awaited, and the header fields of what came in since the last look. Decide: which of it is ours (the
signed id holds, this mailbox is the expected recipient, From agrees), what its receiver said of its authentication, and
which awaited messages are missing. Apply: reports on what this mailbox sent (steps/report), then the sightings and the
cursor in one transaction a batch, and only then any `--engage` action. What was found is kept before a server is asked
for anything more: a deferral that comes meanwhile must find it. How far nothing was found is kept with the look's end.

Folders are opened read-only; of foreign messages a handful of header fields is read and forgotten. A look that failed
says nothing: what was awaited is awaited again, and becomes `unobserved` a day after its deadline.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

import structlog

from warmup.ledger.cursors import Cursor
from warmup.ledger.sightings import NewSighting, NextLook, Stage, Watch
from warmup.mail import identity
from warmup.mail.address import domain_of
from warmup.mail.authres import read_auth_results
from warmup.mail.header import Header, parse_header_block
from warmup.policy.attention import next_look, second_look
from warmup.policy.authentication import Method, Receiver, results_of
from warmup.policy.fate import Kind, Placement
from warmup.policy.mailbox import Mailbox, MailboxId, Protocol, SlotId
from warmup.steps import report
from warmup.steps.circle import Circle
from warmup.steps.engage import engage
from warmup.steps.proof import look_for_proof
from warmup.steps.report import Found
from warmup.steps.trouble import door_opened, door_shut, is_left_alone
from warmup.wire.errors import WireError
from warmup.wire.imap import FolderState, ImapSession
from warmup.wire.imap_fetch import Header as FetchedHeader

log = structlog.get_logger("observe")

FIELDS = ("Message-ID", "From", "Authentication-Results", *report.FIELDS)
"""What is read of any message, besides the identity header. Never a subject, never a body."""

MOST_AT_FIRST = 2000
"""How many of the last messages are read in a folder never looked into: ours are younger than that."""

UNOBSERVED_AFTER = timedelta(hours=24)
"""How long after its deadline a message is still looked for where looking fails."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A folder that is looked into, and what it means to be found there."""

    name: str
    placement: Placement


def watched(mailbox: Mailbox) -> tuple[Watched, ...]:
    """The inbox and the junk folder: the two places a receiver chooses between."""
    inbox = (Watched("INBOX", Placement.INBOX),)
    return inbox + ((Watched(mailbox.junk_folder, Placement.SPAM),) if mailbox.junk_folder else ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """Some messages of a folder, as far as they are read."""

    folder: Watched
    state: FolderState
    rows: tuple[FetchedHeader, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What was found among some messages of a folder, how far it was read by it, and what was awaited then."""

    found: tuple[NewSighting, ...]
    cursor: Cursor
    awaited: Mapping[str, Watch]


async def observe(mailbox_id: MailboxId, circle: Circle) -> None:
    """Look once. Servers that cannot be reached or refuse are noted as a failed look, never raised."""
    turn = await circle.ledger.turns.to_look(mailbox_id)
    mailbox, empty = turn.mailbox, cast("Batch | None", None)
    if await is_left_alone(mailbox, Protocol.IMAP, circle):
        return
    began, now = circle.clock.elapsed(), circle.clock.now()
    try:
        async with circle.doors.imap(mailbox) as session:
            await door_opened(mailbox, Protocol.IMAP, circle)
            news = False
            async for fetched in look(mailbox, turn.cursors, session, circle):
                if empty is not None:
                    await keep(empty, mailbox, circle)
                    empty = None
                batch = await weigh(fetched, mailbox, session, circle)
                if batch.found:
                    news |= bool(await keep(batch, mailbox, circle))
                else:
                    empty = batch
            awaited = await _end(mailbox, empty, circle, now=circle.clock.now())
            empty = None
            if mailbox.engage and not circle.dry_run:
                await engage(mailbox, session, circle, news=news)
        was_read = True
    except WireError as error:
        await door_shut(mailbox, Protocol.IMAP, error, circle)
        awaited = await _end(mailbox, empty, circle, now=now, error=str(error))
        was_read = False
    circle.process.imap_check.observe(circle.clock.elapsed() - began)
    await _conclude(mailbox_id, awaited, now, circle, was_read=was_read)


async def _end(
    mailbox: Mailbox, empty: Batch | None, circle: Circle, *, now: datetime, error: str | None = None
) -> tuple[Watch, ...]:
    """Keep that a look is over, and how far it read last; what is awaited at the mailbox still."""
    cursor = empty.cursor if empty else None
    return await circle.ledger.sightings.looked(mailbox.id, "", now=now, error=error, cursor=cursor)


async def look(
    mailbox: Mailbox, known: Mapping[str, Cursor], session: ImapSession, circle: Circle
) -> AsyncIterator[Fetched]:
    """Fetch what is new in every watched folder since `known`, batch by batch. Raises WireError."""
    header = circle.settings.identity.header
    fields = (*FIELDS, header) if header else FIELDS
    for folder in watched(mailbox):
        state = await session.examine(folder.name)
        last_uid = _begun(known.get(folder.name), state)
        if state.exists and (state.uidnext is None or state.uidnext > last_uid + 1):
            async for rows in session.headers_after(last_uid, fields):
                yield Fetched(folder=folder, state=state, rows=rows)


async def weigh(fetched: Fetched, mailbox: Mailbox, session: ImapSession, circle: Circle) -> Batch:
    """What is in a batch, of which nothing is kept yet but reports. Raises WireError."""
    # Asked after the fetch: what lies in the batch was claimed before it, and what is in flight is awaited too.
    awaited = {watch.message_id: watch for watch in await circle.ledger.sightings.awaited(mailbox.id)}
    read = _read(fetched.rows, fetched.state, circle)
    found = _ours(read, fetched.folder, mailbox, awaited, circle)
    await look_for_proof(read, mailbox, awaited, circle)
    found = await _in_promotions(found, session)
    # Before the cursor passes them: a report is kept once however often it is read, but has to be read.
    await report.bring_home(read, mailbox, session, circle)
    state = fetched.state
    cursor = Cursor(folder=fetched.folder.name, uidvalidity=state.uidvalidity, last_uid=fetched.rows[-1].uid)
    return Batch(found=tuple(found), cursor=cursor, awaited=awaited)


async def keep(batch: Batch, mailbox: Mailbox, circle: Circle) -> tuple[SlotId, ...]:
    """Keep what was found, durably; the slots of which it was news."""
    now = circle.clock.now()
    new = await circle.ledger.sightings.record(mailbox.id, batch.found, now=now, cursor=batch.cursor)
    _say(new, batch, now, circle)
    return new


def _begun(known: Cursor | None, state: FolderState) -> int:
    """The last UID that need not be read."""
    if known is None:
        return max(0, state.uidnext - 1 - MOST_AT_FIRST)
    return known.last_uid if known.uidvalidity == state.uidvalidity else 0


def _read(batch: tuple[FetchedHeader, ...], state: FolderState, circle: Circle) -> list[Found]:
    """A batch as far as it is read, and where it lies."""
    name, now = circle.settings.identity.header or None, circle.clock.now()
    return [
        Found(
            folder=state.name,
            uidvalidity=state.uidvalidity,
            uid=row.uid,
            filed_at=min(now, circle.clock.from_server(row.internaldate)) if row.internaldate else None,
            header=parse_header_block(row.header, identity_header=name),
        )
        for row in batch
    ]


def _ours(
    read: Sequence[Found], folder: Watched, mailbox: Mailbox, awaited: Mapping[str, Watch], circle: Circle
) -> list[NewSighting]:
    """The awaited messages of ours among them, as sightings."""
    found = []
    for each in read:
        header = each.header
        watch = believed(header, mailbox, awaited, circle.key)
        if watch is None or (watch.stage is Stage.SECOND and folder.placement is not Placement.SPAM):
            continue
        again = None
        if watch.stage is Stage.FIRST:
            now, within = circle.clock.now(), timedelta(hours=circle.settings.observe.second_look_hours)
            look_at = second_look(now, now, within=within)
            again = NextLook(look_at=look_at, deadline_at=now + within) if look_at else None
        found.append(
            NewSighting(
                slot_id=watch.slot_id,
                stage=watch.stage,
                placement=folder.placement,
                folder=folder.name,
                uidvalidity=each.uidvalidity,
                uid=each.uid,
                delivered_at=each.filed_at,
                message_id=header.message_id if header.message_id != watch.message_id else None,
                again=again,
                vouched=_vouched(header, mailbox, circle) if _is_first_of_ours(watch) else {},
            )
        )
    return found


def _is_first_of_ours(watch: Watch) -> bool:
    # What a provider says of a message to itself says nothing of the others.
    return watch.stage is Stage.FIRST and watch.slot.kind is not Kind.TEST


def believed(header: Header, mailbox: Mailbox, awaited: Mapping[str, Watch], key: bytes) -> Watch | None:
    """The watch a message answers, if it is ours: awaited here, sent by whom From names, and signed for both."""
    if header.from_address is None:
        return None
    for said in (header.identity, header.message_id):
        token = identity.read(said) if said else None
        if token is None:
            continue
        watch = awaited.get(identity.message_id(token, domain_of(header.from_address)))
        if watch is None or watch.sender.lower() != header.from_address:
            continue
        if identity.believed(key, token, sender=watch.sender, recipient=mailbox.address) is not None:
            return watch
    return None


def _vouched(header: Header, mailbox: Mailbox, circle: Circle) -> dict[Method, str]:
    """What the mailbox's own provider said of the message's authentication."""
    receiver = Receiver(
        provider=mailbox.receiver,
        domain=mailbox.domain,
        imap_host=mailbox.imap.host,
        registrable=circle.providers.registrable,
    )
    return results_of([read_auth_results(field) for field in header.auth_results], receiver)


async def _in_promotions(found: list[NewSighting], session: ImapSession) -> list[NewSighting]:
    """The same sightings, with what Gmail shows under Promotions told apart where the server can tell."""
    inbox = {sighting.uid for sighting in found if sighting.placement is Placement.INBOX and sighting.uid}
    shown = await session.in_promotions(sorted(inbox)) if inbox else None
    if not shown:
        return found
    return [
        replace(sighting, placement=Placement.PROMOTIONS) if sighting.uid in shown else sighting for sighting in found
    ]


async def _conclude(
    mailbox_id: MailboxId, awaited: Sequence[Watch], now: datetime, circle: Circle, *, was_read: bool
) -> None:
    """What was due and not found: missing after its deadline, given up where nothing could be read, else again."""
    due = [watch for watch in awaited if watch.look_at <= now]

    verdicts = [_verdict(watch, now, circle, was_read=was_read) for watch in due]

    ended = [verdict for verdict in verdicts if isinstance(verdict, NewSighting)]
    again = {
        watch.slot_id: verdict for watch, verdict in zip(due, verdicts, strict=True) if isinstance(verdict, NextLook)
    }
    over = [watch.slot_id for watch, verdict in zip(due, verdicts, strict=True) if verdict is None]
    if ended:
        await circle.ledger.sightings.record(mailbox_id, ended, now=now)
    if again:
        await circle.ledger.sightings.look_again(again)
    if over:
        await circle.ledger.sightings.stop_looking(over)
    for sighting in ended:
        log.info("sighting", slot=sighting.slot_id, mailbox=mailbox_id, placement=sighting.placement.value)


def _verdict(watch: Watch, now: datetime, circle: Circle, *, was_read: bool) -> NewSighting | NextLook | None:
    """What becomes of a message that was due and not found; None: there was nothing more to learn."""
    observe = circle.settings.observe
    if watch.stage is Stage.SECOND:
        within = timedelta(hours=observe.second_look_hours)
        again = second_look(watch.deadline_at - within, now, within=within)
        return NextLook(look_at=again, deadline_at=watch.deadline_at) if again else None
    if now >= watch.deadline_at and was_read:
        return NewSighting(slot_id=watch.slot_id, placement=Placement.MISSING)
    if now >= watch.deadline_at + UNOBSERVED_AFTER:
        return NewSighting(slot_id=watch.slot_id, placement=Placement.UNOBSERVED)
    first = timedelta(seconds=observe.first_seconds)
    look_at = next_look(watch.since, now, first=first, missing_after=watch.deadline_at - watch.since)
    return NextLook(look_at=look_at, deadline_at=watch.deadline_at)


def _say(new: tuple[SlotId, ...], batch: Batch, now: datetime, circle: Circle) -> None:
    since = {watch.slot_id: watch.since for watch in batch.awaited.values()}
    for sighting in batch.found:
        if sighting.slot_id in new:
            if sighting.stage is Stage.FIRST:
                circle.process.placement_delay.observe(max(0.0, (now - since[sighting.slot_id]).total_seconds()))
            log.info("sighting", slot=sighting.slot_id, placement=sighting.placement.value, stage=sighting.stage.value)
