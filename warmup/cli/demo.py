"""`warmup demo`: the whole program against the embedded sandbox, one simulated day in seconds.

Real SMTP and IMAP on loopback, the real daemon and its steps, a throw-away ledger and vault. Time stands still while
work is under way and jumps to the next due instant when it is done, so that a slow machine changes nothing and the same
seed gives the same days. What the daemon says it did is then checked against what the sandbox's servers counted.
"""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from warmup.cli.assembly import assembled
from warmup.cli.demo_account import account_of
from warmup.cli.demo_show import line_of, show_closing
from warmup.cli.doorway import doors_open
from warmup.cli.faults import Exit
from warmup.cli.invocation import LogLevel, invocation
from warmup.cli.logs import set_up_logs
from warmup.cli.output import Json, print_json, say
from warmup.clock import HoldingClock, pause
from warmup.config import Settings
from warmup.config.settings import (
    HttpSettings,
    LedgerSettings,
    NetworkSettings,
    ObserveSettings,
    VaultSettings,
    WindowSettings,
)
from warmup.daemon import Daemon
from warmup.ledger import schema
from warmup.ledger.enrolled import NewMailbox
from warmup.ledger.mailboxes import Credential
from warmup.policy.mailbox import Endpoint, Mailbox, Protocol, Role, Security
from warmup.sandbox import Sandbox, SandboxAccount, SandboxProvider, cast
from warmup.steps.circle import Circle
from warmup.vault import Vault, create_key_file
from warmup.wire.systemd import Supervisor
from warmup.world import Event, Receiver, World

START = datetime(2026, 1, 5, tzinfo=UTC)
ACCOUNTS_EACH = 4
TURN_DAY, TURN_DAYS = 11, 3
"""The turn comes when lanes carry at least four messages a day, and ends soon enough to see the way back."""

SMALL_LIMIT = 12
OWN_A_DAY = 4
STEP = timedelta(seconds=60)
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


app = typer.Typer(add_completion=False, help="Run the whole program against an embedded mail world.")


@app.command()
def demo(
    ctx: typer.Context,
    days: Annotated[int, typer.Option("--days", min=1, max=120, help="Simulated days of sending.")] = 21,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same totals.")] = 7,
    speed: Annotated[
        float | None,
        typer.Option("--speed", min=1, help="At most this many simulated seconds a second; else as fast as it goes."),
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Open the daemon's doors meanwhile, and until Ctrl-C when it is over.")
    ] = False,
    json: Json = False,
) -> None:
    """Three providers, twelve mailboxes, a receiver that turns and relents; exits 1 where the servers disagree."""
    here = invocation(ctx)
    set_up_logs(level=here.log_level or LogLevel.ERROR, form="logfmt")

    def show(document: dict[str, Any]) -> None:
        if json:
            print_json("demo", document)
        else:
            show_closing(document)
        sys.stdout.flush()

    if not asyncio.run(perform(days, seed, here.environ, show, speed=speed, serve=serve)):
        raise typer.Exit(Exit.FOUND_WRONG)


async def perform(
    days: int,
    seed: int,
    environ: Mapping[str, str],
    show: Callable[[dict[str, Any]], None],
    *,
    speed: float | None,
    serve: bool,
) -> bool:
    """Play the demo and show its document; whether servers and ledger agree. `serve`: stay until SIGINT or SIGTERM."""
    async with staged(seed, environ) as stage, AsyncExitStack() as open_doors:
        if serve:
            address = await open_doors.enter_async_context(doors_open(stage.daemon, stage.circle))
            say(f"serving {address}/metrics, /livez and /readyz")
        document, is_sound = await rehearse(stage, days, seed, speed=speed)
        show(document)
        if serve:
            say("the days are over; serving until Ctrl-C")
            await _told_to_stop()
        return is_sound


async def _told_to_stop() -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()


