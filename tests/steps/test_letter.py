"""A letter can be spelled whatever servers made of the ids of the letters it answers."""

import email
import email.policy
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.content import shipped
from warmup.ledger.slots import Slot, ThreadMessage
from warmup.mail.header import parse_header_block
from warmup.policy.fate import Kind
from warmup.policy.mailbox import AccountId, Endpoint, Mailbox, MailboxId, Role, Security, SlotId, State
from warmup.steps.letter import letter

WHEN = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
SERVER = Endpoint(host="127.0.0.1", port=465, security=Security.TLS)


def mailbox(number: int, address: str, name: str) -> Mailbox:
    return Mailbox(
        id=MailboxId(number),
        account_id=AccountId(number),
        address=address,
        name=name,
        provider="custom",
        receiver="custom",
        role=Role.BOTH,
        ramp="standard",
        daily_limit=100,
        smtp=SERVER,
        imap=SERVER,
        username=address,
        enrolled_at=WHEN,
        state=State.ACTIVE,
        target=100,
        timezone="UTC",
    )


ANN, BO = mailbox(1, "ann@one.test", "Ann Lee"), mailbox(2, "bo@two.test", "Bo Roy")


def slot(number: int, **changes: Any) -> Slot:
    fields: dict[str, Any] = {
        "id": SlotId(number),
        "mailbox_id": ANN.id,
        "account_id": ANN.account_id,
        "date": date(2026, 11, 24),
        "number": number,
        "recipient_id": BO.id,
        "provider": "custom",
        "kind": Kind.NEW,
        "thread_id": "t",
        "in_reply_to": None,
        "due_at": WHEN,
        "nonce": b"0123456789",
        "message_id": f"<{'a' * 32}@one.test>",
        "grammar": shipped().grammars[0].name,
        "language": shipped().grammars[0].language,
        "seed": "seed",
    }
    return Slot(**(fields | changes))


def reply_to(*arrived_as: str) -> Any:
    thread = [
        ThreadMessage(slot=slot(n, message_id=f"<o{n}@one.test>"), message_id=said)
        for n, said in enumerate(arrived_as, 1)
    ]
    raw = letter(
        slot(99, kind=Kind.REPLY, in_reply_to=SlotId(len(thread)), message_id=f"<{'b' * 32}@two.test>"),
        thread,
        sender=BO,
        recipient=ANN,
        opener_names=("Ann Lee", "Bo Roy"),
        grammars=shipped(),
        header="X-Warmup-Id",
    )
    return email.message_from_bytes(raw, policy=email.policy.default)


def test_an_answer_names_the_id_a_message_arrived_with() -> None:
    message = reply_to("<rewritten@outlook.test>")
    assert message["In-Reply-To"] == message["References"] == "<rewritten@outlook.test>"


@pytest.mark.parametrize(
    "said", ["<no-at-sign>", "<ü@x.test>", "<a\0b@x.test>", "<a@b@c>", f"<{'x' * 2000}@x.test>", "words", "", "<>"]
)
def test_an_id_no_field_can_carry_is_answered_by_our_own(said: str) -> None:
    message = reply_to("<first@x.test>", said)
    assert message["In-Reply-To"] == "<o2@one.test>"
    assert str(message["References"]).split() == ["<first@x.test>", "<o2@one.test>"]


@given(block=st.binary(max_size=200).map(lambda rest: b"Message-ID: " + rest))
def test_any_id_a_server_reports_can_be_answered(block: bytes) -> None:
    arrived = parse_header_block(block).message_id
    message = reply_to(arrived or "<first@x.test>")
    assert message.keys().count("In-Reply-To") == 1
    assert [address.addr_spec for address in message["To"].addresses] == ["ann@one.test"]
