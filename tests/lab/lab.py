"""The mail lab: real Postfix, Dovecot and Rspamd on loopback, out of one private folder, for as long as a test session.

`Lab.up()` waits until each server has answered as a client would be answered; `down()` ends them by pid and removes
the folder. A lab whose owner died without `down` is swept up by the next one. What the servers did is read back from
their own logs and folders, never from the program under test.
"""

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.lab import maildirs, postfix_log
from tests.lab.certificates import write_certificates
from tests.lab.dovecot import Dovecot
from tests.lab.layout import DOMAINS, FULL, GERMAN, GONE, MAIL_UID, UNKNOWN, Layout, Ports, User, until
from tests.lab.maildirs import Foreign, Mail
from tests.lab.postfix import Postfix, alive, master_pid
from tests.lab.postfix_log import Delivery, Refusal
from tests.lab.provider import Provider
from tests.lab.rspamd import Rspamd, SpamMap, VolumeMap

NEEDED = (
    "/usr/sbin/postfix",
    "/usr/sbin/dovecot",
    "/usr/lib/dovecot/lmtp",
    "/usr/lib/dovecot/imap",
    "/usr/bin/sievec",
    "/usr/bin/rspamd",
)
_PREFIX = "wlab-"
_VERDICT = re.compile(
    r"verdict mid=<(?P<mid>.*?)> qid=<(?P<qid>\w*)> from=<(?P<sender>.*?)> "
    r"action=<(?P<action>.*?)> scores=<(?P<score>[-\d.]+)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What Rspamd said of one message."""

    queue_id: str
    sender: str
    action: str
    score: float

    @property
    def spam(self) -> bool:
        """True where it is to be filed as junk."""
        return self.action == "add header"


def unavailable() -> str | None:
    """Why no lab can be brought up here, or None."""
    missing = [path for path in NEEDED if not Path(path).exists()]
    if missing:
        return f"the mail lab lacks {', '.join(missing)}; bash tests/lab/packages.sh installs it"
    if os.geteuid() != 0:
        return "the mail lab needs root, for Postfix's master"
    return None


class Lab:
    """Three domains, `users_per_domain` accounts each: u0@gmail.test … with passwords; all servers running.

    Besides, the odd ones of `layout`.

    `sent_copies` are the domains whose provider files what was sent over SMTP in Sent by itself, as Gmail does.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        dovecot: Dovecot,
        rspamd: Rspamd,
        postfix: Postfix,
        provider: Provider,
    ) -> None:
        self.layout = layout
        self.ports = layout.ports
        self.ca_file = layout.ca_file
        self.provider = provider
        self._servers = (postfix, rspamd, dovecot, provider)
        self._rspamd = rspamd
        self._dovecot = dovecot
        self._users = {user.address: user for user in layout.users}

    @classmethod
    def up(cls, *, users_per_domain: int = 40, sent_copies: tuple[str, ...] = ("corp.test",)) -> "Lab":
        """A lab that answers on every port; raises LabFailed with the last words of the server that does not."""
        _sweep()
        layout = _new_layout(users_per_domain)
        write_certificates(layout.tls)
        lab = cls(
            layout,
            rspamd=Rspamd(layout),
            dovecot=Dovecot(layout),
            provider=Provider(layout),
            postfix=Postfix(layout, sent_copies=sent_copies),
        )
        try:
            for server in lab._servers:
                server.ready()
        except BaseException:
            lab.down()
            raise
        return lab

    def down(self) -> None:
        """End the servers and remove the folder."""
        for server in self._servers:
            server.stop()
        shutil.rmtree(self.layout.root, ignore_errors=True)

    @property
    def spam(self) -> SpamMap:
        """Who Rspamd is turned against."""
        return self._rspamd.spam

    @property
    def volume(self) -> VolumeMap:
        """Whose volume Rspamd minds."""
        return self._rspamd.volume

    def user(self, address: str) -> User:
        """The account with this address; KeyError where there is none."""
        return self._users[address]

    def users(self, domain: str) -> list[User]:
        """The accounts of `domain`, u0 first."""
        return [user for user in self.layout.users if user.domain == domain]

    def change_password(self, address: str, password: str) -> None:
        """Have the account's owner choose another password; sessions that are logged in stay so."""
        self._dovecot.change_password(address, password)

    def stop_imap(self) -> None:
        """End Dovecot with all its sessions; no password is checked for Postfix meanwhile either."""
        self._dovecot.stop()

    def start_imap(self) -> None:
        """Start Dovecot again."""
        self._dovecot.start()

    def begin_anew(self, address: str) -> None:
        """Empty INBOX and lose its UIDs, as a mailbox does that was made anew: it gets another UIDVALIDITY."""
        self._dovecot.begin_anew(address)

    def failed_logins(self, address: str) -> int:
        """How often Dovecot refused the password of `address`, for SMTP and IMAP together."""
        return self._dovecot.failed_logins(address)

    def postfix_log(self) -> list[Delivery]:
        """What Postfix accepted so far, in order of arrival."""
        return postfix_log.deliveries(self._log_lines())

    def refusals(self) -> list[Refusal]:
        """What Postfix refused so far, in order."""
        return postfix_log.refusals(self._log_lines())

    def settled(self, *message_ids: str, seconds: float = 30) -> list[Delivery]:
        """Wait until the log knows `message_ids` and queues nothing more; give all deliveries or raise LabFailed.

        The log is written by a process of its own, so a message that was just accepted may not be in it yet.
        """

        def all_ended() -> list[Delivery] | None:
            found = self.postfix_log()
            known = {delivery.message_id for delivery in found}
            unfinished = any(delivery.status == "queued" for delivery in found) or not known.issuperset(message_ids)
            return None if unfinished else found

        return until(all_ended, seconds=seconds, what="the queue empties", log=self.layout.maillog)

    def rspamd_verdicts(self) -> dict[str, Verdict]:
        """Message-id, with its brackets, to what Rspamd said of it."""
        lines = self._rspamd.log.read_text(errors="replace").splitlines()
        return {
            f"<{found['mid']}>": Verdict(
                queue_id=found["qid"], sender=found["sender"], action=found["action"], score=float(found["score"])
            )
            for line in lines
            if (found := _VERDICT.search(line))
        }

    def mail(self, address: str) -> list[Mail]:
        """Every message that lies in the folders of `address`."""
        return maildirs.mail(self.layout, address)

    def wait_for_mail(self, address: str, message_id: str, *, seconds: float = 15) -> Mail:
        """The message with this id once it lies in a folder of `address`; raises LabFailed."""
        return until(
            lambda: next((found for found in self.mail(address) if found.message_id == message_id), None),
            seconds=seconds,
            what=f"{message_id} arrives at {address}",
            log=self.layout.maillog,
        )

    def plant(self, address: str, count: int, *, seen: bool, folder: str = "INBOX") -> list[Foreign]:
        """Put `count` messages from strangers into a folder of `address`, read or unread."""
        return maildirs.plant(self.layout, self.user(address), count, seen=seen, folder=folder)

    def snapshot(self, address: str) -> dict[str, tuple[str, frozenset[str]]]:
        """Message-id to (folder, flags) for all that lies in `address`, to compare before and after."""
        return {found.message_id: (found.folder, found.flags) for found in self.mail(address)}

    def record_imap(self, address: str) -> None:
        """Keep the raw IMAP sessions of `address` from its next log-in on; see `imap_said` and `imap_asked`."""
        folder = self.layout.rawlog / address
        folder.mkdir(exist_ok=True)
        os.chown(folder, MAIL_UID, MAIL_UID)

    def imap_asked(self, address: str) -> bytes:
        """All that clients of `address` sent over IMAP since `record_imap`."""
        return self._rawlog(address, "*.in")

    def imap_said(self, address: str) -> bytes:
        """All that Dovecot answered them."""
        return self._rawlog(address, "*.out")

    def over_limit(self, limits: Mapping[str, int], *, speed: float) -> list[tuple[str, datetime, int]]:
        """Every 24 hours of the faster clock in which a login passed its limit, by Postfix's log."""
        return postfix_log.over_limit(self.postfix_log(), limits, speed=speed)

    def _rawlog(self, address: str, pattern: str) -> bytes:
        return b"".join(path.read_bytes() for path in sorted((self.layout.rawlog / address).glob(pattern)))

    def _log_lines(self) -> Iterable[str]:
        return self.layout.maillog.read_text(errors="replace").splitlines()


def _new_layout(users_per_domain: int) -> Layout:
    root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir="/tmp"))
    root.chmod(0o755)
    (root / "owner").write_text(str(os.getpid()))
    users = tuple(
        User(address=f"u{number}@{domain}", password=f"word-{number}-{domain}")
        for domain in DOMAINS
        for number in range(users_per_domain)
    )
    odd = tuple(User(address=address, password=f"word-{address}") for address in (UNKNOWN, FULL, GONE, GERMAN))
    layout = Layout(root=root, ports=Ports.free(), users=users + odd)
    layout.run.mkdir()
    # Rspamd binds its socket here after it gave up root.
    layout.run.chmod(0o1777)
    layout.tls.mkdir(mode=0o755)
    return layout


def _sweep() -> None:
    """End and remove labs whose owner is gone without having said so."""
    for root in Path("/tmp").glob(f"{_PREFIX}*"):
        owner = root / "owner"
        if not owner.exists() or alive(int(owner.read_text())):
            continue
        for pid in filter(None, (master_pid(root), *_own_processes(root))):
            os.kill(pid, signal.SIGTERM)
            until(lambda pid=pid: not alive(pid), seconds=20, what=f"process {pid} of {root} ends")  # type: ignore[misc]
        shutil.rmtree(root, ignore_errors=True)


def _own_processes(root: Path) -> list[int]:
    """The servers that were started with a path inside `root` on their command line, oldest first."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(argument.startswith(f"{root}/".encode()) for argument in arguments):
            found.append(int(entry.name))
    return sorted(found)