async def rehearse(stage: "Stage", days: int, seed: int, *, speed: float | None) -> tuple[dict[str, Any], bool]:
    """The document of `demo --json`, and whether servers and ledger agree."""

    async def told(day: int) -> None:
        account = await account_of(stage.circle, stage.sandbox.record, first=stage.first_day.date(), days=day)
        say(line_of(day, days, account.mailboxes))

    pace = "one second a few hours" if speed is None else f"one second at most {speed:g} seconds"
    say(f"{ACCOUNTS_EACH * 3} mailboxes at three providers on loopback; {days} days, {pace}")
    await play(stage, days, told, speed=speed)
    account = await account_of(stage.circle, stage.sandbox.record, first=stage.first_day.date(), days=days)
    turned = {
        "address": stage.turned,
        "provider": stage.turned_against_by,
        "from_day": TURN_DAY,
        "to_day": TURN_DAY + TURN_DAYS - 1,
    }
    document = {
        "days": days,
        "seed": seed,
        "turned": turned,
        "mailboxes": account.mailboxes,
        "totals": account.totals,
    }
    return document, account.is_sound


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The demo's world, set up: who plays what."""

    circle: Circle
    daemon: Daemon
    sandbox: Sandbox
    clock: HoldingClock
    turned: str
    turned_against_by: str
    own_writer: str

    @property
    def first_day(self) -> datetime:
        """00:00 of day 1."""
        return START


def demo_world(senders: int) -> World:
    """Three receivers that are used to newcomers; one of them turns against the first sender and relents."""
    receivers = tuple(
        Receiver(
            name=name,
            base_spam=base_spam,
            quiet_volume=8,
            tolerance=1.7,
            pressure=1.5,
            distrust=2.5,
            trust=0.6,
            trust_gain=0.012,
            trust_loss=0.02,
            memory_days=4,
            defer_at=4,
            missing=0.005,
            delay_minutes=10,
        )
        for name, base_spam in (("gmailtest", 0.01), ("outlooktest", 0.012), ("corptest", 0.008))
    )
    turn = Event(day=TURN_DAY, days=TURN_DAYS, shock=7.0, share=1 / senders, receiver="outlooktest")
    about = "three calm receivers; one turns against one sender and relents"
    return World(name="demo", about=about, receivers=receivers, events=(turn,))


@asynccontextmanager
async def staged(seed: int, environ: Mapping[str, str]) -> AsyncIterator[Stage]:
    """Sandbox, ledger and daemon, with everybody enrolled and nothing sent yet."""
    clock = HoldingClock(start=START, seed=f"demo-{seed}")
    providers = cast(f"demo-{seed}", receivers=("gmailtest", "outlooktest", "corptest"), accounts_each=ACCOUNTS_EACH)
    world = demo_world(sum(len(provider.accounts) for provider in providers))
    with tempfile.TemporaryDirectory(prefix="warmup-demo-", dir=_fast_folder()) as name:
        folder = Path(name)
        async with Sandbox(world, seed=f"demo-{seed}", clock=clock, providers=providers, folder=folder) as sandbox:
            settings = settings_for(folder, sandbox.ca_file)
            create_key_file(settings.vault.key_file)
            schema.upgrade(settings.ledger.url)
            async with assembled(settings, environ, clock=clock) as circle:
                vault = Vault.open(settings.vault.key_file, environ)
                with vault.held():
                    await _enrol_all(providers, sandbox, circle, vault)
                daemon = Daemon(circle, supervisor=Supervisor({}))
                await daemon.start()
                yield Stage(
                    circle=circle,
                    daemon=daemon,
                    sandbox=sandbox,
                    clock=clock,
                    turned=providers[0].accounts[0].address,
                    turned_against_by="outlooktest",
                    own_writer=providers[2].accounts[1].address,
                )


def _fast_folder() -> str | None:
    """Memory where the machine has a place for it: the ledger is thrown away, and its durability is shown elsewhere."""
    memory = "/dev/shm"  # noqa: S108 (the folder made in it is private)
    return memory if os.access(memory, os.W_OK) else None


