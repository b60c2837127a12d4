"""Every fault a provider can have, as real servers have it: how it was read, and what the daemon did about it.

One daemon runs, at a rehearsal's clock, among mailboxes that each meet a fault of their own. For every fault the reply
comes from Postfix, Dovecot or the policy service (or, where none came, from our own door); its cause and scope are what
`warmup explain` says of it; what the daemon did is read from its exports and held against the servers' own logs. The
table is printed at the end.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

import pytest

from tests.lab.between import Between, Cut, Cutter, Relay, standing_between
from tests.lab.dovecot import imap
from tests.lab.lab import Lab
from tests.lab.layout import FULL, GERMAN, GERMAN_JUNK, GONE, UNKNOWN, LabFailed, until
from tests.lab.program import Program, Row, instant

pytestmark = pytest.mark.lab

SPEED = 1000.0
LIMITS = {"gmail.test": 40, "outlook.test": 40, "corp.test": 40, "stranger.example": 40}
# Senders, by what they meet.
GOOD, LIMITED, LOCKED_OUT, HURRIED = (f"u{n}@gmail.test" for n in range(12, 16))
CROWDED, CROWDED_TOO, WORDY, SLOW = (f"u{n}@outlook.test" for n in range(12, 16))
CUT_IN, CUT_AFTER = "u12@corp.test", "u13@corp.test"
DOUBTED = {"expired": "u14@corp.test", "self_signed": "u15@corp.test", "wrong_name": "u16@corp.test"}
# Seeds.
GREY, RENUMBERED, PLAIN, ELSEWHERE = "u16@gmail.test", "u17@gmail.test", "u16@outlook.test", "any@stranger.example"
SEEDS = [UNKNOWN, FULL, GONE, GERMAN, GREY, RENUMBERED, PLAIN, ELSEWHERE]
PATIENCE = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A line of the daemon's log: what happened to which mailbox, and its other words."""

    at: datetime
    event: str
    words: dict[str, str]


@dataclass(slots=True, kw_only=True)
class Stage:
    """The running daemon and what was set up against it."""

    lab: Lab
    program: Program
    ids: dict[str, str]
    relays: dict[str, Relay]
    cutters: dict[str, Cutter]
    numbered: list[str] = field(default_factory=list)
    restarted_at: datetime | None = None
    checks: dict[str, tuple[int, str]] = field(default_factory=dict)

    def look(self) -> "Look":
        return Look(self)


class Look:
    """What is to be seen at one moment."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    @cached_property
    def messages(self) -> list[Row]:
        return self.stage.program.export("messages")

    @cached_property
    def attempts(self) -> list[Row]:
        return self.stage.program.export("attempts")

    @cached_property
    def facts(self) -> list[Fact]:
        return [fact for line in self.stage.program.log().splitlines() if (fact := _fact(line))]

    def of(self, mailbox: str, event: str) -> list[Fact]:
        """What the log says of a mailbox."""
        return [
            fact for fact in self.facts if fact.event == event and fact.words.get("mailbox") == self.stage.ids[mailbox]
        ]

    def sent(self, *, by: str | None = None, to: str | None = None, **wanted: object) -> list[Row]:
        """The messages by a sender, to a recipient, whose columns are as wanted."""
        return [
            row
            for row in self.messages
            if by in (None, row["mailbox"])
            and to in (None, row["recipient"])
            and all(row[name] == value for name, value in wanted.items())
        ]

    def tries(self, row: Row) -> list[Row]:
        """The attempts at a message, first to last."""
        return sorted((a for a in self.attempts if a["slot"] == row["slot"]), key=lambda a: int(a["ordinal"]))

    def shut(self, mailbox: str, words: str) -> list[Fact]:
        """When a door of the mailbox stayed shut with these words."""
        return [fact for fact in self.of(mailbox, "door shut") if re.search(words, fact.words["error"])]


_PAIR = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))')


def _fact(line: str) -> Fact | None:
    words = {name: quoted or plain for name, quoted, plain in _PAIR.findall(line)}
    if "at" not in words or "event" not in words:
        return None
    return Fact(at=datetime.fromisoformat(words["at"]), event=words["event"], words=words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: the reply that shows it and what follows, both None until they are to be seen."""

    name: str
    cause: str
    scope: str
    reply: Callable[[Look], str | None]
    did: Callable[[Look], str | None]


