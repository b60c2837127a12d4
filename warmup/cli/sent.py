"""What a mailbox sent by itself, by the dates in its Sent folder: for `--start auto`. Read-only, and dates alone.

Messages that carry an id of ours are left out: a mailbox that was enrolled before must not begin from its own warmup.
"""

from collections.abc import Mapping
from datetime import date
from zoneinfo import ZoneInfo

from warmup.cli.faults import bad_input
from warmup.cli.output import progress
from warmup.cli.parts import Parts
from warmup.cli.verification import told_by
from warmup.ledger.enrolled import NewMailbox
from warmup.mail import identity
from warmup.mail.address import domain_of
from warmup.mail.header import parse_header_block
from warmup.policy.mailbox import Mailbox, Protocol
from warmup.policy.provider import CUSTOM
from warmup.policy.ramp import ramp_named
from warmup.policy.start import Start, start
from warmup.policy.window import date_of
from warmup.wire.imap import open_imap
from warmup.wire.login import Login

MOST = 4000
"""The latest messages looked at: beyond that many in four weeks the ramp's end is what bounds the start."""


async def start_of(mailbox: NewMailbox | Mailbox, logins: Mapping[Protocol, Login], parts: Parts) -> Start:
    """Where the mailbox's ramp begins. Raises Fault: 65 without a Sent folder, 69 and 77 as a login does."""
    if mailbox.sent_folder is None:
        raise bad_input("there is no Sent folder to read", "leave --start out, and the ramp begins at its start")
    login = logins[Protocol.IMAP]
    progress(f"reading the dates in {mailbox.sent_folder}")
    provider = parts.providers.by_name.get(mailbox.provider) or parts.providers.named(CUSTOM)
    async with told_by(mailbox.imap, "IMAP", login, provider):
        dates = await _dates(mailbox, mailbox.sent_folder, login, parts)
    ramp = ramp_named(mailbox.ramp).towards(mailbox.target)
    return start(dates, ramp, today=date_of(parts.clock.now(), ZoneInfo(mailbox.timezone)))


async def _dates(mailbox: NewMailbox | Mailbox, folder: str, login: Login, parts: Parts) -> list[date]:
    """The mailbox's own dates of its messages that are none of ours, oldest first."""
    name, zone = parts.settings.identity.header or None, ZoneInfo(mailbox.timezone)
    found: list[tuple[date, frozenset[str]]] = []
    session = await open_imap(mailbox.imap, login, network=parts.network)
    try:
        state = await session.examine(folder)
        fields = ("Message-ID", *([name] if name else []))
        async for batch in session.headers_after(max(0, (state.uidnext or 1) - 1 - MOST), fields):
            for row in batch:
                if row.internaldate is not None:
                    header = parse_header_block(row.header, identity_header=name)
                    said = (identity.read(text) for text in (header.identity, header.message_id) if text)
                    ids = frozenset(identity.message_id(token, domain_of(mailbox.address)) for token in said if token)
                    found.append((date_of(parts.clock.from_server(row.internaldate), zone), ids))
    finally:
        await session.close()
    ours = await parts.ledger.sightings.by_message_id({one for _, ids in found for one in ids})
    return [on for on, ids in found if not ids & ours.keys()]
