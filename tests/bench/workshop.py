"""An installation with a fleet that has mail due, made by the ledger's own writers: enrolling by logins is not timed.

Every mailbox has its password in the vault and was read for its own traffic a moment ago, as in the middle of any hour.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from tests.bench.fleet import EACH, RECEIVERS
from tests.bench.sink import Tls
from tests.lab.certificates import certificate, write_certificates
from tests.scenarios.house import House
from warmup.cli.assembly import assembled
from warmup.config import load
from warmup.ledger.enrolled import NewMailbox
from warmup.ledger.mailboxes import Credential
from warmup.ledger.slots import NewDay, NewLaneDay, NewSlot
from warmup.mail import identity
from warmup.policy.fate import Kind
from warmup.policy.mailbox import Endpoint, Mailbox, Protocol, Security, SmtpAuth
from warmup.policy.standing import Standing
from warmup.steps.circle import Circle
from warmup.vault import Vault

PASSWORD = "a-long-enough-password"
LIMIT = 2000
_AT_ONCE = 500
_NO_DOOR = Endpoint(host="127.0.0.1", port=1, security=Security.NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """An installation in a folder of its own; `tls` are the files its servers show."""

    house: House
    tls: Tls

    @classmethod
    def made(cls, folder: Path, **environ: str) -> "Workshop":
        """Write the certificates and the configuration, and let `init` make the rest."""
        certificates = folder / "certificates"
        certificates.mkdir(parents=True)
        write_certificates(certificates)
        good = certificate(certificates, "good")
        house = House(folder=folder / "house", environ=environ)
        house.install(ca_file=str(certificates / "ca.pem"))
        return cls(house=house, tls=Tls(certificates / "ca.pem", good.chain, good.key))

    @asynccontextmanager
    async def circle(self, **environ: str) -> AsyncIterator[Circle]:
        """The program's parts, put together as `warmup run` does; at the log level that is usual."""
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
        settings = load(self.house.folder / "config.toml", environ={**self.house.environ, **environ}).settings
        async with assembled(settings, dict(os.environ)) as circle:
            yield circle

    async def enrol(
        self,
        circle: Circle,
        numbers: range,
        smtp: Endpoint,
        imap: Endpoint = _NO_DOOR,
        *,
        auth: bool = True,
        read: bool = True,
    ) -> tuple[Mailbox, ...]:
        """Verified mailboxes that send through `smtp`; not `read` for their own traffic, the daemon will do that."""
        vault, now = Vault.open(circle.settings.vault.key_file, os.environ), circle.clock.now()
        made: list[Mailbox] = []
        with vault.held():
            for start in range(numbers.start, numbers.stop, _AT_ONCE):
                some = [
                    _member(number, smtp, imap, now, auth=auth)
                    for number in range(start, min(start + _AT_ONCE, numbers.stop))
                ]
                made += await circle.ledger.mailboxes.add_all((new, _secrets(new, vault)) for new in some)
        for each in made if read else ():
            await circle.ledger.own.none_to_read(each.id, now=now)
        return tuple(made)


async def plan(
    circle: Circle,
    senders: tuple[Mailbox, ...],
    due: tuple[datetime, ...],
    *,
    seed: int = 0,
    apart: timedelta = timedelta(),
) -> None:
    """A day for each of the senders, with a message to the next of them at each of the `due` instants.

    Every sender's are `apart` later than those of the one before.
    """
    now = circle.clock.now()
    for start in range(0, len(senders), _AT_ONCE):
        some = range(start, min(start + _AT_ONCE, len(senders)))
        plans = [
            (
                senders[at].id,
                _day(now, len(due)),
                tuple(_slots(circle, senders, at, [each + at * apart for each in due], random.Random(f"{seed}-{at}"))),
            )
            for at in some
        ]
        await circle.ledger.slots.record_all(plans, now=now)


def _member(number: int, smtp: Endpoint, imap: Endpoint, now: datetime, *, auth: bool) -> NewMailbox:
    address = f"box{number}@company{number // EACH}.test"
    return NewMailbox(
        address=address,
        name=f"Ada Keller {number}",
        provider="custom",
        receiver=RECEIVERS[number % len(RECEIVERS)],
        ramp="standard",
        target=50,
        daily_limit=LIMIT,
        smtp=smtp,
        smtp_auth=SmtpAuth.PASSWORD if auth else SmtpAuth.NONE,
        imap=imap,
        username=address,
        enrolled_at=now - timedelta(days=60),
        verified_at=now,
    )


def _secrets(new: NewMailbox, vault: Vault) -> tuple[Credential, ...]:
    doors = ((Protocol.SMTP, new.smtp.host), (Protocol.IMAP, new.imap.host))
    return tuple(
        Credential(
            protocol=protocol,
            host=host,
            sealed=vault.seal(PASSWORD, mailbox=new.address, protocol=protocol.value, host=host),
        )
        for protocol, host in doors
    )


def _day(now: datetime, target: int) -> NewDay:
    lanes = tuple(
        NewLaneDay(provider=name, level=60, ceiling=target, factor=1.0, target=target, standing=Standing.SOUND)
        for name in RECEIVERS
    )
    return NewDay(date=now.date(), day=60, level=60, ceiling=target, target=target, reason="bench", lanes=lanes)


def _slots(
    circle: Circle, fleet: tuple[Mailbox, ...], at: int, due: Sequence[datetime], rng: random.Random
) -> Iterator[NewSlot]:
    sender, recipient = fleet[at], fleet[(at + 1) % len(fleet)]
    for number, due_at in enumerate(due, start=1):
        nonce, drawn = rng.randbytes(identity.NONCE_BYTES), circle.grammars.pick(rng)
        token = identity.token(circle.key, nonce, sender=sender.address, recipient=recipient.address)
        yield NewSlot(
            number=number,
            recipient_id=recipient.id,
            provider=recipient.receiver,
            kind=Kind.NEW,
            thread_id=f"{rng.getrandbits(96):024x}",
            due_at=due_at,
            nonce=nonce,
            message_id=identity.message_id(token, sender.domain),
            grammar=drawn.name,
            language=drawn.language,
            seed=f"{rng.getrandbits(128):032x}",
        )


async def at_once(works: list, hands: int) -> None:  # type: ignore[type-arg]
    """Run coroutine functions, `hands` of them at a time."""
    queue = iter(works)

    async def toil() -> None:
        for work in queue:
            await work()

    await asyncio.gather(*(toil() for _ in range(hands)))
