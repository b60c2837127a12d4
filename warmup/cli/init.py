"""`warmup init`: a folder to begin with. What is there stays as it is; a key that is gone is never made anew."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from warmup.cli.assembly import establish
from warmup.cli.faults import Exit, Fault
from warmup.cli.invocation import Invocation, invocation
from warmup.cli.opening import ledger_of
from warmup.cli.output import say
from warmup.clock import WallClock
from warmup.config import Loaded, example_toml
from warmup.ledger import schema
from warmup.ledger.lock import DaemonLock
from warmup.vault import Vault, create_key_file, has_key

app = typer.Typer(add_completion=False)


@app.command()
def init(
    ctx: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", show_default=False, help="Where; else the present folder.")
    ] = None,
) -> None:
    """Write config.toml (every key with its meaning), the key file (0600) and the ledger. Safe to repeat."""
    here = invocation(ctx)
    place = folder / "config.toml" if folder is not None else here.config or Path("config.toml")
    made: list[Path] = []
    try:
        settle(here, place, made)
    except BaseException:
        for path in reversed(made):
            path.unlink(missing_ok=True)
        raise
    for path in made:
        typer.echo(f"made {path}")
    if not made:
        typer.echo(f"{place.parent.absolute()} is complete; nothing was changed")


def settle(here: Invocation, place: Path, made: list[Path]) -> None:
    """Make what is missing; every new file is noted in `made`."""
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        _write_new(place, example_toml())
        made.append(place)
    here.config = place
    loaded = here.load()
    _settle_key(here, loaded, made)
    vault = Vault.open(loaded.settings.vault.key_file, here.environ)
    _settle_ledger(loaded, vault, made)


def _settle_key(here: Invocation, loaded: Loaded, made: list[Path]) -> None:
    key_file, ledger = loaded.settings.vault.key_file, loaded.settings.ledger_file
    if has_key(key_file, here.environ):
        return
    if ledger is not None and ledger.exists():
        raise Fault(
            f"the ledger {ledger} is there, but its key {key_file} is not",
            "put the key file back: a new one could not open what the old one sealed",
            code=Exit.BAD_CONFIG,
        )
    key_file.parent.mkdir(parents=True, exist_ok=True)
    create_key_file(key_file)
    made.append(key_file)
    say(f"keep a copy of {key_file} elsewhere: without it the passwords in the ledger cannot be read")


def _settle_ledger(loaded: Loaded, vault: Vault, made: list[Path]) -> None:
    path = loaded.settings.ledger_file
    if path is not None and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made.extend([path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", ".lock"))])
    _bring_up_to_date(loaded, path)
    asyncio.run(_establish(loaded, vault))
    made[:] = [path for path in made if path.exists() and not path.name.endswith(("-wal", "-shm", ".lock"))]


def _bring_up_to_date(loaded: Loaded, path: Path | None) -> None:
    """Make the ledger or upgrade it; not under a daemon, which would go on with the tables it knows."""
    url = loaded.settings.ledger.url
    if path is None or (path.exists() and schema.current(url) == schema.HEAD):
        # Nodes of a server's ledger upgrade it one after the other by themselves.
        schema.upgrade(url)
        return
    with DaemonLock.acquire(path, now=WallClock().now()):
        copy = schema.upgrade(url)
    if copy is not None:
        say(f"upgraded the ledger to {schema.HEAD}; the copy is {copy}")


async def _establish(loaded: Loaded, vault: Vault) -> None:
    ledger = ledger_of(loaded.settings)
    try:
        await establish(ledger, vault, WallClock())
    finally:
        await ledger.close()


def _write_new(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
