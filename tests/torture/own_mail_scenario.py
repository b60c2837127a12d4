"""Forged, replayed and quoted ids in mailboxes whose owners may do as they like: what is not ours stays as it is.

For every genuine message that a server takes, before it is delivered, its id is planted in other mail: in another
mailbox, under another sender, in a stranger's In-Reply-To and text, in reports that come to the wrong mailbox; and ids
nobody made, and those of a mailbox that was removed. All mailboxes are engaged with. What the program asked for is
heard between it and the servers, what it left is looked at in the folders, what it counted in its own books.
"""

import base64
import imaplib
import random
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import trustme

from tests.scenarios.house import House, NotInTime, Row, Town, until
from tests.torture.listening import Listener, bundle, listening
from tests.torture.outcome import Form, Outcome
from tests.torture.places import FILE, Place

SPEED = 1500.0
ATTACKED = {Form.SHORT: 5, Form.FULL: 60}
"""Genuine messages whose ids are abused."""
AGAIN = {Form.SHORT: 3, Form.FULL: 20}
"""Sighted messages of which an exact copy is put beside the first."""
REMOVED = "ben@corp.test"
PATIENCE = {Form.SHORT: 90.0, Form.FULL: 400.0}
MORE = 4
"""Messages that have to be taken after the last was planted."""
STRANGER = "eve@elsewhere.test"

WORLD = """\
name = "slow"

[[receiver]]
name = "slow"
base_spam = 0.15
quiet_volume = 1000.0
tolerance = 2.0
pressure = 0.0
distrust = 0.0
trust = 1.0
trust_gain = 0.01
trust_loss = 0.02
memory_days = 4.0
defer_at = 1000.0
missing = 0.0
delay_minutes = 60.0
"""

# What DESIGN lets us read of anybody's message, and the identity header.
_READ = frozenset(
    {
        "message-id",
        "from",
        "authentication-results",
        "in-reply-to",
        "references",
        "content-type",
        "return-path",
        "auto-submitted",
        "x-warmup-id",
    }
)
_FIELDS = re.compile(r"BODY\.PEEK\[HEADER\.FIELDS \(([^)]*)\)\]<0\.\d+>", re.IGNORECASE)
_PLAIN = re.compile(r"UID|FLAGS|INTERNALDATE|RFC822\.SIZE", re.IGNORECASE)
_START = re.compile(r"BODY\.PEEK\[\]<0\.(\d+)>", re.IGNORECASE)
_MOST = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A message that is not ours to touch; of `reports` the text may be read."""

    kind: str
    account: str
    folder: str
    uid: int
    reports: bool = False

    def __str__(self) -> str:
        return f"{self.kind} at {self.account} ({self.folder} {self.uid})"


@dataclass(slots=True, kw_only=True)
class Scene:
    """A town, a house behind listeners, and what was planted."""

    town: Town
    house: House
    place: Place
    listeners: Mapping[int, Listener]
    planted: list[Planted] = field(default_factory=list)
    forged: set[str] = field(default_factory=set)
    rng: random.Random = field(default_factory=lambda: random.Random("own mail"))
    _junk: dict[str, str] = field(default_factory=dict)

    def account(self, address: str) -> Row:
        """Where somebody lives."""
        return next(row for row in self.town.accounts if row["address"] == address)

    def third(self, *others: str) -> str:
        """Somebody else."""
        addresses = [str(row["address"]) for row in self.town.accounts]
        return self.rng.choice([address for address in addresses if address not in {*others, REMOVED}])

    def junk_of(self, address: str) -> str:
        """The name of somebody's junk folder."""
        if address not in self._junk:
            with session(self.account(address)) as mail:
                _, lines = mail.list()
            known = [line for line in lines if isinstance(line, bytes) and b"\\Junk" in line]
            named = (re.search(rb'"?([^" ]+)"?$', line) for line in known)
            self._junk[address] = next(match[1].decode() for match in named if match)
        return self._junk[address]

    def forge(self, sender: str) -> str:
        """An id that nobody made, as one of `sender` would look."""
        token = base64.b32encode(self.rng.randbytes(20)).decode("ascii").lower()
        self.forged.add(f"<{token}@{sender.partition('@')[2]}>")
        return f"<{token}@{sender.partition('@')[2]}>"

    def plant(self, kind: str, account: str, text: str, *, folder: str = "INBOX", reports: bool = False) -> None:
        """Put a message into somebody's folder, as its owner may."""
        with session(self.account(account)) as mail:
            _, (said,) = mail.append(folder, "", imaplib.Time2Internaldate(datetime.now(UTC)), text.encode())
        found = re.search(rb"APPENDUID \d+ (\d+)", said)
        assert found is not None, said
        uid = int(found[1])
        self.planted.append(Planted(kind=kind, account=account, folder=folder, uid=uid, reports=reports))


