"""A server that gives every message another Message-ID, and a relay that asks for no password: both are followed.

Two mailboxes send through a Postfix that replaces the id on its way in, one through a Postfix that takes mail from this
machine without a login (and under TLS). What they sent is read in the receivers' Maildirs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import parseaddr

import pytest

from tests.lab.lab import Lab
from tests.lab.layout import until
from tests.lab.postfix_log import Delivery, over_limit
from tests.lab.program import Program, Row

pytestmark = pytest.mark.lab

SPEED = 4000.0
DAY_SECONDS = 86_400 / SPEED
DAYS = 4
LIMITS = {"gmail.test": 40, "outlook.test": 40, "corp.test": 40}
REWRITTEN = ("u20@gmail.test", "u20@outlook.test")
RELAYED = "u20@corp.test"
RELAYED_LIMIT = 5
PLAIN = "u21@corp.test"
ENGAGED = "u20@outlook.test"
FILED = "Warmup"
ENGAGE = f'[engage]\nfolder = "{FILED}"\nfile_after_hours = 2\nexpire_after_days = 1\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """What was left behind: the ledger's rows, and the header and flags of all that lies in the mailboxes."""

    messages: list[Row]
    headers: list[tuple[Message, frozenset[str]]]
    engaged_folders: dict[str, str]
    relay_auth: str
    accepted: list[Delivery]

    def sent_by(self, *addresses: str) -> list[Row]:
        """The rows of messages that went out."""
        return [row for row in self.messages if row["mailbox"] in addresses and row["outcome"] == "accepted"]


@pytest.fixture(scope="module")
def run(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arrived]:
    program = Program(lab=lab, folder=tmp_path_factory.mktemp("other") / "warmup", speed=SPEED, daily_limits=LIMITS)
    program.install()
    with (program.folder / "config.toml").open("a") as config:
        config.write(ENGAGE)
    everyone = (*REWRITTEN, RELAYED, PLAIN)
    for address in REWRITTEN:
        program.enrol(address, *(["--engage"] if address == ENGAGED else []), port=lab.ports.rewriting)
    program.enrol(RELAYED, "--smtp-auth", "none", "--daily-limit", str(RELAYED_LIMIT), port=lab.ports.relay)
    program.enrol(PLAIN)
    try:
        program.start()
        program.wait_for_date(DAYS + 1, seconds=(DAYS + 3) * DAY_SECONDS)
        before = {str(day) for day in program.dates()[:DAYS]}
        until(lambda: all_placed(program, before), seconds=60, what="every message was placed", every=0.5)
        assert program.stop() == 0
        found = [each for address in everyone for each in lab.mail(address)]
        parser = BytesHeaderParser()
        yield Arrived(
            messages=[row for row in program.export("messages") if row["date"] in before],
            headers=[(parser.parsebytes(each.path.read_bytes()), each.flags) for each in found],
            engaged_folders={each.message_id: each.folder for each in lab.mail(ENGAGED)},
            relay_auth=program("mailbox", "show", RELAYED),
            accepted=lab.settled(),
        )
    finally:
        program.close()


def all_placed(program: Program, dates: set[str]) -> bool:
    rows = [row for row in program.export("messages") if row["date"] in dates]
    return not any(
        row["outcome"] == "in_flight" or (row["outcome"] == "accepted" and not row["placement"]) for row in rows
    )


def test_every_message_whose_id_was_replaced_is_found_where_it_lies(run: Arrived) -> None:
    sent = run.sent_by(*REWRITTEN)
    assert len(sent) >= 2 * DAYS
    assert {row["placement"] for row in sent} == {"inbox"}
    arrived = [header for header, _ in run.headers if parseaddr(header["From"])[1] in REWRITTEN]
    # What was expired at the engaged mailbox lies nowhere any more.
    assert len(arrived) >= len([row for row in sent if row["recipient"] != ENGAGED])
    assert all(str(header["Message-ID"]).endswith("@relay.invalid>") for header in arrived)
    # Followed by the header alone: no id that was sent is anywhere.
    assert not {row["message_id"] for row in sent} & {str(header["Message-ID"]) for header, _ in run.headers}


def test_a_reply_names_the_id_its_reader_has(run: Arrived) -> None:
    sender_of = {str(header["Message-ID"]): parseaddr(header["From"])[1] for header, _ in run.headers}
    # The engaged mailbox expires what it answered: what it read is not to be looked up any more.
    answered = [
        str(header["In-Reply-To"])
        for header, _ in run.headers
        if header["In-Reply-To"] and parseaddr(header["From"])[1] != ENGAGED
    ]
    assert set(answered) <= set(sender_of)
    assert any(sender_of[message_id] in REWRITTEN for message_id in answered)


def test_engaging_finds_them_too_also_after_they_were_filed(run: Arrived) -> None:
    """A message that was moved has another UID: it is looked for, and its id is not the one it was sent with."""
    rows = [row for row in run.messages if row["recipient"] == ENGAGED and row["mailbox"] in REWRITTEN]
    old = [row for row in rows if row["date"] in sorted({row["date"] for row in run.messages})[:2]]
    assert old
    for row in old:
        assert {"seen", "file", "expire"} <= set(re.findall(r"\w+", str(row["engaged"])))
    tokens = [str(row["message_id"]).strip("<").partition("@")[0] for row in old]
    left = {
        message_id: folder
        for message_id, folder in run.engaged_folders.items()
        if any(token in message_id for token in tokens)
    }
    assert [folder for folder in left.values() if folder in ("INBOX", FILED)] == []


def test_a_relay_takes_mail_without_a_login_and_the_limit_holds(run: Arrived) -> None:
    sent = run.sent_by(RELAYED)
    assert len(sent) >= DAYS
    assert {row["placement"] for row in sent} == {"inbox"}
    assert "no password" in run.relay_auth
    taken = [delivery for delivery in run.accepted if delivery.sender == RELAYED]
    assert len(taken) >= len(sent)
    assert not [delivery for delivery in taken if delivery.login]
    by_sender = [replace(delivery, login=delivery.sender) for delivery in taken]
    assert over_limit(by_sender, {RELAYED: RELAYED_LIMIT}, speed=SPEED) == []
