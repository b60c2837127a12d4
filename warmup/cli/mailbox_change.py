"""Enrolling, changing, pausing, removing and checking mailboxes. What fails leaves everything as it was."""

from dataclasses import dataclass, fields, replace
from datetime import datetime

import typer

from warmup.cli import enrolment, errand
from warmup.cli.enrolment import Draft, Wish, draft
from warmup.cli.faults import Exit, bad_input, wrong_usage
from warmup.cli.finding import found_for
from warmup.cli.invocation import Invocation
from warmup.cli.mailbox_options import Start
from warmup.cli.output import print_json, progress, say, warn
from warmup.cli.parts import Parts, parts_of
from warmup.cli.password import PasswordSource
from warmup.cli.proof import Means, Proof, check_means, hosts_of, kept_means, kept_proof, proof_of
from warmup.cli.sent import start_of
from warmup.cli.verification import Folders, verified
from warmup.ledger.enrolled import NewMailbox
from warmup.ledger.errors import DuplicateMailbox
from warmup.mail.address import account_form
from warmup.policy.authority import AuthorityName
from warmup.policy.mailbox import Endpoint, Mailbox, Profile, Protocol, Role, Security, SmtpAuth
from warmup.policy.provider import Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Whom:
    """Which mailboxes a verb is about: one, those with a tag, or, with neither, all."""

    address: str | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The options of `mailbox set` as they were said; None: stays as it is."""

    account_type: str | None = None
    daily_limit: int | None = None
    target: int | None = None
    ramp: str | None = None
    timezone: str | None = None
    weekdays: str | None = None
    hours: str | None = None
    holidays: str | None = None
    profile: Profile | None = None
    role: Role | None = None
    smtp: str | None = None
    smtp_security: Security | None = None
    smtp_auth: SmtpAuth | None = None
    imap: str | None = None
    imap_security: Security | None = None
    username: str | None = None
    engage: bool | None = None
    tags: tuple[str, ...] | None = None
    name: str | None = None

    @property
    def is_empty(self) -> bool:
        """True where nothing is to be changed."""
        return all(getattr(self, field.name) is None for field in fields(self))


async def enrol(here: Invocation, wish: Wish, means: Means, *, start: Start | None = None, verify: bool) -> None:
    """Check, log in to both servers, save: in this order, so that nothing half-enrolled is ever kept."""
    if start is Start.AUTO and not verify:
        raise wrong_usage(
            "--start auto reads the Sent folder, and --no-verify logs in nowhere", "leave one of them out"
        )
    async with parts_of(here) as parts:
        now = parts.clock.now()
        plan = await drafted(wish, parts, now=now)
        await check_new(parts, plan.new)
        check_means(means, plan.provider)
        vault = parts.vault()
        for doubt in plan.doubts:
            warn(doubt)
        new = plan.new
        proof = await proof_of(parts, means, vault, new, plan.provider) if verify or means.is_said else None
        if verify and proof is not None:
            progress(f"logging in to {new.smtp} and {new.imap}")
            found = await verified(new, proof.logins, provider=plan.provider, network=parts.network)
            new = replace(
                new, junk_folder=found.junk, sent_folder=found.sent, trash_folder=found.trash, verified_at=now
            )
            _warn_of(found, new.role)
            if start is Start.AUTO:
                new = replace(new, first_level=await _begun(parts, new, proof))
        added = await parts.ledger.mailboxes.add(new, proof.secrets if proof is not None else ())
        if verify:
            await _well_again(parts, added)
    typer.echo(_enrolled(new))
    for note in plan.notes:
        say(note)


async def alter(
    here: Invocation,
    address: str,
    wish: Change,
    source: PasswordSource,
    *,
    start: Start | None = None,
    verify: bool,
) -> None:
    """Change what is said; a changed login is tried first."""
    if wish.is_empty and not source.is_said and start is None:
        raise wrong_usage("nothing is to be changed", "see warmup mailbox set --help")
    async with parts_of(here) as parts:
        before = await parts.ledger.mailboxes.get(address)
        provider = parts.provider_of(before)
        after = _changed(before, wish, parts, provider)
        proof: Proof | None = None
        if _login_of(before) != _login_of(after) or source.is_said:
            proof = await _proof(parts, before, after, source)
            after = await _proven(parts, after, proof, provider, verify=verify)
        if start is Start.AUTO:
            reading = proof or await kept_proof(parts, parts.vault(), after)
            after = replace(after, first_level=await _begun(parts, after, reading))
        elif start is Start.RAMP or wish.ramp is not None:
            # A level is another volume on another ramp.
            after = replace(after, first_level=1)
        await parts.ledger.mailboxes.save(after, proof.secrets if proof is not None else ())
        if proof is not None and verify:
            await _well_again(parts, after)
    typer.echo(f"changed {after.address}")


async def _begun(parts: Parts, mailbox: NewMailbox | Mailbox, proof: Proof) -> int:
    """The level its ramp begins at, by its Sent folder; and says what was found there."""
    found = await start_of(mailbox, proof.logins, parts)
    say(f"{mailbox.address}: {found.said}")
    return found.level


async def sign_in_again(here: Invocation, address: str, oauth: AuthorityName | None, *, patience: float) -> None:
    """Sign in at the authority named, else at the one that granted it before, else at the provider's own."""
    async with parts_of(here) as parts:
        before = await parts.ledger.mailboxes.get(address)
        provider = parts.provider_of(before)
        oauth = oauth or (await kept_means(parts, before)).oauth or (provider.authorities or (None,))[0]
        if oauth is None:
            raise wrong_usage(
                f"{before.address} was not signed in with OAuth 2.0 yet", "say --oauth google or microsoft"
            )
        means = Means(oauth=oauth, patience=patience)
        check_means(means, provider)
        proof = await proof_of(parts, means, parts.vault(), before, provider)
        after = await _proven(parts, before, proof, provider, verify=True)
        await parts.ledger.mailboxes.save(after, proof.secrets)
        await _well_again(parts, after)
    typer.echo(f"signed in {after.address} at {oauth.company}; both logins hold")