def _first_reply(rows: list[Row]) -> str | None:
    return next((f"{row['reply_code']} {row['status']} {row['reply']}" for row in rows if row["reply"]), None)


def refused(code: int, status: str, **where: str) -> Callable[[Look], str | None]:
    """The reply a message was refused or deferred with."""
    return lambda look: _first_reply(look.sent(reply_code=code, status=status, **where))


def shut(mailbox: str, words: str) -> Callable[[Look], str | None]:
    """What the mailbox's door said when it stayed shut."""
    return lambda look: next((fact.words["error"] for fact in look.shut(mailbox, words)), None)


def gave_up_the_login(look: Look) -> str | None:
    tries = look.stage.lab.failed_logins(LOCKED_OUT)
    if not look.of(LOCKED_OUT, "login given up"):
        return None
    assert tries <= 2, f"{tries} wrong passwords were tried"
    return f"gave the login up after {tries} tries and raised an alert"


def suppressed(address: str, event: str) -> Callable[[Look], str | None]:
    def did(look: Look) -> str | None:
        told = [fact for fact in look.facts if fact.event == event and fact.words.get("suppressed") != "False"]
        if event == "suppressed":
            told = [fact for fact in told if fact.words["mailbox"] == look.stage.ids[address]]
        if not told:
            return None
        before = len([row for row in look.sent(to=address) if row["claimed_at"]])
        return f"suppressed the address after {before} message{'s' if before > 1 else ''}"

    return did


def kept_the_address(look: Look) -> str | None:
    """A full mailbox is written to again another time, and is no reason to give the address up."""
    if len([row for row in look.sent(to=FULL) if row["claimed_at"]]) < 2:
        return None
    assert look.of(FULL, "suppressed") == []
    return "gave the message up, kept the address"


def refused_once(look: Look) -> str | None:
    rows = look.sent(by=WORDY, outcome="refused", status="5.3.4")
    if len(rows) < 2:
        return None
    for row in rows:
        # Greylisted it may have been before.
        assert [each["reply_code"] for each in look.tries(row)].count(552) == 1
    assert [fact for fact in look.of(WORDY, "held") if fact.words["status"] == "5.3.4"] == []
    return "gave the message up at once, held nobody"


def held_for_a_while(look: Look) -> str | None:
    told = [fact for fact in look.facts if fact.event == "held" and fact.words["cause"] == "relay"]
    return "held the account for a while, and told why" if told else None


def held_for_a_day(look: Look) -> str | None:
    told = [fact for fact in look.of(LIMITED, "held") if fact.words["status"] == "5.4.5"]
    rows = look.sent(by=LIMITED, status="5.4.5")
    if not told or not rows:
        return None
    refused_at = min(instant(row["outcome_at"]) for row in rows)
    until_at = max(instant(fact.words["until"]) for fact in told)
    assert until_at - refused_at >= timedelta(hours=24)
    assert {fact.words["lane"] for fact in told} <= {"", "None", "null"}
    claims = [instant(row["claimed_at"]) for row in look.sent(by=LIMITED) if row["claimed_at"]]
    assert not [at for at in claims if refused_at < at < until_at]
    return f"held the account for {(until_at - refused_at) / timedelta(hours=1):.0f} hours"


