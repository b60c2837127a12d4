"""Postfix: submission with STARTTLS and AUTH, implicit TLS, and the answers a provider gives.

A login may send under its own address (or a +tag of it) only; an unknown recipient is 550 5.1.1 out of a table, since
a verification probe answers after its poll delay, which is hours of a rehearsal; nothing is relayed elsewhere. Queue
ids are the long ones: unique over the run, and the microsecond of arrival is in them.
"""

import os
import shutil
import signal
import smtplib
import subprocess
from pathlib import Path

from tests.lab.certificates import certificate
from tests.lab.layout import DOMAINS, FULL, GONE, UNKNOWN, LabFailed, Layout, until

MESSAGE_SIZE_LIMIT = 1_048_576

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = localhost
mydestination =
mynetworks =
maillog_file = {maillog}
maillog_file_prefixes = {root}
enable_long_queue_ids = yes
recipient_delimiter = +
default_transport = error:5.4.4 the lab sends nothing elsewhere
virtual_mailbox_domains = {domains}
virtual_mailbox_maps = texthash:{folder}/conf/users
virtual_alias_maps = texthash:{folder}/conf/aliases
virtual_transport = lmtp:unix:{lmtp}
lmtp_destination_concurrency_limit = 20
initial_destination_concurrency = 20
in_flow_delay = 0
sender_bcc_maps = regexp:{folder}/conf/sent_copies
message_size_limit = {size}
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl}
smtpd_sasl_auth_enable = yes
smtpd_tls_cert_file = {chain}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_sender_login_maps = regexp:{folder}/conf/logins
smtpd_sender_restrictions = reject_authenticated_sender_login_mismatch
smtpd_relay_restrictions = reject_unauth_destination
anvil_rate_time_unit = 10s
smtpd_restriction_classes = quota_checked
quota_checked = check_policy_service unix:{quota}
smtpd_recipient_restrictions =
    reject_unlisted_recipient
    check_recipient_access texthash:{folder}/conf/checked
    check_policy_service unix:{policy}
    permit_sasl_authenticated
    reject
smtpd_end_of_data_restrictions = check_policy_service unix:{policy}
smtpd_milters = unix:{milter}
milter_default_action = tempfail
"""

MASTER = """\
{submission} inet n - n - - smtpd
  -o syslog_name=postfix/submission
{smtps} inet n - n - - smtpd
  -o syslog_name=postfix/smtps
  -o smtpd_tls_wrappermode=yes
{rewriting} inet n - n - - smtpd
  -o syslog_name=postfix/rewriting
  -o cleanup_service_name=rewrite-id
{relay} inet n - n - - smtpd
  -o syslog_name=postfix/relay
  -o smtpd_sasl_auth_enable=no
  -o mynetworks=127.0.0.1/32
  -o smtpd_sender_restrictions=
  -o smtpd_recipient_restrictions=reject_unlisted_recipient,permit_mynetworks,reject
  -o smtpd_end_of_data_restrictions=
{hurried} inet n - n - - smtpd
  -o syslog_name=postfix/hurried
  -o smtpd_client_message_rate_limit=1
{crowded} inet n - n - - smtpd
  -o syslog_name=postfix/crowded
  -o smtpd_client_connection_count_limit=1
{small} inet n - n - - smtpd
  -o syslog_name=postfix/small
  -o message_size_limit=300
  -o smtpd_discard_ehlo_keywords=size
{doubtful}
rewrite-id unix n - n - 0 cleanup
  -o header_checks=regexp:{rewritten}
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

DOUBTFUL = """\
{port} inet n - n - - smtpd
  -o syslog_name=postfix/{name}
  -o smtpd_tls_cert_file={chain}
  -o smtpd_tls_key_file={key}
"""


