"""The sandbox as a whole: opens the doors of every provider on loopback, and closes them.

It lives in the caller's event loop and starts no thread. With `pump` what is due happens by itself and on time, which
a clock that runs needs for clients in IDLE; without, it happens when somebody looks, which comes to the same folders.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from warmup.clock import Clock, pause, seeded
from warmup.sandbox.accounts import Doors, SandboxAccount, SandboxProvider
from warmup.sandbox.certificates import issue
from warmup.sandbox.faults import Fault, Faults
from warmup.sandbox.imap import ImapDoor
from warmup.sandbox.office import PostOffice
from warmup.sandbox.receipts import Record
from warmup.sandbox.servers import Servers
from warmup.sandbox.smtp import SmtpDoor
from warmup.sandbox.stops import Stops
from warmup.world import World, WorldState

# Real seconds: how late the pump may notice that something is due.
_LONGEST_NAP = 0.05


class Sandbox:
    """A small mail world: `async with Sandbox(...) as sandbox`.

    `world` places the mail, its day 1 the UTC day of `start` (now, if not said); an event's share hits the accounts in
    the order of `providers`. `folder` gets the certificate, `journal` a line for each message taken. Raises ValueError
    if a provider names a receiver that the world lacks, or an address lives here twice.
    """

    def __init__(
        self,
        world: World,
        *,
        seed: str,
        clock: Clock,
        providers: Sequence[SandboxProvider],
        start: datetime | None = None,
        folder: Path,
        journal: Path | None = None,
        faults: Sequence[Fault] = (),
        stops: Stops | None = None,
        pump: bool = False,
    ) -> None:
        self.providers = tuple(providers)
        self.record = Record(journal)
        self._clock = clock
        self._faults = Faults(tuple(faults), rng=seeded(seed, "chaos"))
        self._stops = stops or Stops()
        self._state = _state_of(world, self.providers, seed, start or clock.now())
        self._office = PostOffice(self._state, clock=clock, providers=self.providers, seed=seed, record=self.record)
        self._folder = folder
        self._pump = pump
        self._ca_file, self._tls = issue(folder)
        self._servers: dict[str, Servers] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback(self.record.close)
            for provider in self.providers:
                self._servers[provider.name] = await self._open(provider, stack)
            if self._pump:
                task = asyncio.create_task(self._keep_up())
                stack.callback(task.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _open(self, provider: SandboxProvider, stack: AsyncExitStack) -> Servers:
        passwords = {account.address: account.password for account in provider.accounts}
        smtp = SmtpDoor(self._office, passwords, self._faults, self._stops)
        imap = ImapDoor(passwords, self._office.cabinets_of(provider), self._office.advance, self._faults)
        servers = Servers(smtp, imap, self._tls)
        await servers.open()
        stack.push_async_callback(servers.close)
        return servers

    async def restart(self, seconds: float) -> None:
        """Every server goes down without a word and is back, at the same ports, after `seconds` of real time."""
        for servers in self._servers.values():
            await servers.close()
        await pause(seconds)
        for servers in self._servers.values():
            await servers.open()

    async def _keep_up(self) -> None:
        while True:
            self.advance()
            due = self.next_event()
            wait = _LONGEST_NAP if due is None else (due - self._clock.now()).total_seconds() / self._clock.speed
            await pause(min(max(wait, 0.0), _LONGEST_NAP))

    @property
    def ca_file(self) -> Path:
        """The throw-away authority's certificate, PEM."""
        return self._ca_file

    def doors(self, address: str) -> Doors:
        """How to reach the account `address`; KeyError if it does not live here. Valid while the sandbox is open."""
        provider, account = self._account(address)
        ports = self._servers[provider.name].ports
        return Doors(
            address=account.address,
            username=account.address,
            password=account.password,
            smtp_port=ports.smtp,
            smtps_port=ports.smtps,
            imaps_port=ports.imaps,
            ca_file=self._ca_file,
        )

    def _account(self, address: str) -> tuple[SandboxProvider, SandboxAccount]:
        for provider in self.providers:
            for account in provider.accounts:
                if account.address.lower() == address.lower():
                    return provider, account
        raise KeyError(address)

    def next_event(self) -> datetime | None:
        """The instant of the next delivery, re-sorting or own message; None if nothing will happen by itself."""
        return self._office.next_event

    def advance(self) -> None:
        """Let everything happen that is due now, and tell the clients that wait in IDLE."""
        self._office.advance()

    def send_own(self, address: str, *, at: datetime, recipient: str = "customer@example.test") -> None:
        """Have the operator of `address` write a message of his own at `at`: it is in Sent then, and counts."""
        self._account(address)
        self._office.send_own(address, recipient, at)

    def inject(self, fault: Fault) -> None:
        """Let `fault` wait for its messages."""
        self._faults.add(fault)

    def leave_to_chance(self, share: float) -> None:
        """From now on this share (0–1) of messages and of IMAP commands meets a fault drawn from the seed."""
        self._faults.leave_to_chance(share)


def _state_of(world: World, providers: Sequence[SandboxProvider], seed: str, start: datetime) -> WorldState:
    known = {receiver.name for receiver in world.receivers}
    unknown = sorted({provider.receiver for provider in providers} - known)
    if unknown:
        raise ValueError(f"the world {world.name} has no receiver {', '.join(unknown)}")
    return WorldState(
        world,
        seed=seeded(seed, "world").getrandbits(63),
        mailboxes=[account.address.lower() for provider in providers for account in provider.accounts],
        start=start.replace(hour=0, minute=0, second=0, microsecond=0),
    )
