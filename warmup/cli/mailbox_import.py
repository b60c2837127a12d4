"""Enrolling many at once: all of a file or nothing of it.

Three stages, each for every row before the next begins: what can be said without a password (values, servers,
duplicates), then the logins, then one transaction. No login is tried while any row is wrong in itself, so that a slip
of the pen costs no attempt anywhere.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from warmup.cli.enrolment import Draft
from warmup.cli.faults import Exit, Fault, bad_input
from warmup.cli.import_file import Row, is_exposed, rows_of
from warmup.cli.invocation import Invocation
from warmup.cli.mailbox_change import check_new, drafted
from warmup.cli.output import print_json, print_table, warn
from warmup.cli.parts import Parts, parts_of
from warmup.cli.password import check_takes_passwords, fitted
from warmup.cli.progress import shown
from warmup.cli.proof import by_password
from warmup.cli.verification import verified
from warmup.ledger.enrolled import account_key
from warmup.ledger.errors import DuplicateMailbox
from warmup.mail.address import AddressError, account_form
from warmup.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """How far a row has come. `state`: ready, refused, and in the end enrolled or unverified."""

    row: Row
    draft: Draft | None = None
    secret: str = field(default="", repr=False)
    warnings: tuple[str, ...] = ()
    fault: Fault | None = None
    state: str = "ready"


Step = Callable[[Entry], Awaitable[Entry]]


async def import_mailboxes(here: Invocation, path: Path, *, concurrency: int, verify: bool, as_json: bool) -> None:
    """Enrol every row of `path`, or none. Raises Fault with the rows' common exit code, 65 where they differ."""
    entries = [Entry(row=row, fault=row.fault, state="refused" if row.fault else "ready") for row in rows_of(path)]
    if is_exposed(path):
        warn(f"{path} holds passwords and others may read it: chmod 600 {path}, and remove it afterwards")
    async with parts_of(here) as parts:
        now, vault = parts.clock.now(), parts.vault()
        entries = await _all(entries, lambda one: _prepared(one, parts, now, verify=verify), "checked", concurrency)
        entries = _without_twins(entries)
        if verify and not _refused(entries):
            entries = await _all(entries, lambda one: _proven(one, parts, vault, now), "logged in", concurrency)
        if not _refused(entries):
            await parts.ledger.mailboxes.add_all(
                (one.draft.new, by_password(vault, one.draft.new, one.secret).secrets if one.secret else ())
                for one in entries
                if one.draft
            )
            entries = [replace(one, state="enrolled" if verify else "unverified") for one in entries]
    _report(entries, as_json=as_json)
    refused = _refused(entries)
    if refused:
        raise Fault(
            f"{len(refused)} of {len(entries)} rows will not do, and nothing was saved",
            "mend them and import the file again",
            code=_common_code(refused),
        )


async def _all(entries: Sequence[Entry], step: Step, what: str, concurrency: int) -> list[Entry]:
    """Every entry a step further, `concurrency` of them at a time; those that were refused stay as they are."""
    turns = asyncio.Semaphore(concurrency)

    with shown(what, len(entries)) as advance:

        async def taken(entry: Entry) -> Entry:
            async with turns:
                after = entry if entry.fault else await step(entry)
            advance(after.row.address + (f": {after.fault}" if after.fault else ""))
            return after

        return list(await asyncio.gather(*(taken(entry) for entry in entries)))


async def _prepared(entry: Entry, parts: Parts, now: datetime, *, verify: bool) -> Entry:
    """The entry with its draft and password, nothing of it tried yet."""
    row = entry.row
    assert row.wish is not None
    try:
        plan = await drafted(row.wish, parts, now=now)
        await check_new(parts, plan.new)
        check_takes_passwords(plan.provider)
        if not row.source.is_said and verify:
            raise bad_input("it has no password", "fill in password_env, password_file or password")
        said = row.source.read(environ=parts.invocation.environ, prompt="") if row.source.is_said else ""
    except (Fault, AddressError, DuplicateMailbox) as reason:
        return _refusal(entry, reason)
    fit = fitted(said, plan.provider) if said else None
    warnings = (*plan.doubts, *fit.warnings) if fit else plan.doubts
    return replace(entry, draft=plan, secret=fit.secret if fit else "", warnings=warnings)


def _without_twins(entries: Sequence[Entry]) -> list[Entry]:
    """The entries, with every row refused whose address or account stands further up."""
    seen: dict[object, Entry] = {}
    kept = []
    for entry in entries:
        if entry.draft is not None and entry.fault is None:
            new = entry.draft.new
            keys = (account_form(new.address), account_key(new.smtp.host, new.username))
            twin = next((seen[key] for key in keys if key in seen), None)
            if twin is not None:
                again = bad_input(f"it is the account of line {twin.row.line} again", "leave one of them out")
                entry = _refusal(entry, again)
            for key in keys:
                seen.setdefault(key, entry)
        kept.append(entry)
    return kept


async def _proven(entry: Entry, parts: Parts, vault: Vault, now: datetime) -> Entry:
    """The entry with its folders, once its logins held."""
    assert entry.draft is not None
    new = entry.draft.new
    try:
        logins = by_password(vault, new, entry.secret).logins
        found = await verified(new, logins, provider=entry.draft.provider, network=parts.network)
    except Fault as fault:
        return _refusal(entry, fault)
    new = replace(new, junk_folder=found.junk, sent_folder=found.sent, trash_folder=found.trash, verified_at=now)
    return replace(entry, draft=replace(entry.draft, new=new), warnings=(*entry.warnings, *found.cautions(new.role)))


def _refusal(entry: Entry, reason: Fault | AddressError | DuplicateMailbox) -> Entry:
    fault = reason if isinstance(reason, Fault) else bad_input(str(reason))
    return replace(entry, fault=fault, state="refused")


def _refused(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.fault is not None]


def _common_code(refused: Sequence[Entry]) -> Exit:
    codes = {entry.fault.code for entry in refused if entry.fault is not None}
    # A wrong option would be wrong usage; in a file it is bad input.
    return codes.pop() if len(codes) == 1 and Exit.WRONG_USAGE not in codes else Exit.BAD_INPUT


def _report(entries: Sequence[Entry], *, as_json: bool) -> None:
    if as_json:
        enrolled = sum(entry.state in ("enrolled", "unverified") for entry in entries)
        print_json("mailbox-import", {"enrolled": enrolled, "rows": [_facts(entry) for entry in entries]})
        return
    columns = ("line", "address", "state", "provider", "limit", "timezone", "junk_folder")
    rows = []
    for facts in map(_facts, entries):
        remark = facts["error"] or "; ".join(facts["warnings"])
        rows.append((*(facts[column] for column in columns), remark))
    print_table((*columns, "remark"), rows, numbers=("line", "limit"))


def _facts(entry: Entry) -> dict[str, Any]:
    new = entry.draft.new if entry.draft else None
    return {
        "line": entry.row.line,
        "address": new.address if new else entry.row.address,
        "state": entry.state,
        "provider": new.provider if new else None,
        "limit": new.daily_limit if new else None,
        "timezone": new.timezone if new else None,
        "smtp": str(new.smtp) if new else None,
        "imap": str(new.imap) if new else None,
        "junk_folder": new.junk_folder if new else None,
        "warnings": list(entry.warnings),
        "error": str(entry.fault) if entry.fault else None,
    }
