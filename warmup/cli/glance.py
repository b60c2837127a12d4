"""What a verb that only reads works on: the ledger as it stands and the clock it lives by. The vault stays shut.

It works beside a running daemon and without one, needs no key and no server, and writes nothing. Imports are few, so
that `status` and what a script asks every minute answer at once.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmup.cli.invocation import Invocation
from warmup.cli.opening import ledger_of
from warmup.clock import WallClock
from warmup.config import Settings
from warmup.ledger.ledger import Ledger
from warmup.policy.mailbox import Mailbox, Protocol

if TYPE_CHECKING:
    from warmup.steps.circle import Circle
    from warmup.wire.login import Login


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """An open ledger. `clock` gives the ledger's own time, in a rehearsal too."""

    settings: Settings
    ledger: Ledger
    clock: WallClock

    def circle(self) -> "Circle":
        """The parts as steps want them, to read with: no door opens and nothing can be signed."""
        from warmup.cli.assembly import network_of
        from warmup.config import providers_of
        from warmup.content import Grammars
        from warmup.steps.circle import Circle
        from warmup.wire.doors import Doors

        return Circle(
            ledger=self.ledger,
            clock=self.clock,
            doors=Doors(network=network_of(self.settings), unseal=_no_login),
            settings=self.settings,
            providers=providers_of(self.settings),
            grammars=Grammars(grammars=()),
            key=b"",
            node="",
            dry_run=True,
        )


@asynccontextmanager
async def glance(here: Invocation) -> AsyncIterator[Glance]:
    """The open ledger, closed at the end. Raises ConfigError, LedgerError."""
    settings = here.load().settings
    ledger = ledger_of(settings)
    try:
        anchor = (await ledger.installation.get()).anchor
        rehearses = settings.is_rehearsal and anchor is not None
        clock = (
            WallClock(speed=anchor.speed, anchor=(anchor.wall, anchor.ledger))
            if rehearses and anchor is not None
            else WallClock()
        )
        clock.raise_to(await ledger.installation.latest() or clock.now())
        yield Glance(settings=settings, ledger=ledger, clock=clock)
    finally:
        await ledger.close()


async def _no_login(mailbox: Mailbox, protocol: Protocol) -> "Login":
    raise AssertionError(f"a verb that reads asked for the {protocol} password of {mailbox.address}")