def tried_again_and_got_in(look: Look) -> str | None:
    for row in look.sent(to=GREY, outcome="accepted"):
        tries = look.tries(row)
        if len(tries) > 1 and tries[0]["reply_code"] == 451:
            waited = instant(tries[1]["claimed_at"]) - instant(tries[0]["outcome_at"])
            assert look.of(row["mailbox"], "held") == [] or row["mailbox"] != GOOD
            return f"tried the same message again after {waited / timedelta(minutes=1):.0f} min, and it was taken"
    return None


def slowed_down(look: Look) -> str | None:
    told = [fact for fact in look.of(HURRIED, "held") if fact.words["code"] == "450"]
    later = [
        row
        for row in look.sent(by=HURRIED, outcome="accepted")
        if told and instant(row["claimed_at"]) >= min(instant(fact.words["until"]) for fact in told)
    ]
    if not later:
        return None
    return "held the lane for a while, one connection at a time; then went on"


def made_room(look: Look) -> str | None:
    said = [fact for each in (CROWDED, CROWDED_TOO) for fact in look.shut(each, "421 4.7.0")]
    both = [look.sent(by=each, outcome="accepted") for each in (CROWDED, CROWDED_TOO)]
    return "fell to one connection at a time; both mailboxes sent" if said and all(both) else None


def uncertain_and_missing(look: Look) -> str | None:
    if look.stage.cutters[CUT_IN].cuts != 1:
        return None
    for row in look.sent(by=CUT_IN, outcome="uncertain", placement="missing"):
        assert [each["outcome"] for each in look.tries(row)][-1:] == ["uncertain"]
        assert row["message_id"] not in {each.message_id for each in look.stage.lab.postfix_log()}
        return "uncertain, not sent again, found missing"
    return None


def uncertain_and_found(look: Look) -> str | None:
    if look.stage.cutters[CUT_AFTER].cuts != 1:
        return None
    for row in look.sent(by=CUT_AFTER, outcome="accepted", outcome_source="sighting"):
        assert [each["outcome"] for each in look.tries(row)][-1:] == ["uncertain"]
        assert [each.message_id for each in look.stage.lab.postfix_log()].count(row["message_id"]) == 1
        return "uncertain, not sent again, found: accepted"
    return None


def came_back(mailbox: str, words: str) -> Callable[[Look], str | None]:
    def did(look: Look) -> str | None:
        told = look.shut(mailbox, words)
        sent = look.sent(by=mailbox, outcome="accepted")
        return f"left it alone for {told[0].words['wait_seconds']} s, came back and sent" if told and sent else None

    return did


def said_nothing(kind: str) -> Callable[[Look], str | None]:
    def did(look: Look) -> str | None:
        sender = DOUBTED[kind]
        told = look.shut(sender, "certificate")
        if len(told) < 2:
            return None
        code, said = look.stage.checks[kind]
        assert (code, said.count("error: ")) == (69, 1)
        log = look.stage.lab.layout.maillog.read_text(errors="replace")
        sessions = [line for line in log.splitlines() if f"postfix/{kind}/" in line]
        assert sessions
        assert not [line for line in sessions if "sasl" in line.lower() and "TLS" not in line]
        assert [row for row in look.sent(by=sender) if row["claimed_at"]] == []
        return "said no word of login, claimed nothing; `mailbox check` ends with 69"

    return did


def looked_again(look: Look) -> str | None:
    since = look.stage.restarted_at
    lost = [fact for fact in look.facts if fact.event == "door shut" and fact.words["protocol"] == "imap"]
    if since is None or not [fact for fact in lost if fact.at >= since]:
        return None
    places = {row["placement"] for row in look.messages if row["sighted_at"]}
    return "came back to it; what was awaited was found" if places else None


def read_anew(look: Look) -> str | None:
    seen = look.sent(to=RENUMBERED, outcome="accepted")
    if len(set(look.stage.numbered)) < 2:
        return None
    placed = [row for row in seen if row["placement"] in ("inbox", "spam")]
    arrived = [each.message_id for each in look.stage.lab.mail(RENUMBERED)]
    late = [row for row in placed if row["message_id"] in arrived[-1:]]
    return "read the folder from its start; each message was sighted once" if len(placed) >= 3 and late else None


