"""The lab answers as providers do: what the other lab tests lean on is shown here, without the program."""

import imaplib
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import make_msgid

import pytest

from tests.lab.dovecot import imap
from tests.lab.lab import Lab
from tests.lab.layout import until
from tests.lab.postfix import MESSAGE_SIZE_LIMIT

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def _steered_back(lab: Lab) -> Iterator[None]:
    yield
    lab.spam.relent()
    lab.provider.relax()


@contextmanager
def submission(lab: Lab, address: str, *, password: str | None = None) -> Iterator[smtplib.SMTP]:
    trust = ssl.create_default_context(cafile=str(lab.ca_file))
    with smtplib.SMTP("127.0.0.1", lab.ports.submission, timeout=20) as session:
        session.starttls(context=trust)
        session.login(address, lab.user(address).password if password is None else password)
        yield session


def letter(sender: str, to: str, *, body: str = "Good morning.") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, "Hello"
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message.set_content(body)
    return message


def sent(lab: Lab, sender: str, to: str) -> str:
    """Send one message; gives its id."""
    message = letter(sender, to)
    with submission(lab, sender) as session:
        session.send_message(message)
    return str(message["Message-ID"])


def refusal(lab: Lab, sender: str, to: str) -> tuple[int, str]:
    """The code and text RCPT was answered with when it was not yes."""
    with submission(lab, sender) as session, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        session.send_message(letter(sender, to))
    code, text = refused.value.recipients[to]
    return code, text.decode()


def search(lab: Lab, address: str, folder: str, message_id: str) -> bytes:
    """The numbers of the messages in `folder` with this id, as IMAPS gives them."""
    with imap(lab.layout) as session:
        session.login(address, lab.user(address).password)
        session.select(folder, readonly=True)
        return bytes(session.search(None, "HEADER", "Message-ID", message_id)[1][0])


def test_mail_is_placed_by_what_rspamd_is_turned_against(lab: Lab) -> None:
    sender, to = "u30@corp.test", "u30@gmail.test"
    before = sent(lab, sender, to)
    lab.spam.turn_against("corp.test")
    during = sent(lab, sender, to)
    lab.spam.relent("corp.test")
    after = sent(lab, sender, to)

    assert [lab.wait_for_mail(to, id_).folder for id_ in (before, during, after)] == ["INBOX", "Junk", "INBOX"]
    assert search(lab, to, "INBOX", before)
    assert search(lab, to, "Junk", during)
    verdicts = lab.rspamd_verdicts()
    assert [verdicts[id_].spam for id_ in (before, during, after)] == [False, True, False]


def test_rspamd_turns_against_one_address_at_one_receiver_alone(lab: Lab) -> None:
    lab.spam.turn_against("u31@corp.test", at="gmail.test")
    pairs = [
        ("u31@corp.test", "u31@gmail.test"),
        ("u31@corp.test", "u31@outlook.test"),
        ("u32@corp.test", "u31@gmail.test"),
    ]
    folders = [lab.wait_for_mail(to, sent(lab, sender, to)).folder for sender, to in pairs]
    assert folders == ["Junk", "INBOX", "INBOX"]


def test_postfix_log_tells_who_sent_what_to_whom_and_when(lab: Lab) -> None:
    first = sent(lab, "u33@outlook.test", "u33@gmail.test")
    second = sent(lab, "u33@outlook.test", "u34@gmail.test")

    found = {delivery.message_id: delivery for delivery in lab.settled(first, second)}
    assert (found[first].sender, found[first].recipient) == ("u33@outlook.test", "u33@gmail.test")
    assert (found[first].login, found[first].status, found[first].dsn) == ("u33@outlook.test", "sent", "2.0.0")
    assert lab.rspamd_verdicts()[first].queue_id == found[first].queue_id
    # The instants come from queue ids alone: they are right if they agree with the files that were delivered.
    lies_since = lab.wait_for_mail("u33@gmail.test", first).path.stat().st_mtime
    assert 0 <= lies_since - found[first].instant.timestamp() < 5
    assert found[first].instant < found[second].instant


def test_a_wrong_password_is_535(lab: Lab) -> None:
    with pytest.raises(smtplib.SMTPAuthenticationError) as refused, submission(lab, "u35@gmail.test", password="no"):
        pass
    assert refused.value.smtp_code == 535
    with imap(lab.layout) as session, pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        session.login("u35@gmail.test", "no")


def test_an_unknown_recipient_is_550_5_1_1(lab: Lab) -> None:
    code, text = refusal(lab, "u35@gmail.test", "nobody@corp.test")
    assert (code, text[:5]) == (550, "5.1.1")


def test_mail_for_elsewhere_is_not_relayed(lab: Lab) -> None:
    code, text = refusal(lab, "u35@gmail.test", "someone@stranger.example")
    assert (code, text[:5]) == (554, "5.7.1")
    assert "Relay access denied" in text


def test_a_sender_that_is_not_the_login_is_553_5_7_1(lab: Lab) -> None:
    with submission(lab, "u35@gmail.test") as session:
        session.mail("u34@gmail.test")
        code, text = session.rcpt("u35@corp.test")
    assert (code, text[:5]) == (553, b"5.7.1")


def test_a_message_too_big_is_552(lab: Lab) -> None:
    sender, to = "u35@gmail.test", "u35@corp.test"
    with submission(lab, sender) as session:
        assert int(session.esmtp_features["size"]) == MESSAGE_SIZE_LIMIT
        code, text = session.mail(sender, [f"size={MESSAGE_SIZE_LIMIT + 1}"])
        assert (code, text[:5]) == (552, b"5.3.4")
        # Unannounced, it is refused all the same, at the final dot.
        session.rset()
        session.mail(sender)
        session.rcpt(to)
        code, text = session.data(letter(sender, to, body="0123456789 abcde\n" * 70_000).as_bytes())
    assert (code, text[:5]) == (552, b"5.3.4")


