"""`warmup db`: the ledger's revision, its upgrade, and whether the file is whole."""

import typer

from warmup.cli.faults import Exit
from warmup.cli.invocation import invocation
from warmup.cli.opening import hold
from warmup.cli.output import Json, print_json
from warmup.clock import WallClock
from warmup.ledger import schema

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Upgrade and check the ledger.")


@app.command()
def current(ctx: typer.Context, json: Json = False) -> None:
    """Print the ledger's revision, and the one this program needs."""
    revision = schema.current(invocation(ctx).load().settings.ledger.url)
    if json:
        print_json("db-current", {"revision": revision, "head": schema.HEAD})
    else:
        typer.echo(f"{revision or 'none'} (this program needs {schema.HEAD})")


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