async def pause(here: Invocation, whom: Whom) -> None:
    """Pause by hand."""
    async with parts_of(here) as parts:
        chosen = await _meant(parts, whom)
        changed = await parts.ledger.mailboxes.pause([mailbox.id for mailbox in chosen])
    typer.echo(f"paused {changed} of {len(chosen)}")


async def resume(here: Invocation, whom: Whom) -> None:
    """Lift a pause, whoever made it."""
    async with parts_of(here) as parts:
        chosen = await _meant(parts, whom)
        changed = await parts.ledger.mailboxes.resume([mailbox.id for mailbox in chosen])
    typer.echo(f"resumed {changed} of {len(chosen)}")


async def remove(here: Invocation, address: str, *, purge: bool) -> None:
    """Take a mailbox out; raises UnknownMailbox."""
    async with parts_of(here) as parts:
        mailbox = await parts.ledger.mailboxes.get(address)
        await parts.ledger.mailboxes.remove(mailbox.id, now=parts.clock.now(), purge=purge)
    typer.echo(f"removed {mailbox.address}" + (" with its history" if purge else "; its history stays"))


async def check(here: Invocation, address: str, *, patience: float | None, as_json: bool) -> None:
    """Log in with what is kept. A mailbox that was unverified, suppressed or had a problem is well again afterwards.

    With `patience` it is mailed to itself besides, and the message waited for, so many seconds.
    """
    async with parts_of(here) as parts:
        mailbox = await parts.ledger.mailboxes.get(address)
        proof = await kept_proof(parts, parts.vault(), mailbox)
        found = await verified(mailbox, proof.logins, provider=parts.provider_of(mailbox), network=parts.network)
        mailbox = await parts.ledger.mailboxes.save(_with(mailbox, found, parts))
        await _well_again(parts, mailbox)
    if not as_json:
        typer.echo(f"{mailbox.address}: both logins hold; junk folder: {found.junk or 'none'}")
        _warn_of(found, mailbox.role)
    test = None if patience is None else await errand.test_itself(here, mailbox, patience=patience)
    if as_json:
        print_json("mailbox-check", _checked(mailbox, found, test))
    elif test is not None:
        for line in errand.lines(test, whom="itself"):
            typer.echo(line)
    if found.problems or not (test is None or errand.is_well(test)):
        raise typer.Exit(Exit.FOUND_WRONG)


async def _well_again(parts: Parts, mailbox: Mailbox) -> None:
    """Both logins hold: what was held against the mailbox for a refused one, or for an address gone, is over."""
    await parts.ledger.mailboxes.clear_problem(mailbox.id)
    await parts.ledger.logins.forget(mailbox.id)
    if await parts.ledger.standings.lift(mailbox.address):
        say(f"{mailbox.address} was suppressed after a server refused mail to it; it is written to again")


async def drafted(wish: Wish, parts: Parts, *, now: datetime) -> Draft:
    """The draft of `wish`, with what had to be found out about its servers. Raises Fault (65), AddressError."""
    found = await found_for(wish, parts)
    return draft(wish, settings=parts.settings, providers=parts.providers, now=now, found=found)


async def check_new(parts: Parts, new: NewMailbox) -> None:
    """Nothing where neither the address nor its account is enrolled; DuplicateMailbox."""
    taken = await parts.ledger.mailboxes.duplicate_of(new)
    if taken is None:
        # Another name of the same server (localhost, 127.0.0.1) does not make an alias another account.
        mine, known = account_form(new.address), await parts.ledger.mailboxes.list()
        taken = next((mailbox.address for mailbox in known if account_form(mailbox.address) == mine), None)
    if taken is not None:
        raise DuplicateMailbox(new.address, taken)


