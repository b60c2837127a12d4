"""What can be wrong with a ledger.

LedgerError
├── LedgerMissing      there is no ledger at that place
├── LedgerNewer        it was written by a newer program
├── LedgerOlder        it has to be upgraded first
├── LedgerBusy         another daemon holds it
├── LedgerFailed       the disk, or the database on it, did not do what it was asked
├── LedgerUnsettled    it was put back from a backup, and no daemon has looked after it since
├── LedgerDamaged      the file cannot be read as a ledger
├── BackupUnusable     the file is no backup that can be put back
├── BackupExists       a file of that name is there already
├── DuplicateMailbox   the address, or its account, is enrolled already
└── UnknownMailbox     no mailbox of that address
"""

from pathlib import Path


class LedgerError(Exception):
    """The ledger could not be used; the text says what happened and what to do."""


class LedgerMissing(LedgerError):
    """There is no ledger at that place."""


class LedgerNewer(LedgerError):
    """The ledger has a revision this program does not know."""


class LedgerOlder(LedgerError):
    """The ledger has an earlier revision than this program needs."""


class LedgerBusy(LedgerError):
    """Another process holds the ledger; `holder` names it."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"another daemon holds the ledger ({holder}); stop it or try later")
        self.holder = holder


class LedgerFailed(LedgerError):
    """A read or a write failed: the disk is full, broken, read-only or not ours. Nothing of the write was kept."""


class LedgerUnsettled(LedgerError):
    """The ledger does not know what was sent after its backup: nothing may be sent from it yet."""

    def __init__(self) -> None:
        super().__init__(
            "the ledger was put back from a backup, and nothing is sent from it yet; "
            "start `warmup run`, which waits a day and looks at everything first"
        )


class LedgerDamaged(LedgerError):
    """The file is no database, or its pages do not add up."""


class BackupUnusable(LedgerError):
    """The file is none of a ledger's, or is damaged."""


class BackupExists(LedgerError):
    """A file of that name is there, and it was not said to overwrite it."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is there already; choose another name, or say --force")


class DuplicateMailbox(LedgerError):
    """`address` is enrolled already, itself or through another name of the account that `of` is."""

    def __init__(self, address: str, of: str) -> None:
        same = address.lower() == of.lower()
        text = f"{address} is enrolled already" if same else f"{address} is another name of {of}, which is enrolled"
        super().__init__(f"{text}; change it with `warmup mailbox set {of}`")
        self.address = address
        self.of = of


class UnknownMailbox(LedgerError):
    """No mailbox of that address is enrolled."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address} is not enrolled; `warmup mailbox list` names those that are")
        self.address = address