@contextmanager
def session(account: Row) -> Iterator[imaplib.IMAP4_SSL]:
    """The owner's own way in."""
    tls = ssl.create_default_context(cafile=account["ca_file"])
    with imaplib.IMAP4_SSL(account["host"], account["imaps_port"], ssl_context=tls, timeout=30) as mail:
        mail.login(account["username"], account["password"])
        yield mail


def letter(message_id: str, *, sender: str, recipient: str, **fields: str) -> str:
    """Mail as anybody may write it."""
    named = {"From": sender, "To": recipient, "Message-ID": message_id, "Subject": "hello", **fields}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items())
    return f"{head}Date: {datetime.now(UTC):%a, %d %b %Y %H:%M:%S +0000}\r\n\r\nhello {message_id}\r\n"


def delivery_report(message_id: str, *, sender: str, recipient: str) -> str:
    """RFC 3464: what a server says of a message that it could not deliver."""
    return (
        f"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.elsewhere.test\r\nTo: {sender}\r\n"
        "Message-ID: <1@mx.elsewhere.test>\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="x"\r\n\r\n'
        "--x\r\n\r\nIt was not delivered.\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; mx.elsewhere.test\r\n\r\nFinal-Recipient: rfc822; {recipient}\r\nAction: failed\r\n"
        "Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n"
        f"--x\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {message_id}\r\nFrom: {sender}\r\n"
        f"To: {recipient}\r\n\r\n--x--\r\n"
    )


def run(form: Form, folder: Path, place: Place = FILE) -> Outcome:
    """Abuse ids while mail goes round; then see what was done to what is not ours."""
    broken: list[str] = []
    with staged(folder, place) as scene:
        try:
            attack(scene, form)
        except NotInTime as late:
            broken.append(str(late))
        if (code := scene.house.stop()) != 0:
            broken.append(f"the daemon ended with {code}")
        books = scene.house.export("messages")
        asked, moved = touched(scene), changed(scene)
        broken += [*asked, *moved, *miscounted(scene, books)]
        journal, planted = scene.town.journal(), scene.planted
        kinds = len({each.kind for each in planted})
        figures = (
            f"{len(planted)} messages of {kinds} kinds planted, {len(asked)} asked for, {len(moved)} changed;"
            f" {len(journal)} of ours taken, {sum(row['placement'] is not None for row in books)} placed,"
            f" {sum(bool(row['engaged']) for row in books)} engaged with"
        )
        if not any(row["engaged"] for row in books):
            broken.append("nothing was engaged with: the attack met nobody")
        return Outcome(
            scenario="own_mail",
            tries=len(scene.planted),
            breaches=len(broken),
            figures=figures,
            broken=tuple(broken[:20]),
        ).on(place.name)


@contextmanager
def staged(folder: Path, place: Place) -> Iterator[Scene]:
    """Six mailboxes at three providers, their IMAP servers listened to, and a daemon."""
    folder.mkdir(exist_ok=True)
    (folder / "world.toml").write_text(WORLD, encoding="utf-8")
    with ExitStack() as stack:
        options = ("--world", str(folder / "world.toml"), "--speed", str(SPEED), "--accounts", "2")
        town = Town.open(folder / "town", "--start", datetime.now(UTC).isoformat(), *options)
        stack.callback(town.close)
        authority = trustme.CA()
        doors = {int(row["imaps_port"]): str(row["host"]) for row in town.accounts}
        listeners = {
            port: stack.enter_context(listening(authority, host, port, town.ca_file)) for port, host in doors.items()
        }
        around = {"WARMUP__WINDOW__START": "00:01", "WARMUP__WINDOW__END": "23:59", **place.environ}
        told = {"WARMUP__REHEARSAL__SPEED": str(SPEED), **around}
        house = House(folder=folder / "house", environ=told, url=place.url())
        stack.callback(house.close)
        house.install(ca_file=str(bundle(folder / "authorities.pem", authority, town.ca_file)))
        behind = [{**row, "imaps_port": listeners[int(row["imaps_port"])].port} for row in town.accounts]
        house.enrol_all(behind, provider="custom", ramp="esp", engage="yes", role="both", daily_limit="100")
        house.start()
        yield Scene(town=town, house=house, place=place, listeners=listeners)


