"""Mailboxes as they are shown: in a list, and one in full. Secrets are not even read."""

from typing import Any

from warmup.cli.invocation import Invocation
from warmup.cli.output import instant, print_facts, print_json, print_table, say
from warmup.cli.parts import parts_of
from warmup.config.kinds import WEEKDAYS
from warmup.ledger.status import Overview
from warmup.policy.mailbox import Endpoint, Hours, Mailbox, SmtpAuth

_COLUMNS = ("mailbox", "provider", "role", "state", "day", "limit", "target", "ramp", "timezone", "tags")


async def list_mailboxes(here: Invocation, *, as_json: bool) -> None:
    """Print the enrolled mailboxes, by address."""
    async with parts_of(here) as parts:
        fleet = await parts.ledger.status.fleet(now=parts.clock.now())
    if as_json:
        print_json("mailbox-list", {"mailboxes": [_brief(one) for one in fleet]})
    elif not fleet:
        say("no mailbox is enrolled; begin with `warmup mailbox add ADDRESS`")
    else:
        print_table(_COLUMNS, [_row(one) for one in fleet], numbers=("day", "limit", "target"))


async def show_mailbox(here: Invocation, address: str, *, as_json: bool) -> None:
    """Print one mailbox; raises UnknownMailbox."""
    async with parts_of(here) as parts:
        mailbox = await parts.ledger.mailboxes.get(address)
        fleet = await parts.ledger.status.fleet(now=parts.clock.now())
        sign_in = await parts.ledger.mailboxes.sign_in(mailbox.id)
    shown = next(one for one in fleet if one.mailbox.id == mailbox.id)
    if as_json:
        print_json("mailbox-show", {**_brief(shown), **_rest(shown.mailbox), "sign_in": sign_in})
    else:
        print_facts(_facts(shown, sign_in))


def _brief(one: Overview) -> dict[str, Any]:
    mailbox = one.mailbox
    return {
        "address": mailbox.address,
        "account": one.account,
        "provider": mailbox.provider,
        "receiver": mailbox.receiver,
        "role": mailbox.role,
        "state": mailbox.state,
        "limit": mailbox.daily_limit,
        "target": mailbox.target,
        "ramp": mailbox.ramp,
        "timezone": mailbox.timezone,
        "day": one.day,
    }


def _rest(mailbox: Mailbox) -> dict[str, Any]:
    return {
        "name": mailbox.name,
        "smtp": _server(mailbox.smtp),
        "smtp_auth": mailbox.smtp_auth,
        "imap": _server(mailbox.imap),
        "username": mailbox.username,
        "engage": mailbox.engage,
        "tags": sorted(mailbox.tags),
        "hours": _hours(mailbox.hours),
        "holidays": mailbox.holidays,
        "profile": mailbox.profile,
        "first_level": mailbox.first_level,
        "junk_folder": mailbox.junk_folder,
        "sent_folder": mailbox.sent_folder,
        "trash_folder": mailbox.trash_folder,
        "enrolled_at": mailbox.enrolled_at,
        "verified_at": mailbox.verified_at,
        "problem": mailbox.problem,
    }


def _server(endpoint: Endpoint) -> dict[str, Any]:
    return {"host": endpoint.host, "port": endpoint.port, "security": endpoint.security}


def _relayed(mailbox: Mailbox) -> str:
    return ", no password" if mailbox.smtp_auth is SmtpAuth.NONE else ""


def _hours(hours: Hours | None) -> dict[str, Any] | None:
    if hours is None:
        return None
    return {"days": [WEEKDAYS[day] for day in sorted(hours.days)], "start": hours.start, "end": hours.end}


def _window(mailbox: Mailbox) -> str:
    """Its hours in words; what is not its own is the configuration's."""
    hours = mailbox.hours
    own = (
        []
        if hours is None
        else [f"{' '.join(WEEKDAYS[day] for day in sorted(hours.days))} {hours.start:%H:%M} to {hours.end:%H:%M}"]
    )
    holidays = (
        [] if mailbox.holidays is None else [f"holidays of {mailbox.holidays}" if mailbox.holidays else "no holidays"]
    )
    return ", ".join([*own, *holidays, *([mailbox.profile.value] if mailbox.profile else [])]) or "the configuration's"


def _row(one: Overview) -> tuple[object, ...]:
    mailbox = one.mailbox
    return (
        mailbox.address,
        mailbox.provider,
        mailbox.role,
        mailbox.state,
        one.day,
        mailbox.daily_limit,
        mailbox.target,
        mailbox.ramp,
        mailbox.timezone,
        " ".join(sorted(mailbox.tags)),
    )


def _facts(one: Overview, sign_in: str | None) -> list[tuple[str, object]]:
    mailbox, first = one.mailbox, one.mailbox.first_level
    return [
        ("address", mailbox.address),
        ("name", mailbox.name),
        ("state", mailbox.state),
        ("problem", mailbox.problem),
        ("role", mailbox.role),
        ("provider", mailbox.provider),
        ("receiver", mailbox.receiver),
        ("account", one.account),
        ("SMTP", f"{mailbox.smtp} ({mailbox.smtp.security}{_relayed(mailbox)})"),
        ("IMAP", f"{mailbox.imap} ({mailbox.imap.security})"),
        ("sign-in", sign_in or "none"),
        ("limit", f"{mailbox.daily_limit} in any 24 hours"),
        ("target", f"{mailbox.target} a day" if mailbox.target else "the ramp's end"),
        ("ramp", f"{mailbox.ramp}, day {one.day}" + (f", from level {first}" if first > 1 else "")),
        ("timezone", mailbox.timezone),
        ("hours", _window(mailbox)),
        ("engage", "yes" if mailbox.engage else "no"),
        ("tags", " ".join(sorted(mailbox.tags))),
        ("junk folder", mailbox.junk_folder),
        ("sent folder", mailbox.sent_folder),
        ("trash folder", mailbox.trash_folder),
        ("enrolled", instant(mailbox.enrolled_at)),
        ("verified", instant(mailbox.verified_at) if mailbox.verified_at else "never"),
    ]
