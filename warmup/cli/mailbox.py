"""`warmup mailbox`: parse, call, print. What is checked is in `enrolment`, what is done in `mailbox_change`."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from warmup.cli import mailbox_change as change
from warmup.cli import mailbox_options as options
from warmup.cli import mailbox_view as view
from warmup.cli.enrolment import Wish
from warmup.cli.faults import wrong_usage
from warmup.cli.invocation import invocation
from warmup.cli.output import Json
from warmup.cli.password import PasswordSource
from warmup.cli.proof import PATIENCE_SECONDS, Means
from warmup.policy.mailbox import Role, SmtpAuth

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Enrol mailboxes; list, change, pause, check and remove them."
)


@app.command()
def add(
    ctx: typer.Context,
    address: Annotated[str, options.ADDRESS],
    provider: Annotated[str | None, typer.Option(metavar="NAME", help="A preset; else found by the domain.")] = None,
    account_type: options.AccountType = None,
    daily_limit: options.DailyLimit = None,
    target: options.Target = None,
    ramp: options.Ramp = None,
    start: options.StartAt = None,
    timezone: options.Timezone = None,
    weekdays: options.Weekdays = None,
    hours: options.Hours = None,
    holidays: options.Holidays = None,
    profile: options.ProfileKind = None,
    role: Annotated[Role, typer.Option(help="sender, seed, both or control.")] = Role.BOTH,
    smtp: options.Smtp = None,
    smtp_security: options.SmtpSecurity = None,
    smtp_auth: options.SmtpAuthKind = None,
    imap: options.Imap = None,
    imap_security: options.ImapSecurity = None,
    username: options.Username = None,
    accept_host: options.AcceptHost = False,
    password_stdin: options.PasswordStdin = False,
    password_env: options.PasswordEnv = None,
    password_file: options.PasswordFile = None,
    oauth: options.OAuth = None,
    timeout: options.Timeout = PATIENCE_SECONDS,
    engage: Annotated[
        bool, typer.Option("--engage", help="Allow moving, flagging and filing of its own mail.")
    ] = False,
    tag: options.Tags = None,
    name: options.Name = None,
    no_verify: options.NoVerify = False,
) -> None:
    """Enrol a mailbox: log in to both servers, find its folders, and only then save it."""
    wish = Wish(
        address=address,
        provider=provider,
        account_type=account_type,
        daily_limit=daily_limit,
        target=target,
        ramp=ramp,
        timezone=timezone,
        weekdays=weekdays,
        hours=hours,
        holidays=holidays,
        profile=profile,
        role=role,
        smtp=smtp,
        smtp_security=smtp_security,
        smtp_auth=smtp_auth or SmtpAuth.PASSWORD,
        imap=imap,
        imap_security=imap_security,
        username=username,
        accept_host=accept_host,
        engage=engage,
        tags=tuple(tag or ()),
        name=name or "",
    )
    source = PasswordSource(stdin=password_stdin, variable=password_env, file=password_file)
    means = Means(source=source, oauth=oauth, patience=timeout)
    asyncio.run(change.enrol(invocation(ctx), wish, means, start=start, verify=not no_verify))


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", show_default=False)],
    concurrency: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="How many at once.")] = 10,
    no_verify: options.NoVerify = False,
    json: Json = False,
) -> None:
    """Enrol many at once, all or none. Columns are called as the options of `add`, and password, tags."""
    from warmup.cli.mailbox_import import import_mailboxes

    asyncio.run(import_mailboxes(invocation(ctx), file, concurrency=concurrency, verify=not no_verify, as_json=json))


@app.command("list")
def list_(ctx: typer.Context, json: Json = False) -> None:
    """List the enrolled mailboxes."""
    asyncio.run(view.list_mailboxes(invocation(ctx), as_json=json))


@app.command()
def show(ctx: typer.Context, address: Annotated[str, options.ADDRESS], json: Json = False) -> None:
    """Show everything about one mailbox, except its secrets."""
    asyncio.run(view.show_mailbox(invocation(ctx), address, as_json=json))


@app.command("set")
def set_(
    ctx: typer.Context,
    address: Annotated[str, options.ADDRESS],
    account_type: options.AccountType = None,
    daily_limit: options.DailyLimit = None,
    target: options.Target = None,
    ramp: options.Ramp = None,
    start: options.StartAt = None,
    timezone: options.Timezone = None,
    weekdays: options.Weekdays = None,
    hours: options.Hours = None,
    holidays: options.Holidays = None,
    profile: options.ProfileKind = None,
    role: Annotated[Role | None, typer.Option(help="sender, seed, both or control.")] = None,
    smtp: options.Smtp = None,
    smtp_security: options.SmtpSecurity = None,
    smtp_auth: options.SmtpAuthKind = None,
    imap: options.Imap = None,
    imap_security: options.ImapSecurity = None,
    username: options.Username = None,
    password_stdin: options.PasswordStdin = False,
    password_env: options.PasswordEnv = None,
    password_file: options.PasswordFile = None,
    engage: Annotated[bool | None, typer.Option("--engage/--no-engage", help="As at enrolment.")] = None,
    tag: options.Tags = None,
    name: options.Name = None,
    no_verify: options.NoVerify = False,
) -> None:
    """Change a mailbox. A new host, user name or password is tried first; a new host asks for the password again."""
    wish = change.Change(
        account_type=account_type,
        daily_limit=daily_limit,
        target=target,
        ramp=ramp,
        timezone=timezone,
        weekdays=weekdays,
        hours=hours,
        holidays=holidays,
        profile=profile,
        role=role,
        smtp=smtp,
        smtp_security=smtp_security,
        smtp_auth=smtp_auth,
        imap=imap,
        imap_security=imap_security,
        username=username,
        engage=engage,
        tags=tuple(tag) if tag is not None else None,
        name=name,
    )
    source = PasswordSource(stdin=password_stdin, variable=password_env, file=password_file)
    asyncio.run(change.alter(invocation(ctx), address, wish, source, start=start, verify=not no_verify))


_ALL = Annotated[bool, typer.Option("--all", help="Every mailbox.")]
_TAG = Annotated[str | None, typer.Option("--tag", metavar="T", help="Every mailbox with this tag.")]
_ONE = Annotated[str | None, typer.Argument(metavar="[ADDRESS]", show_default=False)]


@app.command()
def pause(ctx: typer.Context, address: _ONE = None, all_: _ALL = False, tag: _TAG = None) -> None:
    """Take mailboxes out of the work. The program never lifts a pause made by hand."""
    asyncio.run(change.pause(invocation(ctx), _whom(address, tag, everyone=all_)))


@app.command()
def resume(ctx: typer.Context, address: _ONE = None, all_: _ALL = False, tag: _TAG = None) -> None:
    """Take mailboxes into the work again."""
    asyncio.run(change.resume(invocation(ctx), _whom(address, tag, everyone=all_)))


@app.command()
def remove(
    ctx: typer.Context,
    address: Annotated[str, options.ADDRESS],
    purge: Annotated[
        bool, typer.Option("--purge", help="Its history goes too; what counts in 24 hours stays.")
    ] = False,
) -> None:
    """Take a mailbox out for good; its secrets go, its history stays unless --purge."""
    asyncio.run(change.remove(invocation(ctx), address, purge=purge))


@app.command()
def check(
    ctx: typer.Context,
    address: Annotated[str, options.ADDRESS],
    send: Annotated[bool, typer.Option("--send", help="Mail the mailbox itself as well, and wait for it.")] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=1, max=3600, help="How long --send waits for it.")
    ] = 120.0,
    json: Json = False,
) -> None:
    """Log in again and say what is wrong: exits 77 or 69 as enrolment does, 1 where something else is."""
    asyncio.run(change.check(invocation(ctx), address, patience=timeout if send else None, as_json=json))


def _whom(address: str | None, tag: str | None, *, everyone: bool) -> change.Whom:
    if (address is not None) + (tag is not None) + everyone != 1:
        raise wrong_usage("it is not clear which mailboxes are meant", "say one of ADDRESS, --all and --tag T")
    return change.Whom(address=address, tag=tag)
