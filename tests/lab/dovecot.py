"""Dovecot: passwords for Postfix, LMTP with Sieve, IMAP and IMAPS with SPECIAL-USE, and a raw log of chosen users.

Settings that differ from Debian's and why: failed log-ins are answered at once (a test of a wrong password may not slow
the next one from 127.0.0.1), log-in processes serve many clients, and one address may hold many sessions.
"""

import imaplib
import os
import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.lab.certificates import certificate
from tests.lab.layout import FULL, GERMAN, GERMAN_JUNK, MAIL_UID, LabFailed, Layout, until

SIEVE = """\
require ["fileinto", "envelope", "subaddress", "imap4flags"];
if envelope :detail "to" "sent" {
    setflag "\\\\Seen";
    fileinto "Sent";
    stop;
}
if header :is "X-Spam" "Yes" {
    fileinto "Junk";
    stop;
}
"""

CONF = """\
base_dir = {run}/dovecot
state_dir = {run}/dovecot
log_path = {run}/dovecot.log
log_timestamp = "%Y-%m-%dT%H:%M:%S "
protocols = imap lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <{chain}
ssl_key = <{key}
disable_plaintext_auth = no
auth_username_format = %Lu
auth_failure_delay = 0
auth_verbose = yes
recipient_delimiter = +
mail_plugins = quota
mail_location = maildir:{mail}/%d/%n
mail_uid = {uid}
mail_gid = {uid}
first_valid_uid = 1
mail_max_userip_connections = 500
default_client_limit = 2000
default_process_limit = 500
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {users}
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {users}
  default_fields = uid={uid} gid={uid} home={mail}/%d/%n
}}
service quota-status {{
  executable = quota-status -p postfix
  unix_listener {quota} {{
    mode = 0666
  }}
  client_limit = 1
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  unix_listener {sasl} {{
    mode = 0666
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
  process_min_avail = 1
  service_count = 0
  client_limit = 1000
}}
service imap {{
  process_limit = 500
}}
service lmtp {{
  unix_listener {lmtp} {{
    mode = 0666
  }}
  process_min_avail = 2
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
namespace inbox {{
  inbox = yes
  mailbox Junk {{
    special_use = \\Junk
    auto = subscribe
  }}
  mailbox Sent {{
    special_use = \\Sent
    auto = subscribe
  }}
  mailbox Trash {{
    special_use = \\Trash
    auto = subscribe
  }}
}}
protocol imap {{
  rawlog_dir = {rawlog}/%u
}}
protocol lmtp {{
  mail_plugins = sieve
}}
plugin {{
  sieve_before = {sieve}
  quota_status_success = DUNNO
  quota_status_nouser = DUNNO
  quota_status_overquota = "552 5.2.2 Mailbox is full"
}}
"""


class Dovecot:
    """A running Dovecot; `ready` before use, `stop` at the end."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._log = layout.run / "dovecot.log"
        self._conf = _write(layout)
        self._passwords = {user.address: user.password for user in layout.users}
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        with (self._layout.run / "dovecot.out").open("ab") as said:
            return subprocess.Popen(
                ["/usr/sbin/dovecot", "-F", "-c", self._conf], stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )

    def ready(self) -> None:
        """Wait until a user can log in over IMAPS; raises LabFailed."""
        until(self._answers, seconds=30, what="Dovecot answers", log=self._log)

    def stop(self) -> None:
        """End it and wait for the end."""
        self._process.terminate()
        self._process.wait(timeout=20)

    def start(self) -> None:
        """Start it again after `stop`, and wait until it answers."""
        self._process = self._started()
        self.ready()

    def change_password(self, address: str, password: str) -> None:
        """Let `address` log in with `password` only, from the next log-in on."""
        self._passwords[address] = password
        _write_users(self._layout, self._passwords)

    def begin_anew(self, address: str) -> None:
        """Give the INBOX of `address` another UIDVALIDITY; its messages are gone, and UIDs begin at 1."""
        root = self._layout.maildir(address)
        lists = (root / "dovecot-uidlist", *root.glob("dovecot.index*"), *root.glob("dovecot-uidvalidity*"))
        for path in (*lists, *root.glob("cur/*"), *root.glob("new/*")):
            path.unlink(missing_ok=True)

    def failed_logins(self, address: str) -> int:
        """How often the password of `address` was refused."""
        lines = self._log.read_text(errors="replace").splitlines()
        return sum(f"({address}," in line and "Password mismatch" in line for line in lines)

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise LabFailed("Dovecot ended: " + (self._layout.run / "dovecot.out").read_text(errors="replace"))
        if not (self._layout.sasl_socket.exists() and self._layout.lmtp_socket.exists()):
            return False
        user = self._layout.users[0]
        try:
            with imap(self._layout) as session:
                session.login(user.address, user.password)
        except (OSError, imaplib.IMAP4.error):
            return False
        return True


def imap(layout: Layout) -> imaplib.IMAP4_SSL:
    """A new IMAPS session, not logged in, its certificate checked; use it with `with`."""
    trust = ssl.create_default_context(cafile=str(layout.ca_file))
    return imaplib.IMAP4_SSL("127.0.0.1", layout.ports.imaps, ssl_context=trust, timeout=20)


def _write(layout: Layout) -> Path:
    folder = layout.root / "dovecot"
    folder.mkdir()
    users, conf = folder / "users", folder / "dovecot.conf"
    _write_users(layout, {user.address: user.password for user in layout.users})
    sieve, german = folder / "filing.sieve", folder / "german.sieve"
    sieve.write_text(SIEVE)
    german.write_text(SIEVE.replace('"Junk"', f'"{GERMAN_JUNK}"'))
    for owned in (layout.mail, layout.rawlog):
        owned.mkdir()
        os.chown(owned, MAIL_UID, MAIL_UID)
    good = certificate(layout.tls, "good")
    conf.write_text(
        CONF.format(
            run=layout.run,
            chain=good.chain,
            key=good.key,
            mail=layout.mail,
            uid=MAIL_UID,
            users=users,
            quota=layout.quota_socket,
            sasl=layout.sasl_socket,
            imap=layout.ports.imap,
            imaps=layout.ports.imaps,
            lmtp=layout.lmtp_socket,
            rawlog=layout.rawlog,
            sieve=sieve,
        )
    )
    for script in (sieve, german):
        subprocess.run(["/usr/bin/sievec", "-c", conf, script], check=True, capture_output=True)
    _make_german_junk(layout)
    return conf


def _write_users(layout: Layout, passwords: Mapping[str, str]) -> None:
    """The users' file, replaced whole: it is read for every log-in."""
    path = layout.root / "dovecot" / "users"
    extra = {
        # Of the others no quota is kept.
        FULL: "userdb_quota=maildir:full userdb_quota_rule=*:bytes=1",
        GERMAN: f"userdb_namespace/inbox/mailbox/Junk/auto=no userdb_sieve_before={layout.root}/dovecot/german.sieve",
    }
    lines = (f"{address}:{{PLAIN}}{word}::::::{extra.get(address, '')}\n" for address, word in passwords.items())
    draft = path.with_suffix(".new")
    draft.write_text("".join(lines))
    draft.replace(path)


def _make_german_junk(layout: Layout) -> None:
    for folder in (layout.maildir(GERMAN), layout.maildir(GERMAN) / f".{GERMAN_JUNK}"):
        for name in ("cur", "new", "tmp"):
            (folder / name).mkdir(parents=True)
    for path in (layout.maildir(GERMAN).parent, *layout.maildir(GERMAN).parent.rglob("*")):
        os.chown(path, MAIL_UID, MAIL_UID)