def found_the_junk_folder(look: Look) -> str | None:
    rows = look.sent(to=GERMAN, placement="spam")
    assert {row["folder"] for row in rows} <= {GERMAN_JUNK}
    return f"took {GERMAN_JUNK} for the junk folder by its name: spam was seen there" if rows else None


FAULTS = [
    Fault(
        name="wrong password",
        cause="credentials",
        scope="mailbox",
        reply=lambda look: next((f.words["error"] for f in look.of(LOCKED_OUT, "login refused")), None),
        did=gave_up_the_login,
    ),
    Fault(
        name="unknown recipient",
        cause="recipient_unknown",
        scope="recipient",
        reply=refused(550, "5.1.1", to=UNKNOWN),
        did=suppressed(UNKNOWN, "suppressed"),
    ),
    Fault(
        name="full mailbox",
        cause="recipient_full",
        scope="recipient",
        reply=refused(552, "5.2.2", to=FULL),
        did=kept_the_address,
    ),
    Fault(
        name="message too big",
        cause="content",
        scope="message",
        reply=refused(552, "5.3.4", by=WORDY),
        did=refused_once,
    ),
    Fault(
        name="relay denied",
        cause="relay",
        scope="mailbox",
        reply=refused(554, "5.7.1", to=ELSEWHERE),
        did=held_for_a_while,
    ),
    Fault(
        name="daily limit reached",
        cause="rate",
        scope="mailbox",
        reply=refused(550, "5.4.5", by=LIMITED),
        did=held_for_a_day,
    ),
    Fault(
        name="greylisting",
        cause="rate",
        scope="message",
        reply=lambda look: next((no.answer for no in look.stage.lab.provider.refused() if no.recipient == GREY), None),
        did=tried_again_and_got_in,
    ),
    Fault(
        name="rate limit, in a session",
        cause="rate",
        scope="lane",
        reply=refused(450, "4.7.1", by=HURRIED),
        did=slowed_down,
    ),
    Fault(
        name="rate limit, at the door",
        cause="rate",
        scope="lane",
        reply=lambda look: shut(CROWDED, "421 4.7.0")(look) or shut(CROWDED_TOO, "421 4.7.0")(look),
        did=made_room,
    ),
    Fault(
        name="delivery report, later",
        cause="recipient_unknown",
        scope="recipient",
        reply=lambda look: next(
            (
                f"{d.dsn} {d.reply}"
                for d in look.stage.lab.postfix_log()
                if d.status == "bounced" and "nobody" in d.recipient
            ),
            None,
        ),
        did=suppressed(GONE, "report"),
    ),
    Fault(
        name="connection cut inside DATA",
        cause="network",
        scope="network",
        reply=lambda look: next((f.words["reason"] for f in look.of(CUT_IN, "attempt") if "reason" in f.words), None),
        did=uncertain_and_missing,
    ),
    Fault(
        name="connection cut after the final dot",
        cause="network",
        scope="network",
        reply=lambda look: next(
            (f.words["reason"] for f in look.of(CUT_AFTER, "attempt") if "reason" in f.words), None
        ),
        did=uncertain_and_found,
    ),
    Fault(
        name="slow server",
        cause="network",
        scope="network",
        reply=shut(SLOW, "silent|answer"),
        did=came_back(SLOW, "silent|answer"),
    ),
    *(
        Fault(
            name=f"certificate, {kind.replace('_', ' ')}",
            cause="network",
            scope="network",
            reply=shut(DOUBTED[kind], word),
            did=said_nothing(kind),
        )
        for kind, word in (("expired", "expired"), ("self_signed", "self|issuer"), ("wrong_name", "mismatch"))
    ),
    Fault(
        name="IMAP restart in mid-session",
        cause="network",
        scope="network",
        reply=lambda look: next(
            (
                f.words["error"]
                for f in look.facts
                if f.event == "door shut"
                and f.words["protocol"] == "imap"
                and f.at >= (look.stage.restarted_at or f.at)
            ),
            None,
        ),
        did=looked_again,
    ),
    Fault(name="changed UIDVALIDITY", cause="", scope="", reply=lambda look: _numbers(look), did=read_anew),
    Fault(
        name="localised junk folder, no SPECIAL-USE",
        cause="",
        scope="",
        reply=lambda look: f"LIST () {GERMAN_JUNK}",
        did=found_the_junk_folder,
    ),
]