def attack(scene: Scene, form: Form) -> None:
    """Plant, wait until all of it was met, and until mail has gone round once more."""
    patience = PATIENCE[form]
    gone = until(lambda: from_removed(scene), seconds=patience, what="the mailbox that is removed has sent")
    scene.house("mailbox", "remove", REMOVED)
    # Before it is found, a copy in its own place would be the message itself for anybody who looks.
    until(lambda: is_placed(scene, gone), seconds=patience, what="what it sent is found", every=0.5)
    seen = len(scene.town.journal())
    for _ in range(ATTACKED[form]):
        seen = until(partial(next_of, scene, seen), seconds=patience, what="a message is taken")
        abuse(scene.town.journal()[seen - 1], gone, scene)
    for row in until(lambda: placed(scene, AGAIN[form]), seconds=patience, what="messages are found", every=1.0):
        copy_again(scene, row)
    until(lambda: all_met(scene), seconds=patience, what="everything that was planted is met", every=0.5)
    last = len(scene.town.journal())
    until(lambda: len(scene.town.journal()) >= last + MORE, seconds=patience, what="mail goes on")


def from_removed(scene: Scene) -> Row | None:
    """A message that the mailbox to be removed has sent."""
    return next((row for row in scene.town.journal() if row["account"] == REMOVED), None)


def next_of(scene: Scene, before: int) -> int | None:
    """How many messages were taken when the latest was one among those that stay; None: none since `before`."""
    journal = scene.town.journal()
    ends = ((at, {journal[at - 1]["account"], journal[at - 1]["recipient"]}) for at in range(len(journal), before, -1))
    return next((at for at, who in ends if REMOVED not in who), None)


def abuse(row: Row, gone: Row, scene: Scene) -> None:
    """Plant the id of a message that is on its way, and others', wherever it does not belong."""
    genuine, sender, recipient = row["message_id"], row["account"], row["recipient"]
    third = scene.third(sender, recipient)
    colleague = f"colleague@{sender.partition('@')[2]}"
    scene.plant("a copy in another mailbox", third, letter(genuine, sender=sender, recipient=third))
    copy = letter(genuine, sender=sender, recipient=third)
    scene.plant("a copy in another junk folder", third, copy, folder=scene.junk_of(third))
    scene.plant("a copy by another sender", recipient, letter(genuine, sender=colleague, recipient=recipient))
    forged = scene.forge(sender)
    for name in ("INBOX", scene.junk_of(recipient)):
        text = letter(forged, sender=sender, recipient=recipient, X_Warmup_Id=forged[1:33])
        scene.plant("an id nobody made", recipient, text, folder=name)
    quoting = {"In_Reply_To": genuine, "References": genuine}
    text = letter("<1@e.test>", sender=STRANGER, recipient=recipient, **quoting)
    scene.plant("foreign mail that quotes an id", recipient, text)
    scene.plant("a stranger's answer", sender, letter("<2@e.test>", sender=STRANGER, recipient=sender, **quoting))
    text = delivery_report(genuine, sender=third, recipient=recipient)
    scene.plant("a report on another's message", third, text, reports=True)
    text = delivery_report(scene.forge(sender), sender=sender, recipient=recipient)
    scene.plant("a report on an id nobody made", sender, text, reports=True)
    text = letter(gone["message_id"], sender=gone["account"], recipient=recipient)
    scene.plant("an id of a mailbox that was removed", recipient, text)


def is_placed(scene: Scene, row: Row) -> bool:
    """True once a message was found."""
    books = (one for one in scene.house.export("messages") if one["message_id"] == row["message_id"])
    return any(one["placement"] is not None for one in books)


def placed(scene: Scene, wanted: int) -> list[Row] | None:
    """Messages that were found in the inbox, if there are enough by now."""
    rows = [
        row
        for row in scene.house.export("messages")
        if row["placement"] == "inbox" and REMOVED not in (row["mailbox"], row["recipient"])
    ]
    return rows[-wanted:] if len(rows) >= wanted else None