def test_the_limit_of_a_login_is_550_5_4_5_until_messages_leave_the_window(lab: Lab) -> None:
    sender, to, speed = "u36@gmail.test", "u36@corp.test", 86_400 / 1.5
    lab.provider.limit({sender: 2}, speed=speed)
    sent(lab, sender, to)
    sent(lab, sender, to)
    code, text = refusal(lab, sender, to)
    assert (code, text[:5]) == (550, "5.4.5")
    assert [no.login for no in lab.provider.refused() if no.login == sender] == [sender]
    assert [no.code for no in lab.refusals() if no.sender == sender] == [550]

    def free_again() -> bool:
        try:
            sent(lab, sender, to)
        except smtplib.SMTPRecipientsRefused:
            return False
        return True

    until(free_again, seconds=10, what="the window moves on")
    assert lab.over_limit({sender: 2}, speed=speed) == []
    assert lab.over_limit({sender: 1}, speed=speed)


def test_a_message_that_slips_in_beside_others_is_refused_at_the_final_dot(lab: Lab) -> None:
    sender, to = "u37@gmail.test", "u37@corp.test"
    lab.provider.limit({sender: 1}, speed=1)
    with submission(lab, sender) as one, submission(lab, sender) as other:
        for session in (one, other):
            session.mail(sender)
            assert session.rcpt(to)[0] == 250
        assert one.data(letter(sender, to).as_bytes())[0] == 250
        code, text = other.data(letter(sender, to).as_bytes())
    assert (code, text[:5]) == (550, b"5.4.5")
    assert len([delivery for delivery in lab.settled() if delivery.sender == sender]) == 1


def test_greylisting_is_451_4_7_1_for_a_while(lab: Lab) -> None:
    sender, to = "u38@gmail.test", "u38@corp.test"
    lab.provider.greylist("corp.test", seconds=0.5)
    code, text = refusal(lab, sender, to)
    assert (code, text[:5]) == (451, "4.7.1")
    lab.provider.greylist("corp.test", seconds=0)
    assert lab.wait_for_mail(to, sent(lab, sender, to)).folder == "INBOX"


def test_a_provider_that_files_sent_mail_has_it_in_sent(lab: Lab) -> None:
    id_ = sent(lab, "u38@corp.test", "u39@gmail.test")
    lab.wait_for_mail("u39@gmail.test", id_)
    copy = lab.wait_for_mail("u38@corp.test", id_)
    assert (copy.folder, copy.flags) == ("Sent", frozenset("S"))
    # Nor does the copy count as a message of its own.
    assert [found.recipient for found in lab.settled() if found.message_id == id_] == ["u39@gmail.test"]


def test_special_use_names_junk_sent_and_trash(lab: Lab) -> None:
    with imap(lab.layout) as session:
        session.login("u39@corp.test", lab.user("u39@corp.test").password)
        listed = b"\n".join(line for line in session.list()[1] if isinstance(line, bytes)).decode()
    for use in (r"\Junk", r"\Sent", r"\Trash"):
        assert use in listed


def test_the_raw_log_shows_what_was_fetched_of_planted_mail(lab: Lab) -> None:
    reader = "u39@outlook.test"
    planted = [*lab.plant(reader, 2, seen=False), *lab.plant(reader, 1, seen=True)]
    before = lab.snapshot(reader)
    assert {id_: "S" in flags for id_, (_, flags) in before.items()} == {
        foreign.message_id: foreign.seen for foreign in planted
    }

    lab.record_imap(reader)
    with imap(lab.layout) as session:
        session.login(reader, lab.user(reader).password)
        session.select("INBOX", readonly=True)
        session.fetch("1", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
        session.fetch("2", "(BODY.PEEK[])")
    assert lab.snapshot(reader) == before
    said, asked = lab.imap_said(reader), lab.imap_asked(reader)
    assert b"EXAMINE" in asked
    assert planted[0].message_id.encode() in said
    assert [foreign.secret.encode() in said for foreign in planted] == [False, True, False]

    with imap(lab.layout) as session:
        session.login(reader, lab.user(reader).password)
        session.select("INBOX")
        session.store("1", "+FLAGS", r"\Flagged")
    changed = lab.snapshot(reader)
    assert changed[planted[0].message_id] == ("INBOX", frozenset("F"))


@pytest.mark.parametrize("port", ["expired", "self_signed", "wrong_name"])
def test_a_certificate_not_to_be_believed_is_offered_where_it_should_be(lab: Lab, port: str) -> None:
    trust = ssl.create_default_context(cafile=str(lab.ca_file))
    with (
        smtplib.SMTP("127.0.0.1", getattr(lab.ports, port), timeout=20) as session,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        session.starttls(context=trust)


def test_implicit_tls_takes_mail_too(lab: Lab) -> None:
    sender, to = "u37@outlook.test", "u38@outlook.test"
    trust = ssl.create_default_context(cafile=str(lab.ca_file))
    message = letter(sender, to)
    with smtplib.SMTP_SSL("127.0.0.1", lab.ports.smtps, context=trust, timeout=20) as session:
        session.login(sender, lab.user(sender).password)
        session.send_message(message)
    assert lab.wait_for_mail(to, str(message["Message-ID"])).folder == "INBOX"