def _enrolled(new: NewMailbox) -> str:
    state = "" if new.verified_at else "; unverified: nothing is sent until `warmup mailbox check` has logged in"
    junk = f", junk folder {new.junk_folder}" if new.junk_folder else ""
    return f"enrolled {new.address}: {new.provider}, {new.role}, at most {new.daily_limit} in 24 hours{junk}{state}"


def _warn_of(found: Folders, role: Role) -> None:
    for caution in found.cautions(role):
        warn(caution)


def _changed(before: Mailbox, wish: Change, parts: Parts, provider: Provider) -> Mailbox:
    limit = before.daily_limit
    if wish.daily_limit is not None or wish.account_type is not None:
        limit = enrolment.checked_limit(provider, account_type=wish.account_type, asked=wish.daily_limit)
    target = before.target if wish.target is None else wish.target
    after = replace(
        before,
        daily_limit=limit,
        target=enrolment.checked_target(target, limit=limit),
        ramp=before.ramp if wish.ramp is None else enrolment.checked_ramp(wish.ramp),
        timezone=before.timezone if wish.timezone is None else enrolment.checked_zone(wish.timezone),
        hours=enrolment.checked_hours(wish.weekdays, wish.hours, usual=before.hours or parts.settings.window.hours)
        or before.hours,
        holidays=before.holidays if wish.holidays is None else enrolment.checked_holidays(wish.holidays),
        profile=wish.profile or before.profile,
        role=wish.role or before.role,
        smtp_auth=wish.smtp_auth or before.smtp_auth,
        smtp=_server(before.smtp, wish.smtp, wish.smtp_security, Protocol.SMTP),
        imap=_server(before.imap, wish.imap, wish.imap_security, Protocol.IMAP),
        username=before.username if wish.username is None else enrolment.checked_username(wish.username),
        engage=before.engage if wish.engage is None else wish.engage,
        tags=before.tags if wish.tags is None else enrolment.checked_tags(wish.tags),
        name=before.name if wish.name is None else enrolment.checked_name(wish.name),
    )
    if after.engage and after.role is Role.CONTROL:
        raise bad_input("a control is never engaged with", "say --no-engage with it")
    for endpoint in (after.smtp, after.imap):
        enrolment.check_host(endpoint, parts.settings)
    return after


def _server(before: Endpoint, text: str | None, security: Security | None, protocol: Protocol) -> Endpoint:
    if text is None and security is None:
        return before
    make = enrolment.smtp_endpoint if protocol is Protocol.SMTP else enrolment.imap_endpoint
    return make(text or str(before), security)


def _login_of(mailbox: Mailbox) -> tuple[Endpoint, SmtpAuth, Endpoint, str]:
    return mailbox.smtp, mailbox.smtp_auth, mailbox.imap, mailbox.username


async def _proof(parts: Parts, before: Mailbox, after: Mailbox, source: PasswordSource) -> Proof:
    """The proof that was said, else the kept one where no host changed (it is bound to it)."""
    vault, provider = parts.vault(), parts.provider_of(after)
    if source.is_said:
        means = Means(source=source)
        check_means(means, provider)
        return await proof_of(parts, means, vault, after, provider)
    if hosts_of(after).items() <= hosts_of(before).items():
        return await kept_proof(parts, vault, after)
    means = await kept_means(parts, before)
    how = "say it" if means.oauth is None else "sign in"
    say(f"the host is another one, and what was kept was sealed for the old: {how} again")
    return await proof_of(parts, means, vault, after, provider)


async def _proven(parts: Parts, after: Mailbox, proof: Proof, provider: Provider, *, verify: bool) -> Mailbox:
    if not verify:
        say("it is unverified until `warmup mailbox check` has logged in")
        return replace(after, verified_at=None)
    found = await verified(after, proof.logins, provider=provider, network=parts.network)
    _warn_of(found, after.role)
    return _with(after, found, parts)


def _with(mailbox: Mailbox, found: Folders, parts: Parts) -> Mailbox:
    return replace(
        mailbox,
        junk_folder=found.junk,
        sent_folder=found.sent,
        trash_folder=found.trash,
        verified_at=mailbox.verified_at or parts.clock.now(),
    )


def _checked(mailbox: Mailbox, found: Folders, test: dict[str, object] | None) -> dict[str, object]:
    return {
        "address": mailbox.address,
        "state": mailbox.state,
        "smtp": "ok",
        "imap": "ok",
        "junk_folder": found.junk,
        "sent_folder": found.sent,
        "trash_folder": found.trash,
        "problems": list(found.problems),
        "test": test,
    }


async def _meant(parts: Parts, whom: Whom) -> tuple[Mailbox, ...]:
    if whom.address is not None:
        return (await parts.ledger.mailboxes.get(whom.address),)
    if whom.tag is None:
        return await parts.ledger.mailboxes.list()
    found = await parts.ledger.mailboxes.tagged(whom.tag)
    if not found:
        raise bad_input(f"no mailbox has the tag {whom.tag}", "warmup mailbox list shows them")
    return found