class Postfix:
    """A running Postfix; `ready` before use, `stop` at the end."""

    def __init__(self, layout: Layout, *, sent_copies: tuple[str, ...]) -> None:
        self._layout = layout
        self._folder = layout.root / "postfix"
        _write(layout, self._folder, sent_copies)
        with (layout.run / "postfix.out").open("wb") as said:
            # Not our child in the end (Postfix detaches), so it is stopped by the pid it wrote.
            subprocess.run(
                ["/usr/sbin/postfix", "-c", self._folder / "conf", "start"],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )

    def ready(self) -> None:
        """Wait until the submission port greets; raises LabFailed."""
        until(self._greets, seconds=30, what="Postfix greets", log=self._layout.maillog)

    def stop(self) -> None:
        """End the master, which ends its own, and wait for the end."""
        pid = master_pid(self._layout.root)
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        until(lambda: not alive(pid), seconds=20, what="Postfix ends", log=self._layout.maillog)

    def _greets(self) -> bool:
        try:
            with smtplib.SMTP("127.0.0.1", self._layout.ports.submission, timeout=5) as session:
                return session.noop()[0] == 250
        except (OSError, smtplib.SMTPException):
            if master_pid(self._layout.root) is None:
                raise LabFailed("Postfix ended: " + self._layout.maillog.read_text(errors="replace")) from None
            return False


def master_pid(root: Path) -> int | None:
    """The pid of the Postfix master of the lab at `root`, None where none runs."""
    try:
        pid = int((root / "postfix" / "spool" / "pid" / "master.pid").read_text())
    except (OSError, ValueError):
        return None
    return pid if alive(pid) else None


def alive(pid: int) -> bool:
    """True while process `pid` runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _write(layout: Layout, folder: Path, sent_copies: tuple[str, ...]) -> None:
    for name in ("spool", "data", "conf"):
        (folder / name).mkdir(parents=True)
    shutil.chown(folder / "data", "postfix")
    conf = folder / "conf"
    (conf / "users").write_text("".join(f"{user.address} here\n" for user in layout.users if user.address != UNKNOWN))
    (conf / "aliases").write_text(f"{GONE} nobody.any.more@corp.test\n")
    (conf / "checked").write_text(f"{FULL} quota_checked\n")
    (conf / "logins").write_text("/^([^+@]+)(\\+[^@]*)?@(.+)$/ ${1}@${3}\n")
    (conf / "rewritten").write_text(
        "/^Message-ID:[[:space:]]*<([^@>]*)@/ REPLACE Message-ID: <rewritten.${1}@relay.invalid>\n"
    )
    escaped = [domain.replace(".", "\\.") for domain in sent_copies]
    (conf / "sent_copies").write_text("".join(f"/^([^+@]+)@({domain})$/ ${{1}}+sent@${{2}}\n" for domain in escaped))
    good = certificate(layout.tls, "good")
    (conf / "main.cf").write_text(
        MAIN.format(
            root=layout.root,
            folder=folder,
            maillog=layout.maillog,
            domains=" ".join(DOMAINS),
            lmtp=layout.lmtp_socket,
            size=MESSAGE_SIZE_LIMIT,
            sasl=layout.sasl_socket,
            chain=good.chain,
            key=good.key,
            policy=layout.policy_socket,
            quota=layout.quota_socket,
            milter=layout.milter_socket,
        )
    )
    (conf / "master.cf").write_text(_master(layout))


def _master(layout: Layout) -> str:
    doubtful = []
    for name in ("expired", "self_signed", "wrong_name"):
        files = certificate(layout.tls, name)
        port = getattr(layout.ports, name)
        doubtful.append(DOUBTFUL.format(port=port, name=name, chain=files.chain, key=files.key))
    ports = layout.ports
    return MASTER.format(
        submission=ports.submission,
        smtps=ports.smtps,
        rewriting=ports.rewriting,
        relay=ports.relay,
        rewritten=layout.root / "postfix" / "conf" / "rewritten",
        hurried=ports.hurried,
        crowded=ports.crowded,
        small=ports.small,
        doubtful="".join(doubtful).rstrip(),
    )
