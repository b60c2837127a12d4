"""How an error ends the program: the lines a person reads, and the exit code a script reads. The only such table.

Imported when something went wrong, so that what went right does not wait for it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from typer import TyperException

from warmup.cli.faults import Exit, Fault
from warmup.config import ConfigError
from warmup.content import ContentError
from warmup.ledger.errors import (
    BackupExists,
    BackupUnusable,
    DuplicateMailbox,
    LedgerBusy,
    LedgerDamaged,
    LedgerError,
    LedgerMissing,
    LedgerNewer,
    LedgerOlder,
    LedgerUnsettled,
    UnknownMailbox,
)
from warmup.mail.address import AddressError
from warmup.vault import KeyBusy, VaultError
from warmup.web.server import CannotListen
from warmup.wire.errors import CredentialsRefused, HostRefused, WireError

_EXTRA = re.compile(r"(?i)(got unexpected extra argument\S*) \(.*\)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What is said last, and the exit code. `is_worth_a_traceback`: not a mere slip of the keyboard."""

    lines: tuple[str, ...]
    code: int
    is_worth_a_traceback: bool = True


def ending_of(error: Exception) -> Ending:
    """How the program ends after `error`."""
    match error:
        case TyperException():
            return _usage(error)
        case Fault():
            return _ending([str(error)], error.code)
        case ConfigError() | ContentError():
            return _ending(error.mistakes, Exit.BAD_CONFIG)
        case WireError():
            return _ending([f"{error}; {error.hint}" if error.hint else str(error)], code_of_wire(error))
        case LedgerError():
            return _ending([str(error)], _code_of_ledger(error))
        case KeyBusy():
            return _ending([str(error)], Exit.TRY_LATER)
        case VaultError() | CannotListen():
            return _ending([str(error)], Exit.BAD_CONFIG)
        case AddressError():
            return _ending([f"{error}; write it as name@example.com"], Exit.BAD_INPUT)
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            return _ending([f"{where}{error.strerror or error}; look at the disk and its permissions"], Exit.DISK)
        case _:
            fix = "this is a bug, please report it with what --log-level debug says"
            return _ending([f"{type(error).__name__}: {error}; {fix}"], Exit.BUG)


def code_of_wire(error: WireError) -> Exit:
    """The exit code for what a server did, or for where we do not go."""
    match error:
        case CredentialsRefused():
            return Exit.REFUSED
        case HostRefused():
            return Exit.BAD_INPUT
        case _:
            return Exit.UNREACHABLE


def _code_of_ledger(error: LedgerError) -> Exit:
    match error:
        case LedgerBusy() | LedgerUnsettled():
            return Exit.TRY_LATER
        case LedgerMissing() | LedgerNewer() | LedgerOlder():
            return Exit.BAD_CONFIG
        case DuplicateMailbox() | UnknownMailbox() | BackupUnusable() | BackupExists():
            return Exit.BAD_INPUT
        case LedgerDamaged() | _:
            return Exit.DISK


def _usage(error: TyperException) -> Ending:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        # Not an error to be told off for: the help itself, as --help shows it.
        return Ending(lines=(str(error.format_message()),), code=Exit.WRONG_USAGE, is_worth_a_traceback=False)
    path = context.command_path if context is not None else "warmup"
    text = error.format_message().strip().rstrip(".").replace("Value error, ", "")
    # What was one argument too many may have been a password.
    text = _EXTRA.sub(r"\1", text)
    return Ending(
        lines=_lines([f"{text[:1].lower()}{text[1:]}; see {path} --help"]),
        code=Exit.WRONG_USAGE,
        is_worth_a_traceback=False,
    )


def _ending(texts: Iterable[str], code: Exit) -> Ending:
    return Ending(lines=_lines(texts), code=code)


def _lines(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"error: {' '.join(text.split())}" for text in texts)