def settings_for(folder: Path, ca_file: Path) -> Settings:
    """The demo's configuration: the defaults, sending on all days of the week."""
    return Settings(
        ledger=LedgerSettings(url=f"sqlite:///{folder / 'warmup.db'}"),
        vault=VaultSettings(key_file=folder / "warmup.key"),
        network=NetworkSettings(ca_file=ca_file),
        http=HttpSettings(listen="127.0.0.1:0"),
        observe=ObserveSettings(first_seconds=1800),
        window=WindowSettings(days=WEEK, start=time(8), end=time(18)),
    )


async def _enrol_all(providers: tuple[SandboxProvider, ...], sandbox: Sandbox, circle: Circle, vault: Vault) -> None:
    for provider in providers:
        for account in provider.accounts:
            await _enrol(account, provider, sandbox, circle, vault)


async def _enrol(
    account: SandboxAccount, provider: SandboxProvider, sandbox: Sandbox, circle: Circle, vault: Vault
) -> Mailbox:
    doors = sandbox.doors(account.address)
    smtp = Endpoint(host=doors.host, port=doors.smtp_port, security=Security.STARTTLS)
    imap = Endpoint(host=doors.host, port=doors.imaps_port, security=Security.TLS)
    new = NewMailbox(
        address=account.address,
        name=account.name,
        provider=provider.name,
        receiver=provider.name,
        role=Role.CONTROL if account.control else Role.BOTH,
        ramp="careful" if provider.enforced_limit else "standard",
        daily_limit=provider.enforced_limit or 500,
        timezone="UTC",
        smtp=smtp,
        imap=imap,
        username=doors.username,
        engage=account.engage,
        junk_folder=provider.junk_folder,
        sent_folder=provider.sent_folder,
        trash_folder=provider.trash_folder,
        enrolled_at=circle.clock.now(),
        verified_at=circle.clock.now(),
    )
    secrets = [
        Credential(
            protocol=protocol,
            host=doors.host,
            sealed=vault.seal(doors.password, mailbox=account.address, protocol=protocol.value, host=doors.host),
        )
        for protocol in Protocol
    ]
    return await circle.ledger.mailboxes.add(new, secrets)


async def play(
    stage: Stage, days: int, on_day: Callable[[int], Awaitable[None]], *, speed: float | None = None
) -> None:
    """Turn the circle for `days` days, and one more without sending, so that everything sent is placed or missing.

    `speed`: at most so many simulated seconds a real one; None: as fast as the work is done.
    """
    for day in range(1, days + 1):
        midnight = stage.first_day + timedelta(days=day - 1)
        write_own(stage, midnight)
        await _until(stage, midnight + timedelta(days=1), speed)
        await on_day(day)
    senders = [mailbox.id for mailbox in await stage.circle.ledger.mailboxes.list() if mailbox.role.sends]
    await stage.circle.ledger.mailboxes.pause(senders)
    await _until(stage, stage.first_day + timedelta(days=days + 1, hours=1), speed)
    await stage.daemon.engine.drain(30)


def write_own(stage: Stage, midnight: datetime) -> None:
    """One mailbox's operator writes to people of his own, at the same hours every day."""
    for number in range(OWN_A_DAY):
        stage.sandbox.send_own(stage.own_writer, at=midnight + timedelta(hours=9 + 2 * number, minutes=7))


async def _until(stage: Stage, end: datetime, speed: float | None) -> None:
    """Tick, let the work end, jump to what is due next; never past unfinished work."""
    while stage.clock.now() < end:
        began, now = stage.clock.elapsed(), stage.clock.now()
        await stage.daemon.tick()
        await stage.daemon.engine.idle()
        due = await stage.daemon.agenda.next() or end
        then = min(end, max(due, stage.clock.now() + STEP))
        if speed is not None:
            await pause(max(0.0, (then - now).total_seconds() / speed - (stage.clock.elapsed() - began)))
        stage.clock.raise_to(then)
