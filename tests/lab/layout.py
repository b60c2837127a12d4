"""Where a lab keeps its things, which ports it answers on, and who lives there.

One private folder per run, directly under /tmp: a unix socket's path may have 107 characters. Everybody may walk
through it (Postfix, Dovecot and Rspamd run as users of their own), keys are readable by root alone.
"""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

DOMAINS = ("gmail.test", "outlook.test", "corp.test")
# Accounts at which something is wrong from the start: not known to Postfix, over its quota, forwarded to nobody, and
# one whose junk folder has a German name and no special-use.
UNKNOWN, FULL, GONE, GERMAN = "unknown@corp.test", "full@corp.test", "gone@corp.test", "deutsch@corp.test"
GERMAN_JUNK = "Spamverdacht"
# Dovecot's mail user: a bare number, so that the machine's /etc/passwd is not touched.
MAIL_UID = 64873

T = TypeVar("T")


class LabFailed(Exception):
    """A server did not come up, go down or answer in time; the text ends with what its log said last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account of the lab; it logs in with its address."""

    address: str
    password: str

    @property
    def domain(self) -> str:
        """The part after the @."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the lab listens, all on 127.0.0.1.

    `rewriting` is submission that gives every message another Message-ID, `relay` takes mail from this machine without
    a login; the rest are submission with a fault: certificates not to be believed, few messages a minute, one
    connection, small messages.
    """

    submission: int
    smtps: int
    imap: int
    imaps: int
    rewriting: int
    relay: int
    expired: int
    self_signed: int
    wrong_name: int
    hurried: int
    crowded: int
    small: int

    @classmethod
    def free(cls) -> "Ports":
        """Ports that nobody listens on now; all held at once while choosing, so no two are the same."""
        with ExitStack() as stack:
            chosen = {}
            for port in fields(cls):
                holder = stack.enter_context(socket.socket())
                holder.bind(("127.0.0.1", 0))
                chosen[port.name] = int(holder.getsockname()[1])
            return cls(**chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The folders and files of one lab."""

    root: Path
    ports: Ports
    users: tuple[User, ...]

    @property
    def run(self) -> Path:
        """Sockets, pid files and the servers' own words."""
        return self.root / "run"

    @property
    def tls(self) -> Path:
        """Certificates and keys."""
        return self.root / "tls"

    @property
    def ca_file(self) -> Path:
        """The CA whose certificates are to be believed."""
        return self.tls / "ca.pem"

    @property
    def mail(self) -> Path:
        """Maildirs: mail/DOMAIN/NAME."""
        return self.root / "mail"

    @property
    def rawlog(self) -> Path:
        """IMAP sessions as they went over the wire, of the users that have a folder here."""
        return self.root / "rawlog"

    @property
    def maillog(self) -> Path:
        """Postfix's log."""
        return self.root / "postfix" / "maillog"

    @property
    def milter_socket(self) -> Path:
        """Where Rspamd judges."""
        return self.run / "milter"

    @property
    def policy_socket(self) -> Path:
        """Where the policy service answers."""
        return self.run / "policy"

    @property
    def sasl_socket(self) -> Path:
        """Where Dovecot checks passwords for Postfix."""
        return self.run / "auth-postfix"

    @property
    def quota_socket(self) -> Path:
        """Where Dovecot tells Postfix whose mailbox is full."""
        return self.run / "quota"

    @property
    def lmtp_socket(self) -> Path:
        """Where Dovecot takes mail."""
        return self.run / "lmtp"

    def maildir(self, address: str) -> Path:
        """The Maildir of `address`; it exists after the first log-in or delivery."""
        name, _, domain = address.rpartition("@")
        return self.mail / domain / name


def until(
    condition: Callable[[], T | None], *, seconds: float, what: str, log: Path | None = None, every: float = 0.02
) -> T:
    """The first value of `condition()` that is neither None nor False, asked every `every` seconds; or LabFailed."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            raise LabFailed(f"{what}: not within {seconds:g} s{_last_words(log)}")
        time.sleep(every)


def _last_words(log: Path | None) -> str:
    if log is None or not log.exists():
        return ""
    return "\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:])
