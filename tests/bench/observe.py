"""`make bench`, observing: a look into a mailbox by `steps/observe` against a bare aioimaplib loop, against Dovecot.

Every mailbox has one new message of ours. Both sides connect with TLS, log in, open inbox and junk, search for what is
new and fetch the same header fields of it, and log out; the bare loop keeps nothing. aioimaplib asks for CAPABILITY at
every greeting, and cannot do without; ours takes it from the greeting and the login's answer where they say it. Ours
proves whose message it is and records where it landed, in a ledger on disk with synchronous=FULL. The rounds alternate;
the median ratio counts.
"""

import asyncio
import imaplib
import ssl
import statistics
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from aioimaplib import aioimaplib

from tests.bench.figures import Figure, keep
from tests.bench.send import Took, composed, timed
from tests.bench.workshop import Workshop, at_once, plan
from tests.lab.lab import Lab
from tests.lab.layout import User
from warmup.ledger.attempts import Claimed
from warmup.ledger.enrolled import NewMailbox
from warmup.ledger.mailboxes import Credential
from warmup.mail.answer import Accepted, Reply
from warmup.policy.mailbox import Endpoint, Mailbox, Protocol, Security
from warmup.steps.circle import Circle
from warmup.steps.observe import FIELDS, observe
from warmup.steps.send import rules
from warmup.vault import Vault

ROUNDS = 5
HANDS = 8
DOMAIN = "gmail.test"
USERS = 40
LEAST = 0.8
TAKEN = Accepted(reply=Reply(code=250, status="2.0.0", text="taken"))


async def enrolled(lab: Lab, circle: Circle) -> tuple[Mailbox, ...]:
    """The lab's users as mailboxes that were verified and read."""
    vault, now = Vault.open(circle.settings.vault.key_file, {}), circle.clock.now()
    door = Endpoint(host="127.0.0.1", port=lab.ports.imaps, security=Security.TLS)
    made = []
    for user in lab.users(DOMAIN)[:USERS]:
        new = NewMailbox(
            address=user.address,
            provider="custom",
            receiver="gmail",
            ramp="standard",
            target=50,
            daily_limit=500,
            smtp=Endpoint(host="127.0.0.1", port=lab.ports.smtps, security=Security.TLS),
            imap=door,
            username=user.address,
            junk_folder="Junk",
            enrolled_at=now - timedelta(days=60),
            verified_at=now,
        )
        with vault.held():
            sealed = vault.seal(user.password, mailbox=new.address, protocol=Protocol.IMAP.value, host=door.host)
        made.append((new, (Credential(protocol=Protocol.IMAP, host=door.host, sealed=sealed),)))
    fleet = await circle.ledger.mailboxes.add_all(made)
    for each in fleet:
        await circle.ledger.own.none_to_read(each.id, now=now)
    due = tuple(now - timedelta(seconds=60 - n) for n in range(ROUNDS + 1))
    await plan(circle, fleet, due)
    return fleet


async def deliver(lab: Lab, fleet: Sequence[Mailbox], turn: int, circle: Circle) -> None:
    """One message from each, claimed, taken and laid into its recipient's inbox; looked for from now on."""
    of, now = {each.id: each for each in fleet}, circle.clock.now()
    for sender in fleet:
        slot = ((await circle.ledger.turns.to_send(sender.id, now)).due)[0]
        claim = await circle.ledger.attempts.claim(slot.id, now=now, rules=rules(sender, circle), node=circle.node)
        if not isinstance(claim, Claimed):
            raise RuntimeError(f"round {turn}: {sender.address} could not send: {claim}")
        await circle.ledger.attempts.outcome(
            claim.id, TAKEN, now=now, look_at=now, deadline_at=now + timedelta(hours=24)
        )
        recipient = of[slot.recipient_id]
        content = composed(slot, sender, recipient, circle)
        await asyncio.to_thread(_append, lab, lab.user(recipient.address), content)


