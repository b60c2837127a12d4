"""The `warmup` command: which verbs there are, what they share, and how every one of them ends.

A verb is one line in `VERBS`; its module is imported when it is called, so that `--help` stays quick. Whatever a verb
raises becomes one line on stderr and one of the contract's exit codes, here and nowhere else.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from warmup import __version__
from warmup.cli.invocation import Invocation, LogLevel

# name: (module with a `typer.Typer` called `app`, one line of help); in the order of --help.
VERBS: dict[str, tuple[str, str]] = {
    "init": ("warmup.cli.init", "Write config.toml, the key file and the ledger; safe to repeat."),
    "mailbox": ("warmup.cli.mailbox", "Enrol mailboxes; list, change, pause, check and remove them."),
    "oauth": ("warmup.cli.oauth", "Sign in with OAuth 2.0."),
    "run": ("warmup.cli.run", "Run the daemon."),
    "plan": ("warmup.cli.plan", "Show the ramp to come, day by day."),
    "status": ("warmup.cli.status", "Show the fleet at a glance."),
    "report": ("warmup.cli.report", "Show one mailbox in depth."),
    "test": ("warmup.cli.test", "Test where mail lands, at each receiving provider."),
    "explain": ("warmup.cli.explain", "Say in plain words what a server meant, and what to do."),
    "export": ("warmup.cli.export", "Write history out as CSV, JSON lines or Parquet."),
    "metrics": ("warmup.cli.metrics", "Print one Prometheus exposition."),
    "healthcheck": ("warmup.cli.healthcheck", "Ask the daemon whether it lives and is ready."),
    "simulate": ("warmup.cli.simulate", "Compare ramps and controllers against modelled receivers."),
    "demo": ("warmup.cli.demo", "Run the whole program against an embedded mail world, days in seconds."),
    "config": ("warmup.cli.config", "Show what is in force, and check it."),
    "db": ("warmup.cli.db", "Upgrade and check the ledger."),
    "backup": ("warmup.cli.backup", "Back the ledger up, look at a backup, and put it back."),
    "secrets": ("warmup.cli.secrets", "Seal every secret with a new key."),
    "schema": ("warmup.cli.schema", "Print the JSON Schema of a verb's --json."),
}

# What a shell says of a program that Ctrl-C ended: 128 and the signal's number.
_INTERRUPTED = 130


class _Verbs(TyperGroup):
    """Knows every verb by its name and its line of help, and imports the one that is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands.update({name: TyperCommand(name, help=text) for name, (_, text) in VERBS.items()})

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        if args and args[0] in VERBS:
            module = import_module(VERBS[args[0]][0])
            self.commands[args[0]] = typer.main.get_command(module.app)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as gone:
            # typer would end the program with 1 by itself.
            raise _ReaderGone from gone


class _ReaderGone(Exception):
    """Nobody reads our output any more."""


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Warms mailboxes up: sends a little more each day, watches where it lands, slows down when receivers object.",
)


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"warmup {__version__}")
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Configuration file; else the first of the usual places."),
    ] = None,
    log_level: Annotated[
        LogLevel | None, typer.Option("--log-level", help="Log lines of this level and above.")
    ] = None,
    version: Annotated[  # noqa: ARG001 (its callback ends the program)
        bool, typer.Option("--version", is_eager=True, callback=lambda value: _version(wanted=value), help="Say which.")
    ] = False,
) -> None:
    here: Invocation = ctx.obj
    here.config = config
    here.log_level = log_level


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; the exit code."""
    here = Invocation(environ=os.environ)
    try:
        code = app(args=arguments, prog_name="warmup", standalone_mode=False, obj=here)
        sys.stdout.flush()
        if code == _INTERRUPTED:
            typer.echo("interrupted", err=True)
        return code if isinstance(code, int) else 0
    except (BrokenPipeError, _ReaderGone):
        # Who read our output has seen enough. What is still buffered must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("interrupted", err=True)
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 (the edge of a verb; debug shows the traceback)
        from warmup.cli.ending import ending_of

        ending = ending_of(error)
        if here.log_level is LogLevel.DEBUG and ending.is_worth_a_traceback:
            traceback.print_exc()
        for line in ending.lines:
            typer.echo(line, err=True)
        return ending.code
