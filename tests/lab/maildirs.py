"""What lies in the lab's Maildirs, read from the files, so that looking changes nothing; and foreign mail put there."""

import contextlib
import imaplib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from email.utils import format_datetime
from pathlib import Path

from tests.lab.dovecot import imap
from tests.lab.layout import Layout, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One message as it lies there. `flags` are Maildir's letters (S seen, F flagged, R answered, T deleted)."""

    folder: str
    flags: frozenset[str]
    message_id: str
    subject: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A planted message that is none of the program's business. `secret` stands in its body and nowhere else."""

    message_id: str
    secret: str
    seen: bool


def mail(layout: Layout, address: str) -> list[Mail]:
    """Every message of `address`, by folder and age; a message moved while we read is found where it went."""
    root = layout.maildir(address)
    if not root.exists():
        return []
    return sorted(
        (
            found
            for folder in [root, *sorted(root.glob(".*/"))]
            for found in _read(folder, "INBOX" if folder == root else folder.name[1:].replace(".", "/"))
        ),
        key=lambda found: (found.folder, found.path.name),
    )


def plant(layout: Layout, user: User, count: int, *, seen: bool, folder: str = "INBOX") -> list[Foreign]:
    """Put `count` messages from strangers into `folder` of `user`, read or unread; gives them."""
    with imap(layout) as session:
        session.login(user.address, user.password)
        present = session.select(folder, readonly=True)[1][0] or b"0"
        first = int(present) + 1
        planted = [_foreign(user, folder, number, seen) for number in range(first, first + count)]
        for number, foreign in enumerate(planted, first):
            flags = r"(\Seen)" if seen else ""
            answer = session.append(
                folder, flags, imaplib.Time2Internaldate(datetime.now(UTC)), _text(user, foreign, number)
            )
            assert answer[0] == "OK", answer
    return planted


def _foreign(user: User, folder: str, number: int, seen: bool) -> Foreign:
    name = f"{folder}-{number}-{user.address.replace('@', '-at-')}".lower()
    return Foreign(message_id=f"<{name}@stranger.example>", secret=f"private-{name}-words", seen=seen)


def _text(user: User, foreign: Foreign, number: int) -> bytes:
    lines = [
        f"From: A Stranger <stranger{number}@stranger.example>",
        f"To: {user.address}",
        f"Subject: Private matter {number}",
        f"Date: {format_datetime(datetime.now(UTC))}",
        f"Message-ID: {foreign.message_id}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "",
        f"This is between us: {foreign.secret}.",
        "",
    ]
    return "\r\n".join(lines).encode()


def _read(folder: Path, name: str) -> Iterator[Mail]:
    for path in [*folder.glob("new/*"), *folder.glob("cur/*")]:
        # Flagged or moved since we listed it: the glob of where it went finds it, or the caller looks again.
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            headers = BytesHeaderParser().parse(file)
            yield Mail(
                folder=name,
                flags=frozenset(path.name.partition(":2,")[2]),
                message_id=str(headers.get("Message-ID", "")).strip(),
                subject=str(headers.get("Subject", "")),
                path=path,
            )