def _append(lab: Lab, user: User, content: bytes) -> None:
    context = ssl.create_default_context(cafile=str(lab.ca_file))
    with imaplib.IMAP4_SSL("127.0.0.1", lab.ports.imaps, ssl_context=context) as client:
        client.login(user.address, user.password)
        client.append("INBOX", "", "", content)


async def bare(users: Sequence[User], lab: Lab, last_uid: int, circle: Circle) -> None:
    """The same commands, with nothing made of the answers."""
    context = circle.doors.network.tls()
    header = circle.settings.identity.header
    section = f"BODY.PEEK[HEADER.FIELDS ({' '.join((*FIELDS, *([header] if header else [])))})]<0.65536>"

    async def one(user: User) -> None:
        client = aioimaplib.IMAP4_SSL("127.0.0.1", lab.ports.imaps, timeout=30, ssl_context=context)
        await client.wait_hello_from_server()
        await client.login(user.address, user.password)
        protocol: Any = client.protocol
        for folder in ("INBOX", "Junk"):
            await client.examine(folder)
            # It does not know by itself that a folder is open then.
            protocol.state = aioimaplib.SELECTED
            if folder == "INBOX":
                found = await client.uid_search(f"UID {last_uid + 1}:*", charset=None)
                uids = ",".join(found.lines[0].decode().split())
                answer = await client.uid("fetch", uids, f"(UID INTERNALDATE FLAGS RFC822.SIZE {section})")
                if answer.result != "OK" or not uids:
                    raise RuntimeError(f"{user.address}: {answer}")
        await client.logout()

    await at_once([lambda user=user: one(user) for user in users], HANDS)


async def ours(fleet: Sequence[Mailbox], circle: Circle) -> None:
    """The step, and the farewells."""

    async def one(mailbox: Mailbox) -> None:
        await observe(mailbox.id, circle)
        await circle.doors.forget(mailbox.id)

    await at_once([lambda mailbox=mailbox: one(mailbox) for mailbox in fleet], HANDS)


async def measured(lab: Lab, workshop: Workshop) -> Figure:
    """The ratio."""
    rounds: list[tuple[Took, Took]] = []
    async with workshop.circle(WARMUP__NETWORK__CA_FILE=str(lab.ca_file)) as circle:
        fleet = await enrolled(lab, circle)
        users = [lab.user(each.address) for each in fleet]
        for turn in range(ROUNDS + 1):
            await deliver(lab, fleet, turn, circle)
            theirs = await timed(bare(users, lab, turn, circle))
            mine = await timed(ours(fleet, circle))
            left = [await circle.ledger.sightings.awaited(each.id) for each in fleet]
            waiting = sum(watch.stage.value == "first" for watches in left for watch in watches)
            if waiting:
                raise RuntimeError(f"{waiting} of {len(fleet)} messages were not found")
            rounds.append((theirs, mine))
    kept = rounds[1:]
    rate = [statistics.median(len(fleet) / took[side].wall for took in kept) for side in (0, 1)]
    cpu = [statistics.median(took[side].cpu / len(fleet) for took in kept) * 1000 for side in (0, 1)]
    return Figure(
        name="a look over IMAP, Dovecot",
        value=statistics.median(theirs.wall / mine.wall for theirs, mine in kept),
        unit="× bare loop",
        least=LEAST,
        more={"ours /s": rate[1], "bare /s": rate[0], "ours ms CPU each": cpu[1], "bare ms CPU each": cpu[0]},
    )


def main() -> None:
    """Print the table and keep it."""
    with tempfile.TemporaryDirectory(prefix="warmup-bench-") as name:
        lab = Lab.up(users_per_domain=USERS)
        try:
            figure = asyncio.run(measured(lab, Workshop.made(Path(name) / "observe")))
        finally:
            lab.down()
    print(figure, flush=True)
    keep("observe", [figure])


if __name__ == "__main__":
    main()