def copy_again(scene: Scene, row: Row) -> None:
    """Put an exact copy of a message that was sighted beside it."""
    with session(scene.account(row["recipient"])) as mail:
        mail.select("INBOX", readonly=True)
        _, (uids,) = mail.uid("SEARCH", "HEADER", "Message-ID", row["message_id"])
        first = uids.split()[0].decode() if uids.split() else None
        if first is None:
            return
        _, parts = mail.uid("FETCH", first, "(BODY.PEEK[])")
        text = parts[0][1].decode("utf-8", "surrogateescape")
    scene.plant("a second copy", row["recipient"], text)


def all_met(scene: Scene) -> bool:
    """True once the program has read past everything that was planted."""
    read: dict[tuple[str, str], int] = {}
    for one in (one for listener in scene.listeners.values() for one in list(listener.asked) if one.verb == "FETCH"):
        key = (one.account, one.folder)
        read[key] = max(read.get(key, 0), *one.uids)
    return all(read.get((each.account, each.folder), 0) >= each.uid for each in scene.planted)


def touched(scene: Scene) -> list[str]:
    """Each command that was about what is not ours, unless it read no more than may be read."""
    planted = {(each.account, each.folder, each.uid): each for each in scene.planted}
    found = [text for listener in scene.listeners.values() for text in listener.strange]
    for one in (one for listener in scene.listeners.values() for one in listener.asked):
        for uid in one.uids:
            each = planted.get((one.account, one.folder, uid))
            if each is not None and not (one.verb == "FETCH" and may_be_read(one.about, each)):
                found.append(f"{each}: {one.verb} {one.about}"[:200])
    return found


def may_be_read(about: str, each: Planted) -> bool:
    """True where a FETCH asks for fields that anybody's message may be asked for, or for the start of a report."""
    fields = {name.lower() for match in _FIELDS.finditer(about) for name in match[1].split()}
    starts = [int(match[1]) for match in _START.finditer(about)]
    rest = _START.sub("", _FIELDS.sub("", about)).strip("() ").split()
    if not fields <= _READ or any(_PLAIN.fullmatch(word) is None for word in rest):
        return False
    return not starts or (each.reports and max(starts) <= _MOST)


def changed(scene: Scene) -> list[str]:
    """What was planted and does not lie where it was put, or bears a flag."""
    found = []
    places = {(each.account, each.folder) for each in scene.planted}
    for account, folder in sorted(places):
        with session(scene.account(account)) as mail:
            mail.select(folder, readonly=True)
            _, lines = mail.uid("FETCH", "1:*", "(FLAGS)")
        flags = dict(flags_in(line) for line in lines if isinstance(line, bytes))
        for each in scene.planted:
            if (each.account, each.folder) == (account, folder):
                said = flags.get(each.uid)
                if said is None:
                    found.append(f"{each} is gone")
                elif said:
                    found.append(f"{each} bears {' '.join(sorted(said))}")
    return found


def flags_in(line: bytes) -> tuple[int, set[str]]:
    """UID and flags of a FETCH response."""
    uid, flags = re.search(rb"UID (\d+)", line), re.search(rb"FLAGS \(([^)]*)\)", line)
    assert uid is not None, line
    assert flags is not None, line
    return int(uid[1]), set(flags[1].decode().split()) - {"\\Recent"}


def miscounted(scene: Scene, books: list[Row]) -> list[str]:
    """What the program's books say that the servers' do not."""
    journal = {row["message_id"]: row for row in scene.town.journal()}
    enrolled = {row["address"] for row in scene.town.accounts}
    found = [f"{row['recipient']} was written to" for row in journal.values() if row["recipient"] not in enrolled]
    answered = [row for row in books if row["in_reply_to"] in scene.forged]
    found += [f"slot {row['slot']} answers an id that nobody made" for row in answered]
    for row in books:
        truth = journal.get(row["message_id"])
        if row["placement"] in ("inbox", "spam") and (truth is None or truth["placement"] != row["placement"]):
            where = truth["placement"] if truth else "nowhere"
            found.append(f"slot {row['slot']} was placed in {where}, and is counted in {row['placement']}")
        if row["reclassified"]:
            found.append(f"slot {row['slot']} is counted as moved")
    # Nobody but the planted wrote to us, and no server had anything to report.
    reports = scene.place.select(scene.house, "SELECT kind, slot_id FROM reports")
    return found + [f"a {kind} on slot {slot} is counted" for kind, slot in reports]
