"""A message that a person asks for, to see where it lands: sent at once or not at all, then looked for.

It goes through the same claim, the same walls and the same record as every other (ledger/errands), and never twice:
what a server puts off is not tried again, since a person is waiting for the answer. Looking for it is the daemon's
look, without what `--engage` allows; where a daemon runs beside, the first of the two to see it settles the placement.
Only what is in no watched folder is searched for by its id in the others, read-only.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from warmup.clock import pause
from warmup.ledger.attempts import Claimed, Unmarked
from warmup.ledger.believed import Landing
from warmup.ledger.sightings import NewSighting
from warmup.ledger.slots import NewSlot
from warmup.mail import identity
from warmup.mail.answer import Accepted, Answer, Uncertain
from warmup.mail.folder import Folder, Special, role_by_name
from warmup.policy.fate import Kind, Placement
from warmup.policy.mailbox import Mailbox, Role, SlotId
from warmup.policy.quota import Lapse, Wait
from warmup.policy.window import date_of
from warmup.steps.aftermath import follow
from warmup.steps.circle import Circle
from warmup.steps.letter import letter
from warmup.steps.observe import keep, look, watched, weigh
from warmup.steps.own import read_own_traffic
from warmup.steps.send import give_back, record, rules, submit
from warmup.steps.view import seeds_of
from warmup.wire.errors import WireError
from warmup.wire.imap import ImapSession

log = structlog.get_logger("errand")

LONGEST_PAUSE = 5.0
"""Real seconds between two looks, once the first ones came to nothing."""

MOST_FOLDERS = 100
"""How many folders besides the watched ones are searched."""

_NO_PLACE = frozenset({Special.SENT, Special.DRAFTS, Special.ALL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A test that was handed over, or turned away: `answer`. `at` is that moment of the boot clock, in seconds."""

    slot_id: SlotId
    recipient: Mailbox
    message_id: str
    answer: Answer
    at: float

    @property
    def may_arrive(self) -> bool:
        """True where the server took it, or may have."""
        return isinstance(self.answer, Accepted | Uncertain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """Where a test was seen, `seconds` (real) after it was handed over; None: not within the time that was given.

    `trouble` is why the last look failed, empty where it did not.
    """

    landed: Landing | None
    seconds: float
    trouble: str = ""


async def seeds_to_ask(mailbox: Mailbox, circle: Circle, *, tag: str | None = None) -> tuple[Mailbox, ...]:
    """One seed of each receiving provider the mailbox may write to, by provider; `tag`: of those that have it.

    A control is chosen where there is one: nothing taught its provider to like us.
    """
    suppressed = await circle.ledger.standings.suppressed()
    fleet = await circle.ledger.mailboxes.list()
    rng = circle.clock.rng(mailbox.id, "seeds_to_ask", circle.clock.token(16).hex())
    found: dict[str, Mailbox] = {}
    for seed in sorted(seeds_of(mailbox, fleet), key=lambda seed: (seed.role is not Role.CONTROL, rng.random())):
        wanted = seed.may_receive and (tag is None or tag in seed.tags) and seed.address.lower() not in suppressed
        if wanted:
            found.setdefault(seed.receiver, seed)
    return tuple(found[provider] for provider in sorted(found))


async def send_test(mailbox: Mailbox, recipient: Mailbox, circle: Circle) -> Sent | Wait | Lapse:
    """Send one test now, or say what stands in its way: then nothing was sent or recorded.

    Raises WireError where the server could not be used, LedgerError where nothing may be sent.
    """
    await read_own_traffic(mailbox, circle, last=await circle.ledger.own.last_good(mailbox.id))
    now = circle.clock.now()
    new = _drawn(mailbox, recipient, now, circle)
    names = (mailbox.name, recipient.name)
    header = circle.settings.identity.header
    content = letter(
        new, (), sender=mailbox, recipient=recipient, opener_names=names, grammars=circle.grammars, header=header
    )
    async with circle.doors.smtp(mailbox) as session:
        try:
            claimed = await circle.ledger.errands.claim(
                mailbox.id,
                new,
                date=date_of(now, mailbox.zone),
                now=now,
                rules=rules(mailbox, circle),
                node=circle.node,
            )
        except Unmarked as failure:
            await give_back(failure.claimed, mailbox, str(failure), circle)
            raise
        if not isinstance(claimed, Claimed):
            return claimed
        try:
            answer = await submit(claimed, mailbox, recipient, content, session, circle)
        except BaseException:
            # The verb ends here, and perhaps no daemon starts for days: nobody else would say that it is not known.
            await record(claimed, mailbox, Uncertain(reason="the program was stopped"), circle)
            raise
        sent_at = circle.clock.elapsed()
        await follow(answer, claimed.slot, mailbox, recipient, circle)
    return Sent(slot_id=claimed.slot.id, recipient=recipient, message_id=new.message_id, answer=answer, at=sent_at)


async def find_tests(tests: Sequence[Sent], circle: Circle, *, patience: float) -> Mapping[SlotId, Looked]:
    """Look for tests where they went, all of them at once, for at most `patience` real seconds each."""
    found = await asyncio.gather(*(_find(test, circle, patience) for test in tests))
    return dict(zip((test.slot_id for test in tests), found, strict=True))


async def _find(test: Sent, circle: Circle, patience: float) -> Looked:
    trouble, looks, wait = "", 0, 0.5
    while True:
        landed = await circle.ledger.errands.landed(test.slot_id)
        seconds = circle.clock.elapsed() - test.at
        if landed is not None or seconds >= patience:
            return Looked(landed=landed, seconds=seconds, trouble="" if landed else trouble)
        looks += 1
        is_last = seconds + wait >= patience
        try:
            # Everywhere else now and then, since that costs a search a folder: at looks 4, 8, 16 and so on.
            trouble = await _look_once(test, circle, widely=is_last or (looks > 2 and looks.bit_count() == 1))
        except WireError as error:
            trouble = str(error)
        if await circle.ledger.errands.landed(test.slot_id) is None:
            await pause(min(wait, patience - (circle.clock.elapsed() - test.at)))
        wait = min(LONGEST_PAUSE, wait * 1.5)


async def _look_once(test: Sent, circle: Circle, *, widely: bool) -> str:
    """One look; what went wrong without ending it, or nothing. Raises WireError."""
    mailbox = test.recipient
    async with circle.doors.imap(mailbox) as session:
        known = await circle.ledger.sightings.cursors(mailbox.id)
        found = [
            slot_id
            async for fetched in look(mailbox, known, session, circle)
            for slot_id in await keep(await weigh(fetched, mailbox, session, circle), mailbox, circle)
        ]
        if widely and test.slot_id not in found:
            elsewhere = await _search(test, session, circle)
            if elsewhere is not None:
                await circle.ledger.sightings.record(mailbox.id, [elsewhere], now=circle.clock.now())
    return ""


async def _search(test: Sent, session: ImapSession, circle: Circle) -> NewSighting | None:
    """The test's sighting in a folder nobody watches; None where it is in none of them."""
    known = {folder.name for folder in watched(test.recipient)}
    for folder in [folder for folder in await session.folders() if _may_hold(folder, known)][:MOST_FOLDERS]:
        state = await session.examine(folder.name)
        token = identity.read(test.message_id) or ""
        for field in ("Message-ID", circle.settings.identity.header):
            uids = await session.search_header(field, token) if field and state.exists else ()
            if uids:
                return NewSighting(
                    slot_id=test.slot_id,
                    placement=Placement.OTHER,
                    folder=folder.name,
                    uidvalidity=state.uidvalidity,
                    uid=uids[0],
                )
    return None


def _may_hold(folder: Folder, known: set[str]) -> bool:
    """True for a folder a message may have been filed in: our own copy in Sent is no delivery."""
    role = folder.special_use or role_by_name(folder)
    return folder.selectable and folder.name not in known and folder.name.upper() != "INBOX" and role not in _NO_PLACE


def _drawn(mailbox: Mailbox, recipient: Mailbox, now: datetime, circle: Circle) -> NewSlot:
    """A test's slot, like no other: drawn from entropy, since nobody asks twice for the same."""
    rng = circle.clock.rng(mailbox.id, "test", circle.clock.token(16).hex())
    nonce = rng.randbytes(identity.NONCE_BYTES)
    token = identity.token(circle.key, nonce, sender=mailbox.address, recipient=recipient.address)
    grammar = circle.grammars.pick(rng)
    return NewSlot(
        number=-1,
        recipient_id=recipient.id,
        provider=recipient.receiver,
        kind=Kind.TEST,
        thread_id=f"{rng.getrandbits(96):024x}",
        due_at=now,
        nonce=nonce,
        message_id=identity.message_id(token, mailbox.domain),
        grammar=grammar.name,
        language=grammar.language,
        seed=f"{rng.getrandbits(128):032x}",
    )
