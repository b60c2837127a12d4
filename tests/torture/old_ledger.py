"""Ledgers as earlier revisions left them, filled with messages that were sent and seen.

Only what the first revision had is written, so that the same rows go into every later one.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from warmup.ledger import schema
from warmup.ledger.database import Database
from warmup.ledger.store import create_file

ROWS_A_MESSAGE = 4
"""A slot, an attempt, an outcome and a sighting."""

_MAILBOXES = 10
_A_DAY = 20

Rows = Iterator[tuple[object, ...]]


def build(path: Path, revision: str, *, rows: int, like: Path) -> None:
    """A ledger of `revision` with at least `rows` rows of history at `path`; `like` lends what its key has sealed."""
    create_file(path)
    schema.migrate(Database.at(path), "upgrade", revision)
    with closing(sqlite3.connect(like)) as lent:
        token, key, created_at = lent.execute(
            "SELECT token, identity_key_sealed, created_at FROM installation"
        ).fetchone()
    messages = -(-rows // ROWS_A_MESSAGE)
    with closing(sqlite3.connect(path)) as ledger, ledger:
        _put(
            ledger,
            "installation",
            "id token incarnation identity_key_sealed speed created_at last_attempt",
            iter([(1, token, 1, key, 1.0, created_at, messages)]),
        )
        _put(ledger, "accounts", "id smtp_host username", ((n, "127.0.0.1", f"m{n}") for n in _mailboxes()))
        _put(ledger, "mailboxes", _MAILBOX, (_mailbox(n, created_at) for n in _mailboxes()))
        _put(ledger, "slots", _SLOT, (_slot(n, created_at) for n in range(1, messages + 1)))
        _put(
            ledger,
            "attempts",
            "id slot_id ordinal account_id domain claimed_at node",
            ((n, n, 1, _sender(n), "old.test", created_at + n, "old") for n in range(1, messages + 1)),
        )
        _put(ledger, "outcomes", _OUTCOME, (_outcome(n, created_at) for n in range(1, messages + 1)))
        _put(
            ledger,
            "sightings",
            "id slot_id mailbox_id date provider at stage placement",
            (
                (n, n, _sender(n), _date(n), "old.test", created_at + n + 2, "first", "inbox")
                for n in range(1, messages + 1)
            ),
        )


def counts(path: Path) -> dict[str, int]:
    """How many rows each table has, alembic's own left out."""
    with closing(sqlite3.connect(path)) as ledger:
        names = [name for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        kept = [name for name in names if not name.startswith(("sqlite_", "alembic_"))]
        return {name: ledger.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in sorted(kept)}


def shape(path: Path) -> tuple[str, frozenset[str]]:
    """The revision and everything that was created, as SQLite keeps it."""
    with closing(sqlite3.connect(path)) as ledger:
        (revision,) = ledger.execute("SELECT version_num FROM alembic_version").fetchone()
        made = ledger.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return str(revision), frozenset(" ".join(sql.split()) for (sql,) in made)


_MAILBOX = (
    "id account_id address address_key domain name provider receiver role ramp daily_limit timezone smtp_host "
    "smtp_port smtp_security imap_host imap_port imap_security username engage tags enrolled_at"
)
_SLOT = (
    "id mailbox_id account_id date number recipient_id provider kind thread_id due_at nonce message_id grammar "
    "language seed planned_at"
)
_OUTCOME = "attempt_id slot_id mailbox_id account_id domain date provider at outcome source reply_code status reply"


def _put(ledger: sqlite3.Connection, table: str, columns: str, rows: Rows) -> None:
    names = columns.split()
    marks = ", ".join("?" * len(names))
    ledger.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", rows)


def _mailboxes() -> range:
    return range(1, _MAILBOXES + 1)


def _sender(message: int) -> int:
    return 1 + message % _MAILBOXES


def _date(message: int) -> str:
    day = message // (_MAILBOXES * _A_DAY)
    return f"{2000 + day // 336}-{1 + day // 28 % 12:02}-{1 + day % 28:02}"


def _mailbox(n: int, at: int) -> tuple[object, ...]:
    # Nobody listens there: whoever upgrades looks at no server.
    where = ("127.0.0.1", 1, "none", "127.0.0.1", 1, "none")
    who = (
        n,
        n,
        f"m{n}@old.test",
        f"m{n}@old.test",
        "old.test",
        "",
        "custom",
        "old.test",
        "both",
        "standard",
        20,
        "UTC",
    )
    return (*who, *where, f"m{n}", 0, "[]", at)


def _slot(n: int, at: int) -> tuple[object, ...]:
    sender, recipient = _sender(n), _sender(n + 1)
    number = 1 + n // _MAILBOXES % _A_DAY
    drawn = (b"nonce", f"<{n}@old.test>", "en-garden", "en", str(n), at)
    return (n, sender, sender, _date(n), number, recipient, "old.test", "new", f"t{n}", at + n, *drawn)


def _outcome(n: int, at: int) -> tuple[object, ...]:
    sender = _sender(n)
    said = ("accepted", "smtp", 250, "2.0.0", "queued")
    return (n, n, sender, sender, "old.test", _date(n), "old.test", at + n + 1, *said)
