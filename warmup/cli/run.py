"""`warmup run`: the daemon, from the lock to the last log line."""

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import structlog
import typer

from warmup.cli.assembly import assembled
from warmup.cli.doorway import doors_open
from warmup.cli.faults import Exit, Fault
from warmup.cli.invocation import invocation
from warmup.cli.opening import guard_of, hold, hold_among_nodes
from warmup.cli.thrift import be_thrifty
from warmup.clock import WallClock
from warmup.config import ConfigError, Settings, load
from warmup.daemon import Daemon
from warmup.ledger import schema
from warmup.ledger.lock import DaemonLock
from warmup.ledger.session_lock import SessionLock
from warmup.steps.circle import Circle
from warmup.vault import KeyFile
from warmup.wire.network import asks_for_loopback
from warmup.wire.systemd import Supervisor

log = structlog.get_logger("run")

app = typer.Typer(add_completion=False, help="Run the daemon.")


@app.command()
def run(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan and look, but send nothing.")] = False,
    accept_restore: Annotated[
        bool, typer.Option("--accept-restore", help="Send at once from a ledger that was restored.")
    ] = False,
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; SIGHUP reads the configuration again, all or nothing."""
    here = invocation(ctx)
    loaded = here.load()
    if loaded.settings.engine.kind == "cluster" and dry_run:
        raise Fault(
            "a node that sends nothing would take work from those that do",
            'set engine.kind = "local" for a dry run, while no node runs',
            code=Exit.WRONG_USAGE,
        )
    asyncio.run(
        run_daemon(loaded.settings, here.environ, config=loaded.path, dry_run=dry_run, accept_restore=accept_restore)
    )


async def run_daemon(
    settings: Settings, environ: Mapping[str, str], *, config: Path | None, dry_run: bool, accept_restore: bool
) -> None:
    """Hold the lock, bring the ledger up to date, turn the circle until SIGTERM or SIGINT.

    Raises LedgerBusy where another daemon holds the ledger, LedgerError, VaultError, CannotListen.
    """
    be_thrifty()
    # Whatever it writes from here on is for nobody else.
    os.umask(0o077)
    with ExitStack() as held:
        credential = KeyFile.find(settings.vault.key_file, environ).is_credential
        lock = held_up_to_date(settings, held, has_credential=credential)
        async with assembled(settings, environ, dry_run=dry_run, guard=guard_of(lock)) as circle:
            await refuse_a_rehearsal_among_strangers(circle)
            daemon = Daemon(circle, supervisor=Supervisor(environ))
            async with doors_open(daemon, circle):
                _heed_signals(daemon, config, environ)
                await daemon.start()
                if accept_restore and await circle.ledger.installation.accept_restore():
                    log.warning("restore accepted")
                await daemon.run()


def held_up_to_date(settings: Settings, held: ExitStack, *, has_credential: bool) -> DaemonLock | SessionLock:
    """The ledger's lock, alone or shared, and the ledger at this program's revision. Nobody else uses it meanwhile."""
    clock = WallClock()
    if settings.engine.kind == "cluster":
        if schema.current(settings.ledger.url) != schema.HEAD:
            with hold(settings, now=clock.now(), has_credential=has_credential):
                schema.upgrade(settings.ledger.url)
        return hold_among_nodes(settings, held, wall=clock.wall, has_credential=has_credential)
    lock = hold(settings, now=clock.now(), has_credential=has_credential)
    held.callback(lock.release)
    copy = schema.upgrade(settings.ledger.url)
    if copy is not None:
        log.info("upgraded", copy=str(copy))
    return lock


async def refuse_a_rehearsal_among_strangers(circle: Circle) -> None:
    """Raises Fault where the clock runs faster and a host is not this machine: real servers live in real time."""
    if not circle.settings.is_rehearsal:
        return
    for mailbox in await circle.ledger.mailboxes.list():
        for endpoint in (mailbox.smtp, mailbox.imap):
            if not asks_for_loopback(endpoint.host):
                raise Fault(
                    f"rehearsal.speed is {circle.settings.rehearsal.speed:g} and {mailbox.address} is at {endpoint}",
                    "a rehearsal is for loopback hosts only: set rehearsal.speed = 1.0",
                    code=Exit.BAD_CONFIG,
                )


def _heed_signals(daemon: Daemon, config: Path | None, environ: Mapping[str, str]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.ask_to_stop)

    def reload() -> None:
        try:
            loaded = load(config, environ)
        except ConfigError as mistakes:
            log.error("config refused, the old one stays", mistakes="; ".join(mistakes.mistakes))
            return
        refused = daemon.adopt(loaded.settings)
        if refused:
            log.error("config refused, the old one stays", mistakes=refused)
        else:
            log.info("config read again")

    loop.add_signal_handler(signal.SIGHUP, reload)
