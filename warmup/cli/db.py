"""`warmup db`: the ledger's revision, its upgrade, whether it is whole, and the way to another database."""

from contextlib import ExitStack
from dataclasses import asdict
from typing import Annotated

import typer

from warmup.cli.faults import Exit, Fault
from warmup.cli.invocation import invocation
from warmup.cli.opening import database_of, hold, hold_database
from warmup.cli.output import Json, print_json
from warmup.clock import WallClock
from warmup.config import Settings
from warmup.ledger import schema
from warmup.ledger.copying import copy_ledger
from warmup.ledger.database import Database

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Upgrade and check the ledger.")


@app.command()
def current(ctx: typer.Context, json: Json = False) -> None:
    """Print the ledger's revision, and the one this program needs. Exits 78 where the ledger is newer."""
    url = invocation(ctx).load().settings.ledger.url
    revision = schema.current(url)
    if json:
        print_json("db-current", {"revision": revision, "head": schema.HEAD})
    else:
        typer.echo(f"{revision or 'none'} (this program needs {schema.HEAD})")
    if revision is not None and revision not in schema.REVISIONS:
        schema.check(url)


@app.command()
def upgrade(ctx: typer.Context) -> None:
    """Bring the ledger to this program's revision; a copy is laid beside it. Not while a daemon runs (75)."""
    settings = invocation(ctx).load().settings
    url = settings.ledger.url
    before = schema.current(url)
    with hold(settings, now=WallClock().now()):
        copy = schema.upgrade(url)
    if before == schema.HEAD:
        typer.echo(f"the ledger has revision {schema.HEAD} already")
    else:
        typer.echo(f"upgraded from {before or 'none'} to {schema.HEAD}" + (f"; the copy is {copy}" if copy else ""))


@app.command()
def copy(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME.")],
    json: Json = False,
) -> None:
    """Copy the whole ledger into another, empty one, and compare them. Not while a daemon runs on either (75).

    A server's password comes from PGPASSWORD or ~/.pgpass, never from here.
    """
    settings, now = invocation(ctx).load().settings, WallClock().now()
    source, target = database_of(settings), _target_of(url, settings)
    with ExitStack() as held:
        for database in (source, target):
            held.callback(hold_database(database, now=now).release)
        copied = copy_ledger(source, target)
    if json:
        print_json(
            "db-copy", {"source": str(source), "target": str(target), "tables": [asdict(table) for table in copied]}
        )
        return
    for table in copied:
        typer.echo(f"{table.table:<20} {table.rows:>10} rows  {table.sha256[:16]}")
    typer.echo(f"{target} equals {source}; set ledger.url to it")
    typer.echo(f"a daemon started on {source} again would hold for 24 hours, as on one that was restored")


def _target_of(url: str, settings: Settings) -> Database:
    target = Database.of(url, beside=settings.beside_ledger(""))
    if target.url.password is not None or any("password" in name for name in target.url.query):
        raise Fault(
            "a password may not stand in an argument", "put it into PGPASSWORD or ~/.pgpass", code=Exit.WRONG_USAGE
        )
    if target.spelled == database_of(settings).spelled:
        raise Fault(f"{target} is the ledger itself", "name another", code=Exit.BAD_INPUT)
    if target.file is not None:
        return Database.of(f"sqlite:///{target.file.absolute()}")
    return target


@app.command()
def check(ctx: typer.Context, json: Json = False) -> None:
    """Look for damage: pages that do not add up, rows without their parents. Exits 1 where something is wrong."""
    problems = schema.inspect(invocation(ctx).load().settings.ledger.url)
    if json:
        print_json("db-check", {"revision": schema.HEAD, "problems": list(problems)})
    else:
        for line in problems or ("the ledger is sound",):
            typer.echo(line)
    if problems:
        raise typer.Exit(Exit.FOUND_WRONG)
