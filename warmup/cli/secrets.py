"""`warmup secrets`: a new key for every sealed secret."""

import asyncio
import socket

import typer

from warmup.cli.faults import Exit, Fault
from warmup.cli.invocation import Invocation, invocation
from warmup.cli.opening import holder_of
from warmup.cli.output import say
from warmup.cli.parts import parts_of
from warmup.cli.rotation import Rotated, rotated
from warmup.ledger.lock import Holder
from warmup.vault import KeyFile

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Seal every secret with a new key.")


@app.callback()
def _secrets() -> None:
    """Seal every secret with a new key."""


@app.command()
def rotate(ctx: typer.Context) -> None:
    """Make a new key and seal every secret with it, beside a running daemon too; run it again if it was cut off."""
    done = asyncio.run(_rotate(invocation(ctx)))
    what = f"{done.secrets} {'secret' if done.secrets == 1 else 'secrets'}"
    key = "with a new key" if done.is_new else "with the newest key, and the rotation that was cut off is done"
    typer.echo(f"sealed {what} {key}: {done.path}")
    say(f"keep a copy of {done.path} elsewhere; backups made before now open with the key before, so keep that too")


async def _rotate(here: Invocation) -> Rotated:
    async with parts_of(here) as parts:
        file = KeyFile.find(parts.settings.vault.key_file, here.environ)
        if file.is_credential:
            raise Fault(
                f"the key is a systemd credential ({file.path}), a copy that cannot be replaced",
                "stop the service, and as root, outside of it, run this with vault.key_file set to the file that"
                " LoadCredential names",
                code=Exit.BAD_CONFIG,
            )
        daemon = holder_of(parts.settings)
        if daemon is not None:
            _check_sees_the_file(daemon)
        return await rotated(parts.ledger, file)


def _check_sees_the_file(daemon: Holder) -> None:
    """Nothing where a running daemon reads the key file that is replaced; a Fault (75) where it has another."""
    # A server that keeps the ledger tells the beginning of a long host's name.
    if not socket.gethostname().startswith(daemon.host):
        where = "runs on another machine, which has a key file of its own"
        fix = "stop it, rotate, and give it the new file"
    elif daemon.has_credential:
        where, fix = (
            "has its key from systemd and would not see a new one",
            "stop the service, rotate, and start it again",
        )
    else:
        return
    raise Fault(f"the daemon ({daemon}) {where}", fix, code=Exit.TRY_LATER)
