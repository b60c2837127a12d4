"""The options that `mailbox add` and `mailbox set` share, said once."""

from enum import StrEnum, unique
from pathlib import Path
from typing import Annotated

import typer

from warmup.policy.authority import AuthorityName
from warmup.policy.mailbox import Profile, Security, SmtpAuth


@unique
class Start(StrEnum):
    """Where a mailbox's ramp begins: at its first day, or where its own mail shows that it is already."""

    RAMP = "ramp"
    AUTO = "auto"


ADDRESS = typer.Argument(metavar="ADDRESS", show_default=False)

AccountType = Annotated[str | None, typer.Option(metavar="NAME", help="Sets the daily limit: trial, for example.")]
DailyLimit = Annotated[int | None, typer.Option(metavar="N", help="Messages in any 24 hours; at most the provider's.")]
Target = Annotated[
    int | None, typer.Option(metavar="N", help="Messages a day you will really send; else the ramp's end.")
]
Ramp = Annotated[str | None, typer.Option(metavar="NAME", help="careful, standard, fast, esp or auto.")]
StartAt = Annotated[
    Start | None,
    typer.Option("--start", help="auto: begin the ramp where its Sent folder shows it is; ramp: at day 1."),
]
Timezone = Annotated[str | None, typer.Option(metavar="TZ", help="Zone of its days and hours, like Europe/Berlin.")]
Weekdays = Annotated[str | None, typer.Option(metavar="DAYS", help="When it sends, like mon,tue,wed.")]
Hours = Annotated[str | None, typer.Option("--hours", metavar="HH:MM-HH:MM", help="From when to when, in its zone.")]
Holidays = Annotated[
    str | None, typer.Option(metavar="CC", help="Nothing on public holidays: DE, or DE-BY; none: every day alike.")
]
ProfileKind = Annotated[
    Profile | None, typer.Option("--profile", help="learned: weekdays and hours as its own mail's dates show them.")
]
Smtp = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="587 STARTTLS, 465 TLS, 25 or 2525.")]
SmtpSecurity = Annotated[Security | None, typer.Option(help="none is for loopback alone.")]
SmtpAuthKind = Annotated[SmtpAuth | None, typer.Option(help="none: a relay that takes no password, TLS still.")]
Imap = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="993, implicit TLS.")]
ImapSecurity = Annotated[Security | None, typer.Option(help="tls or none; none is for loopback alone.")]
Username = Annotated[str | None, typer.Option(metavar="U", help="Else the address.")]
AcceptHost = Annotated[
    bool, typer.Option("--accept-host", help="Give the password to servers its domain names outside of itself.")
]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
PasswordEnv = Annotated[str | None, typer.Option(metavar="VAR", help="Take it from this environment variable.")]
PasswordFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Read it from this file.")]
OAuth = Annotated[AuthorityName | None, typer.Option("--oauth", help="Sign in with OAuth 2.0, without a password.")]
Timeout = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=1, max=3600, help="How long to wait for the OAuth sign-in.")
]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="T", help="May be repeated.")]
Name = Annotated[str | None, typer.Option(metavar='"Display Name"', help="As its owner signs.")]
NoVerify = Annotated[bool, typer.Option("--no-verify", help="Do not log in; the mailbox is saved as unverified.")]