def _numbers(look: Look) -> str | None:
    numbered = look.stage.numbered
    return f"[UIDVALIDITY {numbered[0]}] became {numbered[-1]}" if len(set(numbered)) > 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """What came of a fault."""

    reply: str | None
    explained: Row
    did: str | None
    wrong: AssertionError | None = None


@pytest.fixture(scope="module")
def witnessed(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[dict[str, Witnessed]]:
    program = Program(
        lab=lab,
        folder=tmp_path_factory.mktemp("faults") / "warmup",
        speed=SPEED,
        daily_limits=LIMITS,
        environ={"WARMUP__NETWORK__SMTP_TIMEOUT_SECONDS": "5", "WARMUP__OBSERVE__MISSING_AFTER_HOURS": "6"},
    )
    with standing_between(lab.layout) as between:
        try:
            stage = set_up(lab, program, between)
            program.start()
            found = watch(stage)
            assert program.stop() == 0
        finally:
            program.close()
            lab.spam.relent()
            lab.provider.relax()
            lab.change_password(LOCKED_OUT, lab.user(LOCKED_OUT).password)
    yield found
    show(found, request)


def set_up(lab: Lab, program: Program, between: Between) -> Stage:
    """Enrol everybody where all is well, then let everything go wrong."""
    program.install()
    relays = {SLOW: between.relay(lab.ports.submission)}
    relays |= {sender: between.relay(lab.ports.submission) for sender in DOUBTED.values()}
    cutters = {CUT_IN: between.cutter(Cut.IN_DATA), CUT_AFTER: between.cutter(Cut.AFTER_DOT)}
    ports = {
        HURRIED: lab.ports.hurried,
        CROWDED: lab.ports.crowded,
        CROWDED_TOO: lab.ports.crowded,
        WORDY: lab.ports.small,
    }
    ports |= {sender: relay.port for sender, relay in relays.items()}
    addresses = []
    for seed in SEEDS:
        program.enrol(seed, "--role", "seed", account="u29@outlook.test" if seed == ELSEWHERE else None)
        addresses.append(seed)
    for sender in (GOOD, LIMITED, LOCKED_OUT, HURRIED, CROWDED, CROWDED_TOO, WORDY, SLOW, *DOUBTED.values()):
        server = ["--smtp", f"127.0.0.1:{ports[sender]}"] if sender in ports else []
        program.enrol(sender, "--role", "sender", *server)
        addresses.append(sender)
    for sender, cutter in cutters.items():
        program.enrol(sender, "--role", "sender", "--smtp", f"127.0.0.1:{cutter.port}", "--smtp-security", "tls")
        addresses.append(sender)
    ids = {address: str(number) for number, address in enumerate(addresses, 1)}
    stage = Stage(lab=lab, program=program, ids=ids, relays=relays, cutters=cutters)

    lab.change_password(LOCKED_OUT, "another one")
    lab.provider.limit({LIMITED: 2}, speed=SPEED)
    lab.provider.greylist(GREY, seconds=0.4)
    # What Gmail's users send to corp.test is junk there, in a German folder where the user is German.
    lab.spam.turn_against("gmail.test", at="corp.test")
    for kind, sender in DOUBTED.items():
        relays[sender].target = getattr(lab.ports, kind)
        done = program.ended("mailbox", "check", sender)
        stage.checks[kind] = done.returncode, done.stderr
    relays[SLOW].late = 60
    for cutter in cutters.values():
        cutter.armed = True
    return stage


def watch(stage: Stage) -> dict[str, Witnessed]:
    """Wait until every fault was met and answered, doing on the way what takes a running daemon."""
    replies: dict[str, str] = {}
    done: dict[str, str] = {}

    wrong: dict[str, AssertionError] = {}

    def all_seen() -> bool:
        look = stage.look()
        intervene(stage, look)
        for fault in FAULTS:
            try:
                if fault.name not in replies and (said := fault.reply(look)):
                    replies[fault.name] = said
                if fault.name not in done and (did := fault.did(look)):
                    done[fault.name] = did
            except AssertionError as otherwise:
                wrong[fault.name] = otherwise
        return len(replies) == len(FAULTS) == len(done.keys() | wrong.keys())

    # Each fault has a test of its own, which says what is missing.
    with contextlib.suppress(LabFailed):
        until(all_seen, seconds=PATIENCE, what="every fault is met and answered", every=1)
    return {
        fault.name: Witnessed(
            reply=replies.get(fault.name),
            explained=explained(stage.program, replies[fault.name]) if fault.cause and fault.name in replies else {},
            did=done.get(fault.name),
            wrong=wrong.get(fault.name),
        )
        for fault in FAULTS
    }


def intervene(stage: Stage, look: Look) -> None:
    """Speed the slow server up once it was given up, renumber a folder, restart Dovecot."""
    if look.shut(SLOW, "silent|answer"):
        stage.relays[SLOW].late = 0
    seen = [row for row in look.sent(to=RENUMBERED) if row["placement"]]
    if seen and not stage.numbered:
        stage.numbered.append(uidvalidity(stage.lab, RENUMBERED))
        stage.lab.renumber(RENUMBERED)
        stage.numbered.append(uidvalidity(stage.lab, RENUMBERED))
    if len(stage.numbered) > 1 and stage.restarted_at is None:
        stage.restarted_at = max(fact.at for fact in look.facts)
        stage.lab.restart_imap()


def uidvalidity(lab: Lab, address: str) -> str:
    with imap(lab.layout) as session:
        session.login(address, lab.user(address).password)
        session.select("INBOX", readonly=True)
        (number,) = session.response("UIDVALIDITY")[1]
        assert isinstance(number, bytes)
        return number.decode()


def explained(program: Program, reply: str) -> Row:
    """What `warmup explain` says of a reply."""
    found: Row = json.loads(program("explain", reply, "--json"))["recipients"][0]
    return found


def show(found: dict[str, Witnessed], request: pytest.FixtureRequest) -> None:
    """Print the table."""
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    rows = [("fault", "reply", "cause", "scope", "what the daemon did")]
    rows += [
        (
            name,
            _short(each.reply or "-"),
            str(each.explained.get("cause", "-")),
            str(each.explained.get("scope", "-")),
            each.did or "-",
        )
        for name, each in found.items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join([*(row[n].ljust(widths[n]) for n in range(4)), row[4]]) for row in rows]
    for line in ["", *lines]:
        terminal.write_line(line) if terminal else print(line)


def _short(reply: str) -> str:
    text = re.sub(r"127\.0\.0\.1:\d+:? ?", "", reply)
    return text if len(text) <= 64 else text[:63] + "…"


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_is_met_read_right_and_answered(witnessed: dict[str, Witnessed], fault: Fault) -> None:
    came = witnessed[fault.name]
    assert came.reply is not None, "no server said it"
    if fault.cause:
        assert (came.explained["cause"], came.explained["scope"]) == (fault.cause, fault.scope), came
        assert came.explained["advice"]
    if came.wrong is not None:
        raise came.wrong
    assert came.did is not None, came


def test_each_fault_of_the_lab_is_there() -> None:
    assert len({fault.name for fault in FAULTS}) == 19
