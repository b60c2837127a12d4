"""A slot's message, spelled out. The same slot gives the same bytes at every attempt (DESIGN, promise 1).

Nothing of a message is kept but what it was drawn from: grammar, seed, due instant and ids. A reply says its thread's
opener again from the opener's own seed, so that it keeps to the subject without a stored body.
"""

from collections.abc import Sequence

from warmup.clock import seeded
from warmup.content import Grammars
from warmup.ledger.slots import NewSlot, Slot, ThreadMessage
from warmup.mail.grammar import say
from warmup.mail.identity import read
from warmup.mail.message import compose, is_message_id
from warmup.policy.mailbox import Mailbox


def letter(
    slot: Slot | NewSlot,
    thread: Sequence[ThreadMessage],
    *,
    sender: Mailbox,
    recipient: Mailbox,
    opener_names: tuple[str, str],
    grammars: Grammars,
    header: str,
) -> bytes:
    """The message of `slot`. `thread` is what it answers, and what that answered, oldest first; empty for an opener.

    `opener_names` are the display names of the thread's first sender and recipient; `header` names the identity header,
    empty for none. LookupError where a grammar is gone, ValueError where a name cannot be spelled.
    """
    root = thread[0].slot if thread else slot
    grammar = grammars.named(root.grammar)
    about = None
    if thread:
        opener = say(grammar, seeded(root.seed), sender_name=opener_names[0], recipient_name=opener_names[1])
        about = opener.about
    text = say(grammar, seeded(slot.seed), sender_name=sender.name, recipient_name=recipient.name, reply_to=about)
    token = read(slot.message_id)
    ids = tuple(_known_as(earlier) for earlier in thread)
    return compose(
        sender=(sender.name, sender.address),
        recipient=(recipient.name, recipient.address),
        subject=text.subject,
        body=text.body,
        message_id=slot.message_id,
        date=slot.due_at.astimezone(sender.zone),
        header=(header, token) if header and token else None,
        in_reply_to=ids[-1] if ids else None,
        references=ids,
    )


def _known_as(earlier: ThreadMessage) -> str:
    """The id `earlier` arrived with; its own where a server put one in its place that no field can carry."""
    return earlier.message_id if is_message_id(earlier.message_id) else earlier.slot.message_id
