"""`warmup oauth`: sign an enrolled mailbox in again, where its grant was lost or it had a password until now."""

import asyncio
from typing import Annotated

import typer

from warmup.cli import mailbox_options as options
from warmup.cli.invocation import invocation
from warmup.cli.mailbox_change import sign_in_again
from warmup.cli.proof import PATIENCE_SECONDS

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Sign in with OAuth 2.0.")


@app.callback()
def _oauth() -> None:
    """Sign in with OAuth 2.0."""


@app.command()
def login(
    ctx: typer.Context,
    address: Annotated[str, options.ADDRESS],
    oauth: options.OAuth = None,
    timeout: options.Timeout = PATIENCE_SECONDS,
) -> None:
    """Sign in again at Google or Microsoft: log in to both servers with what was granted, and only then keep it."""
    asyncio.run(sign_in_again(invocation(ctx), address, oauth, patience=timeout))
