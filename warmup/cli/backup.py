"""`warmup backup`: one file that holds the ledger, looked at before it is believed, and put back."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from warmup.cli.assembly import IDENTITY
from warmup.cli.faults import Exit, Fault
from warmup.cli.invocation import Invocation, invocation
from warmup.cli.output import Json, instant, print_facts, print_json, say, warn
from warmup.clock import WallClock
from warmup.config import Loaded, Settings
from warmup.ledger import backup as backups
from warmup.ledger.backup import Backup
from warmup.ledger.lock import DaemonLock
from warmup.vault import SealBroken, Vault, has_key

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Back the ledger up, and put it back.")

_File = Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="The backup.")]


@app.command()
def create(
    ctx: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", show_default=False, help="Where to; else beside the ledger, by the time."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE if it is there.")] = False,
    json: Json = False,
) -> None:
    """Write the ledger to one file (0600), also while the daemon runs. Secrets go along sealed, the key does not."""
    here = invocation(ctx)
    loaded = here.load()
    settings = loaded.settings
    ledger = _ledger_file(settings)
    target = file or ledger.with_name(f"{ledger.name}.backup-{WallClock().wall():%Y%m%dT%H%M%SZ}")
    _refuse_own_files(loaded, target)
    made = backups.create(settings.ledger.url, target, overwrite=force)
    _show("backup-create", _facts(made), as_json=json)
    say(f"the key is not in it: without {settings.vault.key_file} its passwords cannot be read")


@app.command()
def verify(ctx: typer.Context, file: _File, json: Json = False) -> None:
    """Look at all of FILE: checksum, pages, references, revision, and whether the key opens what it seals."""
    here = invocation(ctx)
    settings = here.load().settings
    found = backups.read_backup(file)
    opens = _opens(here, settings, found)
    if opens is None:
        warn(f"there is no key at {settings.vault.key_file}, so whether it opens this backup was not looked at")
    if not found.has_checksum:
        warn(f"{file} has no checksum: it was not made by `warmup backup create`, and only its pages were looked at")
    _show("backup-verify", {**_facts(found), "key_opens": opens}, as_json=json)


@app.command()
def restore(ctx: typer.Context, file: _File, json: Json = False) -> None:
    """Make FILE the ledger; the ledger that was is kept beside it. Not while a daemon runs (75).

    The next `warmup run` finds a restored ledger: due messages lapse, and nothing is sent for 24 hours and until every
    mailbox was read once.
    """
    here = invocation(ctx)
    settings = here.load().settings
    ledger = _ledger_file(settings)
    now = WallClock().wall()
    with DaemonLock.acquire(ledger, now=now):
        found = backups.read_backup(file)
        if _opens(here, settings, found) is None:
            # The vault says what is missing, and where.
            Vault.open(settings.vault.key_file, here.environ)
        done = backups.restore(settings.ledger.url, found, now=now)
    _show("backup-restore", {**_facts(found), "incarnation": done.incarnation, "kept": done.kept}, as_json=json)
    say(
        f"{file} is the ledger now; the next `warmup run` lets due messages lapse and sends nothing for 24 hours and "
        "until every mailbox was read; `warmup run --accept-restore` skips the wait"
    )


def _opens(here: Invocation, settings: Settings, found: Backup) -> bool | None:
    """True where the installation's key opens the backup, None where there is no key. Fault where it is another's."""
    if found.identity_key_sealed is None or not has_key(settings.vault.key_file, here.environ):
        return None
    vault = Vault.open(settings.vault.key_file, here.environ)
    try:
        vault.unseal_blob(found.identity_key_sealed, purpose=IDENTITY)
    except SealBroken:
        raise Fault(
            f"{found.path} was sealed with another key than {settings.vault.key_file}",
            "put the key file back that its ledger was made with",
            code=Exit.BAD_CONFIG,
        ) from None
    return True


def _ledger_file(settings: Settings) -> Path:
    ledger = settings.ledger_file
    if ledger is None:
        raise Fault(
            "the ledger is on a database server, which has tools of its own for this",
            "use pg_dump and pg_restore, and keep the key file apart",
            code=Exit.BAD_CONFIG,
        )
    return ledger


def _refuse_own_files(loaded: Loaded, target: Path) -> None:
    own = (loaded.settings.vault.key_file, loaded.path)
    if target.resolve() in {path.resolve() for path in own if path is not None}:
        raise Fault(f"{target} is a file of this installation", "name another", code=Exit.BAD_INPUT)


def _facts(found: Backup) -> dict[str, Any]:
    return {
        "file": found.path.absolute(),
        "size_bytes": found.size_bytes,
        "revision": found.revision,
        "checksum": found.has_checksum,
        "incarnation": found.incarnation,
        "last_attempt": found.last_attempt,
        "mailboxes": found.mailboxes,
        "until": found.until,
    }


_WORDS = {
    "file": "backup",
    "size_bytes": "bytes",
    "last_attempt": "messages tried",
    "until": "records until",
    "key_opens": "key opens it",
    "kept": "kept aside",
}


def _show(name: str, facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(name, facts)
        return
    print_facts(
        (_WORDS.get(key, key), _shown(value)) for key, value in facts.items() if key not in ("incarnation", "checksum")
    )
    typer.echo("checksum, pages and references are sound" if facts["checksum"] else "pages and references are sound")


def _shown(value: Any) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return instant(value) if isinstance(value, datetime) else value
