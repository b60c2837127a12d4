"""Proof that the ledger went back: a message of ours has arrived that the ledger never tried to send.

A snapshot of disk or machine takes the high-water mark back together with the ledger, and then nothing beside the
ledger tells. What servers hold does: an id that only our key can sign, on a slot without an attempt, was sent in the
time that was lost. From then on it is a restored ledger like any other. What it sent again before it looked cannot be
called back.
"""

from collections.abc import Mapping, Sequence

import structlog

from warmup.ledger.sightings import Watch
from warmup.mail import identity
from warmup.mail.address import domain_of
from warmup.policy.mailbox import Mailbox
from warmup.steps.circle import Circle
from warmup.steps.report import Found

log = structlog.get_logger("observe")


async def look_for_proof(read: Sequence[Found], mailbox: Mailbox, awaited: Mapping[str, Watch], circle: Circle) -> None:
    """Begin another incarnation where one of the messages read in `mailbox` proves that the ledger went back."""
    arrived = {message_id for found in read for message_id in _signed(found, mailbox, circle.key)} - awaited.keys()
    if not arrived or not await circle.ledger.installation.never_tried(arrived):
        return
    restored = await circle.ledger.installation.begin_again(now=circle.clock.now())
    circle.clock.reseed((await circle.ledger.installation.get()).seed)
    log.warning(
        "restored",
        why="a message has arrived that this ledger never sent",
        mailbox=mailbox.id,
        lapsed=restored.lapsed,
        held_until=restored.held_until.isoformat(),
    )


def _signed(found: Found, mailbox: Mailbox, key: bytes) -> set[str]:
    """The message ids it bears that we made, from the address it names and to `mailbox`."""
    sender = found.header.from_address
    if sender is None:
        return set()
    tokens = {identity.read(said) for said in (found.header.identity, found.header.message_id) if said}
    return {
        identity.message_id(token, domain_of(sender))
        for token in tokens
        if token is not None and identity.believed(key, token, sender=sender, recipient=mailbox.address) is not None
    }
